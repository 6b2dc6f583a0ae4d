"""An event hub as a place to send events to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from shared.errors import RetryLater, UserError
from shared.jobs.real_time.intake import ID_PROPERTY, AcceptedEvent

if TYPE_CHECKING:
    from azure.eventhub import EventHubProducerClient

__all__ = ["EventHub", "SendsEvents"]


class SendsEvents(Protocol):
    """Takes events."""

    def send(self, events: Sequence[AcceptedEvent]) -> None:
        """Put events into the hub: those of one key into one partition, in their order.

        Raises:
            UserError: An event is larger than the hub takes.
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
        from azure.eventhub.exceptions import EventHubError  # noqa: PLC0415 - loaded with its client

        from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - as above

        by_key: dict[str, list[AcceptedEvent]] = defaultdict(list)
        for event in events:
            by_key[event.key].append(event)
        try:
            for key, those in by_key.items():
                self._send(key, those)
        except TokensUnavailableError as error:
            raise RetryLater(f"No token for the event hub: {error}", retry_after=10) from error
        except EventHubError as error:
            raise RetryLater(f"The event hub is not available: {type(error).__name__}", retry_after=10) from error

    def _send(self, key: str, events: Sequence[AcceptedEvent]) -> None:
        from azure.eventhub import EventData  # noqa: PLC0415 - loaded with its client

        batch = self._client.create_batch(partition_key=key or None)
        for event in events:
            made = EventData(event.body)
            made.properties = {ID_PROPERTY: event.id}
            try:
                batch.add(made)
            except ValueError:  # it is full
                self._client.send_batch(batch)
                batch = self._client.create_batch(partition_key=key or None)
                try:
                    batch.add(made)
                except ValueError:
                    raise UserError(f"an event of {len(event.body):,} bytes is larger than the hub takes") from None
        self._client.send_batch(batch)
