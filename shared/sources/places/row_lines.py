"""On which lines of its files rows of a delimited source stand: for messages about rows in error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.definitions.models import DelimitedSource
from shared.sources.files import InputFile
from shared.sources.header import Header, read_header
from shared.sources.plain import Layout, mapped, write_plain
from shared.sources.records import Dialect, record_places
from shared.workspace import Workspace, quoted

__all__ = ["RowLine", "row_lines"]

# Reading records one by one takes a few microseconds each: rows far behind are named by their number alone.
MOST_RECORDS: Final = 200_000
MOST_BYTES: Final = 128 << 20  # of the files together: they are copied


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLine:
    """Where a row begins.

    Attributes:
        file: The file's name without folders.
        line: Its line, counted from 1.
    """

    file: str
    line: int


def row_lines(
    files: Iterable[InputFile], source: DelimitedSource, rows: Collection[int], workspace: Workspace
) -> dict[int, RowLine]:
    """The lines of some rows, as far as they are known: in local files that are not too large.

    A row whose record on that line has not the values that were loaded is left out.

    Args:
        files: Of the source, in the order of loading.
        source: Its definition.
        rows: Row numbers.
        workspace: Has `source_raw`; copies are made in its folder.

    Raises:
        UserError: A file cannot be read.
    """
    wanted, found, number, size = set(rows), dict[int, RowLine](), 0, 0
    loaded = _loaded(source, sorted(wanted), workspace)
    for file in files:
        size += Path(file.path).stat().st_size if file.system is None else MOST_BYTES + 1
        if not wanted or size > MOST_BYTES or file.compression == "zstd":
            break
        dialect = Dialect(delimiter=source.delimiter, quote=source.text_qualifier)
        header = read_header(file, source, dialect)
        if header is None:
            continue
        for line, fields in _places(file, source, header, workspace.folder / "lines.csv"):
            number += 1
            if number in wanted and _is_loaded(fields, header, loaded.get(number)):
                found[number] = RowLine(file=Path(file.name).name, line=line)
            if number >= MOST_RECORDS:
                return found
    return found


def _places(
    file: InputFile, source: DelimitedSource, header: Header, copy: Path
) -> Iterator[tuple[int, list[str] | None]]:
    dialect = Dialect(delimiter=source.delimiter, quote=source.text_qualifier)
    layout = Layout(encoding=source.encoding, head=header.lines, foot=source.footer_rows_to_ignore)
    write_plain(file, layout, copy)
    with mapped(copy) as text:
        for line, fields in record_places(text, dialect, header.width, header.line_end):
            yield header.lines + line, fields
    copy.unlink()


def _is_loaded(fields: list[str] | None, header: Header, values: tuple[str | None, ...] | None) -> bool:
    """Whether a record is the row that was loaded; a malformed one was not."""
    if fields is None:
        return values is None
    return values is not None and tuple(fields[place] or None for place in header.places) == values


def _loaded(source: DelimitedSource, rows: list[int], workspace: Workspace) -> dict[int, tuple[str | None, ...]]:
    names = "".join(f", nullif({quoted(column.name)}, '')" for column in source.columns if column.read)
    found = workspace.query(f"SELECT _row{names} FROM source_raw WHERE list_contains(?::BIGINT[], _row)", [rows])
    return {row: tuple(values) for row, *values in found}
