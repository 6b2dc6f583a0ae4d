"""From a message to its events, by the listener's format. No message raises an exception."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from shared.definitions.models.listener import EventFormat, Topic
from shared.events import avro, cloud_events, debezium, plain_json, remote_context
from shared.events.bodies import mapping, parse
from shared.events.packed import unpacked
from shared.events.records import Event, Message, Undecodable

__all__ = ["Decoded", "ReadBody", "decode", "envelope", "read"]

Decoded = tuple[Event | Undecodable, ...]


@dataclass(frozen=True, slots=True)
class ReadBody:
    """A message's body as the format of a listener has it.

    Attributes:
        body: JSON, or the records of an Avro body.
        size: Bytes that were read: decompressed, a body is larger than its message.
    """

    body: Any | Undecodable
    size: int


def read(message: Message, topic: Topic, schema: avro.Schema | None = None) -> ReadBody:
    """Read a body.

    Args:
        message: The message.
        topic: The format, and the encoding of Avro.
        schema: The schema that the topic names; None where it names none.
    """
    is_avro = topic.format is EventFormat.AVRO
    body = unpacked(message, guess=not is_avro)
    if isinstance(body, Undecodable):
        return ReadBody(body, len(message.body))
    if not is_avro:
        return ReadBody(parse(body), len(body))
    records = avro.read_records(body, topic.encoding, schema)
    return ReadBody(records, records.size if isinstance(records, avro.AvroRecords) else len(body))


def decode(message: Message, topic: Topic, body: Any | Undecodable) -> Decoded:
    """The events of a message; empty for a message without a change (a tombstone).

    Args:
        message: The message.
        topic: The format, and the paths of records and action.
        body: The message's body as `read` gives it.
    """
    if topic.format is EventFormat.DEBEZIUM and not message.body.strip():
        return ()
    if isinstance(body, Undecodable):
        return (body,)
    try:
        return tuple(_decoded(message, body, topic))
    except RecursionError:
        return (Undecodable(reason="the body is nested too deeply"),)


def _decoded(message: Message, body: Any, topic: Topic) -> Iterator[Event | Undecodable]:
    match topic.format:
        case EventFormat.JSON:
            return plain_json.decode(message, body, topic)
        case EventFormat.AVRO:
            return avro.decode(message, body, topic)
        case EventFormat.CLOUDEVENTS:
            return cloud_events.decode(message, body, topic)
        case EventFormat.DEBEZIUM:
            return debezium.decode(message, body)
        case EventFormat.DATAVERSE:
            return remote_context.decode(message, body)
        case _:
            assert_never(topic.format)


def envelope(message: Message, topic: Topic, body: Any) -> Mapping[str, Any]:
    """The fields around the record, which `topic.match` looks at beside the message's properties."""
    match topic.format:
        case EventFormat.CLOUDEVENTS:
            first = body[0] if isinstance(body, list) and body else body
            return cloud_events.attributes(message) if cloud_events.is_binary(message) else mapping(first)
        case EventFormat.DEBEZIUM:
            change = mapping(debezium.payload(body))
            return {**mapping(change.get("source")), **change}
        case EventFormat.AVRO:
            return avro.envelope(body)
        case EventFormat.JSON | EventFormat.DATAVERSE:
            return mapping(body)
        case _:
            assert_never(topic.format)
