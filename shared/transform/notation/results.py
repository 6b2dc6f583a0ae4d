"""Results of expressions as values of a source column."""

from __future__ import annotations

import re

from shared.definitions.models import ColumnType
from shared.errors import Problem
from shared.transform.notation.fractions import cut_moment
from shared.transform.notation.numbers import NUMBER
from shared.workspace import Trial

__all__ = ["as_type", "result_problem"]

# The product of two number columns; each further factor takes ten more of the 38 digits.
_MOST_SCALE = 20
# DuckDB has such casts fail on every row and not before.
_UNFIT = {
    ColumnType.NUMBER: ("DATE", "TIME"),
    ColumnType.BOOL: ("DATE", "TIME"),
    ColumnType.DATE: ("BOOLEAN", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER", "BIGINT", "HUGEINT"),
}


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


def result_problem(trial: Trial, kind: ColumnType, sql: str, origin: str) -> Problem | None:
    """Return why an expression cannot run, or never gives a value of the type; None if it can.

    Args:
        trial: Has the columns that it reads.
        kind: What it has to result in.
        sql: The expression, checked.
        origin: Its path in the definition.
    """
    problem = trial.problem(sql, origin)
    if problem is None and (message := _type_problem(trial.type_of(sql), kind)):
        return Problem(message=message, path=origin)
    return problem or trial.problem(as_type(kind, sql), origin)


def _type_problem(found: str, kind: ColumnType) -> str:
    if found.startswith(_UNFIT.get(kind, ())):
        return f"the result is of type {found}, but a {kind} is expected here"
    scale = re.fullmatch(r"DECIMAL\(38,(\d+)\)", found)
    if scale and int(scale[1]) > _MOST_SCALE:
        return (
            f"the product of these exact numbers has only {38 - int(scale[1])} digits before the decimal point: "
            f"write CAST(… AS DOUBLE) around one factor"
        )
    return ""
