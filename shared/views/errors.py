"""The errors of a run: as JSON values, and their first rows as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.state import ErrorRecord

__all__ = ["error_json", "first_rows"]

ROWS_SHOWN = 5


def error_json(error: ErrorRecord) -> dict[str, Any]:
    """A row of the execution errors as JSON values, named as in `run --json`."""
    return {
        "side": error.side,
        "class": error.error_class,
        "type": error.error_type,
        "column": error.column,
        "rows": list(error.rows),
        "count": error.count,
        "message": error.message,
    }


def first_rows(rows: Sequence[int], count: int) -> str:
    """The first row numbers as text, with an ellipsis where there are more: `count` is the number of all rows."""
    return ", ".join(map(str, rows[:ROWS_SHOWN])) + (", …" if count > ROWS_SHOWN else "")
