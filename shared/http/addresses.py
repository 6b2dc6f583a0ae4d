"""The addresses of hosts: looked up once for each connection and checked, and then connected to.

A name that is looked up a second time to connect may lead to another place than the one that was checked (DNS
rebinding). So the connection gets the address, while the server's name for TLS and for the request stays.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

__all__ = ["CheckAddress", "connected", "connecting_to"]

# Host, address -> raises an error of the tree where the address must not be connected to.
CheckAddress = Callable[[str, str], None]

_check: ContextVar[CheckAddress | None] = ContextVar("address_check", default=None)


@contextmanager
def connecting_to(check: CheckAddress) -> Iterator[None]:
    """Check the addresses of all connections that this thread opens inside the block."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def connected(connection: HTTPConnection, connect: Callable[[], socket.socket]) -> socket.socket:
    """Connect to a host: to one of the addresses that were checked, where they are checked.

    Args:
        connection: Has the host and the port.
        connect: The method of urllib3 that looks up the host of the connection and connects.

    Raises:
        SyncError: As `check` of `connecting_to`; then no address was connected to.
    """
    check = _check.get()
    if check is None:
        return connect()
    host = connection._dns_host  # noqa: SLF001 - urllib3 has no public way to give it an address
    addresses = _looked_up(connection, host)
    for address in addresses:
        check(host.strip("[]"), address)
    try:
        return _first(connection, connect, addresses)
    finally:
        connection._dns_host = host  # noqa: SLF001 - as above


def _looked_up(connection: HTTPConnection, host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), connection.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(host, connection, reason) from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _first(connection: HTTPConnection, connect: Callable[[], socket.socket], addresses: list[str]) -> socket.socket:
    for address in addresses[:-1]:
        connection._dns_host = address  # noqa: SLF001 - as above
        try:
            return connect()
        except (NewConnectionError, ConnectTimeoutError):
            continue
    connection._dns_host = addresses[-1]  # noqa: SLF001 - as above
    return connect()
