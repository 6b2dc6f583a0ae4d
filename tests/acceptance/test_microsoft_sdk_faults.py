"""Microsoft's own Python SDK with Microsoft's own sign-in library, and the effects of faults on them."""

from collections.abc import Iterator

import pytest
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from emulator.testing import RunningEmulator, running


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    """A server with TLS: the SDK and MSAL talk to nothing else."""
    with running(tls=True) as one:
        yield one


@pytest.fixture
def client(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    """The SDK, signed in with a client secret, on an emptied server."""
    emulator.reset()
    assert emulator.ca_file is not None
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", emulator.ca_file)
    credential = ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.authority,
        disable_instance_discovery=True,
    )
    with credential, DataverseClient(emulator.base_url, credential) as one:
        yield one


def names(client: DataverseClient, condition: str | None = None) -> list[str]:
    return sorted(row["name"] for row in client.records.list("account", select=["name"], filter=condition))


def test_azure_identity_and_the_sdk_work_together(client: DataverseClient) -> None:
    """A real credential signs in at the emulator's authority, and the SDK's request is accepted."""
    client.records.create("account", {"name": "Contoso"})
    assert names(client, "name eq 'contoso'") == ["Contoso"]


def test_the_sdk_reports_throttling_with_the_wait(client: DataverseClient, emulator: RunningEmulator) -> None:
    """The SDK does not wait itself, and returns the time to wait."""
    emulator.faults({"action": "status", "status": 429, "retry_after": 7, "match": {"path": "accounts"}})
    with pytest.raises(HttpError) as caught:
        names(client)
    assert caught.value.is_transient
    assert caught.value.details["retry_after"] == 7
    assert names(client) == []


def test_a_retry_without_a_check_creates_a_duplicate(client: DataverseClient, emulator: RunningEmulator) -> None:
    """The SDK repeats a create whose answer was lost."""
    emulator.faults({"action": "drop_after", "match": {"method": "POST", "path": "accounts"}})
    client.records.create("account", {"name": "once"})
    assert names(client) == ["once", "once"]
