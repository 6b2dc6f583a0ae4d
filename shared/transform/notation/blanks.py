"""Removing blanks around text; texts without blanks need only a check of both ends."""

from __future__ import annotations

from typing import Final

__all__ = ["trimmed", "without_trailing_spaces"]

# What .NET's Trim removes and data has: blanks, tabs, line breaks, no-break space, byte order mark.
_BLANKS: Final = "E' \\t\\r\\n\\x0B\\x0C' || chr(160) || chr(65279)"
_PLAIN_ENDS: Final = "'^[!-~](.*[!-~])?$'"


def trimmed(text: str) -> str:
    """SQL for a text without blanks at its ends; `text` is a column, for it is read several times.

    DuckDB's trim with a set of characters needs four times as long as this check of the ends, and most texts have no
    blanks there.
    """
    return f"CASE WHEN regexp_matches({text}, {_PLAIN_ENDS}) THEN {text} ELSE trim({text}, {_BLANKS}) END"


def without_trailing_spaces(text: str) -> str:
    """SQL for a text without spaces at its end, which SQL Server ignores when it compares."""
    return f"CASE WHEN ends_with({text}, ' ') THEN rtrim({text}, ' ') ELSE {text} END"
