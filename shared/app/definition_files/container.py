"""Definitions in a container of a storage account: each write has the condition that the file is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from shared.app.definition_files.conditional_writes import CHANGED, written_once
from shared.app.definition_files.places import FileChangedError, FileContent
from shared.app.publishing import MARK, DefinitionFolder, explained
from shared.definitions.loading.folders import MOST_BYTES
from shared.errors import UserError

__all__ = ["ContainerPlace"]


class ContainerPlace:
    """A folder in a container.

    What `publish` has written keeps its mark when it is written here: another content beside the mark is an edit.

    Args:
        url: What people call it.
        folder: The container and the folder.
        read_only: Why nothing can be written; empty where files can be written.
    """

    def __init__(self, url: str, folder: DefinitionFolder, read_only: str = "") -> None:
        self._url = url
        self._container = folder
        self._read_only = read_only

    @property
    def shown(self) -> str:
        """The URL."""
        return self._url

    @property
    def read_only(self) -> str:
        """See `Place`."""
        return self._read_only

    def names(self, folder: str) -> list[str]:
        """See `Place`."""
        start = self._container.folder + (f"{folder}/" if folder else "")
        with self._explained():
            found = [*self._container.client.walk_blobs(name_starts_with=start or None)]
        names = (each.name.removeprefix(start) for each in found)
        return sorted(name for name in names if name and "/" not in name)

    def read(self, name: str) -> FileContent | None:
        """See `Place`."""
        try:
            with self._explained():
                read = self._client(name).download_blob()
                if read.size > 2 * MOST_BYTES:
                    raise UserError(f"{name} is larger than {MOST_BYTES:,} bytes, the limit for a definition")
                return FileContent(content=read.readall(), version=_bare(read.properties.etag))
        except _MissingError:
            return None

    def write(self, name: str, content: bytes, expected: str | None) -> str:
        """See `Place`."""
        client = self._client(name)
        with self._explained():
            metadata = client.get_blob_properties(**_same(expected)).metadata if expected else {}
            options = {"overwrite": bool(expected), "metadata": metadata, **_same(expected)}
            return written_once(
                lambda **more: _bare(client.upload_blob(content, **options, **more)["etag"]),
                lambda: self._version(name, content),
            )

    def remove(self, name: str, expected: str) -> None:
        """See `Place`."""
        try:
            with self._explained():
                delete = partial(self._client(name).delete_blob, **_same(expected))
                written_once(delete, lambda: self.read(name) is None or None)
        except _MissingError:
            raise FileChangedError from None

    def seed(self, name: str, content: bytes) -> None:
        """Write a file as `publish` does, unless there is one."""
        mark = {MARK: hashlib.sha256(content).hexdigest()}
        try:
            with self._explained():
                self._client(name).upload_blob(content, metadata=mark, **_same(None))
        except FileChangedError:  # another instance was faster
            return

    def _version(self, name: str, content: bytes) -> str | None:
        """The version of a file that has this content; None where it has another one."""
        held = self.read(name)
        return held.version if held is not None and held.content == content else None

    def _client(self, name: str) -> Any:
        return self._container.client.get_blob_client(self._container.folder + name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors of the SDK into ours."""
        try:
            yield
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", "") == "BlobNotFound":
                raise _MissingError from error
            raise explained(error, self._container) from error
        except HttpResponseError as error:
            if error.status_code in CHANGED:
                raise FileChangedError from error
            raise explained(error, self._container) from error
        except AzureError as error:
            raise explained(error, self._container) from error


class _MissingError(FileChangedError):
    """There is no such file."""


def _bare(etag: str) -> str:
    return etag.strip('"')


def _same(expected: str | None) -> dict[str, Any]:
    """The condition of a request."""
    if expected is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{expected}"', "match_condition": MatchConditions.IfNotModified}
