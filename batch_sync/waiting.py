"""The events that wait in the event hub, as metrics: no event tells it when none is taken."""

from __future__ import annotations

import logging
from typing import Final

from shared.app import App
from shared.app.event_hub.listening import events_waiting
from shared.app.event_hub.waiting import HubWaiting, Reading
from shared.errors import SyncError
from shared.telemetry import record_waiting

__all__ = ["REPORT", "WaitingReport"]

log = logging.getLogger(__name__)


class WaitingReport:
    """Reports what waits, tick by tick; why it is not known is logged once, until it is known again.

    Args:
        patience: Seconds for which a tick waits for the hub.
    """

    def __init__(self, patience: float = 10.0) -> None:
        self._patience = patience
        self._told = ""

    def report(self, app: App) -> None:
        """Record what waits; nothing where no sync has a listener, or the settings name no hub.

        What goes wrong here is logged and keeps no sync from running.
        """
        try:
            hub = events_waiting(app, self._patience)
        except SyncError as error:
            self._tell(error.message)
            return
        if hub is not None:
            self._record(hub)

    def _record(self, hub: HubWaiting) -> None:
        if hub.reading is Reading.DONE:
            record_waiting(hub.total, len(hub.ahead))
            self._told = ""
        else:
            self._tell(hub.reason or f"it has not answered in {self._patience:g} seconds")

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            log.warning("How many events wait in the event hub is not known: %s", reason)
            self._told = reason


REPORT: Final = WaitingReport()
"""That of this process."""
