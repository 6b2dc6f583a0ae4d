"""What the ledger of a sync says after an undo, and after the undo of an undo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.app.undoing import undo
from shared.jobs import NoProgress, RunOptions, RunSummary
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": f"A{n}", "name": f"Name {n}", "city": "Ulm", "revenue": "1.5"} for n in range(1, 5)]
KEPT = ROWS[:3]
LIMITLESS = {"max_delete": "100%", "max_update": "100%"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("undo_ledger"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def define(here: World, **behaviour: Any) -> None:
    here.define(accounts(sync_behaviour={"safety": LIMITLESS, **behaviour}))


def ran(here: World, rows: list[dict[str, Any]]) -> RunSummary:
    here.csv(rows)
    return here.run()


def undone(here: World, run_id: str) -> RunSummary:
    run = here.app.state.run(run_id)
    assert run is not None
    done = undo(here.app, run, RunOptions(trigger="undo"), NoProgress())
    here.app.state.resume(run.sync)
    return done


def undone_times(here: World, run_id: str, times: int) -> RunSummary:
    """Undo a run, then the undo, and so on."""
    for _ in range(times):
        done = undone(here, run_id)
        assert (done.state, done.updated.done + done.created.done + done.deleted.done) == ("Succeeded", 1)
        run_id = done.run_id
    return done


def fourth(here: World) -> dict[str, Any]:
    """The record A4; empty where there is none."""
    columns = "accountid,name,statecode,lastusedincampaign,description"
    return next(iter(here.records(f"accounts?$select={columns}&$filter=accountnumber eq 'A4'")), {})


RULES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "deactivate": ({"dropped": "deactivate", "returned": "reactivate", "dropped_scope": "own"}, "statecode", 0),
    "expire": ({"dropped": {"expire": "lastusedincampaign"}, "returned": "reactivate"}, "lastusedincampaign", None),
    "set": (
        {"dropped": {"set": {"description": "'gone'"}}, "returned": {"set": {"description": "null"}}},
        "description",
        None,
    ),
}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("times", [2, 4])
def test_a_mark_that_was_given_again_is_one_of_the_sync(here: World, kind: str, times: int) -> None:
    """Its undo was undone: when the row comes back, the record is reactivated."""
    rules, column, without = RULES[kind]
    define(here, **rules)
    ran(here, ROWS)
    run = ran(here, KEPT).run_id
    undone_times(here, run, times)
    assert fourth(here)[column] != without
    assert ran(here, ROWS).reactivated.done == 1
    assert fourth(here)[column] == without


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("times", [2, 3])
def test_the_undo_of_a_reactivation_can_be_undone(here: World, kind: str, times: int) -> None:
    """After two undos the mark is gone, and whoever marks the record then is somebody else; after three it is back."""
    rules, column, without = RULES[kind]
    define(here, **rules)
    ran(here, ROWS)
    ran(here, KEPT)
    marked = fourth(here)[column]
    undone_times(here, ran(here, ROWS).run_id, times)
    is_marked = times % 2 == 1
    assert fourth(here)[column] == (marked if is_marked else without)
    if not is_marked:
        here.update("accounts(accountnumber='A4')", {column: marked})
    assert ran(here, ROWS).reactivated.done == int(is_marked)
