"""The tables that the reconcile steps make: actions, payloads, keys and their order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, Choice, DateBehavior
from shared.errors import DefinitionError
from shared.reconcile import (
    PlanCounts,
    checksum_query,
    columns_query,
    counts_query,
    reconcile_steps,
    sample_query,
    samples,
)
from shared.transform import Omit, TargetColumn
from shared.workspace import Workspace

STARTED = datetime(2026, 3, 1, 9, 30, 15, 999999, tzinfo=timezone(timedelta(hours=2)))
ID = "00000000-0000-0000-0000-00000000000{}"
OTHER_ID = "00000000-0000-0000-0000-00000000009{}"


def column(
    name: str, kind: AttributeType = AttributeType.STRING, sql_type: str = "VARCHAR", **more: Any
) -> TargetColumn:
    names = ("creatable", "updatable", "date_behavior", "choices", "has_default", "required")
    facts = {name: more.pop(name) for name in names if name in more}
    attribute = AttributeMetadata(name=name, type=kind, **facts)
    return TargetColumn(name=name, attribute=attribute, sql_type=sql_type, source_sql="", **more)


NUMBER = column("number", key_part=1)
NAME = column("name")
SIZE = column("size", AttributeType.DECIMAL, "DECIMAL(38,2)")
THING_ID = column("thingid", AttributeType.UNIQUEIDENTIFIER, "UUID", writes=False)
INSERTED_ID = column("thingid", AttributeType.UNIQUEIDENTIFIER, "UUID", writes=True)


def definition(**behaviour: Any) -> SyncDefinition:
    return SyncDefinition.model_validate(
        {
            "name": "things",
            "source": {
                "type": "delimited",
                "path": "things.csv",
                "columns": [{"name": "number"}, {"name": "name"}, {"name": "op"}],
            },
            "destination": {
                "type": "dynamics",
                "entity": "thing",
                "service_url": "https://org.example/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "thingid",
                "mappings": [{"source": "number", "target": "number"}],
            },
            "sync_behaviour": {"sync_key": ["number"], **behaviour},
        }
    )


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with opened_workspace() as opened:
        yield opened


@contextmanager
def opened_workspace() -> Iterator[Workspace]:
    """A workspace with the tables that say what may not be dropped."""
    with Workspace.open() as opened:
        table(opened, "protected", "_k1 VARCHAR, _k2 VARCHAR")
        table(opened, "source_errors", ERRORS)
        table(opened, "target_errors", f"{ERRORS}, _id UUID")
        yield opened


def table(workspace: Workspace, name: str, columns: str, *rows: tuple[Any, ...]) -> None:
    workspace.execute(f"CREATE TABLE {name} ({columns})")
    for row in rows:
        workspace.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)


def reconcile(workspace: Workspace, layout: tuple[TargetColumn, ...], **behaviour: Any) -> list[dict[str, Any]]:
    """Run the steps and return the changes in their order."""
    for step in reconcile_steps(definition(**behaviour), layout, started=STARTED):
        workspace.run(step)
    names = ("_change", "action", "_row", "_id", "key", "payload", "later", "columns", "before")
    rows = workspace.query(
        "SELECT _change, action::VARCHAR, _row, _id::VARCHAR, key, payload, later, columns, before "
        "FROM changes ORDER BY _change"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


ERRORS = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'
DESIRED = "_row BIGINT, number VARCHAR, name VARCHAR, size DECIMAL(38,2), _k1 VARCHAR"
CURRENT = "_seq BIGINT, _id UUID, _created TIMESTAMP, number VARCHAR, name VARCHAR, size DECIMAL(38,2), _k1 VARCHAR"
LAYOUT = (NUMBER, NAME, SIZE)
ONE_RECORD = len(LAYOUT) + 1  # values with its key


@pytest.fixture
def mixed(workspace: Workspace) -> Workspace:
    """One row or record for each possible decision, and two new ones."""
    table(
        workspace, "desired", DESIRED,
        (1, "new 2", "n", None, "new 2"), (2, "same", "s", 1, "same"), (3, "OTHER", "new name", 2, "other"), (4, "new 1", None, 3, "new 1"),
    )  # fmt: skip
    table(
        workspace, "current", CURRENT,
        (1, ID.format(1), None, "gone", "g", 1, "gone"), (2, ID.format(2), None, "same", "s", 1, "same"),
        (3, ID.format(3), None, "Other", "old name", 2, "other"),
    )  # fmt: skip
    return workspace


def test_changes_are_numbered_in_the_order_of_writing(mixed: Workspace) -> None:
    """Inserts by source row, then updates, then deletions."""
    changes = reconcile(mixed, LAYOUT, dropped="delete")
    assert [(c["_change"], c["action"], c["_row"], c["_id"]) for c in changes] == [
        (1, "insert", 1, None),
        (2, "insert", 4, None),
        (3, "update", 3, ID.format(3)),
        (4, "delete", None, ID.format(1)),
    ]
    counts = PlanCounts.from_rows(mixed.query(counts_query()))
    assert counts == PlanCounts(insert=2, update=1, delete=1, unchanged=1, source_rows=4, target_rows=3)


def test_an_insert_leaves_out_nulls_and_an_update_all_that_is_equal(mixed: Workspace) -> None:
    """A new record has nothing to clear; the key column is data like any other and keeps the source's case."""
    _, insert, update = reconcile(mixed, LAYOUT)
    assert json.loads(insert["payload"]) == {"number": "new 1", "size": 3.00}
    assert insert["columns"] == "number,size"
    assert json.loads(update["payload"]) == {"number": "OTHER", "name": "new name"}
    assert json.loads(update["before"]) == {"number": "Other", "name": "old name"}
    assert json.loads(update["key"]) == {"number": "OTHER"}


