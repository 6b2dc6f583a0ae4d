"""A FetchXML query: the elements and attributes that the emulator knows, checked against the table.

Documented in fetchxml/overview, select-columns, order-rows, page-results and reference/fetch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

from emulator.errors import ServiceError, not_implemented
from emulator.odata.nodes import Expression, Property
from emulator.odata.sql import Order
from emulator.operations.fetch.conditions import column_of, is_true, malformed, place_of
from emulator.operations.fetch.links import Link, condition_of, links_of, orders_of, places_of
from emulator.schema import Schema, Table

__all__ = ["Fetch", "counts_rows", "parse_fetch", "positive_number", "read_document", "window_of"]

_NO_EFFECT: Final = frozenset(
    {"version", "output-format", "mapping", "no-lock", "latematerialize", "options", "savedqueryid", "datasource"}
)
_LARGEST: Final = 5000  # page-results page: "The default and maximum page size is 5,000 rows"
_DIGITS: Final = 10
_TOTAL: Final = "returntotalrecordcount"
_OWN: Final = frozenset(
    {"top", "count", "page", "paging-cookie", "aggregate", "aggregatelimit", "useraworderby", "distinct", _TOTAL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One query.

    Attributes:
        attributes: The names of the columns to return, in order; None for all.
        aliases: Column -> the name of its property in the answer, where it has another one.
        condition: The filter, or None.
        order: The terms to sort by.
        top: The largest number of rows, or None; then there are no pages.
        count: Rows of a page.
        page: Number of the page, from 1.
        cookie: The paging cookie of the page before, or None.
        links: The joined tables.
    """

    attributes: tuple[str, ...] | None
    aliases: dict[str, str]
    condition: Expression | None
    order: tuple[Order, ...]
    top: int | None
    count: int
    page: int
    cookie: str | None
    links: tuple[Link, ...]


def read_document(text: str, table: Table) -> tuple[Element, Element]:
    """Reads a query on a table: the elements `fetch` and `entity`.

    Raises:
        ServiceError: It is not FetchXML on this table, or has an attribute that is not emulated (501).
    """
    root = _root(text)
    entity = _entity(root, table)
    _check_settings(root)
    return root, entity


def window_of(root: Element) -> tuple[int | None, int, int]:
    """The largest number of rows or None, the rows of a page, and the number of the page.

    Raises:
        ServiceError: One of them is not a number, or they do not go together.
    """
    top = positive_number(root, "top")
    for name in ("page", "count", _TOTAL):
        if top is not None and root.get(name) is not None:
            raise ServiceError(400, "0x80040203", f"The top attribute can't be specified with paging attribute {name}")
    return top, min(positive_number(root, "count") or _LARGEST, _LARGEST), positive_number(root, "page") or 1


def parse_fetch(root: Element, entity: Element, table: Table, schema: Schema) -> Fetch:
    """Reads a query for rows.

    Raises:
        ServiceError: It names what the table does not have, or what is not emulated (501).
    """
    attributes, aliases = _columns(entity, table)
    links = links_of(entity, table, schema)
    top, count, page = window_of(root)
    return Fetch(
        attributes=attributes,
        aliases=aliases,
        condition=condition_of(entity, table, schema, links),
        order=tuple(_orders(root, entity, table, links)),
        top=top,
        count=count,
        page=page,
        cookie=root.get("paging-cookie"),
        links=links,
    )


def counts_rows(root: Element) -> bool:
    """Whether the answer tells how many rows there are in all (fetchxml/count-rows page)."""
    return is_true(root.get(_TOTAL))


def _root(text: str) -> Element:
    if "<!DOCTYPE" in text:
        raise malformed("DTD is prohibited in this XML document.")
    try:
        root = fromstring(text)  # noqa: S314 - without a DTD there are no entities, and a URL has at most 64 KB
    except ParseError as error:
        raise malformed(str(error)) from error
    if root.tag != "fetch":
        raise malformed(f"The element '{root.tag}' was not expected.")
    return root


def _entity(root: Element, table: Table) -> Element:
    entities = [*root]
    if len(entities) != 1 or entities[0].tag != "entity":
        raise malformed("The element 'fetch' needs one element 'entity'.")
    entity: Element = entities[0]
    if entity.get("name") != table.logical_name:
        raise ServiceError(
            400, "0x80041102", f"The entity '{entity.get('name')}' of the query is not that of the collection."
        )
    for child in entity:
        if child.tag not in {"attribute", "all-attributes", "filter", "link-entity", "order"}:
            raise malformed(f"The element '{child.tag}' was not expected.")
    return entity


def _check_settings(root: Element) -> None:
    for name in root.attrib:
        if name not in _NO_EFFECT | _OWN:
            raise malformed(f"The attribute '{name}' was not expected.")


def _columns(entity: Element, table: Table) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """The columns to return; without any, and with `all-attributes`, all (select-columns, "Performance")."""
    names: dict[str, None] = {}
    aliases: dict[str, str] = {}
    for element in entity.findall("attribute"):
        column = column_of(element.get("name", ""), table)
        names[column.property_name] = None
        if (alias := element.get("alias")) is not None:
            aliases[column.property_name] = alias
        if not {*element.attrib} <= {"name", "alias"}:
            raise not_implemented("Of the element 'attribute' of FetchXML only name and alias are emulated.")
    everything = not names or entity.find("all-attributes") is not None
    return None if everything else tuple(names), aliases


def _orders(root: Element, entity: Element, table: Table, links: Sequence[Link]) -> Iterator[Order]:
    """The orders of the entity, which may name joined tables, and then those within joined tables (order-rows page)."""
    by_label = not is_true(root.get("useraworderby"))
    places = places_of(links)
    own = [(element, *place_of(element, table, (), places)) for element in entity.findall("order")]
    for element, ordered, path in (*own, *orders_of(links)):
        if not {*element.attrib} <= {"attribute", "descending", "entityname"}:
            raise not_implemented("Of the element 'order' of FetchXML only attribute and descending are emulated.")
        column = column_of(element.get("attribute", ""), ordered)
        descending = is_true(element.get("descending"))
        operand = Property(path=(*path, column.property_name))
        yield Order(operand=operand, descending=descending, by_label=by_label)


def positive_number(root: Element, name: str) -> int | None:
    """The number in an attribute; None where it is missing.

    Raises:
        ServiceError: It is not a positive number.
    """
    text = root.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
        raise malformed(f"The attribute '{name}' must be a positive number.")
    return int(text)
