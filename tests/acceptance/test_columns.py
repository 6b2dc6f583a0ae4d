"""Columns that a create or an update does not take, that are never empty, or that the service fills in: over HTTP, twice.

The emulator says of each column what Dataverse's metadata says, and passes over what is not valid for an operation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.cli.real_time import feed
from shared.jobs import RunSummary
from tests.acceptance.world import World, accounts, world


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("columns")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.emulator.clear_faults()
    return shared_world


def define(here: World, columns: Mapping[str, str], kinds: Mapping[str, str] | None = None, **behaviour: Any) -> None:
    """A sync of accounts by number, with further columns: name in the file -> target column."""
    kinds = kinds or {}
    read = [{"name": name, "type": kinds.get(name, "text")} for name in columns]
    definition = accounts(
        source={"columns": [{"name": "number", "mandatory": True, "validate": True}, *read]},
        destination={
            "mappings": [
                {"source": "number", "target": "accountnumber"},
                *({"source": name, "target": target} for name, target in columns.items()),
            ]
        },
        sync_behaviour={"sync_key": ["accountnumber"], **behaviour},
    )
    here.define(definition)


def run(here: World, rows: Sequence[Mapping[str, object]]) -> RunSummary:
    here.csv(rows)
    return here.run()


def assert_settled(here: World) -> None:
    """Another run over the same source plans nothing."""
    again = here.run()
    planned = (again.created, again.updated, again.deleted)
    assert [change.planned for change in planned] == [0, 0, 0], again.errors


def held(here: World, columns: str) -> dict[str, Any]:
    found = here.records(f"accounts?$select=accountnumber,{columns}")
    return {record["accountnumber"]: [record[name] for name in columns.split(",")] for record in found}


STATES = {"state": "statecode", "status": "statuscode", "name": "name"}
ROWS = [
    {"number": "A1", "name": "one", "state": "Active", "status": "Active"},
    {"number": "A2", "name": "two", "state": "Inactive", "status": "Inactive"},
    {"number": "A3", "name": "three", "state": "1", "status": "2"},
]
WANTED = {"A1": [0, 1, "one"], "A2": [1, 2, "two"], "A3": [1, 2, "three"]}


@pytest.mark.parametrize("columns", [STATES, {"state": "statecode", "name": "name"}], ids=["pair", "state alone"])
def test_inactive_records_are_created_and_made_inactive_in_one_run(here: World, columns: Mapping[str, str]) -> None:
    """One row, one outcome: created, once both requests are answered."""
    define(here, columns)
    done = run(here, [{name: row[name] for name in ("number", *columns)} for row in ROWS])
    assert (done.state.value, done.created.done, done.failed) == ("Succeeded", 3, 0)
    assert held(here, "statecode,statuscode,name") == WANTED
    assert_settled(here)


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_without_reading_the_target_inactive_records_are_the_same(here: World, strategy: str) -> None:
    """New records are inactive after one run, and an upsert keeps existing ones inactive."""
    define(here, STATES, strategy=strategy)
    for number in range(2 if strategy == "upsert" else 1):
        done = run(here, ROWS)
        assert (done.state.value, done.failed) == ("Succeeded", 0), number
        assert held(here, "statecode,statuscode,name") == WANTED
    define(here, STATES)
    assert_settled(here)


def test_an_upsert_makes_records_active_and_inactive_again(here: World) -> None:
    """The state of existing records is written, in either direction."""
    define(here, STATES, strategy="upsert")
    run(here, ROWS)
    run(here, [{**row, "state": int(row["number"] == "A1"), "status": 1 + (row["number"] == "A1")} for row in ROWS])
    assert held(here, "statecode,statuscode") == {"A1": [1, 2], "A2": [0, 1], "A3": [0, 1]}


def test_a_state_that_is_refused_fails_the_row_and_names_its_record(here: World) -> None:
    """The row counts as failed and not as created, other rows are written, and the next run continues from there."""
    define(here, STATES)
    refusing = {"action": "refuse_rows", "match": {"filter": "statecode eq 1"}, "message": "Not inactive."}
    here.emulator.faults([refusing])
    done = run(here, ROWS)
    assert (done.created.done, done.created.planned, done.failed) == (1, 3, 2)
    (error,) = done.errors
    assert error.message == "the record was created, but some columns were refused: Not inactive."
    assert held(here, "statecode") == {"A1": [0], "A2": [0], "A3": [0]}
    here.emulator.clear_faults()
    again = here.run()
    assert (again.created.planned, again.updated.done, again.failed) == (0, 2, 0)
    assert held(here, "statecode,statuscode,name") == WANTED


SINCE = {"since": "overriddencreatedon", "batch": "importsequencenumber"}
KINDS = {"since": "date", "batch": "number"}


@pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
def test_columns_that_only_a_create_accepts_are_written_to_new_records(here: World, strategy: str) -> None:
    """The creation date and the import number are those of the source, with every strategy."""
    define(here, SINCE, KINDS, strategy=strategy)
    done = run(here, [{"number": "A1", "since": "2001-02-03", "batch": 7}])
    assert done.state.value == "Succeeded"
    assert held(here, "createdon,importsequencenumber") == {"A1": ["2001-02-03T00:00:00Z", 7]}
    define(here, SINCE, KINDS)
    again = here.run()
    assert (again.updated.planned, again.errors) == (0, ())


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_a_column_that_only_a_create_writes_is_kept_and_reported(here: World, strategy: str) -> None:
    """An existing record keeps its values; a run that compares reports the rows that differ, and does not fail."""
    define(here, SINCE, KINDS, strategy=strategy)
    run(here, [{"number": "A1", "since": "2001-02-03", "batch": 7}, {"number": "A2", "since": "", "batch": 8}])
    done = run(here, [{"number": "A1", "since": "2002-02-03", "batch": 9}, {"number": "A2", "since": "", "batch": 8}])
    assert done.state.value == "Succeeded"
    assert held(here, "createdon,importsequencenumber")["A1"] == ["2001-02-03T00:00:00Z", 7]
    told = {(error.error_type, error.column, error.rows) for error in done.errors}
    if strategy == "full":
        assert {("Create-Only Column", "importsequencenumber", (1,))} <= told
        assert ("Create-Only Column", (1,)) in {(kind, rows[:1]) for kind, column, rows in told if column != "batch"}
    else:
        assert told == set()


def test_an_empty_value_is_no_default(here: World) -> None:
    """New records have the empty value of the source. The service uses its default only if the column is not sent."""
    columns = {"hold": "creditonhold", "rating": "accountratingcode"}
    define(here, columns)
    run(here, [{"number": "A1", "hold": "", "rating": ""}, {"number": "A2", "hold": "yes", "rating": "1"}])
    assert held(here, "creditonhold,accountratingcode") == {"A1": [None, None], "A2": [True, 1]}
    assert_settled(here)


def test_an_empty_value_for_a_required_column_is_reported_before_any_request(here: World) -> None:
    """The rest of the row is synced, no change is refused, and the second run plans nothing."""
    define(here, {"name": "name", "state": "statecode"})
    run(here, [{"number": "A1", "name": "one", "state": "1"}])
    done = run(here, [{"number": "A1", "name": "uno", "state": ""}])
    assert (done.updated.done, done.failed, done.violations) == (1, 0, 1)
    (error,) = done.errors
    assert (error.error_type, error.column) == ("Mandatory Rule Violation", "state")
    assert held(here, "name,statecode") == {"A1": ["uno", 1]}
    assert_settled(here)


def test_a_plan_names_the_character_that_the_service_would_refuse(here: World) -> None:
    """Before anything is sent, with its place in the text."""
    define(here, {"name": "name"})
    here.csv([{"number": "A1", "name": "bell\x07"}, {"number": "A2", "name": "fine"}])
    report = here.plan()
    assert (report.plan.counts.insert, report.source.rejected) == (1, 1)
    done = here.run()
    (error,) = done.errors
    assert (error.rows, error.message.partition(",")[0]) == ((1,), "character 5 is U+0007")


NAMED_VALUE = """
new_Deal:
  change_tracking: true
  columns:
    new_Code: {type: String, length: 20}
    new_Contract_Value: {type: Integer}
