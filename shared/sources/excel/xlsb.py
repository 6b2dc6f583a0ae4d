"""What calamine does not report about a sheet in binary records (xlsb): size, errors, merged cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from shared.sources.excel.archive import Archive, damaged
from shared.sources.excel.survey import Survey, fault_of_code
from shared.sources.excel.xlsx import office_parts

__all__ = ["binary_sheet_parts", "survey_xlsb"]

# [MS-XLSB] 2.3.2, record enumeration.
_ROW, _ERROR, _FORMULA_ERROR, _LAST_CELL = 0, 3, 11, 11
_RICH_TEXT: Final = 62
_SHEET: Final = 156
_END_OF_DATA: Final = 146
_MERGED, _END_OF_MERGED, _END_OF_SHEET = 176, 178, 130
_MORE: Final = 0x80


def binary_sheet_parts(archive: Archive, name: str) -> dict[str, str]:
    """Name of each sheet -> its part."""
    workbook, parts = office_parts(archive, name)
    found: dict[str, str] = {}
    for kind, data in _records(archive.blocks(workbook), name):
        if kind == _SHEET:  # BrtBundleSh: state, id, and two texts with their lengths before them
            identity, after = _wide_text(data, 8)
            if identity in parts:
                found[_wide_text(data, after)[0]] = parts[identity]
    return found


def survey_xlsb(archive: Archive, part: str, name: str) -> Survey:
    """Look through the records of a sheet.

    Raises:
        UserError: The sheet is damaged.
    """
    survey, row = Survey(), 0
    records = _records(archive.blocks(part), name)
    for kind, data in records:
        if kind == _ROW:
            row = int.from_bytes(data[:4], "little")
        elif kind <= _LAST_CELL or kind == _RICH_TEXT:
            column = int.from_bytes(data[:4], "little")
            survey.reach(row, column)
            if kind in (_ERROR, _FORMULA_ERROR):
                survey.fault(row, column, fault_of_code(data[8] if len(data) > 8 else None))  # noqa: PLR2004 - column and style
        elif kind == _END_OF_DATA:
            break
    for kind, data in records:
        if kind == _MERGED:  # BrtMergeCell: first row, last row, first column, last column
            top, bottom, left, right = (int.from_bytes(data[at : at + 4], "little") for at in range(0, 16, 4))
            survey.merge((top, bottom), (left, right))
        elif kind in (_END_OF_MERGED, _END_OF_SHEET):
            break
    return survey


def _wide_text(data: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it, and the place behind it."""
    end = at + 4 + 2 * int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : end].decode("utf-16-le", "replace"), end


def _records(blocks: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the content of each record; both type and length have 7 bits in a byte."""
    data, at = b"", 0
    for block in blocks:
        data, at = data[at:] + block, 0
        while (found := _record(data, at)) is not None:
            kind, start, at = found
            yield kind, data[start:at]
    if at < len(data):
        raise damaged(name, "a sheet ends within a record")


def _record(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The type of a record, and where its content begins and ends; None where the data does not hold all of it."""
    try:
        kind, at = data[at], at + 1
        if kind & _MORE:
            kind, at = kind & 0x7F | (data[at] & 0x7F) << 7, at + 1
        length, shift = 0, 0
        for _ in range(4):
            byte, at = data[at], at + 1
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if not byte & _MORE:
                break
    except IndexError:
        return None
    return (kind, at, at + length) if at + length <= len(data) else None
