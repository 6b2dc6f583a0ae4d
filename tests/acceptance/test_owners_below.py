"""Tables whose records get the owner of the record above them: a run and an undo change only the owners that they plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.jobs import RunState
from tests.acceptance.test_undo_relations import undone
from tests.acceptance.world import World, accounts, world

NODES = """
new_Node:
  keys: {number_key: [new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_Text: {type: String, length: 10}
    new_ParentId: {type: Lookup, targets: [new_node], cascade: {assign: VERB}}
"""
OWNERS = [
    {"entity": "systemuser", "match": "internalemailaddress"},
    {"entity": "team", "match": "name"},
]
Rows = dict[str, tuple[str, str]]  # number -> number of the parent, owner
BEFORE: Rows = {"P": ("", "maria"), "C": ("P", "maria"), "D": ("C", "jonas"), "E": ("", "jonas")}


@pytest.fixture
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    schema = tmp_path / "schema.yaml"
    schema.write_text(NODES.replace("VERB", getattr(request, "param", "Cascade")), "utf-8")
    with world(tmp_path, schema=[schema]) as made:
        for name in ("maria", "jonas"):
            made.create("systemusers", {"lastname": name, "internalemailaddress": name})
        made.create("teams", {"name": "sales", "teamtype": 0})
        yield made


def define(here: World, *columns: str, write: str = "always", **behaviour: Any) -> None:
    """A sync of nodes with their owner, and with other columns of `number`, `parent` and `text`."""
    definition = accounts()
    mapped = {
        "parent": {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_number"}},
        "text": {"source": "text", "target": "new_text", "write": write},
    }
    definition["source"]["columns"] = [{"name": name} for name in ("number", "parent", "owner", "text")]
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            *(mapped[name] for name in columns),
            {"source": "owner", "target": "ownerid", "lookup": OWNERS, "write": write},
        ],
    }
    safety = {"max_delete": "100%", "max_update": "100%"}
    definition["sync_behaviour"] = {"sync_key": ["new_number"], "safety": safety, **behaviour}
    here.define(definition, "nodes")


def source(here: World, rows: Rows, order: str = "", text: str = "") -> None:
    here.csv(
        [
            {"number": number, "parent": rows[number][0], "owner": rows[number][1], "text": text}
            for number in (order or rows)
        ]
    )


def owners(here: World) -> dict[str, str]:
    names = {user["systemuserid"]: user["lastname"] for user in here.records("systemusers")}
    names |= {team["teamid"]: team["name"] for team in here.records("teams")}
    return {each["new_number"]: names[each["_ownerid_value"]] for each in here.records("new_nodes")}


def wanted(rows: Rows) -> dict[str, str]:
    return {number: owner for number, (_, owner) in rows.items()}


@pytest.mark.parametrize(
    ("here", "write"),
    [("Cascade", "always"), ("Active", "unless_edited"), ("UserOwned", "unless_edited")],
    indirect=["here"],
)
def test_records_below_keep_their_owner_when_a_record_above_gets_another_one(here: World, write: str) -> None:
    """The run writes nothing else, the next one finds nothing to do, and the undo changes only the record above."""
    define(here, "parent", write=write)
    source(here, BEFORE)
    here.run("nodes")
    after = BEFORE | {"P": ("", "sales")}
    source(here, after)

    done = here.run("nodes")

    assert (done.state, done.updated.planned) == (RunState.SUCCEEDED, 1)
    assert owners(here) == wanted(after)
    assert here.run("nodes").updated.planned == 0
    assert undone(here, done.run_id).state is RunState.SUCCEEDED
    assert owners(here) == wanted(BEFORE)


@pytest.mark.parametrize("write", ["always", "unless_edited"])
@pytest.mark.parametrize("owner", ["maria", "jonas"], ids=["as before", "another one"])
def test_an_adopted_record_has_the_owner_of_its_row(here: World, write: str, owner: str) -> None:
    """Only Dataverse finds the keys c and C equal; the next run has nothing to do and finds no edit."""
    define(here, "parent", write=write)
    source(here, {"P": ("", "maria"), "c": ("P", "maria")})
    here.run("nodes")
    define(here, "parent", write=write, key_match="exact")
    after = {"P": ("", "sales"), "C": ("P", owner)}
    source(here, after)

    done = here.run("nodes")

    assert (done.state, done.adopted, owners(here)) == (RunState.SUCCEEDED, 1, wanted(after))
    again = here.run("nodes")
    assert (again.updated.planned, again.errors, owners(here)) == (0, (), wanted(after))


@pytest.mark.parametrize(
    ("order", "write"),
    [("PCDE", "always"), ("EDCP", "always"), ("PCDE", "unless_edited"), ("EDCP", "unless_edited")],
)
def test_each_record_of_a_chain_gets_its_owner_in_whatever_order_the_rows_come(
    here: World, order: str, write: str
) -> None:
    """Other columns of the same records are written too, and nothing counts as edited by others."""
    define(here, "parent", "text", write=write)
    source(here, BEFORE, order)
    here.run("nodes")
    after = {"P": ("", "sales"), "C": ("P", "jonas"), "D": ("C", "maria"), "E": ("D", "jonas")}
    source(here, after, order, text="new")

    done = here.run("nodes")

    assert (done.state, done.updated.done, done.edited) == (RunState.SUCCEEDED, 4, 0)
    assert owners(here) == wanted(after)
    assert {each["new_text"] for each in here.records("new_nodes")} == {"new"}
    assert here.run("nodes").updated.planned == 0
    assert undone(here, done.run_id).state is RunState.SUCCEEDED
    assert owners(here) == wanted(BEFORE)


def test_new_and_moved_records_below_keep_their_owner(here: World) -> None:
    """They were not below the record when the run began."""
    define(here, "parent")
    source(here, BEFORE)
    here.run("nodes")
    after = BEFORE | {"P": ("", "sales"), "E": ("P", "jonas"), "N": ("P", "maria"), "M": ("E", "jonas")}
    source(here, after)

    assert here.run("nodes").state is RunState.SUCCEEDED

    assert owners(here) == wanted(after)


def test_references_without_a_mapping_count_too(here: World) -> None:
    """The service says what is below. A record that no row has follows the record above it, as the relationship says."""
    define(here, "parent")
    source(here, BEFORE)
    here.run("nodes")
    define(here)
    after = {"P": ("", "sales"), "C": ("", "maria")}
    source(here, after)

    done = here.run("nodes")

    assert owners(here) == {**wanted(BEFORE | after), "D": "maria"}
    assert undone(here, done.run_id).state is RunState.SUCCEEDED
    assert owners(here) == {**wanted(BEFORE), "D": "maria"}


def test_a_run_that_is_stopped_before_owners_are_set_again_is_no_failed_run(here: World) -> None:
    """It is interrupted, as at any other place."""
    define(here, "parent")
    source(here, BEFORE)
    here.run("nodes")
    source(here, BEFORE | {"P": ("", "sales")})
    before = here.emulator.stats()["rows"].get("update", 0)

    done = here.run("nodes", ending=lambda: here.emulator.stats()["rows"].get("update", 0) > before)

    assert (done.state, done.updated.done) == (RunState.INTERRUPTED, 1)
    assert done.message.startswith("stopped before the end (its process was asked to end): ")
    assert here.run("nodes").state is RunState.SUCCEEDED


def test_an_owner_that_cannot_be_set_again_is_a_refused_change(here: World) -> None:
    """It is reported with the record, and the next run sets it."""
    define(here, "parent")
    source(here, BEFORE)
    here.run("nodes")
    source(here, BEFORE | {"P": ("", "sales")})
    (maria,) = [each["systemuserid"] for each in here.records("systemusers") if each["lastname"] == "maria"]
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": f"ownerid eq {maria}"}})

    done = here.run("nodes")

    assert done.state is RunState.COMPLETED_WITH_ERRORS
    (error,) = done.errors
    assert "its own owner could not be set again" in error.message
    assert owners(here) == wanted(BEFORE | {"P": ("", "sales"), "C": ("P", "sales")})
    here.emulator.clear_faults()
    assert here.run("nodes").state is RunState.SUCCEEDED
    assert owners(here) == wanted(BEFORE | {"P": ("", "sales")})
