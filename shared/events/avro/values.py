"""Avro's values as JSON has them: the same content gives the same rows, whichever way it was sent.

fastavro asks a function for each value whose type has a logical type (its documented hook for logical types). So a
schema is read with one of ours in place of its own, which gets the value as it was encoded: what is wrong with one
value then stays with that value, where fastavro's own conversion would refuse the whole record.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final
from uuid import UUID

from shared.events.bodies import scaled, unusual
from shared.events.records import Unusable

__all__ = ["KIND", "OURS", "SCALE", "kind_of", "register"]

# The logical type that stands in a schema instead of its own, and the keys that say what its own was.
OURS: Final = "dynamics-sync-value"
KIND: Final = "dynamics-sync-kind"
SCALE: Final = "scale"

_BYTES: Final = Unusable(reason="the value is bytes, which are no text")
_DURATION: Final = Unusable(reason="the value is a duration, which no column can hold")
_NO_DATE: Final = Unusable(reason="the date is outside the years 1 to 9999")
_NO_TIME: Final = Unusable(reason="the time is outside one day")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_MOST_SCALE: Final = 1_000  # no number has so many decimal places that a column could keep
_FLOAT_DIGITS: Final = range(6, 10)  # a float of 32 bits needs 6 to 9 digits


def _double(value: float, _: Mapping[str, Any]) -> Decimal | Unusable:
    return Decimal(repr(value)) if math.isfinite(value) else _not_finite(value)


def _float(value: float, _: Mapping[str, Any]) -> Decimal | Unusable:
    """The shortest number that is this float, as senders of JSON write it: 0.1, and not 0.10000000149011612."""
    if not math.isfinite(value):
        return _not_finite(value)
    shorter = (float(f"{value:.{digits}g}") for digits in _FLOAT_DIGITS)
    return Decimal(repr(next((each for each in shorter if _as_float(each) == value), value)))


def _as_float(value: float) -> float:
    (found,) = struct.unpack("<f", struct.pack("<f", value))
    return float(found)


def _not_finite(value: float) -> Unusable:
    if math.isnan(value):
        return unusual("NaN")
    return unusual("Infinity" if value > 0 else "-Infinity")


def _decimal(value: bytes, schema: Mapping[str, Any]) -> Decimal | Unusable:
    return scaled(value, schema[SCALE])


def _date(value: int, _: Mapping[str, Any]) -> str | Unusable:
    try:
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    except OverflowError:
        return _NO_DATE


def _moment(value: int, _: Mapping[str, Any], *, unit: int, zone: str) -> str | Unusable:
    try:
        found = _EPOCH + _counted(value, unit)
    except OverflowError:
        return _NO_DATE
    return found.replace(tzinfo=None).isoformat(timespec=_spec(unit)) + zone


def _time(value: int, _: Mapping[str, Any], *, unit: int) -> str | Unusable:
    since = _counted(value, unit)
    if not timedelta() <= since < _DAY:
        return _NO_TIME
    return (_EPOCH + since).time().isoformat(timespec=_spec(unit))


def _counted(value: int, unit: int) -> timedelta:
    """A number of units of which so many are a second; finer ones than microseconds are cut off."""
    return timedelta(microseconds=value * 1_000_000 // unit)


def _spec(unit: int) -> str:
    return "milliseconds" if unit == _MILLIS else "microseconds"


def _uuid(value: bytes, _: Mapping[str, Any]) -> str:
    return str(UUID(bytes=value))


def _is(value: Unusable) -> Callable[[Any, Mapping[str, Any]], Unusable]:
    return lambda _value, _schema: value


_MILLIS, _MICROS, _NANOS = 1_000, 1_000_000, 1_000_000_000  # of them are a second
# Kind -> how its values are read. Avro specification 1.12, "Logical Types".
_READ: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    "double": _double,
    "float": _float,
    "bytes": _is(_BYTES),
    "duration": _is(_DURATION),
    "decimal": _decimal,
    "uuid": _uuid,
    "date": _date,
    "time-millis": partial(_time, unit=_MILLIS),
    "time-micros": partial(_time, unit=_MICROS),
    "timestamp-millis": partial(_moment, unit=_MILLIS, zone="Z"),
    "timestamp-micros": partial(_moment, unit=_MICROS, zone="Z"),
    "timestamp-nanos": partial(_moment, unit=_NANOS, zone="Z"),
    "local-timestamp-millis": partial(_moment, unit=_MILLIS, zone=""),
    "local-timestamp-micros": partial(_moment, unit=_MICROS, zone=""),
    "local-timestamp-nanos": partial(_moment, unit=_NANOS, zone=""),
}
_INTEGERS: Final = {"int": frozenset({"date", "time-millis"}), "long": _READ.keys() - {"date", "time-millis"}}
_DURATION_SIZE, _UUID_SIZE = 12, 16


def kind_of(schema: Mapping[str, Any]) -> str:
    """How the values of a schema are read; empty where they are what fastavro makes of the type alone.

    A logical type that does not fit its type is ignored, as the specification says.
    """
    type_, logical = str(schema["type"]), schema.get("logicalType")
    if type_ in ("int", "long"):
        return str(logical) if isinstance(logical, str) and _fits(logical, type_) else ""
    if type_ in ("float", "double"):
        return type_
    if type_ not in ("bytes", "fixed"):
        return ""
    if logical == "decimal" and _has_scale(schema):
        return "decimal"
    sizes = {"duration": _DURATION_SIZE, "uuid": _UUID_SIZE}
    return str(logical) if type_ == "fixed" and logical in sizes and schema["size"] == sizes[logical] else "bytes"


def _fits(logical: str, type_: str) -> bool:
    return logical in _INTEGERS[type_] and logical.startswith(("date", "time", "local-timestamp"))


def _has_scale(schema: Mapping[str, Any]) -> bool:
    scale = schema.get(SCALE, 0)
    return type(scale) is int and 0 <= scale <= _MOST_SCALE


def _read(value: Any, schema: dict[Any, Any] | None = None, _reader: dict[Any, Any] | None = None) -> Any:
    return _READ[schema[KIND]](value, schema) if schema else value


@cache
def register() -> None:
    """Register our logical type with fastavro, once for each process."""
    # Imported here: a process without Avro events does without it.
    from fastavro.read import LOGICAL_READERS  # noqa: PLC0415 - see above

    for type_ in ("int", "long", "float", "double", "bytes", "fixed"):
        LOGICAL_READERS[f"{type_}-{OURS}"] = _read
