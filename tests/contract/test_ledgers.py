"""What every state store promises of ledgers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.entities import LedgerEntry, LedgerHead
from shared.state import StateStore

SYNC = "customers"


@pytest.fixture
def store(open_store: Callable[[], StateStore]) -> StateStore:
    return open_store()


def swapped(store: StateStore, *parts: str, expected: LedgerHead | None = None, fence: int = 1) -> LedgerHead:
    """Put parts, and swap."""
    for name in parts:
        store.put_ledger_part(SYNC, name, name.encode())
    head = store.swap_ledger(SYNC, parts, expected=expected, fence=fence)
    assert head is not None
    return head


def test_a_sync_has_no_ledger_before_the_first_swap(store: StateStore) -> None:
    """A part alone is none."""
    assert store.ledger(SYNC) is None
    store.put_ledger_part(SYNC, "a", b"1")
    assert store.ledger(SYNC) is None


def test_a_swap_is_seen_by_other_processes(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    """Its parts in their order, with their bytes; of other syncs there is nothing."""
    head = swapped(store, "b", "a", fence=3)
    other = open_store()
    assert other.ledger(SYNC) == head
    assert (head.parts, head.fence) == (("b", "a"), 3)
    assert other.ledger_part(SYNC, "a") == b"a"
    assert other.ledger_part("others", "a") is None
    assert other.ledger("others") is None


def test_a_ledger_that_was_swapped_since_it_was_read_is_not_swapped(
    store: StateStore, open_store: Callable[[], StateStore]
) -> None:
    """The second of two writers is refused, also where the ledger did not exist, and also if it names the same parts."""
    first = swapped(store, "a")
    assert store.swap_ledger(SYNC, ("x",), expected=None, fence=1) is None
    second = swapped(open_store(), "a", "b", expected=first)
    assert store.swap_ledger(SYNC, ("a", "x"), expected=first, fence=1) is None
    assert store.ledger(SYNC) == second
    assert store.ledger_part(SYNC, "b") == b"b"


def test_a_holder_of_an_older_lease_cannot_swap(store: StateStore) -> None:
    """Its fencing number is lower than that of the last swap."""
    head = swapped(store, "a", fence=5)
    assert store.swap_ledger(SYNC, ("x",), expected=head, fence=4) is None
    assert store.ledger(SYNC) == head
    assert store.swap_ledger(SYNC, ("a",), expected=head, fence=5) is not None


def test_parts_that_no_longer_count_are_removed(store: StateStore) -> None:
    """Those that a swap leaves out, and those that a run had put there before it died."""
    head = swapped(store, "a", "b")
    store.put_ledger_part(SYNC, "never named", b"x")
    assert store.ledger_parts(SYNC) == ("a", "b", "never named")
    swapped(store, "c", expected=head)
    assert [store.ledger_part(SYNC, name) for name in ("a", "b", "never named", "c")] == [None, None, None, b"c"]
    assert (store.ledger_parts(SYNC), store.ledger_parts("others")) == (("c",), ())


def test_a_ledger_that_no_run_has_swapped_for_long_is_removed(store: StateStore) -> None:
    """With its parts; one that is in use stays."""
    head = swapped(store, "a")
    now = datetime.now(UTC)
    assert store.prune(now - timedelta(days=1), limit=10).ledgers == 0
    assert store.ledger(SYNC) == head
    assert store.prune(now + timedelta(days=1), limit=10).ledgers == 1
    assert (store.ledger(SYNC), store.ledger_part(SYNC, "a")) == (None, None)
    swapped(store, "b")


# -- Entries of events -----------------------------------------------------------------------------------------------


def texts(*numbers: int, text: str = "{}") -> dict[str, LedgerEntry]:
    """New entries of some records."""
    return {str(UUID(int=number << 120 | number)): LedgerEntry(text=text) for number in numbers}


def test_entries_are_found_by_the_ids_of_records(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    """Hundreds at once, with any text, by another process too; of other syncs there is nothing."""
    long = {str(UUID(int=7)): LedgerEntry(text='é\\"' * 100_000)}
    written = store.put_ledger_entries(SYNC, texts(*range(250)) | long)
    assert len(written) == 251
    other = open_store()
    assert other.ledger_entries(SYNC) == written
    some = dict(list(written.items())[::2])
    assert other.ledger_entries(SYNC, [*some, str(UUID(int=99))]) == some
    assert other.ledger_entries(SYNC, []) == other.ledger_entries("others", list(some)) == {}
    assert other.ledger_entries("others") == {}


def test_an_entry_that_was_changed_since_it_was_read_is_not_written(
    store: StateStore, open_store: Callable[[], StateStore]
) -> None:
    """An entry that exists already, or that was removed, is not written either; the other ones are."""
    first = store.put_ledger_entries(SYNC, texts(1, 2, 3))
    one, two, three = first
    assert open_store().put_ledger_entries(SYNC, texts(1, 4)).keys() == texts(4).keys()
    second = open_store().put_ledger_entries(SYNC, {one: replace(first[one], text="second")})
    assert second[one].version != first[one].version
    store.remove_ledger_entries(SYNC, {two: first[two]})
    third = store.put_ledger_entries(SYNC, {record: replace(entry, text="third") for record, entry in first.items()})
    assert third.keys() == {three}
    texts_now = {record: entry.text for record, entry in store.ledger_entries(SYNC).items()}
    assert texts_now == {one: "second", three: "third", **dict.fromkeys(texts(4), "{}")}


def test_an_entry_that_was_changed_since_it_was_read_is_not_removed(store: StateStore) -> None:
    """Nor one that was removed and written anew; those beside it are removed."""
    first = store.put_ledger_entries(SYNC, texts(1, 2, 3))
    one, two, three = first
    changed = store.put_ledger_entries(SYNC, {one: replace(first[one], text="changed")})
    store.remove_ledger_entries(SYNC, {two: first[two]})
    again = store.put_ledger_entries(SYNC, texts(2))
    store.remove_ledger_entries(SYNC, first)
    assert store.ledger_entries(SYNC) == {**changed, **again}
    assert three not in store.ledger_entries(SYNC)


def test_a_ledger_that_events_use_stays(store: StateStore) -> None:
    """With its parts and entries, though no run swaps it; and one that is swapped keeps its entries."""
    now = datetime.now(UTC)
    later = now + timedelta(days=1)
    store.put_ledger_entries(SYNC, texts(1))
    store.use_ledger(SYNC)
    assert store.prune(now - timedelta(days=1), limit=10).ledgers == 0
    assert len(store.ledger_entries(SYNC)) == 1
    assert store.prune(later, limit=10).ledgers == 1
    assert store.ledger_entries(SYNC) == {}
    swapped(store, "a")
    store.put_ledger_entries(SYNC, texts(1))
    store.use_ledger(SYNC)
    assert store.prune(later, limit=10).ledgers == 1
    assert (store.ledger(SYNC), store.ledger_entries(SYNC)) == (None, {})
    assert store.prune(later, limit=10).ledgers == 0
