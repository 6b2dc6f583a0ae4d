"""Compound files, in which old workbooks (xls) and workbooks with a password are: their streams by name."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from shared.sources.excel.archive import damaged

__all__ = ["SIGNATURE", "CompoundFile"]

SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# [MS-CFB] 2.1 and 2.2.
_LAST_SECTOR: Final = 0xFFFFFFFA
_HEADER: Final = 512
_IN_HEADER: Final = 109
_ENTRY: Final = 128
_SMALL: Final = 64
_ROOT, _STREAM = 5, 2


class CompoundFile:
    """A compound file that is in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        """Read its directory.

        Raises:
            UserError: It is damaged.
        """
        self._data, self._name = data, name
        try:
            self._size = 1 << struct.unpack_from("<H", data, 30)[0]
            (first_directory,) = struct.unpack_from("<I", data, 48)
            self._cutoff, first_small = struct.unpack_from("<II", data, 56)
            self._next = self._table(list(self._table_sectors()))
            self._small_next = self._table(list(self._chain(first_small, self._next)))
            entries = list(self._entries(self._join(first_directory)))
        except (struct.error, IndexError, OverflowError, ValueError, MemoryError) as error:
            raise damaged(name) from error
        self._streams = {text: (at, size) for kind, text, at, size in entries if kind == _STREAM}
        self._root = next(((at, size) for kind, _, at, size in entries if kind == _ROOT), (_LAST_SECTOR, 0))

    @property
    def names(self) -> frozenset[str]:
        """The streams, in lower case."""
        return frozenset(self._streams)

    def read(self, stream: str) -> bytes:
        """The content of a stream.

        Raises:
            UserError: It is damaged.
        """
        at, size = self._streams[stream]
        if size >= self._cutoff:
            return self._join(at)[:size]
        small = self._join(self._root[0])
        places = self._chain(at, self._small_next)
        return b"".join(small[place * _SMALL : (place + 1) * _SMALL] for place in places)[:size]

    def _sector(self, number: int) -> bytes:
        at = (number + 1) * self._size
        return self._data[at : at + self._size]

    def _join(self, first: int) -> bytes:
        return b"".join(map(self._sector, self._chain(first, self._next)))

    def _chain(self, at: int, following: tuple[int, ...]) -> Iterator[int]:
        for _ in following:
            if at >= _LAST_SECTOR:
                return
            yield at
            if at >= len(following):
                raise damaged(self._name)
            at = following[at]
        if at < _LAST_SECTOR:
            raise damaged(self._name, "its sectors form a circle")

    def _table(self, sectors: list[int]) -> tuple[int, ...]:
        data = b"".join(map(self._sector, sectors))
        return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])

    def _table_sectors(self) -> Iterator[int]:
        """The sectors of the allocation table: some are in the header, the others in a chain of their own."""
        yield from (each for each in struct.unpack_from(f"<{_IN_HEADER}I", self._data, 76) if each < _LAST_SECTOR)
        (at,) = struct.unpack_from("<I", self._data, 68)
        for _ in range(len(self._data) // self._size + 1):
            if at >= _LAST_SECTOR:
                return
            *listed, at = struct.unpack(f"<{self._size // 4}I", self._sector(at))
            yield from (each for each in listed if each < _LAST_SECTOR)

    def _entries(self, directory: bytes) -> Iterator[tuple[int, str, int, int]]:
        """Kind, name in lower case, first sector and size of each entry."""
        for at in range(0, len(directory) - _ENTRY + 1, _ENTRY):
            (length,) = struct.unpack_from("<H", directory, at + 64)
            text = directory[at : at + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace").lower()
            first, size = struct.unpack_from("<II", directory, at + 116)
            yield directory[at + 66], text, first, size
