"""One wave of real time: rows of events become one row for each change, and changes are found again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.reconcile import blind_mark
from shared.reconcile.waves import (
    GIVEN,
    GIVEN_IGNORE,
    REJECTED_CHANGES,
    STAYS,
    STEP_ROWS,
    WAVE_ACTIONS,
    WAVE_SOURCE,
    asked_query,
    doubles_query,
    keep_asked_statement,
    mark_statement,
    move_statement,
    spare_rejected_statement,
    wave_changes_query,
    wave_desired,
)
from shared.transform import SOURCE_ERRORS, current_table_step, late_lookups, layout
from shared.transform.event_rows import wanted_tables
from shared.workspace import Workspace, quoted
from tests.unit.transform.lookups.relations import LINKED, fill, id_of, linking, record, to
from tests.unit.transform.world import ACCOUNT, definition

NAME: Final = {"source": "name", "target": "name"}
NOTES: Final = {"source": "notes", "target": "notes"}
COLUMNS: Final = ({"name": "name"}, {"name": "notes"})
SYNC: Final = definition(COLUMNS, [NAME, NOTES])
LAYOUT: Final = layout(SYNC, ACCOUNT)
BEFORE: Final = -1  # the row with the key that the record of event 0 had before


def row(key: str, **carried: Any) -> dict[str, Any]:
    """A row of `wanted`: its key, and the columns that its event carries."""
    return {"accountnumber": key, **carried}


def wanted(
    workspace: Workspace,
    rows: Mapping[int, Mapping[str, Any]],
    sync: SyncDefinition = SYNC,
    entity: EntityMetadata = ACCOUNT,
) -> None:
    """Make `wanted` with rows by their number."""
    columns = layout(sync, entity)
    for table in wanted_tables(sync, columns, late_lookups(sync, entity)):
        workspace.create(table)
    mapped = {column.name for column in columns}
    for number, values in rows.items():
        given = {"_row": number, "_k1": values["accountnumber"].lower(), **values}
        given |= {f"_omit_{name}": False for name in values if name in mapped}
        names, places = ", ".join(map(quoted, given)), ", ".join("?" * len(given))
        workspace.execute(f"INSERT INTO wanted ({names}) VALUES ({places})", list(given.values()))


def staged(workspace: Workspace, *changes: Sequence[int], **facts: Mapping[int, Any]) -> None:
    """Make `step_rows`: the rows that each change is made of.

    Args:
        workspace: Has no such table yet.
        changes: The rows of change 0, 1 and so on.
        facts: By number of the change: `before` its row with the old key, `deletes`, and its `action`.
    """
    rows = [
        {
            "s": number,
            "r": each,
            "l": len(rows) == 1,
            "o": facts.get("before", {}).get(number),
            "d": facts.get("deletes", {}).get(number, False),
            "a": facts.get("action", {}).get(number, "UPSERT"),
        }
        for number, rows in enumerate(changes)
        for each in rows
    ]
    workspace.create(STEP_ROWS, [json.dumps(rows)])


def held(workspace: Workspace, keys: Iterable[str]) -> None:
    """Make `current` with a record for each key, the first with id 1."""
    workspace.run(current_table_step(LAYOUT))
    records = [record(number, accountnumber=key) for number, key in enumerate(keys, 1)]
    fill(workspace, "current", ["accountnumber"], records)


def keys_held(workspace: Workspace) -> list[str]:
    return [key for (key,) in workspace.query("SELECT accountnumber FROM current ORDER BY _seq")]


def desired(workspace: Workspace, *names: str) -> list[tuple[Any, ...]]:
    return workspace.query(f"SELECT _row, {', '.join(map(quoted, names))} FROM desired ORDER BY _row")


# -- Several rows become one -------------------------------------------------------------------------------------------


def test_a_change_of_one_row_is_that_row(workspace: Workspace) -> None:
    """Its number is the change's; what its event did not carry stays left out, and what is dropped has no row."""
    wanted(workspace, {5: row("A", name="Ann"), 7: row("B", notes=None), 8: row("C")})
    staged(workspace, [7], [5], [8], deletes={2: True})
    workspace.create(wave_desired(SYNC, LAYOUT, STAYS, single=True))
    assert desired(workspace, "accountnumber", "name", "_omit_name", "notes", "_omit_notes", "_k1") == [
        (0, "B", None, True, None, False, "b"),
        (1, "A", "Ann", False, None, True, "a"),
    ]


