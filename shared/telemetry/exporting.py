"""Where logs, spans and metrics go."""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Protocol

from shared.settings import set_for_libraries
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

    Once a process, however often called. The logs are the host's to collect, which sends them to Application Insights.
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
        if handler.formatter is None:  # one that somebody shaped keeps its shape
            handler.setFormatter(JsonLines())
    if connection_string:
        _export(connection_string)


def _export(connection_string: str) -> None:
    try:
        # An extra that only the deployed app installs, and half a second of import.
        distro = importlib.import_module("azure.monitor.opentelemetry")
    except ImportError:
        log.warning("APPLICATIONINSIGHTS_CONNECTION_STRING is set, but azure-monitor-opentelemetry is not installed")
        return
    # Retry policies of the storage and Key Vault SDKs would each make a span of every try.
    quiet = {name: {"enabled": False} for name in ("azure_sdk", "requests", "urllib", "urllib3")}
    # The host sends what the process logs, so a second copy is not wanted; the distribution asks the environment alone.
    set_for_libraries("OTEL_LOGS_EXPORTER", "none")
    distro.configure_azure_monitor(
        connection_string=connection_string,
        instrumentation_options=quiet,
        # A run is few spans. By default most of those that come together are left out, the failed ones too.
        sampling_ratio=1.0,
        # The host has both.
        enable_live_metrics=False,
        enable_performance_counters=False,
    )
