"""The text of a file: decoded block by block, and written to the workspace as UTF-8."""

from __future__ import annotations

import codecs
import mmap
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import AnyStr, Final

from shared.errors import UserError
from shared.sources.files import BLOCK, InputFile
from shared.sources.kinds import utf_16_of
from shared.sources.records import LineEnd
from shared.workspace import literal, writing

__all__ = [
    "Layout",
    "LineSurvey",
    "begin_of_last",
    "cut_last",
    "mapped",
    "more_blocks",
    "own_csv",
    "survey_lines",
    "text_blocks",
    "write_plain",
]

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_USUAL: Final = ("utf-8", "windows-1252", "iso-8859-1")
_MOST_BLOCKS: Final = 256  # of the first rows of a file: a hundred rows as long as possible have more
_WITHOUT_MARK: Final = frozenset({"utf-8-sig", "utf-16", "utf-32"})  # their decoders take the byte order mark away
_LINE_END_BYTES: Final = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What of a file is not data: its encoding, and lines above and below."""

    encoding: str = "utf-8"
    head: int = 0
    foot: int = 0


def text_blocks(
    file: InputFile, encoding: str, *, head: int = 0, foot: int = 0, chosen: bool = True
) -> Generator[str, None, None]:
    """Yield a file's text, decompressed, line ends kept as they are, without the lines above the data.

    Args:
        file: The file.
        encoding: Of its text.
        head: How many lines are above the data.
        foot: How many lines are below the data; they are part of the text.
        chosen: Whether the definition can choose another encoding.

    Raises:
        UserError: It cannot be read, or is not in this encoding; the message says where. Or it is empty or ends within
            the lines above the data, although it has such lines: then it is not whole.
    """
    blocks = _decoded(file, encoding, chosen=chosen)
    if head:
        return _without_first(blocks, head, file.name)
    return _not_empty(blocks, file.name) if foot else blocks


def write_plain(file: InputFile, layout: Layout, target: Path, *, blocks: int | None = None) -> bool:
    """Write a file's data lines to a local UTF-8 file with a byte order mark, streaming.

    Args:
        file: The file.
        layout: What of it is not data.
        target: The local file.
        blocks: Only the lines that are whole in so many blocks of the file; None for all.

    Returns:
        Whether these are all lines.

    Raises:
        UserError: See `text_blocks`; or the workspace's folder has no room for it.
    """
    # With a byte order mark: readers drop one, and the data may begin with that character itself.
    with (
        writing(target.parent),
        closing(text_blocks(file, layout.encoding, head=layout.head, foot=layout.foot)) as found,
        target.open("w", encoding="utf-8-sig", newline="") as out,
    ):
        out.writelines(islice(found, blocks))
        whole = blocks is None or next(found, None) is None
    if cut := layout.foot + (not whole):  # the last line of a part may go on
        cut_last(target, cut)
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSurvey:
    """What the bytes of a file say about its lines.

    Attributes:
        lines: How many lines it has, with one at the end that is not ended.
        strays: Whether it has line breaks that end no line, within quotes or not; DuckDB takes some of them for line
            ends. What follows them was not looked at.
        quotes: Whether the quote occurs in it.
        spaced: Whether blanks stand before a quote in a way that DuckDB may read otherwise than `records`.
    """

    lines: int
    strays: bool
    quotes: bool
    spaced: bool = False


def survey_lines(file: InputFile, line_end: LineEnd, quote: str) -> LineSurvey:
    """Look at the lines of a file in a text that has ASCII as it is.

    When there are no strays the file was read to its end, so that a checksum of its compression was compared.

    Args:
        file: The file.
        line_end: What ends its lines.
        quote: The character around values; empty where there is none.

    Raises:
        UserError: It cannot be read, or it is damaged.
    """
    mark, ended = quote.encode(), b"\n" if line_end is LineEnd.LINE_FEED else b"\r"
    lines, quotes, last = 0, False, ended
    spaced, seam = False, b""  # the end of a block, for blanks that go on in the next one
    held = b""  # a carriage return that ends a block: the next one may begin with its line feed
    with file.content() as stream:
        while block := stream.read(BLOCK):
            lines, last = lines + block.count(ended), block[-1:]
            quotes = quotes or (bool(mark) and mark in block)
            spaced = spaced or (quotes and _has_spaced(seam + block, mark))
            block, held, seam = held + block, block[-1:] if block.endswith(b"\r") else b"", block[-len(mark) - 2 :]
            whole = block[: len(block) - len(held)]
            if line_end.stray in whole and whole.count(line_end.stray) > whole.count(b"\r\n"):
                return LineSurvey(lines=lines, strays=True, quotes=quotes)
    return LineSurvey(lines=lines + (last != ended), strays=held == line_end.stray, quotes=quotes, spaced=spaced)


def _has_spaced(text: bytes, quote: bytes) -> bool:
    """Whether two blanks stand before a quote, or one between two quotes."""
    return b"  " + quote in text or quote + b" " + quote in text


def own_csv(path: Path, names: Iterable[str], *, longest: int) -> str:
    """SQL that reads a CSV file that a source has written to the workspace, with a quote doubled in quotes.

    Args:
        path: The file; its lines end with a line feed, and it has no header.
        names: Its columns in their order: `_row` is a number, all others are texts.
        longest: Bytes of a line at most.
    """
    fields = ", ".join(f"{literal(name)}: {literal('BIGINT' if name == '_row' else 'VARCHAR')}" for name in names)
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, columns = {{{fields}}}, "
        f"delim = ',', quote = '\"', escape = '\"', new_line = '\\n', max_line_size = {longest})"
    )


@contextmanager
def mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Open a file of the workspace as bytes that are not all in memory; others may truncate theirs meanwhile."""
    with path.open("rb") as stream:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _decoded(file: InputFile, encoding: str, *, chosen: bool) -> Generator[str, None, None]:
    decoder = codecs.getincrementaldecoder(_marked(encoding))()
    mark = "" if _marked(encoding) in _WITHOUT_MARK else "\ufeff"
    with file.content() as stream:
        try:
            while block := stream.read(BLOCK):
                text = decoder.decode(block)
                yield text.removeprefix(mark)
                mark = "" if text else mark
            yield decoder.decode(b"", final=True).removeprefix(mark)
        except UnicodeError as error:
            raise _undecodable(file, encoding, chosen=chosen) from error