def test_of_several_rows_the_last_that_carries_a_column_counts(workspace: Workspace) -> None:
    """A null that is carried empties the column; a later row that does not carry it changes nothing."""
    wanted(
        workspace,
        {
            1: row("A", name="old", notes="kept"),
            2: row("A", name="new"),
            3: row("A"),
            4: row("B", name="Bo", notes="text"),
            6: row("B", notes=None),
            5: row("C", notes="alone"),
            7: row("D", name="x"),
            8: row("D", name="y"),
        },
    )
    staged(workspace, [1, 2, 3], [6, 4], [5], [8, 7], deletes={3: True})
    workspace.create(wave_desired(SYNC, LAYOUT, STAYS, single=False))
    assert desired(workspace, "name", "_omit_name", "notes", "_omit_notes", "_k1") == [
        (0, "new", False, "kept", False, "a"),
        (1, "Bo", False, None, False, "b"),
        (2, None, True, "alone", False, "c"),
    ]


def test_a_column_that_no_row_of_a_change_carries_is_left_out(workspace: Workspace) -> None:
    wanted(workspace, {1: row("A", name="x"), 2: row("A")})
    staged(workspace, [1, 2])
    workspace.create(wave_desired(SYNC, LAYOUT, STAYS, single=False))
    assert desired(workspace, "_omit_name", "notes", "_omit_notes") == [(0, False, None, True)]


@pytest.mark.parametrize(("strategy", "spelling"), [("full", "a"), ("upsert", "A")])
def test_a_key_is_spelled_as_the_record_is_made_unless_it_is_compared(
    workspace: Workspace, strategy: str, spelling: str
) -> None:
    """An upsert addresses the record by its key, so no write after the first sends the key."""
    sync = definition(COLUMNS, [NAME, NOTES], strategy=strategy)
    wanted(workspace, {1: row("A", name="x"), 2: row("a", name="y")}, sync)
    staged(workspace, [1, 2])
    workspace.create(wave_desired(sync, LAYOUT, STAYS, single=False))
    assert desired(workspace, "accountnumber", "name", "_k1") == [(0, spelling, "y", "a")]


@pytest.mark.parametrize(
    ("first", "second", "spelling"), [(None, id_of(1), "a"), (id_of(1), None, "A"), (None, None, "A")]
)
def test_a_record_that_is_addressed_by_its_id_takes_the_latest_key(
    workspace: Workspace, first: str | None, second: str | None, spelling: str
) -> None:
    """Of the rows that have the id; without any, the record is addressed by its key."""
    sync = definition([*COLUMNS, {"name": "id"}], [{"source": "id", "target": "accountid"}], strategy="upsert")
    columns = layout(sync, ACCOUNT)
    wanted(workspace, {1: row("A", accountid=first), 2: row("a", accountid=second)}, sync)
    staged(workspace, [1, 2])
    workspace.create(wave_desired(sync, columns, STAYS, single=False))
    assert desired(workspace, "accountnumber") == [(0, spelling)]


@pytest.mark.parametrize("single", [True, False])
def test_a_change_that_is_not_compared_has_a_row_unless_it_does_nothing(workspace: Workspace, single: bool) -> None:  # noqa: FBT001 - a parameter
    """A delete too: its row says what to do."""
    wanted(workspace, {1: row("A"), 2: row("B"), 3: row("C")})
    staged(workspace, [1], [2], [3], deletes={1: True, 2: True}, action={1: GIVEN_IGNORE, 2: "DELETE"})
    workspace.create(wave_desired(SYNC, LAYOUT, GIVEN, single=single))
    assert desired(workspace, "accountnumber") == [(0, "A"), (2, "C")]


