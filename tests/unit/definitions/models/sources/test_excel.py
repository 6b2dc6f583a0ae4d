"""Workbooks in a definition: ranges, sheets, and the keys that depend on each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.definitions import load_definition, names_used
from shared.definitions.models import ExcelSource
from shared.definitions.models.sources.excel import MOST_COLUMNS, CellRange, letters, read_range
from shared.errors import DefinitionError


def source(**keys: Any) -> ExcelSource:
    return ExcelSource.model_validate({"type": "excel", "path": "a.xlsx", **keys})


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("B3:F200", CellRange(left=2, top=3, right=6, bottom=200)),
        ("b3:f", CellRange(left=2, top=3, right=6, bottom=1_048_576)),
        ("$A:$XFD", CellRange(left=1, top=1, right=16_384, bottom=1_048_576)),
        ("AA1:AA1", CellRange(left=27, top=1, right=27, bottom=1)),
    ],
)
def test_a_range_is_read_as_excel_writes_it(text: str, area: CellRange) -> None:
    """With and without dollar signs, in upper or lower case, open at its end."""
    assert source(range=text).area == read_range(text) == area


@pytest.mark.parametrize(
    "text", ["", "B3", "B3:", "3:5", "F3:B200", "B200:F3", "A0:B1", "A1:XFE2", "A1:B1048577", "A1;B2"]
)
def test_other_texts_are_no_ranges(text: str) -> None:
    """Also those that go backwards or beyond a sheet."""
    with pytest.raises(ValidationError, match="range"):
        source(range=text)


@given(st.integers(1, MOST_COLUMNS))
def test_letters_and_numbers_of_columns_are_the_same_columns(column: int) -> None:
    """For each column that a sheet can have."""
    name = letters(column)
    assert read_range(f"{name}:{name}").left == column


@pytest.mark.parametrize(
    ("sheet", "sheets"), [(None, ()), ("May", ("May",)), (2, (2,)), (["May", 3], ("May", 3)), (["*"], ("*",))]
)
def test_sheets_are_one_or_several(sheet: Any, sheets: tuple[int | str, ...]) -> None:
    """By name and by number."""
    found = source(sheet=sheet)
    assert found.sheets == sheets
    assert source().area == CellRange()


@pytest.mark.parametrize("sheet", ["@month", ["May", "Sales @month", 3]])
def test_parameters_in_names_of_sheets_are_known(sheet: Any) -> None:
    """What a run must know to ask for the columns."""
    assert names_used(source(sheet=sheet), without=["columns"]) == {"month"}


@pytest.mark.parametrize("sheet", [0, -1, [], {}, "", [None]])
def test_other_sheets_are_refused(sheet: Any) -> None:
    """Numbers begin at 1, and a list has a sheet."""
    with pytest.raises(ValidationError):
        source(sheet=sheet)


def test_rows_to_ignore_replace_the_header() -> None:
    """As in delimited text."""
    assert source(header_rows_to_ignore=2).header is False
    assert source(header_rows_to_ignore=2, header=True).header is True
    assert source().header is True


TEXT = """
name: accounts
source: {{type: excel, path: a.xlsx, {keys}}}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}
"""
RULES = [
    ("header: false", "source", "columns are missing: without a header, only they name the columns"),
    ("header_rows_to_ignore: 3", "source", "columns are missing: without a header, only they name the columns"),
    (
        "columns: [{name: number, input_format: dd.MM.yyyy}]",
        "source.columns[0].input_format",
        "an input_format is allowed only for a column of type date",
    ),
    (
        "columns: [{name: number, formula: '1', file_name: true}]",
        "source.columns[0].formula",
        "file_name gives the value of the column already; remove this key, or make another column",
    ),
]


@pytest.mark.parametrize(("keys", "path", "message"), RULES)
def test_keys_that_do_not_fit_together_are_reported(keys: str, path: str, message: str) -> None:
    """Cells of a column can have several types: a key about one type needs the type."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(TEXT.format(keys=keys))
    assert (path, message) in [(problem.path, problem.message) for problem in caught.value.problems]
