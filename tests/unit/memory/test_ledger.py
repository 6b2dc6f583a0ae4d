"""The ledger of one sync: the latest row of a record counts, files are written anew as few, and a lost one is begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.entities import LedgerEntry, LedgerHead
from shared.errors import RetryLater
from shared.memory import Ledger, LedgerConflictError, ledger_owner, new_part, owner_of
from shared.memory.entries import KnownRecord, RecordEntry, without_values
from shared.workspace import Workspace

FORM = "id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR"
FENCE = 7
NOW = datetime(2026, 2, 3, tzinfo=UTC)
OWNER, OTHER = ledger_owner("org.example", "account"), ledger_owner("copy.example", "account")
Row = tuple[Any, ...]


class Store:
    """Ledgers in memory."""

    def __init__(self) -> None:
        self.head: LedgerHead | None = None
        self.parts: dict[str, bytes] = {}
        self.entries: dict[str, LedgerEntry] = {}
        self.meanwhile: list[Callable[[], None]] = []  # what others do before a part is read, the last first

    def ledger(self, sync: str) -> LedgerHead | None:
        """The head."""
        assert sync == "customers"
        return self.head

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """A part."""
        assert sync == "customers"
        if self.meanwhile:
            self.meanwhile.pop()()
        return self.parts.get(name)

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """Keep a part; names are used once."""
        assert sync == "customers"
        assert name not in self.parts
        self.parts[name] = data

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """Swap if no other run has swapped."""
        assert sync == "customers"
        if self.head != expected:
            return None
        assert set(parts) <= set(self.parts)
        version = str(int(self.head.version) + 1) if self.head else "1"
        self.head = LedgerHead(parts=tuple(parts), version=version, fence=fence)
        self.parts = {name: self.parts[name] for name in parts}
        return self.head

    def ledger_entries(self, sync: str, ids: Collection[str] | None = None) -> dict[str, LedgerEntry]:
        """All entries."""
        assert (sync, ids) == ("customers", None)
        return dict(self.entries)

    def put_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> dict[str, LedgerEntry]:
        """Events write them."""
        raise NotImplementedError

    def remove_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> None:
        """Remove those that are unchanged."""
        assert sync == "customers"
        self.entries = {record: entry for record, entry in self.entries.items() if entries.get(record) != entry}

    def use_ledger(self, sync: str) -> None:
        """Events note it."""
        raise NotImplementedError


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        yield opened


def known(number: int) -> UUID:
    return UUID(int=number)


def opened(store: Store, workspace: Workspace, owner: str = OWNER, **options: int) -> Ledger:
    """A ledger as a run opens it."""
    ledger = Ledger(store, "customers", owner=owner, now=NOW, **options)
    ledger.look()
    workspace.execute(f"CREATE OR REPLACE TABLE ledger ({FORM})")
    ledger.load(workspace, lambda rows: f"INSERT INTO ledger {rows}")
    return ledger


def add(workspace: Workspace, *rows: Row) -> None:
    """Make the table `added`."""
    workspace.execute(f"CREATE OR REPLACE TABLE added ({FORM})")
    for row in rows:
        workspace.execute("INSERT INTO added VALUES (?, ?, ?, NULL, ?, ?)", row)


def append(ledger: Ledger, workspace: Workspace, *rows: Row) -> None:
    add(workspace, *rows)
    ledger.append(workspace, "added", fence=FENCE)


def rows_of(store: Store, owner: str = OWNER) -> list[Row]:
    """What the next run reads, without rows that say that a record is forgotten."""
    with Workspace.open(threads=1) as workspace:
        assert not opened(store, workspace, owner).missing
        return workspace.query(
            "SELECT id, origin, marked, written, pending FROM ledger WHERE origin IS NOT NULL ORDER BY id"
        )


def test_a_ledger_that_does_not_exist_is_missing_until_a_run_has_added_to_it(
    store: Store, workspace: Workspace
) -> None:
    """The table stays empty, and the run can say why."""
    ledger = opened(store, workspace)
    assert ledger.missing
    assert workspace.query("SELECT count(*) FROM ledger") == [(0,)]
    append(ledger, workspace)
    assert rows_of(store) == []


def test_the_latest_row_of_a_record_counts(store: Store, workspace: Workspace) -> None:
    """A row of a later part replaces the earlier one; one without an origin removes it."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", False, "{}", None), (known(2), "matched", False, None, "{}"))
    append(ledger, workspace, (known(1), "created", True, '{"a":"x"}', None), (known(2), None, False, None, None))
    assert rows_of(store) == [(known(1), "created", True, '{"a":"x"}', None)]


