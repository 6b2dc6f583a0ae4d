"""What a run adds to the ledger: before the first write and after the last, for every result of a record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.definitions import SyncDefinition, WritePolicy
from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.reconcile import after_writing, before_writing, fill_ledger, ledger_table_step
from shared.reconcile.columns import unedited
from shared.transform import TargetColumn
from shared.workspace import Workspace

KEY = TargetColumn(
    name="number", attribute=AttributeMetadata(name="number", type=AttributeType.STRING), sql_type="VARCHAR",
    source_sql="number", key_part=1, key_sql="number",
)  # fmt: skip
CITY = TargetColumn(
    name="city", attribute=AttributeMetadata(name="city", type=AttributeType.STRING), sql_type="VARCHAR",
    source_sql="city", write=WritePolicy.UNLESS_EDITED,
)  # fmt: skip
STATE = TargetColumn(
    name="statecode",
    attribute=AttributeMetadata(
        name="statecode", type=AttributeType.STATE, choices=(Choice(value=0, labels=()), Choice(value=1, labels=()))
    ),
    sql_type="INTEGER", source_sql="NULL", writes=False,
)  # fmt: skip
LAYOUT = (KEY, CITY, STATE)
A, B = '{"city":"A"}', '{"city":"B"}'
Known = tuple[str | None, bool, dict[str, Any] | None, dict[str, Any] | None]


def known(number: int) -> UUID:
    return UUID(int=number)


def definition(filter_: str | None = None) -> SyncDefinition:
    return SyncDefinition.model_validate(
        {
            "name": "things",
            "source": {"type": "delimited", "path": "x.csv", "columns": [{"name": "number"}, {"name": "city"}]},
            "destination": {
                "type": "dynamics",
                "entity": "thing",
                "service_url": "https://org.crm.dynamics.com/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "thingid",
                "filter": filter_,
                "mappings": [
                    {"source": "number", "target": "number"},
                    {"source": "city", "target": "city", "write": "unless_edited"},
                ],
            },
            "sync_behaviour": {"sync_key": ["number"], "dropped": "deactivate", "returned": "reactivate"},
        }
    )


class Run:
    """The tables of a run, filled record by record."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        for table, columns in {
            "desired": "_row BIGINT, number VARCHAR, city VARCHAR",
            "current": "_id UUID, number VARCHAR, city VARCHAR, statecode INTEGER",
            "decisions": "_row BIGINT, _id UUID, action VARCHAR",
            "changes": "_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, columns VARCHAR, version VARCHAR, "
            "payload VARCHAR, later VARCHAR",
            "outcomes": "_change BIGINT, result VARCHAR, id UUID, sent BOOLEAN",
            "target_errors": "_id UUID",
        }.items():
            workspace.execute(f"CREATE TABLE {table} ({columns})")
        workspace.run(ledger_table_step(LAYOUT))

    def remember(
        self,
        number: int,
        origin: str,
        *,
        marked: bool = False,
        written: str | None,
        pending: str | None = None,
        mark: str | None = None,
    ) -> None:
        """A row of the ledger as it was stored."""
        rows = "SELECT $1::UUID AS id, $2 AS origin, $3::BOOLEAN AS marked, $6 AS mark, $4 AS written, $5 AS pending"
        self.workspace.execute(fill_ledger(LAYOUT, rows), [known(number), origin, marked, written, pending, mark])

    def record(self, number: int, city: str | None, *, state: int = 0) -> None:
        self.workspace.execute("INSERT INTO current VALUES (?, ?, ?, ?)", [known(number), str(number), city, state])

    def decide(
        self,
        number: int,
        action: str,
        *,
        city: str | None = None,
        row: bool = True,
        new: bool = False,
        columns: str = "",
        version: str | None = None,
        payload: str = "{}",
    ) -> None:
        """A decision, with its change if there is one; a change has the number of its record."""
        values = [number if row else None, None if new else known(number), action]
        self.workspace.execute("INSERT INTO decisions VALUES (?, ?, ?)", values)
        if row:
            self.workspace.execute("INSERT INTO desired VALUES (?, ?, ?)", [number, str(number), city])
        if action not in {"unchanged", "ignored"}:
            change = [number, action, values[0], known(number), columns, version, payload]
            self.workspace.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, '')", change)

    def end(self, number: int, result: str, record: int | None = None, *, sent: bool = False) -> None:
        values = [number, result, None if record is None else known(record), sent]
        self.workspace.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?)", values)

    def before(self) -> dict[int, Known]:
        for step in before_writing(definition(), LAYOUT, with_ids=True):
            self.workspace.run(step)
        return self._rows("ledger_before")

    def after(self, filter_: str | None = None, *, alone: bool = True) -> dict[int, Known]:
        for step in after_writing(definition(filter_), LAYOUT, alone=alone):
            self.workspace.run(step)
        return self._rows("ledger_after")

    def _rows(self, table: str) -> dict[int, Known]:
        rows = self.workspace.query(f"SELECT id, origin, marked, written, pending FROM {table}")
        found = {
            id_.int: (origin, marked, written and json.loads(written), pending and json.loads(pending))
            for id_, origin, marked, written, pending in rows
        }
        assert len(found) == len(rows)
        return found


