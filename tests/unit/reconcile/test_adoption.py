"""Records that the service found under the key of a planned insert: which are adopted, and what is not dropped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.entities import AttributeMetadata, AttributeType
from shared.reconcile import adoption_steps, reconcile_steps
from shared.transform import TargetColumn
from shared.workspace import Workspace
from tests.unit.reconcile.test_steps import ERRORS, definition, table

ID = "00000000-0000-0000-0000-00000000000{}"
COLUMNS = "number VARCHAR, name VARCHAR"
LAYOUT = tuple(
    TargetColumn(
        name=name,
        attribute=AttributeMetadata(name=name, type=AttributeType.STRING),
        sql_type="VARCHAR",
        source_sql="",
        key_part=key_part,
    )
    for name, key_part in (("number", 1), ("name", None))
)


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """Three new rows; two records, of which the first would be dropped and the second has the key of a fourth row."""
    with Workspace.open() as opened:
        table(opened, "protected", "_k1 VARCHAR")
        table(opened, "source_errors", ERRORS)
        table(opened, "target_errors", f"{ERRORS}, _id UUID")
        table(opened, "outcomes", "id UUID, created BOOLEAN")
        rows = [(1, "a", "x", "a"), (2, "b", "y", "b"), (3, "c", "z", "c"), (4, "met", "m", "met")]
        table(opened, "desired", f"_row BIGINT, {COLUMNS}, _k1 VARCHAR", *rows)
        records = [(1, ID.format(1), "a'", "was", "a'"), (2, ID.format(2), "met", "m", "met")]
        table(opened, "current", f"_seq BIGINT, _id UUID, {COLUMNS}, _k1 VARCHAR", *records)
        yield opened


def adopted(workspace: Workspace, *holders: tuple[Any, ...], **behaviour: Any) -> list[tuple[Any, ...]]:
    """Plan, look up the holders (number of the insert, id, number, name) and return what is adopted."""
    rules = definition(dropped="delete", **behaviour)
    for step in reconcile_steps(rules, LAYOUT, started=datetime(2026, 1, 1, tzinfo=UTC)):
        workspace.run(step)
    table(workspace, "holders", f"_seq BIGINT, _id UUID, {COLUMNS}", *holders)
    for step in adoption_steps(rules, LAYOUT):
        workspace.run(step)
    return workspace.query(
        "SELECT _change, _id::VARCHAR, action::VARCHAR, payload, columns FROM adoptions ORDER BY _change"
    )


def dropped(workspace: Workspace) -> list[Any]:
    """The ids that are still to be deleted, as `decisions` and `changes` have them."""
    return [
        [str(row[0]) for row in workspace.query(f"SELECT _id FROM {name} WHERE action = 'delete'")]
        for name in ("decisions", "changes")
    ]


def test_an_adopted_record_gets_what_differs_and_an_equal_one_nothing(workspace: Workspace) -> None:
    """The rules for changed records apply; a record is paired with the row whose key it has."""
    found = adopted(workspace, (1, ID.format(8), "A ", "x"), (2, ID.format(9), "b", "y"))
    assert found == [
        (1, ID.format(8), "update", '{"number":"a"}', "number"),
        (2, ID.format(9), "unchanged", "{}", ""),
    ]
    planned = workspace.query("SELECT action::VARCHAR, payload, columns, before FROM changes ORDER BY _change LIMIT 3")
    assert planned == [
        ("insert", '{"number":"a"}', "number", '{"number":"A "}'),
        ("insert", "{}", "", "{}"),
        ("insert", '{"number":"c","name":"z"}', "number,name", "{}"),
    ]


def test_what_is_adopted_is_not_dropped_and_all_else_is(workspace: Workspace) -> None:
    """Neither the decision nor the change of a record that a row has is left; other drops and all inserts stay."""
    assert adopted(workspace, (2, ID.format(9), "b", "y"))
    assert dropped(workspace) == [[ID.format(1)], [ID.format(1)]]
    for name in ("holders", "adoptions", "decisions", "changes"):  # of the round before
        workspace.drop(name)
    assert adopted(workspace, (1, ID.format(1), "a'", "was"))
    assert dropped(workspace) == [[], []]
    assert workspace.query("SELECT count(*) FROM changes WHERE action = 'insert'") == [(3,)]
    assert workspace.query("SELECT action::VARCHAR FROM decisions WHERE _id = ?", [ID.format(2)]) == [("unchanged",)]


def test_nothing_is_adopted_where_the_service_holds_the_key_twice(workspace: Workspace) -> None:
    """Which record was meant is not known."""
    assert adopted(workspace, (1, ID.format(8), "a", "x"), (1, ID.format(9), "A", "x")) == []


def test_a_record_that_two_rows_have_goes_to_the_first(workspace: Workspace) -> None:
    """To the service their keys are equal, and the first row of a key counts."""
    found = adopted(workspace, (2, ID.format(9), "B", "y"), (1, ID.format(9), "B", "y"))
    assert [(change, record) for change, record, *_ in found] == [(1, ID.format(9))]


def test_a_record_that_an_earlier_round_has_adopted_is_not_adopted_again(workspace: Workspace) -> None:
    """Whatever became of the update: within one round it does not count either."""
    assert adopted(workspace, (1, ID.format(9), "B", "y"))
    for name in ("holders", "adoptions", "decisions", "changes"):
        workspace.drop(name)
    found = adopted(workspace, (2, ID.format(9), "B", "y"), (3, ID.format(8), "c", "y"))
    assert [(change, record) for change, record, *_ in found] == [(3, ID.format(8))]


def test_a_record_that_another_row_has_is_not_adopted(workspace: Workspace) -> None:
    """It was matched by its key when the run was planned."""
    assert adopted(workspace, (1, ID.format(2), "met", "m")) == []


@pytest.mark.parametrize(("created", "count"), [(True, 0), (False, 1)])
def test_a_record_that_this_run_has_created_is_not_adopted(workspace: Workspace, *, created: bool, count: int) -> None:
    """One that it has only written may be; the result of other records does not count."""
    workspace.execute("INSERT INTO outcomes VALUES (?, true)", [ID.format(7)])
    workspace.execute("INSERT INTO outcomes VALUES (?, ?)", [ID.format(9), created])
    assert len(adopted(workspace, (1, ID.format(9), "A", "x"))) == count


def test_a_condition_decides_on_the_row_and_the_record(workspace: Workspace) -> None:
    """`source.*` is the row of the insert, `target.*` the record that holds its key."""
    table(workspace, "source", f"_row BIGINT, {COLUMNS}, op VARCHAR", (1, "a", "x", "yes"), (2, "b", "y", "no"))
    changed = {"when": "source.op = 'yes' and target.name = 'old'"}
    found = adopted(workspace, (1, ID.format(8), "a", "old"), (2, ID.format(9), "b", "old"), changed=changed)
    assert [(change, action) for change, _, action, *_ in found] == [(1, "update"), (2, "ignored")]


def test_a_record_on_whose_row_the_condition_fails_is_not_adopted(workspace: Workspace) -> None:
    """Its insert fails; the others are adopted."""
    table(workspace, "source", f"_row BIGINT, {COLUMNS}, op VARCHAR", (1, "a", "x", "many"), (2, "b", "y", "7"))
    changed = {"when": "CAST(source.op AS INTEGER) > 5"}
    found = adopted(workspace, (1, ID.format(8), "a", "old"), (2, ID.format(9), "b", "old"), changed=changed)
    assert [(change, action) for change, _, action, *_ in found] == [(2, "update")]
