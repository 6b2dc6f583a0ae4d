"""Rows that are rejected for what was decided about their record, and the rows that refer to them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import errors, id_of, linking, planned, record, to

BY_NUMBER = to("parent", match="accountnumber")
NAME = {"source": "b", "target": "name"}


def limited(*mappings: Any, condition: str = "name ne 'hidden'", **behaviour: Any) -> SyncDefinition:
    """A sync of accounts whose target is limited by a filter."""
    sync = linking(*mappings, **behaviour)
    return sync.model_copy(update={"destination": sync.destination.model_copy(update={"filter": condition})})


def account(number: int, **values: Any) -> dict[str, Any]:
    return record(number, **{"accountid": id_of(number), "accountnumber": str(number), **values})


def actions(workspace: Workspace) -> list[tuple[str, int]]:
    """Action and row of each change."""
    return workspace.query("SELECT CAST(action AS VARCHAR), _row FROM changes ORDER BY _row")


def test_new_and_changed_records_stay_within_the_filter(workspace: Workspace) -> None:
    """The values of the row, and those that the record keeps, say what the filter means."""
    rows = [["1", "", "hidden"], ["2", "", "new"], ["3", "", "hidden"], ["4", "", "changed"]]
    held = [account(3, name="old"), account(4, name="old")]
    planned(workspace, limited(NAME, dropped="delete"), rows, account=held)
    assert actions(workspace) == [("insert", 2), ("update", 4)]
    assert errors(workspace) == [(1, "name", "Outside Filter", True), (3, "name", "Outside Filter", True)]


@pytest.mark.parametrize("condition", ["contains(name, 'x')", "rank eq 1 or name ne 'hidden'"])
def test_what_is_not_known_of_a_filter_rejects_nothing(workspace: Workspace, condition: str) -> None:
    """Functions, and columns that no mapping sets."""
    planned(workspace, limited(NAME, condition=condition), [["1", "", "hidden"]])
    assert actions(workspace) == [("insert", 1)]


def test_records_may_leave_the_filter_where_none_is_created(workspace: Workspace) -> None:
    """No later run creates another one."""
    planned(workspace, limited(NAME, new="ignore"), [["1", "", "hidden"]], account=[account(1, name="old")])
    assert actions(workspace) == [("update", 1)]


@pytest.mark.parametrize(
    ("policy", "write", "changed"),
    [
        ("keep", "always", [2]),
        ("clear", "always", []),
        ("clear", "on_insert", [2]),
        ("clear", "if_empty", [2]),
    ],
)
def test_a_record_that_keeps_its_reference_stays_in_a_filter_that_names_it(
    workspace: Workspace, policy: str, write: str, changed: list[int]
) -> None:
    """Row 1 is rejected. Row 2 has a record, row 3 has none: without the reference it might not pass the filter."""
    condition = f"name ne 'hidden' and _parent_value ne {id_of(7)}"
    lookup = to("parent", match="accountnumber", on_missing=policy) | {"write": write}
    rows = [["1", "", "hidden"], ["2", "1", "new"], ["3", "1", "new"], ["4", "2", "new"]]
    planned(
        workspace, limited(NAME, lookup, condition=condition), rows, account=[account(2, name="old", parent=id_of(9))]
    )
    assert [row for action, row in actions(workspace) if action == "update"] == changed
    rejected = [(row, rejects) for row, name, _, rejects in errors(workspace) if name == "parent"]
    assert rejected == [(2, not changed), (3, True)]
    assert workspace.query(f"SELECT _row FROM changes WHERE payload LIKE '%{id_of(9)}%' OR payload LIKE '%null%'") == []


def test_rows_below_a_rejected_row_are_rejected(workspace: Workspace) -> None:
    """Through all generations; a record of a rejected row stays as it is."""
    rows = [["1", "", "hidden"], ["2", "1", "b"], ["3", "2", "c"], ["4", "", "d"], ["5", "1", "e"]]
    planned(workspace, limited(NAME, BY_NUMBER, dropped="delete"), rows, account=[account(5, name="e")])
    assert actions(workspace) == [("insert", 4)]
    link = ("parent", "Unresolved Link", True)
    assert errors(workspace) == [(1, "name", "Outside Filter", True), (2, *link), (3, *link), (5, *link)]


@pytest.mark.parametrize(("policy", "left"), [("clear", [("insert", 2)]), ("keep", [("insert", 2)])])
def test_a_reference_to_a_rejected_row_is_cleared_or_kept(
    workspace: Workspace, policy: str, left: list[tuple[str, int]]
) -> None:
    """A record whose only change it was is not written."""
    lookup = to("parent", match="accountnumber", on_missing=policy)
    rows = [["1", "", "hidden"], ["2", "1", "b"], ["3", "1", "c"]]
    planned(workspace, limited(NAME, lookup), rows, account=[account(3, name="c")])
    assert actions(workspace) == left
    assert workspace.query("SELECT payload FROM changes") == [('{"accountnumber":"2","name":"b"}',)]
    link = ("parent", "Unresolved Link", False)
    assert errors(workspace) == [(1, "name", "Outside Filter", True), (2, *link), (3, *link)]


def test_records_without_a_column_that_is_compared_are_passed_over(workspace: Workspace) -> None:
    """Such as those of which only the id is read, and that get their parent once."""
    lookup = {**to("parent", source="b", match="accountid"), "write": "on_insert"}
    mappings = [{"source": "a", "target": "accountid"}, lookup]
    sync = limited(*mappings, condition="parent ne null", sync_key=["accountid"])
    kept = tuple(each for each in sync.destination.mappings if each.target != "accountnumber")
    destination = sync.destination.model_copy(update={"mappings": kept, "id_column_insert": True})
    sync = sync.model_copy(update={"destination": destination})
    rows = [["1", id_of(1), id_of(2)], ["2", id_of(2), ""], ["3", id_of(3), id_of(9)]]
    planned(workspace, sync, rows, account=[account(2), account(3), account(9)])
    assert actions(workspace) == [("insert", 1)]


def test_new_records_need_a_key_that_they_can_get(workspace: Workspace) -> None:
    """Its id is not written: each run would make one more."""
    sync = linking({"source": "a", "target": "accountid"}, sync_key=["accountid"])
    planned(workspace, sync, [["1", id_of(1), ""], ["2", id_of(2), ""]], account=[account(1)])
    assert [row for _, row in actions(workspace)] == []
    assert errors(workspace) == [(2, "accountid", "Key Not Written", True)]
