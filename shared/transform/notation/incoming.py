"""What a source column gives a target column: numbers with all their digits, and what a clock shows."""

from __future__ import annotations

from typing import Final

from shared.definitions.models.columns import Column, ColumnType
from shared.entities import AttributeType, DateBehavior
from shared.transform.notation.moments import clock_in
from shared.transform.notation.numbers import number_as
from shared.transform.reading import written
from shared.transform.targets import TargetColumn
from shared.workspace import quoted

__all__ = ["incoming"]

# Such columns hold a day, or what a clock shows, and no moment: the service does not convert them for anyone.
_WITHOUT_ZONE: Final = frozenset({DateBehavior.DATE_ONLY, DateBehavior.TIME_ZONE_INDEPENDENT})
_FRACTIONS: Final = frozenset({AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE})


def incoming(source: Column, column: TargetColumn) -> str:
    """SQL of what a source column gives a target column."""
    value = quoted(source.label)
    if source.read and source.type is ColumnType.NUMBER and column.attribute.type in _FRACTIONS:
        # Rounded once: a number column keeps ten digits, and 0.00499999999999 would become 0.01 by way of them.
        return number_as(written(source), value, column.sql_type)
    if source.time_zone is not None and column.attribute.date_behavior in _WITHOUT_ZONE:
        return clock_in(value, source.time_zone)
    return value
