"""What a new record cannot be given at once: columns that the service takes in an update and not in a create.

`statecode` is one of them in every table. A status of another state than a new record's is refused in a create
(0x80048408), so it goes with its state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.entities import AttributeType
from shared.reconcile.columns import Condition, given, names, payload, updatable
from shared.transform import TargetColumn
from shared.workspace import quoted

__all__ = ["Later"]

# A table with the usual two states makes its records in the first. Others may have a state of their own for that, such
# as a product's draft, which the metadata does not tell.
_USUAL_STATES: Final = frozenset({0, 1})
_INITIAL: Final = 0


class Later:
    """Divides the columns of a new record between two requests.

    Args:
        layout: The target columns.
        id_column: The column of the record's id, which no payload has.
    """

    def __init__(self, layout: Sequence[TargetColumn], id_column: str) -> None:
        settable = updatable(layout, id_column)
        self._state = next((column for column in settable if _is_late_state(column)), None)
        status = next((column for column in settable if column.attribute.type is AttributeType.STATUS), None)
        self._status = status if self._state is not None else None
        self._columns = tuple(c for c in settable if not c.attribute.creatable or c is self._status)

    def first(self, condition: Condition) -> Condition:
        """Narrow a condition to what goes with the first request."""

        def narrowed(column: TargetColumn) -> str:
            if column not in self._columns:
                return condition(column)
            return f"{condition(column)} AND ({self._condition(column)}) IS NOT TRUE"

        return narrowed

    @property
    def payload(self) -> str:
        """SQL for the JSON object of the second request; an empty text where there is none."""
        if not self._columns:
            return "''"
        return f"nullif({payload(self._columns, self._condition)}, '{{}}')"

    @property
    def names(self) -> str:
        """SQL for the names of the second request's columns, joined with commas; NULL where there are none."""
        return f"nullif({names(self._columns, self._condition)}, '')"

    def _condition(self, column: TargetColumn) -> str:
        """SQL condition: the second request has this column."""
        if self._state is not None and column is self._status:
            return f"{given(column)} AND {self._moves(self._state)}"
        return self._moves(column) if column is self._state else given(column)

    @staticmethod
    def _moves(state: TargetColumn) -> str:
        """SQL condition: according to the metadata, a new record does not have this state yet."""
        values = {choice.value for choice in state.attribute.choices}
        if values != _USUAL_STATES:
            return given(state)
        return f"{given(state)} AND desired.{quoted(state.name)} <> {_INITIAL}"


def _is_late_state(column: TargetColumn) -> bool:
    return column.attribute.type is AttributeType.STATE and not column.attribute.creatable
