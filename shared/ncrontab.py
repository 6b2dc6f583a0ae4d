"""NCRONTAB, the six fields of Azure Functions' timers: second, minute, hour, day, month, day of week.

The rules are those of the NCrontab library, which the Functions host uses. They differ from cron's:

* A moment has to match the day of the month AND the day of the week (cron joins them by OR where both are restricted).
* `n/s` counts from `n` to the end of the field in steps of `s`; with a step of 1 it is `n` alone.
* Days and months may be written in English, in full or by a beginning such as `Mon`, `MON` or `Septem`.

What NCrontab takes and hardly anybody means is refused: a range whose end comes first (it would swap both), a step of 0
(it would take it for 1) and a beginning that several names share (it would take the first).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Ncrontab", "named_value"]

DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
# 29 February falls on every day of the week at least once in 40 years, also around 2100, which has none.
LONGEST_GAP: Final = dt.timedelta(days=41 * 366)
_NUMBER: Final = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One of the six: its name, its values, and what may be written instead of numbers."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        return frozenset(value for item in text.split(",") for value in self._item(item))

    def _item(self, text: str) -> range:
        body, slash, step = text.partition("/")
        every = self._step(step) if slash else 1
        if body == "*":
            return range(self.first, self.last + 1, every)
        first, dash, last = body.partition("-")
        start = self._value(first)
        if dash:
            end = self._value(last)
            if end < start:
                raise ValueError(f"{self.name} {body}: write the range from the earlier to the later value")
            return range(start, end + 1, every)
        return range(start, max(start, self.last if every > 1 else start) + 1, every)

    def _step(self, text: str) -> int:
        if not _NUMBER.fullmatch(text) or not int(text):
            raise ValueError(f"{self.name}: a step is a number of at least 1, as in */5")
        return int(text)

    def _value(self, text: str) -> int:
        # 7 is Sunday too, as in cron; NCrontab has no 7, so its schedules keep their meaning.
        most = self.last + 1 if self.names is DAYS else self.last
        if _NUMBER.fullmatch(text) and self.first <= int(text) <= most:
            return int(text)
        if text.isalpha():
            return self.first + named_value(text, self.names, self.name)
        raise ValueError(f"{self.name}: {text[:20]!r} is not a number from {self.first} to {self.last}")


_FIELDS: Final = (
    _Field(name="second", first=0, last=59),
    _Field(name="minute", first=0, last=59),
    _Field(name="hour", first=0, last=23),
    _Field(name="day", first=1, last=31),
    _Field(name="month", first=1, last=12, names=MONTHS),
    _Field(name="day of week", first=0, last=6, names=DAYS),
)


def named_value(text: str, names: tuple[str, ...], field: str) -> int:
    """The place of the one name that begins with a text, in any case, counted from 0.

    Raises:
        ValueError: No name or several begin so.
    """
    found = [place for place, name in enumerate(names) if name.lower().startswith(text.lower())]
    match found:
        case [only]:
            return only
        case []:
            known = f"; the names are {', '.join(names)}" if names else "; write numbers"
            raise ValueError(f"{field}: {text[:20]!r} is not allowed here{known}")
        case _:
            raise ValueError(f"{field}: {text[:20]!r} may be {' or '.join(names[place] for place in found)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ncrontab:
    """The moments that an expression names."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, expression: str) -> Ncrontab:
        """Read six fields.

        Raises:
            ValueError: One cannot be read.
        """
        seconds, minutes, hours, days, months, weekdays = (
            field.values(text) for field, text in zip(_FIELDS, expression.split(), strict=True)
        )
        return cls(
            seconds=seconds,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % len(DAYS) for day in weekdays),
        )

    def latest(self, until: dt.datetime) -> dt.datetime | None:
        """The last moment at or before another; None where there is none in `LONGEST_GAP`."""
        until = until.replace(microsecond=0)
        for day in self._days_back(until.date()):
            time = self._latest_time(until.time() if day == until.date() else dt.time.max)
            if time is not None:
                return dt.datetime.combine(day, time, until.tzinfo)
        return None

    def _days_back(self, day: dt.date) -> Iterator[dt.date]:
        end = day - LONGEST_GAP
        while day > end:
            if day.month not in self.months:
                day = day.replace(day=1) - dt.timedelta(days=1)
                continue
            if day.day in self.days and day.isoweekday() % len(DAYS) in self.weekdays:
                yield day
            day -= dt.timedelta(days=1)

    def _latest_time(self, until: dt.time) -> dt.time | None:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                if (hour, minute) > (until.hour, until.minute):
                    continue
                seconds = [each for each in self.seconds if dt.time(hour, minute, each) <= until]
                if seconds:
                    return dt.time(hour, minute, max(seconds))
        return None