def _without_first(blocks: Iterator[str], count: int, name: str) -> Generator[str, None, None]:
    held = ""  # a carriage return that ends a block: the next one may begin with its line feed
    empty, begun = True, False  # whether there was no text, and whether there is some behind the last line end
    for part in blocks:
        if not count:
            yield part
            continue
        block, held, place = held + part, "", 0
        empty = empty and not block
        if block.endswith("\r"):
            block, held = block[:-1], "\r"
        while count and (match := _LINE_END.search(block, place)):
            count, place, begun = count - 1, match.end(), False
        begun = begun or place < len(block) or bool(held)
        if not count:
            yield block[place:] + held
    if count > begun:  # the last line need not have a line end
        raise _incomplete(name, "is empty" if empty else "ends within its header lines")


def _not_empty(blocks: Iterator[str], name: str) -> Generator[str, None, None]:
    empty = True
    for part in blocks:
        empty = empty and not part
        yield part
    if empty:
        raise _incomplete(name, "is empty")


def _incomplete(name: str, said: str) -> UserError:
    return UserError(
        f"{name} {said}: is the delivery incomplete? A file without rows has the lines that header_rows_to_ignore and "
        f"footer_rows_to_ignore count"
    )


def more_blocks(blocks: int, file: InputFile) -> int:
    """How many blocks of a file are read next, where so many do not have its first rows.

    Raises:
        UserError: These are too many for a few rows.
    """
    if blocks >= _MOST_BLOCKS:
        raise UserError(
            f"{file.name}: its first rows have more than {_MOST_BLOCKS * BLOCK >> 20} MB; look at fewer rows, and "
            "check that lines and quotes end where they should"
        )
    return blocks * 4


def cut_last(path: Path, count: int) -> None:
    """Take the last lines from a file."""
    with mapped(path) as content:
        begin = begin_of_last(content, count)
    with writing(path.parent), path.open("r+b") as stream:
        stream.truncate(begin)


def begin_of_last(content: bytes | mmap.mmap, count: int) -> int:
    """The offset at which the last lines of a text begin; 0 where it has no more lines than these."""
    begins = deque([0], maxlen=count)
    for match in _LINE_END_BYTES.finditer(content):
        if match.end() < len(content):
            begins.append(match.end())
    return begins[0]


def _marked(encoding: str) -> str:
    """UTF-8 with or without a byte order mark reads alike."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding


def _undecodable(file: InputFile, encoding: str, *, chosen: bool) -> UserError:
    """Find the place where a file leaves its encoding: byte offset and line, both in what is decompressed."""
    decoder = codecs.getincrementaldecoder(_marked(encoding))()
    offset, lines, first, accents = 0, 1, b"", False
    with file.content() as stream:
        while block := stream.read(BLOCK):
            first = first or block
            kept = decoder.getstate()[0]
            try:
                text = decoder.decode(block)
            except UnicodeError as error:
                # UTF-16 without its mark is an error without a place: it is the first byte's.
                start = error.start if isinstance(error, UnicodeDecodeError) else 0
                valid = (kept + block)[:start]
                lines += _lines_of(valid, b"\n", b"\r")
                accents = accents or not valid.removeprefix(codecs.BOM_UTF8).isascii()
                offset += start - len(kept)
                break
            lines += _lines_of(text, "\n", "\r")
            accents = accents or not text.isascii()
            offset += len(block)
    return UserError(
        f"{file.name} is not {encoding}: the byte at offset {offset:,} (line {lines:,}) is not valid there; "
        f"{_remedy(encoding, first, accents=accents) if chosen else 'save it as UTF-8'}"
    )


def _remedy(encoding: str, first: bytes, *, accents: bool) -> str:
    """What to do with a file that is not in its encoding.

    Args:
        encoding: That of the definition.
        first: The first bytes of the file.
        accents: Whether there are characters before the bad byte that are not ASCII.
    """
    if utf_16_of(first):  # other encodings were refused before
        return "the file is damaged or ends too early: get it again from its origin"
    if _marked(encoding) == "utf-8-sig" and accents:  # text of another encoding is not UTF-8 from its first accent on
        return (
            "letters above it are valid, and another encoding would read them wrongly: correct the file at its origin; "
            "parts of it may come from programs with different encodings"
        )
    usual = (*_USUAL, "utf-16-le" if encoding == "utf-16" else "utf-16")
    others = [name for name in usual if codecs.lookup(name).name != encoding]
    return f"set the source's encoding, for example to {', '.join(others[:-1])} or {others[-1]}"


def _lines_of(text: AnyStr, line_feed: AnyStr, carriage_return: AnyStr) -> int:
    return max(text.count(line_feed), text.count(carriage_return))
