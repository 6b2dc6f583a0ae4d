"""The sessions of aiohttp that fsspec reads `https://` files with.

Every host and address is checked, and a compressed answer must have reached its end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import ResolveResult
from yarl import URL

from shared.errors import SourceUnavailableError, UserError
from shared.http.reach import ReachableHosts
from shared.http.unpacking import NotWholeError, Unpacking, unpacking
from shared.remote import shown_url

__all__ = ["guarded_session"]

_READ: Final = 2**18  # bytes that are read at a time
# Rows are used while an answer comes, however long that takes: only a pause of the host ends it.
_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=30, sock_read=300)
_UNREADABLE: Final = frozenset({"br", "zstd"})


def guarded_session(reach: ReachableHosts, **options: Any) -> aiohttp.ClientSession:
    """Make a session that reaches only what `reach` allows, and follows redirects only within a host.

    It decompresses answers itself: aiohttp would take a part of gzip for the whole of it.

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
    own: dict[str, Any] = {"auto_decompress": False, "middlewares": [_checked], "timeout": _TIMEOUT}
    return aiohttp.ClientSession(connector=connector, trace_configs=[tracing], **own | options)


async def _checked(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send one request, and let its answer be decompressed while it is read.

    Places in a file are those of its bytes as they are: a range of compressed bytes could not be decompressed.
    """
    if hdrs.RANGE in request.headers:
        request.headers[hdrs.ACCEPT_ENCODING] = "identity"
    answer = await send(request)
    place = shown_url(str(request.url))
    coding = answer.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding in _UNREADABLE and request.method != hdrs.METH_HEAD:
        answer.close()
        raise UserError(f"{place}: the host compresses its answer with {coding}, which was not requested")
    undone = unpacking(request.method, answer.status, answer.headers)
    if undone is not None and coding != "x-gzip":  # which means a file that is stored as gzip, such as a.csv.gz
        answer.content = _Unpacked(answer.content, undone, place)  # type: ignore[assignment]  # what is used of a stream
    return answer


class _Unpacked:
    """The body of an answer, decompressed while it is read; all but its bytes is that of the stream that it is in."""

    def __init__(self, stream: aiohttp.StreamReader, coding: Unpacking, place: str) -> None:
        self._stream = stream
        self._coding = coding
        self._place = place
        self._pieces: Iterator[bytes] = iter(())
        self._left = memoryview(b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes, or all for a negative number; none at the end.

        Raises:
            SourceUnavailableError: The body is not whole.
        """
        parts: list[bytes | memoryview] = []
        left = n
        try:
            while left and (part := await self._some(left)):
                parts.append(part)
                left -= len(part)
        except NotWholeError as error:
            raise SourceUnavailableError(f"{self._place}: the compressed answer is not complete: {error}") from error
        return b"".join(parts)

    async def _some(self, most: int) -> memoryview:
        """Some bytes: at most `most`, or any number of them for a negative number; none at the end."""
        while not self._left:
            if piece := next(self._pieces, b""):
                self._left = memoryview(piece)
            elif compressed := await self._stream.read(_READ):
                self._pieces = self._coding.pieces(compressed)
            else:
                self._coding.finish()
                break
        most = len(self._left) if most < 0 else most
        given, self._left = self._left[:most], self._left[most:]
        return given


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
