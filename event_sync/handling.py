"""One invocation: the batch through the core, and what operators see of it."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from event_sync.receiving import HostEvent, received
from shared.app import current
from shared.app.once import Once
from shared.events import Message
from shared.jobs.real_time.events import run_events
from shared.jobs.real_time.record import EventsSummary
from shared.telemetry import log_context, record_dead_letters, record_events, span

__all__ = ["handle"]

log = logging.getLogger(__name__)


def handle(events: Sequence[HostEvent]) -> None:
    """Apply a batch with this process' app.

    Raises:
        RetryLater: Dataverse or the state store is unavailable: the host's retry policy gives the batch again.
    """
    messages = received(events)
    if not messages:
        return
    app, first = current(), messages[0]
    with log_context(partition=first.stream), span("dynamics_sync.events", events=len(messages)):
        summary = run_events(messages, app.listeners(), app.event_tools)
        _tell(summary, messages)
    _keep_what_is_loaded()


@Once
def _keep_what_is_loaded() -> None:
    """Take what the first batch has loaded out of the garbage collector's sight.

    It lives as long as the process, and going through all of it again and again held single events up by several
    milliseconds.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # at its end a library counts what is left, and complains


def _tell(summary: EventsSummary, messages: Sequence[Message]) -> None:
    """Count the results of the batch, and log them in one line.

    The first message has waited longest: after a time without the app, one batch may have what came in all of it.
    """
    enqueued = next((message.enqueued for message in messages if message.enqueued), None)
    lag = (datetime.now(UTC) - enqueued).total_seconds() if enqueued else None
    for sync, counts in summary.syncs.items():
        record_events(sync, counts, lag_seconds=lag, traffic=summary.traffic.get(sync, {}))
    for sync, by_error in summary.lost.items():
        for error, count in by_error.items():
            record_dead_letters(sync, error, count)
    level = logging.WARNING if summary.dead_letters else logging.INFO
    log.log(level, "%d events, %d became dead letters", len(messages), summary.dead_letters,
            extra={"events": len(messages), "counts": summary.to_json()})  # fmt: skip
