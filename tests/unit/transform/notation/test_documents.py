"""JSON in text: what is JSON by RFC 8259, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.transform.notation.documents import json_text

Read = Callable[[str], object]
ACCEPTED = [
    "{}",
    "[]",
    "null",
    "-1.5e3",
    '"NaN, inf and ,]"',
    '{"a": [1, {"b": null}]}',
    " 5\n",
    '"\\"}"',
    '{"nan": 1}',
]
REFUSED = [
    "hello",
    "{'a': 1}",
    "[1,]",
    '{"a": 1,}',
    "NaN",
    "[Infinity]",
    "-inf",
    "01",
    "1 2",
    '{"a" 1}',
    "// x\n1",
    '"a\nb"',
]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    with duckdb.connect() as database:

        def of(text: str) -> object:
            sql = f"SELECT {json_text('t')} FROM (SELECT CAST(? AS VARCHAR) AS t)"
            return database.execute(sql, [text]).fetchall()[0][0]

        yield of


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_document_stays_as_it_is(read: Read, text: str) -> None:
    """Every character stays the same."""
    assert read(text) == text


@pytest.mark.parametrize("text", REFUSED)
def test_other_text_is_no_document(read: Read, text: str) -> None:
    """Also text that some parsers accept."""
    assert read(text) is None


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES)
def test_all_json_that_python_writes_is_a_document(read: Read, value: Any) -> None:
    """With escapes for everything that is not ASCII."""
    text = json.dumps(value)
    assert read(text) == text
