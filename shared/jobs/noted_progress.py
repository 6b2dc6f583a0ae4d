"""The progress of a run or a read-only job, noted in the state store for people who watch it elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import SyncError
from shared.jobs.progress import Phase, Progress
from shared.state import StateStore

__all__ = ["NotedProgress"]

log = logging.getLogger(__name__)

SECONDS: Final = 2.0  # between two notes of one phase


class NotedProgress:
    """Passes progress on, and notes it: `phase`, `rows`, `total` and `seconds` since the phase began.

    Once a request was throttled, also `throttled`, the number of such requests so far, and `waits_until`, the
    end of the latest wait for it. A note is written when a phase or a wait begins, and at most every two seconds
    besides. Threads may call it at the same
    time: the last note that is written is the latest one. A note that cannot be written is left out: progress never
    changes what a run does.

    Args:
        state: Takes the notes.
        run_id: The run or job that they are of.
        next_one: Gets the same progress.
        about: What each note says besides, such as who asked for the run.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        state: StateStore,
        run_id: str,
        next_one: Progress,
        about: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._run_id = run_id
        self._next = next_one
        self._about = about or {}
        self._clock = clock
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._noted = float("-inf")
        self._phase, self._rows, self._begun = "", 0, clock()
        self._total: int | None = None
        self._throttled: tuple[int, datetime] | None = None
        self._told: tuple[int, datetime] | None = None

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """See `Progress.phase`."""
        self._next.phase(phase, total)
        with self._lock:
            self._noted = self._begun = self._clock()
            self._phase, self._rows, self._total = phase.value, 0, total
        self._note()

    def advance(self, rows: int) -> None:
        """See `Progress.advance`."""
        self._next.advance(rows)
        with self._lock:
            self._rows += rows
            now = self._clock()
            if now - self._noted < SECONDS:
                return
            self._noted = now  # so that another thread does not note it too
        self._note()

    def throttled(self, requests: int, until: datetime) -> None:
        """See `Progress.throttled`. While one wait lasts, it may be called again and again."""
        self._next.throttled(requests, until)
        with self._lock:
            self._throttled, now = (requests, until), self._clock()
            told, ends = self._told or (0, None)
            goes_on = ends is not None and until <= ends + timedelta(seconds=SECONDS)  # the wait that was noted
            if goes_on and (requests == told or now - self._noted < SECONDS):
                return
            self._noted, self._told = now, self._throttled
        self._note()

    def _note(self) -> None:
        with self._writing:
            note = self._now()
            try:
                self._state.note_progress(self._run_id, note)
            except SyncError as error:
                log.info("The progress of a run could not be noted: %s", error.message)

    def _now(self) -> dict[str, Any]:
        with self._lock:
            seconds = round(self._clock() - self._begun, 1)
            shown = {"phase": self._phase, "rows": self._rows, "total": self._total, "seconds": seconds}
            if self._throttled:
                self._told = self._throttled
                shown |= {"throttled": self._throttled[0], "waits_until": self._throttled[1].isoformat()}
        return {**self._about, **shown}
