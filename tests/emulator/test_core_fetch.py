"""FetchXML as Microsoft documents it: fetchxml/retrieve-data, filter-rows, order-rows, select-columns, page-results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest

from emulator.testing import running
from tests.emulator.http_client import Client, made

PAGING = 'odata.include-annotations="Microsoft.Dynamics.CRM.fetchxmlpagingcookie,Microsoft.Dynamics.CRM.morerecords"'
COOKIE = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
MORE = "@Microsoft.Dynamics.CRM.morerecords"
ROWS: list[dict[str, Any]] = [
    {
        "name": "Fabrikam & Co",
        "address1_city": "Redmond",
        "revenue": 10,
        "numberofemployees": 5,
        "donotphone": True,
        "address1_addresstypecode": 2,
    },
    {
        "name": "Contoso",
        "address1_city": "Seattle",
        "revenue": 20.5,
        "numberofemployees": 15,
        "address1_addresstypecode": 4,
    },
    {
        "name": "Litware",
        "address1_city": "Bellevue",
        "numberofemployees": 25,
        "new_dueon": "2024-02-03",
        "address1_addresstypecode": 3,
    },
    {"name": "Adventure_Works", "revenue": 40, "new_expiredon": "2024-02-03T18:05:00Z", "address1_addresstypecode": 1},
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running(in_thread=True) as emulator, Client(emulator) as made:
        contact = made.send("POST", "contacts", {"firstname": "Ada", "lastname": "Byron"})
        key = contact.headers["OData-EntityId"].rpartition("/")[2]
        for number, row in enumerate(ROWS):
            linked = {"primarycontactid@odata.bind": key} if number == 0 else {}
            assert made.send("POST", "accounts", {**row, **linked}).ok
        yield made


def fetch(client: Client, xml: str, **headers: str) -> dict[str, Any]:
    answer = client.send("GET", f"accounts?fetchXml={quote(xml)}", **headers)
    assert answer.ok, answer.text
    found: dict[str, Any] = answer.json()
    return found


def entity(inside: str, settings: str = "") -> str:
    return f"<fetch {settings}><entity name='account'><attribute name='name'/>{inside}</entity></fetch>"


def names(client: Client, condition: str) -> list[str]:
    found = fetch(client, entity(f"<filter>{condition}</filter><order attribute='name'/>"))
    return [row["name"].partition(" ")[0] for row in found["value"]]


def refused(client: Client, xml: str) -> tuple[int, str, str]:
    answer = client.send("GET", f"accounts?fetchXml={quote(xml)}")
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_properties_that_are_null_are_left_out(client: Client) -> None:
    """retrieve-data: "FetchXML queries sent using Web API don't return properties with null values"."""
    xml = "<fetch top='5'><entity name='account'><attribute name='address1_city'/><order attribute='name'/></entity></fetch>"
    found = fetch(client, xml)["value"]
    assert [sorted(row) for row in found] == [
        ["@odata.etag", "accountid"],
        *([["@odata.etag", "accountid", "address1_city"]] * 3),
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<condition attribute='address1_city' operator='eq' value='redmond'/>", ["Fabrikam"]),
        ("<condition attribute='address1_city' operator='ne' value='Redmond'/>", ["Adventure_Works", "Contoso", "Litware"]),
        (
            "<condition attribute='address1_city' operator='in'><value>Redmond</value><value>Seattle</value></condition>",
            ["Contoso", "Fabrikam"],
        ),
        (
            "<condition attribute='numberofemployees' operator='between'><value>6</value><value>20</value></condition>",
            ["Contoso"],
        ),
        ("<condition attribute='address1_city' operator='null'/>", ["Adventure_Works"]),
        ("<condition attribute='revenue' operator='not-null'/>", ["Adventure_Works", "Contoso", "Fabrikam"]),
        ("<condition attribute='revenue' operator='ge' value='20.5'/>", ["Adventure_Works", "Contoso"]),
        ("<condition attribute='name' operator='like' value='%o%'/>", ["Adventure_Works", "Contoso", "Fabrikam"]),
        ("<condition attribute='name' operator='like' value='c%o'/>", ["Contoso"]),
        ("<condition attribute='name' operator='not-like' value='%o%'/>", ["Litware"]),
        ("<condition attribute='name' operator='begins-with' value='fab'/>", ["Fabrikam"]),
        ("<condition attribute='name' operator='ends-with' value='&amp; co'/>", ["Fabrikam"]),
        ("<condition attribute='donotphone' operator='eq' value='1'/>", ["Fabrikam"]),
        ("<condition attribute='new_dueon' operator='on' value='2024-02-03'/>", ["Litware"]),
        ("<condition attribute='new_expiredon' operator='lt' value='2024-02-04'/>", ["Adventure_Works"]),
        ("<condition attribute='createdon' operator='last-x-days' value='2'/><condition attribute='revenue' operator='lt' value='15'/>", ["Fabrikam"]),
        ("<condition attribute='ownerid' operator='ne-userid'/>", []),
        ("<condition attribute='primarycontactid' operator='not-null'/>", ["Fabrikam"]),
        ("<condition attribute='name' operator='eq' valueof='address1_city'/>", []),
        (
            (
                "<filter type='or'><condition attribute='address1_city' operator='eq' value='Seattle'/>"
                "<condition attribute='revenue' operator='gt' value='30'/></filter>"
                "<condition attribute='statecode' operator='eq' value='0'/>"
            ),
            ["Adventure_Works", "Contoso"],
        ),
    ],
)  # fmt: skip
def test_conditions(client: Client, condition: str, expected: list[str]) -> None:
    """filter-rows: conditions with one value, several or none, and nested filters."""
    assert names(client, condition) == expected


def test_rows_are_sorted_and_columns_have_aliases_and_formatted_values(client: Client) -> None:
    """select-columns, "Column aliases" and "Formatted values"."""
    xml = (
        "<fetch><entity name='account'><attribute name='revenue' alias='amount'/><attribute name='primarycontactid'/>"
        "<order attribute='revenue' descending='true'/></entity></fetch>"
    )
    found = fetch(client, xml, Prefer='odata.include-annotations="*"')["value"]
    assert [row.get("amount") for row in found] == [40, 20.5, 10, None]
    shown = "OData.Community.Display.V1.FormattedValue"
    assert (found[2][f"amount@{shown}"], found[2][f"_primarycontactid_value@{shown}"]) == ("$10.00", "Ada Byron")


LINK = "<link-entity name='contact' from='contactid' to='primarycontactid' alias='p' link-type='{}'>{}</link-entity>"
OWNER = (
    "<link-entity name='systemuser' from='systemuserid' to='ownerid' link-type='outer' alias='o'>"
    "<attribute name='fullname'/><attribute name='businessunitid' alias='unit'/></link-entity>"
)


@pytest.mark.parametrize(
    ("kind", "inside", "expected"),
    [
        ("outer", "", ["Adventure_Works", "Contoso", "Fabrikam", "Litware"]),
        ("inner", "", ["Fabrikam"]),
        ("inner", "<filter><condition attribute='lastname' operator='like' value='By%'/></filter>", ["Fabrikam"]),
        ("inner", "<filter><condition attribute='firstname' operator='in'><value>Bob</value></condition></filter>", []),
    ],
)
def test_the_row_of_a_lookup_is_joined(client: Client, kind: str, inside: str, expected: list[str]) -> None:
    """join-tables, many-to-one: its columns are named by its alias, as select-columns says."""
    columns = "<attribute name='fullname'/><attribute name='ownerid'/>"
    link = LINK.format(kind, columns + inside + OWNER)
    found = fetch(client, entity(f"{link}<order attribute='name'/>"), Prefer='odata.include-annotations="*"')["value"]
    assert [row["name"].partition(" ")[0] for row in found] == expected
    (joined,) = [row for row in found if row["name"].startswith("Fabrikam")] or [{}]
    if joined:
        assert joined["p.fullname"] == "Ada Byron"
        assert joined["p.ownerid@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
        assert joined["p.ownerid@OData.Community.Display.V1.FormattedValue"] == joined["o.fullname"]
        assert len(joined["unit"]) == 36
    assert not [key for row in found if row is not joined for key in row if key.startswith(("p.", "o."))]


LEFT_OUT = LINK.format(
    "outer",
    "<attribute name='fullname'/><filter><condition attribute='lastname' operator='eq' value='Hopper'/></filter>",
)


def test_the_filter_of_an_outer_join_leaves_out_joined_rows_only(client: Client) -> None:
    """join-tables: "outer: includes results from the parent element that don't have a match"."""
    found = fetch(client, entity(LEFT_OUT + "<order attribute='name'/>"))["value"]
    assert [row["name"] for row in found] == ["Adventure_Works", "Contoso", "Fabrikam & Co", "Litware"]
    assert not [key for row in found for key in row if key.startswith("p.")]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<condition entityname='p' attribute='lastname' operator='eq' value='Byron'/>", ["Fabrikam"]),
        ("<condition entityname='p' attribute='contactid' operator='null'/>", ["Adventure_Works", "Contoso", "Litware"]),
        (
            ("<filter type='or'><condition entityname='p' attribute='lastname' operator='eq' value='Byron'/>"
            "<condition attribute='name' operator='eq' value='Litware'/></filter>"),
            ["Fabrikam", "Litware"],
        ),
    ],
)  # fmt: skip
def test_a_condition_names_a_joined_table(client: Client, condition: str, expected: list[str]) -> None:
    """filter-rows, "Filters on link-entity": entityname applies a condition to the table after the join."""
    link = LINK.format("outer", "")
    found = fetch(client, entity(f"{link}<filter>{condition}</filter><order attribute='name'/>"))
    assert [row["name"].partition(" ")[0] for row in found["value"]] == expected


@pytest.mark.parametrize(
    ("link", "order"),
    [
        (
            "",
            "<order entityname='p' attribute='lastname' descending='true'/><order attribute='name' descending='true'/>",
        ),
        ("<order attribute='lastname' descending='true'/>", ""),
    ],
)
def test_rows_are_sorted_by_a_joined_table(client: Client, link: str, order: str) -> None:
    """order-rows, "Process link-entity orders first": by entityname, or after those of the entity itself."""
    found = fetch(client, entity(LINK.format("outer", link) + order))["value"]
    assert found[0]["name"] == "Fabrikam & Co"
    if order:
        assert [row["name"] for row in found[1:]] == ["Litware", "Contoso", "Adventure_Works"]


def test_the_orders_of_the_entity_come_first(client: Client) -> None:
    """order-rows: "first process any sort orders for entity, followed by sort orders within link-entity"."""
    link = LINK.format("outer", "<order attribute='lastname' descending='true'/>")
    found = fetch(client, entity(f"{link}<order attribute='name'/>"))["value"]
    assert [row["name"] for row in found] == ["Adventure_Works", "Contoso", "Fabrikam & Co", "Litware"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [("", ["Bill To", "Other", "Primary", "Ship To"]), ("useraworderby='true'", ["Bill To", "Ship To", "Primary", "Other"])],
)  # fmt: skip
def test_choices_are_sorted_by_their_labels(client: Client, settings: str, expected: list[str]) -> None:
    """order-rows, "Choice columns": by the formatted value, or by the number with useraworderby."""
    column, shown = "address1_addresstypecode", "OData.Community.Display.V1.FormattedValue"
    xml = entity(f"<attribute name='{column}'/><order attribute='{column}'/>", settings)
    found = fetch(client, xml, Prefer=f'odata.include-annotations="{shown}"')["value"]
    assert [row[f"{column}@{shown}"] for row in found] == expected


RELATED = "<link-entity name='account' from='primarycontactid' to='contactid' link-type='{}'>{}</link-entity>"
CONTOSO = "<filter><condition attribute='name' operator='eq' value='Contoso'/></filter>"


@pytest.fixture(scope="module")
def contacts() -> Iterator[Client]:
    """Contacts named by the accounts that they are the primary contact of: Contoso and another, only others, none."""
    with running(in_thread=True) as emulator, Client(emulator) as client:
        for last, accounts in (("Both", ["Contoso", "Litware"]), ("Other", ["Fabrikam"]), ("None", [])):
            contact = made(client, "contacts", lastname=last)
            for account in accounts:
                made(client, "accounts", name=account, **{"primarycontactid@odata.bind": f"contacts({contact})"})
        yield client


def last_names(client: Client, inside: str) -> list[str]:
    columns = "<attribute name='lastname'/><order attribute='lastname'/>"
    xml = f"<fetch><entity name='contact'>{columns}{inside}</entity></fetch>"
    answer = client.send("GET", f"contacts?fetchXml={quote(xml)}")
    assert answer.ok, answer.text
    return [row["lastname"] for row in answer.json()["value"]]


@pytest.mark.parametrize(
    ("kind", "inside", "expected"),
    [
        ("any", "", ["Both", "Other"]),
        ("any", CONTOSO, ["Both"]),
        ("not any", "", ["None"]),
        ("not any", CONTOSO, ["None", "Other"]),
        ("all", CONTOSO, ["Other"]),
        ("not all", CONTOSO, ["Both"]),
    ],
)
def test_a_filter_asks_for_related_rows(contacts: Client, kind: str, inside: str, expected: list[str]) -> None:
    """reference/link-entity, "Filter Link Types": `all` means that none satisfies the filters, `not all` is `any`."""
    assert last_names(contacts, f"<filter>{RELATED.format(kind, inside)}</filter>") == expected


def test_a_filter_asks_for_related_rows_or_something_else(contacts: Client) -> None:
    """reference/link-entity: the page's filter of the type or."""
    other = "<condition attribute='lastname' operator='eq' value='None'/>"
    assert last_names(contacts, f"<filter type='or'>{RELATED.format('any', CONTOSO)}{other}</filter>") == [
        "Both",
        "None",
    ]


