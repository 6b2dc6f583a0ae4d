"""JSON values as stored values: what each type of column accepts, and the error code for other values.

A stored value has the form of its JSON when it is read, except booleans (0 and 1).
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from uuid import UUID

from emulator.body_errors import (
    date_too_early,
    date_too_late,
    decimal_out_of_range,
    integer_out_of_range,
    invalid_characters,
    invalid_literal,
    invalid_option,
    number_as_text,
    text_too_long,
)
from emulator.errors import invalid_argument
from emulator.schema import EARLIEST_DAY, LATEST_DAY, Column, ColumnType, DateBehavior, Table

__all__ = ["READERS", "Convert", "converter", "guid_text", "rounded", "service_time"]

Convert = Callable[[Any], Any]

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# A time without an offset is in UTC; a date without a time is midnight.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII | re.IGNORECASE
)
_UTC_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
# Not allowed in XML 1.0: control characters except tab and line ends, halves of surrogate pairs, U+FFFE and U+FFFF.
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_WHOLE: Final = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")
_DOUBLE: Final = re.compile(r"\s*[+-]?(?:[0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,2})?\s*")
_INT32: Final = 2**31
_MOST_CHOICES: Final = 150
_MONEY_DIGITS: Final = 4
_BYTES_OF_NON_BMP: Final = 2


def guid_text(value: Any) -> str:
    """Returns a GUID as the service writes it, lower-case with dashes.

    Raises:
        ServiceError: The value is not a GUID.
    """
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise invalid_literal(value, "Edm.Guid")


def service_time(moment: datetime) -> str:
    """Returns a time as rows store it: in UTC, without fractions of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def converter(column: Column, table: Table) -> Convert:
    """Returns the function that converts JSON values of a column; it raises `ServiceError` for other values."""
    make = _CONVERTERS.get(column.type)
    return make(column, table.logical_name) if make else _unwritable(column, table.logical_name)


def _unwritable(column: Column, table: str) -> Convert:
    def convert(_: Any) -> Any:
        raise invalid_argument(f"The column {column.logical_name} of {table} can't be written this way.")

    return convert


def _text(column: Column, table: str) -> Convert:
    limit = column.max_length or 2**31
    name = column.logical_name
    ascii_only = column.ascii_only

    def convert(value: Any) -> Any:
        if value is None or value == "":
            return None  # the service stores empty text as null
        value = _string(value)
        if not value.isprintable() and _NOT_IN_XML.search(value):
            raise invalid_characters(name)
        if len(value) > limit or (not value.isascii() and len(value.encode("utf-16-le")) > limit * _BYTES_OF_NON_BMP):
            raise text_too_long(name, table, limit)
        if ascii_only and not value.isascii():
            raise invalid_literal(value, "Edm.String")
        return value

    return convert


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid_literal(value, "Edm.String")
    return value


def _integer(column: Column, table: str) -> Convert:
    low, high = column.min_value, column.max_value
    name = column.logical_name
    read = _long if column.type is ColumnType.BIGINT else _int

    def convert(value: Any) -> Any:
        if value is None:
            return None
        value = read(value)
        if (low is not None and value < low) or (high is not None and value > high):
            raise integer_out_of_range(name, table)
        return value

    return convert


def _int(value: Any) -> int:
    """Reads an `Edm.Int32` as Microsoft's OData library does (ODataPayloadValueConverter): also from a text."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is not int or not -_INT32 <= value < _INT32:
        raise invalid_literal(value, "Edm.Int32")
    return value


def _long(value: Any) -> int:
    """Reads an `Edm.Int64`: a decimal is rounded."""
    if isinstance(value, str):
        raise number_as_text("Edm.Int64")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_literal(value, "Edm.Int64")
    return round(value)


def _decimal(value: Any) -> int | float:
    if isinstance(value, str):
        raise number_as_text("Edm.Decimal")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_literal(value, "Edm.Decimal")
    return value


def _double(value: Any) -> int | float:
    """Reads an `Edm.Double`, also from a text."""
    if isinstance(value, str) and _DOUBLE.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_literal(value, "Edm.Double")
    return value


def _number(column: Column, table: str) -> Convert:
    low, high = column.min_value, column.max_value
    # An amount whose decimals depend on its row is rounded with the row; the store has four in any case.
    digits = _MONEY_DIGITS if column.precision_source else column.precision
    name = column.logical_name
    read = _double if column.type is ColumnType.DOUBLE else _decimal

    def convert(value: Any) -> Any:
        if value is None:
            return None
        value = read(value)
        if (low is not None and value < low) or (high is not None and value > high):
            raise decimal_out_of_range(name, table)
        if isinstance(value, float) and digits is not None:
            return rounded(value, digits)
        return value

    return convert


def rounded(value: float, digits: int) -> float:
    """Rounds to a number of decimals as the service does: the decimal as written, half to even."""
    if round(value, digits) == value:
        return value
    written = Decimal(repr(value))
    return float(written.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)) + 0.0  # + 0.0 makes 0 of -0


def _boolean(column: Column, table: str) -> Convert:
    del column, table

    return lambda value: None if value is None else _truth(value)


def _truth(value: Any) -> bool:
    """Reads an `Edm.Boolean`, also from a text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise invalid_literal(value, "Edm.Boolean")


