"""When a sync is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import Timetable
from shared.definitions.models.schedules import QuietHours
from shared.jobs.batch.schedule import ScheduledSync, due, latest_tick, overdue_seconds
from shared.state import RunRecord

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUARTERLY = "0 */15 * * * *"


def names(now: datetime, schedule: str = QUARTERLY, **of: object) -> tuple[str, ...]:
    timetable = Timetable(schedule=schedule)
    return due([ScheduledSync(name="s", schedule=timetable, **of)], now)  # type: ignore[arg-type]  # fields by name


def test_a_sync_is_due_once_its_tick_has_come() -> None:
    """Not a minute before the tick, at the tick, and not again after it has started."""
    before = NOON - timedelta(minutes=1)
    assert names(before, last_start=NOON - timedelta(minutes=15)) == ()
    assert names(NOON, last_start=NOON - timedelta(minutes=15)) == ("s",)
    assert names(NOON + timedelta(minutes=1), last_start=NOON + timedelta(milliseconds=30)) == ()


def test_missed_ticks_count_once() -> None:
    """After a night of standstill one run starts, not forty."""
    assert names(NOON + timedelta(minutes=7), last_start=NOON - timedelta(hours=10)) == ("s",)
    assert names(NOON + timedelta(minutes=8), last_start=NOON + timedelta(minutes=7)) == ()
    assert names(NOON + timedelta(minutes=15), last_start=NOON + timedelta(minutes=7)) == ("s",)


def test_a_timer_that_fires_early_starts_one_run() -> None:
    """Twenty milliseconds before the tick is the tick; the next minute is not another."""
    early = NOON - timedelta(milliseconds=20)
    assert names(early, last_start=NOON - timedelta(minutes=15)) == ("s",)
    assert names(NOON + timedelta(seconds=59, milliseconds=980), last_start=early) == ()


def test_a_sync_that_never_ran_or_was_interrupted_is_due_at_once() -> None:
    """It does not wait for its tick."""
    assert names(NOON + timedelta(minutes=3)) == ("s",)
    assert names(NOON + timedelta(minutes=3), last_start=NOON + timedelta(minutes=2), interrupted=True) == ("s",)


def test_the_longest_overdue_comes_first() -> None:
    """In a small pool each has its turn."""
    last = NOON - timedelta(days=9)
    nightly = ScheduledSync(name="a", schedule=Timetable(schedule="0 0 2 * * *"), last_start=last)
    hourly = ScheduledSync(name="b", schedule=Timetable(schedule="0 * * * *"), last_start=last)
    weekly = ScheduledSync(name="c", schedule=Timetable(schedule="0 0 3 * * MON"), last_start=last)
    assert due([hourly, nightly, weekly], NOON) == ("c", "a", "b")


@pytest.mark.parametrize(
    ("schedule", "tick"),
    [
        ("0 */15 * * * *", "2026-11-22T12:00:00"),
        ("*/15 * * * *", "2026-11-22T12:00:00"),
        ("30 5 11 * * *", "2026-11-22T11:05:30"),
        ("0 0 8 * * 1-5", "2026-11-20T08:00:00"),
        ("0 0 8 1 JAN,JUL *", "2026-07-01T08:00:00"),
        ("0 0 0 29 2 *", "2024-02-29T00:00:00"),
    ],
)
def test_the_latest_tick_of_a_schedule(schedule: str, tick: str) -> None:
    """Six fields count seconds first, five fields begin with minutes."""
    assert latest_tick(Timetable(schedule=schedule), NOON) == datetime.fromisoformat(tick).replace(tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["", "* * * *", "61 * * * * *", "every day", "0 0 0 31 2 *"])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    """A schedule that cannot be read, or never comes, says so."""
    with pytest.raises(ValueError, match=r"is not a schedule|names no moment"):
        latest_tick(Timetable(schedule=schedule), NOON)


def test_a_sync_that_is_held_back_is_not_due_before_its_moment() -> None:
    """Neither by its schedule nor because it was interrupted."""
    start, held = NOON - timedelta(hours=1), NOON + timedelta(minutes=5)
    assert names(NOON, last_start=start, interrupted=True, not_before=held) == ()
    assert names(NOON, last_start=start, not_before=held) == ()
    assert names(held, last_start=start, not_before=held) == ("s",)


@pytest.mark.parametrize(
    ("state", "is_due"),
    [
        ("Interrupted", True),
        ("Cancelled", False),
        ("Failed", False),
        ("Refused", False),
        ("Completed with errors", False),
        ("Succeeded", False),
    ],
)
def test_only_an_interrupted_run_is_continued_before_the_next_tick(state: str, *, is_due: bool) -> None:
    """What a person stopped, or what failed, waits for the next moment of its schedule."""
    last = RunRecord(run_id="r", sync="s", version="1", trigger="timer", state=state, started=NOON)
    scheduled = ScheduledSync.after(last, name="s", schedule=Timetable(schedule="0 0 2 * * *"), now=NOON)
    assert bool(due([scheduled], NOON + timedelta(minutes=1))) is is_due
    assert due([scheduled], NOON + timedelta(hours=14)) == ("s",)


@given(
    seconds=st.integers(0, 4 * 86_400),
    schedule=st.sampled_from([QUARTERLY, "0 * * * * *", "0 0 2 * * *", "*/7 3-9 * * *", "0 30 4 * * SUN"]),
)
def test_every_tick_is_run_exactly_once_by_a_timer_of_every_minute(seconds: int, schedule: str) -> None:
    """Between two ticks a timer finds the sync due once."""
    start = NOON + timedelta(seconds=seconds)
    ran = [start]
    for minute in range(1, 240):
        now = start.replace(second=0) + timedelta(minutes=minute, milliseconds=15)
        if names(now, schedule, last_start=ran[-1]):
            ran.append(now)
    ticks = {latest_tick(Timetable(schedule=schedule), now) for now in ran[1:]}
    assert len(ticks) == len(ran) - 1


@pytest.mark.parametrize(
    ("last_start", "schedule", "expected"),
    [
        (NOON - timedelta(minutes=20), QUARTERLY, 900),  # the tick at 11:45 was missed
        (NOON - timedelta(minutes=16), QUARTERLY, 900),
        (NOON - timedelta(minutes=15), QUARTERLY, 0),  # due this moment
        (NOON - timedelta(hours=3), "0 0 11 * * *", 3600),
        (NOON - timedelta(minutes=2), QUARTERLY, 0),
        (None, QUARTERLY, 0),  # since when it has been due is not known
    ],
)
def test_the_time_since_a_sync_is_due(last_start: datetime | None, schedule: str, expected: float) -> None:
    """Counted from the first tick after the latest start, not from the last one."""
    sync = ScheduledSync(name="s", schedule=Timetable(schedule=schedule), last_start=last_start)
    assert overdue_seconds(sync, NOON) == pytest.approx(expected, abs=2)


class TestQuietHours:
    BERLIN = Timetable(schedule="*/15 * * * *", time_zone="Europe/Berlin", quiet=QuietHours.parse("22:00-06:00"))
    EVENING, MORNING = datetime(2026, 11, 22, 21, tzinfo=UTC), datetime(2026, 11, 23, 5, tzinfo=UTC)  # 22:00 and 06:00

    def due(self, now: datetime, **of: object) -> bool:
        return bool(due([ScheduledSync(name="s", schedule=self.BERLIN, **of)], now))  # type: ignore[arg-type]  # by name

    def test_what_falls_due_in_quiet_hours_starts_once_at_their_end(self) -> None:
        """Thirty-two missed quarters of an hour are one start; then the schedule continues."""
        last = self.EVENING - timedelta(minutes=15)
        minutes = [self.EVENING + timedelta(minutes=n) for n in range(12 * 60)]
        started: list[datetime] = []
        for now in minutes:
            if self.due(now, last_start=started[-1] if started else last):
                started.append(now)
        assert started[:3] == [self.MORNING + timedelta(minutes=n) for n in (0, 15, 30)]

    def test_a_start_that_was_missed_before_them_is_held_too(self) -> None:
        """So are a sync that never ran and one that was interrupted: the timer starts nothing in these hours."""
        late = self.EVENING + timedelta(minutes=5)
        assert self.due(self.EVENING - timedelta(minutes=5), last_start=self.EVENING - timedelta(hours=9))
        assert not self.due(late, last_start=self.EVENING - timedelta(hours=9))
        assert not self.due(late)
        assert not self.due(late, last_start=late - timedelta(minutes=1), interrupted=True)
        assert self.due(self.MORNING)
        assert self.due(self.MORNING - timedelta(milliseconds=20), last_start=late)

    def test_a_person_starts_a_sync_in_them_and_it_does_not_start_again_at_their_end(self) -> None:
        """Not before the next time of the schedule that follows the last start."""
        by_hand = self.MORNING - timedelta(minutes=1)
        assert self.due(self.MORNING, last_start=by_hand)  # 05:45 was held until 06:00
        nightly = Timetable(schedule="0 23 * * *", time_zone="Europe/Berlin", quiet=QuietHours.parse("22:00-06:00"))
        scheduled = ScheduledSync(name="s", schedule=nightly, last_start=self.MORNING)
        assert due([scheduled], self.MORNING + timedelta(minutes=1)) == ()
