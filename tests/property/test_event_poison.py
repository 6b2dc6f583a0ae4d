"""Every event has exactly one outcome, and the batch never raises."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator, running
from event_sync.receiving import received
from shared.definitions.models.listener import EventFormat
from shared.events import Message
from tests.integration.jobs.real_time.world import COLUMNS, MAPPINGS, World
from tests.unit.events.avro.samples import container

pytestmark = pytest.mark.timeout(600)

NAMES = st.sampled_from(
    [
        *("number", "name", "revenue", "city", "op", "type", "data", "specversion", "before", "after", "source"),
        *("schema", "payload", "fields", "field", "parameters", "updateDescription", "updatedFields", "connector"),
        *("MessageName", "PrimaryEntityName", "PrimaryEntityId", "InputParameters", "Attributes", "key", "value"),
        *("Target", "OperationCreatedOn", "Id", "LogicalName", "ts_ms", "", "$oid", "\\ud83d", "\\u0000", "_id"),
    ]
)
SCALARS = st.sampled_from(
    [
        *(
            '"c"',
            '"u"',
            '"d"',
            '"A"',
            '"B"',
            '""',
            '"1.0"',
            '"customer"',
            '"mongodb"',
            '"account"',
            '"Update"',
            '"Delete"',
        ),
        *(
            "1",
            "-0",
            "2.50",
            "1e5",
            "true",
            "null",
            "NaN",
            "-Infinity",
            "1e300000000",
            "-1E-300000000",
            "1e999",
            "5e-324",
        ),
        *("9" * 400, "9" * 5_000, "0." + "7" * 5_000, "9223372036854775808", "1e" + "9" * 40),
        *('"\\ud83d"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\\u000bb"', '"' + "x" * 70_000 + '"'),
        *(
            '"infinity"',
            '"/Date(99999999999999999)/"',
            '"{\\"a\\": 1}"',
            '"{"',
            '"0001-01-01T00:00:00+23:59"',
            '"' + "[" * 500 + '"',
        ),
        "[" * 70 + "]" * 70,
        "[" * 5_000 + "]" * 5_000,
        '{"x":' * 63 + "1" + "}" * 63,
        '{"$numberDecimal": "1e99999999"}',
        '{"$date": 1e30}',
    ]
)


def _object(pairs: list[tuple[str, str]]) -> str:
    """JSON text of an object; a name may come twice."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(NAMES, inner), max_size=5).map(_object)
    ),
    max_leaves=10,
)


@st.composite
def events_of_a_format(draw: st.DrawFn) -> bytes:
    """An event that is almost correct for one of the formats."""
    value, other = draw(VALUES), draw(SCALARS)
    record = _object([("number", draw(st.sampled_from(['"A"', '"B"', other]))), ("name", value), ("extra", other)])
    shape = draw(st.sampled_from(["plain", "cloudevent", "debezium", "dataverse"]))
    text = {
        "plain": record,
        "cloudevent": _object([("specversion", '"1.0"'), ("type", other), ("time", other), ("data", record)]),
        "debezium": _object([("op", '"u"'), ("before", value), ("after", record), ("source", f'{{"ts_ms":{other}}}')]),
        "dataverse": _object(
            [
                ("MessageName", '"Update"'),
                ("PrimaryEntityName", draw(st.sampled_from(['"account"', '"../x"', other]))),
                ("PrimaryEntityId", other),
                (
                    "InputParameters",
                    f'[{{"key":"Target","value":{{"Attributes":[{{"key":"number","value":{other}}}]}}}}]',
                ),
                ("OperationCreatedOn", other),
            ]
        ),
    }[shape]
    return text.encode("utf-8", "surrogatepass")


def _contained(number: str, cut: int) -> bytes:
    """An Avro container, which may be truncated."""
    schema = {"type": "record", "name": "R", "fields": [{"name": each, "type": "string"} for each in ("op", "number")]}
    body = container(schema, [{"op": "u", "number": number}] * 2, codec="deflate")
    return body[:cut] if cut < 400 else body


