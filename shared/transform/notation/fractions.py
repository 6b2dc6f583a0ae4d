"""Parts of a second: a moment has microseconds, and what a text or a value has beyond them is cut.

For formats of dates DuckDB has `%f`, at most six digits. Its `%n` takes nine, but its moments with nanoseconds end in
the year 2262, and they are rounded where they become moments with microseconds: 23:59:59.9999999 would be the next day.
"""

from __future__ import annotations

import re
from typing import Final

from shared.workspace import literal

__all__ = ["cut_moment", "parsed_moment"]

_PART: Final = re.compile(r"%-?.|\s+|.", re.DOTALL)
_NANOSECONDS, _MICROSECONDS = "%n", "%f"
_GROUP: Final = literal(r"\1")
# https://duckdb.org/docs/stable/sql/functions/dateformat
_TOGETHER: Final = {"%c": "%Y-%m-%d %H:%M:%S", "%x": "%Y-%m-%d", "%X": "%H:%M:%S", "%T": "%H:%M:%S"}
_MOST_DIGITS: Final = {
    **dict.fromkeys("YG", 4),
    **dict.fromkeys("jg", 3),
    **dict.fromkeys("ymdHIMSUVW", 2),
    **dict.fromkeys("uw", 1),
    "f": 6,
    "n": 9,
}
_OTHERS: Final = {
    **dict.fromkeys("abhpAB", "[A-Za-z]+"),
    "z": "[+-][0-9]{2}(?::?[0-9]{2}){0,2}",
    "Z": "[A-Za-z0-9_/+-]+",
    "%": "%",
}


def parsed_moment(text: str, strptime: str) -> str:
    """SQL for the moment that a text names in a format of DuckDB's strptime; NULL where it names none.

    Digits of a second after the sixth are cut where the format has `%n`. The result is TIMESTAMP, or TIMESTAMPTZ where
    the text names its offset. `text` is written twice.
    """
    parts = _PART.findall(strptime)
    if _NANOSECONDS not in parts:
        return _parsed(text, strptime)
    format_ = "".join(_MICROSECONDS if part == _NANOSECONDS else part for part in parts)
    # Most texts have at most six digits. A text with more of them is not in the format, so the second attempt reads it.
    cut = f"regexp_replace({text}, {literal(_up_to_microseconds(strptime))}, {_GROUP})"
    return f"coalesce({_parsed(text, format_)}, {_parsed(cut, format_)})"


def cut_moment(value: str, cast: str) -> str:
    """SQL for a moment of any precision as TIMESTAMP, in UTC: nanoseconds are cut, where DuckDB's own cast rounds them.

    Args:
        value: SQL of a value of any type; it is written twice.
        cast: SQL that makes a TIMESTAMP of a value without nanoseconds.
    """
    cut = f"make_timestamp(epoch_us(TRY_CAST({value} AS TIMESTAMP_NS)))"
    return f"CASE WHEN ends_with(typeof({value}), '_NS') THEN {cut} ELSE {cast} END"


def _parsed(text: str, strptime: str) -> str:
    return f"try_strptime({text}, {literal(strptime)})"


def _up_to_microseconds(strptime: str) -> str:
    """A regular expression: its group is a text up to the sixth digit of the second, and behind it are more digits.

    The format says where these digits are: in `yyyyMMddHHmmssfffffff` nothing stands before them.
    """
    plain = "".join(_TOGETHER.get(part, part) for part in _PART.findall(strptime))
    parts = _PART.findall(plain)
    before = map(_pattern, parts[: parts.index(_NANOSECONDS)], parts[1:])
    return f"^({''.join(before)}[0-9]{{6}})[0-9]+"


def _pattern(part: str, following: str) -> str:
    """What a part of a format stands for. Before another digit, a number has all of its digits."""
    if part.isspace():
        return r"\s+"
    if not part.startswith("%"):
        return re.escape(part)
    token = part[-1]
    if token not in _MOST_DIGITS:
        return _OTHERS[token]
    least = _MOST_DIGITS[token] if _begins_with_digit(following) else 1
    return f"[0-9]{{{least},{_MOST_DIGITS[token]}}}"


def _begins_with_digit(part: str) -> bool:
    return part.isdigit() or (part.startswith("%") and part[-1] in _MOST_DIGITS)
