"""What happened to one record, from the journals of its sync."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.jobs import Phase, Progress
from shared.jobs.batch.undo.history import History, history_of

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["history"]


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
