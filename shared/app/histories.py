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
    """
    progress.phase(Phase.LOAD)
    names = [loaded.name for loaded in app.definitions()]
    eraser = Eraser(state=app.state, key=key, open_workspace=lambda: app.open_small(()))
    return eraser.erase([sync] if sync else names, only=sync, apply=apply)
