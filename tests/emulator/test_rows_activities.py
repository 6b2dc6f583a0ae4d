"""Activities over HTTP: their tables, the rows they are regarding, their parties, notes, and the table of them all."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.schema.loader import builtin_schema
from emulator.testing import running
from tests.emulator.http_client import Client, error, made

SCHEMA = """
new_Project:
  entity_set: new_projects
  activities: true
  notes: true
  activity_party: true
  columns:
    new_Name: {type: String, length: 100}
new_Visit:
  entity_set: new_visits
  label: Visit
  activity: true
  columns:
    new_GuideId: {type: Lookup, targets: [contact]}
"""
ROLES = {
    "appointments": {5, 6, 7},
    "emails": {1, 2, 3, 4},
    "letters": {1, 2, 4},
    "phonecalls": {1, 2},
    "faxes": {1, 2},
    "tasks": set(),
    "new_visits": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
}
TABLES = {table.entity_set: name for name, table in builtin_schema().tables.items()} | {"new_visits": "new_visit"}


@pytest.fixture(scope="module")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "visits.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    return file


def _contact(client: Client, name: str, **body: Any) -> str:
    return made(client, "contacts", lastname=name, **body)


def _party(contact: str, role: int) -> dict[str, Any]:
    return {"partyid_contact@odata.bind": f"/contacts({contact})", "participationtypemask": role}


def _parties(client: Client, entity_set: str, activity: str) -> list[tuple[int, str | None]]:
    """Return roles and rows of the stated parties, without the owner and the regarding row."""
    name = f"{TABLES[entity_set]}_activity_parties"
    path = f"{entity_set}({activity})?$expand={name}($select=_partyid_value,participationtypemask)"
    rows = [(row["participationtypemask"], row["_partyid_value"]) for row in client.send("GET", path).json()[name]]
    return sorted((role, row) for role, row in rows if role not in {8, 9})


# Parties


def test_parties_are_created_with_their_activity(client: Client) -> None:
    """They are read by expanding the activity, by the collection's own address, and as rows of their table."""
    anna, bert = _contact(client, "Anna", emailaddress1="anna@x.example"), _contact(client, "Bert")
    account = made(client, "accounts", name="A")
    email = made(
        client,
        "emails",
        subject="E",
        email_activity_parties=[_party(anna, 1), {**_party(bert, 2), "addressused": "b@x.example"}],
        **{"regardingobjectid_account_email@odata.bind": f"/accounts({account})"},
    )
    assert _parties(client, "emails", email) == [(1, anna), (2, bert)]
    rows = client.send("GET", f"activityparties?$filter=_activityid_value eq {email}").json()["value"]
    found = {row["participationtypemask"]: (row["_partyid_value"], row["addressused"]) for row in rows}
    owner = client.send("GET", f"emails({email})?$select=_ownerid_value").json()["_ownerid_value"]
    assert found == {
        1: (anna, "anna@x.example"), 2: (bert, "b@x.example"), 8: (account, None), 9: (owner, None),
    }  # fmt: skip
    children = client.send("GET", f"emails({email})/email_activity_parties?$select=participationtypemask")
    assert sorted(row["participationtypemask"] for row in children.json()["value"]) == [1, 2, 8, 9]
    mails = client.send("GET", f"contacts({anna})?$select=fullname&$expand=contact_activity_parties").json()
    assert [row["_activityid_value"] for row in mails["contact_activity_parties"]] == [email]


