"""Records that lookups create because they are missing: each once, with the further columns of the definition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import (
    column,
    errors,
    linked,
    linking,
    messages,
    planned,
    record,
    resolved,
    to,
)


def creations(workspace: Workspace, condition: str = "true") -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Table, key and payload, in their order."""
    rows = workspace.query(f"SELECT entity, key, payload FROM creations WHERE {condition} ORDER BY _creation")
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


def test_equal_values_of_different_columns_are_different_records(workspace: Workspace) -> None:
    """A number of one system says nothing about the same number of another one."""
    sync = linking(
        to("contact", match="code", on_missing="create"), to("needed", match="fullname", on_missing="create")
    )
    resolved(workspace, sync, [["1", "1001", ""]])

    assert [key for _, key, _ in creations(workspace)] == [{"code": "1001"}, {"fullname": "1001"}]
    assert column(workspace, "contact") != column(workspace, "needed")


def test_lookups_that_name_the_columns_of_a_key_in_another_order_create_one_record(workspace: Workspace) -> None:
    sync = linking(
        to("contact", ["a", "b"], match=["code", "fullname"], on_missing="create"),
        to("needed", ["b", "a"], match=["fullname", "code"], on_missing="create"),
    )
    resolved(workspace, sync, [["1", "1001", "x"], ["2", "x", "1001"]])

    assert [key for _, key, _ in creations(workspace)] == [
        {"code": "1001", "fullname": "x"},
        {"code": "x", "fullname": "1001"},
    ]
    assert column(workspace, "contact") == column(workspace, "needed")


def test_a_record_that_a_lookup_creates_is_none_that_a_row_creates_with_another_key(workspace: Workspace) -> None:
    """A row is the account number 7; an account with the name 7 is another record."""
    sync = linking(to("second", match="name", on_missing="create"))
    linked(workspace, sync, [["7", "7", ""]])

    assert creations(workspace) == [("account", {"name": "7"}, {"name": "7"})]
    assert workspace.query("SELECT * FROM parents") == []
    assert workspace.query("SELECT count(*) FROM creations JOIN records ON records._id = creations.id") == [(0,)]


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
    """What fails or does not fit is reported and left out; choices are given by label, dates in their own notation."""
    create = {
        "fullname": "upper(b)",
        "rank": "CASE b WHEN 'x' THEN '1' ELSE '1.5' END",
        "kind": "CASE b WHEN 'x' THEN 'Beratung' END",
        "born": "CASE b WHEN 'x' THEN '2020-01-02' ELSE CAST(CAST(b AS INTEGER) AS VARCHAR) END",
    }
    sync = linking(to("contact", match="code", on_missing="create", create=create))
    resolved(workspace, sync, [["1", "n1", "x"], ["2", "n2", "yy"]])

    assert [payload for _, _, payload in creations(workspace)] == [
        {"code": "n1", "fullname": "X", "rank": 1, "kind": 1, "born": "2020-01-02T00:00:00Z"},
        {"code": "n2", "fullname": "YY"},
    ]
    assert errors(workspace) == [
        (2, "contact.born", "Invalid Format Exception", False),
        (2, "contact.rank", "Invalid Format Exception", False),
    ]
    assert list(column(workspace, "contact")) == ["1", "2"]


@pytest.mark.parametrize(
    ("create", "column_", "error", "message"),
    [
        ({"kind": "b"}, "contact.kind", "Unknown Choice", "the contact is not created"),
        ({"many": "b"}, "contact.many", "Unknown Choice", "the contact is not created"),
        ({"alike": "'other'"}, "contact.alike", "Ambiguous Choice", "1 Other, 2 Other: several options of alike have"),
        ({"fullname": "repeat(b, 26)"}, "contact.fullname", "Max Length Violation", "longer than 50 characters"),
        ({"fullname": "chr(7) || b"}, "contact.fullname", "Invalid Format Exception", "character 1 is U+0007"),
    ],
)
def test_a_row_whose_record_cannot_hold_a_value_is_rejected(
    workspace: Workspace, create: dict[str, str], column_: str, error: str, message: str
) -> None:
    """As if it were mapped: nothing is sent that Dataverse would refuse."""
    create = {name: f"CASE a WHEN 'n1' THEN {sql} END" for name, sql in create.items()}
    sync = linking(to("contact", match="code", on_missing="create", create=create))
    resolved(workspace, sync, [["1", "n1", "xx"], ["2", "n2", "xx"]])

    assert [key for _, key, _ in creations(workspace)] == [{"code": "n2"}]
    assert errors(workspace) == [(1, column_, error, True)]
    assert message in workspace.query("SELECT message FROM source_errors")[0][0]
    assert list(column(workspace, "contact")) == ["2"]


