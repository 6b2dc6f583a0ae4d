"""What waits in an event hub: checkpoints as the host keeps them in a storage account, and what the hub's client says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventHubError
from azure.storage.blob import BlobServiceClient

from shared.app.event_hub.client import HubAddress
from shared.app.event_hub.opening import open_event_hub
from shared.app.event_hub.positions import CONTAINER, HubPositions
from shared.app.event_hub.waiting import PartitionState, Reading
from shared.errors import RetryLater, SyncError, UserError
from shared.http.azure_tokens import TokensUnavailableError
from shared.settings import Settings
from tests.azurite.fixtures import IdentityAccount

pytestmark = pytest.mark.azurite

ADDRESS = HubAddress(namespace="Name.servicebus.windows.net", hub="Hub")
PLACE = "name.servicebus.windows.net/hub/$default/checkpoint/"
KNOWN, AHEAD, UNKNOWN = PartitionState.KNOWN, PartitionState.AHEAD, PartitionState.UNKNOWN


class Client:
    """The methods of Microsoft's client, with what its service says of each partition: the first and the last number."""

    def __init__(self, ends: Mapping[str, tuple[int, int]], error: Exception | None = None) -> None:
        self._ends = ends
        self._error = error

    def get_partition_ids(self) -> list[str]:
        if self._error:
            raise self._error
        return list(self._ends)

    def get_partition_properties(self, partition_id: str) -> dict[str, Any]:
        first, last = self._ends[partition_id]
        return {
            "eventhub_name": "hub",
            "id": partition_id,
            "beginning_sequence_number": first,
            "last_enqueued_sequence_number": last,
            "is_empty": last < first,
        }


def positions(client: Client, account: Callable[[], BlobServiceClient]) -> HubPositions:
    made: Any = client
    return HubPositions(address=ADDRESS, consumer_group="$Default", open_hub=lambda: made, open_storage=account)


@dataclass(frozen=True, slots=True)
class Host:
    """Writes checkpoints as the Functions host does."""

    account: BlobServiceClient

    def keep(self, name: str, **metadata: str) -> None:
        """Write the blob of a checkpoint."""
        container = self.account.get_container_client(CONTAINER)
        if not container.exists():
            container.create_container()
        container.upload_blob(name, b"", metadata=metadata)


@pytest.fixture
def account(storage_account: str) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(storage_account)


def test_every_partition_is_counted_from_its_checkpoint(account: BlobServiceClient) -> None:
    """In the order of their numbers; the blobs of other hubs, groups and owners are not asked for."""
    host = Host(account)
    host.keep(f"{PLACE}0", sequencenumber="9", offset="512", clientidentifier="host")
    host.keep(f"{PLACE}1", SequenceNumber="4", Offset="")
    host.keep(f"{PLACE}3", sequencenumber="700", offset="no offset")
    host.keep(f"{PLACE}4", sequencenumber="", offset="1024")
    host.keep(f"{PLACE}5", sequencenumber="", offset="")
    host.keep(PLACE.replace("checkpoint", "ownership") + "2", ownerid="9")
    host.keep(PLACE.replace("$default", "other") + "2", sequencenumber="9")
    host.keep(PLACE.replace("/hub/", "/hub2/") + "2", sequencenumber="9")
    ends = {"10": (3, 2), **{str(number): (0, 9) for number in range(6)}}
    client = Client(ends)
    found = positions(client, lambda: account).read()
    assert [(each.partition, each.state, each.waiting) for each in found] == [
        ("Hub/0", KNOWN, 0),
        ("Hub/1", KNOWN, 5),
        ("Hub/2", KNOWN, 10),
        ("Hub/3", AHEAD, None),
        ("Hub/4", UNKNOWN, None),
        ("Hub/5", KNOWN, 10),
        ("Hub/10", KNOWN, 0),
    ]


def test_clients_are_made_once(account: BlobServiceClient) -> None:
    """A new identity takes time to get its first token."""
    made: list[Any] = []

    def opened(client: Any) -> Any:
        made.append(client)
        return client

    hub = Client({"0": (2, 4)})
    read = HubPositions(
        address=ADDRESS,
        consumer_group="$Default",
        open_hub=lambda: opened(hub),
        open_storage=lambda: opened(account),
    ).read
    assert read() == read()
    assert made == [account, hub]


def test_before_the_host_has_read_anything_all_events_wait(account: BlobServiceClient) -> None:
    """There is no container yet."""
    (found,) = positions(Client({"0": (2, 4)}), lambda: account).read()
    assert found.waiting == 3


def test_checkpoints_are_read_before_the_hub(account: BlobServiceClient) -> None:
    """Otherwise events that are taken in between would put a checkpoint ahead of the hub."""
    host = Host(account)
    host.keep(f"{PLACE}0", sequencenumber="4")

    class Busy(Client):
        def get_partition_properties(self, partition_id: str) -> dict[str, Any]:
            found = super().get_partition_properties(partition_id)
            blob = account.get_blob_client(CONTAINER, f"{PLACE}0")
            blob.set_blob_metadata({"sequencenumber": "20"})
            return found

    (found,) = positions(Busy({"0": (0, 9)}), lambda: account).read()
    assert (found.state, found.waiting) == (KNOWN, 5)