def _choice(column: Column, table: str) -> Convert:
    options = [option.value for option in column.options]
    known = frozenset() if column.other_values else frozenset(options)
    name = column.logical_name

    def convert(value: Any) -> Any:
        if value is None:
            return None
        value = _int(value)
        if known and value not in known:
            raise invalid_option(value, name, table, options)
        return value

    return convert


def _choices(column: Column, table: str) -> Convert:
    options = [option.value for option in column.options]
    known = frozenset() if column.other_values else frozenset(options)
    name = column.logical_name

    def convert(value: Any) -> Any:
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise invalid_literal(value, "Edm.String")
        try:
            chosen = sorted({int(part) for part in value.split(",")})
        except ValueError:
            raise invalid_literal(value, "Edm.Int32") from None
        unknown = [option for option in chosen if known and option not in known]
        if unknown:
            raise invalid_option(unknown[0], name, table, options)
        if len(chosen) > _MOST_CHOICES:
            raise invalid_argument(f"A maximum of {_MOST_CHOICES} options can be selected for {name}.")
        return ",".join(map(str, chosen))

    return convert


def _date(column: Column, table: str) -> Convert:
    del column, table

    def convert(value: Any) -> Any:
        if value is None:
            return None
        _check_supported(value, _day(value))
        return value

    return convert


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(value if _DATE.fullmatch(value) else "")
    except (TypeError, ValueError):
        raise invalid_literal(value, "Edm.Date") from None


def _moment(column: Column, table: str) -> Convert:
    del column, table

    def convert(value: Any) -> Any:
        if value is None:
            return None
        utc = _instant(value)
        _check_supported(value, utc.date())
        if _UTC_SECOND.fullmatch(value):
            return value
        return service_time(utc)

    return convert


def _instant(value: Any) -> datetime:
    """Reads an `Edm.DateTimeOffset`, in UTC."""
    try:
        moment = datetime.fromisoformat(value.upper() if _MOMENT.fullmatch(value) else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise invalid_literal(value, "Edm.DateTimeOffset") from None


def _check_supported(value: str, day: date) -> None:
    """Refuses a date whose day, in UTC, is not one that every date column takes."""
    if day < EARLIEST_DAY:
        raise date_too_early(value, EARLIEST_DAY)
    if day > LATEST_DAY:
        raise date_too_late(value, LATEST_DAY)


def _identifier(column: Column, table: str) -> Convert:
    del column, table
    return lambda value: None if value is None else guid_text(value)


def _picture(column: Column, table: str) -> Convert:
    del column, table

    def convert(value: Any) -> Any:
        if value is not None:
            _binary(value)
        return value

    return convert


def _binary(value: Any) -> bytes:
    """Reads an `Edm.Binary`: base64, in which white space has no meaning."""
    try:
        return b64decode("".join(value.split()), validate=True)
    except (AttributeError, ValueError):
        raise invalid_literal(value, "Edm.Binary") from None


def _date_or_moment(column: Column, table: str) -> Convert:
    return _date(column, table) if column.date_behavior is DateBehavior.DATE_ONLY else _moment(column, table)


READERS: Final[Mapping[str, Convert]] = {
    "Edm.String": _string,
    "Edm.Boolean": _truth,
    "Edm.Int32": _int,
    "Edm.Int64": _long,
    "Edm.Decimal": _decimal,
    "Edm.Double": _double,
    "Edm.Guid": guid_text,
    "Edm.Binary": _binary,
    "Edm.Date": _day,
    "Edm.DateTimeOffset": _instant,
}
"""What reads the JSON of a primitive type, other than null; it raises `ServiceError` for a value of another type."""
_CONVERTERS: Final[Mapping[ColumnType, Callable[[Column, str], Convert]]] = {
    ColumnType.STRING: _text,
    ColumnType.MEMO: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.BIGINT: _integer,
    ColumnType.DECIMAL: _number,
    ColumnType.MONEY: _number,
    ColumnType.DOUBLE: _number,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.PICKLIST: _choice,
    ColumnType.STATE: _choice,
    ColumnType.STATUS: _choice,
    ColumnType.MULTI_PICKLIST: _choices,
    ColumnType.DATETIME: _date_or_moment,
    ColumnType.UNIQUEIDENTIFIER: _identifier,
    ColumnType.IMAGE: _picture,
}
