"""Progress that is noted in the state store: few notes, and the last one is right."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import RetryLater
from shared.jobs.noted_progress import NotedProgress
from shared.jobs.progress import NoProgress, Phase
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront, failing


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StoreInFront]:
    """A store whose count begins at 0."""
    store = StoreInFront(SqliteStateStore(tmp_path / "state.db"))
    yield store
    store.close()


def test_threads_together_write_one_note_every_two_seconds(state: StoreInFront) -> None:
    """However many of them report rows, and none of the rows is lost."""
    clock = [0.0]
    noted = NotedProgress(state, "r", NoProgress(), {"by": "Ann"}, clock=lambda: clock[0])
    noted.phase(Phase.WRITE, 1000)
    with ThreadPoolExecutor(8) as threads:
        for second in range(1, 7):
            clock[0] = float(second)
            list(threads.map(noted.advance, [1] * 100))
    assert state.calls["note_progress"] == 4  # when the phase began, and after 2, 4 and 6 seconds
    clock[0] = 8.0
    noted.advance(1)
    shown = {"by": "Ann", "phase": "write", "rows": 601, "total": 1000, "seconds": 8.0}
    assert state.progress("r") == shown


def test_each_phase_is_noted_when_it_begins(state: StoreInFront) -> None:
    """Also one that follows at once; a phase without a known number of rows has no total."""
    noted = NotedProgress(state, "r", NoProgress(), clock=lambda: 0.0)
    noted.phase(Phase.LOAD, 5)
    noted.advance(5)
    noted.phase(Phase.SHAPE)
    assert state.calls["note_progress"] == 2
    assert state.progress("r") == {"phase": "shape", "rows": 0, "total": None, "seconds": 0.0}


def test_a_store_that_is_away_changes_nothing(state: StoreInFront) -> None:
    """The run continues, and the next note is written."""
    noted = NotedProgress(state, "r", NoProgress(), clock=lambda: 0.0)
    with state.acting(note_progress=failing(RetryLater("away", retry_after=1))):
        noted.phase(Phase.LOAD)
    noted.phase(Phase.SHAPE)
    assert state.progress("r")["phase"] == "shape"


def test_a_wait_is_noted_when_it_begins_and_rarely_while_it_lasts(state: StoreInFront) -> None:
    """Its number of throttled requests and its end; another wait is noted at once."""
    clock, until = [0.0], datetime(2026, 1, 31, 12, tzinfo=UTC)
    noted = NotedProgress(state, "r", NoProgress(), clock=lambda: clock[0])
    noted.phase(Phase.WRITE, 10)
    for place in range(10):  # a burst, whose requests are told to wait for nearly as long
        noted.throttled(1 + place, until + timedelta(milliseconds=10 * place))
    assert state.calls["note_progress"] == 2
    assert (state.progress("r")["throttled"], state.progress("r")["waits_until"]) == (1, until.isoformat())
    for tenth in range(1, 600):
        clock[0] = tenth / 10
        noted.throttled(10, until)
    assert (state.calls["note_progress"], state.progress("r")["throttled"]) == (3, 10)
    noted.throttled(11, until + timedelta(minutes=1))
    assert (state.calls["note_progress"], state.progress("r")["throttled"]) == (4, 11)
    noted.phase(Phase.FINISH)
    assert state.progress("r")["throttled"] == 11


def test_threads_that_are_throttled_together_write_one_note(state: StoreInFront) -> None:
    """All of them wait until the same moment."""
    noted = NotedProgress(state, "r", NoProgress(), clock=lambda: 0.0)
    until = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: noted.throttled(number, until), range(1, 100)))
    assert state.calls["note_progress"] == 1
