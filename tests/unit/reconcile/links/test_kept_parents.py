"""Dropped records that stay because Dataverse would delete records with them: which ones, and how they are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.definitions.models import WritePolicy
from shared.entities import AttributeMetadata, AttributeType
from shared.reconcile.links.kept_parents import (
    NOT_AS_PLANNED,
    cascading,
    keep_parents,
    keep_parents_of_refused,
)
from shared.reconcile.outcomes import OUTCOMES
from shared.transform import Omit, TargetColumn
from shared.workspace import Workspace
from tests.unit.reconcile.test_steps import ID, definition, table

DELETING = definition(dropped="delete")
ERRORS = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR, _id UUID'


def lookup(name: str = "parent", **more: Any) -> TargetColumn:
    """A lookup to the table itself, with cascading deletes."""
    kind = AttributeType.CUSTOMER if more.pop("several", False) else AttributeType.LOOKUP
    targets = ("thing", "account") if kind is AttributeType.CUSTOMER else ("thing",)
    attribute = AttributeMetadata(name=name, type=kind, targets=targets, updatable=more.pop("updatable", True))
    given = {"late": True, "cascades": True, "omit": Omit.FLAGGED, "sql_type": "UUID", **more}
    return TargetColumn(name=name, attribute=attribute, source_sql="", **given)


PARENT = lookup()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open() as opened:
        table(opened, "target_errors", ERRORS)
        opened.create(OUTCOMES)
        yield opened


def fill(
    workspace: Workspace,
    records: Mapping[int, tuple[int | None, str]],
    rows: Mapping[int, tuple[int | None, int | None]] | None = None,
    *,
    aside: Mapping[int, int] | None = None,
    value: str = "UUID",
) -> None:
    """Fill the tables of a run.

    Args:
        workspace: Empty.
        records: Number of a record -> number of its parent, and what is decided about it.
        rows: Row -> number of its record, None for a new one; and number of the parent that it asks for.
        aside: Number of a record that is set aside -> number of its parent.
        value: SQL type of the lookup.
    """
    rows = rows or {}
    columns = f"_seq BIGINT, _id UUID, parent {value}"
    held = [(n, ID.format(n), reference(parent, value)) for n, (parent, _) in records.items()]
    table(workspace, "current", columns, *held)
    table(
        workspace, "set_aside", columns,
        *((n, ID.format(n), reference(parent, value)) for n, parent in (aside or {}).items()),
    )  # fmt: skip
    table(
        workspace, "desired", f"_row BIGINT, parent {value}, _omit_parent BOOLEAN",
        *((row, reference(parent, value), False) for row, (_, parent) in rows.items()),
    )  # fmt: skip
    row_of = {record: row for row, (record, _) in rows.items()}
    table(
        workspace, "decisions", "_row BIGINT, _id UUID, action VARCHAR",
        *((row_of.get(n), ID.format(n), action) for n, (_, action) in records.items()),
        *((row, None, "insert") for row, (record, _) in rows.items() if record is None),
    )  # fmt: skip
    workspace.execute(
        "CREATE TABLE changes AS SELECT row_number() OVER () AS _change, action, _row, _id FROM decisions "
        "WHERE action IN ('insert', 'update', 'delete')"
    )


def reference(number: int | None, value: str = "UUID") -> str | None:
    if number is None:
        return None
    return ID.format(number) if value == "UUID" else f"thing:{ID.format(number)}"


def deleted(workspace: Workspace, column: TargetColumn = PARENT) -> set[int]:
    """Run the steps of the plan; returns the numbers of the records that are still deleted."""
    for step in keep_parents(DELETING, [column]):
        workspace.run(step)
    return numbers(workspace, "decisions")


def numbers(workspace: Workspace, where: str) -> set[int]:
    found = workspace.query(f"SELECT CAST(_id AS VARCHAR) FROM {where} WHERE action = 'delete'")
    return {int(id_[-1]) for (id_,) in found}


def test_a_record_below_which_another_stays_is_kept_and_reported(workspace: Workspace) -> None:
    fill(workspace, {1: (None, "delete"), 2: (1, "ignored"), 3: (None, "delete")})

    assert deleted(workspace) == {3}
    ((seq, column, error, rejected, message, id_),) = workspace.query("FROM target_errors")
    assert (seq, column, error, rejected, str(id_)) == (1, "parent", "Dropped Record Kept", False, ID.format(1))
    assert message == (
        "records that this run does not delete are below this one, and Dataverse would delete them with it; give them "
        "another parent or delete them, or correct their rows, to drop it"
    )
    assert workspace.query("SELECT action FROM decisions ORDER BY _id") == [("ignored",), ("ignored",), ("delete",)]


def test_all_above_a_record_that_stays_are_kept(workspace: Workspace) -> None:
    """1 is above 2 above 3, which stays; 4 is beside 2, and 5 below 3's brother."""
    fill(workspace, {1: (None, "delete"), 2: (1, "delete"), 3: (2, "unchanged"), 4: (1, "delete"), 5: (4, "delete")})

    assert deleted(workspace) == {4, 5}
    assert workspace.query("SELECT _row FROM target_errors ORDER BY ALL") == [(1,), (2,)]


