"""Several instances of the app at once, over each state store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from batch_sync.cleanup import clean_up
from batch_sync.tick import Tick
from batch_sync.worker import Worker
from shared.app import App, open_app
from shared.errors import AbortRun, RetryLater
from shared.settings import Settings
from shared.state import JobRequest, Position, RunRecord
from shared.state.azure.job_queue import StorageQueue
from tests.functions.conftest import NIGHTLY, World
from tests.functions.queue_host import QueueListener
from tests.store_in_front import StoreInFront, failing


@pytest.fixture(params=["sqlite", pytest.param("azure", marks=pytest.mark.azurite)])
def instance(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], App]:
    """Makes one more instance of the app, with connections of its own."""
    if request.param == "azure":
        monkeypatch.setenv("STATE_STORE", "azure")
        monkeypatch.setenv("AzureWebJobsStorage", request.getfixturevalue("storage_account"))
    return open_app


def at_once(*apps: App) -> None:
    """One tick of each instance at the same moment, and then each takes the messages that there are."""
    gate = threading.Barrier(len(apps))

    def instance(app: App) -> None:
        gate.wait()
        Tick(app=app, now=datetime.now(UTC), seconds=600).run()
        if app.queue is not None:
            listener = QueueListener(app.settings.storage_connection, Worker(app, app.queue).work)
            listener.drain()
            listener.close()

    with ThreadPoolExecutor(len(apps)) as pool:
        list(pool.map(instance, apps))


def close(*apps: App) -> None:
    for app in apps:
        app.state.close()
        if isinstance(app.queue, StorageQueue):
            app.queue.close()


def slow_writes(world: World) -> None:
    """Long enough that all instances look while the first is at work."""
    world.emulator.faults({"action": "delay", "match": {"path": "CreateMultiple"}, "seconds": 0.5, "times": 10})


def test_a_due_sync_is_run_by_one_instance(world: World, instance: Callable[[], App]) -> None:
    """The others find the lease taken, and leave it."""
    world.define("customers", rows=5)
    slow_writes(world)
    apps = [instance() for _ in range(3)]
    at_once(*apps)
    assert len(world.accounts()) == 5
    assert [(run.sync, run.state) for run in apps[0].state.runs()] == [("customers", "Succeeded")]
    assert apps[0].state.lease("sync/customers") is None
    close(*apps)


def test_a_requested_job_is_taken_up_once(world: World, instance: Callable[[], App]) -> None:
    """However many instances see the request, it makes one run and is removed."""
    world.define("customers", rows=5, schedule=NIGHTLY)
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace(f'schedule: "{NIGHTLY}"\n', ""))
    slow_writes(world)
    apps = [instance() for _ in range(3)]
    apps[0].state.request_job(JobRequest(id="j1", sync="customers", requested=datetime.now(UTC)))
    for app in apps:
        if app.queue is not None:
            app.queue.send("j1")
    at_once(*apps)
    at_once(*apps)
    assert [run.trigger for run in apps[0].state.runs()] == ["job"]
    assert apps[0].state.job_requests() == ()
    close(*apps)


def test_positions_that_no_hub_can_deliver_again_are_forgotten_once_a_day(
    world: World, instance: Callable[[], App]
) -> None:
    """The store does not grow with every key that ever was."""
    app = instance()
    app.state.mark_seen("customers", {"a": Position(partition="0", sequence=1)})
    long_after = datetime.now(UTC) + timedelta(days=100)
    Tick(app=app, now=datetime.now(UTC), seconds=600).run()
    assert app.state.seen("customers", ["a"])
    housekeeping = app.state.lease("housekeeping")
    assert housekeeping is not None
    Tick(app=app, now=long_after, seconds=600).run()
    assert app.state.seen("customers", ["a"])  # today's turn is taken
    app.state.release_lease(housekeeping)
    Tick(app=app, now=long_after, seconds=600).run()
    assert not app.state.seen("customers", ["a"])
    close(app)


def test_what_is_older_than_it_is_kept_is_removed_a_part_at_each_tick(instance: Callable[[], App]) -> None:
    """The log, its errors and files do not grow without end; the row of the last run of each sync stays."""
    app, now = instance(), datetime.now(UTC)
    for number in range(6):
        at = now - timedelta(days=91, minutes=number)
        row = RunRecord(run_id=f"r{number}", sync="gone", version="1", trigger="timer", state="Failed", started=at)
        app.state.begin_run(row)
        app.state.put_file(row.run_id, "errors.csv", b"Row")
    young = RunRecord(
        run_id="young", sync="b", version="1", trigger="timer", state="Failed", started=now - timedelta(days=89)
    )
    app.state.begin_run(young)
    clean_up(app, now, at_once=4)
    assert len(app.state.runs("gone")) == 2
    assert app.state.lease("housekeeping") is None  # there is more to do
    clean_up(app, now, at_once=4)
    assert [run.run_id for run in app.state.runs()] == ["young", "r0"]
    assert [app.state.files(f"r{number}") for number in range(6)] == [()] * 6
    assert app.state.lease("housekeeping") is not None
    close(app)


def test_a_cleanup_that_fails_affects_no_sync(world: World, instance: Callable[[], App]) -> None:
    """What cannot be removed is logged, and tried again: soon where the store was unavailable, else the next day."""
    world.define("customers", rows=2)
    store = StoreInFront(instance().state)
    app = App(Settings.load(), state=store)
    for error, soon in ((RetryLater("away", retry_after=1), True), (AbortRun("a row cannot be read"), False)):
        with store.acting(prune=failing(error)):
            at_once(app)
        assert (app.state.lease("housekeeping") is None) is soon
    assert [run.state for run in app.state.runs("customers")] == ["Succeeded"]
    close(app)


def test_a_run_leaves_its_whole_trace_in_the_store(world: World, instance: Callable[[], App]) -> None:
    """Execution log, error rows and error files are there for another instance to read."""
    world.define("customers")
    world.write("customers", [("customers-1", "x" * 200), ("customers-2", "fine"), ("customers-2", "again")])
    first, second = instance(), instance()
    at_once(first)
    (run,) = second.state.runs("customers")
    assert run.counts["source"] == {"processed": 3, "verified": 1, "rejected": 2, "filtered": 0}
    assert {error.error_type for error in second.state.errors(run.run_id)} == {"Max Length Violation", "Duplicate Key"}
    (name,) = second.state.files(run.run_id)
    assert name == f"{run.run_id}_SourceErrors.csv"
    assert (second.state.file(run.run_id, name) or b"").startswith(b"Row,Rejected,Errors")
    close(first, second)
