"""Jobs that answer a question, apply a plan or retry mended rows, in both state stores: what becomes of each."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from batch_sync import starting
from batch_sync.local_runner import LocalRunner
from batch_sync.poison import remove_poisoned
from batch_sync.pool import LocalQueue
from batch_sync.tick import Tick
from batch_sync.worker import Worker
from console.access.person import DEVELOPER, SignIn
from console.console import Console
from shared.app import App, current, requested
from shared.app.requested import ANSWER, MENDED, PLAN
from shared.errors import RetryLater, UserError
from shared.jobs import NoProgress, writing
from shared.jobs.batch import cancelling
from shared.jobs.progress import Phase
from shared.jobs.requests import new_request, stop
from shared.settings import Settings
from shared.state import Job, JobKind, JobRequest, NewerJobError, PoisonedMessage, RunState
from shared.views.runs import latest_runs, run_named
from shared.views.status import status_of
from shared.views.to_mend import file_to_mend
from tests.functions.conftest import NIGHTLY, World
from tests.store_in_front import StoreInFront, failing
from tests.waiting import held_creates, until_true


@pytest.fixture(params=["sqlite", pytest.param("azure", marks=pytest.mark.azurite)])
def app(world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[App]:
    """The app with one of the state stores."""
    if request.param == "azure":
        monkeypatch.setenv("STATE_STORE", "azure")
        monkeypatch.setenv("AzureWebJobsStorage", request.getfixturevalue("storage_account"))
        current.cache_clear()
    yield world.app
    if "queue" in vars(world.app) and world.app.queue is not None:
        world.app.queue.close()  # type: ignore[attr-defined]


def ask(app: App, kind: JobKind, of: str = "", *, force: bool = False, files: Mapping[str, bytes] | None = None) -> Job:
    """Make a job as the console does; nothing begins it."""
    console = Console(app=app, sign_in=SignIn({}, DEVELOPER), wake=lambda _: None)
    request = new_request(app.definition("customers"), {}, kind=kind, force=force, requested_by="Ann")
    return console.ask(replace(request, of=of), files or {})


def done(app: App, job: Job) -> Job:
    """Have a worker run a job."""
    Worker(app, LocalQueue()).work(job.id)
    return now(app, job)


def now(app: App, job: Job) -> Job:
    found = app.state.job(job.id)
    assert found is not None
    return found


def runs(app: App) -> list[tuple[str, str]]:
    return [(run.state, run.message) for run in app.state.runs("customers")]


def planned(app: App) -> Job:
    """A job that has planned, and found changes."""
    job = done(app, ask(app, JobKind.PLAN))
    assert (job.state, job.message) == ("Succeeded", "")
    return job


@pytest.mark.parametrize("remote", [False, True])
def test_a_job_has_the_definition_as_it_is_when_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> None:
    """Also if it was changed a moment ago: a record that is to be kept is not deleted, a plan of before is refused."""
    world.define("customers", schedule=NIGHTLY)
    if remote:
        monkeypatch.setenv("SYNC_DEFINITIONS", f"file://{world.folder / 'syncs'}")
    app = world.app
    assert done(app, ask(app, JobKind.RUN)).state == "Succeeded"
    world.write("customers", [("customers-0", "Account 0"), ("customers-1", "Account 1")])
    plan = planned(app)
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace("dropped: delete", "dropped: ignore"))
    assert done(app, ask(app, JobKind.APPLY, plan.id)).state == "Refused"
    file.write_text(file.read_text().replace("max_length: 160", "max_length: 150"))
    assert done(app, ask(app, JobKind.RUN)).state == "Succeeded"
    assert len(world.accounts()) == 3


class TestPlan:
    def test_the_answer_is_the_plan_and_nothing_is_written(self, world: World, app: App) -> None:
        """It has counts, samples and checksum, no run, and never has the lease of its sync: a run goes on beside it."""
        world.define("customers", schedule=NIGHTLY)
        lease = app.state.acquire_lease("sync/customers", holder="another run", seconds=6000)
        job = planned(app)
        answer = json.loads(app.state.job_file(job.id, ANSWER) or b"")
        saved = json.loads(app.state.job_file(job.id, PLAN) or b"")
        assert (answer["planned"]["created"], len(answer["sample"])) == (3, 3)
        assert saved["checksum"] == answer["checksum"]
        assert app.state.progress(job.id)["phase"] == "reconcile"
        assert (latest_runs(app.state, None, 10), world.accounts()) == ((), {})
        assert lease is not None
        assert app.state.lease("sync/customers") == replace(lease, expires=app.state.lease("sync/customers").expires)  # type: ignore[union-attr]

    def test_the_same_question_that_waits_is_asked_once_and_is_no_run(self, world: World, app: App) -> None:
        """A run for the same thing is another job."""
        world.define("customers", schedule=NIGHTLY)
        first, second = ask(app, JobKind.PLAN), ask(app, JobKind.PLAN)
        assert first.id == second.id
        assert ask(app, JobKind.RUN).id != first.id
        assert [run.state for run in latest_runs(app.state, None, 10)] == ["Queued"]

    def test_it_says_why_it_cannot_be_answered_and_tells_no_secret(self, world: World, app: App) -> None:
        """Dataverse refuses the application, and its answer repeats the secret."""
        world.define("customers", schedule=NIGHTLY)
        secret = world.emulator.client_secret
        world.emulator.faults(
            {"action": "status", "match": {"path": "EntityDefinitions"}, "status": 400, "message": f"no: {secret}"}
        )
        job = done(app, ask(app, JobKind.PLAN))
        assert (job.state, app.state.job_file(job.id, ANSWER)) == ("Failed", None)
        assert "[hidden]" in job.message
        assert secret not in job.message

    def test_an_unforeseen_error_ends_it_and_is_raised(
        self, world: World, app: App, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message names the kind of the error, and no value."""
        world.define("customers", schedule=NIGHTLY)

        def failing(*_: Any) -> Any:
            raise ZeroDivisionError("Zebra GmbH")

        monkeypatch.setattr(requested, "_planned", failing)
        job = ask(app, JobKind.PLAN)
        with pytest.raises(ZeroDivisionError):
            done(app, job)
        assert (now(app, job).state, now(app, job).message) == ("Failed", "unforeseen: ZeroDivisionError")

    @pytest.mark.parametrize("finder", ["message", "tick", "poison"])
    def test_one_whose_process_ended_is_not_asked_again(self, world: World, app: App, finder: str) -> None:
        """Whoever finds it first ends it; it leaves no run."""
        world.define("customers", schedule=NIGHTLY)
        app.run("customers")
        job = ask(app, JobKind.PLAN)
        app.state.put_job(replace(job, state=RunState.RUNNING.value))
        match finder:
            case "message":
                done(app, job)
            case "tick":
                Tick(app=app, now=datetime.now(UTC), seconds=600).run()
            case _:
                remove_poisoned(app, Poison(job.id), datetime.now(UTC))
        assert (now(app, job).state, runs(app)) == ("Failed", [("Succeeded", "")])
        assert ("ask again" in now(app, job).message) == (finder != "poison")

    def test_one_that_waits_is_taken_back_and_one_that_runs_ends_by_itself(self, world: World, app: App) -> None:
        """Neither leaves a run; the error says so at once."""
        world.define("customers", schedule=NIGHTLY)
        job = ask(app, JobKind.PLAN)
        assert stop(app.state, run_named(job.id, app.state), "Ann") == RunState.CANCELLED
        assert done(app, job).message == "taken back by Ann"
        second = ask(app, JobKind.PLAN)
        app.state.put_job(replace(second, state=RunState.RUNNING.value))
        with pytest.raises(UserError, match="it writes nothing, and ends by itself"):
            stop(app.state, run_named(second.id, app.state), "Ann")
        assert runs(app) == []

    def test_plans_go_when_they_are_old(self, world: World, app: App) -> None:
        """With their files, which hold values of rows, and their notes."""
        world.define("customers", schedule=NIGHTLY)
        job = planned(app)
        assert app.state.prune(datetime.now(UTC) + timedelta(days=1), limit=100).jobs == 1
        assert (app.state.job(job.id), app.state.job_file(job.id, PLAN)) == (None, None)
        assert app.state.progress(job.id) == {}


