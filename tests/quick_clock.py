"""Time for tests of the whole program that have to wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

__all__ = ["QuickClock"]


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
