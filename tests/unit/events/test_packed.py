"""Compressed bodies are decompressed up to a limit, and damaged ones have a reason."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models.listener import Topic
from shared.events import Message, Undecodable, read
from shared.events.avro import AvroRecords, Schema
from shared.events.packed import unpacked
from tests.unit.events.avro.samples import CUSTOMER, binary, container

TEXT = json.dumps({"number": "A", "name": "é" * 100}).encode()


def gzipped(data: bytes) -> bytes:
    """Without the time, so that the names of the tests are the same in every process."""
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def unpack(body: bytes, encoding: str | None = None, **fields: Any) -> bytes | Undecodable:
    properties = {} if encoding is None else {"Content-Encoding": encoding}
    return unpacked(Message(body=body, partition="0", sequence=1, properties=properties, **fields))


def reason(body: bytes, encoding: str | None = None) -> str:
    found = unpack(body, encoding)
    assert isinstance(found, Undecodable), found[:50]
    return found.reason


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, None),
        (TEXT, "identity"),
        (TEXT, "utf-8"),
        (gzipped(TEXT), None),
        (gzipped(TEXT), "gzip"),
        (gzipped(TEXT), "X-GZIP"),
        (zlib.compress(TEXT), None),
        (zlib.compress(TEXT, 1), None),
        (zlib.compress(TEXT, 9), None),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
        (gzipped(zlib.compress(TEXT)), "deflate, gzip"),
        (gzipped(TEXT), "utf-8"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_a_compressed_body_is_recognised_and_read(body: bytes, encoding: str | None) -> None:
    """By the property, also if it has only a character set, or by the first bytes."""
    assert unpack(body, encoding) == TEXT


def test_the_encoding_may_be_a_system_property() -> None:
    """As in AMQP; an application property of the same name is then ignored."""
    assert unpack(raw_deflate(TEXT), "gzip", content_encoding="deflate") == TEXT


BOMB = b"0" * 21_000_000


@pytest.mark.parametrize(
    ("body", "encoding", "says"),
    [
        (gzipped(BOMB), None, "decompressed, it is larger than 20,971,520 bytes"),
        (zlib.compress(BOMB), "deflate", "decompressed, it is larger than 20,971,520 bytes"),
        (raw_deflate(BOMB), "deflate", "decompressed, it is larger than 20,971,520 bytes"),
        (gzipped(TEXT)[:-1], None, "the compressed data ends too early"),
        (gzipped(TEXT)[:20], "gzip", "the compressed data ends too early"),
        (zlib.compress(TEXT)[:-1], None, "the compressed data ends too early"),
        (raw_deflate(TEXT)[:-5], "deflate", "the compressed data ends too early"),
        (gzipped(TEXT)[:-8] + b"\0" * 8, None, "the compressed data is damaged"),
        (TEXT, "gzip", "the compressed data is damaged"),
        (TEXT, "deflate", "the compressed data is damaged"),
        (b"", "gzip", "the compressed data ends too early"),
        (gzipped(TEXT) + b"x", None, "there is other data after the compressed data"),
        (TEXT, "br", "compressed with br; gzip and deflate are supported"),
        (gzipped(TEXT), "gzip," * 5, "more than 3 times"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_a_body_that_cannot_be_decompressed_has_a_reason(body: bytes, encoding: str | None, says: str) -> None:
    """For a decompression bomb the limit, and for a truncated body that it is truncated."""
    assert says in reason(body, encoding)


def test_a_text_that_only_looks_compressed_is_read_as_text() -> None:
    """`x^` can begin a zlib stream, and here it is text: the JSON reader reports what is wrong."""
    assert unpack(b"x^2 is no JSON") == b"x^2 is no JSON"


def test_avro_may_begin_with_any_bytes() -> None:
    """A record whose bytes look compressed is read, and a compressed record too."""
    numbers = {"type": "record", "name": "N", "fields": [{"name": each, "type": "long"} for each in "abcd"]}
    looks = binary(numbers, {"a": -16, "b": -518, "c": 4, "d": 1})
    assert looks.startswith(b"\x1f\x8b\x08")
    schema = Schema(json.dumps(numbers).encode())
    topic = Topic(format="avro")
    for body in (looks, gzipped(looks), zlib.compress(looks)):
        found = read(Message(body=body, partition="0", sequence=1), topic, schema).body
        assert isinstance(found, AvroRecords)
        assert found.values == ({"a": -16, "b": -518, "c": 4, "d": 1},)
    whole = gzipped(container(CUSTOMER, [{"op": "c", "number": "A", "name": None, "revenue": 1}]))
    assert isinstance(read(Message(body=whole, partition="0", sequence=1), topic).body, AvroRecords)


@given(st.binary(max_size=200), st.sampled_from([None, "gzip", "deflate", "deflate, gzip"]))
def test_no_bytes_make_it_raise(body: bytes, encoding: str | None) -> None:
    """The result is a body or a reason."""
    assert isinstance(unpack(body, encoding), bytes | Undecodable)
    assert isinstance(unpack(b"\x1f\x8b\x08" + body, encoding), bytes | Undecodable)
    assert isinstance(unpack(b"\x78\x9c" + body, encoding), bytes | Undecodable)
