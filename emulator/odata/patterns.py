"""Wildcards: the patterns of SQL Server's LIKE, written as SQLite's GLOB.

``contains``, ``startswith`` and ``endswith`` honour ``%``, ``_``, ``[set]`` and ``[^set]`` (wildcard-characters page).
GLOB knows the same sets and compares exactly, which is what is wanted of text the collation has already folded.
"""

from typing import Final

__all__ = ["glob_pattern"]

_PLACES: Final = {"contains": ("*", "*"), "startswith": ("", "*"), "endswith": ("*", "")}


def glob_pattern(function: str, text: str) -> str | None:
    """Return the GLOB pattern for one of the three text functions.

    Args:
        function: ``contains``, ``startswith`` or ``endswith``.
        text: The function's argument, folded by the collation.

    Returns:
        The pattern, or None where nothing can match: a bracket is never closed, or holds nothing.
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
