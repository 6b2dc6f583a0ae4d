"""A sync that is paused: the timer does not start it, and a job that was made before ends without a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batch_sync.pool import LocalQueue
from batch_sync.tick import Tick
from batch_sync.worker import Worker
from shared.app import App, open_app
from shared.state import JobRequest, Pause
from tests.functions.conftest import World


def pause(app: App, sync: str) -> None:
    app.state.pause(Pause(sync=sync, run_id="0123456789abcdef", since=datetime.now(UTC)))


def tick(app: App, now: datetime) -> None:
    Tick(app=app, now=now, seconds=None).run()


def states(app: App) -> list[tuple[str, str, str]]:
    return [(run.sync, run.trigger, run.state) for run in app.state.runs()]


def test_the_timer_leaves_a_paused_sync_out_until_it_is_resumed(world: World) -> None:
    """Others run. After the pause it is due as before."""
    world.define("customers")
    world.define("others")
    app, now = open_app(), datetime.now(UTC)
    pause(app, "customers")
    tick(app, now)
    assert states(app) == [("others", "timer", "Succeeded")]
    app.state.resume("customers")
    tick(app, now + timedelta(seconds=1))
    assert ("customers", "timer", "Succeeded") in states(app)


def test_a_job_that_was_made_before_the_pause_does_not_run(world: World) -> None:
    """That of the schedule leaves no trace; the request of a person fails, and says why."""
    world.define("customers")
    app, now, queue = open_app(), datetime.now(UTC), LocalQueue()
    Tick(app=app, now=now, seconds=None).look(queue)
    (job,) = app.state.open_jobs()
    pause(app, "customers")
    Worker(app, queue).work(job.id)
    assert (app.state.open_jobs(), states(app)) == ((), [])
    asked = app.state.request_job(JobRequest(id="asked", sync="customers", requested=now, requested_by="ann"))
    Worker(app, queue).work(asked.id)
    (run,) = app.state.runs("customers")
    assert run.state == "Failed"
    assert "resume customers" in run.message
