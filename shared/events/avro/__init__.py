"""Avro: schemas, the encodings of bodies, and object container files."""

from shared.events.avro.bodies import AvroRecords, read_records
from shared.events.avro.containers import MAGIC, Container, records
from shared.events.avro.decoding import decode
from shared.events.avro.schemas import LARGEST_SCHEMA, AvroError, Schema

__all__ = [
    "LARGEST_SCHEMA",
    "MAGIC",
    "AvroError",
    "AvroRecords",
    "Container",
    "Schema",
    "decode",
    "read_records",
    "records",
]
