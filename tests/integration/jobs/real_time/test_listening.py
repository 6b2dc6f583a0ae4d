"""The time from which a listener takes events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.jobs.real_time.events import EventSync
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World

BEFORE, AFTER = timedelta(hours=-1), timedelta(hours=1)


def listen(world: World, **listener: Any) -> None:
    """Change the listener of the world's sync."""
    described = world.definition.model_dump(mode="json", by_alias=True, exclude_unset=True)
    described["listener"] |= listener
    world.syncs = [EventSync(definition=SyncDefinition.model_validate(described))]


def run_enqueued(world: World, when: timedelta, number: str) -> dict[str, int]:
    """Deliver an event with this time of arrival at the hub; returns the counts of the sync."""
    event = {"op": "c", "number": number, "name": number}
    return world.run(event, enqueued=datetime.now(UTC) + when)


@pytest.mark.parametrize(("reset", "expected"), [("latest", {"B"}), ("earliest", {"A", "B"}), ("none", {"A", "B"})])
def test_what_a_new_listener_takes(make: Make, reset: str, expected: set[str]) -> None:
    """`latest` begins when the app first sees the listener; the others begin with the oldest event in the hub."""
    world = make()
    listen(world, auto_offset_reset=reset)
    run_enqueued(world, BEFORE, "A")
    run_enqueued(world, AFTER, "B")
    assert world.accounts().keys() == expected


def test_skipped_events_are_counted_and_are_no_dead_letters(make: Make) -> None:
    """They are counted separately from those that a filter excludes."""
    world = make()
    assert run_enqueued(world, BEFORE, "A") == {"events": 1, "before_listening": 1}
    assert world.state.dead_letters() == ()


def test_the_start_time_of_a_listener_is_stored_and_never_changes(make: Make) -> None:
    """A second process that starts later skips the same events."""
    world = make()
    first_seen = datetime.now(UTC)
    world.tools.memory.listening.note([world.definition], world.state, now=first_seen)
    world.tools = world.fresh_tools()
    world.tools.memory.listening.note([world.definition], world.state, now=first_seen + timedelta(days=1))
    run_enqueued(world, timedelta(minutes=1), "A")
    assert world.accounts().keys() == {"A"}


def test_a_disabled_listener_has_no_start_time(make: Make) -> None:
    """It gets one when it is enabled."""
    world = make()
    listen(world, status="disabled")
    (sync,) = world.syncs
    assert world.tools.memory.listening.of(sync.definition, world.state, now=datetime.now(UTC)) is None
    assert world.state.watermark("listener/customers") is None


def test_the_requests_of_a_batch_are_counted(make: Make) -> None:
    """Throttled requests too, so that the metrics of real time and of batches are the same."""
    world = make()
    world.emulator.faults(
        {"action": "status", "status": 429, "retry_after": 1, "match": {"method": "POST"}, "times": 1}
    )
    summary = world.deliver(world.messages({"op": "c", "number": "A", "name": "one"}))
    traffic = summary.traffic["customers"]
    assert (traffic["throttled"], traffic["retries"]) == (1, 1)
    assert traffic["requests"] >= 2