@pytest.mark.parametrize("kind", ["exists", "in"])
def test_a_row_with_several_related_rows_is_found_once(contacts: Client, kind: str) -> None:
    """reference/link-entity: as inner, but "only returns the parent row at most once"."""
    assert last_names(contacts, RELATED.format(kind, "")) == ["Both", "Other"]
    assert last_names(contacts, RELATED.format(kind, CONTOSO)) == ["Both"]


def test_a_related_row_has_related_rows(contacts: Client) -> None:
    """Through the pairs of a many-to-many relationship, as in the page about joins."""
    user = contacts.send("GET", "WhoAmI").json()["UserId"]
    team = made(contacts, "teams", name="Sales")
    members = {"Members": [{"@odata.type": "Microsoft.Dynamics.CRM.systemuser", "ownerid": user}]}
    assert contacts.send("POST", f"teams({team})/Microsoft.Dynamics.CRM.AddMembersTeam", members).ok
    pairs = (
        "<link-entity name='teammembership' from='systemuserid' to='systemuserid' link-type='exists'>{}</link-entity>"
    )
    for name, users in (("Sales", [user]), ("Service", [])):
        filters = f"<filter><condition attribute='name' operator='eq' value='{name}'/></filter>"
        link = pairs.format(f"<link-entity name='team' from='teamid' to='teamid'>{filters}</link-entity>")
        xml = f"<fetch><entity name='systemuser'><attribute name='fullname'/>{link}</entity></fetch>"
        answer = contacts.send("GET", f"systemusers?fetchXml={quote(xml)}")
        assert [row["systemuserid"] for row in answer.json()["value"]] == users, answer.text


