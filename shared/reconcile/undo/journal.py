"""What a run keeps of its changes, as SQL: before a write what it is about to do, afterwards the result.

A journal has six kinds of parts. `planned` has the changes as they are sent, `deleted` what deleted records held in
all columns that can be written, `remembered` what the ledger of the sync said of them, `adopted` the updates that took
the place of inserts, `done` the outcomes, and `matched` the records that the run was the first to match with a row.

A change without an outcome may have been made: the process of its run died, the run was stopped without waiting for its
requests, or an error ended it. So may one whose answer was lost. A change that was taken out of the plan during the run
has the outcome `unsent`: it was not made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.reconcile.columns import before
from shared.reconcile.ledger import NEW_IDS
from shared.reconcile.plan import DROPS, PlanAction
from shared.reconcile.undo.decide import UNDO_DECISIONS
from shared.transform import TargetColumn, current_table_step
from shared.transform.notation.words import spelled
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = [
    "ADOPTED",
    "ADOPTED_UPDATES",
    "DELETED",
    "DELETED_IDS",
    "DELETED_TABLE",
    "DELETES",
    "DONE",
    "FIRST_ADOPTED",
    "HAS_KEY",
    "MATCHED",
    "MATCHED_TABLE",
    "NEWLY_MATCHED",
    "NEW_IDS",
    "PLANNED",
    "RECORD",
    "REMEMBERED",
    "REMEMBERED_TABLE",
    "SOME_DELETED",
    "SOME_KEY",
    "columns_query",
    "deleted_query",
    "deleted_table",
    "done_query",
    "journal_table",
    "matched_query",
    "matched_table",
    "not_found_query",
    "outcomes",
    "planned_query",
    "record_query",
    "remembered_query",
    "remembered_table",
    "undoing_query",
]

PLANNED: Final = "planned"
DELETED: Final = "deleted"
REMEMBERED: Final = "remembered"
ADOPTED: Final = "adopted"
DONE: Final = "done"
MATCHED: Final = "matched"
_FORMS: Final[Mapping[str, str]] = {
    PLANNED: "change BIGINT, action VARCHAR, id UUID, key VARCHAR, before VARCHAR, payload VARCHAR, later VARCHAR, "
    "links VARCHAR, columns VARCHAR, version VARCHAR",
    DELETED: "id UUID, before VARCHAR",
    REMEMBERED: "id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR",
    ADOPTED: "change BIGINT, id UUID, payload VARCHAR, later VARCHAR, links VARCHAR, columns VARCHAR, before VARCHAR",
    DONE: "change BIGINT, result VARCHAR, id UUID, created BOOLEAN",
    MATCHED: "id UUID",
}
_UNKNOWN: Final = "'unknown'"
_UNSENT: Final = "'unsent'"
_DELETE: Final = literal(PlanAction.DELETE)
_INSERT: Final = literal(PlanAction.INSERT)
_DROPS: Final = ", ".join(map(literal, DROPS))

DELETED_TABLE: Final = "deleted_records"
"""The name of the table for records which are about to be deleted."""
ADOPTED_UPDATES: Final = f"""
SELECT _change AS change, _id AS id, payload, later, links, columns, before
FROM adoptions WHERE action = {literal(PlanAction.UPDATE)}""".strip()
"""SQL of the part `adopted`: the updates of one round of adopted records."""
FIRST_ADOPTED: Final = f"SELECT min(change) FROM ({ADOPTED_UPDATES})"
"""SQL of the lowest number of these changes; NULL without one."""
DELETED_IDS: Final = f"SELECT CAST(_id AS VARCHAR) FROM changes WHERE action = {_DELETE} AND _id IS NOT NULL"
"""SQL of the ids of the records that are about to be deleted."""


NEWLY_MATCHED: Final = NewTable(
    name="newly_matched",
    query=f"""
SELECT row_number() OVER () AS number, found._id AS id
FROM (SELECT _id FROM decisions WHERE _row IS NOT NULL AND _id IS NOT NULL
  UNION SELECT id FROM outcomes WHERE result = 'adopted') AS found
LEFT JOIN {Table.LEDGER} AS ledger ON ledger._id = found._id WHERE ledger._own IS NOT TRUE""".strip(),
)
"""The table, by numbers from 1, of the records with a row that were not the sync's own before, as the ledger says."""
MATCHED_TABLE: Final = "undo_matched"
"""The name of the table with these records of the run that is undone."""
REMEMBERED_TABLE: Final = "undo_remembered"
"""The name of the table with what the ledger said of the records that the run deleted."""
DELETES: Final = f"SELECT min(_change), max(_change) FROM changes WHERE action = {_DELETE} AND _id IS NOT NULL"
"""SQL of the numbers of the first and the last change that deletes a record; NULL without one."""


