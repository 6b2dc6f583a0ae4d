"""Parquet files: DuckDB reads them, one after the other, and their types are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import duckdb

from shared.definitions.models import Column, ColumnType, ParquetSource, TypedColumn
from shared.errors import UserError
from shared.json_paths import steps_of
from shared.remote import is_remote, shown_url
from shared.sources.context import SourceContext
from shared.sources.files import InputFile, find_files
from shared.sources.parquet.decimals import MOST_DIGITS, is_wide, with_wide_decimals
from shared.sources.parquet.fields import Field, as_json, field
from shared.sources.parquet.names import is_ambiguous, with_own_names
from shared.sources.places.copies import copy_of
from shared.sources.text_files import file_values, raw_columns
from shared.sources.typed import KnownColumn, described, found_name, known_type
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace, literal, quoted
from shared.workspace.failures import explained

if TYPE_CHECKING:
    from shared.sources.parquet.ranges import Ranges

__all__ = ["ParquetFiles"]

_ENDING: Final = ".parquet"
_NESTED: Final = re.compile(r"^(STRUCT|MAP|UNION)\(|\]$")
_BINARY: Final = re.compile(r"(^|[ (])(BLOB|BIT)($|[,)\[])")  # alone, or anywhere in a nested type
_PATTERN: Final = frozenset("*?[")
_NUMBER: Final = "file_row_number"  # DuckDB's own column
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark call a partition whose value is null


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One file.

    Attributes:
        file: The file, as it was found.
        name: As messages show it.
        read: The SQL that reads it.
        types: Column -> its SQL type.
        known: Column, also of the folders and by a path -> what is known of it, or why it cannot be read.
        values: Column whose value is not that of a column of the file -> its SQL.
        partitions: Column that only the folders name -> its value.
        copy: The copy in the folder of the workspace; None where DuckDB reads the file itself.
    """

    file: InputFile
    name: str
    read: str
    types: Mapping[str, str]
    known: Mapping[str, KnownColumn | str]
    values: Mapping[str, str]
    partitions: Mapping[str, str | None]
    copy: Path | None = None


class ParquetFiles:
    """The files of a `parquet` source."""

    def __init__(self, source: ParquetSource, context: SourceContext) -> None:
        self._source = source
        self._path = context.text(source.path)
        self._find = partial(find_files, open_url=context.open_url, roots=context.roots)
        self._parts: tuple[_Part, ...] = ()
        self._most = context.rows
        self._ranges: Ranges | None = None

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files to be read in place.

        Raises:
            UserError: There is no such file.
        """
        return () if is_remote(self._path) else tuple(file.name for file in self._files())

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """The columns of the definition with the types of the files; all columns where it names none.

        Raises:
            UserError: A file is missing or damaged.
            DefinitionError: A column is missing, nested or binary, or not the same in all files.
        """
        parts = self._opened(workspace)
        if not any(column.stored for column in self._source.columns):
            _refuse_further_columns(parts)
        return described(self._source, _together(parts), parts[0].name if len(parts) == 1 else shown_url(self._path))

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing or damaged.
            DefinitionError: A column is missing, nested or binary, or not the same in all files.
        """
        columns = self.columns(workspace)
        workspace.execute(f"CREATE TABLE source_raw ({raw_columns(columns)})")
        workspace.run(SOURCE_ERRORS)
        for part in self._parts:
            with self._explained(part.file):
                _load(workspace, part, columns, self._most)
            if part.copy is not None:
                part.copy.unlink()
        for part in self._parts:
            part.file.check_unchanged()
        self._parts = ()

    def _files(self) -> tuple[InputFile, ...]:
        return self._find(self._path, ending=_ENDING)

    def _opened(self, workspace: Workspace) -> tuple[_Part, ...]:
        """The files, where DuckDB can read them; looked at once. For the first rows, only the files that have them."""
        if not self._parts:
            self._parts = tuple(self._needed(workspace))
        return self._parts

    def _needed(self, workspace: Workspace) -> Iterator[_Part]:
        rows = 0
        for number, file in enumerate(self._files()):
            copy = workspace.folder / f"source-{number}{_ENDING}"
            read = self._in_place(workspace, file) or copy_of(file, copy).path
            with self._explained(file):
                part = _part(workspace, file, read, self._source.columns)
                rows += 0 if self._most is None else _count(workspace, part)
            yield part if read != str(copy) else replace(part, copy=copy)
            if self._most is not None and rows >= self._most:
                return

    def _in_place(self, workspace: Workspace, file: InputFile) -> str:
        """The path by which DuckDB reads a file itself; empty where it has to be copied."""
        if file.system is None:
            # In the name of a file, these characters are a pattern for DuckDB.
            return file.path if file.path in workspace.readable and _PATTERN.isdisjoint(file.path) else ""
        if self._most is None:  # reading all of it part by part takes longer than a copy
            return ""
        if self._ranges is None:
            from shared.sources.parquet.ranges import Ranges  # noqa: PLC0415 - loads what only remote files need

            self._ranges = Ranges()
            workspace.serve(self._ranges)
        return self._ranges.add(file)

    @contextmanager
    def _explained(self, file: InputFile) -> Iterator[None]:
        """Say why a file cannot be read."""
        failed: duckdb.Error | None = None
        try:
            yield
        except duckdb.Error as error:
            failed = error
        if self._ranges is not None and self._ranges.failure is not None:
            raise self._ranges.failure
        if failed is not None:
            raise _damaged(file.name, failed) from failed


