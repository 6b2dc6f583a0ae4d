"""Debezium's semantic types: dates as counted units, decimals as bytes. The schema in the message tells them apart."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from shared.events.bodies import mapping

__all__ = ["converted"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - these types have no zone by their definition
_Convert = Callable[[Any, Mapping[str, Any]], Any]


def _days(value: Any, _: Mapping[str, Any]) -> str:
    return (date(1970, 1, 1) + timedelta(days=value)).isoformat()


def _moment(value: Any, _: Mapping[str, Any], *, microseconds: float) -> str:
    return (_EPOCH + timedelta(microseconds=value * microseconds)).isoformat()


def _time(value: Any, _: Mapping[str, Any], *, microseconds: float) -> str:
    return (_EPOCH + timedelta(microseconds=value * microseconds)).time().isoformat()


def _decimal(value: Any, parameters: Mapping[str, Any]) -> Decimal:
    return _scaled(value, int(parameters.get("scale", 0)))


def _variable_decimal(value: Any, _: Mapping[str, Any]) -> Decimal:
    return _scaled(value["value"], int(value["scale"]))


def _scaled(value: Any, scale: int) -> Decimal:
    """Big-endian two's complement, in Base64: exact at any size, unlike arithmetic under the decimal context."""
    number = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


# Debezium documentation, "Temporal types" and "Decimal types" of the connectors; the last group is Kafka Connect's own.
_CONVERT: Final[Mapping[str, _Convert]] = {
    "io.debezium.time.Date": _days,
    "io.debezium.time.Timestamp": partial(_moment, microseconds=1000),
    "io.debezium.time.MicroTimestamp": partial(_moment, microseconds=1),
    "io.debezium.time.NanoTimestamp": partial(_moment, microseconds=0.001),
    "io.debezium.time.Time": partial(_time, microseconds=1000),
    "io.debezium.time.MicroTime": partial(_time, microseconds=1),
    "io.debezium.time.NanoTime": partial(_time, microseconds=0.001),
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "org.apache.kafka.connect.data.Date": _days,
    "org.apache.kafka.connect.data.Timestamp": partial(_moment, microseconds=1000),
    "org.apache.kafka.connect.data.Time": partial(_time, microseconds=1000),
    "org.apache.kafka.connect.data.Decimal": _decimal,
}


def converted(row: Mapping[str, Any], schema: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A row with its dates and decimals in plain form, as far as the schema names their types.

    Args:
        row: The row's fields as they came.
        schema: The message's schema, or an empty mapping when it came without.
        part: The envelope's field that the row stands in, `before` or `after`.

    Raises:
        ArithmeticError, AttributeError, KeyError, TypeError, ValueError: A value, or the schema itself, is not what
            Debezium sends.
    """
    of_part: Mapping[str, Any] = next((field for field in schema.get("fields", ()) if field["field"] == part), {})
    types = {field["field"]: field for field in of_part.get("fields", ()) if field.get("name") in _CONVERT}
    if not types:
        return row
    return {name: _converted(value, types[name]) if name in types else value for name, value in row.items()}


def _converted(value: Any, field: Mapping[str, Any]) -> Any:
    return None if value is None else _CONVERT[field["name"]](value, mapping(field.get("parameters")))