def test_many_records_are_decided_part_by_part(mixed: Workspace) -> None:
    """What does not fit into memory at once gives the same decisions; a record whose number is beyond the last counts."""
    for step in reconcile_steps(definition(dropped="delete"), LAYOUT, started=STARTED):
        mixed.run(step)
    at_once = mixed.query("SELECT _row, _id, action FROM decisions ORDER BY ALL")
    mixed.execute("DROP TABLE decisions; DROP TABLE changes")
    steps = reconcile_steps(
        definition(dropped="delete"), LAYOUT, started=STARTED, target_rows=2, values_at_once=ONE_RECORD
    )
    for step in steps:
        mixed.run(step)
    assert mixed.query("SELECT _row, _id, action FROM decisions ORDER BY ALL") == at_once
    assert [step.title for step in steps if "records" in step.title] == [
        "Decide what becomes of records before 2",
        "Decide what becomes of records from 2 on",
    ]


def test_each_record_is_in_one_part(mixed: Workspace) -> None:
    """A part in the middle has a bound on both sides."""
    for step in reconcile_steps(
        definition(dropped="delete"), LAYOUT, started=STARTED, target_rows=3, values_at_once=ONE_RECORD
    ):
        mixed.run(step)
    assert mixed.query(
        "SELECT _id::VARCHAR, count(*) FROM decisions WHERE _id IS NOT NULL GROUP BY _id ORDER BY _id"
    ) == [(ID.format(number), 1) for number in (1, 2, 3)]


@pytest.mark.parametrize(("records", "parts"), [(1_000_000, 1), (3_000_001, 2), (9_999_999, 2), (40_000_000, 8)])
def test_large_tables_are_decided_in_halves_at_least(records: int, parts: int) -> None:
    """Two halves need less memory than the whole; tables of many parts have no more parts than before."""
    steps = reconcile_steps(definition(dropped="delete"), LAYOUT, started=STARTED, target_rows=records)
    decided = [step.title for step in steps if step.title.startswith("Decide what becomes of")]
    assert len([title for title in decided if "new keys" not in title]) == parts


def test_the_records_of_a_mirror_are_decided_at_once() -> None:
    """They are in its files, so that there is memory for all of them."""
    sync = definition(dropped="delete")
    sync = sync.model_copy(update={"destination": sync.destination.model_copy(update={"mirror": True})})
    steps = reconcile_steps(sync, LAYOUT, started=STARTED, target_rows=3_000_001)
    assert [step.title for step in steps if step.title.startswith("Decide")] == ["Decide what becomes of each key"]


def test_a_condition_is_decided_in_one_query() -> None:
    """It looks at the source, which is typed anew for every query."""
    condition = definition(changed={"when": "target.name is null"})
    steps = reconcile_steps(condition, LAYOUT, started=STARTED, target_rows=10**9)
    assert [step.title for step in steps if step.title.startswith("Decide")] == ["Decide what becomes of each key"]


