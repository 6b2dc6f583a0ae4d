"""The client of the event hub that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from shared.errors import UserError
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.eventhub import EventHubProducerClient

__all__ = ["HubAddress", "hub_address", "open_client"]

_NO_CONNECTION: Final = "EventHubConnection is not a connection string of an Event Hubs namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """Which hub it is.

    Attributes:
        namespace: Its host, such as `my-namespace.servicebus.windows.net`.
        hub: Its name.
    """

    namespace: str
    hub: str


def hub_address(settings: Settings) -> HubAddress | None:
    """The hub from which the host reads; None where the settings name none, as on a laptop.

    A hub in the connection string comes before `EVENT_HUB_NAME`, as it does for the host (Azure/azure-sdk-for-net,
    `EventHubClientFactory.NormalizeEventHubName`).

    Raises:
        UserError: The connection string is not one.
    """
    if not settings.event_hub_connection:
        by_identity = HubAddress(namespace=settings.event_hub_namespace, hub=settings.event_hub_name)
        return by_identity if by_identity.namespace else None
    parts = dict(part.strip().partition("=")[::2] for part in settings.event_hub_connection.split(";"))
    values = {name.strip().lower(): value.strip() for name, value in parts.items()}
    namespace = _host_of(values.get("endpoint", ""))
    if not namespace:
        raise UserError(_NO_CONNECTION)
    return HubAddress(namespace=namespace, hub=values.get("entitypath") or settings.event_hub_name)


def _host_of(url: str) -> str | None:
    """The host of a URL; None where it is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def open_client(
    address: HubAddress, settings: Settings, credential: Callable[[], TokenCredential], **options: Any
) -> EventHubProducerClient:
    """A client of a hub.

    Args:
        address: The hub.
        settings: Say how the app signs in.
        credential: Makes the identity's credential where it is needed.
        options: Of the client.

    Raises:
        UserError: The connection string is not one.
    """
    from azure.eventhub import EventHubProducerClient  # noqa: PLC0415 - it loads slowly

    if settings.event_hub_connection:
        connection = settings.event_hub_connection
        try:
            return EventHubProducerClient.from_connection_string(connection, eventhub_name=address.hub, **options)
        except ValueError:
            raise UserError(_NO_CONNECTION) from None
    return EventHubProducerClient(address.namespace, address.hub, credential(), **options)
