"""Spans and metrics, seen by an exporter in a process of its own: OpenTelemetry's providers are set once a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.telemetry import instruments

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

from shared.telemetry import (PhaseSpans, record_batch, record_dead_letters, record_events, record_poisoned, record_tick,
                              record_waiting, span)

summary = {"state": "Succeeded", "elapsed_seconds": 1.5, "created": {"done": 2}, "updated": {"done": 0},
           "unchanged": 7, "failed": 1, "source": {"processed": 12, "rejected": 3}, "requests": 9, "throttled": 4, "retries": 5,
           "post_sync": [{"name": "tell", "kind": "http", "state": "Failed", "seconds": 2.5, "run": ""},
                         {"name": "close", "kind": "sql", "state": "Succeeded", "seconds": 1.0, "run": "earlier"}]}
record_batch("customers", "timer", summary)
record_batch("orders", "timer", {"state": "Failed"}, error="AbortRun")
record_tick({"orders": 90.0})
record_events("customers", {"applied": 6, "ignored": 0}, lag_seconds=2.5)
record_events("live", {}, traffic={"requests": 3, "throttled": 2})
record_dead_letters("customers", "Undecodable", 8)
record_poisoned("customers")
for waiting in ((1200, 0), (30, 2), (None, 0)):
    record_waiting(*waiting)
try:
    with span("dynamics_sync.run", sync="customers"), PhaseSpans() as phases:
        phases.phase("load")
        phases.phase("write")
        raise ValueError("Ann's birthday")
except ValueError:
    pass

points = [
    [metric.name, dict(point.attributes), getattr(point, "value", None) or getattr(point, "sum", None)]
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
    for point in metric.data.data_points
]
told = [
    [span.name, dict(span.attributes), span.status.status_code.name, span.status.description, len(span.events),
     span.parent is not None]
    for span in spans.get_finished_spans()
]
print(json.dumps({"points": points, "spans": told}))
"""


@pytest.fixture(scope="module")
def exported() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def value(exported: dict[str, Any], name: str, **attributes: str) -> float:
    (found,) = [
        number for metric, of, number in exported["points"] if metric == name and attributes.items() <= of.items()
    ]
    return float(found)


def test_a_batch_counts_rows_by_action_and_requests(exported: dict[str, Any]) -> None:
    """Each figure of the summary ends in its metric, with sync and action."""
    rows = {of["action"]: number for name, of, number in exported["points"] if name == "dynamics_sync.rows"}
    assert rows == {"created": 2, "unchanged": 7, "failed": 1, "rejected": 3}
    assert value(exported, "dynamics_sync.source.rows", sync="customers") == 12
    assert value(exported, "dynamics_sync.runs", sync="customers", trigger="timer", state="Succeeded") == 1
    assert value(exported, "dynamics_sync.run.duration", sync="customers") == 1.5
    assert value(exported, "dynamics_sync.requests", sync="customers") == 9
    assert value(exported, "dynamics_sync.throttled", sync="customers") == 4
    assert value(exported, "dynamics_sync.retries") == 5


def test_steps_count_once_with_their_state(exported: dict[str, Any]) -> None:
    """Those that an earlier run carried out were counted there."""
    steps = [(of, number) for name, of, number in exported["points"] if name == "dynamics_sync.steps"]
    assert steps == [({"sync": "customers", "step": "tell", "kind": "http", "state": "Failed"}, 1)]
    assert value(exported, "dynamics_sync.step.duration", step="tell") == 2.5


def test_events_count_by_result_with_their_lag(exported: dict[str, Any]) -> None:
    """Dead letters are counted by their reason."""
    assert value(exported, "dynamics_sync.events", result="applied") == 6
    assert value(exported, "dynamics_sync.events.lag", sync="customers") == 2.5
    assert value(exported, "dynamics_sync.poisoned", sync="customers") == 1
    assert value(exported, "dynamics_sync.dead_letters", sync="customers", error="Undecodable") == 8


def test_spans_nest_by_run_and_phase_and_fail_without_values(exported: dict[str, Any]) -> None:
    """A failed span names the exception's type, never its message."""
    assert exported["spans"] == [
        ["dynamics_sync.load", {}, "UNSET", None, 0, True],
        ["dynamics_sync.write", {}, "UNSET", None, 0, True],
        ["dynamics_sync.run", {"sync": "customers"}, "ERROR", "ValueError", 0, False],
    ]


def test_every_metric_is_documented(exported: dict[str, Any]) -> None:
    """The module's table and the page on monitoring list what is recorded."""
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    for name, _, _ in exported["points"]:
        assert f"| `{name}` |" in str(instruments.__doc__)
        assert f"| `{name}` |" in page


def test_a_run_that_failed_has_the_class_of_its_error(exported: dict[str, Any]) -> None:
    """Also one that failed before it began: its summary is the state alone."""
    assert value(exported, "dynamics_sync.runs", sync="orders", state="Failed", error="AbortRun") == 1
    assert value(exported, "dynamics_sync.runs", sync="customers", state="Succeeded", error="") == 1


def test_ticks_and_waiting_syncs_are_recorded(exported: dict[str, Any]) -> None:
    """The alerts on a silent timer and on late syncs look at these."""
    assert value(exported, "dynamics_sync.ticks") == 1
    assert value(exported, "dynamics_sync.overdue", sync="orders") == 90


def test_events_that_wait_are_recorded(exported: dict[str, Any]) -> None:
    """The alerts on events that wait look at these: of three ticks, one does not know the number, and one has partitions that are not read."""
    assert value(exported, "dynamics_sync.events.waiting") == 1200 + 30
    assert value(exported, "dynamics_sync.partitions.unread") == 2


def test_requests_of_real_time_are_counted_like_those_of_batches(exported: dict[str, Any]) -> None:
    """Under the same names, by sync."""
    assert value(exported, "dynamics_sync.requests", sync="live") == 3
    assert value(exported, "dynamics_sync.throttled", sync="live") == 2
