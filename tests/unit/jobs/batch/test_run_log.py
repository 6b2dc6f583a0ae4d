"""How a run's end comes into the execution log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.definitions import load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.errors import AbortRun, RetryLater, StalePlanError, UnsafePlanError, UserError
from shared.jobs import ErrorRow, RunState, RunSummary
from shared.jobs.batch.attempts import attempts, close_dead_run, end_of_writes
from shared.jobs.batch.run_log import RunLog, end_of
from shared.jobs.summary import ChangeCounts
from shared.state import RunRecord
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront, failing

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """Time that passes by sleeping alone."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(slots=True)
class Logged:
    """A run that has begun, with a store that answers again when the clock says so."""

    store: StoreInFront
    clock: Clock
    back: float = 0.0
    log: RunLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = RunLog(
            state=self.store,
            clock=self.clock,
            run_id="r1",
            definition=load_definition(EXAMPLE),
            environment="crm.example",
            trigger="timer",
            started=NOON,
            attempt=3,
        )
        self.log.begin()
        self.store.before = dict.fromkeys(("finish_run", "add_errors", "put_file"), self._answer)

    def _answer(self, *_: object) -> None:
        if self.clock.seconds < self.back:
            raise RetryLater("The state store is away", retry_after=10)

    @property
    def row(self) -> RunRecord:
        row: RunRecord | None = self.store.run("r1")
        assert row is not None
        return row


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    store = StoreInFront(SqliteStateStore(tmp_path / "state.db"))
    yield Logged(store, Clock())
    store.close()


def ended(state: RunState = RunState.SUCCEEDED, *, writes: int = 0) -> RunSummary:
    return RunSummary(run_id="r1", sync="customers", state=state, strategy="full", writes=writes, message="why")


@pytest.mark.parametrize("seconds", [0, 9, 60, 110])
def test_the_end_waits_for_a_store_that_is_away(logged: Logged, seconds: float) -> None:
    """For longer than a lease holds: what is not in the log would be run again."""
    logged.back = seconds
    logged.log.end(ended())
    assert (logged.row.state, logged.row.message) == ("Succeeded", "why")
    assert logged.clock.seconds < 130


def test_errors_and_files_wait_too(logged: Logged) -> None:
    """They are written before the end."""
    logged.back = 30
    error = ErrorRow(
        side="source", error_class="Invalid Row", error_type="Duplicate Key", column="", rows=(1,), count=1
    )
    logged.log.keep([error], [("r1_SourceErrors.csv", b"Row")])
    assert [each.error_type for each in logged.store.errors("r1")] == ["Duplicate Key"]
    assert logged.store.file("r1", "r1_SourceErrors.csv") == b"Row"


def test_a_store_that_stays_away_is_an_error_in_the_end(logged: Logged) -> None:
    """After two minutes, so that the process can do something else; the message has what the log has not."""
    logged.back = float("inf")
    done = replace(ended(), created=ChangeCounts(done=3000, planned=3000), deleted=ChangeCounts(done=1, planned=1))
    with pytest.raises(RetryLater, match=r"is away\. The end .* not in the log: Succeeded, 3,001 records were written"):
        logged.log.end(done)
    assert 60 <= logged.clock.seconds <= 120
    assert logged.row.state == "Running"


def test_all_that_a_run_writes_at_its_end_waits_two_minutes_together(logged: Logged) -> None:
    """Although small writes may succeed in between, as on a disk that is full."""
    logged.back = 60
    logged.log.keep([], [("r1_SourceErrors.csv", b"Row")])
    logged.back = float("inf")
    with pytest.raises(RetryLater):
        logged.log.keep([], [("r1_SourceErrors.csv", b"")])
    with pytest.raises(RetryLater):
        logged.log.end(ended())
    assert 110 <= logged.clock.seconds <= 120


def test_a_store_that_comes_back_late_takes_the_end(logged: Logged) -> None:
    """What was given up before it does not matter."""
    logged.back = float("inf")
    with pytest.raises(RetryLater):
        logged.log.keep([], [("r1_SourceErrors.csv", b"")])
    logged.back = 0
    logged.log.end(ended(RunState.FAILED))
    assert logged.row.state == "Failed"


def test_a_store_that_refuses_is_not_waited_for(logged: Logged) -> None:
    """Waiting would change nothing; the message has what the log has not."""
    done = replace(ended(), created=ChangeCounts(done=2, planned=2))
    told = r"no\. The end .* not in the log: Succeeded, 2 records were written"
    with logged.store.acting(finish_run=failing(AbortRun("no"))), pytest.raises(AbortRun, match=told):
        logged.log.end(done)
    assert logged.clock.seconds == 0


def test_where_a_run_writes_is_known_from_its_start_on(logged: Logged) -> None:
    """Also if its process dies: an undo and a retry of its rows need it."""
    facts = {"environment": "crm.example", "entity": "account", "strategy": "full"}
    assert logged.row.counts == {"attempt": 3, **facts}
    dead = close_dead_run(logged.store, logged.row, NOON)
    assert dead is not None
    assert {name: dead.counts[name] for name in facts} == facts
    assert end_of_writes(dead) is None
    logged.log.end(ended())
    assert (logged.row.counts["entity"], end_of_writes(logged.row)) == ("account", logged.row.ended)


@pytest.mark.parametrize(
    ("state", "writes", "count"),
    [
        (RunState.INTERRUPTED, 0, 3),
        (RunState.INTERRUPTED, 1, 0),
        (RunState.SUCCEEDED, 0, 0),
        (RunState.FAILED, 0, 0),
        (RunState.CANCELLED, 0, 0),
    ],
)
def test_a_run_that_was_interrupted_before_it_wrote_counts_as_an_attempt(
    logged: Logged, state: RunState, writes: int, count: int
) -> None:
    """A run that wrote has made progress, and the next one continues."""
    assert logged.row.counts["attempt"] == 3
    logged.log.end(ended(state, writes=writes))
    assert attempts(logged.row) == count


@pytest.mark.parametrize(
    ("error", "trigger", "state", "said"),
    [
        (UnsafePlanError("too many"), "timer", RunState.REFUSED, "too many"),
        (StalePlanError("moved"), "command", RunState.REFUSED, "moved"),
        (UserError("no file"), "timer", RunState.FAILED, "no file"),
        (RetryLater("away", retry_after=1), "timer", RunState.FAILED, "away"),
        (KeyboardInterrupt(), "command", RunState.CANCELLED, "stopped by a person"),
        (KeyboardInterrupt(), "timer", RunState.INTERRUPTED, "its process was asked to end"),
        (SystemExit(1), "timer", RunState.INTERRUPTED, "its process was asked to end"),
        (ValueError("Zebra GmbH"), "timer", RunState.FAILED, "does not handle (ValueError)"),
    ],
)
def test_whatever_ends_a_run_has_a_state_and_a_reason_without_row_values(
    error: BaseException, trigger: str, state: RunState, said: str
) -> None:
    """The message of an error that the program does not handle may quote a row: its type is what is kept."""
    found, message = end_of(error, trigger=trigger)
    assert found is state
    assert said in message
    assert "Zebra" not in message
