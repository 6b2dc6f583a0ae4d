"""Ticks and errors: overlaps, runs that end in unforeseen ways, definitions with mistakes, a state store that is unavailable."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from batch_sync import problems, starting
from batch_sync import tick as ticks
from batch_sync.pool import LocalQueue
from batch_sync.tick import Tick
from batch_sync.worker import Worker
from shared.app import App, open_app
from shared.app.retrying import retry
from shared.dataverse import Dataverse, Outcome
from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import RetryLater
from shared.jobs import RunOptions
from shared.jobs.batch import lease_keeping
from shared.jobs.batch.attempts import attempts
from shared.jobs.progress import NoProgress
from shared.jobs.requests import stop
from shared.settings import Settings
from shared.state import Job, JobRequest, RunRecord, StateStore
from shared.views.runs import run_named
from shared.workspace import DiskSpace, DiskUse
from tests.api_server import Reply, serving
from tests.functions.conftest import NIGHTLY, World
from tests.functions.test_event_sync import listen
from tests.store_in_front import Act, StoreInFront
from tests.waiting import held_creates, until_true


def tick(app: App, *, now: datetime | None = None) -> None:
    Tick(app=app, now=now or datetime.now(UTC), seconds=None).run()


class Odd(Dataverse):
    """A client that fails in an unforeseen way for one sync."""

    def tables_of(self, definition: SyncDefinition) -> EntityMetadata:
        if definition.name == "odd":
            raise ZeroDivisionError("Zebra GmbH")
        return super().tables_of(definition)


def states(app: App, sync: str) -> list[tuple[str, str]]:
    return [(run.trigger, run.state) for run in app.state.runs(sync)]


def request(sync: str, *, requested: datetime | None = None) -> JobRequest:
    return JobRequest(id=f"job-{sync}", sync=sync, requested=requested or datetime.now(UTC), requested_by="ann")


def spoil(world: World, name: str) -> App:
    """Give a definition a mistake, and open the app as it is a minute later."""
    file = world.folder / "syncs" / f"{name}.yaml"
    file.write_text(file.read_text().replace("destination:", "destination: ["))
    return open_app()


def died(sync: str, *, attempt: int, ended: datetime) -> RunRecord:
    return RunRecord(
        run_id=f"died-{sync}-{attempt}",
        sync=sync,
        version="1",
        trigger="timer",
        state="Interrupted",
        started=ended - timedelta(seconds=1),
        ended=ended,
        counts={"attempt": attempt},
    )


class TestOverlap:
    def test_a_tick_that_looked_earlier_does_not_start_again_what_another_has_run(self, world: World) -> None:
        """Whether a sync is still due is asked again under its lease."""
        world.define("customers", schedule=NIGHTLY)  # no minute that passes meanwhile makes it due
        first, second, now = open_app(), open_app(), datetime.now(UTC)
        queue = LocalQueue()
        Tick(app=second, now=now, seconds=None).look(queue)
        (job,) = second.state.open_jobs()
        second.state.remove_job(job.id)
        tick(first, now=now)
        second.state.put_job(job)
        Worker(second, queue).work(job.id)
        assert states(first, "customers") == [("timer", "Succeeded")]
        assert second.state.open_jobs() == ()


class TestRetry:
    def test_a_run_that_is_due_starts_also_after_a_retry(self, world: World) -> None:
        """The schedule counts from the last run of the source, which a retry is not."""
        world.define("customers", schedule="0 0 0 * * *")
        world.write("customers", [("customers-1", "x" * 200)])
        state, now = world.app.state, datetime.now(UTC)
        tick(world.app, now=now)
        (run,) = state.runs("customers")
        state.finish_run(replace(run, started=now - timedelta(days=2)))
        file = world.folder / "mended.csv"
        file.write_text("number,name,to_mend_row,to_mend_reason\ncustomers-1,Short,1,\n")
        assert retry(world.app, run, file, RunOptions(), NoProgress()).state == "Succeeded"
        tick(world.app)
        assert sorted(trigger for trigger, _ in states(world.app, "customers")) == ["retry", "timer", "timer"]


class TestUnforeseen:
    def test_an_error_that_the_program_does_not_handle_is_failed_and_waits_for_its_schedule(self, world: World) -> None:
        """The row has its type and not its message; other syncs run, and the host gets the error."""
        world.define("odd", schedule=NIGHTLY)
        world.define("good", schedule=NIGHTLY)
        app = App(Settings.load(), open_dataverse=Odd)
        with pytest.raises(BaseExceptionGroup):
            tick(app)
        tick(app)
        (run,) = world.app.state.runs("odd")
        assert (run.state, run.message) == (
            "Failed",
            "ended by an error that the program does not handle (ZeroDivisionError)",
        )
        assert states(world.app, "good") == [("timer", "Succeeded")]

    @pytest.mark.parametrize("place", ["before the run", "in the run"])
    def test_a_request_that_ends_so_is_not_tried_again(self, world: World, place: str) -> None:
        """It is Failed, wherever the error was raised, and the request is removed."""
        world.define("odd", schedule=NIGHTLY)
        world.app.state.begin_run(died("odd", attempt=0, ended=datetime.now(UTC)))

        def broken() -> Mapping[str, str]:
            raise ZeroDivisionError

        seam: dict[str, Any] = {"open_dataverse": Odd} if place == "in the run" else {"read_environment": broken}
        world.app.state.request_job(request("odd"))
        with pytest.raises(BaseExceptionGroup):
            tick(App(Settings.load(), **seam))
        assert ("job", "Failed") in states(world.app, "odd")
        assert world.app.state.job_requests() == ()


class TestMetrics:
    def test_every_end_is_counted_with_its_state(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also of what never began: a missing secret, a mistake in the definition, a request for no sync."""
        counted: set[tuple[str, str, str]] = set()

        def count(sync: str, trigger: str, summary: Mapping[str, Any], *, error: str = "") -> None:
            assert bool(error) == (summary["state"] == "Failed")
            counted.add((sync, trigger, summary["state"]))

        for module in (problems, starting):
            monkeypatch.setattr(module, "record_batch", count)
        for name in ("good", "no-file", "no-secret", "broken", "odd", "some-rows"):
            world.define(name)
        (world.folder / "no-file.csv").unlink()
        secret = world.folder / "syncs" / "no-secret.yaml"
        secret.write_text(secret.read_text().replace("DATAVERSE_SECRET", "NOT_SET"))
        world.write("some-rows", [("some-rows-1", "x" * 200), ("some-rows-2", "fine")])
        spoil(world, "broken")
        app = App(Settings.load(), open_dataverse=Odd)
        app.state.request_job(request("no-such-sync"))
        with pytest.raises(BaseExceptionGroup):
            tick(app)
        assert counted == {
            ("good", "timer", "Succeeded"),
            ("some-rows", "timer", "Completed with errors"),
            ("no-file", "timer", "Failed"),
            ("no-secret", "timer", "Failed"),
            ("odd", "timer", "Failed"),
            ("broken", "definition", "Failed"),
            ("no-such-sync", "job", "Failed"),
        }

    def test_a_run_whose_process_died_is_counted_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """By whoever marks it, with the state that it gets."""
        counted: list[tuple[str, str, str, str]] = []

        def count(sync: str, trigger: str, summary: Mapping[str, Any], *, error: str = "") -> None:
            counted.append((sync, trigger, summary["state"], error))

        monkeypatch.setattr("shared.jobs.batch.attempts.record_batch", count)
        state, before = world.app.state, datetime.now(UTC) - timedelta(minutes=5)
        for sync, attempt in (("died", 2), ("stopped", 1)):  # the second attempt is held back for a while
            world.define(sync, schedule=NIGHTLY)
            state.begin_run(replace(died(sync, attempt=attempt, ended=before), state="Running", ended=None))
        state.cancel_run("died-stopped-1", "ann")
        for _ in range(2):
            tick(world.app)
        assert sorted(counted) == [("died", "timer", "Interrupted", ""), ("stopped", "timer", "Cancelled", "")]


