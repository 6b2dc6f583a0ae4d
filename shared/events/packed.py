"""Compressed bodies: gzip, zlib and raw deflate, decompressed within a bound.

A sender that declares the compression (`content-encoding`) is taken at its word. Without a declaration the first bytes
decide, because many producers do not set the property.
"""

from __future__ import annotations

import zlib
from typing import Final

from shared.events.records import Message, Undecodable

__all__ = ["LARGEST_BODY", "RAW", "DamagedError", "inflated", "unpacked"]

# The largest message that an event hub takes, in its dedicated tier: compression must not get around it.
LARGEST_BODY: Final = 20 * 1024 * 1024

# The meanings of zlib's `wbits`.
_GZIP: Final = 31
_ZLIB: Final = 15
RAW: Final = -15

_GZIP_MAGIC: Final = b"\x1f\x8b\x08"  # RFC 1952: the identification, and deflate as its only method
_UNSUPPORTED: Final = frozenset({"br", "compress", "lz4", "lzma", "snappy", "x-compress", "xz", "zstd"})
_MOST_TIMES: Final = 3
_NAMES: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "zlib": _ZLIB, "deflate": _ZLIB}


class DamagedError(Exception):
    """Compressed data that cannot be used; its text says why."""


def inflated(data: bytes, wbits: int, largest: int, *, more: bool = False) -> bytes:
    """Decompress one stream, and no more than a bound.

    Args:
        data: The stream, whole.
        wbits: Its container, as `zlib.decompressobj` takes it.
        largest: Most bytes that it may give.
        more: There may be other data behind it.

    Raises:
        DamagedError: It is damaged, incomplete or too large, or there is other data behind it.
    """
    stream = zlib.decompressobj(wbits)
    try:
        found = stream.decompress(data, largest + 1)
    except zlib.error:
        raise DamagedError("the compressed data is damaged") from None
    if len(found) > largest:
        raise DamagedError(f"decompressed, it is larger than {largest:,} bytes")
    if not stream.eof:
        raise DamagedError("the compressed data ends too early")
    if stream.unused_data and not more:
        raise DamagedError("there is other data after the compressed data")
    return found


def unpacked(message: Message, *, guess: bool = True) -> bytes | Undecodable:
    """A message's body, decompressed where it is compressed.

    Args:
        message: The message.
        guess: The first bytes of a compressed body cannot begin an uncompressed one. For bytes that can begin in any
            way (raw Avro), a body whose compressed data is damaged is taken as it is.
    """
    body, encodings = message.body, message.content_encodings
    if len(encodings) > _MOST_TIMES:
        return Undecodable(reason=f"the body is compressed more than {_MOST_TIMES} times")
    for encoding in reversed(encodings):  # the one that was applied last stands last
        if encoding in _UNSUPPORTED:
            return Undecodable(reason=f"the body is compressed with {encoding}; gzip and deflate are supported")
        if encoding in _NAMES:
            found = _declared(body, _NAMES[encoding])
            if isinstance(found, Undecodable):
                return found
            body = found
    return body if body is not message.body else _guessed(body, certain=guess)


def _declared(body: bytes, wbits: int) -> bytes | Undecodable:
    """What a declared encoding makes of a body. HTTP calls zlib `deflate`, and many senders mean raw deflate by it."""
    try:
        return inflated(body, wbits, LARGEST_BODY)
    except DamagedError as error:
        if wbits != _ZLIB or _is_zlib(body):
            return _refused(error)
    try:
        return inflated(body, RAW, LARGEST_BODY)
    except DamagedError as error:
        return _refused(error)


def _guessed(body: bytes, *, certain: bool) -> bytes | Undecodable:
    gzip = body.startswith(_GZIP_MAGIC)
    if not gzip and not _is_zlib(body):
        return body
    try:
        return inflated(body, _GZIP if gzip else _ZLIB, LARGEST_BODY)
    except DamagedError as error:
        is_other = "larger" not in str(error) and (not certain or (not gzip and "damaged" in str(error)))
        return body if is_other else _refused(error)


def _is_zlib(body: bytes) -> bool:
    """RFC 1950: deflate with a window of 32 KB, and a check of the first two bytes."""
    return body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0


def _refused(error: DamagedError) -> Undecodable:
    return Undecodable(reason=f"the body is compressed and cannot be used: {error}")
