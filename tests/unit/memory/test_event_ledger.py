"""The ledger as events see it: entries over parts, writes only into what is unchanged, and parts that are swapped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from shared.memory import EventLedger, KnownRecord, Ledger, RememberedRecord, ledger_owner
from shared.state.sqlite import SqliteStateStore
from shared.workspace import Workspace

NOW = datetime(2026, 2, 3, tzinfo=UTC)
OWNER, OTHER = ledger_owner("org.example", "account"), ledger_owner("copy.example", "account")
LATER = NOW + timedelta(hours=2)
A, B, C = '{"a":"A"}', '{"a":"B"}', '{"a":"C"}'


def known(number: int) -> str:
    return str(UUID(int=number))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


@pytest.fixture
def ledger(state: SqliteStateStore) -> Iterator[EventLedger]:
    made = EventLedger(state, "customers", OWNER, lambda: Workspace.open(threads=1))
    yield made
    made.close()


def run(state: SqliteStateStore, *rows: tuple[int, str | None, bool, str | None], at: datetime = NOW) -> None:
    """A batch run that notes some rows."""
    with Workspace.open(threads=1) as workspace:
        form = "(id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR)"
        workspace.execute(f"CREATE TABLE ledger {form}")
        workspace.execute(f"CREATE TABLE added {form}")
        for number, *values in rows:
            workspace.execute("INSERT INTO added VALUES (?, ?, ?, NULL, ?, NULL)", [known(number), *values])
        batch = Ledger(state, "customers", owner=OWNER, now=at)
        batch.look()
        batch.load(workspace, lambda query: f"INSERT INTO ledger {query}")
        batch.begin(workspace, "added", fence=1)


def known_of(ledger: EventLedger, records: list[str], now: datetime = NOW) -> dict[str, RememberedRecord]:
    """What an event finds whose reading begins now."""
    return ledger.of(records, now, ledger.before_reading({}))


def write(
    ledger: EventLedger, number: int, value: str, *, now: datetime = NOW, ends: bool = True, marked: bool = False
) -> dict[str, RememberedRecord] | None:
    """An event that writes a value into a record."""
    record = known(number)
    before = known_of(ledger, [record], now)
    origin = before[record].known.origin or "created"
    pending = KnownRecord(origin=origin, marked=marked, written=before[record].known.written, pending=value)
    noted = ledger.note_before({record: pending}, before, now)
    if noted is not None and ends:
        ledger.note_after({record: KnownRecord(origin=origin, marked=marked, written=value)}, before, noted, now)
    return noted


def found(ledger: EventLedger, number: int, now: datetime = NOW) -> RememberedRecord:
    return known_of(ledger, [known(number)], now)[known(number)]


def test_entries_count_over_the_rows_that_they_know(state: SqliteStateStore, ledger: EventLedger) -> None:
    """What a batch has written is the start; what it writes later counts beside an entry, until the next write."""
    run(state, (1, "matched", True, A), (2, "created", False, A))
    assert found(ledger, 1).known == KnownRecord(origin="matched", marked=True, written=A)
    write(ledger, 1, B)
    assert found(ledger, 1).known == KnownRecord(origin="matched", written=B)
    assert found(ledger, 2).known.written == A
    assert (found(ledger, 3).known, found(ledger, 3).entry) == (KnownRecord(), None)
    write(ledger, 2, B, ends=False)
    run(state, (2, "matched", False, C))
    both = found(ledger, 2).known
    assert (both.origin, both.written, both.pending) == ("created", C, '{"a": ["A", "B"]}')
    write(ledger, 2, A)
    assert found(ledger, 2).known == KnownRecord(origin="created", written=A)


def test_a_run_takes_entries_into_the_parts(state: SqliteStateStore, ledger: EventLedger) -> None:
    """An event finds there what it has noted; files that are named no more are removed from the disk."""
    write(ledger, 1, A)
    for turn in range(12):
        run(state)
        write(ledger, 2, B)
        assert found(ledger, 1).known == KnownRecord(origin="created", written=A), turn
    assert set(state.ledger_entries("customers")) == {known(2)}
    assert ledger._workspace is not None
    assert len(list(ledger._workspace.folder.glob("*.parquet"))) <= 8


def test_an_entry_is_not_written_over_what_another_process_noted(state: SqliteStateStore, ledger: EventLedger) -> None:
    """Then nothing of the batch is noted; after the write the note of the other writer, who has read ours, stays."""
    other = EventLedger(state, "customers", OWNER, lambda: Workspace.open(threads=1))
    write(ledger, 1, A)
    records = [known(1), known(2)]
    before = known_of(ledger, records)
    write(other, 1, B)
    rows = {record: KnownRecord(origin="created", pending=C) for record in records}
    assert ledger.note_before(rows, before, NOW) is None
    assert found(ledger, 1).known.written == B
    assert found(ledger, 2).entry is None
    before = known_of(ledger, records)
    noted = ledger.note_before(rows, before, NOW)
    assert noted is not None
    write(other, 1, A, ends=False)
    ledger.note_after({record: KnownRecord(origin="created", written=C) for record in records}, before, noted, NOW)
    assert found(ledger, 1).known.pending == '{"a": ["C", "A"]}'
    assert found(ledger, 2).known == KnownRecord(origin="created", written=C)


def test_a_mark_that_another_process_may_be_setting_is_not_forgotten(ledger: EventLedger) -> None:
    """For an hour after its note; and a run leaves its entry alone for so long."""
    write(ledger, 1, A, marked=True, ends=False)
    assert found(ledger, 1).others is not None
    write(ledger, 1, B)
    assert found(ledger, 1).known.marked
    assert found(ledger, 1, LATER).others is None
    write(ledger, 1, C, now=LATER)
    assert not found(ledger, 1, LATER).known.marked


def test_entries_that_a_process_is_writing_stay_for_an_hour(state: SqliteStateStore, ledger: EventLedger) -> None:
    """Then a run takes them."""
    write(ledger, 1, A, ends=False)
    run(state)
    assert state.ledger_entries("customers")
    run(state, at=LATER)
    assert not state.ledger_entries("customers")
    assert found(ledger, 1).known == KnownRecord(origin="created", pending='{"a": ["A"]}')


def test_what_was_not_written_is_as_before(state: SqliteStateStore, ledger: EventLedger) -> None:
    """The note of a refused write is taken back, and a record that was not made has no entry."""
    write(ledger, 1, A)
    before = known_of(ledger, [known(1), known(2)])
    noted = write(ledger, 1, B, ends=False)
    assert noted is not None
    ledger.take_back([known(1)], before, noted)
    assert found(ledger, 1).known == KnownRecord(origin="created", written=A)
    noted = write(ledger, 2, B, ends=False)
    assert noted is not None
    ledger.note_after({known(2): KnownRecord()}, before, noted, NOW)
    assert set(state.ledger_entries("customers")) == {known(1)}


def test_what_was_noted_a_moment_ago_is_fresh(ledger: EventLedger) -> None:
    """It may be younger than a record whose reading began when nothing was known of it."""
    write(ledger, 1, A)
    assert (found(ledger, 1).fresh, found(ledger, 1, LATER).fresh, found(ledger, 2).fresh) == (True, False, False)


def test_what_a_run_has_swapped_is_fresh_for_every_reading_that_began_before(
    state: SqliteStateStore, ledger: EventLedger
) -> None:
    """Also where another reading of the same process has asked in between; not for a reading that begins later."""
    assert found(ledger, 2).fresh  # the process has not read the list before
    record = [known(2)]
    first, second = (ledger.before_reading({}) for _ in range(2))
    run(state, (2, "matched", False, A))
    assert ledger.of(record, NOW, second)[known(2)].fresh
    assert ledger.of(record, NOW, first)[known(2)].fresh
    assert not found(ledger, 2).fresh


def test_an_entry_is_fresh_if_it_has_changed_since_the_reading_began(ledger: EventLedger) -> None:
    """Of a record that was looked up before, no clock is asked."""
    write(ledger, 1, A)
    before = ledger.before_reading(known_of(ledger, [known(1), known(2)]))
    assert [each.fresh for each in ledger.of([known(1), known(2)], NOW, before).values()] == [False, False]
    write(ledger, 1, B)
    write(ledger, 2, B)
    assert [each.fresh for each in ledger.of([known(1), known(2)], LATER, before).values()] == [True, True]


def test_damaged_files_are_fresh_once(state: SqliteStateStore, ledger: EventLedger) -> None:
    """Else an event would read its record again and again."""
    run(state, (1, "created", True, A))
    head = state.ledger("customers")
    assert head is not None
    state.put_ledger_part("customers", head.parts[0], b"damaged")
    assert (found(ledger, 1).fresh, found(ledger, 1).fresh) == (True, False)


def test_a_ledger_with_damaged_files_has_only_its_entries(state: SqliteStateStore, ledger: EventLedger) -> None:
    """As in a run: none of the files is used."""
    run(state, (1, "created", True, A), (2, "created", True, A))
    write(ledger, 2, B)
    head = state.ledger("customers")
    assert head is not None
    state.put_ledger_part("customers", head.parts[0], b"damaged")
    fresh = EventLedger(state, "customers", OWNER, lambda: Workspace.open(threads=1))
    assert (found(fresh, 1).known, found(fresh, 2).known.written) == (KnownRecord(), B)
    fresh.close()


def test_a_record_of_another_environment_is_not_known(state: SqliteStateStore, ledger: EventLedger) -> None:
    """A copy has the same ids: neither rows nor entries of the other one count, and an entry is replaced."""
    run(state, (1, "created", True, A))
    assert write(ledger, 2, A)
    copy = EventLedger(state, "customers", OTHER, lambda: Workspace.open(threads=1))
    found = known_of(copy, [known(1), known(2)], LATER)
    assert [(each.known.origin, each.basis, each.in_parts) for each in found.values()] == [(None, "", False)] * 2
    assert write(copy, 2, B, now=LATER)
    assert known_of(copy, [known(2)], LATER)[known(2)].known.origin == "created"
    assert known_of(ledger, [known(2)], LATER)[known(2)].known.origin is None
    copy.close()
