"""Runs one job: under its lease, in a slot, and with the result in its row."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from batch_sync.slots import Slots
from batch_sync.starting import Start, StartResult
from shared.app import App
from shared.app.requested import answered, keep_answer
from shared.clock import SystemClock
from shared.definitions import SyncDefinition
from shared.errors import SyncError
from shared.jobs import NoProgress
from shared.jobs.batch.attempts import (
    MOST_RUNS,
    after_run,
    after_unavailable,
    attempts,
    ended_job,
    has_no_attempts_left,
    held_until,
    is_ahead,
    last_run,
    run_closed,
)
from shared.jobs.batch.lease_keeping import HeldLease, keeping
from shared.jobs.batch.run_log import patiently
from shared.jobs.batch.schedule import ScheduledSync, due
from shared.jobs.noted_progress import NotedProgress
from shared.jobs.requests import keep_job
from shared.redaction import cleaned
from shared.state import Job, JobQueue, NewerJobError, RunRecord, RunState
from shared.state.job_queue import NOW
from shared.telemetry import log_context

__all__ = ["ASK_AGAIN", "Worker", "job_after_run", "wait_of"]

log = logging.getLogger(__name__)

# After so long a sync that runs elsewhere, or a disk that is full, is tried again.
NOT_NOW: Final = timedelta(seconds=30)
# The message of a read-only job whose process ended: the person may still wait for the answer, or not.
ASK_AGAIN: Final = "its process ended: ask again"


class Worker:
    """Runs jobs by their ids. A message may come twice, late or too early: the row and its lease decide.

    Args:
        app: Definitions, state and runs.
        queue: Takes the messages of jobs that come again.
        deadline: Monotonic time at which a run's writer stops, None for no limit.
        now: Gives the time (aware, UTC).
        slots: The slots of the application users; None where the jobs of one process alone run.
        ending: Whether the process is to end: runs then stop before their next request.
    """

    def __init__(
        self,
        app: App,
        queue: JobQueue,
        *,
        deadline: float | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        slots: Slots | None = None,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._state = app.state
        self._queue = queue
        self._deadline = deadline
        self._now = now
        self._slots = slots
        self._ending = ending
        self._leases: dict[str, HeldLease] = {}  # of the jobs that this worker has, one for each thread

    def work(self, job_id: str) -> None:
        """Run a job, if it waits and its time has come.

        Raises:
            SyncError: The state store is unavailable; the job is found again by its row.
            Exception: An error that the program does not handle; it is in the execution log, and the job has ended.
        """
        try:
            if _is_over(self._state.job(job_id)):  # a message that came twice costs no lease
                return
        except NewerJobError as error:  # the tick of a newer version sends its message again
            log.warning("%s", error.message)
            return
        with keeping(self._state, f"job/{job_id}", uuid.uuid4().hex) as lease:
            job = self._state.job(job_id) if lease else None
            if lease is None or job is None or job.ended is not None:
                return
            self._leases[job_id] = lease
            # People see the changed definition already, so the job must not write by the old one.
            self._app.wiring.repository.look_again()
            try:
                with log_context(sync=job.request.sync):
                    if job.request.kind.is_read_only:
                        self._answer(job)
                    else:
                        self._work(job)
            finally:
                del self._leases[job_id]

    def _answer(self, job: Job) -> None:
        """Carry out a read-only job; it is tried once, and the person may ask again."""
        if not job.waits:
            self._keep(ended_job(job, RunState.FAILED, self._now(), ASK_AGAIN))
            return
        if self._keep(replace(job, state=RunState.RUNNING.value)) is None:
            return
        progress = NotedProgress(self._state, job.id, NoProgress())
        with ExitStack() as stack:
            stack.push(partial(self._keep_unanswered, job))
            keep_answer(self._app, job.id, answered(self._app, job.request, progress))
            self._keep(ended_job(job, RunState.SUCCEEDED, self._now(), ""))

    def _keep_unanswered(self, job: Job, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """End a read-only job that has no answer; unknown errors are raised again."""
        if error is None:
            return False
        known = isinstance(error, SyncError)
        said = cleaned(error.message) if isinstance(error, SyncError) else f"unforeseen: {type(error).__name__}"
        self._keep(ended_job(job, RunState.FAILED, self._now(), said))
        return known

    def _work(self, job: Job) -> None:
        if not job.waits:  # the process that ran it has ended
            after = job_after_run(self._app, job, self._now())
            if after is None:
                self._queue.send(job.id, NOT_NOW)
                return
            kept = self._keep(after)
            if kept is None:
                return
            job = kept
        if job.ended is not None or (job.not_before is not None and self._now() < job.not_before):
            return
        if self._slots is None:
            if self._run(job):
                self._wake_others(job, None, "")
            return
        lane = self._app.lane(job.request.sync, job.request.parameters)
        # Asked again after it was written down that the job waits: a slot may have been given back in between.
        if not self._run_in_slot(self._slots, job, lane):
            if job.lane != lane:
                job = replace(job, lane=lane)
                self._state.put_job(job)
            if not self._run_in_slot(self._slots, job, lane):
                log.info("%s waits for a slot of its application user", job.request.sync)

    def _run_in_slot(self, slots: Slots, job: Job, lane: str) -> bool:
        """Run a job if it gets a slot; afterwards the slot goes to the next one."""
        has_run = False
        with slots.taken(job, lane) as has_one:
            if has_one:
                has_run = self._run(job)
        if has_one:
            self._wake_others(job if has_run else None, slots, lane)
        return has_one

    def _run(self, job: Job) -> bool:
        """Run a job whose turn it is; whether a run of its sync was begun."""
        if not self._has(job):  # it waited for a state store that was unavailable
            return False
        start = Start(
            app=self._app,
            request=job.request,
            deadline=self._deadline,
            still_due=lambda last: self._is_due(job, last),
            ending=self._ending,
        )
        last = last_run(self._state, job.request.sync, self._now())
        if not self._is_due(job, last):
            self._state.remove_job(job.id)
        elif has_no_attempts_left(job, last):
            start.give_up(attempts(last))
            self._keep(ended_job(job, RunState.FAILED, self._now(), "its sync made no progress"))
        elif (held := held_until(job, last, self._now()) or self._quiet_until(job)) is not None:
            log.warning("%s is postponed until %s", job.request.sync, held.isoformat(timespec="minutes"))
            self._keep(replace(job, not_before=held))
        else:
            return self._start(job, start) in {StartResult.ENDED, StartResult.UNAVAILABLE}
        return False

    def _start(self, job: Job, start: Start) -> StartResult:
        runs = (*job.runs, start.run_id)[-MOST_RUNS:]
        begun = replace(job, state=RunState.RUNNING.value, runs=runs, lane="", not_before=None)
        self._state.put_job(begun)
        with ExitStack() as stack:
            stack.push(partial(self._keep_unforeseen, begun))
            turn = start.run()
        match turn:
            case StartResult.ENDED:
                self._keep(job_after_run(self._app, begun, self._now()) or begun)
            case StartResult.UNAVAILABLE:
                run = self._state.run(start.run_id)
                self._keep(after_unavailable(begun, self._now(), run.message if run else "a service is unavailable"))
            case StartResult.NOT_NOW if self._has(job):
                if keep_job(self._state, replace(job, lane=""), start.run_id).waits:
                    self._queue.send(job.id, NOT_NOW)
            case StartResult.NOT_DUE if self._has(job):
                self._state.remove_job(job.id)
        return turn

    def _keep_unforeseen(self, job: Job, _kind: object, error: BaseException | None, _trace: object) -> None:
        """End a job whose run ended with an error that the program does not handle: it would only come again."""
        # Where the state store is unavailable, it is not known whether the run has ended.
        if error is not None and not isinstance(error, SyncError):
            self._keep(job_after_run(self._app, job, self._now()) or job)

    def _is_due(self, job: Job, last: RunRecord | None) -> bool:
        """Whether a job is still to be run: asked under the sync's lease, with its latest run."""
        if job.request.trigger != "timer":
            return True
        definition, now = self._definition(job), self._now()
        timetable = definition.timetable if definition else None
        if definition is not None and timetable is None:  # it was switched off, or its schedule was removed
            return False
        # Without a usable definition a run that is continued fails, and the log then says why.
        if (last is not None and last.run_id in job.runs) or self._was_ahead(job):
            return True
        if timetable is None:
            return False
        return bool(due([ScheduledSync.after(last, name=job.request.sync, schedule=timetable, now=now)], now))

    def _was_ahead(self, job: Job) -> bool:
        """Whether a job continues a run that a wrong clock dates into the future."""
        run = self._state.run(job.runs[-1]) if job.runs else None
        return run is not None and is_ahead(run, self._now())

    def _quiet_until(self, job: Job) -> datetime | None:
        """The end of the quiet hours in which a job of the schedule would continue; None outside of them."""
        definition = self._definition(job) if job.request.trigger == "timer" else None
        timetable = definition.timetable if definition else None
        return timetable.held_until(self._now()) if timetable else None

    def _definition(self, job: Job) -> SyncDefinition | None:
        """The definition of the sync of a job; None where there is none, or it has mistakes."""
        return next((each for each in self._app.runnable() if each.name == job.request.sync), None)

    def _keep(self, job: Job) -> Job | None:
        """Write the result of a job, and send the message of one that comes again.

        Returns:
            The job as it was kept; None where nothing was written, because its lease was lost.
        """
        # Asked before each try: while the state store was unavailable, the lease may have lapsed.
        kept = patiently(SystemClock(), lambda: keep_job(self._state, job) if self._has(job) else None)
        if kept is None:
            log.warning(
                "The lease of a job of %s was lost: the instance that has it now decides its state", job.request.sync
            )
        elif kept.waits:
            self._queue.send(job.id, wait_of(kept, self._now()))
        return kept

    def _has(self, job: Job) -> bool:
        """Whether this worker still has the lease of a job: another may have taken it up after an outage."""
        return not self._leases[job.id].lost()

    def _wake_others(self, done: Job | None, slots: Slots | None, lane: str) -> None:
        """Wake the jobs that waited for this one: for its slot, and for the end of a run of its sync (`done`)."""
        jobs = self._state.open_jobs()
        if slots is not None:
            slots.hand_over(lane, jobs)
        same = (job for job in jobs if done and job.waits and job.request.sync == done.request.sync)
        for job in islice((job for job in same if done and job.id != done.id), 1):
            self._queue.send(job.id)


def _is_over(job: Job | None) -> bool:
    return job is None or job.ended is not None


def wait_of(job: Job, now: datetime) -> timedelta:
    """How long the queue delays the message of a job that waits."""
    return max(NOW, job.not_before - now) if job.not_before else NOW


def job_after_run(app: App, job: Job, now: datetime) -> Job | None:
    """The result of a job whose latest run is over; under the job's lease. A run that died is marked first.

    Returns:
        The job as it is to be kept; None where the lease of the run has not lapsed yet.
    """
    run = run_closed(app.state, job.runs[-1], now) if job.runs else None
    if run is not None and run.state == RunState.RUNNING:
        return None
    after = after_run(job, run, now)
    if after.ended is not None and (run is None or run.state == RunState.INTERRUPTED):
        Start(app=app, request=job.request, deadline=None, still_due=lambda _: True).give_up(after.attempts)
    return after
