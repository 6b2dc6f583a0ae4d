"""What the action that closes an opportunity overwrites: the record holds afterwards what the rules of the sync say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.app.undoing import undo
from shared.cli.real_time import feed
from shared.jobs import NoProgress, RunOptions, RunState
from tests.acceptance.world import World, world

DEFINITION: Final = Path(__file__).parent / "definitions" / "opportunities.yaml"
SCHEMA: Final = {
    "Opportunity": {"keys": {"new_number_key": ["new_number"]}, "columns": {"new_Number": {"type": "String"}}}
}
ROW: Final = {"number": "D1", "name": "a", "stage": "In Progress", "closed": "2024-01-01", "amount": 10}
OPEN, WON, LOST = (0, 1), (1, 3), (2, 5)
OWN, EDITED = ("2024-01-01", 10), ("2023-03-03", 77)
CARRIED: Final = ("actualclosedate", "actualvalue")
Held = tuple[Any, ...]
BOTH_WAYS = pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("closing")
    with world(folder, tables=SCHEMA, in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def define(here: World, rule: Mapping[str, str], **behaviour: Any) -> None:
    """The sync, with a rule for the two columns that the action overwrites."""
    document = yaml.safe_load(DEFINITION.read_text("utf-8"))
    for mapping in document["destination"]["mappings"]:
        if mapping["target"] in CARRIED:
            del mapping["on_null"]
            mapping.update(rule)
    document["sync_behaviour"] |= behaviour
    here.define(document, "opportunities")


def apply(here: World, *rows: Mapping[str, Any], events: bool = False) -> None:
    """Write rows in a run, or as one batch of events."""
    if not events:
        here.csv(rows)
        assert here.run("opportunities").failed == 0
        return
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **row}) + "\n" for row in rows), "utf-8")
    assert "failed" not in feed(here.app, "opportunities", str(path)).syncs["opportunities"]


def record(here: World) -> dict[str, Any]:
    (found,) = here.records("opportunities")
    return found


def held(here: World) -> Held:
    """State and status, and the date and the revenue."""
    found = record(here)
    return (found["statecode"], found["statuscode"]), tuple(found[name] for name in CARRIED)


def edit(here: World, **values: Any) -> None:
    """Change the opportunity as a person does."""
    here.update(f"opportunities({record(here)['opportunityid']})", values)


def planned(here: World, row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that the plan of a row shows, with the values that they will have."""
    here.csv([row])
    return {each.column: each.after for one in here.plan("opportunities").sample for each in one.columns}


def set_back(here: World, run_id: str) -> None:
    run = here.app.state.run(run_id)
    assert run is not None
    done = undo(here.app, run, RunOptions(trigger="undo"), NoProgress())
    assert (done.state, done.failed) == (RunState.SUCCEEDED, 0)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("write", "kept"), [("always", OWN), ("if_empty", EDITED), ("on_insert", EDITED), ("unless_edited", EDITED)]
)
def test_a_value_that_a_person_has_edited_is_kept_as_its_rule_says(
    here: World, write: str, kept: Held, *, events: bool
) -> None:
    """The plan shows what the run does: these columns only where they change."""
    define(here, {"write": write})
    apply(here, ROW, events=events)
    edit(here, **dict(zip(CARRIED, EDITED, strict=True)))
    won = {**ROW, "stage": "Won"}
    shown = planned(here, won)
    assert shown == {"statuscode": 3, "statecode": 1} | (dict(zip(CARRIED, OWN, strict=True)) if kept == OWN else {})
    apply(here, won, events=events)
    assert held(here) == (WON, kept)
    assert planned(here, won) == {}


@BOTH_WAYS
@pytest.mark.parametrize(
    ("write", "kept"), [("if_empty", OWN), ("on_insert", OWN), ("unless_edited", ("2025-05-05", 99))]
)
def test_another_value_in_the_source_is_written_only_where_the_rule_writes_it(
    here: World, write: str, kept: Held, *, events: bool
) -> None:
    """What the sync wrote last counts as not edited, also after the close."""
    define(here, {"write": write})
    apply(here, ROW, events=events)
    won = {**ROW, "stage": "Won", "closed": "2025-05-05", "amount": 99}
    apply(here, won, events=events)
    assert held(here) == (WON, kept)
    assert planned(here, won) == {}
    again = {**won, "closed": "2026-06-06", "amount": 5}
    apply(here, again, events=events)
    assert held(here) == (WON, ("2026-06-06", 5) if write == "unless_edited" else kept)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ({"on_null": "keep"}, {"closed": None, "amount": None}),
        ({"on_null": "clear"}, {"closed": "no date", "amount": "no number"}),
    ],
    ids=["keep", "unreadable"],
)
def test_a_row_without_a_value_keeps_that_of_the_record(
    here: World, rule: Mapping[str, str], row: Mapping[str, Any], *, events: bool
) -> None:
    """Neither today's date nor the estimated revenue takes its place."""
    define(here, rule)
    apply(here, {**ROW}, events=events)
    edit(here, estimatedvalue=500)
    apply(here, {**ROW, "stage": "Won", **row}, events=events)
    assert held(here) == (WON, OWN)


