"""From when on a listener takes events.

The host reads a hub from its start, because it begins to read when the first event has come: a host that begins at the
end passes over that event. `auto_offset_reset: latest` is therefore decided here: the moment at which the app first saw
the listener is kept in the state store, and events that the hub took before that moment are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from shared.definitions import SyncDefinition
from shared.definitions.models.listener import OffsetReset
from shared.state import StateStore

__all__ = ["ListeningSince"]


class ListeningSince:
    """The moments from which on listeners take events. They never change, so each is read once a process."""

    def __init__(self) -> None:
        self._known: dict[str, datetime] = {}

    def note(self, definitions: Iterable[SyncDefinition], state: StateStore, *, now: datetime) -> None:
        """Keep the moment of listeners that are seen for the first time.

        Raises:
            RetryLater: The state store is away.
        """
        for definition in definitions:
            self.of(definition, state, now=now)

    def of(self, definition: SyncDefinition, state: StateStore, *, now: datetime) -> datetime | None:
        """The moment from which on a definition's listener takes events; None where it takes all.

        Args:
            definition: The sync that listens.
            state: Keeps the moment.
            now: The moment of a listener that is seen for the first time.

        Raises:
            RetryLater: The state store is away.
        """
        listener = definition.listener
        if listener is None or not listener.enabled or listener.auto_offset_reset is not OffsetReset.LATEST:
            return None
        if definition.name not in self._known:
            self._known[definition.name] = _kept(f"listener/{definition.name}", state, now)
        return self._known[definition.name]


def _kept(name: str, state: StateStore, now: datetime) -> datetime:
    if (kept := state.watermark(name)) is None:
        # Two instances may both write: their moments differ by less than a tick.
        state.set_watermark(name, now.isoformat(), fence=0)
        kept = state.watermark(name) or now.isoformat()
    return datetime.fromisoformat(kept)
