"""The writing half of a run: changes go out, outcomes come back and are kept beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed, Outcome, Skipped
from shared.entities import EntityMetadata
from shared.jobs.progress import Phase, Progress
from shared.jobs.summary import Done
from shared.workspace import Workspace

__all__ = ["OUTCOMES_TABLE", "WriteLimits", "outcome_counts", "skip_reason", "write_changes"]

KEPT_AT_ONCE = 5000  # outcomes that go into the workspace with one statement

OUTCOMES_TABLE = (
    "CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, created BOOLEAN, "
    "status INTEGER, code VARCHAR, message VARCHAR)"
)
_KEEP = """
    INSERT INTO outcomes
    SELECT r.n, r.result, r.id, r.created, r.status, r.code, r.message
    FROM (SELECT unnest(from_json(?::JSON,
        '[{"n":"BIGINT","result":"VARCHAR","id":"UUID","created":"BOOLEAN","status":"INTEGER",
           "code":"VARCHAR","message":"VARCHAR"}]')) AS r)
"""
_CHANGES = "SELECT _change, action, _id, key, payload, columns FROM changes ORDER BY _change"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimits:
    """What ends the writing early.

    Attributes:
        deadline: The moment by which the last answer must be in; None for no limit.
        max_errors: More failed changes than this stop the run.
        cancelled: Asked between chunks; True stops the run.
    """

    deadline: datetime | None = None
    max_errors: int | None = None
    cancelled: Callable[[], bool] = lambda: False


def write_changes(
    workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata, limits: WriteLimits, progress: Progress
) -> None:
    """Send every change and keep its outcome; afterwards each change has exactly one.

    Raises:
        AbortRun: Dataverse refuses all writes; outcomes so far are kept.
        RetryLater: Dataverse is away beyond patience; outcomes so far are kept.
    """
    ((total,),) = workspace.query("SELECT count(*) FROM changes")
    progress.phase(Phase.WRITE, total)
    if not total:
        return
    buffer: list[Outcome] = []
    try:
        for outcome in dataverse.write(
            entity,
            _changes(workspace),
            deadline=limits.deadline,
            max_errors=limits.max_errors,
            cancelled=limits.cancelled,
        ):
            buffer.append(outcome)
            if len(buffer) >= KEPT_AT_ONCE:
                _keep(workspace, buffer, progress.advance)
    finally:
        _keep(workspace, buffer, progress.advance)


def outcome_counts(workspace: Workspace) -> Done:
    """Count applied changes by what they did, and those that failed or were skipped."""
    rows = workspace.query(
        "SELECT CASE o.result WHEN 'applied' THEN c.action::VARCHAR ELSE o.result END, count(*) "
        "FROM outcomes o JOIN changes c USING (_change) GROUP BY ALL"
    )
    return Done(**dict(rows))


def skip_reason(workspace: Workspace) -> str:
    """Why changes were skipped; empty when none was."""
    rows = workspace.query("SELECT min(message) FROM outcomes WHERE result = 'skipped'")
    return rows[0][0] or ""


def _changes(workspace: Workspace) -> Iterator[Change]:
    for number, action, record, key, payload, columns in workspace.rows(_CHANGES):
        yield Change(
            number=number,
            action=ChangeAction(action),
            id=None if record is None else str(record),
            key=key,
            payload=payload,
            columns=columns,
        )


def _keep(workspace: Workspace, buffer: list[Outcome], advance: Callable[[int], None]) -> None:
    if buffer:
        workspace.execute(_KEEP, [json.dumps([_row(outcome) for outcome in buffer])])
        advance(len(buffer))
        buffer.clear()


def _row(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case Applied():
            return {"n": outcome.number, "result": "applied", "id": outcome.id, "created": outcome.created}
        case Failed():
            return {
                "n": outcome.number,
                "result": "failed",
                "status": outcome.status,
                "code": outcome.code,
                "message": outcome.message,
            }
        case Skipped():
            return {"n": outcome.number, "result": "skipped", "message": outcome.reason}
