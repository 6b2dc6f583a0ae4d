"""The moments at which a sync is to start: its schedule in its time zone, outside its quiet hours."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.definitions.models.schedules.cron import Cron
from shared.definitions.models.schedules.local_clock import LocalClock
from shared.definitions.models.schedules.quiet_hours import QuietHours
from shared.ncrontab import Ncrontab

__all__ = ["Timetable", "checked_schedule"]

# Any fixed moment does: what a schedule names comes again within a few decades, or never.
_REFERENCE: Final = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - clock times have no zone here
_SECOND: Final = dt.timedelta(seconds=1)
_FURTHEST: Final = dt.timedelta(days=8 * 366)  # 29 February comes again after eight years at the latest
_HOURS: Final = 24
_FORM: Final = (
    "write six fields (second minute hour day month day-of-week) or five (without second): "
    "'0 */15 * * * *' is every quarter of an hour, '0 0 6 * * Mon-Fri' is 06:00 from Monday to Friday"
)


def checked_schedule(expression: str) -> str:
    """Check a five-field cron or six-field NCRONTAB expression (seconds first, as in Azure Functions).

    Raises:
        ValueError: It is neither of them, or it never occurs.
    """
    try:
        found = _parsed(expression).latest(_REFERENCE)
    except ValueError as error:
        raise ValueError(f"this is not a schedule ({error}); {_FORM}") from None
    if found is None:
        raise ValueError(f"this schedule never occurs: no month has this day; {_FORM}")
    return expression


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """When a sync starts by itself.

    A schedule for certain hours keeps them where the clock changes: times that do not exist count once, at the change,
    and one that comes twice counts the first time. A schedule for every hour follows the clock, so that `*/15` is a
    quarter of an hour on these days too.

    Attributes:
        schedule: Six NCRONTAB fields, seconds first, or five cron fields.
        time_zone: IANA name of the zone that schedule and quiet hours are in.
        quiet: Hours in which nothing starts. What falls due in them starts once at their end.
    """

    schedule: str
    time_zone: str = "UTC"
    quiet: QuietHours | None = None

    @cached_property
    def _clock(self) -> LocalClock:
        return LocalClock(ZoneInfo(self.time_zone))

    def latest(self, until: dt.datetime) -> dt.datetime | None:
        """The last start at or before a moment (aware), in UTC; None where there is none in the last decades.

        Raises:
            ValueError: The schedule cannot be read.
        """
        found = self._named(until)
        while found is not None and (hours := self._quiet_around(found)):
            start, end = hours
            if end <= until:
                return end
            found = self._named(start - _SECOND)
        return found

    def next(self, after: dt.datetime) -> dt.datetime | None:
        """The first start after a moment (aware), in UTC and to the second; None where there is none in eight years.

        Raises:
            ValueError: The schedule cannot be read.
        """
        step = _SECOND
        while not self._has_passed(after, after + step):
            step *= 2
            if step > _FURTHEST:
                return None
        low, high = after, after + step
        while high - low > _SECOND:
            middle = low + (high - low) / 2
            low, high = (low, middle) if self._has_passed(after, middle) else (middle, high)
        return self.latest(high)

    def held_until(self, moment: dt.datetime) -> dt.datetime | None:
        """The end of the quiet hours that a moment lies in, in UTC; None for a moment that is not quiet."""
        hours = self._quiet_around(moment)
        return hours[1] if hours else None

    def local(self, moment: dt.datetime) -> dt.datetime:
        """A moment in the zone of the schedule."""
        return moment.astimezone(self._clock.zone)

    @property
    def is_always_quiet(self) -> bool:
        """Whether all times of the day that the schedule names are quiet."""
        quiet, named = self.quiet, _parsed(self.schedule)
        if quiet is None:
            return False
        return all(quiet.has(dt.time(hour, minute)) for hour in named.hours for minute in named.minutes)

    def _named(self, until: dt.datetime) -> dt.datetime | None:
        """The last moment at or before another that the schedule names, quiet or not."""
        named = _parsed(self.schedule)
        if len(named.hours) == _HOURS:
            return self._clock.latest_shown(named.latest, until)
        return self._clock.latest_once(named.latest, until)

    def _quiet_around(self, moment: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
        return self.quiet.around(moment, self._clock) if self.quiet else None

    def _has_passed(self, after: dt.datetime, until: dt.datetime) -> bool:
        found = self.latest(until)
        return found is not None and found > after


@lru_cache(maxsize=1000)
def _parsed(expression: str) -> Ncrontab | Cron:
    match len(expression.split()):
        case 6:
            return Ncrontab.parse(expression)
        case 5:
            return Cron.parse(expression)
        case count:
            raise ValueError("it has one field" if count == 1 else f"it has {count} fields")
