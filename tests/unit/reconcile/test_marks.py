"""Dropped records that get a mark instead of being deleted, and marked records whose row is back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.definitions.models import WritePolicy
from shared.entities import AttributeType, Choice
from shared.reconcile import blind_mark, ledger_table_step
from shared.reconcile.columns import object_of
from shared.transform import ErrorType, TargetColumn
from shared.workspace import Workspace
from tests.unit.reconcile.test_steps import (
    ID,
    NAME,
    NUMBER,
    STARTED,
    column,
    definition,
    opened_workspace,
    reconcile,
    table,
)

STATE = column(
    "statecode",
    AttributeType.STATE,
    "INTEGER",
    choices=(Choice(value=0, labels=("Active",)), Choice(value=1, labels=("Inactive",))),
    writes=False,
)
NOTE = column("note", writes=False)
RANK = column("rank", AttributeType.INTEGER, "INTEGER", writes=False)
GONE = column("goneon", AttributeType.DATETIME, "TIMESTAMP", writes=False)
LAYOUT = (NUMBER, NAME, STATE, NOTE, RANK, GONE)
ACTIVE, INACTIVE = 0, 1
BACK: dict[str, Any] = {"dropped": "deactivate", "returned": "reactivate"}
Changes = list[tuple[str, str | None, dict[str, Any], dict[str, Any]]]


def run(
    rows: list[tuple[str, str]],
    records: list[dict[str, Any]],
    *,
    ledger: dict[int, tuple[bool, bool]] | None = None,
    layout: tuple[TargetColumn, ...] = LAYOUT,
    **behaviour: Any,
) -> tuple[Changes, list[tuple[Any, ...]]]:
    """Plan, and return the changes (action, id, payload, before) and the errors of records.

    Args:
        rows: Number and name of each row.
        records: The records, numbered from 1; their columns, `number` at least.
        ledger: Number of a record -> whether this sync made or matched it, and whether it marked it.
        layout: The target columns.
        behaviour: Keys of `sync_behaviour`.
    """
    with opened_workspace() as workspace:
        fill(workspace, rows, records, ledger or {}, layout)
        made = reconcile(workspace, layout, **behaviour)
        found = workspace.query('SELECT _id::VARCHAR, "column", error, message, rejected FROM target_errors')
    return [(c["action"], c["_id"], json.loads(c["payload"]), json.loads(c["before"])) for c in made], found


def fill(
    workspace: Workspace,
    rows: list[tuple[str, str]],
    records: list[dict[str, Any]],
    ledger: dict[int, tuple[bool, bool]],
    layout: tuple[TargetColumn, ...],
) -> None:
    table(
        workspace,
        "desired",
        "_row BIGINT, number VARCHAR, name VARCHAR, _k1 VARCHAR",
        *((place, number, name, number) for place, (number, name) in enumerate(rows, 1)),
    )
    table(
        workspace,
        "source",
        "_row BIGINT, number VARCHAR, name VARCHAR, op VARCHAR",
        *((place, number, name, "yes") for place, (number, name) in enumerate(rows, 1)),
    )
    own = ", ".join(f"{each.name} {each.sql_type}" for each in layout)
    table(
        workspace,
        "current",
        f"_seq BIGINT, _id UUID, _version VARCHAR, {own}, _k1 VARCHAR",
        *(
            (place, ID.format(place), f"v{place}", *(each.get(one.name) for one in layout), each["number"])
            for place, each in enumerate(records, 1)
        ),
    )
    workspace.run(ledger_table_step(layout))
    for place, (made, marked) in ledger.items():
        workspace.execute("INSERT INTO ledger (_id, _own, _marked) VALUES (?, ?, ?)", [ID.format(place), made, marked])


def test_a_dropped_record_is_deactivated_once() -> None:
    """One that is inactive already is left as it is, so a second run plans nothing."""
    changes, _ = run(
        [],
        [{"number": "a", "statecode": ACTIVE}, {"number": "b", "statecode": INACTIVE}],
        dropped="deactivate",
    )
    assert changes == [("deactivate", ID.format(1), {"statecode": INACTIVE}, {"statecode": ACTIVE})]


def test_a_dropped_record_gets_the_columns_of_the_mark_that_it_lacks() -> None:
    """An expression sees the record; a column that has its value already is not sent."""
    changes, _ = run(
        [],
        [
            {"number": "a", "name": "x", "rank": 3},
            {"number": "b", "name": "y", "rank": 9},
            {"number": "c", "name": "z", "rank": 9, "note": "was z"},
        ],
        dropped={"set": {"note": "'was ' || target.name", "rank": "9"}},
    )
    assert changes == [
        ("mark", ID.format(1), {"note": "was x", "rank": 9}, {"note": None, "rank": 3}),
        ("mark", ID.format(2), {"note": "was y"}, {"note": None}),
    ]


def test_a_mark_that_does_not_fit_leaves_its_record_alone_and_is_reported() -> None:
    """The other records get theirs; the record is not counted as rejected."""
    changes, errors = run(
        [],
        [{"number": "a", "name": "many"}, {"number": "b", "name": "7"}],
        dropped={"set": {"rank": "target.name"}},
    )
    assert changes == [("mark", ID.format(2), {"rank": 7}, {"rank": None})]
    message = "the value for rank does not fit the column, or its expression fails; the record is not marked"
    assert errors == [(ID.format(1), "rank", ErrorType.INVALID_FORMAT, message, False)]


def test_a_mark_whose_expression_fails_leaves_its_record_alone_and_is_reported() -> None:
    """The other records get theirs, also null."""
    changes, errors = run(
        [],
        [{"number": "a", "name": "many"}, {"number": "b", "name": "7"}, {"number": "c", "note": "kept"}],
        dropped={"set": {"note": "CAST(target.name AS INTEGER) + 1"}},
    )
    assert [(action, record, sent) for action, record, sent, _ in changes] == [
        ("mark", ID.format(2), {"note": "8"}),
        ("mark", ID.format(3), {"note": None}),
    ]
    assert [(record, name, error) for record, name, error, *_ in errors] == [
        (ID.format(1), "note", ErrorType.INVALID_FORMAT)
    ]


@pytest.mark.parametrize("dropped", ["delete", "deactivate"])
def test_with_scope_own_other_records_are_not_dropped(dropped: str) -> None:
    """Neither one that the ledger lacks nor one that it knows and neither made nor matched."""
    records = [{"number": key, "statecode": ACTIVE} for key in "abc"]
    changes, _ = run([], records, ledger={1: (True, False), 2: (False, False)}, dropped=dropped, dropped_scope="own")
    assert [(action, record) for action, record, *_ in changes] == [(dropped, ID.format(1))]


def test_a_record_that_this_sync_marked_is_reactivated_when_its_row_is_back() -> None:
    """With the columns that differ.

    One that others deactivated stays inactive, and one that others have activated again is an update like any other.
    """
    rows = [(key, "new") for key in "abcd"]
    records = [
        {"number": "a", "name": "old", "statecode": INACTIVE},
        {"number": "b", "name": "new", "statecode": INACTIVE},
        {"number": "c", "name": "new", "statecode": INACTIVE},
        {"number": "d", "name": "old", "statecode": ACTIVE},
    ]
    marked = {1: (True, True), 2: (True, True), 3: (True, False), 4: (True, True)}
    changes, _ = run(rows, records, ledger=marked, **BACK)
    assert changes == [
        ("update", ID.format(4), {"name": "new"}, {"name": "old"}),
        (
            "reactivate",
            ID.format(1),
            {"statecode": ACTIVE, "name": "new"},
            {"statecode": INACTIVE, "name": "old"},
        ),
        ("reactivate", ID.format(2), {"statecode": ACTIVE}, {"statecode": INACTIVE}),
    ]


@pytest.mark.parametrize(
    ("changed", "payload"),
    [
        ("ignore", {"statecode": ACTIVE}),
        ({"when": "source.op = 'yes' and target.name = 'old'"}, {"statecode": ACTIVE, "name": "new"}),
        ({"when": "source.op = 'no'"}, {"statecode": ACTIVE}),
        ({"when": "target.rank > 1"}, {"statecode": ACTIVE}),
    ],
    ids=["ignored", "met", "not met", "unknown"],
)
def test_a_returning_record_gets_other_columns_as_far_as_changed_ones_do(
    changed: str | dict[str, str], payload: dict[str, Any]
) -> None:
    """It is reactivated in each case."""
    records = [{"number": "a", "name": "old", "statecode": INACTIVE}]
    changes, _ = run([("a", "new")], records, ledger={1: (True, True)}, changed=changed, **BACK)
    assert [(action, sent) for action, _, sent, _ in changes] == [("reactivate", payload)]


def test_a_record_that_expired_loses_its_date_when_its_row_is_back() -> None:
    """The column of the date is emptied."""
    records = [{"number": "a", "name": "n", "goneon": "2026-01-02 03:04:05"}, {"number": "b", "name": "n"}]
    changes, _ = run(
        [("a", "n"), ("b", "n")],
        records,
        ledger={1: (True, True), 2: (True, True)},
        dropped={"expire": "goneon"},
        returned="reactivate",
    )
    assert [(action, record, sent) for action, record, sent, _ in changes] == [
        ("reactivate", ID.format(1), {"goneon": None})
    ]


def test_what_would_not_be_marked_anyhow_is_not_reported() -> None:
    """Record 1 is the sync's own; 2 is one of others, and 3 has the key of a rejected row."""
    with opened_workspace() as workspace:
        records = [{"number": number, "name": "many"} for number in "abc"]
        fill(workspace, [], records, dict.fromkeys((1, 3), (True, False)), LAYOUT)
        workspace.execute("INSERT INTO protected (_k1) VALUES ('c')")
        made = reconcile(workspace, LAYOUT, dropped={"set": {"rank": "target.name"}}, dropped_scope="own")
        reported = workspace.query("SELECT _id::VARCHAR FROM target_errors")
    assert (list(made), reported) == ([], [(ID.format(1),)])


