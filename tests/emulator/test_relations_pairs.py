"""Many-to-many relationships: associate, disassociate, collections, intersect tables."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.testing import running
from tests.emulator import relations_world
from tests.emulator.http_client import Client, error, made

SCHEMA = relations_world.SCHEMA

NO_ROW = "00000000-0000-0000-0000-000000000009"
PAIRS = "accountleads_association"


def _associate(client: Client, path: str, other: str) -> tuple[int, str]:
    answer = client.send("POST", f"{path}/$ref", {"@odata.id": f"{client.base}/api/data/v9.2/{other}"})
    return (answer.status_code, "") if answer.status_code == 204 else error(answer)


def _ids(client: Client, path: str, name: str) -> list[str]:
    return sorted(row[name] for row in client.send("GET", path).json()["value"])


def test_pairs_are_made_and_removed(client: Client) -> None:
    """Both collections show them; `(id)/$ref` and `$id` remove them; both answer 204."""
    account, lead, other = made(client, "accounts"), made(client, "leads"), made(client, "leads", subject="S")
    path = f"accounts({account})/{PAIRS}"
    assert _associate(client, path, f"leads({lead})") == (204, "")
    assert _associate(client, f"leads({other})/{PAIRS}", f"accounts({account})") == (204, "")
    assert _ids(client, path, "leadid") == sorted([lead, other])
    assert _ids(client, f"leads({lead})/{PAIRS}?$select=name", "accountid") == [account]
    assert client.send("GET", f"{path}/$count").content.decode("utf-8-sig") == "2"
    assert client.send("GET", f"{path}({lead})?$select=leadid").json()["leadid"] == lead
    assert client.send("GET", f"{path}/$ref").json()["value"][0]["@odata.id"].endswith(f"leads({lead})")
    assert client.send("DELETE", f"{path}({lead})/$ref").status_code == 204
    assert client.send("DELETE", f"{path}/$ref?$id={client.base}/api/data/v9.2/leads({other})").status_code == 204
    assert client.send("GET", path).json()["value"] == []
    assert client.send("GET", f"{path}({lead})").status_code == 404


def test_a_pair_exists_once(client: Client) -> None:
    """The same again is DuplicateRecord, from either end; an absent pair is removed without an error."""
    account, lead = made(client, "accounts"), made(client, "leads")
    path = f"accounts({account})/{PAIRS}"
    assert _associate(client, path, f"leads({lead})") == (204, "")
    assert _associate(client, path, f"leads({lead})") == (412, "0x80040237")
    assert _associate(client, f"leads({lead})/{PAIRS}", f"accounts({account})") == (412, "0x80040237")
    for _ in range(2):
        assert client.send("DELETE", f"{path}({lead})/$ref").status_code == 204


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (f"leads({NO_ROW})", (404, "0x80040217")),
        ("leads(subject='x')", (400, "0x80060888")),
        ("nothings(1)", (404, "0x8006088a")),
    ],
)
def test_an_association_names_an_existing_row(client: Client, other: str, expected: tuple[int, str]) -> None:
    """As in every reference of a body."""
    account = made(client, "accounts")
    assert _associate(client, f"accounts({account})/{PAIRS}", other) == expected


def test_an_association_names_a_row_of_the_other_table(client: Client) -> None:
    """A contact is no lead; a body without an address is refused; PUT and an unknown parent too."""
    account, contact, lead = made(client, "accounts"), made(client, "contacts", lastname="L"), made(client, "leads")
    path = f"accounts({account})/{PAIRS}"
    assert _associate(client, path, f"contacts({contact})") == (400, "0x80040203")
    assert error(client.send("POST", f"{path}/$ref", {})) == (400, "0x80048d19")
    assert error(client.send("DELETE", f"{path}/$ref")) == (400, "0x80048d19")
    assert client.send("PUT", f"{path}/$ref", {"@odata.id": f"leads({lead})"}).status_code == 405
    assert _associate(client, f"accounts({NO_ROW})/{PAIRS}", f"leads({lead})") == (404, "0x80040217")


def test_a_row_is_made_in_a_collection(client: Client) -> None:
    """`POST` to the collection creates the row and its pair, or none of them."""
    account = made(client, "accounts")
    lead = made(client, f"accounts({account})/{PAIRS}", subject="S")
    assert _ids(client, f"accounts({account})/{PAIRS}", "leadid") == [lead]
    assert client.send("POST", f"accounts({account})/{PAIRS}", {"nothing": 1}).status_code == 400
    assert len(client.send("GET", "leads").json()["value"]) == 1


def test_intersect_sets_are_read_only(client: Client) -> None:
    """Four properties, filters and counts; every write is refused by name."""
    account, lead = made(client, "accounts"), made(client, "leads")
    _associate(client, f"accounts({account})/{PAIRS}", f"leads({lead})")
    rows = client.send("GET", f"accountleadscollection?$filter=leadid eq {lead}").json()["value"]
    assert [set(row) - {"@odata.etag"} for row in rows] == [{"accountleadid", "accountid", "leadid", "versionnumber"}]
    assert rows[0]["accountid"] == account
    row = f"accountleadscollection({rows[0]['accountleadid']})"
    for method, path, message in (
        ("POST", "accountleadscollection", "Create"),
        ("PATCH", row, "Update"),
        ("DELETE", row, "Delete"),
    ):
        answer = client.send(method, path, {"accountid": account, "leadid": lead})
        assert error(answer) == (400, "0x80040800")
        assert f"The '{message}' method does not support entities of type 'accountleads'." in answer.text
    assert client.send("GET", row).status_code == 200


def test_a_deleted_row_loses_its_pairs(client: Client) -> None:
    """The pairs on both sides are deleted, and the other rows stay."""
    account, first, second = made(client, "accounts"), made(client, "leads"), made(client, "leads")
    for lead in (first, second):
        _associate(client, f"accounts({account})/{PAIRS}", f"leads({lead})")
    assert client.send("DELETE", f"leads({first})").status_code == 204
    assert _ids(client, "accountleadscollection", "leadid") == [second]
    assert client.send("DELETE", f"accounts({account})").status_code == 204
    assert _ids(client, "accountleadscollection", "leadid") == []
    assert client.send("GET", f"leads({second})").status_code == 200


def test_pairs_work_in_queries(client: Client) -> None:
    """`$expand` with its options, nested, and `any` and `all` over the collection."""
    account, empty = made(client, "accounts", name="A"), made(client, "accounts", name="B")
    for subject in "yxz":
        made(client, f"accounts({account})/{PAIRS}", subject=subject)
    expand = f"$expand={PAIRS}($select=subject;$orderby=subject;$top=2;$filter=subject ne 'x')"
    found = client.send("GET", f"accounts?$select=name&{expand}").json()["value"]
    assert {row["name"]: [one["subject"] for one in row[PAIRS]] for row in found} == {"A": ["y", "z"], "B": []}
    assert _ids(client, f"accounts?$filter={PAIRS}/any(l:l/subject eq 'x')", "accountid") == [account]
    assert _ids(client, f"accounts?$filter=not {PAIRS}/any()", "accountid") == [empty]
    assert _ids(client, f"accounts?$filter={PAIRS}/all(l:l/subject gt 'x')", "accountid") == [empty]
    assert _ids(client, f"accounts({account})/{PAIRS}?$filter={PAIRS}/any(a:a/name eq 'A')&$top=1", "subject") == ["y"]


@pytest.mark.parametrize(
    "expand",
    [
        f"{PAIRS},primarycontactid",
        f"{PAIRS},contact_customer_accounts",
        f"{PAIRS}($expand=ownerid)",
        "contact_customer_accounts($expand=contactleads_association)",
        f"parentaccountid($expand={PAIRS})",
    ],
)
def test_pairs_are_expanded_beside_each_other_only(client: Client, expand: str) -> None:
    """The table of supported relationship types: several many-to-many ones, nothing mixed, nothing nested."""
    assert error(client.send("GET", f"accounts?$expand={expand}")) == (400, "0x80060888")
    assert client.send("GET", f"accounts?$expand={PAIRS},new_parent_account").status_code == 200


def test_a_table_is_related_to_itself(client: Client) -> None:
    """The two ends have a navigation property each."""
    first, second = made(client, "new_parents", new_name="A"), made(client, "new_parents", new_name="B")
    assert _associate(client, f"new_parents({first})/Referencingnew_parent_friends", f"new_parents({second})")[0] == 204
    assert _ids(client, f"new_parents({first})/Referencingnew_parent_friends", "new_parentid") == [second]
    assert _ids(client, f"new_parents({second})/Referencednew_parent_friends", "new_parentid") == [first]
    assert _ids(client, f"new_parents({second})/Referencingnew_parent_friends", "new_parentid") == []
    expanded = client.send(
        "GET", f"new_parents({first})?$expand=Referencingnew_parent_friends($select=new_name)"
    ).json()
    assert [row["new_name"] for row in expanded["Referencingnew_parent_friends"]] == ["B"]
    row = client.send("GET", "new_parent_friendsset").json()["value"][0]
    assert (row["new_parentidone"], row["new_parentidtwo"]) == (first, second)


def test_pairs_are_tracked_if_both_tables_are(client: Client) -> None:
    """A delta of the intersect set has new and removed pairs."""
    parent, account = made(client, "new_parents"), made(client, "accounts")
    first = client.send("GET", "new_parent_accountset", Prefer="odata.track-changes").json()
    delta = first["@odata.deltaLink"].partition("/api/data/v9.2/")[2]
    _associate(client, f"new_parents({parent})/new_parent_account", f"accounts({account})")
    changes = client.send("GET", delta).json()
    assert [row["accountid"] for row in changes["value"]] == [account]
    client.send("DELETE", f"new_parents({parent})/new_parent_account({account})/$ref")
    delta = changes["@odata.deltaLink"].partition("/api/data/v9.2/")[2]
    assert [row["reason"] for row in client.send("GET", delta).json()["value"]] == ["deleted"]
    answer = client.send("GET", "new_parent_untrackedset", Prefer="odata.track-changes")
    assert error(answer) == (400, "0x80072492")


def test_members_of_a_team_are_pairs(client: Client) -> None:
    """`teammemberships` is the documented set."""
    team, user = made(client, "teams", name="T"), made(client, "systemusers", lastname="U")
    assert _associate(client, f"teams({team})/teammembership_association", f"systemusers({user})") == (204, "")
    rows = client.send("GET", f"teammemberships?$filter=teamid eq {team}").json()["value"]
    assert [row["systemuserid"] for row in rows] == [user]


def test_members_are_added_and_removed_by_actions(client: Client) -> None:
    """`AddMembersTeam` adds users that are not there yet, by either key; `RemoveMembersTeam` removes them."""
    team = made(client, "teams", name="T")
    users = sorted(made(client, "systemusers", lastname=name) for name in "ABC")
    path = f"teams({team})/Microsoft.Dynamics.CRM"
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.systemuser"}
    members = [
        {**kind, "ownerid": users[0]},
        {**kind, "systemuserid": users[1]},
        {"@odata.id": f"systemusers({users[2]})"},
    ]
    for _ in range(2):
        assert client.send("POST", f"{path}.AddMembersTeam", {"Members": members}).status_code == 204
        assert _ids(client, f"teams({team})/teammembership_association", "ownerid") == users
    assert client.send("POST", f"{path}.RemoveMembersTeam", {"Members": members[:2]}).status_code == 204
    assert _ids(client, f"teams({team})/teammembership_association", "ownerid") == users[2:]
    wrong: list[dict[str, Any]] = [{}, {"Members": 1}, {"Members": [1]}, {"Members": [{}]}]
    for body in (*wrong, {"Members": [{"@odata.id": f"teams({team})"}]}):
        assert error(client.send("POST", f"{path}.AddMembersTeam", body)) == (400, "0x80040203")
    assert error(client.send("POST", f"{path}.AddMembersTeam", {"Members": [{"ownerid": NO_ROW}]}))[0] == 404
    assert client.send("GET", f"{path}.AddMembersTeam").status_code == 404


def _change_set(client: Client, operations: list[tuple[str, str, str]]) -> Any:
    parts = "".join(
        "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {number}\r\n\r\n{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        for number, (method, path, body) in enumerate(operations, 1)
    )
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n"
    headers = {**client.headers, "Content-Type": "multipart/mixed; boundary=b"}
    return client.session.post(f"{client.base}/api/data/v9.2/$batch", data=body, headers=headers, timeout=60)


def test_pairs_in_a_change_set(client: Client) -> None:
    """Rows of the same change set are named by Content-ID; a pair that exists rolls everything back."""
    operations = [
        ("POST", "accounts", '{"name":"A"}'),
        ("POST", "leads", '{"subject":"S"}'),
        ("POST", f"$1/{PAIRS}/$ref", '{"@odata.id":"$2"}'),
    ]
    assert _change_set(client, operations).text.count("HTTP/1.1 204") == 3
    assert len(client.send("GET", "accountleadscollection").json()["value"]) == 1
    assert "0x80040237" in _change_set(client, [*operations, operations[-1]]).text
    assert len(client.send("GET", "accountleadscollection").json()["value"]) == 1
    assert len(client.send("GET", "accounts").json()["value"]) == 1


def test_a_seed_makes_pairs(tmp_path: Path) -> None:
    """A seed can hold the rows of an intersect set; a row needs both ends."""
    user, team = "00000000-0000-0000-0000-000000000021", "00000000-0000-0000-0000-000000000022"
    rows = {
        "systemusers": [{"systemuserid": user, "lastname": "U"}],
        "teams": [{"teamid": team, "name": "T"}],
        "teammemberships": [{"teamid": team, "systemuserid": user}],
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(rows, sort_keys=False), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({"teammemberships": [{"teamid": team}]}), encoding="utf-8")
    seeds = [f"good={tmp_path / 'a.yaml'}", f"bad={tmp_path / 'b.yaml'}"]
    with running(in_thread=True, limits="none", seed=seeds) as emulator, Client(emulator) as client:
        emulator.seed("good")
        assert _ids(client, f"teams({team})/teammembership_association", "systemuserid") == [user]
        answer = client.session.post(f"{client.base}/_emulator/seed/bad", timeout=60)
        assert answer.status_code == 400
