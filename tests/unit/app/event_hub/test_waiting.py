"""How many events wait: the arithmetic, and asking within a bound of time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.waiting import (
    Checkpoint,
    HubWaiting,
    PartitionEnds,
    PartitionState,
    PartitionWaiting,
    Reading,
    waiting_in,
)
from shared.errors import UserError
from tests.waiting import until_true

KNOWN, AHEAD, UNKNOWN = PartitionState.KNOWN, PartitionState.AHEAD, PartitionState.UNKNOWN


@pytest.mark.parametrize(
    ("first", "last", "checkpoint", "expected"),
    [
        (0, 9, Checkpoint(sequence=9), (KNOWN, 0)),
        (0, 9, Checkpoint(sequence=4), (KNOWN, 5)),
        (0, 9, None, (KNOWN, 10)),
        (5, 9, None, (KNOWN, 5)),
        (7, 7, None, (KNOWN, 1)),
        # The hub has removed 3 and 4, which were never read: they do not wait any more.
        (5, 9, Checkpoint(sequence=2), (KNOWN, 5)),
        (0, 9, Checkpoint(sequence=10), (AHEAD, None)),
        (0, 9, Checkpoint(sequence=None), (UNKNOWN, None)),
    ],
)
def test_what_waits_is_what_came_after_the_checkpoint(
    first: int, last: int, checkpoint: Checkpoint | None, expected: tuple[PartitionState, int | None]
) -> None:
    """Without a checkpoint it is all that the partition holds; never a negative number."""
    found = waiting_in("hub/0", PartitionEnds(first=first, last=last, is_empty=False), checkpoint)
    assert (found.state, found.waiting) == expected


@pytest.mark.parametrize("checkpoint", [None, Checkpoint(sequence=50), Checkpoint(sequence=None)])
@pytest.mark.parametrize(("first", "last"), [(0, -1), (101, 100), (0, 0)])
def test_in_an_empty_partition_nothing_waits(first: int, last: int, checkpoint: Checkpoint | None) -> None:
    """Whatever its numbers are."""
    found = waiting_in("hub/0", PartitionEnds(first=first, last=last, is_empty=True), checkpoint)
    assert (found.state, found.waiting) == (KNOWN, 0)


def hub(*partitions: tuple[PartitionState, int | None]) -> HubWaiting:
    lines = (
        PartitionWaiting(partition=f"Hub/{number}", state=state, waiting=waiting)
        for number, (state, waiting) in enumerate(partitions)
    )
    return HubWaiting(reading=Reading.DONE, partitions=tuple(lines))


def test_the_sum_is_of_what_is_known() -> None:
    """With the partition in which most wait, and those of which nothing is read."""
    found = hub((KNOWN, 3), (AHEAD, None), (KNOWN, 8), (UNKNOWN, None))
    assert (found.total, found.longest and found.longest.partition) == (11, "Hub/2")
    assert [each.partition for each in found.ahead] == ["Hub/1"]
    assert found.by_partition["hub/0"].waiting == 3
    nothing, unknown = hub((KNOWN, 0)), hub((AHEAD, None))
    assert (nothing.total, nothing.longest, unknown.total, unknown.longest) == (0, None, None, None)


LINE = PartitionWaiting(partition="hub/0", state=KNOWN, waiting=1)


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def asked(read: Callable[[], tuple[PartitionWaiting, ...]], clock: Clock, patience: float = 100) -> WaitingEvents:
    return WaitingEvents(read, patience=patience, kept=15, clock=clock)


def test_an_answer_is_kept_for_some_seconds() -> None:
    """Pages that are loaded one after the other ask the hub once."""
    clock, calls = Clock(), list[float]()

    def read() -> tuple[PartitionWaiting, ...]:
        calls.append(clock())
        return (LINE,)

    waiting = asked(read, clock)
    for moment in (0, 1, 14.9, 15, 29, 30):
        clock.seconds = moment
        assert waiting.now() == HubWaiting(reading=Reading.DONE, partitions=(LINE,))
    assert calls == [0, 15, 30]


def test_a_page_does_not_wait_for_a_hub_that_does_not_answer() -> None:
    """It is asked once, however many pages are loaded; when it has answered, the next page has the number."""
    held, calls = threading.Event(), list[int]()

    def read() -> tuple[PartitionWaiting, ...]:
        calls.append(1)
        held.wait()
        return (LINE,)

    waiting = asked(read, Clock(), patience=0.01)
    assert [waiting.now().reading for _ in range(3)] == [Reading.NOT_YET] * 3
    held.set()
    until_true(lambda: waiting.now().reading is Reading.DONE)
    assert calls == [1]


def test_what_was_said_last_is_there_without_waiting() -> None:
    """Also while the hub is asked anew, or refuses."""
    clock, held, refuses = Clock(), threading.Event(), False

    def read() -> tuple[PartitionWaiting, ...]:
        held.wait()
        if refuses:
            raise UserError("give it the role")
        return (LINE,)

    waiting, known = asked(read, clock), HubWaiting(reading=Reading.DONE, partitions=(LINE,))
    assert waiting.latest() is None
    held.set()
    assert (waiting.now(), waiting.latest()) == (known, known)
    held.clear()
    clock.seconds = 300
    assert waiting.latest() == known
    refuses = True
    held.set()
    assert waiting.now().reading is Reading.FAILED
    assert waiting.latest() == known


def test_what_was_said_last_is_asked_for_rarely() -> None:
    """A program that asks for the status all the time does not ask the hub each time."""
    clock, calls = Clock(), list[float]()

    def read() -> tuple[PartitionWaiting, ...]:
        calls.append(clock())
        return (LINE,)

    waiting = asked(read, clock)
    waiting.now()
    for moment in (15, 299, 300, 314):
        clock.seconds = moment
        waiting.latest()
        assert waiting._asked is not None
        waiting._asked.result()
    assert calls == [0, 300]


def test_a_refusal_is_told_and_kept_too() -> None:
    """The next reading tries again."""
    clock, answers = Clock(), [UserError("give it the role"), None]

    def read() -> tuple[PartitionWaiting, ...]:
        if error := answers.pop(0):
            raise error
        return (LINE,)

    waiting = asked(read, clock)
    assert [waiting.now() for _ in range(2)] == [HubWaiting(reading=Reading.FAILED, reason="give it the role")] * 2
    clock.seconds = 15
    assert waiting.now().reading is Reading.DONE


def test_an_unexpected_error_hides_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """Which may name hosts or keys."""

    def read() -> tuple[PartitionWaiting, ...]:
        raise KeyError("sb://secret")

    found = asked(read, Clock()).now()
    assert (found.reading, found.reason) == (Reading.FAILED, "an unexpected error: KeyError")
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text
