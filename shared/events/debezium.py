"""Debezium's change events: the envelope of before, after and op, with or without its schema beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from shared.events.bodies import mapping, parse
from shared.events.debezium_types import converted
from shared.events.mongodb import described, document, document_key
from shared.events.records import Event, EventAction, EventPosition, Message, Undecodable

__all__ = ["decode", "payload"]

# Debezium documentation, "Data change events": c create, u update, d delete, r read (of a snapshot), t truncate,
# m message (a logical message that no row belongs to).
_ACTIONS: Final = {"c": EventAction.INSERT, "u": EventAction.UPDATE, "d": EventAction.DELETE, "r": EventAction.UPSERT}
# Stands for a large value of PostgreSQL that an update did not change and the connector did not see. It has a form for
# each type of column (Debezium, `UnchangedToastedPlaceholder`): text, bytes, hstore as a map or as JSON, and arrays of
# texts, bytes, whole numbers and UUIDs.
_NOT_SENT: Final = "__debezium_unavailable_value"
_BYTES: Final = _NOT_SENT.encode()
_BASE64: Final = base64.b64encode(_BYTES).decode()
_TEXTS: Final = frozenset({_NOT_SENT, _BASE64, _BYTES.hex(), f'{{"{_NOT_SENT}":"{_NOT_SENT}"}}'})
_UUID: Final = str(UUID(bytes=hashlib.md5(_BYTES, usedforsecurity=False).digest(), version=3))
_OTHERS: Final = ({_NOT_SENT: _NOT_SENT}, [_NOT_SENT], [_BASE64], [*_BYTES], [_UUID])
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = 250_000_000_000_000_000  # microseconds: the year 9892, before a moment's range ends


def payload(body: Any) -> Any:
    """The change itself: the JSON converter wraps it in `{schema, payload}` unless `schemas.enable` is false."""
    return body["payload"] if isinstance(body, dict) and body.keys() == {"schema", "payload"} else body


def decode(message: Message, body: Any) -> Iterator[Event | Undecodable]:
    """The event of a message. A tombstone (null after a delete, for log compaction) and a logical message are none."""
    change = payload(body)
    if change is None:
        return
    if not isinstance(change, dict) or "op" not in change:
        yield Undecodable(reason="the body is not a Debezium change event: it has no op")
        return
    match change["op"]:
        case "m":
            return
        case "t":
            yield Undecodable(reason="a truncate does not contain rows: run the batch")
        case str(op) if action := _ACTIONS.get(op):
            yield _event(message, body, change, action)
        case _:
            yield Undecodable(reason="the op is not one of c, u, d, r")


def _event(message: Message, body: Any, change: Mapping[str, Any], action: EventAction) -> Event | Undecodable:
    schema = mapping(mapping(body).get("schema"))
    old = _row(change, schema, "before")
    if not old and action is EventAction.DELETE:
        old = _message_key(message, change)
    new = {} if action is EventAction.DELETE else _row(change, schema, "after")
    if not new and action is EventAction.UPDATE and (description := mapping(change.get("updateDescription"))):
        new = described(description, _message_key(message, change))
    if isinstance(old, Undecodable):
        return old
    if isinstance(new, Undecodable):
        return new
    if not new and not old:
        return Undecodable(reason="the change event contains no row: before and after are missing")
    if not new and action is not EventAction.DELETE:
        return Undecodable(reason="the change event has no after")
    return Event(
        message=message,
        action=action,
        new={name: value for name, value in new.items() if _is_sent(value)},
        old={name: value for name, value in old.items() if _is_sent(value)},
        position=EventPosition(partition=message.stream, sequence=message.sequence, when=_when(change)),
    )


def _is_sent(value: Any) -> bool:
    return value not in (_TEXTS if isinstance(value, str) else _OTHERS)


def _row(change: Mapping[str, Any], schema: Mapping[str, Any], part: str) -> Mapping[str, Any] | Undecodable:
    row = change.get(part)
    return document(row) if isinstance(row, str) else converted(mapping(row), schema, part)


def _message_key(message: Message, change: Mapping[str, Any]) -> Mapping[str, Any] | Undecodable:
    """The row's primary key, which is the message's key: all there is when the table logs no old values."""
    key = parse((message.key or "").encode("utf-8", "replace"))
    row = mapping(payload(key))
    if mapping(change.get("source")).get("connector") == "mongodb":
        return document_key(row)
    return converted(row, {"fields": [{**mapping(mapping(key).get("schema")), "field": "key"}]}, "key")


def _when(change: Mapping[str, Any]) -> datetime | None:
    """When the database committed it, by its own clock; 0, null and values outside the calendar mean unknown."""
    source = mapping(change.get("source"))
    for name, microseconds in (("ts_us", 1), ("ts_ms", 1000)):
        value = source.get(name)
        if isinstance(value, int) and 0 < value < _LATEST // microseconds:
            return _EPOCH + timedelta(microseconds=value * microseconds)
    return None
