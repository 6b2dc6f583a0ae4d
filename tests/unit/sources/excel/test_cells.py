"""Cells: the value that Excel shows is read, by the type of the cell and not by its appearance."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import ColumnType
from shared.sources.excel.cells import number_text
from shared.transform.reading import reading
from tests.unit.sources.excel.conftest import Loader
from tests.workbooks.xlsx import Formula, Raw

moment = datetime.fromisoformat

VALUES = [
    (1.1, ColumnType.NUMBER, Decimal("1.1")),
    (5, ColumnType.NUMBER, Decimal(5)),
    (Raw("><v>1.1000000000000001</v></c>"), ColumnType.NUMBER, Decimal("1.1")),
    (Raw("><v>0.30000000000000004</v></c>"), ColumnType.NUMBER, Decimal("0.3")),
    (Raw("><v>9007199254740991</v></c>"), ColumnType.NUMBER, Decimal(9007199254740991)),
    (Raw("><v>1.0E-3</v></c>"), ColumnType.NUMBER, Decimal("0.001")),
    (date(2024, 1, 31), ColumnType.DATE, moment("2024-01-31")),
    (moment("2024-01-31T10:30:59"), ColumnType.DATE, moment("2024-01-31T10:30:59")),
    (date(1900, 3, 1), ColumnType.DATE, moment("1900-03-01")),
    (time(10, 30), ColumnType.TEXT, "10:30:00"),
    (timedelta(hours=30, minutes=5), ColumnType.TEXT, "30:05:00"),
    (True, ColumnType.BOOL, True),
    ("007", ColumnType.TEXT, "007"),
    ("2024-01-31", ColumnType.TEXT, "2024-01-31"),
    ("1.50", ColumnType.TEXT, "1.50"),
    ("true", ColumnType.TEXT, "true"),
    (" a\nb ", ColumnType.TEXT, " a\nb "),
    (Raw('t="str"><f>A1</f><v>5</v></c>'), ColumnType.TEXT, "5"),
    (Raw("><f>1+1</f><v>2</v></c>"), ColumnType.NUMBER, Decimal(2)),
    (Raw('t="d"><v>2024-01-31T10:00:00</v></c>'), ColumnType.DATE, moment("2024-01-31T10:00:00")),
]


@pytest.mark.parametrize(("cell", "kind", "value"), VALUES)
def test_a_cell_keeps_its_type_and_its_value(sheet: Loader, cell: Any, kind: ColumnType, value: Any) -> None:
    """Formulas have their stored result; text that looks like a number or a date stays text."""
    rows, (_, column) = sheet([("n", "value"), (1, cell)])
    assert (column.type, rows[0]["value"]) == (kind, value)


@pytest.mark.parametrize("cell", [date(2024, 1, 31), moment("2024-01-31T12:00:00")])
def test_days_are_counted_from_1904_in_workbooks_with_this_setting(sheet: Loader, cell: date) -> None:
    """Both date systems give the same dates."""
    assert sheet([("day",), (cell,)], epoch_1904=True)[0] == sheet([("day",), (cell,)])[0]


def test_a_column_with_cells_of_several_types_is_text(sheet: Loader) -> None:
    """Each value as Excel shows it without a format."""
    cells = (1.5, True, date(2024, 1, 31), moment("2024-01-31T09:00:00"), "x")
    rows, (column,) = sheet([("value",), *((cell,) for cell in cells)])
    assert column.type is ColumnType.TEXT
    assert [row["value"] for row in rows] == ["1.5", "TRUE", "2024-01-31", "2024-01-31 09:00:00", "x"]


def test_a_column_without_a_value_is_text(sheet: Loader) -> None:
    """It does not change the other columns."""
    rows, columns = sheet([("a", "b"), (1, None), (2, None)])
    assert [column.type for column in columns] == [ColumnType.NUMBER, ColumnType.TEXT]
    assert [row["b"] for row in rows] == [None, None]


def test_the_type_of_a_definition_has_precedence(sheet: Loader) -> None:
    """Numbers and dates as text; a value that does not fit is an error."""
    named = [{"name": "n", "type": "text"}, {"name": "day", "type": "text"}, {"name": "mixed", "type": "number"}]
    rows, _ = sheet([("n", "day", "mixed"), (5, date(2024, 1, 31), 7), (1.5, None, "n/a")], named)
    assert [tuple(row.values())[1:] for row in rows] == [("5", "2024-01-31", Decimal(7)), ("1.5", None, None)]


def test_numbers_in_cells_are_not_read_in_the_notation_of_texts(sheet: Loader) -> None:
    """1.125 in a cell is not a thousand, also if texts of the column have a decimal comma."""
    named = [{"name": "v", "type": "number", "decimal_separator": ",", "thousands_separator": "."}]
    rows, _ = sheet([("v",), (1.125,), ("1.250,50",), (2,)], named)
    assert [row["v"] for row in rows] == [Decimal("1.125"), Decimal("1250.5"), Decimal(2)]


def test_dates_in_cells_need_not_have_the_format_of_texts(sheet: Loader) -> None:
    """Also in a time zone; serial numbers are dates if the definition says so."""
    named = [{"name": "d", "type": "date", "input_format": ["dd.MM.yyyy", "excel"], "time_zone": "Europe/Berlin"}]
    rows, _ = sheet([("d",), (date(2024, 1, 31),), ("01.02.2024",), (45322,)], named)
    days = ["2024-01-30T23:00:00", "2024-01-31T23:00:00", "2024-01-30T23:00:00"]
    assert [row["d"] for row in rows] == list(map(moment, days))


def test_dates_in_cells_of_all_years_need_not_have_the_format_of_texts(sheet: Loader) -> None:
    """9999-12-31 often means "no end"; a text that is no date is compared with the formats of the definition only."""
    named = [{"name": "d", "type": "date", "input_format": "dd.MM.yyyy"}]
    cells = (date(9999, 12, 31), moment("2300-01-01T12:00:00"), date(1900, 3, 1), "31.12.9999", "2024-01-31")
    rows, (column,) = sheet([("d",), *((cell,) for cell in cells)], named)
    days = ["9999-12-31T00:00:00", "2300-01-01T12:00:00", "1900-03-01T00:00:00", "9999-12-31T00:00:00"]
    assert [row["d"] for row in rows] == [*map(moment, days), None]
    assert [each.message for each in reading(column).misfits] == ["not a date in dd.MM.yyyy, as in 31.01.2024"]


def test_booleans_in_cells_need_not_have_the_words_of_texts(sheet: Loader) -> None:
    """A cell with TRUE is true, also if the word in texts is "ja"."""
    named = [{"name": "b", "type": "bool", "true_values": ["ja"], "false_values": ["nein"]}]
    rows, _ = sheet([("b",), (True,), ("Ja",), (False,)], named)
    assert [row["b"] for row in rows] == [True, True, False]


ERRORS = ["#N/A", "#DIV/0!", Formula("A1+1"), Raw("><f>A1</f></c>"), Raw('t="e"><f>NA()</f><v>#N/A</v></c>')]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", list(ColumnType))
def test_an_error_in_a_cell_is_neither_a_value_nor_a_missing_value(sheet: Loader, error: Any, kind: ColumnType) -> None:
    """It is marked, whatever is replaced, so the rules of the column see it."""
    named = [{"name": "n"}, {"name": "v", "type": str(kind), "replace": [{"pattern": ".", "with": ""}], "trim": True}]
    rows, (_, column) = sheet([("n", "v"), (1, error), (2, None)], named)
    assert len(column.model_dump()["faults"]) == 1
    assert [row["v"] for row in rows] == [None, None]


def test_an_empty_text_of_a_formula_is_not_an_error(sheet: Loader) -> None:
    """A formula with an empty text has a stored result."""
    rows, (_, column) = sheet([("n", "v"), (1, Raw('t="str"><f>""</f><v></v></c>'))])
    assert (rows[0]["v"], column.model_dump()["faults"]) == (None, ())


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_is_the_number(value: float) -> None:
    """With the 15 digits of Excel, and all digits of an integer."""
    text = number_text(value)
    assert float(format(value, ".15g")) == float(format(float(text), ".15g"))
    assert "." not in text or not text.endswith("0") or "e" in text
    if value.is_integer() and abs(value) < 1 << 53:
        assert int(text) == value
