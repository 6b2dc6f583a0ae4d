"""The parts of a ledger as files that a workspace reads: SQL over them, and where they come from."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.entities import LedgerStore
from shared.memory.damage import DamagedError
from shared.memory.entries import KnownRecord, StoredRow
from shared.workspace import Row, Workspace, literal, writing

__all__ = [
    "MEMBERS",
    "NAMES",
    "fetched",
    "latest",
    "ledger_owner",
    "new_part",
    "owner_of",
    "parquet_of",
    "parts_of",
    "rows_of",
]

MEMBERS: Final = {
    "id": "UUID",
    "origin": "VARCHAR",
    "marked": "BOOLEAN",
    "mark": "VARCHAR",
    "written": "VARCHAR",
    "pending": "VARCHAR",
}
"""The columns of a part with their types; parts of earlier versions have no `mark`."""
NAMES: Final = ", ".join(MEMBERS)


def ledger_owner(environment: str, table: str) -> str:
    """What names the records of a ledger: those of one table in one environment, as 16 hexadecimal digits.

    A copy of an environment has records with the same ids, of which a sync knows nothing before it has run there.
    """
    return hashlib.sha256(f"{environment}/{table}".encode()).hexdigest()[:16]


def new_part(owner: str) -> str:
    """A name for a part, with whose records it is about in front."""
    return f"{owner}-{uuid.uuid4().hex}.parquet"


def owner_of(name: str) -> str:
    """Whose records a part is about; empty for a part of a version that did not note it."""
    owner, hyphen, _ = name.partition("-")
    return owner if hyphen else ""


def parts_of(owner: str, names: Sequence[str]) -> list[str]:
    """The parts about the records of an owner, and those of which it is not known: the first run writes them anew."""
    return [name for name in names if owner_of(name) in {"", owner}]


def fetched(store: LedgerStore, sync: str, name: str, folder: Path) -> Path:
    """A part as a file in a folder.

    Raises:
        DamagedError: The store does not have it.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    data = store.ledger_part(sync, name)
    if data is None:
        raise DamagedError
    file = folder / f"{uuid.uuid4().hex}.parquet"
    with writing(folder):
        file.write_bytes(data)
    return file


def parquet_of(workspace: Workspace, query: str, values: Sequence[object] = ()) -> bytes:
    """The rows of a query as a Parquet file."""
    file = workspace.folder / f"{uuid.uuid4().hex}.parquet"
    workspace.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)", values)
    data = file.read_bytes()
    file.unlink()
    return data


def latest(files: Sequence[Path], condition: str = "true") -> str:
    """SQL for the latest row of each record over some files, the oldest first, and the place of its file.

    Args:
        files: The parts.
        condition: Which records, over `id`.
    """
    none = f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in MEMBERS.items())}, 0 AS place LIMIT 0"
    if not files:
        return none
    parts = f"({none})" + "".join(
        f" UNION ALL BY NAME SELECT *, {place} AS place FROM read_parquet({literal(str(file))}) WHERE {condition}"
        for place, file in enumerate(files)
    )
    numbered = f"SELECT *, row_number() OVER (PARTITION BY id ORDER BY place DESC) AS turn FROM ({parts})"
    return f"SELECT {NAMES}, place FROM ({numbered}) WHERE turn = 1"


def rows_of(workspace: Workspace, files: Sequence[Path], ids: Sequence[str]) -> dict[str, StoredRow]:
    """The latest rows of some records, by id."""
    workspace.execute("CREATE OR REPLACE TEMP TABLE asked AS SELECT unnest(?::VARCHAR[])::UUID AS id", [list(ids)])
    found = workspace.query(latest(files, "id IN (SELECT id FROM asked)"))
    return {str(row[0]): _stored(row) for row in found}


def _stored(row: Row) -> StoredRow:
    _, origin, marked, mark, written, pending, place = row
    return StoredRow(
        known=KnownRecord(origin=origin, marked=bool(marked), mark=mark, written=written, pending=pending), place=place
    )
