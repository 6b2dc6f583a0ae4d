"""The line numbers of the rows of a delimited source: for messages about rows with errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.definitions.models import DelimitedSource
from shared.sources.files import BLOCK, InputFile
from shared.sources.header import Header, read_header
from shared.sources.plain import text_blocks
from shared.sources.records import MOST_BYTES, Broken, Dialect, LineEnd, Record, Scanner
from shared.workspace import Row, Workspace, quoted

__all__ = ["LoadedFile", "RowLine", "row_lines"]

MOST_READ_AGAIN: Final = 64 << 20
"""Bytes of a remote file's text: what is behind them would have to be sent a second time, only for line numbers."""
# At least one record, whatever its quotes are like.
_MOST_HELD: Final = MOST_BYTES + 2 * BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLine:
    """Where a row begins.

    Attributes:
        file: The file's name without folders.
        line: Its line, counted from 1.
    """

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """A file that was loaded.

    Attributes:
        before: The number of the last row before its first one.
        last: The number of its last row.
    """

    file: InputFile
    before: int
    last: int


def row_lines(file: LoadedFile, source: DelimitedSource, workspace: Workspace) -> Iterator[tuple[int, RowLine]]:
    """Yield row and line for the rows of a file that have errors, in their order.

    The file is read once more, block by block, up to the last of these rows. A row whose record on that line has not
    the values that were loaded is left out; so are rows far behind in a remote file.

    Args:
        file: What was loaded.
        source: Its definition.
        workspace: Has `source_raw` and `source_errors`.

    Raises:
        UserError: The file cannot be read, or has been changed.
    """
    rows = workspace.rows(_wanted(file, source))
    first = next(rows, None)
    if first is None:
        return
    file.file.check_unchanged()
    dialect = Dialect(delimiter=source.delimiter, quote=source.text_qualifier)
    header = read_header(file.file, source, dialect)
    if header is None:
        return
    with closing(text_blocks(file.file, source.encoding, head=header.lines)) as blocks:
        walk = _Walk(_bytes(blocks, file.file, workspace), dialect, header, file.before)
        row: Row | None = first
        while row is not None and walk.forward_to(row[0]):
            if _is_loaded(walk.fields, header, row):
                yield row[0], RowLine(file=Path(file.file.name).name, line=header.lines + walk.line)
            row = next(rows, None)


def _wanted(file: LoadedFile, source: DelimitedSource) -> str:
    """SQL for (row, whether it was loaded, its values…) of the rows with errors."""
    values = "".join(f", nullif(raw.{quoted(column.name)}, '')" for column in source.columns if column.stored)
    return (
        f"SELECT wrong._row, raw._row IS NOT NULL{values} "
        f"FROM (SELECT DISTINCT _row FROM source_errors WHERE _row > {file.before} AND _row <= {file.last}) AS wrong "
        f"LEFT JOIN source_raw AS raw ON raw._row = wrong._row ORDER BY wrong._row"
    )


def _is_loaded(fields: list[str] | None, header: Header, row: Row) -> bool:
    """Whether a record is the row that was loaded; a malformed one was not."""
    _, loaded, *values = row
    if fields is None or not loaded:
        return fields is None and not loaded
    return [fields[place] or None for place in header.places] == values


def _bytes(blocks: Iterator[str], file: InputFile, workspace: Workspace) -> Iterator[bytes]:
    """The text as UTF-8, as far as it is read again."""
    left = MOST_READ_AGAIN
    for block in blocks:
        workspace.check_time()
        yield block.encode("utf-8", "surrogatepass")
        left -= len(block)
        if file.system is not None and left <= 0:
            return


def _plain_lines(dialect: Dialect) -> re.Pattern[bytes]:
    """Lines that are records of one line each: every quote opens or closes a field, and no line is blank.

    A line is certainly not blank if it has a printable character of ASCII that is no quote. What is not matched need
    not be of another kind: it is read record by record.
    """
    quote, delimiter = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    fields = rb"[^%b\n]*+" % quote
    if quote and len(dialect.delimiter.encode()) == 1:
        field = rb"(?: *+%b(?:[^%b\n]++|%b%b)*+%b *+|[^%b%b\n]*+)" % (*[quote] * 6, delimiter)
        fields = rb"%b(?:%b%b)*+" % (field, delimiter, field)
    not_blank = rb"(?=(?:[^!-~\n]|%b)*+[!-~])" % quote if quote else rb"(?=[^!-~\n]*+[!-~])"
    return re.compile(rb"(?:%b%b\r?\n)*+" % (not_blank, fields))


