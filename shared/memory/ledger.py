"""The ledger of one sync during one run: read into the workspace, appended to, and swapped under the sync's lease.

It consists of Parquet files, the oldest first. Each holds rows with the id of a record and what is known of it; a row
of a later file replaces that of an earlier one, and a row without an origin says that the record is forgotten. When
there are many files, they are written anew as few.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import duckdb

from shared.entities import LedgerHead, LedgerStore
from shared.errors import UserError
from shared.workspace import Workspace, literal

__all__ = ["Ledger", "LedgerConflictError"]

_MOST_PARTS: Final = 8  # of a ledger that is not written anew yet
ROWS_IN_A_PART: Final = 250_000  # about 15 MB with a value of common length: a part is held in memory once
_FORM: Final = "id UUID, origin VARCHAR, marked BOOLEAN, written VARCHAR, pending VARCHAR"
_NAMES: Final = "id, origin, marked, written, pending"


class LedgerConflictError(UserError):
    """Another run has swapped the ledger since this one read it."""


class _LostError(Exception):
    """A part is missing or cannot be read."""


class Ledger:
    """Reads and writes the ledger of a sync.

    Args:
        store: Keeps it.
        sync: Name of the sync.
        rows_in_a_part: Most rows of a file.
    """

    def __init__(self, store: LedgerStore, sync: str, *, rows_in_a_part: int = ROWS_IN_A_PART) -> None:
        self._rows_in_a_part = rows_in_a_part
        self._store = store
        self._sync = sync
        self._head: LedgerHead | None = None
        self._parts: list[str] = []
        self._files: dict[str, Path] = {}
        self.missing = ""

    def load(self, workspace: Workspace, fill: Callable[[str], str]) -> None:
        """Fill the workspace's table `ledger`, which exists; it stays empty where the ledger is missing.

        `missing` then says why. A ledger whose files cannot be read counts as missing, and is begun anew.

        Args:
            workspace: The run's database.
            fill: Makes the statement that fills the table of a query for the latest row of each record.

        Raises:
            RetryLater, AbortRun: The state store is away, or refuses us.
        """
        self._head = self._store.ledger(self._sync)
        if self._head is None:
            self.missing = "there is none yet, or it was lost"
            return
        try:
            self._fetch(workspace, self._head.parts)
            workspace.execute(fill(_latest(self._paths(self._head.parts))))
        except (_LostError, duckdb.Error):
            workspace.execute("DELETE FROM ledger")
            self.missing = "its files are missing or damaged"
            return
        self._parts = list(self._head.parts)

    def append(self, workspace: Workspace, table: str, *, fence: int) -> None:
        """Add the rows of a table, and swap.

        It is swapped without rows too: the age of the last swap says whether the sync still runs.

        Raises:
            LedgerConflictError: Another run has swapped it; nothing was changed.
            RetryLater, AbortRun: The state store is away, or refuses us.
        """
        ((rows,),) = workspace.query(f"SELECT count(*) FROM {table}")
        added = list(self._written(workspace, f"SELECT {_NAMES} FROM {table}", rows))
        names = [*self._parts, *added]
        if len(names) > _MOST_PARTS:
            names = self._compacted(workspace, names)
        for name in names:
            if name not in self._parts:
                self._store.put_ledger_part(self._sync, name, self._files[name].read_bytes())
        head = self._store.swap_ledger(self._sync, names, expected=self._head, fence=fence)
        if head is None:
            raise LedgerConflictError(
                f"another run of {self._sync} has changed the ledger since this run read it: start the run again"
            )
        self._head, self._parts = head, names

    def _compacted(self, workspace: Workspace, names: Sequence[str]) -> list[str]:
        """The latest row of each record that is not forgotten, as new files."""
        query = f"SELECT {_NAMES} FROM ({_latest(self._paths(names))}) WHERE origin IS NOT NULL"
        workspace.execute(f"CREATE OR REPLACE TEMP TABLE ledger_whole AS {query}")
        ((rows,),) = workspace.query("SELECT count(*) FROM ledger_whole")
        written = list(self._written(workspace, "FROM ledger_whole", rows))
        workspace.execute("DROP TABLE ledger_whole")
        return written

    def _written(self, workspace: Workspace, query: str, rows: int) -> Iterator[str]:
        """Write a query's rows into files of the workspace's folder; their names."""
        for start in range(0, rows, self._rows_in_a_part):
            name = f"{uuid.uuid4().hex}.parquet"
            file = self._files[name] = workspace.folder / name
            part = f"SELECT * FROM ({query}) LIMIT {self._rows_in_a_part} OFFSET {start}"
            workspace.execute(f"COPY ({part}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")
            yield name

    def _fetch(self, workspace: Workspace, names: Sequence[str]) -> None:
        for name in names:
            data = self._store.ledger_part(self._sync, name)
            if data is None:
                raise _LostError
            file = self._files[name] = workspace.folder / f"{uuid.uuid4().hex}.parquet"
            file.write_bytes(data)

    def _paths(self, names: Sequence[str]) -> list[Path]:
        return [self._files[name] for name in names]


def _latest(files: Sequence[Path]) -> str:
    """SQL for the latest row of each record over some files, the oldest first."""
    if not files:
        return f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in _columns())} LIMIT 0"
    parts = " UNION ALL ".join(
        f"SELECT {_NAMES}, {place} AS part FROM read_parquet({literal(str(file))})" for place, file in enumerate(files)
    )
    numbered = f"SELECT *, row_number() OVER (PARTITION BY id ORDER BY part DESC) AS place FROM ({parts})"
    return f"SELECT {_NAMES} FROM ({numbered}) WHERE place = 1"


def _columns() -> Iterator[tuple[str, str]]:
    for column in _FORM.split(", "):
        name, _, kind = column.partition(" ")
        yield name, kind
