"""What every state store promises, told once and run on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.state import (
    AuditEntry,
    DeadLetter,
    ErrorRecord,
    Job,
    JobKind,
    JobRequest,
    LatestRows,
    PlanUse,
    Position,
    RemovedCounts,
    RowsToMend,
    RowToMend,
    RunRecord,
    StateStore,
    letter_pages,
    remove_all_letters,
)
from shared.state.azure import AzureStateStore
from shared.state.sqlite import SqliteStateStore
from tests.azurite.fixtures import IdentityAccount

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Wall:
    """A clock whose time changes only when a test changes it."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def pass_(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def wall() -> Wall:
    return Wall()


AZURE = [pytest.param(name, marks=pytest.mark.azurite) for name in ("azure", "azure by identity")]


@pytest.fixture(params=["sqlite", *AZURE])
def open_store(request: pytest.FixtureRequest, wall: Wall, tmp_path: Path) -> Iterator[Callable[..., StateStore]]:
    """Opens the same store again and again, as other processes would."""
    opened: list[StateStore] = []

    def open_(now: Callable[[], datetime] = wall) -> StateStore:
        if request.param == "sqlite":
            opened.append(SqliteStateStore(tmp_path / "state" / "state.db", now=now))
        elif request.param == "azure":
            opened.append(AzureStateStore.by_connection_string(request.getfixturevalue("storage_account"), now=now))
        else:
            opened.append(by_identity(request.getfixturevalue("identity_account"), now))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def by_identity(account: IdentityAccount, now: Callable[[], datetime]) -> AzureStateStore:
    settings = account.settings
    return AzureStateStore.by_identity(
        tables=settings.table_endpoint, blobs=settings.blob_endpoint, credential=account.credential, now=now
    )


@pytest.fixture
def store(open_store: Callable[..., StateStore]) -> StateStore:
    return open_store()


# Seconds of a lease that a test lets lapse.
SHORT = 0.5


def eventually(done: Callable[[], bool]) -> None:
    """Wait until something is so, far longer than it takes."""
    give_up = time.monotonic() + 60
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def a_run(run_id: str, *, minutes: int = 0, sync: str = "customers", trigger: str = "timer") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        sync=sync,
        version="1.0.0",
        trigger=trigger,
        state="Running",
        started=NOON + timedelta(minutes=minutes),
        parameters={"region": "Zürich", "day": None, "top": 3},
        given={"region": "Zürich"},
        host="vm-7",
    )


TO_MEND = RowsToMend(
    columns={"No": "text", "Größe": "number"},
    rows=(RowToMend(number=7, values={"No": "=1\r\n\u2028", "Größe": "ü"}, reason="Größe: why", duplicate=True),),
    found=12,
    mended={"r2": 3},
)