def test_rules_that_ignore_write_nothing(mixed: Workspace) -> None:
    """Every key is decided, none is changed."""
    assert reconcile(mixed, LAYOUT, new="ignore", changed="ignore", dropped="ignore") == []
    counts = PlanCounts.from_rows(mixed.query(counts_query()))
    assert (counts.ignored, counts.unchanged, counts.changes) == (4, 1, 0)


def test_a_condition_sees_source_columns_that_are_not_mapped(mixed: Workspace) -> None:
    """`source.*` is the shaped row, `target.*` the record; null counts as no."""
    table(mixed, "source", "_row BIGINT, number VARCHAR, name VARCHAR, op VARCHAR", (3, "OTHER", "new name", "yes"))
    changes = reconcile(mixed, LAYOUT, changed={"when": "source.op = 'yes' and target.size > 1"})
    assert [c["action"] for c in changes] == ["insert", "insert", "update"]


def test_a_row_on_which_the_condition_fails_is_rejected(mixed: Workspace) -> None:
    """Its record stays, and is not dropped; a record that equals its row is not asked about."""
    rows = ((2, "same", "s", "many"), (3, "OTHER", "new name", "many"))
    table(mixed, "source", "_row BIGINT, number VARCHAR, name VARCHAR, op VARCHAR", *rows)
    changes = reconcile(mixed, LAYOUT, changed={"when": "CAST(source.op AS INTEGER) > 5"}, dropped="delete")
    assert [(c["action"], c["key"]) for c in changes] == [
        ("insert", '{"number":"new 2"}'),
        ("insert", '{"number":"new 1"}'),
        ("delete", '{"number":"gone"}'),
    ]
    assert mixed.query("SELECT * FROM source_errors") == [
        (
            3,
            "changed.when",
            "Invalid Format Exception",
            True,
            "the condition fails on this row, so its record stays as it is",
        )
    ]


def test_a_condition_over_an_unknown_column_is_a_mistake_in_the_definition() -> None:
    """It is found before a row is read, and placed."""
    with pytest.raises(DefinitionError, match=r"sync_behaviour\.changed\.when"):
        reconcile_steps(definition(changed={"when": "target.nmae is null"}), LAYOUT, started=STARTED)


@pytest.mark.parametrize(
    ("sql_type", "behavior", "stamp"),
    [("TIMESTAMP", DateBehavior.USER_LOCAL, "2026-03-01T07:30:15Z"), ("DATE", DateBehavior.DATE_ONLY, "2026-03-01")],
)
def test_a_dropped_record_expires_at_the_start_of_the_run_and_only_once(
    workspace: Workspace, sql_type: str, behavior: DateBehavior, stamp: str
) -> None:
    """In UTC and to the second, as the column's behaviour has it; a date that is set stays."""
    table(workspace, "desired", DESIRED)
    table(
        workspace, "current", f"{CURRENT}, goneon {sql_type}",
        (1, ID.format(1), None, "a", "a", 1, "a", None), (2, ID.format(2), None, "b", "b", 1, "b", "2020-01-01"),
    )  # fmt: skip
    goneon = column("goneon", AttributeType.DATETIME, sql_type, writes=False, date_behavior=behavior)
    (expired,) = reconcile(workspace, (*LAYOUT, goneon), dropped={"expire": "goneon"})
    assert (expired["action"], expired["_id"], expired["columns"]) == ("expire", ID.format(1), "goneon")
    assert json.loads(expired["payload"]) == {"goneon": stamp}
    assert json.loads(expired["key"]) == {"number": "a"}


@pytest.mark.parametrize("dropped", ["delete", {"expire": "goneon"}])
def test_a_protected_record_is_not_dropped(workspace: Workspace, dropped: str | dict[str, str]) -> None:
    """Neither the record of a row that was rejected nor one whose key others have too."""
    table(workspace, "desired", DESIRED)
    table(
        workspace, "current", f"{CURRENT}, goneon TIMESTAMP",
        (1, ID.format(1), None, "A", "a", 1, "a", None), (2, ID.format(2), None, "b", "b", 1, "b", None),
    )  # fmt: skip
    workspace.execute("INSERT INTO protected VALUES ('a', '')")
    goneon = column("goneon", AttributeType.DATETIME, "TIMESTAMP", writes=False)
    (change,) = reconcile(workspace, (*LAYOUT, goneon), dropped=dropped)
    assert change["_id"] == ID.format(2)
    assert PlanCounts.from_rows(workspace.query(counts_query())).ignored == 1
    assert workspace.query("FROM target_errors") == []