class Poison(LocalQueue):
    """A queue whose poison queue has one message."""

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self._job_id = job_id
        self.discarded: list[PoisonedMessage] = []

    def poisoned(self) -> tuple[PoisonedMessage, ...]:
        return (PoisonedMessage(job_id=self._job_id, receipt="r"),)

    def discard(self, poisoned: PoisonedMessage) -> None:
        self.discarded.append(poisoned)


class TestApply:
    def test_exactly_the_plan_is_applied_and_only_once(self, world: World, app: App) -> None:
        """The second job for it is refused, although nothing has changed back."""
        world.define("customers", schedule=NIGHTLY)
        plan = planned(app)
        first = done(app, ask(app, JobKind.APPLY, plan.id))
        assert (first.state, len(world.accounts())) == ("Succeeded", 3)
        assert app.state.progress(first.runs[-1]).items() >= {"job": first.id, "by": "Ann"}.items()
        again = done(app, ask(app, JobKind.APPLY, plan.id))
        assert again.state == "Refused"
        assert "applied already" in again.message
        assert [state for state, _ in runs(app)] == ["Refused", "Succeeded"]

    @pytest.mark.parametrize("changed", ["source", "target"])
    def test_it_is_refused_when_source_or_target_changed(self, world: World, app: App, changed: str) -> None:
        """Nothing is written; the message says what to do."""
        world.define("customers", schedule=NIGHTLY)
        plan = planned(app)
        if changed == "source":
            world.write("customers", [("customers-0", "Changed")])
        else:
            world.put("customers-7")
        before = world.accounts()
        job = done(app, ask(app, JobKind.APPLY, plan.id))
        assert job.state == "Refused"
        assert "source, target or definition changed" in job.message
        assert "make a new plan" in job.message
        assert world.accounts() == before

    def test_a_plan_that_breaks_a_limit_needs_force(self, world: World, app: App) -> None:
        """Without it the run is refused; with it exactly this plan is applied."""
        world.define("customers", schedule=NIGHTLY)
        app.run("customers")
        world.write("customers", [])
        plan = planned(app)
        assert json.loads(app.state.job_file(plan.id, ANSWER) or b"")["violations"]
        assert done(app, ask(app, JobKind.APPLY, plan.id)).state == "Refused"
        assert len(world.accounts()) == 3
        assert done(app, ask(app, JobKind.APPLY, plan.id, force=True)).state == "Succeeded"
        assert world.accounts() == {}

    def test_without_its_plan_it_fails_and_says_so(self, world: World, app: App) -> None:
        """The plan was removed meanwhile; the run is in the log."""
        world.define("customers", schedule=NIGHTLY)
        job = done(app, ask(app, JobKind.APPLY, "gone"))
        assert (job.state, job.message) == ("Failed", "the plan is not there any more: make a new one")


