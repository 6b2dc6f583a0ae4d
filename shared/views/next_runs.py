"""When the timer starts a sync next, as people and programs are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # only named here: `--help` need not wait for the definitions to load
    from shared.definitions import SyncDefinition, Timetable

__all__ = ["local_time", "next_run", "quiet_warnings"]


def next_run(timetable: Timetable | None, started: datetime | None, now: datetime) -> datetime | None:
    """The moment, in the time zone of the schedule; one in the past where the sync is due.

    Args:
        timetable: When the sync starts by itself; None where it does not.
        started: When its latest run that is no retry started, whatever set it off; None where it never ran.
        now: The moment (aware) at which it is asked.

    Returns:
        None for a sync that the timer does not start.
    """
    if timetable is None:
        return None
    found = timetable.next(started) if started else now
    if found is not None and found <= now:  # it is due, and starts once the quiet hours are over
        found = timetable.held_until(now) or found
    return timetable.local(found) if found else None


def local_time(moment: datetime) -> str:
    """A moment with the abbreviation of its time zone, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname()}"


def quiet_warnings(definitions: Iterable[SyncDefinition]) -> tuple[str, ...]:
    """Syncs that start only at the end of their quiet hours; a definition may say this, and few mean it."""
    return tuple(
        f"{each.name}: all times of its schedule are in the quiet hours {each.quiet}, so it starts at "
        f"{timetable.quiet.end:%H:%M} only. Change schedule or quiet if this is not intended"
        for each in definitions
        if (timetable := each.timetable) and timetable.quiet and timetable.is_always_quiet
    )
