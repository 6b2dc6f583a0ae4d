"""What the Azure store does when other processes write between two of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.state import DeadLetter
from shared.state.azure import AzureStateStore

pytestmark = pytest.mark.azurite

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
# Body and properties are too large for a row.
LARGE = DeadLetter(
    id="s/hub/0/1", sync="s", body=b"x" * 40_000, partition="0", sequence=1, error="T", message="m", kept=NOON,
    properties={"p": "y" * 200_000},
)  # fmt: skip
AGAIN = replace(LARGE, tries=2)


class Interrupted(AzureStateStore):
    """Others write once before it removes rows, before it removes blobs, or after it has looked for known letters."""

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

    def test_the_blobs_of_a_letter_that_was_never_kept_go_when_they_are_old(
        self, other: AzureStateStore, storage_account: str
    ) -> None:
        """Its process ended before it wrote the row; those of letters that are kept stay."""
        now = datetime.now(UTC)
        young = replace(LARGE, kept=now + timedelta(days=2))
        other.add_dead_letters([young])
        kept = blobs(storage_account)
        with ContainerClient.from_connection_string(storage_account, "dynamics-sync") as files:
            files.upload_blob(f"{kept[0]}-other", b"x")
        other.prune(now - timedelta(days=1), limit=10)
        assert len(blobs(storage_account)) == 3
        other.prune(now + timedelta(days=1), limit=10)
        assert blobs(storage_account) == kept
        assert other.dead_letters() == (young,)
