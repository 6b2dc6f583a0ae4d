"""The state store of a laptop: one SQLite file, safe for many processes on one machine."""

from __future__ import annotations

from shared.state.sqlite._events import EventRows
from shared.state.sqlite._retention import Retention

__all__ = ["SqliteStateStore"]


class SqliteStateStore(EventRows, Retention):
    """Keeps state in one file in WAL mode; several processes may use it at once."""
