"""The recycle bin: deleted rows are found by FetchXML and come back with `Restore` (restore-deleted-records)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from emulator.testing import running
from tests.emulator.http_client import Client, error, made


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


def test_without_a_bin_nothing_is_found(client: Client) -> None:
    """The query is answered, and the row cannot be restored."""
    account = made(client, "accounts", name="Gone")
    client.send("DELETE", f"accounts({account})")
    assert deleted(client, "account", "Gone") == []
    assert error(restore(client, account)) == (404, "0x80040217")
