"""What is kept of one record: its history, and its erasure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.jobs import Phase, Progress
from shared.jobs.batch.undo.erasing import Eraser, ErasureCounts
from shared.jobs.batch.undo.history import History, history_of

if TYPE_CHECKING:
    from shared.app.app import App
    from shared.state import StateStore

__all__ = ["erase", "history"]


def history(app: App, name: str, key: Sequence[str], progress: Progress) -> History:
    """What happened to one record of a sync.

    Args:
        app: Has the state.
        name: The sync.
        key: The values of the record's key in their order, or its id.
        progress: Gets the phase.

    Raises:
        SyncError: As `history_of`.
    """
    progress.phase(Phase.LOAD)
    since = datetime.now(UTC) - timedelta(days=app.settings.journal_days + 1)
    return history_of(app.state, name, key, lambda: app.open_small(()), since)


def erase(app: App, key: Sequence[str], progress: Progress, *, sync: str | None, apply: bool) -> ErasureCounts:
    """Remove the values of one record from everything that is kept, or only count where they are.

    Args:
        app: Has the state and the definitions.
        key: The values of the record's key in their order, or its id.
        progress: Gets the phase.
        sync: Only what is kept of this sync; None for all.
        apply: Whether they are removed.

    Raises:
        SyncError: As `Eraser.erase`.
        UserError: Nothing is kept of this sync, and no definition has its name.
    """
    progress.phase(Phase.LOAD)
    names = [loaded.name for loaded in app.definitions()]
    if sync is not None and sync not in names and not _is_kept(app.state, sync):
        app.definition(sync)
    eraser = Eraser(state=app.state, key=key, open_workspace=lambda: app.open_small(()))
    return eraser.erase(names if sync is None else [sync], only=sync, apply=apply)


def _is_kept(state: StateStore, sync: str) -> bool:
    """Whether something is kept of a sync, whose definition may be gone."""
    if not sync:  # dead letters that no listener takes are kept under an empty name
        return False
    if state.runs(sync, 1) or state.ledger(sync) or state.mirror(sync) or state.count_dead_letters(sync):
        return True
    return bool(state.ledger_parts(sync) or state.mirror_parts(sync))  # a run that died has left them
