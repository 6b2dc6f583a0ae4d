"""The parts of a ledger as files that a workspace reads: SQL over them, and where they come from."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.entities import LedgerStore
from shared.memory.damage import DamagedError
from shared.memory.entries import KnownRecord, StoredRow
from shared.memory.names import numbers_of
from shared.workspace import Row, Workspace, literal, writing

__all__ = ["MEMBERS", "NAMES", "NUMBER", "fetched", "latest", "ledger_owner", "parquet_of", "rows_of"]

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
NUMBER: Final = "number"
"""The column of parts that were written anew with the number of the turn in which a row was added."""


def ledger_owner(environment: str, table: str) -> str:
    """What names the records of a ledger: those of one table in one environment, as 16 hexadecimal digits.

    A copy of an environment has records with the same ids, of which a sync knows nothing before it has run there.
    """
    return hashlib.sha256(f"{environment}/{table}".encode()).hexdigest()[:16]


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


def latest(files: Mapping[str, Path], condition: str = "true") -> str:
    """SQL for the latest row of each record over some parts, with the place of its part and the number of the row.

    The number says in which turn the row was added. A part that was written anew has it in each row; of other parts it
    is that of the part.

    Args:
        files: The parts by name, the oldest first.
        condition: Which records, over `id`.
    """
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in {**MEMBERS, NUMBER: "BIGINT"}.items())
    none = f"SELECT {columns}, 0 AS place, 0::BIGINT AS added LIMIT 0"
    parts = f"({none})" + "".join(
        f" UNION ALL BY NAME SELECT *, {place} AS place, {added} AS added FROM read_parquet({literal(str(file))})"
        f" WHERE {condition}"
        for place, (file, added) in enumerate(zip(files.values(), numbers_of(list(files)), strict=True))
    )
    numbered = f"SELECT *, row_number() OVER (PARTITION BY id ORDER BY place DESC) AS turn FROM ({parts})"
    # A row of another line counts as one from before this line, whatever its number was there.
    number = f"least(coalesce({NUMBER}, added), added) AS {NUMBER}"
    return f"SELECT {NAMES}, place, {number} FROM ({numbered}) WHERE turn = 1"


def rows_of(workspace: Workspace, files: Mapping[str, Path], ids: Sequence[str]) -> dict[str, StoredRow]:
    """The latest rows of some records, by id; the parts are those of `latest`."""
    workspace.execute("CREATE OR REPLACE TEMP TABLE asked AS SELECT unnest(?::VARCHAR[])::UUID AS id", [list(ids)])
    found = workspace.query(latest(files, "id IN (SELECT id FROM asked)"))
    return {str(row[0]): _stored(row) for row in found}


def _stored(row: Row) -> StoredRow:
    _, origin, marked, mark, written, pending, place, number = row
    known = KnownRecord(origin=origin, marked=bool(marked), mark=mark, written=written, pending=pending)
    return StoredRow(known=known, place=place, number=number)
