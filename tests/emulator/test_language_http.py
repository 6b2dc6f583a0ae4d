"""Queries over HTTP: aliases, orders, related collections and their pages, and functions over several rows."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.testing import RunningEmulator
from tests.emulator.http_client import Client, made, whole_error

CRM = "Microsoft.Dynamics.CRM"


def found(client: Client, path: str, **headers: str) -> list[dict[str, Any]]:
    answer = client.send("GET", path, **headers)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["value"]
    return rows


def names(client: Client, query: str) -> list[str]:
    return [row["name"] for row in found(client, f"accounts?$select=name&{query}")]


def test_a_header_sent_twice_is_one_list(client: Client) -> None:
    """The sample of the page about counts sends two `Prefer` headers: both are followed."""
    for name in ("A", "B"):
        made(client, "accounts", name=name)
    connection = http.client.HTTPConnection(urlsplit(client.base).netloc)
    connection.putrequest("GET", "/api/data/v9.2/accounts?$select=name&$count=true")
    for name, value in {**client.headers, "Prefer": "odata.maxpagesize=1"}.items():
        connection.putheader(name, value)
    connection.putheader("Prefer", f'odata.include-annotations="{CRM}.totalrecordcount"')
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    applied = answer.headers["Preference-Applied"]
    assert applied == f'odata.maxpagesize=1,odata.include-annotations="{CRM}.totalrecordcount"'
    assert b'"@Microsoft.Dynamics.CRM.totalrecordcount":2' in body
    assert b"@odata.nextLink" in body


def test_an_alias_without_a_value_is_null(client: Client) -> None:
    """The query of the page: aliases for columns in the order, and one that is not assigned in the filter."""
    made(client, "accounts", name="A", revenue=2)
    made(client, "accounts", name="B", revenue=1)
    made(client, "accounts", name="C")
    query = "$orderby=@p1 asc,@p2 desc&$filter=@p1 ne @p3&@p1=revenue&@p2=name"
    assert names(client, query) == ["B", "A"]


def test_lookups_are_ordered_by_the_names_of_their_rows(client: Client) -> None:
    """Not by their identifiers; a row without the lookup is the first."""
    for number, last in enumerate(("Zett", "Abel", "Moon")):
        contact = made(client, "contacts", contactid=f"00000000-0000-0000-0000-00000000000{number}", lastname=last)
        made(client, "accounts", name=last, **{"primarycontactid@odata.bind": f"contacts({contact})"})
    made(client, "accounts", name="None")
    assert names(client, "$orderby=_primarycontactid_value") == ["None", "Abel", "Moon", "Zett"]
    assert names(client, "$orderby=_primarycontactid_value desc")[0] == "Zett"
    account = found(client, "accounts?$select=accountid&$filter=name eq 'Moon'")[0]["accountid"]
    for last, parent in (("One", f"accounts({account})"), ("Two", None)):
        made(client, "contacts", lastname=last, **({"parentcustomerid_account@odata.bind": parent} if parent else {}))
    rows = found(client, "contacts?$select=lastname&$orderby=_parentcustomerid_value desc,lastname&$top=1")
    assert rows[0]["lastname"] == "One"


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("accounts?select=name", (400, "0x0", "The query parameter select is not supported")),
        ("accounts?$select=name&utm_source=x", (400, "0x0", "The query parameter utm_source is not supported")),
        ("accounts?$Select=name", (400, "0x80060888", "The query parameter $Select is not supported")),
        ("accounts?$filter=name in ('A','B')", (501, "0x8006088a", "The query node In is not supported")),
        (
            f"accounts?$filter=not {CRM}.Last7Days(PropertyName=@p1)&@p1='createdon'",
            (405, "0x80060888", "Not operator along with the Custom Named Condition operators is not allowed"),
        ),
        (
            "accounts?$filter=name eq primarycontactid/fullname",
            (400, "0x80060888", "Only properties of the same row can be compared."),
        ),
        (
            f"accounts?$filter={CRM}.ThisFiscalYear(PropertyName='createdon')",
            (501, "0x80040800", "The query function 'ThisFiscalYear' is not emulated."),
        ),
    ],
)
def test_what_the_service_refuses_is_refused(client: Client, path: str, refused: tuple[int, str, str]) -> None:
    """With the status, code and text of the service, instead of an answer that real organisations do not give."""
    assert whole_error(client.send("GET", path)) == refused


@pytest.mark.parametrize("option", ["tag=mine", "tag=mine&$top=1", "LabelLanguages=1033"])
def test_the_options_of_the_service_are_known(client: Client, option: str) -> None:
    """`tag` is for plug-ins, and others choose the languages of labels."""
    assert client.send("GET", f"accounts?{option}").status_code == 200


def test_spaces_in_the_options_of_an_expand_do_not_count(client: Client) -> None:
    """As in the sample of the page about single rows."""
    contact = made(client, "contacts", lastname="L")
    account = made(client, "accounts", name="A", **{"primarycontactid@odata.bind": f"contacts({contact})"})
    path = f"accounts({account})?$select=name&$expand=primarycontactid($select%20=%20lastname,%20createdon)"
    row = client.send("GET", path).json()
    assert row["primarycontactid"].keys() == {"@odata.etag", "lastname", "createdon", "contactid"}


# Related collections


def account_with_tasks(client: Client, tasks: int) -> str:
    account = made(client, "accounts", name="A")
    for number in range(tasks):
        bound = {"regardingobjectid_account_task@odata.bind": f"accounts({account})"}
        made(client, "tasks", subject=f"Task {number}", **bound)
    made(client, "contacts", lastname="L", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    return account


def test_an_expanded_collection_has_a_link_to_all_of_it(client: Client) -> None:
    """Without a nested expand, the size of the page does not count for related rows."""
    account = account_with_tasks(client, 3)
    expand = "$expand=Account_Tasks($select=subject;$filter=subject ne 'a b')"
    (row,) = found(client, f"accounts?$select=name&{expand}", Prefer="odata.maxpagesize=1")
    assert len(row["Account_Tasks"]) == 3
    link = row["Account_Tasks@odata.nextLink"]
    options = "$select=subject&$filter=subject%20ne%20'a%20b'"
    assert link == f"{client.base}/api/data/v9.2/accounts({account})/Account_Tasks?{options}"
    again = found(client, link.partition("/v9.2/")[2])
    assert [task["subject"] for task in again] == ["Task 0", "Task 1", "Task 2"]


def test_a_filter_of_an_expanded_lookup_leaves_out_its_row(client: Client) -> None:
    """It was ignored before."""
    for last in ("Zett", "Abel"):
        contact = made(client, "contacts", lastname=last)
        made(client, "accounts", name=last, **{"primarycontactid@odata.bind": f"contacts({contact})"})
    expand = "primarycontactid($select=lastname;$filter=lastname eq 'Abel')"
    rows = found(client, f"accounts?$select=name&$expand={expand}&$orderby=name")
    assert [(row["primarycontactid"] or {}).get("lastname") for row in rows] == ["Abel", None]


def test_a_nested_expand_pages_all_collections(client: Client) -> None:
    """The link of a full page leads to the rest, and the context names what is expanded in what."""
    account_with_tasks(client, 3)
    nested = "contact_customer_accounts($select=lastname;$expand=owninguser($select=fullname))"
    path = f"accounts?$select=name&$expand=Account_Tasks($select=subject),{nested}"
    answer = client.send("GET", path, Prefer="odata.maxpagesize=2").json()
    (row,) = answer["value"]
    ending = "#accounts(name,Account_Tasks(subject),contact_customer_accounts(lastname,owninguser(fullname)))"
    assert answer["@odata.context"].endswith(ending)
    assert [task["subject"] for task in row["Account_Tasks"]] == ["Task 0", "Task 1"]
    assert "contact_customer_accounts@odata.nextLink" not in row
    rest = found(client, row["Account_Tasks@odata.nextLink"].partition("/v9.2/")[2], Prefer="odata.maxpagesize=2")
    assert [task["subject"] for task in rest] == ["Task 2"]


def test_a_single_row_has_no_links(client: Client) -> None:
    """As in the samples: only a query on a collection gives them."""
    account = account_with_tasks(client, 1)
    row = client.send("GET", f"accounts({account})?$select=name&$expand=Account_Tasks($select=subject)").json()
    assert [name for name in row if name.endswith("nextLink")] == []


@pytest.mark.parametrize(
    "expand",
    [
        "primarycontactid($top=1)",
        "primarycontactid($orderby=fullname)",
        "Account_Tasks($top=1;$expand=owninguser)",
        "Account_Tasks($orderby=subject),contact_customer_accounts($expand=owninguser)",
        "contact_customer_accounts($expand=Contact_Tasks($top=1))",
    ],
)
def test_limits_and_orders_are_for_collections_that_are_not_nested(client: Client, expand: str) -> None:
    """The documented refusal, also where the nested expand is at another collection."""
    message = (
        "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or nested "
        "one-to-many relationship."
    )
    assert whole_error(client.send("GET", f"accounts?$expand={expand}")) == (400, "0x80060888", message)


# Functions over several rows


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("Above", ["Root", "Middle"]),
        ("AboveOrEqual", ["Root", "Middle", "Leaf"]),
        ("Under", []),
        ("UnderOrEqual", ["Leaf"]),
        ("NotUnder", ["Root", "Middle", "Leaf", "Other"]),
    ],
)
def test_rows_of_a_hierarchy_are_found(client: Client, function: str, expected: list[str]) -> None:
    """Above and below a row, by the hierarchical lookup of its table; in OData and in FetchXML."""
    above: dict[str, str] = {}
    for name in ("Root", "Middle", "Leaf"):
        last = made(client, "accounts", name=name, **above)
        above = {"parentaccountid@odata.bind": f"accounts({last})"}
    made(client, "accounts", name="Other")
    assert names(client, f"$filter={CRM}.{function}(PropertyName='accountid',PropertyValue='{last}')") == expected
    operator = {"AboveOrEqual": "eq-or-above", "UnderOrEqual": "eq-or-under", "NotUnder": "not-under"}.get(function)
    condition = f"<condition attribute='accountid' operator='{operator or function.lower()}' value='{last}'/>"
    fetch = f"<fetch><entity name='account'><attribute name='name'/><filter>{condition}</filter></entity></fetch>"
    assert [row["name"] for row in found(client, f"accounts?fetchXml={fetch}")] == expected


def test_rows_of_the_teams_of_the_user_are_found(client: Client) -> None:
    """With and without those of the user itself."""
    who = client.send("GET", "WhoAmI").json()
    team = made(client, "teams", name="T", **{"businessunitid@odata.bind": f"businessunits({who['BusinessUnitId']})"})
    member = {"Members": [{"@odata.type": f"{CRM}.systemuser", "ownerid": who["UserId"]}]}
    assert client.send("POST", f"teams({team})/{CRM}.AddMembersTeam", member).status_code == 204
    made(client, "accounts", name="Mine")
    made(client, "accounts", name="Ours", **{"ownerid@odata.bind": f"teams({team})"})
    other = made(client, "systemusers", firstname="O", lastname="O")
    made(client, "accounts", name="Theirs", **{"ownerid@odata.bind": f"systemusers({other})"})
    assert names(client, f"$filter={CRM}.EqualUserTeams(PropertyName='ownerid')") == ["Ours"]
    assert names(client, f"$filter={CRM}.EqualUserOrUserTeams(PropertyName='ownerid')") == ["Mine", "Ours"]


def test_a_count_is_a_text_with_a_byte_order_mark(client: Client) -> None:
    """Clients must expect it, so the emulator sends it."""
    account = account_with_tasks(client, 2)
    for path in ("accounts/$count", f"accounts({account})/Account_Tasks/$count"):
        answer = client.send("GET", path)
        assert answer.content.startswith(b"\xef\xbb\xbf")
        assert answer.headers["Content-Type"] == "text/plain"
    assert client.send("GET", "tasks/$count").content == b"\xef\xbb\xbf2"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "accounts"),
        ("PATCH", "accounts"),
        ("PUT", "accounts"),
        ("PUT", "accounts({id})"),
        ("POST", "accounts({id})"),
    ],
)
def test_a_method_that_a_resource_does_not_have_is_not_allowed(
    client: Client, emulator: RunningEmulator, method: str, path: str
) -> None:
    """Collections and rows answer 405; functions and actions answer 404."""
    account = made(client, "accounts", name="A")
    answer = client.send(method, path.format(id=account), {"name": "B"})
    message = f"The requested resource does not support http method '{method}'."
    assert whole_error(answer) == (405, "0x0", message)
    assert client.names() == ["A"]
    assert emulator.stats()["requests"]["by_status"]["405"] == 1


@pytest.mark.parametrize(("entity_set", "option"), [("savedqueries", "savedQuery"), ("userqueries", "userQuery")])
def test_a_view_is_executed(client: Client, entity_set: str, option: str) -> None:
    """Its FetchXML finds the rows, and properties without a value are left out."""
    made(client, "accounts", name="A")
    made(client, "accounts", name="B")
    condition = "<filter><condition attribute='name' operator='eq' value='B'/></filter>"
    fetch = f"<fetch><entity name='account'><attribute name='name'/><attribute name='fax'/>{condition}</entity></fetch>"
    view = made(client, entity_set, name="V", returnedtypecode="account", fetchxml=fetch)
    (row,) = found(client, f"accounts?{option}={view}")
    assert row.keys() == {"@odata.etag", "name", "accountid"}
    assert row["name"] == "B"
    assert whole_error(client.send("GET", f"contacts?{option}={view}"))[:2] == (400, "0x80041102")
    absent = client.send("GET", f"accounts?{option}=00000000-0000-0000-0000-000000000009")
    assert whole_error(absent)[:2] == (404, "0x80040217")
    whole = f"The query option '{option}' is emulated for whole tables only."
    assert whole_error(client.send("GET", f"accounts/$count?{option}={view}")) == (501, "0x80040800", whole)
