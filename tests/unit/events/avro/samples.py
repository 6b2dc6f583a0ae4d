"""Avro bodies for tests, written by fastavro."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from shared.definitions.models.listener import Topic
from shared.events import Decoded, Event, Message, Undecodable, decode, read
from shared.events.avro import Schema

MARKER = b"0123456789abcdef"  # the same in every process, as the names of tests must be
CUSTOMER: dict[str, Any] = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "op", "type": {"type": "enum", "name": "Op", "symbols": ["c", "u", "d"]}},
        {"name": "number", "type": "string"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "revenue", "type": ["null", "double"]},
    ],
}


def record(*types: Any) -> dict[str, Any]:
    """A record with the fields a, b, c … of these types."""
    fields = [{"name": name, "type": each} for name, each in zip("abcdefghij", types, strict=False)]
    return {"type": "record", "name": "Sample", "fields": fields}


def container(schema: Any, values: Sequence[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, values, **{"sync_marker": MARKER, **options})
    return file.getvalue()


def binary(schema: Any, value: Any) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, schema, value)
    return file.getvalue()


def single_object(schema: Any, value: Any) -> bytes:
    mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    return b"\xc3\x01" + mark + binary(schema, value)


def read_as(body: bytes, schema: Any = None, **topic: Any) -> Any:
    """The body as a listener reads it."""
    given = Schema(json.dumps(schema).encode()) if schema is not None else None
    return read(Message(body=body, partition="0", sequence=7), Topic(format="avro", **topic), given).body


def events_of(body: bytes, schema: Any = None, **topic: Any) -> Decoded:
    message = Message(body=body, partition="0", sequence=7)
    return decode(message, Topic(format="avro", **topic), read_as(body, schema, **topic))


def reason(body: bytes, schema: Any = None, **topic: Any) -> str:
    """Why a body is undecodable."""
    (found,) = events_of(body, schema, **topic)
    assert isinstance(found, Undecodable), found
    return found.reason


def value(type_: Any, given: Any) -> Any:
    """The value of the only field of a record."""
    (event,) = events_of(container(record(type_), [{"a": given}]))
    assert isinstance(event, Event), event
    return event.new["a"]
