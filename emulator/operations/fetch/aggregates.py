"""Aggregate queries in FetchXML: functions over groups of rows (fetchxml/aggregate-data page)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element

from emulator.errors import ServiceError, not_implemented
from emulator.odata.formats import formatter
from emulator.odata.nodes import Property
from emulator.operations.fetch.conditions import column_of, malformed
from emulator.operations.fetch.links import Link
from emulator.operations.reading import TableQuery
from emulator.schema import Column, ColumnType, Table
from emulator.store import sql_name

__all__ = ["LIMIT", "Term", "is_true", "limit_exceeded", "order_of", "terms_of"]

LIMIT: Final = 50_000  # aggregate-data page, "Limitations"
_ATTRIBUTES: Final = frozenset({"name", "alias", "aggregate", "groupby", "dategrouping", "distinct", "usertimezone"})
_FUNCTIONS: Final = frozenset({"avg", "count", "countcolumn", "max", "min", "sum"})
_NUMBERS: Final = frozenset(
    {ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.DOUBLE, ColumnType.MONEY}
)
_WHOLE: Final = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})
_EXACT_DIGITS: Final = 10  # a decimal has at most ten digits behind the point; SQLite adds up doubles
# The week is that of SQL Server's DATEPART: the first one begins on 1 January, the others on Sundays. So the example
# of the page is week 12 and week 35. The time zone of the user is UTC.
_PARTS: Final[Mapping[str, str]] = {
    "day": "CAST(strftime('%d', {day}) AS INTEGER)",
    "week": (
        "(CAST(strftime('%j', {day}) AS INTEGER) - 1 + "
        "CAST(strftime('%w', strftime('%Y-01-01', {day})) AS INTEGER)) / 7 + 1"
    ),
    "month": "CAST(strftime('%m', {day}) AS INTEGER)",
    "quarter": "(CAST(strftime('%m', {day}) AS INTEGER) + 2) / 3",
    "year": "CAST(strftime('%Y', {day}) AS INTEGER)",
}
_FISCAL: Final = frozenset({"fiscal-period", "fiscal-year"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One column of an aggregate query.

    Attributes:
        alias: The name of its property in the answer.
        column: The column of the table.
        function: The aggregate function; empty for a group.
        sql: The value of a group of rows.
        group: What the rows are grouped by; empty for a function.
        target: For a lookup the SQL of the table that it refers to; empty for other columns.
        is_count: Whether the value is a number of rows or a part of a date, and not of the type of the column.
    """

    alias: str
    column: Column
    function: str
    sql: str
    group: str = ""
    target: str = ""
    is_count: bool = False

    def value(self, stored: Any) -> Any:
        """The JSON of a value."""
        is_boolean = self.column.type is ColumnType.BOOLEAN and not self.is_count
        return stored == 1 if is_boolean and stored is not None else stored

    @property
    def formatted(self) -> Callable[[Any], str] | None:
        """The function that formats a value, or None if the service gives none."""
        return (lambda value: f"{value:,}") if self.is_count else formatter(self.column)


def is_true(text: str | None) -> bool:
    """Whether an attribute of an element is set."""
    return (text or "").lower() in {"true", "1"}


def limit_exceeded() -> ServiceError:
    """More rows than an aggregate query may have (aggregate-data page, "Limitations")."""
    return ServiceError(400, "0x8004E023", "AggregateQueryRecordLimit exceeded. Cannot perform this operation.")


def terms_of(asked: TableQuery, entity: Element, links: Sequence[Link]) -> tuple[Term, ...]:
    """The columns of an aggregate query, with those of its joined tables.

    Raises:
        ServiceError: A column has no alias, no function and no group, or one that its type does not have.
    """
    found = tuple(_terms(asked, entity, asked.table, links, ()))
    if not found:
        raise malformed("An aggregate query needs an attribute with an aggregate function or groupby.")
    for term in found:
        if [each.alias for each in found].count(term.alias) > 1:
            raise malformed(f"The alias '{term.alias}' is not unique.")
    return found


def _terms(
    asked: TableQuery, element: Element, table: Table, links: Sequence[Link], path: tuple[str, ...]
) -> Iterator[Term]:
    if element.find("all-attributes") is not None:
        raise malformed("An aggregate query can't have the element 'all-attributes'.")
    for each in element.findall("attribute"):
        yield _term(asked, each, column_of(each.get("name", ""), table), path)
    for below, link in zip(element.findall("link-entity"), links, strict=True):
        yield from _terms(asked, below, link.table, link.links, (*path, link.navigation))


