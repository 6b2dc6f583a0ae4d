"""Spans and metrics through OpenTelemetry's API, which does nothing until an exporter is configured.

| metric | unit | attributes |
|---|---|---|
| `dynamics_sync.ticks` | ticks | |
| `dynamics_sync.overdue` | s | sync |
| `dynamics_sync.runs` | runs | sync, trigger, state, error |
| `dynamics_sync.run.duration` | s | sync, trigger, state |
| `dynamics_sync.source.rows` | rows | sync |
| `dynamics_sync.rows` | rows | sync, action |
| `dynamics_sync.steps` | steps | sync, step, kind, state |
| `dynamics_sync.step.duration` | s | sync, step, kind, state |
| `dynamics_sync.requests` | requests | sync |
| `dynamics_sync.throttled` | requests | sync |
| `dynamics_sync.retries` | requests | sync |
| `dynamics_sync.events` | events | sync, result |
| `dynamics_sync.events.lag` | s | sync |
| `dynamics_sync.events.waiting` | events | |
| `dynamics_sync.partitions.unread` | partitions | |
| `dynamics_sync.dead_letters` | events | sync, error |
| `dynamics_sync.poisoned` | jobs | sync |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Span

__all__ = [
    "record_batch",
    "record_dead_letters",
    "record_events",
    "record_poisoned",
    "record_tick",
    "record_waiting",
    "span",
]

SCOPE = "dynamics_sync"
# Counts of a run's summary that are rows, by the name they have there.
DONE = ("created", "updated", "deleted", "expired", "deactivated", "marked", "reactivated", "upserted")
PLAIN = ("unchanged", "ignored", "adopted", "edited", "failed", "skipped")
TRAFFIC = ("requests", "throttled", "retries")
NO_TRAFFIC: Mapping[str, int] = MappingProxyType({})


@contextmanager
def span(name: str, **attributes: str | float | bool) -> Iterator[None]:
    """Measure a block as a span; an exception that leaves it marks the span as failed, by its type alone.

    Attributes never hold a row's values.
    """
    # The import takes 30 ms; a cold start does not need it before the first span.
    from opentelemetry import trace  # noqa: PLC0415 - see above

    tracer = trace.get_tracer(SCOPE)
    with (
        tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as current,
        ExitStack() as stack,
    ):
        stack.push(partial(_mark, current))
        yield


def _mark(current: Span, kind: type[BaseException] | None, *_: object) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - see span

    if kind is not None:
        current.set_status(Status(StatusCode.ERROR, kind.__name__))


def record_tick(overdue: Mapping[str, float]) -> None:
    """Count one tick of the timer.

    Args:
        overdue: Sync -> seconds for which it has been due, of those that are due.
    """
    _counter("ticks").add(1)
    for sync, seconds in overdue.items():
        _histogram("overdue", "s").record(seconds, {"sync": sync})


def record_batch(sync: str, trigger: str, summary: Mapping[str, Any], *, error: str = "") -> None:
    """Count one batch run.

    Args:
        sync: Name of the sync.
        trigger: What set it off.
        summary: The object that `run --json` prints.
        error: Class of the error that ended the run; empty for a run that reached its end.
    """
    of = {"sync": sync, "trigger": trigger, "state": str(summary.get("state", ""))}
    _counter("runs").add(1, of | {"error": error})
    _histogram("run.duration", "s").record(float(summary.get("elapsed_seconds", 0.0)), of)
    rows = {action: summary.get(action, {}).get("done", 0) for action in DONE}
    rows |= {action: summary.get(action, 0) for action in PLAIN}
    source = summary.get("source", {})
    if source.get("processed"):
        _counter("source.rows").add(source["processed"], {"sync": sync})
    rows["rejected"] = source.get("rejected", 0)
    for action, count in rows.items():
        if count:
            _counter("rows").add(count, {"sync": sync, "action": action})
    _record_traffic(sync, summary)
    for step in summary.get("post_sync", ()):
        if not step["run"]:  # those that an earlier run carried out are counted there
            _record_step(sync, step)


def _record_step(sync: str, step: Mapping[str, Any]) -> None:
    of = {"sync": sync, "step": step["name"], "kind": step["kind"], "state": step["state"]}
    _counter("steps").add(1, of)
    if step["seconds"]:
        _histogram("step.duration", "s").record(step["seconds"], of)


def _record_traffic(sync: str, counts: Mapping[str, Any]) -> None:
    for name in TRAFFIC:
        if counts.get(name):
            _counter(name).add(counts[name], {"sync": sync})


def record_events(
    sync: str,
    results: Mapping[str, int],
    *,
    lag_seconds: float | None = None,
    traffic: Mapping[str, int] = NO_TRAFFIC,
) -> None:
    """Count events of one sync by their result, the requests for them, and how long the latest waited.

    Args:
        sync: Name of the sync.
        results: Number of events by result.
        lag_seconds: How long the latest event waited in the hub; None where that is not known.
        traffic: `requests`, `throttled` and `retries`.
    """
    _record_traffic(sync, traffic)
    for result, count in results.items():
        if count:
            _counter("events").add(count, {"sync": sync, "result": result})
    if lag_seconds is not None:
        _histogram("events.lag", "s").record(lag_seconds, {"sync": sync})


def record_waiting(events: int | None, unread: int) -> None:
    """Record what waits in the event hub, for all syncs together.

    Args:
        events: Events that were not taken yet; None where that is not known.
        unread: Partitions of which nothing is read.
    """
    if events is not None:
        _histogram("events.waiting", "events").record(events)
    if unread:
        _histogram("partitions.unread", "partitions").record(unread)


def record_dead_letters(sync: str, error: str, count: int = 1) -> None:
    """Count events that went to the dead-letter store."""
    _counter("dead_letters").add(count, {"sync": sync, "error": error})


def record_poisoned(sync: str) -> None:
    """Count a job whose message ended in the poison queue."""
    _counter("poisoned").add(1, {"sync": sync})


@cache
def _counter(name: str) -> Counter:
    from opentelemetry import metrics  # noqa: PLC0415 - see span

    return metrics.get_meter(SCOPE).create_counter(f"{SCOPE}.{name}")


@cache
def _histogram(name: str, unit: str) -> Histogram:
    from opentelemetry import metrics  # noqa: PLC0415 - see span

    return metrics.get_meter(SCOPE).create_histogram(f"{SCOPE}.{name}", unit=unit)
