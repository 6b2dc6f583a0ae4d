"""Dead letters and positions of events, in tables; what is too large for a row in blobs."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

from azure.data.tables import TableEntity, TableTransactionError

from shared.errors import RetryLater
from shared.odata import odata_text
from shared.state._bounds import fitting_letter, json_text
from shared.state._reading import json_object, reading, record
from shared.state.azure._conditions import if_unchanged
from shared.state.azure._errors import explained
from shared.state.azure._runs import TURNS, RunTables
from shared.state.azure._storage import TAGGED, document, groups, key, parts, read_document
from shared.state.event_records import INCOMPLETE, DeadLetter, Position

__all__ = ["EventTables"]

LETTERS, SEEN = "deadletters", "seen"
# A filter holds at most 15 comparisons; one names the partition.
ROWS_A_FILTER = 14
# Positions of one sync spread over this many partitions: few enough to fill transactions, enough to share the load.
BUCKETS = 4
# A binary property holds 64 KiB, and a transaction 4 MiB: most events are smaller than this.
SMALL_BODY = 30_000  # bytes
SMALL_DOCUMENT = 100_000  # characters
_BODIES = "dead-letters/"


class EventTables(RunTables):
    """The part of the state store that real-time syncs use."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See `StateStore.add_dead_letters`."""
        rows = self._each(self._letter_row, {letter.id: letter for letter in letters}.values())
        replaced = self._each(self._add_letters, groups(rows))
        self._delete_files(path for paths in replaced for path in paths)

    def _letter_row(self, letter: DeadLetter) -> dict[str, Any]:
        """The row of a letter; what is too large for a row is put into blobs first: a row is never without them.

        Each keeping of a letter has blobs of its own: whoever removes an earlier one does not touch them. Those of a
        process that ends before it writes the row are removed by the storage account when they are old.
        """
        letter = fitting_letter(letter)
        partition, row = _letter_place(letter.id)
        of = asdict(letter)
        del of["body"], of["kept"]
        text = json_text(of)
        entity: dict[str, Any] = {
            "PartitionKey": partition,
            "RowKey": row,
            "sync": letter.sync,
            "error": letter.error,
            "kept": letter.kept.isoformat(),
            "keeping": uuid.uuid4().hex,
            "order": json_text((letter.partition, letter.sequence, letter.id)),
        }
        if small_body := len(letter.body) <= SMALL_BODY:
            entity["body"] = letter.body
        else:
            self._put_file(_body_path(entity), letter.body)
        if small_document := len(text) <= SMALL_DOCUMENT:
            entity |= document(of)
        else:
            self._put_file(_document_path(entity), text.encode())
        return {**entity, "whole": small_body and small_document}

    def _add_letters(self, rows: list[dict[str, Any]]) -> set[str]:
        """Add letters of one partition; the blobs that no row names any more. As a rule all letters are new."""
        try:
            self._submit(LETTERS, [("create", row) for row in rows])
        except TableTransactionError:
            return self._add_again(rows)
        return set()

    def _add_again(self, rows: Sequence[Mapping[str, Any]]) -> set[str]:
        """Add letters of which some are there: when they were kept first stays; returns the blobs of the old rows."""
        replaced: set[str] = set()
        for _ in range(TURNS):
            known = self._known(rows)
            # What an earlier try has written, whose answer was lost, is not written again.
            missing = [row for row in rows if not _is_same_keeping(row, known.get(row["RowKey"]))]
            replaced.update(path for row in missing for path in _blob_paths(known.get(row["RowKey"])))
            try:
                if missing:
                    self._submit(LETTERS, [self._write_letter(row, known.get(row["RowKey"])) for row in missing])
            except TableTransactionError:
                continue  # another process wrote in between: look again
            return replaced
        raise RetryLater("Dead letters are being written by other processes", retry_after=1)

    def _write_letter(self, row: Mapping[str, Any], known: TableEntity | None) -> tuple[Any, ...]:
        return self._write_after({**row, "kept": known["kept"]} if known else row, known)

    def _known(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, TableEntity]:
        """Those of some rows of one partition that are there, by row key: when they were kept, and their blobs."""
        names = {row["RowKey"] for row in rows}
        condition = (
            f"PartitionKey eq '{rows[0]['PartitionKey']}' and RowKey ge '{min(names)}' and RowKey le '{max(names)}'"
        )
        found = self._each_of(LETTERS, condition, select=[*TAGGED, "kept", "keeping", "whole"])
        return {row["RowKey"]: row for row in found if row["RowKey"] in names}

    def dead_letters(
        self, sync: str | None = None, *, ids: Collection[str] = (), limit: int = 1000
    ) -> tuple[DeadLetter, ...]:
        """See `StateStore.dead_letters`."""
        if ids:
            places = {_letter_place(one) for one in ids}
        else:
            rows = self._query(LETTERS, _of(sync), select=["PartitionKey", "RowKey", "order"])
            places = self._first(rows, limit)
        found = [letter for letter in self._each(self._letter, places) if letter and sync in (None, letter.sync)]
        return tuple(sorted(found, key=attrgetter("partition", "sequence", "id"))[:limit])

    def dead_letter_sizes(self, sync: str | None = None) -> Mapping[str, int]:
        """See `StateStore.dead_letter_sizes`."""
        rows = self._query(LETTERS, _of(sync), select=["PartitionKey", "RowKey", "order", "keeping", "whole"])
        apart: Counter[str] = Counter()
        if not all(row.get("whole") for row in rows):
            with explained():
                for blob in self._files().list_blobs(name_starts_with=_BODIES):
                    apart[str(blob.name).removesuffix(".json")] += int(blob.size)
        of_row = {row["RowKey"]: SMALL_BODY + SMALL_DOCUMENT + apart[_body_path(row)] for row in rows}
        return {of[2]: of_row[row] for of, (_, row) in self._ordered(rows)}

    def _first(self, rows: Sequence[TableEntity], limit: int) -> set[tuple[str, str]]:
        """The places of the first letters in order of partition and sequence number."""
        return {place for _, place in self._ordered(rows)[:limit]}

    def _ordered(self, rows: Sequence[TableEntity]) -> list[tuple[Any, tuple[str, str]]]:
        """Partition, sequence number and id of letters, each with its place, in order."""
        with reading(LETTERS, "all"):
            return sorted((json.loads(self._order(row)), (row["PartitionKey"], row["RowKey"])) for row in rows)

    def _order(self, row: TableEntity) -> str:
        """Partition, sequence number and id of a letter as JSON; an older version did not write them apart."""
        if "order" in row:
            return str(row["order"])
        letter = self._letter((row["PartitionKey"], row["RowKey"]))
        return json_text((letter.partition, letter.sequence, letter.id) if letter else ("", 0, ""))

    def _letter(self, place: tuple[str, str]) -> DeadLetter | None:
        """A letter; None where it is not there, or was removed by another instance just now.

        A letter whose blob is gone is not left out: it says what is missing.
        """
        if (row := self._get(LETTERS, *place)) is None:
            return None
        if (letter := self._read_letter(row)) is not None:
            return letter
        row = self._get(LETTERS, *place)  # its blobs are removed after it, and written before it
        return None if row is None else self._read_letter(row) or _incomplete(row)

    def _read_letter(self, row: TableEntity) -> DeadLetter | None:
        """The letter of a row; None where a blob of it is not there."""
        body = row["body"] if "body" in row else self._read_file(_body_path(row))
        with reading(LETTERS, row["RowKey"]):
            of = read_document(row) if "json00" in row else self._read_letter_document(row)
            return None if body is None or of is None else record(DeadLetter, of | {"kept": row["kept"], "body": body})

    def _read_letter_document(self, row: TableEntity) -> dict[str, Any] | None:
        text = self._read_file(_document_path(row))
        return None if text is None else json_object(text, "document")

    def count_dead_letters(self, sync: str | None = None) -> int:
        """See `StateStore.count_dead_letters`."""
        return len(self._query(LETTERS, _of(sync), select=["RowKey"]))

    def dead_letter_counts(self) -> Mapping[str, int]:
        """See `StateStore.dead_letter_counts`."""
        return Counter(str(row["sync"]) for row in self._each_of(LETTERS, _of(None), select=["sync"]))

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """See `StateStore.remove_dead_letters`."""
        return self._remove_letters({_letter_place(one) for one in ids})

    def _remove_letters(self, places: Collection[tuple[str, str]]) -> int:
        # In order: then the ranges of rows that the groups are looked up by hold little else.
        keys = [{"PartitionKey": partition, "RowKey": row} for partition, row in sorted(places)]
        gone = [row for group in self._each(self._remove_group, groups(keys)) for row in group]
        self._delete_files(path for row in gone for path in _blob_paths(row))
        return len(gone)

    def _remove_group(self, keys: Sequence[Mapping[str, str]]) -> list[Mapping[str, Any]]:
        """Remove letters of one partition; the rows of those that were there. One that is kept again stays."""
        known = self._known(keys)
        return self._delete_group(LETTERS, [*map(if_unchanged, known.values())]) if known else []

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
        return {_place_of(row): row for part in found for row in part}

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """See `StateStore.mark_seen`."""
        written = self._now()
        rows = (_seen_row(_seen_place(sync, name), position, written) for name, position in positions.items())
        wanted = {_place_of(row): row for row in rows}
        self._mark(sync, wanted, lambda: self._seen_rows(wanted))

    def copy_positions(self, old: str, new: str) -> None:
        """See `StateStore.copy_positions`."""
        for number in range(BUCKETS):
            ours, theirs = _seen_bucket(new, number), self._bucket(_seen_bucket(old, number))
            places = {(ours, row): of for (_, row), of in theirs.items()}
            if wanted := {place: _seen_row(place, _position(of), of["written"]) for place, of in places.items()}:
                self._mark(new, wanted, partial(self._bucket, ours))

    def _bucket(self, partition: str) -> dict[tuple[str, str], TableEntity]:
        """All rows of a partition, by place: in one query, because a condition names only a few rows."""
        return {_place_of(row): row for row in self._query(SEEN, f"PartitionKey eq '{partition}'")}

    def _mark(
        self,
        sync: str,
        wanted: Mapping[tuple[str, str], Mapping[str, Any]],
        look: Callable[[], Mapping[tuple[str, str], TableEntity]],
    ) -> None:
        """Write rows of positions, unless a later position is there; `look` gives the rows that are there."""
        for _ in range(TURNS):
            there = look()
            operations = [
                self._write_after(row, there.get(place))
                for place, row in wanted.items()
                if place not in there or _position(row).is_after(_position(there[place]))
            ]
            try:
                self._transact(SEEN, operations)
            except TableTransactionError:
                continue  # another instance wrote in between: look again
            return
        raise RetryLater(f"Positions of {sync!r} are being written by other processes", retry_after=1)

    def remove_positions(self, before: datetime, *, limit: int) -> int:
        """See `StateStore.remove_positions`."""
        condition = f"written lt datetime'{before.isoformat().replace('+00:00', 'Z')}'"
        rows = self._query(SEEN, condition, select=[*TAGGED], limit=limit)
        # One that was written since then is of an event that has just taken effect.
        return self._delete(SEEN, map(if_unchanged, rows))


