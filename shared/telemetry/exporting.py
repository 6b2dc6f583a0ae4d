"""Where logs, spans and metrics go."""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Protocol

from shared.telemetry.logs import JsonLines, RunContext

__all__ = ["TelemetrySettings", "configure"]

OURS = ("shared", "batch_sync", "event_sync")
# Their lines at INFO are every request with its URL, which may hold a key.
NOISY = ("azure", "urllib3", "msal")

log = logging.getLogger(__name__)


class TelemetrySettings(Protocol):
    """The part of the settings that is read here."""

    @property
    def log_level(self) -> str:
        """The least severe level that is logged."""

    @property
    def applicationinsights_connection_string(self) -> str:
        """Where to export to; empty for nowhere."""


def configure(settings: TelemetrySettings) -> None:
    """Shape the logs of a process in the Functions host, and export its spans and metrics when that is configured.

    Once a process; further calls do nothing. The logs are the host's to collect, which sends them to Application
    Insights.
    """
    _configure_once(settings.log_level, settings.applicationinsights_connection_string)


@cache
def _configure_once(level: str, connection_string: str) -> None:
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RunContext())
        if handler.formatter is None:  # a handler with its own formatter keeps it
            handler.setFormatter(JsonLines())
    if connection_string:
        _export(connection_string)


def _export(connection_string: str) -> None:
    """Send spans and metrics to Application Insights. The host sends what the process logs, so logs stay out.

    With `APPLICATIONINSIGHTS_AUTHENTICATION_STRING` the exporters sign in with the managed identity that it names.
    """
    try:
        # An extra that only the deployed app installs, and half a second of import.
        azure = importlib.import_module("azure.monitor.opentelemetry.exporter")
    except ImportError:
        log.warning(
            "APPLICATIONINSIGHTS_CONNECTION_STRING is set, but azure-monitor-opentelemetry-exporter is not installed"
        )
        return
    from opentelemetry import metrics, trace  # noqa: PLC0415 - loaded with the exporter
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - as above

    # A run has few spans: all are exported, without the sampling of the environment.
    spans = TracerProvider(sampler=ALWAYS_ON)
    spans.add_span_processor(BatchSpanProcessor(azure.AzureMonitorTraceExporter(connection_string=connection_string)))
    trace.set_tracer_provider(spans)
    reader = PeriodicExportingMetricReader(azure.AzureMonitorMetricExporter(connection_string=connection_string))
    metrics.set_meter_provider(MeterProvider([reader]))
