"""Dates in text: ISO 8601 by default, else the user's format in .NET or strptime tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models.notation import EXCEL, POSIX_PIVOT
from shared.transform.notation.fractions import parsed_moment
from shared.workspace import literal

__all__ = [
    "DateFormat",
    "expected_date",
    "has_offset",
    "in_calendar",
    "iso_timestamp",
    "read_format",
    "sample_of",
]

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
    r"""(?P<token>([yMdHhmsfFtzK])\2*) | (?P<letters>([A-Za-z])\4*) |
        '(?P<single>[^']*)' | "(?P<double>[^"]*)" | \\(?P<escaped>.) | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
# Letters that stand for themselves without quotes: ISO 8601 has them between date and time, and behind a time in UTC.
_LITERAL: Final = frozenset("TZ")
_EXAMPLE: Final = "write a format such as dd/MM/yyyy HH:mm:ss"
# What people write who know another notation, and the token for it.
_MEANT: Final = {
    **dict.fromkeys(("DD", "D", "T", "t", "j", "J"), "dd is the day"),
    **dict.fromkeys(
        ("Y", "YY", "YYYY", "jj", "jjjj", "JJ", "JJJJ", "a", "A", "aa", "aaaa", "AAAA"), "yyyy is the year"
    ),
    **dict.fromkeys(("n", "N", "nn", "NN"), "mm is the minute"),
    **dict.fromkeys(("S", "SS", "SSS"), "ss is the second, fff a thousandth of one"),
    **dict.fromkeys(("u", "U", "x", "X", "Z", "ZZ", "ZZZ"), "zzz is the offset from UTC"),
}
# https://duckdb.org/docs/stable/sql/functions/dateformat
_STRPTIME: Final = frozenset("abcdfghjmnpuwxyzABGHIMSTUVWXYZ%")
# Which parts of a moment each token gives. DuckDB ignores weekdays and weeks beside a date.
_GIVES: Final = {
    **dict.fromkeys("yY", ("year",)),
    **dict.fromkeys("mbBh", ("month",)),
    "d": ("day",),
    **dict.fromkeys("HI", ("hour",)),
    "M": ("minute",),
    "S": ("second",),
    **dict.fromkeys("fgn", ("fraction of a second",)),
    "p": ("half of the day",),
    "z": ("offset from UTC",),
    "x": ("year", "month", "day"),
    **dict.fromkeys("XT", ("hour", "minute", "second")),
    "c": ("year", "month", "day", "hour", "minute", "second"),
}
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
        parsed = f"CAST({parsed_moment(read, self.strptime)} AS TIMESTAMP)"
        # strptime takes `1/2/2024` for `dd/MM/yyyy`; .NET's ParseExact does not, and a wrong format shows that way.
        return f"CASE WHEN length({text}) = {self.length} THEN {parsed} END" if self.length else parsed


def read_format(text: str) -> DateFormat:
    """Read an `input_format`: strptime where it has a percent sign before a letter, .NET otherwise.

    Raises:
        ValueError: It holds a token that cannot be read; the message names it.
    """
    if re.search(r"%[-A-Za-z]", text):
        _refuse_misread(_strptime_tokens(text), _STRPTIME_WORDS)
        return DateFormat(strptime=text, length=None)
    found = [*_DOTNET.finditer(text)]
    if not any(match["token"] in _TOKENS for match in found):
        raise ValueError(f"this is not a date format: {_EXAMPLE}, or remove the key for dates in ISO 8601")
    parts = [_part(match) for match in found]
    tokens = [match["token"] for match in found if match["token"]]
    _refuse_misread([(token, _TOKENS[token][0][-1]) for token in tokens], _DOTNET_WORDS)
    length: int | None = 0
    for _, width in parts:
        length = None if length is None or width is None else length + width
    return DateFormat(strptime="".join(part for part, _ in parts), length=length)


# 31 January 2024, which is a Wednesday, at 13:05:09 in a zone one hour ahead of UTC.
_SAMPLE: Final = {
    "%Y": "2024", "%y": "24", "%B": "January", "%b": "Jan", "%m": "01", "%-m": "1", "%A": "Wednesday", "%a": "Wed",
    "%d": "31", "%-d": "31", "%H": "13", "%-H": "13", "%I": "01", "%-I": "1", "%M": "05", "%-M": "5", "%S": "09",
    "%-S": "9", "%p": "PM", "%z": "+01:00", "%%": "%",
}  # fmt: skip


def sample_of(text: str) -> str:
    """A date as an `input_format` writes it; empty for a format with tokens that people rarely use."""
    strptime = read_format(text).strptime
    tokens = re.findall(r"%-?.", strptime)
    if any(token not in _SAMPLE for token in tokens):
        return ""
    return re.sub(r"%-?.", lambda found: _SAMPLE[found[0]], strptime)


