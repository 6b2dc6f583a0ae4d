"""The answer to a FetchXML query: rows without nulls, and the annotations of its pages (fetchxml/page-results page)."""

import re
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from emulator.errors import ServiceError
from emulator.messages import Response, answer
from emulator.odata.paging import PageMark
from emulator.operations.expansion import expand_records
from emulator.operations.fetch.document import Fetch, parse_fetch
from emulator.operations.fetch.links import expansions, flattened
from emulator.operations.queries import RowsPage, Window, applied, totals
from emulator.operations.reading import Record, TableQuery

__all__ = ["fetched"]

_COOKIE: Final = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_MORE: Final = "Microsoft.Dynamics.CRM.morerecords"
_SIMPLE_ROWS: Final = 50_000  # page-results page: "The total number of rows ... using simple paging is 50,000"


def fetched(asked: TableQuery, text: str) -> Response:
    """Answers a FetchXML query on the rows of a table.

    Raises:
        ServiceError: The query is refused, or a part of it is not emulated (501).
    """
    fetch = parse_fetch(text, asked.table, asked.environment.schema)
    query = replace(asked.query, select=fetch.attributes, filter=fetch.condition, order=fetch.order)
    asked = replace(asked, query=replace(query, expand=expansions(fetch.links)))
    page = RowsPage(asked, _window(fetch))
    expand_records(asked, page.records)
    records = [_shaped(record, fetch) for record in page.records]
    wants = asked.request.preferences.wants
    content: Record = {"@odata.context": asked.context(), **totals(asked)}
    if asked.request.preferences.annotations:
        if page.more and wants(_COOKIE):
            last = str(page.records[-1][asked.table.primary_id])
            content[f"@{_COOKIE}"] = _cookie(fetch, page.next_mark, asked.table.primary_id, last)
        if wants(_MORE):
            content[f"@{_MORE}"] = page.more
    content["value"] = records
    return answer(content, headers=applied(asked.request), effects=asked.read(len(records)))


def _window(fetch: Fetch) -> Window:
    if fetch.top is not None:
        return Window(size=min(fetch.top, fetch.count), more=False)
    if fetch.cookie is not None:
        mark = PageMark.placed(fetch.cookie)
        return Window(size=fetch.count, mark=replace(mark, number=fetch.page))
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
    flat = flattened(record, fetch.links)
    shaped = {name: value for name, value in flat.items() if value is not None}
    if not fetch.aliases:
        return shaped
    renamed = {}
    for name, value in shaped.items():
        column, at, annotation = name.partition("@")
        renamed[f"{fetch.aliases.get(column, column)}{at}{annotation}" if column else name] = value
    return renamed