def test_a_link_to_related_rows_has_no_columns(contacts: Client) -> None:
    """reference/link-entity: "They do not allow returning column values from the link entity rows"."""
    related = RELATED.format("any", "<attribute name='name'/>")
    xml = f"<fetch><entity name='contact'><filter>{related}</filter></entity></fetch>"
    answer = contacts.send("GET", f"contacts?fetchXml={quote(xml)}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80040203")


def test_columns_of_two_tables_are_compared(client: Client) -> None:
    """filter-rows, "Cross table comparisons": valueof names the alias and the column."""
    contact = made(client, "contacts", lastname="Tailspin")
    account = made(client, "accounts", name="Tailspin", **{"primarycontactid@odata.bind": f"contacts({contact})"})
    same = "<filter><condition attribute='name' operator='eq' valueof='p.lastname'/></filter>"
    found = fetch(client, entity(LINK.format("outer", "") + same))["value"]
    assert client.send("DELETE", f"accounts({account})").ok
    assert client.send("DELETE", f"contacts({contact})").ok
    assert [row["name"] for row in found] == ["Tailspin"]


def rows_of(client: Client, table: str, xml: str, **headers: str) -> list[dict[str, Any]]:
    answer = client.send("GET", f"{table}?fetchXml={quote(xml)}", **headers)
    assert answer.ok, answer.text
    found: list[dict[str, Any]] = answer.json()["value"]
    return found


