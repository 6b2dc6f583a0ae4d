"""A sheet in XML (xlsx, xlsm) without the texts of its errors: a copy that calamine reads whatever these are.

calamine knows seven errors, and refuses the whole sheet for another one, such as #SPILL! and #GETTING_DATA. It gives
nothing for a cell with an error, so nothing is lost; which error it is, is known by the survey.
"""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.sources.excel.archive import Archive, damaged
from shared.sources.excel.beginning import is_needed
from shared.sources.excel.xlsx import office_parts

__all__ = ["write_without_errors"]


def write_without_errors(path: Path, name: str, sheet: str, out: Path, tick: Callable[[], None]) -> None:
    """Write a workbook with one sheet, in which no cell with an error has a text.

    Args:
        path: The whole workbook.
        name: The file as messages show it.
        sheet: The part of the sheet.
        out: The new file.
        tick: Called now and then; raises where the time is over.

    Raises:
        UserError: The file is damaged, or unpacks to too much.
    """
    with Archive(path, name, tick) as archive:
        places = _error_texts(archive.blocks(sheet), name)
    # An archive of its own: what is unpacked twice counts once.
    with Archive(path, name, tick) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        workbook, _ = office_parts(archive, name)
        for part in archive.names:
            blocks = archive.blocks(part) if part == sheet.lower() or is_needed(part, workbook.lower()) else None
            if blocks is not None:
                with made.open(archive.spelled(part), "w", force_zip64=True) as copied:
                    for block in _without(blocks, places) if part == sheet.lower() else blocks:
                        copied.write(block)


def _error_texts(blocks: Iterable[bytes], name: str) -> array[int]:
    """Where the texts of cells with an error begin and end, in bytes of the part, one after the other."""
    from xml.parsers import expat  # noqa: PLC0415 - only workbooks need it; the survey has refused entities

    parser: Any = expat.ParserCreate()
    found = _Texts(place=lambda: int(parser.CurrentByteIndex))
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.DefaultHandler = found.other  # texts, and what else stands among them
    try:
        for block in blocks:
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise damaged(name) from error
    return found.places


class _Texts:
    """The places of texts; see `_error_texts`."""

    def __init__(self, place: Callable[[], int]) -> None:
        self.places = array("Q")
        self._place = place
        self._is_error, self._in_value, self._begun = False, False, False

    def start(self, element: str, about: Mapping[str, str]) -> None:
        match element.rpartition(":")[2]:
            case "c":
                self._is_error = about.get("t") == "e"
            case "v":
                self._in_value = self._is_error

    def other(self, _text: str) -> None:
        if self._in_value and not self._begun:
            self._begun = True
            self.places.append(self._place())

    def end(self, element: str) -> None:
        if element.rpartition(":")[2] == "v" and self._begun:
            self.places.append(self._place())
            self._begun = False
        self._in_value = False


def _without(blocks: Iterable[bytes], places: array[int]) -> Iterator[bytes]:
    """The blocks without what is between each two places."""
    at, following = 0, 0
    for block in blocks:
        end = at + len(block)
        while at < end:
            limit = min(places[following], end) if following < len(places) else end
            if following % 2 == 0:
                yield block[len(block) - (end - at) : len(block) - (end - limit)]
            at = limit
            following += following < len(places) and places[following] == limit
