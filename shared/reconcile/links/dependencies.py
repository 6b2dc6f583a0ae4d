"""What a write needs to know of records that the same run creates: order, ids, and parents that failed. Pure SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.reconcile.outcomes import MADE
from shared.reconcile.queries import sum_of_digests
from shared.transform import ErrorType, TargetColumn
from shared.transform.lookups.columns import LookupColumn
from shared.transform.lookups.creations import VALUELESS
from shared.transform.service_values import record_id
from shared.workspace import Table, literal, quoted

__all__ = [
    "CREATED_OR_ADOPTED",
    "CREATES",
    "DELETED_KEYS",
    "DELETES",
    "FORGET_CREATED",
    "FRESH_ID",
    "IDENTIFY_PARENTS",
    "LINKED_CHANGES",
    "NOT_SETTLED",
    "OTHER_IDS",
    "RENAME_CREATIONS",
    "RENAME_RECORDS",
    "UNFIT_CREATIONS",
    "UNKNOWN_PARENTS",
    "actual_ids",
    "creations_checksum_query",
    "creations_count_query",
    "creations_query",
    "failed_links",
    "failed_parents",
    "found_creations",
    "fresh_creations",
    "fresh_records",
    "in_generation",
    "record_of",
    "waves_query",
    "without_creations",
]

# A record with the key of a new one is there, also if it keeps what others have edited.
_THERE: Final = "('applied', 'adopted', 'edited')"
# The columns of `changes` with ids of records that are referred to.
_REFERRING: Final = ("key", "payload", "on_create", "later", "links")
# Like the ids that the writer makes: random, with the time in the last six bytes, by which SQL Server orders ids.
FRESH_ID: Final = "CAST(left(CAST(uuid() AS VARCHAR), 24) || printf('%012x', epoch_ms(current_timestamp)) AS UUID)"
"""SQL of an id that no record has."""

LINKED_CHANGES: Final = f"""
SELECT changes._change, CAST(outcomes.id AS VARCHAR), key, links,
  CASE WHEN payload = '{{}}' AND later = '' THEN version ELSE '' END
FROM changes JOIN outcomes USING (_change)
WHERE links <> '' AND outcomes.result IN {MADE}
ORDER BY _change""".strip()
"""Records whose references are written after all records exist: number, id, key, JSON object, version.

The version is that of an adopted record that the run has not written yet; empty for any.
"""


UNKNOWN_PARENTS: Final = f"""
SELECT _change, key FROM outcomes JOIN changes USING (_change)
WHERE result IN {MADE} AND outcomes.id IS NULL AND _row IN (SELECT parent FROM parents) ORDER BY _change""".strip()
"""SQL for (number, key) of the parents that were written and whose id is not known."""
IDENTIFY_PARENTS: Final = """
UPDATE outcomes SET id = holders._id FROM holders
WHERE holders._seq = outcomes._change AND outcomes.id IS NULL""".strip()
"""SQL that notes the ids of records that were looked for by key: `holders` has them."""
CREATED_OR_ADOPTED: Final = "CASE outcomes.result WHEN 'adopted' THEN 'adopted' ELSE 'created' END"
"""SQL over `outcomes`: what became of an insert that was made."""
CREATES: Final = "action IN ('insert', 'upsert')"
"""SQL condition over `changes`: the record may be new."""


def waves_query(order: Table, condition: str) -> str:
    """SQL for the parts of some changes that are written one after the other: generation, how many changes.

    Args:
        order: The table that has the generations of rows, records or changes.
        condition: Which changes, over `changes`.
    """
    return f"""
SELECT coalesce(generation, 0) AS part, count(*)
FROM changes LEFT JOIN {order} USING ({_BY[order]})
WHERE {condition} GROUP BY part ORDER BY part""".strip()


def in_generation(order: Table, generation: int) -> str:
    """SQL condition over `changes`: the change is in a generation; what refers to nothing new is in the first one."""
    by = _BY[order]
    if generation:
        return f"{by} IN (SELECT {by} FROM {order} WHERE generation = {generation})"
    return f"({by} IS NULL OR {by} NOT IN (SELECT {by} FROM {order} WHERE generation <> 0))"


_BY: Final = {
    Table.GENERATIONS: "_row",
    Table.DROP_ORDER: "_id",
    Table.DELETE_ORDER: "_change",
    Table.OWNER_ORDER: "_id",
}
DELETES: Final = "action = 'delete'"
"""SQL condition over `changes`: the record is deleted."""
DELETED_KEYS: Final = f"SELECT _change, key FROM changes WHERE {DELETES} ORDER BY _change"
"""SQL for (number, key) of the deletes."""
NOT_SETTLED: Final = "NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes._change = changes._change)"
"""SQL condition over `changes`: the change has no outcome."""


def failed_parents(condition: str) -> str:
    """The statement that gives changes the outcome *Parent Failed* where a new record that they refer to is missing.

    A change that leaves the reference out, such as one with `write: on_insert` of a record that exists, does not fail.

    Args:
        condition: Which changes, over `changes`.
    """
    message = "concat(parents.name, ' refers to row ', parents.parent, ', whose record was not created')"
    return f"""
