"""`$apply`: filters, then groups of rows or functions over all of them (the page "Aggregate data using OData")."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from emulator.errors import ODataError, not_implemented
from emulator.messages import Response, answer
from emulator.odata import Order, parse_filter
from emulator.odata.nodes import Expression, Logical, Property
from emulator.odata.options import split
from emulator.odata.paging import LARGEST_PAGE, PageMark
from emulator.operations.aggregates.terms import (
    LIMIT,
    Term,
    function_fits,
    function_term,
    group_records,
    group_term,
    limit_exceeded,
    rows_of,
)
from emulator.operations.queries import applied, count_of, refuse_beside
from emulator.operations.reading import Record, TableQuery
from emulator.schema import Column, ColumnType, Table

__all__ = ["aggregated"]

_STEP: Final = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_GROUPED: Final = re.compile(r"\s*\((.*)\)\s*", re.DOTALL)
_FUNCTION: Final = re.compile(r"\s*([\w/]+)\s+with\s+([\w.]+)\s+as\s+(\w+)\s*")
_COUNTED: Final = re.compile(r"\s*\$count\s+as\s+(\w+)\s*")
_METHODS: Final = {"sum": "sum", "average": "avg", "min": "min", "max": "max"}
_MOST_STEPS: Final = 50


def aggregated(asked: TableQuery, text: str) -> Response:
    """Answers a query with `$apply`: a row for each group, without ETag and id, and without what is null.

    Raises:
        ServiceError: The option is refused, or is combined with one with which it is not emulated (501).
    """
    refuse_beside(asked, "'$apply'", follows=("$apply", "$orderby", "$top"))
    found, last = _steps(asked, text)
    asked = replace(asked, query=replace(asked.query, filter=found))
    terms = _terms(asked, last)
    counted = count_of(asked)
    if counted > LIMIT:
        raise limit_exceeded()
    mark = PageMark.parse(asked.query.skip_token)
    size = min(asked.request.preferences.page_size or LARGEST_PAGE, LARGEST_PAGE)
    if asked.query.top is not None:
        size = min(size, asked.query.top)
    rows = rows_of(asked, terms, _order(asked, terms), (size + 1, mark.skipped))
    content: Record = {"@odata.context": asked.request.context(asked.table.entity_set)}
    content["value"] = group_records(asked, terms, rows[:size])
    if len(rows) > size and asked.query.top is None:
        following = PageMark(number=mark.number + 1, skipped=mark.skipped + size)
        content["@odata.nextLink"] = following.link(asked.request.url, asked.table.primary_id, "")
    return answer(content, headers=applied(asked.request.preferences), effects=asked.read(counted))


def _steps(asked: TableQuery, text: str) -> tuple[Expression | None, tuple[str, str]]:
    """The filter of all steps but the last one, and the last step: its name and its argument."""
    steps: list[tuple[str, str]] = []
    for part in split(text, "/"):
        match = _STEP.fullmatch(part)
        if match is None or len(steps) == _MOST_STEPS:
            raise _malformed(text)
        steps.append((match[1], match[2]))
    *filters, last = steps
    if any(name != "filter" for name, _ in filters) or last[0] not in {"aggregate", "groupby"}:
        raise not_implemented("In '$apply', only filters followed by one groupby or aggregate are emulated.")
    parsed = [parse_filter(argument, asked.query.aliases) for _, argument in filters]
    if len(parsed) > 1:
        return Logical(operator="and", operands=tuple(parsed)), last
    return (parsed[0] if parsed else None), last


def _terms(asked: TableQuery, step: tuple[str, str]) -> tuple[Term, ...]:
    name, argument = step
    terms = list(_functions(asked, argument) if name == "aggregate" else _grouped(asked, argument))
    aliases = [term.alias for term in terms]
    for alias in aliases:
        if aliases.count(alias) > 1:
            raise ODataError(f"The alias '{alias}' of '$apply' is not unique.")
    return tuple(terms)


def _grouped(asked: TableQuery, argument: str) -> Iterator[Term]:
    columns, *functions = split(argument, ",")
    match = _GROUPED.fullmatch(columns)
    if match is None or len(functions) > 1:
        raise _malformed(argument)
    for name in split(match[1], ","):
        yield _group(asked, tuple(name.strip().split("/")))
    for text in functions:
        function = _STEP.fullmatch(text)
        if function is None or function[1] != "aggregate":
            raise _malformed(text)
        yield from _functions(asked, function[2])


def _group(asked: TableQuery, path: tuple[str, ...]) -> Term:
    value, compared = asked.compiler.value(Property(path=path), asked.table)
    table, column = _column(asked, path)
    if column.type is ColumnType.DATETIME:
        raise ODataError("groupby with datetime values is not supported.")
    if len(path) > 1 and column.is_polymorphic:
        raise not_implemented("A group by a polymorphic lookup of a related row is not emulated.")
    alias = column.property_name if len(path) == 1 else f"{table.logical_name}_{column.logical_name}"
    return group_term(asked, alias, column, value if len(path) > 1 else "", compared)


def _functions(asked: TableQuery, argument: str) -> Iterator[Term]:
    for text in split(argument, ","):
        if counted := _COUNTED.fullmatch(text):
            yield Term(alias=counted[1], column=None, function="count", sql="count(*)", is_count=True)
            continue
        match = _FUNCTION.fullmatch(text)
        if match is None:
            raise _malformed(text)
        path, method = tuple(match[1].split("/")), match[2]
        value, _ = asked.compiler.value(Property(path=path), asked.table)
        column = _column(asked, path)[1]
        if method not in _METHODS or not function_fits(_METHODS[method], column):
            raise ODataError(f"The aggregation method '{method}' can't be used for '{match[1][:100]}'.")
        yield function_term(_METHODS[method], match[3], column, value)


def _column(asked: TableQuery, path: tuple[str, ...]) -> tuple[Table, Column]:
    """The table and column of a path that the compiler has accepted."""
    table = asked.table
    for name in path[:-1]:
        table = asked.environment.schema.tables[table.by_navigation[name][1]]
    column = table.by_property.get(path[-1])
    if column is None:
        raise ODataError(f"'{path[-1][:100]}' is a navigation property: '$apply' needs a column.")
    return table, column


def _order(asked: TableQuery, terms: tuple[Term, ...]) -> str:
    """The order by columns of the groups, and then by all of them, so that pages are the same each time."""
    groups = {term.alias: term for term in terms if term.group}
    orders = [_ordered(order, terms, groups.get(order.operand.path[-1])) for order in asked.query.order]
    return ", ".join([*orders, *(term.group for term in groups.values())])


def _ordered(order: Order, terms: tuple[Term, ...], group: Term | None) -> str:
    (name, *more) = order.operand.path
    if any(term.alias == name and not term.group for term in terms):
        raise ODataError("The query node SingleValueOpenPropertyAccess is not supported", status=501, code="0x8006088a")
    if group is None or more:
        raise ODataError(f"The groups of '$apply' have no property '{'/'.join(order.operand.path)[:100]}'.")
    return f"{group.group}{' DESC' if order.descending else ''}"


def _malformed(text: str) -> ODataError:
    return ODataError(f"The query option '$apply' is not well formed: '{text[:100]}'.")
