"""Requests of people for jobs, and cancelling them: rows in the state store, which the app processes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.definitions import SyncDefinition
from shared.definitions.models import EventsSource
from shared.definitions.models.sources.events import NO_BATCH
from shared.errors import RetryLater, UserError
from shared.state import TAKEN_BACK, Job, JobKind, JobRequest, RunRecord, RunState, StateStore

__all__ = ["keep_job", "new_request", "refuse_events_alone", "refuse_paused", "request_run", "stop", "take_back"]

# Writing a row takes milliseconds.
LEASE_SECONDS: Final = 30.0
TRIES, PAUSE = 20, 0.25
_BATCHES: Final = frozenset({JobKind.RUN, JobKind.PLAN, JobKind.APPLY, JobKind.RETRY})
"""The jobs that read rows; an undo works on what an earlier run has kept."""


def request_run(
    state: StateStore, definition: SyncDefinition, parameters: Mapping[str, str], *, force: bool, requested_by: str
) -> JobRequest:
    """Keep a job for a run in the state store.

    The app checks the values, because a formula may read an environment that only the app has.

    Args:
        state: The state store of the app.
        definition: The sync to run.
        parameters: What overrides the definition's parameters, as text.
        force: Override the safety limits.
        requested_by: Who asks, for the log.

    Returns:
        The request; an earlier one, with its id, if one for the same thing waits.

    Raises:
        UserError: The sync has no such parameter, is for events alone, or is paused.
        RetryLater: The state store is not available.
    """
    request = new_request(definition, parameters, force=force, requested_by=requested_by)
    refuse_paused(state, definition.name)
    return state.request_job(request).request


def refuse_paused(state: StateStore, sync: str) -> None:
    """Refuse a run of a sync that an undo has paused.

    Raises:
        UserError: It is paused.
        RetryLater: The state store is not available.
    """
    if (pause := state.pauses().get(sync)) is not None:
        raise UserError(str(pause))


def refuse_events_alone(definition: SyncDefinition) -> None:
    """Refuse a run or a plan of a sync that gets its rows from a listener alone.

    Raises:
        UserError: It does.
    """
    if isinstance(definition.source, EventsSource):
        raise UserError(NO_BATCH)


def new_request(
    definition: SyncDefinition,
    parameters: Mapping[str, str],
    *,
    kind: JobKind = JobKind.RUN,
    force: bool,
    requested_by: str,
) -> JobRequest:
    """A request for a job of a sync, which is not kept yet; see `request_run`.

    Raises:
        UserError: The sync has no such parameter, or is for events alone, and the job reads a source.
    """
    if kind in _BATCHES:
        refuse_events_alone(definition)
    if unknown := sorted(parameters.keys() - definition.parameters.keys()):
        known = ", ".join(sorted(definition.parameters)) or "none"
        raise UserError(f"{definition.name} has no parameter {unknown[0]}; it has: {known}")
    return JobRequest(
        id=uuid.uuid4().hex,
        sync=definition.name,
        requested=datetime.now(UTC),
        parameters=dict(parameters),
        force=force,
        requested_by=requested_by,
        kind=kind,
    )


def stop(state: StateStore, run: RunRecord, by: str) -> RunState:
    """Stop a run at its next chunk boundary, or take back a job that waits.

    Args:
        state: The state store of the app.
        run: The run, or a job that waits as `views.runs` shows it.
        by: Who asks, for the log.

    Returns:
        Running if the run will stop soon, Cancelled if the job was taken back.

    Raises:
        UserError: It has ended, and nothing goes on with it.
        RetryLater: The state store is not available.
    """
    for job in state.open_jobs():
        if job.id == run.run_id or run.run_id in job.runs:
            return _stop_job(state, job, by)
    latest = state.run(run.run_id) or run
    if latest.state != RunState.RUNNING:
        raise UserError(f"the run {run.run_id} has ended ({latest.state}): there is nothing to stop")
    lease = state.lease(f"sync/{latest.sync}")
    if lease is None or lease.holder != latest.run_id:
        raise UserError(f"the process of the run {run.run_id} ended before the run did: there is nothing to stop")
    state.cancel_run(latest.run_id, by)
    return RunState.RUNNING


def _stop_job(state: StateStore, job: Job, by: str) -> RunState:
    """Take a job back if it waits, or stop its run."""
    for _ in range(TRIES):
        if take_back(state, job, by):
            return RunState.CANCELLED
        found = state.job(job.id)
        if found is not None and found.state == RunState.CANCELLED:
            return RunState.CANCELLED
        if found is None or found.ended is not None:
            raise UserError(f"the job {job.id} has ended: there is nothing to stop")
        if not found.waits and found.request.kind.is_read_only:
            raise UserError(f"the job {job.id} has begun: it writes nothing, and ends by itself")
        if not found.waits and found.runs:
            state.cancel_run(found.runs[-1], by)
            after = state.job(job.id)
            if after is not None and (after.state, after.runs) == (found.state, found.runs):
                return RunState.RUNNING  # `keep_job` sees the mark if the run does not
        time.sleep(PAUSE)  # another process writes its row at this moment, or has just written another state
    raise RetryLater(f"The job {job.id} is being changed by other processes", retry_after=PAUSE)


def take_back(state: StateStore, job: Job, by: str) -> bool:
    """End a job that waits as Cancelled; False if it runs or has ended."""
    lease = state.acquire_lease(f"job/{job.id}", holder=uuid.uuid4().hex, seconds=LEASE_SECONDS)
    if lease is None:
        return False
    try:
        found = state.job(job.id)
        if found is None or not found.waits:
            return False
        _end_as_cancelled(state, found, f"taken back by {by}")
        return True
    finally:
        state.release_lease(lease)


def keep_job(state: StateStore, job: Job, run_id: str = "") -> Job:
    """Write the row of a job; one that waits again is ended if a person has stopped its run.

    Every way back to Queued goes through here: the mark of the person belongs to one run, and the next run has another
    id. The row is written first and the mark is read then, and `stop` does both in the other order: so either this
    function sees the mark, or `stop` sees that the job waits.

    Args:
        state: The state store of the app.
        job: The job as it is to be kept; only under its lease.
        run_id: The run that was to begin and is not among those of the job; if empty, the latest one of the job.

    Returns:
        The job as it was kept.

    Raises:
        RetryLater: The state store is not available.
    """
    state.put_job(job)
    latest = run_id or next(iter(job.runs[-1:]), "")
    by = state.cancelled_by(latest) if latest and job.waits else None
    return _end_as_cancelled(state, job, f"cancelled by {by}") if by else job


def _end_as_cancelled(state: StateStore, job: Job, said: str) -> Job:
    """End a job that waits, with a row in the execution log; under its lease."""
    now, state_name = datetime.now(UTC), RunState.CANCELLED.value
    ended = replace(job, state=state_name, ended=now, lane="", not_before=None, message=said)
    if not job.request.kind.is_read_only:
        state.begin_run(_taken_back(ended, now))
    state.put_job(ended)
    return ended


def _taken_back(job: Job, now: datetime) -> RunRecord:
    """The row that says that a job was ended in the execution log, under the id of the job where no run of it began.

    After that of a job of the schedule, and after that of a job whose runs the schedule would continue, the sync waits
    for the next time of its schedule.
    """
    about = job.request.kind.about_run
    counts_as_start = job.request.trigger == "timer" or (job.runs and not about)
    return RunRecord(
        run_id=uuid.uuid4().hex if job.runs else job.id,
        sync=job.request.sync,
        version="",
        trigger=job.request.trigger if counts_as_start else TAKEN_BACK,
        parameters=job.request.parameters,
        given=job.request.parameters,
        # It wrote nothing: the steps after the sync that an earlier run has left stay left.
        counts={"writes": 0, **({about: job.request.of} if about else {})},
        state=job.state,
        started=now,
        ended=now,
        message=job.message,
    )
