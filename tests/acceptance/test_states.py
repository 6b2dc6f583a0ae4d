"""State and status: over HTTP, in batches and in events, and twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.app.undoing import undo
from shared.cli.real_time import feed
from shared.jobs import NoProgress, RunOptions, RunState, RunSummary
from tests.acceptance.world import World, world

DEFINITIONS: Final = Path(__file__).parent / "definitions"
SCHEMA: Final[Mapping[str, Any]] = {
    "Opportunity": {"keys": {"new_number_key": ["new_number"]}, "columns": {"new_Number": {"type": "String"}}},
    "new_Permit": {
        "label": "Permit",
        "columns": {"new_Code": {"type": "String"}, "new_Note": {"type": "String"}},
        "keys": {"new_code_key": ["new_code"]},
        "enforce_state_transitions": True,
        "states": {
            0: {
                "label": "Active",
                "statuses": {
                    1: {"label": "Asked", "transitions": [2, 3]},
                    2: {"label": "Granted", "transitions": [4]},
                },
            },
            1: {
                "label": "Inactive",
                "statuses": {3: {"label": "Refused"}, 4: {"label": "Expired", "transitions": [2]}},
            },
        },
    },
}
Rows = Sequence[Mapping[str, Any]]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("states")
    rows = folder / "cases.yaml"
    rows.write_text(yaml.safe_dump(cases()), "utf-8")
    closed = folder / "quotes.yaml"
    closed.write_text(yaml.safe_dump(quotes()), "utf-8")
    with world(folder, tables=SCHEMA, seed=[f"cases={rows}", f"quotes={closed}"]) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.emulator.clear_faults()
    Path(shared_world.environment["SOURCE"]).unlink(missing_ok=True)  # `validate` reads what another test left
    for path in DEFINITIONS.glob("*.yaml"):
        if path.stem in {"states", "opportunities", "cases", "quotes", "transitions"}:
            shared_world.define(path.read_text("utf-8"), path.stem)
    return shared_world


def change(here: World, name: str, **behaviour: Any) -> None:
    """The definition with other rules."""
    document = yaml.safe_load((DEFINITIONS / f"{name}.yaml").read_text("utf-8"))
    document["sync_behaviour"] |= behaviour
    here.define(yaml.safe_dump(document), name)


def guard_opportunities(here: World) -> None:
    """Let name and status be written unless they were edited."""
    definition = yaml.safe_load((DEFINITIONS / "opportunities.yaml").read_text("utf-8"))
    for mapping in definition["destination"]["mappings"]:
        if mapping["target"] in {"name", "statuscode"}:
            mapping["write"] = "unless_edited"
    here.define(definition, "opportunities")


def run(here: World, name: str, rows: Rows) -> RunSummary:
    """Run a sync, and again: the second run plans nothing, if nothing went wrong in the first."""
    here.csv(rows)
    done = here.run(name)
    again = here.run(name)
    if done.strategy == "full":
        assert again.created.planned + again.updated.planned + again.deleted.planned == done.failed
    return done


def send(here: World, name: str, records: Rows) -> dict[str, int]:
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **record}) + "\n" for record in records), "utf-8")
    return dict(feed(here.app, name, str(path)).syncs[name])


def apply(here: World, name: str, rows: Rows, *, events: bool) -> None:
    """Write rows to the target, in a batch or as events; a second time has no effect."""
    if not events:
        assert run(here, name, rows).failed == 0
        return
    assert "failed" not in send(here, name, rows)
    assert send(here, name, rows) == {"events": len(rows), "unchanged": len(rows)}


def held(here: World, entity_set: str, key: str, columns: str = "statecode,statuscode") -> dict[str, tuple[Any, ...]]:
    names = columns.split(",")
    records = here.records(f"{entity_set}?$select={key},{columns}")
    return {record[key]: tuple(record[name] for name in names) for record in records}


BOTH_WAYS = pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])


# -- Pairs ---------------------------------------------------------------------------------------------------------

ACCOUNTS: Final = (
    ({"number": "A1", "name": "both", "state": "Inactive", "status": "Inactive"}, (1, 2)),
    ({"number": "A2", "name": "values", "state": "0", "status": "1"}, (0, 1)),
    ({"number": "A3", "name": "state alone", "state": "inactive", "status": None}, (1, 2)),
    ({"number": "A4", "name": "status alone", "state": None, "status": "Inactive"}, (1, 2)),
    ({"number": "A5", "name": "neither", "state": None, "status": None}, (0, 1)),
)


@BOTH_WAYS
def test_a_missing_state_or_status_is_filled_in(here: World, *, events: bool) -> None:
    """New and existing records, in both directions; inactive ones accept other columns too."""
    rows = [row for row, _ in ACCOUNTS]
    apply(here, "states", rows, events=events)
    expected = {str(row["number"]): pair for row, pair in ACCOUNTS}
    assert held(here, "accounts", "accountnumber") == expected
    renamed = [{**row, "name": f"{row['name']} again"} for row in rows]
    apply(here, "states", renamed, events=events)
    assert held(here, "accounts", "accountnumber") == expected
    assert {name for (name,) in held(here, "accounts", "accountnumber", "name").values()} == {
        f"{row['name']} again" for row in rows
    }
    turned = [{**row, "state": 1 - pair[0], "status": None} for row, pair in ACCOUNTS]
    apply(here, "states", turned, events=events)
    assert held(here, "accounts", "accountnumber") == {
        number: ((1, 2) if pair == (0, 1) else (0, 1)) for number, pair in expected.items()
    }


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_a_status_alone_makes_new_records_inactive_without_reading_the_target(here: World, strategy: str) -> None:
    """The record is created, then set."""
    change(here, "states", strategy=strategy)
    here.csv([row for row, _ in ACCOUNTS])
    assert here.run("states").failed == 0
    assert held(here, "accounts", "accountnumber") == {str(row["number"]): pair for row, pair in ACCOUNTS}


def test_a_status_of_another_state_rejects_its_row(here: World) -> None:
    """The message names the status reasons of the state; the other rows are written."""
    rows = [
        {"number": "A1", "name": "a", "state": "Active", "status": "Inactive"},
        {"number": "A2", "name": "b", "state": "Active", "status": "Active"},
    ]
    done = run(here, "states", rows)
    assert (done.state, done.source.rejected, done.created.done) == (RunState.COMPLETED_WITH_ERRORS, 1, 1)
    (error,) = done.errors
    assert (error.error_type, error.column) == ("Invalid Status", "status")
    assert error.message == "the status reasons of 0 Active are 1 Active, and this is not one of them"
    assert send(here, "states", rows) == {"events": 2, "lost": 1, "unchanged": 1}


def test_the_last_event_with_a_state_decides(here: World) -> None:
    """Fields that an event does not have are not changed."""
    apply(here, "states", [{"number": "A1", "name": "a", "state": "Active", "status": None}], events=True)
    send(here, "states", [{"number": "A1", "status": "Inactive"}, {"number": "A1", "name": "b"}])
    assert held(here, "accounts", "accountnumber") == {"A1": (1, 2)}
    send(here, "states", [{"number": "A1", "status": "Inactive"}, {"number": "A1", "state": "Active"}])
    assert held(here, "accounts", "accountnumber") == {"A1": (0, 1)}
    send(here, "states", [{"number": "A1", "state": "Active"}, {"number": "A1", "status": "Inactive"}])
    assert held(here, "accounts", "accountnumber") == {"A1": (1, 2)}


# -- Opportunities -------------------------------------------------------------------------------------------------

DEALS: Final = (
    ({"number": "D1", "name": "open", "stage": "In Progress", "closed": None, "amount": None}, (0, 1, None, None)),
    ({"number": "D2", "name": "on hold", "stage": "On Hold", "closed": None, "amount": None}, (0, 2, None, None)),
    (
        {"number": "D3", "name": "won", "stage": "Won", "closed": "2024-02-03", "amount": 12.5},
        (1, 3, "2024-02-03", 12.5),
    ),
    (
        {"number": "D4", "name": "lost", "stage": "Out-Sold", "closed": "2024-02-04", "amount": 0},
        (2, 5, "2024-02-04", 0),
    ),
)
CLOSED = "statecode,statuscode,actualclosedate,actualvalue"
STAGES = {"In Progress": (0, 1), "On Hold": (0, 2), "Won": (1, 3), "Canceled": (2, 4), "Out-Sold": (2, 5)}


def deals(here: World) -> dict[str, tuple[Any, ...]]:
    return held(here, "opportunities", "new_number", CLOSED)


@BOTH_WAYS
def test_opportunities_are_created_open_and_closed_with_the_values_of_the_source(here: World, *, events: bool) -> None:
    """Date and revenue are those of the row, not of the time of the sync."""
    apply(here, "opportunities", [row for row, _ in DEALS], events=events)
    assert deals(here) == {str(row["number"]): record for row, record in DEALS}
    subjects = {each["subject"] for each in here.records("opportunitycloses?$select=subject")}
    assert subjects == {"Won", "Out-Sold"}


@BOTH_WAYS
def test_opportunities_go_from_every_status_to_every_other(here: World, *, events: bool) -> None:
    """Closed, reopened, closed in another way, with another reason; the name changes at the same time."""
    pairs = [(old, new) for old in STAGES for new in STAGES]
    rows = [
        {"number": f"D{n}", "name": "a", "stage": old, "closed": None, "amount": None}
        for n, (old, _) in enumerate(pairs)
    ]
    apply(here, "opportunities", rows, events=events)
    moved = [{**row, "name": "b", "stage": new} for row, (_, new) in zip(rows, pairs, strict=True)]
    apply(here, "opportunities", moved, events=events)
    found = held(here, "opportunities", "new_number", "statecode,statuscode,name")
    assert found == {f"D{n}": (*STAGES[new], "b") for n, (_, new) in enumerate(pairs)}


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_events_close_opportunities_without_reading_them(here: World, strategy: str) -> None:
    """From every status to every closed one: if the action is refused, the state of the record is read."""
    change(here, "opportunities", strategy=strategy)
    pairs = [(old, new) for old in STAGES for new in STAGES]
    rows = [{"number": f"D{n}", "name": "a", "stage": old} for n, (old, _) in enumerate(pairs)]
    counts = send(here, "opportunities", [{"op": "c", **row} for row in rows])
    assert counts == {"events": 25, ("upsert" if strategy == "upsert" else "insert"): 25}
    moved = [{**row, "name": "b", "stage": new} for row, (_, new) in zip(rows, pairs, strict=True)]
    assert "failed" not in send(here, "opportunities", moved)
    found = held(here, "opportunities", "new_number", "statecode,statuscode,name")
    assert found == {f"D{n}": (*STAGES[new], "b") for n, (_, new) in enumerate(pairs)}


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_opportunities_are_closed_without_reading_the_target(here: World, strategy: str) -> None:
    """An upsert over records that are closed already counts as applied."""
    change(here, "opportunities", strategy=strategy)
    here.csv([row for row, _ in DEALS])
    for _ in range(2 if strategy == "upsert" else 1):
        assert here.run("opportunities").failed == 0
        assert deals(here) == {str(row["number"]): record for row, record in DEALS}


REFUSING: Final = {
    "action": "status",
    "status": 400,
    "code": "0x80040265",
    "message": "Not yet.",
    "match": {"path": "WinOpportunity"},
}


@BOTH_WAYS
def test_a_refused_action_is_one_failed_change(here: World, *, events: bool) -> None:
    """The record exists; the next run continues from it."""
    here.emulator.faults([{**REFUSING, "times": 2}])  # once more after a look at the record
    rows = [row for row, _ in DEALS]
    if events:
        assert send(here, "opportunities", rows) == {"events": 4, "insert": 3, "failed": 1, "lost": 1}
    else:
        here.csv(rows)
        done = here.run("opportunities")
        assert (done.created.done, done.failed) == (3, 1)
        assert [error.message for error in done.errors] == [
            "the record was created, but some columns were refused: Not yet."
        ]
    assert deals(here)["D3"][:2] == (0, 1)
    here.emulator.clear_faults()
    here.csv(rows)
    done = here.run("opportunities")
    assert (done.updated.done, done.created.planned, done.failed) == (1, 0, 0)
    assert deals(here) == {str(row["number"]): record for row, record in DEALS}


@BOTH_WAYS
@pytest.mark.parametrize("stage", [None, "In Progress", "Out-Sold"])
def test_what_was_written_before_a_refused_action_is_no_edit(here: World, stage: str | None, *, events: bool) -> None:
    """The name, and the open state of a new record or of one that was closed in another way."""
    guard_opportunities(here)

    def write(name: str, stage: str) -> None:
        row = {"number": "D1", "name": name, "stage": stage, "closed": None, "amount": None}
        if events:
            send(here, "opportunities", [row])
        else:
            here.csv([row])
            here.run("opportunities")

    if stage:
        write("a", stage)
    here.emulator.faults([{**REFUSING, "times": 9}])
    write("b", "Won")
    here.emulator.clear_faults()
    columns = "name,statecode,statuscode"
    assert held(here, "opportunities", "new_number", columns) == {"D1": ("b", 0, 1)}
    write("c", "Won")
    assert held(here, "opportunities", "new_number", columns) == {"D1": ("c", 1, 3)}


def test_what_an_undo_wrote_before_a_refused_action_is_no_edit(here: World) -> None:
    """The next run writes the rows again."""
    guard_opportunities(here)
    for name, stage in (("a", "Won"), ("b", "Out-Sold")):
        here.csv([{"number": "D1", "name": name, "stage": stage, "closed": None, "amount": None}])
        done = here.run("opportunities")
    here.emulator.faults([{**REFUSING, "times": 9}])
    undone = here.app.state.run(done.run_id)
    assert undone is not None
    assert undo(here.app, undone, RunOptions(trigger="undo"), NoProgress()).failed == 1
    here.emulator.clear_faults()
    here.app.state.resume("opportunities")
    columns = "name,statecode,statuscode"
    assert held(here, "opportunities", "new_number", columns) == {"D1": ("a", 0, 1)}
    assert here.run("opportunities").updated.done == 1
    assert held(here, "opportunities", "new_number", columns) == {"D1": ("b", 2, 5)}


@pytest.mark.parametrize("write", ["always", "unless_edited"])
def test_an_action_that_is_refused_once_is_sent_once_more(here: World, write: str) -> None:
    """Also where the change names the version of the record: the action is no update with that condition."""
    here.forget()
    document = yaml.safe_load((DEFINITIONS / "opportunities.yaml").read_text("utf-8"))
    for mapping in document["destination"]["mappings"]:
        if mapping["target"] == "statuscode":
            mapping["write"] = write
    here.define(yaml.safe_dump(document), "opportunities")
    row = {"number": "D1", "name": "a", "stage": "In Progress", "closed": None, "amount": 1}
    run(here, "opportunities", [row])
    here.emulator.faults([{**REFUSING, "times": 1}])
    assert run(here, "opportunities", [{**row, "stage": "Won"}]).failed == 0
    assert deals(here)["D1"][:2] == (1, 3)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop_after", "match": {"path": "$batch"}, "times": 2},
        {"action": "drop_before", "match": {"path": "$batch"}, "times": 2},
        {"action": "status", "status": 429, "retry_after": 1, "match": {"path": "$batch"}, "times": 2},
        {"action": "status", "status": 503, "retry_after": 1, "match": {"path": "$batch"}, "times": 1},
        {"action": "status", "code": "0x80044150", "match": {"path": "WinOpportunity"}, "times": 2},
    ],
    ids=["answer lost", "request lost", "throttled", "away", "deadlock"],
)
def test_faults_of_an_action_close_each_record_once(here: World, fault: Mapping[str, Any]) -> None:
    """It is sent again, and a record with the wanted state counts as applied."""
    here.emulator.faults([dict(fault)])
    rows = [{"number": f"D{n}", "name": "a", "stage": "Won", "closed": None, "amount": n} for n in range(120)]
    here.csv(rows)
    done = here.run("opportunities")
    assert (done.created.done, done.failed, done.skipped) == (120, 0, 0)
    assert len(here.records("opportunitycloses?$select=subject")) == 120
    assert here.run("opportunities").updated.planned == 0


def test_plan_shows_what_an_opportunity_will_be(here: World) -> None:
    """State and status before and after, whatever requests that takes."""
    apply(here, "opportunities", [row for row, _ in DEALS], events=False)
    here.csv([{**row, "stage": "Won"} for row, _ in DEALS])
    shown = {
        sample.key["new_number"]: [(each.column, each.before, each.after) for each in sample.columns]
        for sample in here.plan("opportunities").sample
    }
    assert shown == {
        "D1": [("statuscode", 1, 3), ("statecode", 0, 1)],
        "D2": [("statuscode", 2, 3), ("statecode", 0, 1)],
        "D4": [("statuscode", 5, 3), ("statecode", 2, 1)],
    }


# -- Cases ---------------------------------------------------------------------------------------------------------


CASES: Final = {"Active": (0, 1), "Resolved": (1, 5), "Canceled": (2, 6)}


def cases() -> dict[str, Any]:
    """A customer with three cases of each state."""
    customer = "11111111-1111-1111-1111-111111111111"
    pairs = [pair for pair in CASES.values() for _ in CASES]
    return {
        "account": [{"accountid": customer, "name": "customer"}],
        "incident": [
            {
                "ticketnumber": f"C{n}",
                "title": "a",
                "customerid_account@odata.bind": f"/accounts({customer})",
                "statecode": state,
                "statuscode": status,
            }
            for n, (state, status) in enumerate(pairs)
        ],
    }


def quotes() -> dict[str, Any]:
    """A quote of each state."""
    return {
        "quote": [
            {"quotenumber": f"Q{state}", "name": "a", "statecode": state, "statuscode": status}
            for state, status in enumerate((1, 2, 4, 5))
        ]
    }


@BOTH_WAYS
def test_cases_are_resolved_canceled_and_reopened(here: World, *, events: bool) -> None:
    """Resolved by the action, canceled by an update, and from one to the other by way of Active."""
    pairs = [(old, new) for old in CASES for new in CASES]
    here.emulator.seed("cases")
    rows = [{"ticket": f"C{n}", "title": "b", "state": new} for n, (_, new) in enumerate(pairs)]
    apply(here, "cases", rows, events=events)
    found = held(here, "incidents", "ticketnumber", "statecode,statuscode,title")
    assert found == {f"C{n}": (*CASES[new], "b") for n, (_, new) in enumerate(pairs)}


# -- Quotes --------------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_closed_quotes_are_reopened_before_they_are_written(here: World, *, events: bool) -> None:
    """A closed quote is read-only; one that is open is only written."""
    here.emulator.seed("quotes")
    rows = [{"number": f"Q{state}", "name": "b"} for state in range(4)]
    apply(here, "quotes", rows, events=events)
    found = held(here, "quotes", "quotenumber", "statecode,statuscode,name")
    assert found == {f"Q{state}": (0, 1, "b") for state in range(4)}


@pytest.mark.parametrize("value", ["'Won'", "'Closed'", "3"])
def test_validate_names_the_actions_that_close_quotes(here: World, value: str) -> None:
    """With the file, the line and the column of the constant."""
    text = (DEFINITIONS / "quotes.yaml").read_text("utf-8")
    path = here.folder / "syncs" / "quotes.yaml"
    here.define(text.replace("'Draft'", value), "quotes")
    (problem,) = here.app.validate(["quotes"])
    line = next(n for n, each in enumerate(text.splitlines(), start=1) if "'Draft'" in each)
    assert str(problem).startswith(f"{path}:{line}:")
    assert "only the actions WinQuote and CloseQuote set the states 2 Won, 3 Closed" in str(problem)


# -- Transitions ---------------------------------------------------------------------------------------------------

PERMITS = [{"code": f"P{n}", "note": "a", "phase": "Asked"} for n in range(3)]


def test_a_transition_that_the_table_does_not_allow_rejects_the_row(here: World) -> None:
    """The message has the allowed ones; the record is neither changed nor dropped."""
    assert run(here, "transitions", PERMITS).created.done == 3
    moved = [
        {**row, "note": "b", "phase": phase}
        for row, phase in zip(PERMITS, ["Granted", "Expired", "Refused"], strict=True)
    ]
    done = run(here, "transitions", moved)
    assert (done.updated.done, done.deleted.planned, done.source.rejected, done.failed) == (2, 0, 1, 0)
    (error,) = done.errors
    assert (error.error_type, error.column, error.rows) == ("Transition Not Allowed", "statuscode", (2,))
    assert error.message == "the status reason 1 Asked can change only to 2 Granted, 3 Refused"
    assert held(here, "new_permits", "new_code", "statecode,statuscode,new_note") == {
        "P0": (0, 2, "b"),
        "P1": (0, 1, "a"),
        "P2": (1, 3, "b"),
    }


def test_an_event_with_a_forbidden_transition_is_a_dead_letter(here: World) -> None:
    """It has the same message; the others are applied."""
    assert send(here, "transitions", PERMITS)["insert"] == 3
    counts = send(
        here,
        "transitions",
        [{"code": "P0", "phase": "Granted"}, {"code": "P1", "phase": "Expired"}, {"code": "P2", "note": "b"}],
    )
    assert counts == {"events": 3, "update": 2, "failed": 1, "lost": 1}
    assert held(here, "new_permits", "new_code", "statecode,statuscode,new_note") == {
        "P0": (0, 2, "a"),
        "P1": (0, 1, "a"),
        "P2": (0, 1, "b"),
    }


def test_a_new_record_that_cannot_get_its_status_is_not_created(here: World) -> None:
    """A permit is asked for before it can expire."""
    done = run(
        here,
        "transitions",
        [{"code": "P1", "note": "a", "phase": "Expired"}, {"code": "P2", "note": "a", "phase": "Refused"}],
    )
    assert (done.created.done, done.source.rejected) == (1, 1)
    assert held(here, "new_permits", "new_code") == {"P2": (1, 3)}


@BOTH_WAYS
def test_the_status_of_a_table_with_transitions_is_written_unless_a_person_edited_it(
    here: World, *, events: bool
) -> None:
    """An edited status keeps its value; one that nobody edited gets only what the table allows."""
    document = yaml.safe_load((DEFINITIONS / "transitions.yaml").read_text("utf-8"))
    document["destination"]["mappings"][2]["write"] = "unless_edited"
    here.define(yaml.safe_dump(document), "transitions")
    apply(here, "transitions", PERMITS, events=events)
    (edited,) = here.records("new_permits?$select=new_permitid&$filter=new_code eq 'P0'")
    here.update(f"new_permits({edited['new_permitid']})", {"statuscode": 2})
    moved = [{**row, "phase": phase} for row, phase in zip(PERMITS, ["Refused", "Refused", "Expired"], strict=True)]
    if events:
        counts = send(here, "transitions", moved)
        assert (counts["edited"], counts["update"], counts["failed"]) == (1, 1, 1)
    else:
        done = run(here, "transitions", moved)
        assert (done.updated.done, done.source.rejected, done.failed) == (1, 1, 0)
        assert {error.error_type for error in done.errors} == {"Edited in target", "Transition Not Allowed"}
    assert held(here, "new_permits", "new_code") == {"P0": (0, 2), "P1": (1, 3), "P2": (0, 1)}


# -- Explained -----------------------------------------------------------------------------------------------------


def test_explain_shows_how_a_state_is_filled_in_and_a_record_closed(here: World) -> None:
    """The SQL has the table's own options."""
    text = "\n".join(step.sql for step in here.app.explain("opportunities"))
    assert "@close" in text
    assert 'CASE "statuscode" WHEN 1 THEN 0' in text
