"""What a script sees of a row."""

from __future__ import annotations

import json

import pytest

from shared.definitions.models import Column
from shared.transform import script_columns, script_steps, seen_by
from shared.workspace import Workspace
from tests.unit.transform.world import definition, load

COLUMNS = [
    Column(name="name"),
    Column(name="First Name"),
    Column(name="$.a.b", alias="nested"),
    Column(name="made", formula="name"),
    Column(name="other", script="function calc() {}"),
]


@pytest.mark.parametrize(
    ("script", "labels"),
    [
        ("return r.name", {"name"}),
        ("return r['First Name'] + r.nested", {"First Name", "nested"}),
        ("return r.names + r.$name + r.name2", set()),
        ("return r.made + r.other", set()),
        ("return 1", set()),
    ],
)
def test_a_script_sees_the_columns_that_are_read_and_that_it_names(script: str, labels: set[str]) -> None:
    assert seen_by(f"function calc(r) {{ {script} }}", COLUMNS) == labels


def test_values_have_the_types_of_javascript() -> None:
    """Numbers, truth values and documents; dates as text in UTC; null where a value is missing or in error."""
    script = "function calc(r) { return [r.n, r.d, r.b, r.j, r.t] }"
    columns = [
        {"name": "n", "type": "number"},
        {"name": "d", "type": "date"},
        {"name": "b", "type": "bool"},
        {"name": "j", "type": "json"},
        {"name": "t"},
        {"name": "made", "script": script},
    ]
    made = definition(columns)
    with Workspace.open() as workspace:
        load(workspace, made, [("A1", "1.50", "2024-01-31", "yes", "[1]", 'ä"'), ("A2", "x", "", "", "{", "")])
        for step in script_steps(made):
            workspace.run(step)
        (column,) = script_columns(made)
        rows = [json.loads(seen) for (seen,) in workspace.query(f"SELECT seen FROM {column.rows.name}")]
    assert rows == [
        {"n": 1, "v": {"n": 1.5, "d": "2024-01-31T00:00:00Z", "b": True, "j": "[1]", "t": 'ä"'}},
        {"n": 2, "v": {"n": None, "d": None, "b": None, "j": None, "t": None}},
    ]