def accounts_of_contacts(kind: str, inside: str = "", settings: str = "", more: str = "") -> str:
    columns = f"<attribute name='lastname'/><order attribute='lastname'/>{more}"
    link = f"<link-entity name='account' from='primarycontactid' to='contactid' alias='a' link-type='{kind}'>{{}}</link-entity>"
    joined = link.format(f"<attribute name='name'/><order attribute='name'/>{inside}")
    return f"<fetch {settings}><entity name='contact'>{columns}{joined}</entity></fetch>"


@pytest.mark.parametrize(
    ("kind", "inside", "more", "expected"),
    [
        ("inner", "", "", [("Both", "Contoso"), ("Both", "Litware"), ("Other", "Fabrikam")]),
        ("outer", "", "", [("Both", "Contoso"), ("Both", "Litware"), ("None", None), ("Other", "Fabrikam")]),
        ("inner", CONTOSO, "", [("Both", "Contoso")]),
        ("outer", CONTOSO, "", [("Both", "Contoso"), ("None", None), ("Other", None)]),
        (
            "outer",
            "",
            "<filter><condition entityname='a' attribute='accountid' operator='null'/></filter>",
            [("None", None)],
        ),
        (
            "outer",
            CONTOSO,
            "<filter><condition entityname='a' attribute='name' operator='not-null'/></filter>",
            [("Both", "Contoso")],
        ),
    ],
)
def test_all_rows_that_refer_to_a_row_are_joined(
    contacts: Client, kind: str, inside: str, more: str, expected: list[tuple[str, str | None]]
) -> None:
    """join-tables, "One-to-many relationships": a row for each related row; the alias names its columns."""
    found = rows_of(contacts, "contacts", accounts_of_contacts(kind, inside, more=more))
    assert [(row["lastname"], row.get("a.name")) for row in found] == expected
    assert len({row["contactid"] for row in found}) == len({name for name, _ in expected})