class TestExecutionLog:
    def test_a_run_is_read_as_it_was_written(self, store: StateStore) -> None:
        """A row holds every field, Unicode, None and numbers included."""
        store.begin_run(a_run("r1"))
        assert store.run("r1") == a_run("r1")
        assert store.run("r2") is None

    def test_finishing_replaces_the_row(self, store: StateStore) -> None:
        """The row that began is the row that ends."""
        store.begin_run(a_run("r1"))
        ended = RunRecord(
            run_id="r1",
            sync="customers",
            version="1.0.0",
            trigger="timer",
            state="Failed",
            started=NOON,
            ended=NOON + timedelta(seconds=2),
            duration=2.25,
            counts={"created": {"done": 1, "planned": 2}},
            message="boom " * 3000,
            fence=7,
        )
        store.finish_run(ended)
        assert store.run("r1") == ended
        assert [run.run_id for run in store.runs()] == ["r1"]

    def test_runs_are_newest_first_and_limited(self, store: StateStore) -> None:
        """The log is read from its end, of one sync or of all."""
        for number in range(5):
            store.begin_run(a_run(f"r{number}", minutes=number, sync="odd" if number % 2 else "even"))
        assert [run.run_id for run in store.runs()] == ["r4", "r3", "r2", "r1", "r0"]
        assert [run.run_id for run in store.runs("even", limit=2)] == ["r4", "r2"]
        assert store.runs("none") == ()

    def test_the_last_run_ignores_runs_by_events(self, store: StateStore) -> None:
        """Only runs that a schedule could have started decide when the sync is due again."""
        assert store.last_run("customers") is None
        store.begin_run(a_run("r1", minutes=1))
        store.begin_run(a_run("r2", minutes=2, trigger="command"))
        store.begin_run(a_run("r3", minutes=3, trigger="events"))
        store.begin_run(a_run("r4", minutes=4, trigger="definition"))
        assert store.last_run("customers") == a_run("r2", minutes=2, trigger="command")

    def test_the_last_run_is_no_retry_unless_retries_are_asked_for(self, store: StateStore) -> None:
        """A retry reads no source, so a schedule is not decided by it: of one sync or of many, whoever ends last."""
        store.begin_run(a_run("r1", minutes=1))
        store.begin_run(a_run("r2", minutes=2, trigger="retry"))
        store.finish_run(replace(a_run("r2", minutes=2, trigger="retry"), state="Succeeded"))
        store.begin_run(a_run("r3", minutes=3, trigger="events"))
        store.begin_run(a_run("only", sync="only retries", trigger="retry"))
        for _ in range(2):
            assert store.last_runs(["customers", "only retries"]) == {"customers": a_run("r1", minutes=1)}
        assert (store.last_run("customers"), store.last_run("only retries")) == (a_run("r1", minutes=1), None)
        latest = store.last_run("customers", retries=True)
        assert latest is not None
        assert (latest.run_id, latest.state) == ("r2", "Succeeded")
        until = NOON + timedelta(seconds=61)
        assert store.last_run("customers", until=until, retries=True) == a_run("r1", minutes=1)

    def test_the_last_run_that_started_by_a_moment(self, store: StateStore) -> None:
        """A start that a wrong clock put into the future is left out."""
        for number in (1, 2, 60 * 24 * 400):
            store.begin_run(a_run(f"r{number}", minutes=number))
        assert store.last_run("customers", until=NOON + timedelta(minutes=2)) == a_run("r2", minutes=2)
        assert store.last_run("customers", until=NOON + timedelta(seconds=119)) == a_run("r1", minutes=1)
        assert store.last_run("customers", until=NOON) is None

    def test_the_last_runs_of_many_syncs_are_read_at_once(self, store: StateStore) -> None:
        """Each is what is said of one sync alone; syncs that never ran are left out, also at the second time."""
        for number, trigger in enumerate(("timer", "command", "events", "definition")):
            store.begin_run(a_run(f"r{number}", minutes=number, trigger=trigger))
        store.begin_run(a_run("e", sync="events only", trigger="events"))
        store.begin_run(a_run("o1", sync="orders", minutes=1))
        store.finish_run(replace(a_run("o1", sync="orders", minutes=1), state="Failed", ended=NOON))
        for _ in range(2):
            found = store.last_runs(["customers", "orders", "events only", "none", "orders"])
            assert found == {name: store.last_run(name) for name in ("customers", "orders")}
            assert (found["customers"].run_id, found["orders"].state) == ("r1", "Failed")
        store.begin_run(a_run("n", sync="none", minutes=5))
        assert store.last_runs(["none"]) == {"none": a_run("n", sync="none", minutes=5)}
        assert store.last_runs([]) == {}

    def test_a_run_that_ends_late_is_not_the_last_one(self, store: StateStore) -> None:
        """The latest start counts, whatever is written last, of those that started by a moment."""
        store.begin_run(a_run("r1", minutes=1))
        store.begin_run(a_run("r2", minutes=2))
        store.finish_run(replace(a_run("r1", minutes=1), state="Interrupted"))
        assert store.last_runs(["customers"]) == {"customers": a_run("r2", minutes=2)}
        until = NOON + timedelta(seconds=61)
        assert store.last_runs(["customers"], until=until) == {"customers": store.run("r1")}
        assert store.last_runs(["customers"], until=NOON) == {}

    def test_the_latest_rows_of_many_syncs_are_read_at_once(self, store: StateStore) -> None:
        """The last run, the last row of events, and the last success, which a later failure does not hide."""
        good = replace(a_run("good", minutes=1), state="Completed with errors", ended=NOON + timedelta(minutes=2))
        bad = replace(a_run("bad", minutes=3), state="Failed", ended=NOON + timedelta(minutes=4))
        of_events = a_run("events", minutes=5, trigger="events")
        for run in (a_run("good", minutes=1), good, bad, of_events, a_run("mistakes", minutes=6, trigger="definition")):
            store.begin_run(run)
        store.begin_run(a_run("e", sync="events only", trigger="events"))
        assert store.latest_rows(["customers", "none", "events only", "customers"]) == {
            "customers": LatestRows(run=bad, events=of_events, succeeded=good.ended),
            "none": LatestRows(),
            "events only": LatestRows(events=a_run("e", sync="events only", trigger="events")),
        }
        better = replace(a_run("better", minutes=7), state="Succeeded", ended=NOON + timedelta(minutes=8))
        again = replace(of_events, counts={"events": 2})
        store.begin_run(better)
        store.finish_run(again)
        found = store.latest_rows(["customers"])
        assert found == {"customers": LatestRows(run=better, events=again, succeeded=better.ended)}
        store.finish_run(replace(bad, message="written late"))
        assert store.latest_rows(["customers"]) == found
        retry = replace(
            a_run("retry", minutes=9, trigger="retry"), state="Succeeded", ended=NOON + timedelta(minutes=10)
        )
        store.begin_run(retry)
        assert store.latest_rows(["customers"]) == {"customers": replace(found["customers"], retry=retry)}
        store.begin_run(a_run("earlier", minutes=8, trigger="retry"))
        assert store.latest_rows(["customers"]) == {"customers": replace(found["customers"], retry=retry)}

    @pytest.mark.parametrize("trigger", ["taken-back", "retry-not-begun"])
    def test_what_started_nothing_is_no_run_of_its_sync(self, store: StateStore, wall: Wall, trigger: str) -> None:
        """Neither the schedule nor what people see of the sync is decided by its row, and no last run goes for it."""
        run = replace(a_run("r1"), state="Failed", ended=NOON)
        store.begin_run(run)
        store.begin_run(replace(a_run("j1", minutes=1, trigger=trigger), state="Cancelled", ended=NOON))
        assert [store.last_run("customers", retries=each) for each in (False, True)] == [run, run]
        assert store.last_runs(["customers"]) == {"customers": run}
        assert store.latest_rows(["customers"]) == {"customers": LatestRows(run=run)}
        assert [each.run_id for each in store.runs("customers")] == ["j1", "r1"]
        store.prune(wall() + timedelta(days=1000), limit=10)
        assert store.runs("customers") == (run,)

    def test_runs_are_found_by_the_beginning_of_their_id(self, store: StateStore) -> None:
        """Whatever their number and age; no other character means anything."""
        for number, run_id in enumerate(("beef01", "beef02", "bee", "cafe", "BEEF", "beef-1_x", "be'ef")):
            store.begin_run(a_run(run_id, minutes=number))
        assert {run.run_id for run in store.runs_starting("beef")} == {"beef01", "beef02", "beef-1_x"}
        assert {run.run_id for run in store.runs_starting("be") if "'" not in run.run_id} == {
            "bee",
            "beef01",
            "beef02",
            "beef-1_x",
        }
        assert len(store.runs_starting("beef", limit=2)) == 2
        assert store.runs_starting("%") == store.runs_starting("b'") == ()

    def test_a_run_with_any_number_of_figures_fits_into_the_log(self, store: StateStore) -> None:
        """The figures stay; what is too large is left out, and the row says so."""
        kinds = [{"column": f"c{number}", "rows": list(range(100_000, 100_100))} for number in range(600)]
        counts = {"created": {"done": 3, "planned": 4}, "attempt": 2}
        parameters = {"list": "x" * 200_000, "region": "Zürich"}
        wide = replace(a_run("r1"), counts={**counts, "errors": kinds}, message="m" * 100_000)
        store.begin_run(wide)
        found = store.run("r1")
        assert found is not None
        assert found.counts == {**counts, "error_kinds": 600}
        assert found.message.endswith("(cut)")
        assert found.parameters == wide.parameters
        store.finish_run(replace(wide, parameters=parameters, counts={**counts, "odd": "y" * 200_000}))
        assert "cut" in store.runs("customers")[0].parameters
        assert store.runs()[0].counts == {"attempt": 2}

    def test_the_course_of_a_long_run_comes_back_whole(self, store: StateStore) -> None:
        """60 points, of the run alone and in the list of runs."""
        course = {
            "seconds": [round(number * 1440.5, 1) for number in range(60)],
            "rows": [number * 1_000_000 for number in range(60)],
            "parallel": [52] * 60,
            "throttled": [number * 1000 for number in range(60)],
        }
        run = replace(a_run("r1"), counts={"writes": 3, "course": course})
        store.begin_run(run)
        assert (store.run("r1"), store.runs("customers"), store.last_runs(["customers"])) == (
            run,
            (run,),
            {"customers": run},
        )

    def test_any_number_of_runs_can_be_asked_for(self, store: StateStore) -> None:
        """More than the store can count is all of them."""
        store.begin_run(a_run("r1"))
        assert [run.run_id for run in store.runs(limit=99_999_999_999_999_999_999)] == ["r1"]


