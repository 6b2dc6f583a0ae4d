"""The rows of events: events with different fields become rows of one table, with flags for the fields they contain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.events import carried_definition
from shared.transform import (
    desire_steps,
    desired_finish_steps,
    early_lookups,
    late_lookups,
    layout,
    shape_steps,
)
from shared.transform.event_rows import (
    REJECTED_EVENTS,
    collect_source_statement,
    collect_statement,
    event_raw_table,
    keeps_source,
    raw_members,
    records_query,
    wanted_tables,
)
from shared.workspace import Purpose, Step, quoted
from shared.workspace.warm import WarmWorkspace
from tests.unit.transform.lookups.relations import LINKED, id_of, linking, read, record, to
from tests.unit.transform.world import ACCOUNT, definition

Rows = Mapping[int, Mapping[str, str | None]]
NAME = {"source": "name", "target": "name"}
STAFF = {"source": "staff", "target": "staff"}
NAME_OF_B = {"source": "b", "target": "name"}
COLUMNS = [{"name": "name"}, {"name": "staff", "type": "number"}]
SYNC = definition(COLUMNS, [NAME, STAFF])


# Events of one record are several rows with one key, and nothing is counted by the tables.
LEFT_OUT = Purpose.COUNTS | Purpose.CLEANUP | Purpose.SOURCE_DUPLICATES | Purpose.REJECTED_ROWS


@pytest.fixture
def workspace() -> Iterator[WarmWorkspace]:
    """An empty workspace as events have it."""
    with WarmWorkspace.open() as opened:
        yield opened


def run(workspace: WarmWorkspace, steps: Iterable[Step]) -> None:
    for step in steps:
        if step.purpose not in LEFT_OUT:
            workspace.run(step)


def made(workspace: WarmWorkspace, sync: SyncDefinition, entity: EntityMetadata = ACCOUNT) -> None:
    """Create the tables that the rows are collected in."""
    for table in wanted_tables(sync, layout(sync, entity), late_lookups(sync, entity)):
        workspace.create(table)


def loaded(workspace: WarmWorkspace, fields: Sequence[str], rows: Rows) -> None:
    """Put events into `source_raw`: number of the row -> field -> text."""
    members = raw_members(fields).items()
    records = [{"n": n} | {member: row.get(field) for field, member in members} for n, row in rows.items()]
    workspace.create(event_raw_table(fields), [json.dumps(records)])


def collected(
    workspace: WarmWorkspace,
    sync: SyncDefinition,
    rows: Rows,
    *,
    entity: EntityMetadata = ACCOUNT,
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Add events with the same fields to `wanted`, by the part of the definition that these fields can fill."""
    part = carried_definition(sync, frozenset(next(iter(rows.values()))))
    assert part is not None
    workspace.clear(keep=("wanted", "wanted_source"))
    loaded(workspace, [column.name for column in part.source.columns if column.read], rows)
    run(workspace, (*shape_steps(part), *desire_steps(part, entity)))
    read(workspace, early_lookups(part, entity), tables or {})
    run(workspace, desired_finish_steps(part, entity))
    workspace.execute(collect_statement(layout(part, entity), late_lookups(part, entity)))
    if keeps_source(sync):
        workspace.execute(collect_source_statement([column.label for column in part.source.columns]))


def wanted(workspace: WarmWorkspace, *names: str) -> list[tuple[Any, ...]]:
    """The number of each row, and for each column its value and whether the row leaves it out."""
    items = [item for name in names for item in (quoted(name), quoted(f"_omit_{name}"))]
    return workspace.query(f"SELECT _row, {', '.join(items)} FROM wanted ORDER BY _row")


def test_events_with_different_fields_are_rows_of_one_table(workspace: WarmWorkspace) -> None:
    """A field with null is sent; an absent field is left out."""
    made(workspace, SYNC)
    collected(
        workspace,
        SYNC,
        {0: {"number": "A", "name": "Ann", "staff": "5"}, 3: {"number": "B", "name": None, "staff": None}},
    )
    collected(workspace, SYNC, {1: {"number": "C", "name": "Cy"}})
    collected(workspace, SYNC, {2: {"number": "D"}})

    assert wanted(workspace, "accountnumber", "name", "staff") == [
        (0, "A", False, "Ann", False, 5, False),
        (1, "C", False, "Cy", False, None, True),
        (2, "D", False, None, True, None, True),
        (3, "B", False, None, False, None, False),
    ]


def test_a_null_that_keeps_the_value_is_left_out(workspace: WarmWorkspace) -> None:
    sync = definition(COLUMNS, [{**NAME, "on_null": "keep"}])
    made(workspace, sync)
    collected(workspace, sync, {1: {"number": "A", "name": "Ann"}, 2: {"number": "B", "name": None}})
    assert wanted(workspace, "name") == [(1, "Ann", False), (2, None, True)]


def test_a_value_that_does_not_fit_is_left_out(workspace: WarmWorkspace) -> None:
    """The row stays; only errors that reject the row are collected."""
    made(workspace, SYNC)
    collected(workspace, SYNC, {1: {"number": "A", "staff": "many"}, 2: {"number": "B", "staff": "9"}})
    assert wanted(workspace, "accountnumber", "staff") == [(1, "A", False, None, True), (2, "B", False, 9, False)]
    assert workspace.query("SELECT _row, rejected FROM source_errors") == [(1, False)]
    assert workspace.query(REJECTED_EVENTS) == []


