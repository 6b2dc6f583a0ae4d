"""`$expand`: the related rows of a row in its JSON, by lookup or by collection."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from emulator.errors import ServiceError
from emulator.odata import ChildLink, Expand, child_link
from emulator.operations.reading import Record, RowShape, TableQuery
from emulator.store import sql_name

__all__ = ["expand_records"]

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
    table = asked.table
    column, target_name = table.by_navigation[expand.name]
    target = asked.environment.schema.tables[target_name]
    found = asked.fetch(
        f"SELECT {sql_name(table.primary_id)}, {sql_name(column.logical_name)} FROM {asked.sql_table}"
        f" WHERE {sql_name(table.primary_id)} IN (SELECT value FROM json_each(?))"
        + (f" AND {sql_name(column.logical_name + '__type')} = ?" if column.is_polymorphic else ""),
        (_json([record[table.primary_id] for record in records]), *((target_name,) if column.is_polymorphic else ())),
    )
    references: dict[str, str | None] = dict(found)
    wanted = sorted({one for one in references.values() if one})
    related = _rows(asked.related(target, expand.query), wanted)
    if expand.references:
        addresses = {one: {"@odata.id": f"{asked.request.root}{target.entity_set}({one})"} for one in wanted}
        related = {one: (addresses[one], 1) for one in related}
    chosen = [related.get(references.get(record[table.primary_id]) or "", (None, 0)) for record in records]
    for record, (row, _) in zip(records, chosen, strict=True):
        record[expand.name] = row
    return [size for _, size in chosen]


def _rows(asked: TableQuery, ids: Sequence[str]) -> dict[str, tuple[Record | None, int]]:
    """The rows with these identifiers, each with the number of rows in it."""
    primary_id = asked.table.primary_id
    shape = RowShape(asked)
    records = shape.records(
        asked.fetch(
            f"SELECT {shape.columns} FROM {asked.sql_table}"
            f" WHERE {sql_name(primary_id)} IN (SELECT value FROM json_each(?))",
            (_json(ids),),
        )
    )
    sizes = expand_records(asked, records)
    return {record[primary_id]: (record, size) for record, size in zip(records, sizes, strict=True)}


def _expand_children(asked: TableQuery, link: ChildLink, expand: Expand, records: Sequence[Record]) -> _Sizes:
    parent_id = link.parent.primary_id
    asked = asked.related(link.table, expand.query)
    rows, children = _children(asked, link, [record[parent_id] for record in records])
    sizes = expand_records(asked, children)
    grouped: dict[str, list[tuple[Record, int]]] = {}
    for row, child, size in zip(rows, children, sizes, strict=True):
        grouped.setdefault(row[-1], []).append((child, size))
    chosen = [grouped.get(record[parent_id], [])[: expand.query.top] for record in records]
    for record, found in zip(records, chosen, strict=True):
        record[expand.name] = [child for child, _ in found]
    return [sum(size for _, size in found) for found in chosen]


def _children(asked: TableQuery, link: ChildLink, parents: Sequence[str]) -> tuple[list[tuple[Any, ...]], list[Record]]:
    """The rows whose lookup refers to a parent: as tuples with the parent's identifier last, and as JSON."""
    query, name = asked.query, asked.sql_table
    compiler, shape = asked.compiler, RowShape(asked)
    column = f"{name}.{sql_name(link.column.logical_name)}"
    text = f"SELECT {shape.columns}, {column} FROM {name} WHERE {column} IN (SELECT value FROM json_each(?))"
    parameters: list[object] = [_json(parents)]
    if link.column.is_polymorphic:
        text += f" AND {name}.{sql_name(link.column.logical_name + '__type')} = ?"
        parameters.append(link.parent.logical_name)
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
