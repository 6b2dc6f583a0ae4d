"""Runs that get nowhere: counted, held back, and marked when their process has died; and what becomes of their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.batch.attempts import (
    after_run,
    after_unavailable,
    attempts,
    attempts_of_retry,
    close_dead_run,
    last_run,
    last_run_closed,
    not_before,
    run_closed,
    runs_before,
    sends_again,
)
from shared.state import Job, JobRequest, RunRecord
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_run(run_id: str = "r1", *, state: str = "Running", attempt: object = 1, started: datetime = NOON) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        sync="customers",
        version="1",
        trigger="timer",
        state=state,
        started=started,
        counts={"attempt": attempt} if attempt else {},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(tmp_path / "state.db", now=lambda: NOON)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("state", "attempt", "count"),
    [
        ("Interrupted", 3, 3),
        ("Interrupted", None, 0),  # stopped in order, after it had written
        ("Failed", 5, 5),  # given up
        ("Failed", None, 0),
        ("Succeeded", 3, 0),
        ("Running", 3, 0),
        ("Interrupted", "three", 0),
        ("Interrupted", -1, 0),
    ],
)
def test_attempts_are_those_in_a_row_that_got_nowhere(state: str, attempt: object, count: int) -> None:
    """Any run that ended otherwise begins the count anew."""
    assert attempts(a_run(state=state, attempt=attempt)) == count
    assert attempts(None) == 0


def test_the_pause_grows_from_the_second_attempt_on() -> None:
    """At once, then five minutes, doubled each time, and never more than six hours."""
    pauses = []
    for attempt in range(1, 40):
        held = not_before(replace(a_run(state="Interrupted", attempt=attempt), ended=NOON), NOON)
        pauses.append(held - NOON if held else None)
    minutes = [pause // timedelta(minutes=1) if pause else None for pause in pauses]
    assert minutes[:9] == [None, 5, 10, 20, 40, 80, 160, 320, 360]
    assert set(minutes[9:]) == {360}


def test_an_end_in_the_future_holds_nothing_back_for_longer() -> None:
    """A clock that was ahead when the row was written does not count: the run's start does."""
    ahead = replace(a_run(state="Interrupted", attempt=2), ended=NOON + timedelta(days=400))
    assert not_before(ahead, NOON) == NOON + timedelta(minutes=5)


def test_a_run_whose_process_died_is_marked_once_its_lease_is_free(store: SqliteStateStore) -> None:
    """While any run holds the lease the row stays; then it is Interrupted, keeps its attempt and says so."""
    store.begin_run(a_run(attempt=2))
    lease = store.acquire_lease("sync/customers", holder="r1", seconds=60)
    assert lease is not None
    assert last_run_closed(store, "customers", NOON) == a_run(attempt=2)
    store.release_lease(lease)

    dead = last_run_closed(store, "customers", NOON)

    assert dead is not None
    assert dead == store.run("r1")
    assert (dead.state, attempts(dead), dead.ended) == ("Interrupted", 2, NOON)
    assert (
        dead.message == "its process ended before the run did; attempt 2, the next one not before 2026-11-22 12:05 UTC"
    )
    assert store.lease("sync/customers") is None


def test_a_run_that_a_person_stopped_before_its_process_died_is_cancelled(store: SqliteStateStore) -> None:
    """It counts no attempt, so that nothing goes on with it; the mark of another run does not count."""
    for run_id, by in (("r1", "ann"), ("r2", None)):
        store.begin_run(a_run(run_id, attempt=2))
        store.cancel_run("r1", "ann")
        dead = close_dead_run(store, store.run(run_id), NOON)
        assert dead is not None
        assert dead == store.run(run_id)
        assert (dead.state, attempts(dead)) == (("Cancelled", 0) if by else ("Interrupted", 2))
        assert (dead.message == "cancelled by ann; its process ended before the run did") == bool(by)


def test_a_run_that_ends_while_a_tick_looks_keeps_its_end(store: SqliteStateStore) -> None:
    """Between the row and the lease the run ended in order: its row is read again under the lease."""
    ends = StoreInFront(store, lease=lambda _: store.finish_run(a_run(state="Succeeded", attempt=None)))
    store.begin_run(a_run())
    found = last_run_closed(ends, "customers", NOON)
    assert found is not None
    assert found.state == "Succeeded"
    assert found == store.run("r1")


def test_a_row_of_an_older_version_counts_as_the_first_attempt(store: SqliteStateStore) -> None:
    """It has no attempt in its counts."""
    assert attempts(close_dead_run(store, a_run(attempt=None), NOON)) == 1


