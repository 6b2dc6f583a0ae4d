"""Bodies of requests that are packed with gzip: unpacked part by part, and never more of one than a route takes."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.datastructures import Headers

from console.web.refusals import Refusal

__all__ = ["ENCODING", "Unpacker", "is_packed"]

ENCODING: Final = "gzip"
"""The only encoding of bodies, beside none (`identity`)."""
_NAMES: Final = frozenset({ENCODING, "x-gzip"})  # RFC 9110, 8.4.1.3: both are the same
_GZIP: Final = 16 + zlib.MAX_WBITS
_BLOCK: Final = 1 << 16  # bytes: what is left of it is copied for each member that begins in it
_MOST_MEMBERS: Final = 1000


def is_packed(headers: Headers) -> bool:
    """Whether the body of a request is packed with gzip, by its header Content-Encoding.

    Raises:
        Refusal: It is packed in another way, or several times.
    """
    listed = ",".join(headers.getlist("content-encoding")).lower().split(",")
    found = [each for each in map(str.strip, listed) if each not in {"", "identity"}]
    if len(found) > 1 or not _NAMES.issuperset(found):
        # RFC 9110, 15.5.16: the header of the answer says what can be sent instead.
        raise Refusal(
            415,
            "Packed in another way",
            "This address takes bodies that are not packed, or that are packed once with gzip: send Content-Encoding: "
            "gzip, or no such header.",
            headers={"accept-encoding": ENCODING},
        )
    return bool(found)


class Unpacker:
    """Unpacks one body; what is packed with gzip can have several members one behind the other (RFC 1952, 2.2).

    Args:
        most: Bytes that the body may have, unpacked.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._member = zlib.decompressobj(_GZIP)
        self._members = 0
        self._is_between = True

    def add(self, part: bytes) -> bytes:
        """What the next part unpacks to; at most one byte more than the body may have, and then nothing more.

        Raises:
            Refusal: It is not gzip, or has too many members.
        """
        made: list[bytes] = []
        for at in range(0, len(part), _BLOCK):
            self._unpack(part[at : at + _BLOCK], made)
        return b"".join(made)

    def _unpack(self, block: bytes, made: list[bytes]) -> None:
        while block and self._left >= 0:
            if self._is_between:
                self._begin_member()
            try:
                made.append(self._member.decompress(block, self._left + 1))
            except zlib.error:
                raise _damaged() from None
            self._left -= len(made[-1])
            self._is_between = self._member.eof
            block = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _damaged()
        self._member = zlib.decompressobj(_GZIP)

    def end(self) -> None:
        """Nothing more was sent.

        Raises:
            Refusal: The body was cut off.
        """
        if not self._is_between:
            raise _damaged()


def _damaged() -> Refusal:
    return Refusal(
        400,
        "Not gzip",
        "Content-Encoding says that the body is packed with gzip. It is not, or it is damaged or cut off: pack it "
        "again, or send it without this header.",
    )
