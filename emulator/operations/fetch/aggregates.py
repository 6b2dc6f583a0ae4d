"""Aggregate queries in FetchXML: functions over groups of rows (fetchxml/aggregate-data page)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from emulator.errors import not_implemented
from emulator.odata.nodes import Property
from emulator.operations.aggregates.terms import Term, function_fits, function_term, group_term
from emulator.operations.fetch.conditions import column_of, is_true, malformed
from emulator.operations.fetch.links import Link
from emulator.operations.reading import TableQuery
from emulator.schema import Column, ColumnType

__all__ = ["order_of", "terms_of"]

_ATTRIBUTES: Final = frozenset({"name", "alias", "aggregate", "groupby", "dategrouping", "distinct", "usertimezone"})
_FUNCTIONS: Final = frozenset({"avg", "count", "countcolumn", "max", "min", "sum"})
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


def terms_of(asked: TableQuery, entity: Element, links: Sequence[Link]) -> tuple[Term, ...]:
    """The columns of an aggregate query, with those of its joined tables.

    Raises:
        ServiceError: A column has no alias, no function and no group, or one that its type does not have.
    """
    found = tuple(_terms(asked, entity, links))
    if not found:
        raise malformed("An aggregate query needs an attribute with an aggregate function or groupby.")
    for term in found:
        if [each.alias for each in found].count(term.alias) > 1:
            raise malformed(f"The alias '{term.alias}' is not unique.")
    return found


def _terms(asked: TableQuery, entity: Element, links: Sequence[Link]) -> Iterator[Term]:
    joined = [(link.element, link.table, (link.variable,)) for link in links]
    for element, table, path in ((entity, asked.table, ()), *joined):
        if element.find("all-attributes") is not None:
            raise malformed("An aggregate query can't have the element 'all-attributes'.")
        for each in element.findall("attribute"):
            yield _term(asked, each, column_of(each.get("name", ""), table), path)


def _term(asked: TableQuery, element: Element, column: Column, path: tuple[str, ...]) -> Term:
    if not {*element.attrib} <= _ATTRIBUTES:
        raise not_implemented("This attribute of the element 'attribute' of FetchXML is not emulated.")
    alias, function, grouped = element.get("alias"), element.get("aggregate"), is_true(element.get("groupby"))
    if not alias or (function is None) is not grouped:
        raise malformed(
            f"In an aggregate query, the attribute '{column.logical_name}' needs an alias, and either aggregate or "
            "groupby."
        )
    value, compared = asked.compiler.value(Property(path=(*path, column.property_name)), asked.scope)
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
    if not function_fits(function, column):
        raise malformed(f"The aggregate function '{function}' can't be used for '{column.logical_name}'.")
    return function_term(function, alias, column, value)


def _group(asked: TableQuery, element: Element, alias: str, column: Column, joined: str, compared: str) -> Term:
    part = element.get("dategrouping")
    if part is not None:
        return _part_of_date(part, alias, column, compared)
    if column.type is ColumnType.DATETIME and element.get("usertimezone") is not None:
        raise malformed("usertimezone needs dategrouping.")
    if column.is_polymorphic and joined:
        raise not_implemented("A group by a polymorphic lookup of a joined table is not emulated.")
    return group_term(asked, alias, column, joined, compared)


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
