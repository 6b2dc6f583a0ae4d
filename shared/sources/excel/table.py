"""The part of a sheet that is a table: its range, its header, its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.definitions.models import ExcelSource
from shared.definitions.models.sources.excel import letters
from shared.sources.excel.cells import FAULT_OF, Fault, duration_text, plain_text
from shared.sources.excel.survey import DURATION
from shared.sources.excel.workbook import Sheet

__all__ = ["SheetTable", "TableRow"]

_ABOVE: Final = 50  # rows above the header that a merged cell of it may begin in
Cells = list[Any]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that has a value; `number` is that of the sheet, where the first is 1."""

    number: int
    cells: Cells


class SheetTable:
    """A table; its columns are counted from the first one of the range.

    Attributes:
        names: The name of each column: what the header says, else the letters of the column.
        titled: Whether the header names a column.
        first: The number of the first row of data.
        empty: There is no row for a header.
    """

    def __init__(self, sheet: Sheet, source: ExcelSource) -> None:
        """Read the header."""
        self._area = source.area
        self._foot = source.footer_rows_to_ignore
        start, end = sheet.found.start or (0, 0), sheet.found.end or (0, -1)
        self._offset = start[1]
        self.width = max(0, min(self._area.right, end[1] + 1) - self._area.left + 1)
        self._rows = self._placed(sheet)
        self._above = deque[TableRow](maxlen=_ABOVE)
        self._first_below(source.header_rows_to_ignore + self._area.top)
        self.first = source.header_rows_to_ignore + self._area.top
        self.names, self.titled, self.empty = [""] * self.width, [False] * self.width, False
        if source.header:
            self._read_header(sheet)

    def letters(self, column: int) -> str:
        """The letters of a column of the table in the sheet."""
        return letters(self._area.left + column)

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows of data; can be asked once."""
        held = deque[TableRow]()
        for row in self._rows:
            held.append(row)
            while held and held[0].number <= row.number - self._foot:
                yield held.popleft()

    def _first_below(self, top: int) -> None:
        """Pass the rows above a row; the last ones are kept."""
        for row in self._rows:
            if row.number >= top:
                self._rows = _with_first(row, self._rows)
                return
            self._above.append(row)

    def _read_header(self, sheet: Sheet) -> None:
        row = next(self._rows, None)
        if row is None:
            self.empty = True
            return
        merged = list(self._merged(sheet))
        last = max((bottom for top, bottom, _, _ in merged if top <= row.number <= bottom), default=row.number)
        header = [row]
        for below in self._rows:
            if below.number > last:
                self._rows = _with_first(below, self._rows)
                break
            header.append(below)
        self.first = last + 1
        self._name_columns(header, merged)

    def _name_columns(self, header: Sequence[TableRow], merged: Sequence[tuple[int, int, int, int]]) -> None:
        above = {row.number: row.cells for row in self._above}
        for top, bottom, column, _ in merged:
            if top < header[0].number <= bottom and top in above and 0 <= column < self.width:
                header[0].cells[column] = header[0].cells[column] or above[top][column]
        for row in header:
            for column, cell in enumerate(row.cells):
                if not isinstance(cell, Fault) and (name := " ".join(plain_text(cell).split())):
                    self.names[column], self.titled[column] = name, True
        self.names = [name or self.letters(column) for column, name in enumerate(self.names)]

    def _merged(self, sheet: Sheet) -> Iterator[tuple[int, int, int, int]]:
        """First row, last row, first column and last column of each merged cell that begins in the table."""
        told = sheet.found.merged_cell_ranges
        found = sheet.survey.merged if told is None else [(a, c, b, d) for (a, b), (c, d) in told]
        for top, bottom, left, right in found:
            column = left + 1 - self._area.left
            if 0 <= column < self.width:
                yield top + 1, bottom + 1, column, right + 1 - self._area.left

    def _placed(self, sheet: Sheet) -> Iterator[TableRow]:
        """Yield the rows of the range that have a value, each with as many cells as the table has columns."""
        if sheet.found.start is None or not self.width:
            return
        faults = sheet.survey.by_row()
        fault = next(faults, None)
        before = max(0, self._offset + 1 - self._area.left)
        begin = max(0, self._area.left - 1 - self._offset)
        for number, found in enumerate(sheet.found.iter_rows()):
            while fault is not None and fault[0] < number:
                fault = next(faults, None)
            if number + 1 < self._area.top:
                continue
            if number >= self._area.bottom:
                return
            cells = [""] * before + found[begin : begin + self.width - before]
            if fault is not None and fault[0] == number:
                self._set_faults(cells, fault[1])
            if any(cell != "" for cell in cells):
                yield TableRow(number + 1, cells)

    def _set_faults(self, cells: Cells, marks: Mapping[int, str]) -> None:
        for column, mark in marks.items():
            place = column + 1 - self._area.left
            if not 0 <= place < len(cells):
                continue
            if mark == DURATION:
                cells[place] = duration_text(cells[place])
            elif cells[place] == "":
                cells[place] = FAULT_OF[mark]


def _with_first(row: TableRow, rows: Iterator[TableRow]) -> Iterator[TableRow]:
    yield row
    yield from rows
