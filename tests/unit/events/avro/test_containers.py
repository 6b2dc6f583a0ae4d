"""Containers are read block by block; damaged or too large blocks are refused before they fill the memory."""

from __future__ import annotations

import io

import pytest

from shared.events.avro import AvroError, Container
from tests.unit.events.avro.samples import MARKER, container, record

SCHEMA = record("string")


def blocks(data: bytes, largest: int = 1_000) -> list[tuple[int, bytes]]:
    return list(Container(io.BytesIO(data), largest=largest).blocks())


def number(value: int) -> bytes:
    """A whole number as Avro encodes it."""
    left = value << 1 ^ value >> 63
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*made, left])


def text(value: bytes) -> bytes:
    return number(len(value)) + value


HEAD = b"Obj\x01" + number(1) + text(b"avro.schema") + text(b'"string"')


def test_blocks_have_their_number_of_records() -> None:
    """As the writer made them; a header without a codec means no compression."""
    data = container(SCHEMA, [{"a": each * 10} for each in "xyz"], codec="deflate", sync_interval=1)
    assert blocks(data) == [(1, text(each * 10)) for each in (b"x", b"y", b"z")]
    bare = HEAD + number(0) + MARKER + number(2) + number(4) + text(b"a") + text(b"b") + MARKER
    assert blocks(bare) == [(2, b"\x02a\x02b")]


def test_the_header_may_have_the_sizes_of_its_parts() -> None:
    """A negative number of entries, followed by their size."""
    entry = text(b"avro.schema") + text(b'"string"')
    head = b"Obj\x01" + number(-1) + number(len(entry)) + entry + number(0) + MARKER
    assert Container(io.BytesIO(head), largest=10).schema == b'"string"'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is not an Avro object container file"),
        (b"Obj\x02", "it is not an Avro object container file"),
        (b"Obj\x01" + number(1) + number(-5), "its header is damaged"),
        (b"Obj\x01" + number(1) + number(3_000_000), "its header is damaged, or larger than 2,097,152 bytes"),
        (b"Obj\x01" + number(2**40) + b"\0" * 5_000_000, "its header is damaged, or larger than 2,097,152 bytes"),
        (HEAD + number(0) + MARKER + number(1) + number(1_001), "a block is damaged, or larger than 1,000 bytes"),
        (HEAD + number(0) + MARKER + number(1) + number(-1), "a block is damaged"),
        (HEAD + number(0) + MARKER + number(-1) + number(1), "a block is damaged"),
        (HEAD + number(0) + MARKER + number(1), "it ends too early"),
        (container(SCHEMA, [{"a": "x" * 2_000}], codec="deflate"), "decompressed, it is larger than 1,000 bytes"),
    ],
    ids=range(10),
)
def test_an_unreadable_container_has_a_reason(data: bytes, says: str) -> None:
    """No declared size is trusted."""
    with pytest.raises(AvroError, match=says):
        blocks(data)