@pytest.fixture
def run() -> Iterator[Run]:
    with Workspace.open(threads=1) as workspace:
        yield Run(workspace)


A_, B_ = {"city": "A"}, {"city": "B"}


@pytest.mark.parametrize(
    ("result", "sent", "stored"),
    [
        ("applied", False, B_),
        ("failed", False, A_),
        ("failed", True, None),
        ("skipped", False, None),
        ("edited", False, None),
    ],
)
def test_a_guarded_value_is_pending_until_its_outcome_is_known(
    run: Run, result: str, stored: dict[str, Any] | None, *, sent: bool
) -> None:
    """Applied, it is the last written value; refused, the old one stays; unknown, both stay."""
    run.remember(1, "created", written=A)
    run.record(1, "A")
    run.decide(1, "update", city="B", columns="number,city")
    assert run.before() == {1: ("created", False, A_, B_)}
    run.end(1, result, sent=sent)
    assert run.after() == ({} if stored is None else {1: ("created", False, stored, None)})


@pytest.mark.parametrize(("payload", "stored"), [('{"city":"B"}', B_), ('{"number":"1"}', A_)])
@pytest.mark.parametrize("alone", [True, False])
def test_what_a_first_request_wrote_counts_though_the_second_was_refused(
    run: Run, payload: str, stored: dict[str, Any], *, alone: bool
) -> None:
    """The outcome then has the id of the record."""
    run.remember(1, "created", written=A, pending=None if alone else '{"city":["A","C"]}')
    run.record(1, "A")
    run.decide(1, "update", city="B", columns="number,city", version="7", payload=payload)
    run.before()
    run.end(1, "failed", 1)
    assert run.after(alone=alone) == {1: ("created", False, stored, None)}


def test_an_adopted_record_whose_second_request_was_refused_is_noted(run: Run) -> None:
    """Which of the values it was given is not known; the record that was planned is forgotten."""
    run.decide(1, "insert", city="A", new=True, payload='{"city":"A"}')
    run.before()
    run.end(1, "failed", 7)
    assert run.after() == {1: (None, False, None, None), 7: ("matched", False, {}, A_)}


def test_a_change_without_a_guarded_column_is_not_noted_before(run: Run) -> None:
    """And afterwards nothing has changed, so nothing is added."""
    run.remember(1, "matched", written=A)
    run.record(1, "A")
    run.decide(1, "update", city="A", columns="number")
    assert run.before() == {}
    run.end(1, "applied")
    assert run.after() == {}


@pytest.mark.parametrize(
    ("result", "record", "expected"),
    [
        ("applied", 1, {1: ("created", False, A_, None)}),
        ("failed", None, {1: (None, False, None, None)}),
        ("adopted", 7, {1: (None, False, None, None), 7: ("matched", False, {}, A_)}),
        ("skipped", None, {}),
    ],
)
def test_a_new_record_is_noted_before_it_is_there(
    run: Run, result: str, record: int | None, expected: dict[int, Known]
) -> None:
    """One that was not made, or whose place an adopted record took, is forgotten; of one that may be there we know."""
    run.decide(1, "insert", city="A", new=True)
    assert run.before() == {1: ("created", False, {}, A_)}
    run.end(1, result, record)
    assert run.after() == expected