class TestRetry:
    def test_mended_rows_are_run_and_leave_the_list(self, world: World, app: App) -> None:
        """Two files that a person sends for one run are two jobs."""
        world.define("customers", schedule=NIGHTLY)
        world.write("customers", [("customers-1", "One"), ("", "No number")])
        app.run("customers")
        (run,) = app.state.runs("customers")
        kept = app.state.rows_to_mend(run.run_id)
        assert kept is not None
        mended = file_to_mend(kept).replace(b'"","No number"', b'"customers-2","Two"')
        jobs = [ask(app, JobKind.RETRY, run.run_id, files={MENDED: data}) for data in (mended, b"nothing")]
        assert [done(app, job).state for job in jobs] == ["Succeeded", "Failed"]
        retried = app.state.runs("customers")[:2]
        assert {each.counts["retry_of"] for each in retried} == {run.run_id}
        assert [each.trigger for each in retried] == ["retry-not-begun", "retry"]
        (status,) = status_of(app.definitions(), app.state, datetime.now(UTC)).syncs
        assert (status.last and status.last.run_id, status.needs) == (retried[1].run_id, ())
        assert world.accounts() == {"customers-1": "One", "customers-2": "Two"}
        left = app.state.rows_to_mend(run.run_id)
        assert left is not None
        assert left.rows == ()
        assert app.state.job_file(jobs[0].id, MENDED) == mended


