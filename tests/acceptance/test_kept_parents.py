"""Tables whose records go with their parent: what a run deletes must not take records with it that are to stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.jobs import RunSummary
from tests.acceptance.test_lookups import node_parents
from tests.acceptance.test_undo_relations import undone
from tests.acceptance.world import World, accounts, world

NODES = """
new_Node:
  keys: {number_key: [new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_Text: {type: String, length: 10}
    new_ParentId: {type: Lookup, targets: [new_node], cascade: {delete: Cascade}}
    new_GuardId: {type: Lookup, targets: [new_node], cascade: {delete: Restrict}}
"""
KEPT = "Dropped Record Kept"
OTHER, PARENT, CHILD, LEAF = ("other", ""), ("parent", ""), ("child", "parent"), ("leaf", "child")
ALL = {"other": None, "parent": None, "child": "parent", "leaf": "child"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    schema = tmp_path / "schema.yaml"
    schema.write_text(NODES, "utf-8")
    with world(tmp_path, schema=[schema]) as made:
        yield made


def define(here: World, on_missing: str = "reject", **behaviour: Any) -> None:
    """A sync of nodes that deletes what the source does not have."""
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("number", "parent", "text", "guard")]
    by_number = {"match": "new_number", "on_missing": on_missing}
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "parent", "target": "new_parentid", "lookup": by_number},
            {"source": "guard", "target": "new_guardid", "lookup": by_number},
            {"source": "text", "target": "new_text"},
        ],
    }
    safety = {"max_delete": "100%"}
    definition["sync_behaviour"] = {"sync_key": ["new_number"], "dropped": "delete", "safety": safety, **behaviour}
    here.define(definition, "nodes")


def rows(here: World, *given: tuple[str, ...]) -> None:
    """Write the source: number, parent, text and guard of each row."""
    names = ("number", "parent", "text", "guard")
    here.csv([dict(zip(names, (*row, "", "", "")[:4], strict=True)) for row in given])


def ids(here: World) -> dict[str, str]:
    return {each["new_number"]: each["new_nodeid"] for each in here.records("new_nodes")}


def made(here: World, on_missing: str = "reject", **behaviour: Any) -> dict[str, str]:
    """Create a parent, a child, a leaf below it and another node; returns their ids."""
    define(here, on_missing, **behaviour)
    rows(here, OTHER, PARENT, CHILD, LEAF)
    assert here.run("nodes").created.done == 4
    return ids(here)


def kept(done: RunSummary) -> list[tuple[str, int]]:
    """Column and number of the records that were kept."""
    return [(error.column, error.count) for error in done.errors if error.error_type == KEPT]


REJECTED = {
    "child": [OTHER, ("child", "other", "much too long"), LEAF],
    "leaf": [OTHER, ("leaf", "other", "much too long")],
}


@pytest.mark.parametrize("on_missing", ["reject", "clear", "keep"])
@pytest.mark.parametrize("rejected", REJECTED)
def test_a_dropped_parent_stays_as_long_as_the_record_of_a_rejected_row_is_below_it(
    here: World, rejected: str, on_missing: str
) -> None:
    """Above the leaf, the child is dropped too: both of its ancestors stay."""
    before = made(here, on_missing)
    rows(here, *REJECTED[rejected])

    plan = here.plan("nodes")
    done = here.run("nodes")

    levels = 1 if rejected == "child" else 2
    assert (plan.plan.counts.delete, done.deleted.planned, done.deleted.done) == (0, 0, 0)
    assert [(error.column, error.count) for error in plan.errors if error.error_type == KEPT] == kept(done)
    assert (kept(done), done.source.rejected) == ([("new_parentid", levels)], 1)
    assert (node_parents(here), ids(here)) == (ALL, before)
    again = here.plan("nodes").plan.counts
    assert (again.changes, again.ignored) == (0, levels + 1)

    rows(here, OTHER, ("leaf", "other"))
    done = here.run("nodes")
    assert (done.updated.done, done.deleted.done, kept(done)) == (1, 2, [])
    assert node_parents(here) == {"other": None, "leaf": "other"}


@pytest.mark.parametrize(
    ("on_missing", "left", "levels"),
    [("reject", ALL, 1), ("keep", ALL, 1), ("clear", {"other": None, "child": None, "leaf": "child"}, 0)],
)
def test_a_parent_that_rows_still_name_stays_unless_its_children_leave_it(
    here: World, on_missing: str, left: dict[str, str | None], levels: int
) -> None:
    before = made(here, on_missing)
    rows(here, OTHER, CHILD, LEAF)

    done = here.run("nodes")

    assert (done.deleted.done, kept(done)) == (1 - levels, [("new_parentid", 1)] if levels else [])
    assert node_parents(here) == left
    assert ids(here) == {number: before[number] for number in left}
    assert here.plan("nodes").plan.counts.changes == 0


def test_a_parent_whose_children_move_away_is_deleted(here: World) -> None:
    before = made(here)
    rows(here, OTHER, ("child", "other"), LEAF)

    done = here.run("nodes")

    assert (done.state, done.updated.done, done.deleted.done, done.errors) == ("Succeeded", 1, 1, ())
    assert node_parents(here) == {"other": None, "child": "other", "leaf": "child"}
    assert ids(here) == {number: before[number] for number in ("other", "child", "leaf")}
    assert here.plan("nodes").plan.counts.changes == 0


def test_a_parent_whose_children_are_dropped_too_is_deleted_after_them(here: World) -> None:
    """A second lookup refuses the delete of a parent that has children."""
    define(here)
    rows(here, OTHER, PARENT, ("child", "parent", "", "parent"), ("leaf", "child", "", "child"))
    here.run("nodes")
    rows(here, OTHER)

    done = here.run("nodes")

    assert (done.state, done.deleted.done, done.failed, done.errors) == ("Succeeded", 3, 0, ())
    assert node_parents(here) == {"other": None}


def test_a_record_without_a_key_below_a_dropped_parent_is_not_deleted_with_it(here: World) -> None:
    """It is set aside: it belongs to no row, and takes part in nothing."""
    before = made(here)
    here.create("new_nodes", {"new_number": None, "new_ParentId@odata.bind": f"new_nodes({before['parent']})"})
    rows(here, OTHER, ("child", "other"), LEAF)

    done = here.run("nodes")

    assert (done.deleted.done, kept(done)) == (0, [("new_parentid", 1)])
    assert len(here.records("new_nodes")) == 5


@pytest.mark.parametrize(("child", "behaviour"), [("child", {}), ("leaf", {}), ("leaf", {"dropped_scope": "own"})])
def test_a_child_whose_update_is_refused_keeps_its_parents(here: World, child: str, behaviour: dict[str, str]) -> None:
    """Deletes come after updates: what is still below a record then is not deleted with it. It stays the sync's own."""
    before = made(here, **behaviour)
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'bad'"}, "times": 9})
    moved = [OTHER, (child, "other", "bad"), *([LEAF] if child == "child" else [])]
    rows(here, *moved)
    levels = 1 if child == "child" else 2
    assert here.plan("nodes").plan.counts.delete == levels

    done = here.run("nodes")

    assert (done.failed, done.deleted.planned, done.deleted.done, done.ignored) == (1, 0, 0, levels)
    assert kept(done) == [("new_parentid", levels)]
    assert (node_parents(here), ids(here)) == (ALL, before)

    here.emulator.clear_faults()
    done = here.run("nodes")
    assert (done.failed, done.updated.done, done.deleted.done, kept(done)) == (0, 1, levels, [])
    assert here.plan("nodes").plan.counts.changes == 0


def test_an_undo_leaves_alone_what_was_not_deleted(here: World) -> None:
    before = made(here)
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'bad'"}, "times": 9})
    rows(here, ("other", "", "changed"), ("child", "other", "bad"), LEAF)
    done = here.run("nodes")
    assert (done.updated.done, done.failed, done.deleted.done) == (1, 1, 0)

    again = undone(here, done.run_id)

    assert (again.state, again.updated.done, again.created.done) == ("Succeeded", 1, 0)
    assert (node_parents(here), ids(here)) == (ALL, before)


def test_an_undo_sets_nothing_back_of_a_parent_that_was_kept(here: World) -> None:
    """The run planned its delete and did not send it, so the value of a later run stays."""
    made(here)
    rows(here, OTHER, ("parent", "", "old"), CHILD, LEAF)
    here.run("nodes")
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'bad'"}, "times": 9})
    rows(here, OTHER, ("child", "other", "bad"), LEAF)
    kept_it = here.run("nodes")
    assert (kept_it.deleted.done, kept(kept_it)) == (0, [("new_parentid", 1)])
    here.emulator.clear_faults()
    rows(here, OTHER, ("parent", "", "later"), CHILD, LEAF)
    assert here.run("nodes").updated.done == 1

    done = undone(here, kept_it.run_id)

    assert (done.state, done.updated.planned) == ("Succeeded", 0)
    assert {each["new_number"]: each["new_text"] for each in here.records("new_nodes")}["parent"] == "later"


def test_other_parents_are_deleted_although_an_update_is_refused(here: World) -> None:
    made(here)
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'bad'"}, "times": 9})
    rows(here, ("other", "", "bad"), ("child", "other"), LEAF)

    done = here.run("nodes")

    assert (done.failed, done.updated.done, done.deleted.done, kept(done)) == (1, 1, 1, [])
    assert node_parents(here) == {"other": None, "child": "other", "leaf": "child"}


def test_ids_of_parents_in_the_source_count_too(here: World) -> None:
    """They are not looked up, so rows may give the id of a record that is dropped."""
    before = made(here)
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("number", "parent", "text")]
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "parent", "target": "new_parentid"},
            {"source": "text", "target": "new_text"},
        ],
    }
    safety = {"max_delete": "100%"}
    definition["sync_behaviour"] = {"sync_key": ["new_number"], "dropped": "delete", "safety": safety}
    here.define(definition, "nodes")
    rows(here, OTHER, ("child", before["other"], "bad"), ("leaf", before["child"]))
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'bad'"}, "times": 9})

    done = here.run("nodes")
    assert (done.failed, done.deleted.done, kept(done), node_parents(here)) == (1, 0, [("new_parentid", 1)], ALL)

    here.emulator.clear_faults()
    rows(here, OTHER, ("leaf", before["child"]), ("new", before["parent"]))
    done = here.run("nodes")
    assert (done.created.done, done.deleted.done, kept(done)) == (1, 0, [("new_parentid", 2)])
    assert node_parents(here) == {**ALL, "new": "parent"}


