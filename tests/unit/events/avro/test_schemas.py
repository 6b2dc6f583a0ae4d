"""Schemas that turn a few bytes into large values, or that are nested too deeply, are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.events import Event
from shared.events.avro import AvroError, Schema
from tests.unit.events.avro.samples import binary, container, events_of, reason, record


def refusal(schema: Any) -> str:
    with pytest.raises(AvroError) as caught:
        Schema(schema if isinstance(schema, bytes) else json.dumps(schema).encode())
    return str(caught.value)


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
EMPTY = {"type": "record", "name": "Empty", "fields": []}


def nested(depth: int) -> Any:
    schema: Any = "string"
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return record(schema)


def chain(length: int) -> Any:
    """Nested record types, each with a value of the type before it."""
    fields = [[{"name": "x", "type": "string" if not number else f"C{number - 1}"}] for number in range(length)]
    return [{"type": "record", "name": f"C{number}", "fields": each} for number, each in enumerate(fields)]


def exponential(levels: int) -> Any:
    """A record of ten records of ten records … of values that take no bytes."""
    inner: Any = {"type": "record", "name": "L0", "fields": [{"name": "n", "type": "null"}]}
    for level in range(1, levels):
        fields: list[Any] = [{"name": "f0", "type": inner}]
        fields += [{"name": f"f{number}", "type": f"L{level - 1}"} for number in range(1, 10)]
        inner = {"type": "record", "name": f"L{level}", "fields": fields}
    return inner


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (NODE, "the schema's type Node contains itself"),
        ({"type": "array", "items": "null"}, "an array with values that take no bytes"),
        ({"type": "array", "items": EMPTY}, "an array with values that take no bytes"),
        ({"type": "map", "values": record("null", "null")}, "map with values that take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "take no bytes"),
        (exponential(9), "more than 100 fields whose values take no bytes"),
        (nested(64), "nested too deeply"),
        (chain(65), "nested too deeply: more than 64 levels"),
        (record("string", "nosuch"), "not an Avro schema"),
        ({"type": "record"}, "not an Avro schema"),
        ({"type": "fixed", "name": "F", "size": "much"}, "not an Avro schema"),
        ({"no": "type"}, "not an Avro schema"),
        (5, "not an Avro schema"),
        (b"", "the schema is not JSON: it is empty"),
        (b"{", "the schema is not JSON"),
        (b"[" * 100_000, "the schema is not JSON: it is nested too deeply"),
        (b" " * 1_048_577, "the schema is larger than 1,048,576 bytes"),
    ],
    ids=lambda given: str(given)[:50],
)  # fmt: skip
def test_a_refused_schema_has_a_reason(schema: Any, says: str) -> None:
    """A body with such a schema would fill the memory or end the process."""
    assert says in refusal(schema)


def test_a_body_of_a_recursive_type_does_not_end_the_process() -> None:
    """The decoder would otherwise exceed the stack."""
    value: Any = None
    for _ in range(10):
        value = {"next": value}
    assert "contains itself" in reason(container(NODE, [value]))


def test_a_type_may_be_used_twice_and_a_few_values_may_take_no_bytes() -> None:
    """Libraries of senders make such schemas of a class or of a table."""
    money = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    price = {"type": "record", "name": "Price", "namespace": "shop", "fields": [{"name": "net", "type": money}]}
    schema = record(price, "shop.Price", "null", ["null", EMPTY], {"type": "map", "values": ["null", "shop.Price"]})
    body = binary(schema, {"a": {"net": b"\x01"}, "b": {"net": b"\x00\xc8"}, "c": None, "d": {}, "e": {"k": None}})
    (event,) = events_of(body, schema)
    assert isinstance(event, Event)
    assert (event.new["c"], event.new["d"], event.new["e"]) == (None, {}, {"k": None})
    assert str(event.new["b"]["net"]) == "2.00"


@pytest.mark.parametrize("depth", [1, 60])
def test_nesting_within_the_limit_is_read(depth: int) -> None:
    """The limit is that of JSON."""
    schema = nested(depth - 1)
    value: Any = "x"
    for _ in range(depth - 1):
        value = [value]
    (event,) = events_of(container(schema, [{"a": value}]))
    assert isinstance(event, Event)


def test_the_fingerprint_is_that_of_the_specification() -> None:
    """The CRC-64-AVRO of `"int"` is 7275d51a3f395c8f; it is sent with its lowest byte first."""
    assert Schema(b'"int"').fingerprint.hex() == "8f5c393f1ad57572"
