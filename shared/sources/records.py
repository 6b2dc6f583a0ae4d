"""Records of delimited text, read one by one: a record that cannot be read does not affect other rows."""

from __future__ import annotations

import codecs
import csv
import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shared.counted import counted

__all__ = [
    "MOST_BYTES",
    "Broken",
    "Dialect",
    "LineEnd",
    "Malformed",
    "Record",
    "Scanner",
    "first_rows",
    "has_first",
    "records",
    "splits_alike",
]

# Of one record, as UTF-8. A text column of Dataverse holds a million characters at most, which is 4 MB. What is longer
# than several of them is not a row of a table, and keeping it needs several times as much memory.
MOST_BYTES: Final = 16 << 20
_BYTE_ORDER_MARK: Final = codecs.BOM_UTF8
_BLOCK: Final = 1 << 20
_UNPAIRED: Final = "its quotes are not balanced"
_TOO_LONG: Final = f"it is longer than {MOST_BYTES >> 20} MB"

Text = bytes | mmap.mmap


class LineEnd(Enum):
    """What ends a line: the bytes to look for first, and those that end none but look as if they did."""

    LINE_FEED = (rb"\r?\n", b"\r", "there is a carriage return outside quotes that does not end a line")
    CARRIAGE_RETURN = (rb"\r\n?", b"\n", "there is a line feed outside quotes, but lines end with a carriage return")
    ANY = (rb"\r\n|\r|\n", b"", "")

    def __init__(self, pattern: bytes, stray: bytes, complaint: str) -> None:
        self.pattern = re.compile(pattern)
        self.stray = stray
        self.strays = re.compile(b"(?:%b)+(?:%b|\\Z)" % (stray, pattern))
        self.complaint = complaint


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How records are written; `quote` is empty when nothing is quoted."""

    delimiter: str = ","
    quote: str = '"'


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be read: what is wrong with it, and its first line, counted from 1."""

    message: str
    line: int


@dataclass(slots=True)  # not frozen: there is one a row, and it would take four times as long to make
class Record:
    """A record: its first fields, how many it has (empty ones at its end count only up to the width), and its end."""

    fields: list[str]
    count: int
    end: int


@dataclass(frozen=True, slots=True)
class Broken:
    """What is wrong with a record, and where the next one is looked for."""

    reason: str
    end: int


def records(text: Text, dialect: Dialect, width: int, line_end: LineEnd) -> Iterator[list[str] | Malformed]:
    """Yield the fields of every record, or why it has none; blank lines are not records.

    An unclosed quote affects only the line on which it opens.

    Args:
        text: UTF-8, with or without a byte order mark.
        dialect: How fields are separated and quoted.
        width: How many fields a record has. More are fine when they are empty, as the fast reader has it too.
        line_end: What ends a line.
    """
    scanner, lines = Scanner(text, dialect, width, line_end), _Lines(text, line_end)
    offset = _begin(text)
    while offset < len(text):
        found = scanner.record(offset)
        row = found.reason if isinstance(found, Broken) else scanner.row(found)
        if isinstance(row, str):
            yield Malformed(row, lines.at(offset))
        elif row is not None:
            yield row
        offset = found.end


def has_first(text: Text, scanner: Scanner, rows: int) -> bool:
    """Whether the beginning of a text has its first rows, and none of them would be another one in the whole text.

    Args:
        text: Whole lines, as UTF-8, with or without a byte order mark.
        scanner: Of this text.
        rows: How many.
    """
    offset = _begin(text)
    while rows and offset < len(text):
        found = scanner.record(offset)
        if isinstance(found, Broken):
            if len(text) - offset <= MOST_BYTES:  # what follows may close its quotes
                return False
            rows -= 1
        else:
            rows -= any(scanner.row(found) or ())
        offset = found.end
    return not rows


def first_rows(found: Iterator[list[str] | Malformed], rows: int) -> Iterator[list[str] | Malformed]:
    """The first of the records that `records` gives; rows without any value do not count."""
    for record in found:
        yield record
        rows -= isinstance(record, Malformed) or any(record)
        if not rows:
            return


