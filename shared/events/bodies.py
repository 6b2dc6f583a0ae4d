"""JSON bodies: read strictly and within bounds, and turned into the text that a source column holds.

What is wrong with one value stays with that value: it is replaced by `Unusable`, and only an event whose definition
reads it is lost.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from shared.events.records import Undecodable, Unusable

__all__ = ["DEEPEST", "as_text", "bounded", "is_true", "json_text", "mapping", "moment", "parse", "scaled", "unusual"]

# Deep enough for any record (.NET reads no more either), and far from where recursive readers give up.
DEEPEST: Final = 64
# A double needs up to 309 digits before the point and 1,074 behind it. Written out, 1e300000000 fills gigabytes.
_LARGEST_EXPONENT: Final = 1_100
# As many digits as the interpreter reads for a whole number.
_MOST_DIGITS: Final = 4_300
_TOO_LARGE: Final = Unusable(reason=f"the number has more than {_MOST_DIGITS:,} digits or an exponent beyond "
                                    f"{_LARGEST_EXPONENT:,}")  # fmt: skip
_HALF: Final = Unusable(reason="the text contains half of a surrogate pair, which is not a character")
# About 4,100 digits, which the interpreter still writes out: 16 times as many as a decimal column of Oracle, MySQL or
# SQL Server can declare.
_MOST_BYTES: Final = 1_700
_SIMPLE: Final = 30  # characters: a fraction of so few and without an exponent is within the bounds
# A lone surrogate is legal in JSON text and in Python, but it is not a character: databases refuse it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def bounded(number: Decimal) -> Decimal | Unusable:
    """A number that can be written out without an exponent; one that is too large or too small for it is unusable."""
    _, digits, exponent = number.as_tuple()
    plain = isinstance(exponent, int) and max(abs(exponent), abs(number.adjusted())) <= _LARGEST_EXPONENT
    return number if plain and len(digits) <= _MOST_DIGITS else _TOO_LARGE


def scaled(unscaled: bytes, scale: int) -> Decimal | Unusable:
    """A big-endian whole number with a scale: exact at any size, unlike arithmetic under the decimal context."""
    if len(unscaled) > _MOST_BYTES:
        return _TOO_LARGE
    number = int.from_bytes(unscaled, "big", signed=True)
    return bounded(Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale)))


def _fraction(text: str) -> Decimal | Unusable:
    if len(text) <= _SIMPLE and "e" not in text and "E" not in text:
        return Decimal(text)
    if len(text) > _MOST_DIGITS:
        return _TOO_LARGE
    try:
        return bounded(Decimal(text))
    except ArithmeticError:  # an exponent that no Decimal has
        return _TOO_LARGE


def _whole(text: str) -> int | Unusable:
    return int(text) if len(text) <= _MOST_DIGITS else _TOO_LARGE


def unusual(name: str) -> Unusable:
    """A number that JSON cannot write, by its name: NaN, Infinity."""
    return Unusable(reason=f"{name} is not a JSON number")


_DECODER: Final = json.JSONDecoder(parse_float=_fraction, parse_constant=unusual)
# For bodies with a whole number of more digits than the interpreter reads.
_PATIENT_DECODER: Final = json.JSONDecoder(parse_float=_fraction, parse_constant=unusual, parse_int=_whole)


def parse(body: bytes) -> Any | Undecodable:
    """Read a body as JSON. Fractions are kept exactly (`Decimal`); a value that cannot be used becomes `Unusable`."""
    if not body.strip():
        return Undecodable(reason="the body is empty")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Undecodable(reason=f"the body is not UTF-8: byte {error.start} is not valid there")
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        return Undecodable(reason=f"the body is not JSON: see line {error.lineno}, column {error.colno}")
    except RecursionError:
        return _too_deep()
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_too_deep(value):
        return _too_deep()
    return _whole_characters(value) if _SURROGATE.search(body) else value


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _PATIENT_DECODER.decode(text)


def _too_deep() -> Undecodable:
    return Undecodable(reason=f"the body is nested too deeply: more than {DEEPEST} levels")


def _is_too_deep(value: Any) -> bool:
    """Walked level by level: a recursion would end where the depth that it looks for begins."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inner(outer) if isinstance(inner, dict | list)]
    return bool(level)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _whole_characters(value: Any) -> Any:
    """The value without texts that hold half of a character; a field with such a name gets a corrected name."""
    match value:
        case str():
            return value if _is_whole(value) else _HALF
        case list():
            return [_whole_characters(inner) for inner in value]
        case dict():
            return {
                name if _is_whole(name) else name.encode("utf-8", "replace").decode(): (
                    _whole_characters(inner) if _is_whole(name) else _HALF
                )
                for name, inner in value.items()
            }
        case _:
            return value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(value: Any) -> str | Unusable | None:
    """A JSON value as the text of a source column: objects and arrays stay JSON, empty text is null."""
    match value:
        case None | "":
            return None
        case str() | Unusable():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        case _:
            return json_text(value)


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _UnusableInside(Exception):  # noqa: N818 - never leaves this module: how the writing is stopped at a value
    def __init__(self, value: Unusable) -> None:
        super().__init__(value.reason)
        self.value = value


def json_text(value: Any) -> str | Unusable:
    """A value as compact JSON, fractions with all their digits; unusable where something inside it is."""
    try:
        return _JSON(value)
    except TypeError:  # it holds a value that `json` does not know: the quick way cannot write it
        pass
    try:
        return _written(value)
    except _UnusableInside as stopped:
        return stopped.value


def _written(value: Any) -> str:
    """A value as `parse` makes it. Written here because `json` has only binary fractions."""
    match value:
        case Unusable():
            raise _UnusableInside(value)
        case Decimal():
            if math.isinf(float(value)):  # readers of JSON know no such number
                raise _UnusableInside(_TOO_LARGE)
            return format(value, "f")
        case dict():
            return "{" + ",".join(f"{_JSON(name)}:{_written(inner)}" for name, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return _JSON(value)


def is_true(value: Any) -> bool:
    """Whether a flag is set, written as JSON or as text."""
    return value is True or str(value).lower() in {"true", "1"}


def moment(value: Any) -> datetime | None:
    """An ISO 8601 text as an aware moment; None if it is not one. Without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # not a moment, or one that has no place in the calendar of UTC
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
