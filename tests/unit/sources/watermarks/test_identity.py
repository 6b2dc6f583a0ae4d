"""Of what a watermark is: what is read, with which parameters, and where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from shared.definitions import SyncDefinition
from shared.definitions.parameters import resolve
from shared.sources.watermarks.identity import identity_of

SOURCE: Final[dict[str, Any]] = {
    "type": "sql",
    "connection": {"env": "ERP"},
    "table": "t",
    "watermark": {"column": "changed"},
}
PARAMETERS: Final[dict[str, Any]] = {
    "country": {"default": "DE"},
    "other": {"default": "x"},
    "now": {"formula": "NOW()"},
    "id": {"formula": "GUID()"},
    "part": {"formula": "FILENAME(@id, '(.)')"},
    "host": {"default": "org"},
    "secret": {"formula": "SECRET('name')"},
}
ADDRESS: Final = "https://org.crm.dynamics.com/api/data/v9.2/"


def identity(
    source: Mapping[str, Any] | None = None, given: Mapping[str, str] | None = None, **destination: Any
) -> str:
    definition = SyncDefinition.model_validate(
        {
            "name": "s",
            "parameters": PARAMETERS,
            "source": source or SOURCE,
            "destination": {
                "type": "dynamics",
                "service_url": ADDRESS,
                "client_id": "i",
                "client_secret": {"env": "S"},
                "entity": "account",
                "id_column": "accountid",
                "mappings": [{"source": "number", "target": "accountnumber"}],
                **destination,
            },
            "sync_behaviour": {"sync_key": ["accountnumber"], "strategy": "upsert"},
        }
    )
    values = resolve(definition, given or {}, environment={}, now=datetime.now(UTC))
    return identity_of(definition, values, given or {})


REST: Final[dict[str, Any]] = {
    "type": "rest",
    "columns": [{"name": "number"}, {"name": "changed"}],
    "watermark": {"column": "changed", "first": "0"},
}
DATAVERSE: Final[dict[str, Any]] = {"type": "dynamics", "connection": "crm", "watermark": {"column": "modifiedon"}}
FETCH: Final = (
    "<fetch><entity name='account'><filter><condition attribute='name' operator='eq' value='{}'/></filter>"
    "</entity></fetch>"
)
TEMPLATES: Final[dict[str, Any]] = {
    "filter": lambda name: SOURCE | {"filter": f"c = @{name}"},
    "query": lambda name: (
        {key: SOURCE[key] for key in ("type", "connection", "watermark")}
        | {"query": f"SELECT * FROM t WHERE c = @{name}"}
    ),
    "table": lambda name: SOURCE | {"table": f"t_@{name}"},
    "connection": lambda name: SOURCE | {"connection": f"@{name}"},
    "url": lambda name: REST | {"url": f"https://api.example.com/@{name}?since=@watermark"},
    "query of a url": lambda name: REST | {"url": f"https://api.example.com/a?c=@{name}&since=@watermark"},
    "header": lambda name: REST | {"url": "https://api.example.com/a?since=@watermark", "headers": {"X": f"@{name}"}},
    "body": lambda name: (
        REST | {"url": "https://api.example.com/a?s=@watermark", "method": "POST", "body": f'{{"c": "@{name}"}}'}
    ),
    "filter of records": lambda name: (
        REST | {"url": "https://api.example.com/a?since=@watermark", "filter": f"number = @{name}"}
    ),
    "OData": lambda name: DATAVERSE | {"entity": "account", "filter": f"name eq @{name}"},
    "view": lambda name: DATAVERSE | {"entity": "account", "view": f"Mine @{name}"},
    "FetchXML": lambda name: DATAVERSE | {"fetch_xml": FETCH.format(f"@{name}")},
}


@pytest.mark.parametrize("place", TEMPLATES)
def test_each_value_that_says_what_is_read_has_its_own_watermark(place: str) -> None:
    """Whatever text of the source it stands in."""
    source = TEMPLATES[place]("country")
    german = identity(source)
    assert identity(source, {"country": "DE"}) == german
    assert identity(source, {"country": "FR"}) != german
    assert identity(source, {"other": "y"}) == german


@pytest.mark.parametrize("place", TEMPLATES)
@pytest.mark.parametrize("name", ["now", "id", "part"])
def test_values_that_are_new_in_each_run_do_not_count(place: str, name: str) -> None:
    """With them, no run would continue another; a value that somebody gives instead counts."""
    source = TEMPLATES[place](name)
    assert identity(source) == identity(source)
    assert identity(source, {name: "2024-01-31"}) not in {identity(source), identity(source, {name: "2024-02-01"})}


@pytest.mark.parametrize(
    "change",
    [
        {"service_url": "https://test.crm.dynamics.com/api/data/v9.2/"},
        {"entity": "contact"},
    ],
)
def test_each_table_that_is_written_has_its_own_watermark(change: dict[str, Any]) -> None:
    """What was written to one is not in another."""
    assert identity(**change) != identity()


def test_how_an_address_is_written_does_not_matter() -> None:
    """Nor the version of the API, nor who writes."""
    known = identity()
    assert identity(service_url="https://ORG.crm.dynamics.com/api/data/v9.1") == known
    assert identity(service_url="https://@host.crm.dynamics.com/api/data/v9.2/") == known
    assert identity(service_url="https://@host.crm.dynamics.com/api/data/v9.2/", given={"host": "test"}) != known
    assert identity(client_id="other", mappings=[{"source": "number", "target": "name"}]) == known


def test_the_identity_depends_on_what_is_read_and_not_on_how() -> None:
    """Connection, table, filter and column matter; overlap, columns and types do not."""
    known = identity()
    assert identity(SOURCE | {"columns": [{"name": "changed"}], "null_values": ["x"]}) == known
    assert identity(SOURCE | {"watermark": {"column": "changed", "overlap": "5m"}}) == known
    others = [
        SOURCE | {"table": "u"},
        SOURCE | {"filter": "a = 1"},
        SOURCE | {"watermark": {"column": "other"}},
        SOURCE | {"connection": {"env": "X"}},
    ]
    assert len({known, *map(identity, others)}) == 5


def test_a_secret_does_not_count() -> None:
    """No run has its value; what stands behind a reference is not seen."""
    source = SOURCE | {"connection": "@secret"}
    assert identity(source) == identity(source)
