"""New records that the destination's filter would not let through: no run would read them, and each would make more.

Only the service knows all that a filter means. So a row is rejected where its own values are enough to see that the
filter is false, whatever Dataverse fills in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import SyncDefinition
from shared.reconcile.columns import new_value, on_insert
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.transform import ErrorType, TargetColumn
from shared.transform.lookups.conditions import Held, condition_columns, possible_sql
from shared.transform.service_values import record_id
from shared.workspace import Step, Table, literal

__all__ = ["outside_filter_steps"]

_ORIGIN: Final = "destination.filter"
_SAID: Final = (
    "the new record would not pass the filter of the destination, so each run would create it again; correct the "
    "value, or widen the filter"
)


def outside_filter_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject new records outside the filter; the steps need `decisions`, `desired` and the errors."""
    condition = definition.destination.filter
    if not condition:
        return ()
    columns = {column.name: column for column in on_insert(layout, definition.destination.id_column)}
    named = [name for name in condition_columns(condition) if name in columns]
    passes = possible_sql(condition, {name: _held(columns[name]) for name in named})
    if passes == "true":
        return ()
    report = f"""
INSERT INTO source_errors
SELECT decisions._row, {literal(", ".join(named))}, {literal(ErrorType.OUTSIDE_FILTER)}, true, {literal(_SAID)}
FROM decisions JOIN desired ON desired._row = decisions._row
WHERE decisions.action = {literal(PlanAction.INSERT)} AND NOT ({passes})""".strip()
    needs = frozenset({Table.DECISIONS, Table.DESIRED, Table.SOURCE_ERRORS})
    return (
        Step("Report new records outside the filter", report, _ORIGIN, needs=needs),
        *reject_steps(ErrorType.OUTSIDE_FILTER, _ORIGIN),
    )


def _held(column: TargetColumn) -> Held:
    value, known = new_value(column)
    return Held(column.attribute, record_id(column.attribute, value), known)
