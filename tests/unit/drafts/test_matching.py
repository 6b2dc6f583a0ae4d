"""Columns of a source and columns of a table, by their names."""

from __future__ import annotations

from typing import Any

import pytest

from shared.drafts.matching import identifies, matched
from shared.entities import AlternateKey, AttributeMetadata, AttributeType, EntityMetadata

T = AttributeType


def _column(name: str, shown: str = "", kind: AttributeType = T.STRING, **more: Any) -> AttributeMetadata:
    return AttributeMetadata(name=name, type=kind, display_name=shown, **more)


COLUMNS = (
    _column("accountid", "Account", T.UNIQUEIDENTIFIER),
    _column("accountnumber", "Account Number"),
    _column("name", "Account Name"),
    _column("address1_city", "Address 1: City"),
    _column("address2_city", "Address 2: City"),
    _column("emailaddress1", "Email"),
    _column("company", "Company Phone"),
    _column("new_größe", "Size (cm)"),
    _column("new_region", ""),
    _column("parentaccountid", "Parent Account", T.LOOKUP, targets=("account",)),
    _column("overriddencreatedon", "Record Created On", T.DATETIME),
    _column("statecode", "Status", T.STATE),
    _column("total", "Total", creatable=False, updatable=False),
)
TABLE = EntityMetadata(
    logical_name="account",
    entity_set="accounts",
    display_name="Account",
    primary_id="accountid",
    primary_name="name",
    attributes={each.name: each for each in COLUMNS},
    keys=(AlternateKey(name="k", columns=("accountnumber",), active=True),),
)


@pytest.mark.parametrize(
    ("name", "target", "sure"),
    [
        ("AccountNumber", "accountnumber", True),
        ("account number", "accountnumber", True),
        ("Name", "name", True),
        ("ACCOUNT-NAME", "name", True),
        ("E-Mail", "emailaddress1", True),
        ("Size (CM)", "new_größe", True),
        ("region", "new_region", False),
        ("City", "address1_city", False),
        ("Company", "company", False),
        ("Customer No", "accountnumber", False),
        ("Parent No", "parentaccountid", False),
        ("Acount Numbr", "accountnumber", False),
        ("Created", None, False),
        ("Total", None, False),
        ("Status", None, False),
        ("Shoe size", None, False),
        ("", None, False),
    ],
)
def test_one_name(name: str, target: str | None, *, sure: bool) -> None:
    """Equal names are sure; a guess says why; nothing is guessed for columns with a meaning of their own."""
    match = matched([name], TABLE).get(name)
    assert (match.attribute.name if match else None) == target
    assert (match is not None and not match.reason) is sure


def test_a_column_of_the_table_is_taken_once_by_the_surest_name() -> None:
    """`City` is not given to the column that `address1_city` names."""
    found = matched(["City", "address1_city", "Customer No", "accountnumber"], TABLE)
    assert {name: match.attribute.name for name, match in found.items()} == {
        "address1_city": "address1_city",
        "accountnumber": "accountnumber",
        "City": "address2_city",
    }


@pytest.mark.parametrize(("name", "says"), [("Customer No", True), ("sku", True), ("itemCode", True), ("City", False)])
def test_names_that_identify(name: str, *, says: bool) -> None:
    """By their words, also in one word with capital letters."""
    assert identifies(name) is says
