"""What people see and do: the progress of runs, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from shared.state._bounds import fitting_entry
from shared.state._reading import reading
from shared.state.azure._runs import EVERY_SYNC, left
from shared.state.azure._storage import PREFIX, Storage, document, key, read_document, read_record
from shared.state.records import AuditEntry

__all__ = ["PeopleTables"]

AUDIT: Final = "audit"
PROGRESS: Final = "progress"


class PeopleTables(Storage):
    """The part of the state store that the console writes and reads.

    An entry of the audit log is stored twice, newest first: among all and among those of its sync.
    """

    def note_progress(self, run_id: str, progress: Mapping[str, Any]) -> None:
        """See `StateStore.note_progress`."""
        keys = {"PartitionKey": PROGRESS, "RowKey": key(run_id), "written": self._now().isoformat()}
        self._put(PROGRESS, {**keys, **document(dict(progress))})

    def progress(self, run_id: str) -> Mapping[str, Any]:
        """See `StateStore.progress`."""
        row = self._get(PROGRESS, PROGRESS, key(run_id))
        if row is None:
            return {}
        with reading(f"{PREFIX}{PROGRESS}", key(run_id)):
            return dict(read_document(row))

    def add_audit(self, entry: AuditEntry) -> None:
        """See `StateStore.add_audit`."""
        entry = fitting_entry(entry)
        row = {"RowKey": f"{left(entry.at):020}-{key(entry.id)}", "at": entry.at.isoformat(), **document(asdict(entry))}
        for partition in dict.fromkeys((_partition(entry.sync), EVERY_SYNC)):
            self._put(AUDIT, {"PartitionKey": partition, **row})

    def audit(self, sync: str | None = None, limit: int = 50) -> tuple[AuditEntry, ...]:
        """See `StateStore.audit`."""
        partition = EVERY_SYNC if sync is None else _partition(sync)
        rows = self._query(AUDIT, f"PartitionKey eq '{partition}'", limit=limit)
        return tuple(read_record(AuditEntry, AUDIT, row) for row in rows)

    def _remove_old_notes(self, before: datetime, limit: int) -> int:
        """Remove notes of progress and entries from before a moment; returns how many rows."""
        keys = ["PartitionKey", "RowKey"]
        moment = before.isoformat()
        removed = 0
        for table, column in ((PROGRESS, "written"), (AUDIT, "at")):
            rows = self._query(table, f"{column} lt '{moment}'", select=keys, limit=limit)
            self._delete(table, rows)
            removed = max(removed, len(rows))
        return removed


def _partition(sync: str) -> str:
    return f"s.{key(sync)}"
