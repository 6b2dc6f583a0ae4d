"""The table `outcomes`, with one row for each change of a run: it is made, filled and read here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from shared.dataverse import KEY_TAKEN, Applied, Failed, Outcome, Skipped
from shared.jobs.summary import Done
from shared.workspace import NewTable, Table, Workspace, json_rows

__all__ = [
    "EDITED_CHANGES",
    "FAILED_CHANGES",
    "Result",
    "failed_count",
    "is_taken",
    "keep_outcomes",
    "make_outcomes",
    "outcome_counts",
    "settle_taken",
    "skip_reason",
    "skip_rest",
    "taken_keys",
]


class Result(StrEnum):
    """What became of a change, as the table has it."""

    APPLIED = "applied"
    ADOPTED = "adopted"
    TAKEN = "taken"  # not final: an insert was refused because another record has its key
    FAILED = "failed"
    SKIPPED = "skipped"
    EDITED = "edited"  # the record was changed after it was compared, and keeps its values


_TABLE: Final = NewTable(
    name=Table.OUTCOMES,
    columns="(_change BIGINT, result VARCHAR, id UUID, created BOOLEAN, status INTEGER, code VARCHAR, message VARCHAR)",
)
_OUTCOME: Final = {
    "n": "BIGINT",
    "result": "VARCHAR",
    "id": "UUID",
    "created": "BOOLEAN",
    "status": "INTEGER",
    "code": "VARCHAR",
    "message": "VARCHAR",
}
_KEEP: Final = f"INSERT INTO outcomes SELECT {', '.join(f'r.{name}' for name in _OUTCOME)} FROM {json_rows(_OUTCOME)}"
FAILED_CHANGES: Final = f"""(
    SELECT _change, c.action, c._row, coalesce(c._id, o.id) AS _id, o.code, o.message
    FROM outcomes o JOIN changes c USING (_change) WHERE o.result = '{Result.FAILED}')"""
"""SQL of a table: the changes that Dataverse refused, each with the service's code and message."""

EDITED_CHANGES: Final = f"""(
    SELECT c._row, c._id FROM outcomes o JOIN changes c USING (_change) WHERE o.result = '{Result.EDITED}')"""
"""SQL of a table: the changes that were not made, because the record was changed after it was compared."""

_TAKEN_KEYS: Final = (
    f"SELECT _change, key FROM outcomes JOIN changes USING (_change) WHERE result = '{Result.TAKEN}' ORDER BY _change"
)
_ADOPTED: Final = f"""
UPDATE outcomes SET result = '{Result.ADOPTED}', id = adoptions._id, status = NULL, code = NULL, message = NULL
FROM adoptions
WHERE adoptions._change = outcomes._change AND result = '{Result.TAKEN}' AND adoptions.action <> 'update'""".strip()
# Of these the update's outcome is the insert's.
_UPDATED: Final = f"DELETE FROM outcomes WHERE result = '{Result.TAKEN}' AND _change IN (SELECT _change FROM adoptions)"
_REFUSED: Final = f"UPDATE outcomes SET result = '{Result.FAILED}' WHERE result = '{Result.TAKEN}'"
_COUNTS: Final = (
    f"SELECT CASE o.result WHEN '{Result.APPLIED}' THEN c.action::VARCHAR ELSE o.result END, count(*) "
    f"FROM outcomes o JOIN changes c USING (_change) WHERE o.result <> '{Result.TAKEN}' GROUP BY ALL"
)


def make_outcomes(workspace: Workspace) -> None:
    """Make the table, without rows."""
    workspace.create(_TABLE)


def keep_outcomes(
    workspace: Workspace, outcomes: Sequence[Outcome], *, adopting: bool = False, applied: Result = Result.APPLIED
) -> int:
    """Write outcomes of different changes into the table; returns how many of them are final.

    Args:
        workspace: Has the table.
        outcomes: Of different changes.
        adopting: They are of inserts, and one whose key is taken is not final.
        applied: The result of changes that were made.
    """
    rows = [_row(outcome, adopting=adopting, applied=applied) for outcome in outcomes]
    if rows:
        workspace.execute(_KEEP, [json.dumps(rows)])
    return sum(row["result"] != Result.TAKEN for row in rows)


def is_taken(outcome: Failed) -> bool:
    """Whether another record has the key of an insert; with an id the create was made, and what follows it failed."""
    return not outcome.id and outcome.code in KEY_TAKEN


def taken_keys(workspace: Workspace) -> list[tuple[int, str]]:
    """The inserts whose key is taken: number of the change, and its key as a JSON object."""
    return [(number, key) for number, key in workspace.query(_TAKEN_KEYS)]


def settle_taken(workspace: Workspace) -> None:
    """Give each insert whose key is taken its result: adopted or failed; of one that becomes an update, none yet.

    Args:
        workspace: Has the table `adoptions` as well.
    """
    for statement in (_ADOPTED, _UPDATED, _REFUSED):
        workspace.execute(statement)


def skip_rest(workspace: Workspace, reason: str) -> None:
    """Give every change that has no final outcome the outcome that it was skipped."""
    workspace.execute(
        f"UPDATE outcomes SET result = '{Result.SKIPPED}', message = ? WHERE result = '{Result.TAKEN}'", [reason]
    )
    workspace.execute(
        f"INSERT INTO outcomes (_change, result, message) SELECT _change, '{Result.SKIPPED}', ? FROM changes "
        "WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes._change = changes._change)",
        [reason],
    )


def failed_count(workspace: Workspace) -> int:
    """How many changes failed."""
    return int(workspace.query(f"SELECT count(*) FROM outcomes WHERE result = '{Result.FAILED}'")[0][0])


def outcome_counts(workspace: Workspace) -> Done:
    """Count applied changes by what they did, and those that adopted a record, failed or were skipped."""
    return Done(**dict(workspace.query(_COUNTS)))


def skip_reason(workspace: Workspace) -> str:
    """Why changes were skipped; empty when none was."""
    rows = workspace.query(f"SELECT min(message) FROM outcomes WHERE result = '{Result.SKIPPED}'")
    return rows[0][0] or ""


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
            }
        case Skipped():
            return {"n": outcome.number, "result": Result.SKIPPED, "message": outcome.reason}


def _refused(outcome: Failed, *, adopting: bool) -> Result:
    if adopting and is_taken(outcome):
        return Result.TAKEN
    return Result.EDITED if outcome.edited else Result.FAILED
