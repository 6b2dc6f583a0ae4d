"""What an undo changes in the ledger of its sync, as SQL: else a later run would take what was set back for an edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.reconcile.plan import DROPS, PlanAction
from shared.reconcile.undo.decide import UNDO_DECISIONS
from shared.reconcile.undo.journal import REMEMBERED_TABLE
from shared.reconcile.undo.records import UNDO_RECORDS, has, was
from shared.transform import TargetColumn
from shared.workspace import NewTable, Table, literal

__all__ = ["LEDGER_ROWS", "fill_rows", "undone_rows"]

LEDGER_ROWS: Final = NewTable(
    name=Table.LEDGER,
    columns="(id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR)",
)
"""The table for the rows of the ledger, as they are stored."""
_MARKS: Final = f"({', '.join(literal(action) for action in DROPS if action is not PlanAction.DELETE)})"


# An undo whose process died has created records, and its repetition finds them unchanged.
_AGAIN: Final = f"""
SELECT known.id, known.origin, known.marked, known.mark, known.written, known.pending
FROM {REMEMBERED_TABLE} AS known JOIN {UNDO_DECISIONS} AS decided ON decided.id = known.id
LEFT JOIN changes ON changes._row = decided.change LEFT JOIN outcomes ON outcomes._change = changes._change
WHERE decided.action = {literal(PlanAction.DELETE)} AND known.origin IS NOT NULL
  AND (outcomes.result = 'applied' OR decided.decision = 'unchanged')
  AND NOT EXISTS (SELECT 1 FROM {Table.LEDGER} AS ledger WHERE ledger.id = known.id)""".strip()


def fill_rows(rows: str) -> str:
    """SQL that fills it with the rows of the records that are undone; `rows` is the query for all rows."""
    return f"""
INSERT INTO {Table.LEDGER}
SELECT id, origin, marked, mark, written, pending FROM ({rows})
WHERE origin IS NOT NULL AND id IN (SELECT id FROM {UNDO_DECISIONS})""".strip()


def undone_rows(guarded: Sequence[TargetColumn]) -> NewTable:
    """The table of the rows that are different now.

    A record that was deleted is forgotten. Values that were set back count as written by the sync, and so do marks, in
    the columns of the last one. Of a record that is there again the ledger says what it said before the run deleted it.

    Args:
        guarded: The columns of the journal with `write: unless_edited`.
    """
    members = [_member(column) for column in guarded]
    written = f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'" if members else "ledger.written"
    return NewTable(
        name=Table.LEDGER_AFTER,
        query=f"""
SELECT ledger.id, CASE WHEN decided.decision <> 'delete' THEN ledger.origin END AS origin,
  CASE WHEN decided.action IN {_MARKS} THEN false WHEN decided.action = {literal(PlanAction.REACTIVATE)} THEN true
    ELSE ledger.marked END AS marked, ledger.mark,
  CASE WHEN decided.decision <> 'delete' THEN {written} END AS written, NULL::VARCHAR AS pending
FROM {Table.LEDGER} AS ledger JOIN {UNDO_DECISIONS} AS decided ON decided.id = ledger.id
JOIN {UNDO_RECORDS} AS records ON records.change = decided.change
JOIN changes ON changes._row = decided.change JOIN outcomes ON outcomes._change = changes._change
WHERE outcomes.result = 'applied'
  UNION ALL
{_AGAIN}""".strip(),
    )


def _member(column: TargetColumn) -> str:
    name, path = literal(f'"{column.name}":'), literal(f'$."{column.name}"')
    sent = f"list_contains(string_split(changes.columns, ','), {literal(column.name)})"
    value = f"coalesce(CAST(to_json(CAST(records.{was(column)} AS VARCHAR)) AS VARCHAR), 'null')"
    known = f"CAST(json_extract(ledger.written, {path}) AS VARCHAR)"
    return (
        f"CASE WHEN records.{has(column)} AND {sent} THEN {name} || {value} "
        f"WHEN json_exists(ledger.written, {path}) THEN {name} || {known} END"
    )
