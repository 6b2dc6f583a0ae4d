"""Script columns over HTTP: a run, the same run again, rows on which scripts fail, events, and scripts that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.cli.real_time import feed
from shared.errors import SyncError
from tests.acceptance.world import World, accounts, world

DEFINITION = Path("tests/acceptance/definitions/scripts.yaml").read_text("utf-8")
ROWS: list[dict[str, object]] = [
    {"number": "1", "name": "Ada ", "revenue": "2000000"},
    {"number": "2", "name": "Bob", "revenue": ""},
    {"number": "3", "name": "broken", "revenue": "5"},
    {"number": "4", "name": "", "revenue": "6"},
    {"number": "5", "name": "Cy", "revenue": "many"},
]
HELD = {"1": ("ADA!", 10, 20.0), "2": ("BOB!", 1, 2.0), "3": ("BROKEN!", None, None), "5": ("CY!", None, None)}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("scripts")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def held(here: World) -> dict[str, Any]:
    found = here.records("accounts?$select=accountnumber,name,numberofemployees,revenue")
    return {each["accountnumber"]: (each["name"], each["numberofemployees"], each["revenue"]) for each in found}


def test_scripts_calculate_columns_and_a_second_run_plans_nothing(here: World) -> None:
    """A failure leaves out the field and what is made of it, or with `validate` rejects the row."""
    here.csv(ROWS)
    name = here.define(DEFINITION, "scripts")
    assert here.app.validate([name]) == []
    done = here.run(name)
    assert (done.created.done, done.source.rejected) == (4, 1)
    assert held(here) == HELD
    found = {(error.column, error.message.partition(":")[0]) for error in done.errors}
    assert found >= {("size", "Error in line 2"), ("shout", "TypeError in line 3")}
    again = here.run(name)
    assert (again.created.planned, again.updated.planned, again.deleted.planned) == (0, 0, 0)


def test_the_reason_in_the_log_has_no_value_of_the_row(here: World) -> None:
    here.csv(ROWS)
    done = here.run(here.define(DEFINITION, "scripts"))
    assert done.errors
    assert not [error for error in done.errors if "broken" in error.message]


def test_events_are_calculated_by_the_same_scripts(here: World) -> None:
    """An event that lacks a column which a script sees leaves the script's column as it is."""
    definition = yaml.safe_load(DEFINITION)
    definition["listener"] = {"name": "events", "topic": {"format": "json", "action": "$.op"}}
    name = here.define(yaml.safe_dump(definition), "scripts")
    assert here.app.validate([name]) == []
    path = here.folder / "events.ndjson"

    def send(*records: dict[str, object]) -> Any:
        path.write_text("".join(json.dumps({"op": "u", **record}) + "\n" for record in records), "utf-8")
        return feed(here.app, name, str(path)).syncs[name]

    assert send(*ROWS)["lost"] == 1
    assert held(here) == HELD
    assert send({"number": "1", "name": "Eve"})["update"] == 1
    assert held(here)["1"] == ("EVE!", 10, 20.0)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("function calc(r) {\n  return r.number +\n}", "scripts.yaml:"),
        ("const x = 1", "the script has no function calc(currentRecord)"),
    ],
)
def test_validate_and_a_run_refuse_a_script_with_a_mistake(here: World, script: str, message: str) -> None:
    definition = accounts()
    definition["source"]["columns"].append({"name": "made", "script": script})
    name = here.define(definition, "scripts")
    here.csv([{"number": "1", "name": "a", "city": "b", "revenue": "1"}])
    (problem,) = here.app.validate([name])
    assert message in str(problem)
    assert problem.path == "source.columns[4].script"
    with pytest.raises(SyncError) as refused:
        here.run(name)
    assert problem.message in refused.value.message
    assert here.records("accounts?$select=accountid") == []


def test_a_script_that_counts_rows_is_refused(here: World) -> None:
    definition = accounts()
    script = "let rows = 0; function calc(r) { rows += 1; return rows + r.number }"
    definition["source"]["columns"].append({"name": "made", "script": script})
    here.csv([{"number": str(n), "name": "a", "city": "b", "revenue": "1"} for n in range(3)])
    with pytest.raises(SyncError, match="depend on the order of the rows"):
        here.run(here.define(definition, "scripts"))


def test_a_column_has_one_way_to_its_value(here: World) -> None:
    definition = accounts()
    definition["source"]["columns"].append({"name": "made", "script": "function calc() {}", "formula": "1"})
    name = here.define(definition, "scripts")
    (problem,) = here.app.validate([name])
    assert "a column can have a formula or a script, not both" in problem.message


def test_a_script_does_not_see_calculated_columns(here: World) -> None:
    """`explain` shows what it sees."""
    name = here.define(DEFINITION, "scripts")
    steps = {step.origin: step.sql for step in here.app.explain(name)}
    assert "'revenue'" in steps["source.columns[3].script"]
    assert "'size'" not in steps["source.columns[4].script"]