def test_an_event_that_is_rejected_has_no_row(workspace: WarmWorkspace) -> None:
    """Other events of the group stay; the errors of each event are reported."""
    made(workspace, SYNC)
    rows: Rows = {
        1: {"number": None, "name": "x"},
        2: {"number": "B", "name": "a name that is too long"},
        3: {"number": " ", "name": "c"},
        4: {"number": "D", "name": "d"},
    }
    collected(workspace, SYNC, rows)
    assert wanted(workspace, "accountnumber", "name") == [(4, "D", False, "d", False)]
    rejected = workspace.query(REJECTED_EVENTS)
    assert [(row, error, column) for row, error, column, _ in rejected] == [
        (3, "Mandatory Rule Violation", "number"),
        (2, "Max Length Violation", "name"),
        (1, "Mandatory Rule Violation", "number"),
    ]
    assert all(message for *_, message in rejected)


def test_a_record_is_identified_by_its_comparable_key(workspace: WarmWorkspace) -> None:
    """Events that write the key differently concern one record."""
    made(workspace, SYNC)
    collected(workspace, SYNC, {1: {"number": "Äb "}, 2: {"number": "AB"}, -3: {"number": 'q"c'}})
    records: dict[int, str] = dict(workspace.query(records_query(layout(SYNC, ACCOUNT))))
    assert {row: json.loads(text) for row, text in records.items()} == {1: ["ab"], 2: ["ab"], -3: ['q"c']}
    assert records[1] == records[2]


def test_a_key_of_several_columns_has_them_in_the_order_of_the_key(workspace: WarmWorkspace) -> None:
    """Numbers are texts too, so that 1 and "1" cannot be mixed up with the place in the key."""
    sync = definition(COLUMNS, [STAFF, NAME], sync_key=["staff", "accountnumber"])
    made(workspace, sync)
    collected(workspace, sync, {1: {"number": "A", "staff": "7"}})
    ((row, text),) = workspace.query(records_query(layout(sync, ACCOUNT)))
    assert (row, json.loads(text)) == (1, ["7", "a"])


def test_fields_whose_names_differ_only_in_case_are_different(workspace: WarmWorkspace) -> None:
    """DuckDB ignores the case of JSON members."""
    assert len({member.lower() for member in raw_members(["id", "ID", "Id"]).values()}) == 3
    fields = ["number", 'na"me', "c0"]
    loaded(workspace, fields, {7: {"number": "1", 'na"me': "é'\"", "c0": None}, 4: {"c0": "z"}})
    names = ", ".join(map(quoted, fields))
    assert workspace.query(f"SELECT _row, {names} FROM source_raw ORDER BY _row") == [
        (4, None, None, "z"),
        (7, "1", "é'\"", None),
    ]


def test_texts_stay_texts(workspace: WarmWorkspace) -> None:
    """Numbers with leading zeros, and texts that look like another type."""
    loaded(workspace, ["a", "b"], {1: {"a": "007", "b": "2026-01-01"}})
    assert workspace.query("SELECT a, b, typeof(a), typeof(b) FROM source_raw") == [
        ("007", "2026-01-01", "VARCHAR", "VARCHAR")
    ]


# -- The source columns ------------------------------------------------------------------------------------------------


def test_source_columns_are_kept_for_a_condition_on_changes(workspace: WarmWorkspace) -> None:
    """Typed; a column that an event does not carry is null."""
    sync = definition(COLUMNS, [NAME], changed={"when": "source.staff > 3"})
    assert keeps_source(sync)
    made(workspace, sync)
    collected(workspace, sync, {1: {"number": "A", "name": "Ann", "staff": "5"}})
    collected(workspace, sync, {2: {"number": "B", "name": "Bo"}})
    assert workspace.query("SELECT _row, number, name, staff FROM wanted_source ORDER BY _row") == [
        (1, "A", "Ann", 5),
        (2, "B", "Bo", None),
    ]


def test_without_a_condition_no_source_columns_are_kept(workspace: WarmWorkspace) -> None:
    assert not keeps_source(SYNC)
    made(workspace, SYNC)
    assert workspace.has_table("wanted")
    assert not workspace.has_table("wanted_source")


# -- Lookups -----------------------------------------------------------------------------------------------------------


def test_a_lookup_that_is_not_resolved_yet_keeps_its_search_value(workspace: WarmWorkspace) -> None:
    """It may refer to a record of the same events, so it is resolved in a later step."""
    sync = linking(to("parent", match="accountnumber"), NAME_OF_B)
    (late,) = late_lookups(sync, LINKED)
    made(workspace, sync, LINKED)
    collected(workspace, sync, {1: {"number": "A", "a": "Ünit"}, 2: {"number": "B", "a": None}}, entity=LINKED)
    collected(workspace, sync, {3: {"number": "C", "b": "x"}}, entity=LINKED)

    (value,) = late.values
    found = workspace.query(
        f'SELECT _row, {value.written()}, {quoted(value.key)}, {quoted("given:parent")}, "_omit_parent" '
        "FROM wanted ORDER BY _row"
    )
    assert [row[:3] for row in found] == [(1, "Ünit", "unit"), (2, None, None), (3, None, None)]
    assert [row[3] for row in found] == [True, False, None]
    assert found[2][4] is True


def test_a_lookup_in_another_table_is_resolved_in_the_row(workspace: WarmWorkspace) -> None:
    """An event without the field does not change the column."""
    sync = linking(to("contact", match="code"), NAME_OF_B)
    made(workspace, sync, LINKED)
    tables = {"contact": [record(4, code="c4")]}
    collected(
        workspace, sync, {1: {"number": "A", "a": "C4"}, 2: {"number": "B", "a": None}}, entity=LINKED, tables=tables
    )
    collected(workspace, sync, {3: {"number": "C", "b": "x"}}, entity=LINKED)
    found = [(row, str(value) if value else None, omitted) for row, value, omitted in wanted(workspace, "contact")]
    assert found == [(1, id_of(4), False), (2, None, False), (3, None, True)]
