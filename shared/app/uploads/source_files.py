"""Where the files are kept that people give as sources: the folder `data` beside the definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobClient, BlobServiceClient

from shared.app.definition_files.conditional_writes import written_once
from shared.app.publishing import DefinitionFolder, container_of, explained
from shared.app.uploads.addresses import UploadedFile
from shared.app.uploads.announced import FOLDER, numbered_names
from shared.errors import UserError

__all__ = ["SourceContainer"]


class SourceContainer:
    """The folder in a container. Nothing in it is replaced: a name that is taken gets a number.

    Args:
        url: Of the folder of the definitions.
        folder: The same as a container and a folder.
    """

    def __init__(self, url: str, folder: DefinitionFolder) -> None:
        self._url = url.rstrip("/")
        self._folder = folder

    @classmethod
    def of(cls, url: str, connect: Callable[[str], BlobServiceClient], endpoint: str) -> SourceContainer | None:
        """The folder beside the definitions; None where these are not in a container of the app's own account.

        Args:
            url: Of the definitions.
            connect: See `container_of`.
            endpoint: See `container_of`.
        """
        if "@" in urlsplit(url).netloc:
            return None
        try:
            return cls(url, container_of(url, connect, endpoint))
        except UserError:
            return None

    def keep(self, name: str, data: bytes) -> str:
        """Keep a file.

        Args:
            name: Without folders.
            data: Its content.

        Returns:
            Its URL, as a source names it.

        Raises:
            UserError: There are too many files of this name.
            SyncError: The storage refuses, or is unavailable.
        """

        def written(client: BlobClient) -> bool:
            try:
                upload = partial(client.upload_blob, data)
                written_once(upload, lambda: client.download_blob().readall() == data or None)
            except ResourceExistsError:
                return False
            return True

        return self._first(name, written)

    def take(self, arrived: UploadedFile) -> str:
        """Keep a file that was sent straight to storage; see `keep`."""
        return self._first(arrived.announced.name, arrived.copy)

    def _first(self, name: str, put: Callable[[BlobClient], bool]) -> str:
        for each in numbered_names(name):
            client = self._folder.client.get_blob_client(f"{self._folder.folder}{FOLDER}/{each}")
            try:
                if put(client):
                    return f"{self._url}/{FOLDER}/{each}"
            except AzureError as error:
                raise explained(error, self._folder) from error
        raise UserError(f"there are too many files named {name} in {self._url}/{FOLDER}: give it another name")
