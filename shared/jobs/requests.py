"""Requests for a run: left in the state store, and taken up by the deployed app at its next tick."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.state import JobRequest, StateStore

__all__ = ["request_run"]


def request_run(
    state: StateStore, definition: SyncDefinition, parameters: Mapping[str, str], *, force: bool, requested_by: str
) -> JobRequest:
    """Leave a request in the state store.

    The deployed app checks the values, because a formula may read an environment that only the app has.

    Args:
        state: The state store of the deployed app.
        definition: The sync to run.
        parameters: What overrides the definition's parameters, as text.
        force: Override the safety limits.
        requested_by: Who asks, for the log.

    Raises:
        UserError: The sync has no such parameter.
        RetryLater: The state store is not available.
    """
    if unknown := sorted(parameters.keys() - definition.parameters.keys()):
        known = ", ".join(sorted(definition.parameters)) or "none"
        raise UserError(f"{definition.name} has no parameter {unknown[0]}; it has: {known}")
    request = JobRequest(
        id=uuid.uuid4().hex,
        sync=definition.name,
        requested=datetime.now(UTC),
        parameters=dict(parameters),
        force=force,
        requested_by=requested_by,
    )
    state.request_job(request)
    return request
