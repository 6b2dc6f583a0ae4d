"""A query of Dataverse for what is past a watermark.

The pages of a query are separate statements for the service. A record that changes while they are read may be in none
of them with its new value. So the greatest value of the table is asked for before the first page: what changes later
has at least this value, and a watermark that is not past it loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from shared.definitions.models import ParameterValue, TypedColumn
from shared.definitions.parameters import in_odata
from shared.definitions.parameters.values import shown
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.errors import UserError
from shared.sources.dynamics.members import Member
from shared.sources.watermarks.marks import Scale, Value, unusable
from shared.sources.watermarks.reached import order_of
from shared.workspace import literal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["add_condition", "check_whole", "condition_of", "scale_of", "sent", "up_to"]

_WHOLE: Final = frozenset({AttributeType.INTEGER, AttributeType.BIGINT})
_SCALES: Final[Mapping[AttributeType, Scale]] = {
    **dict.fromkeys((*_WHOLE, AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE), Scale.NUMBER),
    AttributeType.DATETIME: Scale.TIME,
    # Texts are ordered by the collation of the environment.
    AttributeType.STRING: Scale.COLLATED,
}


def scale_of(name: str, member: Member, entity: EntityMetadata) -> tuple[AttributeMetadata, Scale]:
    """The column of a watermark in its table, and what it holds.

    Raises:
        DefinitionError: Its values do not grow, or it is not a column of the table of the query.
    """
    attribute = entity.attributes.get(member.attribute)
    if attribute is None or member.annotation:
        raise unusable(f"{name} is not a column of {entity.logical_name}; one is needed")
    scale = _SCALES.get(attribute.type)
    if scale is None:
        raise unusable(f"{name} is of type {attribute.type}; a number, a date or a line of text is needed")
    date_only = scale is Scale.TIME and attribute.date_behavior is DateBehavior.DATE_ONLY
    return attribute, Scale.DAY if date_only else scale


def sent(start: Value, attribute: AttributeMetadata) -> ParameterValue:
    """The value that a read starts at, as a condition takes it; of whole numbers the one that is not past it."""
    if isinstance(start, Decimal):
        return str(math.floor(start)) if attribute.type in _WHOLE else format(start, "f")
    return start


def condition_of(attribute: AttributeMetadata, start: ParameterValue, entity: EntityMetadata) -> str:
    """The OData condition that a record is past the watermark, or has no value."""
    return in_odata(f"({attribute.name} ge @start or {attribute.name} eq null)", {"start": start}, entity)


def add_condition(query: Element, attribute: AttributeMetadata, start: ParameterValue) -> None:
    """Add the same condition to a query in FetchXML; an entity has one filter, so its own goes into the new one."""
    from xml.etree.ElementTree import SubElement  # noqa: PLC0415 - see above

    entity = query[0]
    own = entity.findall("filter")
    for each in own:
        entity.remove(each)
    both = SubElement(entity, "filter", type="and")
    both.extend(own)
    either = SubElement(both, "filter", type="or")
    SubElement(either, "condition", attribute=attribute.name, operator="ge", value=shown(start))
    SubElement(either, "condition", attribute=attribute.name, operator="null")


def check_whole(query: Element) -> None:
    """Refuse a query in FetchXML that leaves out records, or whose rows are no records.

    Raises:
        UserError: It has `top` or `aggregate`.
    """
    if query.get("top") is not None:
        raise UserError("with a watermark, all records are needed: remove top")
    if query.get("aggregate", "false").lower() in {"true", "1"}:
        raise UserError("a watermark is a value of records, and an aggregate query has none: remove the watermark")


def up_to(greatest: str | None, column: TypedColumn, scale: Scale) -> str:
    """The rows whose value can be reached, as `reached_value` takes them.

    Args:
        greatest: The greatest value of the table before the first page; None where there was none.
        column: The column of the watermark.
        scale: What it holds.
    """
    if greatest is None:
        return "false"
    value = f"CAST({literal(greatest)} AS {column.sql_type})"
    return f"value = {value}" if scale is Scale.COLLATED else f"place <= {order_of(value, scale)}"
