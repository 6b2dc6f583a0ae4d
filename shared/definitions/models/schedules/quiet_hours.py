"""Quiet hours: a part of each day in which the timer does not start a sync."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from shared.definitions.models.schedules.local_clock import LocalClock

__all__ = ["QuietHours"]

_FORM: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From one time of the day to another, which may be on the next day.

    Attributes:
        start: The first minute that is quiet.
        end: The first minute after it that is not.
    """

    start: dt.time
    end: dt.time

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Read a text such as `22:00-06:00`.

        Raises:
            ValueError: It is none.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError('write two times of the day with hours from 00 to 23, as in "22:00-06:00"')
        hour, minute, end_hour, end_minute = map(int, found.groups())
        hours = cls(start=dt.time(hour, minute), end=dt.time(end_hour, end_minute))
        if hours.start == hours.end:
            raise ValueError("both times are the same, so no part of the day is left; write enabled: false instead")
        return hours

    def __str__(self) -> str:
        """The text of a definition."""
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def has(self, time: dt.time) -> bool:
        """Whether a time of the day is quiet."""
        if self.start < self.end:
            return self.start <= time < self.end
        return time >= self.start or time < self.end

    def around(self, moment: dt.datetime, clock: LocalClock) -> tuple[dt.datetime, dt.datetime] | None:
        """The first moment of the quiet hours that a moment lies in, and the first one after them.

        None for a moment that is not quiet. Where the clock changes, each time of the day counts once; see
        `LocalClock.first`.
        """
        midnight = dt.datetime.combine(clock.shown(moment).date(), dt.time.min)
        for day in (midnight - _DAY, midnight):
            begin = clock.first(dt.datetime.combine(day, self.start))
            end = clock.first(dt.datetime.combine(day if self.start < self.end else day + _DAY, self.end))
            if begin <= moment < end:
                return begin, end
        return None
