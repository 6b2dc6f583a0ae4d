"""Time for tests of the whole program that have to wait."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

__all__ = ["HeldClock", "QuickClock"]


class QuickClock:
    """Real time in which waiting takes none."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._ahead += max(seconds, 0.0)


class HeldClock(QuickClock):
    """Whoever waits does so until the test lets time go on; from then on waiting takes none."""

    def __init__(self) -> None:
        super().__init__()
        self._released = threading.Event()

    def release(self) -> None:
        """Let time go on."""
        self._released.set()

    def sleep(self, seconds: float) -> None:
        self._released.wait()
        super().sleep(seconds)
