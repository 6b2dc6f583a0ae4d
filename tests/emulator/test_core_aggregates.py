"""Aggregate queries as Microsoft documents them: fetchxml/aggregate-data; its rows, its queries, its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from emulator.operations.fetch import answer
from emulator.testing import running
from tests.emulator.http_client import Client

ALL = 'odata.include-annotations="*"'
FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
MORE = "@Microsoft.Dynamics.CRM.morerecords"
# The example of the page; what it has as "created on" is here a column that can be written.
EARLY, LATE = "2023-03-25T10:00:00Z", "2023-08-27T10:00:00Z"
ROWS: list[tuple[int | None, str, str | None, str]] = [
    (None, "Example Account", None, LATE),
    (1500, "Contoso Pharmaceuticals", "Redmond", EARLY),
    (2700, "Fabrikam, Inc.", "Lynnwood", EARLY),
    (2900, "Blue Yonder Airlines", "Los Angeles", EARLY),
    (2900, "City Power & Light", "Redmond", EARLY),
    (3900, "Coho Winery", "Phoenix", EARLY),
    (4300, "Adventure Works", "Santa Cruz", EARLY),
    (4800, "Alpine Ski House", "Missoula", EARLY),
    (6000, "Litware, Inc.", "Dallas", EARLY),
    (6200, "A. Datum Corporation", "redmond", EARLY),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running(in_thread=True) as emulator, Client(emulator) as made:
        contact = made.send("POST", "contacts", {"firstname": "Ada", "lastname": "Byron"})
        key = contact.headers["OData-EntityId"].rpartition("/")[2]
        for number, (employees, name, city, moment) in enumerate(ROWS):
            row: dict[str, Any] = {
                "numberofemployees": employees,
                "name": name,
                "address1_city": city,
                "new_expiredon": moment,
            }
            row |= {"primarycontactid@odata.bind": key} if number < 3 else {}
            row |= {"revenue": number / 10, "donotphone": number < 2}
            assert made.send("POST", "accounts", row).ok
        yield made


def aggregated(client: Client, inside: str, settings: str = "", **headers: str) -> dict[str, Any]:
    xml = f"<fetch aggregate='true' {settings}><entity name='account'>{inside}</entity></fetch>"
    found = client.send("GET", f"accounts?fetchXml={quote(xml)}", **headers)
    assert found.ok, found.text
    content: dict[str, Any] = found.json()
    return content


def column(name: str, alias: str, function: str = "", **more: str) -> str:
    about = f"aggregate='{function}'" if function else "groupby='true'"
    return f"<attribute name='{name}' alias='{alias}' {about} {' '.join(f'{k}={v!r}' for k, v in more.items())}/>"


EMPLOYEES = "numberofemployees"


def test_each_function_gives_what_the_page_shows(client: Client) -> None:
    """A single row; null values are left out, and the average of whole numbers is whole."""
    functions = {"Average": "avg", "Count": "count", "ColumnCount": "countcolumn", "Maximum": "max", "Minimum": "min"}
    inside = "".join(column(EMPLOYEES, alias, name) for alias, name in {**functions, "Sum": "sum"}.items())
    inside += column(EMPLOYEES, "Distinct", "countcolumn", distinct="true")
    assert aggregated(client, inside)["value"] == [
        {"Average": 3911, "Count": 10, "ColumnCount": 9, "Maximum": 6200, "Minimum": 1500, "Sum": 35200, "Distinct": 8}
    ]


def test_groups_are_in_the_order_of_an_alias(client: Client) -> None:
    """The example of the page: a group without values has the sum 0; texts are grouped by the collation."""
    inside = column(EMPLOYEES, "Total", "sum") + column("address1_city", "Count", "count")
    inside += column("address1_city", "City") + "<order alias='City'/>"
    found = [(row["Total"], row["Count"], row.get("City")) for row in aggregated(client, inside)["value"]]
    assert found == [
        (0, 1, None),
        (6000, 1, "Dallas"),
        (2900, 1, "Los Angeles"),
        (2700, 1, "Lynnwood"),
        (4800, 1, "Missoula"),
        (3900, 1, "Phoenix"),
        (10600, 3, "Redmond"),
        (4300, 1, "Santa Cruz"),
    ]
    ordered = inside.replace("<order alias='City'/>", "<order alias='Total' descending='true'/>")
    assert [row["Total"] for row in aggregated(client, ordered)["value"]][:3] == [10600, 6000, 4800]


def test_dates_are_grouped_by_their_parts(client: Client) -> None:
    """The example of the page, with formatted values as it shows them; it does not say the quarter."""
    inside = column(EMPLOYEES, "Total", "sum")
    inside += "".join(
        column("new_expiredon", part, dategrouping=part) for part in ("day", "week", "month", "quarter", "year")
    )
    found = aggregated(client, f"{inside}<order alias='month'/>", Prefer=ALL)["value"]
    parts = ("Total", "day", "week", "month", "quarter", "year")
    assert [tuple(row[part] for part in parts) for row in found] == [
        (35200, 25, 12, 3, 1, 2023),
        (0, 27, 35, 8, 3, 2023),
    ]
    assert (found[0][f"Total@{FORMATTED}"], found[0][f"year@{FORMATTED}"]) == ("35,200", "2,023")


def test_lookups_and_joined_tables_can_be_groups(client: Client) -> None:
    """With the annotations of a lookup; a column of a joined table is grouped, too."""
    inside = column("primarycontactid", "contact") + column("name", "rows", "count") + "<order alias='rows'/>"
    found = aggregated(client, inside, Prefer=ALL)["value"]
    assert [row["rows"] for row in found] == [3, 7]
    assert found[0][f"contact@{LOOKUP_TABLE}"] == "contact"
    assert found[0][f"contact@{FORMATTED}"].split() == ["Ada", "Byron"]
    assert "contact" not in found[1]
    owners = aggregated(client, column("ownerid", "owner") + column("name", "rows", "count"), Prefer=ALL)["value"]
    assert [(row["rows"], row[f"owner@{LOOKUP_TABLE}"]) for row in owners] == [(10, "systemuser")]
    link = "<link-entity name='contact' from='contactid' to='primarycontactid' alias='c' link-type='inner'>"
    inside = f"{link}{column('lastname', 'who')}</link-entity>{column(EMPLOYEES, 'most', 'max')}"
    assert aggregated(client, inside)["value"] == [{"who": "Byron", "most": 2700}]


def test_money_booleans_and_dates_keep_their_types(client: Client) -> None:
    """A sum of decimals has no trace of binary fractions."""
    inside = column("revenue", "sum", "sum") + column("new_expiredon", "last", "max") + column("donotphone", "phone")
    assert aggregated(client, f"{inside}<order alias='phone'/>")["value"] == [
        {"sum": 4.4, "last": EARLY, "phone": False},
        {"sum": 0.1, "last": LATE, "phone": True},
    ]


def test_filters_limit_the_rows(client: Client) -> None:
    """Without a row there is one result without groups, and none with groups."""
    condition = "<filter><condition attribute='address1_city' operator='eq' value='Redmond'/></filter>"
    count = column("name", "rows", "count")
    assert aggregated(client, count + condition)["value"] == [{"rows": 3}]
    nothing = condition.replace("Redmond", "Nowhere")
    assert aggregated(client, count + nothing + column(EMPLOYEES, "m", "max"))["value"] == [{"rows": 0}]
    assert aggregated(client, count + nothing + column("address1_city", "city"))["value"] == []


def test_groups_come_in_pages_without_a_cookie(client: Client) -> None:
    """The number of the page says where it begins; `top` takes the first ones."""
    inside = column("address1_city", "city") + column("name", "rows", "count") + "<order alias='city'/>"
    found: list[Any] = []
    for page in range(1, 4):
        content = aggregated(client, inside, f"count='3' page='{page}'", Prefer=ALL)
        found += [row.get("city") for row in content["value"]]
        assert content[MORE] is (page < 3)
        assert not [name for name in content if "cookie" in name]
    assert found == [row.get("city") for row in aggregated(client, inside)["value"]]
    assert len(aggregated(client, inside, "top='2'")["value"]) == 2


@pytest.mark.parametrize(
    ("inside", "settings", "code"),
    [
        (column("name", "rows", "count"), "aggregatelimit='9'", "0x8004E023"),
        ("<attribute name='name' aggregate='count'/>", "", "0x80040203"),
        ("<attribute name='name' alias='a'/>", "", "0x80040203"),
        ("<all-attributes/>", "", "0x80040203"),
        ("", "", "0x80040203"),
        (column("name", "a", "sum"), "", "0x80040203"),
        (column("name", "a", "median"), "", "0x80040203"),
        (column("name", "a", "count") * 2, "", "0x80040203"),
        (column("name", "a", "count", distinct="true"), "", "0x80040203"),
        (column("name", "a", dategrouping="day"), "", "0x80040203"),
        (column("new_expiredon", "a", dategrouping="hour"), "", "0x80040203"),
        (column("name", "a") + "<order attribute='name'/>", "", "0x80040203"),
        (column("name", "a") + "<order alias='b'/>", "", "0x80040203"),
        (column("wrong", "a"), "", "0x80041103"),
        (column("new_expiredon", "a", dategrouping="fiscal-year"), "", "0x80040800"),
    ],
)
def test_a_query_that_is_wrong_is_refused(client: Client, inside: str, settings: str, code: str) -> None:
    """With the documented code of the record limit, and 501 for what is not emulated."""
    xml = f"<fetch aggregate='true' {settings}><entity name='account'>{inside}</entity></fetch>"
    refused = client.send("GET", f"accounts?fetchXml={quote(xml)}")
    assert refused.status_code == (501 if code == "0x80040800" else 400)
    assert refused.json()["error"]["code"] == code


def test_more_rows_than_the_service_allows_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the query can only be lower."""
    monkeypatch.setattr(answer, "LIMIT", 9)
    for settings in ("", "aggregatelimit='20'"):
        xml = (
            f"<fetch aggregate='true' {settings}><entity name='account'>{column('name', 'a', 'count')}</entity></fetch>"
        )
        error = client.send("GET", f"accounts?fetchXml={quote(xml)}").json()["error"]
        assert error == {
            "code": "0x8004E023",
            "message": "AggregateQueryRecordLimit exceeded. Cannot perform this operation.",
        }
