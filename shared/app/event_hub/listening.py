"""What waits in the event hub of an app, where a sync listens to events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.app.event_hub.waiting import HubWaiting, Reading
from shared.errors import UserError

if TYPE_CHECKING:
    from shared.app import App

__all__ = ["events_waiting"]


def events_waiting(app: App, patience: float) -> HubWaiting | None:
    """What waits in the hub that the settings name; None where they name none, or no sync has a listener.

    Where the settings of the hub cannot be used, the reading has failed, with what to do.

    Args:
        app: The program.
        patience: Seconds for which the caller waits for the hub.
    """
    if not any(definition.listener for definition in app.runnable()):
        return None
    try:
        hub = app.wiring.event_hub
    except UserError as error:
        return HubWaiting(reading=Reading.FAILED, reason=error.message)
    return hub.waiting.now(patience) if hub else None
