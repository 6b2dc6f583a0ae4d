"""The formats of two public APIs, each read as its documentation says."""

from __future__ import annotations

from tests.api_server import ApiServer
from tests.public_apis import CUSTOMERS, ISSUES, github, odata
from tests.unit.sources.rest.conftest import Serve, read


def test_issues_of_github_are_read_by_links(serve: Serve) -> None:
    """Labels are a list, a missing body is null; the query is that of the links."""
    known: list[ApiServer] = []
    known.append(serve(github(lambda: known[0].url)))
    columns = [
        {"name": "number"},
        {"name": "title"},
        {"name": "$.user.login", "alias": "author"},
        {"name": "$.labels[*].name", "alias": "labels"},
        {"name": "$.pull_request.url", "alias": "pull"},
        {"name": "body"},
        {"name": "request", "header": "X-GitHub-Request-Id"},
    ]
    url = f"{known[0].url}/repos/contoso/shop/issues?state=all&per_page=3"
    rows, errors = read(url, pagination={"type": "link"}, columns=columns)
    assert errors == []
    assert [row[0] for row in rows] == [str(each["number"]) for each in ISSUES]
    assert rows[0][1:4] == ('Label "7" is cut, and no one sees it 🙈', "user-7", '["bug"]')
    assert [bool(row[4]) for row in rows] == [False, False, True, False, False, False, False]
    assert (rows[0][5], rows[1][5] or None) == ("Steps:\r\n1. Print\r\n2. Look", None)
    assert [row[6] for row in rows] == ["ABCD:1"] * 3 + ["ABCD:2"] * 3 + ["ABCD:3"]
    assert known[0].asked("state") == ["all"] * 3
    assert known[0].asked("page") == [None, "2", "3"]


def test_customers_of_an_odata_service_are_read(serve: Serve) -> None:
    """Only the first page has the count, and the last page has no link."""
    known: list[ApiServer] = []
    known.append(serve(odata(lambda: known[0].url)))
    rows, errors = read(
        f"{known[0].url}/odata/Customers?$orderby=Number&$count=true",
        records="$.value",
        pagination={"type": "link", "next": "$['@odata.nextLink']", "total": "$['@odata.count']"},
        columns=[
            {"name": "Number"},
            {"name": "$.Address.City", "alias": "city"},
            {"name": "Revenue"},
            {"name": "Active"},
            {"name": "$['@odata.etag']", "alias": "etag"},
        ],
    )
    assert errors == []
    assert [row[0] for row in rows] == [each["Number"] for each in CUSTOMERS]
    assert rows[0][1:] == ("Köln", "1234.5", "true", 'W/"1"')
    assert (rows[1][1] or None, rows[1][3]) == (None, "false")
    assert known[0].asked("$skiptoken") == [None, "2", "4"]
    assert known[0].asked("$orderby") == ["Number"] * 3
