"""Up to where the host has read each partition of a hub, and what the partition holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from shared.app.event_hub.client import HubAddress
from shared.app.event_hub.refusals import SIGN_IN, hub_errors
from shared.app.event_hub.waiting import Checkpoint, PartitionEnds, PartitionWaiting, waiting_in
from shared.app.once import made_once
from shared.errors import RetryLater, UserError

if TYPE_CHECKING:
    from azure.eventhub import EventHubProducerClient
    from azure.storage.blob import BlobServiceClient

__all__ = ["CONTAINER", "MOST_PARTITIONS", "HubPositions"]

CONTAINER: Final = "azure-webjobs-eventhub"
"""Where the host keeps checkpoints (Azure/azure-sdk-for-net, `EventHubOptions.CheckpointContainer`)."""
MOST_PARTITIONS: Final = 100
"""Each costs a connection; the tiers Basic, Standard and Premium have no more of them in a hub."""
_AT_ONCE: Final = 8
_MOST_CHECKPOINTS: Final = 10_000
_SECONDS: Final = 10  # for one request to the storage account
_NO_OFFSET: Final = ("", "no offset")  # what the host writes where it has none
_OF_STORAGE: Final = (
    "the storage account of AzureWebJobsStorage refuses the app: give its identity the role Storage Blob Data Reader"
)


@dataclass(frozen=True, kw_only=True)
class HubPositions:
    """A hub and the checkpoints of one consumer group.

    Attributes:
        address: The hub.
        consumer_group: That of the app's trigger.
        open_hub: Makes a client that gives up soon.
        open_storage: Makes a client of the app's storage account.
    """

    address: HubAddress
    consumer_group: str
    open_hub: Callable[[], EventHubProducerClient]
    open_storage: Callable[[], BlobServiceClient]

    def read(self) -> tuple[PartitionWaiting, ...]:
        """What waits in each partition, in order.

        Raises:
            UserError: The hub or the storage account refuses, or has too many partitions.
            RetryLater: One of them cannot be reached.
        """
        # First: events that come in between must not put a checkpoint ahead of the hub.
        checkpoints = self._checkpoints()
        with hub_errors("Azure Event Hubs Data Receiver", "Listen", UserError):
            ends = _ends(self._hub)
        return tuple(waiting_in(f"{self.address.hub}/{id_}", ends[id_], checkpoints.get(id_)) for id_ in ends)

    # Kept for all readings: the first token of a credential may take longer than a page waits.
    # The client of the hub keeps no connection.
    @made_once
    def _hub(self) -> EventHubProducerClient:
        return self.open_hub()

    @made_once
    def _storage(self) -> BlobServiceClient:
        return self.open_storage()

    def _checkpoints(self) -> dict[str, Checkpoint]:
        """Partition -> its checkpoint.

        The host has one blob for each, without content (Azure/azure-sdk-for-net, `BlobCheckpointStoreInternal`).
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - the Azure SDKs load slowly

        place = f"{self.address.namespace}/{self.address.hub}/{self.consumer_group}/checkpoint/".lower()
        limits: dict[str, Any] = {"retry_total": 0, "connection_timeout": _SECONDS, "read_timeout": _SECONDS}
        with _storage_errors():
            container = self._storage.get_container_client(CONTAINER)
            blobs = container.list_blobs(name_starts_with=place, include=["metadata"], **limits)
            try:
                found = [
                    (str(blob.name).removeprefix(place), _checkpoint_of(blob.metadata or {}))
                    for blob in islice(blobs, _MOST_CHECKPOINTS)
                ]
            except ResourceNotFoundError:  # the host makes the container when it first reads
                return {}
        return {partition: checkpoint for partition, checkpoint in found if checkpoint is not None}


def _checkpoint_of(metadata: Mapping[str, Any]) -> Checkpoint | None:
    """A checkpoint; None where the host takes it for none, and reads from the start."""
    values = {str(name).lower(): str(value or "") for name, value in metadata.items()}
    number = values.get("sequencenumber", "").strip()
    if number.isascii() and number.removeprefix("-").isdigit():
        return Checkpoint(sequence=int(number))
    return None if values.get("offset", "").lower() in _NO_OFFSET else Checkpoint(sequence=None)


def _ends(hub: EventHubProducerClient) -> dict[str, PartitionEnds]:
    """Partition -> what it holds, in order."""
    ids = sorted(map(str, hub.get_partition_ids()), key=lambda each: (len(each), each))
    if len(ids) > MOST_PARTITIONS:
        raise UserError(f"the hub has {len(ids):,} partitions: more than {MOST_PARTITIONS} are not asked for")

    def of(partition: str) -> PartitionEnds:
        found = hub.get_partition_properties(partition)
        return PartitionEnds(
            first=int(found["beginning_sequence_number"]),
            last=int(found["last_enqueued_sequence_number"]),
            is_empty=bool(found["is_empty"]),
        )

    # Each request makes a connection of its own: one after the other would take a page's time many times.
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="partitions") as threads:
        return dict(zip(ids, threads.map(of, ids), strict=True))


@contextmanager
def _storage_errors() -> Iterator[None]:
    from azure.core.exceptions import (  # noqa: PLC0415 - the Azure SDKs load slowly
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
    )

    from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - as above

    try:
        yield
    except TokensUnavailableError as error:
        raise RetryLater(f"no token for the storage account: {error}", retry_after=10) from error
    except HttpResponseError as error:
        if error.status_code in {401, 403}:
            raise UserError(_OF_STORAGE) from error
        if isinstance(error, ClientAuthenticationError):
            raise UserError(SIGN_IN) from error
        raise RetryLater(f"the storage account is not available: {type(error).__name__}", retry_after=10) from error
    except AzureError as error:
        raise RetryLater(f"the storage account is not available: {type(error).__name__}", retry_after=10) from error
