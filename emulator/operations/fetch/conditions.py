"""The filter of a FetchXML query as the expression that an OData filter becomes (fetchxml/filter-rows page)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID
from xml.etree.ElementTree import Element

from emulator.errors import ServiceError, not_implemented
from emulator.odata.dates import COUNTED, NAMED
from emulator.odata.nodes import (
    Call,
    Comparison,
    Expression,
    Literal,
    Logical,
    Negation,
    Property,
    QueryFunction,
    Related,
)
from emulator.odata.types import edm_type
from emulator.schema import Column, Schema, Table

__all__ = [
    "EXISTING",
    "LINK_ATTRIBUTES",
    "Names",
    "Places",
    "column_of",
    "filter_expression",
    "is_true",
    "joined",
    "malformed",
    "place_of",
    "related_rows",
]

_COMPARISONS: Final = {"eq": "eq", "ne": "ne", "neq": "ne", "gt": "gt", "ge": "ge", "lt": "lt", "le": "le"}
_TEXTS: Final = {
    "like": ("like", False),
    "not-like": ("like", True),
    "begins-with": ("startswith", False),
    "not-begin-with": ("startswith", True),
    "ends-with": ("endswith", False),
    "not-end-with": ("endswith", True),
}
_LISTS: Final = {
    "in": "In",
    "not-in": "NotIn",
    "between": "Between",
    "not-between": "NotBetween",
    "contain-values": "ContainValues",
    "not-contain-values": "DoesNotContainValues",
}
_OTHERS: Final = {
    "eq-userid": "EqualUserId",
    "ne-userid": "NotEqualUserId",
    "eq-businessid": "EqualBusinessId",
    "ne-businessid": "NotEqualBusinessId",
    "eq-userteams": "EqualUserTeams",
    "eq-useroruserteams": "EqualUserOrUserTeams",
    "above": "Above",
    "eq-or-above": "AboveOrEqual",
    "under": "Under",
    "eq-or-under": "UnderOrEqual",
    "not-under": "NotUnder",
    "on": "On",
    "not-on": "NotOn",
    "on-or-after": "OnOrAfter",
    "on-or-before": "OnOrBefore",
}
_NOT_EMULATED: Final = frozenset(
    {"eq-userlanguage", "eq-useroruserhierarchy", "eq-useroruserhierarchyandteams", "eq-rolebusinessid"}
)
_DEEPEST: Final = 50
LINK_ATTRIBUTES: Final = frozenset({"name", "from", "to", "alias", "link-type", "visible", "intersect"})
EXISTING: Final = frozenset({"exists", "in"})
"""Types of links that find rows with a related row, and have no columns."""
Places = Mapping[str, tuple[Table, tuple[str, ...]]]
"""The joined tables by their aliases, with what names their rows in expressions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the names in a filter mean: the tables, and the joined tables by their aliases."""

    schema: Schema
    places: Places = field(default_factory=dict)


def malformed(message: str) -> ServiceError:
    """The query is not FetchXML; the service's own code for it is not documented."""
    return ServiceError(400, "0x80040203", f"Invalid XML. {message}")


def is_true(text: str | None) -> bool:
    """Whether an attribute of an element is set."""
    return (text or "").lower() in {"true", "1"}


def column_of(name: str, table: Table) -> Column:
    """Returns a column by its logical name.

    Raises:
        ServiceError: The table does not have it (web-service-error-codes, QueryBuilderNoAttribute).
    """
    column = table.columns.get(name)
    if column is None:
        where = f"'{table.logical_name}' entity doesn't contain attribute"
        raise ServiceError(400, "0x80041103", f"{where} with Name = '{name}' and NameMapping = 'Logical'.")
    return column


def filter_expression(
    filters: Sequence[Element], table: Table, names: Names, *, path: tuple[str, ...] = (), depth: int = 0
) -> Expression | None:
    """Returns the expression of filters that all have to hold; None where there is no condition.

    Args:
        filters: The elements.
        table: The table of their columns.
        names: The tables that conditions can name.
        path: What names the rows of the table in expressions.
        depth: The number of filters around them.

    Raises:
        ServiceError: A condition is unknown or not emulated, or its value does not fit the column.
    """
    if depth > _DEEPEST:
        raise malformed("The filters are nested too deep.")
    found = (_filter(element, table, names, path, depth) for element in filters)
    return joined("and", [each for each in found if each is not None])


