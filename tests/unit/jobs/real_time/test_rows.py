"""Errors of events: each has one, the first that was found."""

from __future__ import annotations

import pytest

from shared.jobs.real_time.rows import failures_of
from shared.reconcile.waves import REJECTED_CHANGES
from shared.transform import SOURCE_ERRORS
from shared.transform.event_rows import REJECTED_EVENTS
from shared.workspace import Workspace


@pytest.mark.parametrize("query", [REJECTED_EVENTS, REJECTED_CHANGES])
def test_the_first_error_of_a_row_is_its_error(query: str) -> None:
    with Workspace.open() as workspace:
        workspace.run(SOURCE_ERRORS)
        for row, error, rejected in (
            (1, "noted", False), (1, "first", True), (2, "other", True), (1, "second", True),
        ):  # fmt: skip
            workspace.execute("INSERT INTO source_errors VALUES (?, 'name', ?, ?, 'why')", [row, error, rejected])

        found = failures_of(workspace.query(query))

    assert {row: (failure.error, failure.message) for row, failure in found.items()} == {
        1: ("first", "name: why"),
        2: ("other", "name: why"),
    }