class TestErrorsAndFiles:
    def test_errors_come_back_with_most_rows_first(self, store: StateStore) -> None:
        """One row a class, type, column and message; written twice it is there once."""
        few = ErrorRecord(run_id="r1", error_class="Invalid Row", error_type="Duplicate Key", rows=(104, 105), count=2)
        many = ErrorRecord(
            run_id="r1",
            side="target",
            error_class="Invalid Column",
            error_type="Max Length Violation",
            column="Näme/#?\\",
            rows=(1,),
            count=900,
            message="longer than 160",
            examples=({"row": 1, "key": "Zürich", "line": 7},),
        )
        other = replace(many, message="a character that Dataverse refuses", count=3)
        store.add_errors([few, many, other])
        store.add_errors([few])
        assert store.errors("r1") == (many, other, few)
        assert store.errors("r2") == ()

    def test_errors_take_the_place_of_others(self, store: StateStore) -> None:
        """The same kind of error with another message; other rows stay, and a second time nothing changes."""
        named = ErrorRecord(
            run_id="r1", error_class="Failed Operation", error_type="0x1", count=2, message="C-1 is locked"
        )
        other = replace(named, message="gone", count=1)
        kept = replace(other, examples=({"row": 3},), count=5)
        store.add_errors([named, other, replace(named, run_id="r2")])
        for _ in range(2):
            store.replace_errors([named, other], [replace(named, message="x"), kept])
            assert store.errors("r1") == (kept, replace(named, message="x"))
        assert store.errors("r2") == (replace(named, run_id="r2"),)

    def test_long_names_of_columns_and_messages_are_kept_cut(self, store: StateStore) -> None:
        """A header of a megabyte is no reason to lose the log."""
        error = ErrorRecord(run_id="r1", error_class="Row", error_type="T", count=1, column="c" * 600_000)
        store.add_errors([replace(error, message="m" * 600_000)])
        (found,) = store.errors("r1")
        assert found.column.endswith("(cut)")
        assert found.message.endswith("(cut)")

    def test_examples_that_are_too_large_are_left_out(self, store: StateStore) -> None:
        """The error stays, with its first rows."""
        error = ErrorRecord(run_id="r1", error_class="Row", error_type="T", count=1, rows=(3,))
        store.add_errors([replace(error, examples=({"row": 3, "value": "v" * 600_000},))])
        assert store.errors("r1") == (error,)

    def test_no_errors_at_all_is_fine(self, store: StateStore) -> None:
        """An empty list writes nothing."""
        store.add_errors([])
        assert store.errors("r1") == ()

    def test_files_are_kept_by_run_and_name(self, store: StateStore) -> None:
        """A file is read as it was written, and the same name again replaces it."""
        store.put_file("r1", "r1_SourceErrors.csv", b"Row\n")
        store.put_file("r1", "r1_SourceErrors.csv", b"Row,Rejected\n" + bytes(range(256)) * 1000)
        store.put_file("r1", "r1_SyncErrors.csv", b"")
        assert store.files("r1") == ("r1_SourceErrors.csv", "r1_SyncErrors.csv")
        assert store.file("r1", "r1_SourceErrors.csv") == b"Row,Rejected\n" + bytes(range(256)) * 1000
        assert store.file("r1", "r1_SyncErrors.csv") == b""
        assert store.file("r2", "r1_SyncErrors.csv") is None
        assert store.files("r2") == ()


class TestRowsToMend:
    def test_the_rows_of_a_run_are_kept_whole_and_replaced_whole(
        self, store: StateStore, open_store: Callable[..., StateStore]
    ) -> None:
        """For every process, whatever characters the values and the id have; they are no file of the run."""
        for run_id in ("r1", "r/2 ä"):
            assert store.rows_to_mend(run_id) is None
            store.put_rows_to_mend(run_id, TO_MEND)
            assert open_store().rows_to_mend(run_id) == TO_MEND
        store.put_rows_to_mend("r1", replace(TO_MEND, rows=(), mended={"r3": 1}))
        assert open_store().rows_to_mend("r1") == replace(TO_MEND, rows=(), mended={"r3": 1})
        assert (store.rows_to_mend("r/2 ä"), store.files("r1")) == (TO_MEND, ())


class TestLeases:
    def test_only_one_holder_at_a_time(self, open_store: Callable[..., StateStore]) -> None:
        """A second holder gets nothing until the first gives back, and then a higher number."""
        one, other = open_store(), open_store()
        first = one.acquire_lease("sync/customers", holder="a", seconds=60)
        assert first is not None
        assert other.acquire_lease("sync/customers", holder="b", seconds=60) is None
        assert one.acquire_lease("sync/customers", holder="a", seconds=60) is None
        assert other.lease("sync/customers") == first
        assert one.release_lease(first)
        assert one.lease("sync/customers") is None
        second = other.acquire_lease("sync/customers", holder="b", seconds=60)
        assert second is not None
        assert second.fence > first.fence

    def test_names_are_independent(self, store: StateStore) -> None:
        """A lease on one sync is no lease on another."""
        assert store.acquire_lease("sync/a", holder="x", seconds=60)
        assert store.acquire_lease("sync/b", holder="x", seconds=60)

    def test_a_lapsed_lease_can_be_taken_and_its_old_holder_loses_it(self, store: StateStore) -> None:
        """Who let a lease lapse can neither renew nor release it once another has it."""
        old = store.acquire_lease("sync/a", holder="a", seconds=SHORT)
        assert old is not None
        eventually(lambda: store.lease("sync/a") is None)
        new = store.acquire_lease("sync/a", holder="b", seconds=60)
        assert new is not None
        assert new.fence == old.fence + 1
        assert store.renew_lease(old, seconds=60) is None
        assert not store.release_lease(old)
        assert store.lease("sync/a") == new

    def test_renewing_moves_the_end(self, store: StateStore) -> None:
        """A renewed lease holds past its first end, and keeps its number."""
        lease = store.acquire_lease("sync/a", holder="a", seconds=SHORT)
        lapsing = store.acquire_lease("sync/b", holder="a", seconds=SHORT)
        assert lease is not None
        assert lapsing is not None
        renewed = store.renew_lease(lease, seconds=600)
        assert renewed is not None
        assert (renewed.holder, renewed.fence) == ("a", lease.fence)
        eventually(lambda: store.lease("sync/b") is None)
        assert store.acquire_lease("sync/a", holder="b", seconds=60) is None

    def test_a_lapsed_lease_that_was_not_taken_is_renewed(self, store: StateStore) -> None:
        """A pause between two renewals does no harm where no other holder took the lease."""
        lease = store.acquire_lease("sync/a", holder="a", seconds=SHORT)
        assert lease is not None
        eventually(lambda: store.lease("sync/a") is None)
        assert store.renew_lease(lease, seconds=60) is not None
        assert store.acquire_lease("sync/a", holder="b", seconds=60) is None

    @pytest.mark.parametrize("hours", [-36, 36])
    def test_no_clock_of_a_holder_or_taker_decides(self, open_store: Callable[..., StateStore], hours: int) -> None:
        """A host whose clock is hours away takes no living lease, and its own is neither taken nor without end."""
        here, there = open_store(), open_store(lambda: NOON + timedelta(hours=hours))
        kept, short = (here.acquire_lease(name, holder="here", seconds=60) for name in ("sync/a", "sync/b"))
        assert kept is not None
        assert short is not None
        assert there.acquire_lease("sync/a", holder="there", seconds=60) is None
        assert there.lease("sync/a") == kept
        theirs = there.acquire_lease("sync/c", holder="there", seconds=60)
        assert theirs is not None
        assert here.acquire_lease("sync/c", holder="here", seconds=60) is None
        assert here.renew_lease(kept, seconds=60) is not None
        assert there.acquire_lease("sync/a", holder="there", seconds=60) is None
        there.renew_lease(theirs, seconds=SHORT)
        eventually(lambda: here.acquire_lease("sync/c", holder="here", seconds=60) is not None)

    @pytest.mark.parametrize("hours", [-36, 36])
    def test_a_lease_that_was_given_back_is_free_whatever_the_clock_says(
        self, open_store: Callable[..., StateStore], hours: int
    ) -> None:
        """At once, for hosts whose clocks are behind and ahead."""
        here, there = open_store(), open_store(lambda: NOON + timedelta(hours=hours))
        theirs = there.acquire_lease("sync/a", holder="there", seconds=6000)
        assert theirs is not None
        assert there.release_lease(theirs)
        ours = here.acquire_lease("sync/a", holder="here", seconds=60)
        assert ours is not None
        assert ours.fence == theirs.fence + 1

    def test_a_released_lease_is_not_renewed(self, store: StateStore) -> None:
        """Giving back is final."""
        lease = store.acquire_lease("sync/a", holder="a", seconds=60)
        assert lease is not None
        store.release_lease(lease)
        assert store.renew_lease(lease, seconds=60) is None
        assert not store.release_lease(lease)


