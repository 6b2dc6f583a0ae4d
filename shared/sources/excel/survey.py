"""What is known of a sheet before its cells are read: how much it holds, and the cells whose value is an error.

calamine holds a whole sheet in memory, as a rectangle, and gives nothing for a cell with an error. It tells which cells
are merged only for xlsx and xls.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from shared.errors import UserError
from shared.transform import fault_named

__all__ = ["DURATION", "LONGEST_ERROR", "MOST_CELLS", "MOST_MERGED", "Survey", "fault_of_code", "refuse_large"]

MOST_CELLS: Final = 12_000_000
"""A million rows of twelve columns. calamine takes about 80 bytes for each cell, so this is about 1 GB."""
MOST_MERGED: Final = 100_000
"""Of a sheet; those of a header are among the first."""
# [MS-XLS] 2.5.10 BErr, [MS-XLSB] 2.5.97.2 BErr
_CODES: Final[dict[int | None, str]] = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}
_COLUMN_BITS: Final = 14
_MARK_BITS: Final = 16

LONGEST_ERROR: Final = 40
"""Characters that are kept of the text of an error: more than the name of any has."""
DURATION: Final = "P"
"""The mark of a cell of an ods file with a duration: calamine gives the text in which the file has it."""


@dataclass(slots=True)
class Survey:
    """One sheet.

    Attributes:
        rows: The number of the last row; 0 for an empty sheet.
        columns: The number of the last column.
        faults: Row, column and mark of each cell with an error, or with a duration that is read as text, as one number.
        merged: First and last row, first and last column of cells that are merged over several rows; for the kinds of
            which calamine does not tell them.
    """

    rows: int = 0
    columns: int = 0
    faults: array[int] = field(default_factory=lambda: array("Q"))
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """How many cells the rectangle has."""
        return self.rows * self.columns

    def reach(self, row: int, column: int) -> None:
        """Note a cell; both numbers begin at 0."""
        if row >= self.rows:
            self.rows = row + 1
        if column >= self.columns:
            self.columns = column + 1

    def fault(self, row: int, column: int, mark: str) -> None:
        """Note a cell; both numbers begin at 0, and the mark is one of `FAULTS`, or `DURATION`."""
        self.faults.append((row << _COLUMN_BITS | column) << _MARK_BITS | ord(mark))

    def merge(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Note merged cells, by their first and last row and column; all numbers begin at 0."""
        if rows[1] > rows[0] and len(self.merged) < MOST_MERGED:
            self.merged.append((*rows, *columns))

    def by_row(self) -> Iterator[tuple[int, dict[int, str]]]:
        """Yield each row with noted cells, in order, with column -> mark of each."""
        for row, cells in groupby(sorted(self.faults), key=lambda cell: cell >> _MARK_BITS + _COLUMN_BITS):
            parts = (divmod(cell, 1 << _MARK_BITS) for cell in cells)
            yield row, {place & (1 << _COLUMN_BITS) - 1: chr(mark) for place, mark in parts}


def fault_of_code(code: int | None) -> str:
    """The mark of an error by the number that binary workbooks have for it; None where the record is too short."""
    return fault_named(_CODES.get(code, ""))


def refuse_large(cells: int, place: str) -> None:
    """Refuse a sheet that would fill the memory.

    Args:
        cells: How many cells it has, empty ones between others included.
        place: The file and the sheet as messages show them.

    Raises:
        UserError: There are too many.
    """
    if cells > MOST_CELLS:
        raise UserError(
            f"{place} has {cells:,} cells from its first to its last row and column; the limit is {MOST_CELLS:,}: "
            "remove far away cells, split the sheet, or save it as delimited text (CSV)"
        )
