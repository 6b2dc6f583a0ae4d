"""Files that are sent straight to storage: to addresses of an account with a key, and of one with an identity."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from azure.storage import blob
from azure.storage.blob import BlobServiceClient

from shared.app.publishing import DefinitionFolder
from shared.app.uploads import addresses
from shared.app.uploads.addresses import CONTAINER, LIFETIME, Address, Uploads
from shared.app.uploads.announced import AnnouncedFile
from shared.app.uploads.source_files import SourceContainer
from shared.errors import AbortRun, UserError
from tests.azurite.fixtures import IdentityAccount

pytestmark = pytest.mark.azurite

DATA = b"number,name\nc-1,One\n"
FILE = AnnouncedFile(name="rows.csv", size=len(DATA), by="ann", about="runs/r1/")


@pytest.fixture
def account(storage_account: str) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(storage_account)


@pytest.fixture
def uploads(account: BlobServiceClient) -> Uploads:
    return Uploads(account)


def send(address: Address, data: bytes = DATA, url: str = "") -> int:
    """Send a file as a browser does, and return the status."""
    return requests.put(url or address.url, data=data, headers=dict(address.headers), timeout=30).status_code


def refusal(uploads: Uploads, upload: str, by: str = "ann", about: str = "runs/r1/") -> str:
    with pytest.raises(UserError) as caught:
        uploads.arrived(upload, by=by, about=about)
    return caught.value.message


def test_a_file_that_was_sent_is_taken_once(uploads: Uploads, account: BlobServiceClient) -> None:
    """The container is made with the first address; afterwards it has no part of the file."""
    address = uploads.address(FILE)
    assert address.url.startswith(uploads.endpoint)
    assert send(address) == 201
    arrived = uploads.arrived(address.id, by="ann", about="runs/r1/")
    assert (arrived.read(), arrived.announced) == (DATA, FILE)
    arrived.remove()
    assert "used already" in refusal(uploads, address.id)
    assert [*account.get_container_client(CONTAINER).list_blob_names()] == []


def test_a_name_that_was_never_signed_for_this_person_is_refused(uploads: Uploads) -> None:
    """Also one of another person or for another use, and text that is no id."""
    address = uploads.address(FILE)
    send(address)
    assert "not announced" in refusal(uploads, address.id, by="ben")
    assert "not announced" in refusal(uploads, address.id, about="runs/r2/")
    for wrong in ("0" * 32, "", "../x", "ä", address.id[:-1], address.id.upper()):
        assert "not announced" in refusal(uploads, wrong)


def test_a_file_that_has_not_come_or_has_another_size_is_refused(uploads: Uploads) -> None:
    """What is larger than was announced is removed, and its address gives no second chance."""
    address = uploads.address(FILE)
    assert "has not come" in refusal(uploads, address.id)
    assert send(address, DATA * 2) == 201
    assert "40 bytes, and 20 were announced" in refusal(uploads, address.id)
    send(address)
    assert "not announced" in refusal(uploads, address.id)


def test_an_address_writes_one_name_and_nothing_else(uploads: Uploads, account: BlobServiceClient) -> None:
    """The storage refuses another name, reading, listing and deleting."""
    address = uploads.address(FILE)
    assert send(address) == 201
    container = f"{uploads.endpoint}?{urlsplit(address.url).query}&restype=container&comp=list"
    assert [
        send(address, url=address.url.replace("rows.csv", "other.csv")),
        send(address, url=address.url.replace("files/", "signed/")),
        requests.get(address.url, timeout=30).status_code,
        requests.delete(address.url, timeout=30).status_code,
        requests.get(container, timeout=30).status_code,
    ] == [403] * 5
    assert len([*account.get_container_client(CONTAINER).list_blob_names()]) == 2


def test_an_address_ends(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a quarter of an hour at most, the storage refuses it."""
    address = uploads.address(FILE)
    query = parse_qs(urlsplit(address.url).query)
    ends = datetime.fromisoformat(query["se"][0])
    assert timedelta() <= address.until - ends < timedelta(seconds=1)
    assert (LIFETIME, query["sp"], query["sr"]) == (timedelta(minutes=15), ["cw"], ["b"])
    monkeypatch.setattr(addresses, "LIFETIME", timedelta(seconds=-5))
    expired = uploads.address(FILE)
    assert send(expired) == 403
    assert "has not come" in refusal(uploads, expired.id)