def _part(workspace: Workspace, file: InputFile, path: str, columns: Sequence[Column]) -> _Part:
    read = _reading(path)
    rows = workspace.query(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {read})")
    types = with_wide_decimals(workspace, path, {str(name): str(kind) for name, kind in rows})
    types = with_own_names(workspace, path, types)
    partitions = {name: value for name, value in _partitions(file.place) if found_name(name, types) is None}
    known = dict(_known(types, partitions, file.name))
    values: dict[str, str] = {}
    for name, found, sql in _fields(workspace, read, types, columns):
        known[name], values[name] = found if isinstance(found, KnownColumn) else f"{file.name}: {found}", sql
    return _Part(
        file=file,
        name=file.name,
        read=read,
        types=types,
        known=known,
        values=values,
        partitions=partitions,
    )


def _fields(
    workspace: Workspace, read: str, types: Mapping[str, str], columns: Sequence[Column]
) -> Iterator[tuple[str, KnownColumn | str, str]]:
    """Yield name, what is known, and the SQL of each column that is read by a path or as JSON and is there."""

    def type_of(sql: str) -> str | None:
        try:
            return str(workspace.query(f"SELECT column_type FROM (DESCRIBE SELECT {sql} FROM {read})")[0][0])
        except duckdb.Error:
            return None

    for column in columns:
        if not column.stored or not (column.type is ColumnType.JSON or column.name.startswith("$")):
            continue
        own = found_name(column.name, types)
        found = Field(quoted(own), types[own]) if own is not None else None
        if found is None and column.name.startswith("$"):
            found = field(column.name, types, type_of)
        if found is None:
            continue
        whole = found_name(str((steps_of(column.name) or (column.name,))[0]), types)
        if whole is not None and (is_wide(types[whole]) or is_ambiguous(types[whole])):
            found = Field(found.sql, types[whole])
        readable = known_type(found.sql_type) or (_NESTED.search(found.sql_type) and not _is_binary(found.sql_type))
        if column.type is ColumnType.JSON and readable:
            yield column.name, *as_json(found)
        else:
            known = known_type(found.sql_type)
            told = replace(known, faults=found.faults) if known else _unreadable(column.name, found.sql_type)
            yield column.name, told, found.sql


def _unreadable(column: str, sql_type: str) -> str:
    """Why a value cannot be read, and what to do."""
    if is_ambiguous(sql_type):
        return (
            f"several columns are called {column}, upper and lower case being the same: give each one a name of its own"
        )
    if _is_binary(sql_type):
        return f"the values of the column {column} are binary, and such values cannot be read"
    if is_wide(sql_type):
        return f"the column {column} has a {sql_type}; at most {MOST_DIGITS} can be read exactly: write it as text"
    if not _NESTED.search(sql_type):
        return f"the values of the column {column} are of the type {sql_type}, and such values cannot be read"
    return f"the values of the column {column} are nested; write type: json to read them as documents"


def _is_binary(sql_type: str) -> bool:
    return _BINARY.search(sql_type) is not None