def test_a_record_whose_children_are_deleted_too_is_not_kept(workspace: Workspace) -> None:
    """Neither one above three generations, nor circles, nor one that refers to itself."""
    parents = {1: None, 2: 1, 3: 2, 4: 5, 5: 4, 6: 6}
    fill(workspace, {n: (parent, "delete") for n, parent in parents.items()})

    assert deleted(workspace) == {1, 2, 3, 4, 5, 6}
    assert workspace.query("FROM target_errors") == []


def test_a_circle_with_a_record_that_stays_is_kept(workspace: Workspace) -> None:
    fill(workspace, {1: (2, "delete"), 2: (1, "delete"), 3: (2, "unchanged")})

    assert deleted(workspace) == set()


def test_a_record_that_an_update_moves_away_keeps_no_parent(workspace: Workspace) -> None:
    """Only an update does: what is not written stays where it is."""
    records = {1: (None, "delete"), 2: (None, "delete"), 3: (1, "update"), 4: (2, "ignored"), 5: (None, "unchanged")}
    fill(workspace, records, {1: (3, 5), 2: (4, 5)})

    assert deleted(workspace) == {1}


def test_a_value_that_is_left_alone_moves_nothing(workspace: Workspace) -> None:
    """Of a lookup with `on_missing: keep`, or a column that only a create may set."""
    fill(workspace, {1: (None, "delete"), 2: (1, "update")}, {1: (2, None)})
    workspace.execute("UPDATE desired SET _omit_parent = true")

    assert deleted(workspace) == set()


@pytest.mark.parametrize("column", [lookup(updatable=False), lookup(writes=False)])
def test_a_column_that_no_update_sets_moves_nothing(workspace: Workspace, column: TargetColumn) -> None:
    fill(workspace, {1: (None, "delete"), 2: (1, "update")}, {1: (2, 3)})

    assert deleted(workspace, column) == set()


def test_a_record_that_is_set_aside_stays_too(workspace: Workspace) -> None:
    fill(workspace, {1: (None, "delete"), 2: (None, "delete")}, aside={3: 1})

    assert deleted(workspace) == {2}


def test_rows_that_name_the_id_of_a_dropped_record_keep_it(workspace: Workspace) -> None:
    """Ids of the source are not looked up, so a new record and an update may refer to what is dropped."""
    records = {1: (None, "delete"), 2: (None, "delete"), 3: (None, "delete"), 4: (None, "update"), 5: (None, "ignored")}
    fill(workspace, records, {1: (None, 1), 2: (4, 2), 3: (5, 3)})

    assert deleted(workspace, lookup(late=False)) == {3}


def test_a_lookup_with_several_tables_refers_by_the_id(workspace: Workspace) -> None:
    fill(workspace, {1: (None, "delete"), 2: (1, "unchanged"), 3: (None, "delete")}, value="VARCHAR")

    assert deleted(workspace, lookup(several=True, sql_type="VARCHAR")) == {3}


def test_the_report_names_all_columns(workspace: Workspace) -> None:
    fill(workspace, {1: (None, "delete"), 2: (1, "unchanged")})
    for name in ("current", "set_aside", "desired"):
        workspace.execute(f"ALTER TABLE {name} ADD COLUMN second UUID")
    workspace.execute("ALTER TABLE desired ADD COLUMN _omit_second BOOLEAN")
    workspace.execute("UPDATE current SET second = parent")
    for step in keep_parents(DELETING, [lookup("second"), PARENT]):
        workspace.run(step)

    assert workspace.query('SELECT "column" FROM target_errors') == [("parent, second",)]


