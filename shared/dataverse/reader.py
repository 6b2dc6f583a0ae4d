"""Records of a table into the workspace's table `current`: page by page, straight from the response text into DuckDB.

No row becomes a Python object. While one page is parsed and inserted, the next is on its way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.dataverse.keys import column_in_url, lookups
from shared.dataverse.service import Call, Service
from shared.entities import AttributeType, EntityMetadata
from shared.errors import UserError
from shared.transform.service_values import from_service
from shared.transform.targets import TargetColumn
from shared.workspace import Workspace, literal, quoted

__all__ = ["Query", "ReadReport", "insert_statement", "keyed_queries", "read_into", "table_query"]

PAGE_ROWS = 5000  # the most that the service gives
LONGEST_URL = 32_768  # characters of a GET

# Inside a JSON string the quotes would be escaped, so this can only be the member itself.
_NEXT_LINK = re.compile(r'"@odata\.nextLink"\s*:\s*("(?:[^"\\]|\\.)*")')

# Read as a decimal: as text a number passes through a double, which keeps about 16 digits.
_EXACT = frozenset({AttributeType.DECIMAL, AttributeType.MONEY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """What a read brought.

    Attributes:
        rows: Records inserted.
        pages: Answers that held them.
    """

    rows: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query whose pages are read one after the other; its path is relative and percent-encoded."""

    path: str


def selected(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
    """Only what the run needs: the id and the layout's columns; when created, where duplicates of the key may exist."""
    columns = [entity.primary_id, *(column_in_url(column.attribute) for column in layout)]
    if _may_hold_duplicates(entity, layout) and "createdon" in entity.attributes:
        columns.append("createdon")
    return tuple(dict.fromkeys(columns))


def _may_hold_duplicates(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> bool:
    """Unless an active alternate key keeps the sync key unique; then nothing has to be told apart by age."""
    columns = frozenset(column.name for column in layout if column.key_part)
    key = entity.key_over(columns)
    return columns != {entity.primary_id} and not (key is not None and key.active)


def table_query(entity: EntityMetadata, layout: Sequence[TargetColumn], condition: str | None) -> Query:
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
    return Query(path=path)


_PLAIN = "/=$,()'@:"


def keyed_queries(
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    keys: Iterable[Mapping[str, Any]],
    condition: str | None = None,
) -> Iterator[Query]:
    """Queries for the records of some keys, as few as the URL's length allows.

    Args:
        entity: The table.
        layout: Columns to read.
        keys: Sync key column -> value, JSON-ready.
        condition: A filter that the records have to pass as well.
    """
    narrowed = f"%20and%20({quote(condition, safe=_PLAIN)})" if condition else ""
    for found in lookups(entity, keys, select=selected(entity, layout), room=30_000 - len(narrowed)):
        yield Query(path=found.path + narrowed)


def read_into(
    workspace: Workspace,
    service: Service,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    queries: Iterable[Query],
) -> ReadReport:
    """Insert the records of some queries into `current`, which has to exist.

    Raises:
        RequestRefused: The service refuses a query, such as a filter it does not understand.
        AbortRun: No privilege, no such table.
        RetryLater: The service is away.
    """
    insert = insert_statement(entity, layout)
    rows = pages = 0
    for text in _pages(service, entity, queries):
        workspace.execute(insert, [rows, text])
        pages += 1
        ((rows,),) = workspace.query("SELECT coalesce(max(_seq), 0) FROM current")
    return ReadReport(rows=rows, pages=pages)


def insert_statement(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> str:
    """The statement that turns one page into rows; parameters: number of the last row before it, text of the answer."""
    by_name = {column_in_url(column.attribute): column for column in layout}
    created = "createdon" in selected(entity, layout)
    structure = {
        name: "DECIMAL(38,10)" if name in by_name and by_name[name].attribute.type in _EXACT else "VARCHAR"
        for name in selected(entity, layout)
    }
    values = [
        ("_seq", "$1 + n"),
        ("_id", f"CAST({_member(entity.primary_id)} AS UUID)"),
        *([("_created", "CAST(r.createdon AS TIMESTAMP)")] if created else []),
        *((column.name, from_service(column, _text(name, column))) for name, column in by_name.items()),
    ]
    return (
        f"INSERT INTO current ({', '.join(quoted(name) for name, _ in values)})\n"
        f"SELECT {', '.join(sql for _, sql in values)}\n"
        "FROM (SELECT unnest(rows) AS r, generate_subscripts(rows, 1) AS n\n"
        f"  FROM (SELECT from_json($2, {literal(json.dumps({'value': [structure]}))}).value AS rows))"
    )


def _member(name: str) -> str:
    return f"r.{quoted(name)}"


def _text(name: str, column: TargetColumn) -> str:
    return f"CAST({_member(name)} AS VARCHAR)" if column.attribute.type in _EXACT else _member(name)


def _pages(service: Service, entity: EntityMetadata, queries: Iterable[Query]) -> Iterator[str]:
    """Response texts; the next page is asked for before this one is handed over."""
    waiting = iter(queries)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dataverse-read") as ahead:
        first = next(waiting, None)
        coming = None if first is None else ahead.submit(_page, service, entity, first.path)
        while coming is not None:
            text, following = coming.result()
            if following is None:
                query = next(waiting, None)
                following = None if query is None else query.path
            coming = None if following is None else ahead.submit(_page, service, entity, following)
            yield text


def _page(service: Service, entity: EntityMetadata, path: str) -> tuple[str, str | None]:
    headers = {"Prefer": f"odata.maxpagesize={PAGE_ROWS}"}
    text = service.fetch(Call(path=path, headers=headers, table=entity.logical_name)).text
    found = _NEXT_LINK.search(text)
    return text, None if found is None else json.loads(found[1])
