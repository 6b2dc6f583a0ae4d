"""Values for dropped records, and write policies, checked against the metadata of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, Choice, EntityMetadata
from shared.transform import check, check_expressions, dropped_mark, layout, returned_mark
from shared.workspace import Workspace, quoted
from tests.unit.transform.world import ACCOUNT, definition

STATES = (Choice(value=0, labels=("Active",)), Choice(value=1, labels=("Inactive",)))
STARTED = datetime(2026, 3, 1, 9, 30, 15, 999, tzinfo=UTC)
START = STARTED.replace(microsecond=0, tzinfo=None)
BEFORE = START - timedelta(days=9)


def table(*states: Choice) -> EntityMetadata:
    """The usual table, with states."""
    state = AttributeMetadata(name="statecode", type=AttributeType.STATE, choices=states, creatable=False)
    return replace(ACCOUNT, attributes={**ACCOUNT.attributes, "statecode": state})


TABLE = table(*STATES)
REASONS = (
    Choice(value=1, labels=("Open", "Other"), state=0),
    Choice(value=2, labels=("Shut",), state=1),
    Choice(value=3, labels=("Other",), state=1),
)
REASON = AttributeMetadata(name="statuscode", type=AttributeType.STATUS, choices=REASONS)
ALIKE = AttributeMetadata(
    name="alike",
    type=AttributeType.PICKLIST,
    choices=(Choice(value=1, labels=("Other",)), Choice(value=2, labels=("OTHER",))),
)
WITH_ALIKE = replace(TABLE, attributes={**TABLE.attributes, "alike": ALIKE})
PAIRED = replace(TABLE, attributes={**TABLE.attributes, "statuscode": REASON})


def sync(target: str = "name", write: str = "always", **behaviour: Any) -> SyncDefinition:
    return definition([{"name": "x"}], [{"source": "x", "target": target, "write": write}], **behaviour)


@pytest.mark.parametrize(
    ("behaviour", "entity", "message"),
    [
        ({"dropped": "deactivate"}, ACCOUNT, "account has no states"),
        ({"dropped": "deactivate"}, table(*STATES, Choice(value=2, labels=())), "(0 Active, 1 Inactive, 2)"),
        ({"dropped": {"set": {"nam": "'x'"}}}, TABLE, "account has no column nam; did you mean name?"),
        ({"dropped": {"set": {"computed": "'x'"}}}, TABLE, "computed cannot be changed in an existing record"),
        ({"dropped": {"set": {"hidden": "'x'"}}}, TABLE, "hidden cannot be read"),
        ({"dropped": {"set": {"parent": "null"}}}, TABLE, "parent is of type Lookup, which `set` cannot fill"),
        ({"dropped": {"set": {"statecode": "'Closed'"}}}, TABLE, "this value does not fit statecode"),
        (
            {"dropped": {"set": {"alike": "'other'"}}},
            WITH_ALIKE,
            "this value does not fit alike, which is of type Picklist: several options of alike have this label",
        ),
        ({"dropped": {"set": {"staff": "5000"}}}, TABLE, "this value does not fit staff"),
        ({"dropped": {"set": {"notes": "target.nam"}}}, TABLE, "unknown column target.nam"),
        ({"dropped": {"set": {"notes": "source.x"}}}, TABLE, "unknown column source.x"),
        ({"dropped": {"set": {"notes": "now()"}}}, TABLE, "now"),
        ({"dropped": {"set": {"name": "'much too long'"}}}, TABLE, "longer than 10 characters, the limit of name"),
        ({"dropped": {"set": {"segments": "'Finance;Finanzamt'"}}}, TABLE, "this value does not fit segments"),
        ({"dropped": {"set": {"name": "'x ' || target.name"}}}, TABLE, "this reads target.name, which the mark sets"),
        ({"dropped": {"set": {"notes": "coalesce(TARGET.Notes, 'x')"}}}, TABLE, "this reads target.notes"),
        ({"dropped": {"set": {"notes": "target.staff", "staff": "1"}}}, TABLE, "this reads target.staff"),
        (
            {"dropped": {"expire": "expiredon"}, "returned": {"set": {"name": "'x'"}}},
            TABLE,
            "name: a mapping fills this column",
        ),
    ],
)
def test_a_mark_that_the_table_cannot_have(behaviour: dict[str, Any], entity: EntityMetadata, message: str) -> None:
    """Reported before a row is read, with its place in the definition."""
    found = [problem for problem in check(sync(**behaviour), entity) if message in problem.message]
    assert found
    assert all(problem.path.startswith("sync_behaviour.") for problem in found)


@pytest.mark.parametrize(
    ("target", "write", "behaviour", "message"),
    [
        ("accountid", "if_empty", {}, "use write: on_insert"),
        ("statecode", "on_insert", {"strategy": "upsert"}, "cannot be set when a record is created"),
    ],
)
def test_a_policy_that_the_column_does_not_allow(
    target: str, write: str, behaviour: dict[str, Any], message: str
) -> None:
    """Reported with the place of the key."""
    found = [problem for problem in check(sync(target, write, **behaviour), TABLE) if message in problem.message]
    assert [problem.path for problem in found] == ["destination.mappings[1].write"]


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (replace(TABLE, elastic=True), "elastic table"),
        (replace(TABLE, optimistic_concurrency=False), "use write: always, if_empty or on_insert"),
    ],
)
def test_unless_edited_needs_versions_that_the_service_compares(entity: EntityMetadata, message: str) -> None:
    """The service would refuse each write, or overwrite an edit."""
    found = check(sync("name", "unless_edited"), entity)
    assert [problem.path for problem in found if message in problem.message] == ["destination.mappings[1].write"]


@pytest.mark.parametrize(
    ("state", "status", "refused"),
    [
        ("unless_edited", "always", True),
        ("on_insert", "unless_edited", True),
        ("if_empty", "always", True),
        ("unless_edited", "unless_edited", False),
        ("unless_edited", "on_insert", False),
        ("always", "unless_edited", False),
    ],
)
def test_a_status_is_not_written_where_its_state_is_kept(state: str, status: str, *, refused: bool) -> None:
    """It would open the record that the state's `write` protects."""
    document = sync("statecode", state).model_dump(mode="json", by_alias=True)
    document["destination"]["mappings"].append({"source": "name", "target": "statuscode", "write": status})
    reason = AttributeMetadata(name="statuscode", type=AttributeType.STATUS)
    entity = replace(TABLE, attributes={**TABLE.attributes, "statuscode": reason})
    problems = check(SyncDefinition.model_validate(document), entity)
    found = [problem.path for problem in problems if f"use write: {state} for both" in problem.message]
    assert found == (["destination.mappings[2].write"] if refused else [])


