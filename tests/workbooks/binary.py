"""Binary workbooks written by hand: the few records of xls and xlsb that a sheet of plain cells needs."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.workbooks.xlsx import Formula, _relations

__all__ = ["compound_file", "write_xls", "write_xlsb"]

Sheets = Mapping[str, Iterable[Sequence[Any]]]
# [MS-XLS] 2.5.10 BErr
ERRORS: Final = {
    "#NULL!": 0x00,
    "#DIV/0!": 0x07,
    "#VALUE!": 0x0F,
    "#REF!": 0x17,
    "#NAME?": 0x1D,
    "#NUM!": 0x24,
    "#N/A": 0x2A,
}
DATE: Final = 14  # the number format m/d/yy; also the style 1 here
_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


class Day(int):
    """A day by its serial number."""


# -- xls: [MS-XLS] ----------------------------------------------------------------------------------------------------


def write_xls(path: Path, sheets: Sheets) -> Path:
    """Write an xls file: BIFF8 records in a compound file."""
    bodies = [_begin(0x10) + b"".join(_xls_cells(rows)) + _record(0x0A) for rows in sheets.values()]
    formats = _record(0xE0, struct.pack("<HH", 0, 0) + b"\0" * 16) + _record(
        0xE0, struct.pack("<HH", 0, DATE) + b"\0" * 16
    )
    head = _begin(0x05) + _record(0x42, struct.pack("<H", 1200)) + formats
    listed = [struct.pack("<BBBB", 0, 0, len(name), 1) + name.encode("utf-16-le") for name in sheets]
    at = len(head) + sum(8 + len(each) for each in listed) + 4
    for each, body in zip(listed, bodies, strict=True):
        head += _record(0x85, struct.pack("<I", at) + each)
        at += len(body)
    path.write_bytes(compound_file({"Workbook": head + _record(0x0A) + b"".join(bodies)}))
    return path


def _record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _begin(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 0, 0, 0))


def _xls_cells(rows: Iterable[Sequence[Any]]) -> Iterable[bytes]:
    for row, cells in enumerate(rows):
        for column, value in enumerate(cells):
            place = struct.pack("<HHH", row, column, int(isinstance(value, Day)))
            match value:
                case None:
                    continue
                case bool():
                    yield _record(0x205, place + bytes([value, 0]))
                case str() if value in ERRORS:
                    yield _record(0x205, place + bytes([ERRORS[value], 1]))
                case Formula():
                    # An empty text, and the options; 2 is to be calculated when the file is opened. The formula is 1.
                    options = 3 if value else 1
                    formula = struct.pack("<HIHBH", options, 0, 3, 0x1E, 1)
                    yield _record(0x006, place + b"\x03\0\0\0\0\0\xff\xff" + formula)
                case str():
                    text = struct.pack("<HB", len(value), 1) + value.encode("utf-16-le")
                    yield _record(0x204, place + text)
                case _:
                    yield _record(0x203, place + struct.pack("<d", value))


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file ([MS-CFB]) of version 3; each stream takes the sectors of large ones."""
    padded = [data + b"\0" * (-len(data) % 512) for data in ((each.ljust(4096, b"\0")) for each in streams.values())]
    directory_sectors = (len(streams) + 1 + 3) // 4
    chains, at = [_FREE] * 0, 0
    starts = []
    for data in padded:
        starts.append(at)
        count = len(data) // 512
        chains += [*range(at + 1, at + count), _END]
        at += count
    directory_at = at
    chains += [*range(at + 1, at + directory_sectors), _END]
    at += directory_sectors
    tables = 1
    while len(chains) + tables > tables * 128:
        tables += 1
    chains += [_TABLE] * tables
    chains += [_FREE] * (tables * 128 - len(chains))
    entries = _entry("Root Entry", 5, _END, 0, child=1)
    for number, (name, start, data) in enumerate(zip(streams, starts, padded, strict=True), start=1):
        following = number + 1 if number < len(streams) else _FREE
        entries += _entry(name, 2, start, len(data), right=following)
    entries = entries.ljust(directory_sectors * 512, b"\0")
    listed = [*range(at, at + tables)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    header += struct.pack("<IIIIIIIII", 0, tables, directory_at, 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<109I", *listed, *[_FREE] * (109 - tables))
    return header + b"".join(padded) + entries + struct.pack(f"<{len(chains)}I", *chains)


def _entry(name: str, kind: int, start: int, size: int, *, right: int = _FREE, child: int = _FREE) -> bytes:
    text = name.encode("utf-16-le")
    entry = text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text) + 2, kind, 1, _FREE, right, child)
    return entry + b"\0" * 36 + struct.pack("<IQ", start, size)


# -- xlsb: [MS-XLSB] --------------------------------------------------------------------------------------------------


def write_xlsb(path: Path, sheets: Sheets, *, merged: Sequence[tuple[int, int, int, int]] = ()) -> Path:
    """Write an xlsb file: records in the parts of a zip file.

    Args:
        path: The file.
        sheets: Name -> rows of cells.
        merged: First and last row, first and last column of the merged cells of each sheet; the first number is 0.
    """
    listed = b"".join(
        _part_record(0x9C, struct.pack("<II", 0, n) + _wide(f"rId{n}") + _wide(name))
        for n, name in enumerate(sheets, start=1)
    )
    formats = b"".join(_part_record(0x2F, struct.pack("<HHHHHI", 0, each, 0, 0, 0, 0)) for each in (0, DATE))
    styles = _part_record(0x116) + _part_record(0x269, struct.pack("<I", 2)) + formats + _part_record(0x26A)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", _relations({"rId1": ("officeDocument", "xl/workbook.bin")}))
        parts = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.bin") for n, _ in enumerate(sheets, start=1)}
        archive.writestr("xl/_rels/workbook.bin.rels", _relations({**parts, "rIdS": ("styles", "styles.bin")}))
        bundle = _part_record(0x8F) + listed + _part_record(0x90)
        archive.writestr("xl/workbook.bin", _part_record(0x83) + bundle + _part_record(0x84))
        archive.writestr("xl/styles.bin", styles + _part_record(0x117))
        for n, rows in enumerate(sheets.values(), start=1):
            cells = b"".join(_xlsb_cells(rows))
            size = _part_record(0x94, struct.pack("<IIII", 0, 0, 0, 0))
            joined = b"".join(_part_record(0xB0, struct.pack("<IIII", *each)) for each in merged)
            after = _part_record(0xB1, struct.pack("<I", len(merged))) + joined + _part_record(0xB2) if merged else b""
            body = _part_record(0x81) + size + _part_record(0x91) + cells + _part_record(0x92) + after
            body += _part_record(0x82)
            archive.writestr(f"xl/worksheets/sheet{n}.bin", body)
    return path


def _part_record(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length = len(data)
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _xlsb_cells(rows: Iterable[Sequence[Any]]) -> Iterable[bytes]:
    for row, cells in enumerate(rows):
        yield _part_record(0x00, struct.pack("<I", row) + b"\0" * 13)
        for column, value in enumerate(cells):
            place = struct.pack("<II", column, int(isinstance(value, Day)))
            match value:
                case None:
                    continue
                case bool():
                    yield _part_record(0x04, place + bytes([value]))
                case str() if value in ERRORS:
                    yield _part_record(0x03, place + bytes([ERRORS[value]]))
                case str():
                    yield _part_record(0x06, place + _wide(value))
                case _:
                    yield _part_record(0x05, place + struct.pack("<d", value))
