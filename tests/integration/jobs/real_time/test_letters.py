"""The store keeps every dead letter, whatever its event contains, and one dead letter blocks no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared.errors import AbortRun, RetryLater
from shared.jobs.real_time.events import replay
from shared.state import DeadLetter
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World
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
