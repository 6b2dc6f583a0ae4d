"""Deletions and assignments, and what they do to related rows."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator
from tests.emulator import relations_world
from tests.emulator.http_client import Client, error, made

SCHEMA = relations_world.SCHEMA


def _child(client: Client, **parents: str) -> str:
    bound = {f"new_{name}@odata.bind": f"new_parents({parent})" for name, parent in parents.items()}
    return made(client, "new_childs", **bound)


def _exists(client: Client, path: str) -> bool:
    return client.send("GET", path).status_code == 200


def _version(client: Client, path: str) -> int:
    return int(client.send("GET", f"{path}?$select=versionnumber").json()["versionnumber"])


@pytest.mark.parametrize(("column", "end"), [("LinkId", "cleared"), ("KeptId", "same"), ("CascadeId", "gone")])
def test_a_deletion_does_what_the_relationship_says(client: Client, column: str, end: str) -> None:
    """RemoveLink clears the lookup and changes the child, NoCascade leaves it, Cascade deletes the child."""
    parent = made(client, "new_parents", new_name="P")
    child = _child(client, **{column: parent})
    before = _version(client, f"new_childs({child})")
    assert client.send("DELETE", f"new_parents({parent})").status_code == 204
    assert not _exists(client, f"new_parents({parent})")
    assert _exists(client, f"new_childs({child})") is (end != "gone")
    if end != "gone":
        row = client.send("GET", f"new_childs({child})").json()
        assert row[f"_new_{column.lower()}_value"] == (None if end == "cleared" else parent)
        assert (row["versionnumber"] > before) is (end == "cleared")


def test_restrict_refuses_the_deletion_and_changes_nothing(client: Client) -> None:
    """The documented code; the rows that would go by another relationship stay as well."""
    parent = made(client, "new_parents", new_name="P")
    kept, held = _child(client, CascadeId=parent), _child(client, RestrictId=parent)
    linked = _child(client, LinkId=parent)
    assert error(client.send("DELETE", f"new_parents({parent})")) == (405, "0x80040227")
    for path in (f"new_parents({parent})", f"new_childs({kept})", f"new_childs({held})"):
        assert _exists(client, path)
    assert client.send("GET", f"new_childs({linked})").json()["_new_linkid_value"] == parent
    assert client.send("DELETE", f"new_childs({held})").status_code == 204
    assert client.send("DELETE", f"new_parents({parent})").status_code == 204


def test_a_row_that_is_deleted_too_does_not_restrict(client: Client) -> None:
    """Its other lookup cascades from the same parent."""
    parent = made(client, "new_parents", new_name="P")
    child = _child(client, CascadeId=parent, RestrictId=parent)
    assert client.send("DELETE", f"new_parents({parent})").status_code == 204
    assert not _exists(client, f"new_childs({child})")


def test_a_restriction_below_a_cascade_applies(client: Client) -> None:
    """A -> B cascades, and a child restricts the deletion of B: A stays."""
    first = made(client, "new_parents", new_name="A")
    second = made(client, "new_parents", new_name="B", **{"new_NextId@odata.bind": f"new_parents({first})"})
    _child(client, RestrictId=second)
    assert error(client.send("DELETE", f"new_parents({first})")) == (405, "0x80040227")
    assert _exists(client, f"new_parents({second})")


def test_cascades_over_a_loop_end(client: Client) -> None:
    """A -> B -> A: both rows go, each once."""
    first = made(client, "new_parents", new_name="A")
    second = made(client, "new_parents", new_name="B", **{"new_NextId@odata.bind": f"new_parents({first})"})
    bound = {"new_NextId@odata.bind": f"new_parents({second})"}
    assert client.send("PATCH", f"new_parents({first})", bound).status_code == 204
    assert client.send("DELETE", f"new_parents({second})").status_code == 204
    assert client.send("GET", "new_parents").json()["value"] == []


def test_each_target_of_a_polymorphic_lookup_has_its_own_behaviour(client: Client) -> None:
    """The lookup cascades from one table and restricts from the other."""
    parent, account = made(client, "new_parents", new_name="P"), made(client, "accounts", name="A")
    first = made(client, "new_childs", **{"new_AnyId_new_parent@odata.bind": f"new_parents({parent})"})
    made(client, "new_childs", **{"new_AnyId_account@odata.bind": f"accounts({account})"})
    assert error(client.send("DELETE", f"accounts({account})")) == (405, "0x80040227")
    assert client.send("DELETE", f"new_parents({parent})").status_code == 204
    assert not _exists(client, f"new_childs({first})")


def test_deleting_an_account_follows_the_reference_pages(client: Client) -> None:
    """Contacts, tasks and opportunities of the customer are deleted; child accounts lose their parent."""
    account = made(client, "accounts", name="A")
    bound = {"parentcustomerid_account@odata.bind": f"accounts({account})"}
    contact = made(client, "contacts", lastname="L", **bound)
    regarding = {"regardingobjectid_contact_task@odata.bind": f"contacts({contact})"}
    task = made(client, "tasks", subject="T", **regarding)
    customer = {"customerid_account@odata.bind": f"accounts({account})"}
    opportunity = made(client, "opportunities", name="O", **customer)
    parent = {"parentaccountid@odata.bind": f"accounts({account})"}
    sub_account, linked = (
        made(client, "accounts", name="B", **parent),
        made(client, "opportunities", name="P", **parent),
    )
    assert client.send("DELETE", f"accounts({account})").status_code == 204
    for gone in (f"contacts({contact})", f"tasks({task})", f"opportunities({opportunity})"):
        assert not _exists(client, gone)
    for path in (f"accounts({sub_account})", f"opportunities({linked})"):
        assert client.send("GET", path).json()["_parentaccountid_value"] is None


def test_a_currency_in_use_cannot_be_deleted(client: Client) -> None:
    """Its relationships restrict."""
    currency = made(client, "transactioncurrencies", currencyname="E", isocurrencycode="EUR", currencysymbol="€")
    bound = {"transactioncurrencyid@odata.bind": f"transactioncurrencies({currency})"}
    account = made(client, "accounts", name="A", **bound)
    assert error(client.send("DELETE", f"transactioncurrencies({currency})")) == (405, "0x80040227")
    client.send("DELETE", f"accounts({account})")
    assert client.send("DELETE", f"transactioncurrencies({currency})").status_code == 204


def test_deletions_of_children_are_tracked_and_counted(client: Client, emulator: RunningEmulator) -> None:
    """They are in the delta of the table of the children and in the statistics."""
    parent = made(client, "new_parents", new_name="P")
    child = _child(client, CascadeId=parent)
    first = client.send("GET", "new_childs?$select=new_name", Prefer="odata.track-changes").json()
    client.send("DELETE", f"new_parents({parent})")
    delta = first["@odata.deltaLink"].partition("/api/data/v9.2/")[2]
    changes = client.send("GET", delta).json()["value"]
    assert [(one["id"], one["reason"]) for one in changes] == [(child, "deleted")]
    assert emulator.stats()["rows"]["delete"] == 2


def test_a_change_set_that_is_refused_deletes_nothing(client: Client) -> None:
    """Cascade and Restrict within `$batch`: all or nothing."""
    free, held = made(client, "new_parents", new_name="A"), made(client, "new_parents", new_name="B")
    child = _child(client, CascadeId=free)
    _child(client, RestrictId=held)
    parts = "".join(
        "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {number}\r\n\r\nDELETE new_parents({row}) HTTP/1.1\r\n\r\n\r\n"
        for number, row in enumerate((free, held))
    )
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n"
    headers = {**client.headers, "Content-Type": "multipart/mixed; boundary=b"}
    answer = client.session.post(f"{client.base}/api/data/v9.2/$batch", data=body, headers=headers, timeout=60)
    assert "0x80040227" in answer.text
    assert _exists(client, f"new_parents({free})")
    assert _exists(client, f"new_childs({child})")


def test_a_bulk_delete_job_counts_the_rows_that_stay(client: Client) -> None:
    """A restricted row is a failure of the job; the others go with their children."""
    rows = [made(client, "new_parents", new_name="P") for _ in range(5)]
    child = _child(client, CascadeId=rows[0])
    _child(client, RestrictId=rows[3])
    body = {"JobName": "j", "QuerySet": [{"EntityName": "new_parent"}]}
    job = client.send("POST", "BulkDelete", body).json()["JobId"]
    deadline = time.monotonic() + 100
    while client.send("GET", f"asyncoperations({job})").json()["statecode"] != 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    query = f"bulkdeleteoperations?$filter=_asyncoperationid_value eq {job}&$select=successcount,failurecount"
    operation = client.send("GET", query).json()["value"][0]
    assert (operation["successcount"], operation["failurecount"]) == (4, 1)
    assert [row["new_parentid"] for row in client.send("GET", "new_parents").json()["value"]] == [rows[3]]
    assert not _exists(client, f"new_childs({child})")


# Assignments


def _user(client: Client, **more: Any) -> str:
    return made(client, "systemusers", lastname="U", **more)


def _owner(client: Client, path: str) -> str:
    return str(client.send("GET", f"{path}?$select=_ownerid_value").json()["_ownerid_value"])


def test_an_assignment_follows_the_relationships(client: Client) -> None:
    """Cascade assigns all children, Active the active ones, UserOwned those of the old owner; the others stay."""
    old, new, other = _user(client), _user(client), _user(client)
    mine = {"ownerid@odata.bind": f"systemusers({old})"}
    parent = made(client, "new_parents", new_name="P", **mine)

    def child(column: str, **more: Any) -> str:
        return made(client, "new_childs", **{f"new_{column}@odata.bind": f"new_parents({parent})", **mine, **more})

    theirs = {"ownerid@odata.bind": f"systemusers({other})"}
    expected = {
        child("CascadeId"): new, child("LinkId"): old, child("ActiveId"): new, child("OwnId"): new,
        child("OwnId", **theirs): other, child("CascadeId", **theirs): new,
    }  # fmt: skip
    inactive = child("ActiveId")
    assert client.send("PATCH", f"new_childs({inactive})", {"statecode": 1}).status_code == 204
    bound = {"ownerid@odata.bind": f"systemusers({new})"}
    assert client.send("PATCH", f"new_parents({parent})", bound).status_code == 204
    expected[inactive] = old
    assert {row: _owner(client, f"new_childs({row})") for row in expected} == expected


def test_an_assignment_reaches_grandchildren_and_ends_in_loops(client: Client) -> None:
    """A -> B -> A by a parental lookup, and a child of B."""
    first = made(client, "new_parents", new_name="A")
    second = made(client, "new_parents", new_name="B", **{"new_NextId@odata.bind": f"new_parents({first})"})
    client.send("PATCH", f"new_parents({first})", {"new_NextId@odata.bind": f"new_parents({second})"})
    child = _child(client, CascadeId=second)
    team = made(client, "teams", name="T")
    assert client.send("PATCH", f"new_parents({first})", {"ownerid@odata.bind": f"teams({team})"}).status_code == 204
    for path in (f"new_parents({first})", f"new_parents({second})", f"new_childs({child})"):
        row = client.send("GET", path).json()
        assert (row["_ownerid_value"], row["_owningteam_value"], row["_owninguser_value"]) == (team, team, None)


def test_an_unchanged_owner_assigns_nothing(client: Client) -> None:
    """The same owner again: children of other owners keep theirs."""
    owner, other = _user(client), _user(client)
    parent = made(client, "new_parents", **{"ownerid@odata.bind": f"systemusers({owner})"})
    bound = {"new_CascadeId@odata.bind": f"new_parents({parent})", "ownerid@odata.bind": f"systemusers({other})"}
    child = made(client, "new_childs", **bound)
    client.send("PATCH", f"new_parents({parent})", {"ownerid@odata.bind": f"systemusers({owner})"})
    assert _owner(client, f"new_childs({child})") == other


# Hierarchies


@pytest.mark.parametrize(
    ("entity_set", "name", "lookup", "code"),
    [
        ("accounts", "name", "parentaccountid", "0x80040507"),
        ("contacts", "lastname", "parentcustomerid_contact", "0x8004050a"),
        ("systemusers", "lastname", "parentsystemuserid", "0x80041d25"),
        ("businessunits", "name", "parentbusinessunitid", "0x80041d21"),
        ("new_parents", "new_name", "new_UpId", "0x80045908"),
    ],
)
def test_a_row_is_not_its_own_ancestor(client: Client, entity_set: str, name: str, lookup: str, code: str) -> None:
    """A -> B -> C -> A is refused with the documented code, and A -> A too; nothing is changed."""
    a = made(client, entity_set, **{name: "A"})
    b = made(client, entity_set, **{name: "B", f"{lookup}@odata.bind": f"{entity_set}({a})"})
    c = made(client, entity_set, **{name: "C", f"{lookup}@odata.bind": f"{entity_set}({b})"})
    for parent in (a, b, c):
        bound = {f"{lookup}@odata.bind": f"{entity_set}({parent})", name: "changed"}
        assert error(client.send("PATCH", f"{entity_set}({a})", bound)) == (400, code)
    row = client.send("GET", f"{entity_set}({a})?$expand={lookup}").json()
    assert (row[name], row[lookup]) == ("A", None)
    assert client.send("PATCH", f"{entity_set}({c})", {f"{lookup}@odata.bind": f"{entity_set}({a})"}).status_code == 204


def test_a_loop_by_one_bulk_message_is_refused(client: Client) -> None:
    """A -> B and B -> A in one UpdateMultiple: neither is written."""
    rows = [made(client, "accounts", name=name) for name in "AB"]
    targets = [
        {
            "@odata.type": "Microsoft.Dynamics.CRM.account",
            "accountid": row,
            "parentaccountid@odata.bind": f"accounts({other})",
        }
        for row, other in zip(rows, reversed(rows), strict=True)
    ]
    answer = client.send("POST", "accounts/Microsoft.Dynamics.CRM.UpdateMultiple", {"Targets": targets})
    assert error(answer) == (400, "0x80040507")
    found = client.send("GET", "accounts?$select=_parentaccountid_value").json()["value"]
    assert [row["_parentaccountid_value"] for row in found] == [None, None]


def test_other_lookups_of_a_table_to_itself_may_form_a_loop(client: Client) -> None:
    """Only hierarchical ones are checked."""
    row = made(client, "new_parents", new_name="A")
    bound = {"new_LikeId@odata.bind": f"new_parents({row})"}
    assert client.send("PATCH", f"new_parents({row})", bound).status_code == 204


# Against an oracle

EDGES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["NextId", "LikeId"]), st.integers(0, 5)), max_size=12)
CHILDREN = st.lists(
    st.tuples(st.sampled_from(["CascadeId", "RestrictId", "LinkId", "KeptId"]), st.integers(0, 5)), max_size=6
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=EDGES, children=CHILDREN, first=st.integers(0, 5))
def test_deletions_in_random_graphs_follow_the_rules(
    emulator: RunningEmulator, edges: list[tuple[int, str, int]], children: list[tuple[str, int]], first: int
) -> None:
    """The remaining rows and lookups are equal to those of a simple computation."""
    emulator.reset()
    with Client(emulator) as client:
        rows = [made(client, "new_parents", new_name=str(number)) for number in range(6)]
        lookups = {(source, column): target for source, column, target in edges}
        for (source, column), target in lookups.items():
            bound = {f"new_{column}@odata.bind": f"new_parents({rows[target]})"}
            client.send("PATCH", f"new_parents({rows[source]})", bound)
        made_children = [_child(client, **{column: rows[parent]}) for column, parent in children]
        gone = {first}
        while more := {s for (s, column), t in lookups.items() if column == "NextId" and t in gone} - gone:
            gone |= more
        restricted = any(column == "RestrictId" and parent in gone for column, parent in children)
        answer = client.send("DELETE", f"new_parents({rows[first]})")
        assert answer.status_code == (405 if restricted else 204)
        gone = set() if restricted else gone
        found = {row["new_parentid"]: row for row in client.send("GET", "new_parents").json()["value"]}
        assert set(found) == {row for number, row in enumerate(rows) if number not in gone}
        for (source, column), target in lookups.items():
            if source not in gone:
                kept = None if target in gone else rows[target]
                assert found[rows[source]][f"_new_{column.lower()}_value"] == kept
        left = {row["new_childid"]: row for row in client.send("GET", "new_childs").json()["value"]}
        for child, (column, parent) in zip(made_children, children, strict=True):
            assert (child in left) is not (column == "CascadeId" and parent in gone)
            if child in left:
                cleared = column == "LinkId" and parent in gone
                assert left[child][f"_new_{column.lower()}_value"] == (None if cleared else rows[parent])
