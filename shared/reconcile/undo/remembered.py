"""What an undo changes in the ledger of its sync, as SQL: else a later run would take what was set back for an edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.reconcile.later import first_value, held_before_second, is_in_first
from shared.reconcile.plan import DROPS, PlanAction
from shared.reconcile.undo.decide import UNDO_DECISIONS
from shared.reconcile.undo.journal import MATCHED_TABLE, REMEMBERED_TABLE
from shared.reconcile.undo.records import UNDO_RECORDS, has, was
from shared.transform import TargetColumn
from shared.workspace import NewTable, Table, literal

__all__ = ["LEDGER_ROWS", "MATCHED_OF_DECIDED", "OWN_NO_MORE", "fill_rows", "intended_rows", "undone_rows"]

LEDGER_ROWS: Final = NewTable(
    name=Table.LEDGER,
    columns="(id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR)",
)
"""The table for the rows of the ledger, as they are stored."""
MATCHED_OF_DECIDED: Final = f"DELETE FROM {MATCHED_TABLE} WHERE id NOT IN (SELECT id FROM {UNDO_DECISIONS})"
"""SQL that leaves alone what the run has matched and the undo does not look at, where a part of the run is undone."""
OWN_NO_MORE: Final = f"""
UPDATE {Table.LEDGER} SET origin = 'marked'
WHERE origin = 'matched' AND id IN (SELECT id FROM {MATCHED_TABLE})""".strip()
"""SQL after which the records that the run was the first to match are not the sync's own; the other columns stay."""
_MARKS: Final = f"({', '.join(literal(action) for action in DROPS if action is not PlanAction.DELETE)})"
_REACTIVATE: Final = literal(PlanAction.REACTIVATE)
_UPDATE: Final = literal(PlanAction.UPDATE)
_APPLIED: Final = "outcomes.result = 'applied'"
# The first request of the change was made, and the second one was refused.
_IN_PART: Final = f"""(outcomes.result = 'failed' AND outcomes.id IS NOT NULL AND outcomes.sent IS NOT TRUE
  AND changes.action = {_UPDATE})"""


# An undo whose process died has created records, and its repetition finds them unchanged.
_AGAIN: Final = f"""
SELECT known.id, known.origin, known.marked, known.mark, known.written, known.pending
FROM {REMEMBERED_TABLE} AS known JOIN {UNDO_DECISIONS} AS decided ON decided.id = known.id
LEFT JOIN changes ON changes._row = decided.change LEFT JOIN outcomes ON outcomes._change = changes._change
WHERE decided.action = {literal(PlanAction.DELETE)} AND known.origin IS NOT NULL
  AND (outcomes.result = 'applied' OR decided.decision = 'unchanged')
  AND NOT EXISTS (SELECT 1 FROM {Table.LEDGER} AS ledger WHERE ledger.id = known.id)""".strip()


def fill_rows(rows: str) -> str:
    """SQL that fills it with the rows of the records that are undone, and of those that the run was the first to match.

    Args:
        rows: SQL of the query for all rows.
    """
    return f"""
INSERT INTO {Table.LEDGER}
SELECT id, origin, marked, mark, written, pending FROM ({rows})
WHERE origin IS NOT NULL
  AND (id IN (SELECT id FROM {UNDO_DECISIONS}) OR id IN (SELECT id FROM {MATCHED_TABLE}))""".strip()


def intended_rows(guarded: Sequence[TargetColumn]) -> NewTable:
    """The table of what the undo is about to do: a run needs it if the process of the undo dies in between.

    Values that are set back are pending, besides those that were before (`earlier`), and marks that are given again are
    those of the sync (`held`: what was said before). Of a record that is created again the ledger says at once what it
    said before the run deleted it. A run forgets a record that is not there, and a mark that a record does not have.

    Args:
        guarded: The columns of the journal with `write: unless_edited`.
    """
    sent = " OR ".join(map(_is_set_back, guarded)) or "false"
    members = ", ".join((*map(_pending, guarded), _others("pending", guarded)))
    pending = f"nullif('{{' || concat_ws(',', {members}) || '}}', '{{}}')" if guarded else "NULL::VARCHAR"
    return NewTable(
        name=Table.LEDGER_BEFORE,
        query=f"""
SELECT ledger.id, ledger.origin, ledger.marked OR decided.action = {_REACTIVATE} AS marked, ledger.mark,
  ledger.written, {pending} AS pending, ledger.pending AS earlier, ledger.marked AS held
FROM {Table.LEDGER} AS ledger JOIN {UNDO_DECISIONS} AS decided ON decided.id = ledger.id
JOIN {UNDO_RECORDS} AS records ON records.change = decided.change
JOIN changes ON changes._row = decided.change
WHERE changes.action = {_UPDATE} AND ({sent} OR decided.action = {_REACTIVATE})
  UNION ALL
SELECT known.id, known.origin, known.marked, known.mark, known.written, known.pending, NULL, NULL
FROM {REMEMBERED_TABLE} AS known JOIN {UNDO_DECISIONS} AS decided ON decided.id = known.id
WHERE decided.decision = {literal(PlanAction.INSERT)} AND known.origin IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM {Table.LEDGER} AS ledger WHERE ledger.id = known.id)""".strip(),
    )


# Of a record that is to be set back it is noted with its change.
_ONLY_MATCHED: Final = f"""
SELECT ledger.id, ledger.origin, ledger.marked, ledger.mark, ledger.written, ledger.pending
FROM {Table.LEDGER} AS ledger JOIN {MATCHED_TABLE} AS matched ON matched.id = ledger.id
WHERE ledger.origin = 'marked' AND NOT EXISTS (
  SELECT 1 FROM {UNDO_DECISIONS} AS decided JOIN changes ON changes._row = decided.change
  WHERE decided.id = ledger.id)""".strip()
