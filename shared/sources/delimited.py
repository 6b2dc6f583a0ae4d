"""Delimited text: DuckDB reads correct files fast; a file with malformed rows is read again, row by row."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Final

import duckdb

from shared.definitions.models import Column, DelimitedSource
from shared.errors import UserError
from shared.sources.context import SourceContext
from shared.sources.files import BLOCK, InputFile
from shared.sources.header import Header, read_header
from shared.sources.kinds import refuse_other_kinds
from shared.sources.packed import check_zstd
from shared.sources.places.copies import copy_of
from shared.sources.places.row_lines import LoadedFile, RowLine, row_lines
from shared.sources.plain import (
    Layout,
    LineSurvey,
    cut_last,
    mapped,
    more_blocks,
    own_csv,
    survey_lines,
    write_plain,
)
from shared.sources.records import MOST_BYTES, Dialect, Malformed, Scanner, first_rows, has_first, records, splits_alike
from shared.sources.text_files import TextFiles, file_values, last_row, value_columns
from shared.workspace import Workspace, literal, quoted, writing

__all__ = ["DelimitedFiles"]

log = logging.getLogger(__name__)

# Each of the up to 10,000 fields is in quotes there, and its own quotes are doubled.
_LONGEST_LINE: Final = 2 * MOST_BYTES + (1 << 16)
_UTF_8: Final = frozenset({"utf-8", "utf-8-sig"})
_LARGE: Final = 16 << 20  # bytes of a file from which on it is worth reading it in several places at once
# Bytes that are read in one place; with smaller parts DuckDB stores the rows in less full groups.
_PART: Final = 12 << 20


class DelimitedFiles(TextFiles[DelimitedSource]):
    """The files of a `delimited` source."""

    def __init__(self, source: DelimitedSource, context: SourceContext) -> None:
        super().__init__(source, context)
        self._loaded: list[LoadedFile] = []

    def first_lines(self) -> tuple[str, ...]:
        """Look at the header of the files that are on this machine; there are no warnings.

        Raises:
            UserError: A file is of another kind, not in its encoding, or has not the columns that the definition names.
        """
        dialect = Dialect(delimiter=self._source.delimiter, quote=self._source.text_qualifier)
        for file in self._first_files():
            if file.compression != "zstd":  # only DuckDB's reader can decompress it
                refuse_other_kinds(file, self._source.encoding)
                read_header(file, self._source, dialect)
        return ()

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing, not in its encoding, or has not the columns that the definition names.
        """
        columns = [column for column in self._source.columns if column.stored]
        dialect = Dialect(delimiter=self._source.delimiter, quote=self._source.text_qualifier)
        self._loaded.clear()
        for number, file in enumerate(self._begun(workspace)):
            before = last_row(workspace)
            load = _Load(workspace, self._source, columns, dialect, number)
            left = self._left(workspace)
            if left is None:
                alone = number == 0 and file.local_bytes >= _LARGE and len(self.readable) == 1
                read = load.load(file, divided=alone)
            else:
                read = load.load_first(file, left)
            self._loaded.append(LoadedFile(file=read, before=before, last=last_row(workspace)))

    def lines(self, workspace: Workspace) -> Iterator[tuple[int, RowLine]]:
        """The lines on which rows with errors begin; see `row_lines`."""
        return chain.from_iterable(row_lines(file, self._source, workspace) for file in self._loaded)


