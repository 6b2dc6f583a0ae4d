"""The jobs of a laptop: a few at a time in threads of this process, for as long as a tick lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.state import Job, PoisonedMessage
from shared.state.job_queue import NOW

__all__ = ["LocalQueue", "Pool", "Work"]

# Each run has its own workspace (512 MB unless set otherwise), and the smallest instance 2 GB.
SIDE_BY_SIDE: Final = 3
# While runs are at work, jobs are looked for so often: a request need not wait for the end of a tick.
LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What there is to do.

    Attributes:
        jobs: The open jobs, those that have waited longest first.
        tried: Sync -> how many of its latest runs in a row made no progress.
    """

    jobs: Sequence[Job]
    tried: Mapping[str, int] = field(default_factory=dict)


class LocalQueue:
    """See `JobQueue`: the rows say what there is to do, so only delays are kept."""

    def __init__(self) -> None:
        self._ready_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def send(self, job_id: str, delay: timedelta = NOW) -> None:
        """See `JobQueue.send`."""
        with self._lock:
            if delay > NOW:
                self._ready_at[job_id] = time.monotonic() + delay.total_seconds()
            else:
                self._ready_at.pop(job_id, None)

    def is_ready(self, job_id: str) -> bool:
        """Whether a job may be tried now."""
        with self._lock:
            return self._ready_at.get(job_id, 0.0) <= time.monotonic()

    def poisoned(self) -> Sequence[PoisonedMessage]:
        """See `JobQueue.poisoned`."""
        return ()

    def discard(self, poisoned: PoisonedMessage) -> None:
        """See `JobQueue.discard`."""


class Pool:
    """Runs jobs until none is left or the time is over.

    Args:
        queue: Knows which jobs are to wait a little.
        work: Runs one job by its id.
        look: Finds what there is to do.
        now: Gives the time (aware, UTC).
        deadline: Monotonic time after which no job is begun; None for no limit.
    """

    def __init__(
        self,
        queue: LocalQueue,
        work: Callable[[str], None],
        look: Callable[[], Work],
        *,
        now: Callable[[], datetime],
        deadline: float | None,
    ) -> None:
        self._queue = queue
        self._work = work
        self._look = look
        self._now = now
        self._deadline = deadline
        self._begun: set[str] = set()
        self._at_work: dict[Future[None], tuple[Job, bool]] = {}

    def run(self) -> list[BaseException]:
        """Run jobs; the errors of those that ended with one that the program does not handle."""
        errors: list[BaseException] = []
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="sync") as threads:
            while True:
                if self._is_in_time():
                    for job, alone in self._to_begin(self._look()):
                        # Whatever comes of it, it is not begun again at once.
                        self._queue.send(job.id, timedelta(seconds=LOOK_SECONDS))
                        self._begun.add(job.id)
                        self._at_work[threads.submit(self._work, job.id)] = job, alone
                if not self._at_work:
                    return errors
                done, _ = wait(self._at_work, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    del self._at_work[future]
                    if error := future.exception():
                        errors.append(error)

    def _is_in_time(self) -> bool:
        return self._deadline is None or time.monotonic() < self._deadline

    def _to_begin(self, found: Work) -> Iterator[tuple[Job, bool]]:
        """Yield the jobs that are begun now, and whether each runs alone.

        Requests come first, because a person waits. Runs of one sync follow each other. Jobs that were interrupted
        never take the last place, so that others need not wait for their end. A job whose sync made no progress may
        end the process, so it runs alone, when all others have ended: fewest attempts first.
        """
        if any(alone for _, alone in self._at_work.values()):
            return
        jobs = [job for job in found.jobs if self._is_startable(job)]
        tried = {job.id: max(job.attempts, found.tried.get(job.request.sync, 0)) for job in jobs}
        busy = [job for job, _ in self._at_work.values()]
        for job in sorted(jobs, key=lambda job: job.request.trigger != "job" or bool(job.runs)):
            follows = sum(bool(each.runs) for each in busy) >= SIDE_BY_SIDE - 1 and bool(job.runs)
            taken = {each.request.sync for each in busy if not each.request.kind.is_read_only}
            if tried[job.id] or follows or (job.request.sync in taken and not job.request.kind.is_read_only):
                continue
            if len(busy) >= SIDE_BY_SIDE:
                return
            busy.append(job)
            yield job, False
        if not busy and jobs:
            yield min(jobs, key=lambda job: tried[job.id]), True

    def _is_startable(self, job: Job) -> bool:
        ready = job.waits and (job.not_before is None or job.not_before <= self._now())
        was_run_here = bool(job.runs) and job.id in self._begun  # it goes on at the next tick
        return ready and not was_run_here and self._queue.is_ready(job.id)
