"""Lookups in events: found like those of a batch, also if the events themselves create the referenced records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.cli.real_time import feed
from tests.acceptance.test_lookups import customers, define_nodes, node_parents, nodes, parents, seed
from tests.acceptance.world import World, accounts, world


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("lookups")) as made:
        yield made


@pytest.fixture(params=["full", "upsert"])
def here(shared_world: World, request: pytest.FixtureRequest) -> World:
    shared_world.emulator.reset()
    here = shared_world
    define(here, "tree", "account", request.param)
    return here


def define(
    here: World, name: str, entity: str, strategy: str, *mappings: Mapping[str, Any], condition: str = ""
) -> None:
    parameters = {"hidden": {"default": "Name 2"}, "nothing": {"default": None}}
    definition = accounts(**({"destination": {"filter": condition}, "parameters": parameters} if condition else {}))
    target = "accountnumber" if entity == "account" else "name"
    definition["source"] = {
        "type": "events",
        "columns": [{"name": "number"}, {"name": "parent"}, {"name": "customer"}, {"name": "company"}],
    }
    own = {"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}}
    definition["destination"] |= {
        "entity": entity,
        "id_column": f"{entity}id",
        "mappings": [{"source": "number", "target": target}, *(mappings or (own,))],
    }
    if entity == "account":
        definition["destination"]["mappings"].append({"value": "'Name ' || number", "target": "name"})
    dropped = {"dropped": "delete"}
    definition["sync_behaviour"] = {"sync_key": [target], "strategy": strategy, **dropped}
    definition["listener"] = {"name": name, "topic": {"format": "json", "action": "$.op"}}
    here.define(definition, name)


def send(here: World, *records: Mapping[str, Any], name: str = "tree") -> dict[str, int]:
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **record}) + "\n" for record in records), "utf-8")
    return dict(feed(here.app, name, str(path)).syncs[name])


def test_a_parent_of_the_same_batch_is_found(here: World) -> None:
    done = send(here, {"number": "3", "parent": "2"}, {"number": "2", "parent": "1"}, {"number": "1", "parent": None})

    assert done.get("failed", 0) == 0, done
    assert parents(here) == {"1": None, "2": "1", "3": "2"}


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_a_circle_of_the_same_batch_is_linked_afterwards(tmp_path: Path, strategy: str) -> None:
    listener = {"name": "nodes", "topic": {"format": "json", "action": "$.op"}}
    with nodes(tmp_path) as here:
        define_nodes(here, strategy, listener=listener)

        done = send(here, {"number": "1", "parent": "2"}, {"number": "2", "parent": "1"}, name="nodes")

        assert done.get("failed", 0) == 0, done
        assert node_parents(here) == {"1": "2", "2": "1"}


def test_an_event_without_the_column_does_not_change_it(here: World) -> None:
    send(here, {"number": "1", "parent": None}, {"number": "2", "parent": "1"})
    send(here, {"number": "2", "customer": "x"})

    assert parents(here) == {"1": None, "2": "1"}


def test_an_event_whose_parent_does_not_exist_is_a_dead_letter(here: World) -> None:
    send(here, {"number": "2", "parent": None})
    done = send(
        here, {"number": "1", "parent": "nobody"}, {"number": "2", "parent": "gone"}, {"number": "3", "parent": "2"}
    )

    assert done["failed"] == 2, done
    assert parents(here) == {"2": None, "3": "2"}
    letters = here.app.state.dead_letters("tree")
    assert {letter.error for letter in letters} == {"Unresolved Link"}


def test_the_last_event_of_a_record_counts(here: World) -> None:
    done = send(
        here,
        {"number": "1", "parent": None},
        {"number": "2", "parent": None},
        {"number": "3", "parent": "1"},
        {"number": "3", "parent": "2"},
    )

    assert done.get("failed", 0) == 0, done
    assert parents(here) == {"1": None, "2": None, "3": "2"}


def test_records_of_other_tables_are_found_or_created(shared_world: World) -> None:
    here = shared_world
    here.emulator.reset()
    seed(here, "accounts", {"name": "Contoso", "accountnumber": "c1"})
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create", "create": {"name": "company"}}
    mapping = {"source": "customer", "target": "customerid", "lookup": [lookup], "on_null": "keep"}
    define(here, "deals", "opportunity", "full", mapping)

    done = send(
        here,
        {"number": "one", "customer": "C1"},
        {"number": "two", "customer": "n1", "company": "Fabrikam"},
        {"number": "three", "customer": "N1", "company": "Fabrikam"},
        name="deals",
    )

    assert done.get("failed", 0) == 0, done
    assert customers(here) == {
        "one": ("account", "Contoso"),
        "two": ("account", "Fabrikam"),
        "three": ("account", "Fabrikam"),
    }
    assert len(here.records("accounts?$select=name")) == 2


def test_the_message_about_an_unknown_choice_of_the_second_created_record_has_no_value(shared_world: World) -> None:
    """Messages are finished after each lookup, also where that of the first lookup had nothing to finish."""
    here = shared_world
    here.emulator.reset()
    created = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    customer = {"source": "customer", "target": "customerid", "lookup": {**created, "create": {"industrycode": "'6'"}}}
    parent = {
        "source": "parent",
        "target": "parentaccountid",
        "lookup": {**created, "create": {"industrycode": "company"}},
    }
    define(here, "deals", "opportunity", "full", customer, parent)
    send(here, {"number": "1", "customer": "n1", "parent": "n2", "company": "Jane Doe"}, name="deals")

    (letter,) = here.app.state.dead_letters("deals")
    assert letter.message.endswith("no option of industrycode; the value is a text of 8 characters")


def test_a_created_record_has_no_values_of_an_event_that_is_refused(shared_world: World) -> None:
    """Whether another record, which it needs as well, cannot be created or is not found; the next event counts."""
    here = shared_world
    here.emulator.reset()
    created = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    for refusing in ({**created, "create": {"industrycode": "company"}}, {**created, "on_missing": "reject"}):
        customer = {"source": "customer", "target": "customerid", "lookup": {**created, "create": {"name": "company"}}}
        parent = {"source": "parent", "target": "parentaccountid", "on_null": "keep", "lookup": refusing}
        define(here, "deals", "opportunity", "full", customer, parent)
        number = f"n-{refusing['on_missing']}"
        done = send(
            here,
            {"number": f"1-{number}", "customer": number, "company": "no such industry", "parent": f"p-{number}"},
            {"number": f"2-{number}", "customer": number, "company": "Consulting", "parent": ""},
            name="deals",
        )
        assert done == {"events": 2, "insert": 1, "lost": 1}

    found = here.records("accounts?$select=accountnumber,name")
    assert {each["accountnumber"]: each["name"] for each in found} == dict.fromkeys(
        ["n-create", "n-reject"], "Consulting"
    )


def test_a_condition_that_looks_at_the_source_holds_for_a_lookup_in_the_same_table(shared_world: World) -> None:
    """The lookup searches names as the batch leaves them: one that the condition keeps is found by its old name."""
    here = shared_world
    here.emulator.reset()
    here.create("accounts", {"accountnumber": "1", "name": "One"})
    definition = accounts()
    definition["source"] = {"type": "events", "columns": [{"name": "number"}, {"name": "name"}, {"name": "parent"}]}
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"source": "parent", "target": "parentaccountid", "lookup": {"match": "name"}},
    ]
    definition["sync_behaviour"]["changed"] = {"when": "source.name <> 'Kept'"}
    definition["listener"] = {"name": "named", "topic": {"format": "json", "action": "$.op"}}
    here.define(definition, "named")

    done = send(
        here,
        {"number": "1", "name": "Kept", "parent": None},
        {"number": "2", "name": "Two", "parent": "One"},
        {"number": "3", "name": "Three", "parent": "Kept"},
        name="named",
    )

    assert done["failed"] == 1, done
    assert parents(here) == {"1": None, "2": "1"}


@pytest.mark.parametrize("condition", ["name ne 'Name 2'", "name ne @hidden and name ne @nothing"])
def test_events_that_refer_to_a_new_record_outside_the_filter_fail_with_it(tmp_path: Path, condition: str) -> None:
    """Nothing is sent for them, so none is told as refused by Dataverse."""
    with world(tmp_path) as here:
        define(here, "tree", "account", "full", condition=condition)

        done = send(
            here,
            {"number": "1", "parent": None},
            {"number": "2", "parent": "1"},
            {"number": "3", "parent": "2"},
            {"number": "4", "parent": "3"},
        )

        assert (done["failed"], parents(here)) == (3, {"1": None})
        reasons = [letter.error for letter in here.app.state.dead_letters("tree")]
        assert reasons == ["Outside Filter", "Unresolved Link", "Unresolved Link"]


def test_a_parameter_that_does_not_fit_the_filter_makes_dead_letters_of_the_definition(tmp_path: Path) -> None:
    """Nothing is written with a value that is none of the column."""
    with world(tmp_path) as here:
        define(here, "tree", "account", "full", condition="revenue ge @hidden")

        send(here, {"number": "1", "parent": None})
        (letter,) = here.app.state.dead_letters("tree")
        assert letter.error == "Definition"
        assert "revenue is compared with @hidden, but the value does not fit" in letter.message
        assert parents(here) == {}
