"""Avro values become the same text as in JSON."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from shared.events import Unusable
from shared.events.bodies import as_text
from tests.unit.events.avro.samples import value


def logical(type_: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "logicalType": name, **more}


MONEY = logical("bytes", "decimal", precision=12, scale=2)
FIXED = {"type": "fixed", "name": "Fixed", "size": 16}
DAY, MOMENT = date(2026, 2, 3), datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": MONEY}]}


@pytest.mark.parametrize(
    ("type_", "given", "text"),
    [
        ("string", "é ", "é "),
        ("string", "", None),
        ("long", -(2**63), "-9223372036854775808"),
        ("boolean", True, "true"),
        (["null", "string"], None, None),
        ("double", 5.0, "5.0"),
        ("double", 1e22, "10000000000000000000000"),
        ("double", 0.1, "0.1"),
        ("float", 0.1, "0.1"),
        ("float", 16777216.0, "16777216.0"),
        ("float", 3.4028234663852886e38, "340282350000000000000000000000000000000"),
        (["null", "float"], 1.5, "1.5"),
        (MONEY, Decimal("12.50"), "12.50"),
        (MONEY, Decimal("-0.01"), "-0.01"),
        (MONEY, Decimal(0), "0.00"),
        ({**FIXED, **logical("fixed", "decimal", precision=20, scale=3)}, Decimal("1.125"), "1.125"),
        (logical("int", "date"), DAY, "2026-02-03"),
        (logical("int", "date"), date(1, 1, 1), "0001-01-01"),
        (logical("int", "time-millis"), time(1, 2, 3, 4000), "01:02:03.004"),
        (logical("long", "time-micros"), time(1, 2, 3, 4), "01:02:03.000004"),
        (logical("long", "timestamp-millis"), MOMENT, "2026-02-03T04:05:06.789Z"),
        (logical("long", "timestamp-micros"), MOMENT, "2026-02-03T04:05:06.789000Z"),
        (logical("long", "local-timestamp-millis"), datetime(2026, 2, 3), "2026-02-03T00:00:00.000"),  # noqa: DTZ001
        (logical("string", "uuid"), uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ({**FIXED, **logical("fixed", "uuid")}, uuid.UUID(int=6).bytes, "00000000-0000-0000-0000-000000000006"),
        ({"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}, "BLUE", "BLUE"),
        ({"type": "map", "values": "double"}, {"k": 1.5}, '{"k":1.5}'),
        ({"type": "array", "items": ["null", MONEY]}, [None, Decimal("2.50")], "[null,2.50]"),
        (INNER, {"x": 1.0, "y": Decimal("0.25")}, '{"x":1.0,"y":0.25}'),
        (logical("long", "unknown"), 7, "7"),
        (logical("string", "date"), "x", "x"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_has_the_text_that_json_would_give_it(type_: Any, given: Any, text: str | None) -> None:
    """Numbers are exact, moments are ISO 8601, what is nested is JSON; a logical type that does not fit is ignored."""
    assert as_text(value(type_, given)) == text


@pytest.mark.parametrize(
    ("type_", "given", "says"),
    [
        ("bytes", b"x", "bytes"),
        (["null", "bytes"], b"x", "bytes"),
        (FIXED, b"x" * 16, "bytes"),
        ({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}, b"x" * 12, "duration"),
        ("double", float("nan"), "NaN"),
        ("double", float("-inf"), "-Infinity"),
        ("float", float("inf"), "Infinity"),
        (logical("int", "date"), 2_147_483_647, "outside the years"),
        (logical("long", "timestamp-micros"), 2**63 - 1, "outside the years"),
        (logical("int", "time-millis"), 86_400_000, "outside one day"),
        (logical("int", "time-millis"), -1, "outside one day"),
        (logical("long", "time-micros"), -(2**63), "outside one day"),
        (logical("long", "time-micros"), 2**63 - 1, "outside one day"),
        (logical("bytes", "decimal", precision=9_000, scale=2), b"\x7f" * 2_000, "more than 4,300 digits"),
        ({"type": "array", "items": "bytes"}, [b"x"], "bytes"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_cannot_be_used_affects_no_other(type_: Any, given: Any, says: str) -> None:
    """Only an event whose definition reads it is rejected, and the reason has the kind of the value."""
    if isinstance(type_, dict) and "logicalType" in type_ and not isinstance(given, bytes):
        given_type: Any = {"type": type_["type"]}  # fastavro would not write such a value: only the type allows it
        found = _read_with(given_type, type_, given)
    elif isinstance(type_, dict) and type_.get("logicalType") == "decimal":
        found = _read_with("bytes", type_, given)
    else:
        found = as_text(value(type_, given))
    assert isinstance(found, Unusable)
    assert says in found.reason


def _read_with(written: Any, read: Any, given: Any) -> Any:
    from tests.unit.events.avro.samples import binary, events_of, record

    (event,) = events_of(binary(record(written), {"a": given}), record(read), encoding="binary")
    return as_text(event.new["a"])  # type: ignore[union-attr]  # it is an event
