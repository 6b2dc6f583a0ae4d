"""The events of an Avro body: each record is read as a JSON body would be."""

from __future__ import annotations

from collections.abc import Iterator

from shared.definitions.models.listener import Topic
from shared.events import plain_json
from shared.events.avro.bodies import AvroRecords
from shared.events.records import Event, Message, Undecodable
from shared.events.routing import Takes

__all__ = ["decode"]


def decode(message: Message, body: AvroRecords, topic: Topic, takes: Takes) -> Iterator[Event | Undecodable]:
    """The events of a body, numbered through all its records; of several records only those that are taken."""
    item = 0
    for value in body.values:
        taken = len(body.values) == 1 or takes(value)
        for found in plain_json.decode(message, value, topic, lambda _part: True):
            if taken:
                yield found.numbered(item)
            item += 1
