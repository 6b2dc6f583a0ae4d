"""What the Azure store does when a write took effect and its answer was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.state import Position
from shared.state.azure import AzureStateStore

pytestmark = pytest.mark.azurite


class Forgetful(AzureStateStore):
    """Every conditional write takes effect, and its answer says that it was refused, as after a retry of the SDK."""

    def _put_after(self, *arguments: Any) -> bool:
        super()._put_after(*arguments)
        return False


class Overtaken(AzureStateStore):
    """Others write between its reading of positions and its writing."""

    after_reading: Callable[[], None] = staticmethod(lambda: None)

    def _seen_rows(self, *arguments: Any) -> Any:
        found = super()._seen_rows(*arguments)
        self.after_reading()
        return found


def test_a_lease_whose_answer_was_lost_is_held(storage_account: str) -> None:
    """The holder finds itself in the row."""
    store = Forgetful.by_connection_string(storage_account)
    lease = store.acquire_lease("sync/a", holder="me", seconds=60)
    assert lease is not None
    assert store.lease("sync/a") == lease
    assert store.acquire_lease("sync/a", holder="you", seconds=60) is None
    store.close()


def test_a_position_is_marked_after_others_wrote_in_between(storage_account: str) -> None:
    """A transaction that was refused is worked out anew from what is there now."""
    store = Overtaken.by_connection_string(storage_account)
    other = AzureStateStore.by_connection_string(storage_account)
    other.mark_seen("s", {"a": Position(partition="0", sequence=1)})

    def write_in_between() -> None:
        if other.seen("s", ["a"])["a"].sequence == 1:
            other.mark_seen("s", {"a": Position(partition="0", sequence=5)})

    store.after_reading = write_in_between
    store.mark_seen("s", {"a": Position(partition="0", sequence=3), "b": Position(partition="0", sequence=4)})
    assert {name: at.sequence for name, at in other.seen("s", ["a", "b"]).items()} == {"a": 5, "b": 4}
    store.close()
    other.close()
