"""The erasure of a record from what is told of runs: messages of errors, parameters of runs, and requested jobs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from shared.app.histories import erase
from shared.app.undoing import undo
from shared.cli.boundary import run as type_in
from shared.errors import UserError
from shared.jobs import NoProgress, RunOptions, RunState
from shared.jobs.requests import request_run, stop
from shared.run_ids import SHORT_ID
from shared.state import ErrorRecord, JobRequest, RowsToMend, RowToMend, RunRecord
from shared.views.runs import run_named
from tests.acceptance.world import World, accounts, world

KEY: Final = "C-4711"
NAME: Final = "Zaphod"
ROWS: Final = [
    {"number": number, "name": name, "city": "Ulm", "revenue": "1"}
    for number, name in (("C-4710", "Ann"), (KEY, NAME), ("C-47112", "Bob"))
]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("erased"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    """Accounts, and a sync with a parameter that names one of them."""
    shared_world.emulator.reset()
    shared_world.emulator.clear_faults()
    shared_world.forget()
    definition = accounts()
    definition["parameters"] = {**definition.get("parameters", {}), "who": {"default": ""}}
    definition["source"]["filter"] = "@who = '' or number = @who"
    shared_world.define(definition)
    shared_world.csv(ROWS)
    assert shared_world.run().created.done == len(ROWS)
    return shared_world


def refused_run(here: World, number: str = KEY) -> RunRecord:
    """A run for one record whose change a plug-in refuses, with a message that names the record."""
    message = f"Customer {number} ({NAME}) is locked."
    match = {"filter": "address1_city eq 'Bern'"}
    here.emulator.faults([{"action": "refuse_rows", "match": match, "message": message}])
    here.csv([{**row, "city": "Bern"} for row in ROWS])
    done = here.run(parameters={"who": number})
    here.emulator.clear_faults()
    assert [error.message for error in done.errors] == [message]
    run = here.app.state.run(done.run_id)
    assert run is not None
    return run


def requested(here: World) -> JobRequest:
    """A request for a run for one record."""
    definition = here.app.definition("accounts")
    return request_run(here.app.state, definition, {"who": KEY}, force=False, requested_by="ann")


def kept(here: World) -> str:
    """Every value of every table of the state."""
    with closing(sqlite3.connect(here.folder / "state.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in db.execute(f'SELECT * FROM "{table}"')]
    return "\n".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for row in rows for value in row
    )


def erased(here: World, key: str = KEY, *, apply: bool = True) -> dict[str, int]:
    return erase(here.app, [key], NoProgress(), sync=None, apply=apply).to_json()


def test_messages_and_parameters_that_name_a_record_are_erased(here: World) -> None:
    """The whole message, because it has the name of the record too; those of other records stay."""
    run = refused_run(here)
    other = refused_run(here, "C-47112")
    request = requested(here)
    stop(here.app.state, run_named(request.id, here.app.state), "ann")
    assert KEY in kept(here)

    counted = erased(here, apply=False)
    assert (counted["errors"], counted["runs"], counted["jobs"]) == (
        2,
        2,
        1,
    )  # an example and a message; also a request
    assert erased(here) == counted
    left = kept(here)
    assert KEY not in left.replace("C-47112", "")
    assert f"({NAME}) is locked" in left  # that of the other record
    assert erased(here) == dict.fromkeys(counted, 0)

    state = here.app.state
    (error,) = state.errors(run.run_id)
    assert (error.message, error.examples, error.count) == ("[erased]", (), 1)
    assert state.errors(other.run_id)[0].message == f"Customer C-47112 ({NAME}) is locked."
    changed = state.run(run.run_id)
    assert changed == replace(run, parameters={**run.parameters, "who": "[erased]"}, given={"who": "[erased]"})
    job = state.job(request.id)
    assert job is not None
    assert (job.request.parameters, job.state) == ({"who": "[erased]"}, RunState.CANCELLED)


def test_texts_about_other_records_lose_only_what_names_the_record(here: World) -> None:
    """Cells of error files, reasons of rows in error, messages of steps, and errors that their messages told apart."""
    state, run = here.app.state, refused_run(here, "C-47112")
    step = {"name": KEY, "message": f"{KEY} is locked"}
    state.finish_run(replace(run, counts={**run.counts, "post_sync": [step]}))
    state.put_file(run.run_id, "Errors.csv", f"Key,Message\r\nC-1,not {KEY}\r\nC-2,why\r\n".encode())
    row = RowToMend(number=1, values={"number": "C-1", "name": f"not {KEY}"}, reason=f"as {KEY}")
    state.put_rows_to_mend(run.run_id, RowsToMend(columns={"number": "text"}, rows=(row,), found=1))
    error = ErrorRecord(run_id=run.run_id, error_class="Failed Operation", error_type="0x1", count=2, rows=(3,))
    state.add_errors([replace(error, message=f"{KEY} is {how}") for how in ("locked", "gone")])
    state.add_errors([replace(error, message="busy", rows=(9,), examples=({"row": 9, "value": f"not {KEY}"},))])

    counted = erased(here)
    assert [counted[name] for name in ("files", "rows_to_mend", "errors", "runs")] == [1, 1, 3, 1]
    assert erased(here) == dict.fromkeys(counted, 0)
    changed = state.run(run.run_id)
    assert changed is not None
    assert changed.counts["post_sync"] == [{"name": KEY, "message": "[erased]"}]
    assert state.file(run.run_id, "Errors.csv") == b"Key,Message\r\nC-1,[erased]\r\nC-2,why\r\n"
    left = state.rows_to_mend(run.run_id)
    assert left is not None
    assert left.rows == (replace(row, reason="[erased]"),)
    assert [each for each in state.errors(run.run_id) if each.error_type == "0x1"] == [
        replace(error, message="[erased]", count=4),
        replace(error, message="busy", rows=(9,)),
    ]


def test_a_job_that_waits_for_the_record_refuses_its_erasure(here: World) -> None:
    """Its parameters say what it is to do: nothing is erased until it has ended."""
    run = refused_run(here)
    request = requested(here)
    with pytest.raises(UserError, match=f"take it back with `dynamics-sync cancel {request.id[:SHORT_ID]}`"):
        erased(here)
    assert here.app.state.errors(run.run_id)[0].message != "[erased]"
    assert erased(here, "C-47112")["jobs"] == 0


def test_a_run_that_is_under_way_for_the_record_refuses_its_erasure(here: World) -> None:
    """It writes its parameters again when it ends; a run whose process died has nobody who does."""
    state = here.app.state
    run = replace(
        refused_run(here), run_id="a" * 32, state=RunState.RUNNING.value, ended=None, started=datetime.now(UTC)
    )
    state.begin_run(run)
    lease = state.acquire_lease("sync/accounts", holder=run.run_id, seconds=600)
    assert lease is not None
    with pytest.raises(UserError, match="accounts is already running"):
        erased(here)
    state.release_lease(lease)
    assert erased(here)["runs"] == 2
    assert KEY not in kept(here).replace("C-47112", "")


def test_the_mark_is_no_value_of_a_parameter(here: World) -> None:
    """An undo, a retry or a new run with it would work on other rows than the run."""
    here.csv([{**row, "city": "Bern"} for row in ROWS])
    done = here.run(parameters={"who": KEY})
    assert done.updated.done == 1
    erased(here)
    changed = here.app.state.run(done.run_id)
    assert changed is not None
    with pytest.raises(UserError, match="the value of parameter who was erased"):
        undo(here.app, changed, RunOptions(), NoProgress())
    with pytest.raises(UserError, match="the value of parameter who was erased"):
        here.app.run("accounts", changed.given, RunOptions())


@pytest.mark.parametrize(("key", "short"), [("C-1", True), ("C-9999", False)])
def test_a_short_key_is_told_to_be_left_in_texts(
    here: World, capsys: pytest.CaptureFixture[str], key: str, *, short: bool
) -> None:
    """It would be in messages and parameters about anything."""
    here.run(parameters={"who": "C-1"})
    assert type_in(["erase", key, "--yes", "--json"], open_app=lambda: here.app) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["in_texts"] is not short
    assert shown["places"]["runs"] == 0
    assert type_in(["erase", key], open_app=lambda: here.app) == 0
    assert ("too short to be looked for in messages" in " ".join(capsys.readouterr().out.split())) == short
