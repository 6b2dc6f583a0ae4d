"""Typed readers: each kind of value, and what is not one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.http.answers import Answer, UnexpectedAnswer, guid_of, parsed

ID = "11111111-2222-3333-4444-555555555555"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)
READERS: dict[str, Any] = {
    "text": lambda answer: answer.text(),
    "name": lambda answer: answer.name(),
    "guid": lambda answer: answer.guid(),
    "flag": lambda answer: answer.flag(default=True),
    "whole": lambda answer: answer.whole(low=0, high=10),
    "number": lambda answer: answer.number(),
    "number or none": lambda answer: answer.number_or_none(),
    "items": lambda answer: list(answer.items()),
    "rows": lambda answer: answer.rows(),
    "member": lambda answer: answer.member("x").part("y"),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
@given(value=JSON)
def test_a_reader_gives_a_value_or_one_error(reader: Any, value: Any) -> None:
    """Never another one, whatever JSON holds."""
    try:
        reader(Answer(value, "a question"))
    except UnexpectedAnswer as error:
        message = error.message
    else:
        return
    assert "service_url" in message


def test_the_place_is_named_and_the_value_is_not() -> None:
    """So a message has no part of a record."""
    answer = parsed(b'{"value":[{"accountid":"somebody"}]}', "accounts")
    with pytest.raises(UnexpectedAnswer, match=r"value\[0\]\.accountid is not an id") as caught:
        answer.rows()[0].member("accountid").guid()
    assert "somebody" not in caught.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"a":Infinity}', b"[" * 100_000, b"\xff", b"9" * 10_000])
def test_an_answer_that_is_not_json_is_an_error(body: bytes) -> None:
    """Depth and length included."""
    with pytest.raises(UnexpectedAnswer, match="not JSON"):
        parsed(body, "accounts")


@pytest.mark.parametrize("number", ["1e300000000", "1e-300000000", "0." + "1" * 500, "1e999999999999999999999"])
def test_exact_numbers_have_a_bound(number: str) -> None:
    """Written out they would fill the memory."""
    with pytest.raises(UnexpectedAnswer):
        parsed(f"[{number}]", "accounts", exact=True)
    assert parsed("[12345678901234567.1234567891]", "x", exact=True).value == [Decimal("12345678901234567.1234567891")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ID, ID),
        (ID.upper(), ID),
        (f"{{{ID}}}", ID),
        (ID[:-1], None),
        ("", None),
        (5, None),
        (None, None),
        ("x" * 36, None),
    ],
)
def test_ids_are_read_in_their_usual_forms(text: Any, found: str | None) -> None:
    """In lower case and with hyphens, as they are compared."""
    assert guid_of(text) == found


def test_numbers_are_finite_and_no_truth_values() -> None:
    """`true` is one for Python, and 1e400 infinite."""
    odd: list[Any] = [True, float("inf"), 10**400, "1e3", "-5", "soon", [], None]
    for value in odd:
        with pytest.raises(UnexpectedAnswer):
            Answer(value, "x").number()
    assert (Answer("3600", "x").number(), Answer(5, "x").number()) == (3600.0, 5.0)
