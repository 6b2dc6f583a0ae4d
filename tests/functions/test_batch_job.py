"""Jobs through the queue, over Azurite: from the tick to the rows, and whatever may come between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_sync import tick as ticks
from batch_sync.slots import Slots
from batch_sync.tick import Tick
from batch_sync.worker import Worker
from shared.app import App, current, open_app
from shared.errors import RetryLater, StoreRefusedError, SyncError
from shared.jobs import BatchJob
from shared.jobs.batch import cancelling, lease_keeping
from shared.jobs.batch import run as batch
from shared.jobs.batch.preparation import prepare
from shared.jobs.requests import request_run, stop
from shared.settings import Settings
from shared.state import Job, JobQueue, RunState
from shared.state.job_queue import QUEUE_NAME
from tests.functions.conftest import NIGHTLY, World
from tests.functions.host import FunctionsHost
from tests.functions.payloads import queue_message, timer
from tests.functions.queue_host import Died, QueueListener
from tests.store_in_front import StoreInFront, failing
from tests.waiting import held_creates, until_true

pytestmark = [pytest.mark.azurite, pytest.mark.runtime]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def azure(world: World, monkeypatch: pytest.MonkeyPatch, storage_account: str) -> Iterator[str]:
    """The app keeps its state in Azure: the connection string of the account."""
    monkeypatch.setenv("STATE_STORE", "azure")
    monkeypatch.setenv("AzureWebJobsStorage", storage_account)
    current.cache_clear()
    yield storage_account
    app = current()
    if "queue" in vars(app):
        app.queue.close()  # type: ignore[union-attr]


@contextmanager
def listening(connection: str, call: Callable[[str], object], **options: int) -> Iterator[QueueListener]:
    listener = QueueListener(connection, call, **options)
    try:
        yield listener
    finally:
        listener.close()


def through(host: FunctionsHost) -> Callable[[str], None]:
    """The function in Microsoft's runtime."""

    def call(job_id: str) -> None:
        done = host.fire("batch_job", queue_message(job_id))
        if not done.succeeded:
            raise RuntimeError(done.error + done.trace)

    return call


def tick(app: App, *, now: datetime | None = None) -> None:
    Tick(app=app, now=now or datetime.now(UTC), seconds=600).run()


def queue_of(app: App) -> JobQueue:
    assert app.queue is not None
    return app.queue


def lapse(app: App) -> None:
    """Move the clock by a minute: the leases of processes that died expire."""
    jobs = app.state.open_jobs()
    for name in (*(f"job/{job.id}" for job in jobs), *(f"sync/{job.request.sync}" for job in jobs)):
        if lease := app.state.lease(name):
            app.state.release_lease(lease)


class TestTrigger:
    def test_it_is_a_queue_trigger_without_a_retry_policy(self, host: FunctionsHost) -> None:
        """The queue is the one that the app sends to, in the app's own account; the host's own count is the retry."""
        assert host.bindings("batch_job") == [
            {
                "direction": "IN",
                "type": "queueTrigger",
                "name": "message",
                "queueName": QUEUE_NAME,
                "connection": "AzureWebJobsStorage",
            }
        ]
        assert host.retry_policy("batch_job") is None


