"""The first lines of a file: the positions of the columns, and the line end."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from shared.counted import counted
from shared.definitions.models import DelimitedSource
from shared.errors import UserError
from shared.sources.files import BLOCK, InputFile
from shared.sources.plain import begin_of_last, text_blocks
from shared.sources.records import MOST_BYTES, Broken, Dialect, LineEnd, Record, Scanner
from shared.suggestions import did_you_mean

__all__ = ["Header", "read_header"]

_OTHER_DELIMITERS: Final = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'", "\x01": "U+0001"}
_MOST_COLUMNS: Final = 10_000  # of a file; a table of Dataverse has a tenth of them at most
_LINES_LOOKED_AT: Final = 50  # for the names of the columns, below the first line
_SHOWN: Final = 60  # characters of a line, in messages
_NAMES_SHOWN: Final = 30
_MISSING_SHOWN: Final = 10  # columns that a file lacks, each with the names that it has
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)
_MARKUP: Final = {"<!doctype html": "an HTML page", "<html": "an HTML page", "<?xml": "XML", "{": "JSON", "[": "JSON"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The result of reading the first lines of a file.

    Attributes:
        width: Fields of a record.
        places: The 0-based place of each column that is read.
        lines: Physical lines above the data.
        newline: How lines end.
    """

    width: int
    places: tuple[int, ...]
    lines: int
    newline: str

    @property
    def line_end(self) -> LineEnd:
        """What ends a line of the data."""
        return LineEnd.CARRIAGE_RETURN if self.newline == "\r" else LineEnd.LINE_FEED


@dataclass(frozen=True, slots=True)
class _Row:
    """One of a file's first rows.

    Attributes:
        fields: Its fields; the whole line if it cannot be split.
        line: The number of its first line.
        following: The number of the line behind it.
        newline: How it ends.
        broken: Why it cannot be split into fields; empty for a row that can.
    """

    fields: list[str]
    line: int
    following: int
    newline: str = "\n"
    broken: str = ""


def read_header(file: InputFile, source: DelimitedSource, dialect: Dialect) -> Header | None:
    """Find the columns of a file; None for a file that is empty and need not have a header.

    Raises:
        UserError: The file cannot be read, or has not the columns that the definition names.
    """
    reader = _Reader(file, source, dialect)
    return reader.by_name() if source.header else reader.by_place()


