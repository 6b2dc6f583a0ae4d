"""Queries on collections: filter, order, pages, counts and related rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.errors import not_implemented
from emulator.messages import Preferences, Response, answer
from emulator.odata import Sql
from emulator.odata.paging import LARGEST_PAGE, PageMark, SortTerm, SortValue, rows_after, sort_keys
from emulator.operations.expansion import expand_records
from emulator.operations.reading import Record, RowShape, TableQuery
from emulator.store import sql_name

__all__ = ["COUNT_LIMIT", "RowsPage", "Window", "applied", "collection", "count_of", "refuse_beside", "totals"]

COUNT_LIMIT: Final = 5000
_TOTAL: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
_LIMIT_EXCEEDED: Final = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"
_METADATA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"
_EVERYTHING: Final = Sql(text="1")


def _condition(asked: TableQuery, within: Sql) -> Sql:
    if asked.query.filter is None:
        return within
    compiled = asked.compiler.filter(asked.query.filter, asked.scope)
    if within is _EVERYTHING:
        return compiled
    return Sql(text=f"({within.text}) AND {compiled.text}", parameters=(*within.parameters, *compiled.parameters))


def refuse_beside(asked: TableQuery, what: str, *, follows: Collection[str]) -> None:
    """Refuse the options that are not emulated beside another way to query.

    Args:
        asked: The query.
        what: The other way, as the message names it.
        follows: The options that it follows.

    Raises:
        ServiceError: Another option is given (501).
    """
    for name in asked.query.shaping:
        if name not in follows:
            raise not_implemented(f"The query option '{name}' together with {what} is not emulated.")


def count_of(asked: TableQuery, within: Sql = _EVERYTHING) -> int:
    """Returns the number of rows that match, without the limit of the service.

    Raises:
        ServiceError: The user of the request may not read the table (403).
    """
    asked.permit()
    condition = _condition(asked, within)
    statement = f"SELECT count(*) FROM {asked.source} WHERE {condition.text}"
    if asked.distinct:
        rows = f"SELECT 1 FROM {asked.source} WHERE {condition.text} GROUP BY {', '.join(asked.distinct)}"
        statement = f"SELECT count(*) FROM ({rows})"
    parameters = (*asked.joins.parameters, *condition.parameters)
    return int(asked.environment.database.scalar(statement, parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which rows of a query are asked for.

    Attributes:
        size: The largest number of rows.
        mark: Where they begin.
        more: Whether it matters that there are more rows.
        by_offset: `mark` counts the rows before, also where the rows have no order.
    """

    size: int
    mark: PageMark = field(default_factory=PageMark)
    more: bool = True
    by_offset: bool = False

    @classmethod
    def of(cls, asked: TableQuery) -> "Window":
        """The window of an OData query."""
        preferred = asked.request.preferences.page_size
        # QueryData, "Use the $top query option": with a page size, $top is ignored.
        top = None if preferred else asked.query.top
        mark = PageMark.parse(asked.query.skip_token)
        left = None if top is None else max(top - mark.skipped, 0)  # of the rows of all pages
        return cls(
            size=min(preferred or (LARGEST_PAGE if left is None else left), LARGEST_PAGE),
            mark=mark,
            more=left is None or left > LARGEST_PAGE,
        )


class RowsPage:
    """The rows of one page, and the start of the next page."""

    def __init__(self, asked: TableQuery, window: Window, within: Sql = _EVERYTHING) -> None:
        """Reads the rows; `keys` are the identifiers of their joined rows."""
        shape = RowShape(asked)
        name, joins = asked.sql_table, asked.joins
        order = asked.compiler.sorting(asked.query.order, asked.scope)
        condition = _condition(asked, within)
        keys = "".join(f", {key}" for key in joins.keys)
        text = f'SELECT {shape.columns}{keys}, {name}."row_" FROM {asked.source} WHERE {condition.text}'
        tail, bounds = _tail(asked, window, order)
        rows = asked.fetch(f"{text}{tail}", (*joins.parameters, *condition.parameters, *bounds))
        self.more = len(rows) > window.size and window.more
        rows = rows[: window.size]
        self.records = shape.records(rows)
        self.keys = [row[-1 - len(joins.keys) : -1] for row in rows]
        last = rows[-1][-1] if rows else 0
        values: Sequence[SortValue] = ()
        if self.more and order and _continues(asked):
            identity = sql_name(asked.table.primary_id)
            text = f"SELECT {', '.join(term.sql for term in order)} FROM {asked.source}"
            text += f' WHERE {name}.{identity} = ? AND {name}."row_" = ?'
            (values,) = asked.fetch(text, (*joins.parameters, self.records[-1][asked.table.primary_id], last))
        self.next_mark = PageMark(
            number=window.mark.number + 1,
            row=last,
            skipped=window.mark.skipped + len(rows),
            keys=sort_keys(order, values) if values else (),
        )


