"""Rows and events that delete records which are not read: what they need, and in which order they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.cli.real_time import feed
from tests.acceptance.world import World, accounts, world

SCHEMA = """
new_Node:
  keys: {number_key: [new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_ParentId: {type: Lookup, targets: [new_node], cascade: {delete: Restrict}}
    new_ContactId: {type: Lookup, targets: [contact]}
new_Place:
  keys: {place_key: [new_contactid, new_number], node_key: [new_nodeid, new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_ContactId: {type: Lookup, targets: [contact]}
    new_NodeId: {type: Lookup, targets: [new_node]}
"""
COLUMNS = ("number", "parent", "contact", "action")
BY_EMAIL = {"match": "emailaddress1"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("deletes")
    (folder / "schema.yaml").write_text(SCHEMA, "utf-8")
    with world(folder, schema=[folder / "schema.yaml"]) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def define(here: World, **changes: Any) -> None:
    """A sync of nodes by number, with a parent and a contact, that follows the actions of its rows."""
    definition = accounts()
    definition["source"] = {**definition["source"], "columns": [{"name": name} for name in COLUMNS]}
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_number"}},
            {"source": "contact", "target": "new_contactid", "lookup": BY_EMAIL},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["new_number"], "strategy": "delta", "action_column": "action"}
    for key, value in changes.items():
        definition[key] = {**definition.get(key, {}), **value}
    here.define(definition, "nodes")


def rows(here: World, given: Sequence[Mapping[str, str]]) -> None:
    here.csv([{name: each.get(name, "") for name in COLUMNS} for each in given])


def numbers(here: World, table: str = "new_nodes") -> set[str]:
    return {each["new_number"] for each in here.records(f"{table}?$select=new_number")}


def chain(here: World) -> None:
    """Three generations, and a record beside them: 1 is the parent of 2, and 2 of 3."""
    one = here.create("new_nodes", {"new_number": "1"})
    two = here.create("new_nodes", {"new_number": "2", "new_ParentId@odata.bind": f"/new_nodes({one})"})
    here.create("new_nodes", {"new_number": "3", "new_ParentId@odata.bind": f"/new_nodes({two})"})
    here.create("new_nodes", {"new_number": "4"})


@pytest.mark.parametrize("action", ["DELETE", " delete "])
def test_a_delete_needs_no_lookup_but_those_of_its_key(here: World, action: str) -> None:
    """Another action with the same values is still rejected."""
    chain(here)
    define(here)
    wrong = {"parent": "nobody", "contact": "nobody@example.com"}
    rows(here, [{"number": "3", "action": action, **wrong}, {"number": "4", "action": "upsert", **wrong}])

    done = here.run("nodes")

    assert (done.deleted.done, done.upserted.planned, done.source.rejected) == (1, 0, 1)
    assert numbers(here) == {"1", "2", "4"}
    assert {(error.rows, error.error_type, error.column) for error in done.errors} == {
        ((2,), "Unresolved Link", "contact"),
    }


def test_a_delete_creates_nothing_for_its_lookups(here: World) -> None:
    chain(here)
    mappings = [
        {"source": "number", "target": "new_number"},
        {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_number"}},
    ]
    define(here, destination={"mappings": mappings})
    rows(here, [{"number": "4", "parent": "9", "action": "DELETE"}, {"number": "9", "action": "INSERT"}])

    done = here.run("nodes")

    assert (done.deleted.done, done.created.done, done.errors) == (1, 1, ())
    assert numbers(here) == {"1", "2", "3", "9"}


def test_a_delete_whose_key_has_a_lookup_needs_that_lookup(here: World) -> None:
    contact = here.create("contacts", {"lastname": "Doe", "emailaddress1": "doe@example.com"})
    here.create("new_places", {"new_number": "1", "new_ContactId@odata.bind": f"/contacts({contact})"})
    place = {
        "entity": "new_place",
        "id_column": "new_placeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "contact", "target": "new_contactid", "lookup": BY_EMAIL},
        ],
    }
    define(here, destination=place, sync_behaviour={"sync_key": ["new_contactid", "new_number"]})
    rows(here, [{"number": "1", "contact": each, "action": "DELETE"} for each in ("x@y.org", "doe@example.com")])

    done = here.run("nodes")

    assert (done.deleted.done, done.source.rejected, numbers(here, "new_places")) == (1, 1, set())
    assert [(error.rows, error.error_type) for error in done.errors] == [((1,), "Unresolved Link")]


def test_a_delete_creates_nothing_for_the_lookups_of_its_key(here: World) -> None:
    place = {
        "entity": "new_place",
        "id_column": "new_placeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "parent", "target": "new_nodeid", "lookup": {"match": "new_number", "on_missing": "create"}},
        ],
    }
    define(here, destination=place, sync_behaviour={"sync_key": ["new_nodeid", "new_number"]})
    rows(
        here, [{"number": "1", "parent": "no", "action": "DELETE"}, {"number": "1", "parent": "2", "action": "INSERT"}]
    )

    done = here.run("nodes")

    assert (done.deleted.planned, done.created.done, done.source.rejected) == (0, 1, 1)
    assert [(error.rows, error.error_type) for error in done.errors] == [((1,), "Unresolved Link")]
    assert (numbers(here), numbers(here, "new_places")) == ({"2"}, {"1"})


@pytest.mark.parametrize("given", ["", "1"])
def test_children_are_deleted_before_their_parents(here: World, given: str) -> None:
    """Dataverse refuses to delete a parent under Restrict; the rows need not say who the parents are."""
    chain(here)
    define(here)
    rows(here, [{"number": number, "parent": given, "action": "DELETE"} for number in ("1", "4", "2", "3", "none")])

    done = here.run("nodes")

    assert (done.deleted.done, done.failed) == (5, 0)  # also the one that is not there
    assert numbers(here) == set()


@pytest.mark.parametrize("strategy", ["delta", "upsert"])
def test_children_are_deleted_before_their_parents_in_one_batch_of_events(here: World, strategy: str) -> None:
    chain(here)
    definition = {
        "sync_behaviour": {"strategy": strategy, "dropped": "delete", "action_column": None},
        "listener": {"name": "nodes", "topic": {"format": "json", "action": "$.op"}},
    }
    define(here, **definition)
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "d", "number": number}) + "\n" for number in "1423"), "utf-8")

    done = dict(feed(here.app, "nodes", str(path)).syncs["nodes"])

    assert done.get("failed", 0) == 0, done
    assert numbers(here) == set()


def test_the_action_column_has_no_meaning_in_an_event(here: World) -> None:
    """An event says itself what it does: its lookups are searched also if a field says DELETE."""
    chain(here)
    define(here, listener={"name": "nodes", "topic": {"format": "json", "action": "$.op"}})
    path = here.folder / "events.ndjson"
    path.write_text(json.dumps({"op": "u", "number": "4", "parent": "1", "action": "DELETE"}) + "\n", "utf-8")

    done = dict(feed(here.app, "nodes", str(path)).syncs["nodes"])

    assert done.get("failed", 0) == 0, done
    (four,) = here.records(
        "new_nodes?$select=new_number&$expand=new_ParentId($select=new_number)&$filter=new_number eq '4'"
    )
    assert four["new_ParentId"]["new_number"] == "1"