"""


def test_a_column_whose_name_ends_like_that_of_a_lookup_is_a_column(tmp_path: Path) -> None:
    """In a filter, in a mirror, and in the record of an event that came without it."""
    with world(tmp_path, tables=yaml.safe_load(NAMED_VALUE)) as here:
        columns = [{"name": "new_code"}, {"name": "new_contract_value", "type": "number"}]
        sync = accounts(sync_behaviour={"sync_key": ["new_code"]})
        sync["source"]["columns"] = columns
        sync["destination"] |= {
            "entity": "new_deal",
            "id_column": "new_dealid",
            "mirror": True,
            "filter": "new_contract_value gt 5",
            "mappings": [{"source": each["name"], "target": each["name"]} for each in columns],
        }
        here.define(sync)
        here.csv([{"new_code": "A", "new_contract_value": 3}, {"new_code": "B", "new_contract_value": 7}])
        for created in (1, 0):
            done = here.run()
            assert (done.created.done, [each.error_type for each in done.errors]) == (created, ["Outside Filter"])
            assert "mirror" not in done.message
        (deal,) = here.records("new_deals?$select=new_contract_value")
        event = {"MessageName": "Update", "PrimaryEntityName": "new_deal", "PrimaryEntityId": deal["new_dealid"]}
        of_events = accounts(listener={"name": "deals", "topic": {"format": "dataverse"}})
        of_events["source"] = {"type": "events", "columns": columns}
        of_events["destination"]["mappings"] = [
            {"source": "new_code", "target": "accountnumber"},
            {"source": "new_contract_value", "target": "numberofemployees"},
        ]
        del of_events["parameters"]["file_path"]
        here.define(of_events, "live")
        (tmp_path / "events.ndjson").write_text(json.dumps(event))
        feed(here.app, "live", str(tmp_path / "events.ndjson"))
        assert [each["numberofemployees"] for each in here.records("accounts")] == [7]
