"""Lookups in the synced table: when the records of the run are used, and what is found in them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.reconcile import link_steps
from shared.transform import (
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    held_references,
    held_steps,
    late_lookups,
    layout,
    shape_steps,
)
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import LINKED, STARTED, column, errors, fill, id_of, linking, record, to
from tests.unit.transform.world import load

NAME = {"source": "b", "target": "name"}


def held(sync: SyncDefinition) -> list[tuple[str, list[str]]]:
    """Table and match columns of what is not read again."""
    found = held_references(sync, LINKED, layout(sync, LINKED), late_lookups(sync, LINKED))
    return [(each.entity.logical_name, [column.name for column in each.columns]) for each in found]


def filtered(sync: SyncDefinition) -> SyncDefinition:
    """The same sync, which reads a part of the table."""
    destination = sync.destination.model_copy(update={"filter": "name ne null"})
    return sync.model_copy(update={"destination": destination})


def test_records_are_not_read_again_if_the_run_has_them_all() -> None:
    """Also if they are found by id, because the id of each record is read."""
    assert held(linking(to("parent", match="accountnumber"))) == [("account", ["accountnumber"])]
    assert held(linking(NAME, to("parent", match=["accountnumber", "name"], source=["a", "b"]))) == [
        ("account", ["accountnumber", "name"])
    ]
    assert held(linking(to("parent", match="id"))) == [("account", ["accountid"])]
    assert held(linking(to("parent", match="accountnumber", filter="name ne null"))) == [("account", ["accountnumber"])]


@pytest.mark.parametrize(
    "sync",
    [
        linking(to("parent", match="accountnumber"), strategy="upsert"),
        filtered(linking(to("parent", match="accountnumber"))),
        linking(to("parent", match="name")),
        linking(to("parent", match="accountnumber", on_ambiguous="oldest")),
        linking(to("contact", match="code")),
    ],
    ids=["not read", "read in part", "column not read", "by age", "another table"],
)
def test_records_are_read_for_a_lookup_that_needs_more(sync: SyncDefinition) -> None:
    """The run has read only a part of the table or of its columns."""
    assert held(sync) == []


def search(workspace: Workspace, mapping: dict[str, Any], rows: list[list[str | None]]) -> dict[str, Any]:
    """Resolve `parent` in three records that the run has read, of which two have one number."""
    sync = linking(mapping)
    load(workspace, sync, rows)
    columns = layout(sync, LINKED)
    for step in (*shape_steps(sync), *desire_steps(sync, LINKED), *desired_finish_steps(sync, LINKED)):
        workspace.run(step)
    workspace.run(current_table_step(columns))
    records = [record(1, accountnumber="x"), record(2, accountnumber="Y"), record(3, accountnumber="y")]
    fill(workspace, "current", ["accountnumber"], records)
    found = held_references(sync, LINKED, columns, late_lookups(sync, LINKED))
    steps = (
        *current_finish_steps(columns, sync, keep_aside=True),
        *held_steps(LINKED, found, sync.sync_behaviour.key_match),
        *link_steps(sync, LINKED, columns, started=STARTED),
    )
    for step in steps:
        workspace.run(step)
    return column(workspace, "parent")


def test_a_lookup_finds_the_records_that_were_read(workspace: Workspace) -> None:
    """A duplicate that the run ignores still counts: its number is ambiguous."""
    mapping = to("parent", match="accountnumber")
    rows: list[list[str | None]] = [["x", "X ", ""], ["n", "y", ""], ["m", "z", ""]]
    assert search(workspace, mapping, rows) == {"x": id_of(1)}
    assert [(row, error) for row, _, error, _ in errors(workspace)] == [(2, "Ambiguous Link"), (3, "Unresolved Link")]


def test_a_lookup_by_id_finds_an_ignored_duplicate(workspace: Workspace) -> None:
    """Its id is not ambiguous."""
    assert search(workspace, to("parent", match="id"), [["x", id_of(3), ""]]) == {"x": id_of(3)}
