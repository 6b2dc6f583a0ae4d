"""The columns of a FetchXML query, from its elements and the metadata of its tables.

Microsoft: "Select columns using FetchXml", "Join tables using FetchXml", "Aggregate data using FetchXml".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shared.definitions.models import ColumnType
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.sources.dynamics.members import Columns, Member, member_of, parts_of, table_columns
from shared.sources.typed import KnownColumn
from shared.suggestions import did_you_mean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["fetched_columns"]

_NUMBERS: Final = frozenset({"avg", "count", "countcolumn", "sum"})


def fetched_columns(query: Element, entity: EntityMetadata, table: Callable[[str], EntityMetadata]) -> Columns:
    """The columns that a query returns: by alias where it has one, of joined tables as `alias.column`.

    Args:
        query: The query.
        entity: Its table.
        table: Gives the metadata of joined tables.

    Raises:
        UserError: An element names a column that the table does not have, or has no alias and needs one.
    """
    found = Columns(own={}, parts={}, unreadable={})
    return _with_links(_with(found, query[0], entity, ""), query[0], table)


def _with_links(found: Columns, element: Element, table: Callable[[str], EntityMetadata]) -> Columns:
    for link in element.findall("link-entity"):
        if _has_columns(link):
            alias = link.get("alias")
            if not alias:
                raise UserError(f"the link-entity {link.get('name')} needs an alias, because it has columns")
            found = _with(found, link, table(link.get("name", "")), f"{alias}.")
        found = _with_links(found, link, table)
    return found


def _has_columns(element: Element) -> bool:
    return any(each.tag in {"attribute", "all-attributes"} for each in element)


def _with(found: Columns, element: Element, entity: EntityMetadata, prefix: str) -> Columns:
    own, parts, unreadable = dict(found.own), dict(found.parts), dict(found.unreadable)
    if element.find("all-attributes") is not None or not _has_columns(element):
        names: list[tuple[str, str | None, str]] = [(name, None, "") for name in table_columns(entity).own]
    else:
        names = [(each.get("name", ""), each.get("alias"), _computed(each)) for each in element.findall("attribute")]
    for name, alias, computed in names:
        attribute = entity.attributes.get(name)
        if attribute is None:
            hint = did_you_mean(name, entity.attributes, before="; ")
            raise UserError(f"{entity.logical_name} has no column {name}{hint}")
        if computed and not alias:
            raise UserError(f"the attribute {name} needs an alias, because its values are computed")
        label = alias or f"{prefix}{name}"
        member = member_of(attribute, label if alias or prefix else None)
        if computed in _NUMBERS:
            own[label] = Member(selected=label, known=KnownColumn.as_text(ColumnType.NUMBER))
        elif isinstance(member, str):
            unreadable[label] = f"{entity.logical_name}: {member}"
        else:
            member = replace(member, attribute="") if prefix or computed else member
            own[label] = member
            parts |= dict(parts_of(label, attribute, member))
    return Columns(own=own, parts=parts, unreadable=unreadable)


def _computed(element: Element) -> str:
    """How the service computes a column; parts of dates are numbers, too."""
    return "count" if element.get("dategrouping") else element.get("aggregate", "")
