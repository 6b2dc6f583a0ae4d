"""Results of expressions as values of a source column."""

from __future__ import annotations

from shared.definitions.models import ColumnType
from shared.transform.notation.fractions import cut_moment
from shared.transform.notation.numbers import NUMBER

__all__ = ["as_type"]


def as_type(kind: ColumnType, value: str, cast: str = "CAST") -> str:
    """SQL for the result of an expression as a value of a source column; the result is written several times for dates.

    Args:
        kind: The column's type.
        value: SQL of the result, of any type.
        cast: `CAST` fails where the result is no such value, and `TRY_CAST` gives NULL; a text is made of any result.
    """
    match kind:
        case ColumnType.TEXT | ColumnType.JSON:
            return f"CAST({value} AS VARCHAR)"
        case ColumnType.NUMBER:
            return f"{cast}({value} AS {NUMBER})"
        case ColumnType.BOOL:
            return f"{cast}({value} AS BOOLEAN)"
        case ColumnType.DATE:
            return cut_moment(value, f"CAST({cast}({value} AS TIMESTAMPTZ) AS TIMESTAMP)")
