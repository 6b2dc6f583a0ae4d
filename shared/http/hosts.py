"""Which hosts may see a token or a client secret.

A definition names its service URL, and that URL receives a token: a typing error, or another person's definition, must
not send a token to a foreign host. Patterns are anchored at both ends, so `crm.dynamics.com.example.org` is not a
Dynamics host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.errors import AbortRun
from shared.settings import DYNAMICS_CLOUDS

__all__ = ["LOGIN_AUTHORITIES", "AllowedHosts", "direct_hosts", "is_direct", "is_loopback", "matcher", "origin_of"]

# Where Entra ID takes a client secret, by cloud.
LOGIN_AUTHORITIES = (
    "login.microsoftonline.com",
    "login.windows.net",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def is_direct(host: str) -> bool:
    """Whether a host is reached without a proxy: this machine, and addresses of its own network segment.

    Azure gives the tokens of a managed identity at such an address, 169.254.169.254.
    """
    try:
        return is_loopback(host) or ip_address(host).is_link_local
    except ValueError:
        return False


def direct_hosts(variables: Mapping[str, str]) -> Iterator[str]:
    """What no proxy may see: this machine, and where Azure gives out the tokens of a managed identity.

    Args:
        variables: The environment, in which the platform names that place.
    """
    yield from ("localhost", "127.0.0.1", "::1", "169.254.169.254")
    for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        with suppress(ValueError):  # a value that is not a URL has no host
            if host := urlsplit(variables.get(name, "")).hostname:
                yield host


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL.

    Raises:
        AbortRun: It is not a URL.
    """
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise AbortRun("an address from the service or the definition is not a URL") from None


def _expression(pattern: str) -> str:
    """`*.` matches one or more labels, `#` digits; every other character matches itself."""
    any_labels = r"(?:[a-z0-9_-]+\.)+"
    head, rest = (any_labels, pattern[2:]) if pattern.startswith("*.") else ("", pattern)
    return head + re.escape(rest.lower()).replace(r"\#", r"[0-9]+")


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a host, in lower case, matches one of several patterns as a whole.

    Args:
        patterns: Host names; a leading `*.` matches one or more labels, `#` one or more digits.
    """
    expression = re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in patterns) or r"(?!)")
    return lambda host: expression.fullmatch(host) is not None


class AllowedHosts:
    """The allow-list: `https` to a host that matches a pattern, or any scheme to this machine.

    Args:
        patterns: Host names; a leading `*.` matches one or more labels, `#` one or more digits.
    """

    def __init__(self, patterns: Iterable[str] = DYNAMICS_CLOUDS) -> None:
        self._matches = matcher(patterns)

    def check(self, url: str) -> None:
        """Accept a URL, or end the run.

        Raises:
            AbortRun: The URL is not `https`, or its host is not on the list, or it holds a user name.
        """
        scheme, host, _ = origin_of(url)
        parts = urlsplit(url)
        if parts.username is not None or not host:
            raise AbortRun(f"'{host or url}' is not a service URL: it needs a host and must not contain a user name")
        if is_loopback(host):
            return
        if scheme != "https":
            raise AbortRun(f"{scheme}://{host} is refused: tokens are sent only over https")
        if not self._matches(host):
            raise AbortRun(
                f"host {host} is refused: it is not in the list of hosts that may get a token. If it is your host, "
                f"add it to ALLOWED_HOSTS"
            )
