"""Definitions into a container of a storage account: by ETag, and never over somebody's edit. On Azurite."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.app.publishing import DefinitionFolder, container_of, publish
from shared.definitions import Repository
from shared.errors import AbortRun, DefinitionError, RetryLater, UserError
from shared.http.azure_tokens import WatchedCredential
from shared.remote import RemoteFiles
from tests.azurite.fixtures import IdentityAccount
from tests.contract.test_remote_files import DEFINITION

pytestmark = pytest.mark.azurite

CRM = (
    "kind: connection\nname: crm\ntype: dynamics\nservice_url: https://org.crm.dynamics.com/\nauth: managed_identity\n"
)


@pytest.fixture
def blobs(storage_account: str) -> ContainerClient:
    client = BlobServiceClient.from_connection_string(storage_account).get_container_client("definitions")
    client.create_container()
    return client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "customers.yaml").write_text(DEFINITION, "utf-8")
    (tmp_path / "orders.yml").write_text(DEFINITION.replace("customers", "orders"), "utf-8")
    (tmp_path / "crm.yaml").write_text(CRM, "utf-8")
    (tmp_path / "notes.txt").write_text("not a definition", "utf-8")
    return tmp_path


def published(folder: Path, blobs: ContainerClient, *overwrite: str) -> dict[str, str]:
    found = publish(folder, DefinitionFolder(blobs, "syncs/"), overwrite=overwrite)
    return {each.file: each.outcome for each in found}


def content(blobs: ContainerClient, name: str) -> str:
    return blobs.download_blob(f"syncs/{name}").readall().decode()


def test_a_folder_is_published_and_the_second_time_nothing_is_written(
    folder: Path, blobs: ContainerClient, storage_account: str
) -> None:
    """What the app then reads is what is in the folder."""
    assert published(folder, blobs) == {"crm.yaml": "created", "customers.yaml": "created", "orders.yml": "created"}
    etags = {each.name: each.etag for each in blobs.list_blobs()}
    assert set(published(folder, blobs).values()) == {"unchanged"}
    assert {each.name: each.etag for each in blobs.list_blobs()} == etags
    open_url = RemoteFiles(connection_string=storage_account).open
    read = Repository("abfs://definitions/syncs", clock=lambda: 0.0, open_url=open_url)
    assert [each.name for each in read.definitions()] == ["customers", "orders"]
    assert read.connection("crm").name == "crm"


def test_changes_and_removals_follow(folder: Path, blobs: ContainerClient) -> None:
    """What was published from the folder is also removed with it; what others put there stays."""
    published(folder, blobs)
    blobs.upload_blob("syncs/foreign.yaml", b"name: foreign")
    blobs.upload_blob("syncs/older/customers.yaml", b"name: older")
    (folder / "customers.yaml").write_text(DEFINITION + "description: New\n", "utf-8")
    (folder / "orders.yml").unlink()
    assert published(folder, blobs) == {
        "crm.yaml": "unchanged", "customers.yaml": "updated", "foreign.yaml": "left alone", "orders.yml": "removed",
    }  # fmt: skip
    assert content(blobs, "customers.yaml").endswith("description: New\n")
    assert {each.name for each in blobs.list_blobs()} == {
        "syncs/crm.yaml", "syncs/customers.yaml", "syncs/foreign.yaml", "syncs/older/customers.yaml",
    }  # fmt: skip


@pytest.mark.parametrize("keeps_metadata", [False, True])
def test_an_edit_in_the_container_is_reported_and_nothing_is_written(
    folder: Path,
    blobs: ContainerClient,
    keeps_metadata: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Also if the editor kept the metadata, and if the file was to be removed."""
    published(folder, blobs)
    for name in ("customers.yaml", "orders.yml"):
        metadata = blobs.get_blob_client(f"syncs/{name}").get_blob_properties().metadata if keeps_metadata else None
        blobs.upload_blob(f"syncs/{name}", b"name: edited", overwrite=True, metadata=metadata)
    (folder / "crm.yaml").write_text(CRM + "timeout: 30\n", "utf-8")
    (folder / "customers.yaml").write_text(DEFINITION + "description: New\n", "utf-8")
    (folder / "orders.yml").unlink()
    found = published(folder, blobs)
    assert (found["customers.yaml"], found["crm.yaml"]) == ("edited", "updated")
    # Without metadata it cannot be told from a file that was never published: it is not removed either.
    assert found["orders.yml"] == ("edited" if keeps_metadata else "left alone")
    assert content(blobs, "customers.yaml") == "name: edited"
    assert content(blobs, "crm.yaml") == CRM
    names = ("customers.yaml", "orders.yml")
    assert published(folder, blobs, *names)["customers.yaml"] == "updated"
    assert content(blobs, "crm.yaml") == CRM + "timeout: 30\n"