class _Reader:
    def __init__(self, file: InputFile, source: DelimitedSource, dialect: Dialect) -> None:
        self._name = file.name
        self._header = source.header
        self._dialect = dialect
        self._ignored = source.header_rows_to_ignore
        self._columns = [column.name for column in source.columns if column.stored]
        self._data = _beginning(file, source, dialect)
        self._first = next(iter(self._rows(1)), None)

    def by_place(self) -> Header | None:
        """Take columns by their place: a file without a line of names."""
        if self._first is None:
            return None
        first = next((row for row in self._rows(_LINES_LOOKED_AT) if not row.broken), self._first)
        if first.broken:
            raise self._apart(first)
        if len(first.fields) < len(self._columns):
            raise self._other_text(first) or self._too_narrow(
                first, f"the first row has {counted(len(first.fields), 'field')}"
            )
        places = tuple(range(len(self._columns)))
        return Header(width=len(first.fields), places=places, lines=self._ignored, newline=first.newline)

    def by_name(self) -> Header:
        """Take columns by their names."""
        if self._first is None:
            raise UserError(
                f"{self._name} is empty: is the delivery incomplete? A file without rows has its line of column names; "
                f"set header: false if the file has none"
            )
        names = _Names(self._first.fields)
        missing = [name for name in self._columns if not names.places(name)]
        if missing or self._first.broken:
            raise self._unlike(self._first, names, missing)
        if several := [name for name in self._columns if len(names.places(name)) > 1]:
            raise UserError("\n".join(f"{self._name} has several columns {names.alike(name)}" for name in several))
        places = tuple(names.places(name)[0] for name in self._columns)
        if len(set(places)) < len(places):
            raise UserError("\n".join(self._taken_twice(places, names)))
        first = self._first
        return Header(width=len(first.fields), places=places, lines=first.following - 1, newline=first.newline)

    def _rows(self, most: int) -> list[_Row]:
        """The first rows that hold a value."""
        data = self._data
        scanner = _scanner(data, self._dialect)
        found: list[_Row] = []
        offset, line = 0, self._ignored + 1
        while offset < len(data) and len(found) < most:
            record = scanner.record(offset)
            following = line + _lines_in(data[offset : record.end])
            if isinstance(record, Broken):
                found.append(_Row([_first_line(data, offset)], line, following, broken=record.reason))
            elif _holds_a_value(record):
                self._refuse_wide(record, line)
                end = re.search(rb"(\r\n|\r|\n)?\Z", data[max(0, record.end - 2) : record.end])
                newline = end[0].decode() if end and end[0] else "\n"
                found.append(_Row(record.fields, line, following, newline))
            offset, line = record.end, following
        return found

    def _refuse_wide(self, record: Record, line: int) -> None:
        if record.count > _MOST_COLUMNS:
            raise UserError(f"{self._name}: line {line} has {record.count:,} fields; the limit is {_MOST_COLUMNS:,}")

    def _unlike(self, first: _Row, names: _Names, missing: Sequence[str]) -> UserError:
        if other := self._other_text(first) or self._names_below(first):
            return other
        if first.broken:
            return self._apart(first)
        if len(first.fields) == 1 and len(self._columns) > 1:
            return self._too_narrow(first, "the header has one column")
        said = [f"{self._name} has no column {name}; {names.hint(name)}" for name in missing[:_MISSING_SHOWN]]
        if (more := len(missing) - _MISSING_SHOWN) > 0:
            said.append(f"and {more:,} more of the {len(self._columns):,} columns of the definition are not there")
        return UserError("\n".join(said))

    def _names_below(self, first: _Row) -> UserError | None:
        """The names may be below a title, a comment, or the line that defines the delimiter for Excel."""
        text = self._dialect.delimiter.join(first.fields)
        told = _SEPARATOR_LINE.fullmatch(text)
        for row in self._rows(_LINES_LOOKED_AT):
            if row.line == first.line or row.broken:
                continue
            fields = row.fields[0].split(told[1]) if told and len(row.fields) == 1 else row.fields
            names = _Names(fields)
            if all(len(names.places(name)) == 1 for name in self._columns):
                delimiter = "" if fields is row.fields else f" and delimiter: {told[1]!r}" if told else ""
                return UserError(
                    f"{self._name}: the column names are in line {row.line} and not in line {first.line}: "
                    f"{_shown(text)}; set header_rows_to_ignore: {row.line - 1} and header: true{delimiter}"
                )
        return None

    def _apart(self, row: _Row) -> UserError:
        return UserError(f"{self._name}: line {row.line} cannot be split into columns: {row.broken}{self._line(row)}")

    def _line(self, row: _Row) -> str:
        """The beginning of a line that should hold names; one of data is never shown."""
        return f". Line {row.line}: {_shown(self._dialect.delimiter.join(row.fields))}" if self._header else ""

    def _other_text(self, first: _Row) -> UserError | None:
        line = self._dialect.delimiter.join(first.fields)
        begin = line.lstrip().lower()
        kind = next((kind for mark, kind in _MARKUP.items() if begin.startswith(mark)), "")
        if not kind:
            return None
        return UserError(
            f"{self._name} is not delimited text: it looks like {kind}{self._line(first)}. Check the origin of the "
            f"file: it may be a sign-in page or an error page. If the data is further below, set "
            f"header_rows_to_ignore to the number of lines above it"
        )

    def _too_narrow(self, first: _Row, found: str) -> UserError:
        line = self._dialect.delimiter.join(first.fields)
        wanted = f"the definition names {len(self._columns)}"
        better = max(_OTHER_DELIMITERS, key=line.count)
        hint = f" The delimiter is probably {_OTHER_DELIMITERS[better]}" if better in line else ""
        above = "" if hint else " If this line does not belong to the data, include it in header_rows_to_ignore"
        return UserError(
            f"{self._name}: {found} and {wanted}: is the delimiter {self._dialect.delimiter!r} right?{hint}{above}"
            f"{self._line(first)}"
        )

    def _taken_twice(self, places: Sequence[int], names: _Names) -> list[str]:
        return [
            f"{self._name} has one column {_shown(names.names[place])} for several of the definition: "
            f"{', '.join(name for name, other in zip(self._columns, places, strict=True) if other == place)}"
            for place in dict.fromkeys(places)
            if places.count(place) > 1
        ]


