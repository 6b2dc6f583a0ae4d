"""What operators see: structured logs, spans and metrics. Never a row's values, never a secret."""

from __future__ import annotations

from shared.telemetry.exporting import configure
from shared.telemetry.instruments import (
    record_batch,
    record_dead_letters,
    record_events,
    record_poisoned,
    record_tick,
    record_waiting,
    span,
)
from shared.telemetry.logs import JsonLines, RunContext, log_context
from shared.telemetry.phases import PhaseSpans

__all__ = [
    "JsonLines",
    "PhaseSpans",
    "RunContext",
    "configure",
    "log_context",
    "record_batch",
    "record_dead_letters",
    "record_events",
    "record_poisoned",
    "record_tick",
    "record_waiting",
    "span",
]
