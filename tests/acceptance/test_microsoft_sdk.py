"""Microsoft's own Python client, unmodified, against the emulator over TLS."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.labels import Label, LocalizedLabel
from PowerPlatform.Dataverse.models.relationship import (
    CascadeConfiguration,
    LookupAttributeMetadata,
    ManyToManyRelationshipMetadata,
    OneToManyRelationshipMetadata,
)
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from emulator.testing import RunningEmulator, running


class EmulatorCredential:
    """A `TokenCredential` that signs in at the emulator's authority."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self.emulator.token(), int(time.time()) + 3599)


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(tls=True) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    emulator.reset()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_file))
    with DataverseClient(emulator.base_url, EmulatorCredential(emulator)) as client:
        yield client


def _found(query: Any) -> list[dict[str, Any]]:
    return [record.to_dict() for record in query.execute()]


def _rows(client: DataverseClient, table: str, *columns: str) -> list[dict[str, Any]]:
    return _found(client.query.builder(table).select(*columns))


def _read(client: DataverseClient, table: str, record_id: str) -> dict[str, Any]:
    record = client.records.retrieve(table, record_id)
    assert record is not None
    return dict(record.to_dict())


def test_a_record_is_created_read_updated_and_deleted(client: DataverseClient) -> None:
    """One row, from its creation to its deletion."""
    account = client.records.create("account", {"name": "Contoso", "numberofemployees": 10})
    assert _read(client, "account", account)["name"] == "Contoso"
    client.records.update("account", account, {"numberofemployees": 12, "telephone1": "555"})
    read = _read(client, "account", account)
    assert (read["numberofemployees"], read["telephone1"]) == (12, "555")
    client.records.delete("account", account)
    assert client.records.retrieve("account", account) is None


def test_many_records_are_created_and_updated_in_one_message_each(
    client: DataverseClient, emulator: RunningEmulator
) -> None:
    """Lists travel as CreateMultiple and UpdateMultiple."""
    ids = client.records.create("account", [{"name": f"Company {number}"} for number in range(5)])
    assert len(set(ids)) == 5
    client.records.update("account", ids, {"address1_city": "Oslo"})
    client.records.update("account", ids, [{"numberofemployees": number} for number in range(5)])
    rows = _rows(client, "account", "name", "address1_city", "numberofemployees")
    assert [row["numberofemployees"] for row in rows] == [0, 1, 2, 3, 4]
    assert {row["address1_city"] for row in rows} == {"Oslo"}
    kinds = emulator.stats()["requests"]["by_kind"]
    assert (kinds["CreateMultiple"], kinds["UpdateMultiple"]) == (1, 2)


def test_labels_of_choices_are_resolved_from_metadata(client: DataverseClient) -> None:
    """The client turns a label into its number with the option sets it reads."""
    account = client.records.create("account", {"name": "A", "industrycode": "Consulting"})
    assert _read(client, "account", account)["industrycode"] == 7


def test_one_record_is_upserted_by_alternate_key(client: DataverseClient) -> None:
    """The same key creates first and updates afterwards."""
    for name in ("First", "Second"):
        client.records.upsert("account", [UpsertItem({"accountnumber": "A-1"}, {"name": name})])
    assert [row["name"] for row in _rows(client, "account", "name")] == ["Second"]


def test_many_records_are_upserted_by_alternate_key(client: DataverseClient, emulator: RunningEmulator) -> None:
    """Several items travel as one UpsertMultiple that creates some and updates others."""
    client.records.create("account", {"accountnumber": "A-1", "name": "Old"})
    client.records.upsert(
        "account", [UpsertItem({"accountnumber": f"A-{number}"}, {"name": f"New {number}"}) for number in range(1, 4)]
    )
    rows = _rows(client, "account", "name", "accountnumber")
    assert {row["accountnumber"]: row["name"] for row in rows} == {"A-1": "New 1", "A-2": "New 2", "A-3": "New 3"}
    assert emulator.stats()["requests"]["by_kind"]["UpsertMultiple"] == 1


def test_queries_filter_sort_limit_and_expand(client: DataverseClient) -> None:
    """The query builder's clauses all arrive."""
    contact = client.records.create("contact", {"firstname": "Ada", "lastname": "Byron"})
    for number in range(6):
        body: dict[str, Any] = {"name": f"Company {number}", "numberofemployees": number * 10}
        if number == 4:
            body["primarycontactid@odata.bind"] = f"/contacts({contact})"
        client.records.create("account", body)
    query = (
        client.query.builder("account")
        .select("name", "numberofemployees")
        .where((col("numberofemployees") >= 20) & col("name").startswith("company"))
        .order_by("numberofemployees", descending=True)
        .top(2)
        .expand("primarycontactid")
    )
    found = _found(query)
    assert [row["name"] for row in found] == ["Company 5", "Company 4"]
    assert found[0]["primarycontactid"] is None
    assert found[1]["primarycontactid"]["fullname"] == "Ada Byron"


