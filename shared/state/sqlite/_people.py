"""What people see and do: the progress of runs, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.state._bounds import fitting_entry, json_text
from shared.state._reading import json_object, reading, record
from shared.state.records import AuditEntry
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, Database, of_sync

__all__ = ["PeopleRows"]


class PeopleRows(Database):
    """The part of the state store that the console writes and reads."""

    def note_progress(self, run_id: str, progress: Mapping[str, Any]) -> None:
        """See `StateStore.note_progress`."""
        row = (run_id, tables.text(self._now()), json_text(dict(progress)))
        with self._writing() as db:
            db.execute(tables.replace("progress", ("run_id", "written", "document")), row)

    def progress(self, run_id: str) -> Mapping[str, Any]:
        """See `StateStore.progress`."""
        found = self._one("SELECT document FROM progress WHERE run_id = ?", (run_id,))
        if found is None:
            return {}
        with reading("progress", run_id):
            return json_object(found[0], "document")

    def add_audit(self, entry: AuditEntry) -> None:
        """See `StateStore.add_audit`."""
        entry = fitting_entry(entry)
        row = (entry.id, tables.text(entry.at), entry.sync, json_text(asdict(entry)))
        with self._writing() as db:
            db.execute(tables.replace("audit", ("id", "at", "sync", "document")), row)

    def audit(self, sync: str | None = None, limit: int = 50) -> tuple[AuditEntry, ...]:
        """See `StateStore.audit`."""
        where, values = of_sync(sync)
        sql = f"SELECT id, document FROM audit {where} ORDER BY at DESC, id LIMIT ?"
        return tuple(_entry(*row) for row in self._all(sql, (*values, limit)))

    def _remove_old_notes(self, moment: str, limit: int) -> int:
        """Remove notes of progress and entries from before a moment; returns how many entries."""
        most = min(limit, MOST_ROWS)
        with self._writing() as db:
            db.execute("DELETE FROM progress WHERE written < ?", (moment,))
            sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)"
            return db.execute(sql, (moment, most)).rowcount


def _entry(entry_id: str, document: str) -> AuditEntry:
    with reading("audit", entry_id):
        return record(AuditEntry, json_object(document, "document"))
