"""Sources of text: the files, and the table that takes each column as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, Generic, TypeVar

from shared.definitions.models import Column, DelimitedSource, FixedWidthSource, JsonSource, TypedColumn
from shared.errors import UserError
from shared.remote import is_remote
from shared.sources.context import SourceContext
from shared.sources.files import InputFile, find_files
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace, literal, quoted

__all__ = [
    "TextFiles",
    "file_values",
    "last_row",
    "loaded_rows",
    "make_text_tables",
    "raw_columns",
    "refuse_zstd",
    "value_columns",
]

_MOST_LOOKED_AT: Final = 10  # files, before a run

SourceT = TypeVar("SourceT", bound=DelimitedSource | FixedWidthSource | JsonSource)


class TextFiles(Generic[SourceT]):
    """The files of a source of text."""

    def __init__(self, source: SourceT, context: SourceContext) -> None:
        self._source: SourceT = source
        self._path = context.text(source.path)
        self._most = context.rows
        self._find = partial(find_files, open_url=context.open_url, roots=context.roots)

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files, which are read in place or whose size tells the disk's need.

        Raises:
            UserError: There is no such file.
        """
        return () if is_remote(self._path) else tuple(file.name for file in self._find(self._path))

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:  # noqa: ARG002 - text has no types of its own
        """The columns of the definition."""
        return self._source.columns

    def _first_files(self) -> tuple[InputFile, ...]:
        """The first files of those on this machine; none where there is no such file, which is no mistake."""
        try:
            return () if is_remote(self._path) else self._find(self._path)[:_MOST_LOOKED_AT]
        except UserError:
            return ()

    def _begun(self, workspace: Workspace) -> Iterator[InputFile]:
        """Make the tables; gives the files.

        Raises:
            UserError: There is no file, or one changed while the files were read.
        """
        make_text_tables(workspace, self._source.columns)
        files = self._find(self._path)
        for file in files:
            if self._left(workspace) == 0:
                break
            yield file
        for file in files:
            file.check_unchanged()

    def _left(self, workspace: Workspace) -> int | None:
        """How many rows are still to be loaded; None for all that there are."""
        return None if self._most is None else max(0, self._most - loaded_rows(workspace))


def make_text_tables(workspace: Workspace, columns: Sequence[Column]) -> None:
    """Make `source_raw` with a column for each column that is read, and `source_errors`."""
    workspace.execute(f"CREATE TABLE source_raw ({raw_columns(columns)})")
    workspace.run(SOURCE_ERRORS)


def last_row(workspace: Workspace) -> int:
    """The number of the last row that was loaded or found malformed; 0 before the first."""
    ((last,),) = workspace.query(
        """SELECT greatest((SELECT coalesce(max(_row), 0) FROM source_raw),
                           (SELECT coalesce(max(_row), 0) FROM source_errors))"""
    )
    return int(last)


def loaded_rows(workspace: Workspace) -> int:
    """How many rows were loaded or found malformed; before they are typed, no row is both."""
    ((loaded,),) = workspace.query("SELECT (SELECT count(*) FROM source_raw) + (SELECT count(*) FROM source_errors)")
    return int(loaded)


def raw_columns(columns: Sequence[Column]) -> str:
    """The columns of `source_raw`: the number of the row, and its values."""
    return ", ".join(["_row BIGINT", *_value_columns(columns)])


def value_columns(columns: Sequence[Column]) -> str:
    """The columns of `source_raw` without the number of the row."""
    return ", ".join(_value_columns(columns))


def _value_columns(columns: Sequence[Column]) -> Iterator[str]:
    """The columns of the files in their order, then those that have the file of the row."""
    stored = [column for column in columns if column.stored]
    of_file = [column for column in columns if column.read and not column.stored]
    return (f"{quoted(column.name)} {_sql_type(column)}" for column in (*stored, *of_file))


def _sql_type(column: Column) -> str:
    return column.sql_type if isinstance(column, TypedColumn) else "VARCHAR"


def file_values(columns: Sequence[Column], file: str) -> str:
    """SQL items for the columns that have the file of the row, each after a comma; the last ones of `source_raw`.

    Args:
        columns: The columns of the source.
        file: The path or URL of the file.
    """
    name = PurePosixPath(file).name if is_remote(file) else Path(file).name
    return "".join(
        f", {literal(name if column.file_name else file)}" for column in columns if column.read and not column.stored
    )


def refuse_zstd(file: InputFile) -> None:
    """Refuse a file that only DuckDB's own readers can decompress.

    Raises:
        UserError: It is compressed with zstd.
    """
    if file.compression == "zstd":
        raise UserError(f"{file.name} is a zstd file, which this kind of source cannot read; compress it with gzip")