@dataclass(frozen=True, slots=True)
class _Load:
    """Loads one file behind what is loaded already."""

    workspace: Workspace
    source: DelimitedSource
    columns: Sequence[Column]
    dialect: Dialect
    number: int

    def load(self, file: InputFile, *, divided: bool = False) -> InputFile:
        """Load a file; returns it, or what it was copied to: for a zstd file its lines, for one behind HTTP the whole.

        Args:
            file: The file.
            divided: Read it in several places at once if its lines allow that; it must be the only file.
        """
        if file.compression == "zstd":
            file, _ = self._unpacked(file)
        elif file.is_http:
            file = self._fetched(file)
        refuse_other_kinds(file, self.source.encoding)
        header = read_header(file, self.source, self.dialect)
        if header is None:
            return file
        in_place = self._in_place(file, header)
        if in_place and divided and self._is_divisible(file, header) and self._at_once(file, header):
            return file
        if in_place and self._fast(file, header, skip=header.lines):
            return file
        plain = self._plain
        write_plain(file, self._layout(header), plain)
        if in_place or not self._fast(InputFile(name=file.name, path=str(plain)), header):
            self._exact(file, plain, header)
        plain.unlink()
        return file

    def load_first(self, file: InputFile, rows: int) -> InputFile:
        """Load the first rows of a file from its beginning: more of it is read only where they do not end there."""
        blocks = 1
        while True:
            part, all_of_it = self._unpacked(file, blocks) if file.compression == "zstd" else (file, True)
            refuse_other_kinds(part, self.source.encoding)
            header = read_header(part, self.source, self.dialect)
            if header is None:
                return part
            all_of_it = write_plain(part, self._layout(header), self._plain, blocks=blocks) and all_of_it
            if all_of_it or self._suffices(header, rows):
                break
            blocks = more_blocks(blocks, file)
        self._exact(part, self._plain, header, rows)
        self._plain.unlink()
        return part

    def _fetched(self, file: InputFile) -> InputFile:
        """A copy of a file behind HTTP, so that its column names and its rows are of one answer."""
        ending = ".whole.gz" if file.compression else ".whole"
        return copy_of(file, self.workspace.folder / f"source-{self.number}{ending}")

    @property
    def _plain(self) -> Path:
        return self.workspace.folder / f"source-{self.number}.csv"

    def _layout(self, header: Header) -> Layout:
        return Layout(encoding=self.source.encoding, head=header.lines, foot=self.source.footer_rows_to_ignore)

    def _suffices(self, header: Header, rows: int) -> bool:
        with mapped(self._plain) as text:
            return has_first(text, Scanner(text, self.dialect, header.width, header.line_end), rows)

    def _unpacked(self, file: InputFile, blocks: int | None = None) -> tuple[InputFile, bool]:
        """Decompress a zstd file line by line with DuckDB: Python can do it from version 3.14 on.

        With a number of blocks, only the lines that are whole in so many of them; the second value tells whether these
        are all lines.
        """
        if self.source.encoding not in _UTF_8:
            raise UserError(
                f"{file.name}: a zstd file must be utf-8, not {self.source.encoding}; compress it with gzip"
            )
        packed = self.workspace.folder / f"source-{self.number}.zst"
        lines = self.workspace.folder / f"source-{self.number}.lines"
        with file.stored() as stored, writing(self.workspace.folder), packed.open("wb") as copy:
            all_of_it = _copied(stored, copy, blocks)
        content = True
        if all_of_it:
            with packed.open("rb") as stored:
                content = check_zstd(stored, file.name)
        if not content:
            lines.touch()
        elif not self._lines(packed, lines, r"\n") and (
            self._lines(packed, lines, r"\r") or not self._lines(packed, lines, "")
        ):
            raise UserError(
                f"{file.name} cannot be read: it is damaged, or a line is longer than {MOST_BYTES >> 20} MB, or its "
                f"lines (also within quotes) end with a mixture of LF and CR LF; compress it with gzip instead"
            )
        packed.unlink()
        if not all_of_it:
            cut_last(lines, 1)
        return InputFile(name=file.name, path=str(lines)), all_of_it

    def _lines(self, packed: Path, lines: Path, newline: str) -> bool:
        """Write a zstd file's lines. DuckDB accepts only one kind of line end here, so line ends are not changed."""
        plain = "delim = '\x1f\x1e\x1f', quote = '', escape = ''"
        # Without a configured line end DuckDB detects it; line feeds or carriage returns alone were tried before.
        told, end = (f"new_line = '{newline}', ", "") if newline else ("", " || chr(13)")
        try:
            self.workspace.execute(
                f"COPY (SELECT coalesce(line, ''){end} FROM read_csv({literal(str(packed))}, compression = 'zstd', "
                f"auto_detect = false, header = false, columns = {{'line': 'VARCHAR'}}, {told}{plain}, "
                f"max_line_size = {MOST_BYTES})) "
                f"TO {literal(str(lines))} (FORMAT csv, header false, {plain.replace(' =', '')})"
            )
        except duckdb.Error:
            return False
        return lines.stat().st_size > 0

    def _in_place(self, file: InputFile, header: Header) -> bool:
        """Whether DuckDB can read the file where it is: it counts lines to skip by records, so one line at most."""
        return (
            (file.path in self.workspace.readable or Path(file.path).parent == self.workspace.folder)
            and self.source.encoding in _UTF_8
            and header.lines <= 1
            and not self.source.footer_rows_to_ignore
        )

    def _is_divisible(self, file: InputFile, header: Header) -> bool:
        """Whether it seems possible to read a file in several places at once."""
        plain = not file.compression and header.newline != "\r" and self.dialect.quote.isascii() and header.places
        return bool(plain) and not self._has_own_rowid and not self._breaks_lines(file)

    def _breaks_lines(self, file: InputFile) -> bool:
        """Whether one of the first lines does not end with its row."""
        with file.content() as stream:
            *lines, _ = stream.read(BLOCK).split(b"\n")
        quote = self.dialect.quote.encode()
        return bool(quote) and any(line.count(quote) % 2 for line in lines)

    @property
    def _has_own_rowid(self) -> bool:
        """Whether a column has the name by which DuckDB knows the numbers of rows."""
        return any(column.name.lower() == "rowid" for column in self.source.columns)

    def _at_once(self, file: InputFile, header: Header) -> bool:
        """Load with all cores and let `source_raw` be a view; False where the lines may not be the rows.

        Each place at which DuckDB begins has to be the beginning of a row. It is one where no value has a line break:
        there are no quotes, or as many rows as lines. Then each line is a row by itself.
        """
        rows = self._reading(file, header, header.lines, _PART)
        self.workspace.execute(f"CREATE TABLE source_rows ({value_columns(self.source.columns)})")
        with ThreadPoolExecutor(max_workers=1) as beside:
            surveyed = beside.submit(self._surveyed, file, header)
            loaded = self._inserted("source_rows", [], rows, header, file)
            survey = surveyed.result()
        found, blank = self._count("source_rows"), self._count(f"source_rows WHERE {self._empty}")
        whole = not survey.quotes or found == survey.lines - header.lines
        if survey.strays or survey.spaced or not (loaded and found and whole) or blank:
            self.workspace.drop("source_rows")
            return False
        # The numbers of the rows of a table are those of their order.
        self.workspace.drop("source_raw")
        self.workspace.execute("CREATE VIEW source_raw AS SELECT rowid + 1 AS _row, * FROM source_rows")
        return True

    def _fast(self, file: InputFile, header: Header, *, skip: int = 0) -> bool:
        """Load with DuckDB's reader; False when the file has something that it refuses, and nothing is loaded then."""
        rows, before = self._reading(file, header, skip), last_row(self.workspace)
        with ThreadPoolExecutor(max_workers=1) as beside:
            surveyed = beside.submit(self._surveyed, file, header)
            loaded = self._inserted("source_raw", [f"{before} + row_number() OVER ()"], rows, header, file)
            survey = surveyed.result()
        # With some mixtures of line ends DuckDB finds no row and reports no error.
        if loaded and not (survey.strays or survey.spaced) and last_row(self.workspace) > before:
            self._without_blank_rows(file, header, rows, before)
            return True
        self.workspace.execute(f"DELETE FROM source_raw WHERE _row > {before}")
        return False

    def _surveyed(self, file: InputFile, header: Header) -> LineSurvey:
        """Look at the lines of a file, and once more at all of it where blanks stand at its quotes."""
        survey = survey_lines(file, header.line_end, self.dialect.quote)
        if not survey.spaced:
            return survey
        if " " in self.dialect.delimiter + self.dialect.quote:  # then no blank is left out
            return replace(survey, spaced=False)
        with file.content() as stream:
            alike = splits_alike(iter(partial(stream.read, BLOCK), b""), self.dialect)
        return replace(survey, spaced=not alike)

    def _inserted(self, table: str, first: Sequence[str], rows: str, header: Header, file: InputFile) -> bool:
        items = ", ".join((*first, *(f"c{place}" for place in header.places)))
        # A blank line is not a record, but DuckDB reads it as one if there is only one column.
        condition = " WHERE c0 IS NOT NULL" if header.width == 1 else ""
        try:
            self.workspace.execute(f"INSERT INTO {table} SELECT {items}{self._file_items(file)} FROM {rows}{condition}")
        except duckdb.Error:  # of several kinds; for example, a long line is reported as "not implemented"
            return False
        return True

    def _file_items(self, file: InputFile) -> str:
        """SQL items for the columns that have the file of the row."""
        return file_values(self.source.columns, file.name)

    def _reading(self, file: InputFile, header: Header, skip: int, part: int = 0) -> str:
        fields = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(header.width))
        quote = literal(self.dialect.quote)
        options = [
            literal(file.path),
            "auto_detect = false, header = false, strict_mode = true, nullstr = ''",
            f"skip = {skip}, columns = {{{fields}}}, delim = {literal(self.dialect.delimiter)}",
            f"quote = {quote}, escape = {quote}",
        ]
        # DuckDB's own detection is wrong if there is another line end within quotes. But with a configured carriage
        # return, DuckDB 2.0 in strict mode finds no row and reports no error.
        options += [r"new_line = '\n'"] if header.newline == "\n" else []
        options += [f"buffer_size = {part}"] if part else []
        options += [f"compression = {literal(file.compression)}"] if file.compression else []
        return f"read_csv({', '.join(options)})"

    def _without_blank_rows(self, file: InputFile, header: Header, rows: str, before: int) -> None:
        """Drop the rows that hold no value in any column, read or not; their numbers stay unused."""
        empty = f"_row > {before} AND {self._empty}"
        if not self._count(f"source_raw WHERE {empty}"):
            return
        if len(header.places) < header.width:  # which is rare, and why all columns are only read now
            every = ", ".join(f"c{number}" for number in range(header.width))
            empty += (
                f" AND _row IN (SELECT {before} + n FROM (SELECT row_number() OVER () AS n, coalesce({every}) AS held "
                f"FROM {rows}) WHERE held IS NULL)"
            )
        self._tell_of_blank_rows(file, self._count(f"source_raw WHERE {empty}"))
        self.workspace.execute(f"DELETE FROM source_raw WHERE {empty}")

    @property
    def _empty(self) -> str:
        """SQL condition: no column that is read has a value; the first one by itself mostly decides that."""
        names = [quoted(column.name) for column in self.columns] or ["NULL"]
        return f"{names[0]} IS NULL AND coalesce({', '.join(names)}) IS NULL"

    def _count(self, rows: str) -> int:
        return int(self.workspace.query(f"SELECT count(*) FROM {rows}")[0][0])

    def _tell_of_blank_rows(self, file: InputFile, count: int) -> None:
        if count:
            log.info("%s: %d rows without any value were skipped", Path(file.name).name, count, extra={"rows": count})

    def _exact(self, file: InputFile, plain: Path, header: Header, rows: int | None = None) -> None:
        """Read the records one by one, or the first of them; valid ones become clean text, the others become errors."""
        folder, number, blank = self.workspace.folder, last_row(self.workspace), 0
        good, bad = folder / f"source-{self.number}.good", folder / f"source-{self.number}.bad"
        with (
            writing(folder),
            mapped(plain) as text,
            good.open("w", encoding="utf-8", newline="") as goods,
            bad.open("w", encoding="utf-8", newline="") as bads,
        ):
            # All in quotes: with other settings Python 3.11 leaves a carriage return bare.
            write_good = csv.writer(goods, lineterminator="\n", quoting=csv.QUOTE_ALL)
            write_bad = csv.writer(bads, lineterminator="\n", quoting=csv.QUOTE_ALL)
            found = records(text, self.dialect, header.width, header.line_end)
            found = self.workspace.in_time(found if rows is None else first_rows(found, rows))
            for number, record in enumerate(found, start=number + 1):  # noqa: B020
                if isinstance(record, Malformed):
                    place = f"line {header.lines + record.line:,} of {Path(file.name).name}"
                    write_bad.writerow([number, f"{record.message} ({place})"])
                elif any(record):
                    write_good.writerow([number, *(record[place] for place in header.places)])
                else:
                    blank += 1
        self._tell_of_blank_rows(file, blank)
        self._take(
            good, "source_raw", ["_row", *(column.name for column in self.columns)], f"*{self._file_items(file)}"
        )
        self._take(bad, "source_errors", ["_row", "message"], "_row, '', 'Malformed Row', true, message")

    def _take(self, path: Path, table: str, names: Iterable[str], items: str) -> None:
        rows = own_csv(path, names, longest=_LONGEST_LINE)
        self.workspace.execute(f"INSERT INTO {table} SELECT {items} FROM {rows}")
        path.unlink()


def _copied(stored: IO[bytes], copy: IO[bytes], blocks: int | None) -> bool:
    """Copy the first blocks of a file, or all; tells whether that was all of it."""
    while blocks is None or blocks:
        block = stored.read(BLOCK)
        if not block:
            return True
        copy.write(block)
        blocks = None if blocks is None else blocks - 1
    return not stored.read(1)
