"""Adopted records: existing ones that take the place of new ones get what any existing record gets, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.test_undo_relations import undone
from tests.acceptance.world import World, accounts, world

NODES = {
    "new_Node": {
        "keys": {"number_key": ["new_number"]},
        "columns": {
            "new_Number": {"type": "String", "length": 20},
            "new_Text": {"type": "String", "length": 10},
            "new_ParentId": {"type": "Lookup", "targets": ["new_node"]},
        },
    }
}
CIRCLE = {"A1": "B", "B": "A1", "X": ""}
DEEP = {"X": "", "L0": "", **{f"L{n}": f"L{n - 1}" for n in range(1, 22)}, "A1": "L21"}
Held = dict[str, tuple[str | None, str | None]]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """The record a1 has the parent X."""
    with world(tmp_path, tables=NODES) as made:
        top = made.create("new_nodes", {"new_number": "X"})
        made.create(
            "new_nodes", {"new_number": "a1", "new_text": "old", "new_ParentId@odata.bind": f"/new_nodes({top})"}
        )
        yield made


def define(here: World, rows: dict[str, str], *, text: str = "new", write: str = "always", **behaviour: Any) -> None:
    """A sync of nodes with their parents; only the service finds the keys A1 and a1 equal."""
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("number", "text", "parent")]
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number", "write": "on_insert"},
            {"source": "text", "target": "new_text"},
            {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_number"}, "write": write},
        ],
    }
    definition["sync_behaviour"] = {
        "sync_key": ["new_number"],
        "key_match": "exact",
        "safety": {"max_update": "100%"},
        **behaviour,
    }
    here.define(definition, "nodes")
    here.csv(
        [
            {"number": number, "parent": parent, "text": "old" if number == "X" else text}
            for number, parent in rows.items()
        ]
    )


def held(here: World) -> Held:
    """Number -> text, number of the parent."""
    found = here.records("new_nodes?$select=new_number,new_text&$expand=new_ParentId($select=new_number)")
    return {each["new_number"]: (each["new_text"], (each["new_ParentId"] or {}).get("new_number")) for each in found}


@pytest.mark.parametrize("rows", [CIRCLE, DEEP], ids=["circle", "deep"])
@pytest.mark.parametrize(
    ("write", "changed", "expected"),
    [
        ("always", "ignore", ("old", "X")),
        ("always", {"when": "target.new_text = 'other'"}, ("old", "X")),
        ("on_insert", "update", ("new", "X")),
        ("if_empty", "update", ("new", "X")),
        ("unless_edited", "update", ("new", "X")),
        ("always", "update", ("new", "")),
    ],
)
def test_a_reference_that_is_put_off_follows_the_rules_for_existing_records(
    here: World, rows: dict[str, str], write: str, changed: Any, expected: tuple[str, str]
) -> None:
    """New records get their references in any case, and the record is not changed again by the next run."""
    define(here, rows, write=write, changed=changed)

    done = here.run("nodes")

    assert (done.state, done.adopted, done.created.done) == ("Succeeded", 1, len(rows) - 2)
    found = held(here)
    assert found["a1"] == (expected[0], expected[1] or rows["A1"])
    new = {number: found[number][1] or "" for number in rows if number not in {"A1", "X"}}
    assert new == {number: rows[number].replace("A1", "a1") for number in new}


@pytest.mark.parametrize("text", ["new", "old"], ids=["another column too", "the reference alone"])
def test_an_undo_gives_an_adopted_record_its_parent_back(here: World, text: str) -> None:
    """And the undo of the undo the new one."""
    before = held(here)
    define(here, CIRCLE, text=text)
    done = here.run("nodes")
    after = held(here)
    assert (done.adopted, after["a1"]) == (1, (text, "B"))

    undo = undone(here, done.run_id)

    assert (undo.state, undo.edited, undo.errors) == ("Succeeded", 0, ())
    assert held(here) | {"X": (None, None)} == before
    assert undone(here, undo.run_id).state == "Succeeded"
    assert held(here) == after


@pytest.mark.parametrize("write", ["always", "on_insert"])
def test_an_adopted_record_fails_only_with_a_reference_that_it_is_to_get(here: World, write: str) -> None:
    """Dataverse refuses the new record B; what is told of A1 says that its record was there."""
    refused = {"path": "new_nodes", "filter": "new_number eq 'B'"}
    here.emulator.faults({"action": "refuse_rows", "match": refused, "code": "0x80040265", "message": "no"})
    define(here, CIRCLE, write=write)

    done = here.run("nodes")

    assert (done.adopted, done.failed) == ((0, 2) if write == "always" else (1, 1))
    assert held(here)["a1"] == ("new", "X")
    if write == "always":
        assert "the record was adopted, but new_parentid refers to row 2" in str([each.message for each in done.errors])


@pytest.mark.parametrize("text", ["new", "old"], ids=["another column too", "the reference alone"])
@pytest.mark.parametrize("filtered", [True, False])
def test_an_edit_after_the_look_up_of_an_adopted_record_stays(here: World, text: str, *, filtered: bool) -> None:
    """The write names the version that was compared; nothing is known of a new record that was not made."""
    rows = {"A1": "", "X": ""}
    define(here, {"a1": "X", "X": ""}, text="old", write="unless_edited")
    here.run("nodes")
    define(here, rows | CIRCLE, text=text, write="unless_edited")
    if filtered:
        definition = yaml.safe_load((here.folder / "syncs" / "nodes.yaml").read_text("utf-8"))
        definition["destination"]["filter"] = "new_text ne 'theirs'"
        here.define(definition, "nodes")
    (record,) = here.records("new_nodes?$select=new_nodeid&$filter=new_number eq 'a1'")

    def edit(_run: str, name: str, _part: bytes) -> None:
        if name.startswith("adopted"):
            here.update(f"new_nodes({record['new_nodeid']})", {"new_text": "edited"})

    with here.store_in_front(put_journal_part=edit):
        done = here.run("nodes")

    assert (done.state, done.adopted, done.edited, done.failed) == ("Succeeded", 0, 1, 0)
    assert [error.error_type for error in done.errors] == ["Edited in target"]
    assert held(here)["a1"] == ("edited", "X")
    again = here.run("nodes")
    assert (again.adopted, again.edited, held(here)["a1"]) == (1, 0, (text, "B"))
