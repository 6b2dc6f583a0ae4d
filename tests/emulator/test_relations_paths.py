"""Paths through a lookup that is null, and after a property: what cannot be written is refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.emulator.http_client import Client, error, made

READS = [
    "",
    "/name",
    "/name/$value",
    "/Account_Tasks",
    "/Account_Tasks/$count",
    "/primarycontactid",
    "?$select=name",
    "/$ref",
]


@pytest.mark.parametrize("path", READS)
def test_a_lookup_that_is_null_has_nothing_to_read(client: Client, path: str) -> None:
    """OData 4.0, 11.2.6: 204 if no row is related."""
    account = made(client, "accounts", name="A")
    answer = client.send("GET", f"accounts({account})/parentaccountid{path}")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/contact_customer_accounts", {"lastname": "Lost"}, 404),
        ("POST", "/contact_customer_accounts/$ref", {"@odata.id": f"contacts({uuid4()})"}, 404),
        ("PUT", "/name", {"value": "written"}, 404),
        ("DELETE", "/name", None, 404),
        ("PUT", "/primarycontactid/$ref", {"@odata.id": f"contacts({uuid4()})"}, 404),
        ("PATCH", "", {"name": "written"}, 405),
        ("PUT", "", {"value": "x"}, 405),
        ("DELETE", "", None, 405),
        ("POST", "/name", {"value": "x"}, 405),
        ("POST", "/Microsoft.Dynamics.CRM.Nope", {}, 400),
        ("GET", "/nope", None, 400),
        ("GET", "?$select=nope", None, 400),
        ("GET", "/contact_customer_accounts?$select=nope", None, 400),
    ],
)
def test_a_lookup_that_is_null_takes_no_change(client: Client, method: str, path: str, body: Any, status: int) -> None:
    """No write is reported as done, and a wrong name is refused as it is with a related row."""
    account = made(client, "accounts", name="A")
    answer = client.send(method, f"accounts({account})/parentaccountid{path}", body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert client.send("GET", "contacts").json()["value"] == []


def test_a_target_of_another_table_takes_no_change(client: Client) -> None:
    """A customer that is a contact is not an account."""
    parent = made(client, "contacts", lastname="P")
    bind = {"parentcustomerid_contact@odata.bind": f"/contacts({parent})"}
    contact = made(client, "contacts", **{"lastname": "C", **bind})
    path = f"contacts({contact})/parentcustomerid_account/name"
    assert client.send("PUT", path, {"value": "x"}).status_code == 404
    assert client.send("GET", path).status_code == 204


@pytest.mark.parametrize("ending", ["x", "$value/x", "$value/$value", "$ref"])
def test_nothing_but_the_value_follows_a_property(client: Client, ending: str) -> None:
    account = made(client, "accounts", name="A")
    for method, body in (("GET", None), ("PUT", {"value": "B"}), ("DELETE", None)):
        answer = client.send(method, f"accounts({account})/name/{ending}", body)
        assert error(answer) == (404, "0x8006088a")
    assert client.names() == ["A"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_bare_value_of_a_property_is_only_read(client: Client, method: str) -> None:
    account = made(client, "accounts", name="A")
    path = f"accounts({account})/name/$value"
    assert client.send(method, path, {"value": "B"}).status_code == 405
    assert client.send("GET", path).text == "A"
