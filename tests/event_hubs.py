"""Event hubs of which a test says what waits in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.app import App
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.opening import OpenedHub
from shared.app.event_hub.waiting import PartitionState, PartitionWaiting
from shared.errors import UserError

__all__ = ["hub_of", "refusing_hub", "slow_hub", "with_hub"]


def with_hub(app: App, waiting: WaitingEvents) -> App:
    """The app, with a hub of which this is known."""
    app.wiring.event_hub = OpenedHub(sender=None, waiting=waiting)  # type: ignore[arg-type]  # nothing is sent
    return app


def hub_of(*partitions: tuple[str, int | None, PartitionState]) -> WaitingEvents:
    """A hub of which this is known: partition, events that wait, and whether they are known."""
    found = [PartitionWaiting(partition=name, state=state, waiting=count) for name, count, state in partitions]
    return WaitingEvents(lambda: tuple(found))


def refusing_hub() -> WaitingEvents:
    """A hub that refuses."""

    def read() -> tuple[PartitionWaiting, ...]:
        raise UserError("the event hub refuses the app: give its identity the role Azure Event Hubs Data Receiver")

    return WaitingEvents(read)


@contextmanager
def slow_hub() -> Iterator[WaitingEvents]:
    """A hub that does not answer until the end of the block."""
    held = threading.Event()

    def read() -> tuple[PartitionWaiting, ...]:
        held.wait()
        return ()

    yield WaitingEvents(read, patience=0.01)
    held.set()
