"""Numbers in text: plain notation, and what people and accounting systems write."""

from __future__ import annotations

from typing import Final

from shared.definitions.models import Column
from shared.definitions.models.notation import DECIMAL_SEPARATOR
from shared.workspace import literal

__all__ = ["NUMBER", "has_notation", "number", "number_as", "number_example", "plain_number", "untrimmed_number"]

NUMBER: Final = "DECIMAL(38, 10)"  # exact for every number that a Dataverse column can hold
_TRAILING_MINUS: Final = "'^([0-9.]+)-$'"
# What people use as a blank between groups: the space, the no-break space and the narrow no-break space (U+202F),
# which the locales of French and of SI style have (Unicode CLDR, "Number Symbols", group).
_BLANKS: Final = " \u00a0\u202f"
_ANY_BLANK: Final = r"[ \t\x{A0}\x{202F}]*"
_ALL_BLANKS: Final = _BLANKS + "\t"


def number(text: str, sql_type: str = NUMBER) -> str:
    """SQL for the number that a text holds in plain notation; NULL where it holds none. `text` is a column.

    A minus after the digits is read where nothing else is, so that other numbers do not pay for it.
    """
    return f"coalesce({untrimmed_number(text, sql_type)}, {_turned(text, sql_type)})"


def untrimmed_number(text: str, sql_type: str = NUMBER) -> str:
    """SQL for the number that most texts hold; NULL for the others, of which `number` can read some.

    Blanks around the digits do no harm: DuckDB ignores the ASCII ones, all of which `trimmed` removes.
    """
    # DuckDB reads 1_000 as a thousand; in real data it is not a number.
    return f"CASE WHEN NOT contains({text}, '_') THEN TRY_CAST({text} AS {sql_type}) END"


def number_as(text: str, value: str, sql_type: str) -> str:
    """SQL for a number in another type, from the text that `number` has read; `value` is what it read.

    DuckDB needs a tenth of the time to read the text again: it casts decimals of 38 digits by a slow division.
    """
    return f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY_CAST({text} AS {sql_type}), {_turned(text, sql_type)}) END"


def _turned(text: str, sql_type: str) -> str:
    return f"TRY_CAST('-' || regexp_extract({text}, {_TRAILING_MINUS}, 1) AS {sql_type})"


def has_notation(column: Column) -> bool:
    """Whether a column's numbers are not written in plain notation."""
    return any(each is not None for each in (column.decimal_separator, column.thousands_separator, column.strip))


def plain_number(column: Column, text: str) -> str:
    r"""SQL for the plain notation of a number in the notation of a column; NULL where the text is not one.

    The first group of digits has 1 to 3 and does not start with zero, all others have 3: `1.25` and `0.250` are not
    thousands, but most likely decimals in another notation.
    """
    decimal, between = _separators(column)
    removed = column.strip or ""
    signs = f"(?:{_ANY_BLANK}{_class(removed)}{_ANY_BLANK})*" if removed else ""
    grouped = f"[1-9][0-9]{{0,2}}(?:{_class(between)}[0-9]{{3}})+|" if between else ""
    point = _class(decimal)
    # A sign that is removed everywhere cannot be that of an exponent.
    exponent = "" if set(removed) & set("eE") else "(?:[eE][+-]?[0-9]+)?"
    digits = f"(?:(?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+){exponent}"
    whole = f"{signs}[+-]?{signs}{digits}{signs}-?{signs}"
    dropped = between + removed + (_ALL_BLANKS if removed else "")
    plain = f"translate({text}, {literal(decimal + dropped)}, '.')"
    return f"CASE WHEN regexp_full_match({text}, {literal(whole)}) THEN {plain} END"


def number_example(column: Column) -> str:
    """A number in the notation of a column."""
    decimal, between = _separators(column)
    return f"1{between[:1]}250{decimal}50"


def _separators(column: Column) -> tuple[str, str]:
    """The decimal separator, and every character that may stand between two groups."""
    decimal, between = column.decimal_separator or DECIMAL_SEPARATOR, column.thousands_separator or ""
    return decimal, _BLANKS if between and between in _BLANKS else between


def _class(characters: str) -> str:
    """A class of characters in RE2 syntax, in which no character has a meaning."""
    return "[" + "".join(rf"\x{{{ord(each):X}}}" for each in characters) + "]"