def test_what_a_later_lookup_searches_is_of_the_last_row_that_carries_it(workspace: Workspace) -> None:
    """A row without the lookup has nothing to search for, and must not take the value away."""
    sync = linking(to("parent", match="accountnumber"))
    late, columns = late_lookups(sync, LINKED), layout(sync, LINKED)
    (value,) = late[0].values

    def searching(key: str, text: str) -> dict[str, Any]:
        return row(key, parent=None, **{value.key: text, "given:parent": True})

    rows = {1: searching("A", "p1"), 2: searching("A", "p2"), 3: row("A"), 4: searching("B", "p3")}
    wanted(workspace, rows, sync, LINKED)
    staged(workspace, [1, 2, 3], [4])
    workspace.create(wave_desired(sync, columns, STAYS, single=False, late=late))
    assert desired(workspace, value.key, "given:parent", "_omit_parent") == [
        (0, "p2", True, False),
        (1, "p3", True, False),
    ]
    workspace.drop("desired")
    workspace.execute("DELETE FROM step_rows WHERE NOT _alone")
    workspace.create(wave_desired(sync, columns, STAYS, single=True, late=late))
    assert desired(workspace, value.key, "given:parent") == [(1, "p3", True)]


# -- What the source says beside the values ----------------------------------------------------------------------------


def test_the_source_columns_of_a_change_have_its_number(workspace: Workspace) -> None:
    sync = definition(COLUMNS, [NAME], changed={"when": "source.name <> 'x'"})
    wanted(workspace, {4: row("A"), 9: row("B")}, sync)
    workspace.execute(
        "INSERT INTO wanted_source VALUES (4, 'A', 'Ann', NULL), (9, 'B', 'Bo', 'n'), (5, 'C', NULL, NULL)"
    )
    staged(workspace, [9], [4])
    workspace.create(WAVE_SOURCE)
    assert workspace.query("SELECT _row, number, name, notes FROM source ORDER BY _row") == [
        (0, "B", "Bo", "n"),
        (1, "A", "Ann", None),
    ]


def test_each_change_has_one_action(workspace: Workspace) -> None:
    staged(workspace, [1, 2, 3], [4], action={0: "INSERT", 1: "DELETE"})
    workspace.create(WAVE_ACTIONS)
    assert workspace.query("SELECT _row, _action FROM source ORDER BY _row") == [(0, "INSERT"), (1, "DELETE")]


# -- Which records are read --------------------------------------------------------------------------------------------


def asked(workspace: Workspace, *, single: bool, moves: bool = False) -> list[str]:
    found = workspace.query(asked_query(LAYOUT, single=single, moves=moves))
    return [json.loads(key)["accountnumber"] for (key,) in found]


@pytest.mark.parametrize("single", [True, False])
def test_each_record_is_asked_for_once(workspace: Workspace, single: bool) -> None:  # noqa: FBT001 - a parameter
    """A dropped one too; the key is as the source writes it."""
    wanted(workspace, {1: row('A"b'), 2: row("B"), 3: row("b"), 4: row("Not asked")})
    staged(workspace, *([[2], [1]] if single else [[2, 3], [1]]), deletes={0: True})
    first, *others = asked(workspace, single=single)
    assert first in ({"B"} if single else {"B", "b"})
    assert others == ['A"b']


@pytest.mark.parametrize("single", [True, False])
def test_a_record_with_a_new_key_is_asked_for_by_both(workspace: Workspace, single: bool) -> None:  # noqa: FBT001 - a parameter
    wanted(workspace, {0: row("new"), BEFORE: row("old"), 2: row("B")})
    staged(workspace, [0], [2], before={0: BEFORE})
    assert sorted(asked(workspace, single=single, moves=True)) == ["B", "new", "old"]
    assert sorted(asked(workspace, single=single)) == ["B", "new"]


