"""Dates in text: ISO 8601 by default, else the user's format in .NET or strptime tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.workspace import literal

__all__ = ["DateFormat", "in_calendar", "iso_timestamp", "read_format"]

# .NET custom format -> strptime of DuckDB, and the number of characters where it is fixed.
_TOKENS: Final[dict[str, tuple[str, int | None]]] = {
    "yyyy": ("%Y", 4),
    "yy": ("%y", 2),
    "MMMM": ("%B", None),
    "MMM": ("%b", 3),
    "MM": ("%m", 2),
    "M": ("%-m", None),
    "dddd": ("%A", None),
    "ddd": ("%a", 3),
    "dd": ("%d", 2),
    "d": ("%-d", None),
    "HH": ("%H", 2),
    "H": ("%-H", None),
    "hh": ("%I", 2),
    "h": ("%-I", None),
    "mm": ("%M", 2),
    "m": ("%-M", None),
    "ss": ("%S", 2),
    "s": ("%-S", None),
    **{"f" * digits: ("%n", digits) for digits in range(1, 8)},
    **{"F" * digits: ("%n", None) for digits in range(1, 8)},
    "tt": ("%p", 2),
    "zzz": ("%z", None),
    "zz": ("%z", None),
    "z": ("%z", None),
    "K": ("%z", None),
}
_DOTNET: Final = re.compile(
    r"""(?P<token>([yMdHhmsfFtzK])\2*) | '(?P<single>[^']*)' | "(?P<double>[^"]*)" | \\(?P<escaped>.) | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_FIRST, _LAST = "TIMESTAMP '0001-01-01'", "TIMESTAMP '10000-01-01'"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateFormat:
    """How a column's dates are written.

    Attributes:
        strptime: The format in DuckDB's tokens.
        length: How many characters every such text has; None where it varies.
    """

    strptime: str
    length: int | None

    def timestamp(self, text: str) -> str:
        """SQL for the moment that a text names in this format, in UTC; NULL where it names none."""
        # strptime reads only offsets in digits; .NET writes Z for UTC.
        read = f"regexp_replace({text}, '[Zz]$', '+00:00')" if "%z" in self.strptime else text
        parsed = f"CAST(try_strptime({read}, {literal(self.strptime)}) AS TIMESTAMP)"
        # strptime takes `1/2/2024` for `dd/MM/yyyy`; .NET's ParseExact does not, and a wrong format shows that way.
        return f"CASE WHEN length({text}) = {self.length} THEN {parsed} END" if self.length else parsed


def read_format(text: str) -> DateFormat:
    """Read an `input_format`: strptime where it has a percent sign before a letter, .NET otherwise.

    Raises:
        ValueError: It holds a token that cannot be read; the message names it.
    """
    if re.search(r"%[-A-Za-z]", text):
        return DateFormat(strptime=text, length=None)
    parts = [_part(match) for match in _DOTNET.finditer(text)]
    length: int | None = 0
    for _, width in parts:
        length = None if length is None or width is None else length + width
    return DateFormat(strptime="".join(part for part, _ in parts), length=length)


def iso_timestamp(text: str) -> str:
    """SQL for the moment that an ISO 8601 text names, in UTC; NULL where it names none. `text` is a column.

    A time without an offset is taken as UTC. Words that DuckDB reads as dates (`epoch`, `infinity`) are not accepted.
    The year may have more than four digits; see `in_calendar`.
    """
    return f"CASE WHEN {text} BETWEEN '0' AND ':' THEN CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP) END"


def in_calendar(moment: str) -> str:
    """SQL for a moment of the years 1 to 9999; NULL for any other. `moment` is a column."""
    return f"CASE WHEN {moment} >= {_FIRST} AND {moment} < {_LAST} THEN {moment} END"


def _part(match: re.Match[str]) -> tuple[str, int | None]:
    if token := match["token"]:
        if token not in _TOKENS:
            raise ValueError(f"{token} is not a supported .NET date token; write a format such as dd/MM/yyyy HH:mm:ss")
        return _TOKENS[token]
    plain = next(
        text for text in (match["single"], match["double"], match["escaped"], match["other"]) if text is not None
    )
    return plain.replace("%", "%%"), len(plain)