@pytest.mark.parametrize(
    "unknown",
    [
        "INSERT INTO source_errors VALUES (7, NULL, 'Malformed Row', true, '')",
        "INSERT INTO protected VALUES (NULL, '')",
    ],
)
def test_nothing_is_dropped_while_a_row_without_a_known_key_may_be_any_record(mixed: Workspace, unknown: str) -> None:
    """All other rows are synced. Each record that would have been dropped is reported and not counted as rejected."""
    mixed.execute(unknown)
    changes = reconcile(mixed, LAYOUT, dropped="delete")
    assert [c["action"] for c in changes] == ["insert", "insert", "update"]
    found = mixed.query('SELECT _row, "column", error, rejected, _id::VARCHAR FROM target_errors')
    assert found == [(1, "number", "Dropped Record Kept", False, ID.format(1))]


def test_a_key_of_which_one_part_cannot_be_read_may_be_any_records(workspace: Workspace) -> None:
    """One unknown part of a key is enough to keep all records."""
    part_1, part_2 = column("a", key_part=1), column("b", key_part=2)
    table(workspace, "desired", "_row BIGINT, a VARCHAR, b VARCHAR, _k1 VARCHAR, _k2 VARCHAR")
    table(
        workspace, "current", "_seq BIGINT, _id UUID, a VARCHAR, b VARCHAR, _k1 VARCHAR, _k2 VARCHAR",
        (1, ID.format(1), "x", "y", "x", "y"),
    )  # fmt: skip
    workspace.execute("INSERT INTO protected VALUES ('other', NULL)")
    assert reconcile(workspace, (part_1, part_2), dropped="delete") == []


def test_every_part_of_a_key_has_to_match(workspace: Workspace) -> None:
    """A composite key joins on all of its parts, in the key's order whatever the mappings' order is."""
    part_1, part_2 = column("a", key_part=2), column("b", key_part=1)
    table(workspace, "desired", "_row BIGINT, a VARCHAR, b VARCHAR, _k1 VARCHAR, _k2 VARCHAR", (1, "x", "y", "y", "x"))
    table(
        workspace, "current", "_seq BIGINT, _id UUID, a VARCHAR, b VARCHAR, _k1 VARCHAR, _k2 VARCHAR",
        (1, ID.format(1), "x", "z", "z", "x"), (2, ID.format(2), "w", "y", "y", "w"),
    )  # fmt: skip
    changes = reconcile(workspace, (part_1, part_2), dropped="delete")
    assert [c["action"] for c in changes] == ["insert", "delete", "delete"]
    assert changes[0]["key"] == '{"b":"y","a":"x"}'


def test_an_omitted_field_is_neither_compared_nor_sent(workspace: Workspace) -> None:
    """A flagged field is left alone on records and left out of new ones; a null that keeps is too."""
    flagged, kept = column("name", omit=Omit.FLAGGED), column("size", omit=Omit.WHEN_NULL)
    table(
        workspace, "desired", "_row BIGINT, number VARCHAR, name VARCHAR, size VARCHAR, _omit_name BOOLEAN, _k1 VARCHAR",
        (1, "a", None, None, True, "a"), (2, "b", None, None, False, "b"), (3, "c", None, "9", True, "c"), (4, "d", "x", None, True, "d"),
    )  # fmt: skip
    table(
        workspace, "current", "_seq BIGINT, _id UUID, number VARCHAR, name VARCHAR, size VARCHAR, _k1 VARCHAR",
        *((n, ID.format(n), key, "was", "was", key) for n, key in enumerate("abc", start=1)),
    )  # fmt: skip
    changes = reconcile(workspace, (NUMBER, flagged, kept))
    assert [json.loads(c["payload"]) for c in changes] == [{"number": "d"}, {"name": None}, {"size": "9"}]


