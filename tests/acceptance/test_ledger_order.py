"""Files of a ledger that are written anew: what an event has noted stays later than what a run noted before.

And a plan that reads them meanwhile finds all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.app import App
from shared.app.histories import erase
from shared.app.undoing import undo
from shared.cli.real_time import feed
from shared.jobs import NoProgress, Phase, RunOptions, RunSummary
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": f"R{number}", "name": "Name", "city": "Ulm", "revenue": "1"} for number in (1, 2, 3)]
MOST_PARTS = 8  # with one more they are written anew


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ledger_order"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    """A sync that has created R1 and R2, then marked R2, and then found R3 as it is."""
    shared_world.emulator.reset()
    shared_world.forget()
    behaviour: dict[str, Any] = {"dropped": "deactivate", "returned": "reactivate"}
    behaviour["safety"] = {"max_delete": "100%", "max_update": "100%"}
    definition = accounts(sync_behaviour=behaviour, listener={"name": "live", "topic": {"action": "$.op"}})
    definition["destination"]["mappings"][2]["write"] = "unless_edited"
    shared_world.define(definition)
    shared_world.csv(ROWS[:2])
    shared_world.run()
    shared_world.csv(ROWS[:1])
    assert shared_world.run().deactivated.done == 1
    shared_world.create("accounts", {"accountnumber": "R3", "name": "Name", "address1_city": "Ulm", "revenue": 1})
    shared_world.csv([ROWS[0], ROWS[2]])
    assert shared_world.run().unchanged == 2
    return shared_world


class Meanwhile(NoProgress):
    """Does something once, before the first write of a run."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._acts = [act]

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins."""
        if phase is Phase.WRITE and self._acts:
            self._acts.pop()()


def parts(here: World) -> int:
    head = here.app.state.ledger("accounts")
    return len(head.parts) if head else 0


def changed(here: World, city: str, progress: NoProgress | None = None) -> RunSummary:
    """A run that changes R1 alone."""
    here.csv([{**ROWS[0], "city": city}, ROWS[2]])
    done = here.run(progress=progress or NoProgress())
    assert done.updated.done == 1
    return done


def filled(here: World) -> RunSummary:
    """Let runs change R1 until the second note of the next run or undo writes the files of the ledger anew."""
    done = changed(here, "first")
    while parts(here) < MOST_PARTS - 1:
        done = changed(here, f"at {parts(here)}")
    assert parts(here) == MOST_PARTS - 1
    return done


def reactivated(here: World) -> None:
    """An event brings the row of R2 back."""
    path = here.folder / "events.ndjson"
    path.write_text(json.dumps({"op": "u", **ROWS[1], "revenue": None}) + "\n", "utf-8")
    assert feed(here.app, "accounts", str(path)).syncs["accounts"]["reactivate"] == 1


def stays_closed(here: World) -> bool:
    """A person closes R2, whose row is there again for the next run."""
    here.update("accounts(accountnumber='R2')", {"statecode": 1})
    here.csv(ROWS)
    return here.run().reactivated.done == 0


def test_an_erase_of_another_record_keeps_the_order(here: World) -> None:
    """The parts with its values get other names."""
    changed(here, "Bern")
    reactivated(here)
    assert erase(here.app, ["R1"], NoProgress(), sync=None, apply=True).ledgers
    assert stays_closed(here)


def test_an_undo_of_another_record_keeps_the_order(here: World) -> None:
    run = filled(here)
    reactivated(here)
    record = here.app.state.run(run.run_id)
    assert record
    undo(here.app, record, RunOptions(trigger="undo"), NoProgress())
    here.app.state.resume("accounts")
    assert parts(here) < MOST_PARTS
    assert stays_closed(here)


@pytest.mark.parametrize("before", ["few", "many"])
def test_a_run_that_writes_the_files_anew_keeps_the_order(here: World, before: str) -> None:
    """Its last note does, after an event of another record; with few files nothing is written anew."""
    if before == "many":
        filled(here)
    changed(here, "last", Meanwhile(lambda: reactivated(here)))
    assert (parts(here) < MOST_PARTS - 1) is (before == "many")
    assert stays_closed(here)


def test_a_plan_beside_a_run_that_writes_the_files_anew_has_the_ledger(here: World) -> None:
    """It has no lease. The files that it does not find any more are no lost ledger: R2 is to be reactivated."""
    filled(here)
    behind, left = here.app.state, ["run"]

    def run_beside(*_: object) -> None:
        if left:
            left.clear()
            settings, environment = here.app.settings, here.environment
            beside = App(settings, read_environment=lambda: environment, state=behind)
            here.csv([{**ROWS[0], "city": "beside"}, ROWS[2]])
            assert beside.run("accounts").updated.done == 1
            here.csv(ROWS)

    here.csv(ROWS)
    with here.store_in_front(ledger_part=run_beside):
        planned = here.plan()
    assert (left, parts(here) < MOST_PARTS - 1) == ([], True)
    assert planned.plan.counts.reactivate == 1
    assert not any("ledger" in note for note in planned.notes)
