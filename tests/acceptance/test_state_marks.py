"""Marks of dropped and returning records that close or open them: by the rules for states, in batches and in events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import yaml

from shared.app.undoing import undo
from shared.cli.real_time import feed
from shared.errors import DefinitionError
from shared.jobs import NoProgress, RunOptions, RunState
from tests.acceptance.world import World, accounts, world

SCHEMA: Final = {
    name: {"keys": {"new_number_key": ["new_number"]}, "columns": {"new_Number": {"type": "String"}}}
    for name in ("Incident", "Opportunity", "Lead", "Quote")
}
SETS: Final = {"incident": "incidents", "opportunity": "opportunities", "lead": "leads", "quote": "quotes"}
NAMES: Final = {"incident": "title", "opportunity": "name", "lead": "subject", "quote": "name"}
CUSTOMER: Final = "11111111-1111-1111-1111-111111111111"
BOTH_WAYS: Final = pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("state-marks")
    with world(folder, tables=SCHEMA) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    shared_world.create("accounts", {"accountid": CUSTOMER, "name": "customer"})
    return shared_world


def define(here: World, table: str, mapped: Sequence[str] = (), **behaviour: Any) -> None:
    """A sync of a table by the column `new_number`; `mapped` are further columns, which are sources too."""
    definition = accounts()
    definition |= {"name": "marks", "listener": {"name": "marks", "topic": {"action": "$.op"}}}
    definition["source"]["columns"] = [{"name": each} for each in ("number", "name", "customer", *mapped)]
    mappings: list[dict[str, Any]] = [
        {"source": "number", "target": "new_number"},
        {"source": "name", "target": NAMES[table]},
        *({"source": each, "target": each, "on_null": "keep"} for each in mapped),
    ]
    if table == "incident":
        customer = {"entity": "account", "match": "name"}
        mappings.append({"source": "customer", "target": "customerid", "lookup": customer})
    definition["destination"] |= {"entity": table, "id_column": f"{table}id", "mappings": mappings}
    definition["sync_behaviour"] = {
        "sync_key": ["new_number"],
        "safety": {"max_delete": "100%", "max_update": "100%", "allow_empty_source": True},
        **behaviour,
    }
    here.define(definition, "marks")


def row(number: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "name": "a", "customer": "customer", **more}


def apply(here: World, rows: Sequence[Mapping[str, Any]], gone: Sequence[str] = (), *, events: bool) -> None:
    """Write rows and drop records, in a batch or as events; a second batch plans nothing."""
    if events:
        sent = [{"op": "u", **each} for each in rows] + [{"op": "d", "number": each} for each in gone]
        path = here.folder / "events.ndjson"
        path.write_text("".join(json.dumps(each) + "\n" for each in sent), "utf-8")
        counts = feed(here.app, "marks", str(path)).syncs["marks"]
        assert "failed" not in counts
        return
    here.csv(rows)
    assert here.run("marks").state is RunState.SUCCEEDED
    again = here.run("marks")
    assert again.created.planned + again.updated.planned + again.marked.planned + again.reactivated.planned == 0


def held(here: World, table: str, *columns: str) -> dict[str, tuple[Any, ...]]:
    names = ("statecode", "statuscode", *columns)
    records = here.records(f"{SETS[table]}?$select=new_number,{','.join(names)}")
    return {record["new_number"]: tuple(record[name] for name in names) for record in records}


@BOTH_WAYS
@pytest.mark.parametrize(
    ("table", "mark", "pair"),
    [
        ("incident", {"statecode": "'Resolved'"}, (1, 5)),
        ("incident", {"statuscode": "5"}, (1, 5)),
        ("incident", {"statecode": "'Canceled'"}, (2, 6)),
        ("opportunity", {"statuscode": "4", "description": "'gone'"}, (2, 4)),
        ("opportunity", {"statecode": "'Lost'", "statuscode": "5"}, (2, 5)),
        ("lead", {"statecode": "'Disqualified'"}, (2, 4)),
        ("quote", {"statecode": "'Active'"}, (1, 2)),
    ],
)
def test_a_dropped_record_is_closed_as_an_update_closes_it(
    here: World, table: str, mark: dict[str, str], pair: tuple[int, int], *, events: bool
) -> None:
    """By the action where only an action sets the state; the other columns of the mark are written too."""
    define(here, table, dropped={"set": mark})
    apply(here, [row("1"), row("2")], events=events)
    apply(here, [row("1")], ["2"], events=events)
    found = held(here, table, "description")
    assert found["1"][0] == 0
    assert found["2"] == (*pair, "gone" if "description" in mark else None)


@BOTH_WAYS
@pytest.mark.parametrize("mark", [{"statecode": "2"}, {"statuscode": "6"}, {"statecode": "2", "statuscode": "6"}])
def test_a_dropped_record_that_is_closed_in_another_way_is_opened_first(
    here: World, mark: dict[str, str], *, events: bool
) -> None:
    """Dataverse refuses the change from one closed state of a case to another."""
    define(here, "incident", ["statecode"], dropped={"set": mark})
    apply(here, [row("1", statecode=""), row("2", statecode="Resolved")], events=events)
    apply(here, [row("1", statecode="")], ["2"], events=events)
    assert held(here, "incident")["2"] == (2, 6)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("table", "first", "second", "pair"),
    [
        ("opportunity", "1", "5", (2, 5)),
        ("opportunity", "5", "3", (1, 3)),
        ("incident", "1", "5", (1, 5)),
        ("incident", "5", "6", (2, 6)),
        ("lead", "3", "4", (2, 4)),
    ],
)
def test_a_row_that_is_back_closes_its_record(
    here: World, table: str, first: str, second: str, pair: tuple[int, int], *, events: bool
) -> None:
    """The mark is taken away, and the columns that differ are written."""
    marks: dict[str, Any] = {
        "dropped": {"set": {"description": "'gone'"}},
        "returned": {"set": {"description": "'back'"}},
    }
    define(here, table, ["statuscode"], **marks)
    apply(here, [row("1", statuscode="1"), row("2", statuscode=first)], events=events)
    apply(here, [row("1", statuscode="1")], ["2"], events=events)
    assert held(here, table, "description")["2"][2] == "gone"
    apply(here, [row("1", statuscode="1"), row("2", statuscode=second, name="b")], events=events)
    assert held(here, table, "description", NAMES[table])["2"] == (*pair, "back", "b")


@BOTH_WAYS
def test_a_condition_for_changed_records_keeps_the_state_of_one_that_is_back(here: World, *, events: bool) -> None:
    """Only the mark is taken away where the condition does not hold."""
    define(
        here,
        "opportunity",
        ["statuscode"],
        changed={"when": "source.name = 'b'"},
        dropped={"set": {"description": "'gone'"}},
        returned={"set": {"description": "'back'"}},
    )
    apply(here, [row("1", statuscode="1"), row("2", statuscode="1")], events=events)
    apply(here, [row("3", statuscode="1")], ["1", "2"], events=events)
    rows = [row("1", statuscode="3"), row("2", statuscode="3", name="b"), row("3", statuscode="1")]
    apply(here, rows, events=events)
    found = held(here, "opportunity", "description")
    assert found == {"1": (0, 1, "back"), "2": (1, 3, "back"), "3": (0, 1, None)}


@BOTH_WAYS
def test_what_protects_an_edited_state_protects_that_of_a_record_that_is_back(here: World, *, events: bool) -> None:
    """The mark is taken away and other columns are written; an opportunity that nobody edited is won."""
    marks: dict[str, Any] = {
        "dropped": {"set": {"description": "'gone'"}},
        "returned": {"set": {"description": "'back'"}},
    }
    define(here, "opportunity", ["statuscode"], **marks)
    definition = yaml.safe_load((here.folder / "syncs" / "marks.yaml").read_text("utf-8"))
    definition["destination"]["mappings"][2]["write"] = "unless_edited"
    here.define(definition, "marks")
    apply(here, [row("1", statuscode="1"), row("2", statuscode="1")], events=events)
    apply(here, [row("3", statuscode="1")], ["1", "2"], events=events)
    (edited,) = here.records("opportunities?$select=opportunityid&$filter=new_number eq '1'")
    here.update(f"opportunities({edited['opportunityid']})", {"statuscode": 2})
    rows = [row("1", statuscode="3", name="b"), row("2", statuscode="3", name="b"), row("3", statuscode="1")]
    apply(here, rows, events=events)
    found = held(here, "opportunity", "description", "name")
    assert (found["1"], found["2"]) == ((0, 2, "back", "b"), (1, 3, "back", "b"))


@BOTH_WAYS
def test_a_quote_that_is_back_is_opened_before_its_other_columns_are_written(here: World, *, events: bool) -> None:
    """A quote that is not a draft is read-only."""
    marks: dict[str, Any] = {
        "dropped": {"set": {"statecode": "'Active'"}},
        "returned": {"set": {"statecode": "'Draft'"}},
    }
    define(here, "quote", **marks)
    apply(here, [row("1"), row("2")], events=events)
    apply(here, [row("1")], ["2"], events=events)
    assert held(here, "quote")["2"] == (1, 2)
    apply(here, [row("1"), row("2", name="b")], events=events)
    assert held(here, "quote", "name")["2"] == (0, 1, "b")


def test_undo_opens_what_a_mark_has_closed(here: World) -> None:
    """And closes again what was closed in another way before."""
    define(here, "incident", ["statuscode"], dropped={"set": {"statecode": "'Canceled'"}})
    apply(here, [row("1", statuscode="1"), row("2", statuscode="1"), row("3", statuscode="5")], events=False)
    here.csv([row("1", statuscode="1")])
    done = here.run("marks")
    assert done.marked.done == 2
    run = here.app.state.run(done.run_id)
    assert run is not None
    assert undo(here.app, run, RunOptions(trigger="undo"), NoProgress()).state is RunState.SUCCEEDED
    assert held(here, "incident") == {"1": (0, 1), "2": (0, 1), "3": (1, 5)}


def test_delete_events_close_records_that_are_not_read(here: World) -> None:
    """With the strategy upsert: the action needs the id, which the key gives."""
    define(here, "opportunity", strategy="upsert", dropped={"set": {"statecode": "'Lost'", "description": "'gone'"}})
    apply(here, [row("1"), row("2")], events=True)
    apply(here, [], ["2"], events=True)
    assert held(here, "opportunity", "description") == {"1": (0, 1, None), "2": (2, 4, "gone")}


@pytest.mark.parametrize("key", ["dropped", "returned"])
@pytest.mark.parametrize("value", ["'Closed'", "target.name"])
def test_validate_names_what_closes_quotes_in_place_of_a_mark(here: World, key: str, value: str) -> None:
    """Only a constant of another state tells that a mark does not close them."""
    marks: dict[str, Any] = {
        "dropped": {"set": {"statecode": "'Active'"}},
        "returned": {"set": {"statecode": "'Draft'"}},
    }
    define(here, "quote", **{**marks, key: {"set": {"statecode": value}}})
    here.csv([row("1")])
    (problem,) = here.app.validate(["marks"])
    assert "only the actions WinQuote and CloseQuote set the states 2 Won, 3 Closed" in str(problem)
    assert f"sync_behaviour.{key}.set.statecode" in str(problem)
    with pytest.raises(DefinitionError):
        here.run("marks")


def test_an_update_after_the_sync_closes_records_by_the_same_rules(here: World) -> None:
    """An open opportunity is lost by its action; a lost one is opened before it is won."""
    define(here, "opportunity")
    definition = yaml.safe_load((here.folder / "syncs" / "marks.yaml").read_text("utf-8"))
    closing = {"entity": "opportunity", "filter": "new_number eq '2'", "set": {"statuscode": "5"}}
    definition["post_sync"] = [{"name": "close", "update": closing}]
    here.define(definition, "marks")
    here.csv([row("1"), row("2")])
    assert here.run("marks").state is RunState.SUCCEEDED
    assert held(here, "opportunity") == {"1": (0, 1), "2": (2, 5)}
    closing["set"] = {"statecode": "'Won'"}
    here.define(definition, "marks")
    assert here.run("marks").state is RunState.SUCCEEDED
    assert held(here, "opportunity") == {"1": (0, 1), "2": (1, 3)}
