"""Opening the event hub that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.client import hub_address, open_client
from shared.app.event_hub.positions import HubPositions
from shared.app.event_hub.sending import EventHub, SendsEvents
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobServiceClient

__all__ = ["OpenedHub", "open_event_hub"]

_SECONDS: Final = 20
"""For one answer: whoever looks at a page loads it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedHub:
    """An event hub.

    Attributes:
        sender: Takes events.
        waiting: Knows how many events wait in it.
    """

    sender: SendsEvents
    waiting: WaitingEvents


def open_event_hub(
    settings: Settings, credential: Callable[[], TokenCredential], open_blobs: Callable[[str], BlobServiceClient]
) -> OpenedHub | None:
    """The hub that the settings name; None where they name none, as on a laptop.

    Args:
        settings: Name the hub, its namespace, the consumer group and the storage account of the host.
        credential: Makes the identity's credential where it is needed.
        open_blobs: Opens the storage account whose blob service has a URL.

    Raises:
        UserError: The connection string is not one.
    """
    address = hub_address(settings)
    if address is None:
        return None
    opened = partial(open_client, address, settings, credential)
    positions = HubPositions(
        address=address,
        consumer_group=settings.event_hub_consumer_group,
        open_hub=partial(opened, retry_total=0, auth_timeout=_SECONDS),
        open_storage=lambda: open_blobs(settings.blob_endpoint),
    )
    return OpenedHub(sender=EventHub(opened()), waiting=WaitingEvents(positions.read))
