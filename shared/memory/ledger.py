"""The ledger of one sync during one run: read into the workspace, appended to, and swapped under the sync's lease.

It consists of Parquet files, the oldest first. Each holds rows with the id of a record and what is known of it; a row
of a later file replaces that of an earlier one, and a row without an origin says that the record is forgotten. When
there are many files, they are written anew as few; each row then has the number of the turn in which it was added, so
that entries of events still tell whether they are later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from shared.entities import LedgerEntry, LedgerHead, LedgerStore
from shared.errors import RetryLater, UserError
from shared.memory.damage import DamagedError, reading_parts
from shared.memory.entries import RecordEntry, combined
from shared.memory.names import Turn, new_part, next_turn, owner_of, parts_of, turn_of
from shared.memory.parts import MEMBERS, NAMES, NUMBER, fetched, latest, rows_of
from shared.workspace import Workspace, json_rows, literal

__all__ = ["Ledger", "LedgerConflictError"]

_MOST_PARTS: Final = 8  # of a ledger that is not written anew yet
ROWS_IN_A_PART: Final = 250_000  # about 15 MB with a value of common length: a part is held in memory once
_TURNS: Final = 3  # of reading the parts, where others swap them meanwhile
_ENTRIES: Final = "ledger_entries"
_ADDED: Final = f"SELECT {NAMES}, idle FROM {json_rows({**MEMBERS, 'idle': 'BOOLEAN'}, flat=True)}"


class LedgerConflictError(UserError):
    """Another run has swapped the ledger since this one read it."""


class Ledger:
    """Reads and writes the ledger of a sync.

    Args:
        store: Keeps it.
        sync: Name of the sync.
        owner: Whose records are meant; see `ledger_owner`. Parts of others stay as they are.
        now: The time, by which it is known whether an event may still write to the record of an entry.
        rows_in_a_part: Most rows of a file.
    """

    def __init__(
        self, store: LedgerStore, sync: str, *, owner: str, now: datetime, rows_in_a_part: int = ROWS_IN_A_PART
    ) -> None:
        self._owner = owner
        self._rows_in_a_part = rows_in_a_part
        self._store = store
        self._sync = sync
        self._now = now
        self._head: LedgerHead | None = None
        self._parts: list[str] = []
        self._others: list[str] = []
        self._files: dict[str, Path] = {}
        self._earlier: Mapping[str, LedgerEntry] = {}
        self._idle: dict[str, LedgerEntry] = {}
        self.missing = ""
        self.noted = 0  # records of which events have noted something, which counts without the files too

    def look(self) -> None:
        """Note which entries of events there are; to be called before the records are read.

        What an event writes while they are read may be in its entry and not yet in the record that was read. So only
        entries that are the same before and after are taken into the parts.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._earlier = self._store.ledger_entries(self._sync)

    def load(self, workspace: Workspace, fill: Callable[[str], str], condition: str = "true") -> None:
        """Fill the workspace's table `ledger`, which exists, once the records were read.

        It stays empty where the ledger is missing, but for what events have added. `missing` then says why. A ledger
        whose files cannot be read counts as missing, and is begun anew.

        Args:
            workspace: The run's database.
            fill: Makes the statement that fills the table of a query for the latest row of each record.
            condition: Which records, over `id`.

        Raises:
            RetryLater: The state store is unavailable, or other runs change the ledger again and again.
            AbortRun: The state store refuses us.
        """
        filled = partial(self._load, workspace, fill, condition)
        for _ in range(_TURNS):
            entries = self._store.ledger_entries(self._sync)
            self._head = self._store.ledger(self._sync)
            names = self._head.parts if self._head else ()
            parts = parts_of(self._owner, names)
            self._others = [name for name in names if name not in parts]
            self.missing = _why_missing(names, parts, exists=self._head is not None)
            try:
                with reading_parts():
                    filled(parts, entries)
            except DamagedError:
                workspace.execute("DELETE FROM ledger")
                if self._store.ledger(self._sync) != self._head:
                    continue  # a run has swapped it while a plan, which has no lease, read the parts
                self.missing = "its files are missing or damaged"
                filled((), entries)
            return
        raise RetryLater(f"the ledger of {self._sync} is being changed by another run: try again", retry_after=1)

    def _load(
        self,
        workspace: Workspace,
        fill: Callable[[str], str],
        condition: str,
        parts: Sequence[str],
        entries: Mapping[str, LedgerEntry],
    ) -> None:
        """Fill `ledger`, and keep what counts because of entries in the table `ledger_entries`."""
        for name in parts:
            self._files[name] = fetched(self._store, self._sync, name, workspace.folder)
        files = self._paths(parts)
        of_all = {record: RecordEntry.of_owner(entry.text, self._owner) for record, entry in entries.items()}
        found = {record: entry for record, entry in of_all.items() if entry is not None}
        self.noted = len(found)
        rows = rows_of(workspace, files, list(found)) if found else {}
        self._idle = {
            record: entries[record]
            for record, entry in found.items()
            if entry.is_idle(self._now) and self._earlier.get(record) == entries[record]
        }
        added = [
            {"idle": record in self._idle, **combined(rows.get(record), entry, parts).to_row(record)}
            for record, entry in found.items()
        ]
        workspace.execute(f"CREATE OR REPLACE TEMP TABLE {_ENTRIES} AS {_ADDED}", [json.dumps(added)])
        workspace.execute(
            fill(
                f"SELECT {NAMES} FROM ({latest(files, condition)}) WHERE id NOT IN (SELECT id FROM {_ENTRIES}) "
                f"UNION ALL SELECT {NAMES} FROM {_ENTRIES} WHERE {condition}"
            )
        )
        self._parts = list(parts)

    def begin(self, workspace: Workspace, table: str, *, fence: int) -> None:
        """Add the rows of a table, and what idle entries say of other records; then remove these entries.

        An entry that an event has changed in the meantime stays.

        Raises:
            LedgerConflictError: Another run has swapped it; nothing was changed.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        idle = f"SELECT {NAMES} FROM {_ENTRIES} WHERE idle AND id NOT IN (SELECT id FROM {table})"
        self._append(workspace, f"SELECT {NAMES} FROM {table} UNION ALL {idle}", fence)
        if self._idle:
            self._store.remove_ledger_entries(self._sync, self._idle)

    def append(self, workspace: Workspace, table: str, *, fence: int) -> None:
        """Add the rows of a table, and swap.

        It is swapped without rows too: the age of the last swap says whether the sync still runs.

        Raises:
            LedgerConflictError: Another run has swapped it; nothing was changed.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._append(workspace, f"SELECT {NAMES} FROM {table}", fence)

    def _append(self, workspace: Workspace, query: str, fence: int) -> None:
        ((rows,),) = workspace.query(f"SELECT count(*) FROM ({query})")
        added = list(self._written(workspace, query, rows, next_turn(self._parts)))
        names = [*self._parts, *added]
        if len(names) > _MOST_PARTS or not all(map(owner_of, names)):
            names = self._compacted(workspace, names)
        for name in names:
            if name not in self._parts:
                self._store.put_ledger_part(self._sync, name, self._files[name].read_bytes())
        head = self._store.swap_ledger(self._sync, [*self._others, *names], expected=self._head, fence=fence)
        if head is None:
            raise LedgerConflictError(
                f"another run of {self._sync} has changed the ledger since this run read it: start the run again"
            )
        self._head, self._parts = head, names

    def _compacted(self, workspace: Workspace, names: Sequence[str]) -> list[str]:
        """The latest row of each record that is not forgotten, as new files."""
        query = f"SELECT {NAMES}, {NUMBER} FROM ({latest(self._paths(names))}) WHERE origin IS NOT NULL"
        workspace.execute(f"CREATE OR REPLACE TEMP TABLE ledger_whole AS {query}")
        ((rows,),) = workspace.query("SELECT count(*) FROM ledger_whole")
        turn = turn_of(names[-1]) or next_turn(names)
        written = list(self._written(workspace, "FROM ledger_whole", rows, turn))
        workspace.execute("DROP TABLE ledger_whole")
        return written

    def _written(self, workspace: Workspace, query: str, rows: int, turn: Turn) -> Iterator[str]:
        """Write a query's rows into files of the workspace's folder; their names."""
        for start in range(0, rows, self._rows_in_a_part):
            name = new_part(self._owner, turn)
            file = self._files[name] = workspace.folder / name
            part = f"SELECT * FROM ({query}) LIMIT {self._rows_in_a_part} OFFSET {start}"
            workspace.execute(f"COPY ({part}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")
            yield name

    def _paths(self, names: Sequence[str]) -> dict[str, Path]:
        return {name: self._files[name] for name in names}


def _why_missing(names: Sequence[str], parts: Sequence[str], *, exists: bool) -> str:
    """Why a ledger has no parts of an owner; empty where it has some, or was begun without rows."""
    if not exists:
        return "there is none yet, or it was lost"
    return "there is none yet for this table of this environment" if names and not parts else ""
