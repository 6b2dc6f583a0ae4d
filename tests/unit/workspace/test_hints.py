"""Hints for expressions that are not SQL."""

from __future__ import annotations

import pytest

from shared.errors import DefinitionError
from shared.workspace import checked

NAMES = ("name", "revenue", "Customer No", "ge")


def refused(expression: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        checked(expression, names=NAMES, origin="source.filter")
    return caught.value.message


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("name eq 'x'", "OData writes eq, SQL writes ="),
        ("name ne 'x' and revenue lt 5", "OData writes ne and lt, SQL writes <> and <"),
        ("revenue > 1 && name <> 'x' 5", "SQL writes AND, not &&"),
        ("WHERE revenue > 1", "write only the expression, without SELECT, FROM, WHERE or IF"),
        ("(revenue > 1))", "it has 1 opening and 2 closing brackets"),
        ("Customer No IS NOT NULL", 'write the name of this column in double quotes: "Customer No"'),
        ('"Preferred"', "double quotes are for columns: text stands in single quotes, as in 'Preferred'"),
        ("Standard", "if it is text, put it in single quotes: 'Standard'"),
        ("Preferred Customer", "text stands in single quotes"),
        ("charindex('a', name)", "there is no function charindex(); write strpos(text, part)"),
        ("lowwer(name)", "there is no function lowwer(); did you mean lower()?"),
    ],
)
def test_what_is_written_in_another_language_is_recognised(expression: str, hint: str) -> None:
    """The message says how it is written here."""
    assert hint in refused(expression)


def test_no_hint_about_text_or_about_a_column_of_that_name() -> None:
    """Words in quotes mean nothing, and a column may be called like an operator of OData."""
    assert "OData" not in refused("name = 'a eq b' 5")
    assert "OData" not in refused("ge 5")
