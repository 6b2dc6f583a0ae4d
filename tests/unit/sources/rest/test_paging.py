"""Pages: four kinds of pagination, where they end, and faults that would lose or duplicate rows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared.errors import UserError
from tests.api_server import ApiServer, Received, Reply, page_of
from tests.unit.sources.rest.conftest import Serve, ids, read

ROWS = [{"id": number} for number in range(25)]
ALL = [str(row["id"]) for row in ROWS]


def offsets(received: Received) -> Reply:
    """At most ten rows per page, whatever the request asks for."""
    return Reply(body={"total": len(ROWS), "items": page_of(ROWS, received)[:10]})


def numbers(received: Received) -> Reply:
    begin = (int(received.query.get("page", 1)) - 1) * 10
    return Reply(body=ROWS[begin : begin + 10])


def marks(received: Received) -> Reply:
    begin = int(received.query.get("after", "m0")[1:])
    following = f"m{begin + 10}" if begin + 10 < len(ROWS) else None
    return Reply(body={"data": ROWS[begin : begin + 10], "paging": {"next": following}})


def test_an_offset_grows_by_the_rows_that_were_read(serve: Serve) -> None:
    """A service may give smaller pages than requested; no row is left out, and an empty page is the end."""
    server = serve(offsets)
    pages = {"type": "offset", "parameter": "offset", "size": 20, "size_parameter": "limit", "total": "$.total"}
    assert ids(f"{server.url}/items?sort=id", records="$.items", pagination=pages) == ALL
    assert server.asked("offset") == ["0", "10", "20", "25"]
    assert set(server.asked("limit")) == {"20"}
    assert set(server.asked("sort")) == {"id"}


def test_pages_are_counted(serve: Serve) -> None:
    """From 1, or from another number."""
    server = serve(numbers)
    assert ids(server.url, pagination={"type": "page", "parameter": "page"}) == ALL
    assert server.asked("page") == ["1", "2", "3", "4"]
    assert ids(server.url, pagination={"type": "page", "parameter": "page", "first": 3}) == ALL[20:]


def test_a_cursor_is_sent_back(serve: Serve) -> None:
    """The first request has none; an answer without one is the last."""
    server = serve(marks)
    pages = {"type": "cursor", "parameter": "after", "next": "$.paging.next"}
    assert ids(server.url, records="$.data[*]", pagination=pages) == ALL
    assert server.asked("after") == [None, "m10", "m20"]


@pytest.mark.parametrize("last", ["", False, None])
def test_a_cursor_without_a_value_is_the_end(serve: Serve, last: Any) -> None:
    """Services write this in several ways."""
    server = serve(lambda _: Reply(body={"data": ROWS[:1], "next": last}))
    assert ids(server.url, records="$.data", pagination={"type": "cursor", "parameter": "c", "next": "$.next"}) == ["0"]


def test_a_cursor_that_is_a_number_keeps_its_digits(serve: Serve) -> None:
    """It is sent back as text."""

    def answer(received: Received) -> Reply:
        later = received.query.get("c")
        text = b'{"data": [{"id": 2}]}' if later else b'{"data": [{"id": 1}], "next": 12345678901234567890.10}'
        return Reply(body=text)

    server = serve(answer)
    assert ids(server.url, records="$.data", pagination={"type": "cursor", "parameter": "c", "next": "$.next"}) == [
        "1",
        "2",
    ]
    assert server.asked("c") == [None, "12345678901234567890.10"]


def test_an_empty_page_ends_a_cursor_unless_it_is_followed(serve: Serve) -> None:
    """Some services repeat the same cursor for ever, others skip rows that the account may not read."""

    def answer(received: Received) -> Reply:
        at = int(received.query.get("c", 0))
        rows = [{"id": at}] if at != 1 else []
        return Reply(body={"data": rows, "next": str(at + 1) if at < 2 else None})

    server = serve(answer)
    pages = {"type": "cursor", "parameter": "c", "next": "$.next"}
    assert ids(server.url, records="$.data", pagination=pages) == ["0"]
    assert ids(server.url, records="$.data", pagination={**pages, "empty_page": "follow"}) == ["0", "2"]


def link_answer(server: list[ApiServer], received: Received, relation: str = 'rel="next"') -> Reply:
    begin = int(received.query.get("from", 0))
    headers = {"Link": f"<{server[0].url}/?from={begin + 10}>; {relation}"} if begin + 10 < len(ROWS) else {}
    return Reply(body=ROWS[begin : begin + 10], headers=headers)


@pytest.mark.parametrize("relation", ['rel="next"', "rel=next", 'rel="last next"', 'title="x"; REL="NEXT"'])
def test_links_of_the_header_are_followed(serve: Serve, relation: str) -> None:
    """Written in several of the ways that RFC 8288 allows."""
    known: list[ApiServer] = []
    known.append(serve(lambda received: link_answer(known, received, relation)))
    assert ids(known[0].url, pagination={"type": "link"}) == ALL


@pytest.mark.parametrize("whole", [True, False])
def test_links_of_the_body_are_followed(serve: Serve, *, whole: bool) -> None:
    """Absolute URLs, and URLs relative to that of the answer."""
    known: list[ApiServer] = []

    def answer(received: Received) -> Reply:
        begin = int(received.query.get("from", 0))
        link = f"{known[0].url if whole else ''}/items?from={begin + 10}&q=a b"
        return Reply(body={"value": ROWS[begin : begin + 10], "nextLink": link if begin + 10 < len(ROWS) else None})

    known.append(serve(answer))
    assert ids(f"{known[0].url}/items", records="$.value", pagination={"type": "link", "next": "$.nextLink"}) == ALL
    assert known[0].asked("q") == [None, "a b", "a b"]


@pytest.mark.parametrize("pagination", [None, {"type": "link"}])
@pytest.mark.parametrize(
    ("records", "body", "path"),
    [
        ("$.value", {"value": ROWS[:3], "@odata.nextLink": "https://a/?skip=3"}, "$['@odata.nextLink']"),
        ("$.d.results", {"d": {"results": ROWS[:3], "__next": "https://a/?skip=3"}}, "$.d.__next"),
    ],
)
def test_a_link_of_odata_that_is_not_followed_is_refused(
    serve: Serve, pagination: dict[str, str] | None, records: str, body: dict[str, Any], path: str
) -> None:
    """Without pagination, and where the link is looked for in the header only: the message says how it is followed."""
    server = serve(lambda _: Reply(body=body))
    with pytest.raises(UserError, match=re.escape(f"add pagination: {{type: link, next: {path}}}")):
        ids(server.url, records=records, pagination=pagination)


@pytest.mark.parametrize("pagination", [None, {"type": "link"}])
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"value": ROWS[:3], "@odata.nextLink": "https://a/?skip=3"}, "$['@odata.nextLink']"),
        ({"d": {"results": ROWS[:3], "__next": "https://a/?skip=3"}}, "$.d.__next"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_such_a_link_is_seen_where_the_answer_is_one_record(
    serve: Serve, pagination: dict[str, str] | None, body: dict[str, Any], path: str, indent: int | None
) -> None:
    """Without `records`, the whole object is the row; on one line or on several."""
    server = serve(lambda _: Reply(body=json.dumps(body, indent=indent).encode()))
    with pytest.raises(UserError, match=re.escape(f"add pagination: {{type: link, next: {path}}}")):
        read(server.url, columns=[{"name": "$.value[*].id", "alias": "id"}], pagination=pagination)


@pytest.mark.parametrize(
    "body",
    [
        [{"id": 1, "@odata.nextLink": "x"}],
        b'{"id": 1, "@odata.nextLink": "x"}\n{"id": 2}',
        {"id": 1, "@odata.nextLink": None},
    ],
)
def test_a_link_in_one_of_several_records_is_a_value_of_it(serve: Serve, body: Any) -> None:
    """Of a list, and of an answer with a record on each line; one that is empty leads nowhere."""
    server = serve(lambda _: Reply(body=body))
    assert ids(server.url)[0] == "1"


@pytest.mark.parametrize("odd", [{"error": "too many requests"}, b' \n{"id": 7}'])
def test_an_object_after_lists_is_an_error(serve: Serve, odd: Any) -> None:
    """The records of that page would be missing."""
    server = serve(lambda received: Reply(body=odd if received.query.get("page") == "2" else [{"id": 1}]))
    with pytest.raises(UserError, match="answered with an object, but to an earlier request with a list"):
        ids(server.url, pagination={"type": "page", "parameter": "page"})


def test_null_is_a_list_without_records(serve: Serve) -> None:
    """As the last page, and as the only one."""
    server = serve(lambda received: Reply(body=[{"id": 1}] if received.query.get("page") == "1" else b" null\n"))
    assert ids(server.url, pagination={"type": "page", "parameter": "page"}) == ["1"]
    assert ids(server.url) == []


def test_an_empty_page_with_a_link_is_followed(serve: Serve) -> None:
    """OData allows it; the records after it would be dropped otherwise."""

    def answer(received: Received) -> Reply:
        at = int(received.query.get("from", 0))
        return Reply(body={"value": [{"id": at}] if at != 1 else [], **({"n": f"?from={at + 1}"} if at < 2 else {})})

    server = serve(answer)
    assert ids(server.url, records="$.value", pagination={"type": "link", "next": "$.n"}) == ["0", "2"]
    ended = {"type": "link", "next": "$.n", "empty_page": "end"}
    assert ids(server.url, records="$.value", pagination=ended) == ["0"]


def test_the_number_of_empty_pages_with_links_is_limited(serve: Serve) -> None:
    """The error says what to do."""
    server = serve(lambda received: Reply(body={"value": [], "n": f"?from={int(received.query.get('from', 0)) + 1}"}))
    with pytest.raises(UserError, match=r"100 pages in a row had no records.*empty_page: end"):
        ids(server.url, records="$.value", pagination={"type": "link", "next": "$.n"})
    assert len(server.received) == 100


def test_a_link_to_a_page_that_was_read_is_refused(serve: Serve) -> None:
    """A loop ends at once."""
    known: list[ApiServer] = []

    def answer(received: Received) -> Reply:
        later = int(received.query.get("from", 0)) + 10
        return Reply(body=ROWS[later - 10 : later], headers={"Link": f"<{known[0].url}/?from={later % 20}>; rel=next"})

    known.append(serve(answer))
    with pytest.raises(UserError, match=r"names a page as the next one that was read before|page that was read before"):
        ids(known[0].url, pagination={"type": "link"})
    assert len(known[0].received) <= 3


def test_a_repeated_cursor_is_refused(serve: Serve) -> None:
    """Also if the rows differ."""
    state = iter(range(100))
    server = serve(lambda _: Reply(body={"data": [{"id": next(state)}], "next": "same"}))
    with pytest.raises(UserError, match="as the next one that was read before; check pagination"):
        ids(server.url, records="$.data", pagination={"type": "cursor", "parameter": "c", "next": "$.next"})
    assert len(server.received) == 2


@pytest.mark.parametrize("kind", ["offset", "page"])
def test_a_service_that_ignores_the_parameter_is_reported(serve: Serve, kind: str) -> None:
    """It always answers with its first page; other members of the answer may differ."""
    state = iter(range(100))
    server = serve(lambda _: Reply(body={"asked": next(state), "data": ROWS}))
    with pytest.raises(UserError, match="answered with a page that was read before; check pagination: its parameter"):
        ids(server.url, records="$.data", pagination={"type": kind, "parameter": "offset"})
    assert len(server.received) == 2


def test_a_single_answer_with_a_next_page_is_refused(serve: Serve) -> None:
    """Without `pagination`, the rows of the other pages would be dropped."""
    server = serve(lambda _: Reply(body=ROWS, headers={"Link": '<https://a/?p=2>; rel="next"'}))
    with pytest.raises(UserError, match=r"link to a next page: add pagination: \{type: link\}"):
        ids(server.url)
    server = serve(lambda _: Reply(body={"value": ROWS, "@odata.nextLink": "https://a/?p=2"}))
    with pytest.raises(UserError, match=r"add pagination: \{type: link, next: \$\['@odata.nextLink'\]\}"):
        ids(server.url, records="$.value")


@pytest.mark.parametrize(
    ("status", "header", "told"),
    [
        (206, "0-6/9", r"\(0-6/9\)"),
        (200, "items 0-6/9", r"\(items 0-6/9\)"),
        (206, "items 2-8/9", r"\(items 2-8/9\)"),
        (206, "0-6/*", r"\(0-6/\*\)"),
        (206, "", ", so rows"),
        (206, "all of them", ", so rows"),
    ],
)
def test_a_single_answer_that_is_a_part_is_refused(serve: Serve, status: int, header: str, told: str) -> None:
    """As PostgREST and others say it in the header `Content-Range`."""
    headers = {"Content-Range": header} if header else {}
    server = serve(lambda _: Reply(status=status, body=ROWS, headers=headers))
    with pytest.raises(UserError, match=rf"a part of the records.*{told}.*add pagination to the source"):
        ids(server.url)


@pytest.mark.parametrize(("status", "header"), [(206, "items 0-6/7"), (200, "0-6/7"), (200, "0-6/*"), (200, "*/0")])
def test_a_single_answer_that_is_whole_is_taken(serve: Serve, status: int, header: str) -> None:
    server = serve(lambda _: Reply(status=status, body=ROWS, headers={"Content-Range": header}))
    assert len(ids(server.url)) == len(ROWS)


def test_a_total_that_changes_ends_the_run(serve: Serve) -> None:
    """A removed row moves another one to an offset that was read, although the numbers fit at the end."""
    rows = list(ROWS)

    def answer(received: Received) -> Reply:
        if int(received.query["offset"]) == 10:
            del rows[0]
        return Reply(body={"total": len(rows), "items": page_of(rows, received)})

    server = serve(answer)
    pages = {"type": "offset", "parameter": "offset", "total": "$.total"}
    with pytest.raises(UserError, match="the total changed from 25 to 24 while pages were read"):
        ids(server.url, records="$.items", pagination=pages)


def test_a_total_that_is_not_reached_ends_the_run(serve: Serve) -> None:
    """The service ended too early, or the pagination is wrong."""
    server = serve(lambda received: Reply(body={"total": 30, "items": page_of(ROWS, received)}))
    pages = {"type": "offset", "parameter": "offset", "total": "$.total"}
    with pytest.raises(UserError, match="25 rows were read, but the total is 30; run the sync again"):
        ids(server.url, records="$.items", pagination=pages)


@pytest.mark.parametrize("total", [None, "many", 2.5, [25], "9" * 5000, 10**18])
def test_a_total_is_a_whole_number(serve: Serve, total: Any) -> None:
    """Anything else is a mistake in `pagination.total`, also a number that no service has records for."""
    server = serve(lambda _: Reply(body={"total": total, "items": ROWS}))
    with pytest.raises(UserError, match=r"pagination.total does not find a whole number"):
        ids(server.url, records="$.items", pagination={"type": "page", "parameter": "page", "total": "$.total"})


def test_parameters_of_pages_may_be_in_the_body(serve: Serve) -> None:
    """Services that use POST need this."""
    known: list[Any] = []

    def answer(received: Received) -> Reply:
        known.append(received.json)
        return Reply(body=ROWS[received.json["from"] :][: received.json["count"]])

    server = serve(answer)
    pages = {"type": "offset", "parameter": "from", "size": 20, "size_parameter": "count", "in": "body"}
    assert ids(server.url, method="POST", body='{"q": "x"}', pagination=pages) == ALL
    assert known == [{"q": "x", "count": 20, "from": at} for at in (0, 20, 25)]
    assert {(each.method, each.headers["content-type"]) for each in server.received} == {("POST", "application/json")}


def test_row_numbers_continue_from_page_to_page(serve: Serve) -> None:
    """An element that is no record is reported with its page, and counts for the offset."""
    rows: list[Any] = [{"id": 0}, "text", {"id": 2}, {"id": 3}]
    server = serve(lambda received: Reply(body=page_of(rows, received, 3)))
    found, errors = read(server.url, pagination={"type": "offset", "parameter": "offset"})
    assert found == [("0",), ("2",), ("3",)]
    assert errors == [(2, "not an object, but text (record 2 of page 1)")]
    assert server.asked("offset") == ["0", "3", "4"]


@pytest.mark.parametrize("mark", [{"a": 1}, [1], True])
def test_a_cursor_is_a_text_or_a_number(serve: Serve, mark: Any) -> None:
    """Anything else is a mistake in `pagination.next`."""
    server = serve(lambda _: Reply(body={"data": ROWS, "next": mark}))
    with pytest.raises(UserError, match=r"the mark of the next page is not a text: check pagination\.next"):
        ids(server.url, records="$.data", pagination={"type": "cursor", "parameter": "c", "next": "$.next"})


def test_a_link_that_is_not_a_url_is_reported(serve: Serve) -> None:
    """It cannot be followed."""
    server = serve(lambda _: Reply(body={"data": ROWS, "next": "http://["}))
    with pytest.raises(UserError, match="a link to the next page that is not a URL"):
        ids(server.url, records="$.data", pagination={"type": "link", "next": "$.next"})


def test_parameters_of_pages_need_an_object_in_the_body(serve: Serve) -> None:
    """Before anything is sent."""
    server = serve(lambda _: Reply(body=ROWS))
    pages = {"type": "offset", "parameter": "from", "in": "body"}
    with pytest.raises(UserError, match=r"source\.body is not a JSON object"):
        ids(server.url, method="POST", body="[]", pagination=pages)
    assert server.received == []
