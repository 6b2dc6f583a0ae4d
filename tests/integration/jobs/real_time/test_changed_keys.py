"""An event that changes the sync key updates the record that has the old key."""

from __future__ import annotations

from typing import Any

import pytest

from shared.jobs.real_time.events import replay
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import COLUMNS, MAPPINGS, World

MOVE = {"format": "debezium"}
DELETE_INSERT = {"format": "debezium", "key_change": "delete_insert"}


def created(number: str, **fields: Any) -> dict[str, Any]:
    return {"op": "c", "before": None, "after": {"number": number, **fields}, "source": {}}


def changed(old: str | None, new: str, **fields: Any) -> dict[str, Any]:
    before = None if old is None else {"number": old, "name": "before"}
    return {"op": "u", "before": before, "after": {"number": new, **fields}, "source": {}}


def ids(world: World) -> dict[str, str]:
    return {row["accountnumber"]: row["accountid"] for row in world.rows("accountid,accountnumber")}


@pytest.mark.parametrize(
    "behaviour",
    [{}, {"dropped": "ignore"}, {"strategy": "upsert"}, {"strategy": "delta", "dropped": "ignore"}],
    ids=str,
)
def test_the_record_gets_the_new_key(make: Make, behaviour: dict[str, Any]) -> None:
    """The id stays the same with every strategy, and a redelivered batch changes nothing."""
    world = make(topic=MOVE, behaviour=behaviour)
    world.run(created("A", name="one"), created("X", name="other"))
    before = ids(world)
    batch = world.messages(changed("A", "B", name="two"), changed("X", "X", name="another"))
    world.deliver(batch)
    assert world.accounts() == {"B": {"name": "two"}, "X": {"name": "another"}}
    assert ids(world) == {"B": before["A"], "X": before["X"]}
    world.tools = world.fresh_tools()
    world.deliver(batch)
    assert (ids(world), world.letters) == ({"B": before["A"], "X": before["X"]}, [])


@pytest.mark.parametrize(
    ("behaviour", "left"),
    [
        ({}, {"B": {"name": "two"}}),
        ({"dropped": "ignore"}, {"A": {"name": "one"}, "B": {"name": "two"}}),
        ({"strategy": "upsert"}, {"B": {"name": "two"}}),
        ({"strategy": "delta", "dropped": "ignore"}, {"B": {"name": "two"}}),
    ],
    ids=str,
)
def test_if_both_keys_have_a_record_the_event_writes_the_new_one(
    make: Make, behaviour: dict[str, Any], left: dict[str, Any]
) -> None:
    """The record with the new key is updated, and the record with the old key is a dropped record."""
    world = make(topic=MOVE, behaviour=behaviour)
    world.put(accountnumber="A", name="one")
    kept = world.put(accountnumber="B", name="already")
    counts = world.run(changed("A", "B", name="two"))
    assert (world.accounts(), ids(world)["B"], world.letters) == (left, kept, [])
    assert counts["update"] == 1


def test_if_neither_key_has_a_record_it_is_created(make: Make) -> None:
    """The event has the values of the new record."""
    world = make(topic=MOVE)
    assert world.run(changed("A", "B", name="two"), changed(None, "C"))["insert"] == 2
    assert world.accounts() == {"B": {"name": "two"}, "C": {}}


def test_a_batch_of_key_changes_keeps_the_order_of_each_record(make: Make) -> None:
    """A chain of keys, a key that is free again, and two records that exchange their keys through a third key."""
    world = make(topic=MOVE)
    world.run(created("A", name="a"), created("P", name="p"), created("Q", name="q"))
    before = ids(world)
    world.run(
        changed("A", "B", name="b"),
        changed("B", "C", name="c"),
        created("A", name="new"),
        changed("P", "T", name="p"),
        changed("Q", "P", name="q"),
        changed("T", "Q", name="p"),
        {"op": "d", "before": {"number": "C"}, "after": None, "source": {}},
    )
    assert world.accounts() == {"A": {"name": "new"}, "P": {"name": "q"}, "Q": {"name": "p"}}
    assert (ids(world)["P"], ids(world)["Q"]) == (before["Q"], before["P"])
    assert ids(world)["A"] != before["A"]