def test_the_pages_of_joined_rows_have_all_of_them_once(contacts: Client) -> None:
    """page-results: also where a page ends between two rows of the same record."""
    found, number, more = [], 0, True
    cookie = ""
    while more:
        number += 1
        xml = accounts_of_contacts("outer", settings=f"count='1' page='{number}' {cookie}")
        answer = contacts.send("GET", f"contacts?fetchXml={quote(xml)}&$count=true", Prefer=PAGING).json()
        found += [(row["lastname"], row.get("a.name")) for row in answer["value"]]
        more = answer[MORE]
        assert answer["@odata.count"] == 4
        if more:
            encoded = re.findall(r'pagingcookie="([^"]*)"', answer[COOKIE])[0]
            cookie = f"paging-cookie='{escape(unquote(unquote(encoded)))}'"
    assert found == [("Both", "Contoso"), ("Both", "Litware"), ("None", None), ("Other", "Fabrikam")]


def test_joined_tables_without_alias_have_names(contacts: Client) -> None:
    """join-tables: the name of the table for a lookup; with a number for rows that refer to the row."""
    inner = (
        "<link-entity name='contact' from='contactid' to='primarycontactid'><attribute name='lastname'/></link-entity>"
    )
    link = f"<link-entity name='account' from='primarycontactid' to='contactid'><attribute name='name'/>{inner}</link-entity>"
    condition = "<filter><condition entityname='account' attribute='name' operator='eq' value='Fabrikam'/></filter>"
    xml = f"<fetch><entity name='contact'><attribute name='lastname'/>{link}{condition}</entity></fetch>"
    (row,) = rows_of(contacts, "contacts", xml)
    assert (row["lastname"], row["account1.name"], row["contact.lastname"]) == ("Other", "Fabrikam", "Other")


