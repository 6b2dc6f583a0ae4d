"""What is said of files in a container whose write took effect and whose answer was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, ExponentialRetry

from shared.app.definition_files import Author, DefinitionChangedError, DefinitionFiles
from shared.app.definition_files.container import ContainerPlace
from shared.app.definition_files.places import FileChangedError
from shared.app.publishing import DefinitionFolder, publish
from shared.app.uploads.addresses import Uploads
from shared.app.uploads.source_files import SourceContainer
from tests.azurite.relay import losing_answers
from tests.azurite.server import Azurite
from tests.contract.test_remote_files import DEFINITION
from tests.contract.test_uploads import FILE, send

pytestmark = pytest.mark.azurite

URL = "abfs://definitions/syncs"
ANN = Author(id="a", name="Ann")


@pytest.fixture
def blobs(storage_account: str) -> ContainerClient:
    """The container as others reach it."""
    client = BlobServiceClient.from_connection_string(storage_account).get_container_client("definitions")
    client.create_container()
    return client


@pytest.fixture
def unlucky(azurite: Azurite, storage_account: str, blobs: ContainerClient) -> Iterator[BlobServiceClient]:
    """A client whose connection breaks after each of its writes: it took effect, and the answer is lost."""
    with losing_answers(int(azurite.blob)) as relay:
        behind = storage_account.replace(f":{azurite.blob}/", f":{relay.server_port}/")
        soon = ExponentialRetry(initial_backoff=0, increment_base=0, random_jitter_range=0)
        with BlobServiceClient.from_connection_string(behind, retry_policy=soon) as client:
            yield client
    assert relay.lost


@pytest.fixture
def folder(unlucky: BlobServiceClient) -> DefinitionFolder:
    return DefinitionFolder(unlucky.get_container_client("definitions"), "syncs/")


def _host(url: str) -> str:
    return urlsplit(url).netloc


class TestDefinitions:
    def test_what_is_saved_and_deleted_is_noted_and_kept(self, folder: DefinitionFolder) -> None:
        """The author is not told that somebody else has changed it."""
        files, noted = DefinitionFiles(ContainerPlace(URL, folder)), list[str]()
        one = files.write("a.yaml", "name: a\n", expected=None, by=ANN, note=lambda: noted.append("created"))
        two = files.write("a.yaml", "name: b\n", expected=one.version, by=ANN, note=lambda: noted.append("saved"))
        assert files.read("a.yaml") == two
        files.delete("a.yaml", expected=two.version, by=ANN, note=lambda: noted.append("deleted"))
        assert (files.read("a.yaml"), noted) == (None, ["created", "saved", "deleted"])
        found = [(each.action, each.text, each.by) for each in files.versions("a.yaml")]
        assert found == [("deleted", "name: b\n", ANN), ("saved", "name: b\n", ANN), ("created", "name: a\n", ANN)]

    def test_what_somebody_else_has_saved_is_refused(self, folder: DefinitionFolder, blobs: ContainerClient) -> None:
        """Also where the connection breaks while it is refused."""
        place = ContainerPlace(URL, folder)
        version = place.write("a.yaml", b"1", None)
        blobs.upload_blob("syncs/a.yaml", b"theirs", overwrite=True)
        files = DefinitionFiles(place)
        with pytest.raises(DefinitionChangedError):
            files.write("a.yaml", "mine", expected=version, by=ANN)
        with pytest.raises(DefinitionChangedError):
            files.delete("a.yaml", expected=version, by=ANN)
        for expected in (version, None):
            with pytest.raises(FileChangedError):
                place.write("a.yaml", b"mine", expected)
        assert blobs.download_blob("syncs/a.yaml").readall() == b"theirs"

    def test_each_outcome_of_publish_is_that_of_its_write(self, folder: DefinitionFolder, tmp_path: Path) -> None:
        """Nobody has edited a file."""
        (tmp_path / "customers.yaml").write_text(DEFINITION)
        (tmp_path / "orders.yaml").write_text(DEFINITION.replace("customers", "orders"))

        def outcomes() -> dict[str, str]:
            return {each.file: each.outcome for each in publish(tmp_path, folder)}

        assert outcomes() == {"customers.yaml": "created", "orders.yaml": "created"}
        (tmp_path / "orders.yaml").unlink()
        (tmp_path / "customers.yaml").write_text(f"{DEFINITION}# new\n")
        assert outcomes() == {"customers.yaml": "updated", "orders.yaml": "removed"}
        edited = f"{DEFINITION}# edited\n"
        folder.client.upload_blob("syncs/customers.yaml", edited, overwrite=True)
        (tmp_path / "customers.yaml").write_text(edited)
        assert outcomes() == {"customers.yaml": "unchanged"}
        assert folder.client.get_blob_client("syncs/customers.yaml").get_blob_properties().metadata


class TestSourceFiles:
    def test_a_file_is_kept_once(self, folder: DefinitionFolder, blobs: ContainerClient) -> None:
        """Under its own name."""
        assert SourceContainer(URL, folder).keep("a.csv", b"x") == f"{URL}/data/a.csv"
        assert list(blobs.list_blob_names()) == ["syncs/data/a.csv"]

    def test_a_file_that_was_sent_straight_to_storage_is_kept_once(
        self, unlucky: BlobServiceClient, folder: DefinitionFolder, blobs: ContainerClient
    ) -> None:
        """Under its own name."""
        uploads = Uploads(unlucky)
        address = uploads.address(FILE)
        assert send(address, url=address.url.replace(_host(unlucky.url), _host(blobs.url))) == 201
        arrived = uploads.arrived(address.id, by="ann", about="runs/r1/")
        assert SourceContainer(URL, folder).take(arrived) == f"{URL}/data/rows.csv"
        assert list(blobs.list_blob_names()) == ["syncs/data/rows.csv"]
