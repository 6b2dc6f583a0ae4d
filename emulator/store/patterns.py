"""Wildcards: the patterns of SQL Server's LIKE as patterns of SQLite's GLOB.

``contains``, ``startswith`` and ``endswith`` support ``%``, ``_``, ``[set]`` and ``[^set]`` (wildcard-characters page).
GLOB has the same sets and compares exactly, which is correct for text in normal form. `wildcard_match` evaluates
patterns with ``*`` in the middle: for these, GLOB takes years with several stars and a text of a few hundred letters.
"""

import re
from functools import lru_cache
from typing import Final

__all__ = ["LONGEST_PATTERN", "glob_pattern", "is_simple", "wildcard_match"]

LONGEST_PATTERN: Final = 4000  # SQL Server's LIKE takes patterns of 8,000 bytes
_PIECE: Final = re.compile(r"\[\^?[^\]]*\]|.", re.DOTALL)
_PLACES: Final = {"contains": ("*", "*"), "startswith": ("", "*"), "endswith": ("*", ""), "like": ("", "")}


def glob_pattern(function: str, text: str) -> str | None:
    """Return the GLOB pattern for one of the text functions.

    Args:
        function: ``contains``, ``startswith`` or ``endswith``; ``like`` of FetchXML, whose text is the whole pattern.
        text: The argument of the function, folded by the collation.

    Returns:
        The pattern, or None if it cannot match any text: a bracket is not closed, or is empty.
    """
    before, after = _PLACES[function]
    pieces: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char != "[":
            pieces.append(_plain(char))
            position += 1
            continue
        end = text.find("]", position + 1)
        inside = text[position + 1 : end]
        if end < 0 or inside in {"", "^"}:
            return None
        pieces.append(f"[{inside}]")
        position = end + 1
    return f"{before}{''.join(pieces)}{after}"


def _plain(char: str) -> str:
    match char:
        case "%":
            return "*"
        case "_":
            return "?"
        case "*" | "?":
            return f"[{char}]"
        case _:
            return char


def is_simple(pattern: str) -> bool:
    """Whether a GLOB pattern has stars only at its ends, so that SQLite's GLOB is fast."""
    return "*" not in pattern[1:-1].replace("[*]", "")


def wildcard_match(text: str | None, pattern: str) -> bool | None:
    """Whether a text matches a GLOB pattern; the time is at most proportional to the product of their lengths."""
    if text is None:
        return None
    first, *rest = _segments(pattern)
    begun = first[0].match(text)
    if begun is None:
        return False
    if not rest:
        return begun.end() == len(text)
    position = begun.end()
    for segment, _ in rest[:-1]:
        found = segment.search(text, position)
        if found is None:
            return False
        position = found.end()
    last, length = rest[-1]
    start = len(text) - length
    return start >= position and last.match(text, start) is not None


@lru_cache(maxsize=256)
def _segments(pattern: str) -> tuple[tuple[re.Pattern[str], int], ...]:
    """The pieces between the stars as regular expressions, each with the number of characters it matches."""
    pieces: list[list[str]] = [[]]
    for piece in _PIECE.findall(pattern):
        if piece == "*":
            pieces.append([])
        else:
            pieces[-1].append(_one(piece))
    return tuple((re.compile("".join(piece), re.DOTALL), len(piece)) for piece in pieces)


def _one(piece: str) -> str:
    """The regular expression for one character of the text."""
    if piece == "?":
        return "."
    return _set(piece[1:-1]) if len(piece) > 1 else re.escape(piece)


def _set(inside: str) -> str:
    negated = inside.startswith("^")
    inside = inside[negated:]
    members: list[str] = []
    position = 0
    while position < len(inside):
        span = inside[position : position + 3]
        if len(span) == 3 and span[1] == "-":  # noqa: PLR2004 - first, dash, last
            if span[0] <= span[2]:
                members.append(f"{re.escape(span[0])}-{re.escape(span[2])}")
            position += 3
        else:
            members.append(re.escape(span[0]))
            position += 1
    if not members:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(members)}]"
