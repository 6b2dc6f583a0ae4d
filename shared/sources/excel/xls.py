"""What calamine does not report about the sheets of an old workbook (xls): their size, and the cells with errors."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from shared.sources.excel.archive import damaged
from shared.sources.excel.survey import Survey, fault_of_code
from shared.transform import NO_RESULT

__all__ = ["is_locked", "survey_xls"]

# [MS-XLS] 2.3.1, record enumeration.
_BEGIN, _END, _SHEET, _BOOL_OR_ERROR, _FORMULA, _SEVERAL_NUMBERS = 0x0809, 0x000A, 0x0085, 0x0205, 0x0006, 0x00BD
# Blank, Number, Label, LabelSst, Rk, RString, and those of two bytes of BIFF2 that are the same here.
_CELLS: Final = frozenset({0x0203, 0x0204, 0x00FD, 0x027E, 0x00D6, _BOOL_OR_ERROR, _FORMULA})
_ERROR, _EMPTY_TEXT = 2, 3
_CALCULATE_ON_LOAD: Final = 2  # the second bit of the options of a formula, as OpenOffice documents them for BIFF8
_DIMENSIONS, _FILE_PASS = 0x0200, 0x002F
_MOST_ROWS, _MOST_COLUMNS = 1 << 16, 1 << 8
_TICK: Final = 1 << 16


def is_locked(stream: bytes) -> bool:
    """Whether the records are encrypted."""
    for kind, _, _ in _records(stream, 0):
        if kind in (_FILE_PASS, _END):
            return kind == _FILE_PASS
    return False


def survey_xls(stream: bytes, name: str, tick: Callable[[], None]) -> dict[str, Survey]:
    """Look through the records of all sheets; calamine reads them all when it opens the workbook.

    Args:
        stream: The stream `Workbook` of the file.
        name: The file as messages show it.
        tick: Called now and then; raises where the time is over.

    Returns:
        Name of each sheet -> what is known of it.

    Raises:
        UserError: A sheet says that it is larger than a sheet can be.
    """
    surveys = {}
    for sheet, at in _sheets(stream):
        survey = _sheet(stream, at, tick)
        if survey is None:
            raise damaged(name, f"the sheet {sheet} says that it is larger than a sheet can be")
        surveys[sheet] = survey
    return surveys


def _sheets(stream: bytes) -> Iterator[tuple[str, int]]:
    """The name of each sheet, and where its records begin."""
    old = len(stream) > 6 and struct.unpack_from("<H", stream, 4)[0] < 0x0600  # noqa: PLR2004 - BIFF8, [MS-XLS] 2.4.21
    for kind, start, end in _records(stream, 0):
        if kind == _END:
            return
        if kind == _SHEET and end - start > 8:  # noqa: PLR2004 - position, state, type, and the name with its length
            (at,) = struct.unpack_from("<I", stream, start)
            length, begin = stream[start + 6], start + (7 if old else 8)
            wide = not old and stream[start + 7] & 1
            text = stream[begin : begin + length * (2 if wide else 1)]
            yield text.decode("utf-16-le" if wide else "latin-1", "replace"), at


def _sheet(stream: bytes, at: int, tick: Callable[[], None]) -> Survey | None:
    """What is known of a sheet; None where its size, for which calamine makes room at once, is impossible."""
    survey, depth = Survey(), 0
    for number, (kind, start, end) in enumerate(_records(stream, at)):
        if number % _TICK == 0:
            tick()
        depth += (kind == _BEGIN) - (kind == _END)
        if depth <= 0:
            break
        if kind == _DIMENSIONS and _is_too_large(stream[start:end]):
            return None
        if depth == 1 and kind in _CELLS and end - start >= 6:  # noqa: PLR2004 - row, column, format
            _cell(survey, kind, stream[start : min(end, start + 16)])
        elif depth == 1 and kind == _SEVERAL_NUMBERS and end - start >= 6:  # noqa: PLR2004 - row and both columns
            (row,), (last,) = struct.unpack_from("<H", stream, start), struct.unpack_from("<H", stream, end - 2)
            survey.reach(row, last)
    return survey


def _is_too_large(data: bytes) -> bool:
    """Whether the rows and columns of [MS-XLS] 2.4.90 Dimensions, of BIFF8 or before, are more than possible."""
    form = "<IIHH" if len(data) >= 14 else "<HHHH"  # noqa: PLR2004 - four numbers and two bytes
    if len(data) < struct.calcsize(form):
        return False
    _, rows, _, columns = struct.unpack_from(form, data)
    return bool(rows > _MOST_ROWS or columns > _MOST_COLUMNS)


def _cell(survey: Survey, kind: int, data: bytes) -> None:
    row, column = struct.unpack_from("<HH", data)
    survey.reach(row, column)
    if kind == _BOOL_OR_ERROR and data[7:8] == b"\x01":
        survey.fault(row, column, fault_of_code(data[6]))
    # [MS-XLS] 2.5.133 FormulaValue: the last two bytes say that it is no number, the first one what it is.
    if kind == _FORMULA and data[12:14] == b"\xff\xff":
        if data[6] == _ERROR:
            survey.fault(row, column, fault_of_code(data[8]))
        # Programs that calculate nothing write an empty text, and ask Excel to calculate it.
        elif data[6] == _EMPTY_TEXT and int.from_bytes(data[14:16], "little") & _CALCULATE_ON_LOAD:
            survey.fault(row, column, NO_RESULT)


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the type of each record, and where its content begins and ends."""
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, at + 4, min(at + 4 + length, len(stream))
        at += 4 + length