def test_a_key_that_the_service_compares_as_equal_is_not_a_changed_key(make: Make) -> None:
    """Case and trailing spaces do not change a key; strategy `full` writes the new spelling."""
    world = make(topic=MOVE)
    world.run(created("a", name="one"))
    before = ids(world)
    assert world.run(changed("a", "A ", name="one")).get("update") == 1
    assert ids(world) == {"A": before["a"]}


@pytest.mark.parametrize("behaviour", [{"changed": "ignore"}, {"changed": {"when": "source.name = 'never'"}}], ids=str)
def test_the_rule_for_changed_records_applies(make: Make, behaviour: dict[str, Any]) -> None:
    """A new key is a change of the record like any other change."""
    world = make(topic=MOVE, behaviour=behaviour)
    world.put(accountnumber="A", name="one")
    assert world.run(changed("A", "B", name="two"))["ignored"] == 1
    assert world.accounts() == {"A": {"name": "one"}}


def test_a_key_of_several_columns(make: Make) -> None:
    """One changed part is enough; an old key with an unknown part is not used."""
    world = make(topic=MOVE, behaviour={"sync_key": ["accountnumber", "address1_city"]})
    world.run(created("A", city="Bern", name="one"))
    old = {"number": "A", "city": "Bern"}
    world.run({**changed("A", "A", city="Rome", name="two"), "before": old})
    assert world.accounts() == {"A": {"name": "two", "city": "Rome"}}
    world.run({**changed("A", "Z", city="Rome", name="three"), "before": {"number": "A", "city": None}})
    assert set(world.accounts()) == {"A", "Z"}


@pytest.mark.parametrize("behaviour", [{}, {"strategy": "upsert"}, {"strategy": "delta"}], ids=str)
def test_delete_insert_creates_a_new_record(make: Make, behaviour: dict[str, Any]) -> None:
    """The old record is deleted before the new one is created, so that both can have the same unique value."""
    world = make(topic=DELETE_INSERT, behaviour=behaviour)
    world.run(created("A", name="one"))
    before = ids(world)
    world.run(changed("A", "B", name="two"), changed("B", "B", city="Bern"))
    assert world.accounts() == {"B": {"name": "two", "city": "Bern"}}
    assert (ids(world)["B"] != before["A"], world.letters) == (True, [])


def test_delete_insert_follows_the_rule_for_dropped_records(make: Make) -> None:
    """If the rule ignores dropped records, the old record stays."""
    world = make(topic=DELETE_INSERT, behaviour={"dropped": "ignore"})
    world.run(created("A", name="one"), changed("A", "B", name="two"))
    assert world.accounts() == {"A": {"name": "one"}, "B": {"name": "two"}}


def test_a_refused_change_of_a_key_is_a_dead_letter_and_a_replay_applies_it(make: Make) -> None:
    """The event waits in the dead letters; no part of it was applied."""
    world = make(topic=MOVE)
    world.run(created("A", name="one"))
    before = ids(world)
    world.run(changed("A", "B", name="x" * 161), changed("C", "D", name="fine"))
    assert (world.accounts(), len(world.letters)) == ({"A": {"name": "one"}, "D": {"name": "fine"}}, 1)
    world.emulator.faults(
        {"action": "refuse_rows", "times": 99, "match": {"path": "accounts", "filter": "name eq 'two'"}}
    )
    world.run(changed("A", "B", name="two"))
    world.emulator.clear_faults()
    assert ids(world)["A"] == before["A"]
    assert replay(world.letters[1:], world.listeners, world.tools).settled == 1
    assert (ids(world)["B"], len(world.letters)) == (before["A"], 1)


def test_the_image_before_a_dataverse_update_has_the_old_key(make: Make) -> None:
    """The image before the change has the old key, the target the new one."""
    world = make(
        topic={"format": "dataverse"},
        columns=[{"name": "accountnumber", "alias": "number"}, *COLUMNS[1:]],
        mappings=MAPPINGS,
    )
    world.put(accountnumber="A", name="one")
    world.run(context({"accountnumber": "B", "name": "two"}, {"accountnumber": "A"}))
    assert world.accounts() == {"B": {"name": "two"}}