def test_a_file_that_is_sent_again_while_it_is_read_is_not_mixed(uploads: Uploads, account: BlobServiceClient) -> None:
    """What was looked at is what is taken, or nothing."""
    address = uploads.address(FILE)
    send(address)
    arrived = uploads.arrived(address.id, by="ann", about="runs/r1/")
    send(address, DATA[::-1])
    to = account.get_blob_client(CONTAINER, "copy")
    for take in (arrived.read, lambda: arrived.copy(to)):
        with pytest.raises(UserError, match="sent again"):
            take()
    assert not to.exists()


def test_a_file_of_a_source_is_kept_beside_the_definitions(uploads: Uploads, account: BlobServiceClient) -> None:
    """A name that is taken gets a number, whichever way the file came."""
    container = account.create_container("definitions")
    kept = SourceContainer("abfs://definitions/syncs", DefinitionFolder(container, "syncs/"))
    assert kept.keep("rows.csv", b"first") == "abfs://definitions/syncs/data/rows.csv"
    assert kept.keep("rows.csv", b"second") == "abfs://definitions/syncs/data/rows-2.csv"
    address = uploads.address(FILE)
    send(address)
    arrived = uploads.arrived(address.id, by="ann", about="runs/r1/")
    assert kept.take(arrived) == "abfs://definitions/syncs/data/rows-3.csv"
    contents = {name: container.download_blob(name).readall() for name in container.list_blob_names()}
    assert contents == {
        "syncs/data/rows.csv": b"first",
        "syncs/data/rows-2.csv": b"second",
        "syncs/data/rows-3.csv": DATA,
    }


def test_an_identity_signs_with_a_key_of_its_own(
    identity_account: IdentityAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage gives it the key for as long as the address lasts; the address takes TLS alone."""
    _sign_as_azurite_knows(monkeypatch)
    settings, credential = identity_account.settings, identity_account.credential
    uploads = Uploads(BlobServiceClient(settings.blob_endpoint, credential=credential))
    address = uploads.address(FILE)
    query = parse_qs(urlsplit(address.url).query)
    assert (query["sp"], query["spr"], query["ske"]) == (["cw"], ["https"], query["se"])
    assert send(address) == 201
    assert send(address, url=address.url.replace("rows.csv", "other.csv")) == 403
    arrived = uploads.arrived(address.id, by="ann", about="runs/r1/")
    copy = BlobServiceClient(settings.blob_endpoint, credential=credential).get_blob_client(CONTAINER, "copy")
    assert arrived.copy(copy)
    assert (arrived.read(), copy.download_blob().readall()) == (DATA, DATA)
    arrived.remove()
    assert "not announced" in refusal(uploads, address.id)


def test_storage_that_refuses_is_named(account: BlobServiceClient) -> None:
    """The error says which container, and what to do."""
    wrong = BlobServiceClient(
        account.url, credential={"account_name": str(account.account_name), "account_key": "eA=="}
    )
    with pytest.raises(AbortRun, match=CONTAINER):
        Uploads(wrong).address(replace(FILE, name="x"))


def _sign_as_azurite_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azurite does not know the newest version of signatures yet, which has two more lines: both are empty here."""
    signing: Any = blob._shared_access_signature
    sign = signing.sign_string

    def older(key: str, text: str) -> str:
        lines = text.split("\n")
        assert lines[21:23] == ["", ""]
        return str(sign(key, "\n".join([*lines[:21], *lines[23:]])))

    monkeypatch.setattr(signing, "sign_string", older)
    monkeypatch.setattr(signing, "X_MS_VERSION", "2025-07-05")
