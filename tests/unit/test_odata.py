"""Names and texts of OData."""

from __future__ import annotations

import pytest

from shared.odata import column_of_member, odata_text


@pytest.mark.parametrize(
    ("member", "column"),
    [
        ("name", "name"),
        ("_parentaccountid_value", "parentaccountid"),
        ("_new_contract_value_value", "new_contract_value"),
        ("new_contract_value", "new_contract_value"),
        ("new_total_value_of_all", "new_total_value_of_all"),
        ("_value", "_value"),
    ],
)
def test_only_a_lookup_stands_behind_another_name(member: str, column: str) -> None:
    """A column may itself end with `_value`."""
    assert column_of_member(member) == column


def test_a_quote_in_a_text_is_doubled() -> None:
    assert odata_text("it's") == "'it''s'"
