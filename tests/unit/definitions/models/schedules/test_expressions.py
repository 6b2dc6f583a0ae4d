"""Schedules against oracles that know no calendar arithmetic: they try one moment after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.definitions.models.schedules import Timetable, checked_schedule
from shared.ncrontab import DAYS, MONTHS

WEDNESDAY = datetime(2026, 11, 25, 17, 30, tzinfo=UTC)
Matches = Callable[[int], bool]
# Field by field, in the order of the text: first value, last value, names.
FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)


def shown(value: int, first: int, names: tuple[str, ...], draw: st.DrawFn) -> str:
    """A value as a number, or as a name in full or by its first three letters, in any case."""
    if not names or draw(st.booleans()):
        return str(value)
    name = names[value - first]
    name = name if draw(st.booleans()) else name[:3]
    written: str = draw(st.sampled_from([name, name.upper(), name.lower()]))
    return written


@st.composite
def items(draw: st.DrawFn, first: int, last: int, names: tuple[str, ...]) -> tuple[str, Matches]:
    """One item of a field: its text, and whether a value matches it by the words of NCrontab's rules."""
    start = draw(st.integers(first, last))
    end = draw(st.integers(start, last))
    step = draw(st.integers(2, last + 5))
    low, high = shown(start, first, names, draw), shown(end, first, names, draw)
    choice: tuple[str, Matches] = draw(
        st.sampled_from(
            [
                ("*", lambda _: True),
                (low, lambda value: value == start),
                (f"{low}/1", lambda value: value == start),
                (f"{low}-{high}", lambda value: start <= value <= end),
                (f"*/{step}", lambda value: (value - first) % step == 0),
                (f"{low}/{step}", lambda value: value >= start and (value - start) % step == 0),
                (f"{low}-{high}/{step}", lambda value: start <= value <= end and (value - start) % step == 0),
            ]
        )
    )
    return choice


def any_of(matches: Sequence[Matches]) -> Matches:
    return lambda value: any(match(value) for match in matches)


@st.composite
def fields(draw: st.DrawFn) -> tuple[str, list[Matches]]:
    """An expression and, field by field, what matches it."""
    texts, matches = [], []
    for first, last, names in FIELDS:
        listed = draw(st.lists(items(first, last, names), min_size=1, max_size=3))
        texts.append(",".join(text for text, _ in listed))
        matches.append(any_of([match for _, match in listed]))
    return " ".join(texts), matches


def oracle(matches: list[Matches], until: datetime, days: int) -> datetime | None:
    """The latest moment at or before another, found by trying days, then hours, minutes and seconds, backwards."""
    second, minute, hour, day, month, weekday = matches
    for ago in range(days):
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=ago)
        if not (day(midnight.day) and month(midnight.month) and weekday(int(midnight.strftime("%w")))):
            continue
        for h in filter(hour, reversed(range(24))):
            for m in filter(minute, reversed(range(60))):
                for s in filter(second, reversed(range(60))):
                    if (moment := midnight.replace(hour=h, minute=m, second=s)) <= until:
                        return moment
    return None


