"""Errors of cells that calamine does not know are errors of their cells."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import Column
from shared.errors import UserError
from shared.sources.excel import error_texts
from shared.transform.notation.faults import fault_message
from tests.unit.sources.excel.conftest import Loader, load
from tests.workbooks.xlsx import MAIN, Raw, sheet_xml, write_xlsx

PART = "xl/worksheets/sheet2.xml"


def said(column: Column) -> list[str]:
    """What people are told of the cells of a column."""
    return sorted(map(fault_message, column.model_dump()["faults"]))


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("#SPILL!", " #SPILL!"),
        ("#GETTING_DATA", " #GETTING_DATA"),
        (Raw('t="e"><f>A1#</f><v>#FIELD!</v></c>'), " #FIELD!"),
        (Raw('t="e"><v> #N/A </v></c>'), " #N/A"),
        (Raw('t="e"><v>#N&#47;A</v></c>'), " #N/A"),
        (Raw('t="e"><v>#CA<!-- x -->LC!</v></c>'), " #CALC!"),
        (Raw('t="e"><v>Err:502</v></c>'), " Err:502"),
        (Raw('t="e"><v>new\nin\n2030</v></c>'), ""),
    ],
)
def test_an_error_that_calamine_does_not_know_is_one_of_its_cell(sheet: Loader, cell: Any, name: str) -> None:
    """The other cells are read as they are, also behind it and in other rows, and merged cells too."""
    rows = [("n", "v", "w"), (1, "#DIV/0!", "Müller & Co"), (2, cell, 1.5), (3, "fine", True), (4, cell, None)]
    found, (_, column, _) = sheet(rows, merged=["A1:A1"])
    assert found == [
        {"_row": 1, "n": 1, "v": None, "w": "Müller & Co"},
        {"_row": 2, "n": 2, "v": None, "w": "1.5"},
        {"_row": 3, "n": 3, "v": "fine", "w": "TRUE"},
        {"_row": 4, "n": 4, "v": None, "w": None},
    ]
    told = [f"the cell has the spreadsheet error{each}; correct it in the workbook" for each in (" #DIV/0!", name)]
    assert said(column) == sorted(told)


def test_only_the_sheet_that_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    """In a workbook with a byte order mark, prefixes and further sheets."""
    rows = [("n", "v"), (1, "#SPILL!"), (2, "Müller")]
    path = write_xlsx(tmp_path / "book.xlsx", {"Other": [(Raw('t="odd"><v>1</v></c>'),)], "Data": rows})
    with zipfile.ZipFile(path) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    with_prefixes = parts[PART].replace(b"<c ", b"<x:c ").replace(b"</c>", b"</x:c>").replace(b"<v>", b"<x:v >")
    with_prefixes = with_prefixes.replace(b"</v>", b"</x:v>").replace(b" xmlns=", f' xmlns:x="{MAIN}" xmlns='.encode())
    with zipfile.ZipFile(path, "w") as again:
        for name, data in {**parts, PART: codecs.BOM_UTF8 + with_prefixes}.items():
            again.writestr(name, data)
    found, (_, column) = load(path, sheet="Data")
    assert ([row["v"] for row in found], len(said(column))) == ([None, "Müller"], 1)


def test_what_is_wrong_beside_the_error_is_told(tmp_path: Path) -> None:
    """Such as a cell of an unknown type; the copy is removed."""
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [("n", "v"), ("#SPILL!", Raw('t="odd"><v>1</v></c>'))]})
    with pytest.raises(UserError, match=r"sheet Data cannot be read: it is damaged .*odd"):
        load(path)


@given(size=st.integers(1, 300), errors=st.lists(st.booleans(), min_size=1, max_size=8))
def test_texts_of_errors_are_found_wherever_a_block_ends(size: int, errors: list[bool]) -> None:
    """Nothing else is left out."""
    rows = [("#SPILL!" if error else "Müller", 1.5, "#N/A") for error in errors]
    text = "".join(sheet_xml(rows)).encode()
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    left = b"".join(error_texts._without(blocks, error_texts._error_texts(blocks, "a.xlsx")))
    assert left == text.replace(b"#SPILL!", b"").replace(b"#N/A", b"")