INSERT INTO outcomes (_change, result, code, message)
SELECT changes._change, 'failed', {literal(ErrorType.PARENT_FAILED)}, min({message})
FROM changes JOIN parents ON parents._row = changes._row
LEFT JOIN changes AS made ON made._row = parents.parent
LEFT JOIN outcomes AS end_of ON end_of._change = made._change
LEFT JOIN new_records ON new_records._row = parents.parent
WHERE coalesce({_has_id("new_records._id")}, true)
  AND changes._change IN (SELECT _change FROM changes WHERE {condition}) AND NOT parents.deferred
  AND (end_of.result IS NULL OR end_of.result NOT IN {_THERE})
  AND NOT EXISTS (SELECT 1 FROM outcomes AS own WHERE own._change = changes._change)
GROUP BY changes._change""".strip()


def failed_links() -> str:
    """The statement that fails records whose references, written at last, refer to records that are missing.

    A record whose change leaves the reference out, such as an adopted one with `write: on_insert`, does not fail.
    """
    return f"""
UPDATE outcomes SET result = 'failed', code = {literal(ErrorType.PARENT_FAILED)},
  message = concat('the record was ', {CREATED_OR_ADOPTED}, ', but ', found.name, ' refers to row ', found.parent,
    ', whose record was not created')
FROM (
  SELECT changes._change, min(parents.name) AS name, min(parents.parent) AS parent
  FROM changes JOIN parents ON parents._row = changes._row
  LEFT JOIN changes AS made ON made._row = parents.parent
  LEFT JOIN outcomes AS end_of ON end_of._change = made._change
  LEFT JOIN new_records ON new_records._row = parents.parent
  WHERE parents.deferred AND (end_of.result IS NULL OR end_of.result NOT IN {_THERE})
    AND coalesce(contains(changes.links, CAST(new_records._id AS VARCHAR)), changes.links <> '')
  GROUP BY changes._change) AS found
WHERE found._change = outcomes._change AND outcomes.result IN {MADE}""".strip()


def creations_query(columns: Sequence[TargetColumn]) -> str:
    """SQL for (number, id, key, payload) of the records of a table that lookups create, its parameter the table.

    Only those that a change refers to: other rows may have been rejected, their changes are ignored, or what is written
    does not have the lookup, such as one with `write: on_insert` of a record that exists.
    """
    return f"""
SELECT _creation, CAST(id AS VARCHAR), key, payload FROM creations
WHERE entity = ? AND NOT ({VALUELESS}) AND {_referred(columns)} ORDER BY _creation""".strip()


def creations_count_query(columns: Sequence[TargetColumn]) -> str:
    """SQL for how many records lookups create."""
    return f"SELECT count(*) FROM creations WHERE {_referred(columns)}"


def creations_checksum_query(columns: Sequence[TargetColumn]) -> str:
    """SQL for one SHA-256 that names the records that lookups create, with all their values."""
    return sum_of_digests(
        f"SELECT sha256(to_json([entity, id::VARCHAR, key, payload])::VARCHAR) AS digest FROM creations\n"
        f"WHERE {_referred(columns)}"
    )


UNFIT_CREATIONS: Final = f"""
INSERT INTO uncreated SELECT id, entity, 'no row that is synced has values that it can hold'
FROM creations WHERE {VALUELESS}""".strip()
"""SQL that notes the records that cannot be created, because each row that could give them values is rejected."""


FORGET_CREATED: Final = f"DELETE FROM {Table.CREATIONS} WHERE id IN (SELECT id FROM {Table.CREATED_REFERENCES})"
"""SQL that leaves the records that are still to be created."""


def _referred(columns: Sequence[TargetColumn]) -> str:
    changed = "FROM desired JOIN changes ON changes._row = desired._row"
    rows = (f"SELECT {record_of(column)} {changed} WHERE {_has_id(record_of(column))}" for column in columns)
    return f"({' OR '.join(f'id IN ({query})' for query in rows)})"


def _has_id(record: str) -> str:
    """SQL condition over `changes`: what is written has the id of a record."""
    return f"contains(concat({', '.join(f'changes.{field}' for field in _REFERRING)}), CAST({record} AS VARCHAR))"


def without_creations(columns: Sequence[TargetColumn]) -> str:
    """The statement that gives changes *Parent Failed* where a record that a lookup was to create is missing.

    `uncreated` has the ids of those records, and why they are missing.
    """
    same = " OR ".join(f"uncreated.id = {record_of(column)}" for column in columns)
    same = f"({same}) AND {_has_id('uncreated.id')}"
    return f"""
