"""The answer to a FetchXML query: rows without nulls, and the annotations of its pages (fetchxml/page-results page)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element

from emulator.errors import ServiceError, not_implemented, record_not_found
from emulator.messages import Response, answer
from emulator.odata.nodes import Property
from emulator.odata.paging import PageMark
from emulator.operations.aggregates.terms import LIMIT, group_records, limit_exceeded, rows_of
from emulator.operations.fetch.aggregates import order_of, terms_of
from emulator.operations.fetch.conditions import is_true
from emulator.operations.fetch.document import (
    Fetch,
    counts_rows,
    parse_fetch,
    positive_number,
    read_document,
    window_of,
)
from emulator.operations.fetch.links import condition_of, joins_of, links_of, orders_of, with_joined_rows
from emulator.operations.queries import RowsPage, Window, applied, count_of, refuse_beside, totals
from emulator.operations.reading import Record, TableQuery, readable
from emulator.store.values import guid_text

__all__ = ["fetched", "predefined"]

_COOKIE: Final = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_MORE: Final = "Microsoft.Dynamics.CRM.morerecords"
_SIMPLE_ROWS: Final = 50_000  # page-results page: "The total number of rows ... using simple paging is 50,000"


def fetched(asked: TableQuery, text: str) -> Response:
    """Answers a FetchXML query on the rows of a table.

    Raises:
        ServiceError: The query is refused, or a part of it is not emulated (501).
    """
    refuse_beside(asked, "FetchXML", follows=("$count",))
    root, entity = read_document(text, asked.table)
    if is_true(root.get("aggregate")):
        if root.get("datasource") == "bin":
            raise not_implemented("Aggregates of deleted rows are not emulated.")
        return _aggregated(asked, root, entity)
    fetch = parse_fetch(root, entity, asked.table, asked.environment.schema)
    if root.get("datasource") == "bin":
        asked = replace(asked, deleted=True)
    query = replace(asked.query, select=fetch.attributes, filter=fetch.condition, order=fetch.order)
    joins = joins_of(fetch.links, asked.table, asked.environment.schema, asked.compiler)
    asked = replace(asked, query=replace(query, count=query.count or counts_rows(root)), joins=joins)
    if is_true(root.get("distinct")):
        asked = replace(asked, distinct=tuple(_compared(asked, fetch)))
    page = RowsPage(asked, _window(fetch))
    own = [_selected(record, asked) for record in page.records] if asked.distinct else page.records
    rows = with_joined_rows(asked, fetch.links, own, page.keys)
    records = [_shaped(record, fetch) for record in rows]
    wants = asked.request.preferences.wants
    content: Record = {"@odata.context": asked.context(), **totals(asked)}
    if asked.request.preferences.annotations:
        if page.more and wants(_COOKIE):
            last = str(page.records[-1][asked.table.primary_id])
            content[f"@{_COOKIE}"] = _cookie(fetch, page.next_mark, asked.table.primary_id, last)
        if wants(_MORE):
            content[f"@{_MORE}"] = page.more
    content["value"] = records
    return answer(content, headers=_applied(asked), effects=asked.read(len(records)))


def _compared(asked: TableQuery, fetch: Fetch) -> Iterator[str]:
    """The SQL of all columns of the answer, as texts are compared."""
    columns = [*(asked.query.select or readable(asked.table))]
    joined = [(link.variable, name) for link in fetch.links for name, _ in link.columns]
    for path in (*((name,) for name in columns), *joined):
        yield asked.compiler.value(Property(path=path), asked.scope)[1]


def _selected(record: Record, asked: TableQuery) -> Record:
    """A row of a distinct query: without its key and ETag, if the query does not select the key (overview page)."""
    selected = asked.query.select or readable(asked.table)
    if asked.table.primary_id in selected:
        return record
    return {name: value for name, value in record.items() if name.partition("@")[0] in selected}


def _applied(asked: TableQuery) -> dict[str, str]:
    """The preferences that were followed: the size of a page is that of the query."""
    preferences = replace(asked.request.preferences, page_size=None)
    return applied(preferences)


def predefined(asked: TableQuery) -> Response | None:
    """Answers `?savedQuery=` and `?userQuery=`: the FetchXML of a view (retrieve-and-execute-predefined-queries page).

    Returns:
        The answer, or None if the request names no view.

    Raises:
        ServiceError: There is no such view (404), or its query is refused.
    """
    given = {name.lower(): value for name, value in asked.query.custom.items()}
    for kind in ("savedquery", "userquery"):
        if kind in given:
            return fetched(asked, _fetch_xml_of(asked, kind, given[kind]))
    return None


def _fetch_xml_of(asked: TableQuery, kind: str, text: str) -> str:
    table, view_id = asked.environment.schema.tables[kind], guid_text(text)
    rows = asked.environment.rows(table)
    number = rows.by_id(view_id)
    found = rows.fetch(number, ("fetchxml",)) if number is not None else None
    if found is None:
        raise record_not_found(kind, view_id)
    return str(found[0] or "")


def _aggregated(asked: TableQuery, root: Element, entity: Element) -> Response:
    """Answers an aggregate query: a row for each group, without ETag and id."""
    schema = asked.environment.schema
    links = links_of(entity, asked.table, schema)
    if asked.query.count or counts_rows(root):
        raise not_implemented("The number of groups of an aggregate query is not emulated.")
    if any(orders_of(links)):
        raise not_implemented("Orders in a join of an aggregate query are not emulated.")
    found = condition_of(entity, asked.table, schema, links)
    joins = joins_of(links, asked.table, schema, asked.compiler)
    asked = replace(asked, query=replace(asked.query, select=None, filter=found), joins=joins)
    terms = terms_of(asked, entity, links)
    counted = count_of(asked)
    if counted > min(positive_number(root, "aggregatelimit") or LIMIT, LIMIT):
        raise limit_exceeded()
    top, size, number = window_of(root)
    size = min(top, size) if top is not None else size
    rows = rows_of(asked, terms, order_of(entity, terms), (size + 1, (number - 1) * size))
    content: Record = {"@odata.context": asked.context()}
    if asked.request.preferences.wants(_MORE):
        content[f"@{_MORE}"] = len(rows) > size and top is None
    content["value"] = group_records(asked, terms, rows[:size])
    return answer(content, headers=_applied(asked), effects=asked.read(counted))


def _window(fetch: Fetch) -> Window:
    """The rows of the page; a cookie of another page than the one before is ignored (page-large-result-sets page)."""
    if fetch.top is not None:
        return Window(size=min(fetch.top, fetch.count), more=False)
    mark = PageMark.placed(fetch.cookie) if fetch.cookie is not None else None
    if mark is not None and mark.number == fetch.page:
        return Window(size=fetch.count, mark=mark)
    skipped = (fetch.page - 1) * fetch.count
    if skipped + fetch.count > _SIMPLE_ROWS and fetch.page > 1:
        raise ServiceError(
            400, "0x80040203", "Paging without a paging cookie can't return more than 50,000 rows of a query."
        )
    return Window(size=fetch.count, mark=PageMark(number=fetch.page, skipped=skipped), by_offset=fetch.page > 1)


def _cookie(fetch: Fetch, mark: PageMark, primary_id: str, last_id: str) -> str:
    """The annotation: an XML element whose attribute is the cookie of this page, URL-encoded twice."""
    cookie = mark.cookie(primary_id, last_id)
    escaped = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(quote(cookie, safe=""), safe=""))
    return f'<cookie pagenumber="{fetch.page + 1}" pagingcookie="{escaped}" istracking="False" />'


def _shaped(record: Record, fetch: Fetch) -> Record:
    """A row without the properties that are null (retrieve-data page), under the aliases of its columns."""
    shaped = {name: value for name, value in record.items() if value is not None}
    if not fetch.aliases:
        return shaped
    renamed = {}
    for name, value in shaped.items():
        column, at, annotation = name.partition("@")
        renamed[f"{fetch.aliases.get(column, column)}{at}{annotation}" if column else name] = value
    return renamed
