"""What the API answers to requests that nobody foresaw: nothing that its document does not name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.application import ROUTES
from tests.console.conftest import Served, World, principal
from tests.console.every_page.worlds import filled

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
API = [path for path in ROUTES if path.path.startswith("/api/")]
_NAMED = re.compile(r"\{(\w+)")


@pytest.mark.timeout(300)
def test_every_answer_is_as_the_document_says(served_to_many: Served, world: World) -> None:
    """Requests that fit the document and requests that do not, about what exists and what does not.

    Each answer has a status, a media type and values that the document names.
    """
    known = _existing(filled(world, served_to_many))
    answered: set[str] = set()
    for operation in _operations(served_to_many):

        @settings(
            max_examples=20,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(
            case=operation.as_strategy(), chosen=st.fixed_dictionaries({each: _either(known[each]) for each in known})
        )
        def try_it(case: Any, chosen: dict[str, str | None]) -> None:
            exist = {name: value for name in case.path_parameters or {} if (value := chosen[name]) is not None}
            case.path_parameters = {**(case.path_parameters or {}), **exist}
            headers = {"X-MS-CLIENT-PRINCIPAL": principal("Sync.Admin"), "Origin": served_to_many.url}
            case.call_and_validate(base_url=served_to_many.url, headers=headers, checks=[*CHECKS, note])

        def note(_context: Any, response: Any, case: Any) -> None:
            if response.status_code < 300:
                answered.add(case.path)

        try_it()
    assert {
        path.path for path in API if path.method == "GET" and set(_NAMED.findall(path.path)) <= {"sync", "run"}
    } <= set(answered)


def _operations(served: Served) -> list[Any]:
    header = {"X-MS-CLIENT-PRINCIPAL": principal("Sync.Admin")}
    schema = schemathesis.openapi.from_dict(
        requests.get(f"{served.url}/api/openapi.json", headers=header, timeout=10).json()
    )
    schema.config.update(base_url=served.url)
    # What removes something comes last.
    found = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]  # it was validated
    return sorted(found, key=lambda operation: operation.method == "delete")


def _either(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


def _existing(ids: Mapping[str, str]) -> dict[str, list[str]]:
    """What the parameters of a path name that exists."""
    return {
        "sync": ["customers", "contacts"],
        "run": [ids[each] for each in ("first", "errors", "undone", "undo", "retry")],
        "job": [ids[each] for each in ("plan", "applied", "undo_plan", "waiting", "held", "first")],
        "name": [ids["file"], "partner-key"],
        "table": ["account", "contact"],
        "connection": ["none"],
        "listener": ["customers"],
    }
