"""Workbooks as a source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, Tag

from shared.definitions.models.base import WHOLE, Text
from shared.definitions.models.columns import MOST
from shared.definitions.models.secrets import ONE_OR_MANY
from shared.definitions.models.sources.base import SelfDescribing, WithHeader

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "CellRange", "ExcelSource", "column_number", "letters", "read_range"]

# "Excel specifications and limits", Microsoft Support.
MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
_MOST_SHEETS: Final = 1000  # that a definition names; a pattern may find more
_RANGE: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})?:\$?([A-Z]{1,3})\$?([0-9]{1,7})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRange:
    """Part of a sheet; all numbers begin at 1, and the last ones are included."""

    top: int = 1
    left: int = 1
    bottom: int = MOST_ROWS
    right: int = MOST_COLUMNS


def letters(column: int) -> str:
    """The letters of a column: 1 is A, 27 is AA."""
    text = ""
    while column:
        column, digit = divmod(column - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


def column_number(text: str) -> int:
    """The number of a column by its letters: A is 1, AA is 27."""
    number = 0
    for letter in text.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def read_range(text: str) -> CellRange:
    """Read a range such as `B3:F200`, `B3:F` (to the last row) or `B:F`.

    Raises:
        ValueError: It is not such a range.
    """
    if not (found := _RANGE.fullmatch(text.strip())):
        raise ValueError("a range is written as B3:F200, B3:F (to the last row) or B:F")
    area = CellRange(
        left=column_number(found[1]),
        top=int(found[2] or 1),
        right=column_number(found[3]),
        bottom=int(found[4] or MOST_ROWS),
    )
    if not (1 <= area.top <= area.bottom <= MOST_ROWS and area.left <= area.right <= MOST_COLUMNS):
        raise ValueError(f"a range goes from its first to its last cell, within A1:XFD{MOST_ROWS}")
    return area


def _checked(text: str) -> str:
    read_range(text)
    return text


Sheet = Annotated[int, Field(ge=1, le=MOST), WHOLE] | Text
Sheets = Annotated[
    Annotated[Sheet, Tag("one")]
    | Annotated[tuple[Sheet, ...], Field(min_length=1, max_length=_MOST_SHEETS), Tag("many")],
    ONE_OR_MANY,
]


class ExcelSource(WithHeader, SelfDescribing):
    """Workbooks: xlsx, xlsm, xls, xlsb and ods; local or remote."""

    type: Literal["excel"] = Field(description="Workbooks of Excel or LibreOffice.")
    path: Text = Field(description="A local path or fsspec URL (`abfs://`, `s3://`); globs are allowed.")
    sheet: Sheets | None = Field(
        default=None,
        description="The sheet: its name, a pattern such as `Sales *`, its number among the visible sheets (the first "
        "is 1), or a list of them. Default: the first visible sheet.",
    )
    range: Annotated[str, AfterValidator(_checked)] | None = Field(
        default=None,
        description="The part of the sheet to read: `B3:F200`, `B3:F` (to the last row) or `B:F`. Default: all of it.",
    )
    header: bool = Field(
        default=True,
        description="Whether there is a row of column names above the data. Without it, columns are identified by "
        "their order. Default true; false if `header_rows_to_ignore` is given.",
    )
    header_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0, description="Rows to skip at the start of each sheet or range, blank ones included."
    )
    footer_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0,
        description="Rows to skip at the end of each sheet or range, counted from the last row that has a value.",
    )

    @property
    def sheets(self) -> tuple[int | str, ...]:
        """The sheets as they are written; none for the first visible one."""
        if self.sheet is None:
            return ()
        return self.sheet if isinstance(self.sheet, tuple) else (self.sheet,)

    @property
    def area(self) -> CellRange:
        """The part of the sheet to read."""
        return CellRange() if self.range is None else read_range(self.range)
