"""Delimited text: DuckDB reads what is clean at full speed; a file with malformed rows is read again, row by row."""

from __future__ import annotations

import csv
import difflib
import functools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb

from shared.definitions.models import Column, DelimitedSource
from shared.errors import UserError
from shared.remote import OpenUrl, is_remote, open_without_account
from shared.sources.files import InputFile, Layout, data_lines, find_files, open_text, write_plain
from shared.sources.records import STAND_IN, Dialect, Malformed, reader_of, records
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace, literal, quoted

__all__ = ["DelimitedFiles"]

_OTHER_DELIMITERS: Final = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'", "\x01": "U+0001"}
_LONGEST_LINE: Final = 16 << 20
_LINE_ENDS: Final = {r"\r\n": "\r\n", r"\n": "\n", r"\r": "\r"}  # as DuckDB's new_line names them
_UTF_8: Final = frozenset({"utf-8", "utf-8-sig"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the first lines of a file say.

    Attributes:
        width: Fields of a record.
        places: The 0-based place of each column that is read.
        lines: Physical lines above the data.
        newline: How lines end; DuckDB's own guess is led astray by another line end within quotes.
    """

    width: int
    places: tuple[int, ...]
    lines: int
    newline: str


class DelimitedFiles:
    """The files of a `delimited` source."""

    def __init__(self, source: DelimitedSource, *, path: str, open_url: OpenUrl = open_without_account) -> None:
        self._source = source
        self._path = path
        self._open_url = open_url
        self._columns = [column for column in source.columns if column.read]
        self._dialect = Dialect(delimiter=source.delimiter, quote=source.text_qualifier)

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files to be read in place.

        Raises:
            UserError: There is no such file.
        """
        return () if is_remote(self._path) else tuple(file.name for file in find_files(self._path))

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers go on from one file to the next.

        Raises:
            UserError: A file is missing, not in its encoding, or has not the columns that the definition names.
        """
        names = ", ".join(f"{quoted(column.name)} VARCHAR" for column in self._columns)
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {names})")
        workspace.run(SOURCE_ERRORS)
        for number, file in enumerate(find_files(self._path, self._open_url)):
            _Load(workspace, self._source, self._columns, self._dialect, number).load(file)


@dataclass(frozen=True, slots=True)
class _Load:
    """Loads one file behind what is loaded already."""

    workspace: Workspace
    source: DelimitedSource
    columns: Sequence[Column]
    dialect: Dialect
    number: int

    def load(self, file: InputFile) -> None:
        if file.compression == "zstd":
            file = self._unpacked(file)
        header = self._header(file)
        if header is None:
            return
        layout = Layout(encoding=self.source.encoding, head=header.lines, foot=self.source.footer_rows_to_ignore)
        if self._in_place(file, header):
            if not self._fast(file.path, header, skip=header.lines, compression=file.compression):
                self._exact(file, layout, header)
            return
        plain = self.workspace.folder / f"source-{self.number}.csv"
        write_plain(file, layout, plain)
        if not self._fast(str(plain), header):
            self._exact(InputFile(name=file.name, path=str(plain)), Layout(), header)
        plain.unlink()

    def _unpacked(self, file: InputFile) -> InputFile:
        """Let DuckDB decompress a zstd file line by line: Python learns it in version 3.14."""
        if self.source.encoding not in _UTF_8:
            raise UserError(
                f"{file.name}: a zstd file must be utf-8, not {self.source.encoding}; compress it with gzip"
            )
        packed = self.workspace.folder / f"source-{self.number}.zst"
        lines = self.workspace.folder / f"source-{self.number}.lines"
        with file.stored() as stored, packed.open("wb") as copy:
            shutil.copyfileobj(stored, copy)
        plain = "delim = '\x1f\x1e\x1f', quote = '', escape = ''"
        try:
            self.workspace.execute(
                f"COPY (SELECT line FROM read_csv({literal(str(packed))}, compression = 'zstd', auto_detect = false, "
                f"header = false, columns = {{'line': 'VARCHAR'}}, {plain}, max_line_size = {_LONGEST_LINE})) "
                f"TO {literal(str(lines))} (FORMAT csv, header false, {plain.replace(' =', '')})"
            )
        except duckdb.Error as error:
            raise UserError(f"{file.name} cannot be read: it is no zstd file, or it is damaged") from error
        packed.unlink()
        return InputFile(name=file.name, path=str(lines))

    def _in_place(self, file: InputFile, header: _Header) -> bool:
        """Whether DuckDB can read the file where it is: it counts lines to skip by records, so one line at most."""
        return (
            file.path in self.workspace.readable
            and self.source.encoding in _UTF_8
            and header.lines <= 1
            and not self.source.footer_rows_to_ignore
        )

    def _last_row(self) -> int:
        return int(
            self.workspace.query(
                """SELECT greatest((SELECT coalesce(max(_row), 0) FROM source_raw),
                                   (SELECT coalesce(max(_row), 0) FROM source_errors))"""
            )[0][0]
        )

    def _header(self, file: InputFile) -> _Header | None:
        """Read the lines above the data; None for a file that is empty and need not have a header."""
        with open_text(file, self.source.encoding) as text:
            for _ in range(self.source.header_rows_to_ignore):
                text.readline()
            first, lines, newline = _first_record(text, self.dialect)
        if not self.source.header:
            return self._by_place(file, first, newline) if first else None
        if not first:
            raise UserError(f"{file.name} is empty: it has no line of column names; set header: false if that is right")
        return replace(self._by_name(file, first, newline), lines=self.source.header_rows_to_ignore + lines)

    def _by_place(self, file: InputFile, first: list[str], newline: str) -> _Header:
        if len(first) < len(self.columns):
            raise self._too_narrow(file, first, f"the first row has {len(first)} fields")
        return _Header(
            width=len(first),
            places=tuple(range(len(self.columns))),
            lines=self.source.header_rows_to_ignore,
            newline=newline,
        )

    def _by_name(self, file: InputFile, names: list[str], newline: str) -> _Header:
        names = [name.strip() for name in names]
        if len(names) == 1 and len(self.columns) > 1:
            raise self._too_narrow(file, names, "the header has one column")
        if twice := [column.name for column in self.columns if names.count(column.name) > 1]:
            raise UserError(f"{file.name} has several columns named {', '.join(twice)}; give each a name of its own")
        missing = [column.name for column in self.columns if _place(column.name, names) is None]
        if missing:
            raise UserError("\n".join(_unknown(file, name, names) for name in missing))
        places = tuple(place for column in self.columns if (place := _place(column.name, names)) is not None)
        return _Header(width=len(names), places=places, lines=1, newline=newline)

    def _too_narrow(self, file: InputFile, first: list[str], found: str) -> UserError:
        wanted = f"the definition names {len(self.columns)}"
        line = self.dialect.delimiter.join(first)
        better = max(_OTHER_DELIMITERS, key=line.count)
        hint = f" It looks as if the delimiter is {_OTHER_DELIMITERS[better]}" if better in line else ""
        return UserError(f"{file.name}: {found} and {wanted}: is the delimiter {self.dialect.delimiter!r} right?{hint}")

    def _fast(self, path: str, header: _Header, *, skip: int = 0, compression: str = "") -> bool:
        """Load with DuckDB's reader; False when the file has something that it refuses, and nothing is loaded then."""
        fields = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(header.width))
        quote = literal(self.dialect.quote)
        options = [
            literal(path),
            "auto_detect = false, header = false, strict_mode = true, nullstr = ''",
            f"skip = {skip}, columns = {{{fields}}}, delim = {literal(self.dialect.delimiter)}",
            f"quote = {quote}, escape = {quote}",
        ]
        # Told of line ends with a carriage return, DuckDB 2.0 in strict mode finds no row at all, without a word.
        options += [f"new_line = {literal(header.newline)}"] if header.newline == r"\n" else []
        options += [f"compression = {literal(compression)}"] if compression else []
        chosen = ", ".join(f"c{place}" for place in header.places)
        try:
            self.workspace.execute(
                f"INSERT INTO source_raw SELECT {self._last_row()} + row_number() OVER (), {chosen} "
                f"FROM read_csv({', '.join(options)})"
            )
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException):
            return False
        return True

    def _exact(self, file: InputFile, layout: Layout, header: _Header) -> None:
        """Tell the records apart one by one; good ones go on as clean text, the others become errors."""
        folder, number = self.workspace.folder, self._last_row()
        good, bad = folder / f"source-{self.number}.good", folder / f"source-{self.number}.bad"
        with (
            data_lines(file, layout) as text,
            good.open("w", encoding="utf-8", newline="") as goods,
            bad.open("w", encoding="utf-8", newline="") as bads,
        ):
            # All in quotes: with other settings Python 3.11 leaves a carriage return bare.
            write_good = csv.writer(goods, lineterminator="\n", quoting=csv.QUOTE_ALL)
            write_bad = csv.writer(bads, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for number, record in enumerate(records(text, self.dialect, header.width), start=number + 1):  # noqa: B020
                if isinstance(record, Malformed):
                    write_bad.writerow([number, record.message])
                else:
                    write_good.writerow([number, *(record[place] for place in header.places)])
        self._take(good, "source_raw", ["_row", *(column.name for column in self.columns)], "*")
        self._take(bad, "source_errors", ["_row", "message"], "_row, '', 'Malformed Row', true, message")

    def _take(self, path: Path, table: str, names: Iterable[str], items: str) -> None:
        fields = ", ".join(f"{literal(name)}: {literal('BIGINT' if name == '_row' else 'VARCHAR')}" for name in names)
        self.workspace.execute(
            f"INSERT INTO {table} SELECT {items} FROM read_csv({literal(str(path))}, auto_detect = false, "
            f"header = false, columns = {{{fields}}}, delim = ',', quote = '\"', escape = '\"', "
            f"new_line = '\\n', max_line_size = {_LONGEST_LINE})"
        )
        path.unlink()


def _first_record(lines: Iterable[str], dialect: Dialect) -> tuple[list[str], int, str]:
    """Return the first record that is not blank, how many lines it took with those before it, and how they end."""
    taken: list[str] = []

    def noted() -> Iterable[str]:
        for line in lines:
            taken.append(line)
            yield line.replace(dialect.delimiter, STAND_IN)

    reader = reader_of(noted(), delimiter=STAND_IN, quote=dialect.quote, strict=False)
    first = next((fields for fields in reader if fields), [])
    last = taken[-1] if taken else ""
    newline = next((end for end in (r"\r\n", r"\n", r"\r") if last.endswith(_LINE_ENDS[end])), r"\n")
    return first, len(taken), newline


@functools.cache
def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _place(name: str, names: list[str]) -> int | None:
    """The place of a column by its name as written, else by its name without regard to case and blanks."""
    if name in names:
        return names.index(name)
    return next((place for place, other in enumerate(names) if _folded(other) == _folded(name)), None)


def _unknown(file: InputFile, name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(names[:30])}"
    return f"{file.name} has no column {name}; {hint}"
