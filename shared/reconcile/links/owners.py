"""Owners of records below records that get another owner, as SQL.

A relationship of a table with itself may cascade assignments: Dataverse then gives the new owner of a record to records
below it as well (Microsoft: "Configure table relationship cascading behavior"). No row asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import WritePolicy
from shared.entities import AttributeType
from shared.reconcile.columns import sent
from shared.reconcile.outcomes import MADE, Result
from shared.transform import TargetColumn, current_table_step, to_payload
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = [
    "ADD_OWNER",
    "FAIL_OWNER",
    "LAST_CHANGE",
    "OWNER_ORDER",
    "given_owner_query",
    "held_owners_step",
    "own_owners_query",
    "owner_column",
    "received_owner_query",
    "wrong_owners_query",
]

_WRITTEN_LATER: Final = frozenset({WritePolicy.ALWAYS, WritePolicy.UNLESS_EDITED})
_MESSAGE: Final = "the record got the new owner of a record above it, and its own owner could not be set again: "

OWNER_ORDER: Final = NewTable(name=Table.OWNER_ORDER, columns="(_id UUID, generation INTEGER)")
"""The table that says which records are written first: those of a lower generation. It has only records of a tree."""

_ROWS: Final = f"""
SELECT _id, _row FROM decisions
UNION ALL
SELECT outcomes.id, _row FROM changes JOIN outcomes USING (_change) WHERE result = {literal(Result.ADOPTED)}""".strip()

LAST_CHANGE: Final = "SELECT coalesce(max(_change), 0) FROM changes"
"""SQL of the highest number of a change."""
ADD_OWNER: Final = (
    """
INSERT INTO changes
SELECT $1, 'update', (SELECT min(_row) FROM decisions WHERE _id = $2::UUID), $2, $3,
  '{}', '', '', '', $4, '{}', ''
WHERE NOT EXISTS (
  SELECT 1 FROM changes LEFT JOIN outcomes USING (_change) WHERE coalesce(outcomes.id, changes._id) = $2::UUID)
""".strip(),
    f"""
INSERT INTO outcomes (_change, result, id)
SELECT _change, {literal(Result.APPLIED)}, _id FROM changes WHERE _change = $1""".strip(),
    """
INSERT INTO decisions
SELECT NULL, _id, 'update' FROM changes WHERE _change = $1 AND _id NOT IN (SELECT _id FROM decisions WHERE _id NOT NULL)
""".strip(),
    "UPDATE decisions SET action = 'update' WHERE _id IN (SELECT _id FROM changes WHERE _change = $1)",
)
"""The statements that note the owner of a record as a planned change that was made, if the record has no change.

Parameters of the first are the number, the id, the key and the column; that of the others is the number."""
FAIL_OWNER: Final = f"""
UPDATE outcomes SET result = $2, status = $3, code = $4, message = concat({literal(_MESSAGE)}, $5), stopped = $6
FROM changes WHERE changes._change = outcomes._change AND coalesce(outcomes.id, changes._id) = $1::UUID""".strip()
"""The statement that notes that an owner was not set: its parameters are the id of the record, the result, status and
code of the answer, the message, and what stopped the write (null for an answer)."""


def owner_column(layout: Sequence[TargetColumn]) -> TargetColumn | None:
    """The owner, where changes of records that exist may set it."""
    owners = (column for column in layout if column.attribute.type is AttributeType.OWNER)
    return next((c for c in owners if c.writes and c.attribute.updatable and c.write in _WRITTEN_LATER), None)


def given_owner_query(column: TargetColumn) -> str:
    """SQL of the ids of the existing records whose owner the changes set."""
    return f"""
SELECT DISTINCT CAST(_id AS VARCHAR) FROM changes
WHERE action NOT IN ('insert', 'upsert', 'delete') AND _id IS NOT NULL AND {_has(column)}""".strip()


def received_owner_query(column: TargetColumn) -> str:
    """SQL of the ids of the existing records whose owner was set; adopted records are among them."""
    return f"""
SELECT DISTINCT CAST(coalesce(outcomes.id, _id) AS VARCHAR) FROM changes JOIN outcomes USING (_change)
WHERE {_has(column)} AND (result = {literal(Result.ADOPTED)}
  OR (result = {literal(Result.APPLIED)} AND action NOT IN ('insert', 'upsert', 'delete')))""".strip()


def own_owners_query(column: TargetColumn) -> str:
    """SQL of the owners that the changes have given to records."""
    return (
        f"SELECT DISTINCT desired.{quoted(column.name)} FROM ({_written(column)}) AS written JOIN desired USING (_row)"
    )


def held_owners_step(column: TargetColumn, name: Table) -> Step:
    """The step that makes a table for records with their owner.

    Args:
        column: The owner.
        name: The table's name.
    """
    return current_table_step([column], name=name, title="Create the table of the owners of records")


def wrong_owners_query(column: TargetColumn, *, rows_only: bool) -> str:
    """SQL of the records of `owners_after` with another owner than they are to have: id, that owner, both as payload.

    A record is to have the owner that the run wrote; where it wrote none, the owner that the record had before. The row
    of an adopted record is that of the insert whose place it took.

    Args:
        column: The owner.
        rows_only: Only records whose row gives an owner are to have it; the others follow the record above.
    """
    name = quoted(column.name)
    compared = f"SELECT rows._id FROM ({_ROWS}) AS rows JOIN desired USING (_row) WHERE {sent(column)}"
    kept = f" AND now._id IN ({compared})" if rows_only else ""
    return f"""
SELECT CAST(_id AS VARCHAR), held, wanted, '{{' || {to_payload(column, "wanted", "held")} || '}}'
FROM (
  SELECT now._id, now.{name} AS held,
    CASE WHEN written._id IS NOT NULL THEN desired.{name}
      WHEN true{kept} THEN coalesce(earlier.{name}, target.{name}) END AS wanted
  FROM {Table.OWNERS_AFTER} AS now
  LEFT JOIN ({_written(column)}) AS written USING (_id)
  LEFT JOIN desired ON desired._row = written._row
  LEFT JOIN {Table.OWNERS_BEFORE} AS earlier ON earlier._id = now._id
  LEFT JOIN current AS target ON target._id = now._id)
WHERE held <> wanted ORDER BY _id""".strip()


def _written(column: TargetColumn) -> str:
    """SQL of the records whose owner was written, each with the row that says which."""
    return f"""
SELECT coalesce(outcomes.id, changes._id) AS _id, changes._row
  FROM changes JOIN outcomes USING (_change) WHERE result IN {MADE} AND {_has(column)}""".strip()


def _has(column: TargetColumn) -> str:
    return f"list_contains(string_split(columns, ','), {literal(column.name)})"
