"""What a path is, before there is a definition: its kind, and for delimited text its delimiter and its names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

from shared.definitions.models import ConnectionModel
from shared.errors import UserError
from shared.remote import is_remote
from shared.sources.context import SourceContext
from shared.sources.files import InputFile, find_files
from shared.sources.kinds import kind_of, utf_16_of
from shared.sources.plain import text_blocks

__all__ = ["FirstLook", "connection_source", "look_at", "of_connection"]

_EXTENSIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"), "delimited"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), "excel"),
    **dict.fromkeys((".json", ".ndjson", ".jsonl"), "json"),
    ".parquet": "parquet",
}
_READ: Final[Mapping[str, str]] = {"dynamics": "entity", "rest": "url", "sql": "table"}  # by type of connection
_PACKED: Final = frozenset({".gz", ".gzip", ".zst", ".zstd"})
_DELIMITERS: Final = (",", ";", "\t", "|", "\x01")
_LOOKED_AT: Final = 65_536  # characters of delimited text
_ROWS: Final = 50
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_MOST_ABOVE: Final = 20  # lines above the names of the columns
_LEAST_ALIKE: Final = 0.5  # share of the records that have as many fields as the first one
_FEW_COLUMNS: Final = 2
_FIRST_BYTES: Final = 4096
_WINDOWS: Final = "windows-1252"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """What was seen.

    Attributes:
        source: The keys of the source without its columns.
        names: The columns of delimited text; empty for kinds that know their columns.
        remarks: What is not certain.
    """

    source: Mapping[str, Any]
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())


def look_at(path: str, context: SourceContext) -> FirstLook:
    """Look at the files of a path.

    Raises:
        UserError: There is no such file, or it is of a kind whose columns cannot be seen.
    """
    if not is_remote(path) and _is_folder(path):
        return FirstLook(source={"type": "parquet", "path": path})
    files = find_files(path, open_url=context.open_url, roots=context.roots)
    kind = _kind(files[0])
    if kind != "delimited":
        return FirstLook(source={"type": kind, "path": path})
    return _delimited(path, files[0])


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # what is wrong with it is said where the files are looked for
        return False


def of_connection(connection: ConnectionModel, table: str | None) -> FirstLook:
    """The source that a connection and a table, view or path in it are.

    Raises:
        UserError: The table is missing.
    """
    source = connection_source(connection, table)
    if table is None and connection.type != "rest":
        raise UserError(
            f"the source {connection.name} is a connection of type {connection.type}: name what is read with --table"
        )
    return FirstLook(source=source)


def connection_source(connection: ConnectionModel, table: str | None) -> dict[str, Any]:
    """The keys of a source that reads with a connection; without a table it may not be whole yet."""
    read = {_READ[connection.type]: table} if table else {}
    return {"type": connection.type, "connection": connection.name, **read}


def _kind(file: InputFile) -> str:
    inner = PurePosixPath(file.place.lower())
    inner = inner.with_suffix("") if inner.suffix in _PACKED else inner
    if (known := _EXTENSIONS.get(inner.suffix)) is not None:
        return known
    with file.content() as stream:
        first = stream.read(_FIRST_BYTES)
    if (found := kind_of(first)) is not None:
        kind = {"a Parquet file": "parquet", "an Excel file (xlsx)": "excel"}.get(found[0])
        if kind is None:
            raise UserError(f"{file.name} is {found[0]}, which cannot be a source; {found[1]}")
        return kind
    return "json" if first.lstrip()[:1] in {b"{", b"["} else "delimited"


def _delimited(path: str, file: InputFile) -> FirstLook:
    if file.compression == "zstd":
        raise UserError(
            f"{file.name}: the columns of a zstd file are not looked at; unpack it, or compress it with gzip"
        )
    encoding, remarks = _encoding(file)
    with closing(text_blocks(file, encoding)) as blocks:
        text = next(blocks, "")[:_LOOKED_AT].removeprefix("\ufeff")
    above, delimiter, rows = _table(text) if text.strip() else (0, "", [])
    if not rows:
        raise UserError(f"{file.name} is empty: a first definition needs a line of names and a row")
    source: dict[str, Any] = {"type": "delimited", "path": path}
    if above:
        source |= {"header_rows_to_ignore": above, "header": True}
        remarks.append(
            f"the names of the columns are taken from line {above + 1}, and the lines above it skipped; check it"
        )
    if delimiter != ",":
        source["delimiter"] = {"\t": "\\t", "\x01": "U+0001"}.get(delimiter, delimiter)
    if encoding != "utf-8":
        source["encoding"] = encoding
    names = _names(rows[0])
    if not above and not _are_names(names):
        source["header"] = False
        remarks.append("the first line is not taken for names of columns, which are numbered; check it")
        names = tuple(f"c{number}" for number in range(1, len(names) + 1))
    return FirstLook(source=source, names=names, remarks=tuple(remarks))


def _encoding(file: InputFile) -> tuple[str, list[str]]:
    """UTF-8 if the whole file is that; its whole text is read for it."""
    with file.content() as stream:
        wide = utf_16_of(stream.read(_FIRST_BYTES))
    if wide:
        return wide, []
    try:
        with closing(text_blocks(file, "utf-8")) as blocks:
            for _ in blocks:
                pass
    except UserError:
        return _WINDOWS, [f"the file is not UTF-8; {_WINDOWS} was written, check the letters with accents"]
    return "utf-8", []


def _table(text: str) -> tuple[int, str, list[list[str]]]:
    """The number of lines above the names of the columns, the delimiter, and the first records."""
    if told := _SEPARATOR_LINE.match(text):
        return 1, told[1], _rows(text[told.end() :], told[1])
    delimiter, rows = _split(text)
    if _is_regular(rows, least=_LEAST_ALIKE):
        return 0, delimiter, rows
    at, blank = 0, False
    for above, line in enumerate(_LINE.findall(text)[:_MOST_ABOVE], start=1):
        at += len(line)
        blank = blank or not line.strip()
        found, below = _split(text[at:])
        # One column of texts that hold a delimiter looks like a table too.
        if _is_regular(below, least=1) and _are_names(_names(below[0])) and (blank or len(below[0]) > _FEW_COLUMNS):
            begin = text[at:].lstrip("\r\n")
            return above + len(_LINE.findall(text[at : len(text) - len(begin)])), found, below
    return 0, delimiter, rows


def _split(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter that splits the first records best, and these records."""
    return max(((each, _rows(text, each)) for each in _DELIMITERS), key=lambda found: _regularity(found[1]))


