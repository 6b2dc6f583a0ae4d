"""Deleted records that the recycle bin of the environment has: they are restored, not created again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed, Outcome, WriteLimits
from shared.dataverse.read.recycle_bin import ids_in_bin
from shared.entities import EntityMetadata
from shared.jobs.outcomes import keep_outcomes
from shared.reconcile.undo.bin import IDS_TO_CREATE, IN_BIN, NOTE_IN_BIN, TO_RESTORE
from shared.workspace import Workspace

__all__ = ["find_in_bin", "restore"]

_KEPT_AT_ONCE: Final = 5000
# A record that it refers to, or that referred to it, is not there: perhaps not yet.
_INCOMPLETE: Final = "0x80049959"


def find_in_bin(workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata) -> None:
    """Note which of the records that are to be created again can be restored.

    Raises:
        AbortRun, RetryLater: Dataverse refuses us, or is unavailable.
    """
    workspace.create(IN_BIN)
    if entity.elastic or entity.intersect:
        return
    ids = (str(record) for (record,) in workspace.rows(IDS_TO_CREATE))
    found: list[str] = []
    for record in ids_in_bin(dataverse.service, entity, ids):
        found.append(record)
        if len(found) >= _KEPT_AT_ONCE:
            workspace.execute(NOTE_IN_BIN, [found])
            found = []
    workspace.execute(NOTE_IN_BIN, [found])


def restore(workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata, limits: WriteLimits) -> None:
    """Restore the records that the recycle bin has; afterwards their changes have outcomes.

    A record that refers to another one needs it: it is tried again as long as others have been restored meanwhile.

    Raises:
        AbortRun, RetryLater: Dataverse refuses all writes, or is unavailable for too long; outcomes so far are kept.
    """
    wanted: Sequence[Change] | None = None
    while True:
        turn = _Turn(workspace)
        try:
            for outcome in dataverse.write(entity, _changes(workspace) if wanted is None else wanted, limits):
                turn.note(outcome)
        finally:
            turn.keep()
        if not turn.incomplete:
            return
        if not turn.restored:
            keep_outcomes(workspace, list(turn.incomplete.values()))
            return
        wanted = [change for change in (wanted or _changes(workspace)) if change.number in turn.incomplete]


class _Turn:
    """The outcomes of one turn: those that may still change, and the others, which are kept as they come."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._buffer: list[Outcome] = []
        self.incomplete: dict[int, Failed] = {}
        self.restored = 0

    def note(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed) and outcome.code == _INCOMPLETE:
            self.incomplete[outcome.number] = outcome
            return
        self.restored += isinstance(outcome, Applied)
        self._buffer.append(outcome)
        if len(self._buffer) >= _KEPT_AT_ONCE:
            self.keep()

    def keep(self) -> None:
        keep_outcomes(self._workspace, self._buffer)
        self._buffer.clear()


def _changes(workspace: Workspace) -> Iterator[Change]:
    for number, record, key in workspace.rows(TO_RESTORE):
        yield Change(number=number, action=ChangeAction.RESTORE, id=str(record), key=key)
