"""What the Azure store does when a write took effect and its answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.entities import LedgerEntry
from shared.state import DeadLetter, ErrorRecord, JobRequest, PlanUse, Position
from shared.state.azure import AzureStateStore
from tests.azurite.relay import losing_answers
from tests.azurite.server import Azurite

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


NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
RECORDS = {f"{number:08x}-0000-0000-0000-000000000001": LedgerEntry(text=f"text {number}") for number in range(6)}


@pytest.fixture
def unlucky(azurite: Azurite, storage_account: str) -> Iterator[AzureStateStore]:
    """A store whose connection breaks after each of its writes to a table: it took effect, and the answer is lost."""
    with losing_answers(int(azurite.table)) as relay:
        store = AzureStateStore.by_connection_string(
            storage_account.replace(f":{azurite.table}/", f":{relay.server_port}/")
        )
        yield store
        store.close()
    assert any(path.endswith("$batch") or method == "PUT" for method, path, _ in relay.lost)


class TestConnection:
    """A request is sent again, and what its first try wrote is taken for what it is."""

    def test_a_request_for_a_job_is_one_job(self, unlucky: AzureStateStore) -> None:
        """The job's row and the mark of what it asks for."""
        job = unlucky.request_job(JobRequest(id="j1", sync="customers", requested=NOW))
        assert job.id == "j1"
        assert unlucky.request_job(JobRequest(id="j2", sync="customers", requested=NOW)).id == "j1"
        assert [each.id for each in unlucky.open_jobs()] == ["j1"]

    def test_a_lease_is_held_renewed_and_released(self, unlucky: AzureStateStore) -> None:
        """By the one whose answer was lost."""
        lease = unlucky.acquire_lease("sync/a", holder="me", seconds=60)
        assert lease is not None
        assert unlucky.acquire_lease("sync/a", holder="you", seconds=60) is None
        renewed = unlucky.renew_lease(lease, seconds=90)
        assert renewed is not None
        assert unlucky.release_lease(renewed)
        assert unlucky.acquire_lease("sync/a", holder="you", seconds=60) is not None

    def test_a_watermark_is_set_and_a_plan_is_used_once(self, unlucky: AzureStateStore) -> None:
        """The plan is this run's, because nobody else has used it."""
        assert unlucky.set_watermark("s", "2026-11-01", fence=2)
        assert unlucky.watermark("s") == "2026-11-01"
        use = PlanUse(plan_id="p1", checksum="c", sync="s", run_id="r1", used=NOW)
        assert unlucky.use_plan(use) == use

    def test_dead_letters_and_errors_are_there_once(self, unlucky: AzureStateStore) -> None:
        """Two letters in one transaction, and errors that take the place of others."""
        letters = [
            DeadLetter(id=f"l{n}", sync="s", body=b"{}", partition="0", sequence=n, error="T", message="m", kept=NOW)
            for n in range(2)
        ]
        unlucky.add_dead_letters(letters)
        assert [letter.id for letter in unlucky.dead_letters("s")] == ["l0", "l1"]
        first, second = (ErrorRecord(run_id="r1", error_class="Row", error_type=kind, count=1) for kind in "AB")
        unlucky.add_errors([first])
        unlucky.replace_errors([first], [second])
        assert unlucky.errors("r1") == (second,)
        unlucky.remove_dead_letters(["l0", "l1"])
        assert unlucky.count_dead_letters("s") == 0

    def test_positions_are_marked(self, unlucky: AzureStateStore) -> None:
        """Two in one transaction."""
        positions = {name: Position(partition="0", sequence=3) for name in "ab"}
        unlucky.mark_seen("s", positions)
        assert unlucky.seen("s", ["a", "b"]) == positions

    def test_entries_of_a_ledger_are_written_changed_and_removed(self, unlucky: AzureStateStore) -> None:
        """Each entry that is there is this writer's own: nobody else has changed one."""
        written = unlucky.put_ledger_entries("s", RECORDS)
        assert written.keys() == RECORDS.keys()
        changed = {name: LedgerEntry(text="new", version=entry.version) for name, entry in written.items()}
        again = unlucky.put_ledger_entries("s", changed)
        assert again == unlucky.ledger_entries("s")
        unlucky.remove_ledger_entries("s", again)
        assert unlucky.ledger_entries("s") == {}

    def test_an_entry_that_somebody_else_changed_is_refused(self, unlucky: AzureStateStore) -> None:
        """It differs from what this writer sent."""
        written = unlucky.put_ledger_entries("s", RECORDS)
        unlucky.put_ledger_entries(
            "s", {name: LedgerEntry(text="theirs", version=entry.version) for name, entry in written.items()}
        )
        mine = {name: LedgerEntry(text="mine", version=entry.version) for name, entry in written.items()}
        assert unlucky.put_ledger_entries("s", mine) == {}