def test_new_records_get_ids_that_differ(run: Run) -> None:
    """Also where the plan has none; an id that the row brings stays."""
    for number in (1, 2, 3):
        run.decide(number, "insert", city="A", new=True)
    run.workspace.execute("UPDATE changes SET _id = NULL WHERE _change > 1")
    ids = set(run.before())
    assert len(ids) == 3
    assert 1 in ids


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("applied", {1: ("created", True, A_, None), 2: ("marked", True, {}, None)}),
        ("failed", {1: ("created", False, A_, None), 2: (None, False, {}, None)}),
        ("skipped", {}),
    ],
)
def test_a_mark_is_noted_before_it_is_set(run: Run, result: str, expected: dict[int, Known]) -> None:
    """A refused one is taken back, and a record that was unknown is forgotten again."""
    run.remember(1, "created", written=None, pending=A)
    for number in (1, 2):
        run.record(number, "A")
        run.decide(number, "deactivate", row=False, columns="statecode")
    assert run.before() == {1: ("created", True, A_, None), 2: ("marked", True, {}, None)}
    for number in (1, 2):
        run.end(number, result)
    assert run.after() == expected


@pytest.mark.parametrize(
    ("result", "record", "stored"),
    [("applied", None, {"city": "gone from 1"}), ("failed", None, A_), ("failed", 1, {"city": "gone from 1"})],
)
def test_the_value_of_a_mark_is_pending_and_then_written(
    run: Run, result: str, record: int | None, stored: dict[str, Any]
) -> None:
    """Of a mark whose second request was refused, what the first one has set counts. The change of record 2 does not set it."""
    sync = SyncDefinition.model_validate(
        definition().model_dump(exclude_unset=True)
        | {"sync_behaviour": {"sync_key": ["number"], "dropped": {"set": {"city": "'gone from ' || target.number"}}}}
    )
    value = "gone from 1"
    for number, columns, payload in ((1, "statecode,city", json.dumps({"city": value})), (2, "statecode", "{}")):
        run.remember(number, "created", written=A)
        run.record(number, "A")
        run.decide(number, "mark", row=False, columns=columns, payload=payload)
        run.end(number, result, record and number)
    for step in (*before_writing(sync, LAYOUT, with_ids=True), *after_writing(sync, LAYOUT)):
        run.workspace.run(step)

    before = run.workspace.query("SELECT written, pending FROM ledger_before ORDER BY id")
    assert before == [(A, json.dumps({"city": value}, separators=(",", ":"))), (A, None)]
    after = run.workspace.query("SELECT written, pending FROM ledger_after ORDER BY id")
    assert [(json.loads(written), pending) for written, pending in after] == [(stored, None), (A_, None)]


def test_a_drop_that_was_taken_out_of_the_plan_is_taken_back(run: Run) -> None:
    """The record has the key of a row after all, so it was not marked."""
    run.remember(1, "matched", written=A)
    run.record(1, "A")
    run.decide(1, "deactivate", row=False, columns="statecode")
    run.before()
    run.workspace.execute("DELETE FROM changes")
    run.workspace.execute("DELETE FROM decisions")
    assert run.after() == {1: ("matched", False, A_, None)}


@pytest.mark.parametrize(
    ("held", "wanted", "written"),
    [("A", "A", A_), ("C", "A", A_), ("C", "C", {"city": "C"}), ("B", "A", B_), (None, "A", A_)],
    ids=["equal", "edited", "edited to the same", "an interrupted run wrote it", "cleared"],
)
def test_what_is_not_written_settles_what_is_known(
    run: Run, held: str | None, wanted: str, written: dict[str, Any]
) -> None:
    """What the sync wrote, or was writing when it was interrupted, is its value; an edit changes nothing."""
    run.remember(1, "matched", written=A, pending=B)
    run.record(1, held)
    run.decide(1, "unchanged", city=wanted)
    run.before()
    assert run.after() == {1: ("matched", False, written, None)}


@pytest.mark.parametrize(("mark", "noted"), [(None, True), ("new_gone", False), ("statecode,statuscode", False)])
def test_a_mark_of_an_earlier_version_gets_the_columns_of_the_rule(run: Run, mark: str | None, *, noted: bool) -> None:
    """They are noted while the rule is there that may have made it: a changed rule does not claim the mark."""
    run.remember(1, "created", marked=True, written=A, mark=mark)
    run.record(1, "A", state=1)
    run.decide(1, "ignored", row=False)
    run.before()
    assert run.after() == ({1: ("created", True, A_, None)} if noted else {})
    assert run.workspace.query("SELECT mark FROM ledger_after") == ([("statecode,statuscode",)] if noted else [])


@pytest.mark.parametrize(("result", "mark"), [("applied", "statecode,statuscode"), ("failed", "new_gone")])
def test_the_columns_of_a_mark_are_noted(run: Run, result: str, mark: str) -> None:
    run.remember(1, "created", marked=True, written=A, mark="new_gone")
    run.record(1, "A")
    run.decide(1, "deactivate", row=False, columns="statecode")
    run.before()
    run.end(1, result)
    run.after()
    assert run.workspace.query("SELECT marked, mark FROM ledger_after") == [(True, mark)]


