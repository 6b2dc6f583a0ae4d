"""The store keeps every dead letter, whatever its event contains, and one dead letter blocks no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.app.editing.renaming import renaming
from shared.definitions import SyncDefinition
from shared.errors import AbortRun, RetryLater, UserError
from shared.events import Event
from shared.jobs.real_time.events import EventSync, Listeners, replay, replay_edited, run_events
from shared.state import INCOMPLETE, DeadLetter
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import COLUMNS, MAPPINGS, World
from tests.store_in_front import failing

MATCHING = {"action": "$.op", "match": {"$..type": '["customer"]'}}


def refusing(world: World, refuses: Callable[[DeadLetter], bool]) -> None:
    """Make the store refuse some dead letters permanently, and the whole call with them, as a table service does."""

    def picky(letters: Sequence[DeadLetter]) -> None:
        if any(map(refuses, letters)):
            raise AbortRun("the store refused a request (413)")

    world.state.before["add_dead_letters"] = picky


def test_a_letter_that_the_store_refuses_is_kept_without_its_properties(make: Make) -> None:
    """Its body is complete, it says what is missing, and the other dead letters of the call are complete."""
    world = make()
    refusing(world, lambda letter: len(str(letter.properties)) > 1_000)
    big = world.messages(b"poison one", properties={"p": "é" * 200_000})
    small = world.messages(b"poison two", {"op": "c", "number": "A"}, properties={"p": "x"})
    world.deliver([*big, *small])
    one, two = world.letters
    assert (one.body, one.properties) == (b"poison one", {})
    assert "kept without its properties" in one.message
    assert (two.body, two.properties, "kept without" in two.message) == (b"poison two", {"p": "x"}, False)
    assert set(world.accounts()) == {"A"}


def test_a_body_that_the_store_refuses_is_truncated(make: Make) -> None:
    """The rest is enough to recognise the event, and the dead letter says that it is truncated."""
    world = make()
    refusing(world, lambda letter: len(letter.body) > 50_000)
    world.run(b"x" * 100_000, {"op": "c", "number": "A"})
    (letter,) = world.letters
    assert letter.body == b"x" * 16_384
    assert "most of its body" in letter.message
    assert set(world.accounts()) == {"A"}


@pytest.mark.parametrize("error", [AbortRun("no role"), RetryLater("away", retry_after=5)])
def test_if_the_store_refuses_everything_the_host_gets_an_error(make: Make, error: Exception) -> None:
    """The host must redeliver an event that could not be stored."""
    world = make()
    with world.state.acting(add_dead_letters=failing(error)), pytest.raises(type(error)):
        world.run(b"poison", {"op": "c", "number": "A"}, first=0)
    world.run(b"poison", {"op": "c", "number": "A"}, first=0)
    assert (world.reasons, set(world.accounts())) == ({0: "Undecodable"}, {"A"})


def test_a_poison_message_in_match_does_not_affect_other_events(make: Make) -> None:
    """An event that is nested too deeply for a path is undecodable, and no exception is raised."""
    world = make(topic=MATCHING)
    deep = b'{"x":' + b"[" * 101 + b"]" * 101 + b"}"
    world.run(deep, {"op": "c", "number": "A", "type": "customer"}, {"op": "c", "number": "B", "type": "other"})
    assert (set(world.accounts()), world.reasons) == ({"A"}, {0: "Undecodable"})


def test_a_listener_whose_match_fails_gets_its_event_by_a_replay(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of this program in one `match` loses no event, and other listeners continue."""
    world = make(topic=MATCHING)

    def broken(*_: Any) -> None:
        raise KeyError("x")

    batch = world.messages({"op": "c", "number": "A", "type": "customer"})
    with monkeypatch.context() as patched:
        patched.setattr("shared.jobs.real_time.listeners.claim", broken)
        world.deliver(batch)
        assert (world.reasons, world.accounts()) == ({0: "Unforeseen"}, {})
        assert replay(world.letters, world.listeners, world.tools).kept == 1
    assert replay(world.letters, world.listeners, world.tools).settled == 1
    assert set(world.accounts()) == {"A"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"NaN", "revenue: NaN is not a JSON number"),
        (b"1e300000000", "revenue: the number"),
        (b'"\\ud83d"', "surrogate"),
    ],
)
def test_a_bad_field_rejects_the_event_only_if_the_definition_reads_it(make: Make, bad: bytes, says: str) -> None:
    """The dead letter names the field; the value of an unused field does not matter."""
    world = make()
    unread = b'{"op": "c", "number": "A", "other": ' + bad + b"}"
    world.run(unread, b'{"op": "c", "number": "B", "revenue": ' + bad + b"}")
    (letter,) = world.letters
    assert (letter.sequence, letter.error, says in letter.message) == (1, "Undecodable", True)
    assert set(world.accounts()) == {"A"}


