"""Quiet hours: what they are, and what a schedule makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models.schedules import QuietHours, Timetable

BERLIN = "Europe/Berlin"
CHANGES = tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in ("2026-03-29", "2026-10-25", "2026-07-01"))


@pytest.mark.parametrize("text", ["22-6", "22:00", "22:00-24:00", "22:60-06:00", "10pm-6am", "", "22:00-06:00-07:00"])
def test_what_are_no_quiet_hours_is_refused_with_their_form(text: str) -> None:
    """Two times of the day."""
    with pytest.raises(ValueError, match=r'write two times of the day .* as in "22:00-06:00"'):
        QuietHours.parse(text)


def test_quiet_hours_leave_a_part_of_the_day() -> None:
    """A sync that may never start is switched off instead."""
    with pytest.raises(ValueError, match="no part of the day is left; write enabled: false instead"):
        QuietHours.parse("08:00-08:00")
    assert str(QuietHours.parse(" 22:00 - 06:00 ")) == "22:00-06:00"


@pytest.mark.parametrize(
    ("quiet", "schedule", "after", "expected"),
    [
        ("22:00-06:00", "0 * * * *", "2026-06-01T18:30+02:00", ("01 19:00", "01 20:00", "01 21:00", "02 06:00")),
        ("22:00-06:00", "30 * * * *", "2026-06-01T20:30+02:00", ("01 21:30", "02 06:00", "02 06:30")),
        ("08:00-18:00", "0 9,12,20 * * *", "2026-06-01T00:00+02:00", ("01 18:00", "01 20:00", "02 18:00")),
        ("22:00-06:00", "0 3 * * *", "2026-06-01T12:00+02:00", ("02 06:00", "03 06:00")),
        # The end does not exist on this day, and comes twice on the other.
        ("22:00-02:30", "0 1 * * *", "2026-03-28T12:00+01:00", ("29 03:00", "30 02:30")),
        ("22:00-02:30", "0 1 * * *", "2026-10-24T12:00+02:00", ("25 02:30", "26 02:30")),
    ],
)
def test_what_falls_due_in_them_starts_once_at_their_end(
    quiet: str, schedule: str, after: str, expected: tuple[str, ...]
) -> None:
    """Over midnight and within a day."""
    timetable = Timetable(schedule=schedule, time_zone=BERLIN, quiet=QuietHours.parse(quiet))
    moment, found = datetime.fromisoformat(after), []
    for _ in expected:
        following = timetable.next(moment)
        assert following is not None
        moment = following
        found.append(f"{timetable.local(moment):%d %H:%M}")
    assert tuple(found) == expected


TIMES = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")


@given(
    between=st.tuples(TIMES, TIMES).filter(lambda times: times[0] != times[1]),
    schedule=st.sampled_from(["*/15 * * * *", "0 0 * * * *", "0 30 1-4 * * *", "45 22 * * *", "0 6 * * *"]),
    change=st.sampled_from(CHANGES),
    minutes=st.integers(-1440, 2880),
)
def test_quiet_hours_move_starts_and_add_none(
    between: tuple[str, str], schedule: str, change: datetime, minutes: int
) -> None:
    """The last start is the last one of the schedule if that is not quiet, else the end of its quiet hours."""
    quiet = QuietHours.parse("-".join(between))
    timetable = Timetable(schedule=schedule, time_zone=BERLIN, quiet=quiet)
    free = Timetable(schedule=schedule, time_zone=BERLIN)
    now = change + timedelta(minutes=minutes)
    moved: list[datetime] = []
    moment = now - timedelta(days=2)
    while (following := free.next(moment)) is not None and following <= now:
        moved.append(timetable.held_until(following) or following)
        moment = following
    assert timetable.latest(now) == max(each for each in moved if each <= now)
    held = timetable.held_until(timetable.latest(now) or now)
    assert held is None


@pytest.mark.parametrize(
    ("schedule", "quiet", "always"),
    [
        ("0 3 * * *", "22:00-06:00", True),
        ("0 0,30 22-23 * * *", "22:00-06:00", True),
        ("0 0 6 * * *", "22:00-06:00", False),
        ("*/15 * * * *", "22:00-06:00", False),
        ("30 12 * * *", "12:00-12:31", True),
    ],
)
def test_a_schedule_that_is_always_quiet_is_known(schedule: str, quiet: str, *, always: bool) -> None:
    """Its sync starts at the end of the quiet hours only."""
    assert Timetable(schedule=schedule, quiet=QuietHours.parse(quiet)).is_always_quiet is always
    assert not Timetable(schedule=schedule).is_always_quiet