def test_a_start_in_the_future_does_not_count_but_for_some_minutes(store: SqliteStateStore) -> None:
    """Two machines may differ by minutes; a row that is further ahead was written by a wrong clock."""
    store.begin_run(a_run("now"))
    store.begin_run(a_run("far", started=NOON + timedelta(days=400)))
    found = last_run(store, "customers", NOON)
    assert found is not None
    assert found.run_id == "now"
    store.begin_run(a_run("near", started=NOON + timedelta(minutes=4)))
    found = last_run(store, "customers", NOON)
    assert found is not None
    assert found.run_id == "near"


def retry(run_id: str, minute: int, **counts: Any) -> RunRecord:
    begun = a_run(run_id, started=NOON + timedelta(minutes=minute))
    return replace(begun, trigger="retry", counts={"attempt": 1, "retry_of": "r1", **counts})


def test_a_dead_retry_is_closed_and_the_run_before_it_decides(store: SqliteStateStore) -> None:
    """The run that begins next marks it; attempts and schedule are those of the run of the source."""
    store.begin_run(a_run("r1", state="Interrupted", attempt=3))
    assert runs_before(store, "customers", NOON) == (store.run("r1"), store.run("r1"))
    store.begin_run(retry("r2", 1, attempt=2))
    dead, last = runs_before(store, "customers", NOON)
    assert (dead, last) == (store.run("r2"), store.run("r1"))
    assert dead is not None
    assert (dead.state, dead.counts["retry_of"]) == ("Interrupted", "r1")
    assert (attempts_of_retry(dead, "r1"), attempts_of_retry(dead, "r0"), attempts(last)) == (2, 0, 3)


def test_the_process_of_a_retry_that_died_is_seen_by_its_job(store: SqliteStateStore) -> None:
    """While the lease is held the row stays; afterwards it is Interrupted, and the run of the source is what is given."""
    store.begin_run(a_run("r1", state="Succeeded", attempt=None))
    store.begin_run(retry("r2", 1))
    lease = store.acquire_lease("sync/customers", holder="r2", seconds=60)
    assert lease is not None
    for state in ("Running", "Interrupted"):
        assert last_run_closed(store, "customers", NOON) == store.run("r1")
        found = store.run("r2")
        assert found is not None
        assert found.state == state
        store.release_lease(lease)
    assert last_run_closed(store, "customers", NOON) == store.run("r1")


def test_a_dead_run_is_closed_before_it_decides(store: SqliteStateStore) -> None:
    """Nothing is begun on a row that still says Running."""
    store.begin_run(a_run("r1"))
    _, found = runs_before(store, "customers", NOON)
    assert found is not None
    assert (found.run_id, found.state) == ("r1", "Interrupted")


def test_a_dead_run_whose_start_lies_in_the_future_is_closed_and_does_not_decide(store: SqliteStateStore) -> None:
    """Such a row stays the first of the list for as long as the clock was ahead."""
    store.begin_run(a_run("before", attempt=3))
    store.begin_run(a_run("far", started=NOON + timedelta(days=1)))
    latest, last = runs_before(store, "customers", NOON)
    assert latest == last == store.run("before")
    assert [(run.run_id, run.state) for run in store.runs()] == [("far", "Interrupted"), ("before", "Interrupted")]


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_a_run_is_closed_by_its_id_wherever_its_start_lies(store: SqliteStateStore, days: int) -> None:
    """While any run holds the lease the row stays."""
    store.begin_run(a_run("other", state="Succeeded", attempt=None))
    store.begin_run(a_run("dead", started=NOON + timedelta(days=days)))
    lease = store.acquire_lease("sync/customers", holder="dead", seconds=60)
    assert lease is not None
    for state in ("Running", "Interrupted"):
        found = run_closed(store, "dead", NOON)
        assert found is not None
        assert (found.state, found) == (state, store.run("dead"))
        store.release_lease(lease)
    assert run_closed(store, "none", NOON) is None
    assert store.lease("sync/customers") is None


def test_a_run_that_ends_while_it_is_asked_for_by_its_id_keeps_its_end(store: SqliteStateStore) -> None:
    """Between the row and the lease the run ended in order: its row is read again under the lease."""
    ends = StoreInFront(store, lease=lambda _: store.finish_run(a_run(state="Succeeded", attempt=None)))
    store.begin_run(a_run())
    found = run_closed(ends, "r1", NOON)
    assert found is not None
    assert found.state == "Succeeded"


def job(**changed: Any) -> Job:
    request = JobRequest(id="j1", sync="customers", requested=NOON - timedelta(hours=1))
    return replace(Job.of(request), **changed)


def ended(state: str, *, attempt: int = 0) -> RunRecord:
    counts = {"attempt": attempt} if attempt else {}
    return RunRecord(
        run_id="r1",
        sync="customers",
        version="1",
        trigger="job",
        state=state,
        started=NOON,
        message="why",
        counts=counts,
    )


