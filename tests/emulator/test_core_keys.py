"""Alternate keys whose index a job builds, and privileges that an application lacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, key_status

KEYS = "EntityDefinitions(LogicalName='account')/Keys"
JOB = "asyncoperations({job})?$select=statecode,statuscode,message,completedon"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    emulator.reset()
    with Client(emulator) as client:
        yield client


def _create(client: Client, name: str = "new_fax_key", columns: tuple[str, ...] = ("fax",)) -> None:
    answer = client.send("POST", KEYS, {"SchemaName": name, "KeyAttributes": columns})
    assert answer.status_code == 204, answer.text


def test_a_key_is_not_in_force_before_its_index_is_built(client: Client) -> None:
    """A new key is pending; once it is active it addresses rows and refuses a second row with its values."""
    assert client.send("POST", "accounts", {"name": "A", "fax": "1"}).status_code == 204
    _create(client)
    assert client.send("GET", KEYS + "(LogicalName='new_fax_key')").json()["EntityKeyIndexStatus"] != "Active"
    assert key_status(client, "account", "new_fax_key") == "Active"
    assert client.send("GET", "accounts(fax='1')?$select=name").json()["name"] == "A"
    assert client.send("POST", "accounts", {"name": "B", "fax": "1"}).status_code == 412
    job = client.send("GET", KEYS + "(LogicalName='new_fax_key')").json()["AsyncJob"]
    ended = client.send("GET", JOB.format(job=job)).json()
    assert (ended["statecode"], ended["statuscode"]) == (3, 30)
    assert ended["completedon"]


def test_a_key_over_equal_values_fails_and_can_be_reactivated(client: Client) -> None:
    """Failed, with the reason in the job; after the rows are mended a new job makes it active."""
    for name in ("A", "B"):
        assert client.send("POST", "accounts", {"name": name, "fax": "1"}).status_code == 204
    _create(client)
    assert key_status(client, "account", "new_fax_key") == "Failed"
    job = client.send("GET", KEYS + "(LogicalName='new_fax_key')").json()["AsyncJob"]
    ended = client.send("GET", JOB.format(job=job)).json()
    assert (ended["statuscode"], "duplicate key" in ended["message"]) == (31, True)
    assert client.send("POST", "accounts", {"name": "C", "fax": "1"}).status_code == 204, "it is not in force"
    for row in client.send("GET", "accounts?$select=accountid&$filter=name ne 'A'").json()["value"]:
        assert client.send("DELETE", f"accounts({row['accountid']})").status_code == 204
    named = {"EntityLogicalName": "account", "EntityKeyLogicalName": "new_fax_key"}
    assert client.send("POST", "ReactivateEntityKey", named).status_code == 204
    assert key_status(client, "account", "new_fax_key") == "Active"
    assert client.send("POST", "ReactivateEntityKey", named).status_code == 400, "it has not failed"
    assert client.send("POST", "ReactivateEntityKey", {"EntityLogicalName": "account"}).status_code == 400


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["nothing"], "does not have"),
        (["description"], "is of the type Memo"),
        (["name", "emailaddress1", "websiteurl", "address1_line1"], "bytes"),
        ([], "1 to 16 columns"),
    ],
)
def test_keys_that_are_not_possible_are_refused(client: Client, columns: list[str], said: str) -> None:
    """The constraints of the page on alternate keys: types, size, number of columns."""
    answer = client.send("POST", KEYS, {"SchemaName": "new_key", "KeyAttributes": columns})
    assert (answer.status_code, said in answer.text) == (400, True), answer.text


def test_a_table_has_at_most_ten_keys(client: Client) -> None:
    """The eleventh is refused."""
    names = ("fax", "telephone1", "telephone2", "telephone3", "emailaddress1", "emailaddress2", "tickersymbol", "sic")
    pairs = [(name,) for name in names] + [("fax", "sic"), ("fax", "telephone1")]
    answers = [
        client.send("POST", KEYS, {"SchemaName": f"new_key{number}", "KeyAttributes": pair}).status_code
        for number, pair in enumerate(pairs)
    ]
    assert answers == [204] * 9 + [400]


def test_privileges_that_an_application_lacks() -> None:
    """They are missing from the user's privileges, and requests that need them are refused by name."""
    lacking = ["prvDeleteAccount", "prvReadContact"]
    with running(in_thread=True, without_privilege=lacking) as emulator, Client(emulator) as client:
        user = client.send("GET", "WhoAmI").json()["UserId"]
        path = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
        held = {one["PrivilegeId"]: one for one in client.send("GET", path).json()["RolePrivileges"]}
        listed = client.send("GET", "EntityDefinitions(LogicalName='account')?$select=Privileges").json()["Privileges"]
        assert {one["Name"] for one in listed if one["PrivilegeId"] not in held} == {"prvDeleteAccount"}
        assert {one["Depth"] for one in held.values()} == {"Global"}
        made = client.send("POST", "accounts", {"name": "A"})
        assert made.status_code == 204
        refused = client.send("DELETE", made.headers["OData-EntityId"].rpartition("/")[2])
        assert (refused.status_code, "prvDeleteAccount" in refused.text) == (403, True)
        assert client.send("GET", "contacts?$top=1").status_code == 403
        assert client.send("POST", "contacts", {"lastname": "B"}).status_code == 204


