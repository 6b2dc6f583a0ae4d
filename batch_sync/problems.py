"""Definitions with errors: their syncs cannot run; the log and the execution log report it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.app import App
from shared.clock import CLOCK_DIFFERENCE
from shared.definitions import Loaded
from shared.state import RunRecord, RunState
from shared.telemetry import record_batch

__all__ = ["report_problems"]

log = logging.getLogger(__name__)

TRIGGER: Final = "definition"
# A file may hold thousands of mistakes, and a row of the log has to fit into the state store.
MOST_PROBLEMS: Final = 10
# Rows in which the latest report is looked for: rows of events, one an hour, may lie between.
SEARCHED: Final = 20
LEASE_SECONDS: Final = 60.0


def report_problems(app: App, now: datetime) -> Mapping[str, float]:
    """Report each definition that cannot be used, once as long as its errors stay the same.

    Returns:
        Sync -> seconds since this was reported, of the syncs that cannot run. Their schedules cannot be read.

    Raises:
        RetryLater: The state store is unavailable.
    """
    broken = [loaded for loaded in app.definitions() if loaded.definition is None]
    return {loaded.name: _report(app, loaded.name, _message(loaded), now) for loaded in broken}


def _message(loaded: Loaded) -> str:
    shown = [str(problem) for problem in loaded.problems[:MOST_PROBLEMS]]
    if (more := len(loaded.problems) - MOST_PROBLEMS) > 0:
        shown.append(f"and {more:,} more")
    return "\n".join(shown)


def _report(app: App, sync: str, message: str, now: datetime) -> float:
    if (known := _known_for(app, sync, message, now)) is not None:
        return known
    lease = app.state.acquire_lease(f"definition/{sync}", holder=uuid.uuid4().hex, seconds=LEASE_SECONDS)
    if lease is None:  # another instance reports it
        return 0.0
    try:
        if _known_for(app, sync, message, now) is None:
            _write(app, sync, message, now)
    finally:
        app.state.release_lease(lease)
    return 0.0


def _known_for(app: App, sync: str, message: str, now: datetime) -> float | None:
    """For how many seconds the latest row that is not of events has had this message; None if it has another one."""
    until = now + CLOCK_DIFFERENCE
    rows = (row for row in app.state.runs(sync, SEARCHED) if row.trigger != "events" and row.started <= until)
    latest = next(rows, None)
    if latest is None or latest.state != RunState.FAILED or latest.message != message:
        return None
    return max(0.0, (now - latest.started).total_seconds())


def _write(app: App, sync: str, message: str, now: datetime) -> None:
    log.error("%s cannot run because its definition has errors: %s", sync, message, extra={"sync": sync})
    row = RunRecord(
        run_id=uuid.uuid4().hex,
        sync=sync,
        version="",
        trigger=TRIGGER,
        state=RunState.FAILED.value,
        started=now,
        ended=now,
        message=message,
    )
    app.state.begin_run(row)
    record_batch(sync, TRIGGER, {"state": row.state}, error="DefinitionError")
