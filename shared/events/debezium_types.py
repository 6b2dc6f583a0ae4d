"""Debezium's semantic types: dates as counted units, decimals as bytes. The schema in the message distinguishes them.

A value that does not fit its type becomes `Unusable`: for example PostgreSQL's infinite dates. The event fails only if
the definition reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from shared.events.bodies import mapping, scaled
from shared.events.records import Undecodable, Unusable
from shared.transform.notation.durations import SECOND, clock_text

__all__ = ["converted"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - these types have no zone by their definition
_DAY: Final = 86_400 * SECOND
# MySQL documentation, "The TIME type": -838:59:59 to 838:59:59, because a TIME is a duration too.
_LONGEST: Final = 839 * 3600 * SECOND
_NO_DATE: Final = Unusable(reason="the date is outside the years 1 to 9999")
_NO_TIME: Final = Unusable(reason="the time is outside -838:59:59 to 838:59:59")
_WRONG: Final = Unusable(reason="the value does not match the event's schema")
_Convert = Callable[[Any, Mapping[str, Any]], Any]


def _count(value: Any) -> int:
    if type(value) is not int:  # a text would be repeated a thousand times before it is found to be none
        raise TypeError
    return value


def _days(value: Any, _: Mapping[str, Any]) -> str | Unusable:
    try:
        return (date(1970, 1, 1) + timedelta(days=_count(value))).isoformat()
    except OverflowError:
        return _NO_DATE


def _moment(value: Any, _: Mapping[str, Any], *, times: int = 1, parts: int = 1) -> str | Unusable:
    try:
        return (_EPOCH + timedelta(microseconds=_count(value) * times // parts)).isoformat()
    except OverflowError:
        return _NO_DATE


def _time(value: Any, _: Mapping[str, Any], *, times: int = 1, parts: int = 1) -> str | Unusable:
    """A time of day, or what MySQL writes for a duration: 25:00:00, -00:00:01. It never wraps at midnight."""
    microseconds = _count(value) * times // parts
    if 0 <= microseconds < _DAY:
        return (_EPOCH + timedelta(microseconds=microseconds)).time().isoformat()
    if abs(microseconds) >= _LONGEST:
        return _NO_TIME
    return clock_text(microseconds)


def _decimal(value: Any, parameters: Mapping[str, Any]) -> Decimal | Unusable:
    return _scaled(value, int(parameters.get("scale", 0)))


def _variable_decimal(value: Any, _: Mapping[str, Any]) -> Decimal | Unusable:
    return _scaled(value["value"], int(value["scale"]))


def _scaled(value: Any, scale: int) -> Decimal | Unusable:
    """The unscaled number comes in Base64."""
    return scaled(base64.b64decode(value, validate=True), scale)


# Debezium documentation, "Temporal types" and "Decimal types" of the connectors; the last group is Kafka Connect's own.
_CONVERT: Final[Mapping[str, _Convert]] = {
    "io.debezium.time.Date": _days,
    "io.debezium.time.Timestamp": partial(_moment, times=1000),
    "io.debezium.time.MicroTimestamp": _moment,
    "io.debezium.time.NanoTimestamp": partial(_moment, parts=1000),
    "io.debezium.time.Time": partial(_time, times=1000),
    "io.debezium.time.MicroTime": _time,
    "io.debezium.time.NanoTime": partial(_time, parts=1000),
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "org.apache.kafka.connect.data.Date": _days,
    "org.apache.kafka.connect.data.Timestamp": partial(_moment, times=1000),
    "org.apache.kafka.connect.data.Time": partial(_time, times=1000),
    "org.apache.kafka.connect.data.Decimal": _decimal,
}


def converted(row: Mapping[str, Any], schema: Mapping[str, Any], part: str) -> Mapping[str, Any] | Undecodable:
    """A row with its dates and decimals in plain form, as far as the schema names their types.

    Args:
        row: The row's fields as they came.
        schema: The message's schema, or an empty mapping when it came without.
        part: The envelope's field with the row, `before` or `after`.
    """
    try:
        of_part: Mapping[str, Any] = next((field for field in schema.get("fields") or () if field["field"] == part), {})
        types = {field["field"]: field for field in of_part.get("fields") or () if field.get("name") in _CONVERT}
    except (AttributeError, KeyError, TypeError):
        return Undecodable(reason="the event's schema is not one of Debezium")
    if not types:
        return row
    return {name: _converted(value, types[name]) if name in types else value for name, value in row.items()}


def _converted(value: Any, field: Mapping[str, Any]) -> Any:
    if value is None or isinstance(value, Unusable):
        return value
    try:
        return _CONVERT[field["name"]](value, mapping(field.get("parameters")))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return _WRONG
