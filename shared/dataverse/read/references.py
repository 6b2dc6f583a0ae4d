"""The records that lookups search: few values are asked for by name, for many the whole table is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, islice
from typing import Final
from urllib.parse import quote

from shared.dataverse.http.connection import PAGE_ROWS
from shared.dataverse.http.keys import QUERY_ROOM, key_values
from shared.dataverse.http.service import Call, Service
from shared.dataverse.read.reader import ReadReport, Records, keyed_queries, read_queries, read_table
from shared.entities import EntityMetadata
from shared.errors import AbortRun, RequestRefused
from shared.transform.lookups.columns import Reference
from shared.workspace import Workspace

__all__ = ["SearchedValues", "queries_at_least", "read_reference"]

_CREATED: Final = "createdon"
FEW_QUERIES: Final = 5
"""So many requests are sent without asking how large the table is."""
MOST_QUERIES: Final = 200
"""More queries by value than this are never sent: the table is read instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedValues:
    """SQL queries of match values, each as one column of JSON objects.

    Attributes:
        all: Of all rows.
        first: Of the first rows, where all of them are many; empty otherwise.
    """

    all: Sequence[str]
    first: Sequence[str] = ()


def read_reference(
    workspace: Workspace,
    service: Service,
    reference: Reference,
    condition: str | None,
    values: SearchedValues,
) -> ReadReport:
    """Read the records that lookups search into the table of the reference, which has to exist.

    Args:
        workspace: The run's database.
        service: Sends.
        reference: What is searched.
        condition: Its filter with its parameters bound; None for all records.
        values: What is searched.

    Raises:
        RequestRefused: The service refuses the query, such as a filter that it does not understand.
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    entity, columns = _entity(reference), reference.columns
    records = Records(entity=entity, layout=columns, into=reference.name, stored_keys=True)
    names = [column.name for column in columns]

    @cache
    def most() -> int:
        return min(MOST_QUERIES, _pages(service, entity))

    needed = queries_at_least(workspace, values.first, names) if values.first else 0
    if needed > FEW_QUERIES and needed > most():
        return read_table(workspace, service, records, condition)
    keys = chain.from_iterable((text for (text,) in workspace.rows(query)) for query in values.all)
    asked = map(key_values, keys)
    possible = keyed_queries(entity, columns, asked, condition)
    queries = list(islice(possible, FEW_QUERIES + 1))
    if not queries:
        return ReadReport(rows=0, pages=0)
    if len(queries) > FEW_QUERIES:
        # To put keys into queries that are not sent takes longer than to find out how many are worth it.
        needed = queries_at_least(workspace, values.all, names)
        if needed <= most():
            queries += islice(possible, max(0, most() + 1 - len(queries)))
        if max(needed, len(queries)) > most():
            return read_table(workspace, service, records, condition)
    return read_queries(workspace, service, records, queries, at_once=max(1, service.meter.parallelism))


def queries_at_least(workspace: Workspace, values: Sequence[str], columns: Sequence[str]) -> int:
    """So many queries are needed for all values, or more: they have at least as many characters as the values.

    Args:
        workspace: Has the values.
        values: SQL queries of the values, each as one column of JSON objects.
        columns: Their names. The query for a single one names it once, and not for each value.
    """
    every = " UNION ALL ".join(f"({query})" for query in values)
    around = max(len(f'{{"{name}":}}') for name in columns)
    ((length,),) = workspace.query(f"SELECT coalesce(sum(strlen(value) - {around}), 0) FROM ({every}) AS t(value)")
    return int(length) // QUERY_ROOM


def _entity(reference: Reference) -> EntityMetadata:
    """The table, without the date of creation where no lookup chooses by it: it would be a third of each record."""
    entity = reference.entity
    if reference.by_age or any(column.name == _CREATED for column in reference.columns):
        return entity
    return replace(entity, attributes={name: each for name, each in entity.attributes.items() if name != _CREATED})


def _pages(service: Service, entity: EntityMetadata) -> int:
    """About how many pages the whole table has; as many as may be sent where the service does not say.

    `RetrieveTotalRecordCount` gives a number that may be a day old, which is good enough to choose by.
    """
    path = f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={quote(json.dumps([entity.logical_name]))}"
    try:
        answer = service.fetch_json(Call(path=path, table=entity.logical_name))
        counts = answer.member("EntityRecordCountCollection").member("Values").items()
        return 1 + sum(count.whole(low=0, high=2**62) for count in counts) // PAGE_ROWS
    except (RequestRefused, AbortRun):
        return MOST_QUERIES
