"""Records of a table into the workspace's table `current`: page by page, straight from the response into DuckDB.

No row becomes a Python object. While one page is parsed and inserted, the next one is requested.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import duckdb

from shared.dataverse.http.answers import UnexpectedAnswer
from shared.dataverse.http.connection import PAGE_ROWS
from shared.dataverse.http.keys import QUERY_ROOM, column_in_url, lookups
from shared.dataverse.http.service import MOST_RANGES, Service
from shared.dataverse.read.page_rows import exact_digits
from shared.dataverse.read.paging import Page, first_page, following_pages, pages
from shared.dataverse.read.ranges import cut_column, cuts, range_conditions
from shared.entities import AttributeType, EntityMetadata
from shared.errors import UserError
from shared.transform.service_values import from_service
from shared.transform.targets import TargetColumn, key_columns, needs_version
from shared.workspace import Table, Workspace, json_rows, literal, quoted, writing

__all__ = [
    "READ_BY_ID",
    "ReadReport",
    "Records",
    "insert_statement",
    "keyed_queries",
    "laid_out",
    "members",
    "preference",
    "read_keyed",
    "read_queries",
    "read_table",
    "select_query",
    "selected",
    "table_query",
    "typed_members",
]

LONGEST_URL = 32_768  # characters of a GET
# Of a page: it is taken apart as it is. A file of its own costs a millisecond, and DuckDB plans a statement that reads
# a file anew each time.
FEW_BYTES = 200_000

READ_BY_ID = 500
"""Records that a query by their ids asks for, about: with all columns selected, the length of a URL is used up."""
MOST_SEQUENTIAL = 2  # below this many at once, dividing the table gains nothing


# These keep every digit; other numbers are whole, or doubles anyway.
_EXACT = frozenset({AttributeType.DECIMAL, AttributeType.MONEY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """The result of a read.

    Attributes:
        rows: Records inserted.
        pages: Answers that held them.
    """

    rows: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is read, and into which table of the workspace.

    Attributes:
        entity: The table of the service.
        layout: The columns to read.
        into: A table with the columns of `current`, which has to exist.
        stored_keys: Its `_k1` and the like are stored columns, which are filled; else they are generated.
    """

    entity: EntityMetadata
    layout: Sequence[TargetColumn]
    into: str = Table.CURRENT
    stored_keys: bool = False