def _term(asked: TableQuery, element: Element, column: Column, path: tuple[str, ...]) -> Term:
    if not {*element.attrib} <= _ATTRIBUTES:
        raise not_implemented("This attribute of the element 'attribute' of FetchXML is not emulated.")
    alias, function, grouped = element.get("alias"), element.get("aggregate"), is_true(element.get("groupby"))
    if not alias or (function is None) is not grouped:
        raise malformed(
            f"In an aggregate query, the attribute '{column.logical_name}' needs an alias, and either aggregate or "
            "groupby."
        )
    value, compared = asked.compiler.value(Property(path=(*path, column.property_name)), asked.table)
    if function is not None:
        return _function(element, alias, column, value, compared)
    return _group(asked, element, alias, column, value if path else "", compared)


def _function(element: Element, alias: str, column: Column, value: str, compared: str) -> Term:
    function = element.get("aggregate", "")
    distinct = is_true(element.get("distinct"))
    if function not in _FUNCTIONS or (distinct and function != "countcolumn"):
        raise malformed(f"The aggregate function '{function}' is not valid here.")
    if function in {"count", "countcolumn"}:
        counted = "*" if function == "count" else f"DISTINCT {compared}" if distinct else value
        return Term(alias=alias, column=column, function=function, sql=f"count({counted})", is_count=True)
    is_date = column.type is ColumnType.DATETIME and function in {"max", "min"}
    if column.type not in _NUMBERS and not is_date:
        raise malformed(f"The aggregate function '{function}' can't be used for '{column.logical_name}'.")
    sql = f"{function}({value})"
    if function == "sum":
        sql = f"coalesce({sql}, 0)"  # as the group without values in the example of the page
    if function in {"avg", "sum"} and column.type in _WHOLE:
        sql = f"CAST({sql} AS INTEGER)"  # as SQL Server, and as the example of the page
    elif function in {"avg", "sum"} and column.type is not ColumnType.DOUBLE:
        sql = f"round({sql}, {_EXACT_DIGITS})"
    return Term(alias=alias, column=column, function=function, sql=sql)


def _group(asked: TableQuery, element: Element, alias: str, column: Column, joined: str, compared: str) -> Term:
    part = element.get("dategrouping")
    if part is not None:
        return _part_of_date(part, alias, column, compared)
    if column.type is ColumnType.DATETIME and element.get("usertimezone") is not None:
        raise malformed("usertimezone needs dategrouping.")
    target = ""
    if column.is_polymorphic:
        if joined:
            raise not_implemented("A group by a polymorphic lookup of a joined table is not emulated.")
        target = f"{asked.sql_table}.{sql_name(f'{column.logical_name}__type')}"
    elif column.is_lookup:
        target = f"'{column.targets[0]}'"
    value = joined or f"{asked.sql_table}.{sql_name(column.logical_name)}"
    return Term(alias=alias, column=column, function="", sql=f"min({value})", group=compared, target=target)


def _part_of_date(part: str, alias: str, column: Column, compared: str) -> Term:
    if part in _FISCAL:
        raise not_implemented("Fiscal periods and years are not emulated.")
    if part not in _PARTS or column.type is not ColumnType.DATETIME:
        raise malformed(f"The dategrouping '{part}' can't be used for '{column.logical_name}'.")
    sql = _PARTS[part].format(day=f"substr({compared}, 1, 10)")
    return Term(alias=alias, column=column, function="", sql=f"min({sql})", group=sql, is_count=True)


def order_of(entity: Element, terms: Sequence[Term]) -> str:
    """The terms of ORDER BY: by aliases, and then by the groups, so that pages are the same each time.

    Raises:
        ServiceError: An order names a column, or an alias that there is not.
    """
    known = {term.alias: term for term in terms}
    orders = []
    for element in entity.findall("order"):
        term = known.get(element.get("alias", ""))
        if term is None or "attribute" in element.attrib:
            raise malformed("An aggregate query is ordered by an alias of the query.")
        descending = " DESC" if is_true(element.get("descending")) else ""
        orders.append(f"{term.group or term.sql}{descending}")
    return ", ".join([*orders, *(term.group for term in terms if term.group)])
