"""What goes wrong is in the execution log, in the log and in the metrics, and the alert rules find it there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.functions.conftest import World
from tests.functions.kusto import Telemetry, rules
from tests.functions.test_application_insights import Ingestion
from tests.functions.test_event_sync import listen

pytestmark = pytest.mark.runtime

ROOT = Path(__file__).parents[2]
# A tick, then an event that Dataverse throttles, in a process whose exporter is Microsoft's.
PROGRAM = """
import logging, sys
from pathlib import Path
logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
import shared.app
from tests.functions.host import FunctionsHost
from tests.functions.payloads import Event, events, timer

run = shared.app.App.run
def broken(app, name, *args, **options):
    if name == "unforeseen":
        options["progress"] = 3  # not what the run expects
    return run(app, name, *args, **options)
shared.app.App.run = broken

with FunctionsHost(Path(sys.argv[1])) as host:
    host.fire("batch_sync", timer())
    done = host.fire("event_sync", events([Event(body=b'{"op": "c", "number": "live-1", "name": "Ann"}')]))
    assert done.succeeded, done.error
"""
FAILED = {"wrong-secret", "missing-file", "bad-definition", "unforeseen"}
REFUSED = {"unsafe"}
WITH_ERRORS = {"bad-rows"}


@pytest.fixture(scope="module")
def ingestion() -> Iterator[Ingestion]:
    server = Ingestion()
    yield server
    server.stop()


def failing(world: World) -> None:
    """One sync for each way to fail, and one that succeeds."""
    for name in ("good", "wrong-secret", "missing-file", "bad-definition", "unforeseen", "unsafe", "bad-rows"):
        world.define(name)
    listen(world, "live")
    change(world, "wrong-secret", "{env: DATAVERSE_SECRET}", "{env: WRONG_SECRET}")
    change(world, "bad-definition", "source:", "sauce:")
    (world.folder / "missing-file.csv").unlink()
    for number in range(30):
        world.put(f"unsafe-old-{number}")
    world.write("bad-rows", [("", "no number"), *((f"bad-rows-{number}", "fine") for number in range(3))])


def change(world: World, name: str, old: str, new: str) -> None:
    """Change the text of a definition."""
    path = world.folder / "syncs" / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_failure_is_logged_counted_and_found_by_its_alert(world: World, ingestion: Ingestion) -> None:
    """Execution log, log lines and the queries of the alert rules agree on each sync."""
    failing(world)
    told = os.environ | {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "True",
        "WRONG_SECRET": "wrong",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT)],
        cwd=world.folder,
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    states = {run.sync: run.state for run in world.app.state.runs() if run.trigger in {"timer", "definition"}}
    assert states == (
        dict.fromkeys(FAILED, "Failed")
        | dict.fromkeys(REFUSED, "Refused")
        | dict.fromkeys(WITH_ERRORS, "Completed with errors")
        | {"good": "Succeeded"}
    )

    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    errors = {line.get("sync") for line in lines if line["level"] == "ERROR"}
    assert errors >= FAILED | REFUSED

    _the_page_finds_the_lines_of_a_run(world, done.stdout.splitlines())

    telemetry, found = Telemetry(ingestion.items), rules()
    runs = telemetry.ask(found["failed-runs"].query)
    assert {json.loads(row[3])["sync"] for row in runs} == FAILED | REFUSED
    assert all(json.loads(row[3])["error"] for row in runs)
    assert found["failed-runs"].fires(telemetry)
    assert {row[1] for row in telemetry.ask(found["no-success"].query)} == FAILED | REFUSED
    assert [row[2] for row in telemetry.ask(found["many-bad-rows"].query)] == ["bad-rows"]
    assert not found["no-ticks"].fires(telemetry)
    assert not found["dead-letters"].fires(telemetry)


def _the_page_finds_the_lines_of_a_run(world: World, lines: list[str]) -> None:
    """The query of docs/monitoring.md, over all lines that the program printed, in any order."""
    telemetry, (run,) = Telemetry(), world.app.state.runs("bad-rows")
    for number, line in sorted(enumerate(lines), key=lambda each: each[1]):
        telemetry.trace(line, datetime.fromtimestamp(number, UTC))
    (query,) = re.findall(r"```kusto\n(.*?)```", (ROOT / "docs" / "monitoring.md").read_text("utf-8"), re.DOTALL)
    told = [json.loads(line) for line in lines if line.startswith("{")]
    expected = [each for each in told if each.get("run_id") == run.run_id]
    assert len(expected) > 1
    rows = telemetry.ask(query.replace("…", run.run_id))
    assert [row[1:] for row in rows] == [(each["level"], each.get("phase"), each["message"]) for each in expected]


def test_the_rules_that_count() -> None:
    """Each rule fires behind its limit and not before; without telemetry only the missing ticks do."""
    found, silence = rules(), Telemetry()
    assert {name for name, rule in found.items() if rule.fires(silence)} == {"no-ticks"}
    points: dict[str, list[tuple[bool, Telemetry]]] = {
        "late-syncs": [(late, metric("overdue", seconds, sync="a")) for late, seconds in ((False, 3599), (True, 3601))],
        "event-lag": [(late, metric("events.lag", seconds, sync="a")) for late, seconds in ((False, 899), (True, 901))],
        "throttled": [(much, metric("throttled", times, sync="a")) for much, times in ((False, 1000), (True, 1001))],
        "interrupted-runs": [
            (often, metric("runs", times, sync="a", state="Interrupted")) for often, times in ((False, 2), (True, 3))
        ],
        "poisoned-jobs": [(True, metric("poisoned", 1, sync="a"))],
        "events-waiting": [
            (False, waited(1000, 5000)),
            (False, waited(5000, 0, 5000)),
            (True, waited(1001)),
            (True, waited(1001, 5000)),
        ],
        "unread-partitions": [(False, waited(5000)), (True, metric("partitions.unread", 1))],
        "dead-letters": [(True, metric("dead_letters", 1, sync="a", error="Undecodable"))],
        "failed-invocations": [
            (False, Telemetry(requests=[True, False, False])),
            (True, Telemetry(requests=[False, False, False])),
        ],
        "no-ticks": [(False, metric("ticks", 1))],
    }
    for name, cases in points.items():
        assert [found[name].fires(telemetry) for _, telemetry in cases] == [expected for expected, _ in cases], name


def waited(*events: int) -> Telemetry:
    """Telemetry of several ticks, each with the events that waited."""
    made = Telemetry()
    for each in events:
        made.add("dynamics_sync.events.waiting", each)
    return made


def metric(name: str, value: float, **of: str) -> Telemetry:
    """Telemetry of one point."""
    made = Telemetry()
    made.add(f"dynamics_sync.{name}", value, of=of)
    return made


def test_a_run_with_few_bad_rows_wakes_no_one() -> None:
    """Severity 3 begins at 5 % of the rows, and Completed with errors is a success for the rule that waits for one."""
    found, telemetry = rules(), Telemetry()
    telemetry.add("dynamics_sync.runs", 1, of={"sync": "a", "state": "Completed with errors"})
    telemetry.add("dynamics_sync.source.rows", 100, of={"sync": "a"})
    telemetry.add("dynamics_sync.rows", 96, of={"sync": "a", "action": "created"})
    telemetry.add("dynamics_sync.rows", 300, of={"sync": "a", "action": "ignored"})  # records that have no row
    telemetry.add("dynamics_sync.rows", 4, of={"sync": "a", "action": "rejected"})
    telemetry.add("dynamics_sync.ticks", 1)
    assert not [name for name, rule in found.items() if rule.fires(telemetry)]
    telemetry.add("dynamics_sync.rows", 4, of={"sync": "a", "action": "failed"})
    assert [name for name, rule in found.items() if rule.fires(telemetry)] == ["many-bad-rows"]
