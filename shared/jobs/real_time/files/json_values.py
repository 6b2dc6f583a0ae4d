"""A file of events: JSON values one after the other, one a line or over many lines, or an array of them.

A line that is a JSON value is an event as it stands, and one that is none is an event that cannot be decoded: the lines
of NDJSON do not depend on each other. A value that does not end with its line goes on in the next ones. Where that is
an array, each of its items is an event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Final

from shared.errors import UserError
from shared.events import Message

__all__ = ["messages_in"]

# The largest message that an event hub takes, in its dedicated tier; and what one event may take of memory.
LARGEST: Final = 20 * 1024 * 1024
# No event is nested as deeply, and an endless row of brackets must not fill the memory.
_DEEPEST: Final = 1_000
_MARK: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")

_TOKEN: Final = re.compile(
    rb"""[ \t\r\n]*(?:
    (?P<sign>[{}\[\],:])
    |(?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")
    |(?P<word>(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity)(?![\w.+-]))
    )""",
    re.VERBOSE,
)
_BLANK: Final = re.compile(rb"[ \t\r\n]*")


class _May(Enum):
    """What may come next in JSON."""

    VALUE = "a value"
    ITEM_OR_END = "a value or ]"
    NAME = "a name"
    NAME_OR_END = "a name or }"
    COLON = "a colon"
    MORE_OR_END = "a comma or the end"


@dataclass(frozen=True, slots=True)
class _Found:
    """An event of the file, and the line that it begins in."""

    body: bytes
    line: int


class _Broken(Exception):  # noqa: N818 - never leaves this module
    """A sign that cannot stand where it stands."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


def messages_in(
    content: BinaryIO, *, name: str, stream: str, largest: int = LARGEST, is_array: bool = False
) -> Iterator[Message]:
    """The events of a file as messages, read as far as they are asked for.

    Args:
        content: The file.
        name: What the file is called in errors.
        stream: Names this feeding of the file: given again under another name, the events are new ones.
        largest: Most bytes of one event, and of one line.
        is_array: Whether the items of an array that the file begins with are its events also if it is in one line.

    Raises:
        UserError: From some line on the file cannot be read as events; those before it were given. What became of them
            is for the caller to say.
    """
    for number, found in enumerate(_Events(content, name, largest, is_array)):
        yield Message(body=found.body, partition=stream, sequence=number, offset=f"line {found.line}")


@dataclass(slots=True)
class _Events:
    """Reads a file line by line."""

    content: BinaryIO
    name: str
    largest: int
    is_array: bool = False
    line: int = 0
    _value: _Value | None = None  # what goes on in the next line

    def __iter__(self) -> Iterator[_Found]:
        while line := self.content.readline(self.largest + 1):
            self.line += 1
            if len(line) > self.largest:
                raise self._error(
                    self.line, f"the line is longer than {self.largest:,} bytes; put one event into a line"
                )
            if self.line == 1:
                line = self._without_mark(line)
            yield from self._within(line) if self._value else self._fresh(line)
        if self._value:
            yield from self._ended(self._value)

    def _without_mark(self, line: bytes) -> bytes:
        if line.startswith(_UTF_16):
            raise self._error(1, "this is UTF-16; write it as UTF-8")
        return line.removeprefix(_MARK)

    def _fresh(self, line: bytes) -> Iterator[_Found]:
        """The events of a line that begins with one."""
        body = line.strip()
        if not body:
            return
        is_array, self.is_array = self.is_array and body.startswith(b"["), False
        if is_array:
            yield from self._array(line)
            return
        if _is_value(body):
            yield _Found(body, self.line)
            return
        value = _Value(self.line)
        try:
            found = list(value.add(line, self.line))
        except _Broken:
            yield _Found(body, self.line)
            return
        yield from found
        self._value = value if value.is_open else None

    def _array(self, line: bytes) -> Iterator[_Found]:
        """The events of a line that begins with an array of them."""
        value = _Value(self.line)
        try:
            yield from value.add(line, self.line)
        except _Broken as broken:
            raise self._broken_off(value, broken) from None
        self._value = value if value.is_open else None

    def _within(self, line: bytes) -> Iterator[_Found]:
        """The events of a line in the middle of a value."""
        assert self._value is not None  # noqa: S101 - asked for only then
        value = self._value
        try:
            yield from value.add(line, self.line)
        except _Broken as broken:
            if not value.list and line[:1] in (b"{", b"["):  # NDJSON whose writer broke off in a line before this one
                yield _Found(value.body, value.line)
                self._value = None
                yield from self._fresh(line)
                return
            raise self._broken_off(value, broken) from None
        if value.size > self.largest:
            raise self._error(value.line, f"the event that begins here is larger than {self.largest:,} bytes")
        self._value = value if value.is_open else None

    def _broken_off(self, value: _Value, broken: _Broken) -> UserError:
        problem = f"here the JSON that begins in line {value.line} breaks off"
        return self._error(self.line, problem, column=broken.at + 1)

    def _ended(self, value: _Value) -> Iterator[_Found]:
        """What the end of the file leaves open: an event that cannot be decoded, or an array without its end."""
        if value.body.strip():
            yield _Found(value.body, value.line)
        if value.list:
            raise self._error(self.line, f"here it ends within the array that begins in line {value.list}")

    def _error(self, line: int, problem: str, *, column: int = 0) -> UserError:
        return UserError(f"{self.name}:{line}{f':{column}' if column else ''}: {problem}")


def _is_value(body: bytes) -> bool:
    """Whether a line is one JSON value, or so odd that only the decoder of events can say what is wrong with it."""
    try:
        json.loads(body.decode())
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return True


class _Value:
    """JSON values over several lines: tells the events apart as their lines come.

    Attributes:
        line: The line that the event under way begins in.
        list: The line that the array begins in whose items are the events; 0 where there is none.
        size: Bytes of the event under way.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        self.list = 0
        self.size = 0
        self._parts: list[bytes] = []
        self._open: list[bytes] = []  # the brackets around
        self._may = _May.VALUE

    @property
    def body(self) -> bytes:
        """What there is of the event under way."""
        return b"".join(self._parts).rstrip()

    @property
    def is_open(self) -> bool:
        """Whether the next line belongs to the value."""
        return bool(self._open)

    def add(self, line: bytes, number: int) -> Iterator[_Found]:
        """Read one more line; yields the events that end in it.

        Raises:
            _Broken: It is not JSON from some place on.
        """
        begin: int | None = 0 if self._parts else None
        at = _BLANK.match(line).end()  # type: ignore[union-attr]  # it matches nothing too
        while at < len(line):
            token = _TOKEN.match(line, at)
            if token is None or len(self._open) > _DEEPEST:
                raise _Broken(at)
            first, kind = token.start(token.lastgroup or 0), token[token.lastgroup or 0]
            if not self._open and kind == b"[":
                self.list = number
            elif begin is None and self._may in (_May.VALUE, _May.ITEM_OR_END) and kind != b"]":
                begin, self.line = first, number
            if not self._step(token.lastgroup or "", kind):
                raise _Broken(first)
            if begin is not None and self._may is _May.MORE_OR_END and len(self._open) == bool(self.list):
                self._parts.append(line[begin : token.end()])
                yield _Found(self._taken(), self.line)
                begin = None
            if not self._open:
                self._may, self.list = _May.VALUE, 0
            at = _BLANK.match(line, token.end()).end()  # type: ignore[union-attr]  # likewise
        if begin is not None:
            self._parts.append(line[begin:])
            self.size += len(line) - begin

    def _taken(self) -> bytes:
        body, self._parts, self.size = self.body, [], 0
        return body

    def _step(self, group: str, token: bytes) -> bool:
        """Go on by one token; False where it may not stand here."""
        may = self._may
        if may in (_May.NAME, _May.NAME_OR_END) and group == "text":
            self._may = _May.COLON
        elif may is _May.COLON and token == b":":
            self._may = _May.VALUE
        elif may in (_May.VALUE, _May.ITEM_OR_END) and group != "sign":
            self._may = _May.MORE_OR_END
        elif may in (_May.VALUE, _May.ITEM_OR_END) and token in (b"{", b"["):
            self._open.append(token)
            self._may = _May.NAME_OR_END if token == b"{" else _May.ITEM_OR_END
        elif may is _May.MORE_OR_END and token == b",":
            self._may = _May.NAME if self._open[-1] == b"{" else _May.VALUE
        else:
            return self._close(token)
        return True

    def _close(self, token: bytes) -> bool:
        ends = self._may in (_May.MORE_OR_END, _May.NAME_OR_END, _May.ITEM_OR_END)
        if not ends or token not in (b"}", b"]") or not self._open or (self._open[-1] == b"{") != (token == b"}"):
            return False
        self._open.pop()
        self._may = _May.MORE_OR_END
        return True