class TestWatermarks:
    def test_a_watermark_moves_under_the_newest_fence_only(self, store: StateStore) -> None:
        """Who lost the lease can't move the watermark back."""
        assert store.watermark("orders") is None
        assert store.set_watermark("orders", "2026-11-01", fence=1)
        assert store.set_watermark("orders", "2026-11-03", fence=3)
        assert not store.set_watermark("orders", "2026-11-02", fence=2)
        assert store.set_watermark("orders", "2026-11-04", fence=3)
        assert store.watermark("orders") == "2026-11-04"

    def test_a_watermark_can_be_taken_back(self, store: StateStore) -> None:
        """An empty text is what a reset leaves; who lost the lease cannot undo it."""
        assert store.set_watermark("reset", "2026-11-01", fence=1)
        assert store.set_watermark("reset", "", fence=2)
        assert not store.set_watermark("reset", "2026-11-01", fence=1)
        assert not store.watermark("reset")
        assert store.watermark("others") is None


def a_letter(number: int, *, sync: str = "customers", **more: object) -> DeadLetter:
    fields = {
        "id": f"{sync}/hub/0/{number}",
        "sync": sync,
        "body": b'{"n": %d}' % number,
        "partition": "0",
        "sequence": number,
        "error": "Undecodable",
        "message": "not JSON",
        "kept": NOON,
    }
    return DeadLetter(**fields | more)  # type: ignore[arg-type]  # a test's record, field by field


class TestDeadLetters:
    def test_an_event_is_read_as_it_was_kept(self, store: StateStore) -> None:
        """Body, place, reason and properties survive, whatever the bytes."""
        letter = a_letter(
            7,
            body=bytes(range(256)) * 5000,
            offset="-1",
            code="0x80040237",
            message="A record with matching key values already exists. " * 100,
            tries=3,
            enqueued=NOON - timedelta(hours=1),
            properties={"type": "customer.changed", "n": 1},
            system={"PartitionKey": "ä/b#c"},
        )
        empty = a_letter(8, body=b"")
        store.add_dead_letters([letter, empty])
        assert store.dead_letters() == (letter, empty)

    def test_an_event_kept_again_is_kept_once(self, store: StateStore) -> None:
        """A second delivery updates reason and tries, and keeps the first moment."""
        store.add_dead_letters([a_letter(1)])
        store.add_dead_letters([a_letter(1, tries=2, message="still", kept=NOON + timedelta(days=1))])
        assert store.dead_letters() == (a_letter(1, tries=2, message="still"),)

    def test_they_are_read_in_order_by_sync_and_by_id(self, store: StateStore) -> None:
        """Replay wants the order of the partition."""
        store.add_dead_letters([a_letter(number) for number in (300, 20, 100)] + [a_letter(5, sync="orders")])
        assert [letter.sequence for letter in store.dead_letters("customers")] == [20, 100, 300]
        assert [letter.sequence for letter in store.dead_letters("customers", limit=2)] == [20, 100]
        assert [letter.sequence for letter in store.dead_letters(ids=["customers/hub/0/20", "nobody"])] == [20]
        assert [letter.sequence for letter in store.dead_letters("orders", ids=["customers/hub/0/20"])] == []
        assert (store.count_dead_letters("customers"), store.count_dead_letters()) == (3, 4)
        store.add_dead_letters([a_letter(6, sync="")])
        assert store.dead_letter_counts() == {"customers": 3, "orders": 1, "": 1}

    def test_they_are_read_in_pages_of_so_many_bytes(self, store: StateStore) -> None:
        """In their order; each letter is in one page, however large it is, and no page is larger without need."""
        letters = [a_letter(1), a_letter(2, body=b"x" * 10_000_000), a_letter(3, body=b"x" * 17_000_000)]
        letters += [a_letter(4), a_letter(5, body=b"x" * 9_000_000), a_letter(6, body=b"x" * 9_000_000)]
        store.add_dead_letters([*letters, a_letter(7, sync="orders")])
        sizes = store.dead_letter_sizes("customers")
        assert list(sizes) == [letter.id for letter in letters]
        assert all(size >= len(letter.body) for size, letter in zip(sizes.values(), letters, strict=True))
        pages = list(letter_pages(store, "customers"))
        assert [[letter.sequence for letter in page] for page in pages] == [[1, 2], [3], [4, 5], [6]]
        assert pages[1] == (letters[2],)
        some = {letter.id: sizes[letter.id] for letter in (letters[1], letters[4])}
        assert [[letter.sequence for letter in page] for page in letter_pages(store, "customers", some)] == [[2], [5]]
        assert list(letter_pages(store, "customers", {})) == []
        assert [letter.sequence for page in letter_pages(store) for letter in page] == [1, 2, 3, 4, 5, 6, 7]
        assert (remove_all_letters(store, "customers"), remove_all_letters(store)) == (6, 1)
        assert (store.dead_letter_sizes(), list(letter_pages(store))) == ({}, [])

    def test_removing_forgets_them(self, store: StateStore) -> None:
        """Letters whose events have a result are removed; those that do not exist are not counted."""
        store.add_dead_letters([a_letter(number) for number in range(250)])
        gone = [f"customers/hub/0/{number}" for number in range(200)]
        assert store.remove_dead_letters([*gone, "nobody"]) == 200
        assert store.count_dead_letters() == 50
        assert store.remove_dead_letters([]) == 0

    def test_a_letter_of_any_size_is_kept(self, store: StateStore) -> None:
        """A value that is too large for a row of a table is read whole, together with others."""
        large = a_letter(
            1,
            body=b"\x00\xff" * 600_000,
            properties={"text": "é" * 200_000, "quotes": '"\\' * 100_000},
            system={"key": "k" * 50_000},
        )
        many = [a_letter(number, body=b'"' * 29_000, properties={"p": '"' * 40_000}) for number in range(2, 130)]
        store.add_dead_letters([large, *many])
        assert store.dead_letters(ids=[large.id]) == (large,)
        assert store.count_dead_letters() == 129
        assert store.dead_letters(limit=1) == (large,)
        store.add_dead_letters([replace(large, tries=2, kept=NOON + timedelta(days=1))])
        assert store.dead_letters(limit=2) == (replace(large, tries=2), many[0])
        assert store.remove_dead_letters([large.id]) == 1
        assert store.dead_letters(ids=[large.id]) == ()

    def test_a_value_that_is_too_long_is_kept_cut_and_marked(self, store: StateStore) -> None:
        """A letter is never refused because of its content: its event would block all later events."""
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        letter = a_letter(1, properties={"deep": deep}, message="half \ud800 " + "long " * 10_000, offset="9" * 5000)
        huge = a_letter(2, body=b"x" * 40_000_000, system={"all": "y" * 40_000_000})
        store.add_dead_letters([letter, huge])
        first, second = store.dead_letters()
        assert (first.body, first.properties) == (letter.body, {})
        assert first.message.startswith("half ? long long")
        assert first.message.endswith("the event is too large, so it is kept without its properties")
        assert huge.body.startswith(second.body)
        assert (len(second.body) > 30_000_000, second.system) == (True, {})
        assert "32" in second.message
        assert "of 40,000,000 bytes" in second.message

    def test_letters_of_which_some_are_there_are_kept_and_removed(self, store: StateStore) -> None:
        """New ones beside known ones, in one call."""
        store.add_dead_letters([a_letter(number) for number in range(0, 60, 2)])
        store.add_dead_letters([a_letter(number, tries=2) for number in range(60)])
        assert [letter.tries for letter in store.dead_letters()] == [2] * 60
        store.remove_dead_letters([f"customers/hub/0/{number}" for number in range(0, 60, 3)])
        assert store.remove_dead_letters([f"customers/hub/0/{number}" for number in range(60)]) == 40
        assert store.count_dead_letters() == 0


