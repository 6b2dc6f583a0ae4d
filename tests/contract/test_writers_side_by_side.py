"""What a store does when other processes write between two of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.entities import LedgerEntry
from shared.state import DeadLetter, Position, StateStore
from shared.state.azure import AzureStateStore
from shared.state.sqlite import SqliteStateStore

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
# Body and properties are too large for a row.
LARGE = DeadLetter(
    id="s/hub/0/1", sync="s", body=b"x" * 40_000, partition="0", sequence=1, error="T", message="m", kept=NOON,
    properties={"p": "y" * 200_000},
)  # fmt: skip
AGAIN = replace(LARGE, tries=2)


class Interrupted(AzureStateStore):
    """Others write once before it removes rows, before it removes blobs, or after it has looked for them."""

    at: str = ""
    act: Callable[[], object] = staticmethod(lambda: None)

    def _now_others(self, at: str) -> None:
        if self.at == at:
            self.at = ""
            self.act()

    def _known(self, *arguments: Any) -> Any:
        found = super()._known(*arguments)
        self._now_others("after looking")
        return found

    def _entry_rows(self, *arguments: Any) -> Any:
        found = super()._entry_rows(*arguments)
        self._now_others("after looking")
        return found

    def _delete_group(self, *arguments: Any) -> Any:
        self._now_others("before rows")
        return super()._delete_group(*arguments)

    def _delete_files(self, *arguments: Any) -> None:
        self._now_others("before blobs")
        super()._delete_files(*arguments)


@pytest.fixture
def store(storage_account: str) -> Iterator[Interrupted]:
    opened = Interrupted.by_connection_string(storage_account)
    yield opened
    opened.close()


@pytest.fixture
def other(storage_account: str) -> Iterator[AzureStateStore]:
    opened = AzureStateStore.by_connection_string(storage_account)
    yield opened
    opened.close()


def blobs(account: str) -> list[str]:
    """The names of the blobs of dead letters."""
    with ContainerClient.from_connection_string(account, "dynamics-sync") as files:
        return list(files.list_blob_names(name_starts_with="dead-letters/"))


@pytest.mark.azurite
class TestDeadLetters:
    @pytest.mark.parametrize(("at", "removed"), [("after looking", 0), ("before rows", 0), ("before blobs", 1)])
    def test_a_letter_that_is_kept_again_while_it_is_removed_is_whole(
        self, store: Interrupted, other: AzureStateStore, storage_account: str, at: str, removed: int
    ) -> None:
        """The hub delivers its batch again, or a second replay refuses it again."""
        other.add_dead_letters([LARGE])
        store.at, store.act = at, lambda: other.add_dead_letters([AGAIN])
        assert store.remove_dead_letters([LARGE.id]) == removed
        assert other.dead_letters() == (AGAIN,)
        assert other.remove_dead_letters([LARGE.id]) == 1
        assert blobs(storage_account) == []

    def test_a_letter_that_two_keep_again_at_once_is_whole(
        self, store: Interrupted, other: AzureStateStore, storage_account: str
    ) -> None:
        """The later one counts, and the blobs of the others go."""
        other.add_dead_letters([LARGE])
        store.at, store.act = "after looking", lambda: other.add_dead_letters([AGAIN])
        store.add_dead_letters([replace(LARGE, tries=3)])
        assert other.dead_letters() == (replace(LARGE, tries=3),)
        assert len(blobs(storage_account)) == 2


@pytest.mark.azurite
def test_a_position_that_is_written_while_old_ones_are_removed_stays(
    store: Interrupted, other: AzureStateStore
) -> None:
    """An older event of its record that is delivered again would otherwise be written over it."""
    store.mark_seen("s", {name: Position(partition="0", sequence=1) for name in "ab"})
    later = {"a": Position(partition="0", sequence=2)}
    store.at, store.act = "before rows", lambda: other.mark_seen("s", later)
    assert store.remove_positions(datetime.now(UTC) + timedelta(days=1), limit=10) == 1
    assert other.seen("s", ["a", "b"]) == later


class OvertakenFile(SqliteStateStore):
    """Others write after it has looked for something outside of a transaction."""

    act: Callable[[], object] = staticmethod(lambda: None)

    def _all(self, *arguments: Any) -> Any:
        found = super()._all(*arguments)
        self.act()
        return found


ENTRIES = {f"{number:08x}-0000-0000-0000-000000000001": LedgerEntry(text="{}") for number in range(2)}
LATER = datetime.now(UTC) + timedelta(days=1)


def run_begins(store: StateStore) -> None:
    """A run notes what it is about to write."""
    store.put_ledger_part("s", "second", b"2")
    store.swap_ledger("s", ["first", "second"], expected=store.ledger("s"), fence=2)


class TestLedgers:
    @pytest.mark.azurite
    def test_one_that_a_run_begins_to_use_stays(self, store: Interrupted, other: AzureStateStore) -> None:
        """With its entries: the run would otherwise not know any more what it has written."""
        other.put_ledger_part("s", "first", b"1")
        other.swap_ledger("s", ["first"], expected=None, fence=1)
        written = other.put_ledger_entries("s", ENTRIES)
        store.at, store.act = "after looking", lambda: run_begins(other)
        assert store.prune(LATER, limit=10).ledgers == 0
        head = other.ledger("s")
        assert head is not None
        assert (head.parts, other.ledger_parts("s")) == (("first", "second"), ("first", "second"))
        assert other.ledger_entries("s") == written

    @pytest.mark.azurite
    def test_what_events_add_while_one_is_removed_stays(self, store: Interrupted, other: AzureStateStore) -> None:
        """The rest was not used for long."""
        written = other.put_ledger_entries("s", ENTRIES)
        other.use_ledger("s")
        first = next(iter(written))
        changed = {first: replace(written[first], text='{"a": 1}')}
        added: list[object] = []

        def event_comes() -> None:
            other.use_ledger("s")
            added.append(other.put_ledger_entries("s", changed))

        store.at, store.act = "after looking", event_comes
        store.prune(LATER, limit=10)
        assert [other.ledger_entries("s")] == added
        assert other.prune(datetime.now(UTC) - timedelta(days=1), limit=10).ledgers == 0

    @pytest.mark.azurite
    def test_parts_without_a_manifest_go_when_they_are_old(self, other: AzureStateStore) -> None:
        """Their run, or the instance that removed the manifest, ended in between."""
        other.put_ledger_part("s", "first", b"1")
        other.prune(datetime.now(UTC) - timedelta(days=1), limit=10)
        assert other.ledger_parts("s") == ("first",)
        other.prune(LATER, limit=10)
        assert other.ledger_parts("s") == ()

    def test_one_in_a_file_that_a_run_begins_to_use_stays(self, tmp_path: Path) -> None:
        """It is looked for in the transaction that removes it."""
        times = [NOON]
        store = OvertakenFile(tmp_path / "state.db")
        other = SqliteStateStore(tmp_path / "state.db", now=lambda: times[-1])
        other.put_ledger_part("s", "first", b"1")
        other.swap_ledger("s", ["first"], expected=None, fence=1)
        times.append(NOON + timedelta(days=100))
        store.act = lambda: run_begins(other)
        assert store.prune(NOON + timedelta(days=10), limit=10).ledgers == 0
        head = other.ledger("s")
        assert head is not None
        assert head.parts == ("first", "second")
        assert other.ledger_parts("s") == ("first", "second")
        store.close()
        other.close()
