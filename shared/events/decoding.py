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
from shared.events.routing import Claim, claim_of, taking

__all__ = ["Decoded", "ReadBody", "claim", "decode", "read"]

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


def claim(message: Message, topic: Topic, body: Any | Undecodable) -> Claim:
    """Whether a listener takes a message: of a body with several events side by side, at least one.

    Args:
        message: The message.
        topic: Whose `match` is asked; see `claim_of`.
        body: The message's body as `read` gives it.
    """
    if not topic.match:
        return Claim.TAKES
    if isinstance(body, Undecodable):
        return claim_of(message, topic, None)
    claims = {claim_of(message, topic, fields) for fields in _envelopes(message, topic, body)}
    return Claim.TAKES if Claim.TAKES in claims else Claim.LEAVES


def decode(message: Message, topic: Topic, body: Any | Undecodable) -> Decoded:
    """The events of a message; empty for a message without a change (a tombstone).

    Of a body with several events side by side, those that the listener's `match` leaves to others are left out; each
    event has the same number for all listeners.

    Args:
        message: The message.
        topic: The format, `match`, and the paths of records and action.
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
            return plain_json.decode(message, body, topic, taking(message, topic))
        case EventFormat.AVRO:
            return avro.decode(message, body, topic, taking(message, topic))
        case EventFormat.CLOUDEVENTS:
            return cloud_events.decode(message, body, topic, taking(message, topic))
        case EventFormat.DEBEZIUM:
            return debezium.decode(message, body)
        case EventFormat.DATAVERSE:
            return remote_context.decode(message, body)
        case _:
            assert_never(topic.format)


def _envelopes(message: Message, topic: Topic, body: Any) -> Iterator[Mapping[str, Any]]:
    """The fields around each record, which `topic.match` looks at beside the message's properties."""
    match topic.format:
        case EventFormat.CLOUDEVENTS if cloud_events.is_binary(message):
            yield cloud_events.attributes(message)
        case EventFormat.DEBEZIUM:
            change = mapping(debezium.payload(body))
            yield {**mapping(change.get("source")), **change}
        case EventFormat.AVRO:
            yield from map(mapping, body.values)
        case _:
            yield from map(mapping, body if isinstance(body, list) and body else [body])