class TestRefused:
    def test_a_plan_over_its_limits_is_refused_in_the_log(self, world: World) -> None:
        """Nothing was written, and it is not an error of the program."""
        world.define("customers", rows=20, schedule="0 * * * * *")
        tick(world.app)
        world.write("customers", [("customers-1", "Account 1")])
        tick(world.app, now=datetime.now(UTC) + timedelta(minutes=2))
        assert states(world.app, "customers")[0] == ("timer", "Refused")
        assert len(world.accounts()) == 20


class TestStateStoreAway:
    def test_a_run_whose_end_meets_a_store_that_restarts_is_not_repeated(self, world: World) -> None:
        """The end waits for the store, the lease expires, and the request is done."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.begin_run(died("customers", attempt=0, ended=datetime.now(UTC)))
        world.app.state.request_job(request("customers"))
        away = {"finish_run": 2, "release_lease": 1}

        def restarting(method: str) -> Act:
            def call(given: Any) -> None:
                if away[method] and getattr(given, "name", "sync/").startswith("sync/"):
                    away[method] -= 1
                    raise RetryLater("The state store is unavailable", retry_after=10)

            return call

        # The tick marks no dead run here: the first calls are those of the run itself.
        store = StoreInFront(world.app.state, **{method: restarting(method) for method in away})
        tick(App(Settings.load(), state=store))
        assert away == {"finish_run": 0, "release_lease": 0}
        tick(world.app)
        assert [run.state for run in world.app.state.runs("customers") if run.trigger == "job"] == ["Succeeded"]
        assert not [request for request in world.app.state.job_requests() if request.trigger == "job"]

    def test_a_job_whose_lease_expires_while_the_store_is_away_is_left_to_its_new_holder(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run has ended and its result waits for the store: when it is back, the row says what the other does."""
        world.define("customers", schedule=NIGHTLY)
        state, lease_ends = world.app.state, threading.Event()
        job = state.request_job(request("customers"))
        theirs = replace(job, state="Running", runs=("theirs",))

        def away(kept: Job) -> None:
            if kept.ended is None or lease_ends.is_set():
                return
            held = state.lease(f"job/{job.id}")
            assert held is not None
            state.release_lease(held)
            assert state.acquire_lease(held.name, holder="another", seconds=600)
            state.put_job(theirs)
            for thread in threading.enumerate():  # it ends when it has noticed that the lease is lost
                if thread.name == f"lease {held.name}":
                    thread.join(30)
            lease_ends.set()
            raise RetryLater("The state store is unavailable", retry_after=10)

        monkeypatch.setattr(lease_keeping, "RENEW_EVERY", 0.1)
        Worker(App(Settings.load(), state=StoreInFront(state, put_job=away)), LocalQueue()).work(job.id)
        assert lease_ends.is_set()
        assert states(world.app, "customers") == [("job", "Succeeded")]
        assert state.job(job.id) == theirs

    def test_a_job_whose_lease_is_lost_before_its_run_begins_is_not_run(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The mark of a process that died was to be kept first, and the store was away for long."""
        world.define("customers", schedule=NIGHTLY)
        state = world.app.state
        job = state.request_job(request("customers"))
        state.put_job(replace(job, state="Running", runs=("dead",)))

        def away(_: Job) -> None:
            held = state.lease(f"job/{job.id}")
            if held is not None and held.holder != "another":
                state.release_lease(held)
                assert state.acquire_lease(held.name, holder="another", seconds=600)
                for thread in threading.enumerate():
                    if thread.name == f"lease {held.name}":
                        thread.join(30)
                raise RetryLater("The state store is unavailable", retry_after=10)

        monkeypatch.setattr(lease_keeping, "RENEW_EVERY", 0.1)
        Worker(App(Settings.load(), state=StoreInFront(state, put_job=away)), LocalQueue()).work(job.id)
        assert world.accounts() == {}
        assert [each.runs for each in state.open_jobs()] == [("dead",)]

    def test_a_run_whose_source_is_away_is_tried_again(self, world: World) -> None:
        """The storage answers that it is busy, and is there at the next try; a file that is missing stays a mistake."""
        answers = [Reply(body=b"number,name\ncustomers-1,Account A\n"), Reply(status=503), Reply(status=404)]
        with serving(lambda received: answers[-1] if received.path.endswith("a.csv") else Reply(status=404)) as server:
            world.define("customers", schedule=NIGHTLY)
            file = world.folder / "syncs" / "customers.yaml"
            file.write_text(file.read_text().replace(str(world.folder / "customers.csv"), f"{server.url}/a.csv"))
            app, left = App(Settings.load()), []
            for minutes in (0, 2, 4):
                app.state.request_job(replace(request("customers"), id=f"job-{minutes}"))
                tick(app, now=datetime.now(UTC) + timedelta(minutes=minutes))
                left.append(len(app.state.job_requests()))
                answers.pop()
        assert left == [0, 1, 0]
        assert states(app, "customers") == [("job", "Succeeded"), ("job", "Failed"), ("job", "Failed")]
        assert world.accounts() == {"customers-1": "Account A"}

    def test_a_request_whose_run_wrote_before_dataverse_went_away_is_done(self, world: World) -> None:
        """What was written would be written again by `delta`; a run that wrote nothing is tried again."""
        world.define("customers", schedule=NIGHTLY)
        written: list[bool] = []

        class Away(Dataverse):
            """Becomes unavailable before it writes, or afterwards."""

            def write(self, *given: Any, **options: Any) -> Iterator[Outcome]:
                if written.pop():
                    yield from super().write(*given, **options)
                raise RetryLater("Dataverse is unavailable", retry_after=1)

        app = App(Settings.load(), open_dataverse=Away)
        world.app.state.request_job(request("customers"))
        written.append(False)
        tick(app)
        assert len(world.app.state.job_requests()) == 1
        written.append(True)
        tick(app, now=datetime.now(UTC) + timedelta(minutes=2))
        assert world.app.state.job_requests() == ()
        assert states(world.app, "customers") == [("job", "Failed"), ("job", "Failed")]


class TestStopped:
    """What a person has stopped is not started again before the next time of the schedule."""

    @pytest.mark.parametrize("trigger", ["timer", "job"])
    def test_a_run_whose_source_is_unavailable_is_not_tried_again(self, world: World, trigger: str) -> None:
        """The person stops it while it waits for the source."""
        with serving(lambda _: Reply(status=503)) as server:
            world.define("customers", schedule=NIGHTLY)
            file = world.folder / "syncs" / "customers.yaml"
            file.write_text(file.read_text().replace(str(world.folder / "customers.csv"), f"{server.url}/a.csv"))
            state = world.app.state
            store = StoreInFront(state)
            store.after["begin_run"] = lambda run: stop(state, run, "ann") if run.state == "Running" else None
            state.request_job(replace(request("customers"), trigger=trigger))
            tick(App(Settings.load(), state=store))
            for minutes in (0, 2, 20):
                tick(world.app, now=datetime.now(UTC) + timedelta(minutes=minutes))
        assert states(world.app, "customers") == [(trigger, "Cancelled"), (trigger, "Failed")]
        assert [job.message for job in state.jobs()] == ["cancelled by ann"]

    def test_a_job_that_cannot_begin_yet_is_not_tried_again(self, world: World) -> None:
        """Another run has its sync; the person stops the job while it looks for that."""
        world.define("customers", schedule=NIGHTLY)
        state = world.app.state
        job = state.request_job(replace(request("customers"), trigger="timer"))
        lease = state.acquire_lease("sync/customers", holder="another", seconds=600)
        assert lease is not None
        store = StoreInFront(state)
        store.after["put_job"] = lambda kept: stop(state, shown(state, job.id), "ann") if kept.runs else None
        Worker(App(Settings.load(), state=store), LocalQueue()).work(job.id)
        state.release_lease(lease)
        tick(world.app)
        assert states(world.app, "customers") == [("timer", "Cancelled")]
        assert world.accounts() == {}

    @pytest.mark.parametrize("trigger", ["timer", "job", "command"])
    def test_a_run_whose_process_died_is_not_continued(self, world: World, trigger: str) -> None:
        """The person stopped it before its leases had expired; `command` is one without a job."""
        world.define("customers", schedule=NIGHTLY)
        state, begun = world.app.state, datetime.now(UTC) - timedelta(minutes=5)
        names = ["sync/customers"]
        if trigger != "command":
            job = state.request_job(replace(request("customers", requested=begun), trigger=trigger))
            state.put_job(replace(job, state="Running", runs=("r1",)))
            names.append(f"job/{job.id}")
        run = replace(
            died("customers", attempt=1, ended=begun), run_id="r1", trigger=trigger, state="Running", ended=None
        )
        state.begin_run(run)
        leases = [state.acquire_lease(name, holder="r1", seconds=60) for name in names]
        assert stop(state, run, "ann") == "Running"
        for lease in filter(None, leases):
            state.release_lease(lease)
        for minutes in range(3):
            tick(world.app, now=datetime.now(UTC) + timedelta(minutes=minutes))
        assert states(world.app, "customers") == [(trigger, "Cancelled")]
        assert [job.state for job in state.jobs()] == ["Cancelled"] * (trigger != "command")

    @pytest.mark.parametrize("trigger", ["timer", "job"])
    def test_a_job_that_waits_after_an_interruption_and_is_taken_back_is_not_continued(
        self, world: World, trigger: str
    ) -> None:
        """The row of the run stays Interrupted, and a row after it says that a person ended the job."""
        world.define("customers", schedule=NIGHTLY)
        _waiting_again(world, "Interrupted", trigger=trigger)
        state = world.app.state
        assert stop(state, shown(state, "job-customers"), "ann") == "Cancelled"
        tick(world.app)
        assert states(world.app, "customers") == [(trigger, "Cancelled"), (trigger, "Interrupted")]


class TestSwitchedOff:
    """A job of the schedule that goes on, when the timer does not start its sync any more."""

    @pytest.mark.parametrize("state_of_run", ["Interrupted", "Failed"])
    @pytest.mark.parametrize("change", ["enabled", "schedule"])
    def test_it_does_not_go_on(self, world: World, state_of_run: str, change: str) -> None:
        """After an interruption, and after a service was unavailable: the job is removed, and nothing is written."""
        world.define("customers", schedule=NIGHTLY)
        _waiting_again(world, state_of_run)
        file = world.folder / "syncs" / "customers.yaml"
        schedule = f'schedule: "{NIGHTLY}"'
        assert schedule in file.read_text()
        off = f"{schedule}\nenabled: false" if change == "enabled" else ""
        file.write_text(file.read_text().replace(schedule, off))
        app = open_app()
        for _ in range(2):
            tick(app)
        assert states(app, "customers") == [("timer", state_of_run)]
        assert (app.state.jobs(), world.accounts()) == ((), {})

    def test_a_request_of_a_person_goes_on(self, world: World) -> None:
        """The timer did not make it."""
        world.define("customers", schedule=NIGHTLY)
        _waiting_again(world, "Interrupted", trigger="job")
        file = world.folder / "syncs" / "customers.yaml"
        file.write_text(file.read_text() + "\nenabled: false\n")
        app = open_app()
        tick(app)
        assert states(app, "customers") == [("job", "Succeeded"), ("job", "Interrupted")]

    def test_a_definition_with_a_mistake_is_told_in_the_log(self, world: World) -> None:
        """The job fails with it, as the sync is not switched off."""
        world.define("customers", schedule=NIGHTLY)
        _waiting_again(world, "Interrupted")
        app = spoil(world, "customers")
        tick(app)
        assert states(app, "customers")[0] == ("timer", "Failed")
        assert [job.state for job in app.state.jobs()] == ["Failed"]


def _waiting_again(world: World, state_of_run: str, *, trigger: str = "timer") -> None:
    """A job that waits again after its run."""
    state, before = world.app.state, datetime.now(UTC) - timedelta(minutes=5)
    job = state.request_job(replace(request("customers", requested=before), trigger=trigger))
    run = replace(died("customers", attempt=1, ended=before), trigger=trigger, state=state_of_run)
    state.begin_run(run)
    state.put_job(replace(job, runs=(run.run_id,)))


def shown(state: StateStore, run_id: str) -> RunRecord:
    found = run_named(run_id, state)
    assert found is not None
    return found


class TestMistakes:
    def test_a_definition_with_a_mistake_is_logged_once_and_its_schedule_continues_when_corrected(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An ERROR line and a Failed row with file and line; the same mistake says nothing more, another one does."""
        world.define("beta", schedule=NIGHTLY)
        tick(world.app)
        file = world.folder / "syncs" / "beta.yaml"
        good = file.read_text()
        app = spoil(world, "beta")
        with caplog.at_level(logging.ERROR):
            tick(app)
            tick(open_app())
        (said,) = [record.getMessage() for record in caplog.records if "beta" in record.getMessage()]
        (row, _) = app.state.runs("beta")
        assert (row.trigger, row.state) == ("definition", "Failed")
        assert f"{file}:" in row.message
        assert row.message in said
        file.write_text(good.replace("number", "nummer", 1).replace("name: beta", "name: beta\nnonsense: 1"))
        tick(open_app())
        assert states(app, "beta") == [("definition", "Failed"), ("definition", "Failed"), ("timer", "Succeeded")]
        file.write_text(good)
        tick(open_app())
        assert len(app.state.runs("beta")) == 3  # mended: the rows of the mistakes started nothing and are no starts

    def test_a_definition_with_a_mistake_is_overdue_since_it_was_reported(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its schedule cannot be read; without a figure at each tick, every alert of it would end by itself."""
        told: list[Mapping[str, float]] = []
        monkeypatch.setattr(ticks, "record_tick", told.append)
        world.define("beta", schedule=NIGHTLY)
        begin = datetime.now(UTC)
        tick(world.app, now=begin)
        app = spoil(world, "beta")
        for hours in (0, 2, 30):
            tick(app, now=begin + timedelta(minutes=1, hours=hours))
        assert [round(each.get("beta", -1)) for each in told] == [-1, 0, 7200, 108_000]

    def test_a_sync_that_never_ran_starts_when_its_definition_is_corrected(self, world: World) -> None:
        """The row of its mistake does not count as its first start."""
        world.define("beta", schedule=NIGHTLY)
        file = world.folder / "syncs" / "beta.yaml"
        good = file.read_text()
        tick(spoil(world, "beta"))
        file.write_text(good)
        app = open_app()
        tick(app)
        assert states(app, "beta") == [("timer", "Succeeded"), ("definition", "Failed")]

    def test_a_request_for_a_definition_with_a_mistake_leaves_a_row(self, world: World) -> None:
        """It is Failed with the reason, and removed; so is a request for a sync that does not exist."""
        world.define("beta", schedule=NIGHTLY)
        app = spoil(world, "beta")
        for name in ("beta", "no-such-sync"):
            app.state.request_job(request(name))
        tick(app)
        assert states(app, "beta") == [("job", "Failed"), ("definition", "Failed")]
        assert f"{world.folder / 'syncs' / 'beta.yaml'}:" in app.state.runs("beta")[0].message
        (missing,) = app.state.runs("no-such-sync")
        assert (missing.trigger, missing.state) == ("job", "Failed")
        assert "there is no sync no-such-sync" in missing.message
        assert app.state.job_requests() == ()

    def test_a_pipe_among_the_definitions_does_not_block_a_tick(self, world: World) -> None:
        """It is reported like any other mistake."""
        world.define("good")
        os.mkfifo(world.folder / "syncs" / "pipe.yaml")
        tick(world.app)
        assert states(world.app, "good") == [("timer", "Succeeded")]
        assert states(world.app, "pipe") == [("definition", "Failed")]


KILLED = """
import os
import shared.jobs.batch.run as batch
from datetime import UTC, datetime
from batch_sync.tick import Tick
from shared.app import open_app

prepared = batch.prepare

def deadly(job, *rest, **named):
    if job.definition.name == "a-deadly":
        os._exit(137)  # what the kernel does to a process that takes too much memory
    return prepared(job, *rest, **named)

batch.prepare = deadly
app = open_app()
Tick(app=app, now=datetime.now(UTC), seconds=None).run()
"""


class TestRunsThatGetNowhere:
    def test_a_sync_that_ends_its_process_runs_alone_and_then_waits(self, world: World) -> None:
        """At its second attempt it runs alone, when all others have ended; from then on it is held back."""
        names = [f"good-{number}" for number in range(4)]
        world.define("a-deadly", schedule=NIGHTLY)
        for name in names:
            world.define(name, schedule="0 0 * * * *")
        codes = []
        for _ in range(4):
            codes.append(
                subprocess.run([sys.executable, "-c", KILLED], check=False, cwd=Path.cwd(), env=paths()).returncode
            )
            jobs = [f"job/{job.id}" for job in world.app.state.open_jobs()]
            for name in (*jobs, *(f"sync/{name}" for name in ("a-deadly", *names))):
                if lease := world.app.state.lease(name):  # a minute goes by, and the leases of dead processes lapse
                    world.app.state.release_lease(lease)
        assert codes == [137, 137, 0, 0]
        assert all(world.app.state.runs(name)[0].state == "Succeeded" for name in names)
        deadly = world.app.state.runs("a-deadly")
        assert [(run.state, attempts(run)) for run in deadly] == [("Interrupted", 2), ("Interrupted", 1)]
        assert "attempt 2, the next one not before" in deadly[0].message

    def test_it_is_tried_again_when_its_pause_is_over(self, world: World) -> None:
        """Five minutes after the second attempt, not before."""
        world.define("customers", schedule=NIGHTLY)
        now = datetime.now(UTC)
        world.app.state.begin_run(died("customers", attempt=2, ended=now))
        tick(world.app, now=now + timedelta(minutes=4))
        assert len(world.app.state.runs("customers")) == 1
        tick(world.app, now=now + timedelta(minutes=6))
        assert states(world.app, "customers")[0] == ("timer", "Succeeded")

    def test_after_the_last_attempt_it_waits_for_its_schedule(self, world: World) -> None:
        """Also long after the pause."""
        world.define("customers", schedule=NIGHTLY)
        now = datetime.now(UTC)
        world.app.state.begin_run(died("customers", attempt=5, ended=now))
        tick(world.app, now=now + timedelta(days=1))
        assert len(world.app.state.runs("customers")) == 1

    def test_a_request_is_held_back_given_up_and_may_be_made_anew(self, world: World) -> None:
        """One made before the last death waits, then fails with the reason; one made since is a new try."""
        world.define("customers", schedule=NIGHTLY)
        now = datetime.now(UTC)
        state = world.app.state
        state.request_job(request("customers", requested=now - timedelta(hours=1)))
        state.begin_run(died("customers", attempt=2, ended=now - timedelta(minutes=1)))
        tick(world.app, now=now)
        assert len(state.job_requests()) == 1
        state.begin_run(died("customers", attempt=5, ended=now - timedelta(seconds=30)))
        tick(world.app, now=now + timedelta(minutes=5))
        assert state.job_requests() == ()
        assert states(world.app, "customers")[0] == ("job", "Failed")
        assert "stopped: 5 runs in a row made no progress" in state.runs("customers")[0].message
        state.request_job(replace(request("customers"), id="job-2"))
        tick(world.app)
        assert states(world.app, "customers")[0] == ("job", "Succeeded")


@pytest.mark.parametrize(("wrong", "runs"), [(timedelta(days=1), 2), (timedelta(days=-3), 1)], ids=["ahead", "behind"])
def test_a_run_that_died_under_a_wrong_clock_does_not_stop_its_schedule(
    world: World, wrong: timedelta, runs: int
) -> None:
    """Its row is not the latest one. It is continued, unless a run has started since by its clock."""
    world.define("customers", schedule=NIGHTLY)
    state, now = world.app.state, datetime.now(UTC)
    tick(world.app, now=now)
    job = state.request_job(replace(request("customers", requested=now + wrong), trigger="timer"))
    state.put_job(replace(job, state="Running", runs=("dead",)))
    run = died("customers", attempt=1, ended=now + wrong)
    state.begin_run(replace(run, run_id="dead", state="Running", ended=None))
    tick(world.app, now=now)
    assert state.open_jobs() == ()
    dead = state.run("dead")
    assert dead is not None
    assert dead.state == "Interrupted"
    assert states(world.app, "customers").count(("timer", "Succeeded")) == runs
    before = {run.run_id for run in state.runs("customers")}
    tick(world.app, now=now + timedelta(days=4 * 366))
    assert {run.run_id for run in state.runs("customers")} - before


class TestFair:
    def test_a_request_out_of_time_goes_on_with_its_own_parameters(self, world: World) -> None:
        """Neither the schedule nor the next tick starts the sync with those of the definition."""
        world.define("customers", schedule=NIGHTLY)
        file = world.folder / "syncs" / "customers.yaml"
        text = file.read_text().replace(f"path: {world.folder}/customers.csv", 'path: "@file"')
        file.write_text(f"parameters: {{file: {{default: {world.folder}/customers.csv}}}}\n{text}")
        world.write("special", [(f"customers-{number}", "special") for number in range(3000)])
        special = {"file": str(world.folder / "special.csv")}
        now = datetime.now(UTC)
        world.app.state.begin_run(replace(died("customers", attempt=0, ended=now), state="Succeeded"))
        world.app.state.request_job(replace(request("customers"), parameters=special))
        world.emulator.faults({"action": "delay", "match": {"path": "CreateMultiple"}, "seconds": 0.6, "times": 1000})
        for seconds in (2.5, 5, 10, 20):  # a slow machine needs more until the run begins
            Tick(app=world.app, now=now, seconds=seconds).run()
            interrupted = world.app.state.runs("customers")[0]
            if interrupted.state == "Interrupted":
                break
        assert (interrupted.state, interrupted.trigger) == ("Interrupted", "job")
        world.emulator.clear_faults()
        tick(world.app)
        tick(world.app)
        latest, *rest = world.app.state.runs("customers")
        assert [run.state for run in (latest, *rest)] == ["Succeeded", "Interrupted", "Succeeded"]
        assert latest.given == interrupted.given == special
        assert set(world.accounts().values()) == {"special"}
        assert len(world.accounts()) == 3000

    def test_the_schedule_does_not_go_on_with_a_command_that_had_parameters(self, world: World) -> None:
        """Its own would be another file; one without parameters is continued."""
        for name, given in (("with", {"file": "x"}), ("without", {})):
            world.define(name, schedule=NIGHTLY)
            run = died(name, attempt=1, ended=datetime.now(UTC))
            world.app.state.begin_run(replace(run, trigger="command", given=given))
        tick(world.app)
        assert states(world.app, "with") == [("command", "Interrupted")]
        assert states(world.app, "without") == [("timer", "Succeeded"), ("command", "Interrupted")]

    def test_a_request_is_found_while_a_run_is_under_way(self, world: World) -> None:
        """It does not wait for the end of the tick, because places are free."""
        world.define("long", rows=2000, schedule=NIGHTLY)
        world.define("asked", schedule=NIGHTLY)
        app = world.app
        app.state.begin_run(replace(died("asked", attempt=0, ended=datetime.now(UTC)), state="Succeeded"))
        with ThreadPoolExecutor(1) as pool, held_creates(world.emulator, "long-"):
            running = pool.submit(tick, app)
            until_true(lambda: bool(world.accounts("long")))
            app.state.request_job(request("asked"))
            until_true(lambda: ("job", "Succeeded") in states(app, "asked"))
            assert not running.done()
        running.result()
        assert states(app, "long") == [("timer", "Succeeded")]

    def test_interrupted_syncs_leave_a_place_for_the_others(self, world: World) -> None:
        """Three runs that need several ticks do not delay a sync that is due more often."""
        disk_space = Counting(world.folder, free_space=lambda _: 50_000_000)
        app = App(Settings.load(), disk_space=disk_space)
        now = datetime.now(UTC)
        for number in range(3):
            world.define(f"long-{number}", rows=1500)
            job = app.state.request_job(replace(request(f"long-{number}"), trigger="timer"))
            app.state.begin_run(died(f"long-{number}", attempt=0, ended=now))
            app.state.put_job(replace(job, runs=(f"died-long-{number}-0",), since=now - timedelta(minutes=10)))
        world.define("small", rows=1)
        world.emulator.faults({"action": "delay", "match": {"path": "CreateMultiple"}, "seconds": 0.3, "times": 1000})
        Tick(app=app, now=now, seconds=600).run()
        started = {run.sync: run.started for run in app.state.runs() if run.state == "Succeeded"}
        assert sorted(started, key=lambda sync: started[sync]).index("small") <= 2
        app.state.close()


def paths() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_tick_keeps_the_moment_of_a_new_listener(world: World) -> None:
    """It is there before the first event comes, so that this event is taken."""
    listen(world, "live")
    app = open_app()
    first = datetime.now(UTC)
    tick(app, now=first)
    assert app.state.watermark("listener/live") is None  # this one takes all events
    path = world.folder / "syncs" / "live.yaml"
    path.write_text(path.read_text().replace("auto_offset_reset: earliest", "auto_offset_reset: latest"))
    app = open_app()
    tick(app, now=first)
    tick(app, now=first + timedelta(hours=1))
    assert app.state.watermark("listener/live") == first.isoformat()


class Counting(DiskSpace):
    """Keeps how many runs were at work when each began; they wait for each other where they are to meet."""

    at_work = 0
    meeting: threading.Barrier | None = None

    @contextmanager
    def used_by(self, name: str) -> Iterator[DiskUse]:
        self.at_work += 1
        if self.meeting:
            self.meeting.wait(60)
        self.seen.append(self.at_work)
        with super().used_by(name) as use:
            yield use
        self.at_work -= 1

    @cached_property
    def seen(self) -> list[int]:
        return []


def _side_by_side(world: World, disk_space: Counting) -> list[int]:
    """Run three syncs, which all succeed; how many were at work when each began."""
    for name in ("one", "two", "three"):
        world.define(name)
    app = App(Settings.load(), disk_space=disk_space)
    tick(app)
    assert [states(app, name) for name in ("one", "two", "three")] == [[("timer", "Succeeded")]] * 3
    return disk_space.seen


class TestTemporaryDisk:
    def test_a_run_that_does_not_fit_is_failed_before_it_begins(self, world: World) -> None:
        """Its row says what it needs, what is free and which setting helps; others run."""
        world.define("customers")
        app = App(Settings.load(), disk_space=DiskSpace(world.folder, free_space=lambda _: 1_000_000))
        tick(app)
        (run,) = app.state.runs("customers")
        assert run.state == "Failed"
        assert run.message.startswith("the run needs about 16 MB of temporary disk, and 1 MB are free in ")
        assert "WORKSPACE_TEMP" in run.message
        assert world.accounts() == {}

    def test_what_a_run_used_is_in_its_figures_and_is_what_the_next_one_needs(self, world: World) -> None:
        """Until a run has reached its end the size of its file counts."""
        world.define("customers")
        app = open_app()
        tick(app)
        (run,) = app.state.runs("customers")
        assert run.counts["peak_disk_mb"] >= 0
        app.state.finish_run(replace(run, counts={**run.counts, "peak_disk_mb": 432.1}))
        assert app.expected_disk("customers") == 432_100_000

    def test_runs_follow_each_other_where_they_do_not_fit_side_by_side(self, world: World) -> None:
        """With room for one of them there is never more than one at work; all of them succeed."""
        assert _side_by_side(world, Counting(world.folder, free_space=lambda _: 20_000_000)) == [1, 1, 1]

    def test_runs_are_side_by_side_where_they_fit(self, world: World) -> None:
        """With room for three of them."""
        disk_space = Counting(world.folder, free_space=lambda _: 50_000_000)
        disk_space.meeting = threading.Barrier(3)
        assert max(_side_by_side(world, disk_space)) == 3

    def test_a_run_without_room_until_the_time_is_over_waits_for_the_next_tick(self, world: World) -> None:
        """It has no row, and is due again."""
        world.define("customers")
        app = App(Settings.load(), disk_space=DiskSpace(world.folder, free_space=lambda _: 20_000_000))
        with app.disk_space.held("another", 20_000_000):
            Tick(app=app, now=datetime.now(UTC), seconds=1).run()
        assert states(app, "customers") == []
        tick(app)
        assert states(app, "customers") == [("timer", "Succeeded")]
