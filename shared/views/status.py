"""The status of all syncs: the last success and the next run of each, open errors, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.counted import counted
from shared.run_ids import SHORT_ID
from shared.state import RETRY, Pause, RunRecord, RunState, StateStore
from shared.views.next_runs import local_time, next_run
from shared.views.next_steps import command_line
from shared.views.runs import LOST, as_seen, changes_made

if TYPE_CHECKING:  # only named here: `--help` need not wait for the definitions to load
    from shared.definitions import Loaded

__all__ = ["Status", "SyncStatus", "status_of"]

SEARCHED: Final = 50  # latest runs of a sync among which its last success is looked for
OVERDUE: Final = timedelta(hours=1)  # as the alert `late-syncs` has it
BAD_SHARE: Final = 5  # per cent of rows with errors that need a person, as the alert `many-bad-rows` has it
MOST_INTERRUPTIONS: Final = 3  # attempts in a row, as the alert `interrupted-runs` has it
_SUCCESS: Final = frozenset({RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """One sync.

    Attributes:
        last: Its latest run, as people see it; None where it never ran.
        last_success: When the latest run that reached its end and is no retry ended, of the latest 50.
        next_run: When its schedule starts it next, in the time zone of the schedule; in the past where it is due. None
            without a schedule.
        rows: Rows of the source in its latest run; for real time, events.
        changes: Records that this run changed.
        open_errors: Rows of that run with an error.
        dead_letters: Its events that could not be applied.
        needs: What a person has to do; empty if nothing.
        paused: Why it does not run; None where it is not paused.
    """

    name: str
    last: RunRecord | None
    last_success: datetime | None
    next_run: datetime | None
    rows: int
    changes: int
    open_errors: int
    dead_letters: int
    needs: tuple[str, ...]
    paused: Pause | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "sync": self.name,
            "state": self.last.state if self.last else None,
            "run_id": self.last.run_id if self.last else None,
            "last_end": _iso(self.last.ended if self.last else None),
            "last_success": _iso(self.last_success),
            "next_run": _iso(self.next_run),
            "rows": self.rows,
            "changes": self.changes,
            "open_errors": self.open_errors,
            "dead_letters": self.dead_letters,
            "needs": list(self.needs),
            "paused": self.paused.since.isoformat() if self.paused else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All syncs.

    Attributes:
        unclaimed: Events that no listener takes.
    """

    syncs: tuple[SyncStatus, ...]
    unclaimed: int

    @property
    def needs(self) -> tuple[str, ...]:
        """What a person has to do, one sentence each, with the name of the sync."""
        found = [f"{sync.name}: {need}" for sync in self.syncs for need in sync.needs]
        if self.unclaimed:
            events = counted(self.unclaimed, "event that no listener takes", "events that no listener takes")
            found.append(f"{events}: {command_line('dead-letters', '--unclaimed')}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "syncs": [sync.to_json() for sync in self.syncs],
            "unclaimed": self.unclaimed,
            "needs_a_person": bool(self.needs),
        }


def status_of(definitions: Sequence[Loaded], state: StateStore, now: datetime) -> Status:
    """The status of all syncs that have a definition.

    Raises:
        RetryLater: The state store is unavailable.
    """
    pauses = state.pauses()
    syncs = tuple(
        _sync(loaded, state, now, pauses.get(loaded.name)) for loaded in sorted(definitions, key=lambda each: each.name)
    )
    return Status(syncs=syncs, unclaimed=state.count_dead_letters(""))


def _sync(loaded: Loaded, state: StateStore, now: datetime, paused: Pause | None) -> SyncStatus:
    runs = [run for run in state.runs(loaded.name, SEARCHED) if run.trigger != "definition"]
    last = as_seen(runs[0], state) if runs else None
    ended = (run for run in runs if run.trigger != RETRY and as_seen(run, state).state in _SUCCESS)
    success = next(ended, None)
    counts = last.counts if last else {}
    source = counts.get("source", {})
    letters = state.count_dead_letters(loaded.name)
    following = None if paused else _next_run(loaded, runs, now)
    needs = (
        *_of_definition(loaded),
        *([f"it is paused since {local_time(paused.since)}: {command_line('resume', loaded.name)}"] if paused else []),
        *_of_run(last),
        *_of_schedule(following, last, now),
        *_of_letters(loaded, letters),
    )
    return SyncStatus(
        name=loaded.name,
        last=last,
        last_success=success.ended if success else None,
        next_run=following,
        rows=source.get("processed", 0) if source else counts.get("events", 0),
        changes=sum(changes_made(counts).values()) - counts.get("failed", 0) if "strategy" in counts else 0,
        open_errors=sum(error.count for error in state.errors(last.run_id)) if last else 0,
        dead_letters=letters,
        needs=needs,
        paused=paused,
    )


def _next_run(loaded: Loaded, runs: Sequence[RunRecord], now: datetime) -> datetime | None:
    started = next((run.started for run in runs if run.trigger not in {"events", RETRY}), None)
    return next_run(loaded.definition.timetable, started, now) if loaded.definition else None


def _of_definition(loaded: Loaded) -> Iterator[str]:
    if loaded.definition is None:
        mistakes = counted(len(loaded.problems), "mistake")
        yield f"its definition has {mistakes}: {command_line('validate', loaded.name)}"


def _of_run(last: RunRecord | None) -> Iterator[str]:
    if last is None:
        return
    see = command_line("errors", last.run_id[:SHORT_ID])
    match last.state:
        case RunState.FAILED | RunState.REFUSED:
            yield f"the last run is {last.state}: {see}"
        case RunState.INTERRUPTED if last.counts.get("attempt", 0) >= MOST_INTERRUPTIONS:
            yield f"{last.counts['attempt']} runs in a row were interrupted: {see}"
        case state if state == LOST:
            yield f"the process of the last run has died: {see}"
        case RunState.COMPLETED_WITH_ERRORS if last.trigger != "events":
            bad = last.counts.get("source", {}).get("rejected", 0) + last.counts.get("failed", 0)
            of = last.counts.get("source", {}).get("processed", 0)
            if bad * 100 > BAD_SHARE * of:
                yield f"{counted(bad, 'row')} of {of:,} have errors: {see}"


def _of_schedule(due: datetime | None, last: RunRecord | None, now: datetime) -> Iterator[str]:
    if due is not None and last is not None and last.state != RunState.RUNNING and now - due > OVERDUE:
        yield f"it has been due since {local_time(due)}: does the app run?"


def _of_letters(loaded: Loaded, letters: int) -> Iterator[str]:
    if letters:
        yield f"{counted(letters, 'dead letter')}: {command_line('dead-letters', loaded.name)}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
