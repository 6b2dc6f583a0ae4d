"""Evaluates a filter on JSON objects instead of a table: definitions, and the rows in the body of a request."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from emulator.errors import ODataError
from emulator.odata.nodes import (
    Call,
    Comparison,
    Expression,
    Literal,
    Logical,
    Negation,
    Operand,
    Property,
    QueryFunction,
)
from emulator.odata.types import instant_text
from emulator.store.collation import Collation

__all__ = ["matches", "paths_of", "text_functions_of"]

_DEFAULT: Final = Collation()


def matches(expression: Expression, row: Mapping[str, Any], collation: Collation = _DEFAULT) -> bool:
    """Whether a JSON object satisfies a filter; a missing property is null.

    Texts compare by ``collation``, without wildcards; of Dataverse's query functions only ``In`` and ``NotIn`` work.

    Raises:
        ODataError: The filter uses a function or a lambda that works only on tables.
    """
    match expression:
        case Logical(operator="and"):
            return all(matches(part, row, collation) for part in expression.operands)
        case Logical():
            return any(matches(part, row, collation) for part in expression.operands)
        case Negation():
            return not matches(expression.operand, row, collation)
        case Comparison():
            left, right = _value(expression.left, row, collation), _value(expression.right, row, collation)
            return _compared(expression.operator, left, right)
        case Call():
            return _called(expression, row, collation)
        case QueryFunction(name="In" | "NotIn"):
            return _listed(expression, row, collation) is (expression.name == "In")
        case Property() | Literal():
            return _value(expression, row, collation) is True
        case _:
            raise ODataError("This filter can only be evaluated on a table.")


def paths_of(expression: Expression) -> list[tuple[str, ...]]:
    """Return the properties that a filter names, each with the parts of its value that follow it."""
    match expression:
        case Logical():
            return [path for part in expression.operands for path in paths_of(part)]
        case Negation() | Call():
            return paths_of(expression.operand)
        case Comparison():
            return [path for side in (expression.left, expression.right) for path in paths_of(side)]
        case Property():
            return [tuple(expression.path)]
        case _:
            return []


def text_functions_of(expression: Expression) -> list[str]:
    """Return the names of the functions for texts that a filter has, such as ``startswith``."""
    match expression:
        case Logical():
            return [name for part in expression.operands for name in text_functions_of(part)]
        case Negation():
            return text_functions_of(expression.operand)
        case Call():
            return [expression.name]
        case _:
            return []


def _value(operand: Operand, row: Mapping[str, Any], collation: Collation) -> Any:
    value: Any = row
    if isinstance(operand, Literal):
        value = operand.value
    else:
        for name in operand.path:
            value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, datetime):
        return collation.normalise(instant_text(value))
    return collation.normalise(value) if isinstance(value, str) else value


def _compared(operator: str, left: Any, right: Any) -> bool:
    if operator in {"eq", "ne"}:
        return bool(left == right) is (operator == "eq")
    numbers = isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    match operator:
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case _:
            return bool(left <= right)


def _called(call: Call, row: Mapping[str, Any], collation: Collation) -> bool:
    value = _value(call.operand, row, collation)
    text = collation.normalise(call.text)
    if not isinstance(value, str):
        return False
    match call.name:
        case "contains":
            return text in value
        case "startswith":
            return value.startswith(text)
        case _:
            return value.endswith(text)


def _listed(function: QueryFunction, row: Mapping[str, Any], collation: Collation) -> bool:
    name, values = function.parameters.get("PropertyName"), function.parameters.get("PropertyValues")
    if not isinstance(name, str) or not isinstance(values, tuple):
        raise ODataError(f"The function '{function.name}' needs PropertyName and PropertyValues.")
    value = _value(Property(path=(name,)), row, collation)
    return value is not None and str(value) in {collation.normalise(text) for text in values}