@pytest.mark.parametrize("message", ["PATCH", "UpsertMultiple"])
def test_an_upsert_of_an_elastic_row_keeps_its_key_and_empties_the_others(tmp_path: Path, message: str) -> None:
    """The row is found by the key that the address names, and no more by the value of another one."""
    file = tmp_path / "tables.yaml"
    text = "{type: String, length: 20}"
    file.write_text(
        "new_Part:\n  elastic: true\n  keys: {code: [new_code], serial: [new_serial]}\n"
        f"  columns: {{new_Name: {text}, new_Code: {text}, new_Serial: {text}}}\n",
        encoding="utf-8",
    )
    with running(in_thread=True, limits="none", schema=[file]) as emulator, Client(emulator) as client:
        client.send("POST", "new_parts", {"new_name": "A", "new_code": "c", "new_serial": "s"})
        if message == "PATCH":
            answer = client.send("PATCH", "new_parts(new_code='c')", {"new_name": "B"})
        else:
            named = {"@odata.type": "Microsoft.Dynamics.CRM.new_part", "@odata.id": "new_parts(new_code='c')"}
            target = {**named, "new_name": "B"}
            answer = client.send("POST", f"new_parts/Microsoft.Dynamics.CRM.{message}", {"Targets": [target]})
        assert answer.status_code == 204, answer.text
        row = client.send("GET", "new_parts(new_code='c')?$select=new_name,new_code,new_serial").json()
        assert (row["new_name"], row["new_code"], row["new_serial"]) == ("B", "c", None)
        assert client.send("GET", "new_parts(new_serial='s')").status_code == 404


@pytest.mark.parametrize(
    ("entity_set", "column", "value"),
    [
        ("transactioncurrencies", "isocurrencycode", "usd"),
        ("businessunits", "name", "EMULATOR"),
        ("teams", "name", "Emulator"),
        ("systemusers", "fullname", "System"),
    ],
)
def test_a_key_finds_the_rows_that_an_organisation_has_from_the_start(
    tmp_path: Path, entity_set: str, column: str, value: str
) -> None:
    """A key on text compares every row, whoever wrote it, also after a reset."""
    names = {"transactioncurrencies": "TransactionCurrency", "businessunits": "BusinessUnit"}
    name = names.get(entity_set, {"teams": "Team"}.get(entity_set, "SystemUser"))
    schema = tmp_path / "keys.yaml"
    schema.write_text(yaml.safe_dump({name: {"keys": {"text_key": [column]}}}))
    with running(in_thread=True, schema=[schema]) as emulator, Client(emulator) as client:
        for _ in range(2):
            found = client.send("GET", f"{entity_set}({column}='{value}')?$select={column}")
            assert (found.status_code, found.json().get(column, "").lower()) == (200, value.lower()), found.text
            listed = client.send("GET", f"{entity_set}?$select={column}&$filter={column} eq '{value}'").json()["value"]
            assert len(listed) == 1
            emulator.reset()


def test_a_key_refuses_a_second_base_currency(tmp_path: Path) -> None:
    schema = tmp_path / "keys.yaml"
    schema.write_text(yaml.safe_dump({"TransactionCurrency": {"keys": {"iso_key": ["isocurrencycode"]}}}))
    other = {"currencyname": "x", "exchangerate": 1, "currencyprecision": 2, "currencysymbol": "$"}
    with running(in_thread=True, schema=[schema]) as emulator, Client(emulator) as client:
        answer = client.send("POST", "transactioncurrencies", {"isocurrencycode": "USD", **other})
        assert (answer.status_code, answer.json()["error"]["code"]) == (412, "0x80060892"), answer.text


def test_a_key_compares_the_values_that_rows_have_by_default(tmp_path: Path) -> None:
    schema = tmp_path / "keys.yaml"
    columns = {
        "new_Name": {"type": "String"},
        "new_Number": {"type": "String", "length": 20},
        "new_Region": {"type": "String", "length": 10, "default": "EU"},
    }
    schema.write_text(yaml.safe_dump({"new_Thing": {"columns": columns, "keys": {"k": ["new_number", "new_region"]}}}))
    with running(in_thread=True, schema=[schema]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {"new_number": "7"}).status_code == 204
        assert client.send("GET", "new_things(new_number='7',new_region='eu')").status_code == 200
        assert client.send("POST", "new_things", {"new_number": "7"}).status_code == 412


def test_a_key_with_a_lookup_creates_no_row_that_refers_to_nothing(tmp_path: Path) -> None:
    """The row that the address names must exist, as that of a body must."""
    schema = tmp_path / "keys.yaml"
    lookup = {"type": "Lookup", "targets": ["account"]}
    columns = {"new_Name": {"type": "String"}, "new_Number": {"type": "String"}, "new_AccountId": lookup}
    schema.write_text(
        yaml.safe_dump({"new_Thing": {"columns": columns, "keys": {"k": ["new_number", "new_accountid"]}}})
    )
    address = "new_things(new_number='1',_new_accountid_value={})"
    with running(in_thread=True, schema=[schema]) as emulator, Client(emulator) as client:
        none, some = "00000000-0000-0000-0000-0000000000aa", "00000000-0000-0000-0000-0000000000ab"
        assert client.send("POST", "accounts", {"accountid": some, "name": "A"}).status_code == 204
        for record_id, status in ((none, 404), (some, 204)):
            answer = client.send("PATCH", address.format(record_id), {"new_name": "a"})
            assert answer.status_code == status, answer.text
            assert status == 204 or answer.json()["error"]["code"] == "0x80040217"
        target = {"@odata.type": "Microsoft.Dynamics.CRM.new_thing", "@odata.id": address.format(none)}
        message = "new_things/Microsoft.Dynamics.CRM.UpsertMultiple"
        assert client.send("POST", message, {"Targets": [target]}).status_code == 404
        assert len(client.send("GET", "new_things?$select=new_name").json()["value"]) == 1
