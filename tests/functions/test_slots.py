"""Slots of an application user: how many jobs run at once, and who comes next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_sync.pool import LocalQueue
from batch_sync.slots import Slots
from shared.state import Job, JobRequest
from shared.state.sqlite import SqliteStateStore

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Messages(LocalQueue):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def send(self, job_id: str, delay: timedelta = timedelta()) -> None:
        self.sent.append(job_id)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def waiting(state: SqliteStateStore, *names: str, lane: str = "lane") -> list[Job]:
    """Jobs that wait for a slot, the first one for the longest time."""
    jobs = []
    for name, minutes in zip(names, itertools.count()):
        request = JobRequest(id=name, sync=name, requested=NOON + timedelta(minutes=minutes))
        job = Job(request=request, since=request.requested, lane=lane)
        state.request_job(request)
        state.put_job(job)
        jobs.append(job)
    return jobs


def test_so_many_jobs_have_a_slot_and_no_more(state: SqliteStateStore) -> None:
    """Each lane has its own slots; an unknown lane has no limit."""
    slots = Slots(state, Messages(), 2)
    jobs = waiting(state, "a", "b", "c")
    with ExitStack() as stack:
        assert [stack.enter_context(slots.taken(job, "lane")) for job in jobs] == [True, True, False]
        assert stack.enter_context(slots.taken(jobs[2], "another"))
        assert stack.enter_context(slots.taken(jobs[2], ""))


def test_a_slot_goes_to_the_job_that_has_waited_longest(state: SqliteStateStore) -> None:
    """It is kept for it and its message is sent: a job that comes later does not get it."""
    messages = Messages()
    slots = Slots(state, messages, 1)
    running, first, second, late = waiting(state, "running", "first", "second", "late")
    with slots.taken(running, "lane") as has_one:
        assert has_one
        state.remove_job(running.id)
    slots.hand_over("lane", state.open_jobs())
    assert messages.sent == ["first"]
    with slots.taken(late, "lane") as has_one:
        assert not has_one
    with slots.taken(first, "lane") as has_one:
        assert has_one
        state.remove_job(first.id)
    slots.hand_over("lane", state.open_jobs())
    assert messages.sent == ["first", "second"]
    with slots.taken(second, "lane") as has_one:
        assert has_one


def test_a_slot_is_kept_for_none_that_is_held_back_or_waits_for_another(state: SqliteStateStore) -> None:
    """Nor for one that has a slot kept already."""
    messages = Messages()
    slots = Slots(state, messages, 2)
    (running,) = waiting(state, "running")
    (held,) = waiting(state, "held")
    waiting(state, "other", lane="other")
    waiting(state, "ready")
    state.put_job(
        Job(request=held.request, since=held.since, lane="lane", not_before=datetime.now(UTC) + timedelta(hours=1))
    )
    state.remove_job(running.id)
    for _ in range(2):
        with slots.taken(running, "lane") as has_one:
            assert has_one
        slots.hand_over("lane", state.open_jobs())
    assert messages.sent == ["ready"]
