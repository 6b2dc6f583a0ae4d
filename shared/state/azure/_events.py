"""Dead letters and positions of events, in tables; the events' bodies in blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from azure.data.tables import TableEntity, TableTransactionError

from shared.errors import RetryLater
from shared.state.azure._runs import RunTables
from shared.state.azure._storage import document, explained, key, parts, read_document
from shared.state.records import DeadLetter, Position

__all__ = ["EventTables"]

LETTERS, SEEN = "deadletters", "seen"
# A filter holds at most 15 comparisons; one names the partition.
ROWS_A_FILTER = 14
# Positions of one sync spread over this many partitions: few enough to fill transactions, enough to share the load.
BUCKETS = 4
TURNS = 10


class EventTables(RunTables):
    """The part of the state store that real-time syncs use."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See `StateStore.add_dead_letters`."""
        self._each(self._add_dead_letter, {letter.id: letter for letter in letters}.values())

    def _add_dead_letter(self, letter: DeadLetter) -> None:
        place = _letter_place(letter.id)
        with explained():  # the body first: a row is never without its body
            self._files().upload_blob(_body_path(place[1]), letter.body, overwrite=True)
        before = self._get(LETTERS, *place)
        of = asdict(letter)
        del of["body"]
        of["kept"] = before["kept"] if before else letter.kept.isoformat()
        shown = {"sync": letter.sync, "error": letter.error, "kept": of["kept"]}
        self._put(LETTERS, {"PartitionKey": place[0], "RowKey": place[1], **shown, **document(of)})

    def dead_letters(
        self, sync: str | None = None, *, ids: Collection[str] = (), limit: int = 1000
    ) -> tuple[DeadLetter, ...]:
        """See `StateStore.dead_letters`."""
        rows = self._letter_rows(ids) if ids else self._query(LETTERS, _of(sync))
        found = [read_document(row) for row in rows if sync is None or row["sync"] == sync]
        found.sort(key=lambda of: (of["partition"], of["sequence"], of["id"]))
        return tuple(letter for letter in self._each(self._letter, found[:limit]) if letter is not None)

    def _letter_rows(self, ids: Collection[str]) -> list[TableEntity]:
        found = self._each(lambda one: self._get(LETTERS, *_letter_place(one)), set(ids))
        return [row for row in found if row is not None]

    def _letter(self, of: dict[str, Any]) -> DeadLetter | None:
        body = self._read_file(_body_path(_letter_place(of["id"])[1]))
        if body is None:
            return None  # removed by another instance just now
        moments = {name: datetime.fromisoformat(of[name]) for name in ("enqueued", "kept") if of[name]}
        return DeadLetter(**of | moments, body=body)

    def count_dead_letters(self, sync: str | None = None) -> int:
        """See `StateStore.count_dead_letters`."""
        return len(self._query(LETTERS, _of(sync), select=["RowKey"]))

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """See `StateStore.remove_dead_letters`."""
        rows = self._letter_rows(ids)
        self._delete(LETTERS, rows)
        with explained():
            for part in parts((_body_path(row["RowKey"]) for row in rows), 256):  # the most that one request deletes
                self._files().delete_blobs(*part, raise_on_any_failure=False)
        return len(rows)

    def seen(self, sync: str, keys: Collection[str]) -> Mapping[str, Position]:
        """See `StateStore.seen`."""
        names = {_seen_place(sync, name): name for name in keys}
        return {names[place]: _position(row) for place, row in self._seen_rows(names).items()}

    def _seen_rows(self, places: Collection[tuple[str, str]]) -> dict[tuple[str, str], TableEntity]:
        """The rows that there are, by partition and row key."""
        by_partition: dict[str, list[str]] = {}
        for partition, row in places:
            by_partition.setdefault(partition, []).append(row)
        conditions = [
            f"PartitionKey eq '{partition}' and ({' or '.join(map(_is_row, part))})"
            for partition, rows in by_partition.items()
            for part in parts(rows, ROWS_A_FILTER)
        ]
        found = self._each(lambda condition: self._query(SEEN, condition), conditions)
        return {(row["PartitionKey"], row["RowKey"]): row for part in found for row in part}

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """See `StateStore.mark_seen`."""
        wanted = {_seen_place(sync, name): position for name, position in positions.items()}
        for _ in range(TURNS):
            there = self._seen_rows(wanted)
            operations = [
                self._mark(place, position, there.get(place))
                for place, position in wanted.items()
                if place not in there or _is_after(position, _position(there[place]))
            ]
            try:
                self._transact(SEEN, operations)
            except TableTransactionError:
                continue  # another instance wrote in between: look again
            return
        raise RetryLater(f"Positions of {sync!r} are being written by others", retry_after=1)

    def _mark(self, place: tuple[str, str], position: Position, there: TableEntity | None) -> tuple[Any, ...]:
        entity = {
            "PartitionKey": place[0],
            "RowKey": place[1],
            "partition": position.partition,
            "sequence": str(position.sequence),
            "when": position.when.isoformat() if position.when else "",
            "written": self._now(),
        }
        return self._write_after(entity, there)

    def forget_seen(self, before: datetime) -> int:
        """See `StateStore.forget_seen`."""
        condition = f"written lt datetime'{before.isoformat().replace('+00:00', 'Z')}'"
        rows = self._query(SEEN, condition, select=["PartitionKey", "RowKey"])
        self._delete(SEEN, rows)
        return len(rows)


def _letter_place(letter_id: str) -> tuple[str, str]:
    """Partition and row of a dead letter: spread by digest, found by id."""
    digest = hashlib.sha256(letter_id.encode()).hexdigest()
    return digest[0], digest


def _seen_place(sync: str, name: str) -> tuple[str, str]:
    """Partition and row of a key's position."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{key(sync)}.{int(digest[0], 16) % BUCKETS}", digest


def _body_path(digest: str) -> str:
    return f"dead-letters/{digest}"


def _of(sync: str | None) -> str:
    if sync is None:
        return "PartitionKey ge ''"
    quoted = sync.replace("'", "''")
    return f"sync eq '{quoted}'"


def _is_row(row: str) -> str:
    return f"RowKey eq '{row}'"


def _position(row: Mapping[str, Any]) -> Position:
    when = datetime.fromisoformat(row["when"]) if row["when"] else None
    return Position(partition=row["partition"], sequence=int(row["sequence"]), when=when)


def _is_after(position: Position, there: Position) -> bool:
    return position.partition != there.partition or position.sequence > there.sequence
