"""The events of an Avro body: each record is read as a JSON body would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.definitions.models.listener import Topic
from shared.events import plain_json
from shared.events.avro.bodies import AvroRecords
from shared.events.bodies import mapping
from shared.events.records import Event, Message, Undecodable

__all__ = ["decode", "envelope"]


def decode(message: Message, body: AvroRecords, topic: Topic) -> Iterator[Event | Undecodable]:
    """The events of a body, numbered through all its records."""
    item = 0
    for value in body.values:
        for found in plain_json.decode(message, value, topic):
            yield found.numbered(item)
            item += 1


def envelope(body: Any) -> Mapping[str, Any]:
    """The fields that `match` compares: those of the first record."""
    return mapping(body.values[0]) if isinstance(body, AvroRecords) and body.values else {}
