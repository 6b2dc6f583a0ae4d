"""What an undo notes in the ledger of its sync."""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions import SyncDefinition
from shared.definitions.models import WritePolicy
from shared.jobs.batch.job import Tools
from shared.memory import Ledger
from shared.reconcile.undo.remembered import LEDGER_ROWS, fill_rows, undone_rows
from shared.transform import TargetColumn
from shared.workspace import Table, Workspace

__all__ = ["note_in_ledger"]


def note_in_ledger(
    definition: SyncDefinition, layout: Sequence[TargetColumn], workspace: Workspace, tools: Tools, *, fence: int
) -> None:
    """Note which values and marks were set back, and which records were deleted.

    Args:
        definition: The sync, which keeps a ledger.
        layout: The columns that the undo writes.
        workspace: Of the undo, with its outcomes.
        tools: Have the state store.
        fence: Fencing number of the lease of the sync.

    Raises:
        LedgerConflictError: Another run has changed the ledger, because this one lost its lease.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    guarded = {each.target for each in definition.destination.mappings if each.write is WritePolicy.UNLESS_EDITED}
    ledger = Ledger(tools.state, definition.name, now=tools.clock.now())
    workspace.create(LEDGER_ROWS)
    ledger.load(workspace, fill_rows)
    workspace.create(undone_rows([column for column in layout if column.name in guarded]))
    ((rows,),) = workspace.query(f"SELECT count(*) FROM {Table.LEDGER_AFTER}")
    if rows:
        ledger.append(workspace, Table.LEDGER_AFTER, fence=fence)
