"""Values of a source that are errors: the mark that such a value has as a text, and what people are told.

Each mark is one character that Unicode keeps free of any meaning, so no text has it (Unicode, "Noncharacters").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.workspace import literal

__all__ = ["FAULTS", "FAULT_SHOWN", "NOT_JSON", "NO_RESULT", "OTHER_FAULT", "fault_message", "fault_named", "is_fault"]

FAULT_SHOWN: Final = "#ERROR!"
"""What people see of such a value in a row."""
# Of Excel (ECMA-376 part 1, 18.17.3 "Error values"; Microsoft, "ERROR.TYPE function"), then of LibreOffice Calc.
_ERRORS: Final = (
    *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CONNECT!"),
    *("#BLOCKED!", "#UNKNOWN!", "#FIELD!", "#CALC!", "#BUSY!", "#PYTHON!"),
    *("Err:502", "Err:504", "Err:508", "Err:509", "Err:511", "Err:512", "Err:522", "Err:523"),
)
_FIRST: Final = 0xFDD0  # of 32 characters
NO_RESULT: Final = chr(_FIRST)
"""The mark of a formula whose result is not in the file."""
OTHER_FAULT: Final = chr(_FIRST + 1)
"""The mark of an error without a name here."""
NOT_JSON: Final = chr(_FIRST + 31)
"""The mark of a text in which a path looks for a value, and which is not JSON."""
_NAMED: Final = {name: chr(_FIRST + 2 + place) for place, name in enumerate(_ERRORS)}
_NAMES: Final = {mark: name for name, mark in _NAMED.items()}
FAULTS: Final = frozenset({NO_RESULT, OTHER_FAULT, NOT_JSON, *_NAMES})
"""Every mark."""


def fault_named(name: str) -> str:
    """The mark of an error by what the cell shows, such as `#N/A`."""
    return _NAMED.get(name.strip().upper().replace("ERR:", "Err:"), OTHER_FAULT)


def fault_message(mark: str) -> str:
    """What people are told about a value."""
    if mark == NOT_JSON:
        return "the text that the path of the column looks into is not JSON; correct it at its origin"
    if mark == NO_RESULT:
        return "the cell has a formula without a stored result; open the workbook in Excel and save it"
    name = f" {_NAMES[mark]}" if mark in _NAMES else ""
    return f"the cell has the spreadsheet error{name}; correct it in the workbook"


def is_fault(text: str, marks: Iterable[str] = FAULTS) -> str:
    """SQL condition: a text is one of the marks."""
    return f"({text} IN ({', '.join(map(literal, sorted(marks)))}))"