@pytest.mark.parametrize(
    ("behaviour", "record", "values", "held", "back"),
    [
        ({"dropped": "deactivate", "returned": "reactivate"}, {"statecode": 0}, [1], False, [0]),
        ({"dropped": "deactivate", "returned": "reactivate"}, {"statecode": 1}, [1], True, [0]),
        ({"dropped": {"expire": "expiredon"}, "returned": "reactivate"}, {}, [START], False, [None]),
        ({"dropped": {"expire": "expiredon"}}, {"expiredon": BEFORE}, [START], True, []),
        ({"dropped": {"set": {"statecode": "'inactive'", "staff": "length(target.name) + 1"}}}, {"name": "four"}, [1, 5], False, []),
        ({"dropped": {"set": {"notes": "'gone: ' || target.name"}}}, {"name": "N", "notes": "gone: N"}, ["gone: N"], True, []),
        ({"dropped": {"set": {"notes": "null"}}}, {"notes": None}, [None], True, []),
        ({"dropped": {"set": {"segment": "'Finanzen'"}}, "returned": {"set": {"segment": "1"}}}, {}, [2], False, [1]),
        ({"dropped": {"set": {"active": "'Closed'", "founded": "'2024-02-29'"}}}, {}, [False, date(2024, 2, 29)], False, []),
    ],
    ids=str,
)  # fmt: skip
def test_the_values_of_a_mark(
    behaviour: dict[str, Any],
    record: dict[str, Any],
    values: list[Any],
    held: bool,  # noqa: FBT001 - a case of a table
    back: list[Any],
) -> None:
    """Typed as the column is, also by labels; a record holds a mark when every column has its value."""
    run = sync(**behaviour)
    columns = layout(run, TABLE)
    mark, returning = dropped_mark(run, columns, started=STARTED), returned_mark(run, columns)
    with Workspace.open(threads=1) as workspace:
        listed = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
        workspace.execute(f"CREATE TABLE target ({listed})")
        names = ", ".join(quoted(name) for name in record)
        marks = ", ".join("?" * len(record))
        if record:
            workspace.execute(f"INSERT INTO target ({names}) VALUES ({marks})", list(record.values()))
        else:
            workspace.execute("INSERT INTO target (accountnumber) VALUES ('1')")
        row = workspace.query(f"SELECT {', '.join(each.value for each in (*mark, *returning))} FROM target")[0]
        ((has,),) = workspace.query(f"SELECT {' AND '.join(each.held for each in mark)} FROM target")
        fits = [workspace.query(f"SELECT {each.unfit or 'false'} FROM target")[0][0] for each in mark]
    assert (list(row), has) == ([*values, *back], held)
    assert not any(fits)


@pytest.mark.parametrize("target", ["name", "statecode", "statuscode"])
def test_a_status_reason_alone_sets_its_state(target: str) -> None:
    """The service refuses a reason of another state; each column is read once, whatever is mapped."""
    run = sync(target, dropped={"set": {"statuscode": "'Shut'"}})
    columns = layout(run, PAIRED)
    mark = dropped_mark(run, columns, started=STARTED)
    assert sorted(column.name for column in columns) == sorted({column.name for column in columns})
    assert not list(check(run, PAIRED))
    with Workspace.open(threads=1) as workspace:
        assert {each.column.name: workspace.query(f"SELECT {each.value}")[0][0] for each in mark} == {
            "statuscode": 2,
            "statecode": 1,
        }