def test_an_id_is_matched_and_never_written_unless_inserts_carry_it(workspace: Workspace) -> None:
    """The id travels beside the payload of an insert; an update never moves a record to another id."""
    table(
        workspace, "desired", "_row BIGINT, thingid UUID, number VARCHAR, _k1 VARCHAR",
        (1, OTHER_ID.format(1), "new", "new"), (2, OTHER_ID.format(2), "same", "same"),
    )  # fmt: skip
    table(workspace, "current", "_id UUID, thingid UUID, number VARCHAR, _k1 VARCHAR", (ID.format(2), ID.format(2), "same", "same"))  # fmt: skip
    (insert,) = reconcile(workspace, (INSERTED_ID, NUMBER))
    assert (insert["_id"], insert["payload"]) == (OTHER_ID.format(1), '{"number":"new"}')
    workspace.execute("DROP TABLE decisions; DROP TABLE changes")
    (insert,) = reconcile(workspace, (THING_ID, NUMBER))
    assert (insert["_id"], insert["payload"]) == (None, '{"number":"new"}')


ONCE, AFTERWARDS = column("name", updatable=False), column("size", creatable=False)


def test_what_only_an_update_takes_follows_the_insert(workspace: Workspace) -> None:
    """A new record has two requests; what no update can write is not compared, or it would be planned at every run."""
    table(workspace, "desired", DESIRED, (1, "new", "n", 1, "new"), (2, "old", "changed", 2, "old"))
    table(workspace, "current", CURRENT, (1, ID.format(1), None, "old", "o", 1, "old"))
    insert, update = reconcile(workspace, (NUMBER, ONCE, AFTERWARDS))
    assert (insert["columns"], update["columns"]) == ("number,name,size", "size")
    assert (insert["payload"], insert["later"], update["later"]) == (
        '{"number":"new","name":"n"}', '{"size":1.00}', "",
    )  # fmt: skip
    samples_ = samples(workspace.query(sample_query(5)))
    assert [(c.column, c.after) for c in samples_[0].columns] == [("number", "new"), ("name", "n"), ("size", 1)]


def test_a_value_that_an_existing_record_cannot_take_is_reported(workspace: Workspace) -> None:
    """The record keeps what it has, and the run says so; a record that agrees is not spoken of."""
    table(workspace, "desired", DESIRED, (1, "a", "changed", 1, "a"), (2, "b", "same", 2, "b"), (3, "c", "new", 3, "c"))
    table(
        workspace, "current", CURRENT,
        (1, ID.format(1), None, "a", "was", 1, "a"), (2, ID.format(2), None, "b", "same", 2, "b"),
    )  # fmt: skip
    assert [change["action"] for change in reconcile(workspace, (NUMBER, ONCE, SIZE))] == ["insert"]
    assert workspace.query("SELECT * FROM source_errors") == [
        (1, "name", "Create-Only Column", False,
         "name can be set only when a record is created; the record keeps its value")
    ]  # fmt: skip


@pytest.mark.parametrize("behaviour", [{"changed": "ignore"}, {"strategy": "upsert"}])
def test_without_a_comparison_kept_values_are_not_reported(workspace: Workspace, behaviour: Any) -> None:
    """A run that leaves changed records alone, or does not look, has nothing to report."""
    table(workspace, "desired", DESIRED, (1, "a", "changed", 1, "a"))
    table(workspace, "current", CURRENT, (1, ID.format(1), None, "a", "was", 1, "a"))
    reconcile(workspace, (NUMBER, ONCE, SIZE), **behaviour)
    assert workspace.query("SELECT * FROM source_errors") == []


def test_an_upsert_has_what_only_a_create_takes_and_then_what_only_an_update_takes(workspace: Workspace) -> None:
    """An update passes the first over; a create would pass the second over."""
    table(workspace, "desired", DESIRED, (1, "a", "n", 1, "a"), (2, "b", None, None, "b"))
    full, empty = reconcile(workspace, (NUMBER, ONCE, AFTERWARDS), strategy="upsert")
    assert (full["payload"], full["later"]) == ('{"name":"n"}', '{"size":1.00}')
    assert (empty["payload"], empty["later"]) == ('{"size":null}', "")


USUAL = tuple(Choice(value=value, labels=(str(value),)) for value in (0, 1))
PRODUCT = tuple(Choice(value=value, labels=(str(value),)) for value in (0, 1, 2, 3))


