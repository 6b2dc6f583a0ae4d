"""The OpenAPI document: made from the routes, and kept by them under requests that nobody foresaw."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from console.application import ROUTES
from console.web.needs import Need
from tests.console.conftest import Served, World

API = [path for path in ROUTES if path.path.startswith("/api/")]


def test_every_route_of_the_api_is_described(served: Served) -> None:
    """With a summary in plain words, a name of its own, and its parameters."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) == len(API)
    assert len({each["operationId"] for each in operations}) == len(API)
    assert [path.path for path in API if not path.summary.endswith(".")] == []
    schemathesis.openapi.from_dict(document).validate()


def test_routes_that_take_a_body_say_how_it_may_be_packed(served: Served) -> None:
    """And no other route does."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    packed = {
        method
        for path in document["paths"].values()
        for method, operation in path.items()
        if any(each["name"] == "Content-Encoding" for each in operation.get("parameters", ()))
    }
    assert packed == {"post", "put"}


def test_every_route_has_a_rule() -> None:
    """What needs nothing is the style, the script and the icon alone; what names a sync asks for a right to it."""
    assert {path.path for path in ROUTES if path.need is Need.NOTHING} == {"/static/{name}"}
    named = {path.path: path.need for path in ROUTES if re.search(r"\{(sync|run|job)\}", path.path)}
    assert [path for path, need in named.items() if not need.is_about_a_sync] == []


@pytest.mark.timeout(300)
def test_no_request_brings_a_server_error(served: Served, world: World) -> None:
    """Requests that fit the document and requests that do not, for every operation."""
    world.define("customers")
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=served.url)

    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # the document was validated

        @settings(
            max_examples=15,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy())
        def try_it(case: Any) -> None:
            case.call_and_validate(base_url=served.url, checks=[not_a_server_error])

        try_it()
