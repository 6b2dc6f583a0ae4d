"""Jobs whose message was delivered too often: the process that got it ended each time."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime

from batch_sync.starting import Start
from shared.app import App
from shared.jobs.batch.attempts import MOST_ATTEMPTS, ended_job, run_closed
from shared.jobs.batch.lease_keeping import keeping
from shared.state import JobQueue, NewerJobError, RunState
from shared.telemetry import record_poisoned

__all__ = ["remove_poisoned"]

log = logging.getLogger(__name__)

WHY = "its message was delivered several times, and each time the process that got it ended; see the earlier rows"


def remove_poisoned(app: App, queue: JobQueue, now: datetime) -> None:
    """End each job whose message is in the poison queue as Failed, report it, and remove the message."""
    for message in queue.poisoned():
        if _end(app, message.job_id, now):
            queue.discard(message)


def _end(app: App, job_id: str, now: datetime) -> bool:
    """End a job; False where its message stays: a process works on it, or it waits for a newer version."""
    try:
        job = app.state.job(job_id)
    except NewerJobError as error:
        log.warning("%s", error.message)
        return False
    if job is None:
        log.error("A message in the poison queue of jobs names no job; it was removed")
        return True
    with keeping(app.state, f"job/{job_id}", uuid.uuid4().hex) as lease:
        if lease is None:
            return False
        job = app.state.job(job_id)
        if job is not None and job.ended is None:
            if not job.request.kind.is_read_only:  # a read-only job does not run its sync
                if job.runs:
                    run_closed(app.state, job.runs[-1], now)
                start = Start(app=app, request=job.request, deadline=None, still_due=lambda _: True)
                start.give_up(max(job.attempts, MOST_ATTEMPTS), WHY)
            app.state.put_job(ended_job(job, RunState.FAILED, now, WHY))
            record_poisoned(job.request.sync)
        return True
