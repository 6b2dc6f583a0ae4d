"""The part of a sheet that is read: header, range, rows above and below, blank rows, merged cells, several sheets."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DefinitionError, UserError
from tests.unit.sources.excel.conftest import Loader, load
from tests.workbooks.binary import write_xlsb
from tests.workbooks.ods import write_ods
from tests.workbooks.xlsx import Raw, write_xlsx

STYLED = Raw('s="1"/>')


def plain(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        tuple(
            f"{value:f}".partition(".")[0] if isinstance(value, Decimal) else value and str(value)
            for value in row.values()
        )
        for row in found
    ]


def test_blank_rows_are_no_rows(sheet: Loader) -> None:
    """Above, within and below the data, also with a format; their numbers stay unused."""
    rows, _ = sheet([(), ("a", "b"), (1, 2), (), (STYLED, None), (3, None), (None, STYLED), ()])
    assert plain(rows) == [("1", "1", "2"), ("4", "3", None)]


def test_rows_above_and_below_are_ignored(sheet: Loader) -> None:
    """Those above by their number in the sheet, those below from the last row with a value."""
    above: list[Any] = [("Report",), (), ("a", "b"), (1, 2), (3, 4), (), ("Total", 6), (STYLED,)]
    rows, _ = sheet(above, header_rows_to_ignore=1, header=True, footer_rows_to_ignore=2)
    assert plain(rows) == [("1", "1", "2"), ("2", "3", "4")]


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ("B2:C4", [("1", "1", "2"), ("2", "3", "4")]),
        ("b2:c", [("1", "1", "2"), ("2", "3", "4"), ("3", "5", "6")]),
        ("$C$2:$Z$3", [("1", "2")]),
        ("C2:C1048576", [("1", "2"), ("2", "4"), ("3", "6")]),
    ],
)
def test_only_the_range_is_read(sheet: Loader, area: str, expected: list[Any]) -> None:
    """Cells outside it are not read, not even as blank rows."""
    rows, _ = sheet([("x",), ("x", "a", "b"), ("x", 1, 2), ("x", 3, 4), ("x", 5, 6)], range=area)
    assert plain(rows) == expected


def test_columns_without_a_header_are_read_in_their_order(sheet: Loader) -> None:
    """From the first column of the sheet, also if it is empty."""
    named = [{"name": "first"}, {"name": "second"}]
    rows, _ = sheet([(None, 1), (None, 2)], named, header=False)
    assert plain(rows) == [("1", None, "1"), ("2", None, "2")]


def test_names_are_compared_without_case_and_white_space(sheet: Loader) -> None:
    """A line break in a header cell counts as a space."""
    rows, _ = sheet([(" Customer\n No ", 2024), (7, 1)], [{"name": "customer no"}, {"name": "2024"}])
    assert plain(rows) == [("1", "7", "1")]


def test_a_column_without_a_name_has_its_letters(sheet: Loader) -> None:
    """If it has a value; also by its letters in a definition."""
    rows, _ = sheet([("a", None, None, "d"), (1, 2, None, 4)])
    assert rows == [{"_row": 1, "a": 1, "B": 2, "d": 4}]
    assert plain(sheet([("a", None), (1, 2)], [{"name": "B"}])[0]) == [("1", "2")]


@pytest.mark.parametrize("keys", [{}, {"header_rows_to_ignore": 1, "header": True}])
def test_a_header_of_merged_cells_has_the_lowest_name(sheet: Loader, keys: dict[str, Any]) -> None:
    """Cells merged over two rows name their column; the data begins below."""
    rows, _ = sheet(
        [("Number", "Address", None), (None, "Street", "City"), (1, "Long", "Berlin")],
        merged=("A1:A2", "B1:C1"),
        **keys,
    )
    assert rows == [{"_row": 1, "Number": 1, "Street": "Long", "City": "Berlin"}]


HEADER = [("Number", "Address", None), (None, "Street", "City"), (1, "Long", "Berlin")]
UNDER_COVER = Raw("<table:covered-table-cell/>")


def spanned(text: str, *, rows: int = 1, columns: int = 1) -> Raw:
    """A merged cell of an OpenDocument sheet."""
    about = f'table:number-rows-spanned="{rows}" table:number-columns-spanned="{columns}"'
    return Raw(f'<table:table-cell {about} office:value-type="string"><text:p>{text}</text:p></table:table-cell>')


def written_xlsb(path: Path) -> Path:
    return write_xlsb(path, {"Data": HEADER}, merged=[(0, 1, 0, 0), (0, 0, 1, 2)])


def written_ods(path: Path) -> Path:
    top = (spanned("Number", rows=2), spanned("Address", columns=2), UNDER_COVER)
    return write_ods(path, {"Data": [top, (UNDER_COVER, *HEADER[1][1:]), HEADER[2]]})


@pytest.mark.parametrize("write", [written_xlsb, written_ods])
@pytest.mark.parametrize("keys", [{}, {"header_rows_to_ignore": 1, "header": True}])
def test_merged_cells_are_known_in_every_kind_of_file(
    tmp_path: Path, write: Callable[[Path], Path], keys: dict[str, Any]
) -> None:
    """Also where calamine does not tell them."""
    rows, _ = load(write(tmp_path / "book"), **keys)
    assert rows == [{"_row": 1, "Number": 1, "Street": "Long", "City": "Berlin"}]


def timed(duration: str, kind: str = "time") -> Raw:
    """A cell of an OpenDocument sheet with a duration, or with a text that looks like one."""
    about = f'office:value-type="{kind}" ' + (f'office:time-value="{duration}"' if kind == "time" else "")
    return Raw(f"<table:table-cell {about}><text:p>{duration}</text:p></table:table-cell>")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (timed("PT30H05M00S"), "30:05:00"),
        (timed("PT10H00M00S"), "10:00:00"),
        (timed("-PT01H30M00S"), "-1:30:00"),
        (timed("P1DT6H"), "30:00:00"),
        (timed("PT30H05M00.250000000S"), "30:05:00.25"),
        (timed("P99999999DT999999999H"), "3399999975:00:00"),
        (timed("P999999999D"), "P999999999D"),
        (timed("P1Y"), "P1Y"),
        (timed("PT30H05M00S", "string"), "PT30H05M00S"),
    ],
)
def test_a_duration_of_an_opendocument_sheet_is_hours_minutes_and_seconds(tmp_path: Path, cell: Raw, text: str) -> None:
    """As in other workbooks; a text that looks like one stays what it is."""
    path = write_ods(tmp_path / "book.ods", {"Data": [("a", "b"), (cell, "x")]})
    rows, _ = load(path, [{"name": "a", "type": "text"}, {"name": "b"}])
    assert [row["a"] for row in rows] == [text]


def test_a_name_of_two_columns_is_reported(sheet: Loader) -> None:
    """Only if the column is to be read."""
    rows: list[Any] = [("a", "b", "b"), (1, 2, 3)]
    assert plain(sheet(rows, [{"name": "a"}])[0]) == [("1", "1")]
    for named in ([], [{"name": "b"}]):
        with pytest.raises(UserError, match=r"book.xlsx, sheet Data has several columns named b \(B and C\)"):
            sheet(rows, named)


def test_a_missing_column_is_reported_with_its_place(sheet: Loader) -> None:
    """And with similar names."""
    with pytest.raises(DefinitionError) as caught:
        sheet([("number",), (1,)], [{"name": "nubmer"}])
    (problem,) = caught.value.problems
    assert problem.path == "source.columns[0].name"
    assert problem.message.endswith("book.xlsx, sheet Data has no column nubmer; did you mean number?")


def test_an_empty_sheet_is_reported(sheet: Loader) -> None:
    """Without a header it has no rows, which can be correct."""
    with pytest.raises(UserError, match="sheet Data is empty: it has no row of column names"):
        sheet([])
    assert sheet([], [{"name": "a"}], header=False)[0] == []


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A workbook with four sheets, one of them hidden."""
    head = ("month", "n")
    sheets: dict[str, Any] = {
        "Notes": [("text",), ("x",)],
        "Sales 2": [head, ("Feb", 2)],
        "Sales 1": [tuple(reversed(head)), (1, "Jan")],
        "Sales 0": [head, ("old", 0)],
    }
    return write_xlsx(tmp_path / "book.xlsx", sheets, hidden=["Sales 0"])