@pytest.mark.parametrize(
    ("state", "reason", "message"),
    [
        ("'Inactive'", "1", "the status reasons of 1 Inactive are 2 Shut, 3 Other, and 1 Open is not one of them"),
        ("0", "'Shut'", "the status reasons of 0 Active are 1 Open, and 2 Shut is not one of them"),
        ("1", "'Shut'", ""),
        ("1", "length(target.name)", ""),
    ],
)
@pytest.mark.parametrize("rule", ["dropped", "returned"])
def test_a_state_and_a_status_reason_of_another_one(rule: str, state: str, reason: str, message: str) -> None:
    behaviour: dict[str, Any] = {"dropped": "deactivate", rule: {"set": {"statecode": state, "statuscode": reason}}}
    found = [(problem.path, problem.message) for problem in check(sync(**behaviour), PAIRED)]
    assert [path for path, _ in found] == ([f"sync_behaviour.{rule}.set.statuscode"] if message else [])
    assert all(said.startswith(message) for _, said in found)


@pytest.mark.parametrize(
    ("condition", "reason", "hidden"),
    [
        ("statecode eq 0", "'Shut'", True),
        ("statecode eq 0", "2", True),
        ("statecode eq 0", "1", False),
        ("statecode eq 1", "1", True),
        ("statecode ge 0", "2", False),
        ("statecode eq 0", "length(target.name)", False),
        ("name ne 'x'", "2", False),
        (None, "2", False),
    ],
)
@pytest.mark.parametrize("rule", ["dropped", "returned"])
def test_a_filter_that_hides_the_state_of_a_status_reason(
    rule: str,
    condition: str | None,
    reason: str,
    hidden: bool,  # noqa: FBT001 - a case
) -> None:
    """A status reason that is set alone sets its state too, which only the metadata tells."""
    behaviour: dict[str, Any] = {"dropped": {"set": {"name": "'x'"}}, rule: {"set": {"statuscode": reason}}}
    run = sync(**behaviour)
    destination = run.destination.model_copy(update={"filter": condition})
    found = [each.path for each in check(run.model_copy(update={"destination": destination}), PAIRED)]
    assert [path for path in found if path == "destination.filter"] == ["destination.filter"] * hidden


@pytest.mark.parametrize("name", ["statuscode", "statecode"])
def test_a_mark_that_reads_the_other_half_of_the_state_that_it_sets(name: str) -> None:
    """The service sets one with the other, so it is another one in the next run."""
    other = {"statuscode": "statecode", "statecode": "statuscode"}[name]
    mark = {other: "'1'", "notes": f"'was ' || target.{name}"}
    found = check_expressions(definition([], [{"value": "'1'", "target": name}], dropped={"set": mark}))
    assert [(each.path, f"target.{name}" in each.message) for each in found] == [
        ("sync_behaviour.dropped.set.notes", True)
    ]


def test_what_a_returning_record_gets_may_be_made_of_what_it_holds() -> None:
    """It is written once."""
    run = sync(dropped="deactivate", returned={"set": {"notes": "'back: ' || target.notes"}})
    assert check(run, TABLE) == ()


def test_a_value_that_does_not_fit_is_known() -> None:
    """A text for a number, an unknown label, a date that does not exist; nothing at all fits."""
    names = ("staff", "segment", "founded", "segments")
    run = sync(dropped={"set": dict.fromkeys(names, "target.name")})
    columns = layout(run, TABLE)
    with Workspace.open(threads=1) as workspace:
        listed = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
        workspace.execute(f"CREATE TABLE target ({listed})")
        for name in ("x", None, ""):
            workspace.execute("INSERT INTO target (name) VALUES (?)", [name])
        for each in dropped_mark(run, columns, started=STARTED):
            assert workspace.query(f"SELECT {each.unfit} FROM target") == [(True,), (False,), (False,)]


@pytest.mark.parametrize("text", ["x" * 11, "\U0001f600" * 6, "bell \a"])
def test_a_text_that_the_service_would_refuse_does_not_fit(text: str) -> None:
    """Longer than its column, in the units that the service counts, or with a character that it does not accept."""
    run = sync("notes", dropped={"set": {"name": "target.notes"}})
    columns = layout(run, TABLE)
    with Workspace.open(threads=1) as workspace:
        listed = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
        workspace.execute(f"CREATE TABLE target ({listed})")
        for each in (text, text[:5], None):
            workspace.execute("INSERT INTO target (notes) VALUES (?)", [each])
        (mark,) = dropped_mark(run, columns, started=STARTED)
        assert workspace.query(f"SELECT {mark.unfit} FROM target") == [(True,), (False,), (False,)]