class TestSavedPlans:
    def test_one_run_has_a_plan(self, open_store: Callable[..., StateStore]) -> None:
        """The second caller gets the holder; the first one may ask again."""
        one, other = open_store(), open_store()
        first = PlanUse(plan_id="p1", checksum="c" * 64, sync="customers", run_id="r1", used=NOON)
        second = replace(first, run_id="r2", used=NOON + timedelta(hours=1))
        assert one.plan_use("p1") is None
        assert one.use_plan(first) == first
        assert one.use_plan(first) == first
        assert other.use_plan(second) == first
        assert other.plan_use("p1") == first
        assert other.plan_use("p2") is None

    def test_a_plan_that_is_given_back_can_be_used(self, store: StateStore) -> None:
        """Only the run that has it gives it back."""
        first = PlanUse(plan_id="p/1 ä", checksum="c" * 64, sync="customers", run_id="r1", used=NOON)
        second = replace(first, run_id="r2")
        store.use_plan(first)
        store.return_plan(second)
        assert store.plan_use("p/1 ä") == first
        store.return_plan(first)
        store.return_plan(first)
        assert store.use_plan(second) == second


class TestRetention:
    def test_old_runs_go_with_their_errors_and_files(self, store: StateStore) -> None:
        """What is younger stays whole."""
        for number in range(4):
            store.begin_run(a_run(f"r{number}", minutes=number))
            store.add_errors([ErrorRecord(run_id=f"r{number}", error_class="Row", error_type="T", count=1)])
            store.put_file(f"r{number}", "a.csv", b"1")
            store.put_rows_to_mend(f"r{number}", TO_MEND)
        assert store.prune(NOON + timedelta(minutes=2), limit=100) == RemovedCounts(runs=2)
        assert [run.run_id for run in store.runs()] == ["r3", "r2"]
        assert [run.run_id for run in store.runs("customers")] == ["r3", "r2"]
        assert (store.run("r1"), store.errors("r1"), store.files("r1")) == (None, (), ())
        assert (store.rows_to_mend("r1"), store.rows_to_mend("r2")) == (None, TO_MEND)
        assert (len(store.errors("r2")), store.files("r2")) == (1, ("a.csv",))
        assert store.prune(NOON + timedelta(minutes=2), limit=100) == RemovedCounts()

    def test_the_last_run_of_each_sync_stays(self, store: StateStore) -> None:
        """Whether a sync is due is decided by it, however old it is, and whatever its events did since."""
        for number, (sync, trigger) in enumerate(
            [
                ("a", "timer"),
                ("a", "command"),
                ("b/ü", "job"),
                ("a", "events"),
                ("a", "definition"),
                ("a", "events"),
                ("c", "events"),
            ]
        ):
            store.begin_run(a_run(f"r{number}", minutes=number, sync=sync, trigger=trigger))
        removed = store.prune(NOON + timedelta(days=100), limit=100)
        assert removed == RemovedCounts(runs=3)
        assert [run.run_id for run in store.runs()] == ["r6", "r5", "r2", "r1"]
        last = store.last_run("a")
        assert last is not None
        assert last.run_id == "r1"

    def test_of_an_old_run_that_stays_only_the_row_stays(self, store: StateStore) -> None:
        """Nobody needs its errors, files and rows to mend any more, which hold values; a call empties a few of them."""
        for number in range(3):
            name = f"r/{number}" if number else "r0"
            store.begin_run(a_run(name, minutes=number, sync=f"s{number}"))
            store.begin_run(a_run(f"{name}e", minutes=number, sync=f"s{number}", trigger="events"))
            for each in (name, f"{name}e"):
                store.add_errors([ErrorRecord(run_id=each, error_class="Row", error_type="T", count=1)])
            store.put_file(name, "a.csv", b"1")
            store.put_rows_to_mend(name, TO_MEND)
        runs = store.runs()
        assert store.prune(NOON, limit=100) == RemovedCounts()
        assert store.rows_to_mend("r0") == TO_MEND
        found = [store.prune(NOON + timedelta(days=1), limit=4) for _ in range(2)]
        assert found == [RemovedCounts(more=True), RemovedCounts()]
        assert store.runs() == runs
        for run in runs:
            assert (store.errors(run.run_id), store.files(run.run_id)) == ((), ())
            assert store.rows_to_mend(run.run_id) is None

    def test_the_last_success_is_known_for_ever(self, store: StateStore) -> None:
        """However long ago it was and whatever came later; a retry that is removed is shown no more."""
        told = [("timer", "Succeeded"), ("job", "Completed with errors"), ("retry", "Succeeded"), ("timer", "Refused")]
        told += [("timer", "Failed"), ("retry", "Failed"), ("events", "Running"), ("definition", "Failed")]
        for number, (trigger, state) in enumerate(told):
            ended = NOON + timedelta(minutes=number, seconds=30)
            run = replace(a_run(f"r{number}", minutes=number, trigger=trigger), state=state, ended=ended)
            store.begin_run(run)
        names = ["customers", *(f"s{number}" for number in range(10))]
        before = store.latest_rows(names)["customers"]
        assert (before.retry, before.events) == (store.run("r5"), store.run("r6"))
        assert store.prune(NOON + timedelta(days=1), limit=100) == RemovedCounts(runs=5)
        assert [run.run_id for run in store.runs()] == ["r7", "r4", "r1"]
        for syncs in (names, ["customers"]):
            assert store.latest_rows(syncs)["customers"] == replace(before, retry=None, events=None)
        young = a_run("young", minutes=60 * 48, trigger="retry")
        store.begin_run(young)
        store.prune(NOON + timedelta(days=1), limit=100)
        assert store.latest_rows(["customers"])["customers"].retry == young

    def test_an_old_retry_goes_and_does_not_take_the_place_of_the_last_run(self, store: StateStore) -> None:
        """Whatever comes before and after it."""
        for number, trigger in enumerate(("timer", "retry", "job", "retry", "retry", "events")):
            store.begin_run(a_run(f"r{number}", minutes=number, trigger=trigger))
        store.begin_run(a_run("young", minutes=60 * 24 * 200, trigger="retry"))
        assert store.prune(NOON + timedelta(days=100), limit=100) == RemovedCounts(runs=4)
        assert [run.run_id for run in store.runs()] == ["young", "r5", "r2"]

    def test_a_call_does_a_bounded_amount_of_work_and_the_next_continues(self, store: StateStore) -> None:
        """Also where the rows that stay are more than a call removes."""
        for number in range(12):
            store.begin_run(a_run(f"old{number}", minutes=number, sync=f"s{number}"))
            store.begin_run(a_run(f"older{number}", minutes=number - 100, sync=f"s{number}"))
        store.add_dead_letters([a_letter(number) for number in range(7)])
        found = [store.prune(NOON + timedelta(days=1), limit=5) for _ in range(3)]
        assert [(one.runs, one.dead_letters, one.more) for one in found] == [(5, 5, True), (5, 2, True), (2, 0, False)]
        assert {run.run_id for run in store.runs()} == {f"old{number}" for number in range(12)}

    def test_old_dead_letters_go_with_all_that_is_theirs(self, store: StateStore) -> None:
        """Large ones too; younger ones stay."""
        old = [a_letter(1), a_letter(2, body=b"x" * 100_000, properties={"p": "y" * 200_000})]
        young = a_letter(3, kept=NOON + timedelta(seconds=1))
        store.add_dead_letters([*old, young])
        assert store.prune(NOON + timedelta(seconds=1), limit=100) == RemovedCounts(dead_letters=2)
        assert store.dead_letters() == (young,)

    def test_leases_of_requests_go_and_others_stay(self, store: StateStore) -> None:
        """A request's id never comes again; a sync's fencing number must go on growing."""
        taken = {
            name: store.acquire_lease(name, holder="a", seconds=600) for name in ("job/1", "job/2", "sync/a", "jobs")
        }
        for name, lease in taken.items():
            assert lease is not None
            assert name == "job/2" or store.release_lease(lease)
        long_after = datetime.now(UTC) + timedelta(days=3650)
        assert store.prune(long_after, limit=100) == RemovedCounts(leases=1)
        again = store.acquire_lease("sync/a", holder="b", seconds=60)
        assert (again is not None, store.lease("job/2") is not None) == (True, True)
        assert getattr(again, "fence", 0) == getattr(taken["sync/a"], "fence", 0) + 1

    def test_a_lease_whose_row_is_gone_has_a_higher_number(self, open_store: Callable[..., StateStore]) -> None:
        """What was written under the lost ones does not refuse it."""
        store, later = open_store(), open_store(lambda: NOON + timedelta(seconds=1))
        numbers = []
        for turn in range(5):
            lease = store.acquire_lease("job/1", holder=str(turn), seconds=600)
            assert lease is not None
            assert store.release_lease(lease)
            numbers.append(lease.fence)
        store.set_watermark("s", "2026-11-01", fence=numbers[-1])
        assert store.prune(datetime.now(UTC) + timedelta(days=3650), limit=100) == RemovedCounts(leases=1)
        begun = later.acquire_lease("job/1", holder="new", seconds=600)
        assert begun is not None
        assert begun.fence > max(numbers)
        assert later.set_watermark("s", "2026-11-02", fence=begun.fence)