def created_above(here: World) -> RunSummary:
    """A run that creates a grandparent with a parent below it, beside a record that was there before."""
    define(here)
    rows(here, OTHER)
    here.run("nodes")
    rows(here, OTHER, ("top", ""), ("parent", "top"))
    run = here.run("nodes")
    assert run.created.done == 2
    return run


@pytest.mark.parametrize("put", ["created by a person", "moved by a person", "moved by a later run"])
def test_an_undo_deletes_no_record_below_which_others_are(here: World, put: str) -> None:
    """Dataverse would delete them too. The records above a kept one are kept as well."""
    run = created_above(here)
    known = ids(here)
    below = {"new_ParentId@odata.bind": f"/new_nodes({known['parent']})"}
    if put == "created by a person":
        here.create("new_nodes", {"new_number": "theirs", **below})
    elif put == "moved by a person":
        here.update(f"new_nodes({known['other']})", below)
    else:
        rows(here, ("other", "parent"), ("top", ""), ("parent", "top"))
        assert here.run("nodes").updated.done == 1
    before = here.records("new_nodes")

    done = undone(here, run.run_id)

    assert (done.state, done.deleted.done, done.edited) == ("Completed with errors", 0, 2)
    assert [("are below this one" in error.message, error.count) for error in done.errors] == [(True, 2)]
    assert {each["new_nodeid"] for each in here.records("new_nodes")} == {each["new_nodeid"] for each in before}
    name = "theirs" if put == "created by a person" else "other"
    here.update(f"new_nodes(new_number='{name}')", {"new_ParentId@odata.bind": None})
    assert undone(here, run.run_id).deleted.done == 2
    assert sorted(ids(here)) == sorted({"other", name})


