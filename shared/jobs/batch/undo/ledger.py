"""What an undo notes in the ledger of its sync."""

from __future__ import annotations

from shared.definitions import SyncDefinition
from shared.definitions.models import WritePolicy
from shared.jobs.batch.job import Tools
from shared.jobs.batch.undo.preparation import PreparedUndo
from shared.memory import Ledger, ledger_owner
from shared.reconcile.undo.remembered import LEDGER_ROWS, fill_rows, undone_rows
from shared.workspace import Table, Workspace

__all__ = ["note_in_ledger"]


def note_in_ledger(
    definition: SyncDefinition, prepared: PreparedUndo, workspace: Workspace, tools: Tools, *, fence: int
) -> None:
    """Note which values and marks were set back, and which records were deleted.

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
    guarded = {each.target for each in definition.destination.mappings if each.write is WritePolicy.UNLESS_EDITED}
    owner = ledger_owner(tools.dataverse.environment, prepared.entity.logical_name)
    ledger = Ledger(tools.state, definition.name, owner=owner, now=tools.clock.now())
    workspace.create(LEDGER_ROWS)
    ledger.load(workspace, fill_rows)
    workspace.create(undone_rows([column for column in prepared.layout if column.name in guarded]))
    ((rows,),) = workspace.query(f"SELECT count(*) FROM {Table.LEDGER_AFTER}")
    if rows:
        ledger.append(workspace, Table.LEDGER_AFTER, fence=fence)
