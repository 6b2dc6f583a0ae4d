"""Compressed files: damaged or incomplete files are reported before their rows are used."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any, Final

from shared.errors import UserError

__all__ = ["check_zstd", "unpacked"]

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_AGAIN: Final = "get the file again from its origin"
_BLOCK: Final = 1 << 20


def unpacked(stored: IO[bytes], name: str) -> IO[bytes]:
    """Return the content of a gzip file; its checksums and lengths are compared at its end.

    Args:
        stored: The file as it is stored; a buffered stream.
        name: The file as messages show it.

    Raises:
        UserError: It is not a gzip file. A read of the stream raises it where the file is damaged or cut short.
    """
    first = stored.peek(len(_GZIP))[: len(_GZIP)]  # type: ignore[attr-defined]  # a BufferedReader has it
    if first != _GZIP:
        found = "it is empty" if not first else "its name says gzip, but its content is not compressed by gzip"
        raise UserError(f"{name} cannot be read: {found}; give it another name, or {_AGAIN}")
    return io.BufferedReader(_Unpacked(gzip.GzipFile(fileobj=stored, mode="rb"), name), _BLOCK)


class _Unpacked(io.RawIOBase):
    def __init__(self, content: gzip.GzipFile, name: str) -> None:
        self._content = content
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._content.read(len(buffer))
        except EOFError as error:
            raise self._damaged("it ends before its compressed data does") from error
        except gzip.BadGzipFile as error:
            raise self._damaged(_gzip_trouble(str(error))) from error
        except zlib.error as error:
            raise self._damaged("its compressed data is damaged") from error
        buffer[: len(data)] = data
        return len(data)

    def _damaged(self, reason: str) -> UserError:
        return UserError(f"{self._name} cannot be read: {reason}; {_AGAIN}")


def _gzip_trouble(text: str) -> str:
    if "CRC" in text:
        return "its content does not have the checksum that the file states, so it is damaged"
    if "length" in text:
        return "its content does not have the length that the file states, so it is damaged"
    if text.startswith("Not a gzip"):
        return "there is other data after its compressed data"
    return "its compressed data is damaged"


def check_zstd(stored: IO[bytes], name: str) -> bool:
    """Check the frames and blocks of a zstd file to its end: the reader does not detect an incomplete file.

    Args:
        stored: The file as it is stored.
        name: The file as messages show it.

    Returns:
        Whether there is any content in it.

    Raises:
        UserError: It is not a zstd file, it is incomplete, or there is other data after it.
    """
    first, content = True, False
    while magic := stored.read(len(_ZSTD)):
        whole = len(magic) == len(_ZSTD)
        if whole and 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F:  # noqa: PLR2004 - RFC 8878, 3.1.2
            _pass(stored, int.from_bytes(_exactly(stored, 4, name), "little"), name)
        elif magic == _ZSTD:
            content = _pass_frame(stored, name) or content
        else:
            found = "its name says zstd, but its content is not compressed by zstd"
            follows = "there is other data after its compressed data"
            raise UserError(f"{name} cannot be read: {found if first else follows}; {_AGAIN}")
        first = False
    if first:
        raise UserError(f"{name} cannot be read: it is empty; {_AGAIN}")
    return content


def _pass_frame(stored: IO[bytes], name: str) -> bool:
    """Pass one frame as RFC 8878, 3.1.1 lays it out: header, blocks, and a checksum if there is one.

    Returns whether one of its blocks has content.
    """
    descriptor = _exactly(stored, 1, name)[0]
    single = descriptor >> 5 & 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    size = (single, 2, 4, 8)[descriptor >> 6]
    _pass(stored, 1 - single + dictionary + size, name)
    last, run_length, content = 0, 1, False
    while not last:
        block = int.from_bytes(_exactly(stored, 3, name), "little")
        last, content = block & 1, content or block >> 3 > 0
        _pass(stored, 1 if block >> 1 & 3 == run_length else block >> 3, name)
    _pass(stored, 4 * (descriptor >> 2 & 1), name)
    return content


def _pass(stored: IO[bytes], count: int, name: str) -> None:
    while count:
        count -= len(_exactly(stored, min(count, _BLOCK), name))


def _exactly(stored: IO[bytes], count: int, name: str) -> bytes:
    data = stored.read(count)
    if len(data) < count:
        raise UserError(f"{name} cannot be read: it ends before its compressed data does; {_AGAIN}")
    return data