class TestUndo:
    def test_a_run_is_taken_back_although_its_sync_is_paused(self, world: World, app: App) -> None:
        """The question writes nothing; the undo is a run of its own, by who asked, and may be made a second time."""
        world.define("customers", schedule=NIGHTLY)
        run_id = app.run("customers").run_id
        question = done(app, ask(app, JobKind.UNDO_PLAN, run_id))
        answer = json.loads(app.state.job_file(question.id, ANSWER) or b"")
        assert (answer["undo_of"], answer["planned"]["delete"], len(answer["sample"])) == (run_id, 3, 3)
        assert (len(world.accounts()), len(app.state.runs("customers"))) == (3, 1)
        jobs = [done(app, ask(app, JobKind.UNDO, run_id)) for _ in range(2)]
        assert [job.state for job in jobs] == ["Succeeded", "Succeeded"]
        assert world.accounts() == {}
        found = {run.run_id: run for run in app.state.runs("customers")}
        assert [(found[job.runs[-1]].trigger, found[job.runs[-1]].counts["undo_of"]) for job in jobs] == [
            ("undo", run_id),
            ("undo", run_id),
        ]
        assert app.state.pauses()["customers"].by == "Ann"
        assert app.state.progress(jobs[0].runs[-1]).items() >= {"job": jobs[0].id, "by": "Ann"}.items()

    def test_the_metric_of_runs_has_the_trigger_of_the_log(
        self, world: World, app: App, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A retry or an undo that succeeds is no success of the sync: an alert about it goes on."""
        counted: list[tuple[str, str]] = []

        def count(_sync: str, trigger: str, summary: Mapping[str, Any], **_error: str) -> None:
            counted.append((trigger, summary["state"]))

        monkeypatch.setattr(starting, "record_batch", count)
        world.define("customers", schedule=NIGHTLY)
        done(app, ask(app, JobKind.RUN))
        (run,) = app.state.runs("customers")
        done(app, ask(app, JobKind.UNDO, run.run_id))
        assert counted == [("job", "Succeeded"), ("undo", "Succeeded")]

    def test_an_undo_that_is_out_of_time_is_continued_by_its_job(self, world: World, app: App) -> None:
        """The first run of the job writes nothing, and the second one does what is left."""
        world.define("customers", schedule=NIGHTLY)
        job = ask(app, JobKind.UNDO, app.run("customers").run_id)
        Worker(app, LocalQueue(), deadline=time.monotonic()).work(job.id)
        assert (now(app, job).state, len(world.accounts())) == ("Queued", 3)
        ended = done(app, job)
        assert (ended.state, len(ended.runs), world.accounts()) == ("Succeeded", 2, {})

    def test_a_run_that_cannot_be_taken_back_ends_the_job_with_the_reason(self, world: World, app: App) -> None:
        """The row in the execution log names the run that was meant; the sync continues as before."""
        world.define("customers", schedule=NIGHTLY)
        app.run("customers")
        run_id = app.run("customers").run_id
        jobs = [done(app, ask(app, kind, run_id)) for kind in (JobKind.UNDO_PLAN, JobKind.UNDO)]
        assert [(job.state, "nothing to undo" in job.message) for job in jobs] == [("Failed", True)] * 2
        row = app.state.run(jobs[1].runs[-1])
        assert row is not None
        assert (row.trigger, row.state, row.counts) == ("undo", "Failed", {"undo_of": run_id})
        assert app.state.pauses() == {}


class TestCancel:
    def test_a_run_stops_between_two_requests(self, world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was written stays; while it ran, its progress and who asked for it could be seen."""
        monkeypatch.setattr(cancelling, "LOOK_SECONDS", 0)
        world.define("customers", rows=6000, schedule=NIGHTLY)
        job = ask(app, JobKind.RUN)
        with ThreadPoolExecutor(1) as pool, held_creates(world.emulator):
            running = pool.submit(done, app, job)
            until_true(lambda: bool(world.accounts()))
            (run,) = app.state.runs("customers")
            assert app.state.progress(run.run_id).items() >= {"phase": "write", "total": 6000, "by": "Ann"}.items()
            assert stop(app.state, run, "Bea") == RunState.RUNNING
        assert running.result().state == "Cancelled"
        ((state, message),) = runs(app)
        assert (state, "cancelled by Bea" in message) == ("Cancelled", True)
        assert 0 < len(world.accounts()) < 6000


class TestOnOneMachine:
    """The console of a laptop runs jobs in its own process."""

    @pytest.fixture
    def runner_of(self) -> Iterator[Callable[[App], LocalRunner]]:
        """Starts runners, and stops them at the end."""
        with ExitStack() as ends:

            def started(app: App) -> LocalRunner:
                runner = LocalRunner(app)
                ends.callback(runner.stop)
                return runner

            yield started

    def test_it_takes_up_what_an_earlier_process_left(
        self, world: World, runner_of: Callable[[App], LocalRunner]
    ) -> None:
        """A job that writes nothing and was begun, and a run that waits: no message starts it."""
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        asked, waits = ask(app, JobKind.PLAN), ask(app, JobKind.RUN)
        app.state.put_job(replace(asked, state=RunState.RUNNING.value))
        runner_of(app)
        until_true(lambda: not app.state.open_jobs())
        assert (now(app, asked).state, now(app, waits).state) == ("Failed", "Succeeded")

    def test_the_end_of_the_process_stops_a_run_and_the_next_one_continues_it(
        self, world: World, runner_of: Callable[[App], LocalRunner]
    ) -> None:
        """The run waits for the answers to its requests, so it knows what it has created."""
        world.define("customers", rows=6000, schedule=NIGHTLY)
        app = world.app
        job = ask(app, JobKind.RUN)
        with held_creates(world.emulator):
            runner = runner_of(app)
            until_true(lambda: bool(world.accounts()))
            runner.stop(within=0.0)
        runner.stop()
        (run,) = app.state.runs("customers")
        assert (run.state, run.counts["created"]["done"]) == ("Interrupted", len(world.accounts()))
        assert "its process was asked to end" in run.message
        assert (now(app, job).waits, 0 < len(world.accounts()) < 6000) == (True, True)
        runner_of(app)
        until_true(lambda: now(app, job).state == "Succeeded")
        assert len(world.accounts()) == 6000

    def test_a_job_whose_sync_runs_elsewhere_comes_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch, runner_of: Callable[[App], LocalRunner]
    ) -> None:
        """It waits for the lease of its sync, and a question beside it does not."""
        from batch_sync import local_runner, worker

        monkeypatch.setattr(local_runner, "LOOK_SECONDS", 0.1)
        monkeypatch.setattr(worker, "NOT_NOW", timedelta(seconds=0.2))
        world.define("customers", schedule=NIGHTLY)
        app = world.app
        lease = app.state.acquire_lease("sync/customers", holder="another run", seconds=600)
        assert lease is not None
        runner = runner_of(app)
        run, asked = ask(app, JobKind.RUN), ask(app, JobKind.PLAN)
        runner.wake(run.id)
        until_true(lambda: now(app, asked).ended is not None)
        assert (now(app, run).ended, now(app, asked).state) == (None, "Succeeded")
        # It waits between two attempts, and an attempt may be running at this very moment.
        until_true(lambda: now(app, run).waits)
        app.state.release_lease(lease)
        until_true(lambda: now(app, run).state == "Succeeded")

    def test_a_job_is_looked_at_again_after_the_state_store_was_away(
        self, world: World, monkeypatch: pytest.MonkeyPatch, runner_of: Callable[[App], LocalRunner]
    ) -> None:
        """For a moment, while the job waits: nobody wakes the runner up afterwards."""
        from batch_sync import local_runner

        monkeypatch.setattr(local_runner, "LOOK_SECONDS", 0.1)
        world.define("customers", schedule=NIGHTLY)
        store = StoreInFront(world.app.state)
        app = App(Settings.load(), state=store)
        with store.acting(open_jobs=failing(RetryLater("the state store is away", retry_after=1))):
            runner_of(app)
            until_true(lambda: store.calls["open_jobs"] > 4)
            job = ask(app, JobKind.RUN)
        until_true(lambda: now(app, job).state == "Succeeded")


