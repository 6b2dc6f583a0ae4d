"""Definitions that people edit: one promise for a local folder and for a container of a storage account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.app.definition_files import Author, DefinitionChangedError, DefinitionFiles
from shared.app.definition_files.container import ContainerPlace
from shared.app.definition_files.local import LocalPlace
from shared.app.definition_files.opening import seed
from shared.app.definition_files.places import Place
from shared.app.publishing import DefinitionFolder, publish
from shared.definitions import Repository
from shared.errors import UserError
from shared.remote import RemoteFiles
from tests.contract.test_remote_files import DEFINITION

ANN = Author(id="a", name="Ann Ørsted")
BEN = Author(id="b", name="Ben")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A place with a repository that reads it again only when a test asks for it."""

    place: Place
    repository: Repository
    files: DefinitionFiles
    put: Callable[[str, bytes], object]


def _moments() -> Callable[[], datetime]:
    numbers = count()
    return lambda: datetime(2026, 11, 26, tzinfo=UTC) + timedelta(seconds=next(numbers))


def _shelf(place: Place, repository: Repository, put: Callable[[str, bytes], object]) -> Shelf:
    files = DefinitionFiles(place, repository.look_again, _moments())
    return Shelf(place=place, repository=repository, files=files, put=put)


@pytest.fixture
def local(tmp_path: Path) -> Shelf:
    folder = tmp_path / "syncs"
    folder.mkdir()
    repository = Repository(folder, clock=lambda: 0.0)
    return _shelf(LocalPlace(folder), repository, lambda name, content: (folder / name).write_bytes(content))


@pytest.fixture
def blobs(storage_account: str) -> ContainerClient:
    client = BlobServiceClient.from_connection_string(storage_account).get_container_client("definitions")
    client.create_container()
    return client


@pytest.fixture
def container(blobs: ContainerClient, storage_account: str) -> Shelf:
    url = "abfs://definitions/syncs"
    place = ContainerPlace(url, DefinitionFolder(blobs, "syncs/"))
    repository = Repository(url, clock=lambda: 0.0, open_url=RemoteFiles(connection_string=storage_account).open)
    return _shelf(place, repository, lambda name, content: blobs.upload_blob(f"syncs/{name}", content, overwrite=True))


@pytest.fixture(params=["local", pytest.param("container", marks=pytest.mark.azurite)])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    found: Shelf = request.getfixturevalue(request.param)
    return found


def test_what_is_saved_is_seen_at_once_and_byte_for_byte(shelf: Shelf) -> None:
    """Also line breaks and marks that no editor shows; the repository does not wait for its next look."""
    shelf.put("orders.yaml", DEFINITION.replace("customers", "orders").encode())
    assert [each.name for each in shelf.repository.definitions()] == ["orders"]
    text = "\ufeff" + DEFINITION.replace("\n", "\r\n") + "# Grüße 😀\r\n"
    made = shelf.files.write("customers.yaml", text, expected=None, by=ANN)
    assert shelf.files.read("customers.yaml") == made
    assert (made.text, shelf.files.read("none.yaml")) == (text, None)
    assert [each.name for each in shelf.repository.definitions()] == ["customers", "orders"]
    shelf.files.delete("customers.yaml", expected=made.version, by=ANN)
    assert [each.name for each in shelf.repository.definitions()] == ["orders"]


def test_the_second_of_two_people_gets_an_error_and_what_the_first_has_saved(shelf: Shelf) -> None:
    """For a change, a new file and a deletion; nothing is overwritten."""
    made = shelf.files.write("customers.yaml", "name: customers\n", expected=None, by=ANN)
    ann = shelf.files.write("customers.yaml", "name: customers # Ann\n", expected=made.version, by=ANN)
    with pytest.raises(DefinitionChangedError) as told:
        shelf.files.write("customers.yaml", "name: customers # Ben\n", expected=made.version, by=BEN)
    assert told.value.now == ann
    with pytest.raises(DefinitionChangedError):
        shelf.files.write("customers.yaml", "name: customers # Ben\n", expected=None, by=BEN)
    with pytest.raises(DefinitionChangedError):
        shelf.files.delete("customers.yaml", expected=made.version, by=BEN)
    assert shelf.files.read("customers.yaml") == ann
    shelf.files.delete("customers.yaml", expected=ann.version, by=ANN)
    for version in (ann.version, made.version):
        with pytest.raises(DefinitionChangedError) as gone:
            shelf.files.write("customers.yaml", "x", expected=version, by=BEN)
        assert (gone.value.now, "deleted" in gone.value.message) == (None, True)


