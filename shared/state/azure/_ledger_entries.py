"""Entries of ledgers: a row of a table for each record that events have changed; its text is compressed."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from azure.data.tables import TableEntity, TableTransactionError

from shared.entities import LedgerEntry
from shared.errors import AbortRun
from shared.state._reading import reading
from shared.state.azure._conditions import if_unchanged, unchanged
from shared.state.azure._storage import TAGGED, Storage, groups, key, parts

__all__ = ["LedgerEntryTables"]

ENTRIES, USES = "ledgerentries", "ledgeruses"
# Entries of one sync spread over this many partitions, as positions do: the first digit of a record's id says which.
_BUCKETS: Final = "0123"
# A filter holds at most 15 comparisons; one names the partition.
_ROWS_A_FILTER: Final = 14
# A binary property holds 64 KiB, and a row 1 MiB.
_CHUNK: Final = 60_000
_MOST_IN_A_ROW: Final = 900_000  # bytes
_SYNCS: Final = "syncs"


class LedgerEntryTables(Storage):
    """The part of the state store that keeps entries of ledgers."""

    def ledger_entries(self, sync: str, ids: Collection[str] | None = None) -> Mapping[str, LedgerEntry]:
        """See `LedgerStore.ledger_entries`."""
        found = self._each(lambda condition: self._query(ENTRIES, condition), _conditions(sync, ids))
        return {row["RowKey"]: _entry(row) for part in found for row in part}

    def put_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> Mapping[str, LedgerEntry]:
        """See `LedgerStore.put_ledger_entries`."""
        rows = [_row(sync, record, entry) for record, entry in entries.items()]
        written = self._each(lambda group: self._put_group(group, entries), groups(rows))
        return {record: entry for part in written for record, entry in part.items()}

    def _put_group(
        self, rows: Sequence[Mapping[str, Any]], entries: Mapping[str, LedgerEntry]
    ) -> dict[str, LedgerEntry]:
        """Write rows of one partition: together, or one by one where one of them was changed."""
        try:
            operations = [self._write_unchanged(row, entries[row["RowKey"]].version) for row in rows]
            tags = [str(each["etag"]) for each in self._submit(ENTRIES, operations)]
        except TableTransactionError:
            tags = [self._put_row(row, entries[row["RowKey"]].version) for row in rows]
        return {
            row["RowKey"]: LedgerEntry(text=entries[row["RowKey"]].text, version=tag)
            for row, tag in zip(rows, tags, strict=True)
            if tag
        }

    def _put_row(self, row: Mapping[str, Any], version: str) -> str:
        """Write one row; returns its new tag, empty where it was changed."""
        if tag := self._put_unchanged(ENTRIES, row, version):
            return tag
        # Another writer was faster, unless our own first try got through and its answer was lost.
        there = self._get(ENTRIES, row["PartitionKey"], row["RowKey"])
        ours = there is not None and there.get("writing") == row["writing"]
        return str(there.metadata["etag"]) if there is not None and ours else ""

    def remove_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> None:
        """See `LedgerStore.remove_ledger_entries`."""
        rows = [
            {"PartitionKey": _partition(sync, record), "RowKey": record, "condition": unchanged(entry.version)}
            for record, entry in entries.items()
        ]
        self._each(lambda group: self._delete_group(ENTRIES, group), groups(rows))

    def use_ledger(self, sync: str) -> None:
        """See `LedgerStore.use_ledger`."""
        self._put(USES, {"PartitionKey": _SYNCS, "RowKey": key(sync), "sync": sync, "used": self._now()})

    def _use(self, sync_key: str) -> TableEntity | None:
        """When events have used a ledger for the last time (`used`); None where they have not."""
        return self._get(USES, _SYNCS, sync_key)

    def _entry_rows(self, sync_key: str) -> list[TableEntity]:
        """All entries of a sync, without what they hold."""
        conditions = [f"PartitionKey eq '{sync_key}.{bucket}'" for bucket in _BUCKETS]
        found = self._each(lambda condition: self._query(ENTRIES, condition, select=[*TAGGED]), conditions)
        return [row for part in found for row in part]

    def _unused(self, before: datetime, limit: int) -> Iterator[str]:
        """The keys of the syncs whose events used a ledger for the last time before a moment."""
        condition = f"PartitionKey eq '{_SYNCS}' and used lt datetime'{before.isoformat().replace('+00:00', 'Z')}'"
        yield from (str(row["RowKey"]) for row in self._query(USES, condition, limit=limit))

    def _remove_entries(self, entries: Sequence[TableEntity], use: TableEntity | None) -> None:
        """Remove entries, and then the note that they are used; what has changed since it was read stays."""
        self._delete(ENTRIES, map(if_unchanged, entries))
        self._delete(USES, [if_unchanged(use)] if use else [])


def _partition(sync: str, record: str) -> str:
    return f"{key(sync)}.{int(record[0], 16) % len(_BUCKETS)}"


def _conditions(sync: str, ids: Collection[str] | None) -> list[str]:
    """OData conditions that together find the entries of some records, or all of a sync."""
    if ids is None:
        return [f"PartitionKey eq '{key(sync)}.{bucket}'" for bucket in _BUCKETS]
    by_partition: dict[str, list[str]] = {}
    for record in ids:
        by_partition.setdefault(_partition(sync, record), []).append(record)
    return [
        f"PartitionKey eq '{partition}' and ({' or '.join(map(_is_row, part))})"
        for partition, records in by_partition.items()
        for part in parts(records, _ROWS_A_FILTER)
    ]


def _is_row(record: str) -> str:
    return f"RowKey eq '{record}'"


def _row(sync: str, record: str, entry: LedgerEntry) -> dict[str, Any]:
    """The row of an entry, with what tells this writing of it from all others.

    Raises:
        AbortRun: Its text is too large.
    """
    data = zlib.compress(entry.text.encode())
    if len(data) > _MOST_IN_A_ROW:
        raise AbortRun(
            f"the ledger cannot remember this record: what the sync has written into columns with `write: "
            f"unless_edited` takes {len(data):,} bytes, compressed, and a row of a table holds {_MOST_IN_A_ROW:,}"
        )
    chunks = {f"data{at // _CHUNK:02}": data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)}
    return {"PartitionKey": _partition(sync, record), "RowKey": record, "writing": uuid.uuid4().hex, **chunks}


def _entry(row: TableEntity) -> LedgerEntry:
    with reading(ENTRIES, f"{row['PartitionKey']}/{row['RowKey']}"):
        data = b"".join(row[name] for name in sorted(row) if name.startswith("data"))
        return LedgerEntry(text=zlib.decompress(data).decode(), version=str(row.metadata["etag"]))
