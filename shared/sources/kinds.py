"""The kind of a file by its first bytes: the name is not enough, and a wrong reader gives confusing errors."""

from __future__ import annotations

import codecs
import re
from typing import Final

from shared.definitions.models.sources import KINDS
from shared.errors import UserError
from shared.sources.files import InputFile

__all__ = ["kind_of", "refuse_other_kinds", "utf_16_of"]

_LOOKED_AT: Final = 4096  # bytes
_EXPORT: Final = "export it as delimited text"
_UNPACK: Final = "unpack it, or compress it with gzip"


def _or_type(kind: str) -> str:
    """What to do with a file that another kind of source reads."""
    return f"write type: {kind}, or {_EXPORT}" if kind in KINDS else _EXPORT


_KINDS: Final = (  # what it begins with, its name, what to do; marks that a line of text could hold ask for a zero byte
    (rb"\x1f\x8b", "a gzip file", "give it a name that ends in .gz"),
    (rb"\x28\xb5\x2f\xfd", "a zstd file", "give it a name that ends in .zst"),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "a bzip2 file", _UNPACK),
    (rb"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip file", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR file", _UNPACK),
    (rb"PK\x03\x04.*xl/", "an Excel file (xlsx)", _or_type("excel")),
    (rb"PK\x03\x04.*word/", "a Word file (docx)", _EXPORT),
    (rb"PK\x03\x04.*\[Content_Types\]\.xml", "an Office file", _EXPORT),
    (rb"PK\x03\x04.*opendocument\.spreadsheet", "an OpenDocument spreadsheet (ods)", _or_type("excel")),
    (rb"PK\x03\x04.*opendocument", "an OpenDocument file", _EXPORT),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip file", _UNPACK),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel file (xls) or another Office file", _or_type("excel")),
    (rb"PAR1.*\x00", "a Parquet file", _or_type("parquet")),
    (rb"ORC.*\x00", "an ORC file", _EXPORT),
    (rb"Obj\x01.*avro\.schema", "an Avro file", _or_type("avro")),
    (rb"ARROW1\x00", "an Arrow file", _EXPORT),
    (rb"SQLite format 3\x00", "a SQLite database", _EXPORT),
    (rb"%PDF-", "a PDF document", _EXPORT),
)
# UTF-16 and UTF-32 text has a zero byte in each Latin letter, digit and delimiter, always at the same place of several:
# the least share of zero bytes at even and at odd places, and the greatest one.
_WIDE: Final = (
    ("utf-32-le", (0.4, 0.6), (0.9, 1.0)),
    ("utf-32-be", (0.9, 1.0), (0.4, 0.6)),
    ("utf-16-le", (0.0, 0.02), (0.15, 1.0)),
    ("utf-16-be", (0.15, 1.0), (0.0, 0.02)),
)


def refuse_other_kinds(file: InputFile, encoding: str, *, wanted: str = "delimited text", chosen: bool = True) -> bytes:
    """Read a file's first bytes and refuse a file that is not text.

    Args:
        file: The file.
        encoding: The encoding of its text.
        wanted: What it should be, for the message.
        chosen: Whether the definition can choose another encoding.

    Returns:
        These first bytes; none of an empty file.

    Raises:
        UserError: It is something else; the message says what, and what to do.
    """
    with file.content() as stream:
        first = stream.read(_LOOKED_AT)
    if kind := kind_of(first):
        name, what = kind
        raise UserError(f"{file.name} is not {wanted}: by its content it is {name}; {what}")
    found = "utf-8" if first.startswith(codecs.BOM_UTF8) else utf_16_of(first)
    # Any byte is text in most encodings of one byte a character: such a file would be read, and wrongly.
    if found and codecs.lookup(encoding).name not in _readers(found, first):
        remedy = f"set the source's encoding: {found}" if chosen else "save it as UTF-8"
        raise UserError(f"{file.name} is not {encoding}: it looks like {found}; {remedy}")
    return first


def _readers(found: str, first: bytes) -> frozenset[str]:
    """The encodings that read a text of a kind of Unicode as it is; a byte order mark decides between two of them."""
    if found == "utf-8":
        return frozenset({"utf-8", "utf-8-sig"})
    little = first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF16_LE))
    return frozenset({found} if found[-3:] in {"-le", "-be"} else {found, f"{found}-{'le' if little else 'be'}"})


def utf_16_of(first: bytes) -> str:
    """The UTF-16 or UTF-32 that the first bytes of a file are in, by their byte order mark or their zero bytes."""
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if 0 not in first[:4]:
        return ""  # a zero byte further on may be data
    half = len(first) // 2 or 1
    even, odd = first[0::2].count(0) / half, first[1::2].count(0) / half
    return next((name for name, (a, b), (c, d) in _WIDE if a <= even <= b and c <= odd <= d), "")


def kind_of(first: bytes) -> tuple[str, str] | None:
    """The name of a kind by the first bytes of a file, and what to do with such a file; None for text."""
    return next(((name, what) for mark, name, what in _KINDS if re.match(mark, first, re.DOTALL)), None)