def test_an_update_with_parties_replaces_them(client: Client) -> None:
    """Both as a PUT of the collection and within a PATCH; an update without them keeps them."""
    anna, bert = _contact(client, "Anna"), _contact(client, "Bert")
    call = made(client, "phonecalls", subject="C", phonecall_activity_parties=[_party(anna, 1), _party(bert, 2)])
    assert client.send("PATCH", f"phonecalls({call})", {"subject": "D"}).status_code == 204
    assert _parties(client, "phonecalls", call) == [(1, anna), (2, bert)]
    answer = client.send("PUT", f"phonecalls({call})/phonecall_activity_parties", {"value": [_party(bert, 1)]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert _parties(client, "phonecalls", call) == [(1, bert)]
    body = {"subject": "E", "phonecall_activity_parties": [_party(anna, 2), _party(bert, 2)]}
    assert client.send("PATCH", f"phonecalls({call})", body).status_code == 204
    assert _parties(client, "phonecalls", call) == sorted([(2, anna), (2, bert)])
    assert client.send("PATCH", f"phonecalls({call})", {"phonecall_activity_parties": []}).status_code == 204
    assert _parties(client, "phonecalls", call) == []


def test_the_owner_and_the_regarding_row_follow_the_activity(client: Client) -> None:
    """Their parties change with the lookups; a team, which is no party, has none."""
    first, second = made(client, "accounts", name="A"), made(client, "accounts", name="B")
    bind = "regardingobjectid_account_task@odata.bind"
    task = made(client, "tasks", subject="T", **{bind: f"/accounts({first})"})
    path = f"activityparties?$filter=_activityid_value eq {task}&$select=_partyid_value,participationtypemask"

    def regarding() -> list[str]:
        rows = client.send("GET", f"{path}&$orderby=participationtypemask").json()["value"]
        return [row["_partyid_value"] for row in rows if row["participationtypemask"] == 8]

    assert regarding() == [first]
    assert client.send("PATCH", f"tasks({task})", {bind: f"/accounts({second})"}).status_code == 204
    assert regarding() == [second]
    assert client.send("PATCH", f"tasks({task})", {bind: None}).status_code == 204
    assert regarding() == []
    team = client.send("GET", "teams?$select=teamid").json()["value"][0]["teamid"]
    assert client.send("PATCH", f"tasks({task})", {"ownerid@odata.bind": f"/teams({team})"}).status_code == 204
    assert client.send("GET", path).json()["value"] == []


def test_an_assigned_account_gives_its_owner_to_its_activities(client: Client) -> None:
    """The party of the owner follows, and the activities go with the account."""
    account = made(client, "accounts", name="A")
    task = made(client, "tasks", subject="T", **{"regardingobjectid_account_task@odata.bind": f"/accounts({account})"})
    user = client.send("GET", "systemusers?$filter=fullname eq 'SYSTEM'").json()["value"][0]["systemuserid"]
    assert client.send("PATCH", f"accounts({account})", {"ownerid@odata.bind": f"/systemusers({user})"}).ok
    query = f"activityparties?$filter=_activityid_value eq {task} and participationtypemask eq 9"
    assert [row["_partyid_value"] for row in client.send("GET", query).json()["value"]] == [user]
    assert client.send("DELETE", f"accounts({account})").status_code == 204
    assert client.send("GET", "tasks").json()["value"] == []
    assert client.send("GET", "activityparties").json()["value"] == []


def test_related_activities_are_created_with_their_parties(client: Client) -> None:
    """A deep insert; the table of all activities takes no rows there either."""
    anna = _contact(client, "Anna")
    email = {"subject": "E", "email_activity_parties": [_party(anna, 2)]}
    account = made(client, "accounts", name="A", Account_Emails=[email])
    (row,) = client.send("GET", f"accounts({account})/Account_Emails?$select=activityid").json()["value"]
    assert _parties(client, "emails", row["activityid"]) == [(2, anna)]
    answer = client.send("POST", "accounts", {"name": "B", "Account_ActivityPointers": [{"subject": "x"}]})
    assert error(answer) == (400, "0x80040800")


@pytest.mark.parametrize(("entity_set", "roles"), ROLES.items(), ids=list(ROLES))
def test_each_activity_takes_its_own_roles(client: Client, entity_set: str, roles: set[int]) -> None:
    """The activityparty page lists them; custom activities take all."""
    contact = _contact(client, "C")
    name = f"{TABLES[entity_set]}_activity_parties"
    for role in range(1, 12):
        answer = client.send("POST", entity_set, {"subject": "S", name: [_party(contact, role)]})
        if role in roles:
            assert answer.status_code == 204
        else:
            assert error(answer) == (400, "0x80043506")


@pytest.mark.parametrize(
    ("party", "code"),
    [
        ({"participationtypemask": 2}, "0x80043504"),
        ({"addressused": "a@x.example"}, "0x80040b06"),
        ({"addressused": "a@x.example", "participationtypemask": 99}, "0x8004431a"),
        ({"addressused": "a@x.example", "participationtypemask": 2, "unknown": 1}, "0x0"),
        ({"partyid_contact@odata.bind": "/contacts(00000000-0000-0000-0000-000000000001)", "participationtypemask": 2}, "0x80040217"),
        ("a@x.example", "0x80048d19"),
    ],
)  # fmt: skip
def test_wrong_parties_are_refused_with_their_activity(client: Client, party: Any, code: str) -> None:
    answer = client.send("POST", "emails", {"subject": "S", "email_activity_parties": [party]})
    assert answer.json()["error"]["code"] == code
    assert client.send("GET", "emails/$count").content.decode("utf-8-sig") == "0"


def test_an_address_alone_is_a_party(client: Client) -> None:
    party = {"addressused": "new@x.example", "participationtypemask": 2}
    email = made(client, "emails", subject="S", email_activity_parties=[party])
    assert _parties(client, "emails", email) == [(2, None)]


def test_parties_are_written_only_with_their_activity(client: Client) -> None:
    """Their table and the table of all activities take no rows of their own, and party lists are no properties."""
    task = made(client, "tasks", subject="T")
    row = client.send("GET", "activityparties").json()["value"][0]["activitypartyid"]
    contact = _contact(client, "C")
    for method, path, body in (
        ("POST", "activityparties", _party(contact, 2)),
        ("PATCH", f"activityparties({row})", {"addressused": "x"}),
        ("DELETE", f"activityparties({row})", None),
        ("POST", f"tasks({task})/task_activity_parties", _party(contact, 2)),
        ("POST", "activitypointers", {"subject": "x"}),
        ("PATCH", f"activitypointers({task})", {"subject": "x"}),
        ("DELETE", f"activitypointers({task})", None),
        ("POST", "activitypointers/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": []}),
    ):
        assert error(client.send(method, path, body)) == (400, "0x80040800"), path
    assert error(client.send("POST", "emails", {"subject": "x", "to": []})) == (400, "0x0")


def test_a_bulk_message_writes_parties(client: Client) -> None:
    anna, bert = _contact(client, "Anna"), _contact(client, "Bert")
    targets = [
        {"@odata.type": "Microsoft.Dynamics.CRM.email", "subject": name, "email_activity_parties": [_party(contact, 2)]}
        for name, contact in (("A", anna), ("B", bert))
    ]
    made = client.send("POST", "emails/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets}).json()["Ids"]
    assert [_parties(client, "emails", one) for one in made] == [[(2, anna)], [(2, bert)]]
    update = {"@odata.type": "Microsoft.Dynamics.CRM.email", "activityid": made[0], "email_activity_parties": []}
    answer = client.send("POST", "emails/Microsoft.Dynamics.CRM.UpdateMultiple", {"Targets": [update]})
    assert answer.status_code == 204
    assert [_parties(client, "emails", one) for one in made] == [[], [(2, bert)]]


def test_parties_stay_without_their_row_but_not_without_their_activity(client: Client) -> None:
    """A deleted contact leaves the party, marked as deleted and with its address."""
    anna = _contact(client, "Anna", emailaddress1="anna@x.example")
    email = made(client, "emails", subject="E", email_activity_parties=[_party(anna, 2)])
    assert client.send("DELETE", f"contacts({anna})").status_code == 204
    path = f"activityparties?$filter=_activityid_value eq {email} and participationtypemask eq 2"
    (row,) = client.send("GET", path).json()["value"]
    assert (row["_partyid_value"], row["addressused"], row["ispartydeleted"]) == (None, "anna@x.example", True)
    assert client.send("DELETE", f"emails({email})").status_code == 204
    assert client.send("GET", "activityparties").json()["value"] == []


# Activities


def test_the_table_of_all_activities_shows_each(client: Client) -> None:
    """Rows are read by identifier, filtered, expanded and found from the row they are regarding."""
    account = made(client, "accounts", name="A")
    for entity_set, name in (("tasks", "task"), ("emails", "email"), ("new_visits", "new_visit")):
        bind = f"regardingobjectid_account_{name}@odata.bind"
        made(client, entity_set, subject=name.title(), **{bind: f"/accounts({account})"})
    query = "$select=subject,activitytypecode&$orderby=subject&$expand=regardingobjectid_account($select=name)"
    rows = client.send("GET", f"activitypointers?{query}").json()["value"]
    assert [(row["subject"], row["activitytypecode"]) for row in rows] == [
        ("Email", "email"), ("New_Visit", "new_visit"), ("Task", "task"),
    ]  # fmt: skip
    assert all(row["regardingobjectid_account"]["name"] == "A" for row in rows)
    one = client.send("GET", f"activitypointers({rows[2]['activityid']})?$select=subject").json()
    assert one["subject"] == "Task"
    found = client.send("GET", f"accounts({account})/Account_ActivityPointers?$filter=subject eq 'email'").json()
    assert [row["activityid"] for row in found["value"]] == [rows[0]["activityid"]]
    pages = client.send("GET", "activitypointers?$select=subject&$orderby=subject", Prefer="odata.maxpagesize=2").json()
    rest = client.session.get(pages["@odata.nextLink"], headers=client.headers, timeout=60).json()
    assert [row["subject"] for row in (*pages["value"], *rest["value"])] == ["Email", "New_Visit", "Task"]


def test_a_custom_activity_is_an_activity(client: Client) -> None:
    """Its lookups have the table's name at the end, and it can be regarding a custom table."""
    project, contact = made(client, "new_projects", new_name="P"), _contact(client, "C")
    visit = made(
        client,
        "new_visits",
        subject="V",
        **{
            "new_GuideId_new_visit@odata.bind": f"/contacts({contact})",
            "regardingobjectid_new_project_new_visit@odata.bind": f"/new_projects({project})",
        },
    )
    path = f"new_projects({project})?$select=new_name&$expand=new_project_new_visits($select=subject)"
    assert client.send("GET", path).json()["new_project_new_visits"][0]["activityid"] == visit
    email = "regardingobjectid_new_project_email@odata.bind"
    made(client, "emails", subject="E", **{email: f"/new_projects({project})"})
    names = client.send("GET", f"new_projects({project})/new_project_ActivityPointers?$select=subject").json()
    assert sorted(row["subject"] for row in names["value"]) == ["E", "V"]
    bare = client.send("POST", "new_visits", {"subject": "W", "new_GuideId@odata.bind": f"/contacts({contact})"})
    assert bare.status_code == 400


def test_notes_belong_to_rows_of_tables_with_notes(client: Client) -> None:
    case_of = made(client, "accounts", name="A")
    case = made(client, "incidents", title="T", **{"customerid_account@odata.bind": f"/accounts({case_of})"})
    note = made(
        client, "annotations", subject="N", notetext="x", **{"objectid_incident@odata.bind": f"/incidents({case})"}
    )
    path = f"incidents({case})?$select=title&$expand=Incident_Annotation($select=notetext)"
    (found,) = client.send("GET", path).json()["Incident_Annotation"]
    assert (found["annotationid"], found["notetext"]) == (note, "x")
    row = client.send(
        "GET", f"annotations({note})?$select=_objectid_value", Prefer='odata.include-annotations="*"'
    ).json()
    assert row["_objectid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "incident"
    assert "statecode" not in client.send("GET", f"annotations({note})").json()


@pytest.mark.parametrize(("body", "size"), [("YQ==", 1), ("YWI=", 2), ("YWJj", 3), (None, None)])
def test_a_note_has_the_size_of_its_file(client: Client, body: str | None, size: int | None) -> None:
    note = made(client, "annotations", subject="N", filename="a.txt", mimetype="text/plain", documentbody=body)
    row = client.send("GET", f"annotations({note})?$select=isdocument,filesize,documentbody").json()
    assert (row["isdocument"], row["filesize"], row["documentbody"]) == (size is not None, size, body)


@pytest.mark.parametrize(("body", "size"), [("YWI=", 2), (None, None)])
@pytest.mark.parametrize("message", ["PATCH", "UpdateMultiple", "UpsertMultiple"])
def test_a_note_gets_another_file(client: Client, message: str, body: str | None, size: int | None) -> None:
    """Also none: the size follows, though no other column of the row is needed for it."""
    note = made(client, "annotations", subject="N", filename="a.txt", documentbody="YWJj")
    if message == "PATCH":
        answer = client.send("PATCH", f"annotations({note})", {"documentbody": body})
    else:
        target = {"@odata.type": "Microsoft.Dynamics.CRM.annotation", "annotationid": note, "documentbody": body}
        answer = client.send("POST", f"annotations/Microsoft.Dynamics.CRM.{message}", {"Targets": [target]})
    assert answer.status_code == 204, answer.text
    row = client.send("GET", f"annotations({note})?$select=isdocument,filesize,documentbody").json()
    assert (row["isdocument"], row["filesize"], row["documentbody"]) == (size is not None, size, body)


def test_a_case_needs_a_customer(client: Client) -> None:
    """`customerid` is the one lookup of these tables that the system requires."""
    assert client.send("POST", "incidents", {"title": "T"}).status_code == 400


@pytest.mark.parametrize(
    ("table", "entity_set"),
    [
        ("fax", "faxes"), ("activityparty", "activityparties"), ("opportunity", "opportunities"),
        ("transactioncurrency", "transactioncurrencies"), ("opportunityclose", "opportunitycloses"),
        ("incident", "incidents"), ("queue", "queues"), ("subject", "subjects"), ("pricelevel", "pricelevels"),
        ("salesorder", "salesorders"), ("appointment", "appointments"), ("annotation", "annotations"),
    ],
)  # fmt: skip
def test_tables_have_the_entity_set_names_of_the_reference(client: Client, table: str, entity_set: str) -> None:
    content = client.send("GET", f"EntityDefinitions(LogicalName='{table}')?$select=EntitySetName").json()
    assert content["EntitySetName"] == entity_set
    assert client.send("GET", f"{entity_set}?$top=1").status_code == 200


def test_the_metadata_marks_activities_and_parties(client: Client) -> None:
    query = "EntityDefinitions?$select=LogicalName,IsActivity,IsActivityParty,HasActivities,HasNotes"
    rows = {row["LogicalName"]: row for row in client.send("GET", query).json()["value"]}
    names = ("IsActivity", "IsActivityParty", "HasActivities", "HasNotes")
    assert {table: tuple(rows[table][name] for name in names) for table in ("email", "contact", "product")} == {
        "email": (True, False, False, True),
        "contact": (False, True, True, True),
        "product": (False, False, False, False),
    }


def test_activities_are_kept_in_a_file(tmp_path: Path, schema_file: Path) -> None:
    """The emulator starts again with its file, also with another activity table than before."""
    database = tmp_path / "rows.db"
    with running(in_thread=True, db=database) as emulator, Client(emulator) as client:
        made(client, "tasks", subject="T")
    with running(in_thread=True, db=database, schema=[schema_file]) as emulator, Client(emulator) as client:
        made(client, "new_visits", subject="V")
        rows = client.send("GET", "activitypointers?$select=subject").json()["value"]
        assert sorted(row["subject"] for row in rows) == ["T", "V"]


def test_an_activity_table_is_created_and_deleted_over_http(client: Client) -> None:
    """The table of all activities follows."""
    entity = {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
        "SchemaName": "new_Ride",
        "IsActivity": True,
        "PrimaryNameAttribute": "subject",
        "Attributes": [],
    }
    assert client.send("POST", "EntityDefinitions", entity).status_code == 204
    contact = _contact(client, "C")
    ride = made(client, "new_rides", subject="R", new_ride_activity_parties=[_party(contact, 2)])
    assert client.send("GET", f"activitypointers({ride})?$select=subject").json()["subject"] == "R"
    assert client.send("DELETE", "EntityDefinitions(LogicalName='new_ride')").status_code == 204
    assert client.send("GET", "activitypointers").json()["value"] == []
    made(client, "tasks", subject="T")


def test_tables_of_a_real_environment_can_have_fewer_columns(tmp_path: Path) -> None:
    """Parties and closing activities are written as far as the tables have columns; the special tables stay special."""

    def table(name: str, plural: str, *columns: str, **facts: Any) -> dict[str, Any]:
        attributes = [
            {"@odata.type": f"#Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": column}
            for column, _, kind in (one.partition(":") for one in columns)
        ]
        return {"SchemaName": name, "EntitySetName": plural, "Attributes": attributes, **facts}

    activity = {"IsActivity": True, "PrimaryIdAttribute": "activityid", "PrimaryNameAttribute": "subject"}
    content = [
        table("ActivityParty", "activityparties", "ParticipationTypeMask:Picklist", "AddressUsed:String", OwnershipType="None"),
        table("ActivityPointer", "activitypointers", "Subject:String", **activity),
        table("OpportunityClose", "opportunitycloses", "Subject:String", **activity),
    ]  # fmt: skip
    lookup = {"@odata.type": "#Microsoft.Dynamics.CRM.LookupAttributeMetadata", "SchemaName": "OpportunityId"}
    content[2]["Attributes"].append({**lookup, "Targets": ["opportunity"]})
    file = tmp_path / "tables.json"
    file.write_text(json.dumps({"value": content}), encoding="utf-8")
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        row = made(client, "opportunities", name="O")
        close = {"subject": "W", "opportunityid@odata.bind": f"/opportunities({row})"}
        answer = client.send("POST", "WinOpportunity", {"Status": 3, "OpportunityClose": close})
        assert answer.status_code == 204, answer.text
        party = {"addressused": "a@x.example", "participationtypemask": 2}
        email = made(client, "emails", subject="E", email_activity_parties=[party])
        assert _parties(client, "emails", email) == [(2, None)]
        assert client.send("GET", f"activitypointers({email})").json()["subject"] == "E"
        assert error(client.send("POST", "activitypointers", {"subject": "x"})) == (400, "0x80040800")
        assert error(client.send("POST", "activityparties", party)) == (400, "0x80040800")


def test_a_seed_fills_no_table_that_follows_from_others(tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text("activitypointers: [{subject: x}]", encoding="utf-8")
    with running(in_thread=True, seed=f"rows={tmp_path / 'rows.yaml'}") as emulator, Client(emulator) as client:
        answer = client.session.post(f"{emulator.base_url}/_emulator/seed/rows", timeout=60)
        assert error(answer) == (400, "0x80040800")


@pytest.mark.parametrize(
    ("table", "lists"),
    [
        ("email", {"from", "to", "cc", "bcc"}),
        ("appointment", {"requiredattendees", "optionalattendees", "organizer"}),
        ("task", set()),
        ("account", set()),
        ("activitypointer", set()),
    ],
)
def test_the_metadata_shows_the_lists_of_parties_as_columns(client: Client, table: str, lists: set[str]) -> None:
    """They are no properties of the table: they cannot be selected or written."""
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes"
    found = {each["LogicalName"]: each for each in client.send("GET", path).json()["value"]}
    assert {name for name, each in found.items() if each["AttributeType"] == "PartyList"} == lists
    cast = f"{path}/Microsoft.Dynamics.CRM.LookupAttributeMetadata?$select=LogicalName,Targets"
    targets = {each["LogicalName"]: each["Targets"] for each in client.send("GET", cast).json()["value"]}
    assert all("contact" in targets[name] for name in lists)
    for name in lists:
        assert client.send("GET", f"{table}s?$select={name}").status_code == 400
