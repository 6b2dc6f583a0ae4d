"""`$expand`: the related rows of a row in its JSON, by lookup or by collection."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from emulator.errors import ServiceError
from emulator.odata import Expand, Link, child_link
from emulator.odata.paging import PageMark
from emulator.operations.reading import Record, RowShape, TableQuery, etag
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["expand_records", "rows_by_id"]

# Rows in one answer with all related rows, twenty for each row of a full page: without a limit, two relationships
# in opposite directions can use all memory.
_MOST_ROWS: Final = 100_000
_Sizes = list[int]


def expand_records(asked: TableQuery, records: Sequence[Record]) -> _Sizes:
    """Adds to each record the related rows that the query asks for, and returns the number of rows in each.

    Raises:
        ServiceError: The answer would have too many rows.
    """
    sizes = [1] * len(records)
    if not records:
        return sizes
    for expand in asked.query.expand:
        if expand.name in asked.table.by_navigation:
            added = _expand_lookup(asked, expand, records)
        else:
            link = child_link(expand.name, asked.table, asked.environment.schema)
            added = _expand_children(asked, link, expand, records) if link else [0] * len(records)
        sizes = [size + more for size, more in zip(sizes, added, strict=True)]
        if sum(sizes) > _MOST_ROWS:
            raise _too_many_rows()
    return sizes


def _too_many_rows() -> ServiceError:
    return ServiceError(
        400, "0x80060888", f"The answer would have more than {_MOST_ROWS} rows: expand less or filter more."
    )


def _expand_lookup(asked: TableQuery, expand: Expand, records: Sequence[Record]) -> _Sizes:
    """Adds the row that a lookup refers to; an owner is a row of one of two tables."""
    table = asked.table
    column = table.by_navigation[expand.name][0]
    targets = table.targets_of(expand.name)
    kind = sql_name(f"{column.logical_name}__type") if column.is_polymorphic else f"'{targets[0]}'"
    found = asked.fetch(
        f'SELECT "versionnumber", {kind}, {sql_name(column.logical_name)} FROM {asked.sql_table}'
        f" WHERE {sql_name(table.primary_id)} IN (SELECT value FROM json_each(?))",
        (_json([record[table.primary_id] for record in records]),),
    )
    # No two rows have one version; rows of an elastic table can have one identifier.
    known = ((etag(row[0], elastic=table.elastic), (row[1], row[2])) for row in found)
    references = {version: named for version, named in known if named[0] in targets and named[1]}
    related: dict[tuple[str, str], tuple[Record | None, int]] = {}
    for name in targets:
        target = asked.environment.schema.tables.get(name)
        wanted = sorted({record_id for kind, record_id in references.values() if kind == name})
        if target is not None and wanted:
            rows = _targets(asked, expand, target, wanted, principal=len(targets) > 1)
            related |= {(name, record_id): row for record_id, row in rows.items()}
    chosen = [related.get(references.get(record["@odata.etag"], ("", "")), (None, 0)) for record in records]
    for record, (row, _) in zip(records, chosen, strict=True):
        record[expand.name] = row
    return [size for _, size in chosen]


def _targets(
    asked: TableQuery, expand: Expand, target: Table, wanted: Sequence[str], *, principal: bool
) -> dict[str, tuple[Record | None, int]]:
    """The rows that lookups refer to, or their addresses, by identifier; a principal states its type."""
    query = expand.query
    if principal and query.select is not None:
        query = replace(query, select=tuple(name for name in query.select if name in target.by_property))
    rows = rows_by_id(asked.related(target, query), wanted)
    if expand.references:
        root = f"{asked.request.root}{target.entity_set}"
        return {record_id: ({"@odata.id": f"{root}({record_id})"}, 1) for record_id in rows}
    if not principal:
        return rows
    kind = f"#{target.edm_name}"
    return {record_id: (row and {"@odata.type": kind, **row}, size) for record_id, (row, size) in rows.items()}


def rows_by_id(asked: TableQuery, ids: Sequence[str]) -> dict[str, tuple[Record | None, int]]:
    """Returns the rows with these identifiers that the filter keeps, each with the number of rows in it."""
    primary_id = asked.table.primary_id
    shape = RowShape(asked)
    text = f"SELECT {shape.columns} FROM {asked.sql_table} WHERE {sql_name(primary_id)} IN"
    text += " (SELECT value FROM json_each(?))"
    parameters: list[object] = [_json(ids)]
    if asked.query.filter is not None:
        condition = asked.compiler.filter(asked.query.filter, asked.table)
        text += f" AND {condition.text}"
        parameters.extend(condition.parameters)
    records = shape.records(asked.fetch(text, parameters))
    sizes = expand_records(asked, records)
    return {record[primary_id]: (record, size) for record, size in zip(records, sizes, strict=True)}


@dataclass(frozen=True, slots=True)
class _Child:
    """A row in an expanded collection, the number of rows in it, and its own number."""

    record: Record
    size: int
    row: int


def _expand_children(asked: TableQuery, link: Link, expand: Expand, records: Sequence[Record]) -> _Sizes:
    parent_id = link.parent.primary_id
    asked = asked.related(link.table, expand.query)
    rows, children = _children(asked, link, [record[parent_id] for record in records])
    sizes = expand_records(asked, children)
    grouped: dict[str, list[_Child]] = {}
    for row, child, size in zip(rows, children, sizes, strict=True):
        grouped.setdefault(row[-1], []).append(_Child(child, size, row[-2]))
    most = asked.related_rows if expand.query.top is None else expand.query.top
    chosen = [grouped.get(record[parent_id], [])[:most] for record in records]
    for record, found in zip(records, chosen, strict=True):
        record[expand.name] = [child.record for child in found]
        if asked.linked:
            record.update(_next_link(asked, link, expand, record[parent_id], found))
    return [sum(child.size for child in found) for found in chosen]


def _next_link(asked: TableQuery, link: Link, expand: Expand, parent_id: str, found: Sequence[_Child]) -> Record:
    """The link of an expanded collection: to all its rows, or to its next page (join-tables page)."""
    name = f"{expand.name}@odata.nextLink"
    options = expand.query_string
    url = f"{asked.request.root}{link.parent.entity_set}({parent_id})/{expand.name}{'?' if options else ''}{options}"
    if asked.related_rows is None:
        return {name: url}
    if len(found) < asked.related_rows:
        return {}
    mark = PageMark(number=2, row=found[-1].row, skipped=len(found))
    primary_id = link.table.primary_id
    return {name: mark.link(url, primary_id, found[-1].record[primary_id])}


def _children(asked: TableQuery, link: Link, parents: Sequence[str]) -> tuple[list[tuple[Any, ...]], list[Record]]:
    """The rows of the collections of these parents, as JSON and as tuples.

    The tuples end in the number of the row and the identifier of its parent.
    """
    query, name = asked.query, asked.sql_table
    compiler, shape = asked.compiler, RowShape(asked)
    text = (
        f'SELECT {shape.columns}, {name}."row_", {link.parent_sql} FROM {link.sources}'
        f" WHERE {link.parent_sql} IN (SELECT value FROM json_each(?)) AND {link.condition}"
    )
    parameters: list[object] = [_json(parents)]
    if query.filter is not None:
        condition = compiler.filter(query.filter, asked.table)
        text += f" AND {condition.text}"
        parameters.extend(condition.parameters)
    order = compiler.order(query.order, asked.table)
    text += f' ORDER BY {order + ", " if order else ""}{name}."row_" LIMIT {_MOST_ROWS + 1}'
    rows = asked.fetch(text, parameters)
    if len(rows) > _MOST_ROWS:
        raise _too_many_rows()
    return rows, shape.records(rows)


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