def test_a_choice_that_is_unknown_is_reported_without_the_value(workspace: Workspace) -> None:
    """With the kind of the value and the most similar option, as for a mapped column; messages that are there stay."""
    create = {"kind": "CASE WHEN b <> 'Second' THEN b END", "many": "CASE b WHEN 'Second' THEN b END"}
    sync = linking(to("contact", match="code", on_missing="create", create=create))
    rows = [["1", "n1", "Jane Doe, born 1980-02-03"], ["2", "n2", "Beratun"], ["3", "n3", "Second"]]
    resolved(workspace, sync, rows)

    assert messages(workspace) == [
        "the contact is not created: no option of kind; the value is a text of 25 characters",
        "the contact is not created: no option of kind; the value is a text of 7 characters: did you mean 1 Consulting?",
        "the contact is not created: no option of many; the value is a text of 6 characters",
    ]


def test_a_text_that_is_too_long_for_the_key_creates_nothing(workspace: Workspace) -> None:
    """It may be searched for, and finds nothing."""
    sync = linking(to("contact", match="code", on_missing="create"))
    resolved(workspace, sync, [["1", "n" * 21, ""], ["2", "n" * 20, ""]])

    assert [key for _, key, _ in creations(workspace)] == [{"code": "n" * 20}]
    assert errors(workspace) == [(1, "a", "Max Length Violation", True)]


def test_the_first_row_counts_whose_values_the_record_can_hold(workspace: Workspace) -> None:
    """Rows before it are rejected; of rows behind it, which only refer to the record, no value is used."""
    sync = linking(to("contact", match="code", on_missing="create", create={"kind": "b", "rank": "'7'"}))
    rows = [["1", "new", "no such"], ["2", "NEW", "Beratung"], ["3", "new", "no such"], ["4", "other", "none"]]
    resolved(workspace, sync, rows)

    assert [payload for _, _, payload in creations(workspace)] == [{"code": "NEW", "kind": 1, "rank": 7}]
    assert [(row, error) for row, _, error, _ in errors(workspace)] == [(1, "Unknown Choice"), (4, "Unknown Choice")]
    found = column(workspace, "contact")
    assert list(found) == ["2", "3"]
    assert found["2"] == found["3"]


def test_values_of_a_record_that_another_lookup_creates_are_not_looked_at(workspace: Workspace) -> None:
    sync = linking(
        to("contact", match="code", on_missing="create"),
        to("needed", "a", match="code", on_missing="create", create={"kind": "b"}),
    )
    resolved(workspace, sync, [["1", "new", "no such"]])

    assert [payload for _, _, payload in creations(workspace)] == [{"code": "new"}]
    assert errors(workspace) == []
    assert column(workspace, "needed") == column(workspace, "contact")


def test_what_is_calculated_from_a_field_in_error_is_left_out(workspace: Workspace) -> None:
    """It is unknown, and no default is put in its place."""
    create = {"rank": "coalesce(n, 7)"}
    sync = linking(
        to("contact", match="code", on_missing="create", create=create), columns=[{"name": "n", "type": "number"}]
    )
    resolved(workspace, sync, [["1", "n1", "", "x"], ["2", "n2", "", ""]])

    assert [payload for _, _, payload in creations(workspace)] == [{"code": "n1"}, {"code": "n2", "rank": 7}]
    assert errors(workspace) == [(1, "n", "Invalid Format Exception", False)]


def test_an_option_of_many_is_found_by_its_label(workspace: Workspace) -> None:
    """Options are joined, because they are too many to compare one by one."""
    sync = linking(to("contact", match="code", on_missing="create", create={"many": "b"}))
    resolved(workspace, sync, [["1", "n1", "OPTION 77"], ["2", "n2", ""]])

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