def splits_alike(blocks: Iterable[bytes], dialect: Dialect) -> bool:
    """Whether DuckDB's reader and `records` certainly read the quotes of a text alike.

    DuckDB passes over one blank before a quote, and takes more of them and the quotes as a value. It takes a blank and
    a quote behind a closed quote as more of the value. Where one of these may be in the text, the answer is no.

    Args:
        blocks: The text in parts, as UTF-8, with or without a byte order mark.
        dialect: How fields are separated and quoted; neither sign is a blank.
    """
    pattern, quote = _alike(dialect), dialect.quote.encode()
    before = len(dialect.delimiter.encode()) + 1  # bytes before a quote that tell whether it opens a field
    held, first = b"\n", True  # the first line begins as all others do
    for block in blocks:
        held, first = held + (block.removeprefix(_BYTE_ORDER_MARK) if first else block), False
        held = held[_end_of(pattern, held) :]
        if quote not in held:
            held = held[-before:]
        elif len(held) > MOST_BYTES:
            return False
    held += b"\n"  # the last line need not have a line end
    return quote not in held[_end_of(pattern, held) :]


def _end_of(pattern: re.Pattern[bytes], text: bytes) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _alike(dialect: Dialect) -> re.Pattern[bytes]:
    """Quoted fields that both readers read alike and what stands before them, and single quotes within other fields."""
    quote, delimiter = (re.escape(sign.encode()) for sign in (dialect.quote, dialect.delimiter))
    opens = rb"(?:(?<=%b)|(?<=[\r\n])|(?<=%b )|(?<=[\r\n] ))" % (delimiter, delimiter)
    quoted = rb"%b%b(?:[^%b]++|%b%b)*+%b *+(?=%b|[\r\n])" % (opens, *[quote] * 5, delimiter)
    single = rb"(?<!%b)(?<![\r\n ])%b" % (delimiter, quote)
    return re.compile(b"(?:[^%b]*+(?:%b|%b))*+" % (quote, quoted, single))


def _begin(text: Text) -> int:
    return len(_BYTE_ORDER_MARK) if text[: len(_BYTE_ORDER_MARK)] == _BYTE_ORDER_MARK else 0


class _Lines:
    """Counts lines while a text is read."""

    def __init__(self, text: Text, line_end: LineEnd) -> None:
        self._text = text
        self._end = b"\r" if line_end is LineEnd.CARRIAGE_RETURN else b"\n"
        self._offset, self._line = 0, 1

    def at(self, offset: int) -> int:
        """The line of an offset that is behind the previous one."""
        while self._offset < offset:
            block = self._text[self._offset : min(offset, self._offset + _BLOCK)]
            self._line += block.count(self._end)
            self._offset += len(block)
        return self._line