def test_an_undo_that_moves_a_record_away_first_deletes_what_was_above_it(here: World) -> None:
    """A set-back that Dataverse refuses leaves the record where it is, and its parent is kept."""
    define(here)
    rows(here, OTHER, ("stays", "other", "old"))
    here.run("nodes")
    rows(here, OTHER, ("stays", "new", "changed"), ("new", ""))
    run = here.run("nodes")
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "new_text eq 'old'"}, "times": 9})
    done = undone(here, run.run_id)
    assert (done.failed, done.deleted.done, sorted(ids(here))) == (1, 0, ["new", "other", "stays"])
    here.emulator.clear_faults()
    done = undone(here, run.run_id)
    assert (done.state, done.deleted.done, node_parents(here)) == ("Succeeded", 1, {"other": None, "stays": "other"})


def kept_reasons(here: World, name: str) -> dict[str, int]:
    """Why the plan drops no record without a valid row, and how many records each reason holds for."""
    begin = "records without a valid row of the source: "
    told = {each["why"]: each["count"] for each in here.plan(name).about["ignored"]}
    assert all(why.startswith(begin) for why in told)
    return {why.removeprefix(begin): count for why, count in told.items()}


def test_a_plan_says_which_records_are_kept_for_those_below_them(here: World) -> None:
    """Nothing is marked and no row is in error, so it says neither."""
    made(here, "keep")
    rows(here, OTHER, LEAF)

    assert kept_reasons(here, "nodes") == {"records that stay are below them": 2}


