"""Records that lookups create because they are missing: each once, with the further columns of the definition."""

from __future__ import annotations

import json
from typing import Any

from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import column, errors, linked, linking, record, resolved, to


def creations(workspace: Workspace) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Table, key and payload, in their order."""
    rows = workspace.query("SELECT entity, key, payload FROM creations ORDER BY _creation")
    return [(table, json.loads(key), json.loads(payload)) for table, key, payload in rows]


def test_a_missing_record_is_created_once_and_all_rows_refer_to_it(workspace: Workspace) -> None:
    """Rows with equal keys, as the service compares keys; the first row gives the spelling."""
    sync = linking(
        to("contact", match="code", on_missing="create"), to("needed", "b", match="code", on_missing="create")
    )
    rows = [["1", "New", "c1"], ["2", "new ", "NEW"], ["3", "c1", "other"]]
    resolved(workspace, sync, rows, contact=[record(1, code="c1")])

    assert creations(workspace) == [
        ("contact", {"code": "New"}, {"code": "New"}),
        ("contact", {"code": "other"}, {"code": "other"}),
    ]
    found, needed = column(workspace, "contact"), column(workspace, "needed")
    assert found["1"] == found["2"] == needed["2"]
    assert [str(id_) for (id_,) in workspace.query("SELECT id FROM creations ORDER BY _creation")] == [
        found["1"],
        needed["3"],
    ]
    assert errors(workspace) == []


def test_the_id_is_the_same_in_every_plan_and_of_version_8() -> None:
    """So the checksum of a plan does not change when it is made again."""
    ids = list[str]()
    for value in ("New", "new "):
        with Workspace.open() as opened:
            resolved(opened, linking(to("contact", match="code", on_missing="create")), [["1", value, ""]])
            ids += column(opened, "contact").values()

    assert ids[0] == ids[1]
    assert (ids[0][14], ids[0][19]) == ("8", "a")


def test_further_columns_come_from_expressions_and_fit_their_columns(workspace: Workspace) -> None:
    """Values that fail or do not fit are left out; choices are given by label, dates in their own notation."""
    create = {
        "fullname": "upper(b)",
        "rank": "length(b)",
        "kind": "CASE b WHEN 'x' THEN 'Beratung' ELSE 'no such choice' END",
        "born": "CASE b WHEN 'x' THEN '2020-01-02' ELSE CAST(CAST(b AS INTEGER) AS VARCHAR) END",
    }
    sync = linking(to("contact", match="code", on_missing="create", create=create))
    resolved(workspace, sync, [["1", "n1", "x"], ["2", "n2", "yy"]])

    assert [payload for _, _, payload in creations(workspace)] == [
        {"code": "n1", "fullname": "X", "rank": 1, "kind": 1, "born": "2020-01-02T00:00:00Z"},
        {"code": "n2", "fullname": "YY", "rank": 2},
    ]


def test_an_option_of_many_is_found_by_its_label(workspace: Workspace) -> None:
    """Options are joined, because they are too many to compare one by one."""
    sync = linking(to("contact", match="code", on_missing="create", create={"many": "b"}))
    resolved(workspace, sync, [["1", "n1", "OPTION 77"], ["2", "n2", "Option 100"]])

    assert [payload for _, _, payload in creations(workspace)] == [{"code": "n1", "many": 77}, {"code": "n2"}]


def test_the_last_entry_creates_the_record_that_no_entry_finds(workspace: Workspace) -> None:
    """The value of a column with several tables has the name of the table."""
    entries = [
        {"entity": "account", "match": "accountnumber"},
        {"entity": "contact", "match": "code", "on_missing": "create"},
    ]
    linked(workspace, linking(to("customer", entries=entries)), [["1", "2", ""], ["2", "new", ""], ["3", "c1", ""]],
           contact=[record(1, code="c1")])  # fmt: skip

    found = column(workspace, "customer")
    assert creations(workspace) == [("contact", {"code": "new"}, {"code": "new"})]
    assert found["1"].startswith("account:")
    assert workspace.query("SELECT 'contact:' || id FROM creations") == [(found["2"],)]
    assert found["3"] == f"contact:{record(1)['_id']}"
    assert errors(workspace) == []


def test_a_record_without_a_part_of_its_key_is_missing(workspace: Workspace) -> None:
    """It cannot be created, so the row is rejected."""
    sync = linking(to("contact", ["a", "b"], match="by_both", on_missing="create"))
    resolved(workspace, sync, [["1", "n1", ""], ["2", "n1", "x"], ["3", "", ""]])

    assert errors(workspace) == [(1, "a, b", "Unresolved Link", True)]
    assert [key for _, key, _ in creations(workspace)] == [{"code": "n1", "fullname": "x"}]
    assert column(workspace, "contact")["3"] is None


def test_a_created_record_can_be_a_part_of_the_sync_key(workspace: Workspace) -> None:
    """Two rows that create the same one have the same key."""
    lookup = to("contact", match="code", on_missing="create", on_null="keep")
    sync = linking(lookup, sync_key=["accountnumber", "contact"])
    resolved(workspace, sync, [["1", "n1", ""], ["1", "N1", ""], ["1", "n2", ""]])

    assert [row for (row,) in workspace.query("SELECT _row FROM desired WHERE _k2 = contact")] == [1, 3]
    assert [(row, error) for row, _, error, _ in errors(workspace)] == [(2, "Duplicate Key")]


def test_nothing_is_created_for_rejected_and_filtered_rows(workspace: Workspace) -> None:
    """A row that breaks a rule of the source starts no lookup."""
    columns = [{"name": "n", "type": "number", "validate": True}]
    sync = linking(to("contact", match="code", on_missing="create"), columns=columns, filter="a <> 'out'")
    resolved(workspace, sync, [["1", "n1", "", "x"], ["2", "out", "", "1"], ["3", "n3", "", "1"]])

    assert [key for _, key, _ in creations(workspace)] == [{"code": "n3"}]


def test_a_created_record_is_written_if_empty_values_are_kept(workspace: Workspace) -> None:
    """The column is not left out although the first lookup found nothing."""
    sync = linking(to("needed", match="code", on_missing="create", on_null="keep"))
    resolved(workspace, sync, [["1", "n1", ""], ["2", "", ""]])

    assert column(workspace, "_omit_needed") == {"1": "false", "2": "true"}
