"""Privileges that an application lacks: they are needed for the rows of every table that a request reads or writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, made

LACKING = (
    "prvWriteOpportunity",
    "prvReadContact",
    "prvCreateContact",
    "prvWriteContact",
    "prvDeleteLead",
    "prvCreateLead",
)
ACCOUNT = "00000000-0000-0000-0000-00000000000a"
CONTACT = "00000000-0000-0000-0000-00000000000c"
OPPORTUNITY = "00000000-0000-0000-0000-000000000010"
SEED = f"""
accounts: [{{accountid: {ACCOUNT}, name: A}}]
contacts:
- {{contactid: {CONTACT}, lastname: L, "parentcustomerid_account@odata.bind": "/accounts({ACCOUNT})"}}
opportunities: [{{opportunityid: {OPPORTUNITY}, name: O}}]
leads: [{{subject: L}}]
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    rows = tmp_path_factory.mktemp("seed") / "rows.yaml"
    rows.write_text(SEED, encoding="utf-8")
    with running(
        in_thread=True, limits="none", recycle_bin=True, without_privilege=LACKING, seed=[f"rows={rows}"]
    ) as emulator:
        yield emulator


@pytest.fixture
def client(started: RunningEmulator) -> Iterator[Client]:
    """An account whose primary contact and a collection have a contact; seeds need no privilege."""
    started.reset()
    started.seed("rows")
    with Client(started) as client:
        bound = {"primarycontactid@odata.bind": f"/contacts({CONTACT})"}
        assert client.send("PATCH", f"accounts({ACCOUNT})", bound).status_code == 204
        yield client


def _missing(answer: Any) -> str:
    """The privilege that a refusal names."""
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "0x80040220"), answer.text
    return str(answer.json()["error"]["message"]).split()[-2]


def _fetch(inner: str) -> str:
    text = f"<fetch><entity name='account'><attribute name='name'/>{inner}</entity></fetch>"
    return f"accounts?fetchXml={quote(text)}"


LINK = "<link-entity name='contact' from='contactid' to='primarycontactid'>{}</link-entity>"


@pytest.mark.parametrize(
    "path",
    [
        "contacts",
        "contacts/$count",
        f"contacts({CONTACT})",
        f"accounts({ACCOUNT})/primarycontactid",
        f"accounts({ACCOUNT})/primarycontactid/lastname",
        f"accounts({ACCOUNT})/primarycontactid/lastname/$value",
        f"accounts({ACCOUNT})/contact_customer_accounts",
        f"accounts({ACCOUNT})/contact_customer_accounts/$count",
        f"accounts({ACCOUNT})/contact_customer_accounts({CONTACT})",
        f"accounts({ACCOUNT})?$expand=primarycontactid($select=lastname)",
        "accounts?$expand=contact_customer_accounts($select=lastname)",
        "accounts?$filter=primarycontactid/lastname eq 'L'",
        "accounts?$filter=contact_customer_accounts/any(c:c/lastname eq 'L')",
        "accounts?$apply=groupby((primarycontactid/lastname))",
        _fetch(LINK.format("<attribute name='lastname'/>")),
        _fetch(LINK.format("")),
    ],
)
def test_rows_of_each_table_that_a_request_reads_need_the_privilege(client: Client, path: str) -> None:
    """Also related rows and those that only a condition names."""
    assert _missing(client.send("GET", path)) == "prvReadContact"


def test_a_reference_to_a_row_needs_no_privilege_to_read_it(client: Client) -> None:
    """The lookup is a column of the row that refers."""
    row = client.send("GET", f"accounts({ACCOUNT})?$select=_primarycontactid_value").json()
    assert row["_primarycontactid_value"] == CONTACT
    assert client.send("GET", f"accounts({ACCOUNT})/primarycontactid/$ref").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "missing"),
    [
        ("PATCH", f"opportunities({OPPORTUNITY})", {"name": "P"}, "prvWriteOpportunity"),
        (
            "POST",
            "WinOpportunity",
            {"Status": 3, "OpportunityClose": {"opportunityid@odata.bind": f"/opportunities({OPPORTUNITY})"}},
            "prvWriteOpportunity",
        ),
        ("POST", "accounts", {"name": "B", "primarycontactid": {"lastname": "M"}}, "prvCreateContact"),
        ("POST", "accounts", {"name": "B", "contact_customer_accounts": [{"lastname": "M"}]}, "prvCreateContact"),
        ("POST", f"accounts({ACCOUNT})/contact_customer_accounts", {"lastname": "M"}, "prvCreateContact"),
        ("PATCH", f"accounts({ACCOUNT})/contact_customer_accounts({CONTACT})", {"lastname": "M"}, "prvCreateContact"),
        ("DELETE", f"accounts({ACCOUNT})/contact_customer_accounts({CONTACT})/$ref", None, "prvWriteContact"),
        ("PUT", f"accounts({ACCOUNT})/primarycontactid/lastname", {"value": "M"}, "prvWriteContact"),
        ("POST", "BulkDelete", {"QuerySet": [{"EntityName": "lead"}], "JobName": "J"}, "prvDeleteLead"),
        ("POST", "leads/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": []}, "prvCreateLead"),
        (
            "POST",
            "Restore",
            {"Target": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": CONTACT}},
            "prvCreateContact",
        ),
    ],
)
def test_rows_of_each_table_that_a_request_writes_need_the_privilege(
    client: Client, method: str, path: str, body: Any, missing: str
) -> None:
    """However they are addressed; nothing of the request is kept."""
    assert _missing(client.send(method, path, body)) == missing
    assert client.names() == ["A"]
    assert len(client.send("GET", "leads").json()["value"]) == 1
    assert client.send("GET", f"opportunities({OPPORTUNITY})?$select=statecode").json()["statecode"] == 0


def test_a_row_is_written_with_the_privilege_of_its_own_table() -> None:
    """Not with that of the table at the start of the path."""
    with running(in_thread=True, without_privilege=["prvWriteAccount"]) as emulator, Client(emulator) as client:
        contact = made(client, "contacts", lastname="L")
        account = made(client, "accounts", name="A", **{"primarycontactid@odata.bind": f"/contacts({contact})"})
        for path in (f"accounts({account})/primarycontactid/lastname", f"contacts({contact})/lastname"):
            assert client.send("PUT", path, {"value": "M"}).status_code == 204
        assert _missing(client.send("PUT", f"accounts({account})/name", {"value": "B"})) == "prvWriteAccount"