INSERT INTO outcomes (_change, result, code, message)
SELECT changes._change, 'failed', {literal(ErrorType.PARENT_FAILED)},
  concat('the ', min(uncreated.entity), ' that a lookup creates was refused: ', min(uncreated.message))
FROM changes JOIN desired ON desired._row = changes._row JOIN uncreated ON {same}
GROUP BY changes._change""".strip()


def found_creations(column: TargetColumn) -> tuple[str, str]:
    """The statements that put the id that a record has, or is to get, in the place of the id that was planned.

    `renamed` has both ids: `planned` and `found`.
    """
    return _replaced(
        column,
        f"""
SELECT desired._row, CAST(renamed.planned AS VARCHAR) AS planned, CAST(renamed.found AS VARCHAR) AS found
FROM desired JOIN renamed ON renamed.planned = {record_of(column)}""".strip(),
    )


def fresh_creations() -> str:
    """The statement that gives `renamed` another id for each record that a lookup creates."""
    return f"INSERT INTO renamed SELECT id, {FRESH_ID} FROM creations"


def fresh_records(id_column: str) -> str:
    """The statement that gives `renamed` another id for each new record that rows refer to.

    Args:
        id_column: The column of `desired` with the id that a row gives its record; empty where rows give none.
    """
    given = f" AND desired.{quoted(id_column)} IS NULL" if id_column else ""
    return f"""
INSERT INTO renamed
SELECT new_records._id, {FRESH_ID}
FROM new_records JOIN changes USING (_row) JOIN desired USING (_row)
WHERE changes.action = 'insert'{given}""".strip()


RENAME_CREATIONS: Final = "UPDATE creations SET id = renamed.found FROM renamed WHERE renamed.planned = creations.id"
"""SQL that gives the records that lookups create their ids of `renamed`."""
RENAME_RECORDS: Final = (
    "UPDATE changes SET _id = renamed.found FROM renamed WHERE renamed.planned = changes._id AND action = 'insert'",
    "UPDATE new_records SET _id = renamed.found FROM renamed WHERE renamed.planned = new_records._id",
)
"""SQL statements that give new records their ids of `renamed`."""


def record_of(column: LookupColumn | TargetColumn) -> str:
    """SQL of the id of the record that a lookup column of `desired` refers to."""
    return record_id(column.attribute, f"desired.{quoted(column.name)}")


OTHER_IDS: Final = """
SELECT 1 FROM new_records JOIN changes ON changes._row = new_records._row JOIN outcomes USING (_change)
WHERE outcomes.id <> new_records._id LIMIT 1""".strip()
"""SQL that gives a row if a new parent has another id than it was to get: it was adopted, or addressed by its key."""


def actual_ids(column: TargetColumn) -> tuple[str, str]:
    """The statements that put the id of an adopted parent in the place of the id that it was to get.

    In the payloads of its children, and in `desired`, where adopting compares.
    """
    other = f"""
SELECT parents._row, CAST(new_records._id AS VARCHAR) AS planned, CAST(outcomes.id AS VARCHAR) AS found
FROM parents JOIN new_records ON new_records._row = parents.parent
JOIN changes AS made ON made._row = parents.parent JOIN outcomes ON outcomes._change = made._change
WHERE parents.name = {literal(column.name)} AND outcomes.id <> new_records._id""".strip()
    return _replaced(column, other)


def _replaced(column: TargetColumn, other: str) -> tuple[str, str]:
    """The statements that replace ids; `other` gives rows, the id that is there, and the one that takes its place."""
    name = quoted(column.name)
    changed = "replace(CAST({0} AS VARCHAR), other.planned, other.found)"
    fields = ", ".join(f"{field} = {changed.format(f'changes.{field}')}" for field in _REFERRING)
    return (
        f"UPDATE changes SET {fields}\nFROM ({other}) AS other WHERE other._row = changes._row",
        (
            f"UPDATE desired SET {name} = CAST({changed.format(f'desired.{name}')} AS {column.sql_type})\n"
            f"FROM ({other}) AS other WHERE other._row = desired._row"
        ),
    )
