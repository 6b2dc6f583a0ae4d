"""What browsers make of the text of a field, and the text without that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shared.visible import in_field

__all__ = ["carried", "has_lines", "kept_ends", "restored", "with_line_feeds"]

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def has_lines(text: str) -> bool:
    """Whether a text has a line break of some kind."""
    return "\n" in text or "\r" in text


def carried(text: str, *, one_line: bool = False) -> str:
    r"""The text that a browser sends for a field that was not edited.

    HTML reads every line break as `\n` ("Preprocessing the input stream"). A field of one line has no line breaks
    ("value sanitization algorithm"). `in_html` of `shared.visible` has one sign for characters that a page cannot have.

    Args:
        text: The text that the page puts into the field.
        one_line: Whether it is a field of one line.
    """
    text = in_field(with_line_feeds(text))
    return text.replace("\n", "") if one_line else text


def with_line_feeds(text: str) -> str:
    r"""The text with `\n` as each line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def restored(before: str, text: str) -> str:
    """A text that was sent, in which each line that was not edited is as it was.

    Args:
        before: The text that the page has put into the field.
        text: What came back.
    """
    if carried(before) == before:
        return text
    old, new = _LINE.findall(before), _LINE.findall(text)
    start, end = kept_ends([carried(line) for line in old], new)
    line_break = "\r\n" if "\r\n" in before else "\r" if "\r" in before else "\n"
    edited = [line.replace("\n", line_break) for line in new[start : len(new) - end]]
    return "".join([*old[:start], *edited, *old[len(old) - end :]])


def kept_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines at the beginning and at the end are the same; none counts twice."""
    least = min(len(old), len(new))
    start = next((at for at in range(least) if old[at] != new[at]), least)
    end = next((at for at in range(least - start) if old[-1 - at] != new[-1 - at]), least - start)
    return start, end
