"""Microsoft's own Python SDK, `PowerPlatform-Dataverse-Client`, runs unchanged against the emulator."""

from collections.abc import Iterator

import pytest
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from emulator.testing import RunningEmulator, running


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    """A server with TLS: the SDK and MSAL talk to nothing else."""
    with running(tls=True) as one:
        yield one


@pytest.fixture
def client(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    """The SDK, signed in with a client secret, on an emptied server."""
    emulator.reset()
    assert emulator.ca_file is not None
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", emulator.ca_file)
    credential = ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.authority,
        disable_instance_discovery=True,
    )
    with credential, DataverseClient(emulator.base_url, credential) as one:
        yield one


def names(client: DataverseClient, condition: str | None = None) -> list[str]:
    return sorted(row["name"] for row in client.records.list("account", select=["name"], filter=condition))


def test_rows_are_created_read_changed_and_deleted(client: DataverseClient) -> None:
    """One row and several, each with its own request or one bulk message."""
    one = client.records.create("account", {"name": "Contoso"})
    client.records.update("account", one, {"telephone1": "555"})
    row = client.records.retrieve("account", one, select=["name", "telephone1"])
    assert row is not None
    assert (row["name"], row["telephone1"]) == ("Contoso", "555")
    several = client.records.create("account", [{"name": "A"}, {"name": "B"}])
    assert len(set(several)) == 2
    client.records.update("account", several, [{"telephone1": "1"}, {"telephone1": "2"}])
    assert names(client, "telephone1 in ('1','2')") == ["A", "B"]
    client.records.delete("account", one)
    assert names(client) == ["A", "B"]


def test_upserts_by_alternate_key_create_and_update(client: DataverseClient) -> None:
    """One at a time by PATCH, several by UpsertMultiple."""

    def item(number: int, name: str) -> UpsertItem:
        return UpsertItem(alternate_key={"accountnumber": f"A{number}"}, record={"name": name})

    client.records.upsert("account", [item(1, "first")])
    client.records.upsert("account", [item(number, f"again {number}") for number in range(3)])
    assert names(client) == ["again 0", "again 1", "again 2"]


def test_queries_page_order_and_limit(client: DataverseClient) -> None:
    """Pages of the size asked for, and the builder's options."""
    client.records.create("account", [{"name": f"n{number}"} for number in range(5)])
    assert [len(list(page)) for page in client.records.list_pages("account", select=["name"], page_size=2)] == [2, 2, 1]
    query = client.query.builder("account").select("name").order_by("name", descending=True).top(2)
    assert [row["name"] for page in query.execute_pages() for row in page] == ["n4", "n3"]


def test_a_batch_with_a_change_set_refers_to_its_own_rows(client: DataverseClient) -> None:
    """The account of a change set points to the contact created just before it."""
    batch = client.batch.new()
    batch.records.create("account", {"name": "outside"})
    with batch.changeset() as changes:
        contact = changes.records.create("contact", {"lastname": "Lovelace"})
        changes.records.create("account", {"name": "inside", "primarycontactid@odata.bind": contact})
    result = batch.execute()
    assert [answer.status_code for answer in result.responses] == [204, 204, 204]
    assert names(client, "primarycontactid/lastname eq 'Lovelace'") == ["inside"]


def test_tables_columns_and_keys_are_made_and_removed(client: DataverseClient) -> None:
    """A table of one's own, with an alternate key, a lookup and rows."""
    made = client.tables.create("new_Walk", {"new_Code": "string", "new_Length": "decimal", "new_Done": "bool"})
    assert made.logical_name == "new_walk"
    client.tables.create_alternate_key("new_Walk", "new_walk_code", ["new_code"])
    client.tables.create_lookup_field("new_Walk", "new_AccountId", "account")
    account = client.records.create("account", {"name": "Guide"})
    row = {"new_code": "1", "new_length": 1.5, "new_AccountId@odata.bind": f"/accounts({account})"}
    walk = client.records.create("new_Walk", row)
    found = client.records.retrieve("new_Walk", walk)
    assert found is not None
    assert (found["new_length"], found["_new_accountid_value"]) == (1.5, account)
    client.tables.add_columns("new_Walk", {"new_Extra": "string"})
    client.tables.remove_columns("new_Walk", ["new_Extra"])
    client.tables.delete("new_Walk")
    assert client.tables.get("new_Walk") is None


def test_refusals_reach_the_sdk_with_status_and_code(client: DataverseClient) -> None:
    """The SDK's error carries what the service said."""
    with pytest.raises(HttpError) as caught:
        client.records.create("account", {"name": "x" * 500})
    assert caught.value.status_code == 400
    assert "exceeded the maximum allowed length" in str(caught.value)


def test_throttling_reaches_the_sdk_as_something_to_wait_for(
    client: DataverseClient, emulator: RunningEmulator
) -> None:
    """The SDK leaves the waiting to its user, and tells how long."""
    emulator.faults({"action": "status", "status": 429, "retry_after": 7, "match": {"path": "accounts"}})
    with pytest.raises(HttpError) as caught:
        names(client)
    assert caught.value.is_transient
    assert caught.value.details["retry_after"] == 7
    assert names(client) == []


def test_a_blind_retry_makes_a_second_row(client: DataverseClient, emulator: RunningEmulator) -> None:
    """The SDK repeats a create whose answer was lost: what a dropped connection is there to show."""
    emulator.faults({"action": "drop_after", "match": {"method": "POST", "path": "accounts"}})
    client.records.create("account", {"name": "once"})
    assert names(client) == ["once", "once"]
