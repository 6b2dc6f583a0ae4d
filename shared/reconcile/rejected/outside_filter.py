"""Records that the destination's filter would not let through: no later run would find them, and each would make more.

Only the service knows all that a filter means. So a row is rejected where its own values, and those that its record
keeps, are enough to see that the filter is false, whatever Dataverse fills in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import ChangedWhen, SyncDefinition
from shared.entities import AttributeType
from shared.reconcile.columns import (
    changed_value,
    differs,
    new_value,
    on_insert,
    on_update,
    records,
    records_need,
    updatable,
)
from shared.reconcile.marks import return_parts
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.transform import ErrorType, TargetColumn
from shared.transform.lookups.conditions import Held, condition_columns, possible_sql
from shared.transform.service_values import record_id
from shared.workspace import Step, Table, literal, quoted

__all__ = ["outside_filter_steps"]

_ORIGIN: Final = "destination.filter"
_STATES: Final = frozenset({AttributeType.STATE, AttributeType.STATUS})
_NEW: Final = (
    "the new record would not pass the filter of the destination, so each run would create it again; correct the "
    "value, or widen the filter"
)
_CHANGED: Final = (
    "the record would no longer pass the filter of the destination, so later runs would not find it and would create "
    "another; widen the filter, or set new: ignore"
)


def outside_filter_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject rows whose record would be outside the filter; the steps need `decisions`, `desired`, `current`, errors.

    Where new rows are ignored, none is created again: then a record may leave the filter.
    """
    condition = definition.destination.filter
    if not condition or definition.sync_behaviour.new != "insert":
        return ()
    id_column = definition.destination.id_column
    # What a create does not take, such as a state, is set by a second request.
    made = (*on_insert(layout, id_column), *updatable(layout, id_column))
    new = {column.name: _held(column, *new_value(column)) for column in made}
    changed = {column.name: _held(column, *changed_value(column, id_column)) for column in layout}
    leaves = "Report records that would leave the filter"
    reports = (
        _report(definition, "Report new records outside the filter", PlanAction.INSERT, new, _NEW),
        _report(definition, leaves, PlanAction.UPDATE, changed, _CHANGED),
        _report(definition, leaves, PlanAction.REACTIVATE, _returned(definition, layout), _CHANGED),
    )
    found = [report for report in reports if report]
    return (*found, *reject_steps(ErrorType.OUTSIDE_FILTER, _ORIGIN)) if found else ()


def _returned(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> dict[str, Held]:
    """What a record holds that is reactivated, without the columns of the mark: what these get depends on it."""
    behaviour, id_column = definition.sync_behaviour, definition.destination.id_column
    if behaviour.returned == "ignore":
        return {}
    marks = {part.column.name for part in return_parts(definition, layout)}
    states = {column.name for column in layout if column.attribute.type in _STATES}
    marks |= states if not states.isdisjoint(marks) else set()
    held = {}
    for column in layout:
        value, known = changed_value(column, id_column)
        if behaviour.changed == "ignore":
            value, known = f"target.{quoted(column.name)}", "true"
        elif isinstance(behaviour.changed, ChangedWhen) and on_update([column], id_column):
            known = f"({known}) AND NOT ({differs(column)})"
        if column.name not in marks:
            held[column.name] = _held(column, value, known)
    return held


def _report(
    definition: SyncDefinition, title: str, action: PlanAction, held: dict[str, Held], said: str
) -> Step | None:
    """The step that reports the rows of one action; None where nothing that the filter compares is known."""
    condition = definition.destination.filter or ""
    named = [name for name in condition_columns(condition) if name in held]
    passes = possible_sql(condition, {name: held[name] for name in named}, definition.sync_behaviour.key_match)
    if passes == "true":
        return None
    report = f"""
INSERT INTO source_errors
SELECT decisions._row, {literal(", ".join(named))}, {literal(ErrorType.OUTSIDE_FILTER)}, true, {literal(said)}
FROM decisions
JOIN desired ON desired._row = decisions._row
LEFT JOIN current AS target ON target._id = decisions._id
{records(definition)}
WHERE decisions.action = {literal(action)} AND NOT ({passes})""".strip()
    needs = frozenset({Table.DECISIONS, Table.DESIRED, Table.CURRENT, Table.SOURCE_ERRORS})
    return Step(title, report, _ORIGIN, needs=needs | records_need(definition))


def _held(column: TargetColumn, value: str, known: str) -> Held:
    return Held(column.attribute, record_id(column.attribute, value), known)
