"""A parameter in FetchXML is always one value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import in_xml
from shared.fetch_xml import fetch_text, read_fetch

# XML 1.0 has no other control characters, and no halves of surrogate pairs.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r<>&'\"@{}"), max_size=50
).filter(lambda text: not {"\ufffe", "\uffff"} & set(text))
FETCH = (
    "<fetch><entity name='account'><filter><condition attribute='a' operator='in' value='@x'><value>@x</value>"
    "</condition></filter></entity></fetch>"
)


@given(TEXTS)
def test_a_value_is_unchanged(text: str) -> None:
    """In an attribute and in an element, and again after the query was written for the next page."""
    query = read_fetch(in_xml(FETCH, {"x": text}))
    for _ in range(2):
        (condition,) = query.iter("condition")
        assert condition.get("value") == text
        assert (condition[0].text or "") == text
        assert [each.tag for each in query.iter()] == ["fetch", "entity", "filter", "condition", "value"]
        query = read_fetch(fetch_text(query))
