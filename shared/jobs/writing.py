"""The writing part of a run: changes are sent, and their outcomes are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from shared.dataverse import Change, ChangeAction, Dataverse, Failed, Outcome, Skipped, WriteLimits
from shared.entities import EntityMetadata
from shared.errors import SyncError
from shared.jobs.adoption import Adoption
from shared.jobs.outcomes import Result, failed_count, is_taken, keep_outcomes, skip_rest
from shared.jobs.progress import Phase, Progress
from shared.workspace import Workspace

__all__ = ["write_changes"]

KEPT_AT_ONCE = 5000  # outcomes that go into the workspace with one statement
TAKEN_AT_ONCE = 1000  # inserts that wait until the record with their key is known: as many as may fail by default

_FIELDS = "_change, action, _id, key, payload, on_create, later, columns, version"
_CHANGES = f"SELECT {_FIELDS} FROM changes WHERE {{}} ORDER BY _change"


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
        RetryLater: Dataverse is away for too long; outcomes so far are kept.
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
    """The changes of one run during the write; `stopped` is the reason why no more changes are sent."""

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
        self._failed = failed_count(self._workspace)
        self.send(iter(updates), len(updates), applied=Result.ADOPTED)

    def send(
        self,
        changes: Iterator[Change],
        count: int,
        *,
        adopting: bool = False,
        applied: Result = Result.APPLIED,
    ) -> None:
        """Send changes and keep their outcomes, unless there are none or the run has stopped."""
        self.stopped = self.stopped or self._limits.too_many(self._failed)
        if self.stopped or not count:
            return
        limits = replace(self._limits.after(self._failed), adopting=adopting)
        buffer: list[Outcome] = []
        keep = partial(self._keep, buffer, adopting=adopting, applied=applied)
        try:
            for outcome in self._dataverse.write(self._entity, changes, limits):
                buffer.append(outcome)
                self._note(outcome, adopting=adopting)
                if len(buffer) >= KEPT_AT_ONCE:
                    keep()
        finally:
            keep()

    def _note(self, outcome: Outcome, *, adopting: bool) -> None:
        match outcome:
            case Failed() if adopting and is_taken(outcome):
                self._taken += 1
            case Failed() if outcome.edited:
                pass  # the record keeps what others wrote; that is not an error
            case Failed():
                self._failed += 1
            case Skipped():
                self.stopped = outcome.reason

    def _keep(self, buffer: list[Outcome], *, adopting: bool, applied: Result) -> None:
        rows = keep_outcomes(self._workspace, buffer, adopting=adopting, applied=applied)
        self._progress.advance(rows)
        buffer.clear()

    def skip_rest(self) -> None:
        """Give the changes that were not sent their outcome, where the run has stopped."""
        if not self.stopped:
            return
        skip_rest(self._workspace, self.stopped)


def _changes(workspace: Workspace, condition: str) -> Iterator[Change]:
    rows = workspace.rows(_CHANGES.format(condition))
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