def planned_query(first: int, last: int, action: str = "CAST(action AS VARCHAR)") -> str:
    """SQL of the part `planned` with the changes of some numbers; `action` is SQL of what they are called."""
    return f"""
SELECT _change AS change, {action} AS action, _id AS id, key, before, payload, later, links, columns,
  version
FROM changes WHERE _change BETWEEN {first} AND {last} ORDER BY _change""".strip()


def undoing_query(first: int, last: int) -> str:
    """SQL of the part `planned` of an undo. What takes a mark away is called so, and what marks a record again too.

    For the service both are updates. The undo of the undo has to know what they did to the mark.
    """
    marks = ", ".join(literal(action) for action in DROPS if action is not PlanAction.DELETE)
    undone = f"(SELECT decided.action FROM {UNDO_DECISIONS} AS decided WHERE decided.change = changes._row)"
    action = (
        f"CASE WHEN action = {literal(PlanAction.UPDATE)} AND {undone} IN ({marks}) "
        f"THEN {literal(PlanAction.REACTIVATE)} "
        f"WHEN action = {literal(PlanAction.UPDATE)} AND {undone} = {literal(PlanAction.REACTIVATE)} "
        f"THEN {literal(PlanAction.MARK)} ELSE CAST(action AS VARCHAR) END"
    )
    return planned_query(first, last, action)


def done_query(first: int, last: int) -> str:
    """SQL of the part `done` with the outcomes of changes of some numbers, which were all in the plan.

    Those that are not in `changes` any more were not sent: the drop of an adopted record, or of a parent that is kept.
    """
    return f"""
SELECT _change AS change, CASE WHEN sent THEN {_UNKNOWN} ELSE result END AS result, id, created
FROM outcomes WHERE _change BETWEEN {first} AND {last}
  UNION ALL
SELECT _change, {_UNSENT}, NULL, NULL FROM range({first}, {last} + 1) AS planned(_change)
ANTI JOIN changes USING (_change) ANTI JOIN outcomes USING (_change)
ORDER BY change""".strip()


def remembered_query(rows: str, first: int, last: int) -> str:
    """SQL of the part `remembered` with the deletes of some numbers; `rows` is SQL of the rows of the ledger."""
    return f"""
SELECT known.id, known.origin, known.marked, known.mark, known.written, known.pending
FROM ({rows}) AS known JOIN changes ON changes._id = known.id
WHERE changes.action = {_DELETE} AND changes._change BETWEEN {first} AND {last}""".strip()


def matched_query(first: int, last: int) -> str:
    """SQL of the part `matched` with the records of some numbers in the table `newly_matched`."""
    return f"SELECT id FROM {NEWLY_MATCHED.name} WHERE number BETWEEN {first} AND {last}"


def matched_table(files: Mapping[str, Sequence[Path]]) -> NewTable:
    """The table of the records that the run was the first to match; without rows in journals of earlier versions.

    Args:
        files: The files of each kind of part.
    """
    return NewTable(name=MATCHED_TABLE, query=_read(MATCHED, files))


def remembered_table(files: Mapping[str, Sequence[Path]]) -> NewTable:
    """The table of what the ledger said of the records that the run deleted, in the columns of the part.

    Args:
        files: The files of each kind of part.
    """
    return NewTable(name=REMEMBERED_TABLE, query=_read(REMEMBERED, files))


def deleted_table(layout: Sequence[TargetColumn]) -> Step:
    """The step that makes the table for records which are about to be deleted."""
    return current_table_step(layout, name=DELETED_TABLE, title="Create the table of the records that are deleted")


def deleted_query(layout: Sequence[TargetColumn]) -> str:
    """SQL of the part `deleted`: the id of each record, and what it holds where it holds something."""
    return f"SELECT _id AS id, {before(layout, _is_held)} AS before FROM {DELETED_TABLE} AS target"


def _is_held(column: TargetColumn) -> str:
    return f"target.{quoted(column.name)} IS NOT NULL"