def test_a_filter_that_reads_a_bad_value_reports_it(make: Make) -> None:
    """The event is a dead letter; other events are filtered as usual."""
    world = make(topic={"action": "$.op", "filter": "new.size > 1"})
    world.run(
        b'{"op": "c", "number": "A", "size": 1e999999}',
        {"op": "c", "number": "B", "size": 2},
        {"op": "c", "number": "C", "size": 0},
    )
    assert set(world.accounts()) == {"B"}
    assert "filter or message key uses a value" in world.letters[0].message


TOO_LONG = "x" * 161


def sent_with(world: World, letter: DeadLetter, body: object) -> str | None:
    """Send a letter with another body; returns the kind of error for which it was refused."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused = replay_edited(letter, data, world.listeners, world.tools)
    return refused.error if refused else None


@pytest.mark.parametrize("body", [b"{not json", b'{"op": 5}', {"op": "c", "number": "A", "name": TOO_LONG}])
def test_another_body_that_is_refused_replaces_nothing(make: Make, body: object) -> None:
    """The letter may be the only copy of the event: it stays as it came, and another correction applies it."""
    world = make()
    world.run({"op": "c", "number": "A", "name": TOO_LONG})
    (letter,) = world.letters
    assert sent_with(world, letter, body)
    assert (world.letters, world.accounts()) == ([letter], {})
    assert sent_with(world, letter, {"op": "c", "number": "A", "name": "one"}) is None
    assert (world.letters, world.accounts()) == ([], {"A": {"name": "one"}})


def test_one_of_several_events_that_is_refused_keeps_the_letter_as_it_came(make: Make) -> None:
    """Also where the letter is one event of its message. What was applied is applied once."""
    world = make(topic={"records": "$.rows"})
    world.run(b'{"rows": [', {"rows": [{"number": "A"}, {"number": "B", "revenue": "much"}]})
    whole, item = world.letters
    rows = [{"number": "C", "name": "one"}, {"number": "D", "name": TOO_LONG}]
    assert sent_with(world, whole, {"rows": rows})
    assert sent_with(world, item, {"rows": [{"number": "A"}]}) == "Undecodable"
    assert sent_with(world, item, b"{") == "Undecodable"
    assert world.letters == [whole, item]
    rows[1]["name"] = "two"
    assert sent_with(world, whole, {"rows": rows}) is None
    assert sent_with(world, item, {"rows": [{"number": "A"}, {"number": "B"}]}) is None
    assert (world.letters, set(world.accounts())) == ([], {"A", "B", "C", "D"})


def test_another_body_of_an_unclaimed_letter_is_no_letter_of_the_sync_that_refuses_it(make: Make) -> None:
    """The event stays where it is, as it came; one that is taken and applied is removed."""
    world = make()
    sync = world.syncs.pop()
    world.deliver(world.messages({"op": "c", "number": "A", "name": TOO_LONG}))
    (letter,) = world.letters
    assert sent_with(world, letter, {"op": "c", "number": "A"}) == "Unclaimed"
    world.syncs.append(sync)
    assert sent_with(world, letter, b"{not json") == "Undecodable"
    assert sent_with(world, letter, {"op": "c", "number": "A", "name": TOO_LONG, "more": 1})
    assert world.letters == [letter]
    assert sent_with(world, letter, {"op": "c", "number": "A", "name": "one"}) is None
    assert (world.letters, world.accounts()) == ([], {"A": {"name": "one"}})


@pytest.mark.parametrize("listening", [1, 0])
def test_another_body_without_an_event_is_refused(make: Make, listening: int) -> None:
    """It would change nothing, and the letter would be gone as if it were applied."""
    world = make(topic={"records": "$.rows"})
    syncs = world.syncs[:]
    del world.syncs[listening:]
    world.deliver(world.messages({"rows": [{"number": "A", "name": TOO_LONG}]}))
    world.syncs[:] = syncs
    (letter,) = world.letters
    with pytest.raises(UserError, match="has no event"):
        sent_with(world, letter, {"rows": []})
    assert world.letters == [letter]


def test_another_body_whose_sync_does_not_listen_any_more_is_refused(make: Make) -> None:
    """The letter stays."""
    world = make()
    world.run({"op": "c", "number": "A", "name": TOO_LONG})
    (letter,) = world.letters
    world.syncs.clear()
    assert sent_with(world, letter, {"op": "c", "number": "A"}) == "Unclaimed"
    assert world.letters == [letter]


def test_a_replay_after_the_sync_got_another_name_keeps_what_a_newer_event_wrote(make: Make) -> None:
    """The positions of its events go with the name, as its dead letters do."""
    world = make()
    world.run({"op": "u", "number": "A", "name": "old", "revenue": "x"}, {"op": "u", "number": "A", "name": "new"})
    (letter,) = world.letters
    world.columns, world.mappings = world.columns[:2], world.mappings[:2]  # the revenue is not read any more
    with renaming(world.state, "customers", "clients"):
        world.syncs[:] = [EventSync(definition=world.define("clients"))]
    assert [each.sync for each in world.letters] == ["clients"]
    assert replay(world.letters, world.listeners, world.tools).settled == 1
    assert (world.accounts(), world.letters) == ({"A": {"name": "new"}}, []), letter.message


def cities(world: World, **topic: Any) -> EventSync:
    """A second sync, which writes the name as the city."""
    described = world.define("cities", **topic).model_dump(mode="json", by_alias=True, exclude_unset=True)
    described["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "address1_city"},
    ]
    return EventSync(definition=SyncDefinition.model_validate(described))


def unread(world: World) -> Listeners:
    """The listeners while the file of another one cannot be read."""
    return Listeners(syncs=tuple(world.syncs), complete=False)


def test_while_a_definition_cannot_be_read_an_event_that_another_sync_takes_is_kept_for_it(make: Make) -> None:
    """A replay gives it to the listener that could not be read, and to no other: to those that took it it is old."""
    world = make()
    for partition, name in enumerate(("one", "two")):  # so no position says which of them is newer
        event = world.messages({"op": "u", "number": "A", "name": name}, first=0, partition=str(partition))
        run_events(event, unread(world), world.tools)
    first, second = world.letters
    assert (first.sync, first.error, "file cannot be read" in first.message) == ("", "Unclaimed", True)
    world.syncs.append(cities(world))
    assert replay([first], world.listeners, world.tools).settled == 1
    assert (world.accounts(), world.letters) == ({"A": {"name": "two", "city": "one"}}, [second])
    assert replay([second], world.listeners, world.tools).settled == 1
    assert (world.accounts(), world.letters) == ({"A": {"name": "two", "city": "two"}}, [])


def test_a_letter_of_a_sync_that_is_called_unclaimed_replaces_none_that_no_listener_took(make: Make) -> None:
    """Both are kept: the one of the sync, and the one for the listener that could not be asked."""
    world = make()
    world.syncs[:] = [EventSync(definition=world.define("unclaimed"))]
    run_events(world.messages({"op": "u", "number": "A", "revenue": "x"}), unread(world), world.tools)
    assert sorted(letter.sync for letter in world.letters) == ["", "unclaimed"]


def test_an_event_that_still_cannot_be_given_to_all_is_given_to_each_once(make: Make) -> None:
    """The letter stays while a definition cannot be read, and knows who took it in the meantime."""
    world = make()
    run_events(world.messages({"op": "u", "number": "A", "name": "one"}), unread(world), world.tools)
    world.syncs.append(cities(world))
    assert replay(world.letters, unread(world), world.tools).kept == 1
    world.run({"op": "u", "number": "A", "name": "two"}, first=0, partition="1")
    assert replay(world.letters, world.listeners, world.tools).settled == 1
    assert (world.accounts(), world.letters) == ({"A": {"name": "two", "city": "two"}}, [])


def test_an_event_whose_takers_all_had_it_is_removed_by_a_replay(make: Make) -> None:
    """The definition that could not be read does not want it. An event that nobody took stays."""
    world = make(topic=MATCHING)
    run_events(
        world.messages({"op": "c", "number": "A", "type": "customer"}, {"number": "B"}), unread(world), world.tools
    )
    assert [letter.sequence for letter in world.letters] == [0, 1]
    assert replay(world.letters, world.listeners, world.tools).settled == 1
    assert [letter.sequence for letter in world.letters] == [1]


def test_another_body_for_listeners_that_had_the_event_is_refused(make: Make) -> None:
    """It would change nothing, and the letter would be gone as if it were applied."""
    world = make()
    run_events(world.messages({"op": "u", "number": "A", "name": "one"}), unread(world), world.tools)
    (letter,) = world.letters
    with pytest.raises(UserError, match="no other listener than those that took the event"):
        sent_with(world, letter, {"op": "u", "number": "A", "name": "two"})
    assert world.letters == [letter]


def test_an_event_is_kept_for_a_listener_whose_schema_cannot_be_read(make: Make, tmp_path: Path) -> None:
    """Its `match` cannot be asked, even if another listener takes the event."""
    world = make()
    missing = str(tmp_path / "customer.avsc")
    world.syncs.append(cities(world, format="avro", schema=missing, match={"number": "A"}))
    world.run({"op": "u", "number": "A", "name": "one"})
    (letter,) = world.letters
    assert (letter.sync, letter.error, "customer.avsc does not exist" in letter.message) == ("", "Undecodable", True)


@pytest.mark.parametrize("sync", ["customers", ""])
def test_a_letter_of_which_a_part_is_lost_stays(make: Make, sync: str) -> None:
    """What is left of it is not the event, so it is not sent again and counts as refused; others are applied."""
    world = make()
    taken = world.syncs.pop()
    world.run({"op": "c", "number": "A"}, {"op": "c", "number": "B"})
    world.syncs.append(taken)
    lost = replace(world.letters[0], sync=sync, body=b"", error=INCOMPLETE)
    world.state.add_dead_letters([lost])
    outcome = replay(world.letters, world.listeners, world.tools)
    assert (outcome.settled, outcome.kept) == (1, 1)
    assert (world.letters, set(world.accounts())) == ([lost], {"B"})


ROWS = [{"number": number, "revenue": "much" if number in "ACD" else "1"} for number in "ABCD"]
LENIENT = [*COLUMNS[:2], {"name": "revenue", "type": "number"}, COLUMNS[3]]


def items(world: World) -> list[tuple[int | None, str, int]]:
    """Of each letter its event in the message, its error and its tries."""
    return [(letter.system["item"], letter.error, letter.tries) for letter in world.letters]


def undecoded(*_: Any) -> list[Event]:
    """A fault of this program."""
    raise KeyError("x")


def changed(world: World, **sections: Any) -> EventSync:
    """The sync of a world with another definition."""
    other = World(emulator=world.emulator, folder=world.folder, topic={"records": "$.rows"}, **sections)
    other.state.close()
    return EventSync(definition=other.definition)


@pytest.mark.parametrize("error", ["Definition", "Unforeseen"])
def test_a_replay_that_fails_as_a_whole_keeps_the_letters_of_its_events(make: Make, error: str) -> None:
    """An event whose letter a person has removed is not applied afterwards, and the tries are counted."""
    world = make(topic={"records": "$.rows"})
    world.run({"rows": ROWS})
    first, *others = world.letters
    world.state.remove_dead_letters([first.id])
    tools = world.tools
    if error == "Definition":
        world.syncs = [changed(world, mappings=[*MAPPINGS, {"value": "1", "target": "nope"}])]
    else:
        tools = replace(tools, decode=undecoded)
    outcome = replay(others, world.listeners, tools)
    assert (outcome.settled, outcome.kept, items(world)) == (0, 2, [(2, error, 2), (3, error, 2)])
    assert [letter.id for letter in world.letters] == [letter.id for letter in others]
    world.syncs = [changed(world, columns=LENIENT)]
    outcome = replay(world.letters, world.listeners, world.tools)
    assert (outcome.settled, outcome.kept, world.letters) == (2, 0, [])
    assert set(world.accounts()) == {"B", "C", "D"}


def test_a_letter_of_a_whole_message_counts_once_however_many_of_its_events_are_refused(make: Make) -> None:
    """Then each of these events has a letter, which goes on counting the tries."""
    world = make(topic={"records": "$.rows"})
    good = world.syncs
    world.syncs = [changed(world, mappings=[*MAPPINGS, {"value": "1", "target": "nope"}])]
    world.run({"rows": ROWS})
    world.run({"rows": ROWS[1:2]})
    assert items(world) == [(None, "Definition", 1)] * 2
    world.syncs = good
    outcome = replay(world.letters, world.listeners, world.tools)
    assert (outcome.settled, outcome.kept) == (1, 1)
    assert [(item, tries) for item, _, tries in items(world)] == [(0, 2), (2, 2), (3, 2)]
    assert set(world.accounts()) == {"B"}