class _OneLine:
    """One line at a time for the csv module: making a reader for each takes longer than reading."""

    def __init__(self) -> None:
        self.text: str | None = None

    def reader(self, dialect: Dialect) -> Iterator[list[str]]:
        """Return a reader that takes one line for each record, and fails where that is not enough."""
        return csv.reader(self, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.text is None:
            raise StopIteration
        text, self.text = self.text, None
        return text


class Scanner:
    """Finds where a record ends and what its fields are.

    Time is linear in the text, whatever its quotes are like. Where a quote opens and its record is broken only lines
    later, the lines between are read again. Each of them may leave a quote open at its end; but the text behind it is
    the same, and is known to be broken. So it is not searched a second time: see `_known_broken`.
    """

    def __init__(self, text: Text, dialect: Dialect, width: int, line_end: LineEnd) -> None:
        self._text, self._size, self._width, self._line_end = text, len(text), width, line_end
        self._separator, self._delimiter = dialect.delimiter, dialect.delimiter.encode()
        self._quote = dialect.quote.encode()
        self._stop = re.compile(b"|".join([re.escape(self._delimiter), rb"\r\n", rb"\r", rb"\n"]))
        # Blanks around quotes are not part of the field, as in the fast reader.
        self._blanks = re.compile(b"" if b" " in self._delimiter + self._quote else b" *")
        self._one_line = _OneLine()
        self._reader = None if len(dialect.delimiter) > 1 or not dialect.quote else self._one_line.reader(dialect)
        quote, delimiter = re.escape(self._quote), re.escape(self._delimiter)
        # What the csv module reads in another way: blanks around quotes, and line ends that are none here.
        self._unlike_csv = re.compile(rb"[\r\n]|(?:^|%b) +%b|%b +(?:%b|$)" % (delimiter, quote, quote, delimiter))
        self._known_broken = 0  # within quotes at a line end before this offset, a record is broken
        self._line_known = (0, -1)

    def record(self, offset: int) -> Record | Broken:
        """Read the record that begins at an offset."""
        end, following = self._line(offset)
        if end - offset > MOST_BYTES:
            quoted = bool(self._quote) and self._text.find(self._quote, offset, end) >= 0
            return self._quoted(offset) if quoted else Broken(_TOO_LONG, following)
        line = self._text[offset:end]
        if self._quote and self._quote in line:
            return self._within(line, following) or self._quoted(offset)
        text = line.decode()
        if self._line_end.stray and self._line_end.stray in line:
            blank = not text.strip(None if self._width > 1 else "\r\n")
            return Record([""], 1, following) if blank else Broken(self._line_end.complaint, following)
        fields, count = text.split(self._separator, self._width), line.count(self._delimiter) + 1
        if count > self._width and not fields.pop().replace(self._separator, ""):
            count = self._width
        return Record(fields, count, following)

    def row(self, record: Record) -> list[str] | str | None:
        """The fields of a record, or what is wrong with it; None for a blank line, which is no row."""
        if record.count == self._width:
            return record.fields if self._width > 1 or record.fields[0] else None
        if record.count > 1 or record.fields[0].strip():
            return f"{counted(record.count, 'field')} instead of {self._width}"
        return None

    def _within(self, line: bytes, following: int) -> Record | None:
        """Read a record that ends with its line, as nearly all do, by the csv module; None for any other."""
        if self._reader is None or self._unlike_csv.search(line):
            return None
        self._one_line.text = line.decode()
        try:
            fields = next(self._reader)
        except csv.Error:
            return None
        surplus = any(fields[self._width :])
        return Record(fields[: self._width], len(fields) if surplus else min(len(fields), self._width), following)

    def _line(self, offset: int) -> tuple[int, int]:
        """Where the line at an offset ends, without and with its line end."""
        if self._line_end is not LineEnd.LINE_FEED:
            match = self._line_end.pattern.search(self._text, offset)
            return match.span() if match else (self._size, self._size)
        end = self._text.find(b"\n", offset)
        if end < 0:
            return self._size, self._size
        return end - (end > offset and self._text[end - 1] == ord("\r")), end + 1

    def _quoted(self, offset: int) -> Record | Broken:
        spans: list[tuple[int, int, bool]] = []
        count, surplus, at = 0, False, offset
        while True:
            begin = self._matched_blanks(at)
            quoted = self._text[begin : begin + 1] == self._quote
            if quoted:
                begin += 1
                end = self._closing(begin)
                stop = self._matched_blanks(end + 1)
                found = self._stop.match(self._text, stop)
                if end < 0 or (found is None and stop < self._size):
                    return self._broken(offset, self._size if end < 0 else stop, _UNPAIRED)
            else:
                begin = at
                found = self._stop.search(self._text, at)
                end = found.start() if found else self._size
            count += 1
            if count <= self._width:
                spans.append((begin, end, quoted))
            else:
                surplus = surplus or begin < end
            if found is None or found[0] != self._delimiter:
                break
            at = found.end()
        if found and found[0] == self._line_end.stray:
            # If nothing follows on the line, the record also ends there.
            ended = self._line_end.strays.match(self._text, found.start())
            complaint = self._line_end.complaint
            return Broken(complaint, ended.end()) if ended else self._broken(offset, found.start(), complaint)
        following = found.end() if found else self._size
        if following - offset > MOST_BYTES:
            return Broken(_TOO_LONG, following)
        return Record(list(map(self._field, spans)), count if surplus else min(count, self._width), following)

    def _matched_blanks(self, offset: int) -> int:
        match = self._blanks.match(self._text, offset)
        return match.end() if match else offset

    def _field(self, span: tuple[int, int, bool]) -> str:
        begin, end, quoted = span
        value = self._text[begin:end]
        return (value.replace(self._quote * 2, self._quote) if quoted else value).decode()

    def _closing(self, offset: int) -> int:
        """The position of the quote that closes a field, or -1."""
        stop = self._size
        if offset < self._known_broken:
            begin, end = self._line_known
            if not begin <= offset <= end:
                end = self._line(offset)[0]
                self._line_known = (offset, end)
            stop = end if end < self._known_broken else stop
        while (end := self._text.find(self._quote, offset, stop)) >= 0:
            if self._text[end + 1 : end + 2] != self._quote:
                break
            offset = end + 2
        return end

    def _broken(self, offset: int, at: int, reason: str) -> Broken:
        end, following = self._line(offset)
        if at > end:
            self._known_broken = max(self._known_broken, at)
        return Broken(reason, following)
