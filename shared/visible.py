"""Texts from outside made safe to look at: on a terminal, in a line of JSON, in a spreadsheet.

Rows, service messages, file names and names of definitions are written by others. A terminal obeys some characters in
them, a spreadsheet computes cells that look like formulas, and both show what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = [
    "ABOUT_VALUES",
    "MOST_OF_A_VALUE",
    "for_spreadsheet",
    "for_terminal",
    "in_field",
    "in_html",
    "in_json",
    "with_value",
]

# Control characters of both sets but tab and line feed; line separators; what turns the direction of a text around or
# hides it; halves of surrogate pairs, which represent bytes that are not text and cannot be written.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_TURNS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Tags with their attributes, fields of text, and single characters that turn the direction around.
_SENT_OR_TURNS: Final = re.compile("<textarea\\b.*?</textarea>|<[^>]*>|[\u202a-\u202e\u2066-\u2069]", re.DOTALL)
_UNREFERRED: Final = re.compile("[\0\x7f-\x9f\ud800-\udfff]")  # those of them to which HTML has no references
_SHOWN: Final = "\N{REPLACEMENT CHARACTER}"
# What spreadsheets take for the start of a formula, also in full width and after white space that they skip.
_FORMULA: Final = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Messages about a value do not have it, because they are kept: where it is asked for, it is put between the two groups.
# Python and RE2 read these patterns alike. The place of a cell may come first: `B17 of Sheet1 of customers.xlsx: `.
ABOUT_VALUES: Final = (
    (r"^([A-Z]+[0-9]+ of .+: )?((?:not |longer than |a time that )[\s\S]*)$", " is "),
    (r"^([\s\S]*; the value is )(?:a (?:text|number) of [0-9]+ characters|an e-mail address|an id)([\s\S]*)$", ""),
)
"""(Pattern with two groups, what stands behind the value): how the value of a field becomes a part of the message."""
MOST_OF_A_VALUE: Final = 40
"""Characters of a value in a message: enough to find it in the row."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")


def for_terminal(text: str) -> str:
    """The text with one sign in place of each character that a terminal would obey; tabs and line feeds stay."""
    return _OBEYED.sub(_SHOWN, text)


def with_value(message: str, rows: Sequence[int], examples: Iterable[Mapping[str, Any]]) -> str:
    """The message about rows with the value of the first one; unchanged where that is not known.

    Args:
        message: Of a kind of error.
        rows: The numbers of the first rows that have it.
        examples: What is known of some of them; `value` only if values were asked for.
    """
    value = next((each.get("value") for each in examples if each["row"] in rows[:1]), None)
    if value is None:
        return message
    cut = value if len(value) <= MOST_OF_A_VALUE else f"{value[: MOST_OF_A_VALUE - 1]}…"
    for pattern, verb in ABOUT_VALUES:
        if found := re.match(pattern, message):
            return f"{found[1] or ''}'{cut}'{verb}{found[2]}"
    return message


def in_json(line: str) -> str:
    """A JSON document with those characters escaped, so that its values are the same."""
    return _OBEYED.sub(_escaped, line)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def in_html(page: str) -> str:
    """A page with those characters as references, so that browsers send the same texts.

    In what is only shown, characters that turn the direction around become one sign each: a browser would obey them,
    and show another text. HTML has no references to NUL, to halves of surrogate pairs and to the second set of control
    characters: they become one sign each.
    https://html.spec.whatwg.org/multipage/parsing.html#numeric-character-reference-end-state
    """
    if _TURNS.search(page):
        page = _SENT_OR_TURNS.sub(lambda found: _SHOWN if _TURNS.fullmatch(found[0]) else found[0], page)
    return _OBEYED.sub(_referred, page)


def _referred(found: re.Match[str]) -> str:
    return _SHOWN if _UNREFERRED.fullmatch(found[0]) else f"&#x{ord(found[0]):x};"


def in_field(text: str) -> str:
    """The text of a field as a browser has it after `in_html`: with one sign for what HTML has no references to."""
    return _UNREFERRED.sub(_SHOWN, text)


def for_spreadsheet(text: str) -> str:
    """A cell that is text and no formula: one that begins like a formula begins with an apostrophe; numbers stay."""
    clean = for_terminal(text)
    return f"'{clean}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else clean
