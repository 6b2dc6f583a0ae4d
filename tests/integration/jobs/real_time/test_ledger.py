"""The ledger of a sync with a listener: what events note, what it costs, and what others write at the same time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import requests

from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import MAPPINGS, World

GUARDED: list[dict[str, Any]] = copy.deepcopy(MAPPINGS)
GUARDED[3]["write"] = "unless_edited"


def edit(world: World, number: str, **values: Any) -> None:
    """Change an account as a person does."""
    (record,) = (row["accountid"] for row in world.rows("accountid,accountnumber") if row["accountnumber"] == number)
    url = f"{world.emulator.service_url}accounts({record})"
    requests.patch(url, json=values, headers=world._headers, timeout=10).raise_for_status()


def event(number: str, **fields: Any) -> dict[str, Any]:
    return {"op": "u", "number": number, **fields}


def cities(world: World) -> dict[str, str | None]:
    return {number: fields.get("city") for number, fields in world.accounts().items()}


def test_a_ledger_costs_few_calls_for_a_batch_and_none_without(make: Make) -> None:
    """One for the list of files, one for all records, one for each note; that it is in use is noted once a day."""
    world = make(mappings=GUARDED)
    calls = world.state.calls
    world.run(*(event(str(number), city="Bern") for number in range(20)))
    world.run(*(event(str(number), city="Rome") for number in range(20)))
    ledger = {name: made for name, made in calls.items() if "ledger" in name}
    assert ledger == {"use_ledger": 1, "ledger": 1, "ledger_entries": 1, "put_ledger_entries": 4}
    calls.clear()
    world.run(*(event(str(number), name="same city") for number in range(20)))
    assert "put_ledger_entries" not in calls
    without = make()
    without.run(event("1", city="Bern"))
    assert not [name for name in without.state.calls if "ledger" in name]


@pytest.mark.parametrize("several", [False, True])
def test_a_record_that_is_edited_between_reading_and_writing_is_compared_again(make: Make, *, several: bool) -> None:
    """The edit stays, the other columns are written, and the event is settled; it counts as one that kept an edit."""
    world = make(mappings=GUARDED)
    world.run(event("1", city="Bern"), event("2", city="Bern"))
    edits = iter(["Oslo"])

    def meddle(*_: object) -> None:
        for city in edits:
            edit(world, "1", address1_city=city)

    world.state.before["put_ledger_entries"] = meddle
    counts = world.run(event("1", city="Rome", name="one"), *([event("2", city="Rome")] if several else []))
    assert cities(world) == {"1": "Oslo", "2": "Rome" if several else "Bern"}
    assert (counts["edited"], world.accounts()["1"]["name"], world.letters) == (1, "one", [])
    edit(world, "1", address1_city="Bern")
    assert world.run(event("1", city="Rome"))["update"] == 1
    assert cities(world)["1"] == "Rome"


def test_an_event_whose_record_others_always_change_is_a_dead_letter(make: Make) -> None:
    """It blocks no other event; when it is tried again, it takes effect."""
    world = make(mappings=GUARDED)
    world.run(event("1", city="Bern"), event("2", city="Bern"))
    number = iter(range(100))
    with world.state.acting(put_ledger_entries=lambda *_: edit(world, "1", description=str(next(number)))):
        world.run(event("1", city="Rome"), event("2", city="Rome"))
    assert cities(world) == {"1": "Bern", "2": "Rome"}
    (letter,) = world.letters
    assert (letter.sequence, letter.error) == (2, "Failed Operation")
    assert "others changed the record" in letter.message
    world.run(event("1", city="Rome"))
    assert cities(world)["1"] == "Rome"


def test_a_value_that_another_instance_writes_meanwhile_is_no_edit(make: Make) -> None:
    """It was noted after this one had read the record; the record is read once more."""
    world = make(mappings=GUARDED)
    world.run(event("1", city="Bern"))
    other = world.fresh_tools()
    mine = iter([True])

    def overtake(*_: object) -> None:
        if next(mine, False):
            tools, world.tools = world.tools, other
            world.run(event("1", city="Rome"), partition="1", first=0)
            world.tools = tools

    world.state.before["ledger_entries"] = overtake
    counts = world.run(event("1", city="Oslo"))
    assert (counts.get("edited", 0), cities(world)) == (0, {"1": "Oslo"})
    other.memory.workspaces.close()


def test_what_is_known_of_an_adopted_record_stays_known(make: Make) -> None:
    """The service finds it by its key where we do not: its value was written by this sync, so it may be written again."""
    world = make(mappings=GUARDED)
    world.run(event("A1", city="Bern"))
    assert world.run(event("A①", city="Rome"))["adopted"] == 1
    assert cities(world) == {"A①": "Rome"}
    assert world.run(event("A①", city="Basel"))["update"] == 1
    assert cities(world) == {"A①": "Basel"}
    edit(world, "A①", address1_city="Oslo", accountnumber="A1")
    assert world.run(event("A①", city="Wien"))["adopted"] == 1
    assert cities(world) == {"A①": "Oslo"}


def test_events_of_a_record_in_one_batch_count_one_by_one(make: Make) -> None:
    """A person has entered the value of an event in between: from then on it is the sync's own."""
    world = make(mappings=GUARDED)
    world.run(event("1", city="Bern"))
    edit(world, "1", address1_city="Oslo")
    world.run(event("1", city="Rome"), event("1", city="Oslo"), event("1", city="Wien"))
    assert cities(world) == {"1": "Wien"}


def test_only_records_of_the_sync_are_deleted(make: Make) -> None:
    """One that a person has made is the sync's own once an event has written it, also in the same batch."""
    world = make(behaviour={"dropped": "delete", "dropped_scope": "own"})
    for number in ("theirs", "matched"):
        world.put(accountnumber=number, name="a person's")
    world.run({"op": "c", "number": "ours"})
    counts = world.run(
        *({"op": "d", "number": number} for number in ("theirs", "ours")),
        event("matched", name="a person's"),
        {"op": "d", "number": "matched"},
    )
    assert (counts["delete"], counts["ignored"], list(world.accounts())) == (2, 1, ["theirs"])


def test_only_marks_of_the_sync_are_removed_when_a_row_is_back(make: Make) -> None:
    """A record that a person has closed stays closed."""
    world = make(behaviour={"dropped": "deactivate", "returned": "reactivate"})
    world.run(event("1"), event("2"))
    edit(world, "2", statecode=1, statuscode=2)
    world.run({"op": "d", "number": "1"}, {"op": "d", "number": "2"})
    counts = world.run(event("1", name="one"), event("2", name="two"))
    assert (counts["reactivate"], counts["update"]) == (1, 1)
    assert {row["accountnumber"]: row["statecode"] for row in world.rows("accountnumber,statecode")} == {"1": 0, "2": 1}
