"""Values that lookups search for: several entries that search for one value share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.transform.lookups.columns import lookup_columns

T = AttributeType


def table(name: str, *columns: AttributeMetadata) -> EntityMetadata:
    own = AttributeMetadata(name=f"{name}id", type=T.UNIQUEIDENTIFIER)
    return EntityMetadata(
        logical_name=name,
        entity_set=f"{name}s",
        display_name=name,
        primary_id=own.name,
        primary_name="name",
        attributes={column.name: column for column in (own, *columns)},
    )


CONTACT = table(
    "contact",
    AttributeMetadata(name="mail", type=T.STRING, max_length=100),
    AttributeMetadata(name="number", type=T.INTEGER),
)
LEAD = table(
    "lead",
    AttributeMetadata(name="mail", type=T.MEMO, max_length=2000),
    AttributeMetadata(name="number", type=T.INTEGER, max_value=10.0),
)
CASE = table("case", AttributeMetadata(name="customer", type=T.CUSTOMER, targets=("contact", "lead")))


def names(match: Sequence[Any]) -> list[list[str]]:
    """Where `desired` holds the values of a lookup with two entries, by entry."""
    tables = ("contact", "lead")
    lookup = [{"entity": entity, "match": by} for entity, by in zip(tables, match, strict=True)]
    source = ["a", "b"] if isinstance(match[0], list) else "a"
    definition = SyncDefinition.model_validate(
        {
            "name": "cases",
            "source": {"type": "delimited", "path": "-", "columns": [{"name": "a"}, {"name": "b"}]},
            "destination": {
                "type": "dynamics",
                "entity": "case",
                "service_url": "https://org.example/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "caseid",
                "mappings": [{"source": source, "target": "customer", "lookup": lookup}],
            },
            "sync_behaviour": {"sync_key": ["caseid"]},
        }
    )
    related = {"contact": CONTACT, "lead": LEAD}
    entity = EntityMetadata(
        logical_name="case",
        entity_set="cases",
        display_name="case",
        primary_id="caseid",
        primary_name="name",
        attributes=CASE.attributes,
        related=related,
    )
    (column,) = lookup_columns(definition, entity)
    return [[value.name for value in candidate.values] for candidate in column.candidates]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (["mail", "mail"], [["customer.0.mail"], ["customer.0.mail"]]),
        (["contactid", "leadid"], [["customer.0.contactid"], ["customer.0.contactid"]]),
        (["mail", "number"], [["customer.0.mail"], ["customer.1.number"]]),
        (["number", "number"], [["customer.0.number"], ["customer.1.number"]]),  # of another range
        (
            [["mail", "number"], ["number", "mail"]],
            [["customer.0.mail", "customer.0.number"], ["customer.1.number", "customer.1.mail"]],
        ),
    ],
)
def test_entries_share_a_value_of_the_same_source_and_form(match: list[Any], expected: list[list[str]]) -> None:
    assert names(match) == expected
