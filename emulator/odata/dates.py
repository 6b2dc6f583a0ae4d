"""The periods of Dataverse's date functions, such as ``LastXDays`` or ``ThisWeek``, in UTC."""

import calendar
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["COUNTED", "NAMED", "Span"]

Span = tuple[datetime | None, datetime | None]
"""Start (inclusive) and end (exclusive); None for no limit."""

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(weeks=1)


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _second(moment: datetime) -> datetime:
    """The end of a period up to now: rows have whole seconds, and the current second is part of the period."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def _week(moment: datetime) -> datetime:
    """Weeks begin on Sunday, the default of an organisation."""
    return _day(moment) - timedelta(days=(moment.weekday() + 1) % 7)


def _month(moment: datetime, shift: int = 0) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + shift, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _months_off(moment: datetime, shift: int) -> datetime:
    first = _month(moment, shift)
    last = calendar.monthrange(first.year, first.month)[1]
    return moment.replace(year=first.year, month=first.month, day=min(moment.day, last))


def _year(moment: datetime, shift: int = 0) -> datetime:
    return datetime(moment.year + shift, 1, 1, tzinfo=UTC)


NAMED: Final[dict[str, Callable[[datetime], Span]]] = {
    "Today": lambda now: (_day(now), _day(now) + _DAY),
    "Yesterday": lambda now: (_day(now) - _DAY, _day(now)),
    "Tomorrow": lambda now: (_day(now) + _DAY, _day(now) + 2 * _DAY),
    "Last7Days": lambda now: (_day(now) - 7 * _DAY, _second(now)),
    "Next7Days": lambda now: (now, _day(now) + 8 * _DAY),
    "LastWeek": lambda now: (_week(now) - _WEEK, _week(now)),
    "ThisWeek": lambda now: (_week(now), _week(now) + _WEEK),
    "NextWeek": lambda now: (_week(now) + _WEEK, _week(now) + 2 * _WEEK),
    "LastMonth": lambda now: (_month(now, -1), _month(now)),
    "ThisMonth": lambda now: (_month(now), _month(now, 1)),
    "NextMonth": lambda now: (_month(now, 1), _month(now, 2)),
    "LastYear": lambda now: (_year(now, -1), _year(now)),
    "ThisYear": lambda now: (_year(now), _year(now, 1)),
    "NextYear": lambda now: (_year(now, 1), _year(now, 2)),
}
"""Functions without a parameter: the period at a time."""

COUNTED: Final[dict[str, Callable[[datetime, int], Span]]] = {
    "LastXHours": lambda now, count: (_hour(now) - timedelta(hours=count), _second(now)),
    "NextXHours": lambda now, count: (now, _hour(now) + timedelta(hours=count + 1)),
    "LastXDays": lambda now, count: (_day(now) - count * _DAY, _second(now)),
    "NextXDays": lambda now, count: (now, _day(now) + (count + 1) * _DAY),
    "LastXWeeks": lambda now, count: (_day(now) - count * _WEEK, _second(now)),
    "NextXWeeks": lambda now, count: (now, _day(now) + count * _WEEK + _DAY),
    "LastXMonths": lambda now, count: (_months_off(_day(now), -count), _second(now)),
    "NextXMonths": lambda now, count: (now, _months_off(_day(now), count) + _DAY),
    "LastXYears": lambda now, count: (_months_off(_day(now), -12 * count), _second(now)),
    "NextXYears": lambda now, count: (now, _months_off(_day(now), 12 * count) + _DAY),
    "OlderThanXMinutes": lambda now, count: (None, now - timedelta(minutes=count)),
    "OlderThanXHours": lambda now, count: (None, now - timedelta(hours=count)),
    "OlderThanXDays": lambda now, count: (None, now - count * _DAY),
    "OlderThanXWeeks": lambda now, count: (None, now - count * _WEEK),
    "OlderThanXMonths": lambda now, count: (None, _months_off(now, -count)),
    "OlderThanXYears": lambda now, count: (None, _months_off(now, -12 * count)),
}
"""Functions with a count: the period at a time."""
