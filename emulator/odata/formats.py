"""Formatted values of annotations, for a user with English (United States)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from emulator.schema import Column, ColumnType, DateBehavior

__all__ = ["amount_text", "formatter"]

Format = Callable[[Any], str]
_NOON: Final = 12


def formatter(column: Column) -> Format | None:
    """Returns the function that formats a stored value, or None if the service gives none."""
    labels = {option.value: option.label for option in column.options}
    match column.type:
        case ColumnType.PICKLIST | ColumnType.STATE | ColumnType.STATUS:
            return lambda value: labels.get(value, str(value))
        case ColumnType.BOOLEAN:
            return lambda value: labels.get(int(value), "Yes" if value else "No")
        case ColumnType.MULTI_PICKLIST:
            return lambda value: "; ".join(labels.get(int(part), part) for part in str(value).split(","))
        case ColumnType.INTEGER | ColumnType.BIGINT:
            return lambda value: f"{value:,}"
        case ColumnType.DECIMAL | ColumnType.DOUBLE:
            digits = 2 if column.precision is None else column.precision
            return lambda value: f"{value:,.{digits}f}"
        case ColumnType.MONEY:
            digits = 2 if column.precision is None else column.precision
            return lambda value: amount_text(value, "$", digits)
        case ColumnType.DATETIME:
            return _day if column.date_behavior is DateBehavior.DATE_ONLY else _moment
        case _:
            return None


def amount_text(value: float, symbol: str, digits: int) -> str:
    """Returns an amount of money with the symbol of its currency."""
    return f"{symbol}{value:,.{digits}f}"


def _day(value: str) -> str:
    moment = datetime.fromisoformat(value)
    return f"{moment.month}/{moment.day}/{moment.year}"


def _moment(value: str) -> str:
    moment = datetime.fromisoformat(value)
    hour = moment.hour % _NOON or _NOON
    return f"{_day(value)} {hour}:{moment.minute:02d} {'AM' if moment.hour < _NOON else 'PM'}"
