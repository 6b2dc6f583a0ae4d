"""Records that an undo deletes and that refer to each other in a circle.

The service takes a reference away when it deletes the record that it names. The record that had the reference then has
another version than the one that was compared, and it would not be known whether others have changed it too. So these
references are emptied first, while the record has that version; then its version is read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Outcome, WriteLimits
from shared.jobs.batch.undo.preparation import PreparedUndo
from shared.jobs.outcomes import keep_outcomes
from shared.reconcile.columns import json_object
from shared.reconcile.outcomes import Result
from shared.transform import TargetColumn, current_table_step, to_payload
from shared.transform.service_values import record_id
from shared.workspace import Table, Workspace, literal, quoted

__all__ = ["open_circles"]

_OPENED: Final = "opened_circles"
_AT_ONCE: Final = 5000  # ids that are held at once


def open_circles(workspace: Workspace, dataverse: Dataverse, prepared: PreparedUndo, limits: WriteLimits) -> None:
    """Empty the references between records that are deleted and cannot be put into an order.

    Afterwards the deletes of these records have their versions of now, or an outcome: others have changed the record,
    or Dataverse refuses the change.

    Raises:
        AbortRun, RetryLater: Dataverse refuses all writes, or is unavailable for too long; outcomes so far are kept.
    """
    late = [column for column in prepared.watched if column.late]
    if not late:
        return
    workspace.run(current_table_step(prepared.watched, name=_OPENED))
    opened: list[str] = []
    left: list[Outcome] = []
    records: dict[int, str] = {}
    try:
        for outcome in dataverse.write(prepared.entity, _changes(workspace, late, records), limits):
            if isinstance(outcome, Applied):
                opened.append(records[outcome.number])
            else:
                left.append(outcome)
            if len(opened) >= _AT_ONCE:
                _read_again(workspace, dataverse, prepared, opened)
    finally:
        keep_outcomes(workspace, left)
    _read_again(workspace, dataverse, prepared, opened)
    for statement in _judged(prepared):
        workspace.execute(statement)


def _changes(workspace: Workspace, late: Sequence[TargetColumn], records: dict[int, str]) -> Iterator[Change]:
    """The updates that empty references; `records` gets the record of each."""
    deleted = "SELECT _id FROM changes WHERE action = 'delete'"
    refers = {c.name: f"{record_id(c.attribute, f'target.{quoted(c.name)}')} IN ({deleted})" for c in late}
    emptied = ((refers[c.name], to_payload(c, f"CAST(NULL AS {c.sql_type})", f"target.{quoted(c.name)}")) for c in late)
    query = f"""
SELECT changes._change, CAST(target._id AS VARCHAR), changes.version, {json_object(emptied)}
FROM changes JOIN {Table.CURRENT} AS target ON target._id = changes._id
WHERE action = 'delete' AND target._id NOT IN (SELECT _id FROM {Table.DROP_ORDER})
  AND ({" OR ".join(refers.values())})
ORDER BY changes._change""".strip()
    for number, record, version, payload in workspace.rows(query):
        records[number] = record
        yield Change(number=number, action=ChangeAction.UPDATE, id=record, payload=payload, version=version)


def _read_again(workspace: Workspace, dataverse: Dataverse, prepared: PreparedUndo, ids: list[str]) -> None:
    keys = [json.dumps({prepared.entity.primary_id: record}) for record in ids]
    dataverse.read(workspace, prepared.entity, prepared.watched, keys=keys, into=_OPENED)
    ids.clear()


def _judged(prepared: PreparedUndo) -> tuple[str, str]:
    """The statements that give deletes the outcome *edited* where others have changed the record, or its new version.

    A delete that names no version gets none.
    """
    same = [
        f"opened.{quoted(c.name)} IS NOT DISTINCT FROM target.{quoted(c.name)}"
        for c in prepared.watched
        if c.writes and not c.late
    ]
    ours = " AND ".join([*same, f"({prepared.ours})"])
    both = f"{_OPENED} AS opened JOIN {Table.CURRENT} AS target ON target._id = opened._id"
    edited = (
        f"INSERT INTO outcomes (_change, result) SELECT changes._change, {literal(Result.EDITED)} "
        f"FROM changes JOIN ({both}) ON opened._id = changes._id WHERE action = 'delete' AND NOT ({ours})"
    )
    version = (
        f"UPDATE changes SET version = opened._version FROM {_OPENED} AS opened "
        "WHERE opened._id = changes._id AND action = 'delete' AND version <> ''"
    )
    return edited, version
