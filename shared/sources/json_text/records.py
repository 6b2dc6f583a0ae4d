"""The records of a JSON text, one by one: of a list, of lines, or of a document. Numbers keep their digits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import UserError
from shared.json_paths import ABSENT, Finder, NumberText

__all__ = ["BadRecord", "chosen", "json_document", "json_records", "text_of"]

_MOST: Final = 1 << 24  # characters of one record, or of one line
_MOST_OF_DOCUMENT: Final = 1 << 26  # characters of a document that is read as a whole
_BLANK: Final = re.compile(r"[ \t\r\n]*")  # RFC 8259, section 2
_DEEP: Final = "its values are nested too deeply"
_ANEW: Final = "get the file again from its origin"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_float=NumberText, parse_int=NumberText, parse_constant=_no_constant)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """An element that is no record: the reason, and its place."""

    message: str
    place: str


def json_records(
    blocks: Iterator[str], name: str, find: Finder | None, *, remedy: str = _ANEW
) -> Iterator[dict[str, Any] | BadRecord]:
    """Yield the records of a text.

    Args:
        blocks: The text.
        name: The file as messages show it.
        find: Finds the records in a document; None where the text is a list, lines or one record.
        remedy: What to do if the text is not JSON, for the message.

    Raises:
        UserError: The text is not JSON; the message has the line.
    """
    text = _Text(blocks, name, remedy)
    if not text.skip_blank():
        return
    if find is None and text.next == "[":
        yield from _of_list(text)
        return
    first = text.line()
    try:
        value = _DECODER.decode(first)
    except (ValueError, RecursionError):
        yield from chosen(text.document(first), find, "record")
        return
    yield from chosen(value, find, f"line {text.lines:,}")
    while text.skip_blank():
        yield from _of_line(text.line(), find, f"line {text.lines:,}")


def json_document(blocks: Iterator[str], name: str, *, remedy: str = _ANEW) -> Any:
    """The value that a text is as a whole; its numbers are texts with all their digits.

    Args:
        blocks: The text.
        name: The file as messages show it.
        remedy: What to do if the text is not JSON, for the message.

    Raises:
        UserError: The text is not JSON, or too long to be read as a whole.
    """
    return _Text(blocks, name, remedy).document()


def text_of(value: Any) -> str | None:
    """A value as the text of a column: nested values as JSON, no value for null and for what is absent."""
    if value is None or value is ABSENT:
        return None
    return str(value) if isinstance(value, str) else _dumped(value)


def _dumped(value: Any) -> str:
    match value:
        case NumberText():
            return str(value)
        case dict():
            members = (f"{json.dumps(key, ensure_ascii=False)}:{_dumped(each)}" for key, each in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(_dumped, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _of_line(line: str, find: Finder | None, place: str) -> Iterator[dict[str, Any] | BadRecord]:
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        yield BadRecord(f"not JSON: {_said(error)} at character {error.pos + 1:,}", place)
    except ValueError as error:
        yield BadRecord(f"not JSON: {error}", place)
    except RecursionError:
        yield BadRecord(_DEEP, place)
    else:
        yield from chosen(value, find, place)


def chosen(value: Any, find: Finder | None, place: str) -> Iterator[dict[str, Any] | BadRecord]:
    """The records of a value; one that is not an object is reported.

    Args:
        value: A document, or what a line holds.
        find: Finds the records in it; then a list holds several.
        place: Where it is, for messages; `record` for a document.
    """
    if find is not None:
        value = find(value)
        if value is ABSENT:
            yield BadRecord("the path of `records` finds nothing", place)
            return
    many = isinstance(value, list) and find is not None
    for number, each in enumerate(value if many else [value], start=1):
        where = f"{place}, record {number:,}" if many and place != "record" else f"record {number:,}" if many else place
        yield each if isinstance(each, dict) else BadRecord(f"not an object, but {_kind(each)}", where)


def _of_list(text: _Text) -> Iterator[dict[str, Any] | BadRecord]:
    text.take("[")
    number = 0
    while text.skip_blank() and text.next != "]":
        if number:
            text.take(",")
            text.skip_blank()
        number += 1
        value = text.value()
        yield (
            value if isinstance(value, dict) else BadRecord(f"not an object, but {_kind(value)}", f"record {number:,}")
        )
    text.take("]")
    if text.skip_blank():
        raise text.broken("there is more text after the list")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case list():
            return "a list"
        case bool():
            return "true or false"
        case NumberText():
            return "a number"
        case _:
            return "text"


def _said(error: json.JSONDecodeError) -> str:
    return error.msg[:1].lower() + error.msg[1:].removesuffix(" starting at")  # the place follows


class _Text:
    """A text that is read block by block and dropped behind its position."""

    def __init__(self, blocks: Iterator[str], name: str, remedy: str) -> None:
        self._blocks = blocks
        self._name = name
        self._remedy = remedy
        self._text, self._at = "", 0
        self._counted, self._ends = 0, 0  # the place up to which line ends are counted, and how many there are
        self.lines = 0  # the number of the line that was returned last

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        return self._text[self._at : self._at + 1]

    def skip_blank(self) -> bool:
        """Go to the next character that is not blank; whether there is one."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return True
            if not self._fill():
                return False

    def take(self, character: str) -> None:
        """Pass one character, which must be this one."""
        if self.next != character:
            raise self.broken(f"{character} is expected" if self.next else "the text ends within the list")
        self._at += 1

    def line(self) -> str:
        """The rest of the line, and pass it."""
        searched = self._at
        while (end := self._text.find("\n", searched)) < 0:
            searched = len(self._text) - self._at
            if searched > _MOST:
                raise self.broken(f"a line is longer than {_MOST >> 20} million characters")
            if not self._fill():
                end = len(self._text)
                break
            searched += self._at
        self.lines = self._line(self._at)
        line, self._at = self._text[self._at : end], min(end + 1, len(self._text))
        return line

    def value(self) -> Any:
        """The next value of a list, and pass it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise self.broken(_DEEP) from None
            except ValueError as error:
                if len(self._text) - self._at <= _MOST and self._fill():
                    continue
                at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                said = _said(error) if isinstance(error, json.JSONDecodeError) else str(error)
                raise self.broken(said, at) from None
            if end < len(self._text) or not self._fill():  # a number may go on in the next block
                self._at = end
                return value

    def document(self, first: str = "") -> Any:
        """The whole text as one value; `first` is its first line if that was passed."""
        parts, size = [first, "\n", self._text[self._at :]], 0
        for block in self._blocks:
            parts.append(block)
            size += len(block)
            if size > _MOST_OF_DOCUMENT:
                raise self.broken(
                    f"the document is longer than {_MOST_OF_DOCUMENT >> 20} million characters; write its records as a "
                    "list, or one on each line"
                )
        whole, before = "".join(parts), self.lines - 1
        try:
            return _DECODER.decode(whole)
        except json.JSONDecodeError as error:
            raise self._error(_said(error), before + error.lineno) from None
        except ValueError as error:
            raise self._error(str(error), max(self.lines, 1)) from None
        except RecursionError:
            raise self._error(_DEEP, max(self.lines, 1)) from None

    def broken(self, reason: str, at: int | None = None) -> UserError:
        """The error that ends the reading here."""
        return self._error(reason, self._line(self._at if at is None else at))

    def _error(self, reason: str, line: int) -> UserError:
        return UserError(f"{self._name} cannot be read as JSON: {reason} (line {line:,}); {self._remedy}")

    def _line(self, at: int) -> int:
        """The line of a place that is not before the place of an earlier call."""
        self._ends += self._text.count("\n", self._counted, at)
        self._counted = at
        return self._ends + 1

    def _fill(self) -> bool:
        """Add a block and drop what was passed; False at the end."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self._line(self._at)
        self._text, self._at, self._counted = self._text[self._at :] + block, 0, 0
        return True
