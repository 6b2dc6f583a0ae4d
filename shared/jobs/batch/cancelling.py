"""Whether a person has asked a run to stop: a mark in the state store, which the writer looks at between requests."""

from __future__ import annotations

import logging
from collections.abc import Callable

from shared.clock import Clock
from shared.dataverse import WriteLimits
from shared.errors import SyncError
from shared.jobs.batch.job import BatchJob
from shared.jobs.batch.lease_keeping import HeldLease
from shared.state import StateStore

__all__ = ["Cancelling"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0


class Cancelling:
    """Asks whether one run is to stop.

    Args:
        state: Has the mark.
        run_id: The run.
        asked_here: Whether it was asked at this machine, by Ctrl-C.
        clock: Says when the state store is asked again.
    """

    def __init__(self, state: StateStore, run_id: str, asked_here: Callable[[], bool], clock: Clock) -> None:
        self._state = state
        self._run_id = run_id
        self._asked_here = asked_here
        self._clock = clock
        self._next_look = clock.monotonic()
        self._by: str | None = None

    def asked(self) -> bool:
        """Whether the run is to stop; the state store is asked every few seconds at most."""
        if self._by is None and self._clock.monotonic() >= self._next_look:
            self._look()
            self._next_look = self._clock.monotonic() + LOOK_SECONDS
        return self._by is not None or self._asked_here()

    def why(self, job: BatchJob, lease: HeldLease) -> str:
        """Why the writes were ended before their end, of what `limits` calls cancelled."""
        if self._by:
            return f"cancelled by {self._by}"
        if self.asked():
            return "cancelled"
        if lease.lost():
            return "its lease was lost, so another run of the sync may have begun"
        return "its process was asked to end" if job.options.ending() else "cancelled"

    def limits(self, job: BatchJob, lease: HeldLease) -> WriteLimits:
        """What ends the writes of a run: its time, its errors, a lost lease, the end of its process, or a person."""
        return WriteLimits(
            deadline=job.options.deadline,
            max_errors=job.definition.sync_behaviour.safety.max_errors,
            cancelled=lambda: lease.lost() or job.options.ending() or self.asked(),
        )

    def _look(self) -> None:
        try:
            self._by = self._state.cancelled_by(self._run_id)
        except SyncError as error:  # that it cannot be asked is no reason to stop
            log.warning("Whether the run is to stop could not be asked: %s", error.message)
