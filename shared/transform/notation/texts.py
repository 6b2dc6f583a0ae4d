"""The text that people see of a value: in text columns of the target, and where its characters are counted."""

from __future__ import annotations

from shared.definitions.models import ColumnType

__all__ = ["text_of"]


def text_of(kind: ColumnType, value: str) -> str:
    """SQL for the text of a value of a source column: numbers without needless zeros, days without a time.

    `value` is the SQL of the value; of a date it is written several times.
    """
    match kind:
        case ColumnType.TEXT | ColumnType.JSON:
            return value
        case ColumnType.BOOL:
            return f"CAST({value} AS VARCHAR)"
        case ColumnType.NUMBER:
            text = f"CAST({value} AS VARCHAR)"
            return f"rtrim(rtrim({text}, '0'), '.')"
        case ColumnType.DATE:
            day, moment = "'%Y-%m-%d'", "'%Y-%m-%dT%H:%M:%SZ'"
            at_midnight = f"{value} = date_trunc('day', {value})"
            return f"CASE WHEN {at_midnight} THEN strftime({value}, {day}) ELSE strftime({value}, {moment}) END"
