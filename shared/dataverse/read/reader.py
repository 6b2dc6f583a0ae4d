"""Records of a table into the workspace's table `current`: page by page, straight from the response text into DuckDB.

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
from shared.dataverse.http.keys import column_in_url, lookups
from shared.dataverse.http.service import MOST_RANGES, Service
from shared.dataverse.read.page_rows import exact_digits
from shared.dataverse.read.paging import PAGE_ROWS, Page, first_page, following_pages, pages
from shared.dataverse.read.ranges import cut_column, cuts, range_conditions
from shared.entities import AttributeType, EntityMetadata
from shared.errors import UserError
from shared.transform.service_values import from_service
from shared.transform.targets import TargetColumn, needs_version
from shared.workspace import Workspace, json_rows, literal, quoted

__all__ = [
    "ReadReport",
    "insert_statement",
    "keyed_queries",
    "members",
    "read_queries",
    "read_table",
    "selected",
    "table_query",
    "typed_members",
]

LONGEST_URL = 32_768  # characters of a GET
FEW_CHARACTERS = 20_000  # of a page: taken apart as they are, since a file of its own costs a millisecond

MOST_SEQUENTIAL = 2  # below this many at once, dividing the table gains nothing

# A record that moved between ranges while they were read, or that the service orders otherwise, was read twice.
_UNIQUE = """
DELETE FROM current WHERE _seq IN (
  SELECT _seq FROM (SELECT _seq, row_number() OVER (PARTITION BY _id ORDER BY _seq) AS copy FROM current
    WHERE _id IN (SELECT _id FROM current GROUP BY _id HAVING count(*) > 1))
  WHERE copy > 1)
"""

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


def selected(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
    """Only what the run needs: the id and the layout's columns; when created, where duplicates of the key may exist."""
    columns = [entity.primary_id, *(column_in_url(column.held) for column in layout)]
    if _may_hold_duplicates(entity, layout) and "createdon" in entity.attributes:
        columns.append("createdon")
    return tuple(dict.fromkeys(columns))


def _may_hold_duplicates(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> bool:
    """Unless an active alternate key keeps the sync key unique; then the age of records is not needed."""
    columns = frozenset(column.name for column in layout if column.key_part)
    key = entity.key_over(columns)
    return columns != {entity.primary_id} and not (key is not None and key.active)


def members(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
    """The members that are taken from an answer's records: what was selected, and the version where it is needed."""
    return (*selected(entity, layout), *([_ETAG] if needs_version(layout) else []))


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
    path = f"{entity.entity_set}?$select={','.join(selected(entity, layout))}"
    if condition:
        path += f"&$filter={quote(condition, safe=_PLAIN)}"
    if len(path) > LONGEST_URL - 200:
        raise UserError(
            f"the target filter is too long: its URL has {len(path)} characters, {LONGEST_URL} are possible"
        )
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
    for found in lookups(entity, keys, select=selected(entity, layout), room=30_000 - len(narrowed)):
        yield found.path + narrowed


def read_table(
    workspace: Workspace,
    service: Service,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    condition: str | None,
) -> ReadReport:
    """Insert all records that a filter lets through: a large table in ranges side by side, where it can be divided.

    Raises:
        UserError: The filter is too long for a URL.
        RequestRefused, AbortRun, RetryLater: As `read_queries`.
    """
    whole = table_query(entity, layout, condition)
    column = cut_column(entity, layout)
    at_once = min(service.meter.parallelism, MOST_RANGES) * len(service.users)
    if column is None or at_once < MOST_SEQUENTIAL:
        return read_queries(workspace, service, entity, layout, [whole])
    page = first_page(service, whole, table=entity.logical_name)
    at = cuts(workspace, column, at_once * 2) if page.following is not None else ()
    if not at:
        rest = following_pages(service, page, table=entity.logical_name)
        return _insert(workspace, entity, layout, chain([page], rest))
    ranges = [
        table_query(entity, layout, f"({condition}) and {part}" if condition else part)
        for part in range_conditions(column, at)
    ]
    report = read_queries(workspace, service, entity, layout, ranges, at_once=at_once)
    workspace.execute(_UNIQUE)
    return replace(report, pages=report.pages + 1)


def read_queries(
    workspace: Workspace,
    service: Service,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    queries: Sequence[str],
    *,
    at_once: int = 1,
) -> ReadReport:
    """Insert the records of some queries into `current`, which has to exist.

    Raises:
        RequestRefused: The service refuses a query, such as a filter it does not understand.
        AbortRun: No privilege, no such table.
        RetryLater: The service is away.
    """
    found = pages(service, queries, table=entity.logical_name, at_once=at_once)
    return _insert(workspace, entity, layout, found)


def _insert(
    workspace: Workspace, entity: EntityMetadata, layout: Sequence[TargetColumn], found: Iterable[Page]
) -> ReadReport:
    """The pages' records, numbered on from page to page: a page holds at most `PAGE_ROWS`."""
    exact = [column_in_url(column.held) for column in layout if column.attribute.type in _EXACT]
    count = 0
    for count, page in enumerate(found, 1):
        rows = exact_digits(page.rows, exact)
        before = (count - 1) * PAGE_ROWS
        with _values_fit(entity):
            if len(rows) <= FEW_CHARACTERS:
                workspace.execute(insert_statement(entity, layout, from_file=False), [before, rows])
                continue
            with _laid_out(workspace, rows) as path:
                workspace.execute(insert_statement(entity, layout), [before, path])
    ((rows_read, named),) = workspace.query("SELECT count(*), count(_id) FROM current")
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
def _laid_out(workspace: Workspace, rows: str) -> Iterator[str]:
    """A page's rows as a file in the workspace's folder, for as long as they are read."""
    # A different name for each page: DuckDB may keep what it has read of a file.
    file = workspace.folder / f"page-{uuid4().hex}.json"
    file.write_text(rows, "utf-8")
    try:
        yield str(file)
    finally:
        file.unlink()


def insert_statement(entity: EntityMetadata, layout: Sequence[TargetColumn], *, from_file: bool = True) -> str:
    """The statement that turns one page into rows.

    Its parameters: how many rows come before the page's; the file of its rows, or their JSON.
    """
    names = members(entity, layout)
    values = [("_seq", "$1::BIGINT + n"), *typed_members(entity, layout)]
    if from_file:
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        page = f"read_json($2, format = 'array', columns = {{{columns}}})"
    else:
        page = json_rows(dict.fromkeys(names, "VARCHAR"), parameter="$2", flat=True)
    return (
        f"INSERT INTO current ({', '.join(quoted(name) for name, _ in values)})\n"
        f"SELECT {', '.join(sql for _, sql in values)}\n"
        f"FROM (SELECT *, row_number() OVER () AS n FROM {page}) AS r"
    )


def typed_members(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> list[tuple[str, str]]:
    """The columns of `current` that come with a record, each with the SQL of its value from the members of `r`."""
    return [
        ("_id", f"CAST({_member(entity.primary_id)} AS UUID)"),
        *([("_created", "CAST(r.createdon AS TIMESTAMP)")] if "createdon" in selected(entity, layout) else []),
        *([("_version", _member(_ETAG))] if needs_version(layout) else []),
        *((column.name, from_service(column, _member(column_in_url(column.held)))) for column in layout),
    ]


def _member(name: str) -> str:
    return f"r.{quoted(name)}"
