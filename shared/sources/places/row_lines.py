"""The line numbers of the rows of a delimited source: for messages about rows with errors."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.definitions.models import DelimitedSource
from shared.sources.files import InputFile
from shared.sources.header import Header, read_header
from shared.sources.plain import text_blocks
from shared.sources.records import Dialect, record_places
from shared.workspace import Workspace, quoted

__all__ = ["RowLine", "row_lines"]

# Reading records one by one takes a few microseconds each: later rows have only their number in messages.
MOST_RECORDS: Final = 50_000
MOST_READ: Final = 16 << 20  # bytes of a file's text


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
    files: Iterable[InputFile], source: DelimitedSource, rows: AbstractSet[int], workspace: Workspace
) -> dict[int, RowLine]:
    """The lines of some rows, as far as they are known: at the beginning of local files.

    A row whose record on that line has not the values that were loaded is left out.

    Args:
        files: Of the source, in the order of loading.
        source: Its definition.
        rows: Row numbers.
        workspace: Has `source_raw`.

    Raises:
        UserError: A file cannot be read.
    """
    loaded = _loaded(source, [row for row in rows if row <= MOST_RECORDS], workspace)
    last, found, number = min(max(rows, default=0), MOST_RECORDS), dict[int, RowLine](), 0
    for file in files:
        if number >= last or file.system is not None or file.compression == "zstd":
            break
        dialect = Dialect(delimiter=source.delimiter, quote=source.text_qualifier)
        header = read_header(file, source, dialect)
        if header is None:
            continue
        text, whole = _beginning(file, source, header)
        for line, fields in record_places(text, dialect, header.width, header.line_end):
            number += 1
            if number in rows and _is_loaded(fields, header, loaded.get(number)):
                found[number] = RowLine(file=Path(file.name).name, line=header.lines + line)
            if number >= last:
                break
        if not whole:  # how many rows the file has is not known, and so not the numbers of the next one's
            break
    return found


def _beginning(file: InputFile, source: DelimitedSource, header: Header) -> tuple[bytes, bool]:
    """The first lines of the data as UTF-8, and whether they are all."""
    parts, size = [codecs.BOM_UTF8], 0  # readers drop one, and the data may begin with that character itself
    with closing(text_blocks(file, source.encoding, head=header.lines)) as blocks:
        for block in blocks:
            parts.append(block.encode("utf-8", "surrogatepass"))
            size += len(parts[-1])
            if size >= MOST_READ:
                text = b"".join(parts)
                return text[: text.rfind(b"\n") + 1], False
    return b"".join(parts), True


def _is_loaded(fields: list[str] | None, header: Header, values: tuple[str | None, ...] | None) -> bool:
    """Whether a record is the row that was loaded; a malformed one was not."""
    if fields is None:
        return values is None
    return values is not None and tuple(fields[place] or None for place in header.places) == values


def _loaded(source: DelimitedSource, rows: list[int], workspace: Workspace) -> dict[int, tuple[str | None, ...]]:
    names = "".join(f", nullif({quoted(column.name)}, '')" for column in source.columns if column.read)
    found = workspace.query(f"SELECT _row{names} FROM source_raw WHERE _row IN (SELECT unnest(?::BIGINT[]))", [rows])
    return {row: tuple(values) for row, *values in found}
