"""Addresses to which a browser sends one file, for some minutes, and what has come there.

The container has two folders. Into `files/` browsers write, each to the one name that its address is for. Into
`signed/` only the app writes: what it has signed for whom. The storage account removes both after two days at most.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobSasPermissions, BlobServiceClient, ContainerClient, generate_blob_sas

from shared.app.definition_files.conditional_writes import written_once
from shared.app.publishing import DefinitionFolder, explained
from shared.app.uploads.announced import AnnouncedFile
from shared.errors import RetryLater, UserError

__all__ = ["CONTAINER", "LIFETIME", "Address", "UploadedFile", "Uploads"]

CONTAINER: Final = "dynamics-sync-uploads"
LIFETIME: Final = timedelta(minutes=15)
"""How long an address can be used."""
_SKEW: Final = timedelta(minutes=5)  # between the clocks of the app and of the storage
_ID: Final = re.compile(r"[0-9a-f]{32}")
_CHANGED: Final = 412
_PATIENCE: Final = 60.0  # seconds for a copy within the account
_LOOK: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a browser sends a file.

    Attributes:
        id: Names the file afterwards.
        url: With the signature; a person who has it can write this one file.
        headers: What the request needs.
        until: When the address ends.
    """

    id: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that has come, as it was when it was looked at.

    Attributes:
        announced: What was said of it.
    """

    announced: AnnouncedFile
    _container: ContainerClient
    _file: BlobClient
    _record: BlobClient
    _etag: str

    def read(self) -> bytes:
        """Its content.

        Raises:
            UserError: It has changed since.
            SyncError: The storage refuses, or is unavailable.
        """
        with self._explained():
            same = MatchConditions.IfNotModified
            return self._file.download_blob(etag=self._etag, match_condition=same).readall()

    def copy(self, to: BlobClient) -> bool:
        """Copy it within the storage account.

        Returns:
            Whether it was copied; False where there is another file already.

        Raises:
            UserError: It has changed since.
            SyncError: The storage refuses, or is unavailable.
        """
        conditions: dict[str, Any] = {
            "source_etag": self._etag,
            "source_match_condition": MatchConditions.IfNotModified,
            "match_condition": MatchConditions.IfMissing,
        }
        with self._explained():
            try:
                copy = partial(to.start_copy_from_url, self._file.url, **conditions)
                written_once(copy, lambda: to.get_blob_properties().copy.source == self._file.url or None)
            except ResourceExistsError:
                return False
            end = time.monotonic() + _PATIENCE
            # Within one account the storage mostly answers when the copy is there.
            while (status := to.get_blob_properties().copy.status) == "pending" and time.monotonic() < end:
                time.sleep(_LOOK)
        if status != "success":
            raise RetryLater("the storage has not copied the file yet: send it again later", retry_after=_PATIENCE)
        return True

    def remove(self) -> None:
        """Remove it: it was used. Its address writes nothing that the app would take."""
        with self._explained():
            for each in (self._record, self._file):
                try:
                    each.delete_blob()
                except ResourceNotFoundError:
                    continue

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self._container):
            try:
                yield
            except HttpResponseError as error:
                if error.status_code == _CHANGED:
                    raise UserError("the file was sent again while it was read: send it once more") from error
                raise


class Uploads:
    """Signs addresses, and looks at what has come.

    Args:
        blobs: The storage account of the app, with a key or with an identity.
    """

    def __init__(self, blobs: BlobServiceClient) -> None:
        self._blobs = blobs
        self._container = blobs.get_container_client(CONTAINER)

    @property
    def endpoint(self) -> str:
        """What every address begins with."""
        return f"{self._blobs.url.partition('?')[0].rstrip('/')}/{CONTAINER}/"

    def address(self, announced: AnnouncedFile) -> Address:
        """An address for one file; create and write is all that it allows.

        Raises:
            SyncError: The storage refuses, or is unavailable.
        """
        upload = uuid.uuid4().hex
        now = datetime.now(UTC)
        client = self._file(upload, announced)
        with _explained(self._container):
            signature = self._signature(client, now)
            self._note(upload, announced)
        headers = {"x-ms-blob-type": "BlockBlob", "content-type": "application/octet-stream"}
        return Address(id=upload, url=f"{client.url}?{signature}", headers=headers, until=now + LIFETIME)

    def arrived(self, upload: str, *, by: str, about: str) -> UploadedFile:
        """A file that was sent to an address.

        Args:
            upload: Its id.
            by: Who sends it.
            about: What it is for.

        Raises:
            UserError: No such address was signed for this person, the file has not come, or it has another size.
            SyncError: The storage refuses, or is unavailable.
        """
        record = self._container.get_blob_client(f"signed/{upload}.json")
        announced = self._noted(record) if _ID.fullmatch(upload) else None
        if announced is None or (announced.by, announced.about) != (by, about):
            raise UserError("this file was not announced here, or it was used already: choose it again")
        file = self._file(upload, announced)
        with _explained(self._container):
            try:
                found = file.get_blob_properties()
            except ResourceNotFoundError:
                raise UserError("the file has not come: choose it again, and send it") from None
        arrived = UploadedFile(
            announced=announced, _container=self._container, _file=file, _record=record, _etag=str(found.etag)
        )
        if found.size != announced.size:
            arrived.remove()
            raise UserError(
                f"the file has {found.size:,} bytes, and {announced.size:,} were announced: choose it again"
            )
        return arrived

    def _file(self, upload: str, announced: AnnouncedFile) -> BlobClient:
        return self._container.get_blob_client(f"files/{upload}/{announced.name}")

    def _signature(self, client: BlobClient, now: datetime) -> str:
        key: dict[str, Any] = {"account_key": getattr(self._blobs.credential, "account_key", None)}
        if key["account_key"] is None:
            key = {"user_delegation_key": self._blobs.get_user_delegation_key(now - _SKEW, now + LIFETIME)}
        return generate_blob_sas(
            str(self._blobs.account_name),
            client.container_name,
            client.blob_name,
            permission=BlobSasPermissions(create=True, write=True),
            expiry=now + LIFETIME,
            protocol="https" if client.url.startswith("https:") else None,
            **key,
        )

    def _note(self, upload: str, announced: AnnouncedFile) -> None:
        client = self._container.get_blob_client(f"signed/{upload}.json")
        text = json.dumps(asdict(announced)).encode()
        try:
            client.upload_blob(text)
        except ResourceNotFoundError:
            self._create()
            client.upload_blob(text)

    def _create(self) -> None:
        try:
            self._container.create_container()
        except ResourceExistsError:
            return

    def _noted(self, record: BlobClient) -> AnnouncedFile | None:
        with _explained(self._container):
            try:
                return AnnouncedFile(**json.loads(record.download_blob().readall()))
            except ResourceNotFoundError:
                return None


@contextmanager
def _explained(container: ContainerClient) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        raise explained(error, DefinitionFolder(container)) from error