def test_a_row_that_another_lookup_rejects_gives_no_values(workspace: Workspace) -> None:
    """Nor is it reported for values that are not used; the next row that is kept counts."""
    sync = linking(
        to("contact", match="code", on_missing="create", create={"fullname": "c", "kind": "c"}),
        to("owner", "b", entity="systemuser", match="fullname", on_null="keep"),
        columns=[{"name": "c"}],
    )
    rows = [["1", "n1", "none", "no such"], ["2", "N1", "", "Beratung"], ["3", "n2", "none", "Beratung"]]
    planned(workspace, sync, rows)

    assert [payload for *_, payload in creations(workspace)] == [{"code": "N1", "fullname": "Beratung", "kind": 1}]
    assert errors(workspace) == [(1, "b", "Unresolved Link", True), (3, "b", "Unresolved Link", True)]


def test_a_row_with_the_key_of_an_earlier_row_gives_no_values(workspace: Workspace) -> None:
    """Whichever lookup refers to the record; what no row that is kept refers to is not created."""
    sync = linking(
        to("contact", match="code", on_missing="create", create={"fullname": "c"}),
        to("needed", "b", match="code", on_null="keep", on_missing="create", create={"fullname": "c || '!'"}),
        columns=[{"name": "c"}],
    )
    rows = [["1", "n1", "n1", "one"], ["1", "n2", "n3", "twice"], ["1", "n4", "", "twice"], ["2", "", "n2", "two"],
            ["3", "N3", "", "three"]]  # fmt: skip
    planned(workspace, sync, rows)

    values = {key["code"]: payload["fullname"] for _, key, payload in creations(workspace, "payload IS NOT NULL")}
    assert values == {"n1": "one", "n2": "two!", "N3": "three"}
    assert [row for row, *_ in errors(workspace)] == [2, 3]


def test_a_row_that_refers_to_a_rejected_parent_gives_no_values(workspace: Workspace) -> None:
    """Such a row is rejected after the target has been read."""
    sync = linking(
        to("contact", match="code", on_missing="create", create={"fullname": "c"}),
        to("parent", "b", match="accountnumber"),
        columns=[{"name": "c"}],
    )
    planned(workspace, sync, [["1", "n1", "nowhere", "one"], ["2", "n1", "1", "two"], ["3", "n1", "", "three"]])

    assert [payload for *_, payload in creations(workspace)] == [{"code": "n1", "fullname": "three"}]


def test_the_values_of_a_row_that_another_created_record_rejects_are_not_used(workspace: Workspace) -> None:
    sync = linking(
        to("contact", match="code", on_missing="create", create={"fullname": "c"}),
        to("needed", "b", match="code", on_missing="create", create={"kind": "c"}),
        columns=[{"name": "c"}],
    )
    planned(workspace, sync, [["1", "n1", "n2", "no such"], ["2", "n1", "n2", "Beratung"]])

    assert [payload for *_, payload in creations(workspace)] == [
        {"code": "n1", "fullname": "Beratung"},
        {"code": "n2", "kind": 1},
    ]


def test_a_record_that_only_rejected_rows_could_give_values_is_not_created(workspace: Workspace) -> None:
    """The row that refers to it is kept, because an earlier row seemed to create the record."""
    sync = linking(to("contact", match="code", on_missing="create", create={"kind": "b"}))
    planned(workspace, sync, [["1", "", ""], ["1", "n1", "Beratung"], ["2", "n1", "no such"]])

    assert workspace.query("SELECT payload FROM creations") == [(None,)]
    assert list(column(workspace, "contact")) == ["1", "2"]


def test_a_created_record_is_written_if_empty_values_are_kept(workspace: Workspace) -> None:
    """The column is not left out although the first lookup found nothing."""
    sync = linking(to("needed", match="code", on_missing="create", on_null="keep"))
    resolved(workspace, sync, [["1", "n1", ""], ["2", "", ""]])

    assert column(workspace, "_omit_needed") == {"1": "false", "2": "true"}