def _filter(element: Element, table: Table, names: Names, path: tuple[str, ...], depth: int) -> Expression | None:
    kind = element.get("type", "and")
    if kind not in {"and", "or"}:
        raise malformed(f"The filter type '{kind}' is not valid.")
    parts: list[Expression] = []
    for child in element:
        if child.tag == "condition":
            parts.append(_condition(child, *place_of(child, table, path, names.places), names.places))
        elif child.tag == "filter":
            inner = filter_expression([child], table, names, path=path, depth=depth + 1)
            parts += [] if inner is None else [inner]
        elif child.tag == "link-entity":
            parts.append(_any_or_all(child, table, names, path, depth))
        else:
            raise malformed(f"The element '{child.tag}' was not expected.")
    return joined(kind, parts)


def place_of(element: Element, table: Table, path: tuple[str, ...], places: Places) -> tuple[Table, tuple[str, ...]]:
    """The table of a condition or an order and the way to it: that of its element, or the one that `entityname` names.

    Raises:
        ServiceError: There is no joined table of that name.
    """
    name = element.get("entityname")
    return (table, path) if name is None else _named(name, places)


def _named(name: str, places: Places) -> tuple[Table, tuple[str, ...]]:
    if name not in places:
        raise malformed(f"The entityname '{name[:100]}' is no alias of a link-entity.")
    return places[name]


def _any_or_all(element: Element, table: Table, names: Names, path: tuple[str, ...], depth: int) -> Expression:
    """A `link-entity` in a filter (reference/link-entity page, "Filter Link Types").

    As the page says, `all` finds rows with related rows of which none satisfies the filters, and `not all` is the same
    as `any`.
    """
    kind = element.get("link-type", "")
    found = related_rows(element, table, names, path=path, depth=depth)
    match kind:
        case "any" | "not all":
            return found
        case "not any":
            return Negation(operand=found)
        case "all":
            return Logical(operator="and", operands=(replace(found, predicate=None), Negation(operand=found)))
        case _:
            raise malformed(f"The link-type '{kind}' is not valid in a filter.")


def related_rows(
    element: Element, table: Table, names: Names, *, path: tuple[str, ...] = (), depth: int = 0
) -> Related:
    """The condition that a `link-entity` finds a row; it has filters and further links, but no columns.

    Raises:
        ServiceError: A name is unknown, or the element has what only a join has.
    """
    if depth > _DEEPEST:
        raise malformed("The filters are nested too deep.")
    other = names.schema.tables.get(element.get("name", ""))
    if other is None:
        raise malformed(f"The entity '{element.get('name', '')[:100]}' of a link was not found.")
    if not {*element.attrib} <= LINK_ATTRIBUTES or any(each.tag not in {"filter", "link-entity"} for each in element):
        raise malformed(f"A link-entity of the type '{element.get('link-type', 'inner')}' has no columns and orders.")
    variable = f"link-entity {depth}"
    inner = [filter_expression(element.findall("filter"), other, names, path=(variable,), depth=depth + 1)]
    for each in element.findall("link-entity"):
        if each.get("link-type", "inner") not in {"inner", *EXISTING}:
            raise not_implemented(
                "Of link-entity in another one that returns no columns, only inner joins are emulated."
            )
        inner.append(related_rows(each, other, names, path=(variable,), depth=depth + 1))
    same = Property(path=(*path, column_of(element.get("to", ""), table).property_name))
    return Related(
        table=other.logical_name,
        column=column_of(element.get("from", ""), other).property_name,
        same=same,
        variable=variable,
        predicate=joined("and", [each for each in inner if each is not None]),
    )


def joined(operator: str, parts: Sequence[Expression]) -> Expression | None:
    """Returns several expressions as one; None where there is none."""
    if len(parts) < 2:  # noqa: PLR2004 - one alone needs no operator
        return parts[0] if parts else None
    return Logical(operator=operator, operands=tuple(parts))


