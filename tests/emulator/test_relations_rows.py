"""Deep insert, lookups in bodies and keys, owners and principals."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator import relations_world
from tests.emulator.http_client import Client, error, made

SCHEMA = relations_world.SCHEMA

NO_ROW = "00000000-0000-0000-0000-000000000009"


# Deep insert


def test_a_row_is_created_with_its_relations(client: Client, emulator: RunningEmulator) -> None:
    """One POST: a new target, new children with children of their own, and rows that exist, by both kinds of link."""
    task = made(client, "tasks", subject="old")
    lead = made(client, "leads", subject="old")
    body = {
        "name": "A",
        "primarycontactid": {"lastname": "P"},
        "contact_customer_accounts": [{"lastname": "L", "Contact_Tasks": [{"subject": "T"}]}, {"lastname": "M"}],
        "accountleads_association": [{"subject": "new"}],
        "Account_Tasks@odata.bind": [f"/tasks({task})"],
        "accountleads_association@odata.bind": [f"leads({lead})"],
    }
    expand = (
        "$select=name&$expand=primarycontactid($select=lastname),Account_Tasks($select=subject),"
        "contact_customer_accounts($select=lastname;$expand=Contact_Tasks($select=subject))"
    )
    answer = client.send("POST", f"accounts?{expand}", body, Prefer="return=representation")
    assert answer.status_code == 201, answer.text
    row = answer.json()
    assert row["primarycontactid"]["lastname"] == "P"
    contacts = {
        one["lastname"]: [task["subject"] for task in one["Contact_Tasks"]] for one in row["contact_customer_accounts"]
    }
    assert contacts == {"L": ["T"], "M": []}
    assert [one["subject"] for one in row["Account_Tasks"]] == ["old"]
    leads = client.send("GET", f"accounts({row['accountid']})/accountleads_association").json()["value"]
    assert sorted(one["subject"] for one in leads) == ["new", "old"]
    assert emulator.stats()["rows"]["create"] == 2 + 6 + 2  # rows, and the two pairs


def test_a_deep_insert_is_all_or_nothing(client: Client) -> None:
    """An error in the last row rolls back the first."""
    body = {"name": "A", "primarycontactid": {"lastname": "P"}, "contact_customer_accounts": [{"lastname": "x" * 51}]}
    assert error(client.send("POST", "accounts", body)) == (400, "0x80044331")
    assert client.send("GET", "accounts").json()["value"] == []
    assert client.send("GET", "contacts").json()["value"] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"contact_customer_accounts": ["L"]}, (400, "0x80048d19")),
        ({"Account_Tasks@odata.bind": [1]}, (400, "0x80048d19")),
        ({"Account_Tasks@odata.bind": [f"contacts({NO_ROW})"]}, (400, "0x80040203")),
        ({"Account_Tasks@odata.bind": [f"tasks({NO_ROW})"]}, (404, "0x80040217")),
        ({"accountleads_association@odata.bind": [f"leads({NO_ROW})"]}, (404, "0x80040217")),
        ({"PrimaryContactId": {"lastname": "L"}}, (400, "0x0")),
        ({"primarycontactid": [{"lastname": "L"}]}, (400, "0x80048d19")),
        ({"primarycontactid": {"nothing": 1}}, (400, "0x0")),
        ({"name": {"a": 1}}, (400, "0x80048d19")),
        ({"nothings": [{}]}, (400, "0x0")),
    ],
)
def test_invalid_relations_are_refused(client: Client, body: dict[str, Any], expected: tuple[int, str]) -> None:
    """Names are exact, and lists and objects are where the relationship has them; no row is created."""
    assert error(client.send("POST", "accounts", {"name": "A", **body})) == expected
    assert client.send("GET", "accounts").json()["value"] == []


def test_a_deep_insert_into_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Tables of an environment can refer to tables that were not imported."""
    file = tmp_path / "tables.yaml"
    file.write_text("new_T:\n  columns: {new_Name: {type: String}, new_X: {type: Lookup, targets: [missing]}}\n")
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        answer = client.send("POST", "new_ts", {"new_name": "x", "new_X": {"name": "a"}})
        assert error(answer) == (400, "0x0")
        assert "'new_X'" in answer.json()["error"]["message"]
        assert client.send("GET", "new_ts").json()["value"] == []


