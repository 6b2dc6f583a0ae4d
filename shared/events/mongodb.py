"""Documents of Debezium's MongoDB connector: JSON as text inside the event, in MongoDB's Extended JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from shared.events.bodies import bounded, mapping, parse
from shared.events.records import Undecodable, Unusable

__all__ = ["described", "document", "document_key"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PARTLY: Final = Unusable(
    reason="the event contains only a part of the field; configure the connector to send whole documents "
    "(capture.mode: change_streams_update_full)"
)
_WRONG: Final = Unusable(reason="the value is not Extended JSON")
_NOT_FINITE: Final = Unusable(reason="the number is infinite or not a number (NaN)")
_UUIDS: Final = frozenset({"04", "4"})


def document(text: str) -> Mapping[str, Any] | Undecodable:
    """A document, with MongoDB's own types in plain form."""
    found = parse(text.encode("utf-8", "replace"))
    if isinstance(found, Undecodable):
        return Undecodable(reason=f"the document in the event cannot be read: {found.reason}")
    if not isinstance(found, dict):
        return Undecodable(reason="the document in the event is not a JSON object")
    return {name: _plain(value) for name, value in found.items()}


def document_key(key: Mapping[str, Any]) -> Mapping[str, Any]:
    """The id of a document, which the message's key holds as JSON text under `id`."""
    text = key.get("id")
    found = parse(text.encode("utf-8", "replace")) if isinstance(text, str) else text
    return {} if found is None or isinstance(found, Undecodable) else {"_id": _plain(found)}


def described(description: Mapping[str, Any], key: Mapping[str, Any] | Undecodable) -> Mapping[str, Any] | Undecodable:
    """The fields that an update without its document names: those that it set, and null for those that it removed.

    A dotted name or a shortened array tells only a part of a field.
    """
    text = description.get("updatedFields")
    updated = document(text) if isinstance(text, str) else {}
    if isinstance(key, Undecodable) or isinstance(updated, Undecodable):
        return key if isinstance(key, Undecodable) else updated
    removed = [name for name in _listed(description, "removedFields") if isinstance(name, str)]
    shortened = [str(mapping(array).get("field")) for array in _listed(description, "truncatedArrays")]
    fields = {**updated, **dict.fromkeys(removed), **dict.fromkeys(shortened, _PARTLY)}
    return {**key, **{name.partition(".")[0]: _PARTLY if "." in name else value for name, value in fields.items()}}


def _listed(description: Mapping[str, Any], name: str) -> list[Any]:
    found = description.get(name)
    return found if isinstance(found, list) else []


def _plain(value: Any) -> Any:
    match value:
        case {"$binary": str(data), "$type": str(kind)} if len(value) == len(("$binary", "$type")):
            return _binary(data, kind)
        case dict() if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            return _typed(name, value[name], value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _typed(name: str, inner: Any, whole: Any) -> Any:
    """One of the wrappers of "MongoDB Extended JSON (v2)"; values without a plain form are unchanged.

    Debezium writes the strict mode of version 1, in which a binary value has two members.
    """
    match name:
        case "$oid" | "$symbol" | "$code":
            return inner
        case "$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal":
            return _number(inner)
        case "$date":
            return _date(_plain(inner))
        case "$uuid":
            return inner
        case "$binary":
            data = mapping(inner)
            return _binary(data["base64"], data.get("subType")) if "base64" in data else inner
        case "$undefined":
            return None
        case _:
            return whole


def _binary(data: Any, kind: Any) -> Any:
    """Bytes as Base64; those of a UUID (subtype 4, BSON specification) as its text."""
    if kind not in _UUIDS or not isinstance(data, str):
        return data
    try:
        return str(UUID(bytes=base64.b64decode(data, validate=True)))
    except ValueError:
        return _WRONG


def _number(text: Any) -> Any:
    try:
        number = Decimal(text)
        return bounded(number) if number.is_finite() else _NOT_FINITE
    except (ArithmeticError, TypeError, ValueError):
        return _WRONG


def _date(value: Any) -> Any:
    """Milliseconds as ISO 8601; a text is ISO 8601 already."""
    if isinstance(value, str):
        return value
    try:
        moment = _EPOCH + timedelta(milliseconds=int(value))
    except (ArithmeticError, TypeError, ValueError):
        return Unusable(reason="the date is outside the years 1 to 9999")
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
