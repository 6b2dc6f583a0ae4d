"""One set of definitions for several environments: connections, chosen by a parameter."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batch_sync.tick import Tick
from emulator.testing import RunningEmulator, running
from shared.cli.real_time import feed
from shared.errors import DefinitionError
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": str(number), "name": f"Name {number}", "city": "Ulm", "revenue": "1"} for number in range(1, 4)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """Two environments beside one folder of definitions."""
    folder = tmp_path_factory.mktemp("connections")
    with world(folder) as dev, running() as emulator:
        yield dev, World(folder=folder, emulator=emulator, environment=dev.environment)


@pytest.fixture
def dev(both: tuple[World, World]) -> World:
    dev, test = both
    for here, name in ((dev, "dev"), (test, "test")):
        here.emulator.reset()
        dev.environment[f"{name.upper()}_SECRET"] = here.emulator.client_secret
        connect(dev, name, here.emulator)
    for file in (dev.folder / "syncs").glob("accounts*.yaml"):
        file.unlink()
    dev.csv(ROWS)
    return dev


@pytest.fixture
def test(both: tuple[World, World]) -> World:
    return both[1]


def connect(here: World, name: str, emulator: RunningEmulator, **keys: Any) -> None:
    connection = {
        "kind": "connection",
        "name": name,
        "type": "dynamics",
        "service_url": emulator.service_url,
        "client_id": emulator.client_id,
        "client_secret": {"env": f"{name.upper()}_SECRET"},
        **keys,
    }
    (here.folder / "syncs" / f"{name}.yaml").write_text(json.dumps(connection), "utf-8")


def definition(connection: str = "@environment", **keys: Any) -> dict[str, Any]:
    """Accounts from a file, in the environment that the parameter names."""
    made = accounts(**keys)
    for key in ("service_url", "client_id", "client_secret"):
        del made["destination"][key]
    made["destination"] = {"type": "dynamics", "connection": connection, **made["destination"]}
    made["parameters"] |= {"environment": {"default": "dev"}}
    return made


def numbers(here: World) -> list[str]:
    return sorted(record["accountnumber"] for record in here.records("accounts?$select=accountnumber"))


@pytest.mark.parametrize("strategy", [{"strategy": "upsert"}, {"strategy": "full", "dropped": "ignore"}])
def test_each_environment_gets_all_rows_of_a_source_with_a_watermark(
    dev: World, test: World, strategy: dict[str, Any]
) -> None:
    """What was written to one environment is not in the other; then each goes on where it was."""
    database = dev.folder / "customers.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute("CREATE TABLE t (number text, name text, changed integer)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(f"A{n}", f"Name {n}", n) for n in range(5)])
        connection.commit()
    dev.environment["ERP"] = f"sqlite:///{database}"
    made = definition()
    made["source"] = {"type": "sql", "connection": {"env": "ERP"}, "table": "t", "watermark": {"column": "changed"}}
    made["destination"]["mappings"] = made["destination"]["mappings"][:2]
    made["sync_behaviour"] = {"sync_key": ["accountnumber"], **strategy}
    name = dev.define(made)
    dev.app.set_watermark(name, None)
    runs = [dev.app.run(name, {"environment": each}).source.processed for each in ("dev", "test", "dev", "test")]
    assert runs == [5, 5, 1, 1]
    assert numbers(dev) == numbers(test) == ["A0", "A1", "A2", "A3", "A4"]


def test_one_definition_serves_two_environments(dev: World, test: World) -> None:
    """The second run of each plans nothing; every command reads the definition with its connection."""
    name = dev.define(definition())
    assert dev.app.validate() == []
    assert [each.name for each in dev.app.definitions()] == [name]
    assert dev.app.explain(name, {"environment": "test"})
    assert dev.run(name).created.done == 3
    assert (numbers(dev), numbers(test)) == (["1", "2", "3"], [])
    assert dev.app.plan(name).plan.counts.changes == 0
    assert dev.app.plan(name, {"environment": "test"}).plan.counts.insert == 3
    assert dev.run(name, parameters={"environment": "test"}).created.done == 3
    assert numbers(test) == ["1", "2", "3"]
    for environment in ("dev", "test"):
        again = dev.run(name, parameters={"environment": environment})
        assert (again.created.planned, again.updated.planned, again.deleted.planned) == (0, 0, 0)


def test_events_go_to_the_environment_of_the_connection(dev: World, test: World) -> None:
    """Two listeners in one process, each in its own environment; redelivered events change nothing."""
    for environment in ("dev", "test"):
        made = definition(listener={"name": environment, "topic": {"format": "json", "action": "$.op"}})
        made["source"] = {"type": "events", "columns": made["source"]["columns"]}
        made["parameters"]["environment"]["default"] = environment
        dev.define(made, f"accounts-{environment}")
    events = dev.folder / "events.ndjson"
    events.write_text("".join(json.dumps({"op": "u", **row, "revenue": 1}) + "\n" for row in ROWS), "utf-8")
    first = feed(dev.app, "accounts-dev", str(events)).syncs["accounts-dev"]
    assert (first["insert"], numbers(dev), numbers(test)) == (3, ["1", "2", "3"], [])
    assert feed(dev.app, "accounts-test", str(events)).syncs["accounts-test"]["insert"] == 3
    again = feed(dev.app, "accounts-test", str(events)).syncs["accounts-test"]
    assert (again.get("insert", 0), again.get("update", 0), again.get("unchanged")) == (0, 0, 3)
    assert numbers(test) == ["1", "2", "3"]


def test_events_follow_a_connection_that_changes(dev: World, test: World) -> None:
    """As with a changed definition: at the next check of the folder, in the same process."""
    minutes = itertools.count(step=60.0)
    dev.parts = {"clock": lambda: next(minutes)}
    made = definition("dev", listener={"name": "all", "topic": {"format": "json", "action": "$.op"}})
    made["source"] = {"type": "events", "columns": made["source"]["columns"]}
    dev.define(made)
    events = dev.folder / "events.ndjson"
    events.write_text(json.dumps({"op": "u", **ROWS[0], "revenue": 1}), "utf-8")
    feed(dev.app, "accounts", str(events))
    assert (numbers(dev), numbers(test)) == (["1"], [])
    dev.environment["DEV_SECRET"] = test.emulator.client_secret
    connect(dev, "dev", test.emulator)
    feed(dev.app, "accounts", str(events))
    assert (numbers(dev), numbers(test)) == (["1"], ["1"])


@pytest.mark.parametrize("offline", [True, False])
def test_a_connection_that_is_missing_is_reported_at_its_key(dev: World, offline: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """With a fixed name, and with the default of a parameter; a run reports the same and writes nothing."""
    made = definition()
    made["parameters"]["environment"]["default"] = "tset"
    name = dev.define(made)
    (problem,) = dev.app.validate(offline=offline)
    assert problem.message == "there is no connection tset; did you mean test?"
    assert (Path(problem.file).name, problem.path, problem.line > 1) == (
        "accounts.yaml",
        "destination.connection",
        True,
    )
    with pytest.raises(DefinitionError, match="no connection tset"):
        dev.run(name)
    assert dev.run(name, parameters={"environment": "dev"}).created.done == 3


def test_validate_reports_the_problems_of_connections(dev: World) -> None:
    """With file, line and column; other connections and their syncs are not affected."""
    dev.define(definition())
    connect(dev, "test", dev.emulator, tenant="x")
    (problem,) = dev.app.validate()
    assert (Path(problem.file).name, problem.path) == ("test.yaml", "tenant")
    assert problem.message == "unknown key; did you mean tenant_id?"
    assert dev.run().created.done == 3


def test_the_timer_runs_syncs_and_no_connections(dev: World, test: World) -> None:
    """A broken connection is not reported as a sync with errors; the sync that uses it is."""
    import datetime as dt

    connect(dev, "test", test.emulator, tenant="x")
    dev.define(definition(schedule="* * * * * *"))
    dev.define(definition("test", schedule="* * * * * *"), "accounts-test")
    tick = Tick(app=dev.app, now=dt.datetime.now(dt.UTC), seconds=60)
    tick.run()
    Tick(app=dev.app, now=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2), seconds=60).run()
    assert numbers(dev) == ["1", "2", "3"]
    logged = {(run.sync, run.state) for run in dev.app.state.runs(limit=50)}
    assert ("accounts-test", "Failed") in logged
    assert {"dev", "test"}.isdisjoint(sync for sync, _ in logged)


def test_a_secret_of_a_connection_is_no_value_of_a_formula(dev: World) -> None:
    """Although the definition itself does not name it as a secret, and its name does not look like one."""
    dev.environment["PLAIN"] = "geheim-und-lang"
    connect(dev, "test", dev.emulator, client_secret={"env": "PLAIN"})
    made = definition()
    made["parameters"]["tag"] = {"formula": "ENV('PLAIN')"}
    name = dev.define(made)
    (problem,) = dev.app.validate([name])
    assert "the environment variable PLAIN contains a secret" in problem.message