def test_records_that_were_not_asked_for_are_let_go(workspace: Workspace) -> None:
    """The service may hold more keys equal; a record too many would count as dropped."""
    wanted(workspace, {0: row("new"), BEFORE: row("old"), 2: row("B"), 3: row("other")})
    staged(workspace, [0], [2], before={0: BEFORE}, deletes={1: True})
    held(workspace, ["NEW", "Old", "b", "other", "ⓑ"])
    workspace.execute(keep_asked_statement(LAYOUT, moves=True))
    assert keys_held(workspace) == ["NEW", "Old", "b"]
    workspace.execute(keep_asked_statement(LAYOUT, moves=False))
    assert keys_held(workspace) == ["NEW", "b"]


# -- Changes of a key --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "key", "doubles"),
    [(["old"], "old", 0), (["new"], "new", 0), (["OLD", "New"], "new", 1), ([], "new", 0)],
)
def test_a_record_is_found_under_its_old_key_where_none_has_the_new_one(
    workspace: Workspace, records: Sequence[str], key: str, doubles: int
) -> None:
    """Where both are there, the change concerns two records: the one with the new key takes the values."""
    wanted(workspace, {0: row("new"), BEFORE: row("old"), 2: row("plain")})
    staged(workspace, [0], [2], before={0: BEFORE})
    held(workspace, [*records, "plain"])
    workspace.create(wave_desired(SYNC, LAYOUT, STAYS, single=True))
    assert workspace.query(doubles_query(LAYOUT)) == [(doubles,)]
    workspace.execute(move_statement(LAYOUT))
    assert desired(workspace, "accountnumber", "_k1") == [(0, "new", key), (1, "plain", "plain")]


def test_a_key_of_two_columns_is_equal_where_both_are(workspace: Workspace) -> None:
    """Records that share one part of a key are others: neither moved nor dropped."""
    sync = definition(COLUMNS, [NAME], sync_key=["accountnumber", "name"])
    columns = layout(sync, ACCOUNT)
    rows = {0: row("A", name="new", _k2="new"), BEFORE: row("A", name="old", _k2="old"), 1: row("B", name="b", _k2="b")}
    wanted(workspace, rows, sync)
    staged(workspace, [0], [1], before={0: BEFORE}, deletes={1: True})
    workspace.run(current_table_step(columns))
    records = [
        record(n, accountnumber=k, name=name)
        for n, (k, name) in enumerate((("A", "else"), ("B", "b"), ("B", "new")), 1)
    ]
    fill(workspace, "current", ["accountnumber", "name"], records)
    workspace.create(wave_desired(sync, columns, STAYS, single=True))
    workspace.execute(move_statement(columns))
    assert workspace.query("SELECT _row, _k1, _k2 FROM desired") == [(0, "a", "new")]

    planned(workspace, ("delete", None, 2))
    found = workspace.query(wave_changes_query(columns, by_key=True, moves=True))
    assert [(each[2], each[-1]) for each in found] == [(id_of(2), 1)]
    keys = [json.loads(key) for (key,) in workspace.query(asked_query(columns, single=True, moves=False))]
    assert keys == [{"accountnumber": "A", "name": "new"}, {"accountnumber": "B", "name": "b"}]
    workspace.execute(keep_asked_statement(columns, moves=True))
    assert workspace.query("SELECT accountnumber, name FROM current") == [("B", "b")]


# -- Changes that are found again --------------------------------------------------------------------------------------

CHANGES: Final = (
    "_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR, payload VARCHAR, columns VARCHAR, "
    "on_create VARCHAR, later VARCHAR"
)


def planned(workspace: Workspace, *changes: tuple[str, int | None, int | None]) -> None:
    """Make `changes`: the action, the number of the wave's change and that of the record."""
    workspace.execute(f"CREATE TABLE changes ({CHANGES})")
    for number, (action, change, of) in enumerate(changes, 1):
        workspace.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?, '{}', 'name', 'once', 'then')",
            [number, action, change, id_of(of) if of else None, f"k{number}"],
        )


def owners(workspace: Workspace, *, by_key: bool, moves: bool = False) -> list[tuple[int, str, str | None, int | None]]:
    """Number, action, id, and number of the wave's change."""
    rows = workspace.query(wave_changes_query(LAYOUT, by_key=by_key, moves=moves))
    return [(each[0], each[1], each[2], each[-1]) for each in rows]


