"""What a run reads from the ledger of its sync, and what it adds to it: before the first write and after the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.counted import counted
from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata, LedgerStore
from shared.memory import Ledger, ledger_owner
from shared.reconcile import after_writing, before_writing, fill_ledger
from shared.transform import TargetColumn
from shared.transform.metadata_columns import takes_ids
from shared.workspace import Step, Table, Workspace

__all__ = ["Remembering", "remembering_steps"]


_READ: Final = f"id IN (SELECT _id FROM {Table.CURRENT})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering:
    """The ledger of one run.

    Attributes:
        columns: The target columns.
    """

    definition: SyncDefinition
    entity: EntityMetadata
    columns: Sequence[TargetColumn]
    ledger: Ledger

    @classmethod
    def of(
        cls,
        definition: SyncDefinition,
        entity: EntityMetadata,
        columns: Sequence[TargetColumn],
        store: LedgerStore,
        *,
        environment: str,
        now: datetime,
    ) -> Remembering | None:
        """The ledger of a run in an environment; None where the definition needs none."""
        if not definition.keeps_ledger:
            return None
        ledger = Ledger(store, definition.name, owner=ledger_owner(environment, entity.logical_name), now=now)
        return cls(definition=definition, entity=entity, columns=columns, ledger=ledger)

    def look(self) -> None:
        """Note what events have added, before the records are read.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self.ledger.look()

    def load(self, workspace: Workspace, *, keyed: bool) -> None:
        """Fill the table `ledger`.

        Args:
            workspace: The run's database.
            keyed: Take only the records that were read: few of the table, so few of the ledger.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self.ledger.load(workspace, lambda rows: fill_ledger(self.columns, rows), _READ if keyed else "true")

    def note_before(self, workspace: Workspace, *, fence: int) -> None:
        """Add what the run is about to write: so the next run knows what a run that died may have written.

        Raises:
            LedgerConflictError: Another run has changed the ledger; nothing was written.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        for step in _before(self.definition, self.entity, self.columns):
            workspace.run(step)
        self.ledger.begin(workspace, Table.LEDGER_BEFORE, fence=fence)

    def note_after(self, workspace: Workspace, *, fence: int) -> None:
        """Add the result of the records.

        Raises:
            LedgerConflictError: Another run has changed the ledger, because this one lost its lease.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        for step in after_writing(self.definition, self.columns):
            workspace.run(step)
        self.ledger.append(workspace, Table.LEDGER_AFTER, fence=fence)

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the ledger."""
        if not self.ledger.missing:
            return ()
        records = counted(self.ledger.noted, "record")
        noted = f", but for {records} that events have written," if self.ledger.noted else ","
        note = (
            f"the ledger of this sync is missing ({self.ledger.missing}): nothing is dropped, reactivated or "
            f"overwritten that only the ledger allows{noted} and a new one is begun"
        )
        return (note,)


def _before(definition: SyncDefinition, entity: EntityMetadata, columns: Sequence[TargetColumn]) -> tuple[Step, ...]:
    return before_writing(definition, columns, with_ids=takes_ids(entity))


def remembering_steps(
    definition: SyncDefinition, entity: EntityMetadata, columns: Sequence[TargetColumn]
) -> tuple[Step, ...]:
    """The SQL of the steps before the first write and after the last; empty where no ledger is kept."""
    return (
        (*_before(definition, entity, columns), *after_writing(definition, columns)) if definition.keeps_ledger else ()
    )