class TestWay:
    def test_a_tick_sends_a_message_and_the_job_brings_the_rows(
        self, host: FunctionsHost, world: World, azure: str
    ) -> None:
        """The timer runs nothing itself; the job has its run, and the next tick finds nothing to do."""
        world.define("customers")
        with listening(azure, through(host)) as listener:
            assert host.fire("batch_sync", timer()).succeeded
            assert world.accounts() == {}
            (job,) = world.app.state.open_jobs()
            assert listener.drain() == [job.id]
            assert len(world.accounts()) == 3
            (run,) = world.app.state.runs()
            assert (run.trigger, run.state) == ("timer", "Succeeded")
            ended = world.app.state.job(job.id)
            assert ended is not None
            assert (ended.state, ended.runs, world.app.state.open_jobs()) == ("Succeeded", (run.run_id,), ())
            Tick(app=world.app, now=run.started, seconds=600).run()
            assert listener.drain() == []

    def test_a_second_instance_takes_the_second_job(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both are at work at the same time; a message that comes twice runs nothing twice."""
        for name in ("one", "two"):
            world.define(name, rows=5)
        apps = [open_app() for _ in range(2)]
        tick(apps[0])
        for job in apps[0].state.open_jobs():
            queue_of(apps[0]).send(job.id)
        meeting = threading.Barrier(2)

        def prepared(job: BatchJob, *rest: Any, **named: Any) -> Any:
            meeting.wait(60)  # neither goes on before the other has begun as well
            return prepare(job, *rest, **named)

        def instance(app: App) -> None:
            worker = Worker(app, queue_of(app), slots=Slots(app.state, queue_of(app), 2))
            with listening(azure, worker.work) as listener:
                listener.drain()

        monkeypatch.setattr(batch, "prepare", prepared)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(instance, apps))
        assert sorted((run.sync, run.state) for run in apps[0].state.runs()) == [
            ("one", "Succeeded"),
            ("two", "Succeeded"),
        ]

    def test_a_message_that_was_lost_is_sent_again(self, world: World, azure: str) -> None:
        """After two minutes, then after twice the time; a row that was just made is left alone."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        app.state.remove_job(app.state.request_job(made("customers", "x")).id)
        request = request_run(app.state, app.definition("customers"), {}, force=False, requested_by="ann")
        sent: list[str] = []
        with listening(azure, sent.append) as listener:
            for minutes, messages in ((0, 0), (1, 0), (2.5, 1), (3.5, 0), (5.5, 1)):
                Tick(app=app, now=request.requested + timedelta(minutes=minutes), seconds=600).run()
                got = [each for each in listener.drain() if each == request.id]
                assert len(got) == messages, minutes

    def test_500_starts_at_once_are_one_job_and_one_run(self, world: World, azure: str, host: FunctionsHost) -> None:
        """All callers get the id of the job that waits, and superfluous messages start no run."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        definition = app.definition("customers")

        def start(_: int) -> str:
            request = request_run(app.state, definition, {}, force=False, requested_by="ann")
            queue_of(app).send(request.id)
            return request.id

        with ThreadPoolExecutor(16) as pool:
            (told,) = set(pool.map(start, range(500)))
        with listening(azure, through(host)) as listener:
            listener.drain()
        (run,) = app.state.runs("customers")
        assert (run.trigger, run.state) == ("job", "Succeeded")
        job = app.state.job(told)
        assert job is not None
        assert job.runs == (run.run_id,)

    def test_two_ticks_at_once_make_one_job_a_sync(self, world: World, azure: str) -> None:
        """Whoever comes second finds the row."""
        for number in range(5):
            world.define(f"s{number}")
        apps = [open_app() for _ in range(3)]
        gate = threading.Barrier(3)

        def at_once(app: App) -> None:
            gate.wait()
            tick(app)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(at_once, apps))
        assert len(apps[0].state.open_jobs()) == 5
        with listening(azure, Worker(apps[0], queue_of(apps[0])).work) as listener:
            listener.drain()
        assert sorted(run.sync for run in apps[0].state.runs()) == [f"s{number}" for number in range(5)]


def made(sync: str, job_id: str) -> Any:
    from shared.state import JobRequest

    return JobRequest(id=job_id, sync=sync, requested=datetime.now(UTC))


class TestTrouble:
    def test_a_job_whose_worker_is_killed_goes_on_in_another(self, world: World, azure: str) -> None:
        """The message comes again, what is missing is written, and the log has one chain of attempts."""
        world.define("customers", rows=6000)
        app = world.app
        tick(app)
        (job,) = app.state.open_jobs()
        with held_creates(world.emulator), worker_process(hidden=5) as first:
            try:
                until_true(lambda: bool(world.accounts()))
            finally:
                first.send_signal(signal.SIGKILL)
        until_true(lambda: not world.emulator.stats()["in_flight"]["now"])  # what the server was at when it died
        written = len(world.accounts())
        assert 0 < written < 6000
        lapse(app)
        with listening(azure, Worker(app, queue_of(app)).work) as listener:
            until_true(lambda: listener.step() is not None and not app.state.open_jobs())
            assert listener.poison() == []
        assert world.accounts() == {f"customers-{number}": f"Account {number}" for number in range(6000)}
        latest, dead = app.state.runs("customers")
        assert (latest.state, dead.state, dead.counts["attempt"]) == ("Succeeded", "Interrupted", 1)
        assert latest.counts["created"]["planned"] == 6000 - written
        ended = app.state.job(job.id)
        assert ended is not None
        assert (ended.state, ended.runs) == ("Succeeded", (dead.run_id, latest.run_id))

    @pytest.mark.parametrize("error", [RetryLater("The store is away", retry_after=1), StoreRefusedError("No role")])
    def test_while_the_state_store_refuses_a_job_comes_again_and_is_never_poisoned(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch, error: SyncError
    ) -> None:
        """Its roles are given anew: each delivery, and there are more than the host counts, has a new message."""
        world.define("customers", schedule=NIGHTLY)
        tick(world.app)
        (job,) = world.app.state.open_jobs()
        refusing = App(Settings.load(), state=StoreInFront(world.app.state, job=failing(error, times=7)))
        monkeypatch.setattr(ticks, "current", lambda: refusing)
        monkeypatch.setattr(ticks, "SECOND_MESSAGE_AFTER", timedelta(0))
        with listening(azure, ticks.run_job) as listener:
            assert listener.drain() == [job.id] * 8
            assert listener.poison() == []
        assert len(world.accounts()) == 3
        assert [run.state for run in world.app.state.runs("customers")] == ["Succeeded"]

    def test_while_dataverse_is_away_a_job_comes_again_and_is_never_poisoned(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For an hour each message is completed, and a new one is sent with a longer delay; then the rows arrive."""
        world.define("customers", schedule=NIGHTLY)
        app, begin, away = world.app, datetime.now(UTC), timedelta(hours=1)
        clock = Quick(queue_of(app), begin)

        def prepared(job: BatchJob, *rest: Any, **named: Any) -> Any:
            if clock.now() < begin + away:
                raise RetryLater("Dataverse is unavailable", retry_after=1)
            return prepare(job, *rest, **named)

        monkeypatch.setattr(batch, "prepare", prepared)
        tick(app)
        (job,) = app.state.open_jobs()
        with listening(azure, Worker(app, clock, now=clock.now).work) as listener:
            deliveries = listener.drain()
            assert listener.poison() == []
        assert set(deliveries) == {job.id}
        assert 5 < len(deliveries) <= 10  # 1, 2, 4, 8 and then 15 minutes
        assert len(world.accounts()) == 3
        states = [run.state for run in app.state.runs("customers")]
        assert states == ["Succeeded", *["Failed"] * (len(deliveries) - 1)]

    def test_a_job_that_ends_its_process_each_time_is_poisoned_and_the_tick_reports_it(
        self, world: World, azure: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After five deliveries the job is Failed, its message is removed, and its sync waits for its schedule."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        tick(app)
        (job,) = app.state.open_jobs()

        def dies(_: str) -> None:
            raise Died

        with listening(azure, dies, hidden=1) as listener:
            until_true(lambda: listener.step() is not None and bool(listener.poison()))
            assert listener.poison() == [job.id]
            tick(app)
            assert listener.poison() == []
            ended = app.state.job(job.id)
            assert ended is not None
            assert ended.state == "Failed"
            (run,) = app.state.runs("customers")
            assert run.state == "Failed"
            assert "its message was delivered several times" in run.message
            assert "customers: stopped" in caplog.text
            tick(app)
            assert app.state.open_jobs() == ()

    def test_five_runs_without_progress_end_as_failed(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pauses between them grow, and the last row says why."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        clock = Quick(queue_of(app), datetime.now(UTC))

        def asked_to_end(*_: object, **__: object) -> None:
            raise SystemExit(143)

        monkeypatch.setattr(batch, "prepare", asked_to_end)
        tick(app)
        (job,) = app.state.open_jobs()

        def call(job_id: str) -> None:
            try:
                Worker(app, clock, now=clock.now).work(job_id)
            except SystemExit as error:
                raise RuntimeError from error  # the runtime tells the host that the function failed

        with listening(azure, call) as listener:
            listener.drain()
            assert listener.poison() == []
        rows = app.state.runs("customers")
        assert [(run.state, run.counts.get("attempt")) for run in reversed(rows)] == [
            *(("Interrupted", number) for number in range(1, 6)),
            ("Failed", 5),
        ]
        assert "5 runs in a row made no progress" in rows[0].message
        assert sum(clock.delays, timedelta()) == pytest.approx(timedelta(minutes=35), abs=timedelta(minutes=1))
        ended = app.state.job(job.id)
        assert ended is not None
        assert ended.state == "Failed"

    def test_jobs_of_one_user_take_turns_in_its_slots(self, world: World, azure: str) -> None:
        """Three instances, two slots: never three at once, each sync once, and nobody waits for a tick."""
        names = [f"s{number}" for number in range(8)]
        for name in names:
            world.define(name)
        world.emulator.faults({"action": "delay", "match": {"path": "CreateMultiple"}, "seconds": 0.2, "times": 100})
        apps = [open_app() for _ in range(3)]
        tick(apps[0])

        def instance(app: App) -> None:
            worker = Worker(app, queue_of(app), slots=Slots(app.state, queue_of(app), 2))
            with listening(azure, worker.work) as listener:
                until_true(lambda: listener.step() is None and not app.state.open_jobs())

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(instance, apps))
        runs = apps[0].state.runs()
        assert sorted((run.sync, run.state) for run in runs) == [(name, "Succeeded") for name in names]
        for run in runs:
            at_once = [each for each in runs if each.started <= run.started < (each.ended or each.started)]
            assert len(at_once) <= 2

    def test_a_worker_that_lost_its_job_writes_nothing_about_it(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another one has taken the job up and ended it: it is not begun again."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        job = app.state.request_job(made("customers", "j1"))

        def taken_up(given: BatchJob, *rest: Any, **named: Any) -> Any:
            lapse(app)
            app.state.put_job(replace(job, state="Failed", ended=datetime.now(UTC)))
            for thread in threading.enumerate():  # each ends when its lease is lost
                if thread.name in {f"lease job/{job.id}", "lease sync/customers"}:
                    thread.join(30)
            return prepare(given, *rest, **named)

        monkeypatch.setattr(lease_keeping, "RENEW_EVERY", 0.1)
        monkeypatch.setattr(batch, "prepare", taken_up)
        Worker(app, queue_of(app)).work(job.id)
        assert app.state.runs("customers")[0].state == "Interrupted"
        assert app.state.open_jobs() == ()
        assert status(app, job) == "Failed"

    def test_a_leaseless_job_is_taken_up_by_the_tick(self, world: World, azure: str) -> None:
        """Although its message never comes again."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        job = app.state.request_job(made("customers", "j1"))
        app.state.put_job(replace(job, state="Running", runs=("never-began",)))
        tick(app)
        with listening(azure, Worker(app, queue_of(app)).work) as listener:
            listener.drain()
        assert app.state.open_jobs() == ()
        assert len(world.accounts()) == 3
        assert "Succeeded" in {run.state for run in app.state.runs("customers")}


class Quick:
    """A queue that moves its clock instead of waiting for delays."""

    def __init__(self, queue: JobQueue, begin: datetime) -> None:
        self._queue = queue
        self._begin = begin
        self.delays: list[timedelta] = []

    def now(self) -> datetime:
        return self._begin + sum(self.delays, timedelta()) + timedelta(seconds=len(self.delays))

    def send(self, job_id: str, delay: timedelta = timedelta()) -> None:
        self.delays.append(delay)
        self._queue.send(job_id)

    def poisoned(self) -> Any:
        return self._queue.poisoned()

    def discard(self, poisoned: Any) -> None:
        self._queue.discard(poisoned)


def worker_process(*, hidden: int = 600) -> subprocess.Popen[bytes]:
    """One more instance, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.functions.queue_host"],
        cwd=ROOT,
        env={**os.environ, "WORKER_HIDDEN": str(hidden)},
    )


class TestCancel:
    def test_a_run_stops_between_two_requests_and_its_job_ends(
        self, world: World, azure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was written stays, the rest is not sent, and neither queue nor schedule starts it again."""
        monkeypatch.setattr(cancelling, "LOOK_SECONDS", 0)
        world.define("customers", rows=6000, schedule=NIGHTLY)
        app = world.app
        tick(app)
        (job,) = app.state.open_jobs()
        with ThreadPoolExecutor(1) as pool, held_creates(world.emulator):
            running = pool.submit(Worker(app, queue_of(app)).work, job.id)
            until_true(lambda: bool(world.accounts()))
            assert stop(app.state, app.state.runs("customers")[0], "ann") == RunState.RUNNING
        running.result()
        (run,) = app.state.runs("customers")
        assert run.state == "Cancelled"
        assert "cancelled by ann" in run.message
        assert 0 < len(world.accounts()) == run.counts["created"]["done"] < 6000
        assert status(app, job) == "Cancelled"
        tick(app)
        assert app.state.open_jobs() == ()

    def test_a_job_that_waits_is_taken_back(self, world: World, azure: str) -> None:
        """Its row says by whom; after that of a job of the schedule, the schedule does not make it again."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        tick(app)
        (job,) = app.state.open_jobs()
        assert stop(app.state, shown(app, job), "ann") == RunState.CANCELLED
        (run,) = app.state.runs("customers")
        assert (run.state, run.message) == ("Cancelled", "taken back by ann")
        tick(app)
        asked = app.state.request_job(made("customers", "j1"))
        assert stop(app.state, shown(app, asked), "ann") == RunState.CANCELLED
        with listening(azure, Worker(app, queue_of(app)).work) as listener:
            listener.drain()
        assert (app.state.open_jobs(), world.accounts()) == ((), {})
        taken, timed = app.state.runs("customers")
        assert (taken.run_id, taken.message, timed.run_id) == ("j1", "taken back by ann", job.id)
        assert app.state.last_run("customers") == timed


def status(app: App, job: Job) -> str:
    found = app.state.job(job.id)
    assert found is not None
    return found.state


def shown(app: App, job: Job) -> Any:
    from shared.views.runs import run_named

    return run_named(job.id, app.state)
