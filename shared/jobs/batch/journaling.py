"""The journal of a run while it runs: what it is about to write goes in before that is sent, the outcomes after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from shared.dataverse import Dataverse
from shared.entities import EntityMetadata
from shared.jobs.batch.job import BatchJob, Tools, keeps_journal
from shared.jobs.batch.plans.about import environment_of
from shared.memory.journal import ROWS_IN_A_PART, Journal
from shared.reconcile.ledger import STORED_ROWS
from shared.reconcile.outcomes import changes_count_query
from shared.reconcile.undo.journal import (
    ADOPTED,
    ADOPTED_UPDATES,
    DELETED,
    DELETED_IDS,
    DELETED_TABLE,
    DELETES,
    DONE,
    FIRST_ADOPTED,
    MATCHED,
    NEW_IDS,
    NEWLY_MATCHED,
    PLANNED,
    REMEMBERED,
    deleted_query,
    deleted_table,
    done_query,
    matched_query,
    planned_query,
    remembered_query,
)
from shared.transform.metadata_columns import metadata_layout, takes_ids, writable_columns
from shared.workspace import Workspace

__all__ = ["ANSWERED", "Journaling"]

ANSWERED: Final = "answered"
"""When the service gave its last answer, by the service's clock, in what a journal is about."""
# A few requests each; their records are held at once, with all columns.
_DELETED_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Journaling:
    """What a run adds to its journal.

    Attributes:
        about: What the journal is about, as JSON values.
        planned: SQL of the changes of some numbers, from the first to the last.
        ledger: SQL of the rows of the ledger before the writes; empty where the sync keeps none.
        own: It matters which records are the sync's own, and a run may match more of them.
    """

    journal: Journal
    dataverse: Dataverse
    entity: EntityMetadata
    about: dict[str, Any]
    planned: Callable[[int, int], str] = planned_query
    ledger: str = ""
    own: bool = False

    @classmethod
    def of(cls, job: BatchJob, tools: Tools, entity: EntityMetadata) -> Journaling | None:
        """The journal of a run; None where none is kept: the settings ask for none, or its strategy compares nothing.

        Args:
            job: The run.
            tools: What it works with.
            entity: The table that it writes to.
        """
        if not keeps_journal(job.definition, tools):
            return None
        return cls(
            journal=Journal(tools.state, job.options.run_id),
            dataverse=tools.dataverse,
            entity=entity,
            about={
                "sync": job.definition.name,
                "environment": environment_of(job),
                "entity": entity.logical_name,
            },
            ledger=STORED_ROWS if job.definition.keeps_ledger else "",
            own=job.definition.keeps_ledger and job.definition.sync_behaviour.dropped_scope == "own",
        )

    def note_before(self, workspace: Workspace) -> int:
        """Keep what is about to be written, and what the records hold that are about to be deleted.

        New records get their ids here, so that they are known even if the process dies.

        Returns:
            The number of the last change that is planned; 0 without one. `note_after` needs it.

        Raises:
            RetryLater, AbortRun: The state store or Dataverse is unavailable, or refuses us; nothing was written.
        """
        ((_, changes),) = workspace.query(changes_count_query())
        if not changes:
            return 0
        if takes_ids(self.entity):
            workspace.run(NEW_IDS)
        self._put(workspace, PLANNED, self.planned, changes)
        if not self.entity.intersect:
            self._keep_deleted(workspace)
            self._keep_remembered(workspace)
        # From here on the run counts as one that may have written.
        self.journal.put_about(self.about)
        return int(changes)

    def note_adopted(self, workspace: Workspace) -> None:
        """Keep the updates of one round of adopted records, which are about to be sent.

        May be called again for the same round: its part is named by its first change.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        ((first,),) = workspace.query(FIRST_ADOPTED)
        if first is not None:
            self.journal.put(workspace, ADOPTED, first, ADOPTED_UPDATES)

    def note_after(self, workspace: Workspace, last: int) -> None:
        """Keep the result of the changes.

        Args:
            workspace: Has the outcomes.
            last: The number of the last change that was planned.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        if not workspace.query("SELECT 1 FROM outcomes LIMIT 1"):
            return
        self._put(workspace, DONE, done_query, last)
        if self.own:
            self._keep_matched(workspace)
        if (answered := self.dataverse.service.meter.answered) is not None:
            self.journal.put_about({**self.about, ANSWERED: answered.isoformat()})

    def _put(
        self, workspace: Workspace, kind: str, query: Callable[[int, int], str], last: int, start: int = 1
    ) -> None:
        for number, first in enumerate(range(start, last + 1, ROWS_IN_A_PART)):
            self.journal.put(workspace, kind, number, query(first, min(first + ROWS_IN_A_PART - 1, last)))

    def _keep_deleted(self, workspace: Workspace) -> None:
        layout = metadata_layout(self.entity, writable_columns(self.entity))
        table = deleted_table(layout)
        part, ids = 0, (str(record) for (record,) in workspace.rows(DELETED_IDS))
        while keys := list(self._keys(islice(ids, _DELETED_AT_ONCE))):
            workspace.drop(DELETED_TABLE)
            workspace.run(table)
            self.dataverse.read(workspace, self.entity, layout, keys=keys, into=DELETED_TABLE)
            self.journal.put(workspace, DELETED, part, deleted_query(layout))
            part += 1

    def _keep_remembered(self, workspace: Workspace) -> None:
        """Keep what the ledger says of the records that are about to be deleted, which it forgets afterwards."""
        ((first, last),) = workspace.query(DELETES)
        if self.ledger and last is not None:
            self._put(workspace, REMEMBERED, partial(remembered_query, self.ledger), last, first)

    def _keep_matched(self, workspace: Workspace) -> None:
        """Keep which records the run was the first to match: its undo makes them again what they were to the sync."""
        workspace.drop(NEWLY_MATCHED.name)  # of a call that the state store did not answer
        workspace.create(NEWLY_MATCHED)
        ((matched,),) = workspace.query(f"SELECT count(*) FROM {NEWLY_MATCHED.name}")
        self._put(workspace, MATCHED, matched_query, matched)

    def _keys(self, ids: Iterator[str]) -> Iterator[str]:
        return (json.dumps({self.entity.primary_id: record}) for record in ids)