def test_a_mark_that_is_not_there_any_more_is_not_the_syncs_own(run: Run) -> None:
    """A person opened the record, with its row or without; one that was reactivated is open."""
    for number, state in ((1, 0), (2, 0), (3, 1), (4, 1)):
        run.remember(number, "created", marked=True, written=A)
        run.record(number, "A", state=state)
    run.decide(1, "unchanged", city="A")
    run.decide(2, "ignored", row=False)
    run.decide(3, "reactivate", city="A", columns="statecode")
    run.decide(4, "unchanged", city="A")
    run.before()
    run.end(3, "applied")
    assert run.after() == dict.fromkeys((1, 2, 3), ("created", False, A_, None))


@pytest.mark.parametrize("filter_", [None, "name ne null"])
def test_records_that_are_gone_are_forgotten(run: Run, filter_: str | None) -> None:
    """Records deleted by this sync; or by others, if no filter can hide them and if they were not only set aside."""
    for number in (1, 2, 3):
        run.remember(number, "created", written=A)
    run.record(1, "A")
    run.decide(1, "delete", row=False)
    run.workspace.execute("INSERT INTO target_errors VALUES (?)", [known(3)])
    run.before()
    run.end(1, "applied")
    gone: Known = (None, False, None, None)
    assert run.after(filter_) == ({1: gone} if filter_ else {1: gone, 2: gone})


def test_a_stored_value_that_no_longer_fits_its_column_is_not_known(run: Run) -> None:
    """The column's type was changed: what was written is not compared with what is there."""
    number = TargetColumn(
        name="city", attribute=AttributeMetadata(name="city", type=AttributeType.INTEGER), sql_type="INTEGER",
        source_sql="city", write=WritePolicy.UNLESS_EDITED,
    )  # fmt: skip
    run.workspace.execute("DROP TABLE ledger")
    run.workspace.run(ledger_table_step((KEY, number)))
    rows = f"SELECT '{known(1)}'::UUID AS id, 'created' AS origin, false AS marked, NULL AS mark, '{A}' AS written, '{{\"city\":\"5\"}}' AS pending"
    run.workspace.execute(fill_ledger((KEY, number), rows))
    found = run.workspace.query("SELECT _knows_city, _was_city, _pends_city, _next_city FROM ledger")
    assert found == [(False, None, False, [5])]


def test_many_records_with_many_guarded_columns_fit_into_a_small_memory() -> None:
    """What is needed for one more column is its values: the JSON of a record is not read again for it."""
    layout = tuple(replace(CITY, name=f"city_{number}") for number in range(60))
    text = json.dumps({column.name: "a text of forty characters and some more" for column in layout})
    stored = f"replace('{text}', 'forty', i::VARCHAR)"
    rows = f"SELECT uuid() AS id, 'created' AS origin, false AS marked, NULL AS mark, {stored} AS written, {stored} AS pending"
    with Workspace.open(threads=1, memory_limit="300MB") as workspace:
        workspace.run(ledger_table_step(layout))
        workspace.execute(fill_ledger(layout, f"{rows} FROM range(2048) AS t(i)"))
        assert workspace.query("SELECT count(_was_city_59), count(_next_city_0) FROM ledger") == [(2048, 2048)]


@pytest.mark.parametrize("held", ["A", "B", None])
@pytest.mark.parametrize(("result", "version"), [("applied", "7"), ("applied", None), ("failed", "7")])
def test_what_others_may_be_writing_stays_pending(run: Run, held: str | None, result: str, version: str | None) -> None:
    """Each of these values counts as the sync's own; a change that was made and named the version ends them."""
    pending = '{"city":["B",null]}'
    run.remember(1, "created", written=A, pending=pending)
    run.record(1, held)
    assert run.workspace.query(
        f"SELECT {unedited(CITY)} FROM current AS target JOIN ledger ON target._id = ledger._id"
    ) == [(True,)]
    run.decide(1, "update", city="C", columns="city", version=version)
    assert run.before()[1] == ("created", False, {"city": held}, {"city": "C"})
    run.end(1, result)
    made = result == "applied"
    expected = ("created", False, {"city": "C" if made else held}, None if made and version else json.loads(pending))
    assert run.after(alone=False) == {1: expected}
