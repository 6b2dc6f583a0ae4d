"""Journals of runs, and syncs that are paused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.state._reading import reading, record
from shared.state.records import Pause
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, Database

__all__ = ["JournalRows"]

_PAUSE_FIELDS = ("sync", "run_id", "since", "by")


class JournalRows(Database):
    """The part of the state store that undoing needs."""

    def put_journal_part(self, run_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_journal_part`."""
        with self._writing() as db:
            db.execute(
                f"{tables.insert('journals', ('run_id', 'name', 'data', 'kept'))} "
                "ON CONFLICT (run_id, name) DO UPDATE SET data = excluded.data",
                (run_id, name, data, tables.text(self._now())),
            )

    def journal_part(self, run_id: str, name: str) -> bytes | None:
        """See `StateStore.journal_part`."""
        found = self._one("SELECT data FROM journals WHERE run_id = ? AND name = ?", (run_id, name))
        return tables.content(found[0]) if found else None

    def journal_parts(self, run_id: str) -> tuple[str, ...]:
        """See `StateStore.journal_parts`."""
        return tuple(row[0] for row in self._all("SELECT name FROM journals WHERE run_id = ? ORDER BY name", (run_id,)))

    def prune_journals(self, before: datetime, *, limit: int) -> int:
        """See `StateStore.prune_journals`."""
        old = "SELECT run_id FROM journals GROUP BY run_id HAVING max(kept) < ? LIMIT ?"
        runs = self._all(old, (tables.text(before), min(limit, MOST_ROWS)))
        for run in runs:  # one by one: a journal may hold megabytes, and other processes wait for the transaction
            with self._writing() as db:
                db.execute("DELETE FROM journals WHERE run_id = ?", run)
        return len(runs)

    def pause(self, pause: Pause) -> None:
        """See `StateStore.pause`."""
        with self._writing() as db:
            db.execute(tables.replace("pauses", _PAUSE_FIELDS), tables.row(pause, _PAUSE_FIELDS))

    def pauses(self) -> Mapping[str, Pause]:
        """See `StateStore.pauses`."""
        rows = self._all(f"{tables.select('pauses', _PAUSE_FIELDS)} ORDER BY sync")
        found = {}
        for row in rows:
            with reading("pauses", str(row[0])):
                found[str(row[0])] = record(Pause, dict(zip(_PAUSE_FIELDS, row, strict=True)))
        return found

    def resume(self, sync: str) -> bool:
        """See `StateStore.resume`."""
        with self._writing() as db:
            return db.execute("DELETE FROM pauses WHERE sync = ?", (sync,)).rowcount > 0
