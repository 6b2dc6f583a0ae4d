"""Lookups in other tables: what is found, the policies for missing and ambiguous values, and the messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.transform import early_lookups, references, searched_values
from shared.transform.desire import desire_of
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import (
    LINKED,
    column,
    errors,
    id_of,
    linking,
    messages,
    read,
    record,
    resolved,
    to,
    unresolved,
)

DOES = (
    record(1, code="c1", fullname="Doe"),
    record(2, code="c2", fullname="doe "),
    record(3, code="c3", fullname=None),
)


def test_a_record_is_found_as_the_service_compares_texts(workspace: Workspace) -> None:
    """Case and trailing spaces do not matter; an empty value refers to no record and is not an error."""
    sync = linking(to("contact", match="code"))
    resolved(workspace, sync, [["1", "C1 ", ""], ["2", "c2", ""], ["3", "", ""]], contact=DOES)

    assert column(workspace, "contact") == {"1": id_of(1), "2": id_of(2), "3": None}
    assert column(workspace, "_omit_contact") == {"1": "false", "2": "false", "3": "false"}
    assert errors(workspace) == []


@pytest.mark.parametrize(
    ("policy", "kept", "omitted", "said"),
    [
        ("reject", False, None, ""),
        ("clear", True, "false", "; contact is cleared"),
        ("keep", True, "true", "; contact keeps its value"),
    ],
)
def test_what_is_not_found_is_rejected_cleared_or_kept(
    workspace: Workspace, *, policy: str, kept: bool, omitted: str | None, said: str
) -> None:
    """The row is reported in each case, with the match column and the kind of value, never the value."""
    sync = linking(to("contact", match="code", on_missing=policy))
    resolved(workspace, sync, [["1", "nobody", ""]], contact=DOES)

    assert column(workspace, "contact") == ({"1": None} if kept else {})
    if kept:
        assert column(workspace, "_omit_contact") == {"1": omitted}
    assert errors(workspace) == [(1, "a", "Unresolved Link", not kept)]
    assert messages(workspace) == [f"no contact has this code; the value is a text of 6 characters{said}"]


@pytest.mark.parametrize(("policy", "expected"), [("oldest", id_of(1)), ("newest", id_of(2))])
def test_of_several_records_the_oldest_or_the_newest_is_used(workspace: Workspace, policy: str, expected: str) -> None:
    """Both records have equal names for the service."""
    resolved(workspace, linking(to("contact", match="fullname", on_ambiguous=policy)), [["1", "DOE", ""]], contact=DOES)

    assert column(workspace, "contact") == {"1": expected}


@pytest.mark.parametrize("missing", ["reject", "clear", "keep"])
def test_several_records_reject_the_row_under_every_policy_for_missing_ones(workspace: Workspace, missing: str) -> None:
    """The message has their number."""
    sync = linking(to("contact", match="fullname", on_missing=missing))
    resolved(workspace, sync, [["1", "DOE", ""], ["2", "", ""]], contact=DOES)

    assert errors(workspace) == [(1, "a", "Ambiguous Link", True)]
    assert messages(workspace) == ["2 records of contact have this fullname"]
    assert column(workspace, "contact") == {"2": None}


def test_several_columns_identify_a_record_and_a_missing_part_finds_nothing(workspace: Workspace) -> None:
    """A record with an empty part is not found by an empty value."""
    sync = linking(to("contact", ["a", "b"], match="by_both"))
    resolved(workspace, sync, [["1", "c1", "DOE"], ["2", "c3", ""], ["3", "", ""]], contact=DOES)

    assert column(workspace, "contact") == {"1": id_of(1), "3": None}
    assert errors(workspace) == [(2, "a, b", "Unresolved Link", True)]
    assert messages(workspace)[0].startswith("no contact has this code, fullname; ")


def test_the_first_entry_that_finds_a_record_is_used(workspace: Workspace) -> None:
    """The value of a column with several tables has the name of the table."""
    entries = [
        {"entity": "systemuser", "match": "fullname", "filter": "x eq 1"},
        {"entity": "team", "match": "fullname"},
    ]
    sync = linking(to("owner", entries=entries, on_null="keep"))
    rows = [["1", "ann", ""], ["2", "both", ""], ["3", "sales", ""], ["4", "nobody@contoso.com", ""], ["5", "", ""]]
    users = [record(1, fullname="Ann"), record(2, fullname="Both")]
    resolved(workspace, sync, rows, systemuser=users, team=[record(3, fullname="Both"), record(4, fullname="Sales")])

    assert column(workspace, "owner") == {
        "1": f"systemuser:{id_of(1)}",
        "2": f"systemuser:{id_of(2)}",
        "3": f"team:{id_of(4)}",
        "5": None,
    }
    (message,) = messages(workspace)
    assert message == (
        "no systemuser has this fullname and passes the filter of the lookup and no team has this fullname; "
        "the value is an e-mail address"
    )


def test_a_column_of_the_row_names_the_table(workspace: Workspace) -> None:
    """Case and blanks around the name do not count; another name finds nothing."""
    lookup = {"entity_from": "b", "match": {"systemuser": "fullname", "team": "fullname"}, "on_missing": "keep"}
    rows = [
        ["1", "x", " Team\t\u00a0"],
        ["2", "x", "systemuser"],
        ["3", "x", "lead"],
        ["4", "x", ""],
        ["5", "", "team"],
    ]
    sync = linking(to("owner", ["a", "b"], **lookup, on_null="keep"))
    resolved(workspace, sync, rows, systemuser=[record(1, fullname="x")], team=[record(2, fullname="x")])

    found = {"1": f"team:{id_of(2)}", "2": f"systemuser:{id_of(1)}", "3": None, "4": None, "5": None}
    assert column(workspace, "owner") == found
    assert [row for row, *_ in errors(workspace)] == [3, 4]
    assert messages(workspace) == [
        "b names none of the tables systemuser, team; owner keeps its value",
        "b is empty; it has to name one of the tables systemuser, team; owner keeps its value",
    ]


def test_a_default_is_a_record_of_the_table_that_the_row_names(workspace: Workspace) -> None:
    """Where the row names none, it is the first that is found; where it names another one, there is no default."""
    lookup = {"entity_from": "b", "match": {"systemuser": "fullname", "team": "fullname"}, "default": "x"}
    rows = [["1", "no", "team"], ["2", "", "team"], ["3", "no", ""], ["4", "", ""], ["5", "", "lead"]]
    sync = linking(to("owner", ["a", "b"], **lookup, on_missing="keep", on_null="keep"))
    resolved(workspace, sync, rows, systemuser=[record(1, fullname="x")], team=[record(2, fullname="x")])

    team, user = f"team:{id_of(2)}", f"systemuser:{id_of(1)}"
    assert column(workspace, "owner") == {"1": team, "2": team, "3": user, "4": user, "5": None}
    assert messages(workspace) == ["b names none of the tables systemuser, team; owner keeps its value"]


def test_a_default_that_the_named_table_does_not_have_is_not_found_in_another(workspace: Workspace) -> None:
    """The record of the other table is another one."""
    lookup = {"entity_from": "b", "match": {"systemuser": "fullname", "team": "fullname"}, "default": "x"}
    sync = linking(to("owner", ["a", "b"], **lookup, on_missing="keep", on_null="keep"))
    resolved(workspace, sync, [["1", "", "team"]], systemuser=[record(1, fullname="x")], team=[])

    assert column(workspace, "owner") == {"1": None}
    assert messages(workspace) == ["the default finds no systemuser or team, or several; owner keeps its value"]


def test_a_table_that_is_calculated_from_a_value_in_doubt_is_not_searched(workspace: Workspace) -> None:
    """The column is left out, as where the value that is searched for is in doubt."""
    columns: list[dict[str, Any]] = [
        {"name": "size", "type": "number"},
        {"name": "table", "cases": [{"when": "size > 5", "then": "'team'"}], "default": "'systemuser'"},
    ]
    lookup = {"entity_from": "table", "match": {"systemuser": "fullname", "team": "fullname"}}
    sync = linking(to("owner", ["a", "table"], **lookup, on_null="keep"), columns=columns)
    rows = [["1", "x", "", "9"], ["2", "x", "", "1"], ["3", "x", "", "9,0"]]
    resolved(workspace, sync, rows, systemuser=[record(1, fullname="x")], team=[record(2, fullname="x")])

    found = {"1": f"team:{id_of(2)}", "2": f"systemuser:{id_of(1)}", "3": None}
    assert column(workspace, "owner") == found
    assert workspace.query("SELECT _row FROM desired WHERE _omit_owner") == [(3,)]
    assert errors(workspace) == [(3, "size", "Invalid Format Exception", False)]


@pytest.mark.parametrize("ambiguous", ["reject", "oldest"])
def test_a_default_is_used_for_an_empty_value_and_for_what_is_not_found(workspace: Workspace, ambiguous: str) -> None:
    """It is not used where several records have the value."""
    sync = linking(to("contact", match="fullname", default="Roe", on_ambiguous=ambiguous))
    rows = [["1", "", ""], ["2", "nobody", ""], ["3", "doe", ""]]
    resolved(workspace, sync, rows, contact=[*DOES, record(4, fullname="roe")])

    expected = {"1": id_of(4), "2": id_of(4)} | ({"3": id_of(1)} if ambiguous == "oldest" else {})
    assert column(workspace, "contact") == expected
    assert len(errors(workspace)) == (ambiguous == "reject")


@pytest.mark.parametrize(
    ("match", "default", "held"),
    [
        ("kind", "Beratung", {"kind": 1}),
        ("kind", " beratung", {"kind": 1}),
        ("kind", 1, {"kind": 1}),
        ("born", "2020-01-02T02:00:00+02:00", {"born": "2020-01-02T00:00:00Z"}),
        ("rank", "7.0", {"rank": 7}),
    ],
)
def test_a_default_is_read_as_a_value_of_the_source_is(
    workspace: Workspace, match: str, default: str | int, held: dict[str, Any]
) -> None:
    """A label of a choice, and a time with its offset: what finds the record in a row finds it as a default."""
    sync = linking(to("contact", match=match, default=default))
    resolved(workspace, sync, [["1", str(default), ""], ["2", "", ""]], contact=[record(4, **held)])
    assert column(workspace, "contact") == {"1": id_of(4), "2": id_of(4)}
    assert errors(workspace) == []


def test_a_missing_or_ambiguous_default_finds_no_record(workspace: Workspace) -> None:
    """The value that needs the default counts as missing, also an empty one."""
    sync = linking(to("contact", match="fullname", default="doe"), to("needed", match=["code"], default=["c9"]))
    resolved(workspace, sync, [["1", "nobody", ""], ["2", "", ""]], contact=DOES)

    assert errors(workspace) == [(row, "a", "Unresolved Link", True) for row in (1, 1, 2, 2)]
    assert messages(workspace)[-2:] == ["the default finds no contact, or several"] * 2


@pytest.mark.parametrize(
    ("policy", "kept", "message"),
    [("clear", "false", "; contact is cleared"), ("keep", "true", "; contact keeps its value")],
)
def test_a_default_that_finds_nothing_follows_the_policy(
    workspace: Workspace, policy: str, kept: str, message: str
) -> None:
    """The policy for what is missing, and not the one for empty values."""
    sync = linking(to("contact", match="code", default="c9", on_missing=policy, on_null="keep"))
    resolved(workspace, sync, [["1", "", ""]], contact=DOES)

    assert errors(workspace) == [(1, "a", "Unresolved Link", False)]
    assert messages(workspace) == [f"the default finds no contact, or several{message}"]
    assert column(workspace, "_omit_contact") == {"1": kept}


def test_an_owner_that_is_not_found_is_not_said_to_be_cleared(workspace: Workspace) -> None:
    """An owner cannot be empty."""
    entries = [{"entity": "systemuser", "match": "fullname", "on_missing": "clear"}]
    resolved(workspace, linking(to("owner", entries=entries, on_null="keep")), [["1", "nobody", ""]])

    assert messages(workspace)[0].endswith("; owner cannot be empty and keeps its value")
    assert column(workspace, "_omit_owner") == {"1": "true"}


def test_a_column_that_cannot_be_empty_is_not_written_and_reported(workspace: Workspace) -> None:
    """Unless the policy for empty values keeps it, or the record was searched and not found."""
    sync = linking(to("needed", match="code", on_missing="clear"), to("contact", "b", match="code"))
    resolved(workspace, sync, [["1", "", ""], ["2", "nobody", ""], ["3", "c1", ""]], contact=DOES)

    assert errors(workspace) == [(1, "a", "Mandatory Rule Violation", False), (2, "a", "Unresolved Link", False)]
    assert messages(workspace)[0] == "needed cannot be empty; set on_null: keep"
    assert column(workspace, "_omit_needed") == {"1": "true", "2": "true", "3": "false"}


def test_an_empty_value_that_keeps_the_column_is_not_reported(workspace: Workspace) -> None:
    """The same is true for a column that cannot be empty."""
    sync = linking(to("needed", match="code", on_null="keep"))
    resolved(workspace, sync, [["1", "", ""]], contact=DOES)

    assert errors(workspace) == []
    assert column(workspace, "_omit_needed") == {"1": "true"}


def test_the_policy_for_empty_values_does_not_apply_to_missing_records(workspace: Workspace) -> None:
    """A reference whose policy for missing records is to clear it is cleared."""
    sync = linking(to("contact", match="code", on_missing="clear", on_null="keep"))
    resolved(workspace, sync, [["1", "nobody", ""], ["2", "", ""]], contact=DOES)

    assert column(workspace, "_omit_contact") == {"1": "false", "2": "true"}


@pytest.mark.parametrize("on_null", ["clear", "keep"])
def test_a_sync_key_that_a_lookup_finds_needs_a_record(workspace: Workspace, on_null: str) -> None:
    """Without a record there is no key, whatever the policy for empty values is; duplicates are found by the record."""
    sync = linking(to("contact", match="code", on_null=on_null), sync_key=["accountnumber", "contact"])
    rows = [["1", "c1", ""], ["1", "C1", ""], ["2", "", ""], ["3", "nobody", ""]]
    resolved(workspace, sync, rows, contact=DOES)

    assert workspace.query("SELECT _row, CAST(_k2 AS VARCHAR) FROM desired") == [(1, id_of(1))]
    assert errors(workspace) == [
        (2, "accountnumber, contact", "Duplicate Key", True),
        (3, "a", "Mandatory Rule Violation", True),
        (4, "a", "Unresolved Link", True),
    ]
    assert "a key needs a value" in messages(workspace)


def test_a_sync_key_whose_source_cannot_be_read_rejects_the_row(workspace: Workspace) -> None:
    """It does not count as an empty key."""
    columns = [{"name": "n", "type": "number"}]
    sync = linking(to("contact", "n", match="rank"), columns=columns, sync_key=["accountnumber", "contact"])
    resolved(workspace, sync, [["1", "", "", "x"], ["2", "", "", "7"]], contact=[record(1, rank=7)])

    assert workspace.query("SELECT _row FROM desired") == [(2,)]
    assert (1, "n", "Mandatory Rule Violation", True) in errors(workspace)


@pytest.mark.parametrize(
    ("value", "match", "said"),
    [
        ("12.5", "code", "a number of 4 characters"),
        ("{6F9619FF-8B86-D011-B42D-00C04FC964FF}", "code", "an id; match: id searches by id"),
        ("twelve", "rank", "of another type than the column"),
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "id", "an id; match: id searches by id"),
    ],
)
def test_the_kind_of_a_value_that_finds_nothing_is_reported(
    workspace: Workspace, value: str, match: str, said: str
) -> None:
    """The message never has the value itself."""
    resolved(workspace, linking(to("contact", match=match)), [["1", value, ""]], contact=[record(1, rank=12)])

    (message,) = messages(workspace)
    assert message.endswith(f"; the value is {said}")
    assert value not in message


@pytest.mark.parametrize(("match", "value"), [("id", id_of(2).upper()), ("boss", id_of(1)), ("rank", "7")])
def test_a_record_is_found_by_id_by_what_it_refers_to_and_by_number(
    workspace: Workspace, match: str, value: str
) -> None:
    """A match column that is a lookup itself is compared by id."""
    contact = record(2, contactid=id_of(2), boss=id_of(1), rank=7)
    resolved(workspace, linking(to("contact", match=match)), [["1", value, ""]], contact=[contact])

    assert column(workspace, "contact") == {"1": id_of(2)}


def test_an_expression_gives_the_value_and_the_column_is_left_out_if_it_fails(workspace: Workspace) -> None:
    """Errors name the target column, because the value has no source column."""
    mapping = {"value": "'c' || CAST(a AS INTEGER)", "target": "contact", "lookup": {"match": "code"}}
    resolved(workspace, linking(mapping), [["1", "1", ""], ["2", "x", ""], ["3", "8", ""]], contact=DOES)

    assert column(workspace, "contact") == {"1": id_of(1), "2": None}
    assert column(workspace, "_omit_contact") == {"1": "false", "2": "true"}
    found = [(row, label, error) for row, label, error, _ in errors(workspace)]
    assert found == [(2, "contact", "Invalid Format Exception"), (3, "contact", "Unresolved Link")]


def test_the_record_of_a_rejected_row_is_protected_from_being_dropped(workspace: Workspace) -> None:
    """Its key is known; if a lookup is a part of the key and finds nothing, no record is dropped at all."""
    resolved(workspace, linking(to("contact", match="code"), dropped="delete"), [["1", "nobody", ""]], contact=DOES)
    assert workspace.query("SELECT * FROM protected") == [("1",)]


@pytest.mark.parametrize("mapping", [to("contact", match="code"), {**to("contact", match="code"), "value": "a"}])
def test_a_key_that_is_not_found_protects_every_record(workspace: Workspace, mapping: dict[str, Any]) -> None:
    """It is stored as a protected key without a value; a row with an empty key protects no record."""
    mapping = {key: value for key, value in mapping.items() if key != "source" or "value" not in mapping}
    sync = linking(mapping, sync_key=["accountnumber", "contact"], dropped="delete")
    resolved(workspace, sync, [["1", "nobody", ""], ["2", "", ""]], contact=DOES)

    assert workspace.query("SELECT _k1, _k2 FROM protected") == [(None, None)]


REJECTING = {"name": "size", "type": "number", "validate": True}


@pytest.mark.parametrize(
    ("value", "protected"),
    [("C1 ", [("1", id_of(1))]), ("nobody", [(None, None)]), ("", [])],
    ids=["found", "not found", "empty"],
)
@pytest.mark.parametrize("policy", ["reject", "create"])
@pytest.mark.parametrize("mapping", [{"source": "a"}, {"value": "lower(a)"}])
def test_a_row_that_is_rejected_for_another_column_protects_the_record_that_its_key_refers_to(
    workspace: Workspace, value: str, protected: list[tuple[Any, ...]], policy: str, mapping: dict[str, Any]
) -> None:
    """Its key is searched too; nothing more is reported of the row, and no record is created for it."""
    link = {"target": "contact", "lookup": {"match": "code", "on_missing": policy}, **mapping}
    sync = linking(link, columns=[REJECTING], sync_key=["accountnumber", "contact"], dropped="delete")
    resolved(workspace, sync, [["1", value, "", "wrong"], ["2", "c2", "", "1"]], contact=DOES)

    assert workspace.query("SELECT _k1, CAST(_k2 AS VARCHAR) FROM protected") == protected
    assert errors(workspace) == [(1, "size", "Invalid Format Exception", True)]
    assert workspace.query("SELECT _row FROM desired") == [(2,)]
    if policy == "create":
        assert workspace.query("SELECT count(*) FROM creations") == [(0,)]


@pytest.mark.parametrize(
    ("column", "link"),
    [
        ({"name": "n", "type": "number"}, to("contact", "n", match="rank")),
        ({"name": "n"}, {"value": "CAST(n AS INTEGER)", "target": "contact", "lookup": {"match": "rank"}}),
        ({"name": "n"}, to("contact", "n", match="rank")),
    ],
)
def test_a_key_lookup_without_a_readable_value_may_find_any_record(
    workspace: Workspace, column: dict[str, Any], link: dict[str, Any]
) -> None:
    """Of a row that is rejected for another column too."""
    sync = linking(link, columns=[REJECTING, column], sync_key=["accountnumber", "contact"], dropped="delete")
    resolved(workspace, sync, [["1", "", "", "wrong", "x"]], contact=[record(1, rank=7)])

    assert workspace.query("SELECT _k1, _k2 FROM protected") == [(None, None)]


@pytest.mark.parametrize(("dropped", "asked"), [("ignore", ["c1"]), ("delete", ["c1", "c3"])])
def test_the_keys_of_rejected_rows_are_searched_where_records_may_be_dropped(
    workspace: Workspace, dropped: str, asked: list[str]
) -> None:
    """Those of rows that the filter leaves out are not: their records are dropped."""
    columns, keys = [REJECTING], ["accountnumber", "contact"]
    sync = linking(to("contact", match="code"), columns=columns, sync_key=keys, dropped=dropped, filter="b = 'in'")
    rows = [["1", "c1", "in", "1"], ["2", "c2", "out", "1"], ["3", "c3", "in", "wrong"]]
    unresolved(workspace, sync, rows)
    early = early_lookups(sync, LINKED)
    read(workspace, early, {"contact": DOES})

    (query,) = searched_values(early, references(early)[0], unless=desire_of(sync, LINKED).unsearched)

    assert sorted(json.loads(text)["code"] for (text,) in workspace.query(query)) == asked


def test_each_value_is_searched_once_and_none_of_ignored_rows(workspace: Workspace) -> None:
    """Two columns that search one table share the records that are read; defaults are searched as well."""
    sync = linking(to("contact", match="code", default="c9"), to("needed", "b", match="fullname"))
    rows = [["1", "c1", "Moe"], ["2", "C1 ", 'R"oe'], ["3", "c3", "Moe"]]
    resolved(workspace, sync, rows, contact=[*DOES, record(4, fullname='R"oe'), record(5, fullname="Moe")])
    early = early_lookups(sync, LINKED)
    (reference,) = references(early)

    queries = searched_values(early, reference, unless="_row = 3")
    asked = [json.loads(text) for query in queries for (text,) in workspace.query(query)]

    assert [each.name for each in reference.columns] == ["code", "fullname"]
    names = sorted(each["fullname"] for each in asked if "fullname" in each)
    codes = sorted(each["code"].strip().lower() for each in asked if "code" in each)
    assert (names, codes) == (["Moe", 'R"oe'], ["c1", "c9"])


def test_if_the_row_names_the_table_each_table_is_searched_for_its_own_values(workspace: Workspace) -> None:
    """A value of a row that names another table is not searched."""
    lookup = {"entity_from": "b", "match": {"systemuser": "fullname", "team": "fullname"}}
    sync = linking(to("owner", ["a", "b"], **lookup, on_missing="keep", on_null="keep"))
    unresolved(workspace, sync, [["1", "x", "team"], ["2", "y", "systemuser"]])
    early = early_lookups(sync, LINKED)

    asked = {
        reference.entity.logical_name: [workspace.query(query) for query in searched_values(early, reference)]
        for reference in references(early)
    }
    assert asked == {"systemuser": [[('{"fullname":"y"}',)]], "team": [[('{"fullname":"x"}',)]]}


@pytest.mark.parametrize(
    ("action", "asks"), [("DELETE", []), (" delete ", []), ("UPDATE", ["nobody"]), ("", ["nobody"])]
)
def test_a_row_that_deletes_its_record_searches_nothing(workspace: Workspace, action: str, asks: list[str]) -> None:
    """Unless the lookup is part of the key: the other columns are not written."""
    sync = linking(to("contact", match="code"), strategy="delta", action_column="b")
    resolved(workspace, sync, [["1", "nobody", action]], contact=DOES)

    assert errors(workspace) == [(1, "a", "Unresolved Link", True) for _ in asks]
    assert column(workspace, "contact") == ({} if asks else {"1": None})


def test_values_of_deleted_records_are_not_asked_for(workspace: Workspace) -> None:
    sync = linking(to("contact", match="code"), strategy="delta", action_column="b")
    unresolved(workspace, sync, [["1", "c1", "DELETE"], ["2", "c2", "UPDATE"]])
    lookups = early_lookups(sync, LINKED)
    (query,) = searched_values(lookups, references(lookups)[0])

    assert [json.loads(text) for (text,) in workspace.query(query)] == [{"code": "c2"}]
