"""Definitions and sources in Azure storage, by connection string and by the app's identity, on Azurite."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from shared.definitions import Repository
from shared.errors import UserError
from shared.remote import RemoteFiles
from shared.sources.files import find_files
from tests.azurite.fixtures import IdentityAccount

ROOT = Path(__file__).parents[2]
DEFINITION = """
name: customers
source: {type: delimited, path: customers.csv, columns: [{name: number}]}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{source: number, target: accountnumber}]
sync_behaviour: {sync_key: [accountnumber]}
"""


def fill(service: BlobServiceClient) -> None:
    """Put a definition and two files into the account."""
    with service:
        for name, text in {
            "data/syncs/customers.yaml": DEFINITION,
            "data/in/a 1.csv": "number\n1\n",
            "data/in/b.csv": "number\n2\n",
        }.items():
            container, _, path = name.partition("/")
            client = service.get_container_client(container)
            if not client.exists():
                client.create_container()
            client.upload_blob(path, text.encode())


# What the app does with its settings; a process of its own, because aiohttp reads the certificates once at its import.
PROGRAM = """
from shared.definitions import Repository
from shared.errors import UserError
from shared.remote import RemoteFiles
from shared.settings import Settings
from shared.sources.files import find_files

remote = RemoteFiles.of(Settings.load())
(loaded,) = Repository("abfs://data/syncs", clock=lambda: 0.0, open_url=remote.open).loaded()
print(loaded.definition.name)
for file in find_files("abfs://data/in/*.csv", remote.open):
    with file.content() as stream:
        print(file.path, stream.read().decode().split())
        file.check_unchanged()
file.system.pipe_file(file.path, b"number\\n9\\n", overwrite=True)  # as long as before
try:
    file.check_unchanged()
except UserError as error:
    print(error.message.partition(",")[0])
"""


@pytest.fixture(params=["connection string", "identity"])
def told(request: pytest.FixtureRequest) -> dict[str, str]:
    """A filled storage account: what the environment says of it."""
    if request.param == "connection string":
        connection: str = request.getfixturevalue("storage_account")
        fill(BlobServiceClient.from_connection_string(connection))
        return {"AzureWebJobsStorage": connection}
    account: IdentityAccount = request.getfixturevalue("identity_account")
    fill(BlobServiceClient(account.settings.blob_endpoint, credential=account.credential))
    return {
        "AzureWebJobsStorage__blobServiceUri": account.settings.blob_endpoint,
        "SSL_CERT_FILE": str(request.getfixturevalue("identity_cloud").ca_file),
    }


@pytest.mark.azurite
def test_definitions_and_files_are_read_from_the_apps_own_account(told: dict[str, str]) -> None:
    """A URL without an account names a container of the app's account; a pattern finds files in the order of names.

    A file that is written anew is another version by its ETag, also where it is as long as before.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout.splitlines() == [
        "customers",
        "data/in/a 1.csv ['number', '1']",
        "data/in/b.csv ['number', '2']",
        "abfs://data/in/b.csv changed while it was read",
    ], done.stderr


@pytest.mark.parametrize("read", [lambda url: Repository(url, clock=lambda: 0.0).loaded(), find_files])
def test_a_url_without_any_account_is_refused_with_what_to_write(read: Callable[[str], object]) -> None:
    """The message has the URL with a place for the account, and the setting."""
    with pytest.raises(UserError, match=r"abfs://c@ACCOUNT\.dfs\.core\.windows\.net/x\.yaml, or set AzureWebJobs"):
        read("abfs://c/x.yaml")


def test_a_url_with_an_account_never_goes_to_the_apps_own() -> None:
    """The account in the URL wins over a connection string."""
    own = "DefaultEndpointsProtocol=https;AccountName=own;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    system, path = RemoteFiles(connection_string=own).open("abfs://c@other.dfs.core.windows.net/in/a.csv")
    assert (system.account_name, path) == ("other", "c/in/a.csv")
    assert system.connection_string is None
