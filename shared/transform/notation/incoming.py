"""What a source column gives a target column: numbers with all their digits, what a clock shows, no blanks alone."""

from __future__ import annotations

from typing import Final

from shared.definitions.models.columns import Column, ColumnType
from shared.entities import AttributeType, DateBehavior
from shared.transform.convert import Conversion
from shared.transform.notation.moments import clock_in
from shared.transform.notation.numbers import number_as
from shared.transform.reading import written
from shared.transform.rules import ErrorType, Rule
from shared.transform.shape import Shape
from shared.transform.targets import TargetColumn
from shared.workspace import quoted

__all__ = ["incoming", "only_blanks"]

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


def only_blanks(source: Column, column: TargetColumn, fitted: Conversion, shape: Shape) -> tuple[Rule, ...]:
    """The rule that a required text has more than blanks, where the target column takes blanks for no value."""
    if not source.mandatory or source.type is not ColumnType.TEXT or not fitted.incoming:
        return ()
    reported = [rule for rule in shape.rules.rules if rule.column == source.label]
    known = shape.rules.any_of([*reported, *shape.doubts.get(source.label, ())])
    return (
        Rule(
            column=source.label,
            error=ErrorType.MANDATORY,
            rejects=source.validate_,
            message=f"a value is required, and {column.name} takes blanks for none",
            broken=f"{quoted(f'in:{column.name}')} IS NULL AND NOT {known}",
        ),
    )
