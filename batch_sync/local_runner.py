"""Runs the jobs that people ask for on one machine, in threads of its process."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from batch_sync.pool import LocalQueue, Pool, Work
from batch_sync.worker import Worker
from shared.app import App
from shared.errors import SyncError

__all__ = ["LocalRunner"]

log = logging.getLogger(__name__)


class LocalRunner:
    """A thread that runs jobs as soon as it is woken up, and ends with the process.

    Jobs of the schedule are left to the timer.

    Args:
        app: Definitions, state and runs; its state is a file of this machine.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._woken = threading.Event()
        self._queue = LocalQueue()
        self._worker = Worker(app, self._queue)
        threading.Thread(target=self._run, name="jobs", daemon=True).start()

    def wake(self, _job_id: str) -> None:
        """Look for jobs now."""
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            pool = Pool(self._queue, self._worker.work, self._find, now=lambda: datetime.now(UTC), deadline=None)
            for error in pool.run():
                log.error("A job ended with an error: %s", type(error).__name__, exc_info=error)

    def _find(self) -> Work:
        try:
            jobs = self._app.state.open_jobs()
        except SyncError as error:
            log.warning("Jobs cannot be looked for: %s", error.message)
            return Work(jobs=())
        return Work(jobs=[job for job in jobs if job.request.trigger == "job"])
