"""Schedules over two years of every minute, against CronSim and against a clock that is looked at each minute."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from shared.definitions.models.schedules import Timetable

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAY = 24 * 60  # minutes
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
BERLIN, NEW_YORK, LORD_HOWE, KOLKATA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"


class Clock:
    """The clock of a zone at every minute of the two years."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self.shown = [shown for hour in range((END - START) // HOUR) for shown in _in_hour(START + HOUR * hour, zone)]
        self.changes = [n for n, (one, other) in enumerate(pairwise(self.shown)) if other - one != 1]

    def starts(self, hours: Sequence[int], minutes: Sequence[int], *, once: bool) -> Iterator[datetime]:
        """Every start: at each minute, whether the clock shows, or has just skipped, a time of the list."""
        times = {hour * 60 + minute for hour in hours for minute in minutes}
        latest = self.shown[0] - 1
        for number, shown in enumerate(self.shown):
            if not once or shown == latest + 1:
                starts = shown % DAY in times
            else:  # the clock was changed
                starts = any(each % DAY in times for each in range(latest + 1, shown + 1))
            latest = max(latest, shown)
            if starts:
                yield START + MINUTE * number


def _in_hour(begin: datetime, zone: str) -> Sequence[int]:
    """What the clock shows at every minute of an hour, in minutes; within an hour, a zone changes it once at most."""
    first, last = _shown(begin, zone), _shown(begin + HOUR, zone)
    if last - first == HOUR // MINUTE:
        return range(first, last)
    return [_shown(begin + MINUTE * number, zone) for number in range(HOUR // MINUTE)]


def _shown(moment: datetime, zone: str) -> int:
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock shows has no zone
    return (moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - epoch) // MINUTE


def by_cronsim(zone: str, schedule: str) -> Iterator[datetime]:
    """What CronSim says about it, which has the rules of Debian's cron."""
    for moment in CronSim(schedule, (START - MINUTE).astimezone(ZoneInfo(zone))):
        if (found := moment.astimezone(UTC)) >= END:
            return
        yield found


def agree(timetable: Timetable, clock: Clock, expected: Sequence[datetime]) -> None:
    """The timetable has exactly these starts: looked at just before each one, and at every minute near a change."""
    for before, moment in pairwise(expected):
        assert timetable.latest(moment - SECOND) == before
    for change in clock.changes:
        for now in (START + MINUTE * n for n in range(change - 200, change + 200)):
            assert timetable.latest(now) == expected[bisect_right(expected, now) - 1]
        now = START + MINUTE * change
        assert timetable.next(now) == expected[bisect_right(expected, now)]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, KOLKATA])
def test_schedules_over_two_years_of_every_minute(zone: str) -> None:
    """An hour that is missing or comes twice starts once; what starts in every hour follows elapsed time."""
    clock = Clock(zone)
    for hour, minute in ((2, 0), (1, 45)):
        daily = f"{minute} {hour} * * *"
        expected = list(clock.starts([hour], [minute], once=True))
        assert expected == list(by_cronsim(zone, daily))
        days = [moment.astimezone(ZoneInfo(zone)).date() for moment in expected]
        assert len(days) == len({*days}) == 730
        agree(Timetable(schedule=daily, time_zone=zone), clock, expected)
        agree(Timetable(schedule=f"0 {daily}", time_zone=zone), clock, expected)
    quarters = list(clock.starts(range(24), range(0, 60, 15), once=False))
    assert {after - before for before, after in pairwise(quarters)} == {timedelta(minutes=15)}
    assert quarters == list(by_cronsim(zone, "*/15 * * * *"))
    agree(Timetable(schedule="0 */15 * * * *", time_zone=zone), clock, quarters)
    several = list(clock.starts([1, 2], [10, 40], once=True))
    agree(Timetable(schedule="0 10,40 1-2 * * *", time_zone=zone), clock, several)


@pytest.mark.parametrize(
    ("zone", "schedule", "after", "expected"),
    [
        (BERLIN, "0 30 2 * * *", "2026-03-28T12:00Z", ("2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00")),
        (BERLIN, "0 30 2 * * *", "2026-10-24T12:00Z", ("2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00")),
        (BERLIN, "*/30 * * * *", "2026-10-25T00:20Z", ("2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00")),
        (NEW_YORK, "30 2 * * *", "2026-03-07T12:00Z", ("2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00")),
        (NEW_YORK, "30 1 * * *", "2026-10-31T12:00Z", ("2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00")),
        (LORD_HOWE, "15 2 * * *", "2026-10-03T00:00Z", ("2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00")),
        (LORD_HOWE, "45 1 * * *", "2026-04-04T00:00Z", ("2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30")),
        (KOLKATA, "30 2 * * *", "2026-03-28T00:00Z", ("2026-03-29T02:30+05:30", "2026-03-30T02:30+05:30")),
    ],
)
def test_the_starts_around_a_change(zone: str, schedule: str, after: str, expected: tuple[str, ...]) -> None:
    """Each as a person reads it."""
    timetable, moment, found = Timetable(schedule=schedule, time_zone=zone), datetime.fromisoformat(after), []
    for _ in expected:
        following = timetable.next(moment)
        assert following is not None
        moment = following
        found.append(timetable.local(moment).isoformat(timespec="minutes"))
    assert tuple(found) == expected
