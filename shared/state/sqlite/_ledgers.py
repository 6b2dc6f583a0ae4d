"""Ledgers: their parts, and which of them count."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.entities import LedgerHead
from shared.state._reading import reading
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._ledger_entries import LedgerEntryRows

__all__ = ["LedgerRows"]

_OLD = """
    SELECT sync FROM (SELECT sync, swapped AS used FROM ledgers UNION ALL SELECT sync, used FROM ledger_uses)
    GROUP BY sync HAVING max(used) < ? LIMIT ?
"""


class LedgerRows(LedgerEntryRows):
    """The part of the state store that keeps ledgers."""

    def ledger(self, sync: str) -> LedgerHead | None:
        """See `StateStore.ledger`."""
        found = self._one("SELECT parts, version, fence FROM ledgers WHERE sync = ?", (sync,))
        if found is None:
            return None
        with reading("ledgers", sync):
            parts, version, fence = found
            return LedgerHead(parts=tuple(map(str, json.loads(parts))), version=str(version), fence=int(fence))

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """See `StateStore.ledger_part`."""
        found = self._one("SELECT data FROM ledger_parts WHERE sync = ? AND name = ?", (sync, name))
        return tables.content(found[0]) if found else None

    def ledger_parts(self, sync: str) -> tuple[str, ...]:
        """See `StateStore.ledger_parts`."""
        return tuple(row[0] for row in self._all("SELECT name FROM ledger_parts WHERE sync = ? ORDER BY name", (sync,)))

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """See `StateStore.put_ledger_part`."""
        with self._writing() as db:
            db.execute(tables.replace("ledger_parts", ("sync", "name", "data")), (sync, name, data))

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """See `StateStore.swap_ledger`."""
        names = json.dumps(list(parts))
        with self._writing() as db:
            found = db.execute("SELECT version, fence FROM ledgers WHERE sync = ?", (sync,)).fetchone()
            version = str(found[0]) if found else None
            if version != (expected.version if expected else None) or (found and int(found[1]) > fence):
                return None
            following = int(found[0]) + 1 if found else 1
            db.execute(
                tables.replace("ledgers", ("sync", "parts", "version", "fence", "swapped")),
                (sync, names, following, fence, tables.text(self._now())),
            )
            db.execute(
                "DELETE FROM ledger_parts WHERE sync = ? AND name NOT IN (SELECT value FROM json_each(?))",
                (sync, names),
            )
        return LedgerHead(parts=tuple(parts), version=str(following), fence=fence)

    def _remove_old_ledgers(self, moment: str, limit: int) -> int:
        """Remove ledgers that were last swapped, and used by events, before a moment; returns how many."""
        with self._writing() as db:  # looked up in the same transaction: a run may begin to use one at any time
            syncs = db.execute(_OLD, (moment, limit)).fetchall()
            for table in ("ledger_entries", "ledger_uses", "ledger_parts", "ledgers"):
                db.executemany(f"DELETE FROM {table} WHERE sync = ?", syncs)
        return len(syncs)
