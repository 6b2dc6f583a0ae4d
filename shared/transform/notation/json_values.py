"""JSON numbers and booleans in the notation of a column: JSON has a notation of its own.

Otherwise the number 1.125 would be a thousand in a column whose thousands separator is a point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.definitions.models import Column, ColumnType
from shared.definitions.models.notation import DECIMAL_SEPARATOR, FALSE_WORDS, TRUE_WORDS

__all__ = ["notated"]


def notated(column: Column, find: Callable[[Any], Any], number: Callable[[Any], str | None]) -> Callable[[Any], Any]:
    """Find a value of a record, and write a number or a boolean as the texts of the column are written.

    Args:
        column: The column.
        find: Gives the value of a record.
        number: Gives the text of a JSON number, such as `1.125`; None for any other value.
    """
    if column.type is ColumnType.NUMBER and column.decimal_separator not in {None, DECIMAL_SEPARATOR}:
        separator = column.decimal_separator or DECIMAL_SEPARATOR
        return lambda record: _with_separator(find(record), number, separator)
    if column.type is ColumnType.BOOL and (column.true_values or column.false_values):
        true, false = (column.true_values or TRUE_WORDS)[0], (column.false_values or FALSE_WORDS)[0]
        return lambda record: _with_word(find(record), true, false)
    return find


def _with_separator(value: Any, number: Callable[[Any], str | None], separator: str) -> Any:
    text = number(value)
    return value if text is None else text.replace(DECIMAL_SEPARATOR, separator)


def _with_word(value: Any, true: str, false: str) -> Any:
    return (true if value else false) if isinstance(value, bool) else value
