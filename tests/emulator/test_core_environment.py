"""Tables of a real environment: a JSON file states all of a table, and the emulator adds only what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.metadata.attributes import option_set_json
from emulator.schema import Schema
from emulator.schema.entity_definitions import read_entity_definitions
from emulator.schema.faults import SchemaFileError
from emulator.schema.loader import builtin_schema
from emulator.testing import running
from tests.emulator.http_client import Client, error, made

EXPANDED = "$expand=Attributes,Keys,ManyToOneRelationships,ManyToManyRelationships"
Definition = dict[str, Any]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def exported() -> list[Definition]:
    """What the command of the page saves, for all built-in tables."""
    with running(in_thread=True, limits="none") as emulator, Client(emulator) as client:
        found: list[Definition] = client.send("GET", f"EntityDefinitions?{EXPANDED}").json()["value"]
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes definitions into a file."""

    def written(*definitions: Definition) -> Path:
        file = tmp_path / "tables.json"
        file.write_text(json.dumps({"value": definitions}), encoding="utf-8")
        return file

    return written


def _of(exported: list[Definition], *names: str) -> list[Definition]:
    return [one for one in exported if one["LogicalName"] in names]


def _column(name: str, kind: str = "String", **facts: Any) -> Definition:
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{kind}AttributeMetadata",
        "SchemaName": name,
        "LogicalName": name.lower(),
        **facts,
    }


def _table(name: str, *columns: Definition, **facts: Any) -> Definition:
    return {"SchemaName": name, "EntitySetName": f"{name.lower()}s", "Attributes": columns, **facts}


def _with_options(definition: Definition, schema: Schema) -> Definition:
    table = schema.tables[definition["LogicalName"]]
    attributes = []
    for attribute in definition["Attributes"]:
        column = table.columns.get(attribute["LogicalName"])
        options = {"OptionSet": option_set_json(table, column)} if column and column.options else {}
        attributes.append({**attribute, **options})
    return {**definition, "Attributes": attributes}


def test_everything_that_the_definitions_state_is_read_back(exported: list[Definition], write: Write) -> None:
    """Each property of a built-in column is the same in an emulator with the definitions of another one."""
    schema = builtin_schema()
    read = read_entity_definitions(write(*(_with_options(one, schema) for one in exported)), schema)
    assert read.tables.keys() == schema.tables.keys()
    for name, table in schema.tables.items():
        other = read.tables[name]
        assert other.columns.keys() == table.columns.keys(), name
        for fact in ("keys", "bulk_messages", "change_tracking", "optimistic_concurrency"):
            assert getattr(other, fact) == getattr(table, fact), (name, fact)
        for column in table.columns.values():
            again = other.columns[column.logical_name]
            for fact in (
                *("type", "display_name", "description", "required", "secured", "computed", "default", "targets"),
                *("max_length", "min_value", "max_value", "precision", "precision_source", "date_behavior"),
                *("valid_for_create", "valid_for_update", "valid_for_read", "hierarchical", "navigation", "options"),
            ):
                place = (name, column.logical_name, fact)
                assert getattr(again, fact) == getattr(column, fact), place
            assert not again.other_values


@pytest.mark.parametrize(
    ("stated", "setting"),
    [("ChangeTrackingEnabled", "change_tracking"), ("IsOptimisticConcurrencyEnabled", "optimistic_concurrency")],
)
def test_what_a_table_cannot_do_is_read_from_the_file(write: Write, stated: str, setting: str) -> None:
    """What the file does not state is on."""
    column = _column("new_Name", IsPrimaryName=True)
    file = write(_table("new_Off", column, **{stated: False}), _table("new_On", column))
    tables = read_entity_definitions(file, builtin_schema()).tables
    assert (getattr(tables["new_off"], setting), getattr(tables["new_on"], setting)) == (False, True)


def test_a_new_row_gets_the_defaults_of_the_environment(write: Write) -> None:
    """Those of two options and of choices; `-1` and null are none."""
    columns = [
        _column("new_Name"),
        _column("new_On", "Boolean", DefaultValue=True),
        _column("new_None", "Boolean", DefaultValue=None),
        _column("new_Short", "Boolean"),
        _column("new_Kind", "Picklist", DefaultFormValue=2),
        _column("new_Free", "Picklist", DefaultFormValue=-1),
    ]
    names = "new_on,new_none,new_short,new_kind,new_free"
    with (
        running(in_thread=True, schema=[write(_table("new_Job", *columns))]) as emulator,
        Client(emulator) as client,
    ):
        job = made(client, "new_jobs", new_name="J")
        row = client.send("GET", f"new_jobs({job})?$select={names}").json()
        assert [row[name] for name in names.split(",")] == [True, None, False, 2, None]
        added = {"@odata.type": "Microsoft.Dynamics.CRM.BooleanAttributeMetadata", "SchemaName": "new_Chosen"}
        client.send("POST", "EntityDefinitions(LogicalName='account')/Attributes", {**added, "DefaultValue": True})
        account = made(client, "accounts", name="A")
        assert client.send("GET", f"accounts({account})?$select=new_chosen").json()["new_chosen"] is True


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (_column("new_On", "Boolean", DefaultValue="yes"), "column new_On: DefaultValue is true, false or null"),
        (_column("new_Kind", "Picklist", DefaultFormValue=["1"]), "column new_Kind: DefaultFormValue is the number"),
    ],
)
def test_a_default_of_another_type_is_refused(client: Client, write: Write, column: Definition, said: str) -> None:
    """In a file and in a request; the message names the column."""
    with pytest.raises(SchemaFileError, match=said):
        read_entity_definitions(write(_table("new_Job", _column("new_Name"), column)), builtin_schema())
    refused = client.send("POST", "EntityDefinitions(LogicalName='account')/Attributes", column)
    assert refused.status_code == 400


