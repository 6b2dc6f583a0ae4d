"""The progress of a run or a question, noted in the state store for people who watch it elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from shared.errors import SyncError
from shared.jobs.progress import Phase, Progress
from shared.state import StateStore

__all__ = ["NotedProgress"]

log = logging.getLogger(__name__)

SECONDS: Final = 2.0  # between two notes of one phase


class NotedProgress:
    """Passes progress on, and notes it every two seconds: `phase`, `rows`, `total` and `seconds` since it began.

    A note that cannot be written is left out: progress never changes what a run does.

    Args:
        state: Takes the notes.
        run_id: The run or job that they are of.
        next_one: Gets the same progress.
        clock: Monotonic seconds.
    """

    def __init__(
        self, state: StateStore, run_id: str, next_one: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._run_id = run_id
        self._next = next_one
        self._clock = clock
        self._lock = threading.Lock()
        self._noted = float("-inf")
        self._phase, self._rows, self._begun = "", 0, clock()
        self._total: int | None = None

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """See `Progress.phase`."""
        self._next.phase(phase, total)
        with self._lock:
            self._phase, self._rows, self._total, self._begun = phase.value, 0, total, self._clock()
        self._note()

    def advance(self, rows: int) -> None:
        """See `Progress.advance`."""
        self._next.advance(rows)
        with self._lock:
            self._rows += rows
            is_due = self._clock() - self._noted >= SECONDS
        if is_due:
            self._note()

    def _note(self) -> None:
        with self._lock:
            self._noted = now = self._clock()
            note: dict[str, Any] = {"phase": self._phase, "rows": self._rows, "total": self._total}
            note["seconds"] = round(now - self._begun, 1)
        try:
            self._state.note_progress(self._run_id, note)
        except SyncError as error:
            log.info("The progress of a run could not be noted: %s", error.message)
