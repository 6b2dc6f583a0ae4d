"""The errors of each store when it cannot do its work."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, TokenCredential
from azure.data.tables import TableServiceClient, UpdateMode
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.errors import AbortRun, RetryLater, StoreRefusedError, UserError
from shared.http.azure_tokens import WatchedCredential
from shared.settings import Settings
from shared.state import (
    INCOMPLETE,
    DeadLetter,
    ErrorRecord,
    Job,
    JobRequest,
    LatestRows,
    PlanUse,
    Position,
    RunRecord,
    StateStore,
)
from shared.state.azure import AzureStateStore, open_azure
from shared.state.azure._storage import document
from shared.state.machine import Machine
from shared.state.sqlite import SqliteStateStore
from tests.azurite.fixtures import IdentityAccount

# azure-data-tables 12.7.0 asks an XML element for its truth value, which Python 3.12 and newer warn of.
ELEMENT_TRUTH = pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")


class TestSqlite:
    def test_a_file_that_cannot_be_made_names_the_setting(self, tmp_path: Path) -> None:
        """The user learns which setting to correct."""
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(UserError, match="STATE_STORE"):
            SqliteStateStore(tmp_path / "file" / "state.db")

    def test_a_file_that_is_not_a_database_is_refused(self, tmp_path: Path) -> None:
        """The file is not changed."""
        file = tmp_path / "letter.txt"
        file.write_text("Dear Ann, " * 500)
        with pytest.raises(UserError, match="STATE_STORE"):
            SqliteStateStore(file)
        assert file.read_text() == "Dear Ann, " * 500

    @pytest.mark.parametrize("kept", [100, 4096, 40_000])
    def test_a_damaged_file_is_refused_with_what_to_do(self, tmp_path: Path, kept: int) -> None:
        """A copy that ended too early."""
        file = tmp_path / "state.db"
        SqliteStateStore(file).close()
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(UserError, match="restore a copy of the file, or move it away"):
            SqliteStateStore(file)

    def test_a_newer_schema_is_refused(self, tmp_path: Path) -> None:
        """An old program does not write into what it does not understand."""
        SqliteStateStore(tmp_path / "state.db").close()
        with sqlite3.connect(tmp_path / "state.db") as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(UserError, match="newer version"):
            SqliteStateStore(tmp_path / "state.db")

    def test_a_store_that_is_locked_for_too_long_is_a_retry_later(self, tmp_path: Path) -> None:
        """The event is delivered again later; it is not lost."""
        store = SqliteStateStore(tmp_path / "state.db", lock_timeout=timedelta(seconds=0.01))
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryLater) as caught:
            store.set_watermark("s", "1", fence=1)
        assert caught.value.retry_after > 0
        other.execute("ROLLBACK")
        other.close()
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_new_file_that_another_process_is_making_is_waited_for(self, tmp_path: Path) -> None:
        """SQLite refuses the second at once where it would wait for a transaction."""
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None, check_same_thread=False)
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        release.start()
        store = SqliteStateStore(tmp_path / "state.db")
        release.join()
        other.close()
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_file_that_stays_locked_is_a_retry_later(self, tmp_path: Path) -> None:
        """Nothing is wrong with the setting, so the host's next try may succeed."""
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RetryLater, match="is not available: database is locked"):
            SqliteStateStore(tmp_path / "state.db", lock_timeout=timedelta(seconds=0.05))
        other.close()

    def test_a_file_whose_disk_is_full_is_a_retry_later_that_says_so(self, tmp_path: Path) -> None:
        """SQLite calls it an I/O error where it only opens the file; nothing is wrong with the setting."""
        SqliteStateStore(tmp_path / "state.db").close()
        with no_room(), pytest.raises(RetryLater, match="disk I/O error, because its disk is full; free disk space"):
            SqliteStateStore(tmp_path / "state.db")
        SqliteStateStore(tmp_path / "state.db").close()

    def test_a_new_file_on_a_full_disk_is_a_retry_later(self, tmp_path: Path) -> None:
        """Which says where to look."""
        with no_room(), pytest.raises(RetryLater, match="its disk"):
            SqliteStateStore(tmp_path / "state.db")

    def test_a_disk_that_becomes_full_is_named(self, tmp_path: Path) -> None:
        """The next try succeeds, once there is room again."""
        store = SqliteStateStore(tmp_path / "state.db")
        store._db.execute("PRAGMA max_page_count = 1")  # SQLite has the same error for both
        with pytest.raises(RetryLater, match="database or disk is full; free disk space"):
            store.put_file("r1", "errors.csv", b"a,b" * 100_000)
        store._db.execute("PRAGMA max_page_count = 1000000")
        store.put_file("r1", "errors.csv", b"a,b" * 100_000)
        store.close()

    @pytest.mark.parametrize("what", ["removed", "replaced by another file"])
    def test_a_file_that_is_not_the_opened_one_any_more_is_refused(self, tmp_path: Path, what: str) -> None:
        """Otherwise the store would write into a file that nobody finds. The same file may come back."""
        file = tmp_path / "state" / "state.db"
        store = SqliteStateStore(file)
        assert store.acquire_lease("sync/a", holder="r1", seconds=60)
        file.parent.rename(tmp_path / "away")
        if what != "removed":
            SqliteStateStore(file).close()
        said = f"was {what} while this program had it open.* start the program again"
        with pytest.raises(AbortRun, match=said):
            store.set_watermark("s", "1", fence=1)
        with pytest.raises(AbortRun, match=said):
            store.lease("sync/a")
        with pytest.raises(AbortRun, match=said):
            store.runs()
        shutil.rmtree(file.parent, ignore_errors=True)
        (tmp_path / "away").rename(file.parent)
        assert store.lease("sync/a")
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_store_that_is_opened_again_uses_the_new_file(self, tmp_path: Path) -> None:
        """The store of the removed file, which is closed later, damages nothing in it."""
        removed = SqliteStateStore(tmp_path / "state.db")
        removed.set_watermark("s", "1", fence=1)
        for file in tmp_path.iterdir():
            file.unlink()
        new = SqliteStateStore(tmp_path / "state.db")
        new.set_watermark("s", "2", fence=1)
        removed.close()
        new.set_watermark("t", "3", fence=1)
        new.close()
        again = SqliteStateStore(tmp_path / "state.db")
        assert (again.watermark("s"), again.watermark("t")) == ("2", "3")
        again.close()

    def test_the_folder_of_the_process_may_change(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path is that of the file that was opened."""
        monkeypatch.chdir(tmp_path)
        store = SqliteStateStore(Path("state.db"))
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_store_in_memory_has_no_file_to_lose(self) -> None:
        """SQLite has this name for it."""
        store = SqliteStateStore(Path(":memory:"))
        assert store.set_watermark("s", "1", fence=1)
        assert store.watermark("s") == "1"
        store.close()

    def test_a_damaged_file_ends_the_run(self, tmp_path: Path) -> None:
        """Trying again would not mend it."""
        store = SqliteStateStore(tmp_path / "state.db")
        with closing(sqlite3.connect(tmp_path / "state.db")) as other:
            other.execute("DROP TABLE watermarks")
        with pytest.raises(AbortRun):
            store.watermark("s")
        store.close()

    def test_a_database_of_another_program_is_left_as_it_is(self, tmp_path: Path) -> None:
        """If a table of the same name exists already, none of our tables is made."""
        with sqlite3.connect(tmp_path / "state.db") as other:
            other.execute("CREATE TABLE watermarks (mine)")
        with pytest.raises(UserError, match=r"STATE_STORE: .*watermarks already exists"):
            SqliteStateStore(tmp_path / "state.db")
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("watermarks",)]
        other.execute("PRAGMA user_version = -7")
        with pytest.raises(UserError, match="another program"):
            SqliteStateStore(tmp_path / "state.db", lock_timeout=timedelta(seconds=0.05))
        other.close()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("UPDATE runs SET counts = 'many'", "table runs, row 'r1': counts is not a JSON object"),
            ("UPDATE runs SET parameters = '[1]'", "table runs, row 'r1': parameters is not a JSON object"),
            ("UPDATE runs SET started = 'at noon'", "started"),
            ("UPDATE runs SET started = '2026-01-01T00:00:00'", "started has no time zone"),
            ("UPDATE runs SET duration = 'long'", "duration"),
            ("UPDATE runs SET message = x'ff00'", "message"),
            ("ALTER TABLE runs DROP COLUMN version", "no such column"),
            ("DROP TABLE runs", "no such table"),
            ("UPDATE leases SET expires = 'later'", "table leases, row 'sync/a': expires"),
            ("UPDATE leases SET fence = 'high'", "table leases, row 'sync/a': fence"),
            (
                "UPDATE dead_letters SET properties = 'p'",
                "table dead_letters, row 'l1': properties is not a JSON object",
            ),
            ("UPDATE dead_letters SET sequence = 'first'", "table dead_letters, row 'l1': sequence"),
            (
                "UPDATE jobs SET document = '{'",
                "table jobs, row 'j1': document is not a JSON object",
            ),
            ("UPDATE errors SET rows = 'all'", "table errors, row 'r1'"),
            ("UPDATE seen SET sequence = 'last'", "table seen, row 'k'"),
            ("UPDATE clock SET moment = 'now'", "table clock"),
        ],
    )
    def test_a_row_that_others_changed_is_named(self, tmp_path: Path, change: str, said: str) -> None:
        """An error of its own, which says where to look; none of Python's."""
        fill(SqliteStateStore(tmp_path / "state.db"))
        with sqlite3.connect(tmp_path / "state.db") as other:
            other.execute(change)
        other.close()
        with pytest.raises(AbortRun) as caught:
            read(SqliteStateStore(tmp_path / "state.db"))
        assert said in caught.value.message

    def test_what_the_store_cannot_hold_is_refused(self, tmp_path: Path) -> None:
        """Half of a character is no text, and a number may be too large."""
        store = SqliteStateStore(tmp_path / "state.db")
        with pytest.raises(AbortRun, match="cannot store"):
            store.set_watermark("s", "\ud800", fence=1)
        with pytest.raises(AbortRun, match="cannot store"):
            store.set_watermark("s", "1", fence=2**70)
        store.close()

    def test_no_lease_outlives_the_machine(self, tmp_path: Path) -> None:
        """After a restart no holder is left, however the count of seconds and the clock stand."""
        before = Machine(boot="first", seconds=lambda: 1_000_000.0)
        store = SqliteStateStore(tmp_path / "state.db", machine=before)
        held = store.acquire_lease("sync/a", holder="a", seconds=60)
        assert held is not None
        store.close()
        after = Machine(boot="second", seconds=lambda: 3.0)
        store = SqliteStateStore(tmp_path / "state.db", machine=after, now=lambda: NOON - timedelta(days=9999))
        assert store.lease("sync/a") is None
        taken = store.acquire_lease("sync/a", holder="b", seconds=60)
        assert taken is not None
        assert taken.fence == held.fence + 1
        store.close()

    def test_a_lease_is_counted_by_the_machine(self, tmp_path: Path) -> None:
        """To the second, in every process, and while it sleeps."""
        seconds = 100.0
        machine = Machine(boot="this", seconds=lambda: seconds)
        one = SqliteStateStore(tmp_path / "state.db", machine=machine)
        seconds += 50
        other = SqliteStateStore(tmp_path / "state.db", machine=machine, now=lambda: NOON)
        assert one.acquire_lease("sync/a", holder="a", seconds=60)
        seconds += 59.9
        assert other.acquire_lease("sync/a", holder="b", seconds=60) is None
        seconds += 0.2
        assert other.acquire_lease("sync/a", holder="b", seconds=60)
        one.close()
        other.close()

    def test_a_machine_that_names_no_start_counts_by_the_time_of_day(self, tmp_path: Path) -> None:
        """Leases hold and lapse there too."""
        store = SqliteStateStore(tmp_path / "state.db", machine=Machine(boot="", seconds=lambda: 0.0))
        assert store.acquire_lease("sync/a", holder="a", seconds=-1)
        assert store.acquire_lease("sync/a", holder="b", seconds=60)
        assert store.acquire_lease("sync/a", holder="c", seconds=60) is None
        store.close()

    @pytest.mark.parametrize("version", [1, 2])
    def test_a_file_of_an_older_version_is_taken_over(self, tmp_path: Path, version: int) -> None:
        """With all that is in it."""
        fill(SqliteStateStore(tmp_path / "state.db"))
        with sqlite3.connect(tmp_path / "state.db") as old:
            old.execute("DROP TABLE clock")
            old.execute("DROP TABLE used_plans")
            old.executescript("DROP TABLE jobs; DROP TABLE cancelled_runs;" + JOB_REQUESTS)
            old.executescript("DROP TABLE progress; DROP TABLE job_files; DROP TABLE audit")
            for table, column in (("runs", "given"), ("runs", "host"), ("errors", "examples"), ("seen", "item")):
                old.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
            old.execute(f"PRAGMA user_version = {version}")
        old.close()
        store = SqliteStateStore(tmp_path / "state.db")
        use = PlanUse(plan_id="p", checksum="c", sync="a", run_id="r1", used=NOON)
        assert store.use_plan(use) == use
        request = JobRequest(
            id="j1", sync="a", requested=NOON, parameters={"p": "1"}, force=True, requested_by="ann", trigger="job"
        )
        assert store.open_jobs() == (Job.of(request),)
        read(store)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
# As version 5 had it, with a request.
JOB_REQUESTS = """
CREATE TABLE job_requests(
    id TEXT PRIMARY KEY, sync TEXT NOT NULL, requested TEXT NOT NULL, parameters TEXT NOT NULL, force INTEGER NOT NULL,
    requested_by TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO job_requests VALUES ('j1', 'a', '2026-11-22T12:00:00.000000+00:00', '{"p": "1"}', 1, 'ann')
"""


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process become longer than 1,024 bytes, as on a disk that has no more room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(store: StateStore) -> None:
    """Write a row of each kind."""
    run = RunRecord(run_id="r1", sync="a", version="1", trigger="timer", state="Running", started=NOON)
    letter = DeadLetter(
        id="l1", sync="a", body=b"x", partition="0", sequence=1, error="Unclaimed", message="none", kept=NOON
    )
    store.begin_run(run)
    store.add_errors([ErrorRecord(run_id="r1", error_class="Row", error_type="T", count=1, rows=(1,))])
    store.acquire_lease("sync/a", holder="r1", seconds=600)
    store.add_dead_letters([letter])
    store.request_job(JobRequest(id="j1", sync="a", requested=NOON))
    store.mark_seen("a", {"k": Position(partition="0", sequence=1)})
    store.close()


def read(store: StateStore) -> None:
    """Read all of them."""
    try:
        assert store.runs()
        assert store.errors("r1")
        assert store.lease("sync/a")
        assert store.dead_letters()
        assert store.job_requests()
        assert store.seen("a", ["k"])
    finally:
        store.close()


def lease_twice(store: StateStore) -> list[bool]:
    """Whether a free lease is got, and given back."""
    lease = store.acquire_lease("sync/b", holder="r2", seconds=60)
    return [lease is not None, lease is not None and store.release_lease(lease)]


LOST_PARTS_WORK: dict[str, Callable[[StateStore], Any]] = {
    "a lease": lease_twice,
    "the row of a run": lambda store: store.begin_run(
        RunRecord(run_id="r1", sync="a", version="1", trigger="timer", state="Running", started=NOON)
    ),
    "a job": lambda store: store.request_job(JobRequest(id="j1", sync="a", requested=NOON)).request.id,
    "pauses": lambda store: dict(store.pauses()),
    "last runs": lambda store: dict(store.last_runs(["none"])),
    "positions of events": lambda store: store.mark_seen("a", {"k": Position(partition="0", sequence=1)}),
    "a file": lambda store: store.put_file("r1", "a.csv", b"x"),
    "reading a file": lambda store: store.file("r2", "a.csv"),
    "a ledger": lambda store: store.ledger("a"),
    "a part of a ledger": lambda store: store.put_ledger_part("a", "part", b"x"),
    "a large dead letter": lambda store: store.add_dead_letters(
        [DeadLetter(id="l", sync="a", body=b"x" * 50_000, partition="0", sequence=1, error="T", message="m", kept=NOON)]
    ),
}


def remove_all(account: str) -> None:
    """Remove all tables and containers, as somebody in the portal does."""
    with TableServiceClient.from_connection_string(account) as tables:
        for table in list(tables.list_tables()):
            tables.delete_table(table.name)
    with BlobServiceClient.from_connection_string(account) as blobs:
        for container in list(blobs.list_containers()):
            blobs.delete_container(container.name)


class TestAzure:
    @pytest.mark.azurite
    @pytest.mark.parametrize(
        ("table", "place", "change", "said"),
        [
            ("runs", ("h.all", ""), {"json00": "{"}, "JSONDecodeError"),
            ("runs", ("h.all", ""), {"json00": '{"run_id": "r1"}'}, "sync: Field required"),
            ("errors", ("r1", ""), {"json00": "[]"}, "table dynamicssyncerrors"),
            ("leases", ("", "lease"), {"fence": "high"}, "fence"),
            ("leases", ("", "lease"), {"expires": "later"}, "expires"),
            ("leases", ("", "lease"), {"seconds": "long"}, "could not convert"),
            ("deadletters", ("", ""), {"json00": "{}"}, "Field required"),
            ("jobs", ("job", ""), {"json00": '{"id": "1"}'}, "Field required"),
            ("seen", ("", ""), {"sequence": "last"}, "sequence"),
        ],
    )
    def test_a_row_that_others_changed_is_named(
        self, storage_account: str, table: str, place: tuple[str, str], change: dict[str, str], said: str
    ) -> None:
        """An error of its own, which says where to look; none of Python's."""
        fill(AzureStateStore.by_connection_string(storage_account))
        with TableServiceClient.from_connection_string(storage_account) as service:
            client = service.get_table_client(f"dynamicssync{table}")
            for entity in list(client.list_entities()):
                if place[0] in ("", entity["PartitionKey"]):
                    client.update_entity({**entity, **change}, mode=UpdateMode.MERGE)
        with pytest.raises(AbortRun) as caught:
            read(AzureStateStore.by_connection_string(storage_account))
        assert said in caught.value.message
        assert table in caught.value.message

    @pytest.mark.azurite
    @pytest.mark.parametrize("work", LOST_PARTS_WORK.values(), ids=LOST_PARTS_WORK)
    def test_a_table_or_container_that_is_lost_is_made_again(
        self, storage_account: str, work: Callable[[AzureStateStore], Any]
    ) -> None:
        """By the process that goes on: the first try says that the store is not complete, the next one works.

        A row that is not there and a table that is not there have one status. A free lease looked taken for ever.
        """
        store = AzureStateStore.by_connection_string(storage_account)
        before = work(store)
        remove_all(storage_account)
        with pytest.raises(RetryLater, match=r"has lost a table or a container \((Table|Container)NotFound") as caught:
            work(store)
        assert caught.value.retry_after
        assert work(store) == before
        store.close()

    @pytest.mark.azurite
    def test_what_is_missing_in_a_store_that_is_whole_is_no_lost_part(self, storage_account: str) -> None:
        """A row, a lease, a blob that were never there: they are only missing."""
        store = AzureStateStore.by_connection_string(storage_account)
        assert store.lease("sync/a") is None
        assert store.file("r1", "a.csv") is None
        assert store.ledger("a") is None
        assert store.mirror("a") is None
        assert store.remove_dead_letters(["l1"]) == 0
        store.close()

    @pytest.mark.azurite
    @pytest.mark.parametrize("end", ["", ".json"])
    def test_a_letter_whose_blob_is_gone_says_so(self, storage_account: str, end: str) -> None:
        """Whichever of its blobs it is; it can be named and removed, and is whole again when the blob is restored."""
        store = AzureStateStore.by_connection_string(storage_account)
        made = DeadLetter(
            id="l1", sync="a", body=b"x" * 50_000, partition="0", sequence=1, error="T", message="none", kept=NOON
        )
        letter = replace(made, properties={"p": "x" * 200_000})
        store.add_dead_letters([letter, replace(made, id="l2", sequence=2, body=b"y")])
        with ContainerClient.from_connection_string(storage_account, "dynamics-sync") as files:
            (name,) = (blob for blob in files.list_blob_names() if blob.endswith(".json"))
            path = name.removesuffix(".json") + end
            content = files.download_blob(path).readall()
            files.delete_blob(path)
            found, other = store.dead_letters("a")
            assert (found.id, found.partition, found.sequence, found.error) == ("l1", "0", 1, INCOMPLETE)
            assert f"the blob {name.removesuffix('.json')}" in found.message
            assert (other.id, other.body) == ("l2", b"y")
            assert store.dead_letters(ids=["l1"]) == (found,)
            files.upload_blob(path, content)
        assert store.dead_letters(ids=["l1"]) == (letter,)
        assert store.remove_dead_letters(["l1"]) == 1
        assert store.dead_letters(ids=["l1"]) == ()

    @pytest.mark.azurite
    def test_rows_of_an_older_version_are_read(self, storage_account: str) -> None:
        """A letter whose body is a blob, and a lease without its length: an older instance may still be running."""
        fill(AzureStateStore.by_connection_string(storage_account))
        soon = datetime.now(UTC) + timedelta(hours=1)
        with TableServiceClient.from_connection_string(storage_account) as service:
            letters = service.get_table_client("dynamicssyncdeadletters")
            (letter,) = letters.list_entities()
            old = {name: value for name, value in letter.items() if name not in {"body", "keeping", "order"}}
            letters.upsert_entity(old, mode=UpdateMode.REPLACE)
            leases = service.get_table_client("dynamicssyncleases")
            (lease,) = leases.list_entities()
            old = {name: value for name, value in lease.items() if name != "seconds"} | {"expires": soon.isoformat()}
            leases.upsert_entity(old, mode=UpdateMode.REPLACE)
        store = AzureStateStore.by_connection_string(storage_account)
        with ContainerClient.from_connection_string(storage_account, "dynamics-sync") as files:
            files.create_container()
            files.upload_blob(f"dead-letters/{letter['RowKey']}", b"x")
        assert [found.body for found in store.dead_letters()] == [b"x"]
        assert store.acquire_lease("sync/a", holder="b", seconds=1) is None
        read(store)

    @pytest.mark.azurite
    def test_the_last_runs_of_an_older_version_are_found(self, storage_account: str) -> None:
        """It kept no table of last runs: the first question moves them there, and the runs that follow replace them."""
        fill(AzureStateStore.by_connection_string(storage_account))
        with TableServiceClient.from_connection_string(storage_account) as service:
            service.delete_table("dynamicssynclastruns")
        store = AzureStateStore.by_connection_string(storage_account)
        first = store.run("r1")
        assert first is not None
        assert store.last_runs(["a", "b"]) == {"a": first}
        with TableServiceClient.from_connection_string(storage_account) as service:
            rows = service.get_table_client("dynamicssynclastruns").list_entities()
            assert sorted(row["sync"] for row in rows) == ["a", "b"]
        second = replace(first, run_id="r2", sync="b", started=NOON + timedelta(hours=1))
        store.begin_run(second)
        assert store.last_runs(["a", "b"]) == {"a": first, "b": second}
        store.close()

    @pytest.mark.azurite
    def test_the_latest_rows_of_an_older_version_are_found(self, storage_account: str) -> None:
        """It kept no moments of success and no rows of events among the last runs; both are looked up once."""
        first = AzureStateStore.by_connection_string(storage_account)
        good = RunRecord(
            run_id="g", sync="a", version="1", trigger="timer", state="Succeeded", started=NOON,
            ended=NOON + timedelta(minutes=1),
        )  # fmt: skip
        bad = replace(good, run_id="b", state="Failed", started=NOON + timedelta(hours=1), ended=None)
        events = replace(good, run_id="e", trigger="events")
        for run in (good, bad, events):
            first.begin_run(run)
        with TableServiceClient.from_connection_string(storage_account) as service:
            table = service.get_table_client("dynamicssynclastruns")
            for row in list(table.list_entities()):
                table.delete_entity(row["PartitionKey"], row["RowKey"])
                if row["PartitionKey"] == "h.all":
                    table.create_entity({name: value for name, value in row.items() if name != "succeeded"})
        store = AzureStateStore.by_connection_string(storage_account)
        expected = {"a": LatestRows(run=bad, events=events, succeeded=good.ended), "n": LatestRows()}
        assert store.latest_rows(["a", "n"]) == expected
        with TableServiceClient.from_connection_string(storage_account) as service:
            rows = [*service.get_table_client("dynamicssynclastruns").list_entities()]
            assert sorted(
                (row["PartitionKey"], row["sync"], row.get("succeeded")) for row in rows if row["sync"] == "a"
            ) == [
                ("h.all", "a", "2026-11-22T12:01:00.000000+00:00"),
                ("h.events", "a", None),
                ("h.retries", "a", None),
            ]
            service.delete_table("dynamicssyncruns")
        assert store.latest_rows(["a", "n"]) == expected

    @pytest.mark.azurite
    def test_what_does_not_fit_into_a_row_is_refused_with_its_size(self, storage_account: str) -> None:
        """The service would answer that the entity is too large, and not which."""
        store = AzureStateStore.by_connection_string(storage_account)
        with pytest.raises(AbortRun, match="a value of 600,002 characters"):
            store.set_watermark("s", "x" * 600_000, fence=1)
        store.close()

    def test_settings_that_name_no_account_say_which_to_set(self) -> None:
        """The message names both ways to configure an account."""
        with pytest.raises(UserError, match="AzureWebJobsStorage__accountName"):
            open_azure(Settings(state_store="azure"), lambda: AzureNamedKeyCredential("a", "b"))  # type: ignore[arg-type, return-value]  # never called

    def test_what_is_no_connection_string_is_not_repeated(self) -> None:
        """A mistyped connection string holds a key."""
        with pytest.raises(UserError) as caught:
            open_azure(Settings(storage_connection="s3cr3t"), lambda: AzureNamedKeyCredential("a", "b"))  # type: ignore[arg-type, return-value]  # never called
        assert "s3cr3t" not in caught.value.message
        assert "AzureWebJobsStorage" in caught.value.message

    def test_an_account_that_does_not_answer_is_a_retry_later(self) -> None:
        """A closed port is a store that is unavailable, for tables and for blobs."""
        store = AzureStateStore.by_connection_string(
            "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
            "BlobEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a",
            retries=0,
        )
        with pytest.raises(RetryLater):
            store.watermark("s")
        with pytest.raises(RetryLater):
            store.file("r", "f")
        store.close()

    @pytest.mark.azurite
    @ELEMENT_TRUTH
    def test_the_error_of_a_refused_identity_names_the_roles(self, storage_account: str) -> None:
        """The operator learns what to assign."""
        store = AzureStateStore.by_connection_string(storage_account.replace("AccountKey=", "AccountKey=d3Jvbmc="))
        with pytest.raises(StoreRefusedError, match=r"Storage Table Data Contributor.* AccountKey.* regenerated"):
            store.watermark("s")
        with pytest.raises(StoreRefusedError, match="Storage Blob Data Owner"):
            store.file("r", "f")
        store.close()

    @pytest.mark.azurite
    def test_settings_without_a_key_open_the_account_by_identity(self, identity_account: IdentityAccount) -> None:
        """As `azd up` deploys it: the account refuses keys."""
        store = open_azure(identity_account.settings, lambda: identity_account.credential)
        assert store.set_watermark("s", "1", fence=1)
        store.put_file("run", "errors.csv", b"a,b")
        assert (store.watermark("s"), store.file("run", "errors.csv")) == ("1", b"a,b")
        store.close()

    @pytest.mark.azurite
    @ELEMENT_TRUTH
    def test_the_error_of_a_wrong_token_names_the_roles(self, identity_account: IdentityAccount) -> None:
        """The account knows the identity and does not let it in."""
        store = open_azure(identity_account.settings, lambda: Elsewhere(identity_account.credential))
        with pytest.raises(StoreRefusedError, match="Storage Table Data Contributor"):
            store.watermark("s")
        with pytest.raises(StoreRefusedError, match="Storage Blob Data Owner"):
            store.file("r", "f")
        store.close()

    @pytest.mark.azurite
    def test_an_identity_without_a_token_now_means_later(
        self, identity_account: IdentityAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is nobody's to solve: no role is missing."""
        monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
        watched = WatchedCredential(partial(ManagedIdentityCredential, retry_total=0))
        store = open_azure(identity_account.settings, lambda: watched)
        with pytest.raises(RetryLater, match=r"^The state store is not available: 127\.0\.0\.1, .* does not answer"):
            store.watermark("s")
        store.close()


class Elsewhere:
    """A credential whose tokens are meant for another service."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    def get_token(self, *_: str, **options: Any) -> AccessToken:
        return self._credential.get_token("https://vault.azure.net/.default", **options)


@pytest.mark.azurite
def test_requests_that_an_earlier_version_left_in_azure_are_jobs(storage_account: str) -> None:
    """A request that it has begun is not a request any more; a job that continues replaces the row."""
    store = AzureStateStore.by_connection_string(storage_account)
    request = JobRequest(id="j1", sync="a", requested=NOON, parameters={"p": "1"}, force=True, requested_by="ann")
    fields = {name: value for name, value in asdict(request).items() if name != "trigger"}
    for row, taken in (("j1", False), ("j2", True)):
        keys = {"PartitionKey": "job", "RowKey": row, "sync": "a", "taken": taken}
        store._put("jobs", {**keys, **document({**fields, "id": row})})
    assert store.open_jobs() == (Job.of(request),)
    assert store.job_requests() == (request,)
    store.put_job(replace(Job.of(request), state="Succeeded", ended=NOON))
    assert store.open_jobs() == ()
    found = store.job("j1")
    assert found is not None
    assert (found.state, found.request) == ("Succeeded", request)
    store.close()