def test_a_secured_column_is_no_part_of_a_key(client: Client) -> None:
    """As Microsoft documents it; the definition states that the column is secured."""
    secured = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_Secret"}
    account = "EntityDefinitions(LogicalName='account')"
    client.send("POST", f"{account}/Attributes", {**secured, "MaxLength": 10, "IsSecured": True})
    column = client.send("GET", f"{account}/Attributes(LogicalName='new_secret')?$select=IsSecured").json()
    assert column["IsSecured"] is True
    key = client.send("POST", f"{account}/Keys", {"SchemaName": "new_secret_key", "KeyAttributes": ["new_secret"]})
    assert error(key) == (400, "0x80040203")
    assert "field-level security" in key.json()["error"]["message"]


@pytest.mark.parametrize("read_only", [True, False])
def test_the_full_name_follows_from_its_parts_where_nobody_writes_it(write: Write, *, read_only: bool) -> None:
    """As the definitions of an environment describe contacts, leads and users."""
    name = _column("FullName", IsPrimaryName=True, IsValidForCreate=not read_only, IsValidForUpdate=not read_only)
    contact = _table("Contact", _column("FirstName"), _column("LastName"), name)
    with running(in_thread=True, schema=[write(contact)]) as emulator, Client(emulator) as client:
        row = made(client, "contacts", firstname="Ann", lastname="Lee", fullname="X")
        client.send("PATCH", f"contacts({row})", {"lastname": "Poe"})
        full = "Ann Poe" if read_only else "X"
        assert len(client.send("GET", f"contacts?$filter=fullname eq '{full}'").json()["value"]) == 1


def test_a_table_has_the_columns_that_the_file_lists(write: Write) -> None:
    """Besides those that the emulator writes with each row: a table without a state gets none."""
    note = _table("Annotation", _column("Subject"), PrimaryIdAttribute="annotationid")
    with running(in_thread=True, schema=[write(note)]) as emulator, Client(emulator) as client:
        row = made(client, "annotations", subject="N")
        content = client.send("GET", f"annotations({row})").json()
        assert {"statecode", "statuscode", "overriddencreatedon", "importsequencenumber"}.isdisjoint(content)
        assert content["_createdby_value"] == content["_ownerid_value"]
        refused = client.send("GET", "annotations?$filter=statecode eq 0")
        assert "Could not find a property named 'statecode'" in refused.text
        answer = client.send("POST", "annotations", {"subject": "N", "overriddencreatedon": "2020-01-01T00:00:00Z"})
        assert answer.status_code == 400


def test_states_of_known_tables_need_no_options(exported: list[Definition], write: Write) -> None:
    """The documented command gives none: closing actions and the statuses of the environment work all the same."""
    file = write(*_of(exported, "opportunity", "incident", "quote"))
    with running(in_thread=True, limits="none", schema=[file]) as emulator, Client(emulator) as client:
        first, second = made(client, "opportunities", name="O"), made(client, "opportunities", name="P")
        assert client.send("PATCH", f"opportunities({first})", {"statuscode": 2}).status_code == 204
        for row, status in ((first, 3), (second, 100000007)):
            close = {"subject": "W", "opportunityid@odata.bind": f"/opportunities({row})"}
            answer = client.send("POST", "WinOpportunity", {"Status": status, "OpportunityClose": close})
            assert answer.status_code == 204, answer.text
            found = client.send("GET", f"opportunities({row})?$select=statecode,statuscode").json()
            assert (found["statecode"], found["statuscode"]) == (1, status)
        account = made(client, "accounts", name="A")
        case = made(client, "incidents", title="T", **{"customerid_account@odata.bind": f"/accounts({account})"})
        assert client.send("PATCH", f"incidents({case})", {"statecode": 2, "statuscode": 6}).status_code == 204
        quote = made(client, "quotes", name="Q")
        wrong = client.send("PATCH", f"quotes({quote})", {"statecode": 1, "statuscode": 1})
        assert error(wrong) == (400, "0x80048408")  # a status that is known belongs to another state


def test_a_status_that_the_file_does_not_list_is_taken(write: Write) -> None:
    """A custom table begins with two; an environment can have more, which `$expand=Attributes` does not show."""
    table = _table("new_Job", _column("new_Name"), _column("statecode", "State"), _column("statuscode", "Status"))
    with running(in_thread=True, schema=[write(table)]) as emulator, Client(emulator) as client:
        job = made(client, "new_jobs", new_name="J", statuscode=100000001)
        assert client.send("PATCH", f"new_jobs({job})", {"statecode": 1}).status_code == 204
        row = client.send("GET", f"new_jobs({job})?$select=statecode,statuscode").json()
        assert (row["statecode"], row["statuscode"]) == (1, 2)


def test_activities_of_an_environment_keep_their_type_and_have_no_lookups_of_parties(
    exported: list[Definition], write: Write
) -> None:
    """The lists of parties have the class of lookups in definitions."""
    file = write(*_of(exported, "email", "task"))
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        email, task = made(client, "emails", subject="E"), made(client, "tasks", subject="T")
        kinds = client.send("GET", "activitypointers?$select=activitytypecode").json()["value"]
        assert {one["activityid"]: one["activitytypecode"] for one in kinds} == {email: "email", task: "task"}
        assert {"_to_value", "_bcc_value"}.isdisjoint(client.send("GET", f"emails({email})").json())