def test_the_place_itself_refuses_a_write_between_the_look_and_the_write(shelf: Shelf) -> None:
    """The condition is checked where the file is, and not only before."""
    from shared.app.definition_files.places import FileChangedError

    first = shelf.place.write("customers.yaml", b"1", None)
    second = shelf.place.write("customers.yaml", b"2", first)
    for expected in (first, None):
        with pytest.raises(FileChangedError):
            shelf.place.write("customers.yaml", b"3", expected)
    for name, expected in (("customers.yaml", first), ("none.yaml", second)):
        with pytest.raises(FileChangedError):
            shelf.place.remove(name, expected)
    held = shelf.place.read("customers.yaml")
    assert held is not None
    assert (held.content, held.version) == (b"2", second)


def test_every_version_is_kept_with_who_wrote_it(shelf: Shelf) -> None:
    """Also what was written elsewhere, as soon as it is replaced; and the last text of a deleted file."""
    shelf.put("customers.yaml", b"one")
    found = shelf.files.read("customers.yaml")
    assert found is not None
    two = shelf.files.write("customers.yaml", "two", expected=found.version, by=ANN)
    shelf.files.delete("customers.yaml", expected=two.version, by=BEN)
    shelf.files.write("customers.yaml", "two", expected=None, by=ANN)
    versions = shelf.files.versions("customers.yaml")
    assert [(each.action, each.text, each.by) for each in versions] == [
        ("created", "two", ANN), ("deleted", "two", BEN), ("saved", "two", ANN), ("found", "one", Author()),
    ]  # fmt: skip
    assert versions[0].at > versions[1].at > versions[2].at
    assert shelf.files.version("customers.yaml", versions[3].id) == versions[3]
    assert shelf.files.version("customers.yaml", "../customers") is None
    assert [each.name for each in shelf.repository.loaded()] == ["customers"]


def test_what_cannot_be_noted_is_put_back_with_its_versions(shelf: Shelf) -> None:
    """A change, a deletion and a new file; but not over what somebody else has saved since."""
    made = shelf.files.write("a.yaml", "name: a\r\n", expected=None, by=ANN)

    def fail() -> None:
        raise UserError("away")

    with pytest.raises(UserError, match=r"^away; nothing was changed$"):
        shelf.files.write("a.yaml", "name: b\n", expected=made.version, by=BEN, note=fail)
    found = shelf.files.read("a.yaml")
    assert found is not None
    assert found.text == made.text
    with pytest.raises(UserError, match="nothing was changed"):
        shelf.files.delete("a.yaml", expected=found.version, by=BEN, note=fail)
    with pytest.raises(UserError, match="nothing was changed"):
        shelf.files.write("b.yaml", "name: b\n", expected=None, by=BEN, note=fail)
    again = shelf.files.read("a.yaml")
    assert again is not None
    assert (again.text, shelf.files.read("b.yaml")) == (made.text, None)
    assert [each.text for each in shelf.files.versions("a.yaml")] == [made.text]
    assert shelf.files.versions("b.yaml") == ()

    def overtaken() -> None:
        shelf.put("a.yaml", b"name: theirs\n")
        fail()

    with pytest.raises(UserError, match=r"a\.yaml was changed all the same"):
        shelf.files.write("a.yaml", "name: b\n", expected=again.version, by=BEN, note=overtaken)
    assert [each.text for each in shelf.files.versions("a.yaml")] == ["name: b\n", made.text]


@pytest.mark.azurite
def test_an_edit_counts_as_one_for_the_next_publication(container: Shelf, tmp_path: Path) -> None:
    """It is reported, and not overwritten."""
    (tmp_path / "customers.yaml").write_text(DEFINITION)
    assert isinstance(container.place, ContainerPlace)
    target = container.place._container
    publish(tmp_path, target)
    read = container.files.read("customers.yaml")
    assert read is not None
    container.files.write("customers.yaml", read.text + "description: New\n", expected=read.version, by=ANN)
    (tmp_path / "customers.yaml").write_text(DEFINITION + "version: 2.0.0\n")
    assert [each.outcome for each in publish(tmp_path, target)] == ["edited"]
    (tmp_path / "customers.yaml").write_text(DEFINITION + "description: New\n")
    assert [each.outcome for each in publish(tmp_path, target)] == ["unchanged"]


@pytest.mark.azurite
def test_an_empty_container_gets_the_definitions_of_the_package_once(container: Shelf, tmp_path: Path) -> None:
    """A file that people delete afterwards is not written again, and the next publication may replace the files."""
    (tmp_path / "customers.yaml").write_text(DEFINITION)
    place = container.place
    assert isinstance(place, ContainerPlace)
    assert (seed(place, tmp_path), seed(place, tmp_path)) == (True, False)
    assert [each.name for each in container.repository.definitions()] == ["customers"]
    (tmp_path / "customers.yaml").write_text(DEFINITION + "version: 2.0.0\n")
    assert [each.outcome for each in publish(tmp_path, place._container)] == ["updated"]
    read = container.files.read("customers.yaml")
    assert read is not None
    container.files.delete("customers.yaml", expected=read.version, by=ANN)
    assert (seed(place, tmp_path), [*container.repository.definitions()]) == (False, [])
