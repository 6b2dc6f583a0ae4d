"""Time as a dependency: what tests simulate and production takes from the machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

__all__ = ["CLOCK_DIFFERENCE", "Clock", "SystemClock"]

# A moment that lies further ahead was written by a wrong clock, and says nothing of when something was.
CLOCK_DIFFERENCE: Final = timedelta(minutes=5)


class Clock(Protocol):
    """Gives the time and waits."""

    def now(self) -> datetime:
        """The time of day, in UTC and aware of it."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time of day, in UTC and aware of it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