def test_a_deep_insert_has_no_limit_but_the_depth_of_json(client: Client) -> None:
    """Forty levels of children, in one request."""
    body: dict[str, Any] = {"new_name": "40"}
    for level in range(39, -1, -1):
        body = {"new_name": str(level), "new_parent_parents": [body]}
    made(client, "new_parents", **body)
    assert len(client.send("GET", "new_parents").json()["value"]) == 41


def test_lists_of_references_by_content_id(client: Client) -> None:
    """In a change set a list can name the rows of operations before."""
    operations = [
        ("tasks", '{"subject":"S"}'),
        ("accounts", '{"name":"A","Account_Tasks@odata.bind":["$1"],"primarycontactid":{"lastname":"L"}}'),
    ]
    parts = "".join(
        "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {number}\r\n\r\nPOST {path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        for number, (path, body) in enumerate(operations, 1)
    )
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n"
    headers = {**client.headers, "Content-Type": "multipart/mixed; boundary=b"}
    client.session.post(f"{client.base}/api/data/v9.2/$batch", data=body, headers=headers, timeout=60)
    row = client.send("GET", "accounts?$expand=Account_Tasks,primarycontactid").json()["value"][0]
    assert (row["Account_Tasks"][0]["subject"], row["primarycontactid"]["lastname"]) == ("S", "L")


# Lookups


def test_navigation_properties_of_one_lookup_replace_each_other(client: Client) -> None:
    """Also if the body sets the others to null, in any order."""
    account, parent = made(client, "accounts", name="A"), made(client, "contacts", lastname="P")
    to_account = {"parentcustomerid_account@odata.bind": f"accounts({account})"}
    to_contact = {"parentcustomerid_contact@odata.bind": f"contacts({parent})"}
    contact = made(client, "contacts", lastname="L", **to_account)
    path = f"contacts({contact})"

    def company() -> tuple[str | None, str | None]:
        row = client.send("GET", path, Prefer='odata.include-annotations="*"').json()
        kind = row.get("_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname")
        return row["_parentcustomerid_value"], kind

    for body in (
        to_contact,
        {**to_account, "parentcustomerid_contact": None},
        {"parentcustomerid_account": None, **to_contact},
    ):
        assert client.send("PATCH", path, body).status_code == 204
        expected = (account, "account") if to_account.items() <= body.items() else (parent, "contact")
        assert company() == expected
    assert client.send("PATCH", path, {"parentcustomerid_contact@odata.bind": None}).status_code == 204
    assert company() == (None, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"PrimaryContactId@odata.bind": f"contacts({NO_ROW})"}, (400, "0x80048d19")),
        ({"PrimaryContactId": None}, (400, "0x0")),
        ({"_primarycontactid_value": NO_ROW}, (400, "0x80048d19")),
        ({"primarycontactid@odata.bind": f"contacts({NO_ROW})"}, (404, "0x80040217")),
        ({"primarycontactid@odata.bind": "contacts(externaluseridentifier='none')"}, (404, "0x80060891")),
        ({"primarycontactid@odata.bind": "contacts(lastname='L')"}, (400, "0x80060888")),
        ({"primarycontactid@odata.bind": "accounts(accountnumber='A1')"}, (400, "0x80040203")),
        ({"primarycontactid@odata.bind": "contact(1)"}, (404, "0x8006088a")),
        ({"primarycontactid@odata.bind": 1}, (400, "0x80048d19")),
    ],
)
def test_a_lookup_is_bound_to_a_row_that_exists(
    client: Client, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Names with their case, the target's table, its keys, its rows."""
    made(client, "accounts", name="A", accountnumber="A1")
    assert error(client.send("POST", "accounts", {"name": "B", **body})) == expected


def test_a_key_can_contain_a_lookup(client: Client) -> None:
    """In the address of a row, in a reference and in a bulk message, by the property of the lookup."""
    parent = made(client, "new_parents", new_name="P")
    address = f"new_childs(_new_cascadeid_value={parent},new_code=7)"
    assert client.send("PATCH", address, {"new_name": "C"}).status_code == 204
    row = client.send("GET", address).json()
    assert (row["new_name"], row["_new_cascadeid_value"], row["new_code"]) == ("C", parent, 7)
    target = {"@odata.type": "Microsoft.Dynamics.CRM.new_child", "@odata.id": address, "new_name": "D"}
    bulk = client.send("POST", "new_childs/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": [target]})
    assert bulk.status_code == 204, bulk.text
    assert client.send("GET", address).json()["new_name"] == "D"
    assert client.send("GET", f"new_childs(_new_cascadeid_value={NO_ROW},new_code=7)").status_code == 404
    assert error(client.send("GET", f"new_childs(new_cascadeid={parent},new_code=7)")) == (400, "0x80060888")
    assert len(client.send("GET", "new_childs").json()["value"]) == 1