class TestSeenPositions:
    def test_positions_are_remembered_by_sync_and_key(self, store: StateStore) -> None:
        """Only keys that were marked are returned."""
        at = Position(partition="1", sequence=10, when=NOON)
        store.mark_seen("customers", {"a": at, "Ä/\\#?\n" + "x" * 2000: Position(partition="0", sequence=2**40)})
        assert store.seen("customers", ["a", "b"]) == {"a": at}
        long = "Ä/\\#?\n" + "x" * 2000
        assert store.seen("customers", [long]) == {long: Position(partition="0", sequence=2**40)}
        assert store.seen("orders", ["a"]) == {}
        assert store.seen("customers", []) == {}

    def test_a_position_never_moves_back_within_its_partition(self, store: StateStore) -> None:
        """An instance that lost its partition can't undo what the new owner did."""
        store.mark_seen("customers", {"a": Position(partition="1", sequence=10)})
        store.mark_seen(
            "customers", {"a": Position(partition="1", sequence=9), "b": Position(partition="1", sequence=9)}
        )
        assert store.seen("customers", ["a"])["a"].sequence == 10
        assert store.seen("customers", ["b"])["b"].sequence == 9
        store.mark_seen("customers", {"a": Position(partition="1", sequence=11)})
        assert store.seen("customers", ["a"])["a"].sequence == 11
        store.mark_seen("customers", {"a": Position(partition="2", sequence=1)})
        assert store.seen("customers", ["a"])["a"] == Position(partition="2", sequence=1)

    def test_a_position_moves_on_within_a_message(self, store: StateStore) -> None:
        """Events of one message have their own places in it; one without a number comes after all of them."""
        first, second = (Position(partition="1", sequence=10, item=item) for item in range(2))
        store.mark_seen("customers", {"a": second})
        store.mark_seen("customers", {"a": first})
        assert store.seen("customers", ["a"])["a"] == second
        store.mark_seen("customers", {"a": Position(partition="1", sequence=10)})
        assert store.seen("customers", ["a"])["a"] == Position(partition="1", sequence=10)
        store.mark_seen("customers", {"a": second})
        assert store.seen("customers", ["a"])["a"] == Position(partition="1", sequence=10)

    def test_two_owners_at_once_keep_the_later_position(self, open_store: Callable[..., StateStore]) -> None:
        """An owner that read first and writes last does not replace a later position."""
        one, other = open_store(), open_store()
        one.mark_seen("s", {"a": Position(partition="1", sequence=1)})
        one.seen("s", ["a"])
        other.seen("s", ["a"])
        other.mark_seen("s", {"a": Position(partition="1", sequence=20)})
        one.mark_seen("s", {"a": Position(partition="1", sequence=10)})
        assert other.seen("s", ["a"])["a"].sequence == 20

    def test_many_keys_in_one_call(self, store: StateStore) -> None:
        """A full batch of events is one call."""
        marks = {f"key-{number}": Position(partition="0", sequence=number) for number in range(500)}
        store.mark_seen("customers", marks)
        assert store.seen("customers", [*marks, "other"]) == marks

    def test_old_positions_can_be_forgotten(self, store: StateStore, wall: Wall) -> None:
        """The store stays small: old entries are removed."""
        store.mark_seen("s", {"old": Position(partition="0", sequence=1)})
        wall.pass_(100)
        store.mark_seen("s", {"new": Position(partition="0", sequence=2)})
        assert store.remove_positions(wall() - timedelta(seconds=50), limit=10) == 1
        assert store.seen("s", ["old", "new"]) == {"new": Position(partition="0", sequence=2)}

    def test_old_positions_are_forgotten_a_part_at_a_time(self, store: StateStore, wall: Wall) -> None:
        """All of them at once might not fit into memory."""
        store.mark_seen("s", {f"key-{number}": Position(partition="0", sequence=number) for number in range(250)})
        wall.pass_(100)
        assert [store.remove_positions(wall(), limit=120) for _ in range(4)] == [120, 120, 10, 0]