PLAIN = st.one_of(
    st.binary(max_size=40),
    VALUES.map(lambda text: text.encode()),
    events_of_a_format(),
    st.builds(_contained, st.sampled_from(["A", "B", "\0", ""]), st.integers(0, 800)),
)
BODIES = st.one_of(
    PLAIN, PLAIN.map(gzip.compress), PLAIN.map(zlib.compress), PLAIN.map(lambda body: gzip.compress(body)[:-9])
)
PROPERTIES = st.sampled_from(
    [
        {},
        {"type": "customer"},
        {"type": "\ud83d", "\udfff": 1},
        {"type": {"deep": [[[1]]]}, "n": 10**400},
        {f"p{number}": "é" * 50 for number in range(2_000)},
        {"p": "é" * 200_000},
        {"content-encoding": "deflate"},
        {"Content-Encoding": "gzip, deflate"},
        {"ce_specversion": "1.0", "ce_type": "x.deleted.v2", "ce_time": "never"},
        {"content-type": 5, "when": datetime(2026, 1, 1, tzinfo=UTC), "bytes": b"\xff", "nan": float("nan")},
    ]
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class HostEvent:
    """An event as the host hands it over."""

    def __init__(self, body: bytes, number: int, metadata: Mapping[str, Any] | None, key: str | None) -> None:
        self.body = body
        self.sequence_number = number
        self.offset = "-1"
        self.partition_key = key
        self.enqueued_time = datetime(2126, 1, 1)  # noqa: DTZ001 - as the host gives it; after the listener was seen
        self.metadata = metadata

    def get_body(self) -> bytes:
        return self.body


TOPICS: list[dict[str, Any]] = [
    {"action": "$.op"},
    {"match": {"$..type": '["customer"]'}},
    {"match": {"type": "customer"}, "filter": "new.name <> 'x' or new.number is null"},
    {"records": "$..data", "message_key": "new.number"},
    {"filter": "new.name > 5", "message_key": "old.name"},
    *({"format": form.value} for form in EventFormat),
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True) as server:
        yield server


# As for the other property of real time: an example takes long, and small ones are generated anyway.
@settings(max_examples=max(10, settings().max_examples // 2), phases=(Phase.explicit, Phase.generate))
@given(
    bodies=st.lists(st.tuples(BODIES, PROPERTIES, st.none() | st.just("\ud83d") | st.just('{"id": "{"}')), max_size=8),
    topic=st.sampled_from(TOPICS),
    strategy=st.sampled_from(["full", "upsert", "delta"]),
    metadata=st.sampled_from(["right", "none", "odd"]),
)
def test_every_event_has_one_outcome(
    emulator: RunningEmulator,
    tmp_path_factory: pytest.TempPathFactory,
    bodies: list[tuple[bytes, dict[str, Any], str | None]],
    topic: dict[str, Any],
    strategy: str,
    metadata: str,
) -> None:
    """No exception is raised, every message is counted, and valid events between poison messages take effect."""
    emulator.reset()
    world = World(
        emulator=emulator,
        folder=tmp_path_factory.mktemp("poison"),
        topic=topic,
        behaviour={"strategy": strategy},
        columns=[*COLUMNS, {"name": "$.extra", "alias": "extra"}],
        mappings=MAPPINGS,
    )
    try:
        messages = _delivered(bodies, metadata)
        summary = world.deliver(messages)
        assert summary.received == len(messages)
        counts = summary.syncs.get("customers", {})
        taken = {letter.sequence for letter in world.letters}
        assert len(world.letters) == summary.dead_letters
        assert counts.get("events", 0) >= counts.get("lost", 0) + counts.get("filtered", 0)
        assert all(letter.message and "Unforeseen" not in letter.error for letter in world.letters), [
            (letter.error, letter.message) for letter in world.letters
        ]
        assert taken <= {message.sequence for message in messages}
        world.deliver(messages)
        assert len(world.letters) == summary.dead_letters
    finally:
        world.tools.memory.workspaces.close()
        world.state.close()


def _delivered(bodies: list[tuple[bytes, dict[str, Any], str | None]], metadata: str) -> list[Message]:
    """The messages as the trigger makes them of the host's events."""
    properties = [given_properties for _, given_properties, _ in bodies]
    shown: Any = {
        "right": {"PartitionContext": {"PartitionId": "0"}, "PropertiesArray": properties, "SystemPropertiesArray": []},
        "none": None,
        "odd": [nested(3)],
    }[metadata]
    return received([HostEvent(body, number, shown, key) for number, (body, _, key) in enumerate(bodies)])


@pytest.mark.parametrize("depth", [100, 5_000])
def test_deeply_nested_properties_are_stored_up_to_the_limit(
    emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory, depth: int
) -> None:
    """A dead letter of such an event is stored and read again."""
    world = World(emulator=emulator, folder=tmp_path_factory.mktemp("deep"))
    try:
        world.deliver(world.messages(b"no json", properties={"deep": nested(depth), "flat": "x"}))
        (letter,) = world.letters
        assert letter.properties["flat"] == "x"
        assert "[" * 60 in json.dumps(letter.properties["deep"])
    finally:
        world.tools.memory.workspaces.close()
        world.state.close()