def deleted(number: str) -> dict[str, Any]:
    return {"op": "d", "before": {"number": number}, "after": None, "source": {}}


BOTH = [MOVE, DELETE_INSERT]
STRATEGIES: list[dict[str, Any]] = [{}, {"strategy": "upsert"}, {"strategy": "delta"}]


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize("behaviour", STRATEGIES, ids=str)
@pytest.mark.parametrize("apart", [False, True], ids=["one batch", "two batches"])
@pytest.mark.parametrize("update_first", [True, False])
def test_an_update_and_a_change_of_the_key_take_effect_in_their_order(
    make: Make, topic: dict[str, str], behaviour: dict[str, Any], *, apart: bool, update_first: bool
) -> None:
    """In one batch or in two, the later event decides the values; the old key is free afterwards."""
    world = make(topic=topic, behaviour=behaviour)
    world.run(created("A", name="one", city="Bern"))
    moved = changed("A", "B", name="moved", city="Bern")
    if update_first:
        events = [changed("A", "A", name="updated", city="Bern"), moved]
    else:
        events = [moved, changed("B", "B", name="updated", city="Bern")]
    for batch in [[each] for each in events] if apart else [events]:
        world.run(*batch)
    expected = {"B": {"name": "moved" if update_first else "updated", "city": "Bern"}}
    assert (world.accounts(), world.letters) == (expected, [])


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize("behaviour", STRATEGIES, ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_two_records_whose_keys_change_in_one_batch_stay_separate(
    make: Make, topic: dict[str, str], behaviour: dict[str, Any], *, swapped: bool
) -> None:
    """One record gets the key that another has left, in the order of the events."""
    world = make(topic=topic, behaviour=behaviour)
    world.run(created("A", name="a"), created("B", name="b"))
    before = ids(world)
    batch = [changed("B", "C", name="b"), changed("A", "B", name="a")]
    if swapped:  # the record with the intermediate key is deleted before another record gets this key
        batch = [deleted("B"), changed("A", "B", name="a"), created("C", name="b")]
    world.run(*batch)
    assert (world.accounts(), world.letters) == ({"B": {"name": "a"}, "C": {"name": "b"}}, [])
    if topic is MOVE:
        assert ids(world)["B"] == before["A"]


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize("behaviour", STRATEGIES, ids=str)
@pytest.mark.parametrize("apart", [False, True], ids=["one batch", "two batches"])
def test_a_change_of_the_key_after_a_delete_creates_the_record(
    make: Make, topic: dict[str, str], behaviour: dict[str, Any], *, apart: bool
) -> None:
    """No record has the old key any more, and the event has the values of the new record."""
    world = make(topic=topic, behaviour=behaviour)
    world.run(created("A", name="one"))
    before = ids(world)["A"]
    events = [deleted("A"), changed("A", "B", name="two")]
    for batch in [[each] for each in events] if apart else [events]:
        world.run(*batch)
    assert (world.accounts(), world.letters) == ({"B": {"name": "two"}}, [])
    assert ids(world)["B"] != before


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize("behaviour", STRATEGIES, ids=str)
def test_a_delete_after_a_change_of_the_key_deletes_the_record(
    make: Make, topic: dict[str, str], behaviour: dict[str, Any]
) -> None:
    """It has the new key; the record with the old key must not be created again."""
    world = make(topic=topic, behaviour=behaviour)
    world.run(created("A", name="one"))
    world.run(changed("A", "B", name="two"), deleted("B"))
    assert (world.accounts(), world.letters) == ({}, [])


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("new.city = 'Rome'", True),
        ("new.city = 'Bern'", False),
        ("old.city = 'Bern'", True),
        ("old.city = 'Rome'", False),
        ("new.city = 'Bern' OR old.city = 'Bern'", True),
    ],
)
def test_a_filter_decides_about_the_event_and_not_about_its_images(
    make: Make, topic: dict[str, str], condition: str, *, taken: bool
) -> None:
    """If only one of the images passes the filter, both keys are changed or none is."""
    world = make(topic={**topic, "filter": condition})
    world.put(accountnumber="A", name="one", address1_city="Bern")
    event = {**changed("A", "B", name="two", city="Rome"), "before": {"number": "A", "city": "Bern"}}
    counts = world.run(event)
    assert counts.get("filtered", 0) == (not taken)
    left = {"B": {"name": "two", "city": "Rome"}} if taken else {"A": {"name": "one", "city": "Bern"}}
    assert (world.accounts(), world.letters) == (left, [])


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
@pytest.mark.parametrize("behaviour", STRATEGIES, ids=str)
def test_redelivered_batches_change_nothing(make: Make, topic: dict[str, str], behaviour: dict[str, Any]) -> None:
    """A whole batch or a part, in this process or another: a key that was free and is used again does not change."""
    world = make(topic=topic, behaviour=behaviour)
    batch = world.messages(
        created("A", name="one"),
        changed("A", "B", name="two"),
        created("A", name="other"),
        changed("B", "C", name="three"),
        deleted("A"),
    )
    world.deliver(batch)
    after = (world.accounts(), ids(world))
    assert after[0] == {"C": {"name": "three"}}
    for again in (batch, batch[1:], batch[:2]):
        world.tools = world.fresh_tools()
        world.deliver(again)
        assert ((world.accounts(), ids(world)), world.letters) == (after, [])