def _partitions(place: str) -> Iterator[tuple[str, str | None]]:
    """The columns that the folders of a file name: `year=2024/month=01/part-0.parquet`."""
    for folder in PurePosixPath(Path(place).as_posix()).parent.parts:
        name, equals, value = folder.partition("=")
        if name and equals:
            yield unquote(name), None if value == _NO_VALUE else unquote(value)


def _known(
    types: Mapping[str, str], partitions: Mapping[str, str | None], name: str
) -> Iterator[tuple[str, KnownColumn | str]]:
    for column, sql_type in types.items():
        yield column, known_type(sql_type) or f"{name}: {_unreadable(column, sql_type)}"
    for column in partitions:
        yield column, KnownColumn.as_text(ColumnType.TEXT)


def _together(parts: Sequence[_Part]) -> Mapping[str, KnownColumn | str]:
    """Column of all files -> what is known of it, or why it cannot be read. The first file gives names and order."""
    return {name: _agreed(parts, name) for name in parts[0].known}


def _agreed(parts: Sequence[_Part], name: str) -> KnownColumn | str:
    """What is known of a column of several files; values of different SQL types are loaded as their texts."""
    agreed = parts[0].known[name]
    for part in parts[1:]:
        own = found_name(name, part.known)
        if own is None:
            return f"{part.name} has no column {name}, which {parts[0].name} has"
        known = part.known[own]
        if isinstance(agreed, str) or isinstance(known, str):
            return agreed if isinstance(agreed, str) else str(known)
        if known.empty or agreed.empty:
            agreed = agreed if known.empty else known
            continue
        if known.type is not agreed.type:
            return f"{part.name} has {known.type} values in {name}, and {parts[0].name} has {agreed.type} values"
        if known != agreed:
            agreed = replace(KnownColumn.as_text(agreed.type), faults=agreed.faults or known.faults)
    return agreed


def _refuse_further_columns(parts: Sequence[_Part]) -> None:
    for part in parts[1:]:
        for name in part.known:
            if found_name(name, parts[0].known) is None:
                raise UserError(
                    f"{part.name} has a column {name}, which {parts[0].name} does not have; name the columns to read"
                )


def _count(workspace: Workspace, part: _Part) -> int:
    """How many rows a file has; its end says so."""
    ((rows,),) = workspace.query(f"SELECT count(*) FROM {part.read}")
    return int(rows)


def _load(workspace: Workspace, part: _Part, columns: Sequence[Column], most: int | None) -> None:
    values = "".join(f", {_value(part, column)}" for column in columns if isinstance(column, TypedColumn))
    told = file_values(columns, part.name)
    ((before,),) = workspace.query("SELECT coalesce(max(_row), 0) FROM source_raw")
    rows = part.read if most is None else _first(part, most - before)
    workspace.execute(f"INSERT INTO source_raw SELECT {before} + row_number() OVER (){values}{told} FROM {rows}")


def _first(part: _Part, rows: int) -> str:
    """SQL of the first rows. By their number DuckDB finds the blocks that have them; with a limit it reads several."""
    if found_name(_NUMBER, part.types) is None:
        return f"(SELECT * FROM {part.read} WHERE {_NUMBER} < {rows})"
    return f"(SELECT * FROM {part.read} LIMIT {rows})"


def _value(part: _Part, column: TypedColumn) -> str:
    """SQL for the value of a column; `described` has found it in every file."""
    if column.name in part.values:
        return f"CAST({part.values[column.name]} AS {column.sql_type})"
    own = found_name(column.name, part.types)
    if own is not None:
        return f"CAST({quoted(own)} AS {column.sql_type})"
    named = found_name(column.name, part.partitions)
    return literal(part.partitions[named]) if named is not None else "NULL"


def _reading(path: str) -> str:
    return f"read_parquet({literal(path)}, hive_partitioning = false)"


def _damaged(name: str, error: duckdb.Error) -> UserError:
    reason = explained(error)
    # Some reasons have the path of the copy, which a user does not know, or end where it was left out.
    told = "" if any(sign in reason for sign in "/\\…") else f" ({reason})"
    return UserError(
        f"{name} cannot be read: it is damaged, or not a Parquet file{told}; get the file again from its origin"
    )
