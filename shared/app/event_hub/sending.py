"""An event hub as a place to send events to."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from shared.app.event_hub.refusals import hub_errors
from shared.errors import AbortRun, UserError
from shared.jobs.real_time.intake import ID_PROPERTY, AcceptedEvent

if TYPE_CHECKING:
    from azure.eventhub import EventHubProducerClient

__all__ = ["EventHub", "SendsEvents"]

# Characters. Service Bus takes so many (Microsoft, "PartitionKey Property"); for Event Hubs no limit is documented.
_LONGEST_KEY: Final = 128


class SendsEvents(Protocol):
    """Takes events."""

    def send(self, events: Sequence[AcceptedEvent]) -> None:
        """Put events into the hub: those of one key into one partition, in their order.

        Raises:
            UserError: An event is larger than the hub takes.
            AbortRun: The hub refuses the app, or there is no such hub.
            RetryLater: The hub is unavailable; some of the events may be in it, and may be sent again.
        """


class EventHub:
    """A hub, through Microsoft's client.

    Args:
        client: Opened at the first event; thread-safe for sends of one process.
    """

    def __init__(self, client: EventHubProducerClient) -> None:
        self._client = client

    def send(self, events: Sequence[AcceptedEvent]) -> None:
        """See `SendsEvents.send`."""
        by_key: dict[str, list[AcceptedEvent]] = defaultdict(list)
        for event in events:
            by_key[event.key].append(event)
        with hub_errors("Azure Event Hubs Data Sender", "Send", AbortRun):
            for key, those in by_key.items():
                self._send(_partition_key(key), those)

    def _send(self, key: str | None, events: Sequence[AcceptedEvent]) -> None:
        from azure.eventhub import EventData  # noqa: PLC0415 - loaded with its client

        batch = self._client.create_batch(partition_key=key)
        for event in events:
            made = EventData(event.body)
            made.properties = {ID_PROPERTY: event.id}
            try:
                batch.add(made)
            except ValueError:  # it is full
                self._client.send_batch(batch)
                batch = self._client.create_batch(partition_key=key)
                try:
                    batch.add(made)
                except ValueError:
                    raise UserError(f"an event of {len(event.body):,} bytes is larger than the hub takes") from None
        self._client.send_batch(batch)


def _partition_key(key: str) -> str | None:
    """What tells the hub into which partition events go: equal for equal message keys, and short enough."""
    return hashlib.sha256(key.encode()).hexdigest() if len(key) > _LONGEST_KEY else key or None
