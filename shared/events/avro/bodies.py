"""Avro bodies: the encoding is found, and the records are read as JSON has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from shared.definitions.models.listener import AvroEncoding
from shared.events.avro.containers import MAGIC, Container, records
from shared.events.avro.schemas import AvroError, Schema
from shared.events.packed import LARGEST_BODY
from shared.events.records import Undecodable

__all__ = ["AvroRecords", "read_records"]

MOST_RECORDS: Final = 100_000  # of one body
_SINGLE_OBJECT: Final = b"\xc3\x01"  # Avro specification, "Single-object encoding"; the schema's fingerprint follows
_FINGERPRINT: Final = 8
# What serializers put before the record. Confluent: a zero byte, and the schema's number. Event Hubs' first one: a
# format of four zero bytes, and the schema's id of 32 characters. (Its later one has the id in the content type.)
_PREFIXES: Final = {
    AvroEncoding.EVENT_HUBS: (re.compile(rb"\0{4}[0-9A-Za-z]{32}"), 36),
    AvroEncoding.CONFLUENT: (re.compile(rb"\0.{4}", re.DOTALL), 5),
}
_SCHEMAS_AT_HAND: Final = 64


@dataclass(frozen=True, slots=True)
class AvroRecords:
    """The records of a body.

    Attributes:
        values: Each record, as a JSON body of its own would give it.
        size: Bytes of all, decompressed.
    """

    values: tuple[Any, ...]
    size: int


def read_records(body: bytes, encoding: AvroEncoding, schema: Schema | None) -> AvroRecords | Undecodable:
    """Read a body.

    Args:
        body: The body, decompressed.
        encoding: How it is encoded.
        schema: The schema that the listener names; None where it names none.
    """
    if not body:
        return Undecodable(reason="the body is empty")
    try:
        if encoding is AvroEncoding.AUTO and body.startswith(MAGIC):
            return _contained(body)
        if schema is None:
            return Undecodable(
                reason="the body is not an Avro object container file, so its schema is unknown: set topic.schema"
            )
        return AvroRecords((_alone(_bare(body, encoding, schema), schema),), len(body))
    except AvroError as error:
        return Undecodable(reason=f"the body cannot be read as Avro: {error}")


def _contained(body: bytes) -> AvroRecords:
    container = Container(BytesIO(body), largest=LARGEST_BODY)
    schema, found, left = _schema(container.schema), list[Any](), LARGEST_BODY
    for count, data in container.blocks():
        left -= len(data)
        if left < 0:
            raise AvroError(f"decompressed, it is larger than {LARGEST_BODY:,} bytes")
        if len(found) + count > MOST_RECORDS:
            raise AvroError(f"it contains more than {MOST_RECORDS:,} records")
        found += records(schema, count, data)
    return AvroRecords(tuple(found), LARGEST_BODY - left)


@lru_cache(maxsize=_SCHEMAS_AT_HAND)
def _schema(text: bytes) -> Schema:
    """The schema of a container: those of one sender have the same."""
    return Schema(text)


def _bare(body: bytes, encoding: AvroEncoding, schema: Schema) -> bytes:
    """The record's bytes, without what a serializer put before them."""
    if encoding in _PREFIXES:
        prefix, size = _PREFIXES[encoding]
        if not prefix.match(body):
            raise AvroError(f"it does not begin with the prefix that topic.encoding: {encoding.value} says")
        return body[size:]
    single = body.startswith(_SINGLE_OBJECT)
    if encoding is AvroEncoding.SINGLE_OBJECT and not single:
        raise AvroError("it does not have the single-object encoding")
    if encoding is AvroEncoding.BINARY or not single:
        return body
    start = len(_SINGLE_OBJECT)
    behind = start + _FINGERPRINT
    if body[start:behind] != schema.fingerprint:
        raise AvroError(
            f"it was written with another schema: the fingerprint is {body[start:behind].hex()}, and that of "
            f"topic.schema is {schema.fingerprint.hex()}"
        )
    return body[behind:]


def _alone(data: bytes, schema: Schema) -> Any:
    try:
        (found,) = records(schema, 1, data)
    except AvroError as error:
        raise AvroError(f"{error}{_hint(data)}") from None
    return found


def _hint(data: bytes) -> str:
    """A schema registry's prefix is the most common reason for bytes that do not fit."""
    for encoding, (prefix, _) in _PREFIXES.items():
        if prefix.match(data):
            return f"; if a schema registry's serializer wrote it, set topic.encoding to {encoding.value}"
    return ""
