"""The status of all syncs: the last success and the next run of each, open errors, and what needs a person.

The number of requests to the state store does not grow with the syncs: only a run that is under way, and the one before
a start in the future are asked for apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from shared.clock import CLOCK_DIFFERENCE
from shared.counted import counted
from shared.run_ids import SHORT_ID
from shared.state import LatestRows, Pause, RunRecord, RunState, StateStore
from shared.views.next_runs import local_time, next_run
from shared.views.next_steps import command_line
from shared.views.runs import LOST, as_seen, records_changed, rows_in_error, rows_not_synced

if TYPE_CHECKING:  # only named here: `--help` need not wait for the definitions to load
    from shared.definitions import Loaded

__all__ = ["Need", "NeedKind", "Status", "SyncStatus", "pauses_left", "status_of"]

OVERDUE: Final = timedelta(hours=1)  # as the alert `late-syncs` has it
BAD_SHARE: Final = 5  # per cent of rows with errors that need a person, as the alert `many-bad-rows` has it
MOST_INTERRUPTIONS: Final = 3  # attempts in a row, as the alert `interrupted-runs` has it
_SUCCESS: Final = frozenset({RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS})


class NeedKind(StrEnum):
    """Why a person is needed.

    Attributes:
        DEFINITION: The definition has mistakes.
        PAUSE: The sync is paused, and does not start until a person resumes it.
        RUN: The last run failed, was refused, died, was interrupted again and again, or had many rows with errors.
        SCHEDULE: The sync has been due for a while.
        DEAD_LETTERS: Events of the sync could not be applied.
        UNCLAIMED: No listener takes some events.
        CHECKPOINT: The app reads nothing of some partitions of the event hub; only who asks the hub knows it.
    """

    DEFINITION = "definition"
    PAUSE = "pause"
    RUN = "run"
    SCHEDULE = "schedule"
    DEAD_LETTERS = "dead_letters"
    UNCLAIMED = "unclaimed"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that a person has to do.

    Attributes:
        text: What it is, without the name of the sync.
        sync: The sync; empty for events that no listener takes.
        run_id: The run that it is about; empty where it is about none.
    """

    kind: NeedKind
    text: str
    sync: str = ""
    run_id: str = ""

    @property
    def command(self) -> str:
        """The command that shows more of it; empty where there is none."""
        match self.kind:
            case NeedKind.DEFINITION:
                return command_line("validate", self.sync)
            case NeedKind.PAUSE:
                return command_line("resume", self.sync)
            case NeedKind.RUN:
                return command_line("errors", self.run_id[:SHORT_ID])
            case NeedKind.DEAD_LETTERS:
                return command_line("dead-letters", self.sync)
            case NeedKind.UNCLAIMED:
                return command_line("dead-letters", (), options=("--unclaimed",))
            case NeedKind.SCHEDULE | NeedKind.CHECKPOINT:
                return ""

    def __str__(self) -> str:
        """What it is, and the command."""
        return f"{self.text}: {self.command}" if self.command else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """One sync.

    Attributes:
        last: Its latest run, as people see it; None where it never ran.
        last_success: When the latest run that reached its end and is no retry ended.
        next_run: When its schedule starts it next, in the time zone of the schedule; in the past where it is due. None
            without a schedule.
        rows: Rows of the source in its latest run; for real time, events.
        changes: Records that this run changed.
        open_errors: Rows of that run with an error, also those of which only a field was left out, and refused changes
            of records that have no row; for real time, events that were applied without a field.
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
    needs: tuple[Need, ...]
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
            "needs": [str(need) for need in self.needs],
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
    def needs(self) -> tuple[Need, ...]:
        """What a person has to do."""
        found = [need for sync in self.syncs for need in sync.needs]
        if self.unclaimed:
            events = counted(self.unclaimed, "event that no listener takes", "events that no listener takes")
            found.append(Need(kind=NeedKind.UNCLAIMED, text=events))
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
    ordered = sorted(definitions, key=lambda each: each.name)
    latest, letters = state.latest_rows([each.name for each in ordered]), state.dead_letter_counts()
    found, pauses = _Found(state=state, now=now, letters=letters), state.pauses()
    syncs = tuple(_sync(each, latest[each.name], found, pauses.get(each.name)) for each in ordered)
    return Status(syncs=syncs, unclaimed=letters.get("", 0))


def pauses_left(definitions: Sequence[Loaded], state: StateStore) -> tuple[Need, ...]:
    """The pauses of syncs that have no definition: it was removed, or has another name now, which is not paused.

    Args:
        definitions: All of them.
        state: Keeps the pauses.

    Raises:
        RetryLater: The state store is unavailable.
    """
    known = {each.name for each in definitions}
    return tuple(
        Need(
            kind=NeedKind.PAUSE,
            text=f"it is paused since {local_time(pause.since)} and has no definition any more",
            sync=name,
        )
        for name, pause in state.pauses().items()
        if name not in known
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was read of all syncs at once."""

    state: StateStore
    now: datetime
    letters: Mapping[str, int]


