"""Slots: how many jobs run at once with the same application users, so that instances do not share one user's limits.

A slot is a lease. A job that gets none waits in its row, and a job that gives a slot back reserves it for the job
that has waited longest, and wakes that one up: so a new job never comes before one that waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from shared.jobs.batch.lease_keeping import LEASE_SECONDS, HeldLease
from shared.state import Job, JobQueue, Lease, StateStore
from shared.state.machine import since_boot

__all__ = ["Slots"]

# How long a slot is kept for a job that was woken up: the host looks into the queue every few seconds.
KEPT_SECONDS: Final = 60.0


class Slots:
    """The slots of all application users.

    Args:
        state: Has the leases.
        queue: Wakes up jobs.
        per_user: Slots of each lane, which is an environment with its application users.
    """

    def __init__(self, state: StateStore, queue: JobQueue, per_user: int) -> None:
        self._state = state
        self._queue = queue
        self._per_user = per_user

    @contextmanager
    def taken(self, job: Job, lane: str) -> Iterator[bool]:
        """Take a slot of the lane for the block; False where none is free. An empty lane has no limit of slots."""
        if not lane:
            yield True
            return
        asked_at = since_boot()
        lease = self._take(job, lane)
        if lease is None:
            yield False
            return
        held = HeldLease(self._state, lease, asked_at=asked_at)
        held.start()
        try:
            yield True
        finally:
            held.stop()

    def _take(self, job: Job, lane: str) -> Lease | None:
        names = self._names(lane)
        for lease in filter(None, map(self._state.lease, names)):
            # Kept for this job, or left by a worker of this job that died: only the holder of its lease comes here.
            if lease.holder == job.id and (mine := self._state.renew_lease(lease, seconds=LEASE_SECONDS)):
                return mine
        tries = (self._state.acquire_lease(name, holder=job.id, seconds=LEASE_SECONDS) for name in names)
        return next(filter(None, tries), None)

    def hand_over(self, lane: str, jobs: Sequence[Job]) -> None:
        """Keep each free slot of a lane for a job that waits.

        Args:
            lane: The lane.
            jobs: The open jobs, those that have waited longest first.
        """
        now = datetime.now(UTC)
        ready = [
            job for job in jobs if job.waits and job.lane == lane and (job.not_before is None or job.not_before <= now)
        ]
        if not lane or not ready:
            return
        names = self._names(lane)
        holders = {lease.holder for lease in map(self._state.lease, names) if lease}
        for job in ready:
            if len(holders) >= self._per_user:
                return
            if job.id not in holders:
                if not any(self._state.acquire_lease(name, holder=job.id, seconds=KEPT_SECONDS) for name in names):
                    return
                holders.add(job.id)
                self._queue.send(job.id)

    def _names(self, lane: str) -> list[str]:
        return [f"slot/{lane}/{number}" for number in range(self._per_user)]
