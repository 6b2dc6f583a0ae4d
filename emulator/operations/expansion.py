"""`$expand`: the rows behind lookups, and those that refer to a row, put into its JSON."""

from collections.abc import Sequence
from typing import Final

import orjson

from emulator.environment import Environment
from emulator.errors import ServiceError
from emulator.messages import Request
from emulator.odata import ChildLink, Compiler, Expand, Query, child_link
from emulator.operations.reading import Record, RowShape
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["expand_records"]

# Rows in one answer, related ones counted wherever they stand: two relationships that lead back and forth would
# otherwise fill any memory. Twenty for each row of a full page.
_MOST_ROWS: Final = 100_000
_Sizes = list[int]


def expand_records(
    environment: Environment, request: Request, table: Table, query: Query, records: Sequence[Record]
) -> _Sizes:
    """Adds to each record the related rows that the query asks for, and returns how many rows each then holds.

    Raises:
        ServiceError: The answer would hold too many.
    """
    sizes = [1] * len(records)
    if not records:
        return sizes
    for expand in query.expand:
        if expand.name in table.by_navigation:
            added = _expand_lookup(environment, request, table, expand, records)
        else:
            link = child_link(expand.name, table, environment.schema)
            added = _expand_children(environment, request, link, expand, records) if link else [0] * len(records)
        sizes = [size + more for size, more in zip(sizes, added, strict=True)]
        if sum(sizes) > _MOST_ROWS:
            raise _too_many_rows()
    return sizes


def _too_many_rows() -> ServiceError:
    return ServiceError(
        400, "0x80060888", f"The answer would hold more than {_MOST_ROWS} rows: expand less or filter more."
    )


def _expand_lookup(
    environment: Environment, request: Request, table: Table, expand: Expand, records: Sequence[Record]
) -> _Sizes:
    column, target_name = table.by_navigation[expand.name]
    target = environment.schema.tables[target_name]
    name = sql_name(table.logical_name)
    found = environment.database.connection.execute(
        f"SELECT {sql_name(table.primary_id)}, {sql_name(column.logical_name)} FROM {name}"
        f" WHERE {sql_name(table.primary_id)} IN (SELECT value FROM json_each(?))"
        + (f" AND {sql_name(column.logical_name + '__type')} = ?" if column.is_polymorphic else ""),
        (_json([record[table.primary_id] for record in records]), *((target_name,) if column.is_polymorphic else ())),
    )
    references = dict(found.fetchall())
    wanted = sorted({one for one in references.values() if one})
    related = _rows(environment, request, target, expand.query, wanted)
    if expand.references:
        addresses = {one: {"@odata.id": f"{request.root}{target.entity_set}({one})"} for one in wanted}
        related = {one: (addresses[one], 1) for one in related}
    chosen = [related.get(references.get(record[table.primary_id]) or "", (None, 0)) for record in records]
    for record, (row, _) in zip(records, chosen, strict=True):
        record[expand.name] = row
    return [size for _, size in chosen]


def _rows(
    environment: Environment, request: Request, table: Table, query: Query, ids: Sequence[str]
) -> dict[str, tuple[Record, int]]:
    """The rows with these identifiers, each with the number of rows it holds."""
    shape = RowShape(environment, table, query, request.preferences)
    rows = environment.database.connection.execute(
        f"SELECT {shape.columns} FROM {sql_name(table.logical_name)}"
        f" WHERE {sql_name(table.primary_id)} IN (SELECT value FROM json_each(?))",
        (_json(ids),),
    ).fetchall()
    records = shape.records(rows)
    sizes = expand_records(environment, request, table, query, records)
    return {record[table.primary_id]: (record, size) for record, size in zip(records, sizes, strict=True)}


def _expand_children(
    environment: Environment, request: Request, link: ChildLink, expand: Expand, records: Sequence[Record]
) -> _Sizes:
    table, query = link.table, expand.query
    name = sql_name(table.logical_name)
    compiler = Compiler(
        schema=environment.schema,
        collation=environment.collation,
        now=environment.clock(),
        user_id=request.caller.user_id,
    )
    shape = RowShape(environment, table, query, request.preferences)
    column = f"{name}.{sql_name(link.column.logical_name)}"
    text = f"SELECT {shape.columns}, {column} FROM {name} WHERE {column} IN (SELECT value FROM json_each(?))"
    parameters: list[object] = [_json([record[link.parent.primary_id] for record in records])]
    if link.column.is_polymorphic:
        text += f" AND {name}.{sql_name(link.column.logical_name + '__type')} = ?"
        parameters.append(link.parent.logical_name)
    if query.filter is not None:
        condition = compiler.filter(query.filter, table)
        text += f" AND {condition.text}"
        parameters.extend(condition.parameters)
    order = compiler.order(query.order, table)
    text += f' ORDER BY {order + ", " if order else ""}{name}."row_"'
    rows = environment.database.connection.execute(text, parameters).fetchmany(_MOST_ROWS + 1)
    if len(rows) > _MOST_ROWS:
        raise _too_many_rows()
    children = shape.records(rows)
    sizes = expand_records(environment, request, table, query, children)
    grouped: dict[str, list[tuple[Record, int]]] = {}
    for row, child, size in zip(rows, children, sizes, strict=True):
        grouped.setdefault(row[-1], []).append((child, size))
    chosen = [grouped.get(record[link.parent.primary_id], [])[: query.top] for record in records]
    for record, found in zip(records, chosen, strict=True):
        record[expand.name] = [child for child, _ in found]
    return [sum(size for _, size in found) for found in chosen]


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
