"""The sessions of aiohttp that fsspec reads `https://` files with: every host and address is checked."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from shared.errors import UserError
from shared.http.reach import ReachableHosts

__all__ = ["guarded_session"]


def guarded_session(reach: ReachableHosts, **options: Any) -> aiohttp.ClientSession:
    """Make a session that reaches only what `reach` allows, and follows redirects only within a host.

    Args:
        reach: Which hosts may be reached.
        options: As for `aiohttp.ClientSession`.
    """

    async def started(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, told: aiohttp.TraceRequestStartParams
    ) -> None:
        reach.check(str(told.url))

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(started)
    tracing.on_request_redirect.append(_redirected)
    connector = aiohttp.TCPConnector(resolver=_CheckedResolver(reach))
    return aiohttp.ClientSession(connector=connector, trace_configs=[tracing], **options)


async def _redirected(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, told: aiohttp.TraceRequestRedirectParams
) -> None:
    target = told.url.join(URL(told.response.headers.get("Location", "")))
    if target.origin() != told.url.origin():
        told.response.close()
        raise UserError(f"{told.url.host} redirects to another host, {target.host}: write the URL that it leads to")


class _CheckedResolver(aiohttp.ThreadedResolver):
    """Looks up addresses for connections, and refuses those that may not be connected to."""

    def __init__(self, reach: ReachableHosts) -> None:
        super().__init__()
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for each in found:
            self._reach.check_address(host, each["host"])
        return found
