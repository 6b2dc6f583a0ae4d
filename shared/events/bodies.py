"""JSON bodies: read strictly, and turned into the text that a source column holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from shared.events.records import Undecodable

__all__ = ["as_text", "is_true", "mapping", "moment", "parse"]

# A lone surrogate is legal in JSON text and in Python, and is no character: no database takes it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


def parse(body: bytes) -> Any | Undecodable:
    """Read a body as JSON. Fractions are kept exactly (`Decimal`); NaN and Infinity are no JSON."""
    if not body.strip():
        return Undecodable(reason="the body is empty")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Undecodable(reason=f"the body is not UTF-8: byte {error.start} does not belong there")
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as error:
        return Undecodable(reason=f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except UnicodeEncodeError:
        return Undecodable(reason="the body holds half of a surrogate pair, which is no character")
    except ValueError as error:  # NaN, or a number of more digits than the interpreter reads
        return Undecodable(reason=f"the body is not JSON that can be used: {error}")
    except RecursionError:
        return Undecodable(reason="the body is nested too deeply")
    return value


def as_text(value: Any) -> str | None:
    """A JSON value as the text of a source column: objects and arrays stay JSON, empty text is null."""
    match value:
        case None | "":
            return None
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_number)


def _number(value: object) -> float:
    """Inside nested JSON a fraction is a JSON number again."""
    assert isinstance(value, Decimal)  # noqa: S101 - `parse` makes no other type that json does not know
    return float(value)


def is_true(value: Any) -> bool:
    """Whether a flag is set, written as JSON or as text."""
    return value is True or str(value).lower() in {"true", "1"}


def moment(value: Any) -> datetime | None:
    """An ISO 8601 text as an aware moment; None where it is none. Without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