class _Walk:
    """Goes forward over the records of a text, of which it holds a part.

    Lines that are certainly records of one line each are passed over without reading them.

    Attributes:
        line: The first line of the record that was found, counted from 1.
        fields: Its fields; None for a malformed one.
    """

    def __init__(self, blocks: Iterator[bytes], dialect: Dialect, header: Header, before: int) -> None:
        self.line = 1
        self.fields: list[str] | None = None
        self._blocks, self._ended = blocks, False
        self._dialect, self._header = dialect, header
        self._plain = _plain_lines(dialect)
        self._end = b"\r" if header.line_end is LineEnd.CARRIAGE_RETURN else b"\n"
        self._number, self._next_line = before, 1
        self._held, self._offset = b"", 0
        self._plain_end, self._plain_lines = 0, 0  # lines from the offset on that are known to be plain
        self._scanner = self._scanned()

    def forward_to(self, number: int) -> bool:
        """Go to the record with a number that is behind the last one; False where the text ends before it."""
        while self._number < number:
            if self._end == b"\n":
                self._pass_over(number - self._number - 1)
            if not self._take():
                return False
        return True

    def _pass_over(self, most: int) -> None:
        """Pass over at most so many records that are plain lines."""
        while most > 0:
            if self._offset >= self._plain_end and not self._found_plain_lines():
                if self._held.find(self._end, self._offset) >= 0 or not self._read_on():
                    return  # at another line, or at the end
                continue
            count = min(most, self._plain_lines)
            self._offset = self._plain_end if count == self._plain_lines else self._after_lines(count)
            self._plain_lines -= count
            self._number, self._next_line, most = self._number + count, self._next_line + count, most - count

    def _found_plain_lines(self) -> int:
        """Look how many lines from here on are plain."""
        match = self._plain.match(self._held, self._offset)
        self._plain_end = match.end() if match else self._offset
        self._plain_lines = self._held.count(self._end, self._offset, self._plain_end)
        return self._plain_lines

    def _after_lines(self, count: int) -> int:
        place = self._offset
        for _ in range(count):
            place = self._held.find(self._end, place) + 1
        return place

    def _take(self) -> bool:
        """Read the next record; False where there is none."""
        while self._offset < len(self._held) or self._read_on():
            found = self._scanner.record(self._offset)
            # What is not held may complete the record, or close its quotes.
            if not self._ended and (isinstance(found, Broken) or found.end >= len(self._held)) and self._read_on():
                continue
            begin, line = self._offset, self._next_line
            self._offset, self._plain_lines = found.end, self._plain_lines - 1
            self._next_line += self._held.count(self._end, begin, found.end)
            if self._is_record(found):
                self._number, self.line = self._number + 1, line
                return True
        return False

    def _is_record(self, found: Record | Broken) -> bool:
        """Keep the fields of a record; False for a blank line."""
        width = self._header.width
        whole = not isinstance(found, Broken) and found.count == width
        self.fields = found.fields if whole and not isinstance(found, Broken) else None
        if isinstance(found, Broken) or found.count > 1:
            return True
        return bool(found.fields[0] if whole else found.fields[0].strip())

    def _read_on(self) -> bool:
        """Hold more of the text, and no longer what is behind; False at its end, or behind what no record has."""
        block = next(self._blocks, None) if len(self._held) - self._offset < _MOST_HELD else None
        if block is None:
            self._ended = True
            return False
        self._held, self._offset = self._held[self._offset :] + block, 0
        self._plain_end, self._plain_lines = 0, 0
        self._scanner = self._scanned()
        return True

    def _scanned(self) -> Scanner:
        return Scanner(self._held, self._dialect, self._header.width, self._header.line_end)
