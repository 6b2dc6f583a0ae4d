"""The encodings of Avro bodies, their records, and their bounds."""

from __future__ import annotations

from typing import Any

import pytest

from shared.definitions.models.listener import Topic
from shared.events import Claim, Event, EventAction, Message, Undecodable, claim, decode
from tests.unit.events.avro.samples import (
    CUSTOMER,
    binary,
    container,
    events_of,
    read_as,
    reason,
    record,
    single_object,
)

ONE = {"op": "u", "number": "A", "name": None, "revenue": 1.5}
OTHER = {"op": "d", "number": "B", "name": "x", "revenue": None}
REGISTRY_ID = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_each_record_of_a_container_is_an_event(codec: str) -> None:
    """The container has the schema; the events are numbered through all blocks."""
    body = container(CUSTOMER, [ONE, OTHER] * 50, codec=codec, sync_interval=100)
    events = events_of(body, action="$.op")
    assert [found.position.item for found in events if isinstance(found, Event)] == list(range(100))
    first, second = events[:2]
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.action, dict(first.new)) == (EventAction.UPDATE, {**ONE})
    assert (second.action, second.fields["number"]) == (EventAction.DELETE, "B")


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        (binary(CUSTOMER, ONE), {}),
        (binary(CUSTOMER, ONE), {"encoding": "binary"}),
        (single_object(CUSTOMER, ONE), {}),
        (single_object(CUSTOMER, ONE), {"encoding": "single_object"}),
        (b"\0\0\0\0\x07" + binary(CUSTOMER, ONE), {"encoding": "confluent"}),
        (b"\0\0\0\0" + REGISTRY_ID + binary(CUSTOMER, ONE), {"encoding": "event_hubs"}),
    ],
    ids=["binary", "binary by name", "single object", "single object by name", "confluent", "event hubs"],
)
def test_a_record_alone_is_read_with_the_schema_of_the_file(body: bytes, topic: dict[str, Any]) -> None:
    """With every encoding, and with the prefix of a schema registry's serializer."""
    (event,) = events_of(body, CUSTOMER, **topic)
    assert isinstance(event, Event)
    assert event.new == ONE


def test_records_and_action_work_as_for_json() -> None:
    """`records` and `action` are applied to each record of a container."""
    envelope = {
        "type": "record",
        "name": "Envelope",
        "fields": [
            {"name": "op", "type": "string"},
            {"name": "data", "type": {"type": "array", "items": CUSTOMER}},
        ],
    }
    body = container(envelope, [{"op": "u", "data": [ONE, OTHER]}, {"op": "d", "data": [OTHER]}])
    found = events_of(body, records="$.data", action="$.op")
    assert [(each.action.value, each.position.item) for each in found if isinstance(each, Event)] == [
        ("UPDATE", 0),
        ("DELETE", 1),
        ("DELETE", 2),
    ]


def test_a_value_that_is_no_record_affects_no_other() -> None:
    """The other values of its body are events."""
    found = events_of(container(["string", record("string")], ["x", {"a": "y"}]))
    assert isinstance(found[0], Undecodable)
    assert (found[0].reason, found[0].item) == ("the record is text, not a JSON object", 0)
    assert isinstance(found[1], Event)


GOOD = container(CUSTOMER, [ONE, OTHER])