def expected_date(formats: Sequence[str]) -> str:
    """What is said of a text that is not a date of a column with these `input_format`."""
    match tuple(formats):
        case ():
            return "not a date; write it as in 2024-01-31 or 2024-01-31T10:00:00Z"
        case (only,) if only == EXCEL:
            return "not a date of Excel: a number from 1 to 2958465, but not 60"
        case (only,):
            return f"not a date in {only}{_as_in(only)}"
        case several:
            return f"not a date in one of the formats {', '.join(several)}"


def _as_in(written: str) -> str:
    try:
        sample = sample_of(written)
    except ValueError:  # the definition is refused because of it
        return ""
    return f", as in {sample}" if sample else ""


_TIME: Final = r"[0-9]{1,2}(:[0-9]{1,2}){0,2}([.][0-9]*)?"
_OFFSET: Final = r" ?(Z|UTC)|[+-](0[0-9]|1[0-3])(:?[0-5][0-9]){0,2}|[+-]14(:?00){0,2}"
_ISO: Final = f"^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}((T| +){_TIME}({_OFFSET})?)?$"


def iso_timestamp(text: str) -> str:
    """SQL for the moment that an ISO 8601 text names, in UTC; NULL where it names none. `text` is a column.

    A time without an offset is taken as UTC. What else DuckDB reads as a date is not accepted: words (`epoch`), years
    of two digits, slashes, offsets beyond 14 hours, and names of zones, of which some mean several (`BST`).
    The year may be 0; see `in_calendar`.
    """
    moment = f"CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
    return f"CASE WHEN regexp_matches({text}, {literal(_ISO)}) THEN {moment} END"


def has_offset(text: str) -> str:
    """SQL condition: an ISO 8601 text names an offset, `Z` or `UTC`; it stands after the minutes."""
    return f"regexp_matches({text}, ':.*[ZU+-]')"


def in_calendar(moment: str) -> str:
    """SQL for a moment of the years 1 to 9999; NULL for any other. `moment` is a column."""
    return f"CASE WHEN {moment} >= {_FIRST} AND {moment} < {_LAST} THEN {moment} END"


def _strptime_tokens(text: str) -> list[tuple[str, str]]:
    """The tokens of a strptime format: as they are written, and their letters."""
    tokens = [(token, token[1:].removeprefix("-")) for token in re.findall(r"%-?.?", text, re.DOTALL)]
    for token, letter in tokens:
        if letter not in _STRPTIME:
            raise ValueError(f"{token} is not a token of strptime; write a format such as %d/%m/%Y %H:%M:%S")
    return tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What messages call the tokens of a notation."""

    year: str
    short_year: str
    month: str
    hour: str
    hour_of_twelve: str
    minute: str
    half: str


_DOTNET_WORDS: Final = _Words(
    year="yyyy", short_year="yy", month="MM", hour="HH", hour_of_twelve="hh", minute="mm", half="tt"
)
_STRPTIME_WORDS: Final = _Words(
    year="%Y", short_year="%y", month="%m", hour="%H", hour_of_twelve="%I", minute="%M", half="%p"
)


def _refuse_misread(tokens: Sequence[tuple[str, str]], words: _Words) -> None:
    """Refuse a format that reads dates wrongly and reports no error: a part is missing, or there twice.

    Args:
        tokens: Each token as it is written, and its letter in strptime.
        words: What the notation calls them.
    """
    given: dict[str, list[str]] = {}
    for written, letter in tokens:
        for part in _GIVES.get(letter, ()):
            given.setdefault(part, []).append(written)
    letters = {letter for _, letter in tokens}
    if "year" not in given and "G" not in letters:
        raise ValueError(f"this format has no year: add {words.year}, or {words.short_year} for two digits")
    if "day" in given and "month" not in given:
        minutes = f"; {words.minute} is the minute" if "minute" in given else ""
        raise ValueError(f"this format has no month: add {words.month}{minutes}")
    if "minute" in given and "hour" not in given:
        raise ValueError(f"this format has no hour: add {words.hour}; {words.month} is the month")
    if "I" in letters and "p" not in letters:
        raise ValueError(
            f"{words.hour_of_twelve} is an hour of half a day: write {words.hour} for 0 to 23, or add {words.half}"
        )
    for part, several in given.items():
        if len(several) > 1:
            minutes = f"; {words.minute} is the minute" if part == "month" and "minute" not in given else ""
            raise ValueError(f"{' and '.join(several)} are both the {part}, so one is read over the other{minutes}")


def _part(match: re.Match[str]) -> tuple[str, int | None]:
    if token := match["token"]:
        if token not in _TOKENS:
            raise _unknown(token)
        return _TOKENS[token]
    if letters := match["letters"]:
        if letters not in _LITERAL:
            raise _unknown(letters)
        return letters, 1
    plain = next(
        text for text in (match["single"], match["double"], match["escaped"], match["other"]) if text is not None
    )
    return plain.replace("%", "%%"), len(plain)


def _unknown(token: str) -> ValueError:
    meant = f": {_MEANT[token]}" if token in _MEANT else ""
    return ValueError(f"{token} is not a token of a date format{meant}; {_EXAMPLE}, and other text in single quotes")
