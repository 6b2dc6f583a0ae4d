"""Dropped records that stay, because Dataverse would delete records with them that are to stay.

A relationship of a table with itself may cascade deletes: Dataverse then deletes a record together with all records
below it (Microsoft: "Configure table relationship cascading behavior"). A record that has a row, or whose row is in
error, must not go with its parent. So the parent is kept as long as such a record is below it. Only the references
that the sync reads count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from shared.definitions.models import Strategy, SyncDefinition, WritePolicy
from shared.reconcile.columns import differs, given, on_update, records
from shared.reconcile.outcomes import Result
from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn
from shared.transform.service_values import record_id
from shared.workspace import NewTable, Purpose, Step, Table, literal, quoted

__all__ = ["NOT_AS_PLANNED", "cascading", "keep_parents", "keep_parents_of_refused"]

_ORIGIN: Final = "sync_behaviour.dropped"
_DELETE: Final = literal(PlanAction.DELETE)
_UPDATE: Final = literal(PlanAction.UPDATE)
_KEPT: Final = f"action = {_DELETE} AND _id IN (SELECT _id FROM {Table.KEPT_PARENTS})"
_MESSAGE: Final = (
    "records that this run does not delete are below this one, and Dataverse would delete them with it; give them "
    "another parent or delete them, or correct their rows, to drop it"
)
_MADE: Final = f"""decisions._row IN (
    SELECT _row FROM changes JOIN outcomes USING (_change)
    WHERE action = {_UPDATE} AND result = {literal(Result.APPLIED)})"""
NOT_AS_PLANNED: Final = f"""
SELECT 1 WHERE EXISTS (SELECT 1 FROM outcomes WHERE result <> {literal(Result.APPLIED)})
  AND EXISTS (SELECT 1 FROM changes WHERE action = {_DELETE})""".strip()
"""SQL that gives a row if records are to be deleted, and a change before that was not made as it was planned."""


def cascading(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[TargetColumn, ...]:
    """The columns through which the delete of a dropped record deletes others; none where nothing is deleted."""
    behaviour = definition.sync_behaviour
    deletes = behaviour.strategy is Strategy.FULL and behaviour.dropped == "delete"
    return tuple(column for column in layout if column.cascades) if deletes else ()


def keep_parents(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Return the steps that plan no delete of a record below which others stay; none where no delete cascades.

    They need `decisions`, `desired`, `current`, `set_aside` and `target_errors`. They make `kept_parents`, and report
    each record that is kept; its decision becomes `ignored`.
    """
    return _steps(definition, layout, lambda moves: f"decisions.action = {_UPDATE} AND {moves}")


