"""Object container files of Avro: a header with the schema, then blocks of records, read one after the other."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, BinaryIO, Final

from shared.events.avro.schemas import AvroError, Schema
from shared.events.packed import RAW, DamagedError, inflated

__all__ = ["MAGIC", "Container", "records"]

MAGIC: Final = b"Obj\x01"
_SYNC: Final = 16  # bytes of the marker behind each block
_MOST_METADATA: Final = 2 * 1024 * 1024  # bytes
_LONGEST: Final = 10  # bytes of a number
_CHECKSUM: Final = 4  # bytes behind a block of snappy


class Container:
    """A container behind its header.

    Args:
        stream: Stands at the beginning of the container.
        largest: Most bytes of a block, stored and decompressed.

    Attributes:
        schema: The schema's text.

    Raises:
        AvroError: It is not a container, or it is compressed in a way that is not supported.
    """

    def __init__(self, stream: BinaryIO, *, largest: int) -> None:
        self._stream = stream
        self._largest = largest
        if stream.read(len(MAGIC)) != MAGIC:
            raise AvroError("it is not an Avro object container file")
        metadata = self._metadata()
        self._sync = self._exactly(_SYNC)
        if "avro.schema" not in metadata:
            raise AvroError("it contains no schema")
        self.schema = metadata["avro.schema"]
        self._unpack = _unpacking(metadata.get("avro.codec", b"null"))

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The blocks: the number of records, and the records.

        Raises:
            AvroError: A block is damaged, incomplete or too large.
        """
        while first := self._stream.read(1):
            count, size = self._number(first), self._number()
            if count < 0 or not 0 <= size <= self._largest:
                raise AvroError(f"a block is damaged, or larger than {self._largest:,} bytes")
            data = self._exactly(size)
            if self._exactly(_SYNC) != self._sync:
                raise AvroError("a block is damaged: it does not end with the file's marker")
            try:
                yield count, self._unpack(data, self._largest)
            except DamagedError as error:
                raise AvroError(f"a block cannot be used: {error}") from None

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        left = _MOST_METADATA
        while count := self._number():
            if count < 0:  # then the size of the entries follows
                self._number()
            for _ in range(abs(count)):
                name, value = self._bytes(left), self._bytes(left)
                left -= len(name) + len(value) + 1
                found[name.decode("utf-8", "replace")] = value
        return found

    def _bytes(self, most: int) -> bytes:
        size = self._number()
        if not 0 <= size <= most:
            raise AvroError(f"its header is damaged, or larger than {_MOST_METADATA:,} bytes")
        return self._exactly(size)

    def _number(self, first: bytes = b"") -> int:
        """A whole number: seven bits in each byte, the lowest first, and the sign in the lowest bit."""
        number = 0
        for place in range(_LONGEST):
            byte = (first if not place else b"") or self._exactly(1)
            number |= (byte[0] & 0x7F) << 7 * place
            if byte[0] < 0x80:  # noqa: PLR2004 - the bit that says that more bytes follow
                return number >> 1 ^ -(number & 1)
        raise AvroError("it is damaged: a number is too long")

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise AvroError("it ends too early")
        return data


def records(schema: Schema, count: int, data: bytes) -> Iterator[Any]:
    """The records of a block.

    Raises:
        AvroError: They do not fit the schema or the block.
    """
    stream = BytesIO(data)
    for _ in range(count):
        yield schema.read(stream)
    if stream.tell() != len(data):
        raise AvroError("there are other bytes behind the last record")


_Unpack = Callable[[bytes, int], bytes]


def _unpacking(codec: bytes) -> _Unpack:
    match codec:
        case b"null":
            return lambda data, _: data
        case b"deflate":
            # Some writers, fastavro among them, leave a part of zlib's checksum behind the data.
            return lambda data, largest: inflated(data, RAW, largest, more=True)
        case b"snappy":
            return _snappy()
    name = codec.decode("ascii", "replace")[:20]
    raise AvroError(f"it is compressed with {name}; deflate and snappy are supported")


def _snappy() -> _Unpack:
    try:
        import cramjam  # type: ignore[import-not-found]  # noqa: PLC0415 - few files need it, so it is no dependency
    except ImportError:
        raise AvroError("it is compressed with snappy, which needs the package cramjam: install it") from None

    def unpack(data: bytes, largest: int) -> bytes:
        packed, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
        try:
            if cramjam.snappy.decompress_raw_len(packed) > largest:
                raise DamagedError(f"decompressed, it is larger than {largest:,} bytes")
            found = bytes(cramjam.snappy.decompress_raw(packed))
        except cramjam.DecompressionError:
            raise DamagedError("the compressed data is damaged") from None
        if zlib.crc32(found) != int.from_bytes(checksum, "big"):
            raise DamagedError("the compressed data is damaged")
        return found

    return unpack