def test_an_edit_that_was_taken_into_the_folder_is_no_edit_any_more(folder: Path, blobs: ContainerClient) -> None:
    """From then on the folder decides again."""
    published(folder, blobs)
    edited = DEFINITION + "description: Edited there\n"
    blobs.upload_blob("syncs/customers.yaml", edited.encode(), overwrite=True)
    (folder / "customers.yaml").write_text(edited, "utf-8")
    assert published(folder, blobs)["customers.yaml"] == "unchanged"
    (folder / "customers.yaml").write_text(DEFINITION, "utf-8")
    assert published(folder, blobs)["customers.yaml"] == "updated"


class Slow(ContainerClient):
    """A container in which somebody edits a file between the reading and the writing."""

    def get_blob_client(self, blob, snapshot=None, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ANN003 - as its base
        client = super().get_blob_client(blob, snapshot, **options)
        if blob.endswith("customers.yaml") and not getattr(self, "edited", False):
            self.edited = True
            client.upload_blob(b"name: faster", overwrite=True)
        return client


@pytest.mark.parametrize("exists", [True, False])
def test_whoever_edits_meanwhile_is_not_overwritten(
    folder: Path,
    blobs: ContainerClient,
    storage_account: str,
    exists: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The condition of the write is the version that was read, or that there was none."""
    if exists:
        published(folder, blobs)
        (folder / "customers.yaml").write_text(DEFINITION + "description: New\n", "utf-8")
    slow = Slow.from_connection_string(storage_account, "definitions")
    assert published(folder, slow)["customers.yaml"] == "edited"
    assert content(blobs, "customers.yaml") == "name: faster"


def test_definitions_with_mistakes_are_not_published(folder: Path, blobs: ContainerClient) -> None:
    """Nor is an empty folder, which would remove everything."""
    published(folder, blobs)
    (folder / "customers.yaml").write_text("name: customers\n", "utf-8")
    with pytest.raises(DefinitionError, match=r"customers\.yaml"):
        published(folder, blobs)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(UserError, match="there is no definition"):
        published(folder, blobs)
    assert len(list(blobs.list_blobs())) == 3


def test_a_file_with_the_name_of_one_that_stays_in_the_container_is_not_published(
    folder: Path, blobs: ContainerClient
) -> None:
    """The app could use neither of them: one was made in the console, the other is new in the folder."""
    published(folder, blobs)
    blobs.upload_blob("syncs/people.yaml", DEFINITION.replace("customers", "people").encode())
    (folder / "staff.yaml").write_text(DEFINITION.replace("customers", "people"), "utf-8")
    (folder / "orders.yml").unlink()
    said = r"abfs://definitions/syncs/staff\.yaml.*already used by abfs://definitions/syncs/people\.yaml"
    with pytest.raises(DefinitionError, match=said):
        published(folder, blobs)
    assert {each.name for each in blobs.list_blobs()} == {
        "syncs/crm.yaml", "syncs/customers.yaml", "syncs/orders.yml", "syncs/people.yaml",
    }  # fmt: skip
    (folder / "staff.yaml").write_text(DEFINITION.replace("customers", "staff"), "utf-8")
    assert published(folder, blobs)["staff.yaml"] == "created"


def test_a_connection_that_a_file_in_the_container_uses_is_not_removed(folder: Path, blobs: ContainerClient) -> None:
    """Where that file had a mistake already, it stops nothing."""
    published(folder, blobs)
    url = "service_url: https://org.api.crm.dynamics.com/api/data/v9.2/"
    by_connection = DEFINITION.replace(url, "connection: crm").replace("  auth: managed_identity\n", "")
    blobs.upload_blob("syncs/console.yaml", by_connection.replace("customers", "console").encode())
    (folder / "crm.yaml").unlink()
    with pytest.raises(DefinitionError, match=r"abfs://definitions/syncs/console\.yaml.*crm"):
        published(folder, blobs)
    assert content(blobs, "crm.yaml") == CRM
    blobs.upload_blob("syncs/console.yaml", b"name: console", overwrite=True)
    assert published(folder, blobs)["crm.yaml"] == "removed"


def test_a_container_that_cannot_be_used_is_named(folder: Path, storage_account: str) -> None:
    """Missing, forbidden, away: each with what to do."""
    service = BlobServiceClient.from_connection_string(storage_account)
    with pytest.raises(UserError, match="there is no container nowhere"):
        published(folder, service.get_container_client("nowhere"))
    key = storage_account.replace("AccountKey=", "AccountKey=AAAA")
    with pytest.raises(AbortRun, match="Storage Blob Data Contributor"):
        published(folder, BlobServiceClient.from_connection_string(key).get_container_client("definitions"))
    away = BlobServiceClient("http://127.0.0.1:9/account", retry_total=0).get_container_client("definitions")
    with pytest.raises(RetryLater):
        published(folder, away)


def test_an_identity_without_a_token_now_means_later(
    folder: Path, identity_account: IdentityAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No role is missing."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
    watched = WatchedCredential(partial(ManagedIdentityCredential, retry_total=0))
    endpoint = identity_account.settings.blob_endpoint
    service = BlobServiceClient(endpoint, credential=watched, retry_total=0)
    with pytest.raises(RetryLater, match=r"no token for the container definitions: .* does not answer"):
        published(folder, service.get_container_client("definitions"))


def test_an_account_without_keys_is_opened_by_identity(folder: Path, identity_account: IdentityAccount) -> None:
    """As a pipeline that signed in with `az`."""
    settings = identity_account.settings
    with BlobServiceClient(settings.blob_endpoint, credential=identity_account.credential) as service:
        service.create_container("definitions")
    container = container_of(
        "abfs://definitions/syncs",
        lambda endpoint: BlobServiceClient(endpoint, credential=identity_account.credential),
        settings.blob_endpoint,
    )
    assert {each.outcome for each in publish(folder, container)} == {"created"}


@pytest.mark.parametrize(
    ("url", "endpoint", "name", "prefix"),
    [
        ("abfs://definitions/syncs", "https://own.blob.core.windows.net", "definitions", "syncs/"),
        ("abfss://definitions", "https://own.blob.core.windows.net", "definitions", ""),
        ("abfs://one@other.dfs.core.windows.net/a/b/", "https://other.blob.core.windows.net", "one", "a/b/"),
        ("az://one@other.blob.core.usgovcloudapi.net/a", "https://other.blob.core.usgovcloudapi.net", "one", "a/"),
    ],
)
def test_a_url_names_account_container_and_folder(url: str, endpoint: str, name: str, prefix: str) -> None:
    """In the forms of `SYNC_DEFINITIONS`."""
    asked: list[str] = []

    def connect(given: str) -> BlobServiceClient:
        asked.append(given)
        return BlobServiceClient(given)

    found = container_of(url, connect, "https://own.blob.core.windows.net")
    assert (asked, found.client.container_name, found.folder) == ([endpoint], name, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "syncs",
        "https://own.blob.core.windows.net/definitions",
        "abfs://X/syncs",
        "s3://a/b",
        "abfs://one@other.dfs.example.com/a",
    ],
)
def test_other_places_are_refused(url: str) -> None:
    """The message has an example."""
    with pytest.raises(UserError, match="abfs://definitions/syncs"):
        container_of(url, lambda _: BlobServiceClient("https://own.blob.core.windows.net"), "")
