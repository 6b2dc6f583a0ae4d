"""The clock of a time zone, with its changes: which moments are a clock time, and what a clock showed last.

A clock time is a `datetime` without a zone; a moment is one in UTC. Where the clock goes forward some clock times do
not exist, and where it goes back some come twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["LocalClock"]

_SECOND: Final = dt.timedelta(seconds=1)
Latest = Callable[[dt.datetime], dt.datetime | None]


@dataclass(frozen=True, slots=True)
class LocalClock:
    """The clock of one time zone."""

    zone: ZoneInfo

    def shown(self, moment: dt.datetime) -> dt.datetime:
        """What the clock shows at a moment; `fold` is 1 where it shows this for the second time."""
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def first(self, clock: dt.datetime) -> dt.datetime:
        """The first moment at which the clock shows this time or, if it does not exist, a later one."""
        early, late = self._both(clock)
        return self._change(late, early) if late < early else early

    def latest_once(self, latest: Latest, until: dt.datetime) -> dt.datetime | None:
        """The last moment at or before another, where each clock time counts once.

        A clock time that does not exist counts at the change, and one that comes twice counts the first time.

        Args:
            latest: Gives the last clock time at or before another; None where there is none.
            until: A moment.
        """
        clock = self.shown(until)
        if clock.fold:  # the clock was set back: before that it had already shown all times up to the change
            clock = self.shown(self._start_of_second(clock) - _SECOND)
        found = latest(clock.replace(fold=0))
        return None if found is None else self.first(found)

    def latest_shown(self, latest: Latest, until: dt.datetime) -> dt.datetime | None:
        """The last moment at or before another at which the clock shows one of the clock times, each time it does.

        Args:
            latest: Gives the last clock time at or before another; None where there is none.
            until: A moment.
        """
        while True:
            clock = self.shown(until)
            found = latest(clock.replace(fold=0))
            if found is None:
                return None
            early, late = self._both(found)
            if late < early:  # the clock never showed it
                until = self._change(late, early) - _SECOND
            elif clock.fold and early == late:  # what lies between came before the clock was set back
                until = self._start_of_second(clock) - _SECOND
            else:
                return late if late <= until else early

    def _both(self, clock: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """The moments of a clock time with the offset before a change and with the one after it.

        Both are the same except near a change. The first is later where the clock time does not exist.
        """
        aware = clock.replace(tzinfo=self.zone)
        return aware.replace(fold=0).astimezone(dt.UTC), aware.replace(fold=1).astimezone(dt.UTC)

    def _start_of_second(self, clock: dt.datetime) -> dt.datetime:
        """The moment at which the clock was set back, for a clock time that is shown for the second time."""
        early, late = self._both(clock)
        return self._change(early, late)

    def _change(self, before: dt.datetime, after: dt.datetime) -> dt.datetime:
        """The moment of the change between two moments, in whole seconds."""
        before, after = before.replace(microsecond=0), after.replace(microsecond=0)
        old = before.astimezone(self.zone).utcoffset()
        while after - before > _SECOND:
            middle = before + (after - before) // 2
            middle = middle.replace(microsecond=0)
            before, after = (middle, after) if middle.astimezone(self.zone).utcoffset() == old else (before, middle)
        return after
