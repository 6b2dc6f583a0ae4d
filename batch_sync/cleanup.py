"""The daily cleanup: data older than the retention time is removed from the state store."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Final

from shared.app import App
from shared.errors import RetryLater, SyncError

__all__ = ["clean_up"]

log = logging.getLogger(__name__)

A_DAY: Final = 86_400.0
# Event Hubs keeps events for 90 days at most (premium and dedicated tiers; 7 days otherwise).
LONGEST_REPLAY: Final = timedelta(days=91)
# Runs, jobs, letters and leases that one tick removes: a few seconds of its time. The next tick continues if there is
# more; at a tick a minute that is 720,000 runs a day.
A_TICK: Final = 500
# Positions of events in the place of one run: they are small, and a first load by events makes millions on one day.
_POSITIONS: Final = 20


def clean_up(app: App, now: datetime, *, at_once: int = A_TICK) -> None:
    """Once a day, by one instance, remove what is old: so many runs, letters and leases, and the rest at the next tick.

    What goes wrong here is logged and keeps no sync from running.
    """
    try:
        lease = app.state.acquire_lease("housekeeping", holder=uuid.uuid4().hex, seconds=A_DAY)
        # A lease that is not given back lapses when the next day's turn has come.
        if lease is not None and _is_unfinished(app, now, at_once):
            app.state.release_lease(lease)
    except SyncError as error:
        log.warning("The daily cleanup did not finish: %s", error.message)


def _is_unfinished(app: App, now: datetime, at_once: int) -> bool:
    """Remove what a tick can; whether there is more to do."""
    try:
        removed = app.state.prune(now - timedelta(days=app.settings.retention_days), limit=at_once)
        journals = app.state.prune_journals(now - timedelta(days=app.settings.journal_days), limit=at_once)
        positions = at_once * _POSITIONS
        forgotten = 0 if removed.more else app.state.remove_positions(now - LONGEST_REPLAY, limit=positions)
    except RetryLater as error:
        log.warning("The daily cleanup is tried again at the next tick: %s", error.message)
        return True
    log.info(
        "The cleanup removed %d runs, %d jobs, %d dead letters, %d leases, %d ledgers, %d mirrors, %d journals and %d "
        "positions of events",
        removed.runs,
        removed.jobs,
        removed.dead_letters,
        removed.leases,
        removed.ledgers,
        removed.mirrors,
        journals,
        forgotten,
    )
    return removed.more or journals >= at_once or forgotten >= positions