def test_a_child_of_another_row_stays_its_child(client: Client) -> None:
    """`DELETE …/$ref` removes what is in the collection, and nothing else."""
    first, second = made(client, "accounts", name="A"), made(client, "accounts", name="B")
    contact = made(client, f"accounts({first})/contact_customer_accounts", lastname="L")
    path = f"contact_customer_accounts({contact})/$ref"
    assert client.send("DELETE", f"accounts({second})/{path}").status_code == 204
    assert client.send("GET", f"contacts({contact})").json()["_parentcustomerid_value"] == first
    assert client.send("DELETE", f"accounts({first})/{path}").status_code == 204
    assert client.send("GET", f"contacts({contact})").json()["_parentcustomerid_value"] is None


# Owners


def test_the_owner_is_a_user_or_a_team(client: Client) -> None:
    """`$expand=ownerid` gives the row of either, with its type and the key of a principal."""
    team, user = made(client, "teams", name="T"), made(client, "systemusers", lastname="U")
    first = made(client, "accounts", name="A", **{"ownerid@odata.bind": f"teams({team})"})
    second = made(client, "accounts", name="B", **{"ownerid@odata.bind": f"/systemusers({user})"})
    answer = client.send("GET", "accounts?$select=name&$orderby=name&$expand=ownerid($select=fullname,name)")
    owners = [row["ownerid"] for row in answer.json()["value"]]
    for owner in owners:
        del owner["@odata.etag"]
    crm = "#Microsoft.Dynamics.CRM"
    assert owners == [
        {"@odata.type": f"{crm}.team", "name": "T", "teamid": team, "ownerid": team},
        {"@odata.type": f"{crm}.systemuser", "fullname": "U", "systemuserid": user, "ownerid": user},
    ]
    assert client.send("GET", f"accounts({first})/ownerid").json()["name"] == "T"
    assert client.send("GET", f"accounts({second})/ownerid/fullname").json()["value"] == "U"
    assert client.send("GET", f"accounts({first})/ownerid/$ref").json()["@odata.id"].endswith(f"teams({team})")
    references = client.send("GET", "accounts?$orderby=name&$expand=ownerid/$ref").json()["value"]
    ends = [f"teams({team})", f"systemusers({user})"]
    assert [row["ownerid"]["@odata.id"].rpartition("/")[2] for row in references] == ends
    assert error(client.send("GET", "accounts?$expand=ownerid($select=nothing)")) == (400, "0x0")


def test_principals_have_the_key_ownerid(client: Client) -> None:
    """It is the same as their own, can be filtered, and is no name for a key in an address."""
    user = made(client, "systemusers", lastname="U")
    row = client.send("GET", f"systemusers?$select=fullname&$filter=ownerid eq {user}").json()["value"][0]
    assert (row["systemuserid"], row["ownerid"]) == (user, user)
    assert client.send("GET", f"systemusers({user})").json()["ownerid"] == user
    assert client.send("GET", f"systemusers(systemuserid={user})").status_code == 400
    account = made(client, "accounts", name="A")
    created = client.send("GET", f"accounts({account})?$expand=createdby($select=fullname)").json()["createdby"]
    assert created["ownerid"] == created["systemuserid"]
    assert client.send("GET", f"principals({user})").status_code == 404


def test_owning_columns_follow_from_the_owner(client: Client) -> None:
    """User, team and business unit, on create and on assignment."""
    unit = made(client, "businessunits", name="U")
    user = made(client, "systemusers", lastname="U", **{"businessunitid@odata.bind": f"businessunits({unit})"})
    team = made(client, "teams", name="T", **{"businessunitid@odata.bind": f"businessunits({unit})"})
    account = made(client, "accounts", name="A", **{"ownerid@odata.bind": f"systemusers({user})"})

    def owning() -> tuple[str | None, str | None, str | None]:
        row = client.send("GET", f"accounts({account})").json()
        return row["_owninguser_value"], row["_owningteam_value"], row["_owningbusinessunit_value"]

    assert owning() == (user, None, unit)
    assert client.send("PATCH", f"accounts({account})", {"ownerid@odata.bind": f"teams({team})"}).status_code == 204
    assert owning() == (None, team, unit)
    assert error(client.send("DELETE", f"businessunits({unit})")) == (405, "0x80040227")