def selected(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
    """Only what the run needs: the id and the layout's columns; when created, where the age of records decides."""
    columns = [entity.primary_id, *(column_in_url(column.held) for column in _read_columns(layout))]
    aged = _may_hold_duplicates(entity, layout) or any(column.by_age for column in layout)
    if aged and "createdon" in entity.attributes:
        columns.append("createdon")
    return tuple(dict.fromkeys(columns))


def _read_columns(layout: Sequence[TargetColumn]) -> list[TargetColumn]:
    """The parties of an activity are no columns that can be selected, and are not compared."""
    return [column for column in layout if not column.attribute.is_list]


def members(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
    """The members of a record that are used: the selected columns, the tables of some lookups, the version."""
    tables = (_table_of(column) for column in _read_columns(layout) if column.attribute.polymorphic)
    return (*selected(entity, layout), *tables, *([_ETAG] if needs_version(layout) else []))


def preference(layout: Sequence[TargetColumn]) -> str:
    """What a query has to prefer for the members to be there; empty for nothing."""
    several = any(column.attribute.polymorphic for column in _read_columns(layout))
    return f'odata.include-annotations="{_LOOKUP_TABLE}"' if several else ""


_LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"


def _table_of(column: TargetColumn) -> str:
    return f"{column_in_url(column.attribute)}@{_LOOKUP_TABLE}"


def _may_hold_duplicates(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> bool:
    """Unless an active alternate key keeps the sync key unique; then the age of records is not needed."""
    columns = frozenset(column.name for column in layout if column.key_part)
    key = entity.key_over(columns)
    return columns != {entity.primary_id} and not (key is not None and key.active)


_ETAG = "@odata.etag"  # in every record of an answer


def table_query(entity: EntityMetadata, layout: Sequence[TargetColumn], condition: str | None) -> str:
    """All records that a filter lets through.

    Args:
        entity: The table.
        layout: Columns to read.
        condition: An OData filter, not percent-encoded; None for all records.

    Raises:
        UserError: The URL would be longer than the service takes.
    """
    return select_query(entity, selected(entity, layout), condition, what="the target filter")


def select_query(
    entity: EntityMetadata, columns: Sequence[str], condition: str | None, *, what: str = "the query"
) -> str:
    """Some columns of all records that a filter lets through; `what` names in messages what may be too long.

    Raises:
        UserError: The URL would be longer than the service takes.
    """
    path = f"{entity.entity_set}?$select={','.join(columns)}"
    if condition:
        path += f"&$filter={quote(condition, safe=_PLAIN)}"
    if len(path) > LONGEST_URL - 200:
        raise UserError(f"{what} is too long: its URL has {len(path)} characters, {LONGEST_URL} are possible")
    return path


_PLAIN = "/=$,()'@:"


def keyed_queries(
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    keys: Iterable[Mapping[str, Any]],
    condition: str | None = None,
) -> Iterator[str]:
    """Queries for the records of some keys, as few as the URL's length allows.

    Args:
        entity: The table.
        layout: Columns to read.
        keys: Sync key column -> value, JSON-ready.
        condition: A filter that the records have to pass as well.
    """
    narrowed = f"%20and%20({quote(condition, safe=_PLAIN)})" if condition else ""
    for found in lookups(entity, keys, select=selected(entity, layout), room=QUERY_ROOM - len(narrowed)):
        yield found.path + narrowed


def read_table(workspace: Workspace, service: Service, records: Records, condition: str | None) -> ReadReport:
    """Insert all records that a filter lets through: a large table in ranges side by side, where it can be divided.

    Raises:
        UserError: The filter is too long for a URL.
        RequestRefused, AbortRun, RetryLater: As `read_queries`.
    """
    entity, layout = records.entity, records.layout
    whole = table_query(entity, layout, condition)
    column = cut_column(entity, layout)
    at_once = min(service.meter.parallelism, MOST_RANGES) * len(service.users)
    if column is None or at_once < MOST_SEQUENTIAL:
        return read_queries(workspace, service, records, [whole])
    page = first_page(service, whole, table=entity.logical_name, prefer=preference(layout))
    at = cuts(workspace, column, at_once * 2) if page.following is not None else ()
    ranges = _range_queries(records, condition, range_conditions(column, at))
    if not ranges:
        rest = following_pages(service, page, table=entity.logical_name)
        return _insert(workspace, records, chain([page], rest))
    report = read_queries(workspace, service, records, ranges, at_once=at_once)
    return replace(report, pages=report.pages + 1)


def _range_queries(records: Records, condition: str | None, parts: Iterable[str]) -> list[str]:
    """A query for each range of a table; none where the filter leaves the bounds of a range no room in the URL."""
    filters = (f"({condition}) and {part}" if condition else part for part in parts)
    try:
        return [table_query(records.entity, records.layout, each) for each in filters]
    except UserError:
        return []


def read_queries(
    workspace: Workspace, service: Service, records: Records, queries: Sequence[str], *, at_once: int = 1
) -> ReadReport:
    """Insert the records of some queries, each record once, however many of the queries find it.

    Args:
        workspace: Has the table.
        service: Sends.
        records: What is read.
        queries: Relative and percent-encoded.
        at_once: How many queries are read side by side.

    Raises:
        RequestRefused: The service refuses a query, such as a filter it does not understand.
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    table, prefer = records.entity.logical_name, preference(records.layout)
    report = _insert(workspace, records, pages(service, queries, table=table, at_once=at_once, prefer=prefer))
    if len(queries) > 1:
        workspace.execute(_unique_statement(records.into))
    return report


def _unique_statement(table: str) -> str:
    """SQL that keeps one copy of each record.

    Several queries find a record that moved from one range to another while they were read, that the service orders
    otherwise, or whose key the service takes to be equal to keys in several of them.
    """
    return f"""
DELETE FROM {table} WHERE rowid IN (
  SELECT place FROM (SELECT rowid AS place, row_number() OVER (PARTITION BY _id ORDER BY rowid) AS copy FROM {table}
    WHERE _id IN (SELECT _id FROM {table} GROUP BY _id HAVING count(*) > 1))
  WHERE copy > 1)
"""


def read_keyed(
    workspace: Workspace,
    service: Service,
    records: Records,
    keys: Iterable[Mapping[str, Any]],
    condition: str | None,
) -> ReadReport:
    """Insert the records of some keys: where that takes many queries, several of them side by side.

    Raises:
        RequestRefused, AbortRun, RetryLater: As `read_queries`.
    """
    queries = list(keyed_queries(records.entity, records.layout, keys, condition))
    at_once = 1
    if len(queries) > MOST_SEQUENTIAL:
        at_once = max(1, min(service.meter.parallelism, MOST_RANGES) * len(service.users))
    return read_queries(workspace, service, records, queries, at_once=at_once)


def _insert(workspace: Workspace, records: Records, found: Iterable[Page]) -> ReadReport:
    """The pages' records, numbered on from page to page: a page holds at most `PAGE_ROWS`."""
    entity, layout = records.entity, records.layout
    exact = [column_in_url(column.held) for column in layout if column.attribute.type in _EXACT]
    count = 0
    for count, page in enumerate(found, 1):
        rows = exact_digits(page.rows, exact)
        before = (count - 1) * PAGE_ROWS
        with _values_fit(entity):
            if len(rows) <= FEW_BYTES:
                workspace.execute(insert_statement(records, from_file=False), [before, rows.decode()])
                continue
            with laid_out(workspace, rows) as path:
                workspace.execute(insert_statement(records), [before, path])
    ((rows_read, named),) = workspace.query(f"SELECT count(*), count(_id) FROM {records.into}")
    if named < rows_read:
        raise UnexpectedAnswer(f"the service returned records of {entity.logical_name} without {entity.primary_id}")
    return ReadReport(rows=rows_read, pages=count)


@contextmanager
def _values_fit(entity: EntityMetadata) -> Iterator[None]:
    """Explain why a page cannot be loaded; DuckDB's own message would repeat a value."""
    try:
        yield
    except duckdb.Error as error:
        raise UnexpectedAnswer(
            f"the service returned records of {entity.logical_name} that do not match its metadata: a value does not "
            f"fit the type of its column, or a record is not an object"
        ) from error


@contextmanager
def laid_out(workspace: Workspace, rows: bytes) -> Iterator[str]:
    """A page's rows as a file in the workspace's folder, for as long as they are read."""
    # A different name for each page: DuckDB may keep what it has read of a file.
    file = workspace.folder / f"page-{uuid4().hex}.json"
    with writing(workspace.folder):
        file.write_bytes(rows)
    try:
        yield str(file)
    finally:
        file.unlink()


def insert_statement(records: Records, *, from_file: bool = True) -> str:
    """The statement that turns one page into rows.

    Its parameters: how many rows come before the page's; the file of its rows, or their JSON.

    Args:
        records: What is read.
        from_file: The rows come from a file.
    """
    entity, layout = records.entity, records.layout
    names = members(entity, layout)
    values = [("_seq", "$1::BIGINT + row_number() OVER ()"), *typed_members(entity, layout)]
    if from_file:
        listed = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        page = f"read_json($2, format = 'array', columns = {{{listed}}})"
    else:
        page = json_rows(dict.fromkeys(names, "VARCHAR"), parameter="$2", flat=True)
    columns = [quoted(name) for name, _ in values]
    rows = f"SELECT {', '.join(f'{sql} AS {quoted(name)}' for name, sql in values)}\nFROM {page} AS r"
    if records.stored_keys:
        keys = key_columns(layout)
        columns += [f"_k{column.key_part}" for column in keys]
        rows = f"SELECT *, {', '.join(column.key_sql for column in keys)}\nFROM ({rows})"
    return f"INSERT INTO {records.into} ({', '.join(columns)})\n{rows}"


def typed_members(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> list[tuple[str, str]]:
    """The columns of `current` that come with a record, each with the SQL of its value from the members of `r`."""
    return [
        ("_id", f"CAST({_member(entity.primary_id)} AS UUID)"),
        *([("_created", "CAST(r.createdon AS TIMESTAMP)")] if "createdon" in selected(entity, layout) else []),
        *([("_version", _member(_ETAG))] if needs_version(layout) else []),
        *((column.name, _value(column)) for column in _read_columns(layout)),
    ]


def _value(column: TargetColumn) -> str:
    table = _member(_table_of(column)) if column.attribute.polymorphic else "NULL"
    return from_service(column, _member(column_in_url(column.held)), table)


def _member(name: str) -> str:
    return f"r.{quoted(name)}"
