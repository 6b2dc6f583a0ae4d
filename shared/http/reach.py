"""Which hosts sources and steps after the sync may reach, by name and by address.

On a laptop they reach what their user reaches. A deployed app is inside a network: its addresses, and the place
where Azure gives out tokens, are not for whoever writes a URL. There only the hosts of a setting are reached:
`SOURCE_HOSTS` by sources, `POST_SYNC_HOSTS` by steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from shared.errors import UserError
from shared.http.addresses import CheckAddress
from shared.http.hosts import is_loopback, matcher

__all__ = ["ReachableHosts"]

_Address = IPv4Address | IPv6Address

# Host names in ASCII, or an IPv6 address. What is stricter than all readers of URLs is read alike by all of them.
_URL: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!$-\[\]_a-z{|}~]*)?")
# https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
_PLATFORM: Final = ip_address("168.63.129.16")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_LOW_32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachableHosts:
    """Which hosts may be reached.

    Attributes:
        hosts: Patterns as for `matcher`, in lower case.
        limited: Only these hosts may be reached, as in a deployed app.
        setting: Where the hosts are listed, for messages.
        what: Whose addresses they are, for messages.
        does: What is done with a host, for messages.
    """

    hosts: tuple[str, ...] = ()
    limited: bool = False
    setting: str = "SOURCE_HOSTS"
    what: str = "a source"
    does: str = "reads only from"

    @property
    def guard(self) -> CheckAddress | None:
        """What transports check addresses with; None where none is refused."""
        return self.check_address if self.limited else None

    def check(self, url: str) -> None:
        """Accept a URL, or say why it is refused.

        Raises:
            UserError: It is not a URL, is not https, or its host may not be reached. The message has only the host.
        """
        host = self._host(url)
        if url.startswith("http://") and (self.limited or not is_loopback(host)):
            raise UserError(f"http://{host} is refused: write https://; http:// is only for this machine")
        if self.limited and not self.lists(host):
            raise UserError(
                f"host {host} is refused: a deployed app {self.does} the hosts in {self.setting}. If it is your "
                f"host, add it there"
            )
        try:
            literal = str(ip_address(host))
        except ValueError:
            return
        self.check_address(host, literal)

    def lists(self, host: str) -> bool:
        """Whether a host is on the list."""
        return matcher(self.hosts)(host.lower())

    def check_address(self, host: str, address: str) -> None:
        """Accept an address of a host, or say why it is refused.

        An internal address is for hosts that are listed by their whole name. Addresses of the machine's own network
        segment, where Azure gives out tokens, must be on the list themselves.

        Raises:
            UserError: It may not be connected to.
        """
        if not self.limited:
            return
        if not self.lists(host):
            raise UserError(f"host {host} is refused: it is not in {self.setting}")
        found = _inner(ip_address(address.partition("%")[0]))
        if found == _PLATFORM or found.is_link_local or found.is_multicast:
            allowed = str(found) in self.hosts
        else:
            allowed = found.is_global or host.lower() in self.hosts
        if not allowed:
            raise UserError(
                f"host {host} is refused: its address {found} is not a public one. If it is your host, add its whole "
                f"name to {self.setting}, without *"
            )

    def _host(self, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise UserError(f"the address of {self.what} starts with https://")
        if not _URL.fullmatch(url):
            raise UserError(
                f"the address of {self.what} is https://, a host and a path; it has no user name, and other characters "
                "than ASCII are percent-encoded"
            )
        try:
            parts = urlsplit(url)
            _ = parts.port  # refused where no port can have this number
            return (parts.hostname or "").lower()
        except ValueError:
            raise UserError(f"the address of {self.what} is not a URL: check its host and port") from None


def _inner(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _LOW_32)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
