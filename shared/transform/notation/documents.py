"""JSON in text."""

from __future__ import annotations

from typing import Final

from shared.workspace import literal

__all__ = ["json_text"]

_STRING: Final = r'"(\\.|[^"\\])*"'
# What DuckDB's json_valid lets pass and RFC 8259 does not: a comma behind the last value, NaN and infinity.
_LOOSE: Final = r"(?i),\s*[\]}]|nan|inf"


def json_text(text: str) -> str:
    """SQL for a text that is JSON as RFC 8259 has it; NULL where it is not."""
    # Texts in it, which may have these signs, become numbers.
    bare = f"regexp_replace({text}, {literal(_STRING)}, '0', 'g')"
    return f"CASE WHEN json_valid({text}) AND NOT regexp_matches({bare}, {literal(_LOOSE)}) THEN {text} END"
