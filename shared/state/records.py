"""The records that a state store keeps. All moments are aware and in UTC."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from shared.run_ids import SHORT_ID
from shared.state.job_kinds import JobKind
from shared.visible import with_value

__all__ = [
    "RETRY",
    "UNDO",
    "AuditEntry",
    "ErrorRecord",
    "ErrorRow",
    "Job",
    "JobRequest",
    "LatestRows",
    "Lease",
    "Pause",
    "PlanUse",
    "RemovedCounts",
    "RunRecord",
    "RunState",
]

RETRY: Final = "retry"
"""The trigger of a run that tried the rows in error of another run again: no schedule is decided by it."""
UNDO: Final = "undo"
"""The trigger of a run that took another run back."""


class RunState(StrEnum):
    """The states of a run, the same everywhere: execution log, JSON, terminal and metrics.

    Attributes:
        QUEUED: Asked for, and not begun.
        RUNNING: Begun; its lease holds. One whose lease has lapsed is shown as `Lost` until a tick
            marks it as Interrupted.
        SUCCEEDED: Every row was handled without an error.
        COMPLETED_WITH_ERRORS: The run reached its end, and rows were rejected or changes refused.
        REFUSED: The plan breaks a safety limit, or is not the approved one; nothing was written.
        FAILED: It could not run, or could not continue.
        INTERRUPTED: Stopped by the time limit, by the loss of its lease or by the end of its process: it is continued.
        CANCELLED: Stopped by a person.
    """

    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    COMPLETED_WITH_ERRORS = "Completed with errors"
    REFUSED = "Refused"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One row of the execution log.

    Attributes:
        version: The definition's version.
        trigger: What started the run: `timer`, `command`, `job`, `retry` or `events`; `undo` where it takes another run
            back; `definition` where nothing was started because the definition has mistakes, `taken-back` because a
            person took the request back, `retry-not-begun` because a file to mend could not be used.
        parameters: Resolved parameters as JSON-ready values; the caller has masked the secrets.
        given: Those of them that were given at the start of the run, as JSON-ready values.
        host: The machine that ran it; empty in rows of earlier versions.
        state: One of `RunState`, as text.
        ended: None while the run is active (or when its process died).
        duration: Seconds by the monotonic clock; 0 while the run is active.
        counts: The summary's JSON object; while the run is active `attempt`, which stays if the run made no progress.
        message: Why a run did not succeed; empty otherwise.
        fence: Fencing number of the lease that the run held; 0 for a run without a lease.
    """

    run_id: str
    sync: str
    version: str
    trigger: str
    state: str
    started: datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ended: datetime | None = None
    duration: float = 0.0
    counts: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    fence: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRows:
    """The ends of one sync's execution log.

    Attributes:
        run: The latest run that a timer, command or job set off; None where there is none.
        events: The latest row of events; None where there is none.
        retry: The latest run of a person's corrected rows; None where there is none.
        succeeded: When the latest run of a timer, command or job that reached its end ended; None where none did.
    """

    run: RunRecord | None = None
    events: RunRecord | None = None
    retry: RunRecord | None = None
    succeeded: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """Errors of a run that share side, class, type, column and kind of message.

    Attributes:
        side: `source`, `target` or `sync`.
        error_class: `Invalid Row` (the row was rejected), `Invalid Column` (one field was left out), `Kept Record` (it
            was not dropped) or `Failed Operation` (Dataverse refused the change).
        error_type: `Duplicate Key`, `Max Length Violation` … or the service's error code.
        column: The column's name; empty where the error is the row's.
        rows: The first row numbers, in order.
        count: How many rows in all.
        message: Of the first row, without its value; other rows of the kind may name another record or number.
        examples: The first rows as JSON-ready objects: `row`, and where known `key`, `line`, `file` and `value`.
    """

    error_class: str
    error_type: str
    count: int
    side: str = "source"
    column: str = ""
    rows: tuple[int, ...] = ()
    message: str = ""
    examples: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields by name, as `run --json` and `errors --json` have them."""
        return {
            "side": self.side,
            "class": self.error_class,
            "type": self.error_type,
            "column": self.column,
            "rows": list(self.rows),
            "count": self.count,
            "message": with_value(self.message, self.rows, self.examples),
            "examples": [dict(example) for example in self.examples],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord(ErrorRow):
    """Errors of one kind as the store keeps them: one row of the execution errors, with the id of its run."""

    run_id: str

    @classmethod
    def of(cls, run_id: str, error: ErrorRow) -> ErrorRecord:
        """The errors of a run."""
        return cls(run_id=run_id, **{each.name: getattr(error, each.name) for each in fields(ErrorRow)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to be the only one who works on something, until it expires.

    Attributes:
        name: What is leased, such as `sync/customers`.
        holder: Who holds it: any text that is unique to the process and run.
        fence: Grows with every acquisition of the name; a writer with a lower number is a holder who lost it.
        expires: About when it lapses unless renewed, for people to read: the store decides by its own clock, not by
            the time of a machine.
    """

    name: str
    holder: str
    fence: int
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a job is to do: one run of a sync, or a read-only job, which has an answer and writes nothing.

    Attributes:
        id: Unique; also the id of the job.
        requested: When it was asked for, or when the timer found the sync due.
        parameters: What overrides the definition's parameters, as text.
        force: Whether the safety limits are overridden.
        requested_by: Who asked, for the log.
        trigger: `job` for a request, `timer` for a sync that is due; the execution log has the same word.
        kind: What the job does.
        of: What it is about, such as the id of the plan that is applied; empty where nothing is to be said.
    """

    id: str
    sync: str
    requested: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    requested_by: str = ""
    trigger: str = "job"
    kind: JobKind = JobKind.RUN
    of: str = ""

    @property
    def sameness(self) -> str:
        """A digest that requests for the same thing share: of two that wait, one is enough."""
        what: list[object] = [self.trigger, self.sync, sorted(self.parameters.items()), self.force]
        if self.kind is not JobKind.RUN or self.of:  # requests of earlier versions keep their digests
            what += [self.kind.value, self.of]
        if self.kind.has_files:
            what.append(self.id)
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request with its state and result: a row that changes only under the lease `job/<id>`.

    Attributes:
        state: Queued, Running, or how it ended, as in the execution log.
        since: Since when it waits for its next run: those that have waited longest come first.
        runs: The ids of its latest runs, oldest first; the last one may be under way.
        attempts: How many of its runs in a row made no progress.
        unavailable: How many of its runs in a row found a service unavailable.
        not_before: Until when it is held back; None where it is not.
        sent: When its message was last put into the queue; None where it has none yet.
        lane: Which slots it waits for; empty where it waits for none.
        ended: None until it has ended.
        message: Why it did not succeed, or what it waits for.
    """

    request: JobRequest
    since: datetime
    state: str = RunState.QUEUED.value
    runs: tuple[str, ...] = ()
    attempts: int = 0
    unavailable: int = 0
    not_before: datetime | None = None
    sent: datetime | None = None
    lane: str = ""
    ended: datetime | None = None
    message: str = ""

    @classmethod
    def of(cls, request: JobRequest) -> Job:
        """The job of a request that was just made."""
        return cls(request=request, since=request.requested)

    @property
    def id(self) -> str:
        """The id of its request."""
        return self.request.id

    @property
    def waits(self) -> bool:
        """Whether it is yet to be run."""
        return self.state == RunState.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """That a sync does not run until a person lets it run again: its runs would apply again what was undone.

    Attributes:
        run_id: The run that paused it, which undid another one.
        by: Who started that run.
    """

    sync: str
    run_id: str
    since: datetime
    by: str = ""

    def __str__(self) -> str:
        """Why the sync does not run, and what to do."""
        return (
            f"{self.sync} is paused since {self.since:%Y-%m-%d %H:%M} UTC, because run {self.run_id[:SHORT_ID]} undid "
            f"another run. When the cause is corrected: dynamics-sync resume {self.sync}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanUse:
    """That a saved plan was applied, and by which run: it is applied once.

    Attributes:
        plan_id: Identifies the saved plan.
        checksum: The plan's checksum.
        used: When the run began to write.
    """

    plan_id: str
    checksum: str
    sync: str
    run_id: str
    used: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What a person changed or started.

    Attributes:
        id: Unique; the same id again is the same entry.
        at: When.
        by: Who: the object id of the person or application.
        name: The name of who it was, for people.
        action: What was done, such as `saved the definition`.
        sync: The sync that it was done to; empty where it was none.
        before: What was changed, as it was; empty where nothing was.
        after: The text afterwards; of a changed definition the lines that differ, as `diff -u` shows them.
    """

    id: str
    at: datetime
    by: str
    name: str
    action: str
    sync: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedCounts:
    """What one call of `StateStore.prune` removed.

    Attributes:
        more: Whether there may be more of it: call again.
    """

    runs: int = 0
    dead_letters: int = 0
    leases: int = 0
    ledgers: int = 0
    mirrors: int = 0
    jobs: int = 0
    more: bool = False