def keep_parents_of_refused(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Return the steps that do the same before the deletes are sent, when all other changes have their outcomes.

    An update that was not made has left its record below the old parent, and an adopted record is not deleted any more.
    The steps need `changes` and `outcomes` as well; they remove the deletes of kept records from `changes`.
    """
    steps = _steps(definition, layout, lambda moves: f"{_MADE} AND {moves}")
    unplan = Step(
        "Delete no record below which others stay",
        f"DELETE FROM changes WHERE {_KEPT}",
        _ORIGIN,
        needs=frozenset({Table.CHANGES, Table.KEPT_PARENTS}),
    )
    return (*steps, unplan) if steps else ()


def _steps(definition: SyncDefinition, layout: Sequence[TargetColumn], moved: Callable[[str], str]) -> tuple[Step, ...]:
    """The steps of both; `moved` makes the condition that a record got its new parent of one that it is to get it."""
    columns = cascading(definition, layout)
    if not columns:
        return ()
    report = f"""
INSERT INTO target_errors
SELECT target._seq, kept.name, 'Dropped Record Kept', false, {literal(_MESSAGE)}, target._id
FROM {Table.KEPT_PARENTS} AS kept JOIN current AS target USING (_id)""".strip()
    keep = f"UPDATE decisions SET action = {literal(PlanAction.IGNORED)} WHERE {_KEPT}"
    kept, purpose = frozenset({Table.KEPT_PARENTS}), Purpose.KEPT_PARENTS
    needs = frozenset({Table.DECISIONS, Table.DESIRED, Table.CURRENT, Table.SET_ASIDE})
    ledger = frozenset({Table.LEDGER} if any(map(_looks_at_ledger, columns)) else ())
    return (
        Step.creating(
            "Note the dropped records below which others stay",
            NewTable(name=Table.KEPT_PARENTS, query=_kept(definition, columns, moved)),
            _ORIGIN,
            needs=needs | ledger,
            purpose=purpose,
        ),
        Step(
            "Report what is not dropped for the records below it",
            report,
            _ORIGIN,
            needs=kept | {Table.CURRENT, Table.TARGET_ERRORS},
            purpose=purpose,
        ),
        Step("Drop no record below which others stay", keep, _ORIGIN, needs=kept | {Table.DECISIONS}, purpose=purpose),
    )


def _kept(definition: SyncDefinition, columns: Sequence[TargetColumn], moved: Callable[[str], str]) -> str:
    """SQL of the records that are kept: `_id`, and the names of the columns that refer to them.

    The parent of a record that is kept is kept too, as far up as it goes.
    """
    parts = [part for column in columns for part in _references(definition, column, moved)]
    references = "\n  UNION ALL\n".join(parts)
    return f"""
WITH RECURSIVE dropped AS (SELECT _id FROM decisions WHERE action = {_DELETE}),
below(_id, parent, name) AS (
{references}),
kept(_id, name) AS (
  SELECT parent, name FROM below ANTI JOIN dropped USING (_id)
  UNION
  SELECT below.parent, below.name FROM kept JOIN below ON below._id = kept._id)
SELECT _id, string_agg(DISTINCT name, ', ' ORDER BY name) AS name FROM kept GROUP BY _id""".strip()


def _references(definition: SyncDefinition, column: TargetColumn, moved: Callable[[str], str]) -> list[str]:
    """SQL of what refers to dropped records in a column after the run: record, parent, name of the column.

    A lookup that searches the table itself finds no record that is dropped. Ids that the source gives, and lookups in
    the sync key, may be those of such a record.
    """
    name, held = literal(column.name), record_id(column.attribute, f"target.{quoted(column.name)}")
    changes = bool(on_update([column], definition.destination.id_column))
    leaves = f" AND ({moved(differs(column))}) IS NOT TRUE" if changes else ""
    found = [
        f"""
  SELECT target._id, {held}, {name}
  FROM current AS target LEFT JOIN decisions ON decisions._id = target._id
  LEFT JOIN desired ON desired._row = decisions._row {_ledger(definition, column)}
  WHERE {held} IN (FROM dropped){leaves}""".strip("\n"),
        f"  SELECT target._id, {held}, {name} FROM set_aside AS target WHERE {held} IN (FROM dropped)",
    ]
    if column.writes and not column.late:
        wanted = record_id(column.attribute, f"desired.{quoted(column.name)}")
        updated = f" OR action = {_UPDATE} AND ({differs(column)})" if changes else ""
        found.append(
            f"""
  SELECT target._id, {wanted}, {name}
  FROM desired JOIN decisions ON decisions._row = desired._row
  LEFT JOIN current AS target ON target._id = decisions._id {_ledger(definition, column)}
  WHERE {wanted} IN (FROM dropped)
    AND (action = {literal(PlanAction.INSERT)} AND {given(column)}{updated})""".strip("\n")
        )
    return found


def _looks_at_ledger(column: TargetColumn) -> bool:
    return column.write is WritePolicy.UNLESS_EDITED


def _ledger(definition: SyncDefinition, column: TargetColumn) -> str:
    return records(definition) if _looks_at_ledger(column) else ""
