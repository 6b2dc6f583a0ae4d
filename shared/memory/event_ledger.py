"""The ledger of one sync as its events see it: entries of single records, over the parts that batches have written.

A batch of events reads the entries of its records and the list of the parts: two calls. The parts themselves are read
when they are new, and stay in files of this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shared.entities import LedgerEntry, LedgerHead, LedgerStore
from shared.errors import RetryLater
from shared.memory.damage import DamagedError, reading_parts
from shared.memory.entries import NOTHING, KnownRecord, RecordEntry, StoredRow, combined, with_pending
from shared.memory.names import parts_of
from shared.memory.parts import fetched, rows_of
from shared.workspace import Workspace

__all__ = ["BeforeReading", "EventLedger", "RememberedRecord"]

# No request to Dataverse is under way for so long: its function was ended before.
_BUSY: Final = timedelta(hours=1)
# How far the clocks of instances may differ.
_SKEW: Final = timedelta(minutes=5)
_USE_NOTED_EVERY: Final = timedelta(days=1)
_TURNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeReading:
    """What was known of a ledger before records were read: what is different afterwards may be younger than they are.

    Attributes:
        version: Of the list of the parts, as the process had last read it; None where it had not.
        entries: Record -> its entry, of the records that were looked up; None where it had none.
    """

    version: str | None = None
    entries: Mapping[str, LedgerEntry | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedRecord:
    """What is known of a record.

    Attributes:
        entry: Its entry as it is stored; None where it has none.
        others: Until when other writers may be at work on it; None where there are none.
        in_parts: A part has a row of it.
        basis: The newest part that was read.
        fresh: It may have become known only after the record was read.
    """

    known: KnownRecord = NOTHING
    entry: LedgerEntry | None = None
    others: datetime | None = None
    in_parts: bool = False
    basis: str = ""
    fresh: bool = False


class EventLedger:
    """The ledger of one sync for the events that one process handles; safe to be used by several threads.

    Args:
        store: Keeps it.
        sync: Name of the sync.
        owner: Whose records are meant; see `ledger_owner`.
        open_workspace: Opens a database that reads the parts; it is opened when there are any.
    """

    def __init__(self, store: LedgerStore, sync: str, owner: str, open_workspace: Callable[[], Workspace]) -> None:
        self._owner = owner
        self._store = store
        self._sync = sync
        self._open = open_workspace
        self._workspace: Workspace | None = None
        self._files: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._version: str | None = None
        self._used: datetime | None = None

    def before_reading(self, known: Mapping[str, RememberedRecord]) -> BeforeReading:
        """What is known now, before records are read; for `of`, once they were read.

        Args:
            known: What was found of some of them before.
        """
        return BeforeReading(version=self._version, entries={record: each.entry for record, each in known.items()})

    def of(self, ids: Collection[str], now: datetime, before: BeforeReading) -> dict[str, RememberedRecord]:
        """What is known of some records; to be called after they were read.

        The entries are read before the list of parts: what a batch takes from an entry into a part is found in one of
        them.

        Args:
            ids: The records.
            now: The time.
            before: What was known before they were read. Each reading has its own: what one of them has found is still
                news to another one that began earlier.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        if not ids:
            return {}
        self._use(now)
        entries = self._store.ledger_entries(self._sync, ids)
        parts, rows, version = self._rows(ids)
        swapped = version != before.version
        found: dict[str, RememberedRecord] = {}
        for record in ids:
            stored, row = entries.get(record), rows.get(record)
            entry = RecordEntry.of_owner(stored.text, self._owner) if stored else None
            found[record] = RememberedRecord(
                known=combined(row, entry, parts),
                entry=stored,
                others=entry.busy if entry and not entry.is_idle(now) else None,
                in_parts=row is not None,
                basis=parts[-1] if parts else "",
                fresh=swapped or _is_news(record, stored, entry, before, now),
            )
        return found

    def note_before(
        self, rows: Mapping[str, KnownRecord], remembered: Mapping[str, RememberedRecord], now: datetime
    ) -> dict[str, RememberedRecord] | None:
        """Note what is about to be written; None where another writer has changed one of the entries: nothing is noted.

        Args:
            rows: Record -> what is known of it once it is written, with the values of this write as pending.
            remembered: What was known before.
            now: The time.

        Returns:
            What is known now of these records.
        """
        entries = {}
        for record, known in rows.items():
            before = remembered[record]
            pending = with_pending(before.known, known.pending).pending
            entries[record] = self._entry(replace(known, pending=pending), before, now, busy=now + _BUSY)
        written = self._store.put_ledger_entries(self._sync, entries)
        if len(written) < len(entries):
            self._take_back(written, remembered)
            return None
        return {record: replace(remembered[record], entry=entry) for record, entry in written.items()}

    def _take_back(self, written: Mapping[str, LedgerEntry], remembered: Mapping[str, RememberedRecord]) -> None:
        """Restore entries to what they were before this process wrote them; those that others have changed stay."""
        restored, added = {}, {}
        for record, entry in written.items():
            before = remembered[record].entry
            if before is None:
                added[record] = entry
            else:
                restored[record] = replace(entry, text=before.text)
        if restored:
            self._store.put_ledger_entries(self._sync, restored)
        if added:
            self._store.remove_ledger_entries(self._sync, added)

    def note_after(
        self,
        rows: Mapping[str, KnownRecord],
        remembered: Mapping[str, RememberedRecord],
        noted: Mapping[str, RememberedRecord],
        now: datetime,
    ) -> None:
        """Note the result of records.

        An entry that another writer has changed since stays as it is: that writer has read what was noted before.

        Args:
            rows: Record -> what is known of it.
            remembered: What was known before.
            noted: What was noted before the write.
            now: The time.
        """
        entries: dict[str, LedgerEntry] = {}
        gone: dict[str, LedgerEntry] = {}
        for record, known in rows.items():
            before, current = remembered[record], noted.get(record) or remembered[record]
            if known.origin is None and not before.in_parts and before.others is None:
                if current.entry:
                    gone[record] = current.entry
                continue
            marked = known.marked or (before.others is not None and before.known.marked)
            entry = self._entry(replace(known, marked=marked), before, now, busy=before.others)
            entries[record] = replace(entry, version=current.entry.version if current.entry else "")
        if entries:
            self._store.put_ledger_entries(self._sync, entries)
        if gone:
            self._store.remove_ledger_entries(self._sync, gone)

    def take_back(
        self,
        records: Collection[str],
        remembered: Mapping[str, RememberedRecord],
        noted: Mapping[str, RememberedRecord],
    ) -> None:
        """Note that nothing was written into records for which something was noted."""
        self._take_back({record: entry for record in records if (entry := noted[record].entry)}, remembered)

    def close(self) -> None:
        """Close the database that reads the parts."""
        with self._lock:
            if self._workspace:
                self._workspace.close()
            self._workspace = None
            self._files.clear()

    def _entry(
        self, known: KnownRecord, before: RememberedRecord, now: datetime, *, busy: datetime | None
    ) -> LedgerEntry:
        entry = RecordEntry(known=known, basis=before.basis, noted=now, owner=self._owner)
        entry = replace(entry, busy=busy) if busy else entry
        return LedgerEntry(text=entry.to_text(), version=before.entry.version if before.entry else "")

    def _use(self, now: datetime) -> None:
        if self._used is None or now - self._used >= _USE_NOTED_EVERY:
            self._store.use_ledger(self._sync)
            self._used = now

    # -- Parts ---------------------------------------------------------------------------------------------------

    def _rows(self, ids: Collection[str]) -> tuple[tuple[str, ...], dict[str, StoredRow], str]:
        """The names of the parts, their rows of some records, and the version of the list.

        A ledger whose files are missing or damaged counts as none, as it does for a batch.
        """
        head = self._head()
        for _ in range(_TURNS):
            try:
                with reading_parts():
                    rows = self._read(head, ids)
            except DamagedError:
                latest = self._head()
                if latest == head:
                    return (), {}, self._read_up_to(head)
                head = latest
            else:
                return head.parts if head else (), rows, self._read_up_to(head)
        raise RetryLater(f"the ledger of {self._sync} is being changed by batches", retry_after=1)

    def _read_up_to(self, head: LedgerHead | None) -> str:
        """Note the version that was read; empty where there is no ledger."""
        version = self._version = head.version if head else ""
        return version

    def _head(self) -> LedgerHead | None:
        """The ledger with the parts of its owner's records alone."""
        head = self._store.ledger(self._sync)
        return replace(head, parts=tuple(parts_of(self._owner, head.parts))) if head else None

    def _read(self, head: LedgerHead | None, ids: Collection[str]) -> dict[str, StoredRow]:
        if head is None or not head.parts:
            return {}
        with self._lock:
            workspace = self._workspace = self._workspace or self._open()
            for name in self._files.keys() - set(head.parts):
                self._files.pop(name).unlink(missing_ok=True)
            for name in head.parts:
                if name not in self._files:
                    self._files[name] = fetched(self._store, self._sync, name, workspace.folder)
            return rows_of(workspace, {name: self._files[name] for name in head.parts}, list(ids))


def _is_news(
    record: str, stored: LedgerEntry | None, entry: RecordEntry | None, before: BeforeReading, now: datetime
) -> bool:
    """Whether an entry may have been written after its record was read."""
    if record in before.entries:
        return stored != before.entries[record]
    return entry is not None and entry.noted > now - _SKEW
