"""Rows that refer to a new record whose row was rejected for what was decided about it: the reference finds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import SyncDefinition, WritePolicy
from shared.reconcile.columns import differs, on_update, records, records_need
from shared.reconcile.links.lost import cleared, forget, lost_rows
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.transform import ErrorType, TargetColumn
from shared.transform.lookups.conditions import condition_columns
from shared.workspace import NewTable, Step, Table, literal

__all__ = ["passed_on_steps"]

_ORIGIN: Final = "destination.mappings"
_LOST: Final = f"SELECT parent FROM {Table.LEFT_BEHIND}"
_EMPTIED: Final = frozenset({WritePolicy.ALWAYS, WritePolicy.UNLESS_EDITED})  # columns that an update may empty
_REPORTED: Final = frozenset({Table.LEFT_BEHIND, Table.SOURCE_ERRORS})


def passed_on_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject rows with a lookup that needs a rejected record, and clear or keep the other lookups that refer to it.

    The steps need `parents`, `decisions`, `desired`, `current` and the errors; they make `left_behind`, the references
    to records of rejected rows. A row whose lookup the filter of the destination names is rejected too, unless it has a
    record that keeps its reference: without the reference the record may not pass the filter.
    """
    late = [column for column in layout if column.late]
    if not late:
        return ()
    references = frozenset({Table.DESIRED, Table.LEFT_BEHIND, Table.PARENTS})
    return (
        Step.creating(
            "Note references to records of rejected rows",
            NewTable(name=Table.LEFT_BEHIND, query=_left_behind(definition, late)),
            _ORIGIN,
            needs=frozenset({Table.DESIRED, Table.PARENTS, Table.DECISIONS}),
        ),
        Step("Report references to records of rejected rows", _REPORT, _ORIGIN, needs=_REPORTED),
        *reject_steps(ErrorType.UNRESOLVED_LINK, _ORIGIN),
        *(Step("Clear references to rejected rows", cleared(c.name, _LOST), _ORIGIN, needs=references) for c in late),
        Step("Forget references of and to rejected rows", forget(_LOST), _ORIGIN, needs=references),
        Step(
            "Write no record for a reference that is left as it is",
            _unchanged(definition, layout),
            _ORIGIN,
            needs=frozenset({Table.DESIRED, Table.LEFT_BEHIND, Table.DECISIONS, Table.CURRENT})
            | records_need(definition),
        ),
    )


def _left_behind(definition: SyncDefinition, late: Sequence[TargetColumn]) -> str:
    rejects = f"(rejects OR {_may_leave_filter(definition, late)})"
    rejected = "SELECT parent FROM parents WHERE parent NOT IN (SELECT _row FROM desired)"
    return f"""
{lost_rows(rejected, rejects)}
SELECT parents._row, parent, name, {rejects} AS rejects, keeps
FROM parents JOIN lost ON lost._row = parent WHERE parents._row IN (SELECT _row FROM desired)""".strip()


def _may_leave_filter(definition: SyncDefinition, late: Sequence[TargetColumn]) -> str:
    """SQL condition over `parents`: without the reference the record of the row may not pass the filter."""
    filtered = condition_columns(definition.destination.filter) if definition.destination.filter else ()
    needed = [column for column in late if column.name in filtered]
    if not needed:
        return "false"
    emptied = [column for column in on_update(needed, definition.destination.id_column) if column.write in _EMPTIED]
    keeps = f"(keeps OR name NOT IN ({_names(emptied)}))" if emptied else "true"
    existing = f"parents._row IN (SELECT _row FROM {Table.DECISIONS} WHERE _id IS NOT NULL)"
    return f"(name IN ({_names(needed)}) AND NOT ({existing} AND {keeps}))"


def _names(columns: Sequence[TargetColumn]) -> str:
    return ", ".join(literal(column.name) for column in columns)


_REPORT: Final = f"""
INSERT INTO source_errors
SELECT _row, name, {literal(ErrorType.UNRESOLVED_LINK)}, rejects, concat('the row of the new record that it refers to ',
  'is rejected', CASE WHEN rejects THEN '' WHEN keeps THEN concat('; ', name, ' keeps its value')
    ELSE concat('; ', name, ' is cleared') END)
FROM left_behind""".strip()


def _unchanged(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    compared = on_update(layout, definition.destination.id_column)
    different = " OR ".join(map(differs, compared)) or "false"
    return f"""
UPDATE decisions SET action = {literal(PlanAction.UNCHANGED)}
WHERE action = {literal(PlanAction.UPDATE)} AND _row IN (
  SELECT desired._row
  FROM decisions JOIN desired ON desired._row = decisions._row
  JOIN current AS target ON target._id = decisions._id
  {records(definition)}
  WHERE desired._row IN (SELECT _row FROM left_behind) AND NOT ({different}))""".strip()
