"""The tables `changes` and `outcomes` of a run: what is sent, and what became of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from shared.dataverse import KEY_TAKEN, Applied, Change, ChangeAction, Dataverse, Failed, Outcome, Skipped
from shared.entities import EntityMetadata
from shared.errors import SyncError
from shared.jobs.summary import OutcomeCounts
from shared.reconcile.links.dependencies import CREATED_OR_ADOPTED, LINKED_CHANGES
from shared.reconcile.outcomes import (
    KEEP_OUTCOMES,
    LINKS_MADE,
    OUTCOMES,
    UNNAMED_LINKS,
    Result,
    changes_query,
    failed_count_query,
    name_links_statement,
    outcome_counts_query,
    resolve_taken_statements,
    skip_reason_query,
    skip_statements,
    taken_keys_query,
)
from shared.transform import TargetColumn, current_table_step
from shared.workspace import Workspace

__all__ = [
    "correct_outcomes",
    "failed_count",
    "is_taken",
    "keep_outcomes",
    "linked_changes",
    "make_outcomes",
    "name_links",
    "outcome_counts",
    "planned_changes",
    "refused_count",
    "resolve_taken",
    "skip_reason",
    "skip_rest",
    "taken_keys",
]

log = logging.getLogger(__name__)

_READ_AT_ONCE: Final = 200  # changes: their texts may be long, and the writer takes few of such changes at a time


def planned_changes(workspace: Workspace, condition: str) -> Iterator[Change]:
    """The changes that meet a condition over `changes`, in their order."""
    rows = workspace.rows(changes_query(condition), _READ_AT_ONCE)
    for number, action, record, key, payload, on_create, later, columns, version in rows:
        yield Change(
            number=number,
            action=ChangeAction(action),
            id=None if record is None else str(record),
            key=key,
            payload=payload,
            columns=columns,
            later=later,
            on_create=on_create,
            version=version,
        )


def linked_changes(workspace: Workspace) -> list[Change]:
    """The references of created and adopted records that are written after all records exist."""
    return [
        Change(
            number=number,
            action=ChangeAction.UPDATE if record else ChangeAction.UPSERT,
            id=record,
            key=key,
            payload=links,
            version=version,
        )
        for number, record, key, links, version in workspace.query(LINKED_CHANGES)
    ]


_CORRECT: Final = f"""
UPDATE outcomes SET result = ?, status = ?, code = ?, stopped = ?,
  message = concat(?::VARCHAR, {CREATED_OR_ADOPTED}, ?::VARCHAR)
WHERE _change = ?""".strip()


def make_outcomes(workspace: Workspace) -> None:
    """Make the table, without rows."""
    workspace.create(OUTCOMES)


def keep_outcomes(
    workspace: Workspace, outcomes: Sequence[Outcome], *, adopting: bool = False, applied: Result = Result.APPLIED
) -> None:
    """Write outcomes of different changes into the table.

    Args:
        workspace: Has the table.
        outcomes: Of different changes.
        adopting: They are of inserts, and one whose key is taken is not final.
        applied: The result of changes that were made.
    """
    rows = [_row(outcome, adopting=adopting, applied=applied) for outcome in outcomes]
    if rows:
        workspace.execute(KEEP_OUTCOMES, [json.dumps(rows)])


def is_taken(outcome: Failed) -> bool:
    """Whether another record has the key of an insert; with an id the create was made, and what follows it failed."""
    return not outcome.id and outcome.code in KEY_TAKEN


def taken_keys(workspace: Workspace) -> list[tuple[int, str]]:
    """The inserts whose key is taken: number of the change, and its key as a JSON object."""
    return [(number, key) for number, key in workspace.query(taken_keys_query())]


def correct_outcomes(workspace: Workspace, outcomes: Sequence[Outcome]) -> None:
    """Replace the outcomes of records whose references could not be written.

    Args:
        workspace: Has an outcome of each of these changes: that the record was created, or adopted.
        outcomes: Of the second request; one that was made changes nothing.
    """
    for outcome in outcomes:
        match outcome:
            case Failed():
                result = Result.EDITED if outcome.edited else Result.FAILED
                texts = ["the record was ", f", but its references were refused: {outcome.message}"]
                values = [result, outcome.status, outcome.code, None, *texts, outcome.number]
            case Skipped():
                texts = [f"{outcome.reason}; the record was ", " without its references"]
                values = [Result.SKIPPED, None, None, outcome.reason, *texts, outcome.number]
            case _:
                continue
        workspace.execute(_CORRECT, values)


def resolve_taken(workspace: Workspace) -> None:
    """Give each insert whose key is taken its result: adopted or failed; of one that becomes an update, none yet.

    Args:
        workspace: Has the table `adoptions` as well.
    """
    for statement in resolve_taken_statements():
        workspace.execute(statement)


def skip_rest(workspace: Workspace, reason: str) -> None:
    """Give every change that has no final outcome the outcome that it was skipped."""
    for statement in skip_statements():
        workspace.execute(statement, [reason])


def name_links(
    workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata, layout: Sequence[TargetColumn]
) -> None:
    """Note in `outcomes` which ids the service gave to new links; where they cannot be read, this is logged.

    Args:
        workspace: Has an outcome of each change.
        dataverse: Is asked for the links.
        entity: The table; one that is no intersect table has no links.
        layout: Its target columns; none where nobody needs the ids.
    """
    keys = [key for (key,) in workspace.query(UNNAMED_LINKS)] if entity.intersect and layout else []
    if not keys:
        return
    workspace.drop(LINKS_MADE)
    workspace.run(current_table_step(layout, name=LINKS_MADE, title="Create the table of new links", stored_keys=True))
    try:
        dataverse.read(workspace, entity, layout, keys=keys, into=LINKS_MADE)
    except SyncError as error:
        log.warning("The ids of new links cannot be read, so the ledger does not have these links: %s", error.message)
    workspace.execute(name_links_statement(layout))


def failed_count(workspace: Workspace) -> int:
    """How many changes failed."""
    return int(workspace.query(failed_count_query())[0][0])


def refused_count(workspace: Workspace, condition: str) -> int:
    """How many outcomes meet a condition."""
    return int(workspace.query(f"SELECT count(*) FROM outcomes WHERE {condition}")[0][0])


def outcome_counts(workspace: Workspace) -> OutcomeCounts:
    """Count applied changes by what they did, and those that adopted a record, failed or were skipped."""
    return OutcomeCounts(**dict(workspace.query(outcome_counts_query())))


def skip_reason(workspace: Workspace) -> str:
    """What stopped the write, so that changes were skipped; empty when none was."""
    return workspace.query(skip_reason_query())[0][0] or ""


def _row(outcome: Outcome, *, adopting: bool, applied: Result) -> dict[str, Any]:
    match outcome:
        case Applied():
            return {"n": outcome.number, "result": applied, "id": outcome.id, "created": outcome.created}
        case Failed():
            return {
                "n": outcome.number,
                "result": _refused(outcome, adopting=adopting),
                "id": outcome.id,
                "status": outcome.status,
                "code": outcome.code,
                "message": outcome.message,
                "sent": outcome.sent,
            }
        case Skipped():
            return {
                "n": outcome.number,
                "result": Result.SKIPPED,
                "id": outcome.id,
                "message": outcome.reason,
                "sent": outcome.sent,
                "stopped": outcome.reason,
            }


def _refused(outcome: Failed, *, adopting: bool) -> Result:
    if adopting and is_taken(outcome):
        return Result.TAKEN
    return Result.EDITED if outcome.edited else Result.FAILED
