"""The fields of an event decide which part of a definition is applied."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shared.definitions import Column, SyncDefinition
from shared.definitions.models import Mapping
from shared.events import Reader, Undecodable, Unusable, carried_definition, fields_of

COLUMNS: list[dict[str, Any]] = [
    {"name": "given"},
    {"name": "last", "alias": "surname"},
    {"name": "$.address.city", "alias": "city"},
    {"name": "whole", "formula": "concat_ws(' ', given, surname)"},
    {"name": "letter", "formula": "upper(whole)"},
    {"name": "size", "cases": [{"when": "city = 'Bern'", "then": "'S'"}], "default": "given"},
    {"name": "tag", "formula": "upper(@run)"},
]
MAPPINGS: list[dict[str, Any]] = [
    {"source": "whole", "target": "accountnumber"},
    {"source": "letter", "target": "name"},
    {"source": "size", "target": "sic"},
    {"source": "tag", "target": "fax"},
    {"value": "city || given", "target": "description"},
]


@pytest.fixture
def definition() -> SyncDefinition:
    return SyncDefinition.model_validate(
        {
            "name": "s",
            "parameters": {"run": {"default": "x"}},
            "source": {"type": "events", "columns": COLUMNS},
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.api.crm.dynamics.com/api/data/v9.2/",
                "client_id": "x",
                "client_secret": {"env": "X"},
                "id_column": "accountid",
                "mappings": MAPPINGS,
            },
            "sync_behaviour": {"sync_key": ["accountnumber"]},
        }
    )


def targets(definition: SyncDefinition | None) -> list[str]:
    return [mapping.target for mapping in definition.destination.mappings] if definition else []


def test_fields_are_read_by_name_and_by_path(definition: SyncDefinition) -> None:
    """Null is a value, an absent field is not, and a path reads nested fields."""
    reader = Reader(definition.source.columns)
    assert reader.names == {"given", "last", "$.address.city"}
    assert reader.fields({"given": None, "address": {"city": Decimal("1.5")}}) == {
        "given": None,
        "$.address.city": "1.5",
    }
    assert reader.fields({"address": "nowhere", "other": 1}) == {}


@pytest.mark.parametrize(
    ("carried", "served"),
    [
        ({"given", "last", "$.address.city"}, ["accountnumber", "name", "sic", "fax", "description"]),
        ({"given", "last"}, ["accountnumber", "name", "fax"]),
        ({"given", "$.address.city"}, []),
        (set(), []),
    ],
)
def test_a_mapping_is_applied_if_all_of_its_fields_are_present(
    definition: SyncDefinition, carried: set[str], served: list[str]
) -> None:
    """Through calculated columns and branches; without the key no mapping is applied."""
    assert targets(carried_definition(definition, carried)) == served


def test_a_delete_needs_only_its_key(definition: SyncDefinition) -> None:
    """Other columns of the event are ignored."""
    reduced = carried_definition(definition, {"given", "last", "$.address.city"}, targets={"accountnumber"})
    assert targets(reduced) == ["accountnumber"]


def test_the_fields_of_a_key_are_found_through_calculated_columns(definition: SyncDefinition) -> None:
    """So the key before a change can be calculated."""
    assert fields_of(definition, {"accountnumber"}) == {"given", "last"}
    assert fields_of(definition, {"description", "sic"}) == {"given", "$.address.city"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.125"), "1,125"),
        (1250, "1250"),
        (Decimal("-1E+3"), "-1000"),
        ("1.125", "1.125"),
        (True, "true"),
        (None, None),
    ],
)
def test_a_json_number_is_converted_to_the_notation_of_its_column(value: Any, text: str | None) -> None:
    """Text stays the same: the column has its notation."""
    column = {"name": "x", "type": "number", "decimal_separator": ",", "thousands_separator": "."}
    assert Reader([Column.model_validate(column)]).fields({"x": value}) == {"x": text}


@pytest.mark.parametrize(("value", "text"), [(True, "Ja"), (False, "no"), ("true", "true"), (1, "1"), (None, None)])
def test_a_json_boolean_is_converted_to_the_words_of_its_column(value: Any, text: str | None) -> None:
    """A value without a list of words has the usual ones."""
    reader = Reader(
        [Column.model_validate({"name": "x", "type": "bool", "true_values": ["Ja", "X"], "false_values": ["no"]})]
    )
    assert reader.fields({"x": value}) == {"x": text}


def test_a_field_of_another_notation_that_is_absent_stays_absent() -> None:
    """Absent is not null."""
    columns = [
        {"name": "x", "type": "bool", "true_values": ["Ja"]},
        {"name": "y", "type": "number", "decimal_separator": ","},
    ]
    assert Reader([Column.model_validate(column) for column in columns]).fields({}) == {}


def test_only_the_used_columns_are_read(definition: SyncDefinition) -> None:
    """A value that cannot be used rejects the record only if its column is used; the reason names the column."""
    reader = Reader(definition.source.columns)
    record = {"given": "A", "last": Unusable(reason="too long")}
    assert reader.fields(record, {"given", "$.address.city"}) == {"given": "A"}
    assert reader.fields(record) == Undecodable(reason="last: too long")


@pytest.mark.parametrize(("several", "carried", "kept"), [
    (False, {"given", "last"}, ["lastname"]),
    (True, {"given", "last"}, ["lastname"]),
    (False, {"given", "last", "$.address.city"}, ["lastname", "address1_city"]),
])  # fmt: skip
def test_a_lookup_creates_records_from_the_fields_of_the_event(
    definition: SyncDefinition, carried: set[str], kept: list[str], *, several: bool
) -> None:
    """Further columns of the new record whose fields are unknown are left out; the lookup stays."""
    create = {"lastname": "surname", "address1_city": "upper(city)"}
    lookup = {"entity": "contact", "match": "code", "on_missing": "create", "create": create}
    mapping = {"source": "given", "target": "primarycontactid", "lookup": [lookup] if several else lookup}
    mappings = (*definition.destination.mappings, Mapping.model_validate(mapping))
    destination = definition.destination.model_copy(update={"mappings": mappings})

    reduced = carried_definition(definition.model_copy(update={"destination": destination}), carried)

    assert reduced is not None
    found = next(each for each in reduced.destination.mappings if each.target == "primarycontactid")
    assert isinstance(found.lookup, tuple) is several
    assert [list(each.create) for each in found.lookups] == [kept]
