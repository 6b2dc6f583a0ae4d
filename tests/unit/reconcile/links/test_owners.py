"""Owners of records below those that get another owner: which changes count, and which records are to get theirs again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.definitions.models import WritePolicy
from shared.entities import AttributeMetadata, AttributeType
from shared.reconcile.links.owners import (
    ADD_OWNER,
    FAIL_OWNER,
    LAST_CHANGE,
    given_owner_query,
    held_owners_step,
    own_owners_query,
    owner_column,
    received_owner_query,
    wrong_owners_query,
)
from shared.reconcile.outcomes import OUTCOMES
from shared.transform import TargetColumn
from shared.transform.targets import Bind
from shared.workspace import Table, Workspace
from tests.unit.reconcile.test_steps import ID, NAME, table

CHANGES = (
    "_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR, payload VARCHAR, on_create VARCHAR, "
    "later VARCHAR, links VARCHAR, columns VARCHAR, before VARCHAR, version VARCHAR"
)


def owner(**more: Any) -> TargetColumn:
    facts = {"updatable": more.pop("updatable", True)}
    attribute = AttributeMetadata(
        name="ownerid",
        type=AttributeType.OWNER,
        targets=("systemuser", "team"),
        navigation={"team": "ownerid"},
        **facts,
    )
    binds = tuple(Bind(table=name, navigation="ownerid", entity_set=f"{name}s") for name in attribute.targets)
    return TargetColumn(name="ownerid", attribute=attribute, sql_type="VARCHAR", source_sql="", binds=binds, **more)


OWNER = owner()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """Records 1 to 7; the changes give an owner to 1 (made), 2 (refused), 5 (new) and 6 (adopted), and a name to 3.

    The adopted record 7 has the owner of its row already.
    """
    with Workspace.open() as opened:
        opened.create(OUTCOMES)
        table(opened, "changes", CHANGES)
        table(opened, "decisions", "_row BIGINT, _id UUID, action VARCHAR")
        table(opened, "desired", "_row BIGINT, ownerid VARCHAR")
        for name in (Table.CURRENT, Table.OWNERS_BEFORE, Table.OWNERS_AFTER):
            opened.run(held_owners_step(OWNER, name))
        for number, (action, columns, result) in enumerate(
            [
                ("update", "name,ownerid", "applied"),
                ("update", "ownerid", "failed"),
                ("reactivate", "name", "applied"),
                ("delete", "", "applied"),
                ("insert", "ownerid", "applied"),
                ("insert", "ownerid", "adopted"),
                ("insert", "", "adopted"),
            ],
            1,
        ):
            planned = None if action == "insert" else ID.format(number)
            opened.execute(
                "INSERT INTO changes (_change, action, _row, _id, columns) VALUES (?, ?, ?, ?, ?)",
                [number, action, number, planned, columns],
            )
            opened.execute("INSERT INTO decisions VALUES (?, ?, ?)", [number, planned, action])
            opened.execute(
                "INSERT INTO outcomes (_change, result, id) VALUES (?, ?, ?)", [number, result, ID.format(number)]
            )
            opened.execute("INSERT INTO desired VALUES (?, ?)", [number, f"team:{number}"])
        yield opened


def hold(workspace: Workspace, name: Table, held: dict[int, str]) -> None:
    for number, value in held.items():
        workspace.execute(f"INSERT INTO {name} (_id, ownerid) VALUES (?, ?)", [ID.format(number), value])


def test_an_owner_that_no_change_of_a_record_sets_does_not_count() -> None:
    """Only a new record gets it, or the service does not take it."""
    assert owner_column([NAME, OWNER]) == OWNER
    assert owner_column([owner(write=WritePolicy.UNLESS_EDITED)]) is not None
    for other in (owner(write=WritePolicy.ON_INSERT), owner(writes=False), owner(updatable=False), NAME):
        assert owner_column([other]) is None


def test_records_that_are_there_get_an_owner_by_changes_that_set_it(workspace: Workspace) -> None:
    """Before the writes those that are planned; after them those that were made, and adopted records."""
    assert sorted(workspace.query(given_owner_query(OWNER))) == [(ID.format(1),), (ID.format(2),)]
    assert sorted(workspace.query(received_owner_query(OWNER))) == [(ID.format(1),), (ID.format(6),)]
    assert sorted(workspace.query(own_owners_query(OWNER))) == [("team:1",), ("team:5",), ("team:6",)]


@pytest.mark.parametrize("rows_only", [True, False])
def test_a_record_is_to_have_what_the_run_wrote_or_else_what_it_had(workspace: Workspace, *, rows_only: bool) -> None:
    """What it had is known from the look before the writes, or from the comparison; what is not known is left.

    A record without a row follows the record above it in a run, and keeps its owner in an undo.
    """
    hold(workspace, Table.OWNERS_AFTER, dict.fromkeys((1, 2, 3, 5, 6, 7, 8, 9), "team:9"))
    before = {1: "team:0", 2: "systemuser:2", 6: "team:0", 7: "team:7", 8: "team:9", 9: "team:8"}
    hold(workspace, Table.OWNERS_BEFORE, before)
    hold(workspace, Table.CURRENT, {2: "team:0", 3: "team:3"})

    found = workspace.query(wrong_owners_query(OWNER, rows_only=rows_only))

    assert [(record[-1], held, wanted) for record, held, wanted, _ in found] == [
        ("1", "team:9", "team:1"),
        ("2", "team:9", "systemuser:2"),
        ("3", "team:9", "team:3"),
        ("5", "team:9", "team:5"),
        ("6", "team:9", "team:6"),
        ("7", "team:9", "team:7"),
        *([] if rows_only else [("9", "team:9", "team:8")]),
    ]
    assert json.loads(found[1][3]) == {"ownerid@odata.bind": "/systemusers(2)"}


@pytest.mark.parametrize(("number", "changes"), [(1, 7), (8, 8)], ids=["with a change", "without a change"])
def test_an_owner_that_is_not_set_again_fails_the_record(workspace: Workspace, number: int, changes: int) -> None:
    """The outcome of its own change is corrected; a record without a change gets one, which counts as planned."""
    ((last,),) = workspace.query(LAST_CHANGE)
    add, *others = ADD_OWNER
    workspace.execute(add, [last + 1, ID.format(number), "{}", "ownerid"])
    for statement in others:
        workspace.execute(statement, [last + 1])
    workspace.execute(FAIL_OWNER, [ID.format(number), "failed", 403, "0x1", "no", None])

    assert workspace.query("SELECT count(*) FROM changes") == [(changes,)]
    ((result, message),) = workspace.query(f"SELECT result, message FROM outcomes WHERE id = '{ID.format(number)}'")
    assert (result, message[-4:]) == ("failed", ": no")
    assert workspace.query(f"SELECT action FROM decisions WHERE _id = '{ID.format(number)}'") == [("update",)]
