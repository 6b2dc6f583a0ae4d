"""Names of source columns that a run needs for itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.errors import DefinitionError
from shared.transform import check_expressions, desire_steps, shape_steps
from shared.transform.reserved import is_reserved
from shared.transform.shape import shape_of
from tests.unit.transform.world import ACCOUNT, definition

# A column for each way to read, to calculate and to judge a value.
EVERY_WAY: list[dict[str, Any]] = [
    {"name": "plain", "type": "number"},
    {"name": "amount", "type": "number", "decimal_separator": ",", "mandatory": True, "validate": True},
    {"name": "day", "type": "date", "input_format": ["dd.MM.yyyy HH:mm", "excel"], "time_zone": "Europe/Berlin"},
    {"name": "early", "type": "date", "time_zone": "Europe/Berlin", "on_ambiguous_time": "earlier"},
    {"name": "late", "type": "date", "time_zone": "Europe/Berlin", "on_ambiguous_time": "later"},
    {"name": "sum", "type": "number", "formula": "plain + amount"},
    {"name": "kind", "script": "function calc(r) { return r.plain; }"},
]
VALUED = [{"value": "upper(kind)", "target": "notes"}]


def test_every_name_of_the_run_beside_the_columns_of_the_source_is_reserved() -> None:
    """So no column of the source can be taken for a value that a step calculates."""
    sync = definition(EVERY_WAY, VALUED, filter="plain > 0")
    labels = {column.label for column in sync.source.columns}
    steps = [shape_of(sync).sql, *(step.sql for step in (*shape_steps(sync), *desire_steps(sync, ACCOUNT)))]
    beside = steps[0] + "".join(re.findall(r"\(SELECT \*.* FROM shaped\)", "\n".join(steps)))
    named = {name.strip('"') for name in re.findall(r'AS ("[^"]+"|_\w+)', beside)} - labels
    known = frozenset({*labels, "accountnumber", "notes"})
    assert {"try:notes", "result:sum", "number:amount", "clock:day", "_passes"} <= named
    assert [name for name in sorted(named) if not is_reserved(name, known)] == []


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("number:amount", EVERY_WAY[1:2]),
        ("Attempt:Plain", EVERY_WAY[:1]),
        ("result:sum", [*EVERY_WAY[:2], EVERY_WAY[5]]),
        ("format0:day", EVERY_WAY[2:3]),
        ("try:notes", []),
        ("_passes", []),
        ("_Broken0", []),
        ("filter:", []),
    ],
)
@pytest.mark.parametrize("key", ["name", "alias"])
def test_a_column_with_such_a_name_is_refused_with_its_place(name: str, others: list[dict[str, Any]], key: str) -> None:
    """By `validate`, and before a row is read where the source itself has the columns."""
    column = {"name": name} if key == "name" else {"name": "x", "alias": name}
    sync = definition([*others, column], [{"source": name, "target": "notes"}])
    place, message = f"source.columns[{len(others) + 1}].{key}", f"{name} is a name that the run needs for itself"
    assert [str(problem).split(";")[0] for problem in check_expressions(sync)] == [f"{place}: {message}"]
    with pytest.raises(DefinitionError, match=re.escape(message)):
        shape_steps(sync)


def test_other_names_with_a_colon_are_names() -> None:
    """A heading such as `Text: internal` is one: no column is called `internal`."""
    columns = [{"name": name} for name in ("Text: internal", "number:other", "filter:x", "_broken", "result")]
    assert check_expressions(definition(columns)) == ()