def _letter_place(letter_id: str) -> tuple[str, str]:
    """Partition and row of a dead letter: spread by digest, found by id."""
    digest = hashlib.sha256(letter_id.encode()).hexdigest()
    return digest[0], digest


def _is_same_keeping(row: Mapping[str, Any], known: TableEntity | None) -> bool:
    return known is not None and known.get("keeping") == row["keeping"]


def _seen_place(sync: str, name: str) -> tuple[str, str]:
    """Partition and row of a key's position."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return _seen_bucket(sync, int(digest[0], 16) % BUCKETS), digest


def _seen_bucket(sync: str, number: int) -> str:
    """One of the partitions of the positions of a sync."""
    return f"{key(sync)}.{number}"


def _seen_row(place: tuple[str, str], position: Position, written: datetime) -> dict[str, Any]:
    return {
        "PartitionKey": place[0],
        "RowKey": place[1],
        "partition": position.partition,
        "sequence": str(position.sequence),
        "item": position.item,
        "when": position.when.isoformat() if position.when else "",
        "written": written,
    }


def _place_of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["PartitionKey"], row["RowKey"]


def _incomplete(row: TableEntity) -> DeadLetter:
    """What is left of a letter of which a blob is gone."""
    with reading(LETTERS, row["RowKey"]):
        of = read_document(row) if "json00" in row else {}
        partition, sequence, letter_id = json.loads(row["order"]) if "order" in row else ("", 0, of.get("id"))
        known = {"id": letter_id, "sync": row["sync"], "partition": partition, "sequence": sequence} | of
        message = (
            f"the state store has lost a part of this event: the blob {_body_path(row)} or the one with "
            ".json after its name is not there any more. Restore it (runbook: Restore), or send the event again from "
            "its source and discard this dead letter"
        )
        lost = {"error": INCOMPLETE, "code": "", "message": message, "kept": row["kept"], "body": row.get("body", b"")}
        return record(DeadLetter, known | lost)


def _body_path(row: Mapping[str, Any]) -> str:
    """Where the body of a letter is that is too large for its row; an older version used the row's key alone."""
    keeping = row.get("keeping")
    return f"{_BODIES}{row['RowKey']}-{keeping}" if keeping else f"{_BODIES}{row['RowKey']}"


def _document_path(row: Mapping[str, Any]) -> str:
    return f"{_body_path(row)}.json"


def _blob_paths(row: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The blobs that a row names, whether or not it has both; none where there is no row, or it is whole."""
    return () if row is None or row.get("whole") else (_body_path(row), _document_path(row))


def _of(sync: str | None) -> str:
    if sync is None:
        return "PartitionKey ge ''"
    return f"sync eq {odata_text(sync)}"


def _is_row(row: str) -> str:
    return f"RowKey eq '{row}'"


def _position(row: Mapping[str, Any]) -> Position:
    with reading(SEEN, f"{row['PartitionKey']}/{row['RowKey']}"):
        of = {name: row[name] for name in ("partition", "sequence", "item") if name in row}  # older rows have no item
        return record(Position, {**of, "when": row["when"] or None})
