"""Where a tenant signs in, by the cloud that its environment is in."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from shared.http.hosts import is_loopback

__all__ = ["authority_of"]

# Microsoft's national clouds: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
_SIGN_IN: Final = (
    (".microsoftdynamics.us", "login.microsoftonline.us"),
    (".appsplatform.us", "login.microsoftonline.us"),
    (".dynamics.cn", "login.partner.microsoftonline.cn"),
)
_COMMERCIAL: Final = "login.microsoftonline.com"


def authority_of(tenant: str | None, service_url: str) -> str | None:
    """The authority of a tenant; None where the service itself has to name it.

    A server on this machine always names its own, because it has no tenants of Microsoft.
    """
    host = (urlsplit(service_url).hostname or "").lower()
    if not tenant or is_loopback(host):
        return None
    sign_in = next((login for suffix, login in _SIGN_IN if host.endswith(suffix)), _COMMERCIAL)
    return f"https://{sign_in}/{tenant}"
