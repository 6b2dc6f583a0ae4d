"""Runs that get nowhere: counted, held back, and marked when their process has died."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.jobs.batch.attempts import attempts, close_dead_run, last_run, last_run_settled, not_before
from shared.state import RunRecord
from shared.state.sqlite import SqliteStateStore

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
    assert last_run_settled(store, "customers", NOON) == a_run(attempt=2)
    store.release_lease(lease)

    dead = last_run_settled(store, "customers", NOON)

    assert dead is not None
    assert dead == store.run("r1")
    assert (dead.state, attempts(dead), dead.ended) == ("Interrupted", 2, NOON)
    assert (
        dead.message == "its process ended before the run did; attempt 2, the next one not before 2026-11-22 12:05 UTC"
    )
    assert store.lease("sync/customers") is None


def test_a_run_that_ends_while_a_tick_looks_keeps_its_end(tmp_path: Path) -> None:
    """Between the row and the lease the run ended in order: its row is read again under the lease."""

    class EndsMeanwhile(SqliteStateStore):
        def lease(self, name: str) -> None:
            self.finish_run(a_run(state="Succeeded", attempt=None))

    store = EndsMeanwhile(tmp_path / "state.db")
    store.begin_run(a_run())
    found = last_run_settled(store, "customers", NOON)
    assert found is not None
    assert found.state == "Succeeded"
    assert found == store.run("r1")
    store.close()


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
