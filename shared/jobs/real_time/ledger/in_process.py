"""The ledgers of the syncs that listen, as one process keeps them between batches of events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.jobs.real_time.ledger.wave_ledger import WaveLedger
from shared.jobs.real_time.sync import PreparedSync
from shared.memory import EventLedger, ledger_owner
from shared.state import StateStore
from shared.workspace import Workspace
from shared.workspace.warm import WarmWorkspace

__all__ = ["EventLedgers", "open_reader"]


def open_reader() -> Workspace:
    """A database that reads the files of a ledger."""
    return Workspace.open(threads=1)


class EventLedgers:
    """The ledgers of syncs, by name and owner; safe to be used by several threads.

    Args:
        open_workspace: Opens a database that reads the files of a ledger.
    """

    def __init__(self, open_workspace: Callable[[], Workspace] = open_reader) -> None:
        self._open = open_workspace
        self._ledgers: dict[tuple[str, str], EventLedger] = {}

    def in_wave(
        self, sync: PreparedSync, workspace: WarmWorkspace, state: StateStore, now: Callable[[], datetime]
    ) -> WaveLedger | None:
        """The ledger of a sync for waves in a workspace; None where it keeps none."""
        name = sync.definition.name
        if not sync.definition.keeps_ledger:
            return None
        owner = ledger_owner(sync.environment, sync.entity.logical_name)
        ledger = self._ledgers.setdefault((name, owner), EventLedger(state, name, owner, self._open))
        return WaveLedger(sync=sync, ledger=ledger, workspace=workspace, now=now)

    def close(self) -> None:
        """Close the databases."""
        for ledger in self._ledgers.values():
            ledger.close()
