"""Schedules: the moments that a cron expression of five fields or an NCRONTAB expression of six names."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from shared.definitions.models.ncrontab import DAYS, MONTHS, Ncrontab, named_value

__all__ = ["cron", "latest_moment", "next_moment"]

# Any fixed moment does: what a schedule names comes again within a few decades, or never.
_REFERENCE: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_SECOND: Final = dt.timedelta(seconds=1)
_FURTHEST: Final = dt.timedelta(days=8 * 366)  # 29 February comes again after eight years at the latest
_FORM: Final = (
    "write six fields (second minute hour day month day-of-week) or five (without second): "
    "'0 */15 * * * *' is every quarter of an hour, '0 0 6 * * Mon-Fri' is 06:00 UTC from Monday to Friday"
)
_WORD: Final = re.compile(r"[A-Za-z]{3,}")


def cron(expression: str) -> str:
    """Check a five-field cron or six-field NCRONTAB expression (seconds first, as in Azure Functions).

    Raises:
        ValueError: It is neither of them, or it never occurs.
    """
    try:
        found = latest_moment(expression, _REFERENCE)
    except ValueError as error:
        raise ValueError(f"this is not a schedule ({error}); {_FORM}") from None
    if found is None:
        raise ValueError(f"this schedule never occurs: no month has this day; {_FORM}")
    return expression


def latest_moment(expression: str, until: dt.datetime) -> dt.datetime | None:
    """The last moment at or before another that a schedule names; None where there is none in the last decades.

    Raises:
        ValueError: The schedule cannot be read.
    """
    match len(fields := expression.split()):
        case 6:
            return Ncrontab.parse(expression).latest(until)
        case 5:
            return _latest_of_cron(fields, until)
        case count:
            raise ValueError("it has one field" if count == 1 else f"it has {count} fields")


def next_moment(expression: str, after: dt.datetime) -> dt.datetime | None:
    """The first moment after another that a schedule names, to the second; None where there is none in eight years.

    Raises:
        ValueError: The schedule cannot be read.
    """
    step = _SECOND
    while not _has_passed(expression, after, after + step):
        step *= 2
        if step > _FURTHEST:
            return None
    low, high = after, after + step
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        low, high = (low, middle) if _has_passed(expression, after, middle) else (middle, high)
    return latest_moment(expression, high)


def _has_passed(expression: str, after: dt.datetime, until: dt.datetime) -> bool:
    found = latest_moment(expression, until)
    return found is not None and found > after


def _latest_of_cron(fields: list[str], until: dt.datetime) -> dt.datetime | None:
    # Imported here: a cold start without schedules of five fields does not need it.
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - see above

    *times, month, weekday = fields
    numbers = [*times, _numbered(month, MONTHS, "month", first=1), _numbered(weekday, DAYS, "day of week", first=0)]
    # Going back, CronSim starts one second before the moment that it is given.
    end = until.replace(microsecond=0) + dt.timedelta(seconds=1)
    try:
        return next(CronSim(" ".join(numbers), end, reverse=True))
    except CronSimError as error:
        raise ValueError(_cron_trouble(str(error), fields)) from None
    except StopIteration:
        return None


_CRON_FIELDS: Final = {"minute": "0 to 59", "hour": "0 to 23", "day-of-month": "1 to 31", "month": "1 to 12",
                       "day-of-week": "0 (Sunday) to 6, or names as in Mon-Fri"}  # fmt: skip


def _cron_trouble(said: str, fields: list[str]) -> str:
    """What CronSim found, with the field as it is written and what it may have."""
    name = said.removeprefix("Bad ")
    if name not in _CRON_FIELDS:
        return said[:1].lower() + said[1:]
    written = fields[[*_CRON_FIELDS].index(name)]
    return f"{name}: {written[:20]!r} cannot be read: it has {_CRON_FIELDS[name]}"


def _numbered(field: str, names: tuple[str, ...], what: str, *, first: int) -> str:
    """A field with names of any length as numbers."""
    return _WORD.sub(lambda word: str(first + named_value(word[0], names, what)), field)
