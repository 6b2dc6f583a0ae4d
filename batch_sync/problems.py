"""Definitions with errors: their syncs cannot run; the log and the execution log report it."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
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


def report_problems(app: App) -> None:
    """Report each definition that cannot be used, once as long as its errors stay the same.

    Raises:
        RetryLater: The state store is unavailable.
    """
    for loaded in app.definitions():
        if loaded.definition is None:
            _report(app, loaded.name, _message(loaded))


def _message(loaded: Loaded) -> str:
    shown = [str(problem) for problem in loaded.problems[:MOST_PROBLEMS]]
    if (more := len(loaded.problems) - MOST_PROBLEMS) > 0:
        shown.append(f"and {more:,} more")
    return "\n".join(shown)


def _report(app: App, sync: str, message: str) -> None:
    if _is_known(app, sync, message):
        return
    lease = app.state.acquire_lease(f"definition/{sync}", holder=uuid.uuid4().hex, seconds=LEASE_SECONDS)
    if lease is None:  # another instance reports it
        return
    try:
        if not _is_known(app, sync, message):
            _write(app, sync, message)
    finally:
        app.state.release_lease(lease)


def _is_known(app: App, sync: str, message: str) -> bool:
    """Whether the latest row that is not of events already has this message."""
    now = datetime.now(UTC) + CLOCK_DIFFERENCE
    rows = (row for row in app.state.runs(sync, SEARCHED) if row.trigger != "events" and row.started <= now)
    latest = next(rows, None)
    return latest is not None and latest.state == RunState.FAILED and latest.message == message


def _write(app: App, sync: str, message: str) -> None:
    log.error("%s cannot run because its definition has errors: %s", sync, message, extra={"sync": sync})
    now = datetime.now(UTC)
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
