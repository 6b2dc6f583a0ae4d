"""Workbooks written by hand: the parts of an xlsx file as text, so that a test has each cell exactly as it needs it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

__all__ = ["MAIN", "Formula", "Raw", "letters", "sheet_xml", "write_xlsx"]

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
# Formats of cells: none, a date, a date with a time, a time, a duration.
STYLES: Final = (0, 14, 22, 21, 46)
EPOCH: Final = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}  # noqa: DTZ001 - a clock's time


class Raw(str):
    """The XML of a cell without its reference: attributes, and what is in it."""

    __slots__ = ()


class Formula(str):
    """A formula; its stored result is empty."""

    __slots__ = ()


def letters(column: int) -> str:
    """The letters of a column; 0 is A."""
    text, column = "", column + 1
    while column:
        column, digit = divmod(column - 1, 26)
        text = chr(65 + digit) + text
    return text


def cell_xml(reference: str, value: Any, *, epoch_1904: bool = False) -> str:
    """The XML of one cell; a cell without a value gives nothing."""
    match value:
        case None:
            return ""
        case Raw():
            return f'<c r="{reference}" {value}'
        case Formula():
            return f'<c r="{reference}"><f>{escape(value)}</f><v></v></c>'
        case bool():
            return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
        case str() if value.startswith("#"):
            return f'<c r="{reference}" t="e"><v>{escape(value)}</v></c>'
        case str():
            return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        case datetime() | date() | time() | timedelta():
            number, style = serial(value, epoch_1904=epoch_1904)
            return f'<c r="{reference}" s="{style}"><v>{number!r}</v></c>'
        case _:
            return f'<c r="{reference}"><v>{value}</v></c>'


def serial(value: datetime | date | time | timedelta, *, epoch_1904: bool) -> tuple[float, int]:
    """The number and the style of a date, a moment, a time or a duration."""
    day = timedelta(days=1)
    match value:
        case datetime():
            return (value - EPOCH[epoch_1904]) / day, 2
        case date():
            return (datetime(value.year, value.month, value.day) - EPOCH[epoch_1904]) // day, 1  # noqa: DTZ001
        case time():
            return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second) / day, 3
        case _:
            return value / day, 4


def sheet_xml(rows: Iterable[Sequence[Any]], *, merged: Sequence[str] = (), epoch_1904: bool = False) -> Iterable[str]:
    """The XML of a sheet, piece by piece."""
    yield f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}"><sheetData>'
    for number, row in enumerate(rows, start=1):
        cells = (cell_xml(f"{letters(at)}{number}", each, epoch_1904=epoch_1904) for at, each in enumerate(row))
        yield f'<row r="{number}">{"".join(cells)}</row>'
    cells_of = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    yield f"</sheetData>{f'<mergeCells>{cells_of}</mergeCells>' if merged else ''}</worksheet>"


def write_xlsx(
    path: Path,
    sheets: Mapping[str, Iterable[Sequence[Any]]],
    *,
    merged: Mapping[str, Sequence[str]] | None = None,
    hidden: Sequence[str] = (),
    epoch_1904: bool = False,
) -> Path:
    """Write a workbook.

    Args:
        path: The file.
        sheets: Name -> rows of cells.
        merged: Name of a sheet -> its merged cells, such as `A1:B1`.
        hidden: The sheets that are hidden.
        epoch_1904: Whether days count from 1904.
    """
    numbered = list(enumerate(sheets.items(), start=1))
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" {"state=" + chr(34) + "hidden" + chr(34) if name in hidden else ""} '
        f'r:id="rId{n}"/>'
        for n, (name, _) in numbered
    )
    properties = '<workbookPr date1904="1"/>' if epoch_1904 else ""
    formats = "".join(f'<xf numFmtId="{each}"/>' for each in STYLES)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", _types(len(numbered)))
        archive.writestr("_rels/.rels", _relations({"rId1": ("officeDocument", "xl/workbook.xml")}))
        parts = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n, _ in numbered}
        archive.writestr("xl/_rels/workbook.xml.rels", _relations({**parts, "rIdS": ("styles", "styles.xml")}))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{properties}<sheets>{listed}</sheets></workbook>',
        )
        archive.writestr("xl/styles.xml", f'<styleSheet xmlns="{MAIN}"><cellXfs>{formats}</cellXfs></styleSheet>')
        for n, (name, rows) in numbered:
            with archive.open(f"xl/worksheets/sheet{n}.xml", "w", force_zip64=True) as out:
                for piece in sheet_xml(rows, merged=(merged or {}).get(name, ()), epoch_1904=epoch_1904):
                    out.write(piece.encode())
    return path


def _types(sheets: int) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {"/xl/workbook.xml": "sheet.main", "/xl/styles.xml": "styles"}
    parts |= {f"/xl/worksheets/sheet{n}.xml": "worksheet" for n in range(1, sheets + 1)}
    overrides = "".join(
        f'<Override PartName="{name}" ContentType="{kind}.{each}+xml"/>' for name, each in parts.items()
    )
    return (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )


def _relations(parts: Mapping[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{identity}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for identity, (kind, target) in parts.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'
