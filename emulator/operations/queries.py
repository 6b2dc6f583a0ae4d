"""Queries on collections: filter, order, pages, counts and related rows."""

from typing import Any, Final

from emulator.environment import Environment
from emulator.messages import Effect, Request, Response, answer
from emulator.odata import Compiler, Expand, Query, Sql, check_query
from emulator.odata.paging import LARGEST_PAGE, PageMark
from emulator.operations.expansion import expand_records
from emulator.operations.reading import Record, RowShape
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["COUNT_LIMIT", "collection", "compiler", "context_columns", "count_of"]

COUNT_LIMIT: Final = 5000
_TOTAL: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
_LIMIT_EXCEEDED: Final = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"
_METADATA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"
EVERYTHING: Final = Sql(text="1")


def compiler(environment: Environment, request: Request) -> Compiler:
    """Returns the filter compiler of one request."""
    return Compiler(
        schema=environment.schema,
        collation=environment.collation,
        now=environment.clock(),
        user_id=request.caller.user_id,
        business_unit_id=request.caller.business_unit_id,
    )


def context_columns(query: Query, schema_set: str) -> str:
    """Returns the fragment of `@odata.context`: `accounts(name,revenue)`, or `accounts` for all columns."""
    parts = [
        *(query.select or ()),
        *(_expanded_context(expand) for expand in query.expand),
    ]
    return f"{schema_set}({','.join(parts)})" if parts else schema_set


def _expanded_context(expand: Expand) -> str:
    return f"{expand.name}/$ref" if expand.references else f"{expand.name}({','.join(expand.query.select or ())})"


def _condition(environment: Environment, request: Request, table: Table, query: Query, within: Sql) -> Sql:
    if query.filter is None:
        return within
    compiled = compiler(environment, request).filter(query.filter, table)
    if within is EVERYTHING:
        return compiled
    return Sql(text=f"({within.text}) AND {compiled.text}", parameters=(*within.parameters, *compiled.parameters))


def count_of(environment: Environment, request: Request, table: Table, query: Query, within: Sql = EVERYTHING) -> int:
    """Returns how many rows match, without any limit."""
    condition = _condition(environment, request, table, query, within)
    return int(
        environment.database.scalar(
            f"SELECT count(*) FROM {sql_name(table.logical_name)} WHERE {condition.text}", condition.parameters
        )
    )


class _Page:
    """The rows of one page and where the next one begins."""

    def __init__(self, environment: Environment, request: Request, table: Table, query: Query, within: Sql) -> None:
        preferred = request.preferences.page_size
        # QueryData, "Use the $top query option": with a page size, $top is ignored.
        top = None if preferred else query.top
        self.size = min(preferred or (LARGEST_PAGE if top is None else top), LARGEST_PAGE)
        self.mark = PageMark.parse(query.skip_token)
        shape = RowShape(environment, table, query, request.preferences)
        name = sql_name(table.logical_name)
        condition = _condition(environment, request, table, query, within)
        order = compiler(environment, request).order(query.order, table)
        text = f'SELECT {shape.columns}, {name}."row_" FROM {name} WHERE {condition.text}'
        parameters: tuple[Any, ...] = condition.parameters
        if order:
            text += f" ORDER BY {order}, {name}.{sql_name(table.primary_id)} LIMIT ? OFFSET ?"
            parameters = (*parameters, self.size + 1, self.mark.skipped)
        else:
            text += f' AND {name}."row_" > ? ORDER BY {name}."row_" LIMIT ?'
            parameters = (*parameters, self.mark.row, self.size + 1)
        rows = environment.database.connection.execute(text, parameters).fetchall()
        self.more = len(rows) > self.size and (top is None or top > LARGEST_PAGE)
        rows = rows[: self.size]
        self.records = shape.records(rows)
        self.next_mark = PageMark(
            number=self.mark.number + 1,
            row=rows[-1][-1] if rows else 0,
            skipped=self.mark.skipped + len(rows),
        )


def collection(
    environment: Environment,
    request: Request,
    table: Table,
    query: Query,
    *,
    within: Sql = EVERYTHING,
) -> Response:
    """Answers a query on a table's rows, or on those `within` a condition.

    Raises:
        ServiceError: A name in the query is unknown, or an option is not supported.
    """
    query = check_query(query, table, environment.schema)
    page = _Page(environment, request, table, query, within)
    expand_records(environment, request, table, query, page.records)
    content: Record = {"@odata.context": f"{request.root}$metadata#{context_columns(query, table.entity_set)}"}
    content |= _totals(environment, request, table, query, within)
    content["value"] = page.records
    if page.more:
        last_id = page.records[-1][table.primary_id]
        content["@odata.nextLink"] = page.next_mark.link(request.url, table.primary_id, last_id)
    effects = (Effect(operation="read", table=table.logical_name, count=len(page.records)),)
    return answer(content, headers=_applied(request), effects=effects)


def _totals(environment: Environment, request: Request, table: Table, query: Query, within: Sql) -> Record:
    wants = request.preferences.wants
    found = count_of(environment, request, table, query, within) if query.count else None
    content: Record = {}
    if found is not None:
        content["@odata.count"] = min(found, COUNT_LIMIT)
    if request.preferences.annotations:
        if wants(_TOTAL):
            content[f"@{_TOTAL}"] = -1 if found is None else min(found, COUNT_LIMIT)
        if wants(_LIMIT_EXCEEDED):
            content[f"@{_LIMIT_EXCEEDED}"] = found is not None and found > COUNT_LIMIT
        if wants(_METADATA_VERSION):
            content[f"@{_METADATA_VERSION}"] = str(environment.metadata_version)
    return content


def _applied(request: Request) -> dict[str, str]:
    preferences = request.preferences
    applied = []
    if preferences.page_size:
        applied.append(f"odata.maxpagesize={min(preferences.page_size, LARGEST_PAGE)}")
    if preferences.annotations:
        applied.append(f'odata.include-annotations="{",".join(preferences.annotations)}"')
    return {"Preference-Applied": ",".join(applied)} if applied else {}
