"""Undo of records that refer to each other, of links, and of adopted records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.app.histories import history
from shared.app.undoing import undo
from shared.errors import RequestRefused
from shared.jobs import NoProgress, RunOptions, RunState, RunSummary
from tests.acceptance.test_links_between_records import linked, links
from tests.acceptance.test_lookups import define_nodes, node_parents, nodes
from tests.acceptance.test_undo import Meanwhile, other_person
from tests.acceptance.world import World, accounts, world

FAMILY = {"G": "", "P": "G", "C": "P", "X": "Y", "Y": "X"}  # a grandchild, and two that refer to each other


@pytest.fixture(params=[False, True], ids=["without bin", "with bin"])
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with world(tmp_path, in_thread=True, recycle_bin=request.param) as made:
        yield made


def undone(here: World, run_id: str) -> RunSummary:
    run = here.app.state.run(run_id)
    assert run is not None
    done = undo(here.app, run, RunOptions(trigger="undo"), NoProgress())
    here.app.state.resume(run.sync)
    return done


def family(here: World, parents: dict[str, str]) -> str:
    """A run of accounts that refer to their parents in the same table; returns its id."""
    everything = {"max_delete": "100%", "max_update": "100%", "allow_empty_source": True}
    definition = accounts(sync_behaviour={"dropped": "delete", "safety": everything})
    definition["source"]["columns"] = [{"name": "number"}, {"name": "parent"}]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "number", "target": "name"},
        {"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}},
    ]
    here.define(definition)
    here.csv(
        [{"number": number, "parent": parent} for number, parent in parents.items()] or [{"number": "", "parent": ""}]
    )
    return here.run().run_id


def parents(here: World) -> dict[str, str]:
    records = here.records("accounts?$select=accountnumber,_parentaccountid_value")
    names = {record["accountid"]: record["accountnumber"] for record in records}
    return {record["accountnumber"]: names.get(record["_parentaccountid_value"], "") for record in records}


def test_records_that_refer_to_each_other_go_and_come_back(here: World) -> None:
    """Created ones are deleted, deleted ones are there again with their references; others keep theirs."""
    chain = {number: parent for number, parent in FAMILY.items() if number in "GPC"}
    created = family(here, chain)
    before = parents(here)
    assert before == chain
    dropped = family(here, {})
    assert parents(here) == {}
    done = undone(here, dropped)
    assert (done.state, done.created.done, parents(here)) == ("Succeeded", 3, chain)
    assert undone(here, done.run_id).deleted.done == 3
    assert parents(here) == {}
    family(here, {"G": ""})
    run = family(here, {"G": "P", "P": "", "C": "P"})
    assert undone(here, run).deleted.done == 2
    assert parents(here) == {"G": ""}
    assert created != run


@pytest.mark.parametrize("action", ["drop_after", "drop_before"])
def test_records_are_there_again_also_where_the_answer_is_lost(here: World, action: str) -> None:
    """What was restored or created is told as that, and the undo of the undo deletes it."""
    alone = {"A": "", "B": "", "C": ""}
    family(here, alone)
    run = family(here, {"A": ""})
    here.emulator.faults([{"action": action, "match": {"method": "POST"}, "times": 1}])
    done = undone(here, run)
    here.emulator.clear_faults()
    assert (done.state, done.created.done, done.failed, parents(here)) == ("Succeeded", 2, 0, alone)
    again = undone(here, done.run_id)
    assert (again.state, again.deleted.done, parents(here)) == ("Succeeded", 2, {"A": ""})


CHAIN = {"A": "B", "B": "C", "C": "D", "D": ""}
MOVED = {
    "turned around": (CHAIN, {"A": "", "B": "A", "C": "B", "D": "C"}),
    "two change places": ({"A": "B", "B": ""}, {"A": "", "B": "A"}),
    "one in between stays": ({"A": "B", "B": "C", "C": ""}, {"A": "", "B": "C", "C": "A"}),
    "below a new one": (CHAIN, {"D": "N", "N": "A", "A": "", "B": "D", "C": "B"}),
}


@pytest.mark.parametrize("case", MOVED)
@pytest.mark.parametrize("first", ["first row", "last row"])
def test_records_that_move_below_their_former_descendants(here: World, case: str, first: str) -> None:
    """In whatever order: one run writes all of it, one undo sets all of it back, and its undo writes it again.

    Dataverse refuses a parent that is a descendant of the record until it has been moved itself.
    """
    before, after = MOVED[case]
    if first == "last row":
        after = dict(reversed(after.items()))
    family(here, before)
    run = here.app.state.run(family(here, after))
    assert run is not None
    assert (run.state, parents(here)) == ("Succeeded", after)
    done = undone(here, run.run_id)
    assert (done.state, parents(here)) == ("Succeeded", before)
    done = undone(here, done.run_id)
    assert (done.state, parents(here)) == ("Succeeded", after)


def test_a_circle_of_parents_is_refused_once(here: World) -> None:
    """Sending it again does not help: the others are written, and the run ends."""
    family(here, {"A": "", "B": "", "C": ""})
    family(here, {"A": "B", "B": "A", "C": "B"})
    (latest,) = here.app.state.runs("accounts", 1)
    assert latest.counts["failed"] == 1
    assert parents(here) == {"A": "B", "B": "", "C": "B"}


CIRCLES = {"A": "B", "B": "A", "C": "C", "X": "Y", "Y": "Z", "Z": "X", "child": "A"}


def test_a_circle_is_deleted_and_made_again(tmp_path: Path) -> None:
    """The delete of one empties the reference of the other, which nobody else has changed."""
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        here.csv([{"number": number, "parent": parent} for number, parent in CIRCLES.items()])
        run = here.run("nodes").run_id
        assert node_parents(here) == CIRCLES
        done = undone(here, run)
        assert (done.state, done.deleted.done, done.edited, done.errors) == (RunState.SUCCEEDED, len(CIRCLES), 0, ())
        assert node_parents(here) == {}
        again = undone(here, done.run_id)
        assert (again.created.done, node_parents(here)) == (len(CIRCLES), CIRCLES)
        assert undone(here, again.run_id).deleted.done == len(CIRCLES)
        assert node_parents(here) == {}


def test_a_table_that_compares_no_versions_is_undone_without_them(tmp_path: Path) -> None:
    """Dataverse refuses writes that name a version; so what others change during the undo is overwritten."""
    with nodes(tmp_path, "  optimistic_concurrency: false\n") as here:
        define_nodes(here, "full")
        rows = [{"number": number, "parent": parent} for number, parent in CIRCLES.items()]
        here.csv(rows)
        created = here.run("nodes").run_id
        here.csv([{**row, "parent": ""} if row["number"] == "child" else row for row in rows])
        run = here.app.state.run(here.run("nodes").run_id)
        assert run is not None

        def edit() -> None:
            here.update("new_nodes(new_number='child')", {"new_ParentId@odata.bind": "new_nodes(new_number='X')"})

        done = undo(here.app, run, RunOptions(trigger="undo"), Meanwhile(edit))
        assert (done.state, done.updated.done, done.edited) == (RunState.SUCCEEDED, 1, 0)
        assert node_parents(here) == CIRCLES
        assert undone(here, created).deleted.done == len(CIRCLES)
        assert node_parents(here) == {}


def test_records_that_an_undo_did_not_come_to_are_told_as_not_tried(tmp_path: Path) -> None:
    """Also where an error ends it before the first delete; a second undo of the run does what is left."""
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        here.csv([{"number": number, "parent": parent} for number, parent in CIRCLES.items()])
        run = here.app.state.run(here.run("nodes").run_id)
        assert run is not None
        refused = {"action": "status", "status": 403, "times": 1000, "match": {"method": "GET", "path": "new_nodes"}}
        with here.store_in_front(pause=lambda *_, **__: here.emulator.faults([refused])), pytest.raises(RequestRefused):
            undo(here.app, run, RunOptions(trigger="undo"), NoProgress())
        here.emulator.clear_faults()
        (latest,) = here.app.state.runs("nodes", 1)
        (file,) = here.app.state.files(latest.run_id)
        lines = csv.DictReader(io.StringIO((here.app.state.file(latest.run_id, file) or b"").decode("utf-8-sig")))
        assert [(line["The run"], line["The undo"]) for line in lines] == [("created", "not tried")] * len(CIRCLES)
        assert (latest.state, latest.counts["skipped"]) == ("Failed", len(CIRCLES))
        assert latest.counts["deleted"] == {"done": 0, "planned": len(CIRCLES)}
        assert node_parents(here) == CIRCLES
        assert not history(here.app, "nodes", ["A"], NoProgress()).entries[1:]
        assert undone(here, run.run_id).deleted.done == len(CIRCLES)


def test_records_of_a_circle_that_somebody_edits_meanwhile_stay(tmp_path: Path) -> None:
    """What others changed after the undo had compared is not deleted, though the circle is broken."""
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        here.csv([{"number": number, "parent": CIRCLES[number]} for number in "ABXYZ"])
        run = here.app.state.run(here.run("nodes").run_id)
        assert run is not None
        kept = here.records("new_nodes?$filter=new_number eq 'B' or new_number eq 'Y'")

        theirs = other_person(here)

        def edit() -> None:
            for record in kept:
                here.update(f"new_nodes({record['new_nodeid']})", {"new_number": record["new_number"]}, as_user=theirs)

        done = undo(here.app, run, RunOptions(trigger="undo"), Meanwhile(edit))
        assert (done.deleted.done, done.edited) == (3, 2)
        assert sorted(node_parents(here)) == ["B", "Y"]


def test_links_are_turned_around(here: World) -> None:
    """A link that the run made is removed, and a link that it removed is made."""
    for number in "12":
        here.create("accounts", {"name": number, "accountnumber": number})
        here.create("leads", {"subject": f"Lead {number}", "lastname": number})
    links(here, [("1", "Lead 1"), ("2", "Lead 2")])
    here.run("links")
    before = linked(here)
    links(here, [("1", "Lead 1"), ("1", "Lead 2")])
    run = here.run("links").run_id
    done = undone(here, run)
    assert (done.created.done, done.deleted.done, linked(here)) == (1, 1, before)
    undone(here, done.run_id)
    assert linked(here) == {("1", "Lead 1"), ("1", "Lead 2")}


@pytest.mark.parametrize("died", [False, True])
def test_an_adopted_record_gets_its_values_back(here: World, monkeypatch: pytest.MonkeyPatch, *, died: bool) -> None:
    """It was updated in the place of a new record, so it is not deleted; also if the process died after the update."""
    here.create("accounts", {"name": "Theirs", "accountnumber": "IV"})
    values: dict[str, Any] = {"number": "Ⅳ", "name": "Ours", "city": "", "revenue": ""}
    here.define(accounts())
    here.csv([values])
    with monkeypatch.context() as dying:
        if died:
            dying.setattr("shared.jobs.batch.journaling.Journaling.note_after", lambda *_: None)
        done = here.run()
    assert (done.adopted, done.created.done) == (1, 0)
    assert undone(here, done.run_id).updated.done == 1
    (record,) = here.records("accounts?$select=name,accountnumber")
    assert (record["name"], record["accountnumber"]) == ("Theirs", "IV")


@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("dropped", ["delete", "deactivate"])
def test_a_record_that_was_adopted_and_not_dropped_loses_nothing_of_a_later_run(
    here: World, monkeypatch: pytest.MonkeyPatch, dropped: str, *, died: bool
) -> None:
    """Its drop was planned, and left the plan. The undo sets back what the update wrote, and only that."""
    key = {"key_match": "exact", "dropped": dropped, "safety": {"max_delete": "100%", "max_update": "100%"}}
    here.define(accounts(sync_behaviour=key))
    record = here.create("accounts", {"accountnumber": "Key-A", "name": "Theirs", "telephone1": "1"})
    here.csv([{"number": "KEY-A", "name": "Ours", "city": "Ulm", "revenue": "1"}])
    with monkeypatch.context() as dying:
        if died:
            dying.setattr("shared.jobs.batch.journaling.Journaling.note_after", lambda *_: None)
        run = here.run()
    assert (run.adopted, run.deleted.planned, run.deactivated.planned) == (1, 0, 0)
    actions = [entry.change.action for entry in history(here.app, "accounts", [record], NoProgress()).entries]
    assert actions == ["update"]
    here.csv([{"number": "KEY-A", "name": "Later", "city": "Ulm", "revenue": "1"}])
    assert here.run().updated.done == 1
    here.update(f"accounts({record})", {"telephone1": "2"})

    done = undone(here, run.run_id)

    assert (done.updated.done, done.updated.planned) == (1, 1)
    assert [(error.error_type, error.column, error.count) for error in done.errors] == [("Edited since", "name", 1)]
    (now,) = here.records("accounts?$select=accountnumber,name,address1_city,revenue,telephone1")
    values = [now[name] for name in ("accountnumber", "name", "address1_city", "revenue", "telephone1")]
    assert values == ["Key-A", "Later", None, None, "2"]