def _is_regular(rows: Sequence[Sequence[str]], *, least: float) -> bool:
    several, alike, _ = _regularity(rows)
    return several and alike >= least and len(rows) > 1


def _names(fields: Sequence[str]) -> tuple[str, ...]:
    """The names in a line; programs that end each line with a delimiter make an empty one behind the last."""
    names = [name.strip() for name in fields]
    return tuple(names[:-1] if len(names) > 1 and not names[-1] else names)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """The first records; the last one may be cut."""
    try:
        rows = [row for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _ROWS + 1) if row]
    except csv.Error:
        return [[text]]
    return rows[:-1] if len(rows) > _ROWS or (len(rows) > 1 and len(text) == _LOOKED_AT) else rows


def _regularity(rows: Sequence[Sequence[str]]) -> tuple[bool, float, int]:
    """How well records were split: several fields, as many in each record, many fields."""
    width = len(rows[0]) if rows else 0
    alike = sum(len(row) == width for row in rows) / max(1, len(rows))
    return width > 1, alike, width


def _are_names(fields: Sequence[str]) -> bool:
    folded = [each.casefold() for each in fields]
    numbers = sum(each.replace(".", "").replace(",", "").lstrip("-").isdecimal() for each in fields)
    return all(folded) and len(set(folded)) == len(folded) and numbers == 0
