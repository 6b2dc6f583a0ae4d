"""Files of sources behind URLs: what leads to a host is opened only where the host may be reached."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from shared.errors import UserError
from shared.http.reach import ReachableHosts
from shared.remote import RemoteFiles

__all__ = ["GuardedFiles"]

_WEB: Final = frozenset({"http", "https"})
# Storage whose driver knows its hosts itself: the URL names an account or a bucket.
_STORES: Final = frozenset({"abfs", "abfss", "az", "adl", "gcs", "gs", "s3", "s3a"})
# What leads to no host, or stands before another URL (`simplecache::https://host/file`).
_NO_HOST: Final = frozenset(
    {"file", "local", "memory", "simplecache", "filecache", "blockcache", "cached", "dir", "tar", "zip"}
)


class GuardedFiles:
    """Opens the URLs of sources.

    Args:
        files: Opens URLs.
        reach: Which hosts may be reached.
    """

    def __init__(self, files: RemoteFiles, reach: ReachableHosts) -> None:
        self._files = files
        self._reach = reach

    def open(self, url: str) -> tuple[Any, str]:
        """Return the file system that a URL names, and the path in it.

        Raises:
            UserError: Its host may not be reached.
            ValueError, ImportError, OSError: As `RemoteFiles.open`.
        """
        self.check(url)
        schemes = {link.partition("://")[0] for link in url.split("::")} & _WEB
        return self._files.open(url, {scheme: {"get_client": self._session} for scheme in schemes})

    def check(self, url: str) -> None:
        """Accept a URL, or say why it is refused.

        Raises:
            UserError: Its host may not be reached.
        """
        for link in url.split("::"):
            scheme, _, rest = link.partition("://")
            if scheme in _WEB:
                self._reach.check(link)
            elif self._reach.limited and scheme not in _STORES | _NO_HOST:
                host = (urlsplit(f"//{rest}").hostname or "").lower()
                if not self._reach.lists(host):
                    raise UserError(
                        f"{scheme}://{host} is refused: a deployed app reads only from the hosts in SOURCE_HOSTS. If "
                        f"it is your host, add it there"
                    )

    async def _session(self, **options: Any) -> Any:
        from shared.http.sessions import guarded_session  # noqa: PLC0415 - only URLs of this kind need aiohttp

        return guarded_session(self._reach, **options)
