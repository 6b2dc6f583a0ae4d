"""What the ledger of a sync says after an undo, where events have written records between the run and the undo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.cli.real_time import feed
from tests.acceptance.test_undo_ledger import KEPT, LIMITLESS, ROWS, fourth, ran, undone
from tests.acceptance.world import World, accounts, world


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("undo_after_events"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def define(here: World, **behaviour: Any) -> None:
    """A sync that listens; it writes the name unless that was edited."""
    definition = accounts(
        sync_behaviour={"safety": LIMITLESS, **behaviour}, listener={"name": "live", "topic": {"action": "$.op"}}
    )
    definition["destination"]["mappings"][1]["write"] = "unless_edited"
    here.define(definition)


def sent(here: World, op: str, **fields: str) -> None:
    """Apply one event of A4."""
    path = here.folder / "events.ndjson"
    path.write_text(json.dumps({"op": op, "number": "A4", **fields}) + "\n", "utf-8")
    assert feed(here.app, "accounts", str(path)).dead_letters == 0


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_record_of_others_that_an_event_has_written_is_not_own(here: World, times: int) -> None:
    """The run was the first to match it. It was not the sync's own before, so the next run does not delete it."""
    define(here, dropped="delete", dropped_scope="own")
    here.create("accounts", {"accountnumber": "A4", "name": "Name 4"})
    ran(here, KEPT)
    run = ran(here, ROWS)
    sent(here, "u", name="Of an event")
    for _ in range(times):
        run = undone(here, run.run_id)
    assert ran(here, KEPT).deleted.done == 0
    assert fourth(here)["accountid"]


def test_a_record_that_an_event_matches_after_the_undo_is_own_again(here: World) -> None:
    """As one that a later run matches."""
    define(here, dropped="delete", dropped_scope="own")
    here.create("accounts", {"accountnumber": "A4", "name": "Theirs"})
    ran(here, KEPT)
    undone(here, ran(here, ROWS).run_id)
    sent(here, "u", name="Name 4")
    assert (ran(here, KEPT).deleted.done, fourth(here)) == (1, {})


def test_a_mark_that_an_event_has_given_again_is_taken_away(here: World) -> None:
    """Whoever closes the record after the undo is somebody else, so it stays closed when the row is back."""
    define(here, dropped="deactivate", returned="reactivate")
    ran(here, ROWS)
    run = ran(here, KEPT)
    assert run.deactivated.done == 1
    sent(here, "u", city="Bern")
    sent(here, "d")
    assert fourth(here)["statecode"] == 1
    undone(here, run.run_id)
    assert fourth(here)["statecode"] == 0
    here.update("accounts(accountnumber='A4')", {"statecode": 1})
    assert ran(here, ROWS).reactivated.done == 0
    assert fourth(here)["statecode"] == 1


def test_a_value_that_an_event_has_written_before_the_undo_is_an_edit_afterwards(here: World) -> None:
    """The undo has written another value since."""
    define(here)
    ran(here, ROWS)
    run = ran(here, [*KEPT, {**ROWS[3], "name": "New"}])
    sent(here, "u", name="Of an event")
    sent(here, "u", name="New")
    undone(here, run.run_id)
    assert fourth(here)["name"] == "Name 4"
    here.update("accounts(accountnumber='A4')", {"name": "New"})
    done = ran(here, [*KEPT, {**ROWS[3], "name": "Newest"}])
    assert [error.error_type for error in done.errors] == ["Edited in target"]
    assert fourth(here)["name"] == "New"


def test_a_value_that_an_event_writes_during_the_undo_is_the_sync_s_own(here: World) -> None:
    """Nobody knows which of the two was the last one."""
    define(here)
    ran(here, ROWS)
    run = ran(here, [*KEPT, {**ROWS[3], "name": "New"}])
    with here.store_in_front() as store:
        events = iter(["Of an event"])

        def write(*_: object, **__: object) -> None:
            for name in events:  # the undo has written, and is about to note it
                sent(here, "u", name=name)

        store.after["swap_ledger"] = lambda *_, **__: store.before.update(ledger=write)
        undone(here, run.run_id)
    assert fourth(here)["name"] == "Of an event"
    assert ran(here, ROWS).updated.done == 1
    assert fourth(here)["name"] == "Name 4"