class TestJobs:
    late = JobRequest(id="j1", sync="b", requested=NOON + timedelta(minutes=1), parameters={"p": "1"}, force=True)
    early = JobRequest(id="j2", sync="a", requested=NOON, requested_by="ann", trigger="timer")

    def test_jobs_come_by_how_long_they_wait_and_requests_by_their_moment(self, store: StateStore) -> None:
        """A job that was begun and waits again is behind those that have waited since."""
        store.request_job(self.late)
        job = store.request_job(self.early)
        assert [each.request for each in store.open_jobs()] == [self.early, self.late]
        again = replace(job, since=NOON + timedelta(hours=1), runs=("r1",), attempts=1, lane="l", message="why")
        store.put_job(again)
        assert store.open_jobs() == (Job.of(self.late), again)
        assert store.job_requests() == (self.early, self.late)

    def test_requests_for_the_same_thing_are_one_as_long_as_it_waits(self, store: StateStore) -> None:
        """Sync, parameters, force and trigger decide; one that has begun is not joined."""
        first = store.request_job(self.late)
        assert store.request_job(replace(self.late, id="j3", requested_by="bob")) == first
        others = [
            replace(self.late, id="j4", force=False),
            replace(self.late, id="j5", parameters={"p": "2"}),
            replace(self.late, id="j6", trigger="timer"),
            replace(self.late, id="j7", sync="c"),
        ]
        assert [store.request_job(each).id for each in others] == ["j4", "j5", "j6", "j7"]
        store.put_job(replace(first, state="Running", runs=("r1",)))
        assert store.request_job(replace(self.late, id="j8")).id == "j8"
        store.put_job(replace(first, runs=("r1",)))
        assert store.request_job(replace(self.late, id="j9")).id in {"j1", "j8"}

    @pytest.mark.parametrize("between", [False, True], ids=["alone", "another of the same thing came and went"])
    def test_a_job_that_waits_again_is_joined_again(self, store: StateStore, *, between: bool) -> None:
        """After a run that is to be repeated, however often it is tried."""
        job = store.request_job(self.late)
        for number in range(3):
            store.put_job(replace(job, state="Running", runs=("r1",)))
            if between:
                other = store.request_job(replace(self.late, id=f"o{number}"))
                assert other.id == f"o{number}"
            store.put_job(replace(job, runs=("r1",)))
            if between:
                store.put_job(replace(other, state="Succeeded", ended=NOON))
            assert store.request_job(replace(self.late, id=f"j{number}x")).id == "j1"
        assert [each.id for each in store.open_jobs()] == ["j1"]

    def test_of_several_that_wait_the_first_is_joined(self, store: StateStore) -> None:
        """A second one was made while the first one ran."""
        job = store.request_job(replace(self.late, requested=NOON))
        store.put_job(replace(job, state="Running"))
        assert store.request_job(replace(self.late, id="j8")).id == "j8"
        store.put_job(job)
        assert store.request_job(replace(self.late, id="j9")).id == "j1"

    def test_the_same_request_again_is_the_job_that_is_there(self, store: StateStore) -> None:
        """A call whose answer was lost is repeated."""
        job = replace(store.request_job(self.late), state="Running", runs=("r1",))
        store.put_job(job)
        assert store.request_job(self.late) == job

    def test_a_job_that_has_ended_is_found_by_its_id_alone(self, store: StateStore) -> None:
        """It is not open any more, and the next request is one of its own."""
        job = store.request_job(self.late)
        ended = replace(job, state="Succeeded", ended=NOON + timedelta(hours=1), runs=("r1",))
        store.put_job(ended)
        assert (store.open_jobs(), store.job("j1")) == ((), ended)
        assert store.request_job(self.late) == ended
        assert store.request_job(replace(self.late, id="j2")).id == "j2"

    def test_all_jobs_are_listed(self, store: StateStore) -> None:
        """Those that wait and those that have ended, each once."""
        assert store.jobs() == ()
        waiting = store.request_job(self.late)
        ended = replace(store.request_job(self.early), state="Cancelled", ended=NOON)
        for _ in range(2):
            store.put_job(ended)
            assert sorted(store.jobs(), key=lambda job: job.id) == [waiting, ended]

    def test_jobs_are_found_by_the_beginning_of_their_id(self, store: StateStore) -> None:
        """Those that wait and those that have ended; no other character means anything."""
        for job_id in ("beef01", "beef02", "bee", "same", "be'ef"):
            store.request_job(replace(self.late, id=job_id, of=job_id))
        ended = replace(Job.of(replace(self.late, id="beef02", of="beef02")), state="Cancelled", ended=NOON)
        store.put_job(ended)
        found = {job.id: job for job in store.jobs_starting("beef")}
        assert set(found) == {"beef01", "beef02"}
        assert found["beef02"] == ended
        assert [job.id for job in store.jobs_starting("same")] == ["same"]
        assert len(store.jobs_starting("bee", limit=2)) == 2
        assert store.jobs_starting("%") == store.jobs_starting("b'") == store.jobs_starting("c") == ()

    def test_a_job_with_nothing_to_do_leaves_nothing(self, store: StateStore) -> None:
        """Removed twice is removed once."""
        store.request_job(self.late)
        for _ in range(2):
            store.remove_job("j1")
        assert (store.open_jobs(), store.job("j1")) == ((), None)
        assert store.request_job(replace(self.late, id="j2")).id == "j2"

    def test_of_many_processes_that_ask_at_once_one_makes_the_job(self, open_store: Callable[[], StateStore]) -> None:
        """All callers get the same id."""
        stores = [open_store() for _ in range(4)]

        def ask(number: int) -> str:
            return stores[number % 4].request_job(replace(self.late, id=f"j{number}")).id

        with ThreadPoolExecutor(8) as pool:
            told = set(pool.map(ask, range(40)))
        assert len(told) == 1
        assert [job.id for job in stores[0].open_jobs()] == [*told]

    def test_a_run_that_is_to_stop_is_marked(self, store: StateStore) -> None:
        """With who asked; others are not."""
        store.cancel_run("r1", "ann")
        assert (store.cancelled_by("r1"), store.cancelled_by("r2")) == ("ann", None)

    def test_old_jobs_and_marks_are_removed(self, store: StateStore, wall: Wall) -> None:
        """Those that ended, or were made, before the moment; open jobs stay at any age."""
        job = store.request_job(self.early)
        store.request_job(replace(self.late, requested=NOON - timedelta(days=900)))
        store.put_job(replace(job, state="Failed", ended=wall()))
        store.cancel_run("r1", "ann")
        wall.pass_(100)
        store.prune(wall() - timedelta(seconds=200), limit=10)
        assert store.job("j2") is not None
        assert store.cancelled_by("r1")
        assert store.prune(wall() - timedelta(seconds=50), limit=10).jobs
        assert (store.job("j2"), store.cancelled_by("r1")) == (None, None)
        assert [each.id for each in store.open_jobs()] == ["j1"]

    def test_another_kind_of_job_is_another_thing(self, store: StateStore) -> None:
        """And what it is about decides too."""
        first = store.request_job(self.late)
        others = [replace(self.late, id="j3", kind=JobKind.PLAN), replace(self.late, id="j4", of="p1")]
        assert [store.request_job(each) for each in others] == [Job.of(each) for each in others]
        assert store.request_job(replace(others[0], id="j5")).id == "j3"
        assert store.job("j1") == first

    def test_files_of_a_job_go_with_it(self, store: StateStore, wall: Wall) -> None:
        """When it is removed, and when it has ended long ago; those of others stay."""
        jobs = [store.request_job(replace(self.late, id=f"j{number}", of=str(number))) for number in range(3)]
        for job in jobs:
            store.put_job_file(job.id, "draft.yaml", b"old")
            store.put_job_file(job.id, "draft.yaml", job.id.encode())
        assert [store.job_file(job.id, "draft.yaml") for job in jobs] == [b"j0", b"j1", b"j2"]
        assert store.job_file("j0", "plan.json") is None
        store.put_job_file("j2", "plan.json", b"x")
        assert set(store.job_files()) == {
            ("j0", "draft.yaml"),
            ("j1", "draft.yaml"),
            ("j2", "draft.yaml"),
            ("j2", "plan.json"),
        }
        for _ in range(2):
            store.remove_job_file("j2", "plan.json")
        assert store.job_file("j2", "plan.json") is None
        store.remove_job("j0")
        store.put_job(replace(jobs[1], state="Succeeded", ended=wall()))
        store.prune(wall() + timedelta(seconds=1), limit=10)
        assert [store.job_file(job.id, "draft.yaml") for job in jobs] == [None, None, b"j2"]


