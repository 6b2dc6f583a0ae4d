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
_WORD: Final = re.compile(r"[A-Za-z]{3,}")


def cron(expression: str) -> str:
    """Check a five-field cron or six-field NCRONTAB expression (seconds first, as in Azure Functions).

    Raises:
        ValueError: It is neither of them, or it never occurs.
    """
    try:
        found = latest_moment(expression, _REFERENCE)
    except ValueError as error:
        raise ValueError(
            f"this is not a schedule ({error}): write six NCRONTAB fields, seconds first, or five cron fields"
        ) from None
    if found is None:
        raise ValueError("this schedule never occurs")
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
            raise ValueError(f"wrong number of fields: {count}")


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
        raise ValueError(str(error)[:1].lower() + str(error)[1:]) from None
    except StopIteration:
        return None


def _numbered(field: str, names: tuple[str, ...], what: str, *, first: int) -> str:
    """A field with names of any length as numbers."""
    return _WORD.sub(lambda word: str(first + named_value(word[0], names, what)), field)