def test_a_plan_says_for_each_record_why_it_is_kept(here: World) -> None:
    """It is not the sync's own, has its mark, or has the key of a row in error."""
    rules = {"dropped": "deactivate", "dropped_scope": "own", "safety": {"max_delete": "100%"}}
    here.define(accounts(sync_behaviour=rules))

    def source(*revenues: tuple[str, str]) -> None:
        here.csv([{"number": n, "name": n, "city": "", "revenue": revenue} for n, revenue in revenues])

    source(("1", "1"), ("2", "1"), ("3", "1"), ("4", "1"))
    here.run()
    source(("1", "1"), ("2", "1"), ("3", "1"))
    here.run()
    here.create("accounts", {"accountnumber": "theirs", "name": "theirs"})
    source(("1", "1"), ("2", "1"), ("3", "wrong"))

    assert kept_reasons(here, "accounts") == {
        "they are marked already": 1,
        "they are not this sync's own (dropped_scope)": 1,
        "their key is that of a row in error, or several records have it (see Errors)": 1,
    }
    here.define(accounts(sync_behaviour={"dropped": "ignore"}))
    assert kept_reasons(here, "accounts") == {"dropped is ignore": 3}


def test_a_plan_says_that_rows_without_a_readable_key_keep_records(here: World) -> None:
    here.define(accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}}))
    here.create("accounts", {"accountnumber": "1", "name": "1"})
    here.csv([{"number": "x" * 30, "name": "too long", "city": "", "revenue": ""}] * 2)

    (reason,) = kept_reasons(here, "accounts")

    assert reason == "they may be those of rows whose key cannot be read or does not fit (see Errors)"
