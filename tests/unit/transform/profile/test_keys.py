"""Possible keys: counted as the service compares them, singles first, pairs where they can say something."""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import KeyMatch
from shared.transform import current_table_step, desire_of, desire_steps, shape_steps
from shared.transform.profile.keys import (
    KeyCounts,
    Side,
    by_promise,
    candidates,
    counts_of,
    counts_query,
    forms_steps,
    likely_pairs,
)
from shared.workspace import Workspace, literal
from tests.unit.transform.world import ACCOUNT, definition

MAPPED = definition(
    [{"name": "name", "validate": True}, {"name": "notes"}, {"name": "staff", "type": "number"}],
    [
        {"source": "name", "target": "name"},
        {"source": "notes", "target": "notes"},
        {"source": "staff", "target": "staff"},
        {"source": "name", "target": "parent", "lookup": {"match": "name"}},
    ],
    filter="coalesce(staff, 0) < 1000",
)


def _counted(
    workspace: Workspace, rows: Sequence[tuple[str, ...]], records: Sequence[tuple[str, ...]]
) -> list[KeyCounts]:
    desire = desire_of(MAPPED, ACCOUNT)
    columns = candidates(desire)
    workspace.execute(
        "CREATE TABLE source_raw (_row BIGINT, number VARCHAR, name VARCHAR, notes VARCHAR, staff VARCHAR)"
    )
    for place, row in enumerate(rows):
        workspace.execute(f"INSERT INTO source_raw VALUES ({place}, {', '.join(map(literal, row))})")
    for step in (*shape_steps(MAPPED), *desire_steps(MAPPED, ACCOUNT, desire), current_table_step(columns)):
        workspace.run(step)
    for place, row in enumerate(records):
        values = ", ".join(map(literal, row))
        names = ", ".join(column.name for column in columns)
        workspace.execute(f"INSERT INTO current (_seq, {names}) VALUES ({place}, {values})")
    for step in forms_steps(desire, columns, KeyMatch.SERVICE):
        workspace.run(step)
    keys = [(column.name,) for column in columns]
    return list(counts_of(keys, workspace.query(counts_query(keys))))


def test_texts_lookups_and_long_texts_are_no_candidates() -> None:
    """A memo cannot be compared, and the value of a lookup is not known yet; the key of the definition is first."""
    assert [column.name for column in candidates(desire_of(MAPPED, ACCOUNT))] == ["accountnumber", "name", "staff"]


def test_values_are_counted_as_keys_are_compared(workspace: Workspace) -> None:
    """Case and accents do not matter; rows that the filter leaves out do not count."""
    rows = [("A1", "Über", "", "1"), ("a1", "uber", "", "2"), ("B2", "", "", "3"), ("C3", "x", "", "5000")]
    number, name, staff = _counted(workspace, rows, [("A1", "n", "7"), ("a1", "m", "8")])
    assert number.source == Side(rows=3, filled=3, different=2)
    assert number.target == Side(rows=2, filled=2, different=1)
    assert (number.source.repeated, number.fits, number.possible) == (1, False, False)
    assert name.source == Side(rows=3, filled=2, different=1)
    assert (staff.fits, staff.possible) == (True, True)


def _key(*columns: str, different: int, rows: int = 4, empty: int = 0, records: int = 0) -> KeyCounts:
    source = Side(rows=rows, filled=rows - empty, different=different)
    return KeyCounts(columns=columns, source=source, target=Side(rows=records, filled=0, different=0))


def test_pairs_are_tried_where_they_can_be_a_key() -> None:
    """Not with a key, not with an empty column, and not where both together have too few values."""
    singles = [
        _key("key", different=4),
        _key("a", different=2),
        _key("b", different=2),
        _key("c", different=1),
        _key("gaps", different=3, empty=1),
    ]
    assert likely_pairs(singles) == [("a", "b")]
    assert likely_pairs([]) == []


def test_the_most_promising_key_comes_first() -> None:
    """Filled on both sides, then single, then with a name that identifies."""
    open_key = _key("a", different=4, records=3)
    pair, plain, number = _key("a", "b", different=4), _key("c", different=4), _key("number", different=4)
    found = by_promise([open_key, pair, plain, number], {"number": True})
    assert [each.columns for each in found] == [("number",), ("c",), ("a", "b"), ("a",)]
    assert (open_key.possible, open_key.fits) == (True, False)