def test_the_ledger_says_whether_an_update_may_move_a_record(workspace: Workspace) -> None:
    """With `unless_edited` a record that somebody else has moved stays where it is."""
    fill(
        workspace,
        {1: (None, "delete"), 2: (1, "update"), 3: (None, "delete"), 4: (3, "update")},
        {1: (2, 5), 2: (4, 5)},
    )
    table(
        workspace, "ledger", "_id UUID, _knows_parent BOOLEAN, _was_parent UUID, _pends_parent BOOLEAN, _next_parent UUID[]",
        (ID.format(2), True, ID.format(5), False, []), (ID.format(4), True, ID.format(3), False, []),
    )  # fmt: skip
    mapping = {"source": "number", "target": "parent", "write": "unless_edited"}
    content = DELETING.model_dump(mode="json", by_alias=True, exclude_unset=True)
    content["destination"]["mappings"].append(mapping)
    sync = SyncDefinition.model_validate(content)
    for step in keep_parents(sync, [lookup(write=WritePolicy.UNLESS_EDITED)]):
        workspace.run(step)

    assert numbers(workspace, "decisions") == {3}


@pytest.mark.parametrize(
    ("behaviour", "column"),
    [
        ({"dropped": "delete"}, lookup(cascades=False)),
        ({"dropped": "ignore"}, PARENT),
        ({"dropped": {"expire": "goneon"}}, PARENT),
        ({"strategy": "upsert", "dropped": "delete"}, PARENT),
    ],
)
def test_there_is_nothing_to_do_where_no_dropped_record_takes_others_with_it(
    behaviour: dict[str, Any], column: TargetColumn
) -> None:
    sync = definition(**behaviour)
    assert (cascading(sync, [column]), keep_parents(sync, [column])) == ((), ())
    assert keep_parents_of_refused(sync, [column]) == ()


def outcome(workspace: Workspace, record: int, result: str) -> None:
    workspace.execute(
        "INSERT INTO outcomes (_change, result) SELECT _change, ? FROM changes WHERE _id = ?::UUID",
        [result, ID.format(record)],
    )


@pytest.mark.parametrize("result", ["failed", "edited"])
def test_before_the_deletes_only_updates_that_were_made_have_moved_records(workspace: Workspace, result: str) -> None:
    records = {1: (None, "delete"), 2: (1, "delete"), 3: (2, "update"), 4: (None, "delete"), 5: (4, "update")}
    fill(workspace, records, {1: (3, None), 2: (5, None)})
    assert deleted(workspace) == {1, 2, 4}
    assert workspace.query(NOT_AS_PLANNED) == []
    outcome(workspace, 5, "applied")
    assert workspace.query(NOT_AS_PLANNED) == []
    outcome(workspace, 3, result)
    assert workspace.query(NOT_AS_PLANNED) == [(1,)]

    workspace.drop("kept_parents")
    for step in keep_parents_of_refused(DELETING, [PARENT]):
        workspace.run(step)

    assert (numbers(workspace, "decisions"), numbers(workspace, "changes")) == ({4}, {4})
    assert workspace.query("SELECT _row FROM target_errors ORDER BY ALL") == [(1,), (2,)]


def test_an_adopted_record_is_not_deleted_with_its_parent(workspace: Workspace) -> None:
    """Adopting takes its own delete out of the plan."""
    fill(workspace, {1: (None, "delete"), 2: (1, "delete")})
    for name in ("decisions", "changes"):
        workspace.execute(f"DELETE FROM {name} WHERE _id = ?::UUID", [ID.format(2)])

    for step in keep_parents_of_refused(DELETING, [PARENT]):
        workspace.run(step)

    assert numbers(workspace, "changes") == set()


def test_without_deletes_there_is_nothing_to_look_at(workspace: Workspace) -> None:
    fill(workspace, {1: (None, "update")}, {1: (1, None)})
    outcome(workspace, 1, "failed")

    assert workspace.query(NOT_AS_PLANNED) == []
