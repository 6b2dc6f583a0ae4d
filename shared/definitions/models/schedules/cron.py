"""Cron, the five fields of Unix: minute, hour, day, month, day of week."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from shared.ncrontab import DAYS, MONTHS, named_value

__all__ = ["Cron"]

_WORD: Final = re.compile(r"[A-Za-z]{3,}")
_SECOND: Final = dt.timedelta(seconds=1)
# Any moment does: it is only parsed.
_ANY: Final = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - clock times have no zone here
_FIELDS: Final = {"minute": "0 to 59", "hour": "0 to 23", "day-of-month": "1 to 31", "month": "1 to 12",
                  "day-of-week": "0 (Sunday) to 6, or names as in Mon-Fri"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The clock times that an expression names.

    Attributes:
        numbers: The five fields, with numbers instead of names.
    """

    numbers: str
    hours: frozenset[int]
    minutes: frozenset[int]

    @classmethod
    def parse(cls, expression: str) -> Cron:
        """Read five fields.

        Raises:
            ValueError: One cannot be read.
        """
        # Imported here: a cold start without schedules of five fields does not need it.
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - see above

        fields = expression.split()
        *times, month, weekday = fields
        numbers = " ".join(
            [*times, _numbered(month, MONTHS, "month", first=1), _numbered(weekday, DAYS, "day of week", first=0)]
        )
        try:
            found = CronSim(numbers, _ANY)
        except CronSimError as error:
            raise ValueError(_trouble(str(error), fields)) from None
        return cls(numbers=numbers, hours=frozenset(found.hours), minutes=frozenset(found.minutes))

    def latest(self, until: dt.datetime) -> dt.datetime | None:
        """The last clock time at or before another; None where there is none in fifty years."""
        from cronsim import CronSim  # noqa: PLC0415 - see above

        # Going back, CronSim starts one second before the moment that it is given.
        return next(CronSim(self.numbers, until.replace(microsecond=0) + _SECOND, reverse=True), None)


def _trouble(said: str, fields: list[str]) -> str:
    """What CronSim found, with the field as it is written and what it may have."""
    name = said.removeprefix("Bad ")
    if name not in _FIELDS:
        return said[:1].lower() + said[1:]
    written = fields[[*_FIELDS].index(name)]
    return f"{name}: {written[:20]!r} cannot be read: it has {_FIELDS[name]}"


def _numbered(field: str, names: tuple[str, ...], what: str, *, first: int) -> str:
    """A field with names of any length as numbers."""
    return _WORD.sub(lambda word: str(first + named_value(word[0], names, what)), field)
