"""The nodes of a parsed filter expression."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

__all__ = [
    "COMPARISONS",
    "Call",
    "Comparison",
    "Expression",
    "Lambda",
    "Literal",
    "LiteralValue",
    "Logical",
    "Membership",
    "Negation",
    "Operand",
    "Property",
    "QueryFunction",
    "Related",
]

LiteralValue = str | int | Decimal | bool | datetime | list[object] | dict[str, object] | None

COMPARISONS: Final = {
    "eq": "Equal",
    "ne": "NotEqual",
    "gt": "GreaterThan",
    "ge": "GreaterThanOrEqual",
    "lt": "LessThan",
    "le": "LessThanOrEqual",
}
"""The comparison operators with their names in OData's messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A literal of a URL.

    Attributes:
        value: The Python value. An identifier or a date is text, a point in time is an aware `datetime` in UTC, a list
            or a reference from a parameter alias is JSON.
        edm: The primitive type of the notation, ``Edm.String`` and so on; ``null`` for null, ``json`` for JSON.
        text: The literal as written.
        position: Index of its first character in the expression.
    """

    value: LiteralValue
    edm: str
    text: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property of the row or a related row: ``name``, ``primarycontactid/fullname``, ``t/statecode`` in a lambda."""

    path: tuple[str, ...]
    position: int = 0


Operand = Literal | Property


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``left eq right``; `operator` is one of `COMPARISONS`."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """``property in (literal, ...)``."""

    operand: Property
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``contains``, ``startswith`` or ``endswith`` of a property and a text; in FetchXML also ``like``."""

    name: str
    operand: Property
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFunction:
    """A query function of Dataverse, ``Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['1'])``.

    Attributes:
        name: Without the namespace.
        parameters: By name; a list is a tuple of texts, another value a text.
        subject: The path before the function, such as the variable of a lambda.
    """

    name: str
    parameters: Mapping[str, str | tuple[str, ...]]
    subject: tuple[str, ...] = ()
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda:
    """``Account_Tasks/any(t:t/statecode eq 1)``; without a predicate it is true if there is any row."""

    path: tuple[str, ...]
    quantifier: str
    variable: str
    predicate: "Expression | None"
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """There is a row of another table with the same value: a `link-entity` in a filter of FetchXML.

    Attributes:
        table: The logical name of the other table.
        column: The property of its rows.
        same: The property with the same value.
        variable: What names the other row in the predicate.
        predicate: What else is true for the other row; None for nothing.
    """

    table: str
    column: str
    same: Property
    variable: str
    predicate: "Expression | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logical:
    """Two or more expressions joined by the same ``and`` or ``or``, in one list, as long lists are common."""

    operator: str
    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    """``not expression``."""

    operand: "Expression"


Expression = Comparison | Membership | Call | QueryFunction | Lambda | Related | Logical | Negation | Property | Literal
"""A filter or a part of it; a `Property` or `Literal` alone must be boolean."""
