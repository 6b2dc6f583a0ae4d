"""The recycle bin: deleted rows are found by FetchXML and come back with `Restore` (restore-deleted-records)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from emulator.testing import running
from tests.emulator.http_client import Client, error, key_status, made


@pytest.fixture(scope="module")
def bin_client() -> Iterator[Client]:
    with running(in_thread=True, limits="none", recycle_bin=True) as emulator, Client(emulator) as opened:
        yield opened


def deleted(client: Client, table: str, *names: str) -> list[dict[str, Any]]:
    """The deleted accounts with the given names."""
    values = "".join(f"<value>{name}</value>" for name in names)
    query = (
        f"<fetch datasource='bin'><entity name='{table}'><attribute name='name'/>"
        f"<filter><condition attribute='name' operator='in'>{values}</condition></filter></entity></fetch>"
    )
    rows: list[dict[str, Any]] = client.send("GET", f"accounts?fetchXml={quote(query)}").json()["value"]
    return rows


def restore(client: Client, record: str, table: str = "accounts") -> Any:
    return client.send("POST", "Restore", {"Target": {"@odata.id": f"{client.base}/api/data/v9.2/{table}({record})"}})


def test_a_deleted_row_is_in_the_bin_until_it_is_restored(bin_client: Client) -> None:
    """With all its values and its id; values of the target replace those that it had."""
    account = made(bin_client, "accounts", name="In the bin", telephone1="0731")
    assert deleted(bin_client, "account", "In the bin") == []
    before = bin_client.send("GET", f"accounts({account})").json()
    bin_client.send("DELETE", f"accounts({account})")
    (found,) = deleted(bin_client, "account", "In the bin", "others")
    assert (found["accountid"], found["name"]) == (account, "In the bin")
    answer = restore(bin_client, account)
    assert (answer.status_code, answer.json()["id"]) == (200, account)
    after = bin_client.send("GET", f"accounts({account})").json()
    assert {**after, **{name: before[name] for name in ("@odata.etag", "versionnumber", "modifiedon")}} == before
    assert deleted(bin_client, "account", "In the bin") == []

    bin_client.send("DELETE", f"accounts({account})")
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": account, "name": "Restored"}
    assert bin_client.send("POST", "Restore", {"Target": target}).status_code == 200
    after = bin_client.send("GET", f"accounts({account})").json()
    assert (after["name"], after["telephone1"]) == ("Restored", "0731")


def test_what_a_deletion_took_along_comes_back(bin_client: Client) -> None:
    """Rows that were deleted by cascade, and lookups that were set to null."""
    parent = made(bin_client, "accounts", name="Parent")
    bind = {"parentaccountid@odata.bind": f"/accounts({parent})"}
    child = made(bin_client, "accounts", **{"name": "Child", **bind})
    note = made(bin_client, "annotations", **{"subject": "N", "objectid_account@odata.bind": f"/accounts({parent})"})
    bin_client.send("DELETE", f"accounts({parent})")
    assert bin_client.send("GET", f"annotations({note})").status_code == 404
    assert bin_client.send("GET", f"accounts({child})").json()["_parentaccountid_value"] is None
    restore(bin_client, parent)
    assert bin_client.send("GET", f"annotations({note})").json()["_objectid_value"] == parent
    assert bin_client.send("GET", f"accounts({child})").json()["_parentaccountid_value"] == parent


def test_lookups_of_an_earlier_deletion_are_not_set_again(bin_client: Client) -> None:
    """A row was deleted, made again, and deleted again: nothing referred to it then, and its restore changes nothing.

    The number of the first deletion was given once more, to another row, whose restore set the lookup.
    """
    first, other, now = (made(bin_client, "accounts", name=name) for name in ("First", "Other", "Now"))
    child = made(bin_client, "accounts", **{"name": "C", "parentaccountid@odata.bind": f"/accounts({first})"})
    bin_client.send("DELETE", f"accounts({first})")
    made(bin_client, "accounts", name="First again", accountid=first)
    bin_client.send("DELETE", f"accounts({first})")
    assert restore(bin_client, first).ok
    bound = {"parentaccountid@odata.bind": f"/accounts({now})"}
    assert bin_client.send("PATCH", f"accounts({child})", bound).ok
    bin_client.send("DELETE", f"accounts({other})")
    assert restore(bin_client, other).ok
    assert bin_client.send("GET", f"accounts({child})").json()["_parentaccountid_value"] == now


def test_a_row_that_cannot_come_back_is_refused(bin_client: Client) -> None:
    """A row with its id or its key exists, a row that referred to it or that it refers to was deleted, or it is not in the bin."""
    account = made(bin_client, "accounts", name="First", accountnumber="K1")
    bin_client.send("DELETE", f"accounts({account})")
    made(bin_client, "accounts", name="Second", accountnumber="K1")
    assert error(restore(bin_client, account)) == (412, "0x80049929")
    other = made(bin_client, "accounts", name="Other")
    bin_client.send("DELETE", f"accounts({other})")
    bin_client.send("POST", "accounts", {"name": "Same id", "accountid": other})
    assert error(restore(bin_client, other)) == (412, "0x80044a02")
    parent = made(bin_client, "accounts", name="Parent")
    bind = {"parentaccountid@odata.bind": f"/accounts({parent})"}
    child = made(bin_client, "accounts", **{"name": "Child", **bind})
    bin_client.send("DELETE", f"accounts({child})")
    bin_client.send("DELETE", f"accounts({parent})")
    assert error(restore(bin_client, child)) == (400, "0x80049959")
    assert [restore(bin_client, each).status_code for each in (parent, child)] == [200, 200]
    assert error(restore(bin_client, child)) == (404, "0x80040217")
    assert bin_client.send("POST", "Restore", {}).status_code == 400
    assert bin_client.send("POST", "Restore", {"Target": {"@odata.id": "x"}}).status_code == 400


def column_of(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """The definition of a column."""
    return {
        "@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata",
        "SchemaName": name,
        "AttributeType": kind,
        "RequiredLevel": {"Value": "None"},
        **more,
    }


def test_deleted_rows_follow_the_columns_of_their_table(bin_client: Client) -> None:
    """A column that is added later has no value, one that was removed is gone, and neither loses the deleted rows."""
    columns = "EntityDefinitions(LogicalName='account')/Attributes"
    assert bin_client.send("POST", columns, column_of("new_Before", "Integer")).status_code == 204
    parent = made(bin_client, "accounts", name="Follows", telephone1="0731", new_before=5)
    bind = {"parentaccountid@odata.bind": f"/accounts({parent})"}
    child = made(bin_client, "accounts", **{"name": "Child of it", **bind})
    bin_client.send("DELETE", f"accounts({parent})")

    assert bin_client.send("DELETE", f"{columns}(LogicalName='new_before')").status_code == 204
    for added in (column_of("new_Before", "String", MaxLength=20), column_of("new_Added", "String", MaxLength=20)):
        assert bin_client.send("POST", columns, added).status_code == 204
    query = "<fetch datasource='bin'><entity name='account'><all-attributes/></entity></fetch>"
    found = bin_client.send("GET", f"accounts?fetchXml={quote(query)}").json()["value"]
    (row,) = [one for one in found if one["accountid"] == parent]
    assert (row["name"], "new_added" in row, "new_before" in row) == ("Follows", False, False)
    later = made(bin_client, "accounts", name="Later", new_added="x")
    bin_client.send("DELETE", f"accounts({later})")
    assert restore(bin_client, parent).status_code == 200
    back = bin_client.send("GET", f"accounts({parent})").json()
    names = ("name", "telephone1", "new_added", "new_before")
    assert [back[name] for name in names] == ["Follows", "0731", None, None]
    assert bin_client.send("GET", f"accounts({child})").json()["_parentaccountid_value"] == parent
    bin_client.send("PATCH", f"accounts({parent})", {"new_before": "007"})  # a text is not a number of the old column
    assert bin_client.send("GET", f"accounts({parent})").json()["new_before"] == "007"


def test_a_key_of_the_target_replaces_one_that_is_taken(bin_client: Client) -> None:
    """The values of the target replace those of the row before the keys are compared."""
    account = made(bin_client, "accounts", name="First", accountnumber="T1")
    bin_client.send("DELETE", f"accounts({account})")
    made(bin_client, "accounts", name="Second", accountnumber="T1")
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": account, "accountnumber": "T1"}
    assert error(bin_client.send("POST", "Restore", {"Target": target})) == (412, "0x80049929")
    assert len(deleted(bin_client, "account", "First")) >= 1
    assert bin_client.send("POST", "Restore", {"Target": {**target, "accountnumber": "t2"}}).status_code == 200
    back = bin_client.send("GET", "accounts(accountnumber='T2')").json()
    assert (back["accountid"], back["name"], back["accountnumber"]) == (account, "First", "t2")


def test_a_row_comes_back_with_a_key_that_is_newer_than_its_deletion(bin_client: Client) -> None:
    account = made(bin_client, "accounts", name="Before the key", telephone2="Ä1")
    bin_client.send("DELETE", f"accounts({account})")
    key = {"SchemaName": "new_PhoneKey", "KeyAttributes": ["telephone2"]}
    bin_client.send("POST", "EntityDefinitions(LogicalName='account')/Keys", key)
    assert key_status(bin_client, "account", "new_phonekey") == "Active"
    assert restore(bin_client, account).status_code == 200
    assert bin_client.send("GET", "accounts(telephone2='ä1')").json()["accountid"] == account
    assert error(bin_client.send("POST", "accounts", {"telephone2": "ä1"})) == (412, "0x80060892")


def test_a_lookup_of_the_target_replaces_one_to_a_row_that_is_gone(bin_client: Client) -> None:
    gone, other = made(bin_client, "accounts", name="Gone"), made(bin_client, "accounts", name="Other")
    child = made(bin_client, "accounts", **{"name": "C", "parentaccountid@odata.bind": f"/accounts({gone})"})
    for account in (child, gone):
        bin_client.send("DELETE", f"accounts({account})")
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": child}
    assert error(bin_client.send("POST", "Restore", {"Target": target})) == (400, "0x80049959")
    target["parentaccountid@odata.bind"] = f"/accounts({other})"
    assert bin_client.send("POST", "Restore", {"Target": target}).status_code == 200
    assert bin_client.send("GET", f"accounts({child})").json()["_parentaccountid_value"] == other


def test_deleted_teams_are_found(bin_client: Client) -> None:
    """Their key as principals is that of the team."""
    unit = bin_client.send("GET", "WhoAmI").json()["BusinessUnitId"]
    bind = {"businessunitid@odata.bind": f"/businessunits({unit})"}
    team = made(bin_client, "teams", **{"name": "In the bin", "teamtype": 0, **bind})
    assert bin_client.send("DELETE", f"teams({team})").status_code == 204
    query = "<fetch datasource='bin'><entity name='team'><attribute name='name'/></entity></fetch>"
    answer = bin_client.send("GET", f"teams?fetchXml={quote(query)}")
    assert [(row["teamid"], row["ownerid"]) for row in answer.json()["value"]] == [(team, team)]


def test_a_table_that_is_made_anew_has_no_deleted_rows(bin_client: Client) -> None:
    table = {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
        "SchemaName": "new_Bin",
        "Attributes": [column_of("new_Name", "String", MaxLength=20, IsPrimaryName=True)],
    }
    assert bin_client.send("POST", "EntityDefinitions", table).status_code == 204
    row = made(bin_client, "new_bins", new_name="Old")
    bin_client.send("DELETE", f"new_bins({row})")
    assert bin_client.send("DELETE", "EntityDefinitions(LogicalName='new_bin')").status_code == 204
    assert bin_client.send("POST", "EntityDefinitions", table).status_code == 204
    assert error(restore(bin_client, row, "new_bins")) == (404, "0x80040217")


def test_without_a_bin_nothing_is_found(client: Client) -> None:
    """The query is answered, and the row cannot be restored."""
    account = made(client, "accounts", name="Gone")
    client.send("DELETE", f"accounts({account})")
    assert deleted(client, "account", "Gone") == []
    assert error(restore(client, account)) == (404, "0x80040217")
