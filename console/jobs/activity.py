"""What is under way: jobs that wait, runs and questions that go on, and how far they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from shared.state import Job, JobKind, RunRecord, RunState, StateStore
from shared.views.runs import as_seen

__all__ = ["KINDS", "PLANS_OF", "Active", "Doing", "active", "phase_words", "waiting_for"]

KINDS: Final = {
    JobKind.RUN: "Run",
    JobKind.APPLY: "Apply a plan",
    JobKind.RETRY: "Retry mended rows",
    JobKind.UNDO: "Undo",
    JobKind.PLAN: "Plan",
    JobKind.UNDO_PLAN: "Plan of an undo",
    JobKind.PREVIEW: "Preview",
    JobKind.TEST: "Test",
}
PLANS_OF: Final = {JobKind.PLAN: "plans", JobKind.UNDO_PLAN: "undo-plans"}
"""The folder of the page that shows the answer of a job."""
_PHASES: Final = {
    "check": "Checking the definition",
    "load": "Loading the source",
    "shape": "Checking the rows",
    "read": "Reading Dataverse",
    "reconcile": "Comparing",
    "write": "Writing",
    "finish": "Keeping the results",
    "post_sync": "Steps after the sync",
}


def phase_words(phase: str) -> str:
    """What a run does in a phase, in words."""
    return _PHASES.get(phase, phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """How far a run or a question is.

    Attributes:
        phase: What it does, in words.
        rows: Rows that are done in this phase.
        total: Rows of the phase; None where they are not known.
        rate: Rows a second in this phase; None before the first ones.
        seconds_left: Of the phase, by its rate; None where it cannot be told.
        throttled: Requests of the run that Dataverse or the source has throttled so far.
        waits_until: Until when the next request waits for that; None where none waits.
    """

    phase: str
    rows: int
    total: int | None
    rate: float | None
    seconds_left: float | None
    throttled: int = 0
    waits_until: datetime | None = None

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Self | None:
        """What a note of `NotedProgress` says; None where there is none."""
        if not note.get("phase"):
            return None
        rows, total, seconds = int(note.get("rows") or 0), note.get("total"), float(note.get("seconds") or 0)
        rate = rows / seconds if rows and seconds > 0 else None
        left = max(0, int(total) - rows) / rate if rate and total is not None else None
        return cls(
            phase=phase_words(str(note["phase"])),
            rows=rows,
            total=total,
            rate=rate,
            seconds_left=left,
            throttled=int(note.get("throttled") or 0),
            waits_until=_ahead(note.get("waits_until")),
        )


def _ahead(text: str | None) -> datetime | None:
    """A moment that is still to come; None for one that has passed."""
    moment = datetime.fromisoformat(text) if text else None
    return moment if moment and moment > datetime.now(UTC) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """One job or run that has not ended.

    Attributes:
        id: Of the run, or of the job where it has none yet.
        link: Its page.
        cancel: Where it is cancelled; empty where it cannot be: a question that has begun ends by itself.
        what: What it is, in words.
        since: When it was asked for.
        doing: How far it is; None where it waits.
        said: Why it waits, or why its last try did not succeed.
        job: The job; None for a run that no job has.
    """

    id: str
    link: str
    cancel: str
    sync: str
    what: str
    state: str
    by: str
    since: datetime
    attempts: int
    doing: Doing | None
    said: str
    job: Job | None = None


def active(state: StateStore, syncs: Collection[str] | None, recent: Collection[RunRecord]) -> list[Active]:
    """What has not ended: jobs, and runs that no job has, newest first.

    Args:
        state: The state store.
        syncs: Names of the syncs; None for all.
        recent: The latest runs.
    """
    jobs = [job for job in state.open_jobs() if syncs is None or job.request.sync in syncs]
    owned = {run for job in jobs for run in job.runs}
    found = [_of_job(job, state) for job in jobs]
    found += [_of_run(run, state) for run in _own_runs(state, recent, owned)]
    return sorted(found, key=lambda each: each.since, reverse=True)


def _own_runs(state: StateStore, recent: Collection[RunRecord], owned: Collection[str] = ()) -> Iterator[RunRecord]:
    """Yield the runs that go on and belong to no job: of the command line, and of events."""
    for run in recent:
        if run.state == RunState.RUNNING and run.run_id not in owned:
            seen = as_seen(run, state)
            if seen.state == RunState.RUNNING:
                yield seen


def _of_job(job: Job, state: StateStore) -> Active:
    read_only, waits = job.request.kind.is_read_only, job.waits
    run = "" if read_only or waits or not job.runs else job.runs[-1]
    return Active(
        id=run or job.id,
        link=f"/jobs/{job.id}",
        cancel=f"/jobs/{job.id}/cancel" if waits or not read_only else "",
        sync=job.request.sync,
        what=KINDS[job.request.kind],
        state=job.state,
        by="the schedule" if job.request.trigger == "timer" else job.request.requested_by,
        since=job.request.requested,
        attempts=job.attempts,
        doing=None if waits else Doing.of(state.progress(run or job.id)),
        said=waiting_for(job),
        job=job,
    )


def waiting_for(job: Job) -> str:
    """Why a job waits; empty for one that does not, or whose turn comes at once."""
    if not job.waits:
        return ""
    reasons = [job.message] if job.message else []
    if job.not_before is not None:
        reasons.append(f"not before {job.not_before:%Y-%m-%d %H:%M} UTC")
    if job.lane:
        reasons.append("other jobs of its application user run first")
    return "; ".join(reasons)


def _of_run(run: RunRecord, state: StateStore) -> Active:
    return Active(
        id=run.run_id,
        link=f"/runs/{run.run_id}",
        cancel=f"/runs/{run.run_id}/cancel",
        sync=run.sync,
        what="Run",
        state=run.state,
        by="the command line" if run.trigger == "command" else run.trigger,
        since=run.started,
        attempts=0,
        doing=Doing.of(state.progress(run.run_id)),
        said="",
    )
