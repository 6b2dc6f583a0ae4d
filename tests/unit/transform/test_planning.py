"""The cost of a run before its first row: its SQL grows in proportion to the columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.entities import AttributeMetadata, EntityMetadata
from shared.reconcile import reconcile_steps
from shared.transform import (
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    layout,
    shape_steps,
)
from shared.workspace import Workspace
from tests.unit.transform.world import ACCOUNT, COLUMNS, definition

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = [("number", "revenue"), ("text", "name"), ("date", "called"), ("bool", "active"), ("text", "segments"),
         ("text", "segment"), ("text", "latitude"), ("text", "called"), ("text", "active")]  # fmt: skip


def wide(count: int, target: str) -> EntityMetadata:
    """A table with many columns like one of the usual table's."""
    (like,) = (column for column in COLUMNS if column.name == target)
    added: dict[str, AttributeMetadata] = {f"t{n}": replace(like, name=f"t{n}") for n in range(count)}
    return replace(ACCOUNT, attributes={**ACCOUNT.attributes, **added})


def characters(count: int, kind: str, target: str) -> int:
    """The length of all statements of a run, for a number of columns."""
    entity = wide(count, target)
    columns = [{"name": f"c{n}", "type": kind, "trim": True} for n in range(count)]
    sync = definition(columns, [{"source": f"c{n}", "target": f"t{n}"} for n in range(count)])
    columns_ = layout(sync, entity)
    steps = (
        *shape_steps(sync),
        *desire_steps(sync, entity),
        *desired_finish_steps(sync, entity),
        current_table_step(columns_),
        *current_finish_steps(columns_, sync),
        *reconcile_steps(sync, columns_, started=STARTED),
    )
    return sum(len(step.sql) for step in steps)


@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_the_length_of_sql_per_column_does_not_depend_on_their_number(kind: str, target: str) -> None:
    """The second hundred of columns needs as much SQL as the first; only names and bits are a little longer."""
    base, once, twice = (characters(count, kind, target) for count in (100, 200, 300))
    assert twice - once < 1.05 * (once - base)


def test_the_workspace_does_not_search_common_expressions(workspace: Workspace) -> None:
    """The time of DuckDB's search grows with the square of the columns."""
    assert workspace.query("SELECT current_setting('disabled_optimizers')") == [("common_subexpressions",)]