def test_a_change_with_a_row_is_that_row_s(workspace: Workspace) -> None:
    planned(workspace, ("insert", 2, None), ("update", 0, 7))
    assert owners(workspace, by_key=False) == [(1, "insert", None, 2), (2, "update", id_of(7), 0)]
    ((*_, key, payload, columns, once, later, _), _) = workspace.query(
        wave_changes_query(LAYOUT, by_key=False, moves=False)
    )
    assert (key, payload, columns, once, later) == ("k1", "{}", "name", "once", "then")


def test_a_dropped_record_is_found_by_its_key(workspace: Workspace) -> None:
    """The plan has no row for it; a record that stays keeps its own."""
    wanted(workspace, {1: row("A"), 2: row("B"), 3: row("C")})
    staged(workspace, [1], [2], [3], deletes={0: True, 2: True})
    held(workspace, ["C", "b", "a"])
    planned(workspace, ("update", 1, 2), ("delete", None, 1), ("delete", None, 3))
    assert owners(workspace, by_key=True) == [
        (1, "update", id_of(2), 1),
        (2, "delete", id_of(1), 2),
        (3, "delete", id_of(3), 0),
    ]


def test_a_record_that_gave_its_key_away_is_found_by_the_old_one(workspace: Workspace) -> None:
    """Where another record has the new key already, the one with the old key is dropped."""
    wanted(workspace, {0: row("new"), BEFORE: row("old")})
    staged(workspace, [0], before={0: BEFORE})
    held(workspace, ["old", "new"])
    planned(workspace, ("update", 0, 2), ("delete", None, 1))
    assert owners(workspace, by_key=True, moves=True) == [(1, "update", id_of(2), 0), (2, "delete", id_of(1), 0)]


def test_what_is_only_marked_becomes_an_update_of_the_mark(workspace: Workspace) -> None:
    """Nothing else is sent for it, and nothing is made: the others keep their payload."""
    sync = definition(COLUMNS, [NAME], strategy="upsert", dropped={"expire": "expiredon"})
    columns = layout(sync, ACCOUNT)
    staged(workspace, [1], [2], deletes={1: True})
    planned(workspace, ("upsert", 0, None), ("update", 1, None))
    parts = blind_mark(sync, columns, started=datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    workspace.execute(mark_statement(parts, "accountid"))
    (kept, marked) = workspace.query("SELECT payload, columns, on_create, later, key FROM changes ORDER BY _change")
    assert kept == ("{}", "name", "once", "then", "k1")
    assert json.loads(marked[0]) == {"expiredon": "2026-03-01T09:30:00Z"}
    assert marked[1:] == ("expiredon", "", "", "k2")


# -- Rejected changes --------------------------------------------------------------------------------------------------


def test_what_rejects_a_change_is_reported_and_other_errors_are_not(workspace: Workspace) -> None:
    workspace.run(SOURCE_ERRORS)
    for values in (
        (1, "parent", "Unresolved Link", True, "none"),
        (0, None, "Duplicate Key", True, "two"),
        (2, "name", "Max Length Violation", False, "long"),
    ):
        workspace.execute("INSERT INTO source_errors VALUES (?, ?, ?, ?, ?)", values)
    assert workspace.query(REJECTED_CHANGES) == [
        (1, "Unresolved Link", "parent", "none"),
        (0, "Duplicate Key", "", "two"),
    ]


def test_the_records_of_rejected_changes_are_out_of_reach(workspace: Workspace) -> None:
    """By the key of any of its rows; an error that rejects nothing changes nothing."""
    wanted(workspace, {1: row("A"), 2: row("B"), 3: row("C"), 4: row("D")})
    staged(workspace, [1], [2, 4], [3])
    held(workspace, ["a", "b", "c", "d"])
    workspace.run(SOURCE_ERRORS)
    workspace.execute("INSERT INTO source_errors VALUES (1, 'x', 'e', true, ''), (2, 'x', 'e', false, '')")
    workspace.execute(spare_rejected_statement(LAYOUT))
    assert keys_held(workspace) == ["a", "c"]