def test_many_parts_are_written_anew(store: Store, workspace: Workspace) -> None:
    """Their number stays small, removed rows are not in them, and the size of a part is limited."""
    ledger = opened(store, workspace, rows_in_a_part=4)
    for n in range(20):
        append(ledger, workspace, (known(n), "created", False, None, None), (known(n // 2), None, False, None, None))
    assert store.head is not None
    assert len(store.head.parts) <= 8
    assert [row[0] for row in rows_of(store)] == [known(n) for n in range(10, 20)]


def test_a_run_continues_what_an_earlier_one_wrote(store: Store, workspace: Workspace) -> None:
    """Parts that are there are not written again."""
    append(opened(store, workspace), workspace, (known(1), "created", False, None, None))
    before = set(store.parts)
    append(opened(store, workspace), workspace, (known(2), "matched", False, None, None))
    assert before < set(store.parts)
    assert [row[0] for row in rows_of(store)] == [known(1), known(2)]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_ledger_that_cannot_be_read_is_begun_anew(store: Store, workspace: Workspace, damage: str) -> None:
    """No part of it is used, not even undamaged ones."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", False, None, None))
    append(ledger, workspace, (known(2), "created", False, None, None))
    assert store.head is not None
    if damage == "missing":
        del store.parts[store.head.parts[-1]]
    else:
        store.parts[store.head.parts[-1]] = b"x"
    ledger = opened(store, workspace)
    assert "missing or damaged" in ledger.missing
    assert workspace.query("SELECT count(*) FROM ledger") == [(0,)]
    append(ledger, workspace, (known(3), "created", False, None, None))
    assert [row[0] for row in rows_of(store)] == [known(3)]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_ledger_that_a_run_swaps_while_a_plan_reads_it_is_read_again(
    store: Store, workspace: Workspace, times: int
) -> None:
    """A plan has no lease. Parts that it does not find any more are no damage."""
    append(opened(store, workspace), workspace, (known(1), "created", False, None, None))

    def swap() -> None:
        left, store.meanwhile = store.meanwhile, []
        with Workspace.open(threads=1) as of_run:
            ledger = opened(store, of_run)
            for number in range(9):  # writes all parts anew
                append(ledger, of_run, (known(2), "created", False, f'{{"a":"{number}"}}', None))
        store.meanwhile = left

    store.meanwhile = [swap] * times
    if times == 3:
        with pytest.raises(RetryLater, match="the ledger of customers is being changed by another run"):
            opened(store, workspace)
    else:
        assert opened(store, workspace).missing == ""
        assert workspace.query("SELECT id FROM ledger ORDER BY id") == [(known(1),), (known(2),)]


def test_a_ledger_that_another_run_has_changed_is_not_overwritten(store: Store, workspace: Workspace) -> None:
    """The run that read it first gets an error, and nothing is changed."""
    late = opened(store, workspace)
    append(opened(store, workspace), workspace, (known(1), "created", False, None, None))
    with pytest.raises(LedgerConflictError, match="another run of customers"):
        append(late, workspace, (known(2), "created", False, None, None))
    assert [row[0] for row in rows_of(store)] == [known(1)]


def entry(version: str, basis: str, *, busy: timedelta = timedelta(), owner: str = OWNER, **known_: Any) -> LedgerEntry:
    """An entry of an event, written a day ago."""
    at = NOW - timedelta(days=1)
    noted = KnownRecord(**{"origin": "created", **known_})
    made = RecordEntry(known=noted, basis=basis, noted=at, busy=at + busy, owner=owner)
    return LedgerEntry(text=made.to_text(), version=version)


def test_settled_entries_of_events_become_rows(store: Store, workspace: Workspace) -> None:
    """They count from the start; they go into the parts with the first rows of the run, which replace them."""
    append(opened(store, workspace), workspace, (known(1), "matched", False, '{"a":"1"}', None))
    assert store.head
    (part,) = store.head.parts
    for number in (1, 2, 3):
        store.entries[str(known(number))] = entry("x", part, written='{"a":"2"}')
    ledger = opened(store, workspace)
    assert [row[1:4] for row in rows_of(store)] == [("created", False, '{"a":"2"}')] * 3
    add(workspace, (known(2), "created", True, '{"a":"3"}', None))
    store.entries[str(known(3))] = entry("y", part, written='{"a":"4"}')
    ledger.begin(workspace, "added", fence=FENCE)
    assert set(store.entries) == {str(known(3))}
    store.entries = {}
    assert [row[2:4] for row in rows_of(store)] == [(False, '{"a":"2"}'), (True, '{"a":"3"}'), (False, '{"a":"2"}')]


@pytest.mark.parametrize("text", ["", '{"origin": "matched", "mar', "[]", "{}", '{"origin": "matched"}'])
def test_of_a_damaged_entry_nothing_is_known(store: Store, workspace: Workspace, text: str) -> None:
    """Also not what a part says, which may be out of date; the run that finds it takes it away."""
    append(opened(store, workspace), workspace, (known(1), "created", True, None, None))
    append(opened(store, workspace), workspace, (known(2), "created", False, None, None))
    store.entries[str(known(1))] = LedgerEntry(text=text, version="1")
    ledger = opened(store, workspace)
    assert ledger.missing == ""
    assert workspace.query("SELECT id, origin FROM ledger WHERE origin IS NOT NULL") == [(known(2), "created")]
    add(workspace)
    ledger.begin(workspace, "added", fence=FENCE)
    assert store.entries == {}
    assert [row[1] for row in rows_of(store) if row[0] == known(1)] in ([], [None])


@pytest.mark.parametrize("text", ["", '{"origin": "matched", "written": "secret'])
def test_a_damaged_entry_is_emptied(text: str) -> None:
    """Once: then nothing is left to be removed."""
    left = without_values(text)
    assert left is not None
    assert "secret" not in left
    assert without_values(left) is None


def test_only_some_records_are_taken(store: Store, workspace: Workspace) -> None:
    """Of the parts and of the entries of events."""
    ledger = opened(store, workspace)
    append(ledger, workspace, *((known(number), "created", False, "{}", None) for number in range(1, 5)))
    store.entries = {str(known(number)): entry("1", "2", origin="matched") for number in (2, 3)}
    ledger = Ledger(store, "customers", owner=OWNER, now=NOW)
    ledger.look()
    workspace.execute(f"CREATE OR REPLACE TABLE ledger ({FORM})")
    condition = f"id IN ('{known(1)}', '{known(2)}', '{known(7)}')"
    ledger.load(workspace, lambda rows: f"INSERT INTO ledger {rows}", condition)
    assert workspace.query("SELECT id FROM ledger ORDER BY id") == [(known(1),), (known(2),)]
    assert not ledger.missing


def test_entries_that_events_are_writing_stay(store: Store, workspace: Workspace) -> None:
    """One whose writer may be at work, and one that came or changed while the records were read."""
    store.entries = {str(known(1)): entry("x", "", busy=timedelta(days=2)), str(known(2)): entry("x", "")}
    ledger = Ledger(store, "customers", owner=OWNER, now=NOW)
    ledger.look()
    store.entries |= {str(known(2)): entry("y", ""), str(known(3)): entry("x", "")}
    workspace.execute(f"CREATE TABLE ledger ({FORM})")
    ledger.load(workspace, lambda rows: f"INSERT INTO ledger {rows}")
    assert workspace.query("SELECT count(*) FROM ledger") == [(3,)]
    add(workspace)
    ledger.begin(workspace, "added", fence=FENCE)
    assert len(store.entries) == 3


def test_rows_that_an_entry_does_not_know_count_beside_it(store: Store, workspace: Workspace) -> None:
    """Neither a batch nor an event loses what the other has noted."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "matched", False, '{"a":"1"}', None))
    assert store.head
    store.entries[str(known(1))] = entry(
        "x", store.head.parts[0], written='{"a":"2"}', marked=True, pending='{"a":"3"}'
    )
    append(ledger, workspace, (known(1), "matched", False, '{"a":"4"}', '{"a":"5"}'))
    ((_, origin, marked, written, pending),) = rows_of(store)
    assert (origin, marked, written) == ("created", True, '{"a":"4"}')
    assert json.loads(pending) == {"a": ["5", "2", "3"]}
    for name in store.head.parts:
        store.parts[name] = b"damaged"
    assert opened(store, workspace).missing
    assert workspace.query("SELECT origin, written FROM ledger") == [("created", '{"a":"2"}')]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_an_entry_stays_later_than_a_row_whose_part_is_written_anew(
    store: Store, workspace: Workspace, rounds: int
) -> None:
    """What a batch adds of other records meanwhile is no reason to take the order for unknown."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", True, '{"a":"1"}', None))
    assert store.head
    store.entries[str(known(1))] = entry("x", store.head.parts[-1], written='{"a":"2"}')
    for number in range(9 * rounds):
        append(ledger, workspace, (known(2), "created", False, f'{{"a":"{number}"}}', None))
    assert rows_of(store)[0] == (known(1), "created", False, '{"a":"2"}', None)


def test_a_row_stays_later_than_an_entry_when_its_part_is_written_anew(store: Store, workspace: Workspace) -> None:
    """The writer of the entry has not read it, so both count."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", False, '{"a":"1"}', None))
    assert store.head
    store.entries[str(known(1))] = entry("x", store.head.parts[-1], written='{"a":"2"}')
    append(ledger, workspace, (known(1), "created", True, '{"a":"3"}', None))
    for number in range(9):
        append(ledger, workspace, (known(2), "created", False, f'{{"a":"{number}"}}', None))
    assert rows_of(store)[0] == (known(1), "created", True, '{"a":"3"}', '{"a": ["2"]}')


def test_entries_of_a_lost_ledger_are_not_later_than_the_rows_of_the_next_one(
    store: Store, workspace: Workspace
) -> None:
    """The next one counts its turns from the beginning."""
    ledger = opened(store, workspace)
    for number in range(5):
        append(ledger, workspace, (known(1), "created", False, f'{{"a":"{number}"}}', None))
    assert store.head
    store.entries[str(known(1))] = entry("x", store.head.parts[-1], written='{"a":"2"}')
    store.head, store.parts = None, {}
    append(opened(store, workspace), workspace, (known(1), "created", True, '{"a":"3"}', None))
    assert rows_of(store)[0] == (known(1), "created", True, '{"a":"3"}', '{"a": ["2"]}')


def test_parts_of_an_earlier_version_come_before_those_of_this_one(store: Store, workspace: Workspace) -> None:
    """Their names have no turn. Those that it adds after parts of this version are the latest nevertheless."""
    append(opened(store, workspace), workspace, (known(1), "created", True, '{"a":"1"}', None))
    as_earlier_version_names_it(store)
    append(opened(store, workspace), workspace, (known(2), "created", True, '{"a":"1"}', None))
    assert store.head
    read = store.head.parts[-1]
    for number in (1, 2):
        store.entries[str(known(number))] = entry("x", read, written='{"a":"2"}')
    assert [row[2] for row in rows_of(store)] == [False, False]
    append(opened(store, workspace), workspace, (known(1), "created", True, '{"a":"3"}', None))
    as_earlier_version_names_it(store)
    assert [row[2] for row in rows_of(store)] == [True, False]
    ledger = opened(store, workspace)
    for number in range(9):
        append(ledger, workspace, (known(3), "created", False, f'{{"a":"{number}"}}', None))
    assert rows_of(store)[0] == (known(1), "created", True, '{"a":"3"}', '{"a": ["2"]}')


def as_earlier_version_names_it(store: Store) -> None:
    """Name the last part as an earlier version does: with its owner alone."""
    assert store.head
    name, other = store.head.parts[-1], new_part(OWNER)
    store.parts[other] = store.parts.pop(name)
    store.head = LedgerHead(parts=(*store.head.parts[:-1], other), version=store.head.version, fence=FENCE)


def test_what_an_earlier_version_noted_of_marks_is_read(store: Store, workspace: Workspace) -> None:
    """Its parts and entries have no columns of marks; those of this version stand beside them."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", True, None, None), (known(2), "created", True, None, None))
    assert store.head
    old, file = store.head.parts[0], workspace.folder / "old.parquet"
    workspace.execute(f"COPY (SELECT * EXCLUDE (mark) FROM added) TO '{file}' (FORMAT parquet)")
    store.parts[old] = file.read_bytes()
    members = json.loads(entry("x", "").text) | {"marked": True}
    del members["mark"]
    store.entries = {str(known(3)): LedgerEntry(text=json.dumps(members), version="1")}
    ledger = opened(store, workspace)
    add(workspace)
    workspace.execute("INSERT INTO added VALUES (?, 'created', true, 'new_gone', NULL, NULL)", [known(2)])
    ledger.begin(workspace, "added", fence=FENCE)
    opened(store, workspace)
    found = workspace.query("SELECT id, marked, mark FROM ledger ORDER BY id")
    assert found == [(known(1), True, None), (known(2), True, "new_gone"), (known(3), True, None)]


def test_a_copy_of_an_environment_has_a_ledger_of_its_own(store: Store, workspace: Workspace) -> None:
    """Its records have the same ids. Each run leaves what the other one has noted, also where it writes parts anew."""
    append(opened(store, workspace), workspace, (known(1), "created", False, '{"a":"1"}', None))
    copy = opened(store, workspace, OTHER)
    assert copy.missing == "there is none yet for this table of this environment"
    assert workspace.query("SELECT count(*) FROM ledger") == [(0,)]
    for number in range(20):
        append(copy, workspace, (known(1), "matched", True, f'{{"a":"{number}"}}', None))
    assert store.head
    assert [owner_of(name) for name in store.head.parts].count(OWNER) == 1
    assert rows_of(store) == [(known(1), "created", False, '{"a":"1"}', None)]
    assert rows_of(store, OTHER) == [(known(1), "matched", True, '{"a":"19"}', None)]


def test_what_an_earlier_version_noted_belongs_to_the_first_run(store: Store, workspace: Workspace) -> None:
    """Its parts do not say whose records they are about."""
    append(opened(store, workspace), workspace, (known(1), "created", False, "{}", None))
    assert store.head
    old = {name.rpartition("-")[2]: data for name, data in store.parts.items()}
    store.parts, store.head = old, LedgerHead(parts=tuple(old), version="1", fence=FENCE)
    assert rows_of(store) == [(known(1), "created", False, "{}", None)]
    append(opened(store, workspace), workspace, (known(2), "created", False, "{}", None))
    assert [row[0] for row in rows_of(store)] == [known(1), known(2)]
    assert {owner_of(name) for name in store.head.parts} == {OWNER}
    assert opened(store, workspace, OTHER).missing


def test_entries_of_another_environment_are_not_taken(store: Store, workspace: Workspace) -> None:
    """Nor are they removed: the next run there takes them."""
    store.entries = {str(known(1)): entry("x", "", owner=OTHER), str(known(2)): entry("x", "", owner=OWNER)}
    ledger = opened(store, workspace)
    assert workspace.query("SELECT id FROM ledger") == [(known(2),)]
    add(workspace)
    ledger.begin(workspace, "added", fence=FENCE)
    assert list(store.entries) == [str(known(1))]
