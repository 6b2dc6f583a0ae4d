"""Requests for a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.jobs.requests import request_run
from shared.state import StateStore
from shared.state.sqlite import SqliteStateStore

DEFINITION: dict[str, Any] = {
    "name": "accounts",
    "parameters": {"day": {"default": "today"}, "region": {"default": "North"}},
    "source": {"type": "delimited", "path": "a.csv", "columns": [{"name": "number"}]},
    "destination": {
        "type": "dynamics",
        "entity": "account",
        "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
        "id_column": "accountid",
        "mappings": [{"source": "number", "target": "accountnumber"}],
    },
    "sync_behaviour": {"sync_key": ["accountnumber"]},
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def test_a_request_is_in_the_state_store_as_it_was_made(state: StateStore) -> None:
    """With the parameters as text, and with who asked."""
    definition = SyncDefinition.model_validate(DEFINITION)
    request = request_run(state, definition, {"day": "2024-01-31"}, force=True, requested_by="ann")
    assert state.job_requests() == (request,)
    assert (request.sync, request.parameters) == ("accounts", {"day": "2024-01-31"})
    assert (request.force, request.requested_by) == (True, "ann")


def test_an_unknown_parameter_is_refused_and_nothing_is_requested(state: StateStore) -> None:
    """The error lists the parameters that there are."""
    definition = SyncDefinition.model_validate(DEFINITION)
    with pytest.raises(UserError, match="accounts has no parameter moon; it has: day, region"):
        request_run(state, definition, {"moon": "full"}, force=False, requested_by="ann")
    assert state.job_requests() == ()
