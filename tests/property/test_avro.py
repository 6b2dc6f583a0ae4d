"""The same records as JSON and as Avro give the same rows, and the Avro reader has a reason for all other bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import Column
from shared.definitions.models.listener import AvroEncoding, Topic
from shared.events import Event, Message, Reader, Selection, Undecodable, decode, read
from shared.events.avro import Schema
from shared.workspace import Workspace
from tests.unit.events.avro.samples import binary, container, single_object

pytestmark = pytest.mark.timeout(600)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
MILLIS = st.integers(-(10**13), 10**13)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Number(str):
    """Text that JSON has as a number: its digits are those of the sender."""

    __slots__ = ()


Pair = tuple[Any, Any]  # a value for the writer of Avro, and the same for the writer of JSON
Typed = tuple[Any, st.SearchStrategy[Pair]]  # a type of Avro, and values of it


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Pair]:
    return values.map(lambda value: (value, value))


def as_json(values: st.SearchStrategy[Any], write: Any) -> st.SearchStrategy[Pair]:
    return values.map(lambda value: (value, write(value)))


def logical(type_: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "logicalType": name, **more}


def moment(milliseconds: int, zone: str) -> str:
    found = (EPOCH + timedelta(milliseconds=milliseconds)).replace(tzinfo=None)
    return found.isoformat(timespec="milliseconds") + zone


SCALARS: list[Typed] = [
    ("string", same(TEXTS)),
    ("boolean", same(st.booleans())),
    ("int", same(st.integers(-(2**31), 2**31 - 1))),
    ("long", same(st.integers(-(2**63), 2**63 - 1))),
    ("double", as_json(st.floats(allow_nan=False, allow_infinity=False), lambda value: Number(repr(value)))),
    ("float", as_json(st.integers(-7999, 7999).map(lambda n: n / 8), lambda value: Number(repr(value)))),
    (
        logical("bytes", "decimal", precision=20, scale=4),
        as_json(
            st.integers(-(10**19), 10**19).map(lambda n: Decimal(n).scaleb(-4)), lambda value: Number(format(value, "f"))
        ),
    ),
    (logical("int", "date"), as_json(st.dates(), date.isoformat)),
    (logical("int", "time-millis"), as_json(
        st.integers(0, 86_399_999).map(lambda n: (EPOCH + timedelta(milliseconds=n)).time()),
        lambda value: time.isoformat(value, timespec="milliseconds"))),
    ({"type": "long", "logicalType": "timestamp-millis"}, MILLIS.map(
        lambda n: (EPOCH + timedelta(milliseconds=n), moment(n, "Z")))),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, MILLIS.map(
        lambda n: ((EPOCH + timedelta(milliseconds=n)).replace(tzinfo=None), moment(n, "")))),
    (logical("string", "uuid"), as_json(st.uuids(), str)),
]  # fmt: skip


def optional(typed: Typed) -> Typed:
    return ["null", typed[0]], st.one_of(st.just((None, None)), typed[1])


def array(typed: Typed) -> Typed:
    pairs = st.lists(typed[1], max_size=3)
    return {"type": "array", "items": typed[0]}, pairs.map(
        lambda found: ([pair[0] for pair in found], [pair[1] for pair in found])
    )


def mapped(typed: Typed) -> Typed:
    pairs = st.dictionaries(TEXTS, typed[1], max_size=3)
    return {"type": "map", "values": typed[0]}, pairs.map(
        lambda found: ({k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()})
    )


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> Typed:
    """A type with its values; a record within a record has a name of its own."""
    scalar = draw(st.sampled_from(SCALARS))
    shape = draw(st.sampled_from(["scalar", "scalar", "optional", "array", "map", "record"])) if depth else "scalar"
    match shape:
        case "optional":
            return optional(scalar)
        case "array":
            return array(draw(typed(depth=depth - 1)))
        case "map":
            return mapped(draw(typed(depth=depth - 1)))
        case "record":
            return draw(records(depth=depth - 1))
    return scalar


@st.composite
def records(draw: st.DrawFn, depth: int = 2) -> Typed:
    fields = draw(st.lists(typed(depth=depth), min_size=1, max_size=4))
    names = [f"f{number}" for number in range(len(fields))]
    schema = {
        "type": "record",
        "name": "Record",
        "fields": [{"name": name, "type": each[0]} for name, each in zip(names, fields, strict=True)],
    }
    values = st.tuples(*(each[1] for each in fields)).map(
        lambda pairs: (
            dict(zip(names, (pair[0] for pair in pairs), strict=True)),
            dict(zip(names, (pair[1] for pair in pairs), strict=True)),
        )
    )
    return schema, values


def named(schema: Any, numbers: Iterator[int]) -> Any:
    """The schema, in which every record has a name of its own."""
    match schema:
        case {"type": "record", "fields": fields}:
            own = f"R{next(numbers)}"
            return {
                **schema,
                "name": own,
                "fields": [{**each, "type": named(each["type"], numbers)} for each in fields],
            }
        case {"type": "array", "items": inner}:
            return {**schema, "items": named(inner, numbers)}
        case {"type": "map", "values": inner}:
            return {**schema, "values": named(inner, numbers)}
        case _:
            return schema


KINDS = records().map(lambda kind: (named(kind[0], count()), kind[1]))


def json_text(value: Any) -> str:
    """A value as a sender of JSON writes it, with the digits that it has."""
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{json_text(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ",".join(map(json_text, value)) + "]"
        case _:
            return json.dumps(value)


COLUMNS = Reader([Column(name=f"f{number}") for number in range(4)])
ENCODED: dict[AvroEncoding, Callable[[Any, Any], bytes]] = {
    AvroEncoding.AUTO: lambda schema, value: container(schema, [value], codec="deflate"),
    AvroEncoding.BINARY: binary,
    AvroEncoding.SINGLE_OBJECT: single_object,
    AvroEncoding.CONFLUENT: lambda schema, value: b"\0\0\0\0\1" + binary(schema, value),
}


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        yield opened


def rows(
    body: bytes, workspace: Workspace, topic: Topic, schema: Schema | None = None
) -> tuple[list[Mapping[str, Any]], int]:
    """The rows of a body, and how many of its events a filter over the first field takes."""
    message = Message(body=body, partition="0", sequence=1)
    events = [found for found in decode(message, topic, read(message, topic, schema).body) if isinstance(found, Event)]
    fields = [COLUMNS.fields(event.new) for event in events]
    assert not any(isinstance(each, Undecodable) for each in fields)
    selection = Selection(Topic(filter="new.f0 IS NOT NULL AND CAST(new.f0 AS VARCHAR) <> '0'"))
    return fields, len(selection.select(events, workspace).wanted)  # type: ignore[return-value]  # they are fields


@given(data=st.data(), kind=KINDS, encoding=st.sampled_from(sorted(ENCODED)))
def test_json_and_avro_of_the_same_records_give_the_same_rows(
    workspace: Workspace, data: st.DataObject, kind: Typed, encoding: AvroEncoding
) -> None:
    """Every column has the same text, and a filter decides the same."""
    schema, values = kind
    for_avro, for_json = data.draw(values)
    body = ENCODED[encoding](schema, for_avro)
    given_schema = None if encoding is AvroEncoding.AUTO else Schema(json.dumps(schema).encode())
    expected = rows(json_text(for_json).encode(), workspace, Topic())
    assert rows(body, workspace, Topic(format="avro", encoding=encoding), given_schema) == expected


@given(data=st.data(), kind=KINDS, noise=st.binary(max_size=8), cut=st.integers(0, 400), place=st.integers(0, 400))
def test_damaged_bodies_are_events_or_a_reason(
    data: st.DataObject, kind: Typed, noise: bytes, cut: int, place: int
) -> None:
    """Whatever the network or a wrong schema does to a body, the reader ends."""
    schema, values = kind
    made = Schema(json.dumps(schema).encode())
    value, _ = data.draw(values)
    for encoding, write in ENCODED.items():
        body = write(schema, value)
        for damaged in (body[:cut], body[:place] + noise + body[place:], noise + body, body[:place] + noise):
            message = Message(body=damaged, partition="0", sequence=1)
            topic = Topic(format="avro", encoding=encoding)
            for found in decode(message, topic, read(message, topic, made).body):
                assert isinstance(found, Event | Undecodable)
                if isinstance(found, Event):
                    COLUMNS.fields(found.new)
