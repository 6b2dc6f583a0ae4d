"""The execution log as people and programs see it: the latest runs, one run by its id, its changes and error files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import Any, Final

from shared.entities import CHANGE_COUNTS
from shared.errors import UserError
from shared.state import Job, JobRequest, RunRecord, RunState, StateStore
from shared.views.to_mend import file_to_mend, kept_to_mend, name_of_file

__all__ = [
    "LOST",
    "as_seen",
    "changes_made",
    "error_files",
    "latest_runs",
    "records_changed",
    "rows_in_error",
    "rows_not_synced",
    "run_json",
    "run_named",
    "runs_named",
    "waiting_runs",
]

SEARCHED: Final = 50  # runs that are read where several ids begin with the same text
# The same change in the counts of a batch, and in those of events.
_IN_EVENTS: Final = {
    "created": "insert",
    "updated": "update",
    "deleted": "delete",
    "expired": "expire",
    "deactivated": "deactivate",
    "marked": "mark",
    "reactivated": "reactivate",
    "upserted": "upsert",
}
_MOST_TOLD_APART: Final = 5
LATEST: Final = "last"
LOST: Final = "Lost"  # shown for a run whose lease has lapsed; the next tick marks it as interrupted


def latest_runs(state: StateStore, sync: str | None, limit: int) -> tuple[RunRecord, ...]:
    """The latest runs as people see them, newest first: with the jobs that wait, and the runs that are lost."""
    requested = [_of_job(Job.of(request)) for request in waiting_runs(state) if sync in (None, request.sync)]
    logged = [as_seen(run, state) for run in state.runs(sync, limit)]
    return tuple(sorted([*requested, *logged], key=lambda run: run.started, reverse=True)[:limit])


def waiting_runs(state: StateStore) -> Iterator[JobRequest]:
    """The requests for runs that wait, oldest first; read-only jobs are no runs."""
    yield from (request for request in state.job_requests() if not request.kind.is_read_only)


def _of_job(job: Job) -> RunRecord:
    """A job that waits, whose run has no row yet, or that has ended without a run, as a run."""
    request = job.request
    return RunRecord(
        run_id=job.id,
        sync=request.sync,
        version="",
        trigger=request.trigger,
        state=job.state if job.ended else RunState.QUEUED.value,
        started=request.requested,
        parameters=request.parameters,
        given=request.parameters,
        ended=job.ended,
        message=job.message,
    )


def as_seen(run: RunRecord, state: StateStore) -> RunRecord:
    """A row of the execution log with the state that people are shown.

    A run that has lost its lease is Lost. Earlier versions wrote Failed for a run that reached its end with errors.
    """
    if run.state == RunState.FAILED and (run.counts.get("completed") is True or run.trigger == "events"):
        return replace(run, state=RunState.COMPLETED_WITH_ERRORS.value)
    if run.state != RunState.RUNNING or _is_alive(run, state):
        return run
    # It may have ended in order since its row was read.
    latest = state.run(run.run_id) or run
    return replace(latest, state=LOST) if latest.state == RunState.RUNNING else latest


def _is_alive(run: RunRecord, state: StateStore) -> bool:
    lease = state.lease(f"sync/{run.sync}")
    return lease is not None and lease.holder == run.run_id


def run_named(text: str, state: StateStore) -> RunRecord:
    """Find a run by its id, by the beginning of it, or as `last`, as people see it; the run of a job by the job's id.

    Raises:
        UserError: There is none, or more than one.
    """
    if not text.strip():
        raise UserError(f"a run is named by its id, by the beginning of it, or as `{LATEST}`; this name is empty")
    match runs_named(text, state):
        case [only]:
            return as_seen(only, state)
        case [] if text == LATEST:
            raise UserError("There is no run yet")
        case []:
            raise UserError(f"There is no run {text}. `dynamics-sync runs` lists them")
        case several:
            raise UserError(f"{len(several)} runs have an id that starts with {text}: {_distinguished(several)}")


def runs_named(text: str, state: StateStore) -> list[RunRecord]:
    """The runs of this id, or else those whose id begins with it; `last` is the latest one; an empty text is none.

    The id may be that of a job: then its latest run is meant.
    """
    if not text.strip():
        return []
    if found := state.run(text):
        return [found]
    if text == LATEST:
        return list(state.runs(limit=1))
    if job := state.job(text):
        return [_run_of(job, state)]
    jobs = [job for job in state.jobs_starting(text, limit=SEARCHED) if not job.request.kind.is_read_only]
    runs = [*(_run_of(job, state) for job in jobs), *state.runs_starting(text, limit=SEARCHED)]
    return sorted({run.run_id: run for run in runs}.values(), key=lambda run: run.started, reverse=True)


def _run_of(job: Job, state: StateStore) -> RunRecord:
    """The latest run of a job; the job itself where it waits or has none."""
    run = state.run(job.runs[-1]) if job.runs and not job.waits else None
    return run or _of_job(job)


def _distinguished(runs: Sequence[RunRecord]) -> str:
    """The first runs of several, each with the facts that identify it for a person."""
    shown = [f"{run.run_id} ({run.sync}, {run.started:%Y-%m-%d %H:%M})" for run in runs[:_MOST_TOLD_APART]]
    return f"{', '.join(shown)}{', …' if len(runs) > len(shown) else ''}; write more of the id"


def run_json(run: RunRecord) -> dict[str, Any]:
    """A row of the execution log as JSON values."""
    moments = {"started": run.started.isoformat(), "ended": run.ended.isoformat() if run.ended else None}
    return asdict(run) | moments


def changes_made(counts: Mapping[str, Any]) -> dict[str, int]:
    """The records that a run or events changed, by kind of change; kinds without records are left out.

    Args:
        counts: Of a row of the execution log: of a batch, of events, or the sums of several rows of events.
    """
    made = {name: counts.get(name, {}).get("done", 0) for name in CHANGE_COUNTS}
    made |= {name: counts[of_events] for name, of_events in _IN_EVENTS.items() if of_events in counts}
    made |= {name: counts.get(name, 0) for name in ("adopted", "failed")}
    return {name: count for name, count in made.items() if count}


def records_changed(run: RunRecord) -> int:
    """How many records a run changed, or the events of one row of the log; 0 where it has not come so far."""
    made = changes_made(run.counts) if run.trigger == "events" or "strategy" in run.counts else {}
    return sum(made.values()) - made.get("failed", 0)


def rows_in_error(run: RunRecord) -> int:
    """How many rows of a batch run have an error; of an earlier version, which has not kept it, those not synced."""
    return int(run.counts.get("rows_in_error", rows_not_synced(run)))


def rows_not_synced(run: RunRecord) -> int:
    """How many rows of a batch run were rejected, and how many of its changes were refused."""
    return int(run.counts.get("source", {}).get("rejected", 0)) + int(run.counts.get("failed", 0))


def error_files(state: StateStore, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name without a folder, CSV in UTF-8) for each error file of the run, and for its rows to mend."""
    for path in state.files(run_id):
        yield PurePath(path).name, state.file(run_id, path) or b""
    rows, _ = kept_to_mend(state, run_id)
    if rows and rows.rows:
        yield name_of_file(run_id), file_to_mend(rows)
