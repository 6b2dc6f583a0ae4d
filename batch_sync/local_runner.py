"""Runs the jobs that people ask for on one machine, in threads of its process."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Final

from batch_sync.left_behind import take_up
from batch_sync.pool import LocalQueue, Pool, Work
from batch_sync.worker import Worker
from shared.app import App
from shared.errors import SyncError
from shared.state import Job

__all__ = ["LocalRunner"]

log = logging.getLogger(__name__)

# While jobs wait (their sync runs elsewhere, or a service is unavailable), they are looked at so often; and while the
# state store cannot be asked whether any wait.
LOOK_SECONDS: Final = 5.0
# The end of a process waits so long for requests under way and the end of their runs, in seconds.
LONGEST_END: Final = 60.0


class LocalRunner:
    """A thread that runs jobs as soon as it is woken up, and ends with the process.

    It begins with the jobs that wait from an earlier process. Jobs of the schedule are left to the timer.

    Args:
        app: Definitions, state and runs; its state is a file of this machine.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._state = app.state
        self._woken = threading.Event()
        self._queue = LocalQueue()
        self._ending = threading.Event()
        self._worker = Worker(app, self._queue, ending=self._ending.is_set)
        self._woken.set()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def wake(self, _job_id: str) -> None:
        """Look for jobs now."""
        self._woken.set()

    def stop(self, within: float = LONGEST_END) -> None:
        """Begin no further job, and wait until the runs at work have stopped before their next request.

        They are Interrupted, and the next process continues them.

        Args:
            within: Seconds; a run that has not stopped by then is not waited for any longer.
        """
        self._ending.set()
        self._woken.set()
        self._thread.join(within)

    def _run(self) -> None:
        while True:
            self._woken.wait(None if self._jobs() == [] else LOOK_SECONDS)
            self._woken.clear()
            if self._ending.is_set():
                return
            try:
                take_up(self._app, self._queue, self._jobs() or (), _now)
            except SyncError as error:
                log.warning("Jobs of an earlier process cannot be taken up: %s", error.message)
            pool = Pool(self._queue, self._worker.work, self._work, now=_now, deadline=None)
            for unforeseen in pool.run():
                log.error("A job ended with an error: %s", type(unforeseen).__name__, exc_info=unforeseen)

    def _work(self) -> Work:
        return Work(jobs=() if self._ending.is_set() else self._jobs() or ())

    def _jobs(self) -> list[Job] | None:
        """The open jobs that people asked for; None where the state store cannot be asked."""
        try:
            return [job for job in self._state.open_jobs() if job.request.trigger == "job"]
        except SyncError as error:
            log.warning("Jobs cannot be looked for: %s", error.message)
            return None


def _now() -> datetime:
    return datetime.now(UTC)