def test_a_returning_record_gets_what_the_definition_sets() -> None:
    """Where the value does not fit its column, the record is updated and keeps its mark, and is reported."""
    records = [
        {"number": "a", "name": "old", "note": "gone", "rank": 1},
        {"number": "12", "name": "old", "note": "gone", "rank": 1},
        {"number": "13", "name": "new", "note": "gone", "rank": 13},
    ]
    changes, errors = run(
        [("a", "new"), ("12", "new"), ("13", "new")],
        records,
        ledger=dict.fromkeys((1, 2, 3), (True, True)),
        dropped={"set": {"note": "'gone'"}},
        returned={"set": {"rank": "target.number"}},
    )
    assert [(action, record, sent) for action, record, sent, _ in changes] == [
        ("update", ID.format(1), {"name": "new"}),
        ("reactivate", ID.format(2), {"rank": 12, "name": "new"}),
    ]
    message = "the value for rank does not fit the column, or its expression fails; the record is not reactivated"
    assert errors == [(ID.format(1), "rank", ErrorType.INVALID_FORMAT, message, False)]


def test_a_returning_record_must_still_have_the_version_that_was_compared() -> None:
    """Where a column is written only unless others have edited it: what this sync wrote last is replaced."""
    name = column("name", write=WritePolicy.UNLESS_EDITED)
    layout = (NUMBER, name, STATE)
    records = [{"number": key, "name": "old", "statecode": INACTIVE} for key in "ab"]
    with opened_workspace() as workspace:
        fill(workspace, [("a", "new"), ("b", "new")], records, {1: (True, True), 2: (True, True)}, layout)
        workspace.execute("UPDATE ledger SET _knows_name = true, _was_name = 'old' WHERE _id = ?", [ID.format(1)])
        workspace.execute("UPDATE ledger SET _knows_name = true, _was_name = 'mine' WHERE _id = ?", [ID.format(2)])
        changes = reconcile(workspace, layout, **BACK)
        versions = workspace.query("SELECT version FROM changes ORDER BY _change")
        edited = workspace.query('SELECT _id::VARCHAR, "column", rejected FROM target_errors')
    assert [json.loads(change["payload"]) for change in changes] == [
        {"statecode": ACTIVE, "name": "new"},
        {"statecode": ACTIVE},
    ]
    assert versions == [("v1",), ("",)]
    assert edited == [(ID.format(2), "name", False)]