@given(
    expression=fields(),
    until=st.datetimes(datetime(2023, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - zone added
)
def test_the_latest_moment_is_what_trying_every_moment_finds(
    expression: tuple[str, list[Matches]], until: datetime
) -> None:
    """Names, lists, ranges and steps, day AND weekday, over any two years."""
    text, matches = expression
    expected = oracle(matches, until, days=730)
    found = Timetable(schedule=text).latest(until)
    if expected is None:
        assume(found is not None)
        assert found is not None
        assert found < until - timedelta(days=729)
        assert all(
            match(value)
            for match, value in zip(
                matches,
                (found.second, found.minute, found.hour, found.day, found.month, int(found.strftime("%w"))),
                strict=True,
            )
        )
    else:
        assert found == expected


# The clock of Lord Howe changes by half an hour, that of Santiago at midnight; Apia's skipped 30 December 2011.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", "Pacific/Apia")
CHANGES = {
    zone: tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days)
    for zone, days in {
        "Europe/Berlin": ("2026-03-29", "2026-10-25"),
        "America/New_York": ("2026-03-08", "2026-11-01"),
        "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
        "America/Santiago": ("2026-04-05", "2026-09-06"),
        "Asia/Kolkata": ("2026-03-29", "2026-10-25"),
        "Pacific/Apia": ("2011-12-30", "2011-04-02"),
    }.items()
}


def named_moments(matches: list[Matches], zone: ZoneInfo, around: datetime) -> Iterator[datetime]:
    """Every moment that a schedule names within two days of another, by looking at the clock each minute."""
    second, minute, hour, day, month, weekday = matches
    every_hour = all(map(hour, range(24)))

    def names(shown: datetime) -> bool:
        days = day(shown.day) and month(shown.month) and weekday(int(shown.strftime("%w")))
        return days and hour(shown.hour) and minute(shown.minute)

    start = around - timedelta(days=2)
    latest = (start - timedelta(days=1)).astimezone(zone).replace(tzinfo=None)  # what the clock has shown so far
    for number in range(4 * 24 * 60):
        now = start + timedelta(minutes=number)
        shown = now.astimezone(zone).replace(tzinfo=None, fold=0)
        if number and not every_hour:
            skipped = (latest + timedelta(minutes=n) for n in range(1, (shown - latest) // timedelta(minutes=1)))
            if any(map(names, skipped)):
                yield now
            if shown <= latest:
                continue
        latest = max(latest, shown)
        if names(shown):
            yield from (now + timedelta(seconds=n) for n in range(60) if second(n))


@given(
    expression=fields(),
    zone=st.sampled_from(ZONES),
    which=st.integers(0, 1),
    seconds=st.integers(-86_400, 2 * 86_400),
)
def test_in_a_time_zone_the_latest_moment_is_what_watching_the_clock_finds(
    expression: tuple[str, list[Matches]], zone: str, which: int, seconds: int
) -> None:
    """Around changes of the clock: named hours count once, every other time whenever the clock shows it."""
    text, matches = expression
    change = CHANGES[zone][which]
    until = change + timedelta(seconds=seconds)
    passed = [moment for moment in named_moments(matches, ZoneInfo(zone), change) if moment <= until]
    found = Timetable(schedule=text, time_zone=zone).latest(until)
    if passed:
        assert found == max(passed)
    else:
        assert found is None or found <= change - timedelta(days=2)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0 0 9 1-7 * MON", "2026-11-02T09:00:00"),  # the first Monday of a month
        ("0 0 0 13 * FRI", "2026-11-13T00:00:00"),
        ("0 0 9 8-14 * TUE", "2026-11-10T09:00:00"),
        ("0 0 0 29 2 Thursday", "2024-02-29T00:00:00"),
        ("0 0 0 29 2 Friday", "2008-02-29T00:00:00"),
        ("0 0 0 1 January *", "2026-01-01T00:00:00"),
        ("0 0 9 * * Mon-Friday", "2026-11-25T09:00:00"),
        ("0 0 9 * Sept,oct Su", "2026-10-25T09:00:00"),
        ("0 0 9 * * 7", "2026-11-22T09:00:00"),
        ("0 0 9 * * 6-7", "2026-11-22T09:00:00"),
        ("0 5/1 * * * *", "2026-11-25T17:05:00"),
        ("0 5/20 * * * *", "2026-11-25T17:25:00"),
        ("0 0 9 * * 1/2", "2026-11-25T09:00:00"),
        ("*/7 * * * * *", "2026-11-25T17:30:00"),
        # Five fields are cron: either day counts where both are restricted, and L is the last day.
        ("0 9 1-7 * MON", "2026-11-23T09:00:00"),
        ("0 9 * * Wednesday", "2026-11-25T09:00:00"),
        ("0 9 L January-March *", "2026-03-31T09:00:00"),
    ],
)
def test_schedules_mean_what_they_mean_elsewhere(text: str, moment: str) -> None:
    """Six fields as in Azure Functions, five as in cron."""
    assert checked_schedule(text) == text
    assert Timetable(schedule=text).latest(WEDNESDAY) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 9 * * T", "'T' may be Tuesday or Thursday"),
        ("0 0 9 * Ju *", "'Ju' may be June or July"),
        ("0 0 9 * * Mondays", "'Mondays' is not allowed here; the names are Sunday,"),
        ("0 0 9 * * Fri-Mon", "day of week Fri-Mon: write the range from the earlier to the later value"),
        ("0 0 22-2 * * *", "hour 22-2: write the range"),
        ("0 */0 * * * *", "minute: a step is a number of at least 1"),
        ("0 */-5 * * * *", "minute: a step is a number of at least 1"),
        ("0 0 9 L * *", "day: 'L' is not allowed here; write numbers"),
        ("0 0 9 15W * *", "day: '15W' is not a number from 1 to 31"),
        ("0 0 9 * * MON#1", "day of week: 'MON#1' is not a number from 0 to 6"),
        ("0 0 9 ? * *", "day: '?' is not a number from 1 to 31"),
        ("0 0 9 0 * *", "day: '0' is not a number from 1 to 31"),
        ("0 0 9 1,,2 * *", "day: '' is not a number"),
        ("0 0 24 * * *", "hour: '24' is not a number from 0 to 23"),
        (f"0 0 {'9' * 5000} * * *", "hour: '99999999999999999999' is not a number"),
        ("0 9 * * T", "day-of-week: 'T' cannot be read"),
        ("0 9 * * Mondays", "'Mondays' is not allowed here"),
        ("* * * *", "it has 4 fields"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_field_and_the_remedy(text: str, said: str) -> None:
    """Refused at the time of writing, never at the time of running."""
    with pytest.raises(ValueError, match="write six fields") as caught:
        checked_schedule(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["0 0 0 30 2 *", "0 0 0 30 2 MON", "0 0 0 31 4,6,9,11 *"])
def test_a_schedule_without_a_moment_is_refused(text: str) -> None:
    """A day that no month has, whatever day of the week is written with it."""
    with pytest.raises(ValueError, match="never occurs"):
        checked_schedule(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0 */15 * * * *", "2026-03-04T10:15:00"),
        ("*/15 * * * *", "2026-03-04T10:15:00"),
        ("0 0 3 * * *", "2026-03-05T03:00:00"),
        ("* * 3 * * *", "2026-03-05T03:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_moment_is_the_first_after_another(text: str, moment: str) -> None:
    """Also if many follow it, and if it is years in the future."""
    after = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    assert Timetable(schedule=text).next(after) == datetime.fromisoformat(moment).replace(tzinfo=UTC)