SHEETS = [
    (None, ["x"]),
    (1, ["x"]),
    (2, ["Feb"]),
    ("sales 1", ["Jan"]),
    ("Sales *", ["Feb", "Jan"]),
    (["Sales 1", 2], ["Jan", "Feb"]),
    (["Sales 1", "Sales *"], ["Jan", "Feb"]),
    ("Sales 0", ["old"]),
]


@pytest.mark.parametrize(("sheets", "expected"), SHEETS)
def test_sheets_are_chosen_by_name_number_and_pattern(book: Path, sheets: Any, expected: list[str]) -> None:
    """Each once, in the order of the definition; a hidden one only by its name; columns by name in each."""
    rows, columns = load(book, sheet=sheets)
    assert [row[columns[0].label if len(columns) == 1 else "month"] for row in rows] == expected
    assert [row["_row"] for row in rows] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(
    ("sheets", "message"),
    [
        (9, "has no visible sheet number 9; it has: Notes, Sales 2, Sales 1, Sales 0"),
        ("Salse", "has no sheet 'Salse'; it has: Notes"),
        (["Sales 1", "Notes"], "sheet Notes has no column n, which"),
    ],
)
def test_a_missing_or_different_sheet_is_reported(book: Path, sheets: Any, message: str) -> None:
    """With the existing sheets, or with the sheet that differs."""
    with pytest.raises(UserError, match=message):
        load(book, sheet=sheets)


def test_types_are_those_of_all_sheets(tmp_path: Path) -> None:
    """A text in the second one makes the column text in both."""
    path = write_xlsx(tmp_path / "b.xlsx", {"A": [("v",), (1.5,)], "B": [("v",), ("x",)]})
    assert [row["v"] for row in load(path, sheet="*")[0]] == ["1.5", "x"]


def test_a_sheet_with_another_column_is_reported_if_all_columns_are_read(tmp_path: Path) -> None:
    """No column is ignored without a message."""
    path = write_xlsx(tmp_path / "b.xlsx", {"A": [("v",), (1,)], "B": [("v", "w"), (1, 2)]})
    with pytest.raises(UserError, match=r"sheet B has a column w, which .*sheet A does not have; name the columns"):
        load(path, sheet="*")
