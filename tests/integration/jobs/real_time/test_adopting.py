"""Real time and keys: reserved characters, and keys that only the service compares as equal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World

RESERVED = [f"A{character}{number}" for number, character in enumerate("/<>*%&:\\?+#")]


def held(world: World) -> dict[str, str]:
    """Id of each record -> its key."""
    return {row["accountid"]: row["accountnumber"] for row in world.rows("accountid,accountnumber")}


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_upserts_with_reserved_characters_bring_their_key(make: Make, strategy: str) -> None:
    """The first event makes the record with its key; the second updates it."""
    world = make(behaviour={"strategy": strategy})
    for name in ("one", "two"):
        world.run(*({"op": "upsert", "number": key, "name": name} for key in RESERVED))
        assert world.accounts() == {key: {"name": name} for key in RESERVED}
    assert world.letters == []


def test_a_record_whose_key_only_the_service_compares_as_equal_is_adopted(make: Make) -> None:
    """The event updates the record and counts as adopted. The next event finds the record by its new key."""
    world = make()
    record = world.put(accountnumber="A1", name="old", address1_city="Bern")
    counts = world.run({"op": "c", "number": "A①", "name": "new"}, {"op": "c", "number": "B", "name": "other"})
    assert (counts["adopted"], counts["insert"], "failed" in counts) == (1, 1, False)
    assert world.accounts() == {"A①": {"name": "new", "city": "Bern"}, "B": {"name": "other"}}
    assert world.run({"op": "u", "number": "A①", "name": "new"})["unchanged"] == 1
    assert record in held(world)


@pytest.mark.parametrize("changed", ["ignore", {"when": "source.name = 'x'"}])
def test_the_rules_for_changed_records_apply_to_adopted_ones(make: Make, changed: Any) -> None:
    """A column that the rules protect keeps its value."""
    world = make(behaviour={"changed": changed})
    world.put(accountnumber="A1", name="old")
    for _ in range(2):
        assert world.run({"op": "u", "number": "A①", "name": "new"})["adopted"] == 1
        assert (world.accounts(), world.letters) == ({"A1": {"name": "old"}}, [])


def test_an_adopted_record_is_not_dropped_by_the_same_batch(make: Make) -> None:
    """A source that changes the spelling of a key deletes the old spelling; the service compares both as one key."""
    world = make()
    record = world.put(accountnumber="A1", name="old")
    counts = world.run({"op": "d", "number": "A1"}, {"op": "c", "number": "A①", "name": "new"})
    assert (counts["adopted"], counts["ignored"]) == (1, 1)
    assert held(world) == {record: "A①"}


def test_two_events_whose_keys_the_service_compares_as_equal_write_one_record(make: Make) -> None:
    """The insert of the second event is refused because the record exists; the event then adopts it."""
    world = make()
    world.run({"op": "c", "number": "A1", "name": "one"}, {"op": "c", "number": "A①", "name": "two"})
    assert (world.accounts(), world.letters) == ({"A①": {"name": "two"}}, [])


def test_a_record_outside_of_the_target_filter_is_not_adopted(make: Make) -> None:
    """The refused event becomes a dead letter, and the record does not change."""
    world = make(destination={"filter": "name eq 'ours'"})
    world.put(accountnumber="A1", name="theirs")
    world.run({"op": "c", "number": "A①", "name": "ours"})
    assert (world.accounts(), world.reasons) == ({"A1": {"name": "theirs"}}, {0: "Failed Operation"})


def test_an_event_whose_adopted_record_cannot_be_updated_is_a_dead_letter(make: Make) -> None:
    """The refusal of the update rejects the event."""
    world = make()
    world.put(accountnumber="A1", name="old")
    refusal = {"action": "status", "status": 400, "code": "0x80040265", "times": 5}
    world.emulator.faults({"match": {"path": "accounts/Microsoft.Dynamics.CRM.UpdateMultiple"}, **refusal})
    counts = world.run({"op": "c", "number": "A①", "name": "new"})
    assert (counts["lost"], "adopted" in counts, world.accounts()) == (1, False, {"A1": {"name": "old"}})


def test_keys_that_differ_in_case_only_find_their_records_however_many_there_are(make: Make) -> None:
    """Of more keys than one query holds, several queries find the same record, since the service ignores case."""
    columns = [{"name": "name"}, {"name": "city"}]
    mappings = [{"source": "name", "target": "name"}, {"source": "city", "target": "address1_city"}]
    behaviour = {"sync_key": ["name"], "key_match": "exact"}
    world = make(columns=columns, mappings=mappings, behaviour=behaviour)
    names = [f"{'x' * 140}{number:03}-{end}" for end in ("a", "A") for number in range(120)]
    assert world.run(*({"op": "c", "name": name, "city": "Bern"} for name in names))["insert"] == 240
    counts = world.run(*({"op": "u", "name": name, "city": "Basel"} for name in names))
    assert (counts["update"], "insert" in counts) == (240, False)
    assert [row["address1_city"] for row in world.rows("address1_city")] == ["Basel"] * 240