def test_queries_go_through_pages(client: DataverseClient) -> None:
    """Next links are followed until every row came once."""
    client.records.create("account", [{"name": f"Company {number:02}"} for number in range(25)])
    pages = list(client.query.builder("account").select("name").order_by("name").page_size(10).execute_pages())
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [record["name"] for page in pages for record in page] == [f"Company {number:02}" for number in range(25)]


def test_fetch_xml_joins_tables_in_both_directions(client: DataverseClient) -> None:
    """The package's FetchXML query, with a row for each related row, in pages, and with equal rows once."""
    account = client.records.create("account", {"name": "Contoso"})
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({account})"}
    client.records.create("contact", [{"lastname": f"Contact {number}", **bind} for number in range(3)])
    link = (
        "<link-entity name='contact' from='parentcustomerid' to='accountid' alias='c'>"
        "<attribute name='lastname'/><order attribute='lastname'/></link-entity>"
    )
    query = f"<entity name='account'><attribute name='name'/>{link}</entity></fetch>"
    pages = list(client.query.fetchxml(f"<fetch count='2'>{query}").execute_pages())
    assert [[record["c.lastname"] for record in page] for page in pages] == [["Contact 0", "Contact 1"], ["Contact 2"]]
    once = query.replace("<attribute name='lastname'/><order attribute='lastname'/>", "")
    assert _found(client.query.fetchxml(f"<fetch distinct='true'>{once}")) == [{"name": "Contoso"}]


def test_formatted_values_are_returned(client: DataverseClient) -> None:
    """Annotations are answered when the client asks for them."""
    client.records.create("account", {"name": "A", "industrycode": 1})
    query = client.query.builder("account").select("name", "industrycode").include_formatted_values()
    record = _found(query)[0]
    assert record["industrycode@OData.Community.Display.V1.FormattedValue"] == "Accounting"


def test_a_change_set_is_written_completely(client: DataverseClient) -> None:
    """Operations of a change set refer to one another and all succeed."""
    batch = client.batch.new()
    with batch.changeset() as changes:
        contact = changes.records.create("contact", {"lastname": "Hopper"})
        changes.records.create("account", {"name": "Navy", "primarycontactid@odata.bind": contact})
    result = batch.execute()
    assert not result.has_errors
    assert len(result.entity_ids) == 2
    found = _found(client.query.builder("account").select("name").expand("primarycontactid"))
    assert found[0]["primarycontactid"]["lastname"] == "Hopper"


def test_a_change_set_rolls_back_as_a_whole(client: DataverseClient) -> None:
    """One refused operation takes the others back; the rest of the batch stands."""
    batch = client.batch.new()
    batch.records.create("account", {"name": "Stays"})
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "Goes"})
        changes.records.create("account", {"name": "x" * 161})
    result = batch.execute()
    assert result.has_errors
    assert result.failed[0].error_code == "0x80044331"
    assert [row["name"] for row in _rows(client, "account", "name")] == ["Stays"]


def test_a_batch_continues_after_errors_where_asked(client: DataverseClient) -> None:
    """Each operation has its own answer."""
    batch = client.batch.new()
    batch.records.create("account", {"name": "One"})
    batch.records.delete("account", "00000000-0000-0000-0000-000000000001")
    batch.records.create("account", {"name": "Two"})
    result = batch.execute(continue_on_error=True)
    assert [response.status_code for response in result.responses] == [204, 404, 204]
    assert len(_rows(client, "account", "name")) == 2


def test_tables_and_columns_are_described(client: DataverseClient) -> None:
    """Table metadata and typed column metadata are read."""
    table = client.tables.get("account")
    assert table is not None
    assert (table.entity_set_name, table.primary_id_attribute) == ("accounts", "accountid")
    name = client.tables.get_column("account", "name", typed=True)
    assert name is not None
    assert name["MaxLength"] == 160
    assert {"account", "contact"} <= {one["LogicalName"] for one in client.tables.list()}


def test_alternate_keys_are_described_and_created(client: DataverseClient) -> None:
    """A key made through metadata works for upserts as soon as the job for its index has ended."""
    assert [key.key_attributes for key in client.tables.get_alternate_keys("account")] == [["accountnumber"]]
    key = client.tables.create_alternate_key("account", "new_tag_key", ["new_synctag"])
    give_up = time.monotonic() + 100
    while _key_states(client).get("new_tag_key") != "Active":
        assert time.monotonic() < give_up
        time.sleep(0.05)
    for name in ("First", "Second"):
        client.records.upsert("account", [UpsertItem({"new_synctag": "T1"}, {"name": name})])
    assert [row["name"] for row in _rows(client, "account", "name")] == ["Second"]
    client.tables.delete_alternate_key("account", key.metadata_id)
    assert len(client.tables.get_alternate_keys("account")) == 1


