"""Strategy delta inserts no record twice, however the events that were applied before a crash come again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from shared.errors import RetryLater
from shared.events import Message
from shared.jobs.real_time.listeners import AT_ONCE
from shared.state import Position
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World
from tests.store_in_front import failing

DELTA = {"strategy": "delta"}


class Killed(BaseException):
    """The end of the process: nothing of the program handles it."""


def inserts(world: World, *numbers: str, **fields: Any) -> list[Message]:
    return world.messages(*({"op": "c", "number": number, **fields} for number in numbers))


def killed_at_the_checkpoint(world: World, batch: Sequence[Message], *, after: int = 0) -> None:
    """Deliver a batch; the process ends before its positions are stored, in the part after the first `after` ones."""
    stored = 0

    def end(sync: str, _: Mapping[str, Position]) -> None:
        nonlocal stored
        if sync == "customers":
            stored += 1
            if stored > after:
                raise Killed

    with world.state.acting(mark_seen=end), pytest.raises(Killed):
        world.deliver(batch)


def lookups(world: World) -> int:
    return len([entry for entry in world.emulator.log() if "/accounts?" in entry["path"]])


def expect(world: World, numbers: Collection[str]) -> None:
    """Each of these records is there once, and no event was refused because its record is there."""
    assert (set(world.accounts()), world.letters) == (set(numbers), [])


@pytest.mark.parametrize("limits", [(4,), (1,), (2, 5), (9,)])
def test_a_batch_may_come_again_in_other_batches(make: Make, limits: tuple[int, ...]) -> None:
    """The new process looks up every insert that the old one has begun, not only those of its first batch."""
    world = make(behaviour=DELTA)
    batch = inserts(world, *"ABCDEFGHIJ")
    killed_at_the_checkpoint(world, batch)
    world.tools = world.fresh_tools()
    for first, last in zip((0, *limits), (*limits, len(batch)), strict=True):
        world.deliver(batch[first:last])
    expect(world, "ABCDEFGHIJ")


@pytest.mark.parametrize("stored", [0, 1])
def test_a_batch_that_is_processed_in_parts_may_come_again(make: Make, stored: int) -> None:
    """Each part is looked up, also if positions of the parts before it are stored."""
    world = make(behaviour=DELTA)
    batch = inserts(world, *"ABCDEF", pad="x" * (AT_ONCE // 3))
    killed_at_the_checkpoint(world, batch, after=stored)
    world.tools = world.fresh_tools()
    world.deliver(batch)
    expect(world, "ABCDEF")


@pytest.mark.parametrize("killed_after", [0, 1])
def test_a_drop_that_marks_a_record_is_not_repeated_after_newer_events_of_it(make: Make, killed_after: int) -> None:
    """The batch drops a record that is not there and makes it; if it comes again, the drop would mark the new record."""
    world = make(behaviour={"dropped": "deactivate", "returned": "ignore"})
    batch = world.messages({"op": "d", "number": "A"}, {"op": "c", "number": "A"}, {"op": "c", "number": "B"})
    killed_at_the_checkpoint(world, batch, after=killed_after)
    world.tools = world.fresh_tools()
    world.deliver(batch)
    expect(world, "AB")
    assert [each["statecode"] for each in world.rows("accountnumber,statecode")] == [0, 0]


def test_a_position_is_not_stored_before_the_dead_letter_of_an_older_event(make: Make) -> None:
    """The older event of the record is refused; after the crash it is refused again, and becomes a letter."""
    world = make(behaviour={"dropped": "deactivate", "returned": "ignore"})
    long = {"op": "c", "number": "A", "name": "x" * 5000}
    batch = world.messages(long, {"op": "d", "number": "A"}, {"op": "c", "number": "A"})
    with world.state.acting(add_dead_letters=failing(Killed())), pytest.raises(Killed):
        world.deliver(batch)
    world.tools = world.fresh_tools()
    world.deliver(batch)
    assert (set(world.accounts()), [letter.sequence for letter in world.letters]) == ({"A"}, [0])


def test_a_partition_may_move_away_and_come_back(make: Make) -> None:
    """An instance cannot know what another one began meanwhile; the state store does."""
    world = make(behaviour=DELTA)
    world.deliver(inserts(world, "A"))
    here, world.tools = world.tools, world.fresh_tools()
    batch = inserts(world, "B", "C")
    killed_at_the_checkpoint(world, batch)
    world.tools = here
    for message in batch:
        world.deliver([message])
    expect(world, "ABC")


def test_events_behind_those_that_were_begun_are_not_looked_up(make: Make) -> None:
    """In steady state `delta` reads nothing; an insert of a record that is there is refused, as it says."""
    world = make(behaviour=DELTA)
    killed_at_the_checkpoint(world, inserts(world, "A", "B"))
    world.tools = world.fresh_tools()
    world.next = 0
    world.deliver(inserts(world, "A"))
    world.deliver(inserts(world, "B"))
    before = lookups(world)
    world.deliver(inserts(world, "C", "D"))
    world.deliver(inserts(world, "A"))
    assert (lookups(world), world.reasons) == (before, {4: "Failed Operation"})
    assert set(world.accounts()) == set("ABCD")


def test_nothing_is_sent_before_it_is_noted_that_it_is_begun(make: Make) -> None:
    """Without the state store the batch comes again; updates and deletes, which can be repeated, need no note."""
    world = make(behaviour=DELTA)
    world.deliver(inserts(world, "A"))
    batch, before = inserts(world, "B"), world.writes
    with (
        world.state.acting(mark_seen=failing(RetryLater("away", retry_after=1))),
        pytest.raises(RetryLater),
    ):
        world.deliver(batch)
    assert world.writes == before
    world.deliver(batch)
    marks = world.state.calls["mark_seen"]
    world.run({"op": "u", "number": "A", "name": "one"}, {"op": "d", "number": "B"})
    assert world.state.calls["mark_seen"] == marks + 1  # the positions
    assert world.accounts() == {"A": {"name": "one"}}
