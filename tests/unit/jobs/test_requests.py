"""Requests for a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.jobs.requests import new_request, request_run
from shared.state import JobKind, StateStore
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


@pytest.mark.parametrize("kind", [JobKind.RUN, JobKind.PLAN, JobKind.APPLY, JobKind.RETRY])
def test_a_sync_of_events_alone_is_not_started(state: StateStore, kind: JobKind) -> None:
    """With the sentence of `run`, and nothing is requested; the undo of an earlier run reads no source."""
    source = {"type": "events", "columns": [{"name": "number"}]}
    definition = SyncDefinition.model_validate({**DEFINITION, "source": source})
    said = "a source of type events gets its rows from the listener: this sync cannot run as a batch"
    with pytest.raises(UserError, match=said):
        new_request(definition, {}, kind=kind, force=False, requested_by="ann")
    with pytest.raises(UserError, match=said):
        request_run(state, definition, {}, force=False, requested_by="ann")
    assert state.job_requests() == ()
    assert new_request(definition, {}, kind=JobKind.UNDO, force=False, requested_by="ann").kind is JobKind.UNDO