def _continues(asked: TableQuery) -> bool:
    """Whether a page begins after the values of the last row, and not after a number of rows.

    Queries that are sorted by a joined table may have no cookie in the service (fetchxml/page-results page).
    """
    if asked.distinct or asked.joins.multiplies:
        return False
    return not asked.joins.keys or all(len(term.operand.path) == 1 for term in asked.query.order)


def _tail(asked: TableQuery, window: Window, order: Sequence[SortTerm]) -> tuple[str, list[SortValue]]:
    """What follows the condition of a query: where its page begins, and its order, with the values for both."""
    number, joins, mark = f'{asked.sql_table}."row_"', asked.joins, window.mark
    if not (order or window.by_offset or joins.multiplies or asked.distinct):
        return f" AND {number} > ? ORDER BY {number} LIMIT ?", [mark.row, window.size + 1]
    if asked.distinct:
        groups = ", ".join(asked.distinct)
        terms = ", ".join([*(term.text for term in order), groups])
        return f" GROUP BY {groups} ORDER BY {terms} LIMIT ? OFFSET ?", [window.size + 1, mark.skipped]
    identity = f"{asked.sql_table}.{sql_name(asked.table.primary_id)}"
    terms = ", ".join([*(term.text for term in order), *([identity] if order else []), number, *joins.keys])
    after = rows_after(mark, order, (identity, number)) if _continues(asked) else None
    if after is not None:
        return f" AND {after[0]} ORDER BY {terms} LIMIT ?", [*after[1], window.size + 1]
    return f" ORDER BY {terms} LIMIT ? OFFSET ?", [window.size + 1, mark.skipped]


def collection(asked: TableQuery, *, within: Sql = _EVERYTHING) -> Response:
    """Answers a query on the rows of a table, or on those that meet the condition `within`.

    Raises:
        ServiceError: A name in the query is unknown, or an option is not supported.
    """
    asked = _with_related_pages(asked.checked())
    page = RowsPage(asked, Window.of(asked), within)
    expand_records(asked, page.records)
    content: Record = {"@odata.context": asked.context(), **totals(asked, within), "value": page.records}
    if page.more:
        primary_id = asked.table.primary_id
        last_id = page.records[-1][primary_id]
        content["@odata.nextLink"] = page.next_mark.link(asked.request.url, primary_id, last_id)
    return answer(content, headers=applied(asked.request.preferences), effects=asked.read(len(page.records)))


def _with_related_pages(asked: TableQuery) -> TableQuery:
    """Pages of expanded collections: of the preferred size, but only where an `$expand` is nested (join-tables)."""
    nested = any(expand.query.expand for expand in asked.query.expand)
    return replace(asked, linked=True, related_rows=asked.request.preferences.page_size if nested else None)


def totals(asked: TableQuery, within: Sql = _EVERYTHING) -> Record:
    """Returns the number of matching rows, as the query and its preferences ask for it."""
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


def applied(preferences: Preferences) -> dict[str, str]:
    """Returns the header that names the preferences which were followed."""
    applied = []
    if preferences.page_size:
        applied.append(f"odata.maxpagesize={min(preferences.page_size, LARGEST_PAGE)}")
    if preferences.annotations:
        applied.append(f'odata.include-annotations="{",".join(preferences.annotations)}"')
    return {"Preference-Applied": ",".join(applied)} if applied else {}
