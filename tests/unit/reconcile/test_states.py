"""State and status from the source's text to the changes: halves, pairs, closing states, transitions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, Choice, DateBehavior, EntityMetadata
from shared.reconcile import (
    adoption_steps,
    after_writing,
    before_writing,
    fill_ledger,
    ledger_table_step,
    reconcile_steps,
    sample_query,
    samples,
)
from shared.transform import (
    TargetColumn,
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    layout,
    shape_steps,
)
from shared.workspace import Workspace, quoted

T = AttributeType
USUAL = ({0: "Active", 1: "Inactive"}, {1: ("Active", 0), 2: ("Inactive", 1), 5: ("Merged", 1), 9: ("New", 0)})
SALES = (
    {0: "Open", 1: "Won", 2: "Lost"},
    {1: ("In Progress", 0), 2: ("On Hold", 0), 3: ("Won", 1), 4: ("Canceled", 2), 5: ("Out-Sold", 2)},
)
CASES = ({0: "Active", 1: "Resolved", 2: "Canceled"}, {1: ("In Progress", 0), 5: ("Solved", 1), 6: ("Canceled", 2)})
QUOTES = (
    {0: "Draft", 1: "Active", 2: "Won", 3: "Closed"},
    {1: ("Draft", 0), 2: ("Active", 1), 4: ("Won", 2), 5: ("Lost", 3)},
)
Options = tuple[Mapping[int, str], Mapping[int, tuple[str, int]]]


def entity(name: str, options: Options, following: Mapping[int, tuple[int, ...]] | None = None) -> EntityMetadata:
    states, statuses = options
    first = {state: next(value for value, (_, of) in statuses.items() if of == state) for state in states}
    columns = (
        AttributeMetadata(name="thingid", type=T.UNIQUEIDENTIFIER, updatable=False),
        AttributeMetadata(name="number", type=T.STRING, max_length=20),
        AttributeMetadata(name="name", type=T.STRING, max_length=20),
        AttributeMetadata(name="actualvalue", type=T.MONEY, precision=2),
        AttributeMetadata(name="actualclosedate", type=T.DATETIME, date_behavior=DateBehavior.DATE_ONLY),
        AttributeMetadata(
            name="statecode",
            type=T.STATE,
            creatable=False,
            choices=tuple(Choice(value=v, labels=(label,), default_status=first[v]) for v, label in states.items()),
        ),
        AttributeMetadata(
            name="statuscode",
            type=T.STATUS,
            choices=tuple(
                Choice(value=v, labels=(label,), state=state, next=None if following is None else following.get(v, ()))
                for v, (label, state) in statuses.items()
            ),
        ),
    )
    return EntityMetadata(
        logical_name=name,
        entity_set=f"{name}s",
        display_name=name,
        primary_id="thingid",
        primary_name="name",
        attributes={column.name: column for column in columns},
    )


ACCOUNT = entity("account", USUAL)
OPPORTUNITY = entity("opportunity", SALES)
INCIDENT = entity("incident", CASES)
QUOTE = entity("quote", QUOTES)


def definition(
    names: Sequence[str], on_null: str = "clear", write: Mapping[str, str] | None = None, **behaviour: Any
) -> SyncDefinition:
    kinds = {"actualvalue": "number", "actualclosedate": "date"}
    return SyncDefinition.model_validate(
        {
            "name": "things",
            "source": {
                "type": "delimited",
                "path": "x.csv",
                "columns": [
                    {"name": "number"},
                    *({"name": name, "type": kinds.get(name, "text"), "validate": True} for name in names),
                ],
            },
            "destination": {
                "type": "dynamics",
                "entity": "thing",
                "service_url": "https://org.example/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "thingid",
                "mappings": [
                    {"source": "number", "target": "number"},
                    *(
                        {"source": name, "target": name, "on_null": on_null, "write": (write or {}).get(name, "always")}
                        for name in names
                    ),
                ],
            },
            "sync_behaviour": {"sync_key": ["number"], **behaviour},
        }
    )


class Planned:
    """A run up to its changes; rows and records are numbered N1, N2, ... from 1.

    `written` is what the ledger says of the records, in their order: what this sync has written last.
    """

    def __init__(
        self,
        workspace: Workspace,
        table: EntityMetadata,
        rows: Sequence[Mapping[str, str | None]],
        records: Sequence[Mapping[str, Any]] = (),
        *,
        written: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        names = list(rows[0]) if rows else ["statecode"]
        sync = definition(names, **options)
        columns = layout(sync, table)
        self._workspace = workspace
        workspace.execute(
            f"CREATE TABLE source_raw (_row BIGINT, {', '.join(f'{quoted(n)} VARCHAR' for n in ('number', *names))})"
        )
        for place, row in enumerate(rows, start=1):
            workspace.execute(
                f"INSERT INTO source_raw VALUES (?, ?{', ?' * len(names)})", [place, f"N{place}", *row.values()]
            )
        shaping = (*shape_steps(sync), *desire_steps(sync, table), *desired_finish_steps(sync, table))
        for step in (*shaping, current_table_step(columns)):
            workspace.run(step)
        known = [column.name for column in columns]
        for place, record in enumerate(records, start=1):
            values = {"number": f"N{place}", **record}
            kept = {name: value for name, value in values.items() if name in known}
            listed = ", ".join(map(quoted, kept))
            workspace.execute(
                f"INSERT INTO current (_seq, _id, {listed}) VALUES (?, ?{', ?' * len(kept)})",
                [place, f"00000000-0000-0000-0000-00000000000{place}", *kept.values()],
            )
        if sync.keeps_ledger:
            self._remember(columns, written)
        for step in (*current_finish_steps(columns, sync), *reconcile_steps(sync, columns, started=datetime.now(UTC))):
            workspace.run(step)

    def _remember(self, columns: Sequence[TargetColumn], written: Sequence[Mapping[str, Any]]) -> None:
        self._workspace.run(ledger_table_step(columns))
        rows = "SELECT $1::UUID AS id, 'created' AS origin, false AS marked, NULL AS mark, $2 AS written, $3 AS pending"
        for place, values in enumerate(written, start=1):
            record, noted = f"00000000-0000-0000-0000-00000000000{place}", dict(values)
            pending = json.dumps(noted.pop("pending")) if "pending" in noted else None
            self._workspace.execute(fill_ledger(columns, rows), [record, json.dumps(noted), pending])

    @property
    def changes(self) -> list[tuple[str, dict[str, Any], dict[str, Any] | None, str]]:
        """Action, first request, second request, names of the columns; the key left out."""
        rows = self._workspace.query("SELECT action::VARCHAR, payload, later, columns FROM changes ORDER BY _change")
        for row in samples(self._workspace.query(sample_query(100))):  # pairs names and values, or fails
            assert all(change.column for change in row.columns)
        return [
            (
                action,
                {name: value for name, value in json.loads(payload).items() if name != "number"},
                json.loads(later) if later else None,
                ",".join(name for name in columns.split(",") if name != "number"),
            )
            for action, payload, later, columns in rows
        ]

    @property
    def errors(self) -> list[tuple[int, str, str, str]]:
        """Row, column, error and message of what rejects a row."""
        return self._workspace.query(
            'SELECT _row, "column", error, message FROM source_errors WHERE rejected ORDER BY ALL'
        )

    @property
    def decisions(self) -> list[str]:
        return [each for (each,) in self._workspace.query("SELECT action::VARCHAR FROM decisions ORDER BY _id, _row")]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open() as opened:
        yield opened


BOTH = "statecode,statuscode"


@pytest.mark.parametrize(
    ("row", "first", "second"),
    [
        ({"statecode": "Active"}, {}, None),
        ({"statecode": "Inactive"}, {}, {"statecode": 1, "statuscode": 2}),
        ({"statuscode": "New"}, {"statuscode": 9}, None),
        ({"statuscode": "Merged"}, {}, {"statuscode": 5, "statecode": 1}),
        ({"statecode": "0", "statuscode": "9"}, {"statuscode": 9}, None),
        ({"statecode": "1", "statuscode": "5"}, {}, {"statecode": 1, "statuscode": 5}),
        ({"statecode": "Inactive", "statuscode": None}, {}, {"statecode": 1, "statuscode": 2}),
        ({"statecode": None, "statuscode": "Merged"}, {}, {"statecode": 1, "statuscode": 5}),
    ],
)
def test_a_new_record_gets_the_half_that_the_row_does_not_give(
    workspace: Workspace, row: dict[str, str | None], first: dict[str, int], second: dict[str, int] | None
) -> None:
    """A status says its state; a state brings its default status; what is not the first state is set afterwards."""
    planned = Planned(workspace, ACCOUNT, [row])
    assert planned.errors == []
    ((action, sent, later, columns),) = planned.changes
    assert (action, sent, later) == ("insert", first, second)
    assert set(filter(None, columns.split(","))) == {*first, *(second or {})}


@pytest.mark.parametrize(
    ("row", "held", "sent"),
    [
        ({"statecode": "Inactive"}, (0, 9), {"statecode": 1, "statuscode": 2}),
        ({"statecode": "Inactive"}, (1, 5), None),
        ({"statecode": "Active"}, (1, 5), {"statecode": 0, "statuscode": 1}),
        ({"statuscode": "Merged"}, (0, 1), {"statecode": 1, "statuscode": 5}),
        ({"statuscode": "Merged"}, (1, 2), {"statuscode": 5}),
        ({"statuscode": "Merged"}, (1, 5), None),
        ({"statecode": "1", "statuscode": "5"}, (1, 2), {"statuscode": 5}),
        ({"statecode": "1", "statuscode": None}, (1, 5), None),
        ({"statecode": "1", "statuscode": None}, (0, 1), {"statecode": 1, "statuscode": 2}),
        ({"statecode": None, "statuscode": "1"}, (1, 5), {"statecode": 0, "statuscode": 1}),
    ],
)
def test_an_update_sends_both_halves_where_the_state_differs(
    workspace: Workspace, row: dict[str, str | None], held: tuple[int, int], sent: dict[str, int] | None
) -> None:
    """A state alone leaves the status of a record that has this state."""
    record = {"statecode": held[0], "statuscode": held[1]}
    planned = Planned(workspace, ACCOUNT, [row], [record])
    assert planned.errors == []
    assert [(change[1], change[2]) for change in planned.changes] == ([] if sent is None else [(sent, None)])


def test_a_row_without_both_is_in_error_or_leaves_the_record_alone(workspace: Workspace) -> None:
    """Neither can be cleared; with `on_null: keep` the record keeps both."""
    empty = {"statecode": None, "statuscode": None}
    assert Planned(workspace, ACCOUNT, [empty]).errors == [
        (
            1,
            "statecode",
            "Mandatory Rule Violation",
            "statecode cannot be empty; give a value, or set on_null: keep",
        )
    ]
    with Workspace.open() as other:
        kept = Planned(other, ACCOUNT, [empty], [{"statecode": 1, "statuscode": 5}], on_null="keep")
        assert (kept.errors, kept.changes, kept.decisions) == ([], [], ["unchanged"])


def test_a_status_of_another_state_rejects_the_row_and_names_the_valid_ones(workspace: Workspace) -> None:
    """The other rows go on."""
    planned = Planned(
        workspace,
        ACCOUNT,
        [{"statecode": "Active", "statuscode": "Merged"}, {"statecode": "Inactive", "statuscode": "Merged"}],
    )
    message = "the status reasons of 0 Active are 1 Active, 9 New, and this is not one of them"
    assert planned.errors == [(1, "statuscode", "Invalid Status", message)]
    assert len(planned.changes) == 1


def test_a_label_that_several_states_have_means_the_status_of_the_row_s_state(workspace: Workspace) -> None:
    """A number means itself; without a state the label does not tell which status is meant."""
    table = entity("thing", (USUAL[0], {1: ("Other", 0), 2: ("Inactive", 1), 3: ("OTHER", 1)}))
    rows: list[dict[str, str | None]] = [
        {"statecode": "Inactive", "statuscode": "other"},
        {"statecode": "Active", "statuscode": "Other"},
        {"statecode": None, "statuscode": "Other"},
        {"statecode": "Inactive", "statuscode": "1"},
    ]
    planned = Planned(workspace, table, rows)
    assert [error[:3] for error in planned.errors] == [
        (3, "statuscode", "Ambiguous Choice"),
        (4, "statuscode", "Invalid Status"),
    ]
    assert [change[1:3] for change in planned.changes] == [
        ({}, {"statecode": 1, "statuscode": 3}),
        ({"statuscode": 1}, None),
    ]


def test_without_the_link_between_the_options_only_what_is_mapped_is_sent(workspace: Workspace) -> None:
    """Metadata that does not tell which state a status belongs to cannot fill in a half."""
    attributes = dict(ACCOUNT.attributes)
    status = attributes["statuscode"]
    attributes["statuscode"] = replace(status, choices=tuple(replace(one, state=None) for one in status.choices))
    table = replace(ACCOUNT, attributes=attributes)
    ((_, first, later, columns),) = Planned(workspace, table, [{"statuscode": "Merged"}]).changes
    assert (first, later, columns) == ({"statuscode": 5}, None, "statuscode")


WON = {"name": "a", "statecode": "Won", "actualvalue": "12.50", "actualclosedate": "2024-02-03"}
CLOSED = {"actualrevenue": 12.5, "actualend": "2024-02-03T00:00:00Z"}


def test_a_new_opportunity_is_closed_by_an_action_that_repeats_what_it_would_overwrite(workspace: Workspace) -> None:
    """WinOpportunity sets revenue and date of the opportunity from its activity."""
    ((action, first, later, columns),) = Planned(workspace, OPPORTUNITY, [WON]).changes
    assert (action, first) == ("insert", {"name": "a", "actualvalue": 12.5, "actualclosedate": "2024-02-03"})
    assert later == {"statecode": 1, "statuscode": 3, "@close": CLOSED}
    assert columns == "name,actualvalue,actualclosedate,statecode,statuscode"


@pytest.mark.parametrize(
    ("wanted", "held", "first", "second"),
    [
        ("Won", (0, 1), {"name": "a"}, {"statecode": 1, "statuscode": 3, "@close": {}}),
        ("Lost", (0, 2), {"name": "a"}, {"statecode": 2, "statuscode": 4, "@close": {}}),
        ("Open", (1, 3), {"name": "a", "statecode": 0, "statuscode": 1}, None),
        (
            "Won",
            (2, 5),
            {"name": "a", "statecode": 0, "statuscode": 1},
            {"statecode": 1, "statuscode": 3, "@close": {}},
        ),
        ("Won", (1, 3), {"name": "a"}, None),
    ],
    ids=["win", "lose", "reopen", "from lost to won", "is won"],
)
def test_an_opportunity_that_is_there_is_written_first_and_closed_then(
    workspace: Workspace,
    wanted: str,
    held: tuple[int, int],
    first: dict[str, Any],
    second: dict[str, Any] | None,
) -> None:
    """Other columns go while it is open; a closed one reaches another closed state by way of the open one."""
    record = {"name": "b", "statecode": held[0], "statuscode": held[1]}
    ((action, sent, later, _),) = Planned(
        workspace, OPPORTUNITY, [{"name": "a", "statecode": wanted}], [record]
    ).changes
    assert (action, sent, later) == ("update", first, second)


@pytest.mark.parametrize("write", ["if_empty", "on_insert", "unless_edited"])
def test_a_status_that_is_not_written_is_not_sent_to_open_the_record_in_between(
    workspace: Workspace, write: str
) -> None:
    """Dataverse sets it with the state; the plan names the columns that are sent, and no others."""
    row = {"statecode": "Won", "statuscode": "Won"}
    planned = Planned(
        workspace, OPPORTUNITY, [row], [{"statecode": 2, "statuscode": 5}], write={"statuscode": write}, written=[{}]
    )
    opened, closed = {"statecode": 0}, {"statecode": 1, "@close": {}}
    assert planned.changes == [("update", opened, closed, "statecode")]
    (sample,) = samples(workspace.query(sample_query(5)))
    assert [(change.column, change.before, change.after) for change in sample.columns] == [("statecode", 2, 1)]


HELD = {"actualvalue": 7, "actualclosedate": "2023-03-03"}
KEPT = {"actualrevenue": 7, "actualend": "2023-03-03T00:00:00Z"}


@pytest.mark.parametrize(
    ("row", "record", "sent", "carried"),
    [
        (WON, HELD, {"actualvalue": 12.5, "actualclosedate": "2024-02-03"}, CLOSED),
        ({**WON, "actualvalue": None, "actualclosedate": None}, HELD, {}, KEPT),
        ({**WON, "actualvalue": None}, HELD, {"actualclosedate": "2024-02-03"}, {**CLOSED, "actualrevenue": 7}),
        ({**WON, "actualvalue": None, "actualclosedate": None}, {}, {}, {}),
    ],
    ids=["of the row", "of the record", "of both", "none"],
)
def test_an_action_carries_what_the_record_is_to_hold(
    workspace: Workspace, row: dict[str, Any], record: dict[str, Any], sent: dict[str, Any], carried: dict[str, Any]
) -> None:
    """The value of the row where it is written, else that of the record, so that it stays; none where there is none."""
    planned = Planned(
        workspace, OPPORTUNITY, [row], [{"name": "a", "statecode": 0, "statuscode": 1, **record}], on_null="keep"
    )
    ((_, first, later, columns),) = planned.changes
    assert (first, later) == (sent, {"statecode": 1, "statuscode": 3, "@close": carried})
    assert columns == ",".join([*sent, "statecode", "statuscode"])


def test_a_column_that_an_action_cannot_clear_is_emptied_once_the_record_is_closed(workspace: Workspace) -> None:
    """The action would fill it in again."""
    row = {**WON, "actualvalue": None}
    records = [{"name": "a", "statecode": state, "statuscode": status, **HELD} for state, status in ((0, 1), (1, 3))]
    closing, closed = Planned(workspace, OPPORTUNITY, [row, row], records).changes
    assert closing[1] == {"actualclosedate": "2024-02-03"}
    assert closing[2] == {"statecode": 1, "statuscode": 3, "@close": {**CLOSED, "actualrevenue": 7}}
    assert closing[3] == "actualclosedate,statecode,statuscode"
    assert closed[1:] == ({"actualvalue": None, "actualclosedate": "2024-02-03"}, None, "actualvalue,actualclosedate")


def test_a_closed_opportunity_gets_another_status_of_its_state_by_an_update(workspace: Workspace) -> None:
    """No action is needed where the state stays."""
    planned = Planned(workspace, OPPORTUNITY, [{"statuscode": "Out-Sold"}], [{"statecode": 2, "statuscode": 4}])
    assert [change[1:3] for change in planned.changes] == [({"statuscode": 5}, None)]


def test_a_case_is_resolved_by_an_action_and_canceled_by_an_update(workspace: Workspace) -> None:
    """Between two closed states the case is open for a moment."""
    rows = [{"statuscode": "Solved"}, {"statuscode": "Canceled"}, {"statuscode": "Canceled"}]
    records = [{"statecode": state, "statuscode": status} for state, status in ((0, 1), (0, 1), (1, 5))]
    assert [change[1:3] for change in Planned(workspace, INCIDENT, rows, records).changes] == [
        ({}, {"statuscode": 5, "statecode": 1, "@close": {}}),
        ({"statuscode": 6, "statecode": 2}, None),
        ({"statuscode": 1, "statecode": 0}, {"statuscode": 6, "statecode": 2}),
    ]


def test_a_new_task_is_open_and_a_closed_one_changes_directly(workspace: Workspace) -> None:
    """A status of the open state is sent with the create; new records of tables with more than two states may have another state."""
    options = (
        {0: "Open", 1: "Completed", 2: "Canceled"},
        {3: ("In Progress", 0), 5: ("Completed", 1), 6: ("Canceled", 2)},
    )
    rows = [{"statuscode": "Canceled"}, {"statuscode": "In Progress"}, {"statuscode": "Completed"}]
    planned = Planned(workspace, entity("task", options), rows, [{"statecode": 1, "statuscode": 5}])
    assert sorted((change[1:3] for change in planned.changes), key=str) == [
        ({"statuscode": 3}, None),
        ({"statuscode": 6, "statecode": 2}, None),
        ({}, {"statuscode": 5, "statecode": 1}),
    ]
    with Workspace.open() as other:
        elsewhere = Planned(other, entity("product", options), [{"statuscode": "In Progress"}])
        assert [change[1:3] for change in elsewhere.changes] == [({}, {"statuscode": 3, "statecode": 0})]


def test_a_quote_is_reopened_before_its_other_columns_are_written(workspace: Workspace) -> None:
    """A closed quote is read-only (0x80040230); a state that does not change has no effect."""
    rows = [{"name": "a", "statecode": "Draft"}] * 2
    records = [{"name": "b", "statecode": 3, "statuscode": 5}, {"name": "b", "statecode": 0, "statuscode": 1}]
    planned = Planned(workspace, QUOTE, rows, records).changes
    assert [(change[1], change[2]) for change in planned] == [
        ({"statecode": 0, "statuscode": 1}, {"name": "a"}),
        ({"name": "a"}, None),
    ]
    assert planned[0][3] == "statecode,statuscode,name"


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_without_reading_the_state_that_an_action_sets_goes_by_itself(workspace: Workspace, strategy: str) -> None:
    """What is in the target is unknown: the writer finds out if the action is refused."""
    rows = [{"name": "a", "statecode": "Won"}, {"name": "b", "statecode": "Open"}]
    changes = Planned(workspace, OPPORTUNITY, rows, strategy=strategy).changes
    assert changes[0][1:3] == ({"name": "a"}, {"statecode": 1, "statuscode": 3, "@close": {}})
    assert changes[1][2] is None
    assert changes[1][1]["name"] == "b"


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_without_reading_an_action_carries_what_the_row_gives(workspace: Workspace, strategy: str) -> None:
    """A value that is kept is not known, so the service fills it in."""
    row = {"statecode": "Won", "actualvalue": "12.5", "actualclosedate": None}
    ((_, first, later, _),) = Planned(workspace, OPPORTUNITY, [row], strategy=strategy, on_null="keep").changes
    assert first == {"actualvalue": 12.5}
    assert later == {"statecode": 1, "statuscode": 3, "@close": {"actualrevenue": 12.5}}


def test_an_upsert_adds_what_only_new_records_get_to_the_closing(workspace: Workspace) -> None:
    """The writer knows whether the record is new. An open record has nothing to close."""
    rows: list[dict[str, str | None]] = [{**WON}, {**WON, "statecode": "Open"}]
    Planned(workspace, OPPORTUNITY, rows, strategy="upsert", write={"actualvalue": "on_insert"})
    found = workspace.query("SELECT on_create, later FROM changes ORDER BY _change")
    assert [json.loads(once) for once, _ in found] == [
        {"actualvalue": 12.5, "@close": {"actualrevenue": 12.5}},
        {"actualvalue": 12.5},
    ]
    assert [later and json.loads(later) for _, later in found] == [
        {"statecode": 1, "statuscode": 3, "@close": {"actualend": CLOSED["actualend"]}},
        "",
    ]


def test_an_adopted_record_is_closed_like_any_other(workspace: Workspace) -> None:
    """The record that has the key of a new row is written first, and closed then with its values."""
    planned = Planned(workspace, OPPORTUNITY, [{"name": "a", "statecode": "Won", "actualvalue": None}], on_null="keep")
    sync = definition(["name", "statecode", "actualvalue"], on_null="keep")
    listed = "_id, number, name, statecode, statuscode, actualvalue"
    workspace.execute("CREATE TABLE outcomes (id UUID, created BOOLEAN)")
    workspace.execute("CREATE TABLE holders AS SELECT * FROM current LIMIT 0")
    workspace.execute(
        f"INSERT INTO holders (_seq, {listed}) VALUES (1, '00000000-0000-0000-0000-000000000009', 'N1', 'b', 0, 1, 7)"
    )
    for step in adoption_steps(sync, layout(sync, OPPORTUNITY)):
        workspace.run(step)
    assert planned.changes[0][0] == "insert"
    ((action, payload, later, columns),) = workspace.query(
        "SELECT action::VARCHAR, payload, later, columns FROM adoptions"
    )
    assert (action, json.loads(payload), columns) == ("update", {"name": "a"}, "name,statecode,statuscode")
    assert json.loads(later) == {"statecode": 1, "statuscode": 3, "@close": {"actualrevenue": 7}}


def test_plan_shows_the_state_that_is_reached_at_last(workspace: Workspace) -> None:
    """The state in between and the mark of an action are not shown."""
    row = {"name": "a", "statecode": "Won", "actualvalue": "1"}
    record = {"name": "b", "statecode": 2, "statuscode": 5, "actualvalue": 1}
    Planned(workspace, OPPORTUNITY, [row], [record])
    (sample,) = samples(workspace.query(sample_query(5)))
    shown = [(change.column, change.before, change.after) for change in sample.columns]
    assert shown == [("name", "b", "a"), ("statecode", 2, 1), ("statuscode", 5, 3)]


FOLLOWING = {1: (2, 9), 9: (1,), 2: (1,), 5: ()}
STRICT = entity("new_thing", USUAL, FOLLOWING)


@pytest.mark.parametrize("dropped", ["ignore", "delete"])
def test_a_transition_that_is_not_allowed_rejects_the_row_and_names_the_allowed_ones(
    workspace: Workspace, dropped: str
) -> None:
    """The record stays, is not dropped, and other rows go on."""
    rows = [{"statuscode": each} for each in ("Merged", "Inactive", "Active", "New", "Merged", "Inactive")]
    records = [{"statecode": state, "statuscode": status} for state, status in ((0, 1), (0, 9), (1, 5), (0, 1), (1, 5))]
    planned = Planned(workspace, STRICT, rows, records, dropped=dropped)
    assert planned.errors == [
        (
            1,
            "statuscode",
            "Transition Not Allowed",
            "the status reason 1 Active can change only to 2 Inactive, 9 New",
        ),
        (2, "statuscode", "Transition Not Allowed", "the status reason 9 New can change only to 1 Active"),
        (
            3,
            "statuscode",
            "Transition Not Allowed",
            "the table does not allow another status reason after 5 Merged",
        ),
    ]
    assert [change[0] for change in planned.changes] == ["insert", "update"]
    assert planned.decisions == ["ignored", "ignored", "ignored", "update", "unchanged", "insert"]


def test_a_new_record_must_be_able_to_get_from_the_first_status_to_its_own(workspace: Workspace) -> None:
    """It is created with the default status before it is closed."""
    planned = Planned(workspace, STRICT, [{"statuscode": "Merged"}, {"statuscode": "New"}])
    assert [error[0] for error in planned.errors] == [1]
    assert [(change[0], change[1]) for change in planned.changes] == [("insert", {"statuscode": 9})]


@pytest.mark.parametrize(("held", "is_new"), [((0, 1), False), (None, True)], ids=["update", "new record"])
def test_the_status_that_follows_a_state_is_noted_before_the_write(
    workspace: Workspace, held: tuple[int, int] | None, *, is_new: bool
) -> None:
    """A run that is interrupted then knows its own status again."""
    write = {"statecode": "unless_edited"}
    records = [{"statecode": held[0], "statuscode": held[1]}] if held else []
    planned = Planned(
        workspace,
        ACCOUNT,
        [{"statecode": "Inactive"}],
        records,
        written=[{"statecode": 0, "statuscode": 1}],
        write=write,
    )
    assert [change[0] for change in planned.changes] == ["insert" if is_new else "update"]
    sync = definition(["statecode"], write=write)
    for step in before_writing(sync, layout(sync, ACCOUNT), with_ids=True):
        workspace.run(step)
    ((pending,),) = workspace.query("SELECT pending FROM ledger_before")
    between = {"statecode": ["0", "1"], "statuscode": ["1", "2"]}  # a new record is active at first
    assert json.loads(pending) == (between if is_new else {"statecode": ["1"], "statuscode": ["2"]})


GUARDED = {"statecode": "unless_edited", "statuscode": "unless_edited"}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"statecode": 0, "statuscode": 1}, {"statecode": 1, "statuscode": 5}),
        ({"statecode": 0}, {"statecode": 1, "statuscode": 5}),
        ({"statecode": 0, "statuscode": 9}, None),
        ({"statuscode": 1}, {"statecode": 1, "statuscode": 5}),
        ({"statuscode": 9}, None),
        ({}, None),
        ({"statecode": 0, "pending": {"statuscode": "9"}}, None),
        ({"pending": {"statecode": "0", "statuscode": "1"}}, {"statecode": 1, "statuscode": 5}),
        ({"pending": {"statecode": "0", "statuscode": "9"}}, None),
    ],
)
def test_state_and_status_are_written_together_or_not_at_all(
    workspace: Workspace, written: dict[str, Any], sent: dict[str, int] | None
) -> None:
    """A status says its state too, so it decides for both; where nothing is known of it, the state does."""
    row, record = {"statecode": "Inactive", "statuscode": "Merged"}, {"statecode": 0, "statuscode": 1}
    planned = Planned(workspace, ACCOUNT, [row], [record], written=[written], write=GUARDED)
    found = {name: value for _, first, _, _ in planned.changes for name, value in first.items()}
    reported = {name for (name,) in workspace.query('SELECT "column" FROM target_errors')}
    assert found == (sent or {})
    assert bool(reported) is (sent is None)


@pytest.mark.parametrize(
    ("held", "noted"),
    [(1, {"statecode": "0", "statuscode": "1"}), (9, {})],
    ids=["equal pair", "another status"],
)
def test_a_state_counts_as_written_only_with_its_status(workspace: Workspace, held: int, noted: dict[str, str]) -> None:
    """Nothing is known of a record before both are equal to its row once."""
    row, record = {"statecode": "Active", "statuscode": "1"}, {"statecode": 0, "statuscode": held}
    Planned(workspace, ACCOUNT, [row], [record], written=[{}], write=GUARDED)
    workspace.execute("CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, sent BOOLEAN)")
    sync = definition([*row], write=GUARDED)
    columns = layout(sync, ACCOUNT)
    for step in (*before_writing(sync, columns, with_ids=True), *after_writing(sync, columns)):
        workspace.run(step)
    assert [json.loads(text) for (text,) in workspace.query("SELECT written FROM ledger_after")] == (
        [noted] if noted else []
    )


def test_the_state_in_between_is_noted_before_the_write(workspace: Workspace) -> None:
    """A run that is interrupted then, or whose second request is refused, knows it for its own."""
    row, record = {"statecode": "Won", "statuscode": "Won"}, {"statecode": 2, "statuscode": 5}
    planned = Planned(workspace, OPPORTUNITY, [row], [record], written=[record], write=GUARDED)
    assert [change[0] for change in planned.changes] == ["update"]
    sync = definition([*row], write=GUARDED)
    columns = layout(sync, OPPORTUNITY)
    for step in before_writing(sync, columns, with_ids=True):
        workspace.run(step)
    ((pending,),) = workspace.query("SELECT pending FROM ledger_before")
    assert json.loads(pending) == {"statecode": ["0", "1"], "statuscode": ["5", "1", "3"]}
    workspace.execute(
        "CREATE TABLE outcomes AS SELECT _change, 'failed' AS result, _id AS id, false AS sent FROM changes"
    )
    for step in after_writing(sync, columns):
        workspace.run(step)
    assert workspace.query("SELECT written, pending FROM ledger_after") == [
        ('{"statecode":"0","statuscode":"1"}', None)
    ]


@pytest.mark.parametrize(
    ("mark", "held", "first", "second"),
    [
        ({"statecode": "'Resolved'"}, (0, 1), {}, {"statecode": 1, "statuscode": 5, "@close": {}}),
        ({"statuscode": "5"}, (0, 1), {}, {"statecode": 1, "statuscode": 5, "@close": {}}),
        ({"statecode": "2"}, (1, 5), {"statecode": 0, "statuscode": 1}, {"statecode": 2, "statuscode": 6}),
        ({"statecode": "2", "name": "'gone'"}, (0, 1), {"name": "gone", "statecode": 2, "statuscode": 6}, None),
    ],
)
def test_a_mark_takes_the_requests_that_an_update_takes(
    workspace: Workspace,
    mark: dict[str, str],
    held: tuple[int, int],
    first: dict[str, Any],
    second: dict[str, Any] | None,
) -> None:
    """A state that only an action sets, and one that a closed record gets by way of the first state."""
    record = {"number": "N2", "statecode": held[0], "statuscode": held[1]}
    planned = Planned(workspace, INCIDENT, [{"actualvalue": "1"}], [record], dropped={"set": mark})
    _, (action, sent, later, columns) = planned.changes
    assert (action, sent, later) == ("mark", first, second)
    assert set(columns.split(",")) >= {"statecode", "statuscode"}