@pytest.mark.parametrize(
    ("choices", "state", "status", "payload", "later"),
    [
        (USUAL, 0, 1, {"number": "a", "status": 1}, {}),
        (USUAL, 1, 2, {"number": "a"}, {"state": 1, "status": 2}),
        (USUAL, 1, None, {"number": "a"}, {"state": 1}),
        (USUAL, None, 1, {"number": "a", "status": 1}, {}),
        (PRODUCT, 0, 1, {"number": "a"}, {"state": 0, "status": 1}),
    ],
)
@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_a_state_follows_unless_new_records_have_it(
    workspace: Workspace,
    strategy: str,
    choices: tuple[Choice, ...],
    state: int | None,
    status: int | None,
    payload: dict[str, Any],
    later: dict[str, Any],
) -> None:
    """A status is sent with its state. If a table has more than two states, the state of new records is not known."""
    layout = (
        NUMBER,
        column("state", AttributeType.STATE, "INTEGER", creatable=False, choices=choices, omit=Omit.WHEN_NULL),
        column("status", AttributeType.STATUS, "INTEGER", omit=Omit.WHEN_NULL),
    )
    columns = "number VARCHAR, state INTEGER, status INTEGER, _k1 VARCHAR"
    table(workspace, "desired", f"_row BIGINT, {columns}", (1, "a", state, status, "a"))
    table(workspace, "current", f"_seq BIGINT, _id UUID, _created TIMESTAMP, {columns}")
    (change,) = reconcile(workspace, layout, strategy=strategy)
    if strategy == "upsert":  # by its key, which the payload then lacks; a state that new records have may be sent too
        payload = {name: value for name, value in payload.items() if name != "number"}
        payload |= {"state": state} if state is not None and not later else {}
    assert json.loads(change["payload"]) == payload
    assert json.loads(change["later"] or "{}") == later


def test_what_only_an_update_takes_does_not_depend_on_the_state(workspace: Workspace) -> None:
    """A new record has its state already, and the other column is sent afterwards in any case."""
    state = column("state", AttributeType.STATE, "INTEGER", creatable=False, choices=USUAL, omit=Omit.WHEN_NULL)
    columns = "number VARCHAR, state INTEGER, size DECIMAL(38,2), _k1 VARCHAR"
    table(workspace, "desired", f"_row BIGINT, {columns}", (1, "a", 0, 1, "a"))
    table(workspace, "current", f"_seq BIGINT, _id UUID, _created TIMESTAMP, {columns}")
    (insert,) = reconcile(workspace, (NUMBER, state, AFTERWARDS))
    assert (insert["payload"], insert["later"]) == ('{"number":"a"}', '{"size":1.00}')


def test_an_empty_value_is_sent_where_the_service_would_fill_in_a_default(workspace: Workspace) -> None:
    """Left out, the record would have the default, and the next run would plan to clear it."""
    filled = column("name", has_default=True, clears=True)
    table(workspace, "desired", DESIRED, (1, "a", None, None, "a"))
    table(workspace, "current", CURRENT)
    (insert,) = reconcile(workspace, (NUMBER, filled, SIZE))
    assert insert["payload"] == '{"number":"a","name":null}'


def test_upsert_sends_every_row_by_its_key_without_the_key_in_the_body(workspace: Workspace) -> None:
    """The service refuses key columns in the body of an upsert by key; nulls are sent, for they may clear."""
    table(workspace, "desired", DESIRED, (1, "a", None, 2, "a"))
    (upsert,) = reconcile(workspace, LAYOUT, strategy="upsert")
    assert (upsert["action"], upsert["_id"], json.loads(upsert["key"])) == ("upsert", None, {"number": "a"})
    assert json.loads(upsert["payload"]) == {"name": None, "size": 2.00}


def test_upsert_goes_by_the_id_where_a_row_has_one(workspace: Workspace) -> None:
    """By id the key is data like any other; a row without an id falls back to the key."""
    table(
        workspace, "desired", "_row BIGINT, thingid UUID, number VARCHAR, name VARCHAR, _k1 VARCHAR",
        (1, ID.format(1), "a", "x", "a"), (2, None, "b", "y", "b"),
    )  # fmt: skip
    by_id, by_key = reconcile(workspace, (THING_ID, NUMBER, NAME), strategy="upsert")
    assert (by_id["_id"], json.loads(by_id["payload"])) == (ID.format(1), {"number": "a", "name": "x"})
    assert (by_key["_id"], json.loads(by_key["payload"])) == (None, {"name": "y"})


