"""`$apply` over HTTP: the queries of the page "Aggregate data using OData", and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.http_client import Client, made, whole_error

FORMATTED = "OData.Community.Display.V1.FormattedValue"


@pytest.fixture(autouse=True)
def rows(client: Client) -> None:
    """Three active accounts in WA and an inactive one."""
    contacts = [made(client, "contacts", firstname=name, lastname="L") for name in ("Jim", "Maria")]
    for number, (revenue, contact) in enumerate([(10000, 0), (80000, 1), (5.5, 1)]):
        made(
            client,
            "accounts",
            **{
                "name": f"A{number}",
                "revenue": revenue,
                "numberofemployees": number,
                "address1_stateorprovince": "WA",
                "primarycontactid@odata.bind": f"contacts({contacts[contact]})",
            },
        )
    last = made(client, "accounts", name="A3", accountcategorycode=1)
    assert client.send("PATCH", f"accounts({last})", {"statecode": 1, "statuscode": 2}).status_code == 204


def applied(client: Client, text: str, **headers: str) -> list[dict[str, Any]]:
    answer = client.send("GET", f"accounts?$apply={text}", **headers)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["@odata.context"].endswith("$metadata#accounts")
    values: list[dict[str, Any]] = content["value"]
    return values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("groupby((statuscode))", [{"statuscode": 1}, {"statuscode": 2}]),
        (
            "groupby((statuscode),aggregate($count as count))",
            [{"statuscode": 1, "count": 3}, {"statuscode": 2, "count": 1}],
        ),
        ("aggregate(revenue with sum as total)", [{"total": 90005.5}]),
        (
            "groupby((statuscode),aggregate(numberofemployees with average as mean))",
            [{"statuscode": 1, "mean": 1}, {"statuscode": 2}],
        ),
        (
            "groupby((primarycontactid/fullname),aggregate(revenue with max as most,revenue with min as least))",
            [
                {},
                {"contact_fullname": "Jim L", "most": 10000, "least": 10000},
                {"contact_fullname": "Maria L", "most": 80000, "least": 5.5},
            ],
        ),
        (
            "filter(address1_stateorprovince eq 'wa')/groupby((primarycontactid/fullname))",
            [{"contact_fullname": "Jim L"}, {"contact_fullname": "Maria L"}],
        ),
        (
            "filter(revenue gt 6)/filter(contains(name,'/') or name ne 'A0')/aggregate($count as n)",
            [{"n": 1}],
        ),
        (
            "groupby((statecode,accountcategorycode))",
            [{"statecode": 0}, {"statecode": 1, "accountcategorycode": 1}],
        ),
        ("groupby((creditonhold),aggregate($count as n))", [{"creditonhold": False, "n": 4}]),
    ],
)
def test_rows_are_grouped_and_aggregated(client: Client, text: str, expected: list[dict[str, Any]]) -> None:
    """Groups leave out what is null; a column of a related row has the name of its table in front."""
    assert applied(client, text) == expected


def test_moments_have_a_first_and_a_last(client: Client) -> None:
    """As points in time."""
    (row,) = applied(client, "aggregate(createdon with min as first,createdon with max as last)")
    assert row["first"] <= row["last"]
    assert row["last"].endswith("Z")


def test_values_are_formatted_on_request(client: Client) -> None:
    """Choices by label, amounts with their symbol, lookups by name, and numbers of rows."""
    prefer = f'odata.include-annotations="{FORMATTED}"'
    text = "groupby((statuscode,_primarycontactid_value),aggregate($count as n,revenue with sum as total))"
    row = next(one for one in applied(client, text, Prefer=prefer) if one["total"] == 80005.5)
    shown = {name.partition("@")[0]: value for name, value in row.items() if name.endswith(FORMATTED)}
    assert shown == {"statuscode": "Active", "_primarycontactid_value": "Maria L", "n": "2", "total": "$80,005.50"}


def test_groups_are_ordered_limited_and_paged(client: Client) -> None:
    """By a column of the groups; the pages follow the links."""
    descending = applied(client, "groupby((name))&$orderby=name desc&$top=2")
    assert [row["name"] for row in descending] == ["A3", "A2"]
    first = client.send("GET", "accounts?$apply=groupby((name))", Prefer="odata.maxpagesize=3").json()
    rest = client.send("GET", first["@odata.nextLink"].partition("/v9.2/")[2], Prefer="odata.maxpagesize=3").json()
    assert [[row["name"] for row in page["value"]] for page in (first, rest)] == [["A0", "A1", "A2"], ["A3"]]
    assert "@odata.nextLink" not in rest


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        (
            "$apply=groupby((statuscode),aggregate($count as n))&$orderby=n",
            (501, "0x8006088a", "The query node SingleValueOpenPropertyAccess is not supported"),
        ),
        ("$apply=groupby((createdon))", (400, "0x80060888", "groupby with datetime values is not supported.")),
        (
            "$apply=groupby((foo))",
            (400, "0x0", "Could not find a property named 'foo' on type 'Microsoft.Dynamics.CRM.account'."),
        ),
        (
            "$apply=aggregate(name with sum as x)",
            (400, "0x80060888", "The aggregation method 'sum' can't be used for 'name'."),
        ),
        (
            "$apply=aggregate(name with countdistinct as x)",
            (400, "0x80060888", "The aggregation method 'countdistinct' can't be used for 'name'."),
        ),
        ("$apply=groupby(name)", (400, "0x80060888", "The query option '$apply' is not well formed: 'name'.")),
        ("$apply=", (400, "0x80060888", "The query option '$apply' is not well formed: ''.")),
        (
            "$apply=groupby((name),aggregate($count as name))",
            (400, "0x80060888", "The alias 'name' of '$apply' is not unique."),
        ),
        (
            "$apply=groupby((name))&$filter=name eq 'A0'",
            (501, "0x80040800", "The query option '$filter' together with '$apply' is not emulated."),
        ),
        (
            "$apply=groupby((name))/aggregate($count as n)",
            (501, "0x80040800", "In '$apply', only filters followed by one groupby or aggregate are emulated."),
        ),
    ],
)
def test_other_queries_are_refused(client: Client, query: str, refused: tuple[int, str, str]) -> None:
    """As the page says, or as what is not emulated."""
    assert whole_error(client.send("GET", f"accounts?{query}")) == refused


def test_single_rows_are_not_aggregated(client: Client) -> None:
    """The option is for whole tables."""
    account = made(client, "accounts", name="B")
    message = "The query option '$apply' is emulated for whole tables only."
    for path in (f"accounts({account})", f"accounts({account})/Account_Tasks"):
        answer = client.send("GET", f"{path}?$apply=aggregate($count as n)")
        assert whole_error(answer) == (501, "0x80040800", message)
