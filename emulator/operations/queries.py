"""Queries on collections: filter, order, pages, counts and related rows."""

from typing import Any, Final

from emulator.messages import Request, Response, answer
from emulator.odata import Sql
from emulator.odata.paging import LARGEST_PAGE, PageMark
from emulator.operations.expansion import expand_records
from emulator.operations.reading import Record, RowShape, TableQuery
from emulator.store import sql_name

__all__ = ["COUNT_LIMIT", "collection", "count_of"]

COUNT_LIMIT: Final = 5000
_TOTAL: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
_LIMIT_EXCEEDED: Final = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"
_METADATA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"
_EVERYTHING: Final = Sql(text="1")


def _condition(asked: TableQuery, within: Sql) -> Sql:
    if asked.query.filter is None:
        return within
    compiled = asked.compiler.filter(asked.query.filter, asked.table)
    if within is _EVERYTHING:
        return compiled
    return Sql(text=f"({within.text}) AND {compiled.text}", parameters=(*within.parameters, *compiled.parameters))


def count_of(asked: TableQuery, within: Sql = _EVERYTHING) -> int:
    """Returns the number of rows that match, without the limit of the service."""
    condition = _condition(asked, within)
    statement = f"SELECT count(*) FROM {asked.sql_table} WHERE {condition.text}"
    return int(asked.environment.database.scalar(statement, condition.parameters))


class _Page:
    """The rows of one page, and the start of the next page."""

    def __init__(self, asked: TableQuery, within: Sql) -> None:
        preferred = asked.request.preferences.page_size
        # QueryData, "Use the $top query option": with a page size, $top is ignored.
        top = None if preferred else asked.query.top
        self.size = min(preferred or (LARGEST_PAGE if top is None else top), LARGEST_PAGE)
        self.mark = PageMark.parse(asked.query.skip_token)
        shape = RowShape(asked)
        name = asked.sql_table
        condition = _condition(asked, within)
        order = asked.compiler.order(asked.query.order, asked.table)
        text = f'SELECT {shape.columns}, {name}."row_" FROM {name} WHERE {condition.text}'
        parameters: tuple[Any, ...] = condition.parameters
        if order:
            text += f" ORDER BY {order}, {name}.{sql_name(asked.table.primary_id)} LIMIT ? OFFSET ?"
            parameters = (*parameters, self.size + 1, self.mark.skipped)
        else:
            text += f' AND {name}."row_" > ? ORDER BY {name}."row_" LIMIT ?'
            parameters = (*parameters, self.mark.row, self.size + 1)
        rows = asked.fetch(text, parameters)
        self.more = len(rows) > self.size and (top is None or top > LARGEST_PAGE)
        rows = rows[: self.size]
        self.records = shape.records(rows)
        self.next_mark = PageMark(
            number=self.mark.number + 1,
            row=rows[-1][-1] if rows else 0,
            skipped=self.mark.skipped + len(rows),
        )


def collection(asked: TableQuery, *, within: Sql = _EVERYTHING) -> Response:
    """Answers a query on the rows of a table, or on those that meet the condition `within`.

    Raises:
        ServiceError: A name in the query is unknown, or an option is not supported.
    """
    asked = asked.checked()
    page = _Page(asked, within)
    expand_records(asked, page.records)
    content: Record = {"@odata.context": asked.context(), **_totals(asked, within), "value": page.records}
    if page.more:
        primary_id = asked.table.primary_id
        last_id = page.records[-1][primary_id]
        content["@odata.nextLink"] = page.next_mark.link(asked.request.url, primary_id, last_id)
    return answer(content, headers=_applied(asked.request), effects=asked.read(len(page.records)))


def _totals(asked: TableQuery, within: Sql) -> Record:
    preferences = asked.request.preferences
    wants = preferences.wants
    found = count_of(asked, within) if asked.query.count else None
    content: Record = {}
    if found is not None:
        content["@odata.count"] = min(found, COUNT_LIMIT)
    if preferences.annotations:
        if wants(_TOTAL):
            content[f"@{_TOTAL}"] = -1 if found is None else min(found, COUNT_LIMIT)
        if wants(_LIMIT_EXCEEDED):
            content[f"@{_LIMIT_EXCEEDED}"] = found is not None and found > COUNT_LIMIT
        if wants(_METADATA_VERSION):
            content[f"@{_METADATA_VERSION}"] = str(asked.environment.metadata_version)
    return content


def _applied(request: Request) -> dict[str, str]:
    preferences = request.preferences
    applied = []
    if preferences.page_size:
        applied.append(f"odata.maxpagesize={min(preferences.page_size, LARGEST_PAGE)}")
    if preferences.annotations:
        applied.append(f'odata.include-annotations="{",".join(preferences.annotations)}"')
    return {"Preference-Applied": ",".join(applied)} if applied else {}
