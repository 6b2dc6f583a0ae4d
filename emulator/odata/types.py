"""The OData type of a column, and the stored value of a literal."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from emulator.errors import ODataError
from emulator.odata.lexer import GUID
from emulator.odata.nodes import Literal
from emulator.schema.model import Column, ColumnType, DateBehavior
from emulator.store.values import service_time

__all__ = ["Stored", "edm_type", "fits", "instant_text", "stored_literal", "stored_text"]

Stored = str | int | float | None

_EDM: Final = {
    ColumnType.STRING: "Edm.String",
    ColumnType.MEMO: "Edm.String",
    ColumnType.INTEGER: "Edm.Int32",
    ColumnType.BIGINT: "Edm.Int64",
    ColumnType.DECIMAL: "Edm.Decimal",
    ColumnType.MONEY: "Edm.Decimal",
    ColumnType.DOUBLE: "Edm.Double",
    ColumnType.BOOLEAN: "Edm.Boolean",
    ColumnType.PICKLIST: "Edm.Int32",
    ColumnType.STATE: "Edm.Int32",
    ColumnType.STATUS: "Edm.Int32",
    ColumnType.MULTI_PICKLIST: "Edm.String",
    ColumnType.LOOKUP: "Edm.Guid",
    ColumnType.CUSTOMER: "Edm.Guid",
    ColumnType.OWNER: "Edm.Guid",
    ColumnType.UNIQUEIDENTIFIER: "Edm.Guid",
    ColumnType.IMAGE: "Edm.Binary",
    ColumnType.VIRTUAL: "Edm.String",
}
_NUMBERS: Final = frozenset({"Edm.Int32", "Edm.Int64", "Edm.Decimal", "Edm.Double"})
_OPTION: Final = re.compile(r"-?[0-9]{1,10}")
_INT64_DIGITS: Final = 20
_GUID: Final = re.compile(rf"\{{?({GUID})\}}?")


def edm_type(column: Column) -> str:
    """Return the primitive type of the property of a column, such as ``Edm.Int32``."""
    if column.type is ColumnType.DATETIME:
        return "Edm.Date" if column.date_behavior is DateBehavior.DATE_ONLY else "Edm.DateTimeOffset"
    return _EDM[column.type]


def fits(literal: Literal, edm: str) -> bool:
    """Whether Microsoft's OData library compares such a literal with a property of type ``edm``.

    Numbers compare with numbers, dates also with points in time; the service also accepts identifiers in quotes
    (filter-rows page, "Filter rows").
    """
    if literal.edm in {edm, "null"}:
        return True
    match edm:
        case "Edm.Guid":
            return isinstance(literal.value, str) and _GUID.fullmatch(literal.value) is not None
        case "Edm.DateTimeOffset":
            return literal.edm == "Edm.Date"
        case _:
            return edm in _NUMBERS and literal.edm in _NUMBERS


def stored_literal(literal: Literal, column: Column) -> Stored:
    """Return the stored value of a literal that `fits` the column, without fractions of a second."""
    value = literal.value
    if value is None or isinstance(value, list | dict):  # JSON `fits` no column
        return None
    edm = edm_type(column)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, Decimal):
        return float(value)
    if edm == "Edm.DateTimeOffset":
        return f"{value}T00:00:00Z"
    if edm == "Edm.Guid":
        return value.strip("{}").lower()
    if column.type is ColumnType.MULTI_PICKLIST:
        return _sorted_options(value)
    return value


def stored_text(text: str, column: Column) -> Stored:
    """Return the stored value of an argument of a query function, which is a text for every type of column.

    Raises:
        ODataError: The text is not a value of the column's type.
    """
    edm = edm_type(column)
    try:
        return _parsed(text.strip(), edm) if edm != "Edm.String" else text
    except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
        raise ODataError(
            f"Cannot convert the literal '{text[:100]}' to the expected type '{edm}'.", code="0x80060888"
        ) from error


def _parsed(text: str, edm: str) -> Stored:
    match edm:
        case "Edm.Int32" | "Edm.Int64":
            number = int(text[:_INT64_DIGITS])
            if len(text) > _INT64_DIGITS or not -(2**63) <= number < 2**63:
                raise ValueError(text)
            return number
        case "Edm.Decimal" | "Edm.Double":
            return float(Decimal(text))
        case "Edm.Boolean":
            return int({"true": True, "1": True, "false": False, "0": False}[text.lower()])
        case "Edm.Date":
            return datetime.fromisoformat(text).date().isoformat()
        case "Edm.DateTimeOffset":
            moment = datetime.fromisoformat(text)
            return instant_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        case _:
            match = _GUID.fullmatch(text)
            if match is None:
                raise ValueError(text)
            return match[1].lower()


def instant_text(moment: datetime) -> str:
    """Return a point in time as it is stored: ISO 8601 in UTC, to the second."""
    return service_time(moment).rjust(20, "0")  # years before 1000 need a zero, as SQLite compares texts


def _sorted_options(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    return ",".join(sorted(parts, key=int)) if all(_OPTION.fullmatch(part) for part in parts) else text
