"""Queries of a source: pages of tables and of FetchXML as JSON arrays, and saved views."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from emulator.testing import RunningEmulator
from shared.dataverse import Dataverse, Request, Response
from shared.dataverse.http.answers import UnexpectedAnswer
from shared.dataverse.http.connection import Connection
from shared.errors import RequestRefused, UserError
from shared.fetch_xml import read_fetch
from tests.emulator.http_client import Client

Connect = Callable[..., Dataverse]
NUMBER = "<attribute name='accountnumber'/>"
JOINED = "<link-entity name='systemuser' from='systemuserid' to='createdby'><order attribute='fullname'/></link-entity>"


@pytest.fixture
def filled(emulator: RunningEmulator) -> RunningEmulator:
    with Client(emulator) as client:
        rows = [{"accountnumber": f"A&'{number:02}", "name": "x", "revenue": number} for number in range(25)]
        targets = [{"@odata.type": "Microsoft.Dynamics.CRM.account", **row} for row in rows]
        assert client.send("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets}).ok
    return emulator


def fetched(client: Dataverse, xml: str) -> list[list[dict[str, Any]]]:
    pages = client.fetched(client.entity("account"), read_fetch(xml), annotations=(), exact=("revenue",))
    return [json.loads(page) for page in pages]


@pytest.mark.parametrize("order", ["", "<order attribute='accountnumber'/>"])
def test_a_query_is_continued_with_its_paging_cookie(filled: RunningEmulator, connect: Connect, order: str) -> None:
    """Every record comes once; the last page may be full."""
    for count, sizes in ((10, [10, 10, 5]), (5, [5] * 5), (25, [25]), (5000, [25])):
        pages = fetched(
            connect(filled), f"<fetch count='{count}'><entity name='account'>{NUMBER}{order}</entity></fetch>"
        )
        assert [len(page) for page in pages] == sizes
        assert len({row["accountnumber"] for page in pages for row in page}) == 25
    sent = [entry["path"] for entry in filled.log() if "fetchXml" in entry["path"]]
    assert sum("paging-cookie" in path for path in sent) == len(sent) - 4


@pytest.mark.parametrize(
    "content",
    [
        f"{NUMBER}<attribute name='accountid'/><order attribute='accountnumber' descending='true'/>",
        f"{NUMBER}<attribute name='accountid'/>{JOINED}<order attribute='accountnumber' descending='true'/>",
    ],
    ids=["of-the-table", "with-one-of-a-joined-table"],
)
def test_a_record_that_is_edited_between_pages_is_not_passed_over(
    filled: RunningEmulator, connect: Connect, content: str
) -> None:
    """In the order of the query it would be on the first page, which was read before."""
    query = read_fetch(f"<fetch count='10'><entity name='account'>{content}</entity></fetch>")
    client = connect(filled)
    pages = client.fetched(client.entity("account"), query, annotations=(), exact=())
    first = json.loads(next(pages))
    with Client(filled) as other:
        every = other.send("GET", "accounts?$select=accountnumber").json()["value"]
        left = {row["accountid"]: row["accountnumber"] for row in every} | {row["accountid"]: "" for row in first}
        edits = [(record, f"Z{number}") for record, number in left.items() if number]
        for record, number in edits:
            other.send("PATCH", f"accounts({record})", {"accountnumber": number})
    read = {*(row["accountid"] for row in first), *(row["accountid"] for page in pages for row in json.loads(page))}
    assert (len(edits), len(read)) == (15, 25)


@pytest.mark.parametrize(("made", "sizes"), [("distinct='true' count='10'", [10, 10, 5]), ("top='25'", [25])])
def test_the_order_of_a_query_stays_where_it_says_which_records_there_are(
    filled: RunningEmulator, connect: Connect, made: str, sizes: list[int]
) -> None:
    order = "<order attribute='accountnumber' descending='true'/>"
    pages = fetched(connect(filled), f"<fetch {made}><entity name='account'>{NUMBER}{order}</entity></fetch>")
    numbers = [row["accountnumber"] for page in pages for row in page]
    assert ([len(page) for page in pages], numbers) == (sizes, sorted(numbers, reverse=True))


def test_a_query_with_top_has_one_page(filled: RunningEmulator, connect: Connect) -> None:
    """The service does not take top beside pages."""
    pages = fetched(connect(filled), f"<fetch top='7'><entity name='account'>{NUMBER}</entity></fetch>")
    assert [len(page) for page in pages] == [7]


def test_pages_of_the_definition_are_not_taken(filled: RunningEmulator, connect: Connect) -> None:
    """A query begins with its first page, whatever was copied with it."""
    xml = f"<fetch count='10' page='3' paging-cookie='x'><entity name='account'>{NUMBER}</entity></fetch>"
    assert [len(page) for page in fetched(connect(filled), xml)] == [10, 10, 5]


def test_a_table_is_read_with_a_filter(filled: RunningEmulator, connect: Connect) -> None:
    """With characters that have a meaning in URLs."""
    client = connect(filled)
    entity = client.entity("account")
    condition = "accountnumber ge 'A&''03' and accountnumber lt 'A&''06'"
    (page,) = client.rows(entity, ["accountnumber", "statecode"], condition, annotations=(), exact=())
    assert [row["accountnumber"] for row in json.loads(page)] == ["A&'03", "A&'04", "A&'05"]
    with pytest.raises(RequestRefused, match="nmae"):
        list(client.rows(entity, ["accountnumber"], "nmae eq 1", annotations=(), exact=()))


def test_a_query_that_is_too_long_is_refused(filled: RunningEmulator, connect: Connect) -> None:
    """Before it is sent, with its length."""
    client = connect(filled)
    entity = client.entity("account")
    with pytest.raises(UserError, match=r"its URL has \d{5} characters, 32768 are possible"):
        list(client.rows(entity, ["name"], f"name eq '{'x' * 40_000}'", annotations=(), exact=()))
    condition = f"<filter><condition attribute='name' operator='eq' value='{'x' * 40_000}'/></filter>"
    with pytest.raises(UserError, match="the FetchXML is too long"):
        fetched(client, f"<fetch><entity name='account'>{condition}</entity></fetch>")


def test_views_are_found_by_name(filled: RunningEmulator, connect: Connect) -> None:
    """Those of the system first; two of one name are not guessed between."""
    with Client(filled) as plain:
        for table, name, xml in (
            ("userqueries", "Mine", "<one/>"),
            ("userqueries", "Both", "<user/>"),
            ("savedqueries", "Both", "<system/>"),
            ("savedqueries", "Twice", "<a/>"),
            ("savedqueries", "Twice", "<b/>"),
        ):
            assert plain.send("POST", table, {"name": name, "returnedtypecode": "account", "fetchxml": xml}).ok
    client = connect(filled)
    entity = client.entity("account")
    assert (client.view(entity, "mine"), client.view(entity, "Both")) == ("<one/>", "<system/>")
    with pytest.raises(UserError, match="account has 2 views with the name Twice"):
        client.view(entity, "Twice")
    with pytest.raises(UserError, match=r"account has no view Min; did you mean Mine\?"):
        client.view(entity, "Min")
    with pytest.raises(UserError, match="contact has no view Mine; there are: none"):
        client.view(client.entity("contact"), "Mine")


class _Answers:
    """A transport that gives the same answer to everything."""

    def __init__(self, **content: Any) -> None:
        self.content = content
        self.sent: list[str] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request.url)
        headers = {"content-type": "application/json", "odata-version": "4.0"}
        return Response(status=200, headers=headers, body=json.dumps(self.content).encode())

    def close(self) -> None:
        """Nothing to close."""


class _Token:
    def token(self, _resource: str) -> str:
        return "token"

    def forget(self) -> None:
        """Nothing to forget."""


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"value": []}, "morerecords"),
        ({"@Microsoft.Dynamics.CRM.morerecords": "yes", "value": []}, "morerecords"),
        (
            {
                "@Microsoft.Dynamics.CRM.morerecords": True,
                "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie": "<cookie/>",
                "value": [],
            },
            "paging cookie",
        ),
        ({"@Microsoft.Dynamics.CRM.morerecords": True, "value": [{"accountid": "1"}]}, "repeat"),
    ],
)
def test_an_answer_without_a_next_link_or_an_end_is_refused(
    filled: RunningEmulator, connect: Connect, content: dict[str, Any], named: str
) -> None:
    """Records that are left out would be dropped in the target; pages that repeat would never end."""
    entity = connect(filled).entity("account")
    transport = _Answers(**content)
    client = Dataverse(Connection(service_url=filled.service_url), tokens=[_Token()], transport=transport)
    query = read_fetch(f"<fetch><entity name='account'>{NUMBER}</entity></fetch>")
    with pytest.raises(UnexpectedAnswer, match=named):
        list(client.fetched(entity, query, annotations=(), exact=()))
    client.close()
    assert len(transport.sent) <= 2