@pytest.mark.parametrize("topic", BOTH, ids=["move", "delete_insert"])
def test_an_older_change_of_the_key_is_stale(make: Make, topic: dict[str, str]) -> None:
    """A newer event of the new key or of the old one was applied before."""
    world = make(topic=topic)
    world.run(created("A", name="one"), first=1)
    world.run(changed("A", "A", name="newer"), first=9)
    world.run(changed("A", "B", name="older"), first=5)
    assert world.accounts()["A"] == {"name": "newer"}


def test_an_image_without_a_change_of_the_key_changes_no_key(make: Make) -> None:
    """The image before the change has the current key of the record, or no key."""
    world = make(
        topic={"format": "dataverse"},
        columns=[{"name": "accountnumber", "alias": "number"}, *COLUMNS[1:]],
        mappings=MAPPINGS,
    )
    world.put(accountnumber="A", name="one")
    before = ids(world)
    for image in ({"accountnumber": "A"}, {"name": "one"}, {}):
        world.run(context({"accountnumber": "A", "name": "two"}, image))
    assert (world.accounts(), ids(world)) == ({"A": {"name": "two"}}, before)


@pytest.mark.parametrize("key_change", ["move", "delete_insert"])
def test_dataverse_changes_keys_in_both_ways(make: Make, key_change: str) -> None:
    """With the image before the change, and with fields that only the image after the change has."""
    world = make(
        topic={"format": "dataverse", "key_change": key_change},
        columns=[{"name": "accountnumber", "alias": "number"}, *COLUMNS[1:]],
        mappings=MAPPINGS,
    )
    before = world.put(accountnumber="A", name="one")
    world.run(context({"accountnumber": "B"}, {"accountnumber": "A", "name": "one"}, {"name": "after"}))
    assert world.accounts() == {"B": {"name": "after"}}
    assert (ids(world)["B"] == before) == (key_change == "move")


def context(target: dict[str, Any], before: dict[str, Any], after: dict[str, Any] | None = None) -> dict[str, Any]:
    """An update as Dataverse sends it."""

    def entity(values: dict[str, Any]) -> dict[str, Any]:
        return {"Attributes": [{"key": key, "value": value} for key, value in values.items()], "LogicalName": "account"}

    return {
        "MessageName": "Update",
        "PrimaryEntityName": "account",
        "InputParameters": [{"key": "Target", "value": entity(target)}],
        "PreEntityImages": [{"key": "pre", "value": entity(before)}],
        "PostEntityImages": [{"key": "post", "value": entity(after or {})}],
    }