@pytest.mark.parametrize("changed", ["update", "ignore"])
def test_an_edited_value_is_reported_only_where_changed_records_are_updated(changed: str) -> None:
    """The message says whether this sync ever wrote the value."""
    layout = (NUMBER, column("name", write=WritePolicy.UNLESS_EDITED), STATE)
    with opened_workspace() as workspace:
        fill(workspace, [("a", "new"), ("b", "new")], [{"number": k, "name": "old"} for k in "ab"], {}, layout)
        workspace.execute("INSERT INTO ledger (_id, _knows_name, _was_name) VALUES (?, true, 'mine')", [ID.format(1)])
        assert reconcile(workspace, layout, changed=changed, **BACK) == []
        found = workspace.query("SELECT _id::VARCHAR, message FROM target_errors ORDER BY ALL")
    assert [record for record, _ in found] == ([ID.format(1), ID.format(2)] if changed == "update" else [])
    assert len({message for _, message in found}) == len(found)


def test_write_policies_decide_which_differences_are_sent() -> None:
    """`if_empty` fills an empty column and nothing else; `on_insert` leaves the record as it is."""
    rows = [("a", "new"), ("b", "new")]
    records = [{"number": "a", "name": "old"}, {"number": "b"}]
    filled, _ = run(rows, records, layout=(NUMBER, column("name", write=WritePolicy.IF_EMPTY)))
    assert [(action, record, sent) for action, record, sent, _ in filled] == [("update", ID.format(2), {"name": "new"})]
    assert run(rows, records, layout=(NUMBER, column("name", write=WritePolicy.ON_INSERT)))[0] == []


def test_a_record_that_was_not_read_gets_the_whole_mark(workspace: Workspace) -> None:
    """Without its values nothing can be left out."""
    sync = definition(dropped={"set": {"note": "'gone'", "rank": "9"}})
    mark = object_of(blind_mark(sync, LAYOUT, started=STARTED))
    table(workspace, "target", "note VARCHAR, rank INTEGER", ("gone", 9))
    assert [json.loads(text) for (text,) in workspace.query(f"SELECT {mark} FROM target")] == [
        {"note": "gone", "rank": 9}
    ]
