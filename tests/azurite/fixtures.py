"""A storage account for every test, in one Azurite for all.

Every session of pytest imports this module: what takes long to import waits for a test that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.azurite.server import ACCOUNTS, Azurite, AzuriteMissingError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings
    from tests.unit.secrets.fake_cloud import FakeCloud

unused = iter(ACCOUNTS)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite for the session; tests are skipped, and say so, where npm cannot give it."""
    try:
        server = Azurite()
    except AzuriteMissingError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def storage_account(azurite: Azurite) -> str:
    """Connection string of an empty storage account."""
    return azurite.connection_string(next(unused))


@pytest.fixture(scope="session")
def identity_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCloud]:
    """The endpoint that gives an app in Azure its identity's tokens."""
    from tests.unit.secrets.fake_cloud import FakeCloud

    cloud = FakeCloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def azurite_by_identity(identity_cloud: FakeCloud) -> Iterator[Azurite]:
    """Azurite that takes tokens, with the cloud's certificate."""
    try:
        server = Azurite(identity_cloud.certificates)
    except AzuriteMissingError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityAccount:
    """A storage account that knows no key: its settings, and who the app is."""

    settings: Settings
    credential: TokenCredential


@pytest.fixture
def identity_account(
    azurite_by_identity: Azurite, identity_cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> Iterator[IdentityAccount]:
    """An empty account as an app in Azure finds its own: by URLs and the identity of its environment."""
    from azure.identity import DefaultAzureCredential

    from shared.settings import Settings

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(identity_cloud.ca_file))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity_cloud.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-this-app")
    tables, blobs, queues = azurite_by_identity.endpoints(next(unused))
    with DefaultAzureCredential() as credential:
        yield IdentityAccount(
            settings=Settings(
                state_store="azure", storage_table_uri=tables, storage_blob_uri=blobs, storage_queue_uri=queues
            ),
            credential=credential,
        )