def journal_table(files: Mapping[str, Sequence[Path]], *, links: bool = False) -> NewTable:
    """The table `journal`: the changes of a run that were made, or may have been.

    A record that was gone when the run was about to keep what it held is not one that the run deleted. One that the run
    adopted was not dropped, also where the process of the run died before it noted this.

    Its columns are `change`, `action`, `id`, `key`, `before`, `payload`, `later`, `links`, `columns` and
    `result`, which is `unknown` for a change that may have been made.

    Args:
        files: The files of each kind of part.
        links: They are changes of links, which have no ids.
    """
    found = "true" if links else f"NOT {_NOT_FOUND}"
    gone = f"planned.action = {_DELETE} AND deleted.id IS NULL" if files.get(DELETED) else "false"
    stays = f"planned.action IN ({_DROPS}) AND planned.id IN (SELECT id FROM ({_read(ADOPTED, files)}))"
    took = f"""done.result = 'applied'
  OR (done.result = 'adopted' AND adopted.change IS NOT NULL)
  OR (done.result IN ('failed', 'skipped') AND done.id IS NOT NULL
    AND (planned.action = {_INSERT} OR planned.later <> ''))
  OR ({_MAY_BE_MADE} AND {found})"""
    return NewTable(
        name=Table.JOURNAL,
        query=f"""
SELECT planned.change,
  CASE WHEN adopted.change IS NULL THEN planned.action ELSE {literal(PlanAction.UPDATE)} END AS action,
  coalesce(adopted.id, done.id, planned.id) AS id, planned.key,
  coalesce(deleted.before, adopted.before, planned.before) AS before,
  coalesce(adopted.payload, planned.payload) AS payload, coalesce(adopted.later, planned.later) AS later,
  CASE WHEN adopted.change IS NULL THEN planned.links ELSE coalesce(adopted.links, '') END AS links,
  coalesce(adopted.columns, planned.columns) AS columns,
  CASE WHEN done.result = 'adopted' THEN 'applied' ELSE coalesce(done.result, {_UNKNOWN}) END AS result
FROM {outcomes(files)}
LEFT JOIN ({_read(DELETED, files)}) AS deleted ON deleted.id = planned.id AND planned.action = {_DELETE}
WHERE ({took}) AND NOT ({gone}) AND NOT coalesce({stays}, false)""".strip(),
    )


_MAY_BE_MADE: Final = f"coalesce(done.result, {_UNKNOWN}) = {_UNKNOWN}"
_NOT_FOUND: Final = (
    f"(planned.action = {_INSERT} AND coalesce(adopted.id, done.id, planned.id) IS NULL)"  # its record is not known
)


def not_found_query(files: Mapping[str, Sequence[Path]]) -> str:
    """SQL of how many records the run may have created whose ids are not known, so that the journal has none of them.

    Args:
        files: The files of each kind of part.
    """
    return f"SELECT count(*) FROM {outcomes(files)} WHERE {_MAY_BE_MADE} AND {_NOT_FOUND}"


def outcomes(files: Mapping[str, Sequence[Path]]) -> str:
    """SQL of the changes with their outcomes, where they have one."""
    return f"""({_read(PLANNED, files)}) AS planned
LEFT JOIN ({_read(DONE, files)}) AS done ON done.change = planned.change
LEFT JOIN ({_read(ADOPTED, files)}) AS adopted ON adopted.change = planned.change"""


def _read(kind: str, files: Mapping[str, Sequence[Path]]) -> str:
    """SQL of the rows of a kind; parts of earlier versions lack columns."""
    columns = [column.partition(" ") for column in _FORMS[kind].split(", ")]
    none = f"SELECT {', '.join(f'NULL::{sql_type} AS {name}' for name, _, sql_type in columns)} LIMIT 0"
    if found := files.get(kind):
        listed = ", ".join(literal(str(file)) for file in found)
        return f"({none}) UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true)"
    return none


def record_query() -> str:
    """SQL of what the run did to a record, as `samples` reads it, with the result after it.

    Its parameters: the values of the key in their order, and the ids of the record that are known.
    """
    return f"""
SELECT action, NULL, CAST(id AS VARCHAR), key, payload, '', later, links, columns, before, result
FROM journal WHERE {RECORD} ORDER BY change""".strip()


HAS_KEY: Final = (
    f"(list_transform(json_extract_string(key, '$.*'), lambda value: {spelled('value')}) = "
    f"list_transform(?::VARCHAR[], lambda value: {spelled('value')}))"
)
"""SQL condition: the record has a key, upper and lower case aside: the parameter, its values in their order."""
RECORD: Final = f"({HAS_KEY} OR id IN (SELECT unnest(?::UUID[])))"
"""SQL condition: the record has a key, upper and lower case aside, or one of some ids: the two parameters."""


SOME_KEY: Final = "SELECT max(key) FROM journal"
"""SQL of the key of one record, whose members name the columns of the sync key; NULL for an empty journal."""


SOME_DELETED: Final = f"SELECT 1 FROM journal WHERE action = {_DELETE} LIMIT 1"
"""SQL of a row where the run deleted a record."""


def columns_query() -> str:
    """SQL of the names of the columns that the run wrote, or that its deleted records held, sorted."""
    return f"""
SELECT DISTINCT unnest(string_split(columns, ',')) AS name FROM journal WHERE columns <> ''
UNION
SELECT DISTINCT unnest(json_keys(before)) FROM journal WHERE action = {_DELETE}
ORDER BY name""".strip()
