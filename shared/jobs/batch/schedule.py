"""Which syncs are due. Pure, so that tests can use any time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from shared.definitions.models.schedules import Timetable
from shared.jobs.batch.attempts import MOST_ATTEMPTS, attempts, not_before
from shared.state import UNDO_OF, RunRecord, RunState

__all__ = ["ScheduledSync", "due", "latest_tick", "overdue_seconds"]

# The host's timer may fire a moment early. What it starts then is the run of the tick that is about to come, and that
# tick must not start another.
EARLY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSync:
    """A sync that runs by the clock.

    Attributes:
        schedule: When it is to start.
        last_start: When its latest run that is no retry started, whatever set it off; None when it never ran.
        interrupted: Whether that run was interrupted: the next tick goes on with it.
        not_before: Until when it is held back, because its latest runs made no progress.
    """

    name: str
    schedule: Timetable
    last_start: datetime | None = None
    interrupted: bool = False
    not_before: datetime | None = None

    @classmethod
    def after(cls, last: RunRecord | None, *, name: str, schedule: Timetable, now: datetime) -> Self:
        """What a sync's latest run says of its next start."""
        return cls(
            name=name,
            schedule=schedule,
            last_start=last.started if last else None,
            interrupted=bool(last and _is_continued(last)),
            not_before=not_before(last, now),
        )


def due(syncs: Iterable[ScheduledSync], now: datetime) -> tuple[str, ...]:
    """The names of the syncs that are to start now, longest overdue first.

    A sync is due when a tick of its schedule has passed since its latest start: however many ticks were missed, they
    count once. A sync that never ran is due at once, and so is one that was interrupted and is not held back. In its
    quiet hours no sync is due.
    """
    overdue = [(latest_tick(sync.schedule, now), sync.name) for sync in syncs if _is_due(sync, now)]
    return tuple(name for _, name in sorted(overdue))


def overdue_seconds(sync: ScheduledSync, now: datetime) -> float:
    """For how long a sync has been due: since the first tick of its schedule after its latest start.

    Zero for one that is not due, and for one that never ran: since when it has been due is not known.
    """
    if sync.last_start is None or not _is_due(sync, now):
        return 0.0
    first, behind = sync.last_start + EARLY, now
    while behind - first > timedelta(seconds=1):  # the first moment by which a tick has passed lies between the two
        middle = first + (behind - first) / 2
        if latest_tick(sync.schedule, middle) > sync.last_start + EARLY:
            behind = middle
        else:
            first = middle
    return (now - behind).total_seconds()


def latest_tick(schedule: Timetable, now: datetime) -> datetime:
    """The last moment at or before `now` (or within a second after it) that the schedule names.

    Raises:
        ValueError: The schedule cannot be read, or names no moment in the last decades.
    """
    try:
        found = schedule.latest(now + EARLY)
    except ValueError as error:
        raise ValueError(f"{schedule.schedule!r} is not a schedule: {error}") from error
    if found is None:
        raise ValueError(f"{schedule.schedule!r} names no moment")
    return found


def _is_continued(last: RunRecord) -> bool:
    """Whether the next tick goes on with a run. Nobody but a person asks for an undo."""
    return last.state == RunState.INTERRUPTED and attempts(last) < MOST_ATTEMPTS and not last.counts.get(UNDO_OF)


def _is_due(sync: ScheduledSync, now: datetime) -> bool:
    if sync.not_before is not None and now < sync.not_before:
        return False
    if sync.schedule.held_until(now) and sync.schedule.held_until(now + EARLY):
        return False
    if sync.last_start is None or sync.interrupted:
        return True
    return sync.last_start + EARLY < latest_tick(sync.schedule, now)
