"""What an undo notes in the ledger of its sync."""

from __future__ import annotations

from shared.definitions import SyncDefinition
from shared.definitions.models import WritePolicy
from shared.entities import EntityMetadata
from shared.jobs.batch.job import Tools
from shared.jobs.batch.undo.preparation import PreparedUndo
from shared.memory import Ledger, ledger_owner
from shared.reconcile.undo.remembered import LEDGER_ROWS, OWN_NO_MORE, fill_rows, intended_rows, undone_rows
from shared.transform import TargetColumn, both_halves
from shared.workspace import Table, Workspace

__all__ = ["load_ledger", "note_in_ledger", "note_intents"]


def load_ledger(
    definition: SyncDefinition, entity: EntityMetadata, workspace: Workspace, tools: Tools, *, before_writes: bool
) -> Ledger:
    """Fill the table `ledger` with the rows of the records that are undone, as they are stored.

    Args:
        definition: The sync, which keeps a ledger.
        entity: The table.
        workspace: Of the undo, with its decisions.
        tools: Have the state store.
        before_writes: Nothing was written yet: `note_intents` may take the entries of events into the files. What
            events note later stays beside what the undo notes, because nobody knows which of the two came last.

    Raises:
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    owner = ledger_owner(tools.dataverse.environment, entity.logical_name)
    ledger = Ledger(tools.state, definition.name, owner=owner, now=tools.clock.now())
    workspace.drop(Table.LEDGER)  # it is read before the writes and again after them: events change it meanwhile
    workspace.create(LEDGER_ROWS)
    if before_writes:
        ledger.look()
    ledger.load(workspace, fill_rows)
    return ledger


def note_intents(
    ledger: Ledger, definition: SyncDefinition, prepared: PreparedUndo, workspace: Workspace, *, fence: int
) -> None:
    """Note before the first write what the undo is about to do; `load_ledger` gives the ledger.

    What events have noted goes into the files with it. Otherwise their entries would count beside what the undo notes
    at its end: a mark, a value or a record that it takes away from the sync would be the sync's own again.

    Raises:
        LedgerConflictError, RetryLater, AbortRun: As `note_in_ledger`; nothing was written to Dataverse.
    """
    workspace.create(intended_rows(_guarded(definition, prepared)))
    ((rows,),) = workspace.query(
        f"SELECT (SELECT count(*) FROM {Table.LEDGER_BEFORE}) + (SELECT count(*) FROM {Table.LEDGER})"
    )
    if rows:
        ledger.begin(workspace, Table.LEDGER_BEFORE, fence=fence)


def note_in_ledger(
    definition: SyncDefinition, prepared: PreparedUndo, workspace: Workspace, tools: Tools, *, fence: int
) -> None:
    """Note which values and marks were set back, which records were deleted or created again, and which are not own.

    Args:
        definition: The sync, which keeps a ledger.
        prepared: The undo.
        workspace: Of the undo, with its outcomes.
        tools: Have the state store.
        fence: Fencing number of the lease of the sync.

    Raises:
        LedgerConflictError: Another run has changed the ledger, because this one lost its lease.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    ledger = load_ledger(definition, prepared.entity, workspace, tools, before_writes=False)
    workspace.execute(OWN_NO_MORE)
    workspace.create(undone_rows(_guarded(definition, prepared)))
    ((rows,),) = workspace.query(f"SELECT count(*) FROM {Table.LEDGER_AFTER}")
    if rows:
        ledger.append(workspace, Table.LEDGER_AFTER, fence=fence)


def _guarded(definition: SyncDefinition, prepared: PreparedUndo) -> list[TargetColumn]:
    names = {each.target for each in definition.destination.mappings if each.write is WritePolicy.UNLESS_EDITED}
    known = both_halves(names)  # of a state the ledger has the status too
    return [column for column in prepared.layout if column.name in known]