class _Names:
    """The names in a header."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.names = [field.strip() for field in fields]

    @functools.cached_property
    def _folded(self) -> list[str]:
        return list(map(_folded, self.names))

    def places(self, name: str) -> list[int]:
        """The position of a column: by its exact name, else without case, blanks and invisible characters."""
        exact = [place for place, other in enumerate(self.names) if other == name]
        return exact or [place for place, other in enumerate(self._folded) if other == _folded(name)]

    def alike(self, name: str) -> str:
        """Describe the columns that a name may mean."""
        found = [self.names[place] for place in self.places(name)]
        if len(set(found)) == 1:
            return f"named {name}; give each one a different name"
        listed = ", ".join(map(_shown, found))
        return f"that {name} may mean: {listed}; write the name in the definition exactly as it is in the file"

    def hint(self, name: str) -> str:
        """What to write instead of a name that is not there."""
        it_has = f"it has {', '.join(map(_shown, self.names[:_NAMES_SHOWN]))}"
        return did_you_mean(name, self.names, shown=_shown) or it_has


def _beginning(file: InputFile, source: DelimitedSource, dialect: Dialect) -> bytes:
    """The first lines of a file's data as UTF-8: at least one row, if it is not longer than a row may be.

    Without column names, the lines below the data are left out: a file may have no other ones.
    """
    data, head, foot = b"", source.header_rows_to_ignore, source.footer_rows_to_ignore
    for most in (BLOCK, MOST_BYTES + BLOCK):
        with closing(text_blocks(file, source.encoding, head=head, foot=foot)) as blocks:
            data = "".join(_first_of(blocks, most)).encode()
        if len(data) < most:
            return data[: begin_of_last(data, foot)] if foot and not source.header else data
        if _has_row(data, dialect):
            break
    return data


def _first_of(blocks: Iterator[str], most: int) -> Iterator[str]:
    taken = 0
    for block in blocks:
        taken += len(block)
        yield block
        if taken >= most:
            break


def _has_row(data: bytes, dialect: Dialect) -> bool:
    scanner, offset = _scanner(data, dialect), 0
    while offset < len(data):
        record = scanner.record(offset)
        if isinstance(record, Broken):
            return False
        if _holds_a_value(record):
            return record.end < len(data)
        offset = record.end
    return False


def _scanner(data: bytes, dialect: Dialect) -> Scanner:
    # One column more than allowed tells that there are too many. Which line end the file has is not known yet.
    return Scanner(data, dialect, _MOST_COLUMNS + 1, LineEnd.ANY)


def _holds_a_value(record: Record) -> bool:
    return any(field.strip() for field in record.fields)


def _lines_in(record: bytes) -> int:
    """How many lines a record has; the last line of a file need not have a line end."""
    return len(re.findall(rb"\r\n|\r|\n", record)) + (not record.endswith((b"\r", b"\n")))


def _first_line(data: bytes, offset: int) -> str:
    return re.split(r"[\r\n]", data[offset : offset + 4 * _SHOWN].decode(errors="ignore"), maxsplit=1)[0]


@functools.cache
def _folded(name: str) -> str:
    seen = "".join(letter for letter in unicodedata.normalize("NFC", name) if unicodedata.category(letter) != "Cf")
    return " ".join(seen.split()).casefold()


def _shown(text: str) -> str:
    """A text for a message: cut, and with code points for invisible characters."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(letter if letter.isprintable() else f"[U+{ord(letter):04X}]" for letter in cut)
