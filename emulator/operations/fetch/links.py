"""`link-entity`: the tables that a query joins, with their columns, filters and orders (fetchxml/join-tables page)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from emulator.errors import not_implemented, too_many_links
from emulator.odata import Compiler, Joins, Query, Scope
from emulator.odata.nodes import Expression, Property
from emulator.operations.expansion import rows_by_id
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
from emulator.operations.reading import Record, TableQuery, readable
from emulator.schema import Schema, Table

__all__ = ["Link", "condition_of", "joins_of", "links_of", "orders_of", "places_of", "with_joined_rows"]

_MOST: Final = 15  # join-tables page: "You can add up to 15 link-entity elements to a query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One joined table.

    Attributes:
        element: The element that describes it.
        table: The joined table.
        variable: What names its rows in expressions and in SQL.
        alias: What names its rows in the query, and in the answer.
        same: The property of the table before it that has the same value.
        column: The property of the joined table with this value.
        inner: Whether only rows that have a joined row are found.
        single: Whether there is at most one joined row for each row.
    """

    element: Element
    table: Table
    variable: str
    alias: str
    same: Property
    column: str
    inner: bool
    single: bool

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The properties of the joined table, with their names in the answer (select-columns page)."""
        return tuple(_columns(self.element, self.table, self.alias))


def links_of(entity: Element, table: Table, schema: Schema) -> tuple[Link, ...]:
    """Returns the tables that a query joins, in the order of the document.

    Raises:
        ServiceError: A name is unknown, there are too many links, or one is not emulated (501).
    """
    if sum(1 for _ in entity.iter("link-entity")) > _MOST:
        raise too_many_links()
    links: list[Link] = []
    _add_links(links, entity, table, schema, ())
    return tuple(links)


def _add_links(links: list[Link], element: Element, table: Table, schema: Schema, path: tuple[str, ...]) -> None:
    for each in element.findall("link-entity"):
        if each.get("link-type") in EXISTING:
            continue
        link = _link(links, each, table, schema, path)
        links.append(link)
        _add_links(links, each, link.table, schema, (link.variable,))


def _link(links: Sequence[Link], element: Element, table: Table, schema: Schema, path: tuple[str, ...]) -> Link:
    if not {*element.attrib} <= LINK_ATTRIBUTES:
        raise not_implemented("Of the element 'link-entity' of FetchXML only the usual attributes are emulated.")
    other = schema.tables.get(element.get("name", ""))
    if other is None:
        raise malformed(f"The entity '{element.get('name', '')[:100]}' of a link was not found.")
    kind = element.get("link-type", "inner")
    if kind not in {"inner", "outer"}:
        raise not_implemented("Outside of filters, link-entity is emulated with the types inner, outer, exists and in.")
    column = column_of(element.get("from", ""), other)
    single = column.logical_name == other.primary_id
    return Link(
        element=element,
        table=other,
        variable=f"j{len(links) + 1}",
        alias=_alias(links, element, other, single=single),
        same=Property(path=(*path, column_of(element.get("to", ""), table).property_name)),
        column=column.property_name,
        inner=kind == "inner",
        single=single,
    )


def _alias(links: Sequence[Link], element: Element, table: Table, *, single: bool) -> str:
    """The alias; without one the name of the table, with a number for several rows (join-tables page)."""
    taken = {link.alias for link in links}
    alias = element.get("alias")
    if alias is not None and alias in taken:
        raise malformed(f"The alias '{alias[:100]}' is not unique.")
    if alias is not None:
        return alias
    name = table.logical_name
    if single and name not in taken:
        return name
    return f"{name}{1 + sum(link.table is table for link in links)}"


def _columns(element: Element, table: Table, prefix: str) -> Iterator[tuple[str, str]]:
    if element.find("all-attributes") is not None:
        for name in readable(table):
            yield name, f"{prefix}.{table.by_property[name].logical_name}"
    for each in element.findall("attribute"):
        column = column_of(each.get("name", ""), table)
        yield column.property_name, each.get("alias") or f"{prefix}.{column.logical_name}"


def condition_of(entity: Element, table: Table, schema: Schema, links: Sequence[Link]) -> Expression | None:
    """The condition of the rows of a query, after its joins."""
    return _condition(entity, table, Names(schema=schema, places=places_of(links)), ())


def _condition(element: Element, table: Table, names: Names, path: tuple[str, ...]) -> Expression | None:
    existing = (each for each in element.findall("link-entity") if each.get("link-type") in EXISTING)
    found = [filter_expression(element.findall("filter"), table, names, path=path)]
    found += [related_rows(each, table, names, path=path) for each in existing]
    return joined("and", [each for each in found if each is not None])


def joins_of(links: Sequence[Link], table: Table, schema: Schema, compiler: Compiler) -> Joins:
    """The joins in SQL; the filters of a link are a part of its join (filter-rows page)."""
    joins = Joins(scope=Scope.of(table))
    for link in links:
        condition = _condition(link.element, link.table, Names(schema=schema), (link.variable,))
        joins = compiler.join(
            joins,
            Scope(table=link.table, name=link.variable, variable=link.variable, outer=joins.scope),
            (link.column, link.same),
            condition,
            inner=link.inner,
        )
    return replace(joins, multiplies=not all(link.single for link in links))


def places_of(links: Sequence[Link]) -> Places:
    """The joined tables that conditions and orders can name."""
    places: dict[str, tuple[Table, tuple[str, ...]]] = {}
    for link in links:
        place = (link.table, (link.variable,))
        places[link.alias] = place
        if link.element.get("alias") is None:
            places.setdefault(link.table.logical_name, place)
    return places


def orders_of(links: Sequence[Link]) -> Iterator[tuple[Element, Table, tuple[str, ...]]]:
    """The orders within the joined tables, each with its table and the way to it."""
    for link in links:
        yield from ((element, link.table, (link.variable,)) for element in link.element.findall("order"))


def with_joined_rows(
    asked: TableQuery, links: Sequence[Link], records: Sequence[Record], keys: Sequence[Sequence[str | None]]
) -> list[Record]:
    """Returns rows with the columns of their joined rows beside their own, and their annotations.

    Args:
        asked: The query.
        links: The joined tables.
        records: The rows.
        keys: For each row the identifiers of its joined rows.
    """
    flat = [dict(record) for record in records]
    for number, link in enumerate(links):
        if not link.columns:
            continue
        wanted = sorted({key for row in keys if (key := row[number]) is not None})
        query = Query(select=tuple(dict.fromkeys(name for name, _ in link.columns)))
        found = rows_by_id(replace(asked.related(link.table, query), deleted=False), wanted)
        for record, row in zip(flat, keys, strict=True):
            other, _ = found.get(row[number] or "", (None, 0))
            record.update(_named(other or {}, link))
    return flat


def _named(other: Mapping[str, object], link: Link) -> Iterator[tuple[str, object]]:
    for name, value in other.items():
        column, at, annotation = name.partition("@")
        for prop, alias in link.columns:
            if prop == column:
                yield f"{alias}{at}{annotation}", value