def test_an_event_with_the_status_alone_keeps_the_values_of_the_record(here: World) -> None:
    """Won, and then lost: the record is open in between."""
    define(here, {})
    apply(here, ROW)
    edit(here, estimatedvalue=500)
    apply(here, {"number": "D1", "stage": "Won"}, events=True)
    assert held(here) == (WON, OWN)
    apply(here, {"number": "D1", "stage": "Out-Sold"}, events=True)
    assert held(here) == (LOST, OWN)
    assert planned(here, {**ROW, "stage": "Out-Sold"}) == {}


@BOTH_WAYS
def test_a_record_without_values_gets_those_of_the_service(here: World, *, events: bool) -> None:
    """An action cannot leave them empty: the day of the close, and the estimated revenue."""
    define(here, {"on_null": "keep"})
    apply(here, {**ROW, "closed": None, "amount": None}, events=events)
    edit(here, estimatedvalue=500)
    apply(here, {**ROW, "stage": "Won", "closed": None, "amount": None}, events=events)
    (closing,) = here.records("opportunitycloses?$select=actualend")
    assert held(here) == (WON, (closing["actualend"][:10], 500))


@BOTH_WAYS
@pytest.mark.parametrize("write", ["always", "unless_edited"])
def test_values_that_a_row_clears_are_emptied_by_the_next_write(here: World, write: str, *, events: bool) -> None:
    """An action cannot clear them. Until then the record keeps them, and the plan says so."""
    define(here, {"write": write})
    apply(here, ROW, events=events)
    won = {**ROW, "stage": "Won", "closed": None, "amount": None}
    assert planned(here, won) == {"statuscode": 3, "statecode": 1}
    apply(here, won, events=events)
    assert held(here) == (WON, OWN)
    assert planned(here, won) == dict.fromkeys(CARRIED)
    apply(here, won, events=events)
    assert held(here) == (WON, (None, None))
    assert planned(here, won) == {}


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_events_that_come_together_clear_values_as_one_by_one(here: World, strategy: str) -> None:
    """The second event empties what the first one could not."""
    define(here, {"on_null": "clear"}, strategy=strategy)
    apply(here, ROW, events=True)
    won = {"number": "D1", "stage": "Won", "closed": None, "amount": None}
    apply(here, won, {**won, "name": "b"}, events=True)
    assert (held(here), record(here)["name"]) == ((WON, (None, None)), "b")


@BOTH_WAYS
def test_without_reading_the_record_a_row_without_a_value_leaves_it_to_the_service(
    here: World, *, events: bool
) -> None:
    """What `upsert` does not send is not known, and cannot go with the action."""
    define(here, {"on_null": "keep"}, strategy="upsert")
    apply(here, ROW, events=events)
    edit(here, estimatedvalue=500)
    won = {"number": "D1", "stage": "Won"}
    apply(here, won if events else {**ROW, "closed": None, "amount": None, **won}, events=events)
    (closing,) = here.records("opportunitycloses?$select=actualend")
    assert held(here) == (WON, (closing["actualend"][:10], 500))


@BOTH_WAYS
@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_a_new_record_is_closed_with_what_only_new_records_get(here: World, strategy: str, *, events: bool) -> None:
    """Without reading, the writer looks whether the record is new."""
    define(here, {"write": "on_insert"}, strategy=strategy)
    won = {**ROW, "stage": "Won"}
    apply(here, won, events=events)
    assert held(here) == (WON, OWN)
    apply(here, {**won, "closed": "2025-05-05", "amount": 99}, events=events)
    assert held(here) == (WON, OWN)


@pytest.mark.parametrize("edited", [True, False])
def test_the_undo_of_a_close_leaves_what_the_run_did_not_write(here: World, *, edited: bool) -> None:
    """The opportunity is open again, with the values of before the run."""
    define(here, {"write": "unless_edited"})
    apply(here, ROW)
    before = EDITED if edited else OWN
    edit(here, **dict(zip(CARRIED, before, strict=True)))
    here.csv([{**ROW, "stage": "Won", "closed": "2025-05-05", "amount": 99}])
    run = here.run("opportunities").run_id
    assert held(here) == (WON, before if edited else ("2025-05-05", 99))
    set_back(here, run)
    assert held(here) == (OPEN, before)


def test_the_undo_of_a_close_leaves_what_the_row_cleared(here: World) -> None:
    """The run did not empty the columns, and its journal does not say so."""
    define(here, {})
    apply(here, ROW)
    here.csv([{**ROW, "stage": "Won", "closed": None, "amount": None}])
    set_back(here, here.run("opportunities").run_id)
    assert held(here) == (OPEN, OWN)


def test_the_undo_of_a_run_that_opened_an_opportunity_closes_it_with_its_own_values(here: World) -> None:
    """They are not in the journal, because the run did not write them."""
    define(here, {})
    apply(here, {**ROW, "stage": "Won"})
    edit(here, estimatedvalue=500)
    here.csv([ROW])
    run = here.run("opportunities").run_id
    assert held(here) == (OPEN, OWN)
    set_back(here, run)
    assert held(here) == (WON, OWN)
