"""`$expand`: the rows behind lookups, and those that refer to a row, put into its JSON."""

from collections.abc import Sequence

import orjson

from emulator.environment import Environment
from emulator.messages import Request
from emulator.odata import ChildLink, Compiler, Expand, Query, child_link
from emulator.reading import Record, RowShape
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["expand_records"]


def expand_records(
    environment: Environment, request: Request, table: Table, query: Query, records: Sequence[Record]
) -> None:
    """Adds to each record the related rows that the query asks for."""
    if not records:
        return
    for expand in query.expand:
        if expand.name in table.by_navigation:
            _expand_lookup(environment, request, table, expand, records)
        else:
            link = child_link(expand.name, table, environment.schema)
            if link is not None:
                _expand_children(environment, request, link, expand, records)


def _expand_lookup(
    environment: Environment, request: Request, table: Table, expand: Expand, records: Sequence[Record]
) -> None:
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
    related = _rows(environment, request, target, expand.query, sorted({one for one in references.values() if one}))
    for record in records:
        record[expand.name] = related.get(references.get(record[table.primary_id]) or "")


def _rows(
    environment: Environment, request: Request, table: Table, query: Query, ids: Sequence[str]
) -> dict[str, Record]:
    shape = RowShape(environment, table, query, request.preferences)
    rows = environment.database.connection.execute(
        f"SELECT {shape.columns} FROM {sql_name(table.logical_name)}"
        f" WHERE {sql_name(table.primary_id)} IN (SELECT value FROM json_each(?))",
        (_json(ids),),
    ).fetchall()
    records = shape.records(rows)
    expand_records(environment, request, table, query, records)
    return {record[table.primary_id]: record for record in records}


def _expand_children(
    environment: Environment, request: Request, link: ChildLink, expand: Expand, records: Sequence[Record]
) -> None:
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
    rows = environment.database.connection.execute(text, parameters).fetchall()
    children = shape.records(rows)
    expand_records(environment, request, table, query, children)
    grouped: dict[str, list[Record]] = {}
    for row, child in zip(rows, children, strict=True):
        grouped.setdefault(row[-1], []).append(child)
    for record in records:
        record[expand.name] = grouped.get(record[link.parent.primary_id], [])[: query.top]


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
