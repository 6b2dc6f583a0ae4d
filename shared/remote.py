"""Files behind URLs: one place turns a URL into a file system, with the app's own storage account for Azure.

| URL | storage account | sign-in |
|---|---|---|
| `abfs://container/path` | the app's own (`AzureWebJobsStorage…`) | its identity or connection string |
| `abfs://container@account.dfs.core.windows.net/path` | `account` | the app's identity |
| any other that fsspec knows, such as `s3://bucket/path` | | as its driver finds it in the environment |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from shared.redaction import CREDENTIALS

__all__ = ["OpenUrl", "RemoteFiles", "is_remote", "open_without_account", "shown_url"]

# A URL -> its fsspec file system, and the path in it. fsspec ships no types.
OpenUrl = Callable[[str], tuple[Any, str]]

# Prefixes of fsspec such as `simplecache::`, whose file systems keep copies of files.
_CACHES: Final = frozenset({"simplecache", "filecache", "blockcache", "cached"})
_AZURE: Final = frozenset({"abfs", "abfss", "az"})
# Also within other text; other schemes have no query: their `?` is a part of a pattern.
_SECRET_PARTS: Final = re.compile(r"(https?://)(?:[^\s/?#@'\"]*@)?([^\s?#'\"]*)(?:[?#][^\s'\"]*)?", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(f"{CREDENTIALS}@")
_WITH_ACCOUNT: Final = re.compile(r"[^@/]+@[^/]+")


def is_remote(path: str) -> bool:
    """Whether a text is a URL and not a local path."""
    return "://" in path and not path.startswith("file://")


def shown_url(url: str) -> str:
    """A URL as messages and columns have it, also within other text.

    Without user and password; of HTTP without user, query and fragment, which may be a signature. What stands before
    the `@` of other schemes without a password is a container or a user, and stays.
    """
    return _SECRET_PARTS.sub(r"\1\2", _CREDENTIALS.sub(r"\1", url))


class StorageSettings(Protocol):
    """The part of the settings that is read here; all may be empty."""

    @property
    def storage_account(self) -> str:
        """Name of the app's storage account."""

    @property
    def blob_endpoint(self) -> str:
        """URL of its blob service."""

    @property
    def storage_connection(self) -> str:
        """Its connection string."""

    @property
    def azure_client_id(self) -> str:
        """Client id of the app's user-assigned identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFiles:
    """Opens URLs.

    Attributes:
        account: Name of the app's storage account; empty where it has none.
        blob_endpoint: URL of its blob service, such as `https://account.blob.core.windows.net`.
        connection_string: Used instead of an identity where it is set.
        client_id: Client id of the user-assigned identity; empty for the default one.
    """

    account: str = ""
    blob_endpoint: str = ""
    connection_string: str = field(default="", repr=False)
    client_id: str = ""

    @classmethod
    def of(cls, settings: StorageSettings) -> Self:
        """For the storage account and the identity that the settings name."""
        return cls(
            account=settings.storage_account,
            blob_endpoint=settings.blob_endpoint,
            connection_string=settings.storage_connection,
            client_id=settings.azure_client_id,
        )

    def open(self, url: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
        """Return the file system that a URL names, and the path in it.

        Args:
            url: The URL.
            options: Further options of the file system, or by scheme, as fsspec takes them.

        Raises:
            ValueError: The URL names no storage account and the app has none, or no driver knows its scheme.
            ImportError: The driver is not installed.
            OSError: The storage cannot be reached.
        """
        # Imported here: a cold start with local files does not need it.
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

        caches = {link.partition("://")[0] for link in url.split("::")} & _CACHES
        # fsspec would give the same file system to all runs of the process, with the copies of the first one.
        anew = {cache: {"skip_instance_cache": True} for cache in caches}
        system, path = url_to_fs(url, **anew, **self._options(url), **(options or {}))
        return system, str(path)

    def _options(self, url: str) -> Mapping[str, Any]:
        parts = urlsplit(url)
        if parts.scheme not in _AZURE:
            return {}
        identity = {"anon": False} | ({"managed_identity_client_id": self.client_id} if self.client_id else {})
        if _WITH_ACCOUNT.fullmatch(parts.netloc):
            return identity
        if self.connection_string:
            return {"connection_string": self.connection_string}
        if not self.blob_endpoint:
            raise ValueError(
                f"it does not contain a storage account: write "
                f"{parts.scheme}://{parts.netloc}@ACCOUNT.dfs.core.windows.net"
                f"{parts.path}, or set AzureWebJobsStorage__accountName"
            )
        host = self.blob_endpoint.removeprefix("https://").rstrip("/")
        # The name would be enough, but the client library requires a URL.
        return identity | {"account_name": self.account or host.partition(".")[0], "account_host": host}


def open_without_account(url: str) -> tuple[Any, str]:
    """Open a URL where the app has no storage account; see `RemoteFiles.open`."""
    return RemoteFiles().open(url)
