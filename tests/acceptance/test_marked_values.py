"""Marks in columns that rows fill too, with `write: unless_edited`: what the sync marks is not an edit of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.cli.real_time import feed
from tests.acceptance.test_remembering import without_last_note
from tests.acceptance.test_undo_ledger import undone
from tests.acceptance.world import World, accounts, world

VALUES = {"address1_city": "Rome", "statecode": 0, "statuscode": 1, "new_expiredon": ""}
MARKS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "a text": (
        "address1_city",
        {"set": {"address1_city": "'gone from ' || target.name"}},
        {"address1_city": "gone from a"},
    ),
    "nothing": ("address1_city", {"set": {"address1_city": "null"}}, {"address1_city": None}),
    "the state": ("statecode", "deactivate", {"statecode": 1, "statuscode": 2}),
    "the status": ("statuscode", {"set": {"statuscode": "2"}}, {"statecode": 1, "statuscode": 2}),
    "a day": ("new_expiredon", {"expire": "new_expiredon"}, {}),
}
EACH_MARK = pytest.mark.parametrize("mark", MARKS)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("marked_values"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def define(here: World, mark: str) -> None:
    """A sync of accounts; the column that the mark sets is filled by the rows, unless it was edited."""
    column, dropped, _ = MARKS[mark]
    definition = accounts(sync_behaviour={"dropped": dropped, "safety": {"max_delete": "100%", "max_update": "100%"}})
    definition["listener"] = {"name": "live", "topic": {"action": "$.op"}}
    definition["source"]["columns"] = [{"name": name} for name in ("number", "name", "value")]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"source": "value", "target": column, "write": "unless_edited"},
    ]
    here.define(definition)


def rows(mark: str) -> list[dict[str, object]]:
    return [{"number": number, "name": "a", "value": VALUES[MARKS[mark][0]]} for number in ("1", "2")]


def begun(here: World, mark: str) -> tuple[list[dict[str, object]], dict[str, Any]]:
    """Both records are written, and the row of the first one is gone: both rows, and what the first record holds."""
    define(here, mark)
    both = rows(mark)
    here.csv(both)
    here.run()
    here.csv(both[1:])
    return both, held(here)


def sent(here: World, op: str, row: dict[str, object]) -> None:
    path = here.folder / "events.ndjson"
    path.write_text(json.dumps({"op": op, **row}) + "\n", "utf-8")
    assert feed(here.app, "accounts", str(path)).dead_letters == 0


def held(here: World) -> dict[str, Any]:
    """The values of the record 1."""
    (record,) = here.records(f"accounts?$select={','.join(VALUES)}&$filter=accountnumber eq '1'")
    return {name: record[name] for name in VALUES}


@EACH_MARK
@pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
def test_a_row_that_is_back_writes_over_the_mark(here: World, mark: str, *, events: bool) -> None:
    both, before = begun(here, mark)
    if events:
        sent(here, "delete", both[0])
    else:
        here.run()
    assert held(here) != before
    assert held(here).items() >= MARKS[mark][2].items()

    here.csv(both)
    if events:
        sent(here, "update", both[0])
    done = here.run()

    assert (done.updated.planned, done.errors) == (0 if events else 1, ())
    assert held(here) == before
    assert here.run().updated.planned == 0


@EACH_MARK
def test_a_mark_counts_as_written_although_its_run_died(here: World, mark: str) -> None:
    """The record is marked, and the run could not note it."""
    both, before = begun(here, mark)
    with without_last_note(here):
        here.run()
    assert held(here) != before

    here.csv(both)
    here.run()

    assert held(here) == before


@pytest.mark.parametrize(
    ("mark", "edited"), [("a text", {"address1_city": "Oslo"}), ("a day", {"new_expiredon": "2020-02-02T00:00:00Z"})]
)
def test_what_a_person_enters_in_place_of_a_mark_stays(here: World, mark: str, edited: dict[str, str]) -> None:
    """It is reported as edited."""
    both, _ = begun(here, mark)
    here.run()
    (record,) = here.records("accounts?$select=accountid&$filter=accountnumber eq '1'")
    here.update(f"accounts({record['accountid']})", edited)

    here.csv(both)
    done = here.run()

    assert held(here).items() >= edited.items()
    assert [error.error_type for error in done.errors] == ["Edited in target"]


@EACH_MARK
def test_an_undo_takes_the_mark_away_and_the_row_is_written_afterwards(here: World, mark: str) -> None:
    both, before = begun(here, mark)

    assert undone(here, here.run().run_id).state == "Succeeded"

    assert held(here) == before
    here.csv(both)
    assert (here.run().errors, held(here)) == ((), before)