def _condition(element: Element, table: Table, path: tuple[str, ...], places: Places) -> Expression:
    known = {"attribute", "entityname", "operator", "value", "valueof", "uitype", "uiname", "uihidden"}
    if not {*element.attrib} <= known:
        raise not_implemented("Of the element 'condition' of FetchXML only attribute, operator and value are emulated.")
    column = column_of(element.get("attribute", ""), table)
    operand = Property(path=(*path, column.property_name))
    operator = element.get("operator", "")
    match operator:
        case "null" | "not-null":
            return Comparison(operator="eq" if operator == "null" else "ne", left=operand, right=_NULL)
        case _ if operator in _COMPARISONS:
            right = _compared(element, column, (table, path), places)
            return Comparison(operator=_COMPARISONS[operator], left=operand, right=right)
        case _ if operator in _TEXTS:
            name, negated = _TEXTS[operator]
            call = Call(name=name, operand=operand, text=_value(element))
            return Negation(operand=call) if negated else call
        case _ if operator in _LISTS:
            values = tuple(each.text or "" for each in element.findall("value"))
            return _function(_LISTS[operator], column, path, PropertyValues=values)
        case _ if name := _function_name(operator):
            value = element.get("value")
            given = {} if value is None else {"PropertyValue": value}
            return _function(name, column, path, **given)
    if operator in _NOT_EMULATED or "-fiscal-" in operator:
        raise not_implemented(f"The condition operator '{operator}' is not emulated.")
    raise ServiceError(400, "0x80041118", f"The condition operator '{operator}' is not valid.")


def _compared(
    element: Element, column: Column, place: tuple[Table, tuple[str, ...]], places: Places
) -> Literal | Property:
    """The value of a condition, or the column of the row or of a joined one that `valueof` names (filter-rows page)."""
    other = element.get("valueof")
    if other is None:
        return _literal(_value(element), column)
    alias, dot, name = other.rpartition(".")
    table, path = _named(alias, places) if dot else place
    return Property(path=(*path, column_of(name, table).property_name))


def _function_name(operator: str) -> str:
    """The query function of an operator: `last-x-days` is `LastXDays`; empty where there is none."""
    words = "".join(part.capitalize() for part in operator.split("-"))
    name = _OTHERS.get(operator) or words.replace("Seven", "7").replace("Olderthan", "OlderThan")
    return name if operator in _OTHERS or name in NAMED or name in COUNTED else ""


def _function(name: str, column: Column, path: tuple[str, ...], **parameters: str | tuple[str, ...]) -> QueryFunction:
    named: dict[str, str | tuple[str, ...]] = {"PropertyName": column.logical_name, **parameters}
    return QueryFunction(name=name, parameters=named, subject=path)


def _value(element: Element) -> str:
    value = element.get("value")
    if value is None:
        raise malformed(f"The condition operator '{element.get('operator')}' needs a value.")
    return value


_NUMBER: Final = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?([eE][+-]?\d{1,3})?", re.ASCII)
_NULL: Final = Literal(value=None, edm="null")


def _integer(text: str) -> int:
    """The whole number of a text; `ValueError` where it is another one, or wider than any column."""
    number = _number(text)
    if number != int(number) or not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return int(number)


def _number(text: str) -> Decimal:
    """The number of a text; `ValueError` where it is not written with digits alone."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    return Decimal(text)


def _literal(text: str, column: Column) -> Literal:
    edm = edm_type(column)
    try:
        match edm:
            case "Edm.Int32" | "Edm.Int64":
                return Literal(value=_integer(text), edm=edm)
            case "Edm.Decimal" | "Edm.Double":
                return Literal(value=_number(text), edm=edm)
            case "Edm.Guid":
                return Literal(value=str(UUID(text)), edm=edm)
            case "Edm.Boolean":
                return Literal(value={"true": True, "1": True, "false": False, "0": False}[text.lower()], edm=edm)
            case "Edm.Date":
                return Literal(value=datetime.fromisoformat(text).date().isoformat(), edm=edm)
            case "Edm.DateTimeOffset":
                moment = datetime.fromisoformat(text)
                return Literal(value=moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), edm=edm)
    except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
        message = f"The value '{text[:100]}' of the attribute '{column.logical_name}' is not of its type."
        raise ServiceError(400, "0x80040203", message) from error
    return Literal(value=text, edm=edm)
