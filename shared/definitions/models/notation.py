"""How people write values: separators of numbers, formats and zones of dates, words for true, false and nothing."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, Tag

from shared.definitions.models.base import WHOLE, Verbatim
from shared.definitions.models.secrets import ONE_OR_MANY
from shared.suggestions import did_you_mean

__all__ = [
    "DECIMAL_SEPARATOR",
    "EXCEL",
    "FALSE_WORDS",
    "POSIX_PIVOT",
    "TRUE_WORDS",
    "AmbiguousTime",
    "DecimalSeparator",
    "InputFormats",
    "NullValues",
    "Pivot",
    "Signs",
    "ThousandsSeparator",
    "TimeZone",
    "Words",
]

EXCEL: Final = "excel"
"""The `input_format` of serial numbers."""
TRUE_WORDS: Final = ("true", "yes", "y", "t", "1")
FALSE_WORDS: Final = ("false", "no", "n", "f", "0")
DECIMAL_SEPARATOR: Final = "."
"""The separator of a number that names none."""
POSIX_PIVOT: Final = 69
"""strptime puts the years 00 to 68 into the 21st century and 69 to 99 into the 20th (POSIX, strptime, %y)."""
_MOST_FORMATS: Final = 20
_MOST_FORMAT_CHARACTERS: Final = 200
_MOST_WORDS: Final = 100
_MOST_WORD_CHARACTERS: Final = 100
_MOST_SIGNS: Final = 50


class AmbiguousTime(StrEnum):
    """Which moment a local time means that exists twice in its time zone, or not at all."""

    EARLIER = "earlier"
    LATER = "later"


def _separator(text: str) -> str:
    if len(text) != 1:
        raise ValueError("a separator is one character")
    if text.isalnum() or text in "+-_":
        raise ValueError("a separator cannot be a letter, a digit, +, - or _")
    if (not text.isprintable() and not text.isspace()) or text in "\r\n":
        raise ValueError("a separator cannot be a control character or a line break")
    return text


def _decimal_separator(text: str) -> str:
    if _separator(text).isspace():
        raise ValueError("a decimal separator cannot be a blank")
    return text


def _signs(text: str) -> str:
    if any(sign.isdigit() or sign in "+-" for sign in text):
        raise ValueError("digits, + and - belong to the number and cannot be removed")
    if set(text) & set("()"):
        raise ValueError("brackets cannot be removed: in accounts (5) is a negative number, and the sign would be lost")
    return text


@cache
def _zones() -> frozenset[str]:
    """Names of the tz database; `Factory` in it means that no zone is set."""
    return frozenset((files("tzdata") / "zones").read_text("utf-8").split()) - {"Factory"}


def _time_zone(name: str) -> str:
    if name not in _zones():
        hint = did_you_mean(name, sorted(_zones()), before="; ")
        raise ValueError(f"this time zone is not known: write an IANA name such as Europe/Berlin{hint}")
    return name


def _words(words: tuple[str, ...]) -> tuple[str, ...]:
    trimmed = tuple(dict.fromkeys(word.strip() for word in words))
    if "" in trimmed:
        raise ValueError("an empty text is no value, so it is neither true nor false; remove it from this list")
    return trimmed


def _quoted(word: object) -> object:
    """Explain the word that is used most here and that YAML takes for nothing."""
    if word is None:
        raise ValueError('without quotes this means nothing in YAML; write "NULL"')
    return word


DecimalSeparator = Annotated[str, AfterValidator(_decimal_separator)]
ThousandsSeparator = Annotated[str, AfterValidator(_separator), Verbatim()]
Signs = Annotated[str, Field(min_length=1, max_length=_MOST_SIGNS), AfterValidator(_signs), Verbatim()]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Pivot = Annotated[int, Field(ge=0, le=100), WHOLE]
_Format = Annotated[str, Field(min_length=1, max_length=_MOST_FORMAT_CHARACTERS)]
InputFormats = Annotated[
    Annotated[_Format, Tag("one")]
    | Annotated[tuple[_Format, ...], Field(min_length=1, max_length=_MOST_FORMATS), Tag("many")],
    ONE_OR_MANY,
]
_Word = Annotated[str, Field(max_length=_MOST_WORD_CHARACTERS)]
Words = Annotated[tuple[_Word, ...], Field(min_length=1, max_length=_MOST_WORDS), AfterValidator(_words)]
_NullWord = Annotated[_Word, BeforeValidator(_quoted, json_schema_input_type=_Word)]
NullValues = Annotated[tuple[_NullWord, ...], Field(max_length=_MOST_WORDS), Verbatim()]
