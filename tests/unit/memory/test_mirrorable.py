"""Of which records a mirror can be kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.definitions import SyncDefinition
from shared.definitions.models.sync import Parameter
from shared.entities import EntityMetadata
from shared.memory import mirror_obstacle
from shared.transform.targets import layout
from tests.unit.transform.world import ACCOUNT, definition

TRACKED = replace(ACCOUNT, change_tracking=True)


def _with_filter(text: str) -> SyncDefinition:
    sync = definition([{"name": "name"}], [{"source": "name", "target": "name"}])
    parameters = {"when": Parameter(formula="NOW()"), "city": Parameter(default="Rome")}
    destination = sync.destination.model_copy(update={"filter": text})
    return sync.model_copy(update={"parameters": parameters, "destination": destination})


def _obstacle(sync: SyncDefinition, entity: EntityMetadata = TRACKED) -> str:
    return mirror_obstacle(sync, entity, layout(sync, entity))


@pytest.mark.parametrize(
    "text",
    [
        "name eq 'it''s, and/or (not) LastXDays' and staff gt 5",
        "not contains(name,'x') or startswith(name,'a') and endswith(name, 'b')",
        "_parent_value eq 0e4ecae3-0000-4000-8000-000000000001 or parent ne null",
        "called ge 2024-01-31T10:00:00.5Z and founded lt 2024-02-01 or rate eq -1.5",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[\"a\",'b'])",
        "Microsoft.Dynamics.CRM.ContainValues(PropertyName='segments',PropertyValues=['1']) and active eq true",
        "name eq @city and name in ('a','b')",
    ],
)
def test_filters_over_the_columns_of_the_record(text: str) -> None:
    """They change with the record alone."""
    assert _obstacle(_with_filter(text)) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("parent/name eq 'x'", "parent/name"),
        ("parents/any(p:p/name eq 'x')", "parents/any"),
        ("Microsoft.Dynamics.CRM.LastXDays(PropertyName='called',PropertyValue=7)", "LastXDays"),
        ("Microsoft.Dynamics.CRM.Today(PropertyName='called')", "Today"),
        ("Microsoft.Dynamics.CRM.Under(PropertyName='accountid',PropertyValue='1')", "Under"),
        ("Microsoft.Dynamics.CRM.EqualUserId(PropertyName='owner')", "EqualUserId"),
        ("Microsoft.Dynamics.CRM.In(PropertyName='parent/name',PropertyValues=['a'])", "parent/name"),
        ("Microsoft.Dynamics.CRM.In(PropertyName=@city,PropertyValues=['a'])", "PropertyName"),
        ("called lt now()", "now"),
        ("called ge @when", "@when"),
        ("created eq 1", "created"),
    ],
)
def test_filters_that_may_depend_on_more(text: str, named: str) -> None:
    """The reason names what is not known to be a column of the record."""
    assert named in _obstacle(_with_filter(text))


def test_columns_whose_values_change_without_their_record() -> None:
    """Whether they are read or used in the filter; other columns of the table have no effect."""
    for column, said in (("rate", ""), ("name", "formula column"), ("accountnumber", "formula column")):
        changed = replace(TRACKED.attributes[column], computed="formula")
        entity = replace(TRACKED, attributes={**TRACKED.attributes, column: changed})
        assert said in _obstacle(_with_filter("name ne null"), entity)
        assert bool(said) == bool(_obstacle(_with_filter("name ne null"), entity))
    secured = replace(TRACKED.attributes["staff"], secured=True)
    entity = replace(TRACKED, attributes={**TRACKED.attributes, "staff": secured})
    assert "column security" in _obstacle(_with_filter("staff gt 1"), entity)
    assert _obstacle(_with_filter("name ne null"), entity) == ""


def test_tables_without_a_mirror() -> None:
    """The message names each reason."""
    sync = definition()
    assert "Track changes" in _obstacle(sync, ACCOUNT)
    assert "elastic" in _obstacle(sync, replace(TRACKED, elastic=True))
    assert "links" in _obstacle(sync, replace(TRACKED, intersect=True))
    assert "strategy upsert" in _obstacle(definition(strategy="upsert"))
