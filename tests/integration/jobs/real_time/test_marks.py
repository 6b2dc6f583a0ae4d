"""Real time: delete events that mark records, and columns that are not always written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import MAPPINGS, World


def held(world: World) -> dict[str, dict[str, Any]]:
    columns = "accountnumber,name,address1_city,statecode,statuscode,description"
    names = columns.split(",")
    return {row["accountnumber"]: {name: row[name] for name in names} for row in world.rows(columns)}


def written(policy: str) -> list[dict[str, Any]]:
    """The usual mappings, with a policy for the city."""
    mappings = copy.deepcopy(MAPPINGS)
    mappings[3]["write"] = policy
    return mappings


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_a_delete_event_deactivates_the_record(make: Make, strategy: str) -> None:
    """It gets the default status reason of the state; the record of another event does not change."""
    world = make(behaviour={"strategy": strategy, "dropped": "deactivate"})
    world.run({"op": "c", "number": "1", "name": "One"}, {"op": "c", "number": "2", "name": "Two"})
    counts = world.run({"op": "d", "number": "1"})
    assert counts["deactivate" if strategy == "full" else "update"] == 1
    assert {number: (row["statecode"], row["statuscode"]) for number, row in held(world).items()} == {
        "1": (1, 2),
        "2": (0, 1),
    }
    counts = world.run({"op": "d", "number": "1"})
    assert counts.get("deactivate", 0) == 0
    assert world.letters == []


def test_a_delete_event_sets_columns_of_the_record(make: Make) -> None:
    """The value is an expression over the record; a redelivered event changes nothing."""
    world = make(behaviour={"dropped": {"set": {"description": "'was ' || target.name", "statecode": "1"}}})
    world.run({"op": "c", "number": "1", "name": "One"})
    assert world.run({"op": "d", "number": "1"})["mark"] == 1
    assert held(world)["1"] | {"description": "was One", "statecode": 1, "statuscode": 2} == held(world)["1"]
    assert world.run({"op": "d", "number": "1"})["ignored"] == 1


def test_a_delete_event_sets_constants_where_the_record_is_not_read(make: Make) -> None:
    """Strategy upsert: every delete event writes the values; a choice is given by its label."""
    world = make(
        behaviour={"strategy": "upsert", "dropped": {"set": {"description": "'gone'", "statecode": "'Inactive'"}}}
    )
    world.run({"op": "c", "number": "1", "name": "One"})
    world.run({"op": "d", "number": "1"})
    assert held(world)["1"] | {"description": "gone", "statecode": 1} == held(world)["1"]
    assert world.letters == []


@pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
def test_on_insert_is_written_by_the_event_that_creates_the_record(make: Make, strategy: str) -> None:
    """Later events do not change the column; in one batch the last value before the creation is used."""
    world = make(behaviour={"strategy": strategy}, mappings=written("on_insert"))
    world.run({"op": "c", "number": "1", "name": "One", "city": "Paris"})
    world.run({"op": "u", "number": "1", "name": "Uno", "city": "Rome"})
    world.run({"op": "upsert", "number": "1", "name": "Eins", "city": "Wien"})
    world.run({"op": "upsert", "number": "2", "name": "Two", "city": "Bern"})
    found = {number: (row["name"], row["address1_city"]) for number, row in held(world).items()}
    assert found == {"1": ("Eins", "Paris"), "2": ("Two", "Bern")}
    assert world.letters == []


def test_if_empty_fills_empty_columns(make: Make) -> None:
    """An existing value stays."""
    world = make(mappings=written("if_empty"))
    world.put(accountnumber="1", name="One", address1_city="Paris")
    world.put(accountnumber="2", name="Two")
    counts = world.run({"op": "u", "number": "1", "city": "Rome"}, {"op": "u", "number": "2", "city": "Bern"})
    assert (counts["unchanged"], counts["update"]) == (1, 1)
    assert {number: row["address1_city"] for number, row in held(world).items()} == {"1": "Paris", "2": "Bern"}