def _key_states(client: DataverseClient) -> dict[str, str]:
    return {key.schema_name: key.status for key in client.tables.get_alternate_keys("account")}


def test_a_table_is_made_used_extended_and_removed(client: DataverseClient) -> None:
    """Custom tables live in the emulator as in an environment."""
    client.tables.create("new_Gadget", {"new_Code": "string", "new_Price": "decimal", "new_Active": "bool"})
    try:
        gadget = client.records.create("new_Gadget", {"new_Name": "Lamp", "new_Price": 12.34, "new_Active": True})
        client.tables.add_columns("new_Gadget", {"new_Weight": "int"})
        client.records.update("new_Gadget", gadget, {"new_Weight": 3})
        read = _read(client, "new_Gadget", gadget)
        assert (read["new_name"], read["new_price"], read["new_weight"]) == ("Lamp", 12.34, 3)
        client.tables.remove_columns("new_Gadget", "new_Weight")
        assert "new_weight" not in _read(client, "new_Gadget", gadget)
    finally:
        client.tables.delete("new_Gadget")
    assert client.tables.get("new_Gadget") is None


def test_a_lookup_field_is_made_and_bound(client: DataverseClient) -> None:
    """A relationship that is created through metadata has its lookup column."""
    client.tables.create("new_Part", {"new_Code": "string"})
    try:
        client.tables.create_lookup_field("new_part", "new_AccountId", "account", display_name="Account")
        account = client.records.create("account", {"name": "Owner"})
        part = client.records.create(
            "new_Part", {"new_Name": "Bolt", "new_AccountId@odata.bind": f"/accounts({account})"}
        )
        assert _read(client, "new_Part", part)["_new_accountid_value"] == account
    finally:
        client.tables.delete("new_Part")


def test_relationships_are_made_described_and_removed(client: DataverseClient) -> None:
    """One-to-many with a behaviour that acts, and many-to-many; both are found by name and in lists."""
    lookup = LookupAttributeMetadata(schema_name="new_ParentId", display_name=Label([LocalizedLabel("Parent", 1033)]))
    restricting = OneToManyRelationshipMetadata(
        schema_name="new_account_task_Parent",
        referenced_entity="account",
        referencing_entity="task",
        referenced_attribute="accountid",
        cascade_configuration=CascadeConfiguration(delete="Restrict"),
    )
    first = client.tables.create_one_to_many_relationship(lookup, restricting)
    pairs = ManyToManyRelationshipMetadata("new_contact_product", "contact", "product")
    second = client.tables.create_many_to_many_relationship(pairs)
    account = client.records.create("account", {"name": "A"})
    task = client.records.create("task", {"subject": "T", "new_ParentId@odata.bind": f"/accounts({account})"})
    with pytest.raises(HttpError, match="associated with another object"):
        client.records.delete("account", account)
    found = client.tables.get_relationship("new_contact_product")
    assert found is not None
    assert (found.relationship_id, found.entity1_logical_name) == (second.relationship_id, "contact")
    filtered = "RelationshipType eq Microsoft.Dynamics.CRM.RelationshipType'ManyToManyRelationship'"
    names = {one["SchemaName"] for one in client.tables.list_relationships(filter=filtered)}
    assert {"accountleads_association", "new_contact_product"} <= names
    listed = client.tables.list_table_relationships("Task", select=["SchemaName", "ReferencedEntity"])
    assert "new_account_task_Parent" in {one["SchemaName"] for one in listed}
    for relation in (first, second):
        assert relation.relationship_id is not None
        client.tables.delete_relationship(relation.relationship_id)
    assert client.tables.get_relationship("new_contact_product") is None
    client.records.delete("account", account)
    assert client.records.retrieve("task", task) is not None


def test_bulk_delete_jobs_delete_in_the_background(client: DataverseClient) -> None:
    """The job's identifier is returned at once; the rows are deleted soon after."""
    ids = client.records.create("account", [{"name": f"Company {number}"} for number in range(10)])
    job = client.records.delete("account", ids[:7], use_bulk_delete=True)
    assert job is not None
    deadline = time.monotonic() + 100
    while _read(client, "asyncoperation", job)["statecode"] != 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(_rows(client, "account", "name")) == 3


def test_errors_have_the_services_codes(client: DataverseClient) -> None:
    """The client reads status, code and message of a refusal."""
    client.records.create("account", {"name": "A", "accountnumber": "1"})
    with pytest.raises(HttpError) as refused, warnings.catch_warnings():
        client.records.create("account", {"name": "B", "accountnumber": "1"})
    assert refused.value.status_code == 412
    assert refused.value.details["service_error_code"] == "0x80060892"
