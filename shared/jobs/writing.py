"""The writing half of a run: changes go out, outcomes come back and are kept beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from shared.dataverse import KEY_TAKEN, Applied, Change, ChangeAction, Dataverse, Failed, Outcome, Skipped
from shared.entities import EntityMetadata
from shared.errors import SyncError
from shared.jobs.adoption import ADOPTED, TAKEN, Adoption
from shared.jobs.progress import Phase, Progress
from shared.jobs.summary import Done
from shared.workspace import Workspace, json_rows

__all__ = ["OUTCOMES_TABLE", "WriteLimits", "keep_outcomes", "outcome_counts", "skip_reason", "write_changes"]

KEPT_AT_ONCE = 5000  # outcomes that go into the workspace with one statement
TAKEN_AT_ONCE = 1000  # inserts that wait to hear whose record has their key: as many as may fail by default

OUTCOMES_TABLE = (
    "CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, created BOOLEAN, "
    "status INTEGER, code VARCHAR, message VARCHAR)"
)
_OUTCOME = {
    "n": "BIGINT",
    "result": "VARCHAR",
    "id": "UUID",
    "created": "BOOLEAN",
    "status": "INTEGER",
    "code": "VARCHAR",
    "message": "VARCHAR",
}
_KEEP = f"INSERT INTO outcomes SELECT {', '.join(f'r.{name}' for name in _OUTCOME)} FROM {json_rows(_OUTCOME)}"
_CHANGES = "SELECT _change, action, _id, key, payload, later, columns FROM changes WHERE {} ORDER BY _change"


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
    workspace: Workspace,
    dataverse: Dataverse,
    entity: EntityMetadata,
    limits: WriteLimits,
    progress: Progress,
    adoption: Adoption | None = None,
) -> None:
    """Send every change and keep its outcome; afterwards each change has exactly one.

    With an adoption the inserts go first and are all settled before anything else is sent: then it is known which
    records must not be dropped, and these drops are no longer among the changes.

    Raises:
        AbortRun: Dataverse refuses all writes; outcomes so far are kept.
        RetryLater: Dataverse is away beyond patience; outcomes so far are kept.
    """
    ((inserts, total),) = workspace.query("SELECT count(*) FILTER (action = 'insert'), count(*) FROM changes")
    progress.phase(Phase.WRITE, total)
    writing = _Writing(workspace, dataverse, entity, limits, progress)
    try:
        if adoption is None or not inserts:
            writing.send(_changes(workspace, "true"), total)
        else:
            writing.insert(_changes(workspace, "action = 'insert'"), adoption)
            writing.send(_changes(workspace, "action <> 'insert'"), total - inserts)
    except SyncError as error:
        writing.stopped = writing.stopped or f"aborted: {error.message}"
        raise
    finally:
        writing.skip_rest()


class _Writing:
    """The changes of one run on their way; `stopped` says why no more of them are sent."""

    def __init__(
        self,
        workspace: Workspace,
        dataverse: Dataverse,
        entity: EntityMetadata,
        limits: WriteLimits,
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._dataverse = dataverse
        self._entity = entity
        self._limits = limits
        self._progress = progress
        self._taken = 0
        self._failed = 0
        self.stopped = ""

    def insert(self, changes: Iterator[Change], adoption: Adoption) -> None:
        """Send inserts, and adopt the records that have the keys of some of them: in rounds, so that few wait."""
        self._taken = TAKEN_AT_ONCE
        while self._taken >= TAKEN_AT_ONCE and not self.stopped:
            self._taken = 0
            self.send(self._round(changes), 1, adopting=True)
            if self._taken and not self.stopped:
                self._adopt(adoption)

    def _round(self, changes: Iterator[Change]) -> Iterator[Change]:
        for change in changes:
            yield change
            if self._taken >= TAKEN_AT_ONCE:
                return

    def _adopt(self, adoption: Adoption) -> None:
        for table in ("holders", "adoptions"):  # of the round before
            self._workspace.execute(f"DROP TABLE IF EXISTS {table}")
        updates = adoption.decide(self._workspace)
        self._progress.advance(self._taken - len(updates))
        ((self._failed,),) = self._workspace.query("SELECT count(*) FROM outcomes WHERE result = 'failed'")
        self.send(iter(updates), len(updates), applied=ADOPTED)

    def send(self, changes: Iterator[Change], count: int, *, adopting: bool = False, applied: str = "applied") -> None:
        """Send changes and keep their outcomes, unless there are none or the run has stopped."""
        most = self._limits.max_errors
        if most is not None and self._failed > most:
            self.stopped = self.stopped or f"stopped after more than {most} errors"
        if self.stopped or not count:
            return
        buffer: list[Outcome] = []
        keep = partial(self._keep, buffer, adopting=adopting, applied=applied)
        try:
            for outcome in self._dataverse.write(
                self._entity,
                changes,
                deadline=self._limits.deadline,
                max_errors=None if most is None else most - self._failed,
                cancelled=self._limits.cancelled,
                adopting=adopting,
            ):
                buffer.append(outcome)
                self._note(outcome, adopting=adopting)
                if len(buffer) >= KEPT_AT_ONCE:
                    keep()
        finally:
            keep()

    def _note(self, outcome: Outcome, *, adopting: bool) -> None:
        match outcome:
            case Failed() if adopting and _is_taken(outcome):
                self._taken += 1
            case Failed():
                self._failed += 1
            case Skipped():
                self.stopped = outcome.reason

    def _keep(self, buffer: list[Outcome], *, adopting: bool, applied: str) -> None:
        rows = keep_outcomes(self._workspace, buffer, adopting=adopting, applied=applied)
        self._progress.advance(rows)
        buffer.clear()

    def skip_rest(self) -> None:
        """Give the changes that were not sent their outcome, where the run has stopped."""
        if not self.stopped:
            return
        self._workspace.execute(
            f"UPDATE outcomes SET result = 'skipped', message = ? WHERE result = '{TAKEN}'", [self.stopped]
        )
        self._workspace.execute(
            "INSERT INTO outcomes (_change, result, message) SELECT _change, 'skipped', ? FROM changes "
            "WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes._change = changes._change)",
            [self.stopped],
        )


def keep_outcomes(
    workspace: Workspace, outcomes: Sequence[Outcome], *, adopting: bool = False, applied: str = "applied"
) -> int:
    """Write outcomes down; returns how many of them are final.

    Args:
        workspace: Has the table `outcomes`.
        outcomes: Of different changes.
        adopting: They are of inserts, and a key that is taken is no end yet.
        applied: The result of changes that were made.
    """
    rows = [_row(outcome, adopting=adopting, applied=applied) for outcome in outcomes]
    if rows:
        workspace.execute(_KEEP, [json.dumps(rows)])
    return sum(row["result"] != TAKEN for row in rows)


def outcome_counts(workspace: Workspace) -> Done:
    """Count applied changes by what they did, and those that adopted a record, failed or were skipped."""
    rows = workspace.query(
        "SELECT CASE o.result WHEN 'applied' THEN c.action::VARCHAR ELSE o.result END, count(*) "
        f"FROM outcomes o JOIN changes c USING (_change) WHERE o.result <> '{TAKEN}' GROUP BY ALL"
    )
    return Done(**dict(rows))


def skip_reason(workspace: Workspace) -> str:
    """Why changes were skipped; empty when none was."""
    rows = workspace.query("SELECT min(message) FROM outcomes WHERE result = 'skipped'")
    return rows[0][0] or ""


def _changes(workspace: Workspace, condition: str) -> Iterator[Change]:
    for number, action, record, key, payload, later, columns in workspace.rows(_CHANGES.format(condition)):
        yield Change(
            number=number,
            action=ChangeAction(action),
            id=None if record is None else str(record),
            key=key,
            payload=payload,
            columns=columns,
            later=later,
        )


def _is_taken(outcome: Failed) -> bool:
    """Whether another record has the key of an insert; with an id the create was made, and what follows it failed."""
    return not outcome.id and outcome.code in KEY_TAKEN


def _row(outcome: Outcome, *, adopting: bool, applied: str) -> dict[str, object]:
    match outcome:
        case Applied():
            return {"n": outcome.number, "result": applied, "id": outcome.id, "created": outcome.created}
        case Failed():
            return {
                "n": outcome.number,
                "result": TAKEN if adopting and _is_taken(outcome) else "failed",
                "id": outcome.id,
                "status": outcome.status,
                "code": outcome.code,
                "message": outcome.message,
            }
        case Skipped():
            return {"n": outcome.number, "result": "skipped", "message": outcome.reason}
