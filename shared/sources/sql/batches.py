"""Loads rows of a database into `source_raw`: through a file, which DuckDB reads when it has some megabytes.

Measured for a million rows of eight columns: `executemany` of DuckDB takes 550 s of processor time, and the whole
reading of a SQLite file in this way takes 9 s.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import duckdb

from shared.definitions.models import ColumnType, TypedColumn
from shared.errors import UserError
from shared.sources.plain import own_csv
from shared.transform import SOURCE_ERRORS
from shared.transform.notation.durations import clock_text
from shared.workspace import Workspace, quoted, writing

__all__ = ["Batches"]

_MOST: Final = 16 << 20  # bytes of a file before it is loaded, and of one row
_AS_THEY_ARE: Final = frozenset({str, int, float, bool, Decimal, uuid.UUID, dt.date, dt.datetime, dt.time, type(None)})
_BINARY: Final = frozenset({bytes, bytearray, memoryview})
_TOO_LONG: Final = f"the row is longer than {_MOST >> 20} MB"


class _BadRowError(Exception):
    """A row that cannot be loaded."""


class Batches:
    """Takes rows in their order, numbers them from 1, and loads them by batches.

    Args:
        workspace: Gets `source_raw` and `source_errors`.
        columns: What each row has, in this order.
    """

    def __init__(self, workspace: Workspace, columns: Sequence[TypedColumn]) -> None:
        self._workspace = workspace
        self._columns = columns
        self._path = workspace.folder / "rows.csv"
        self._file: IO[bytes] | None = None
        self._size = 0
        self._row = 0

    def __enter__(self) -> Self:
        """Make the tables."""
        names = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in self._columns)
        self._workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {names})")
        self._workspace.run(SOURCE_ERRORS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Load what is left, unless reading has failed."""
        if kind is None:
            self._load()
        elif self._file is not None:
            self._file.close()

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """Take rows of Python values."""
        numbered = [[number, *row] for number, row in enumerate(rows, start=self._row + 1)]
        self._row += len(numbered)
        for part in _written(numbered, self._refuse):
            self._keep(part)

    def write(self, line: bytes) -> None:
        """Take one row as PostgreSQL writes it in CSV."""
        self._row += 1
        if len(line) > _MOST:
            self._refuse(self._row, _TOO_LONG)
        else:
            self._keep(b"%d,%b" % (self._row, line))

    def _keep(self, data: bytes) -> None:
        with writing(self._workspace.folder):
            if self._file is None:
                self._file = self._path.open("wb")
            self._file.write(data)
        self._size += len(data)
        if self._size >= _MOST:
            self._load()

    def _refuse(self, row: int, message: str) -> None:
        self._workspace.execute("INSERT INTO source_errors VALUES (?, '', 'Malformed Row', true, ?)", [row, message])

    def _load(self) -> None:
        if self._file is None:
            return
        with writing(self._workspace.folder):
            self._file.close()
        self._file, self._size = None, 0
        failed = ""
        try:
            self._workspace.execute(_loading(self._path, self._columns))
        except duckdb.Error as error:
            failed = type(error).__name__
        finally:
            self._path.unlink(missing_ok=True)
        if failed:  # outside of the handler: DuckDB's message contains the row
            raise UserError(
                f"rows before row {self._row + 1:,} cannot be loaded ({failed}); check that their texts are UTF-8"
            )


def _loading(path: Path, columns: Sequence[TypedColumn]) -> str:
    names = [f"c{place}" for place in range(len(columns))]
    values = ", ".join(map(_value, names, columns))
    return f"INSERT INTO source_raw SELECT _row, {values} FROM {own_csv(path, ['_row', *names], longest=2 * _MOST)}"


def _value(name: str, column: TypedColumn) -> str:
    """SQL for a value. A day that DuckDB does not have becomes the infinite one, which no rule lets through."""
    if column.raw is ColumnType.TEXT:
        return name
    read = f"TRY_CAST({name} AS {column.sql_type})"
    if column.raw is ColumnType.DATE:
        return f"coalesce({read}, CASE WHEN {name} <> '' THEN CAST('infinity' AS {column.sql_type}) END)"
    return read


def _written(rows: list[list[Any]], refuse: Any) -> Iterable[bytes]:
    """The rows as CSV: all at once, or row by row where one of them cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    try:
        writer.writerows(map(_plain, rows))
        data = text.getvalue().encode()
        if b"\0" not in data and len(data) <= _MOST:
            yield data
            return
    except (_BadRowError, UnicodeEncodeError, csv.Error):
        pass
    for row in rows:
        try:
            yield _line(row)
        except _BadRowError as error:
            refuse(row[0], str(error))


def _line(row: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(_plain(row))
    try:
        data = text.getvalue().encode()
    except UnicodeEncodeError:
        raise _BadRowError("a text of the row is not UTF-8") from None
    if b"\0" in data:
        raise _BadRowError("a text of the row contains the character NUL")
    if len(data) > _MOST:
        raise _BadRowError(_TOO_LONG)
    return data


def _plain(row: list[Any]) -> list[Any]:
    """A row with values whose text is what is loaded."""
    if _AS_THEY_ARE.issuperset(map(type, row)):
        return row
    return [value if type(value) in _AS_THEY_ARE else _column_text(value) for value in row]


def _column_text(value: object) -> object:
    if type(value) in _BINARY:
        raise _BadRowError("a value of the row is binary")
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dt.timedelta):
        return clock_text(value // dt.timedelta(microseconds=1))
    return str(value)
