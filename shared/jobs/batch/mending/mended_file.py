"""A file of mended rows: CSV with the columns of the file to mend, as a spreadsheet saves it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.counted import counted
from shared.errors import UserError
from shared.state.mending import ROW_COLUMN
from shared.suggestions import did_you_mean

__all__ = ["MOST_BYTES", "MendedFile", "MendedRow", "delimiter_of", "read_mended"]

MOST_BYTES: Final = 64 << 20
"""Of a mended file: several times as much as the rows that are kept with a run."""
# What spreadsheets put between fields, by the language of the user.
_DELIMITERS: Final = (",", ";", "\t")
_MOST_DIGITS: Final = 18
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedRow:
    """One row of the file.

    Attributes:
        number: Of the row in the run that it comes from; None for a row that a person has added.
        values: Column -> its value as text; columns without a value are left out.
        line: On which it begins, from 1.
    """

    number: int | None
    values: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedFile:
    """The rows of a file.

    Attributes:
        name: The file's name without folders.
        columns: Column of the definition that is read -> its type.
        rows: Those of the earlier run in their order, and then those that a person has added; there is one at least. Of
            rows with the same key the first one counts: so an added row never takes the place of a row of the run.
    """

    name: str
    columns: Mapping[str, str]
    rows: tuple[MendedRow, ...]

    @property
    def numbers(self) -> frozenset[int]:
        """The rows of the earlier run that the file has."""
        return frozenset(row.number for row in self.rows if row.number is not None)


def read_mended(path: Path, columns: Mapping[str, str], *, known: Mapping[str, str]) -> MendedFile:
    """Read a mended file.

    Columns may stand in another order, and the file may have more of them. Lines without a value are skipped.

    Args:
        path: The file.
        columns: Column of the definition that is read -> its type.
        known: The columns that the run had, by which a change of the definition is told from a mistake in the file.

    Raises:
        UserError: It cannot be read, is not UTF-8, lacks a column, has a line with more or fewer fields, or has a row
            of the earlier run twice.
    """
    text = _file_text(path)
    lines = _records(text, delimiter_of(text), path.name)
    _, header = next(lines, (1, []))
    places = _places(header, columns, path.name, known)
    rows = sorted(_rows(lines, places, len(header), path.name), key=lambda row: row.number is None)
    if not rows:
        raise UserError(f"{path.name} has no row below its header: nothing to run")
    _refuse_repeated(rows, path.name)
    return MendedFile(name=path.name, columns=columns, rows=tuple(rows))


def _refuse_repeated(rows: Sequence[MendedRow], name: str) -> None:
    lines: dict[int, int] = {}
    for row in rows:
        if row.number is not None and lines.setdefault(row.number, row.line) != row.line:
            raise UserError(
                f"{name} has row {row.number} of {ROW_COLUMN} twice (lines {lines[row.number]:,} and {row.line:,}): "
                "keep one of them, or leave the field empty for a row that was not in the file to mend"
            )


def _file_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path.name} is larger than {MOST_BYTES >> 20} MB: correct the source and run the sync")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path.name} is not UTF-8 (line {line:,}): save it as CSV UTF-8, which spreadsheets offer beside CSV"
        ) from None


def delimiter_of(text: str) -> str:
    """The character between the names of the header: a spreadsheet of another language saves semicolons."""
    first = text.lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=lambda each: (_has_row_column(first, each), first.count(each)))


def _has_row_column(header: str, delimiter: str) -> bool:
    return ROW_COLUMN in {name.strip().strip('"').casefold() for name in header.split(delimiter)}


def _records(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a record begins, and its fields; lines without a value are left out."""
    csv.field_size_limit(MOST_BYTES)  # the file is not larger; the usual limit is 128 KB
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for fields in reader:
            if any(fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name} cannot be read as CSV (line {line:,}): {error}") from None


def _places(header: Sequence[str], columns: Mapping[str, str], name: str, known: Mapping[str, str]) -> dict[str, int]:
    """Column -> its place in the file.

    Raises:
        UserError: A column is missing or is there twice.
    """
    found: dict[str, int] = {}
    for place, each in enumerate(header):
        if each and found.setdefault(_plain(each), place) != place:
            raise UserError(f"{name} has the column {each} twice: keep one of them")
    missing = [column for column in (*columns, ROW_COLUMN) if _plain(column) not in found]
    if not missing:
        return {column: found[_plain(column)] for column in (*columns, ROW_COLUMN)}
    raise UserError(_lacking(missing, header, name, known))


def _lacking(missing: Sequence[str], header: Sequence[str], name: str, known: Mapping[str, str]) -> str:
    """What is said of a file without some columns."""
    shown = ", ".join(missing[:_MOST_LISTED]) + (", …" if len(missing) > _MOST_LISTED else "")
    since = [column for column in missing if column != ROW_COLUMN and column not in known]
    if since:
        why = f"the definition has {since[0]} since that run: add it, or correct the source and run the sync"
    elif missing == [ROW_COLUMN]:
        why = "keep it as `errors --csv` writes it, because a row leaves the list by it"
    else:
        similar = did_you_mean(missing[0], [each for each in header if each], before="; ")
        why = f"its first line must be the one that `errors --csv` writes{similar}"
    return f"{name} does not have the column{'s' if len(missing) > 1 else ''} {shown}: {why}"


def _plain(name: str) -> str:
    return name.strip().casefold()


def _rows(
    records: Iterator[tuple[int, list[str]]], places: Mapping[str, int], width: int, name: str
) -> Iterator[MendedRow]:
    for line, fields in records:
        if len(fields) != width:
            raise UserError(
                f"{name} has {counted(len(fields), 'field')} instead of {width} (line {line:,}): correct the line"
            )
        texts = {column: fields[place] for column, place in places.items() if fields[place]}
        number = texts.pop(ROW_COLUMN, "").strip()
        if number and not (number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS):
            raise UserError(
                f"{name} has no number in {ROW_COLUMN} (line {line:,}): write the number from the file to mend, or "
                f"leave the field empty for a row that was not in it"
            )
        if texts:
            yield MendedRow(number=int(number) if number else None, values=texts, line=line)
