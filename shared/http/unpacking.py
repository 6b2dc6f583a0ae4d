"""Compressed bodies of answers (`Content-Encoding`): decompressed piece by piece, up to the end that they must have.

The libraries that read answers do not ask whether the end of gzip was reached: of a list that a service compresses row
by row, what came before the service stopped would count as the whole list.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

__all__ = ["NotWholeError", "Unpacking", "unpacking"]

_PIECE: Final = 2**16  # bytes that are decompressed at a time
# The meanings of zlib's `wbits`.
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
_START: Final = 2  # bytes that tell what begins
_PADDING: Final = b"\0\t\n\r "
_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class NotWholeError(Exception):
    """A compressed body ends too early, or is damaged; the text says which of them."""


class Unpacking:
    """Decompresses one body: one stream, or several one after another (RFC 1952, section 2.2).

    HTTP calls zlib `deflate` (RFC 9110, section 8.4.1.2), and many services mean raw deflate by it.

    Args:
        coding: `gzip`, `x-gzip` or `deflate`.
        may_be_empty: Whether no byte at all is a whole body.
    """

    def __init__(self, coding: str, *, may_be_empty: bool) -> None:
        self._is_gzip = coding != "deflate"
        self._may_be_empty = may_be_empty
        self._stream: Any = None  # zlib does not give its type a name
        self._start = b""  # bytes of the next stream, too few to begin with
        self._count = 0
        self._damage = ""

    def pieces(self, compressed: bytes) -> Iterator[bytes]:
        """Decompress the next bytes of the body, at most 64 KiB at a time.

        Raises:
            NotWholeError: They are damaged, or do not belong to it.
        """
        if self._damage:
            raise NotWholeError(self._damage)
        more = bool(compressed)
        while more:
            if self._stream is None and not (compressed := self._begun(compressed)):
                return
            piece, compressed = self._next(compressed)
            if piece:
                yield piece
            # A full piece may have left something inside zlib, also without any input.
            more = bool(compressed) or (self._stream is not None and len(piece) == _PIECE)

    def finish(self) -> None:
        """Check that the body is whole: no more bytes come.

        Raises:
            NotWholeError: It is damaged, or ends too early.
        """
        if self._damage:
            raise NotWholeError(self._damage)
        if self._stream is not None or self._start or not (self._count or self._may_be_empty):
            raise NotWholeError("it ends too early")

    def _begun(self, compressed: bytes) -> bytes:
        """Begin a stream; gives all its bytes so far, none where they are too few."""
        start = self._start + compressed
        if self._count:
            start = start.lstrip(_PADDING)
        if len(start) < _START:
            self._start = start
            return b""
        self._start, self._stream = b"", zlib.decompressobj(self._wbits(start))
        self._count += 1
        return start

    def _wbits(self, start: bytes) -> int:
        wbits, known = (_GZIP, start.startswith(_GZIP_MAGIC)) if self._is_gzip else (_ZLIB, _is_zlib(start))
        if known:
            return wbits
        if self._count:
            raise self._failed("there is other data behind it")
        return wbits if self._is_gzip else _RAW

    def _next(self, compressed: bytes) -> tuple[bytes, bytes]:
        """The next piece, and what is left of the input."""
        stream = self._stream
        try:
            piece = stream.decompress(compressed, _PIECE)
        except zlib.error:
            raise self._failed("it is damaged") from None
        if not stream.eof:
            return piece, stream.unconsumed_tail
        self._stream = None
        return piece, stream.unused_data

    def _failed(self, reason: str) -> NotWholeError:
        self._damage = reason
        return NotWholeError(reason)


def unpacking(method: str, status: int, headers: Mapping[str, str]) -> Unpacking | None:
    """What decompresses the body of an answer; None where it is not compressed by gzip or deflate.

    A body without any byte is whole where HTTP itself says that it has ended: many services name a coding also for it.

    Args:
        method: Of the request, in capital letters.
        status: Of the answer.
        headers: Of the answer; their names are found in any case.
    """
    coding = headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"gzip", "x-gzip", "deflate"}:
        return None
    has_end = method == "HEAD" or status in _NO_BODY or "Content-Length" in headers or "Transfer-Encoding" in headers
    return Unpacking(coding, may_be_empty=has_end)


def _is_zlib(start: bytes) -> bool:
    """Whether bytes begin with a header of zlib (RFC 1950, section 2.2)."""
    return start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