def _sync(loaded: Loaded, rows: LatestRows, found: _Found, paused: Pause | None) -> SyncStatus:
    state, now, letters = found.state, found.now, found.letters.get(loaded.name, 0)
    run = as_seen(rows.run, state) if rows.run else None
    events = as_seen(rows.events, state) if rows.events else None
    retry = as_seen(rows.retry, state) if rows.retry else None
    last = max(filter(None, (run, events, retry)), key=lambda each: each.started, default=None)
    ended = [each.ended for each in (run, events) if each and each.ended and each.state in _SUCCESS]
    counts = last.counts if last else {}
    source = counts.get("source", {})
    following = None if paused else _next_run(loaded, run, found)
    needs = (
        *_of_definition(loaded),
        *_of_pause(loaded, paused),
        *_of_run(last),
        *_of_schedule(loaded, following, last, now),
        *_of_letters(loaded, letters),
    )
    return SyncStatus(
        name=loaded.name,
        last=last,
        last_success=max(filter(None, (*ended, rows.succeeded)), default=None),
        next_run=following,
        rows=source.get("processed", 0) if source else counts.get("events", 0),
        changes=records_changed(last) if last else 0,
        open_errors=_open_errors(last) if last else 0,
        dead_letters=letters,
        needs=needs,
        paused=paused,
    )


def _open_errors(run: RunRecord) -> int:
    """Rows with an error; of events, those that were applied without a field, as the others are dead letters."""
    return int(run.counts.get("left_out", 0)) if run.trigger == "events" else rows_in_error(run)


def _of_definition(loaded: Loaded) -> Iterator[Need]:
    if loaded.definition is None:
        mistakes = counted(len(loaded.problems), "mistake")
        yield Need(kind=NeedKind.DEFINITION, text=f"its definition has {mistakes}", sync=loaded.name)


def _next_run(loaded: Loaded, run: RunRecord | None, found: _Found) -> datetime | None:
    if loaded.definition is None:
        return None
    until = found.now + CLOCK_DIFFERENCE
    if run is not None and run.started > until:  # the schedule leaves such runs out
        run = found.state.last_run(loaded.name, until=until)
    return next_run(loaded.definition.timetable, run.started if run else None, found.now)


def _of_pause(loaded: Loaded, paused: Pause | None) -> Iterator[Need]:
    if paused is not None:
        yield Need(kind=NeedKind.PAUSE, text=f"it is paused since {local_time(paused.since)}", sync=loaded.name)


def _of_run(last: RunRecord | None) -> Iterator[Need]:
    if last is not None and (text := _trouble(last)):
        yield Need(kind=NeedKind.RUN, text=text, sync=last.sync, run_id=last.run_id)


def _trouble(last: RunRecord) -> str:
    """Why a run needs a person; empty where it does not."""
    match last.state:
        case RunState.FAILED | RunState.REFUSED:
            return f"the last run is {last.state}"
        case RunState.INTERRUPTED if last.counts.get("attempt", 0) >= MOST_INTERRUPTIONS:
            return f"{last.counts['attempt']} runs in a row were interrupted"
        case state if state == LOST:
            return "the process of the last run has died"
        case RunState.COMPLETED_WITH_ERRORS if last.trigger != "events":
            bad = rows_not_synced(last)
            of = last.counts.get("source", {}).get("processed", 0)
            return (
                f"{counted(bad, 'row')} of {of:,} {'was' if bad == 1 else 'were'} rejected or refused"
                if bad * 100 > BAD_SHARE * of
                else ""
            )
        case _:
            return ""


def _of_schedule(loaded: Loaded, due: datetime | None, last: RunRecord | None, now: datetime) -> Iterator[Need]:
    if due is not None and last is not None and last.state != RunState.RUNNING and now - due > OVERDUE:
        text = f"it has been due since {local_time(due)}: does the app run?"
        yield Need(kind=NeedKind.SCHEDULE, text=text, sync=loaded.name)


def _of_letters(loaded: Loaded, letters: int) -> Iterator[Need]:
    if letters:
        yield Need(kind=NeedKind.DEAD_LETTERS, text=counted(letters, "dead letter"), sync=loaded.name)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
