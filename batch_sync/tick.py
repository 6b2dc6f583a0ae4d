"""One tick of the timer: it finds what is due and what was left behind, and sends each job to the queue."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from batch_sync.cleanup import clean_up
from batch_sync.left_behind import take_up
from batch_sync.poison import remove_poisoned
from batch_sync.pool import LocalQueue, Pool, Work
from batch_sync.problems import report_problems
from batch_sync.slots import Slots
from batch_sync.waiting import REPORT
from batch_sync.worker import Worker
from shared.app import App, current
from shared.definitions import Timetable
from shared.errors import RetryLater, StoreRefusedError, SyncError
from shared.jobs.batch.attempts import attempts, last_runs_closed, sends_again
from shared.jobs.batch.lease_keeping import keeping
from shared.jobs.batch.schedule import ScheduledSync, due, overdue_seconds
from shared.settings import environment, function_time_limit
from shared.state import Job, JobQueue, JobRequest, RunRecord
from shared.telemetry import record_tick

__all__ = ["Tick", "run_job", "run_tick"]

log = logging.getLogger(__name__)

# The writer stops at a chunk boundary, which may take one slow request; then errors and log are written.
SPARE_SHARE, SPARE_MOST = 0.1, 120.0
# Jobs that are made, and messages that are sent, at the same time.
AT_ONCE: Final = 8
# Seconds between two looks for syncs that become due, while jobs run in this process.
DUE_SECONDS: Final = 5.0
# If the state store was unavailable, the message of the job is sent again with this delay.
SECOND_MESSAGE_AFTER: Final = timedelta(minutes=1)
# The folder of host.json.
APP_FOLDER = Path(__file__).resolve().parents[1]


def run_tick(*, late: bool) -> None:
    """Do what is due now, with this process' app and the host's time limit."""
    Tick(app=current(), now=datetime.now(UTC), seconds=_seconds()).run(late=late)


def run_job(job_id: str) -> None:
    """Run one job, with this process' app and the host's time limit; see `Worker.work`."""
    app = current()
    if app.queue is None:
        log.warning("A job was delivered, and STATE_STORE is a file: the timer runs the jobs of a file")
        return
    slots = Slots(app.state, app.queue, app.settings.jobs_per_user)
    try:
        Worker(app, app.queue, deadline=deadline_after(_seconds()), slots=slots).work(job_id)
    except (RetryLater, StoreRefusedError) as error:
        # The host counts how often it delivers a message. The job did not cause the outage, and no role that is
        # missing for some minutes: a new message is sent.
        log.error("A job is tried again in a minute: %s", error.message)  # noqa: TRY400 - an outage: no traceback
        app.queue.send(job_id, SECOND_MESSAGE_AFTER)


def deadline_after(seconds: float | None) -> float | None:
    """The monotonic time at which a writer stops, so that a call of so many seconds ends in order."""
    return None if seconds is None else time.monotonic() + seconds - min(seconds * SPARE_SHARE, SPARE_MOST)


def _seconds() -> float | None:
    limit = function_time_limit(environment(), APP_FOLDER)
    return limit.total_seconds() if limit is not None else None


class Tick:
    """What one tick does.

    Args:
        app: Definitions, state and runs.
        now: The moment of the tick, aware, in UTC.
        seconds: How long the tick may take; None for no limit.
    """

    def __init__(self, *, app: App, now: datetime, seconds: float | None) -> None:
        self._app = app
        self._state = app.state
        self._begin, self._begun = now, time.monotonic()
        self._deadline = deadline_after(seconds)
        self._opened: dict[str, datetime] = {}
        self._tried: dict[str, int] = {}
        self._next_due = 0.0
        self._recorded = False
        self._broken: Mapping[str, float] = {}

    def now(self) -> datetime:
        """The moment of the tick, and what has passed since."""
        return self._begin + timedelta(seconds=time.monotonic() - self._begun)

    def run(self, *, late: bool = False) -> None:
        """Look for jobs, and give them to the queue, or run them here where the state is a file of this machine.

        A run that fails is logged and keeps no other from running.

        Raises:
            RetryLater: The state store is unavailable.
            ExceptionGroup: Runs ended with errors that the program does not handle; all others were finished first.
        """
        clean_up(self._app, self._begin)
        self._broken = report_problems(self._app, self._begin)
        self._note_listeners()
        if late:
            log.info("The timer is late")
        if self._app.queue is not None:
            self.look(self._app.queue)
            REPORT.report(self._app)  # at the end: a slow hub keeps no sync from its start
        else:
            REPORT.report(self._app)  # before runs that may take hours
            self._run_here()

    def look(self, queue: JobQueue) -> None:
        """Take up what was left behind, make jobs for what is due, and send the messages."""
        remove_poisoned(self._app, queue, self.now())
        known = self._state.open_jobs()
        take_up(self._app, queue, known, self.now)
        new = self._open_due(known)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda job: queue.send(job.id), new))
        for job in known:
            if sends_again(job, self.now()):
                self._send_again(queue, job)
        log.info("%d syncs are due, and %d jobs were open already", len(new), len(known))

    def _run_here(self) -> None:
        queue = LocalQueue()
        worker = Worker(self._app, queue, deadline=self._deadline, now=self.now)
        take_up(self._app, queue, self._state.open_jobs(), self.now)
        pool = Pool(queue, worker.work, self._find, now=self.now, deadline=self._deadline)
        _raise_unforeseen(pool.run())

    def _find(self) -> Work:
        """What there is to do in this process; every few seconds with what has become due."""
        known = self._state.open_jobs()
        if time.monotonic() >= self._next_due:
            known = (*known, *self._open_due(known))
            self._next_due = time.monotonic() + DUE_SECONDS
        return Work(jobs=known, tried=self._tried)

    def _note_listeners(self) -> None:
        """Keep the moment from which on a new listener takes events, although no event may come for days."""
        listening = [each for each in self._app.runnable() if each.listener]
        if listening:  # apps without real time do not load it
            self._app.event_tools.memory.listening.note(listening, self._state, now=self._begin)

    # -- What is due ---------------------------------------------------------------------------------------------

    def _open_due(self, known: tuple[Job, ...]) -> tuple[Job, ...]:
        """Make a job for each sync that is due: the row first, so that no message is lost without a trace."""
        now, definitions = self.now(), self._app.runnable()
        last = last_runs_closed(self._state, [each.name for each in definitions], now)
        self._tried = {name: attempts(run) for name, run in last.items()}
        paused = self._state.pauses()
        clocks = {each.name: each.timetable for each in definitions if each.timetable and each.name not in paused}
        owned = {run for job in known for run in job.runs[-1:]}
        scheduled = [self._scheduled(name, schedule, last.get(name), owned) for name, schedule in clocks.items()]
        if not self._recorded:
            late = {each.name: seconds for each in scheduled if (seconds := overdue_seconds(each, now))}
            record_tick({**self._broken, **late})
            self._recorded = True
        waiting = {job.request.sync for job in known if job.request.trigger == "timer"}
        # Those whose schedule has named a moment most recently come first: they are due more often.
        names = [name for name in reversed(due(scheduled, now)) if name not in waiting]
        moments = [now + timedelta(microseconds=place) for place in range(len(names))]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return tuple(threads.map(self._open, names, moments))

    def _scheduled(self, name: str, schedule: Timetable, last: RunRecord | None, owned: set[str]) -> ScheduledSync:
        found = ScheduledSync.after(last, name=name, schedule=schedule, now=self.now())
        if last is not None and (last.given or last.run_id in owned):
            # It goes on with its own parameters, by its own job; the schedule has the definition's.
            found = replace(found, interrupted=False)
        if opened := self._opened.get(name):  # a moment of the schedule is taken once
            found = replace(found, interrupted=False, last_start=max(filter(None, (opened, found.last_start))))
        return found

    def _open(self, sync: str, now: datetime) -> Job:
        self._opened[sync] = now
        request = JobRequest(id=uuid.uuid4().hex, sync=sync, requested=now, requested_by="schedule", trigger="timer")
        return self._state.request_job(request)

    # -- What was left behind ------------------------------------------------------------------------------------

    def _send_again(self, queue: JobQueue, job: Job) -> None:
        """Send the message of a job that no instance has begun; its row notes it, so that not each tick sends it."""
        with keeping(self._state, f"job/{job.id}", uuid.uuid4().hex) as lease:
            left = self._state.job(job.id) if lease else None
            if left is None or not sends_again(left, self.now()):
                return
            self._state.put_job(replace(left, sent=self.now()))
        queue.send(job.id)


def _raise_unforeseen(errors: list[BaseException]) -> None:
    foreseen = [error for error in errors if isinstance(error, SyncError)]
    if foreseen:
        raise foreseen[0]
    if errors:
        raise BaseExceptionGroup("runs ended with errors that the program does not handle", errors)