def test_both_sides_of_a_many_to_many_relationship_are_joined(contacts: Client) -> None:
    """join-tables, "Many-to-many relationships": over the table of the pairs."""
    user = contacts.send("GET", "WhoAmI").json()["UserId"]
    members = {"Members": [{"@odata.type": "Microsoft.Dynamics.CRM.systemuser", "ownerid": user}]}
    for name in ("North", "South"):
        team = made(contacts, "teams", name=name)
        assert contacts.send("POST", f"teams({team})/Microsoft.Dynamics.CRM.AddMembersTeam", members).ok
    team = (
        "<link-entity name='team' from='teamid' to='teamid' link-type='inner' alias='team'><attribute name='name'/>"
        "<attribute name='createdon'/><order attribute='name'/><filter><condition attribute='name' operator='in'>"
        "<value>South</value><value>North</value></condition></filter></link-entity>"
    )
    pairs = f"<link-entity name='teammembership' from='systemuserid' to='systemuserid' intersect='true'>{team}</link-entity>"
    xml = f"<fetch><entity name='systemuser'><attribute name='fullname'/>{pairs}</entity></fetch>"
    found = rows_of(contacts, "systemusers", xml, Prefer='odata.include-annotations="*"')
    assert [(row["systemuserid"], row["team.name"]) for row in found] == [(user, "North"), (user, "South")]
    assert found[0]["team.createdon@OData.Community.Display.V1.FormattedValue"]


def test_rows_are_joined_by_any_column(contacts: Client) -> None:
    """join-tables, "No relationship": text is compared as everywhere."""
    for name in ("Match", "Other name"):
        made(contacts, "leads", lastname=name, subject="Joined")
    made(contacts, "accounts", name="MATCH")
    link = "<link-entity name='account' from='name' to='lastname' alias='a'><attribute name='name'/></link-entity>"
    only = "<filter><condition attribute='subject' operator='eq' value='Joined'/></filter>"
    found = rows_of(
        contacts, "leads", f"<fetch><entity name='lead'><attribute name='lastname'/>{link}{only}</entity></fetch>"
    )
    assert [(row["lastname"], row["a.name"]) for row in found] == [("Match", "MATCH")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("<attribute name='lastname'/>", [{"lastname": "Both"}, {"lastname": "Other"}]),
        ("<attribute name='statecode'/>", [{"statecode": 0}]),
    ],
)
def test_equal_rows_are_answered_once(contacts: Client, columns: str, expected: list[dict[str, Any]]) -> None:
    """overview, "Return distinct results": without the primary key, because a row stands for all with its values."""
    inner = "<link-entity name='account' from='primarycontactid' to='contactid'/>"
    order = columns.replace("attribute name", "order attribute")
    query = f"<entity name='contact'>{columns}{order}{inner}</entity></fetch>"
    assert rows_of(contacts, "contacts", f"<fetch distinct='true'>{query}") == expected
    counted = f"<fetch distinct='true' returntotalrecordcount='true' count='1' page='{len(expected)}'>{query}"
    answer = contacts.send("GET", f"contacts?fetchXml={quote(counted)}").json()
    assert (answer["@odata.count"], answer["value"]) == (len(expected), expected[-1:])


def test_distinct_rows_have_the_columns_of_joined_rows(contacts: Client) -> None:
    """overview, "Return distinct results": the joined columns count; the key is there if it is selected."""
    joined = accounts_of_contacts("inner", settings="distinct='true'")
    found = rows_of(contacts, "contacts", joined)
    assert found == [
        {"lastname": "Both", "a.name": "Contoso"},
        {"lastname": "Both", "a.name": "Litware"},
        {"lastname": "Other", "a.name": "Fabrikam"},
    ]
    keyed = joined.replace("<attribute name='lastname'/>", "<attribute name='contactid'/>")
    assert [sorted(row) for row in rows_of(contacts, "contacts", keyed)] == [["@odata.etag", "a.name", "contactid"]] * 3


def test_joined_rows_are_aggregated(contacts: Client) -> None:
    """aggregate-data: the number of accounts of each contact; an outer join has contacts without one."""
    link = (
        "<link-entity name='account' from='primarycontactid' to='contactid' link-type='outer'>"
        "<attribute name='accountid' aggregate='countcolumn' alias='accounts'/></link-entity>"
    )
    group = "<attribute name='lastname' groupby='true' alias='name'/><order alias='name'/>"
    xml = f"<fetch aggregate='true'><entity name='contact'>{group}{link}</entity></fetch>"
    found = rows_of(contacts, "contacts", xml)
    assert [(row["name"], row["accounts"]) for row in found] == [("Both", 2), ("None", 0), ("Other", 1)]


