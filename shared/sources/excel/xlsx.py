"""What calamine does not report about a sheet in XML (xlsx, xlsm): size, errors, formulas without a stored result."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shared.definitions.models.sources.excel import column_number
from shared.sources.excel.archive import Archive, damaged, walk
from shared.sources.excel.survey import LONGEST_ERROR, MOST_CELLS, Survey
from shared.transform import NO_RESULT, fault_named

__all__ = ["office_parts", "related", "sheet_parts", "survey_xlsx"]

_OVERLAP: Final = 64  # bytes: longer than every search text
_COLUMN: Final = re.compile(rb'<c r="([A-Z]{1,3})')
_ROW: Final = re.compile(rb'<c r="[A-Z]{1,3}([0-9]+)')
_DIGITS: Final = 9  # of the number of a row: enough for any place in a sheet
_LAST_ROW: Final = 1_100_000  # more than `_UNUSUAL` lets pass
# A cell that is not written as Excel and most programs do, an error, or a formula without a stored result.
_UNUSUAL: Final = (
    re.compile(rb'<c(?! r="[A-Z]{1,3}(?:[0-9]{1,6}|10[0-9]{5})")[\s/>]'),
    re.compile(rb":c[\s/>]"),
    re.compile(rb"t=[\"']e[\"']"),
    re.compile(rb"</f>\s*(?:</c>|<v\s*/>|<v>\s*</v>)|<f[^>]*/>\s*(?:</c>|<v\s*/>|<v>\s*</v>)"),
)
_REFERENCE: Final = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_MAIN: Final = "/officeDocument"
_OF_SHEETS: Final = re.compile(r"/(work|macro|dialog|chart)sheet$", re.IGNORECASE)


def office_parts(archive: Archive, name: str) -> tuple[str, Mapping[str, str]]:
    """The part that holds the workbook, and id -> part of each of its sheets.

    Raises:
        UserError: The file names no workbook.
    """
    found = [part for kind, part in related(archive, "", name).values() if kind.endswith(_MAIN)]
    if not found or found[0].lower() not in archive.names:
        raise damaged(name, "it names no workbook")
    sheets = related(archive, found[0], name)
    return found[0], {each: part for each, (kind, part) in sheets.items() if _OF_SHEETS.search(kind)}


def related(archive: Archive, part: str, name: str) -> dict[str, tuple[str, str]]:
    """Id -> type and target of what a part refers to; the package itself is the part without a name."""
    folder, _, file = part.rpartition("/")
    listed = posixpath.join(folder, "_rels", f"{file}.rels")
    found: dict[str, tuple[str, str]] = {}

    def start(element: str, about: Mapping[str, str]) -> None:
        if element == "Relationship":
            target = posixpath.normpath(posixpath.join("/", folder, about.get("Target", ""))).lstrip("/")
            found[about.get("Id", "")] = about.get("Type", ""), target

    if listed.lower() in archive.names:
        walk(archive.blocks(listed), name, start=start)
    return found


def sheet_parts(archive: Archive, name: str) -> dict[str, str]:
    """Name of each sheet -> its part."""
    workbook, parts = office_parts(archive, name)
    found: dict[str, str] = {}

    def start(element: str, about: Mapping[str, str]) -> None:
        if element == "sheet" and about.get("name"):
            identity = next((value for key, value in about.items() if key.rpartition(":")[2] == "id"), "")
            if identity in parts:
                found[about["name"]] = parts[identity]

    walk(archive.blocks(workbook), name, start=start)
    return found


def survey_xlsx(archive: Archive, part: str, name: str) -> Survey:
    """Look through a sheet; at first quickly, and element by element only where something unusual is in it.

    Raises:
        UserError: The sheet is damaged.
    """
    return _quickly(archive.blocks(part)) or _exactly(archive.blocks(part), name)


def _quickly(blocks: Iterable[bytes]) -> Survey | None:
    """The size of a sheet; None where it has to be read element by element."""
    columns, last, before, rows_matter = set[bytes](), 0, b"", False
    for number, block in enumerate(blocks):
        end = (before + block).rfind(b"<")  # the element that begins there may be cut
        text, rest = (before + block)[: max(end, 0)], (before + block)[max(end, 0) :]
        if number == 0 and not block.removeprefix(codecs.BOM_UTF8).startswith(b"<"):
            return None  # another encoding
        if any(each.search(text) for each in _UNUSUAL):
            return None
        columns.update(_COLUMN.findall(text))
        if _width(columns) * _LAST_ROW > MOST_CELLS and not rows_matter:
            if number:
                return None  # the rows before were not counted
            rows_matter = True
        if rows_matter:
            last = max(last, *map(int, set(_ROW.findall(text))), 0)
        before = text[-_OVERLAP:] + rest
    width = _width(columns)
    return Survey(rows=(last if rows_matter else _LAST_ROW) if width else 0, columns=width)


def _width(columns: Iterable[bytes]) -> int:
    return max((column_number(each.decode()) for each in columns), default=0)


def _exactly(blocks: Iterator[bytes], name: str) -> Survey:
    cells = _Cells()
    walk(blocks, name, start=cells.start, end=cells.end, text=cells.text)
    return cells.survey


class _Cells:
    """The cells of a sheet, as calamine counts them: a cell without a reference follows the one before."""

    def __init__(self) -> None:
        self.survey = Survey()
        self._row, self._column, self._at = 0, 0, (0, 0)
        self._type = ""
        self._formula, self._in_value, self._value, self._shown = False, False, False, ""

    def start(self, element: str, about: Mapping[str, str]) -> None:
        match element:
            case "row":
                given = about.get("r", "")
                number = int(given[:_DIGITS]) if given.isdecimal() else 0
                self._row = number - 1 if number else self._row
            case "c":
                row = self._row
                if found := _REFERENCE.fullmatch(about.get("r", "")):
                    self._column, row = column_number(found[1]) - 1, int(found[2]) - 1
                self._at = row, self._column
                self._type = about.get("t", "")
                self._formula, self._value, self._shown = False, False, ""
                self.survey.reach(*self._at)
            case "f":
                self._formula = True
            case "v" | "t":
                self._in_value = True

    def text(self, text: str) -> None:
        if self._in_value:
            self._value = self._value or bool(text.strip())
            if self._type == "e":
                self._shown = (self._shown + text)[:LONGEST_ERROR]

    def end(self, element: str) -> None:
        match element:
            case "v" | "t":
                self._in_value = False
            case "c":
                if self._type == "e":
                    self.survey.fault(*self._at, fault_named(self._shown))
                elif self._formula and not self._value and self._type != "str":
                    self.survey.fault(*self._at, NO_RESULT)
                self._column += 1
            case "row":
                self._row += 1
                self._column = 0
