"""Pages of sorted queries: each begins after the last row of the page before, whatever was written meanwhile.

The cookie has the values of the order in that row, and its identifier (fetchxml/page-results page).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

import pytest

from tests.emulator.http_client import Client, error, made

SCHEMA = """
new_Page:
  label: Page
  columns:
    new_Name: {type: String, length: 4000}
    new_Number: {type: Integer}
    new_Ratio: {type: Decimal, precision: 4}
    new_Real: {type: Double, precision: 5}
    new_Big: {type: BigInt}
    new_Day: {type: DateTime, behavior: DateOnly}
    new_Flag: {type: Boolean}
    new_Choice: {type: Picklist, options: {1: Zebra, 2: Apple, 3: "O'Hara & <Sons>"}}
    new_ParentId: {type: Lookup, targets: [account]}
"""
ODD = "a%41 & <b> \"c\" 'd'\n\te+ä"
ROWS: list[dict[str, Any]] = [
    {"new_name": "alpha", "new_number": 3, "new_ratio": 0.1, "new_flag": True, "new_choice": 1, "new_real": 1e-5},
    {"new_name": "Alpha", "new_number": 3, "new_ratio": 10.25, "new_day": "2026-01-31", "new_choice": 2},
    {"new_name": "ALPHA", "new_number": -20, "new_ratio": 9, "new_flag": False, "new_big": -(2**53)},
    {},
    {"new_name": "", "new_day": "2025-12-01", "new_flag": True, "new_big": 2**53, "new_choice": 3},
    {"new_name": ODD, "new_number": 100, "new_ratio": -3.5, "new_real": -2.25, "new_choice": 3},
    {"new_name": f"{ODD}2", "new_number": 21, "new_ratio": 0.1, "new_day": "2026-01-31", "new_flag": False},
    {"new_number": 3, "new_ratio": 10.25, "new_flag": True, "new_choice": 2, "new_real": 1e-5},
    {"new_name": "ålpha", "new_number": 21, "new_day": "2024-02-29", "new_big": 7, "new_choice": 1},
    {"new_name": "beta", "new_day": "2026-01-31", "new_real": 33.125},
]
COLUMNS = [name for name in ROWS[0] if name != "new_day"] + ["new_day", "new_big"]
ANNOTATIONS = "@Microsoft.Dynamics.CRM."


@pytest.mark.parametrize("order", ["", "&$orderby=name"])
def test_top_is_the_number_of_rows_of_all_pages(client: Client, order: str) -> None:
    """It may be larger than a page; the next page has what is left of it."""
    rows = [{"@odata.type": "Microsoft.Dynamics.CRM.account", "name": f"{number:05}"} for number in range(1000)]
    for _ in range(7):
        assert client.send("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": rows}).ok
    sizes, link = [], f"accounts?$select=name&$top=6000{order}"
    while link:
        page = client.send("GET", link).json()
        sizes.append(len(page["value"]))
        link = page.get("@odata.nextLink", "").partition("/api/data/v9.2/")[2]
    assert sizes == [5000, 1000]


@pytest.fixture
def rows(client: Client) -> list[str]:
    """Rows with equal values and without values; some refer to an account."""
    parents = [made(client, "accounts", name=name) for name in ("Same", "same", "Other")]
    found = []
    for place, row in enumerate(ROWS):
        parent = f"/accounts({parents[place % 3]})" if place % 4 else None
        bound = {"new_ParentId@odata.bind": parent} if parent else {}
        found.append(made(client, "new_pages", **{**row, **bound}))
    return found


def pages(client: Client, query: str, size: int = 2) -> Iterator[list[dict[str, Any]]]:
    """The pages of an OData query, by their links."""
    path, first = f"new_pages?{query}", True
    while first or path:
        prefer = f"odata.maxpagesize={size}"
        answer = client.send("GET", path, Prefer=prefer)
        assert answer.status_code == 200, answer.text
        yield answer.json()["value"]
        path, first = answer.json().get("@odata.nextLink", "").partition("/api/data/v9.2/")[2], False


def fetched(client: Client, inside: str, settings: str) -> dict[str, Any]:
    xml = f"<fetch {settings}><entity name='new_page'><attribute name='new_name'/>{inside}</entity></fetch>"
    answer = client.send("GET", f"new_pages?fetchXml={quote(xml)}", Prefer='odata.include-annotations="*"')
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def cookie_of(page: dict[str, Any]) -> str:
    """The cookie of the next page, as a client writes it into its query."""
    return unquote(unquote(re.findall(r'pagingcookie="([^"]*)"', page[f"{ANNOTATIONS}fetchxmlpagingcookie"])[0]))


def fetch_pages(client: Client, inside: str, size: int = 2) -> Iterator[list[dict[str, Any]]]:
    """The pages of a query in FetchXML, by their cookies."""
    cookie, number, more = "", 1, True
    while more:
        given = f"paging-cookie={quoteattr(cookie)}" if cookie else ""
        page = fetched(client, inside, f"count='{size}' page='{number}' {given}")
        yield page["value"]
        more = page[f"{ANNOTATIONS}morerecords"]
        cookie, number = cookie_of(page) if more else "", number + 1


ORDERS = [[(name, way)] for name in [*COLUMNS, "new_parentid", "createdon"] for way in ("asc", "desc")]
ORDERS += [
    [("new_number", "desc"), ("new_name", "asc"), ("new_flag", "desc")],
    [("new_choice", "asc"), ("new_ratio", "desc")],
    [("new_name", "asc"), ("new_name", "desc")],
]


@pytest.mark.parametrize("size", [1, 3])
def test_pages_have_all_rows_in_their_order(client: Client, rows: list[str], size: int) -> None:
    """By columns of each type, with nulls and equal values, in both directions."""
    for order in ORDERS:
        names = [("_new_parentid_value" if name == "new_parentid" else name, way) for name, way in order]
        option = f"$select=new_name&$orderby={','.join(f'{name} {way}' for name, way in names)}"
        (whole,) = pages(client, option, 100)
        assert [row for page in pages(client, option, size) for row in page] == whole, option
        assert sorted(row["new_pageid"] for row in whole) == sorted(rows)
        inside = "".join(
            f"<order attribute='{name}' descending='{'true' if way == 'desc' else 'false'}'/>" for name, way in order
        )
        (whole,) = fetch_pages(client, inside, 100)
        assert [row for page in fetch_pages(client, inside, size) for row in page] == whole, inside
        assert len(whole) == len(rows)


def by_odata(client: Client) -> Iterator[list[dict[str, Any]]]:
    return pages(client, "$select=new_name&$orderby=new_number desc")


def by_fetch(client: Client) -> Iterator[list[dict[str, Any]]]:
    return fetch_pages(client, "<order attribute='new_number' descending='true'/>")


def by_join(client: Client) -> Iterator[list[dict[str, Any]]]:
    link = (
        "<link-entity name='account' from='accountid' to='new_parentid' link-type='outer'><attribute name='name'/>"
        "<filter><condition attribute='name' operator='ne' value='Other'/></filter></link-entity>"
    )
    return fetch_pages(client, f"<order attribute='new_number'/>{link}")


@pytest.mark.parametrize("read", [by_odata, by_fetch, by_join])
def test_rows_that_are_deleted_between_pages_hide_no_other_row(
    client: Client, rows: list[str], read: Callable[[Client], Iterator[list[dict[str, Any]]]]
) -> None:
    seen: list[str] = []
    for page in read(client):
        for row in page:
            seen.append(row["new_pageid"])
            assert client.send("DELETE", f"new_pages({row['new_pageid']})").status_code == 204
    assert sorted(seen) == sorted(rows)


def test_pages_by_a_joined_table_have_all_rows(client: Client, rows: list[str]) -> None:
    """The service may have no cookie for them; here it counts rows."""
    link = "<link-entity name='account' from='accountid' to='new_parentid' link-type='outer'><order attribute='name'/>"
    found = [row["new_pageid"] for page in fetch_pages(client, f"{link}</link-entity>", 3) for row in page]
    assert sorted(found) == sorted(rows)


@pytest.mark.parametrize("read", [by_odata, by_fetch])
def test_rows_that_are_made_between_pages_repeat_no_other_row(
    client: Client, rows: list[str], read: Callable[[Client], Iterator[list[dict[str, Any]]]]
) -> None:
    """New rows before the place of the page are not seen, and those after it are."""
    seen: list[str] = []
    for number, page in enumerate(read(client)):
        seen += [row["new_pageid"] for row in page]
        if number < 3:
            made(client, "new_pages", new_name="before", new_number=1000)
    after = made(client, "new_pages", new_name="after")
    assert sorted(seen) == sorted(rows)
    assert after in {row["new_pageid"] for page in read(client) for row in page}


def test_the_cookie_has_the_names_of_the_documentation(client: Client, rows: list[str]) -> None:
    """A lookup and a choice are there by their names, with "name" at the end, and a null has an attribute of its own."""
    assert rows
    inside = "<order attribute='new_number'/><order attribute='new_choice'/><order attribute='new_parentid'/>"
    first = cookie_of(fetched(client, inside, "count='1' page='1'"))
    assert re.findall(r"<(\w+) (last(?:null)?)=", first) == [
        ("new_number", "lastnull"), ("new_choicename", "lastnull"), ("new_parentidname", "last"), ("new_pageid", "last"),
    ]  # fmt: skip


def test_a_cookie_of_another_page_is_ignored(client: Client, rows: list[str]) -> None:
    """page-large-result-sets-with-fetchxml: "if you request nonconsecutive pages, the paging cookie is ignored"."""
    order = "<order attribute='new_number'/>"
    whole = [row["new_pageid"] for row in fetched(client, order, "")["value"]]
    cookie = quoteattr(cookie_of(fetched(client, order, "count='2' page='1'")))
    for number in (1, 2, 4):
        page = fetched(client, order, f"count='2' page='{number}' paging-cookie={cookie}")["value"]
        assert [row["new_pageid"] for row in page] == whole[2 * number - 2 : 2 * number]
    assert len(whole) == len(rows)


def test_long_values_do_not_make_links_too_long(client: Client) -> None:
    """They are not in the cookie; such pages begin after a number of rows."""
    names = [letter * length for letter, length in (("ä", 4000), ("漢", 4000), ("😀", 2000), ("z", 4000), ("ö", 1))]
    for name in names:
        made(client, "new_pages", new_name=name)
    found = [row["new_name"] for page in pages(client, "$select=new_name&$orderby=new_name", 1) for row in page]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize("count", [10, 11, 90])
def test_many_orders_have_pages(client: Client, rows: list[str], count: int) -> None:
    terms = ",".join(["new_number desc"] * count)
    found = [row for page in pages(client, f"$select=new_name&$orderby={terms}", 4) for row in page]
    assert len(found) == len(rows)


@pytest.mark.parametrize("value", ["x", "1e999", "nan", "99999999999999999999", "-"])
def test_a_number_that_is_none_is_refused(client: Client, rows: list[str], value: str) -> None:
    assert rows
    link = client.send("GET", "new_pages?$orderby=new_number desc", Prefer="odata.maxpagesize=1").json()
    path = link["@odata.nextLink"].partition("/api/data/v9.2/")[2]
    changed = re.sub(r"last%253D%2522100%2522", f"last%253D%2522{quote(quote(value))}%2522", path)
    assert changed != path
    assert error(client.send("GET", changed)) == (400, "0x80060888")


def test_a_link_of_another_order_is_read_by_the_number_of_rows(client: Client, rows: list[str]) -> None:
    """The values are those of another column: they are not compared with this one."""
    link = client.send("GET", "new_pages?$orderby=new_number", Prefer="odata.maxpagesize=4").json()
    path = link["@odata.nextLink"].partition("/api/data/v9.2/")[2].replace("$orderby=new_number", "$orderby=new_name")
    assert len(client.send("GET", path).json()["value"]) == len(rows) - 4