class TestPeople:
    def test_the_latest_note_of_progress_is_known(self, store: StateStore) -> None:
        """Of each run; a run without a note has none."""
        store.note_progress("r1", {"phase": "load", "rows": 1})
        store.note_progress("r1", {"phase": "write", "rows": 2})
        store.note_progress("r/2", {})
        assert (store.progress("r1"), store.progress("r/2"), store.progress("r3")) == (
            {"phase": "write", "rows": 2},
            {},
            {},
        )

    def test_the_audit_log_has_the_newest_entry_first(self, store: StateStore) -> None:
        """Of all syncs, or of one; the same entry twice is one; what is too long is cut."""
        entries = [
            AuditEntry(
                id=f"a{number}",
                at=NOON + timedelta(seconds=number),
                by="ann",
                name="Ann",
                action="saved",
                sync=sync,
                before="é",
                after="x",
            )
            for number, sync in enumerate(["a", "b/ü", "a", ""])
        ]
        for entry in [*entries, entries[0]]:
            store.add_audit(entry)
        assert store.audit() == tuple(reversed(entries))
        assert store.audit(limit=1) == (entries[3],)
        assert store.audit("a") == (entries[2], entries[0])
        assert store.audit("b/ü") == (entries[1],)
        assert store.audit(limit=2, before=entries[2].at) == (entries[1], entries[0])
        assert store.audit("a", before=entries[2].at) == (entries[0],)
        assert store.audit(before=entries[0].at) == ()
        store.add_audit(replace(entries[3], id="long", after="y" * 2_000_000, sync="l"))
        (long,) = store.audit("l")
        assert len(long.after) == 100_000
        assert long.after.endswith("(cut)")
        store.add_audit(replace(entries[3], id="wide", before="😀" * 300_000, after="é" * 300_000, sync="w"))
        (wide,) = store.audit("w")
        assert (wide.before[0], wide.after[0]) == ("😀", "é")
        assert wide.before.endswith("(cut)")

    def test_old_notes_and_entries_go(self, store: StateStore, wall: Wall) -> None:
        """Those of before the moment."""
        old = AuditEntry(id="a", at=NOON, by="ann", name="Ann", action="saved")
        young = replace(old, id="b", at=NOON + timedelta(seconds=100))
        store.note_progress("r1", {"rows": 1})
        wall.pass_(100)
        store.note_progress("r2", {"rows": 2})
        for entry in (old, young):
            store.add_audit(entry)
        store.prune(NOON + timedelta(seconds=50), limit=10)
        assert store.audit() == (young,)
        assert (store.progress("r1"), store.progress("r2")) == ({}, {"rows": 2})


KEYS = st.text(min_size=1, max_size=30)


class TestAnyText:
    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(names=st.lists(KEYS, min_size=1, max_size=5, unique=True))
    def test_any_text_is_a_key(self, store: StateStore, names: list[str]) -> None:
        """Keys and names may hold whatever a user's data holds."""
        marks = {name: Position(partition="0", sequence=1) for name in names}
        store.mark_seen("any", marks)
        assert store.seen("any", names) == marks
