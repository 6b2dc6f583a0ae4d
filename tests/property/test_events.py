"""Random events with poison messages, in random batches and under random faults, have the result of single events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator, running
from shared.errors import AnswerLost, RetryLater
from shared.events import Message
from tests.integration.jobs.real_time.world import MAPPINGS, World

pytestmark = pytest.mark.timeout(300)

Rules = dict[str, Any]  # parts of the definition

KEYS = ("A", "a", "A ", "B", "É", "e")  # three records, or four where accents count
NAMES = st.sampled_from(["one", "two", "x" * 161]) | st.none()  # too long a name is rejected
REVENUES = st.sampled_from([0, 1.5, "2", "much"]) | st.none()
CITIES = st.sampled_from(["Bern", "", "Rome"]) | st.none()

POISON = st.sampled_from([b"", b"\xff", b"{", b"[5]", b"5", b'{"op": "sing", "number": "A"}', b'{"op": "c"}'])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """An event that carries some fields, or poison."""
    if draw(st.integers(0, 9)) == 0:
        return draw(POISON)
    event: dict[str, Any] = {"op": draw(st.sampled_from("cuudx")), "number": draw(st.sampled_from(KEYS))}
    if event["op"] == "x":
        event["op"] = "upsert"
    for name, values in (("name", NAMES), ("revenue", REVENUES), ("city", CITIES)):
        if draw(st.booleans()):
            event[name] = draw(values)
    return json.dumps(event).encode()


FAULTS = st.lists(
    st.sampled_from(
        [
            {"action": "status", "status": 503},
            {"action": "status", "status": 429, "retry_after": 1},
            {"action": "drop_before"},
            {"action": "drop_after"},
            {"action": "status", "status": 500, "code": "0x80044150", "message": "Generic SQL error."},
        ]
    ),
    max_size=3,
)
BEHAVIOURS = st.one_of(
    st.fixed_dictionaries(
        {
            "strategy": st.just("full"),
            "dropped": st.sampled_from(["delete", "ignore"]),
            "new": st.sampled_from(["insert", "ignore"]),
            "changed": st.sampled_from(["update", "ignore", {"when": "source.revenue is distinct from 0"}]),
        }
    ),
    st.just({"strategy": "full"}),
    st.just({"strategy": "delta"}),
    st.fixed_dictionaries({"strategy": st.just("upsert"), "dropped": st.sampled_from(["delete", "ignore"])}),
)


POLICIES = st.sampled_from(["always", "always", "on_insert", "if_empty"])


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True) as server:
        yield server


def end(world: World) -> dict[str, dict[str, Any]]:
    """The records by their key as the service compares it; the spelling of a key is a value like any other."""
    return {number: {**fields, "number": number} for number, fields in world.accounts().items()}


def deliver(world: World, batch: Sequence[Message]) -> None:
    """Redeliver the same batch until it succeeds, as the host does."""
    for _ in range(20):
        try:
            world.deliver(batch)
        except (RetryLater, AnswerLost):
            continue
        return
    raise AssertionError("the batch never went through")


def batches(messages: Sequence[Message], sizes: Sequence[int]) -> Iterator[Sequence[Message]]:
    start, turn = 0, 0
    while start < len(messages):
        size = sizes[turn % len(sizes)]
        yield messages[start : start + size]
        start, turn = start + size, turn + 1


# Inserts of existing records: after a write of their own batch, and redelivered after they were refused.
TWICE = [
    b'{"op": "upsert", "number": "\\u00c9", "revenue": 1.5}',
    b'{"op": "c", "number": "\\u00c9", "revenue": "2"}',
    b'{"op": "u", "number": "e", "name": "one"}',
    b'{"op": "c", "number": "e", "name": "two", "city": "Bern"}',
    b'{"op": "d", "number": "B"}',
    b'{"op": "c", "number": "B", "city": ""}',
    b'{"op": "c", "number": "B", "city": "Rome"}',
]
# A name and a city that come, change and go.
RENAMED = [
    b'{"op": "upsert", "number": "A", "name": "one", "revenue": 0}',
    b'{"op": "upsert", "number": "A", "name": "two", "city": "Bern"}',
    b'{"op": "upsert", "number": "A", "name": null, "city": "Rome"}',
]
AWAY_AND_THROTTLED = [{"action": "status", "status": 503}, {"action": "status", "status": 429, "retry_after": 1}]


def case(
    events: list[bytes],
    sizes: list[int],
    strategy: str,
    policies: tuple[str, str] = ("always", "always"),
    **given: Any,
) -> dict[str, Any]:
    """An example; `faults` and `again` where they are given."""
    fixed = {"events": events, "sizes": sizes, "behaviour": {"strategy": strategy}, "policies": policies}
    return {**fixed, "faults": [], "again": False, **given}


# Every example takes half a second: shrinking one would take minutes, and small ones are generated anyway.
@settings(max_examples=settings().max_examples // 4, phases=(Phase.explicit, Phase.generate))
@given(
    events=st.lists(bodies(), min_size=1, max_size=14),
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    behaviour=BEHAVIOURS,
    policies=st.tuples(POLICIES, POLICIES),
    faults=FAULTS,
    again=st.booleans(),
)
@example(**case(TWICE, [6, 2], "delta", faults=AWAY_AND_THROTTLED))
@example(**case(TWICE, [1], "delta", faults=AWAY_AND_THROTTLED))
@example(**case(TWICE, [2, 1, 4], "delta", again=True))
@example(**case(RENAMED, [3], "full", ("if_empty", "on_insert")))
@example(**case(RENAMED, [3], "upsert", ("on_insert", "on_insert")))
def test_batches_under_faults_end_like_events_one_by_one(
    emulator: RunningEmulator,
    tmp_path_factory: pytest.TempPathFactory,
    events: list[bytes],
    sizes: list[int],
    behaviour: dict[str, Any],
    policies: tuple[str, str],
    *,
    faults: list[dict[str, Any]],
    again: bool,
) -> None:
    """The target is the same, and every event that was rejected and is not stale is in the dead letters."""
    name, city = (
        policy if behaviour["strategy"] == "full" or policy != "if_empty" else "always" for policy in policies
    )
    written = {"name": name, "address1_city": city}
    rules: Rules = {
        "behaviour": behaviour,
        "mappings": [mapping | {"write": written.get(mapping["target"], "always")} for mapping in MAPPINGS],
    }
    expected, lost = alone(emulator, tmp_path_factory.mktemp("alone"), rules, events)
    emulator.reset()
    world = World(emulator=emulator, folder=tmp_path_factory.mktemp("batches"), **rules)
    try:
        for batch in batches(world.messages(*events), sizes):
            if faults:
                emulator.faults([{"times": 1, "match": {"path": "/accounts"}, **fault} for fault in faults])
            deliver(world, batch)
            emulator.clear_faults()
            if again:
                deliver(world, batch)
        assert end(world) == expected
        assert set(world.reasons) <= lost
        undecodable = {letter.sequence for letter in world.letters if letter.error == "Undecodable"}
        assert undecodable == {number for number, body in enumerate(events) if not _is_event(body)}
    finally:
        close(world)


def alone(
    emulator: RunningEmulator, folder: Path, rules: Rules, events: Sequence[bytes]
) -> tuple[dict[str, dict[str, Any]], set[int]]:
    """Each event in its own batch, without faults."""
    emulator.clear_faults()
    emulator.reset()
    world = World(emulator=emulator, folder=folder, **rules)
    try:
        for message in world.messages(*events):
            world.deliver([message])
        return end(world), set(world.reasons)
    finally:
        close(world)


def close(world: World) -> None:
    world.tools.memory.workspaces.close()
    world.state.close()


def _is_event(body: bytes) -> bool:
    """Whether a body is a JSON object with a known action; of the poison only the one without a key is."""
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("op") in {"c", "u", "d", "upsert"}