def _owner(client: Client, kind: str) -> tuple[str, str]:
    if kind == "disabled unit":
        unit = made(client, "businessunits", name="U", isdisabled=True)
        bound = {"businessunitid@odata.bind": f"businessunits({unit})"}
        return "systemusers", made(client, "systemusers", lastname="U", **bound)
    if kind == "access team":
        return "teams", made(client, "teams", name="T", teamtype=1)
    if kind == "disabled user":
        return "systemusers", made(client, "systemusers", lastname="U", isdisabled=True)
    return "systemusers", NO_ROW


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("disabled user", (400, "0x8004022b")),
        ("access team", (400, "0x80048340")),
        ("disabled unit", (400, "0x8004032d")),
        ("nobody", (404, "0x80040217")),
    ],
)
def test_users_and_teams_that_cannot_own_rows(client: Client, kind: str, expected: tuple[int, str]) -> None:
    """On create, on update and in a bulk message; the row keeps its owner."""
    entity_set, owner = _owner(client, kind)
    bound = {"ownerid@odata.bind": f"{entity_set}({owner})"}
    account = made(client, "accounts", name="A")
    before = client.send("GET", f"accounts({account})").json()["_ownerid_value"]
    assert error(client.send("POST", "accounts", {"name": "B", **bound})) == expected
    assert error(client.send("PATCH", f"accounts({account})", bound)) == expected
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": account, **bound}
    bulk = client.send("POST", "accounts/Microsoft.Dynamics.CRM.UpdateMultiple", {"Targets": [target]})
    assert error(bulk) == expected
    assert client.send("GET", f"accounts({account})").json()["_ownerid_value"] == before
    assert error(client.send("PATCH", f"accounts({account})", {"ownerid@odata.bind": None}))[0] == 400


def test_a_user_who_is_disabled_later_keeps_the_rows(client: Client) -> None:
    """They can be changed; only a new assignment is refused."""
    user = made(client, "systemusers", lastname="U")
    account = made(client, "accounts", name="A", **{"ownerid@odata.bind": f"systemusers({user})"})
    assert client.send("PATCH", f"systemusers({user})", {"isdisabled": True}).status_code == 204
    assert client.send("PATCH", f"accounts({account})", {"name": "B"}).status_code == 204
    assert client.send("GET", f"accounts({account})").json()["_ownerid_value"] == user


def test_a_user_is_deleted_who_is_disabled_and_owns_no_rows(client: Client) -> None:
    """user-team-entities, "Delete a user": no row refers to an owner that is gone."""
    user, other = made(client, "systemusers", lastname="U"), made(client, "systemusers", lastname="O")
    account = made(client, "accounts", **{"name": "A", "ownerid@odata.bind": f"/systemusers({user})"})
    assert error(client.send("DELETE", f"systemusers({user})")) == (400, "0x80040203")
    assert client.send("PATCH", f"systemusers({user})", {"isdisabled": True}).status_code == 204
    assert error(client.send("DELETE", f"systemusers({user})")) == (405, "0x80040227")
    bind = {"ownerid@odata.bind": f"/systemusers({other})"}
    assert client.send("PATCH", f"accounts({account})", bind).status_code == 204
    assert client.send("DELETE", f"systemusers({user})").status_code == 204
    assert client.send("GET", f"systemusers({user})").status_code == 404


def test_the_user_of_the_request_and_the_organisation_stay(client: Client) -> None:
    me = client.send("GET", "WhoAmI").json()
    assert error(client.send("DELETE", f"systemusers({me['UserId']})")) == (400, "0x80040203")
    assert error(client.send("DELETE", f"organizations({me['OrganizationId']})")) == (400, "0x80040800")
    assert len(client.send("GET", "organizations").json()["value"]) == 1


def test_a_team_that_owns_rows_cannot_be_deleted(client: Client) -> None:
    """Its rows must be assigned first."""
    team, user = made(client, "teams", name="T"), made(client, "systemusers", lastname="U")
    account = made(client, "accounts", name="A", **{"ownerid@odata.bind": f"teams({team})"})
    answer = client.send("DELETE", f"teams({team})")
    assert error(answer) == (400, "0x8004830e")
    assert team in json.dumps(answer.json())
    client.send("PATCH", f"accounts({account})", {"ownerid@odata.bind": f"systemusers({user})"})
    assert client.send("DELETE", f"teams({team})").status_code == 204
