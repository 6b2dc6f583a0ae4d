"""The one list of a run's steps: each says truly what it needs, and what is left out was not needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.jobs import explained
from shared.jobs.run_steps import NOTHING, RunSteps, Stage
from shared.reconcile import adoption_steps
from shared.transform import desire_of, layout
from shared.workspace import Purpose, Step, Table, Workspace
from tests.unit.transform.world import ACCOUNT, definition, load

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = ({"name": "name"}, {"name": "op"})
MAPPINGS = ({"source": "name", "target": "name"}, {"value": "NULL", "target": "expiredon"})
LEDGERS: list[dict[str, Any]] = [
    {},
    {"dropped_scope": "own"},
    {"returned": {"set": {"notes": "'back'"}}},
    {"returned": {"set": {"notes": "'back'"}}, "changed": {"when": "source.name <> target.name"}},
]
BEHAVIOURS: list[dict[str, Any]] = [
    *(
        {"dropped": dropped, "changed": changed}
        for dropped, changed in product(
            ("delete", "ignore", {"expire": "expiredon"}), ("update", {"when": "source.name <> target.name"})
        )
    ),
    *({"dropped": {"set": {"expiredon": "'2020-01-01'"}}, **more} for more in LEDGERS),
    {"strategy": "delta"},
    {"strategy": "delta", "action_column": "op"},
    {"strategy": "upsert"},
]
SQL_TABLES = re.compile(rf"\b({'|'.join(Table)})\b")
NOT_TABLES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*""")  # texts, quoted columns, comments


def sync(behaviour: Mapping[str, Any]) -> SyncDefinition:
    return definition(COLUMNS, MAPPINGS, **behaviour)


def tables_in(step: Step) -> set[str]:
    return set(SQL_TABLES.findall(NOT_TABLES.sub("", step.sql)))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=str)
@pytest.mark.parametrize("records", [0, 50_000_000])
def test_a_step_needs_the_tables_in_its_sql_and_earlier_steps_have_made_them(
    behaviour: Mapping[str, Any], records: int
) -> None:
    """Readers of the list rely on it; `source_raw` is the source's, `holders` and `outcomes` are the writer's."""
    run = sync(behaviour)
    columns = layout(run, ACCOUNT)
    steps = RunSteps(
        definition=run,
        entity=ACCOUNT,
        desire=desire_of(run, ACCOUNT),
        columns=columns,
        started=STARTED,
        target_rows=lambda: records,
    ).all()
    made: set[str] = {Table.SOURCE_RAW, Table.HOLDERS, Table.OUTCOMES}
    for step in (*steps, *adoption_steps(run, columns)):
        created = {step.creates.name} if step.creates else set()
        assert tables_in(step) == step.needs | created, step.title
        assert step.needs <= made, step.title
        assert step.sql == (step.creates.sql if step.creates else step.sql)
        made |= created


@pytest.mark.parametrize("filtered", [None, "name ne null"])
def test_the_steps_of_the_ledger_need_the_tables_in_their_sql(filtered: str | None) -> None:
    """Those before the first write and those after the last one; `explain` shows them behind all others."""
    edited = ({"source": "name", "target": "name", "write": "unless_edited"},)
    run = definition(COLUMNS, edited, dropped={"expire": "expiredon"}, returned="reactivate", dropped_scope="own")
    destination = run.destination.model_copy(update={"filter": filtered})
    run = run.model_copy(update={"destination": destination})
    steps = explained(run, ACCOUNT, started=STARTED)
    made: set[str] = {Table.SOURCE_RAW, Table.OUTCOMES}
    for step in steps:
        created = {step.creates.name} if step.creates else set()
        assert tables_in(step) == step.needs | created, step.title
        assert step.needs <= made, step.title
        made |= created
    assert {Table.LEDGER, Table.LEDGER_BEFORE, Table.LEDGER_AFTER} <= made


def test_a_step_that_writes_down_changes_names_the_decision_that_it_works_on() -> None:
    """Real time leaves it out where no record has that decision."""
    steps = explained(sync({"dropped": "delete"}), ACCOUNT, started=STARTED)
    found = {step.decision: step.title for step in steps if step.decision}
    assert found == {action: f"Write down what to {action}" for action in ("insert", "update", "delete")}


def result(behaviour: Mapping[str, Any], leave_out: Purpose) -> tuple[list[Any], list[Any], int]:
    """Decisions, changes and the number of steps of a run over rows that differ from the records in every way."""
    run = sync(behaviour)
    desire = desire_of(run, ACCOUNT)
    steps = RunSteps(
        definition=run, entity=ACCOUNT, desire=desire, columns=desire.columns, started=STARTED, leave_out=leave_out
    )
    with Workspace.open(threads=1) as workspace:
        load(workspace, run, [("new", "a", "insert"), ("same", "b", "update"), ("other", "c", "delete")])
        for stage in Stage:
            if stage is Stage.MATCH:
                workspace.execute(
                    "INSERT INTO current (_seq, _id, accountnumber, name) "
                    "SELECT n, ('00000000-0000-0000-0000-00000000000' || n)::UUID, key, name "
                    "FROM (VALUES (1, 'same', 'b'), (2, 'other', 'd'), (3, 'gone', 'e')) AS held(n, key, name)"
                )
            for step in steps.of(stage):
                workspace.run(step)
        decisions = workspace.query("SELECT _row, _id, action FROM decisions ORDER BY ALL")
        return decisions, workspace.query("SELECT * FROM changes ORDER BY _change"), len(steps.all())


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=str)
def test_what_is_left_out_changes_nothing_where_it_has_nothing_to_do(behaviour: Mapping[str, Any]) -> None:
    """Sound rows, one for each key, and records that all have a key of their own: as real time has them."""
    everything_else = ~Purpose.RESULT
    decisions, changes, steps = result(behaviour, NOTHING)
    left = result(behaviour, everything_else)
    assert left[:2] == (decisions, changes)
    assert left[2] < steps


def test_the_result_is_never_left_out() -> None:
    """Whatever a reader leaves out, the tables that the writer needs are made."""
    run = sync({})
    desire = desire_of(run, ACCOUNT)
    steps = RunSteps(
        definition=run,
        entity=ACCOUNT,
        desire=desire,
        columns=desire.columns,
        started=STARTED,
        leave_out=~Purpose.RESULT,
    ).all()
    made = {step.creates.name for step in steps if step.creates}
    assert made >= {Table.DESIRED, Table.CURRENT, Table.DECISIONS, Table.CHANGES}
