"""Dates in text: ISO 8601 by default, else the user's format in .NET or strptime tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.definitions.models.notation import POSIX_PIVOT
from shared.workspace import literal

__all__ = ["DateFormat", "has_offset", "in_calendar", "iso_timestamp", "read_format"]

_AT_END: Final = r"'[+-][0-9]{2}(:?[0-9]{2})?$'"

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

    @property
    def has_offset(self) -> bool:
        """Whether each text names its offset from UTC."""
        return "%z" in self._tokens

    @property
    def has_short_year(self) -> bool:
        """Whether the year has two digits."""
        return not self._tokens.isdisjoint({"%y", "%-y"})

    @property
    def _tokens(self) -> frozenset[str]:
        return frozenset(re.findall(r"%-?.", self.strptime))

    def pivoted(self, moment: str, text: str, pivot: int) -> str:
        """SQL for a moment that was read in this format, in the century that a pivot gives its year.

        NULL for 29 February of a year that does not have one. `moment` and `text` are columns.
        """
        if not self.has_short_year or pivot == POSIX_PIVOT:
            return moment
        first, last, sign = (pivot, POSIX_PIVOT, "-") if pivot < POSIX_PIVOT else (POSIX_PIVOT, pivot, "+")
        century = 2000 if pivot < POSIX_PIVOT else 1900
        year = f"year({self._written_clock(moment, text)})"
        moved = f"{moment} {sign} INTERVAL 100 YEAR"
        other = f"{year} >= {century + first} AND {year} < {century + last}"
        return f"CASE WHEN NOT ({other}) THEN {moment} WHEN day({moved}) = day({moment}) THEN {moved} END"

    def _written_clock(self, moment: str, text: str) -> str:
        """SQL for the moment without its offset: around New Year the year in UTC is not the year of the text."""
        if not self.has_offset:
            return moment
        return self.timestamp(f"regexp_replace({text}, {_AT_END}, '+00:00')")

    def timestamp(self, text: str) -> str:
        """SQL for the moment that a text names in this format, in UTC; NULL where it names none."""
        # strptime reads only offsets in digits; .NET writes Z for UTC.
        read = f"regexp_replace({text}, '[Zz]$', '+00:00')" if self.has_offset else text
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


def has_offset(text: str) -> str:
    """SQL condition: an ISO 8601 text names an offset, `Z` or a zone; it stands after the minutes."""
    return f"regexp_matches({text}, ':.*[A-Za-z+-]')"


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