# A value that was refused is pending no more, unless it may have been written before.
_REFUSED: Final = f"""
SELECT before.id, before.origin, before.held, before.mark, before.written, before.earlier
FROM {Table.LEDGER_BEFORE} AS before JOIN {UNDO_DECISIONS} AS decided ON decided.id = before.id
JOIN changes ON changes._row = decided.change JOIN outcomes ON outcomes._change = changes._change
WHERE changes.action = {_UPDATE} AND outcomes.result = 'failed' AND outcomes.id IS NULL
  AND outcomes.sent IS NOT TRUE""".strip()


def undone_rows(guarded: Sequence[TargetColumn]) -> NewTable:
    """The table of the rows that are different now.

    A record that was deleted is forgotten. Values that were set back count as written by the sync, and so do marks, in
    the columns of the last one; so do the values of a first request whose second one was refused. Of a record that is
    there again the ledger says what it said before the run deleted it. A record that only the run has matched is not
    the sync's own any more.

    Args:
        guarded: The columns of the journal with `write: unless_edited`.
    """
    members = ", ".join((*map(_member, guarded), _others("written", guarded)))
    written = f"'{{' || concat_ws(',', {members}) || '}}'" if guarded else "ledger.written"
    pending = f"'{{' || {_others('pending', guarded)} || '}}'" if guarded else "ledger.pending"
    return NewTable(
        name=Table.LEDGER_AFTER,
        query=f"""
SELECT ledger.id, CASE WHEN decided.decision <> 'delete' THEN ledger.origin END AS origin,
  CASE WHEN decided.action IN {_MARKS} AND {_APPLIED} THEN false WHEN decided.action = {_REACTIVATE} THEN true
    ELSE ledger.marked END AS marked, ledger.mark,
  CASE WHEN decided.decision <> 'delete' THEN {written} END AS written,
  CASE WHEN decided.decision <> 'delete' THEN {pending} END AS pending
FROM {Table.LEDGER} AS ledger JOIN {UNDO_DECISIONS} AS decided ON decided.id = ledger.id
JOIN {UNDO_RECORDS} AS records ON records.change = decided.change
JOIN changes ON changes._row = decided.change JOIN outcomes ON outcomes._change = changes._change
WHERE ({_APPLIED} OR {_IN_PART}) AND decided.decision <> {literal(PlanAction.INSERT)}
  UNION ALL
{_AGAIN}
  UNION ALL
{_ONLY_MATCHED}
  UNION ALL
{_REFUSED}""".strip(),
    )


def _member(column: TargetColumn) -> str:
    name, path = literal(f'"{column.name}":'), literal(f'$."{column.name}"')
    last, sent = f"records.{was(column)}", is_in_first(column, "changes.payload")
    value, first = _json(last), _json(first_value(column, "changes.payload", last))
    known = f"CAST(json_extract(ledger.written, {path}) AS VARCHAR)"
    return (
        f"CASE WHEN {_APPLIED} AND {_is_set_back(column)} THEN {name} || {value} "
        f"WHEN {_IN_PART} AND {sent} THEN {name} || {first} "
        f"WHEN json_exists(ledger.written, {path}) THEN {name} || {known} END"
    )


def _json(value: str) -> str:
    return f"coalesce(CAST(to_json(CAST({value} AS VARCHAR)) AS VARCHAR), 'null')"


def _others(values: str, guarded: Sequence[TargetColumn]) -> str:
    """SQL of the members of columns that the journal does not have: what the ledger says of them stays.

    Args:
        values: The column of the ledger, which holds a JSON object or NULL.
        guarded: The columns that the journal has.
    """
    names = ", ".join(literal(column.name) for column in guarded)
    members = f"list_filter(json_keys(ledger.{values}), lambda name: name NOT IN ({names}))"
    value = f"""CAST(json_extract(ledger.{values}, '$."' || name || '"') AS VARCHAR)"""
    texts = f"list_transform({members}, lambda name: CAST(to_json(name) AS VARCHAR) || ':' || {value})"
    return f"nullif(array_to_string({texts}, ','), '')"


def _is_set_back(column: TargetColumn) -> str:
    return f"(records.{has(column)} AND list_contains(string_split(changes.columns, ','), {literal(column.name)}))"


def _pending(column: TargetColumn) -> str:
    """SQL of the member with the values that may be in the record until the last one is set back, and that one."""
    name, path = literal(f'"{column.name}":'), literal(f'$."{column.name}"')
    listed = f"from_json(json_extract(ledger.pending, {path}), '[\"VARCHAR\"]')"
    single = f"[json_extract_string(ledger.pending, {path})]"
    before = (
        f"CASE WHEN json_type(ledger.pending, {path}) = 'ARRAY' THEN {listed} "
        f"WHEN json_exists(ledger.pending, {path}) THEN {single} ELSE [] END"
    )
    between = held_before_second(column, is_new=False)
    two = f" || CASE WHEN changes.later <> '' THEN ['{between}'] ELSE [] END" if between is not None else ""
    listed = f"({before}){two} || [CAST(records.{was(column)} AS VARCHAR)]"
    all_values = f"CAST(to_json({listed}) AS VARCHAR)"
    known = f"CAST(json_extract(ledger.pending, {path}) AS VARCHAR)"
    return (
        f"CASE WHEN {_is_set_back(column)} THEN {name} || {all_values} "
        f"WHEN json_exists(ledger.pending, {path}) THEN {name} || {known} END"
    )
