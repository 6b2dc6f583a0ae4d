"""Records of delimited text, told apart one by one: what cannot be read stands alone and costs no other row."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["STAND_IN", "Dialect", "Malformed", "reader_of", "records"]

_MOST_CHARACTERS: Final = 8 << 20  # of one record; beyond that a quote was left open
STAND_IN: Final = "\ufdd0"  # a noncharacter: no text holds it, and the csv module wants one character as delimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How records are written; `quote` is empty when nothing is quoted."""

    delimiter: str = ","
    quote: str = '"'


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be told apart, and what is wrong with it."""

    message: str


class _Lines:
    """Lines with push-back, and a note of those that belong to the record being read."""

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._lines = iter(lines)
        self._waiting: deque[str] = deque()
        self._delimiter = dialect.delimiter if len(dialect.delimiter) > 1 else ""
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.taken and sum(map(len, self.taken)) > _MOST_CHARACTERS:
            raise csv.Error("a quote is not closed")
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        self.taken.append(line)
        return line.replace(self._delimiter, STAND_IN) if self._delimiter else line

    def give_back(self) -> None:
        """Keep the record's first line as read; what follows starts anew."""
        self._waiting.extendleft(reversed(self.taken[1:]))


def records(lines: Iterable[str], dialect: Dialect, width: int) -> Iterator[list[str] | Malformed]:
    """Yield the fields of every record, or why it has none; blank lines are no records.

    A quote that is never closed spoils the line on which it opens and no other one.

    Args:
        lines: Physical lines with their ends.
        dialect: How fields are separated and quoted.
        width: How many fields a record has. More are fine when they are empty, as the fast reader has it too.
    """
    csv.field_size_limit(_MOST_CHARACTERS)
    source, replaced = _Lines(lines, dialect), len(dialect.delimiter) > 1
    while True:
        reader = _reader(source, dialect)
        try:
            for fields in reader:
                restored = [field.replace(STAND_IN, dialect.delimiter) for field in fields] if replaced else fields
                yield from _judged(restored, source.taken, dialect, width)
                source.taken.clear()
        except csv.Error:
            yield _tolerant("".join(source.taken), dialect, width) or _broken(source)
            source.taken.clear()
        else:
            return


def _broken(source: _Lines) -> Malformed:
    source.give_back()
    return Malformed("its quotes do not pair up")


def _reader(source: _Lines, dialect: Dialect) -> Iterator[list[str]]:
    delimiter = dialect.delimiter if len(dialect.delimiter) == 1 else STAND_IN
    return reader_of(source, delimiter=delimiter, quote=dialect.quote, strict=True)


def reader_of(lines: Iterable[str], *, delimiter: str, quote: str, strict: bool) -> Iterator[list[str]]:
    """Return the csv module's reader; no quote character means that nothing is quoted."""
    if not quote:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=strict)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=strict)


def _judged(fields: list[str], taken: list[str], dialect: Dialect, width: int) -> Iterator[list[str] | Malformed]:
    if dialect.quote and any(field.startswith(" ") and field.lstrip(" ").startswith(dialect.quote) for field in fields):
        yield _tolerant("".join(taken), dialect, width) or Malformed("its quotes do not pair up")
        return
    if len(fields) == width:
        yield (
            [field.replace(STAND_IN, dialect.delimiter) for field in fields] if len(dialect.delimiter) > 1 else fields
        )
    elif len(fields) <= 1 and not "".join(fields).strip():
        if width == 1:
            yield [""]
    elif len(fields) > width and not any(fields[width:]):
        yield fields[:width]
    else:
        yield Malformed(f"{len(fields)} fields instead of {width}")


def _tolerant(record: str, dialect: Dialect, width: int) -> list[str] | None:
    """Read a record that has blanks around its quotes, as the fast reader does; None when it is broken."""
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    if not quote:
        return None
    field = re.compile(
        rf" *{quote}(?P<quoted>(?:[^{quote}]|{quote}{quote})*){quote} *(?={delimiter}|$)"
        rf"|(?P<plain>(?:(?!{delimiter}).)*)",
        re.DOTALL,
    )
    text, place, fields = record.rstrip("\r\n"), 0, []
    while (match := field.match(text, place)) is not None:
        plain = match["plain"]
        if plain is not None and plain.lstrip(" ").startswith(dialect.quote):
            return None
        doubled = dialect.quote * 2
        fields.append(plain if plain is not None else match["quoted"].replace(doubled, dialect.quote))
        place = match.end()
        if place >= len(text):
            break
        place += len(dialect.delimiter)
    return fields[:width] if len(fields) >= width and not any(fields[width:]) else None