class TestAfterRun:
    @pytest.mark.parametrize("state", ["Succeeded", "Completed with errors", "Refused", "Failed", "Cancelled"])
    def test_a_job_ends_as_its_run_did(self, state: str) -> None:
        """With the message of the run."""
        after = after_run(job(state="Running", lane="l"), ended(state), NOON)
        assert (after.state, after.ended, after.message, after.lane) == (state, NOON, "why", "")

    def test_an_interrupted_run_that_made_progress_goes_on_at_once_behind_the_others(self) -> None:
        """The attempts begin again."""
        after = after_run(job(state="Running", attempts=3), ended("Interrupted"), NOON)
        assert (after.state, after.since, after.not_before, after.attempts) == ("Queued", NOON, None, 0)

    @pytest.mark.parametrize(("attempt", "minutes"), [(1, 0), (2, 5), (3, 10), (4, 20)])
    def test_one_that_made_none_waits_longer_each_time(self, attempt: int, minutes: int) -> None:
        """The first repetition comes at once; a process that died before its first row counts as well."""
        until = NOON + timedelta(minutes=minutes) if minutes else None
        after = after_run(job(state="Running"), ended("Interrupted", attempt=attempt), NOON)
        assert (after.state, after.not_before, after.attempts) == ("Queued", until, attempt)
        without_row = after_run(job(state="Running", attempts=attempt - 1), None, NOON)
        assert (without_row.state, without_row.not_before, without_row.attempts) == ("Queued", until, attempt)

    @pytest.mark.parametrize("run", [ended("Interrupted", attempt=5), None])
    def test_after_five_attempts_it_is_failed(self, run: RunRecord | None) -> None:
        """It says how many there were."""
        after = after_run(job(state="Running", attempts=4), run, NOON)
        assert (after.state, after.ended, after.attempts) == ("Failed", NOON, 5)
        assert "5 runs in a row made no progress" in after.message


class TestAfterAway:
    def test_the_pauses_double_up_to_a_quarter_of_an_hour(self) -> None:
        """The job keeps its place in no list: it waits anew each time."""
        current, pauses = job(), []
        for _ in range(6):
            current = after_unavailable(current, NOON, "Dataverse is away")
            assert current.not_before is not None
            pauses.append((current.not_before - NOON) // timedelta(minutes=1))
        assert pauses == [1, 2, 4, 8, 15, 15]
        assert (current.state, current.message) == ("Queued", "Dataverse is away")

    def test_runs_that_found_a_service_away_are_no_attempts(self) -> None:
        """A process that ends after an outage is repeated at once; another outage is waited out from its start."""
        current = job(state="Running")
        for _ in range(6):
            current = after_unavailable(current, NOON, "Dataverse is away")
        after = after_run(current, None, NOON)
        assert (after.state, after.attempts, after.not_before) == ("Queued", 1, None)
        away = after_unavailable(after, NOON, "Dataverse is away")
        assert (away.attempts, away.not_before) == (1, NOON + timedelta(minutes=1))

    def test_after_a_day_it_is_failed(self) -> None:
        """A day after it was asked for."""
        assert after_unavailable(job(), NOON + timedelta(hours=22), "away").waits
        after = after_unavailable(job(), NOON + timedelta(hours=23), "away")
        assert (after.state, after.message) == ("Failed", "away")


class TestSendsAgain:
    @pytest.mark.parametrize(
        ("changed", "minutes", "again"),
        [
            ({"since": NOON}, 1.9, False),
            ({"since": NOON}, 2, True),
            ({"since": NOON, "sent": NOON + timedelta(minutes=2)}, 3.9, False),
            ({"since": NOON, "sent": NOON + timedelta(minutes=2)}, 4, True),
            ({"since": NOON, "sent": NOON + timedelta(minutes=8)}, 15.9, False),
            ({"since": NOON, "sent": NOON + timedelta(minutes=8)}, 16, True),
            ({"since": NOON, "sent": NOON - timedelta(hours=1)}, 2, True),
            ({"since": NOON, "not_before": NOON + timedelta(minutes=10)}, 11.9, False),
            ({"since": NOON, "not_before": NOON + timedelta(minutes=10)}, 12, True),
            ({"since": NOON, "state": "Running"}, 60, False),
        ],
    )
    def test_a_message_that_nobody_took_is_sent_again_after_growing_pauses(
        self, changed: dict[str, Any], minutes: float, *, again: bool
    ) -> None:
        """Counted from the moment at which the job could first be run."""
        assert sends_again(job(**changed), NOON + timedelta(minutes=minutes)) is again