def test_delta_inserts_every_row(workspace: Workspace) -> None:
    """Without an action column a delta source holds new rows."""
    table(workspace, "desired", DESIRED, (1, "a", None, 2, "a"), (2, "b", "x", None, "b"))
    changes = reconcile(workspace, LAYOUT, strategy="delta")
    assert [(c["action"], c["columns"]) for c in changes] == [("insert", "number,size"), ("insert", "number,name")]
    counts = PlanCounts.from_rows(workspace.query(counts_query()))
    assert (counts.source_rows, counts.target_rows) == (2, 0)


def test_delta_follows_the_action_column_and_rejects_what_names_none(workspace: Workspace) -> None:
    """Case and spaces do not matter; an empty or unknown action is an error of the row."""
    operations = ("DELETE", " update", "Upsert", "insert", "replace", None)
    rows = list(enumerate(operations, start=1))
    table(workspace, "desired", DESIRED, *((row, str(row), "n", 1, str(row)) for row, _ in rows))
    table(workspace, "source", "_row BIGINT, op VARCHAR", *rows)
    changes = reconcile(workspace, LAYOUT, strategy="delta", action_column="op")
    assert [(c["action"], c["_row"], c["columns"]) for c in changes] == [
        ("insert", 4, "number,name,size"),
        ("update", 2, "name,size"),
        ("upsert", 3, "name,size"),
        ("delete", 1, ""),
    ]
    assert workspace.query('SELECT _row, "column", error, rejected FROM source_errors ORDER BY _row') == [
        (5, "op", "Invalid Format Exception", True),
        (6, "op", "Invalid Format Exception", True),
    ]
    assert workspace.query("SELECT count(*) FROM desired") == [(4,)]


def test_the_sample_has_the_first_changes_of_each_action(workspace: Workspace) -> None:
    """The one deletion is shown beside a thousand inserts."""
    table(workspace, "desired", DESIRED, *((row, f"n{row}", "x", 1, f"n{row}") for row in range(1, 6)))
    table(workspace, "current", CURRENT, (1, ID.format(1), None, "gone", "g", None, "gone"))
    reconcile(workspace, LAYOUT, dropped="delete")
    sample = samples(workspace.query(sample_query(2)))
    assert [(change.action.value, change.row) for change in sample] == [("insert", 1), ("insert", 2), ("delete", None)]
    assert [(c.column, c.before, c.after) for c in sample[-1].columns] == [
        ("number", "gone", None),
        ("name", "g", None),
    ]


def test_the_most_changed_columns_come_first(mixed: Workspace) -> None:
    """Updates by the columns that they send."""
    reconcile(mixed, LAYOUT)
    assert mixed.query(columns_query()) == [("name", 1), ("number", 1)]


def checksum(started: datetime, rows: list[tuple[Any, ...]], records: list[tuple[Any, ...]]) -> str:
    with opened_workspace() as workspace:
        table(workspace, "desired", DESIRED, *rows)
        table(workspace, "current", f"{CURRENT}, goneon TIMESTAMP", *records)
        goneon = column("goneon", AttributeType.DATETIME, "TIMESTAMP", writes=False)
        for step in reconcile_steps(definition(dropped={"expire": "goneon"}), (*LAYOUT, goneon), started=started):
            workspace.run(step)
        return str(workspace.query(checksum_query())[0][0])


def test_a_checksum_names_the_changes_and_nothing_else() -> None:
    """Not the order of rows and not the time of the run, but every value, also the one that is overwritten."""
    rows = [(row, f"n{row}", "x", row, f"n{row}") for row in range(1, 9)]
    records = [(n, ID.format(n), None, f"n{n}", "old", n, f"n{n}", None) for n in (3, 9)]
    approved = checksum(STARTED, rows, records)
    shuffled = random.Random(1).sample(rows, len(rows))
    renumbered = [(10 + number, *row[1:]) for number, row in enumerate(shuffled)]
    assert checksum(STARTED + timedelta(hours=1), renumbered, records[::-1]) == approved
    edited_source = [*rows[:-1], (8, "n8", "y", 8, "n8")]
    edited_target = [(3, ID.format(3), None, "n3", "edited", 3, "n3", None), records[1]]
    another_record = [records[0], (9, ID.format(8), None, "n9", "old", 9, "n9", None)]
    others = [
        (edited_source, records),
        (rows, edited_target),
        (rows, another_record),
        (rows[:-1], records),
        (rows, records[:1]),
    ]
    sums = [checksum(STARTED, *tables) for tables in others]
    assert len({approved, *sums}) == 1 + len(others)
