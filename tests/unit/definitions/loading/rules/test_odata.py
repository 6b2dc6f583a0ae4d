"""The syntax of OData filters, seen without the service."""

from __future__ import annotations

import pytest

from shared.definitions.loading.located import TypedValue
from shared.definitions.loading.rules.odata import filter_problems
from shared.definitions.models.base import Language


def messages(condition: str, language: Language = Language.ODATA) -> list[str]:
    value = TypedValue(path=("destination", "filter"), value=condition, language=language)
    return [each.message for each in filter_problems([value])]


@pytest.mark.parametrize(
    "condition",
    [
        "statecode eq 0",
        "name eq 'a = b and \"c\" < (d'",
        "name eq 'O''Brien'",
        "(revenue gt 10 or revenue eq null) and not contains(name,'x')",
        "Microsoft.Dynamics.CRM.In(PropertyName='statecode',PropertyValues=['0','1'])",
        "not Microsoft.Dynamics.CRM.Today(PropertyName=@column)",
        "Microsoft.Dynamics.CRM.Between(PropertyName='revenue',PropertyValues=[@low,@high])",
        "contact_customer_accounts/any(o:o/firstname eq 'Ann')",
        "primarycontactid/fullname eq 'Ann' and modifiedon ge 2024-01-31T00:00:00Z",
    ],
)
def test_filters_of_odata_are_accepted(condition: str) -> None:
    """Also signs in text, and the names of arguments of query functions."""
    assert messages(condition) == []


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("statecode = 0", ["OData writes eq, not ="]),
        ("(name = 'x')", ["OData writes eq, not ="]),
        ("not (name = 'x')", ["OData writes eq, not ="]),
        ("a <> 1 && b >= 2", ["OData writes ne and and and ge, not <> and && and >="]),
        ("name like 'x%'", ["OData has no like; write contains(column, 'text')"]),
        ("name is null", ["OData has no is; write column eq null"]),
        ('name eq "x"', ["text stands in single quotes"]),
        ("name eq 'x", ["a closing single quote is missing"]),
        ("(name eq 'x'", ["1 opening and 0 closing brackets"]),
    ],
)
def test_sql_in_a_filter_is_named_with_what_odata_writes(condition: str, found: list[str]) -> None:
    """One problem for each kind of mistake."""
    said = messages(condition)
    assert len(said) == len(found)
    assert all(words in message for words, message in zip(found, said, strict=True))


def test_other_texts_are_not_looked_at() -> None:
    """An SQL expression may have an equals sign."""
    assert messages("name = 'x'", Language.SQL) == []
