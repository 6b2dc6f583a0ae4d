"""Values in the notation of other systems: Dataverse's contexts, MongoDB's Extended JSON, and JSONPaths."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import UserError
from shared.events import Unusable
from shared.json_paths import ABSENT, finder
from tests.unit.events.test_decoding import context, entity, one, reference


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"Id": "c1", "LogicalName": "contact", "Name": "B"}, "c1"),
        ({"Value": 7}, 7),
        ({"Value": 7, "Other": 1}, {"Value": 7, "Other": 1}),
        (reference("BooleanManagedProperty", Value=True, CanBeChanged=False), True),
        (reference("AliasedValue", Value=reference("OptionSetValue", Value=3), AttributeLogicalName="x"), 3),
        (reference("AliasedValue", Value="/Date(1506384247000)/"), "2017-09-26T00:04:07.000Z"),
        (reference("Entity", Id="e1", LogicalName="contact"), "e1"),
        ("/Date(999999999999999)/", None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_attribute_of_dataverse_is_read_as_a_mapping_expects_it(value: Any, read: Any) -> None:
    """Ids, option values and amounts, with the type of the serializer or without; an invalid date has no value."""
    event = one(context("Update", target=entity(field=value)), format="dataverse")
    assert event.new["field"] == read


def test_a_value_of_an_unknown_kind_is_unchanged() -> None:
    """The definition decides how it is mapped."""
    value = reference("Something", Value=1)
    assert one(context("Update", target=entity(field=value)), format="dataverse").new["field"] == value


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('{"$uuid": "0e4ecae3-0000-4000-8000-000000000001"}', "0e4ecae3-0000-4000-8000-000000000001"),
        ('{"$undefined": true}', None),
        ('{"$symbol": "s"}', "s"),
        ('{"$binary": {"base64": "AQI=", "subType": "00"}}', "AQI="),
        ('{"$binary": "AQI=", "$type": "00"}', "AQI="),
        ('{"$binary": "AAECAwQFBgcICQoLDA0ODw==", "$type": "04"}', "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (
            '{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}',
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
        ('{"$binary": "AAECAwQFBgcICQoLDA0ODw==", "$type": "03"}', "AAECAwQFBgcICQoLDA0ODw=="),
        ('{"$binary": 5}', 5),
        ('{"$regularExpression": {"pattern": "a"}}', {"$regularExpression": {"pattern": "a"}}),
    ],
)
def test_a_wrapped_value_of_mongodb_becomes_plain(value: str, read: Any) -> None:
    """As "MongoDB Extended JSON (v2)" writes types that JSON lacks; one without a plain form stays."""
    assert mongodb(value) == read


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"$numberLong": "x"}', "the value is not Extended JSON"),
        ('{"$numberDecimal": {}}', "the value is not Extended JSON"),
        ('{"$numberDouble": "NaN"}', "the number is infinite or not a number (NaN)"),
        ('{"$numberDouble": "-Infinity"}', "the number is infinite or not a number (NaN)"),
        ('{"$binary": "AQI=", "$type": "04"}', "the value is not Extended JSON"),
    ],
)
def test_an_invalid_value_of_mongodb_cannot_be_used(value: str, reason: str) -> None:
    """The event is read; a mapping of the field rejects its row."""
    assert mongodb(value) == Unusable(reason=reason)


def mongodb(value: str) -> Any:
    """What a field of a document holds, whose text in the event is this."""
    change = {"op": "c", "after": f'{{"_id": 1, "field": {value}}}', "source": {"connector": "mongodb"}, "ts_ms": 1}
    return one(change, format="debezium").new["field"]


def test_a_path_that_is_not_a_jsonpath_is_refused_with_its_text() -> None:
    """A valid path that finds nothing at its single place gives `ABSENT`, which is not null."""
    with pytest.raises(UserError, match=r"'\$\.\[' is not a JSONPath"):
        finder("$.[")
    assert finder("$.a[0].b")({"a": []}) is ABSENT
    assert finder("$.a[0].b")({"a": [{"b": None}]}) is None