def test_checkpoints_are_read_by_identity(identity_account: IdentityAccount) -> None:
    """As an app in Azure reads them."""
    account = BlobServiceClient(identity_account.settings.blob_endpoint, credential=identity_account.credential)
    Host(account).keep(f"{PLACE}0", sequencenumber="4")
    (found,) = positions(Client({"0": (0, 9)}), lambda: account).read()
    assert found.waiting == 5


class Refusing:
    """A storage account that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self) -> Any:
        raise self._error


def amqp_error(condition: str, kind: type[EventHubError]) -> EventHubError:
    """An error of the client, with the condition that it takes from the service's answer."""
    made = kind("sb://name.servicebus.windows.net: claim 'Listen' of key=secret")
    made.error = condition
    return made


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (amqp_error("unauthorized-access", AuthenticationError), UserError, "Azure Event Hubs Data Receiver"),
        (amqp_error("client-error", AuthenticationError), UserError, "Azure Event Hubs Data Receiver"),
        (amqp_error("internal-error", AuthenticationError), RetryLater, "not available: AuthenticationError"),
        (amqp_error("not-found", ConnectError), UserError, "EVENT_HUB_NAME"),
        (amqp_error("", ConnectError), RetryLater, "not available: ConnectError"),
        (ClientAuthenticationError("key=secret"), UserError, "cannot sign in to Azure"),
        (TokensUnavailableError("a.example answered 500"), RetryLater, "no token for the event hub: .* answered 500"),
    ],
)  # fmt: skip
def test_what_the_hub_refuses_is_said(
    account: BlobServiceClient, error: Exception, kind: type[SyncError], says: str
) -> None:
    """With the role that is missing, and without the library's words."""
    with pytest.raises(kind, match=says) as caught:
        positions(Client({"0": (0, 9)}, error), lambda: account).read()
    assert not any(word in caught.value.message for word in ("servicebus", "secret"))


def test_a_storage_account_that_refuses_is_said(storage_account: str, account: BlobServiceClient) -> None:
    """With the role that is missing."""
    Host(account).keep(f"{PLACE}0", sequencenumber="4")
    anonymous = BlobServiceClient(account.url)
    with pytest.raises(UserError, match="the role Storage Blob Data Reader"):
        positions(Client({"0": (0, 9)}), lambda: anonymous).read()
    for error, says in (
        (UserError("no storage account is set"), "no storage account is set"),
        (ClientAuthenticationError("key=secret"), "cannot sign in to Azure"),
        (TokensUnavailableError("a.example answered 500"), "no token for the storage account: .* answered 500"),
    ):
        with pytest.raises((UserError, RetryLater), match=says) as caught:
            positions(Client({"0": (0, 9)}), Refusing(error)).read()
        assert "secret" not in caught.value.message


def test_a_storage_account_that_is_away_is_said() -> None:
    """Without its address."""
    away = BlobServiceClient(f"http://127.0.0.1:{closed_port()}/account", credential="eA==")
    with pytest.raises(RetryLater, match="the storage account is not available") as caught:
        positions(Client({"0": (0, 9)}), lambda: away).read()
    assert "127.0.0.1" not in caught.value.message


def test_a_hub_with_very_many_partitions_is_not_asked(account: BlobServiceClient) -> None:
    """Each would be a connection."""
    client = Client({str(number): (0, 9) for number in range(101)})
    with pytest.raises(UserError, match="the hub has 101 partitions"):
        positions(client, lambda: account).read()


def test_one_partition_that_fails_fails_the_whole(account: BlobServiceClient) -> None:
    """A sum without it would be too small."""

    class Partly(Client):
        def get_partition_properties(self, partition_id: str) -> dict[str, Any]:
            if partition_id == "1":
                raise ConnectError("gone")
            return super().get_partition_properties(partition_id)

    with pytest.raises(RetryLater, match="ConnectError"):
        positions(Partly({"0": (0, 9), "1": (0, 9)}), lambda: account).read()


def test_the_real_client_of_a_hub_that_is_away(account: BlobServiceClient) -> None:
    """The page gets a reason: Microsoft's client gives up after one try."""
    connection = f"Endpoint=sb://127.0.0.1:{closed_port()};SharedAccessKeyName=k;SharedAccessKey=eA==;"
    settings = Settings.load({"EventHubConnection": f"{connection}UseDevelopmentEmulator=true;"})
    opened = open_event_hub(settings, pytest.fail, lambda _endpoint: account)
    assert opened is not None
    found = opened.waiting.now()
    while found.reading is Reading.NOT_YET:  # the client itself waits for some seconds
        found = opened.waiting.now()
    assert found.reading is Reading.FAILED
    assert found.reason.startswith("the event hub is not available: ")


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
