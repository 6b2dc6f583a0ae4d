"""Jobs that were left behind: the process that ran them has ended."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime

from batch_sync.worker import ASK_AGAIN, job_after_run, wait_of
from shared.app import App
from shared.jobs.batch.attempts import ended_job
from shared.jobs.batch.lease_keeping import keeping
from shared.jobs.requests import keep_job
from shared.state import Job, JobQueue, RunState

__all__ = ["take_up"]

log = logging.getLogger(__name__)


def take_up(app: App, queue: JobQueue, jobs: Iterable[Job], now: Callable[[], datetime]) -> None:
    """Take up the jobs whose process has ended: their lease has lapsed, and their row says Running.

    Args:
        app: Has the state.
        queue: Gets the messages of those that run again.
        jobs: Open jobs.
        now: Gives the time (aware, UTC).
    """
    for job in jobs:
        if not job.waits:
            with keeping(app.state, f"job/{job.id}", uuid.uuid4().hex) as lease:
                left = app.state.job(job.id) if lease else None
                if left is not None and not left.waits and left.ended is None:
                    _take_up(app, queue, left, now())


def _take_up(app: App, queue: JobQueue, job: Job, now: datetime) -> None:
    if job.request.kind.is_read_only:
        app.state.put_job(ended_job(job, RunState.FAILED, now, ASK_AGAIN))
        return
    after = job_after_run(app, job, now)
    if after is None:
        return
    after = keep_job(app.state, after)
    log.warning("The process of a run of %s has ended; its job is %s", job.request.sync, after.state)
    if after.waits:
        queue.send(after.id, wait_of(after, now))
