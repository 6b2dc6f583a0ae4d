"""Entries of ledgers: what events have added about single records."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from shared.entities import LedgerEntry
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_VALUES, Database, marks

__all__ = ["LedgerEntryRows"]

_ENTRIES = "SELECT id, text, version FROM ledger_entries WHERE sync = ?"
_ADD = "INSERT INTO ledger_entries(text, version, sync, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_REPLACE = "UPDATE ledger_entries SET text = ?, version = ? WHERE sync = ? AND id = ? AND version = ?"


class LedgerEntryRows(Database):
    """The part of the state store that keeps entries of ledgers."""

    def ledger_entries(self, sync: str, ids: Collection[str] | None = None) -> Mapping[str, LedgerEntry]:
        """See `LedgerStore.ledger_entries`."""
        if ids is None:
            rows = self._all(_ENTRIES, (sync,))
        else:
            wanted, rows = list(ids), []
            for at in range(0, len(wanted), MOST_VALUES):
                part = wanted[at : at + MOST_VALUES]
                rows += self._all(f"{_ENTRIES} AND id IN ({marks(part)})", (sync, *part))
        return {record: LedgerEntry(text=text, version=version) for record, text, version in rows}

    def put_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> Mapping[str, LedgerEntry]:
        """See `LedgerStore.put_ledger_entries`."""
        written: dict[str, LedgerEntry] = {}
        with self._writing() as db:
            for record, entry in entries.items():
                version = uuid.uuid4().hex
                values: list[str] = [entry.text, version, sync, record]
                made = db.execute(_REPLACE, [*values, entry.version]) if entry.version else db.execute(_ADD, values)
                if made.rowcount:
                    written[record] = LedgerEntry(text=entry.text, version=version)
        return written

    def remove_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> None:
        """See `LedgerStore.remove_ledger_entries`."""
        with self._writing() as db:
            db.executemany(
                "DELETE FROM ledger_entries WHERE sync = ? AND id = ? AND version = ?",
                [(sync, record, entry.version) for record, entry in entries.items()],
            )

    def use_ledger(self, sync: str) -> None:
        """See `LedgerStore.use_ledger`."""
        with self._writing() as db:
            db.execute(tables.replace("ledger_uses", ("sync", "used")), (sync, tables.text(self._now())))
