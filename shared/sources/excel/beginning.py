"""The beginning of a workbook in XML (xlsx, xlsm): a copy in which one sheet ends after some rows.

calamine reads whole sheets and all shared strings. Of the copy it reads the same cells in the same way, only fewer.
"""

from __future__ import annotations

import codecs
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.sources.excel.archive import Archive

__all__ = ["is_needed", "is_shared", "write_beginning"]

_MOST_BYTES: Final = 1 << 26  # of a part of the copy; a larger one is no beginning
_RELATIONS: Final = ".rels"
_TYPES: Final = "[content_types].xml"


class _OtherwiseError(Exception):
    """The part is not cut: it is short, damaged, very large, or written in an unusual way."""


class _EnoughError(Exception):
    """The element that is the first one behind the beginning begins."""


@dataclass(slots=True)
class _Cut:
    """Where a part is cut.

    Attributes:
        element: The name of the elements that are counted, without a prefix.
        most: How many of them stay.
        at: Where the next one begins, in bytes.
        place: Where the parser is; not any more when its handler has raised an error.
        open: The names of the elements that are open there, with their prefixes.
        strings: How many shared strings the cells before it need.
    """

    element: str
    most: int
    at: int = 0
    place: Callable[[], int] = lambda: 0
    open: list[str] = field(default_factory=list)
    strings: int = 0
    _count: int = 0
    _row: int = 0
    _refers: bool = False
    _text: str = ""

    def start(self, name: str, about: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == self.element:
            self._check_order(about.get("r", ""))
            self._count += 1
            if self._count > self.most:
                self.at = self.place()
                raise _EnoughError
        elif local == "c":
            self._refers = about.get("t") == "s"
        self._text = ""
        self.open.append(name)

    def text(self, text: str) -> None:
        self._text += text if self._refers else ""

    def end(self, name: str) -> None:
        self.open.pop()
        if self._refers and name.rpartition(":")[2] == "v" and self._text.strip().isdecimal():
            self.strings = max(self.strings, int(self._text.strip()[:9]) + 1)
        self._text = ""

    def _check_order(self, number: str) -> None:
        """Refuse rows that are not in order: what is behind the beginning may be a part of it."""
        if number:
            if not number.isdecimal() or int(number[:9]) <= self._row:
                raise _OtherwiseError
            self._row = int(number[:9])


def is_shared(part: str) -> bool:
    """Whether calamine reads a part when it opens the workbook."""
    return part.rpartition("/")[2].startswith(("sharedstrings.", "styles."))


def is_needed(part: str, workbook: str) -> bool:
    """Whether calamine needs a part beside that of the sheet; both names are in lower case."""
    folder, _, file = workbook.rpartition("/")
    relations = f"{folder}/_rels/{file}{_RELATIONS}".lstrip("/")
    return part in {workbook, relations, _TYPES, f"_rels/{_RELATIONS}"} or is_shared(part)


def write_beginning(archive: Archive, workbook: str, sheet: str, rows: int, out: Path, *, with_end: bool) -> bool:
    """Write a workbook with one sheet, or without one, and with the shared strings that the sheet needs.

    Args:
        archive: The whole workbook.
        workbook: Its part that lists the sheets.
        sheet: The part of the sheet; empty for none.
        rows: How many rows of the sheet stay, empty ones that are written included.
        out: The file.
        with_end: Whether what comes behind the rows stays, such as the list of merged cells. The whole part is
            unpacked for that, and not looked at.

    Returns:
        Whether it was written: not where the sheet has no more rows, or is written in an unusual way.

    Raises:
        UserError: The file is damaged, or unpacks to too much.
    """
    try:
        cut = _Cut("row", rows)
        parts = {sheet.lower(): _cut(archive.blocks(sheet), cut, with_end=with_end)} if sheet else {}
        for part in archive.names:
            if is_shared(part) and "strings" in part:
                parts[part] = _strings(archive, part, cut.strings)
            elif is_needed(part, workbook.lower()):
                parts[part] = _bounded(archive.blocks(part))
    except _OtherwiseError:
        return False
    with zipfile.ZipFile(out, "w") as made:
        for part, content in parts.items():
            made.writestr(archive.spelled(part), content)
    return True


def _strings(archive: Archive, part: str, count: int) -> bytes:
    """The first shared strings; all of them where there are no more."""
    cut = _Cut("si", count)
    try:
        return _cut(archive.blocks(part), cut, with_end=False)
    except _OtherwiseError:
        return _bounded(archive.blocks(part))


def _bounded(blocks: Iterator[bytes]) -> bytes:
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > _MOST_BYTES:
            raise _OtherwiseError
    return bytes(content)


def _cut(blocks: Iterator[bytes], cut: _Cut, *, with_end: bool) -> bytes:
    """A part without the elements behind the first ones."""
    read = _until(blocks, cut)
    head, rest = bytes(read[: cut.at]), bytes(read[cut.at :])
    if not with_end:
        return head + b"".join(f"</{name}>".encode() for name in reversed(cut.open))
    return head + _behind(rest, blocks, f"</{cut.open[-1]}".encode())


def _until(blocks: Iterator[bytes], cut: _Cut) -> bytearray:
    """Read up to the first element that is left out, and maybe more."""
    from xml.parsers import expat  # noqa: PLC0415 - only workbooks need it; entities are refused below

    parser: Any = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = cut.start, cut.end
    parser.CharacterDataHandler = cut.text
    cut.place = lambda: int(parser.CurrentByteIndex)
    read = bytearray()
    for block in blocks:
        if not read and not _is_plain(block):
            break
        read += block
        try:
            parser.Parse(block, False)
        except _EnoughError:
            return read
        except expat.ExpatError:
            break
        if len(read) > _MOST_BYTES:
            break
    raise _OtherwiseError


def _refuse(*_about: object) -> None:
    raise _OtherwiseError


def _is_plain(begin: bytes) -> bool:
    """Whether a text has a byte for each sign of XML: its elements can be found without decoding it."""
    text = begin.removeprefix(codecs.BOM_UTF8)
    return text[:1] == b"<" and text[1:2] != b"\0"


def _behind(rest: bytes, blocks: Iterator[bytes], closing: bytes) -> bytes:
    """A part from the end of the element on whose elements were left out."""
    at = rest.find(closing)
    while at < 0:
        block = next(blocks, b"")
        if not block:
            raise _OtherwiseError
        rest = rest[-len(closing) :] + block
        at = rest.find(closing)
    return rest[at:] + _bounded(blocks)
