"""The timer's function in Microsoft's runtime: fired with the host's messages, rows arrive in Dataverse."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch_sync.tick import Tick
from shared.state import JobRequest, RunRecord
from shared.telemetry import JsonLines, RunContext
from tests.functions.conftest import NIGHTLY, World
from tests.functions.host import FunctionsHost
from tests.functions.payloads import timer

pytestmark = pytest.mark.runtime

EACH_MINUTE = "0 * * * * *"


def record(sync: str, *, started: datetime, state: str = "Succeeded") -> RunRecord:
    return RunRecord(run_id=f"before-{sync}", sync=sync, version="1", trigger="timer", state=state, started=started)


def tick(host: FunctionsHost, *, late: bool = False) -> None:
    invocation = host.fire("batch_sync", timer(late=late))
    assert invocation.succeeded, invocation.error + invocation.trace


class TestTrigger:
    def test_it_is_a_monitored_timer_with_the_schedule_of_the_settings(self, host: FunctionsHost) -> None:
        """Never on start-up, for every new instance would start the syncs; no retry policy, for the next tick is it."""
        assert host.bindings("batch_sync") == [
            {
                "direction": "IN",
                "type": "timerTrigger",
                "name": "timer",
                "schedule": "%BATCH_SYNC_SCHEDULE%",
                "runOnStartup": False,
                "useMonitor": True,
            }
        ]
        assert host.retry_policy("batch_sync") is None


class TestTick:
    def test_a_due_sync_runs_and_its_rows_arrive(self, host: FunctionsHost, world: World) -> None:
        """The whole way: timer, definition, file, requests, records, execution log."""
        world.define("customers")
        tick(host)
        assert world.accounts() == {f"customers-{number}": f"Account {number}" for number in range(3)}
        (run,) = world.app.state.runs()
        assert (run.sync, run.trigger, run.state) == ("customers", "timer", "Succeeded")
        assert run.counts["created"] == {"done": 3, "planned": 3}

    def test_what_is_not_due_does_not_run(self, host: FunctionsHost, world: World) -> None:
        """A sync that ran after its latest tick waits for the next."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.begin_run(record("customers", started=datetime.now(UTC)))
        tick(host)
        assert world.accounts() == {}

    def test_a_late_timer_runs_what_was_missed_once(self, host: FunctionsHost, world: World) -> None:
        """However many ticks passed, one run makes up for them."""
        world.define("customers", schedule=EACH_MINUTE)
        world.app.state.begin_run(record("customers", started=datetime.now(UTC) - timedelta(days=3)))
        tick(host, late=True)
        assert [run.state for run in world.app.state.runs("customers")] == ["Succeeded", "Succeeded"]

    def test_an_interrupted_run_continues_at_the_next_tick(self, host: FunctionsHost, world: World) -> None:
        """Its schedule is not waited for."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.begin_run(record("customers", started=datetime.now(UTC), state="Interrupted"))
        tick(host)
        assert len(world.accounts()) == 3

    def test_a_run_whose_process_died_is_marked_and_run_again(self, host: FunctionsHost, world: World) -> None:
        """Its lease has lapsed, so no process works on it: the log does not say Running for ever."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.begin_run(record("customers", started=datetime.now(UTC), state="Running"))
        lease = world.app.state.acquire_lease("sync/customers", holder="dying", seconds=600)
        assert lease is not None
        tick(host)
        assert [run.state for run in world.app.state.runs()] == ["Running"]
        world.app.state.release_lease(lease)
        tick(host)
        assert [run.state for run in world.app.state.runs()] == ["Succeeded", "Interrupted"]

    def test_syncs_run_in_parallel_and_one_failure_affects_no_other(self, host: FunctionsHost, world: World) -> None:
        """A missing file fails its own sync, and so does a definition with a mistake."""
        for name in ("a", "b", "c", "d", "e"):
            world.define(name)
        (world.folder / "c.csv").unlink()
        (world.folder / "syncs" / "broken.yaml").write_text("name: [")
        tick(host)
        assert {name.partition("-")[0] for name in world.accounts()} == {"a", "b", "d", "e"}
        states = {run.sync: run.state for run in world.app.state.runs()}
        assert states == dict.fromkeys("abde", "Succeeded") | {"c": "Failed", "broken": "Failed"}

    def test_a_disabled_sync_and_one_without_schedule_do_not_run(self, host: FunctionsHost, world: World) -> None:
        """Only what has a schedule and is enabled is the timer's affair."""
        world.define("off", more="enabled: false\n")
        world.define("asked")
        file = world.folder / "syncs" / "asked.yaml"
        file.write_text(file.read_text().replace(f'schedule: "{NIGHTLY}"\n', ""))
        tick(host)
        assert world.app.state.runs() == ()

    def test_a_sync_that_runs_elsewhere_is_left_alone(self, host: FunctionsHost, world: World) -> None:
        """The lease of another instance holds here too."""
        world.define("customers")
        lease = world.app.state.acquire_lease("sync/customers", holder="another instance", seconds=600)
        assert lease is not None
        tick(host)
        assert world.app.state.runs() == ()
        world.app.state.release_lease(lease)
        tick(host)
        assert len(world.accounts()) == 3

    def test_a_run_with_nothing_to_do_writes_nothing(self, host: FunctionsHost, world: World) -> None:
        """Interrupted after its last write, the sync is run again and sends no write."""
        world.define("customers")
        tick(host)
        done = replace(world.app.state.runs()[0], state="Interrupted")
        world.app.state.finish_run(done)
        tick(host)
        again = world.app.state.runs()[0]
        assert (again.state, again.counts["unchanged"], again.counts["writes"]) == ("Succeeded", 3, 0)

    def test_a_sync_that_cannot_start_keeps_its_schedule(
        self, host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What fails before its first request is in the execution log, and waits for its next tick."""
        world.define("customers", schedule=NIGHTLY)
        monkeypatch.delenv("DATAVERSE_SECRET")
        tick(host)
        tick(host)
        (run,) = world.app.state.runs()
        assert run.state == "Failed"
        assert "DATAVERSE_SECRET" in run.message


class TestJobRequests:
    def request(self, sync: str = "customers", *, force: bool = False) -> JobRequest:
        return JobRequest(id=uuid.uuid4().hex, sync=sync, requested=datetime.now(UTC), force=force, requested_by="ann")

    def test_a_requested_job_runs_at_the_next_tick(self, host: FunctionsHost, world: World) -> None:
        """A sync that is not due runs because it was requested, and once."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.begin_run(record("customers", started=datetime.now(UTC)))
        world.app.state.request_job(self.request())
        tick(host)
        tick(host)
        assert [run.trigger for run in world.app.state.runs("customers")] == ["job", "timer"]
        assert world.app.state.job_requests() == ()

    def test_a_request_for_no_sync_is_logged_and_forgotten(self, host: FunctionsHost, world: World) -> None:
        """A wrong name is not reported again every minute."""
        world.app.state.request_job(self.request("nobody"))
        tick(host)
        assert world.app.state.job_requests() == ()

    def test_a_request_waits_while_its_sync_runs(self, host: FunctionsHost, world: World) -> None:
        """Another run is not the one that was requested."""
        world.define("customers", schedule=NIGHTLY)
        world.app.state.acquire_lease("sync/customers", holder="another instance", seconds=6000)
        world.app.state.request_job(self.request())
        tick(host)
        assert "job" in {request.trigger for request in world.app.state.job_requests()}
        assert world.app.state.runs() == ()

    def test_a_forced_request_overrides_the_limits(self, host: FunctionsHost, world: World) -> None:
        """Without force the plan is refused, with it the records go."""
        world.define("customers", rows=20)
        tick(host)
        world.write("customers", [("customers-1", "Account 1")])
        world.app.state.request_job(self.request())
        tick(host)
        assert len(world.accounts()) == 20
        world.app.state.request_job(self.request(force=True))
        tick(host)
        assert world.accounts() == {"customers-1": "Account 1"}


class TestTimeLimit:
    def test_without_time_left_nothing_is_written_and_the_next_tick_continues(
        self, host: FunctionsHost, world: World
    ) -> None:
        """The limit of the host ends a run in order; its rest is done when there is time."""
        world.define("customers")
        Tick(app=world.app, now=datetime.now(UTC), seconds=0).run()
        assert world.accounts() == {}
        tick(host)
        assert len(world.accounts()) == 3

    def test_a_run_that_runs_out_of_time_is_finished_by_the_next(self, host: FunctionsHost, world: World) -> None:
        """The writer stops in time, the log says Interrupted, and only what is left is written afterwards."""
        world.define("customers", rows=3000)
        world.emulator.faults({"action": "delay", "match": {"path": "CreateMultiple"}, "seconds": 0.6, "times": 1000})
        for seconds in (2.5, 5, 10, 20):  # a slow machine needs more until its first row is written
            Tick(app=world.app, now=datetime.now(UTC), seconds=seconds).run()
            if world.accounts():
                break
        first = world.app.state.runs()[0]
        done = first.counts["created"]["done"]
        assert first.state == "Interrupted"
        assert len(world.accounts()) == done
        assert 0 < done < 3000
        world.emulator.clear_faults()
        tick(host)
        assert len(world.accounts()) == 3000
        assert world.app.state.runs()[0].counts["created"]["planned"] == 3000 - done


class Lines(logging.Handler):
    """Keeps what the host would get, as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(RunContext())
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


class TestLogs:
    def test_they_say_sync_run_and_phase_and_no_value_of_a_row(self, host: FunctionsHost, world: World) -> None:
        """A reader of the logs can follow a run, and sees no data of a customer."""
        world.define("customers")
        world.write("customers", [("customers-1", "Zebra GmbH"), ("customers-2", "Zebra " * 100)])
        handler = Lines()
        logging.getLogger().addHandler(handler)
        try:
            tick(host)
        finally:
            logging.getLogger().removeHandler(handler)
        of_sync = [line for line in handler.lines if line.get("sync") == "customers"]
        assert {"check", "load", "read", "write"} <= {line["phase"] for line in of_sync if "phase" in line}
        (run,) = world.app.state.runs()
        assert run.run_id in {line.get("run_id") for line in of_sync}
        assert "Zebra" not in json.dumps(handler.lines)


class TestStateStoreAway:
    def test_the_invocation_fails(self, host: FunctionsHost, world: World) -> None:
        """Without state nothing is known to be due: the host's log says so, and the next tick tries again."""
        world.define("customers")
        (world.folder / "state.db").mkdir()
        invocation = host.fire("batch_sync", timer())
        assert "STATE_STORE" in invocation.error