@pytest.mark.parametrize(
    ("body", "schema", "topic", "says"),
    [
        (b"", CUSTOMER, {}, "the body is empty"),
        (b'{"number": "A"}', None, {}, "set topic.schema"),
        (b'{"number": "A"}', CUSTOMER, {}, "cannot be read as Avro"),
        (GOOD[:-20], None, {}, "it ends too early"),
        (GOOD[:-1], None, {}, "it ends too early"),
        (GOOD[:40], None, {}, "it ends too early"),
        (GOOD[:-1] + b"x", None, {}, "does not end with the file's marker"),
        (b"Obj\x01\x00" + b"m" * 16, None, {}, "it contains no schema"),
        (b"Obj\x01" + b"\xff" * 30, None, {}, "a number is too long"),
        (binary(CUSTOMER, ONE)[:-1], CUSTOMER, {}, "the data ends within a record"),
        (binary(CUSTOMER, ONE) + b"x", CUSTOMER, {}, "other bytes behind the last record"),
        (b"\x08" + binary(CUSTOMER, ONE)[1:], CUSTOMER, {}, "does not fit the schema"),
        (b"\x00\x02\xff\x00\x00", CUSTOMER, {}, "a text is not UTF-8"),
        (b"\xc3\x01" + b"\0" * 8 + b"\0\0\0\0", CUSTOMER, {}, "it was written with another schema"),
        (binary(CUSTOMER, ONE), CUSTOMER, {"encoding": "single_object"}, "does not have the single-object encoding"),
        (binary(CUSTOMER, OTHER), CUSTOMER, {"encoding": "confluent"}, "does not begin with the prefix"),
        (b"\0\0\0\0\x07" + binary(CUSTOMER, ONE), CUSTOMER, {}, "set topic.encoding to confluent"),
        (b"\0\0\0\0\x07" + binary(CUSTOMER, OTHER | {"name": "x" * 99}), CUSTOMER, {}, "set topic.encoding to confluent"),
        (b"\0\0\0\0\x07" + REGISTRY_ID, CUSTOMER, {"encoding": "event_hubs"}, "does not begin with the prefix"),
        (b"\0\0\0\0" + REGISTRY_ID + binary(CUSTOMER, ONE), CUSTOMER, {}, "set topic.encoding to event_hubs"),
    ],
)  # fmt: skip
def test_an_undecodable_body_has_a_reason(body: bytes, schema: Any, topic: dict[str, Any], says: str) -> None:
    """Damaged, incomplete, of another schema, or with a registry's prefix: one reason for the whole body."""
    assert says in reason(body, schema, **topic)


def test_a_container_may_be_empty() -> None:
    """It has no event and no error."""
    assert events_of(container(CUSTOMER, [])) == ()


def test_the_records_and_bytes_of_a_container_are_limited() -> None:
    """A few bytes of a block can declare a very large number of records, or decompress to gigabytes."""
    nothing = {"type": "record", "name": "Nothing", "fields": []}
    head = container(nothing, [])
    body = head + b"\x80\x89\x7a\x00" + head[-16:]  # a block of 1,000,000 records in no bytes
    assert "more than 100,000 records" in reason(body)
    bomb = container(record("string"), [{"a": "x" * 21_000_000}], codec="deflate")
    assert len(bomb) < 100_000
    assert "decompressed, it is larger than 20,971,520 bytes" in reason(bomb)
    blocks = container(record("string"), [{"a": "x" * 7_000_000}] * 3, codec="deflate", sync_interval=1)
    assert "decompressed, it is larger than 20,971,520 bytes" in reason(blocks)


def test_the_reason_names_a_missing_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do if something helps."""
    assert "compressed with bzip2; deflate and snappy are supported" in reason(
        container(CUSTOMER, [ONE], codec="bzip2")
    )
    monkeypatch.setitem(__import__("sys").modules, "cramjam", None)
    assert "snappy, which needs the package cramjam" in reason(GOOD.replace(b"\x08null", b"\x0csnappy"))


def test_blocks_of_snappy_are_read_if_the_package_is_installed() -> None:
    """With their checksum and the same limit."""
    pytest.importorskip("cramjam", reason="snappy needs cramjam, which few files need: it is no dependency")
    body = container(CUSTOMER, [ONE, OTHER], codec="snappy")
    assert len(events_of(body)) == 2
    damaged = body.replace(b"A\x00\x02", b"B\x00\x02", 1)
    assert damaged != body
    assert "the compressed data is damaged" in reason(damaged)
    bomb = container(record("string"), [{"a": "x" * 21_000_000}], codec="snappy")
    assert "decompressed, it is larger than 20,971,520 bytes" in reason(bomb)


def test_match_compares_each_record() -> None:
    """A body is taken if one of its records is, and the other ones are left out."""
    body = read_as(GOOD)
    message = Message(body=GOOD, partition="0", sequence=1)
    topics = [Topic(format="avro", match={"number": number}) for number in "ABC"]
    assert [claim(message, topic, body) for topic in topics] == [Claim.TAKES, Claim.TAKES, Claim.LEAVES]
    found = [decode(message, topic, body) for topic in topics]
    assert [[event.position.item for event in events if isinstance(event, Event)] for events in found] == [[0], [1], []]
    assert claim(message, Topic(format="avro", match={"number": "A"}), Undecodable(reason="x")) is Claim.UNKNOWN
