"""The text of a cell, as Excel shows it without a format; and which type it has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from shared.definitions.models import Column, ColumnType
from shared.transform import FAULTS

__all__ = [
    "CELL_FORMAT",
    "FAULT_OF",
    "Fault",
    "Writer",
    "duration_text",
    "kind_of_column",
    "number_text",
    "plain_text",
]

CELL_FORMAT: Final = "yyyy-MM-ddTHH:mm:ss.fff"
"""How the dates of cells are written in a column whose texts have formats of their own."""
_EXACT: Final = 1 << 53  # up to here, binary floating point has every integer
_LARGE, _SMALL = 1e21, 1e-9
_DIGITS: Final = ".15g"  # "Number precision: 15 digits" (Excel specifications and limits)


class Fault:
    """The value of a cell with an error, or of a formula without a stored result; each error has a class of its own.

    Attributes:
        mark: Its text.
    """

    mark: ClassVar[str]


FAULT_OF: Final[Mapping[str, Fault]] = {mark: type("Fault", (Fault,), {"mark": mark})() for mark in FAULTS}
"""Mark -> the value."""


def number_text(value: float) -> str:
    """The decimal text of a number: an integer exactly, any other with the 15 digits that Excel has."""
    if value == 0:
        return "0"
    if abs(value) < _EXACT and value.is_integer():
        return str(int(value))
    text = format(value, _DIGITS)
    return format(Decimal(text), "f") if "e" in text and _SMALL < abs(value) < _LARGE else text


def _moment_text(value: datetime) -> str:
    """A moment; midnight is a day, because Excel has one type for both."""
    if value.time() == time():
        return value.date().isoformat()
    return value.replace(tzinfo=None).isoformat(" ")


def _duration_text(value: timedelta) -> str:
    """Hours, minutes and seconds, as Excel's [h]:mm:ss."""
    minus, micros = ("-", -value) if value < timedelta() else ("", value)
    seconds, rest = divmod(micros // timedelta(microseconds=1), 1_000_000)
    minutes, second = divmod(seconds, 60)
    part = f".{rest:06}".rstrip("0") if rest else ""
    return f"{minus}{minutes // 60}:{minutes % 60:02}:{second:02}{part}"


# OpenDocument 1.3 part 4, 18.2 "duration": W3C XML Schema part 2, 3.2.6; years and months have no fixed length.
_DURATION: Final = re.compile(r"(-)?P(?:(\d{1,8})D)?T?(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:[.,](\d+))?S)?")


def duration_text(cell: Any) -> Any:
    """A duration of an ods file as the text that other workbooks give for it; another cell as it is."""
    found = _DURATION.fullmatch(cell) if isinstance(cell, str) and len(cell) > len("PT") else None
    if found is None:
        return cell
    minus, *parts, part = found.groups(default="")
    days, hours, minutes, seconds = (int(each or 0) for each in parts)
    micros = int(f"{part[:6]:0<6}")
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)
    return _duration_text(-length if minus else length)


_PLAIN: Final[Mapping[type, Callable[[Any], str]]] = {
    str: str,
    int: str,
    float: number_text,
    bool: lambda value: "TRUE" if value else "FALSE",
    date: date.isoformat,
    datetime: _moment_text,
    time: time.isoformat,
    timedelta: _duration_text,
    **dict.fromkeys(map(type, FAULT_OF.values()), lambda value: value.mark),
}


def plain_text(cell: Any) -> str:
    """The text of a cell."""
    return _PLAIN[type(cell)](cell)


_KINDS: Final[Mapping[type, ColumnType]] = {
    int: ColumnType.NUMBER,
    float: ColumnType.NUMBER,
    bool: ColumnType.BOOL,
    date: ColumnType.DATE,
    datetime: ColumnType.DATE,
}


def kind_of_column(types: set[type]) -> ColumnType:
    """The type of a column by those of its cells: the one that all of them have, else text."""
    kinds = {_KINDS.get(each, ColumnType.TEXT) for each in types if not issubclass(each, Fault)}
    return kinds.pop() if len(kinds) == 1 else ColumnType.TEXT


_MOST_KNOWN: Final = 1000
_Plan = tuple[list[Callable[[Any], str]], list[int]]
"""For rows with the same types: what writes each cell, and the places of the texts."""


class Writer:
    """Writes the cells of rows as texts, and notes which types the cells of each column have."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """Take the columns in the order of their cells."""
        self._texts = [_texts(column) for column in columns]
        self._known: dict[tuple[type, ...], _Plan] = {}
        self.seen: list[set[type]] = [set() for _ in columns]

    def texts(self, cells: Sequence[Any]) -> list[str]:
        """The text of each cell of a row; empty for one without a value."""
        types = tuple(map(type, cells))
        functions, texts = self._known.get(types) or self._planned(types)
        for place in texts:
            if cells[place]:  # an empty cell is an empty text here, which does not say that the column has text
                self.seen[place].add(str)
        return [function(cell) for function, cell in zip(functions, cells, strict=True)]

    def _planned(self, types: tuple[type, ...]) -> _Plan:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        for seen, each in zip(self.seen, types, strict=True):
            seen.update({each} - {str})
        functions = [texts[each] for texts, each in zip(self._texts, types, strict=True)]
        plan = self._known[types] = functions, [place for place, each in enumerate(types) if each is str]
        return plan


def _texts(column: Column) -> Mapping[type, Callable[[Any], str]]:
    """How each type of cell is written in a column whose texts have a notation of their own."""
    own: dict[type, Callable[[Any], str]] = {}
    if column.type is ColumnType.NUMBER and column.decimal_separator:
        separator = column.decimal_separator
        own[float] = lambda value: number_text(value).replace(".", separator)
    if column.type is ColumnType.DATE and column.input_formats:
        own[date] = lambda value: f"{value.isoformat()}T00:00:00.000"
        own[datetime] = lambda value: value.replace(tzinfo=None).isoformat("T", "milliseconds")
    if column.type is ColumnType.BOOL and (column.true_values or column.false_values):
        true, false = (column.true_values or ("true",))[0], (column.false_values or ("false",))[0]
        own[bool] = lambda value: true if value else false
    return {**_PLAIN, **own}