@pytest.mark.parametrize("settings", ["returntotalrecordcount='true' count='3'", "count='3'"])
def test_the_rows_are_counted(client: Client, settings: str) -> None:
    """count-rows: returntotalrecordcount "has the same result as setting the OData $count query option"."""
    also = "" if settings.startswith("return") else "&$count=true"
    total = 'odata.include-annotations="Microsoft.Dynamics.CRM.totalrecordcount,Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"'
    answer = client.send("GET", f"accounts?fetchXml={quote(entity('', settings))}{also}", Prefer=total).json()
    assert (answer["@odata.count"], len(answer["value"])) == (4, 3)
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcount"] == 4
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is False


def test_the_size_of_a_page_is_that_of_the_query(client: Client) -> None:
    """page-results: pages of FetchXML have the size of count; odata.maxpagesize is for OData queries."""
    answer = client.send("GET", f"accounts?fetchXml={quote(entity(''))}", Prefer="odata.maxpagesize=2")
    assert len(answer.json()["value"]) == 4
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("option", ["$select=name", "$filter=revenue gt 10", "$top=1", "$orderby=name"])
def test_other_options_are_not_ignored(client: Client, option: str) -> None:
    """Without the refusal the answer would have other rows than the client asked for."""
    answer = client.send("GET", f"accounts?fetchXml={quote(entity(''))}&{option}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "0x80040800")
    assert option.partition("=")[0] in answer.json()["error"]["message"]


@pytest.mark.parametrize(("order", "first"), [("", "accountid"), ("<order attribute='name'/>", "name")])
def test_pages_follow_by_the_paging_cookie(client: Client, order: str, first: str) -> None:
    """page-results: the attribute of the annotation is URL-encoded twice, and the next query has it decoded."""
    found: list[str] = []
    cookie, page = "", 0
    while True:
        page += 1
        answer = fetch(client, entity(order, f"count='3' page='{page}' {cookie}"), Prefer=PAGING)
        found += [row["name"] for row in answer["value"]]
        if not answer[MORE]:
            break
        (number, encoded) = re.findall(
            r'^<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking', answer[COOKIE]
        )[0]
        assert int(number) == page + 1
        decoded = unquote(unquote(encoded))
        assert decoded.startswith(f'<cookie page="{page}"><{first} last="')
        cookie = f"paging-cookie='{escape(decoded)}'"
    assert (page, sorted(found)) == (2, sorted(row["name"] for row in ROWS))
    assert COOKIE not in answer


def test_simple_paging_needs_no_cookie(client: Client) -> None:
    """page-results, "Simple paging": page and count; without the preference there are no annotations."""
    pages = [fetch(client, entity("", f"count='3' page='{page}'")) for page in (1, 2, 3)]
    assert [len(page["value"]) for page in pages] == [3, 1, 0]
    assert not [key for page in pages for key in page if key.startswith("@Microsoft")]
    assert len({row["accountid"] for page in pages for row in page["value"]}) == 4
    assert refused(client, entity("", "count='5000' page='11'"))[0] == 400


def test_a_limit_is_no_page(client: Client) -> None:
    """page-results: "Don't use the fetch element top attribute with paging"."""
    answer = fetch(client, entity("", "top='2'"), Prefer=PAGING)
    assert (len(answer["value"]), answer[MORE]) == (2, False)
    assert refused(client, entity("", "top='2' page='1'")) == (
        400,
        "0x80040203",
        "The top attribute can't be specified with paging attribute page",
    )


def test_a_saved_view_holds_fetch_xml(client: Client) -> None:
    """retrieve-and-execute-predefined-queries: views are rows with the FetchXML of their query."""
    view = {"name": "Cities", "returnedtypecode": "account", "fetchxml": entity("")}
    for table in ("savedqueries", "userqueries"):
        assert client.send("POST", table, view).status_code == 204
        query = f"{table}?$select=name,fetchxml&$filter=name eq 'Cities' and returnedtypecode eq 'account'"
        (found,) = client.send("GET", query).json()["value"]
        assert found["fetchxml"] == entity("")


@pytest.mark.parametrize(
    ("xml", "status", "code", "named"),
    [
        ("<fetch", 400, "0x80040203", "Invalid XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><fetch/>", 400, "0x80040203", "DTD"),
        ("<query/>", 400, "0x80040203", "'query' was not expected"),
        ("<fetch/>", 400, "0x80040203", "one element 'entity'"),
        ("<fetch><entity name='contact'/></fetch>", 400, "0x80041102", "contact"),
        (entity("<attribute name='nmae'/>"), 400, "0x80041103", "Name = 'nmae'"),
        (entity("<order attribute='nmae'/>"), 400, "0x80041103", "Name = 'nmae'"),
        (entity("<filter><condition attribute='name' operator='is' value='1'/></filter>"), 400, "0x80041118", "'is'"),
        (entity("<filter><condition attribute='name' operator='eq'/></filter>"), 400, "0x80040203", "needs a value"),
        (entity("<filter><condition attribute='revenue' operator='eq' value='x'/></filter>"), 400, "0x80040203", "'x'"),
        (
            entity(f"<filter><condition attribute='numberofemployees' operator='eq' value='{'9' * 30}'/></filter>"),
            400,
            "0x80040203",
            "not of its type",
        ),
        *(
            (
                entity(f"<filter><condition attribute='{name}' operator='{how}' value='{value}'/></filter>"),
                400,
                "0x80040203",
                "not of its type",
            )
            for name, value in (
                ("revenue", "sNaN"),
                ("revenue", "Infinity"),
                ("revenue", "1_000"),
                ("numberofemployees", "1_000"),
                ("primarycontactid", "Contoso Ltd"),
                ("accountid", "x"),
                ("ownerid", "1"),
            )
            for how in ("eq", "ne")
        ),
        (entity("<filter type='nor'/>"), 400, "0x80040203", "'nor'"),
        (entity("<filter>" * 60 + "</filter>" * 60), 400, "0x80040203", "nested"),
        (entity("<colour/>"), 400, "0x80040203", "'colour'"),
        (entity("", "cout='3'"), 400, "0x80040203", "'cout'"),
        (entity("", "count='x'"), 400, "0x80040203", "positive"),
        (entity("", "count='2' page='2' paging-cookie='x'"), 400, "0x80060888", "Paging Cookie"),
        (entity("<link-entity name='nothing' from='a' to='b'/>"), 400, "0x80040203", "'nothing'"),
        (entity("<link-entity name='contact' from='contactid' to='nmae'/>"), 400, "0x80041103", "Name = 'nmae'"),
        (
            entity("<link-entity name='contact' from='parentcustomerid' to='name'/>"),
            400,
            "0x80060888",
            "incompatible types",
        ),
        (entity("<link-entity name='contact' from='contactid' to='accountid'/>" * 16), 400, "0x8004430D", "exceeded"),
        (entity(LINK.format("outer", "") * 2), 400, "0x80040203", "'p' is not unique"),
        (
            entity("<link-entity name='contact' from='contactid' to='primarycontactid' link-type='natural'/>"),
            501,
            "0x0",
            "inner, outer, exists and in",
        ),
        (entity("", "aggregate='true'"), 400, "0x80040203", "'name' needs an alias"),
        (entity("<order alias='x'/>"), 501, "0x0", "order"),
        (entity("<order attribute='name' entityname='x'/>"), 400, "0x80040203", "'x' is no alias"),
        (entity("", "top='2' returntotalrecordcount='true'"), 400, "0x80040203", "returntotalrecordcount"),
    ],
)
def test_what_is_refused_and_what_is_not_emulated(client: Client, xml: str, status: int, code: str, named: str) -> None:
    """One sentence; the codes are those of the web-service-error-codes page where it has one."""
    found = refused(client, xml)
    assert found[0] == status
    assert named in found[2]
    if status == 400:
        assert found[1] == code


def test_a_query_on_related_rows_is_not_emulated(client: Client) -> None:
    """Without the refusal the answer would have all related rows."""
    (row, *_) = client.send("GET", "contacts?$select=contactid").json()["value"]
    path = f"contacts({row['contactid']})/account_primary_contact?fetchXml={quote(entity(''))}"
    assert client.send("GET", path).status_code == 501
