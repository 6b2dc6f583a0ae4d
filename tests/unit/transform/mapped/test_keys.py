"""Keys of rejected rows: known, empty, or there and not known."""

from __future__ import annotations

from typing import Any

import pytest

from shared.workspace import Workspace
from tests.unit.transform.world import definition, shaped


@pytest.mark.parametrize(
    ("column", "mapping", "key"),
    [
        ({}, {"source": "key", "target": "staff"}, "2 ?"),
        ({"type": "number"}, {"source": "key", "target": "staff"}, "2.5"),
        ({}, {"source": "key", "target": "founded"}, "2.1.2024"),
        ({}, {"source": "key", "target": "reference"}, "no id"),
        ({}, {"source": "key", "target": "segment"}, "no option"),
        ({}, {"value": "CAST(key AS INTEGER)", "target": "staff"}, "2 ?"),
    ],
)
@pytest.mark.parametrize("size", ["1", "wrong"])
def test_a_key_that_its_column_cannot_hold_may_belong_to_any(
    workspace: Workspace, column: dict[str, Any], mapping: dict[str, Any], key: str, size: str
) -> None:
    """Also if the row is rejected for another column; a row with an empty key belongs to none."""
    columns = [{"name": "key", **column}, {"name": "size", "type": "number", "validate": True}]
    sync = definition(columns, [mapping], sync_key=[mapping["target"]], dropped="delete")
    shaped(workspace, sync, [("a", key, size), ("b", "", size)])
    assert workspace.query("SELECT _k1 FROM protected") == [(None,)]


@pytest.mark.parametrize(
    ("column", "mapping"),
    [
        ({"formula": "concat_ws('-', a, b)"}, {"source": "key"}),
        ({"formula": "a || b", "mandatory": True, "validate": True}, {"source": "key"}),
        ({"formula": "upper(b)"}, {"value": "concat_ws('-', a, key)"}),
    ],
)
@pytest.mark.parametrize(("rows", "protected"), [([("1", "2", "")], [(None,)]), ([("1", "", "")], [])])
def test_a_key_that_lacks_a_required_value_may_belong_to_any(
    workspace: Workspace,
    column: dict[str, Any],
    mapping: dict[str, Any],
    rows: list[tuple[str, ...]],
    protected: list[tuple[Any, ...]],
) -> None:
    """What is left of it is not the key of the row's record; where all of it is missing, the key is empty."""
    required: dict[str, Any] = {"name": "b", "mandatory": True, "validate": True}
    columns = [{"name": "a"}, required, {"name": "key", **column}]
    sync = definition(columns, [{"target": "notes", **mapping}], sync_key=["notes"], dropped="delete")
    shaped(workspace, sync, rows)
    assert workspace.query("SELECT _k1 FROM protected") == protected


def test_a_calculated_key_depends_on_its_own_columns_alone(workspace: Workspace) -> None:
    """An error of another column neither makes it unknown nor an empty one present."""
    columns: list[dict[str, Any]] = [{"name": "x", "max_length": 1}, {"name": "key", "formula": "nullif(number, '-')"}]
    sync = definition(columns, [{"source": "key", "target": "notes"}], sync_key=["notes"], dropped="delete")
    shaped(workspace, sync, [("A", "long"), ("-", "long"), ("b", "x")])
    assert workspace.query("SELECT _k1 FROM protected") == [("a",)]