class Newer(StrEnum):
    """Kinds of jobs that a newer version has."""

    DREAM = "dream"

    @property
    def has_files(self) -> bool:
        return False


def test_a_job_that_only_a_newer_version_can_do_waits_and_holds_up_no_other(world: World, app: App) -> None:
    """Another version was rolled back: neither its message, nor the poison queue, nor a tick ends the job or fails."""
    world.define("customers")
    kind: Any = Newer.DREAM
    app.state.request_job(JobRequest(id="newer", sync="customers", requested=datetime.now(UTC), kind=kind))
    queue = Poison("newer")
    Worker(app, queue).work("newer")
    Tick(app=app, now=datetime.now(UTC), seconds=600).look(queue)
    assert queue.discarded == []
    (job,) = app.state.open_jobs()
    assert app.state.job_requests() == (job.request,)
    assert (job.request.trigger, done(app, job).state) == ("timer", "Succeeded")
    with pytest.raises(NewerJobError, match="'dream', which this version of the program does not know"):
        app.state.job("newer")


class Told(NoProgress):
    """Keeps the numbers of rows that were reported while the run wrote."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self._writes = False

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """See `Progress.phase`."""
        self._writes = phase is Phase.WRITE

    def advance(self, rows: int) -> None:
        """See `Progress.advance`."""
        if self._writes:
            self.rows.append(rows)

    def throttled(self, requests: int, until: datetime) -> None:
        """See `Progress.throttled`."""


@pytest.mark.parametrize("rows", [1, 100, 400, 450])
def test_progress_of_the_writing_is_told_by_the_rows_of_a_request(
    world: World, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Each row once, whether or not the outcomes fill what is kept at once."""
    monkeypatch.setattr(writing, "KEPT_AT_ONCE", 200)
    world.define("customers", rows=rows, schedule=NIGHTLY)
    told = Told()
    world.app.run("customers", progress=told)
    assert sum(told.rows) == rows == len(world.accounts())
    assert max(told.rows) <= 100


def test_requests_with_files_are_never_the_same() -> None:
    """Two questions about one thing are; two files are not."""

    def sameness(kind: JobKind) -> str:
        return JobRequest(id=uuid.uuid4().hex, sync="a", requested=datetime.now(UTC), kind=kind, of="x").sameness

    assert sameness(JobKind.PLAN) == sameness(JobKind.PLAN)
    assert sameness(JobKind.RETRY) != sameness(JobKind.RETRY)
