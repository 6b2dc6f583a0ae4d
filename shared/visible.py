"""Texts from outside made safe to look at: on a terminal, in a line of JSON, in a spreadsheet.

Rows, service messages, file names and names of definitions are written by others. A terminal obeys some characters in
them, a spreadsheet computes cells that look like formulas, and both show what is not there.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["for_spreadsheet", "for_terminal", "in_json"]

# Control characters of both sets but tab and line feed; line separators; what turns the direction of a text around or
# hides it; halves of surrogate pairs, which represent bytes that are not text and cannot be written.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHOWN: Final = "\N{REPLACEMENT CHARACTER}"
# What spreadsheets take for the start of a formula, also in full width and after white space that they skip.
_FORMULA: Final = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")


def for_terminal(text: str) -> str:
    """The text with one sign in place of each character that a terminal would obey; tabs and line feeds stay."""
    return _OBEYED.sub(_SHOWN, text)


def in_json(line: str) -> str:
    """A JSON document with those characters escaped, so that its values are the same."""
    return _OBEYED.sub(_escaped, line)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def for_spreadsheet(text: str) -> str:
    """A cell that is text and no formula: one that begins like a formula begins with an apostrophe; numbers stay."""
    clean = for_terminal(text)
    return f"'{clean}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else clean
