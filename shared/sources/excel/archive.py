"""The parts of a zip file, and XML in them: the decompressed size has a limit, whatever size the file declares."""

from __future__ import annotations

import copy
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

from shared.errors import UserError
from shared.sources.files import BLOCK

__all__ = ["MOST_BYTES", "Archive", "damaged", "walk"]

MOST_BYTES: Final = 1 << 30
"""What all parts that are read may unpack to. The sheet of a million rows and ten columns has about half of it."""
# More than any part has. At its size, `zipfile` reports a longer part as damaged, before its bytes are counted.
_UNKNOWN_SIZE: Final = 1 << 62
_AGAIN: Final = "get the file again from its origin, or open it in Excel and save it again"


def damaged(name: str, what: str = "it is damaged") -> UserError:
    """The error about a file whose content cannot be understood."""
    return UserError(f"{name} cannot be read: {what}; {_AGAIN}")


class Archive:
    """A zip file."""

    def __init__(self, path: Path, name: str, tick: Callable[[], None], *, most_bytes: int = MOST_BYTES) -> None:
        """Open it.

        Args:
            path: Where it is.
            name: The file as messages show it.
            tick: Called between blocks; raises where the time is over.
            most_bytes: That its parts may have together, unpacked.

        Raises:
            UserError: It is damaged.
        """
        self._name = name
        self._tick = tick
        self._most_bytes = most_bytes
        self._left = most_bytes
        self._open: list[IO[bytes]] = []
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise damaged(name) from error
        # The names of parts have no case ([ECMA-376-2] 6.2.2.3), and some programs write them with backslashes.
        self._parts = {each.replace("\\", "/").lower(): each for each in self._zip.namelist()}

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(self, *_about: object) -> None:
        """Close it, with the parts of which not everything was read."""
        for stream in self._open:
            stream.close()
        self._zip.close()

    @property
    def names(self) -> frozenset[str]:
        """The parts, in lower case."""
        return frozenset(self._parts)

    def spelled(self, part: str) -> str:
        """The name of a part as the file has it."""
        return self._parts[part.lower()]

    def blocks(self, part: str) -> Iterator[bytes]:
        """Yield the content of a part; upper and lower case are the same.

        Raises:
            UserError: There is none, it is damaged, or the parts unpack to too much.
        """
        try:
            about = copy.copy(self._zip.getinfo(self._parts[part.lower()]))
            about.file_size = _UNKNOWN_SIZE  # reading ends where the part really ends, not at its declared size
            with self._zip.open(about) as stream:
                self._open.append(stream)
                while block := stream.read(BLOCK):
                    self._tick()
                    self._count(len(block))
                    yield block
        except KeyError as error:
            raise damaged(self._name, f"the part {part} is missing") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            raise damaged(self._name, f"the part {part} is damaged") from error

    def read(self, part: str) -> bytes:
        """The content of a small part."""
        return b"".join(self.blocks(part))

    def pass_over(self, parts: Iterable[str]) -> None:
        """Count what other parts unpack to."""
        for part in parts:
            for _ in self.blocks(part):
                pass

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise UserError(
                f"{self._name} is too large: its parts unpack to more than {self._most_bytes >> 30} GiB, which is the "
                "limit; split the workbook, or save the sheet as delimited text (CSV)"
            )


def walk(blocks: Iterable[bytes], name: str, **handlers: Callable[..., None]) -> None:
    """Read XML.

    Args:
        blocks: The text.
        name: The file as messages show it.
        handlers: `start` gets the name of an element without its prefix and its attributes, `end` the name, `text` a
            text.

    Raises:
        UserError: It is not XML, or declares entities, which can make a small text a large one.
    """
    from xml.parsers import expat  # noqa: PLC0415 - only workbooks need it; entities are refused below

    def refuse(*_about: object) -> None:
        raise damaged(name, "its XML has a document type, which no workbook has")

    def local(handler: Callable[..., None]) -> Callable[..., None]:
        return lambda element, *about: handler(element.rpartition(":")[2], *about)

    parser: Any = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    if "start" in handlers:
        parser.StartElementHandler = local(handlers["start"])
    if "end" in handlers:
        parser.EndElementHandler = local(handlers["end"])
    if "text" in handlers:
        parser.CharacterDataHandler = handlers["text"]
    try:
        for block in blocks:
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise damaged(name, f"its XML is damaged ({expat.errors.messages.get(error.code, 'unknown')})") from error
