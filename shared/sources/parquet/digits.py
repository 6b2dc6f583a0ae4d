"""Long numbers in JSON with all their digits: the JSON functions of DuckDB take decimals through a double."""

from __future__ import annotations

from typing import Final

from shared.workspace import literal

__all__ = ["marked", "unmarked"]

_MARK: Final = "\ufdd0"  # no text has it: the code point is for use within programs (Unicode, "Noncharacters")
# A double keeps 15 digits for certain.
_LONG: Final = "[0-9][0-9.]{15,}"
_EXPONENT: Final = "(?:[eE][0-9+-]+)?"
_SHORT: Final = rf"-?[0-9][0-9.]{{0,14}}{_EXPONENT}[,\]}}\s]|-[A-Z]"
# To the next long number, or to the end. A text is passed as a whole, with the numbers in it.
_NEXT: Final = literal(rf'((?:"(?:[^"\\]|\\.)*"|[^"0-9-]|{_SHORT})*)(-?{_LONG}{_EXPONENT}|$)')
_MARKED: Final = literal(rf'\1"{_MARK}\2"')
_BEHIND: Final = literal(f'"{_MARK}"')
_NUMBERS: Final = literal(f'"{_MARK}([0-9.eE+-]+)"|{_MARK}([0-9.eE+-]+)')
_PLAIN: Final = literal(r"\1\2")


def marked(document: str) -> str:
    """SQL of a JSON text in which long numbers are texts with a mark. `document` is SQL of a JSON text or value."""
    # The last match is at the end, and has no number. It has a blank before it, so it is never left out.
    numbers = f"replace(regexp_replace(d || ' ', {_NEXT}, {_MARKED}, 'g'), {_BEHIND}, '')"
    long = f"CASE WHEN regexp_matches(d, {literal(_LONG)}) THEN {numbers} ELSE d END"
    return f"list_transform([CAST({document} AS VARCHAR)], lambda d: {long})[1]"


def unmarked(text: str) -> str:
    """SQL of what a JSON function has found in a marked text, with the numbers as they were written."""
    return f"regexp_replace({text}, {_NUMBERS}, {_PLAIN}, 'g')"
