"""The form of a Dataverse Web API address."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from shared.definitions.models.names import names_in

__all__ = ["checked_service_url"]

# The versions that there are: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/compose-http-requests-handle-errors
_VERSIONS: Final = ("8.0", "8.1", "8.2", "9.0", "9.1", "9.2")
_API_PATH: Final = re.compile(r"/api/data/v([0-9]+\.[0-9]+)/?", re.IGNORECASE)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FORM: Final = "write it as https://org.api.crm.dynamics.com/api/data/v9.2/"


def checked_service_url(url: str) -> str:
    """Check and normalise a service URL; one that holds an `@parameter` is checked when the parameter is known.

    Returns:
        The URL with the Web API's path and a slash at its end.

    Raises:
        ValueError: It is not such an address; the message does not repeat it, because it may contain a password.
    """
    if names_in(url):
        return url
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; {_FORM}") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise ValueError(f"a service URL starts with https:// and a host; {_FORM}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"a service URL must not contain a user or password; {_FORM}")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError("a service URL starts with https://; http:// is allowed only for an emulator on this machine")
    if parts.query or parts.fragment or (parts.path not in {"", "/"} and not _API_PATH.fullmatch(parts.path)):
        raise ValueError(f"a service URL ends with the Web API's path; {_FORM}")
    if (version := _API_PATH.fullmatch(parts.path)) and version[1] not in _VERSIONS:
        raise ValueError(f"the Web API has no version v{version[1]}: there are v{', v'.join(_VERSIONS)}; {_FORM}")
    place = f"[{host}]" if ":" in host else host
    path = parts.path if parts.path not in {"", "/"} else "/api/data/v9.2/"
    return f"{parts.scheme}://{place}{f':{port}' if port is not None else ''}{path.rstrip('/')}/"
