"""What calamine does not report about the sheets of an OpenDocument file (ods): size, errors, and merged cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.sources.excel.archive import Archive, walk
from shared.sources.excel.survey import DURATION, LONGEST_ERROR, MOST_CELLS, Survey
from shared.transform import fault_named

__all__ = ["survey_ods"]

_CONTENT: Final = "content.xml"
_CELLS: Final = frozenset({"table-cell", "covered-table-cell"})
_VALUES: Final = ("office:value", "office:string-value", "office:date-value", "office:time-value")
_MOST_REPEATS: Final = 1 << 20
_DIGITS: Final = 9  # of a number: enough for any place in a sheet


def survey_ods(archive: Archive, name: str) -> dict[str, Survey]:
    """Look through all sheets; calamine reads them all when it opens the file.

    Returns:
        Name of each sheet -> what is known of it.

    Raises:
        UserError: The file is damaged.
    """
    sheets = _Sheets()
    walk(archive.blocks(_CONTENT), name, start=sheets.start, end=sheets.end, text=sheets.text)
    return sheets.found


class _Sheets:
    """The sheets, with rows and cells that are written once for many: `number-rows-repeated`."""

    def __init__(self) -> None:
        self.found: dict[str, Survey] = {}
        self._survey = Survey()
        self._row, self._rows = 0, 1
        self._column, self._columns = 0, 1
        self._holds, self._is_error, self._is_time = False, False, False
        self._row_errors: list[tuple[int, str]] = []
        self._shown = ""
        self._width = 0
        self._inside = 0

    def start(self, element: str, about: Mapping[str, str]) -> None:
        match element:
            case "table":
                self._survey = self.found.setdefault(about.get("table:name", ""), Survey())
                self._row = 0
            case "table-row":
                self._rows = _repeats(about, "table:number-rows-repeated")
                self._column = self._width = 0
                self._row_errors = []
            case _ if element in _CELLS:
                self._inside += 1
                self._columns = _repeats(about, "table:number-columns-repeated")
                self._merge(about)
                self._shown = ""
                self._is_error = about.get("calcext:value-type") == "error"
                self._is_time = about.get("office:value-type") == "time"
                self._holds = self._is_error or "table:formula" in about
                self._holds = self._holds or about.get("office:value-type", "") != "" or any(map(about.get, _VALUES))

    def _merge(self, about: Mapping[str, str]) -> None:
        rows, columns = (_repeats(about, f"table:number-{each}-spanned") for each in ("rows", "columns"))
        if rows > 1:
            self._survey.merge((self._row, self._row + rows - 1), (self._column, self._column + columns - 1))

    def text(self, text: str) -> None:
        # What LibreOffice writes for an error without saying so: `Err:502` beside a formula, and no value.
        if self._inside:
            self._shown = (self._shown + text)[:LONGEST_ERROR]
            if text.startswith("Err:"):
                self._is_error = self._is_error or self._holds

    def end(self, element: str) -> None:
        match element:
            case "table-row":
                self._end_row()
            case _ if element in _CELLS:
                self._inside -= 1
                if self._holds:
                    self._width = self._column + self._columns
                if self._is_error or self._is_time:
                    mark = fault_named(self._shown) if self._is_error else DURATION
                    places = range(self._column, min(self._column + self._columns, 1 << 14))
                    self._row_errors += [(place, mark) for place in places]
                self._holds = self._is_error = self._is_time = False
                self._column += self._columns

    def _end_row(self) -> None:
        if self._width:
            self._survey.reach(self._row + self._rows - 1, self._width - 1)
        if self._row_errors and len(self._row_errors) * self._rows <= MOST_CELLS:
            for row in range(self._row, self._row + self._rows):
                for column, mark in self._row_errors:
                    self._survey.fault(row, column, mark)
        self._row += self._rows


def _repeats(about: Mapping[str, str], key: str) -> int:
    text = about.get(key, "1")
    return min(int(text[:_DIGITS]), _MOST_REPEATS) or 1 if text.isdecimal() else 1
