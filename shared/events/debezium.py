"""Debezium's change events: the envelope of before, after and op, with or without its schema beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.events.bodies import mapping, parse
from shared.events.debezium_types import converted
from shared.events.records import Action, Event, Message, Place, Undecodable

__all__ = ["decode", "payload"]

# Debezium documentation, "Data change events": c create, u update, d delete, r read (of a snapshot), t truncate,
# m message (a logical message that no row belongs to).
_ACTIONS: Final = {"c": Action.INSERT, "u": Action.UPDATE, "d": Action.DELETE, "r": Action.UPSERT}
# PostgreSQL sends this for a large value that an update did not change and the connector did not see.
_NOT_SENT: Final = "__debezium_unavailable_value"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def payload(body: Any) -> Any:
    """The change itself: the JSON converter wraps it in `{schema, payload}` unless `schemas.enable` is false."""
    return body["payload"] if isinstance(body, dict) and body.keys() == {"schema", "payload"} else body


def decode(message: Message, body: Any) -> Iterator[Event | Undecodable]:
    """The event of a message. A tombstone (null after a delete, for log compaction) and a logical message are none."""
    change = payload(body)
    if change is None:
        return
    if not isinstance(change, dict) or "op" not in change:
        yield Undecodable(reason="the body is no Debezium change event: it has no op")
        return
    match change["op"]:
        case "m":
            return
        case "t":
            yield Undecodable(reason="a truncate names no rows: run the batch")
        case str(op) if action := _ACTIONS.get(op):
            yield _checked(message, body, change, action)
        case _:
            yield Undecodable(reason="the op is none of c, u, d, r")


def _checked(message: Message, body: Any, change: Mapping[str, Any], action: Action) -> Event | Undecodable:
    try:
        return _event(message, body, change, action)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return Undecodable(reason="a field does not hold what the event's schema says")


def _event(message: Message, body: Any, change: Mapping[str, Any], action: Action) -> Event | Undecodable:
    types = mapping(mapping(body).get("schema"))
    old = converted(mapping(change.get("before")), types, "before")
    if action is Action.DELETE and not old:
        old = _message_key(message)
    new = {} if action is Action.DELETE else converted(mapping(change.get("after")), types, "after")
    if not new and not old:
        return Undecodable(reason="the change event holds no row: neither before nor after")
    if not new and action is not Action.DELETE:
        return Undecodable(reason="the change event has no after")
    return Event(
        action=action,
        new={name: value for name, value in new.items() if value != _NOT_SENT},
        old={name: value for name, value in old.items() if value != _NOT_SENT},
        place=Place(partition=message.stream, sequence=message.sequence, when=_when(change)),
    )


def _message_key(message: Message) -> Mapping[str, Any]:
    """The row's primary key, which is the message's key: all there is when the table logs no old values."""
    key = parse((message.key or "").encode())
    schema = mapping(key).get("schema")
    return converted(mapping(payload(key)), {"fields": [{**mapping(schema), "field": "key"}]}, "key")


def _when(change: Mapping[str, Any]) -> datetime | None:
    """When the database committed it, by its own clock; 0 and null stand for unknown."""
    source = mapping(change.get("source"))
    for name, microseconds in (("ts_us", 1), ("ts_ms", 1000)):
        value = source.get(name)
        if isinstance(value, int) and value > 0:
            return _EPOCH + timedelta(microseconds=value * microseconds)
    return None
