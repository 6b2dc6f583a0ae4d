"""`link-entity` over a lookup: columns and conditions of the row that a lookup refers to (fetchxml/join-tables page).

Other joins, such as that to the rows that refer to a row, are answered with 501.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from emulator.errors import not_implemented
from emulator.odata import Expand, Query
from emulator.odata.nodes import Comparison, Expression, Literal, Property
from emulator.operations.fetch.conditions import (
    EXISTING,
    LINK_ATTRIBUTES,
    Names,
    Places,
    column_of,
    filter_expression,
    joined,
    malformed,
    related_rows,
)
from emulator.operations.reading import Record, readable
from emulator.schema import Schema, Table

__all__ = [
    "Link",
    "condition_of",
    "existing_in",
    "expansions",
    "flattened",
    "joins_in",
    "links_of",
    "orders_of",
    "places_of",
]

_MOST: Final = 15  # join-tables page: "A query can have up to 15 link-entity elements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One joined table.

    Attributes:
        navigation: The navigation property of the lookup.
        table: The joined table.
        columns: Property of the joined table -> the name of the property in the answer.
        alias: The name of the joined rows in conditions and orders: their alias or the name of their table.
        inner: Whether only rows that have a joined row are found.
        filters: The filters of the joined rows.
        orders: The orders by columns of the joined rows.
        links: The tables that are joined to this one.
        existing: The links that only find rows with a related row.
    """

    navigation: str
    alias: str
    table: Table
    columns: Mapping[str, str]
    inner: bool
    filters: Sequence[Element]
    orders: Sequence[Element]
    links: "tuple[Link, ...]"
    existing: Sequence[Element]

    @property
    def is_filtered(self) -> bool:
        """Whether a filter leaves out joined rows, but not the rows that they are joined to."""
        return bool(self.filters or self.existing) and not self.inner

    def condition(self, schema: Schema, path: tuple[str, ...] = ()) -> Expression | None:
        """The filter of the joined rows; without a path, with their own columns."""
        names = Names(schema=schema)
        found = [filter_expression(self.filters, self.table, names, path=path)]
        found += [related_rows(each, self.table, names, path=path) for each in self.existing]
        return joined("and", [each for each in found if each is not None])


def links_of(element: Element, table: Table, schema: Schema, depth: int = 1) -> tuple[Link, ...]:
    """Returns the tables that are joined to a table.

    Raises:
        ServiceError: A name is unknown, or the join is not emulated (501).
    """
    if depth > _MOST:
        raise not_implemented(f"More than {_MOST} levels of link-entity are not emulated.")
    return tuple(_link(each, table, schema, depth) for each in joins_in(element))


def joins_in(element: Element) -> list[Element]:
    """The links of an element that join the columns of other tables."""
    return [each for each in element.findall("link-entity") if each.get("link-type") not in EXISTING]


def existing_in(element: Element) -> list[Element]:
    """The links of an element that only find rows with a related row (reference/link-entity page)."""
    return [each for each in element.findall("link-entity") if each.get("link-type") in EXISTING]


def _link(element: Element, table: Table, schema: Schema, depth: int) -> Link:
    if not {*element.attrib} <= LINK_ATTRIBUTES:
        raise not_implemented("Of the element 'link-entity' of FetchXML only the usual attributes are emulated.")
    kind = element.get("link-type", "inner")
    other = schema.tables.get(element.get("name", ""))
    if other is None:
        raise malformed(f"The entity '{element.get('name')}' of a link was not found.")
    lookup = column_of(element.get("to", ""), table)
    if element.get("from") != other.primary_id or other.logical_name not in lookup.navigation:
        raise not_implemented("A link-entity that does not follow a lookup to its row is not emulated.")
    if kind not in {"inner", "outer"}:
        raise not_implemented("Outside of filters, link-entity is emulated with the types inner, outer, exists and in.")
    return Link(
        navigation=lookup.navigation[other.logical_name],
        alias=element.get("alias") or other.logical_name,
        table=other,
        columns=dict(_columns(element, other)),
        inner=kind == "inner",
        filters=element.findall("filter"),
        orders=element.findall("order"),
        links=links_of(element, other, schema, depth + 1),
        existing=existing_in(element),
    )


def _columns(element: Element, table: Table) -> Iterator[tuple[str, str]]:
    """The columns by the alias of the table, as select-columns shows it: without one the name of the table."""
    prefix = element.get("alias") or table.logical_name
    if element.find("all-attributes") is not None:
        for name in readable(table):
            yield name, f"{prefix}.{table.by_property[name].logical_name}"
    for each in element.findall("attribute"):
        column = column_of(each.get("name", ""), table)
        yield column.property_name, each.get("alias") or f"{prefix}.{column.logical_name}"


def condition_of(entity: Element, table: Table, schema: Schema, links: Sequence[Link]) -> Expression | None:
    """The condition of the rows of a query: its filters, and what its links ask for."""
    names = Names(schema=schema, places=places_of(links))
    found = [filter_expression(entity.findall("filter"), table, names)]
    found += [related_rows(each, table, names) for each in existing_in(entity)]
    found += _conditions(links, schema)
    return joined("and", [each for each in found if each is not None])


def _conditions(links: Sequence[Link], schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Expression]:
    """The conditions on the joined rows; an inner join needs the row itself."""
    for link in links:
        inside = (*path, link.navigation)
        if link.inner:
            exists = Property(path=(*inside, link.table.primary_id))
            yield Comparison(operator="ne", left=exists, right=Literal(value=None, edm="null"))
            found = link.condition(schema, inside)
            if found is not None:
                yield found
        yield from _conditions(link.links, schema, inside)


def expansions(links: Sequence[Link], schema: Schema) -> tuple[Expand, ...]:
    """The same as `$expand`; the filter of an outer join leaves out joined rows only."""
    return tuple(
        Expand(
            name=link.navigation,
            query=Query(
                select=tuple(link.columns),
                filter=None if link.inner else link.condition(schema),
                expand=expansions(link.links, schema),
            ),
        )
        for link in links
    )


def places_of(links: Sequence[Link], path: tuple[str, ...] = (), *, emulated: bool = True) -> Places:
    """The joined tables that conditions and orders can name; those that an outer join filters are not emulated."""
    places: dict[str, tuple[Table, tuple[str, ...]] | None] = {}
    for link in links:
        inside = (*path, link.navigation)
        there = emulated and not link.is_filtered
        places[link.alias] = (link.table, inside) if there else None
        places |= places_of(link.links, inside, emulated=there)
    return places


def orders_of(links: Sequence[Link], path: tuple[str, ...] = ()) -> Iterator[tuple[Element, Table, tuple[str, ...]]]:
    """The orders within the joined tables, each with its table and the way to it.

    Raises:
        ServiceError: The joined rows of an order are filtered by an outer join (501).
    """
    for link in links:
        if link.is_filtered and link.orders:
            raise not_implemented("An order by a joined table with a filter in an outer join is not emulated.")
        inside = (*path, link.navigation)
        yield from ((element, link.table, inside) for element in link.orders)
        yield from orders_of(link.links, inside)


def flattened(record: Record, links: Sequence[Link]) -> Record:
    """A row with the columns of its joined rows beside its own, and their annotations."""
    flat = dict(record)
    for link in links:
        joined = flat.pop(link.navigation, None)
        if not isinstance(joined, dict):
            continue
        for name, value in joined.items():
            column, at, annotation = name.partition("@")
            if column in link.columns:
                flat[f"{link.columns[column]}{at}{annotation}"] = value
        below = {each.navigation: joined.get(each.navigation) for each in link.links}
        flat |= flattened(below, link.links)
    return flat
