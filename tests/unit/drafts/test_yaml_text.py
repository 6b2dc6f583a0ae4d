"""Definitions that are written: what is read back is what was given, and comments are comments."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.loading.yaml_loader import read_yaml
from shared.drafts.yaml_text import Noted, Remark, yaml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["NO", "1.0", "2024-01-31", "null", "", " x", "a: b", "# c", "@name", "it's", "0012", "-", "{a", "1e6", "true"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    """Any mapping of texts, numbers, booleans, lists and mappings."""
    found = read_yaml(yaml_text(document))
    assert (found.problems, found.value or {}) == ([], document)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), st.text(max_size=300))
def test_comments_change_no_value(document: dict[str, Any], note: str) -> None:
    """A remark before the keys, in a list, and a note on each value."""
    noted: dict[Any, Any] = {Remark(note): None, **{key: Noted(value, note) for key, value in document.items()}}
    noted["list"] = [Remark(note), Noted({"a": 1, "b": [1]}, note), "x"]
    found = read_yaml(yaml_text(noted))
    assert (found.problems, found.value) == ([], {**document, "list": [{"a": 1, "b": [1]}, "x"]})
