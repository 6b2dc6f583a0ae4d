"""Undo, resume and history as a person types them."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.app.undoing import paused, undo
from shared.cli.boundary import run as type_in
from shared.dataverse.write.senders import ThreadSenders
from shared.entities import LedgerEntry
from shared.errors import RequestRefused, SyncError, UnsafePlanError
from shared.jobs import NoProgress, Phase, RunOptions, RunState
from shared.jobs.batch.attempts import close_dead_run
from shared.memory import parquet_of
from shared.memory.entries import KnownRecord, RecordEntry
from shared.memory.journal import Journal
from shared.state import DeadLetter, JobRequest, RunRecord
from shared.workspace import Step
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": f"A{n}", "name": f"Name {n}", "city": "Ulm", "revenue": "1.5"} for n in range(1, 5)]
COLUMNS = ("accountnumber", "name", "address1_city", "revenue")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("undo"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Four accounts, one with a phone number that no sync writes, and a sync whose dropped records are deleted."""
    shared_world.emulator.reset()
    shared_world.forget()
    for name, value in shared_world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    everything = {"max_delete": "100%", "max_update": "100%"}
    shared_world.define(accounts(sync_behaviour={"dropped": "delete", "safety": everything}))
    shared_world.csv(ROWS)
    done = shared_world.run()
    assert (done.state, done.created.done) == (RunState.SUCCEEDED, len(ROWS))
    shared_world.update("accounts(accountnumber='A4')", {"telephone1": "0731"})
    return shared_world


@dataclass(slots=True)
class Typed:
    """Commands as a person types them."""

    here: World
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        done = type_in([*arguments], open_app=lambda: self.here.app)
        shown = self.capsys.readouterr()
        assert done == code, shown
        return shown.out or shown.err

    def value(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json", code=code))
        return value


@pytest.fixture
def typed(here: World, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(here, capsys)


def held(here: World) -> dict[str, dict[str, Any]]:
    """The accounts by their numbers: their ids and all values, without those that the service counts itself."""
    counted = {"versionnumber", "modifiedon", "createdon", "_modifiedby_value", "_createdby_value"}
    return {
        record["accountnumber"]: {
            name: value for name, value in record.items() if name not in counted and "@" not in name
        }
        for record in here.records("accounts")
    }


def change(here: World) -> str:
    """A run that creates A5, changes A1, and deletes A4."""
    here.csv([{**ROWS[0], "name": "Changed", "city": ""}, *ROWS[1:3], {**ROWS[0], "number": "A5"}])
    return here.run().run_id


def test_an_undo_restores_every_value_and_pauses_the_sync(here: World, typed: Typed, tmp_path: Path) -> None:
    """Asked for first it only shows the plan; the undo of the undo is the run again."""
    before = held(here)
    run = change(here)
    after = held(here)
    shown = typed("undo", run[:8])
    assert "Set back to the values before the run:" in shown
    assert "child records" in shown
    plan = typed.value("undo", run)
    assert plan["planned"] == {
        "create_again": 1,
        "restore": 0,
        "set_back": 1,
        "delete": 1,
        "unchanged": 0,
        "edited_since": 0,
    }
    assert (plan["applied"], held(here), paused(here.app, "accounts")) == (False, after, None)

    done = typed.value("undo", run, "--yes")
    assert held(here) == before
    assert (done["state"], done["undo_of"], done["created"]["done"]) == ("Succeeded", run, 1)
    assert "undid another run" in typed("run", "accounts", code=1)
    assert "undid another run" in typed("start", "accounts", code=1)
    assert typed.value("status", code=1)["syncs"][0]["paused"] is not None
    said = [line for line in typed("plan", "accounts").splitlines() if line.startswith("Next:")]
    assert said == ["Next: dynamics-sync resume accounts", "Next: dynamics-sync run accounts"]
    whole = typed("runs", done["run_id"])
    assert f"run {run[:8]}" in whole
    assert "to undo another run" in whole

    again = typed.value("undo", done["run_id"], "--yes")
    assert held(here) == after
    assert again["undo_of"] == done["run_id"]
    assert typed.value("resume", "accounts")["resumed"]
    assert not typed.value("resume", "accounts")["resumed"]
    counts = here.plan().plan.counts
    assert (counts.insert, counts.update, counts.delete) == (0, 0, 0)


def test_what_others_have_changed_is_left_alone_and_reported(here: World, typed: Typed, tmp_path: Path) -> None:
    """Record by record in a file; with --force it is set back as well."""
    before = held(here)
    run = change(here)
    user = other_person(here)
    here.update("accounts(accountnumber='A1')", {"name": "Edited"}, as_user=user)
    here.update("accounts(accountnumber='A5')", {"telephone1": "1"}, as_user=user)
    done = typed.value("undo", run, "--yes", code=2)
    now = held(here)
    assert (now["A1"]["name"], now["A1"]["address1_city"]) == ("Edited", "Ulm")
    assert (now["A5"]["telephone1"], now["A4"]) == ("1", before["A4"])
    assert (done["edited"], done["updated"]["done"], done["deleted"]["done"]) == (2, 1, 0)
    assert {(error["type"], error["column"]) for error in done["errors"]} == {
        ("Edited since", ""),
        ("Edited since", "name"),
    }
    typed("errors", done["run_id"], "--csv", str(tmp_path))
    text = (tmp_path / f"{done['run_id']}_Undo.csv").read_text("utf-8")
    results = {row["Key"]: row["The undo"] for row in csv.DictReader(io.StringIO(text))}
    assert results == {"A1": "set back", "A4": "created again", "A5": "edited since"}
    typed.value("undo", run, "--yes", "--force")
    assert held(here) == before


def other_person(here: World) -> str:
    """The id of a user that no sync works as."""
    person = {"firstname": "Other", "lastname": "Person", "businessunitid@odata.bind": unit(here)}
    return here.create("systemusers", person)


def unit(here: World) -> str:
    return f"/businessunits({here.records('businessunits?$select=name')[0]['businessunitid']})"


def test_a_condition_chooses_records_by_what_the_run_wrote(here: World, typed: Typed) -> None:
    """Of deleted records by what they held; a mistake in it is named."""
    before = held(here)
    run = change(here)
    typed.value("undo", run, "--yes", "--where", "name = 'Changed' OR action = 'delete' AND telephone1 = '0731'")
    now = held(here)
    assert {number: now[number] for number in before} == before
    assert "A5" in now
    typed.value("undo", run, "--yes", "--where", "accountnumber = 'A5'")
    assert held(here) == before
    assert "--where" in typed("undo", run, "--where", "nam = 'x'", code=1)


def test_a_change_after_the_death_of_a_process_is_one_of_others(here: World, typed: Typed) -> None:
    """That the process died is noticed later; the time of that is no end of the run."""
    run, state = change(here), here.app.state
    record = state.run(run)
    assert record is not None
    running = replace(record, state=RunState.RUNNING.value, ended=None, counts={})
    here.update("accounts(accountnumber='A5')", {"telephone1": "1"}, as_user=other_person(here))
    close_dead_run(state, running, datetime.now(UTC) + timedelta(hours=1))
    done = typed.value("undo", run, "--yes", code=2)
    assert (done["edited"], done["deleted"]["done"], held(here)["A5"]["telephone1"]) == (1, 0, "1")


def test_the_command_that_a_plan_of_an_undo_names_does_what_the_plan_shows(here: World, typed: Typed) -> None:
    """With the condition and with `--force`, where nobody can be asked: not the undo of the whole run."""
    before = held(here)
    run = change(here)
    here.update("accounts(accountnumber='A1')", {"name": "By another person"}, as_user=other_person(here))
    after = held(here)
    shown = typed("undo", "last", "--where", "accountnumber = 'A1'", "--force")
    words = shlex.split(next(line for line in shown.splitlines() if "Next:" in line).partition("Next:")[2])
    assert words == ["dynamics-sync", "undo", run[:10], "--where", "accountnumber = 'A1'", "--force", "--yes"]
    typed(*words[1:])
    assert held(here) == after | {"A1": before["A1"]}


def test_the_history_of_a_record_shows_each_run(here: World, typed: Typed) -> None:
    """By its key or its id, with what the columns held before and after."""
    run = change(here)
    typed.value("undo", run, "--yes")
    entries = typed.value("history", "accounts", "A1")["history"]
    assert [(entry["action"], entry["trigger"]) for entry in entries] == [
        ("update", "undo"), ("update", "command"), ("insert", "command"),
    ]  # fmt: skip
    assert {c["column"]: (c["before"], c["after"]) for c in entries[1]["columns"]} == {
        "name": ("Name 1", "Changed"), "address1_city": ("Ulm", None),
    }  # fmt: skip
    assert typed.value("history", "accounts", entries[0]["id"])["history"] == entries
    said = typed("history", "accounts", "A1")
    ours = entries[0]["environment"]
    assert ours in here.emulator.service_url
    assert ours not in said
    record = here.app.state.run(run)
    assert record is not None
    here.app.state.finish_run(replace(record, counts={**record.counts, "environment": "other.example"}))
    assert "update  in other.example" in (said := typed("history", "accounts", "A1"))
    assert f"insert  in {ours}" in said
    assert "Name 1 → Changed" in said
    assert "accountnumber: (empty) → A1" in said
    assert "No run" in typed("history", "accounts", "A9")


def test_a_key_that_is_not_found_is_told_how_keys_are_kept(here: World, typed: Typed) -> None:
    """By the number of a choice and not its label: nothing found is not taken for nothing kept."""
    here.emulator.reset()
    definition = accounts()
    definition["destination"]["mappings"] += [{"value": "'Consulting'", "target": "industrycode"}]
    definition["sync_behaviour"]["sync_key"] = ["accountnumber", "industrycode"]
    here.define(definition)
    here.run()
    number = str(here.records("accounts?$select=industrycode")[0]["industrycode"])
    for command in (("history", "accounts"), ("erase",)):
        assert "of a choice give the number and not the label" in typed(*command, "A1", "Consulting")
        assert "of a choice" not in typed(*command, "A1", number)


def test_runs_that_cannot_be_undone_are_refused(here: World, typed: Typed) -> None:
    """A run that changed nothing, one without a journal, and one of a strategy that does not compare."""
    nothing = here.run()
    assert (nothing.state, nothing.writes) == (RunState.SUCCEEDED, 0)
    assert "changed nothing" in typed("undo", nothing.run_id, code=1)
    run = change(here)
    here.app.state.prune_journals(datetime.now(UTC) + timedelta(days=1), limit=100)
    assert "has no journal" in typed("undo", run, code=1)
    here.define(accounts(sync_behaviour={"strategy": "delta"}))
    here.csv([{**ROWS[0], "number": "A9"}])
    assert "strategy delta" in typed("undo", here.run().run_id, code=1)
    assert "There is no run" in typed("undo", "none", code=1)  # no id of a run begins with letters after f


def test_a_record_is_erased_from_everything_that_is_kept(here: World, typed: Typed) -> None:
    """Journals, the ledger, error files and their examples, rows to mend and dead letters; others stay."""
    definition = accounts(sync_behaviour={"dropped": "ignore"})
    definition["destination"]["mappings"][1]["write"] = "unless_edited"
    here.define(definition)
    here.run()  # from now on the ledger knows the names
    rows = [{**row, "name": f"Kept {row['number']}"} for row in ROWS]
    here.csv([*rows, {**ROWS[0], "number": "A7", "revenue": "much"}, {**ROWS[0], "number": "A8", "revenue": "more"}])
    run = here.run(values=True).run_id
    here.csv([{**rows[0], "name": "Secret"}, *rows[1:]])
    here.run()
    state = here.app.state
    for number in ("A1", "A2"):
        letter = DeadLetter(
            id=number, sync="accounts", body=json.dumps({"data": [{"no": number}]}).encode(), partition="0", sequence=1,
            error="x", message="x", kept=datetime.now(UTC),
        )  # fmt: skip
        state.add_dead_letters([letter])
    state.put_job_file("job", "plan.json", json.dumps({"sample": [{"key": {"accountnumber": "A1"}}]}).encode())
    state.put_job_file("job", "answer.json", json.dumps({"key": "A2"}).encode())
    ids = {record["accountnumber"]: record["accountid"] for record in here.records("accounts?$select=accountnumber")}
    noted = RecordEntry(
        known=KnownRecord(origin="matched", written='{"name":"Secret"}'), basis="", noted=datetime.now(UTC)
    )
    state.put_ledger_entries("accounts", {ids[number]: LedgerEntry(text=noted.to_text()) for number in ("A1", "A2")})
    found = typed.value("erase", "A1")
    assert found["places"]["job_files"] == 1
    assert (found["erased"], found["places"]["journals"], found["places"]["dead_letters"]) == (False, 3, 1)
    assert "Secret" in typed("history", "accounts", "A1")
    others = typed.value("history", "accounts", "A2")

    assert typed.value("erase", "A1", "--yes")["places"] == found["places"] | {"ledgers": found["places"]["ledgers"]}
    assert typed.value("erase", "a7", "--sync", "accounts", "--yes")["places"]["rows_to_mend"] == 1
    assert typed.value("erase", "A1")["places"] == dict.fromkeys(found["places"], 0)
    assert "No run" in typed("history", "accounts", "A1")
    assert typed.value("history", "accounts", "A2") == others
    assert [letter.id for letter in state.dead_letters()] == ["A2"]
    assert state.job_files() == (("job", "answer.json"),)
    entries = state.ledger_entries("accounts")
    assert ["Secret" in entries[ids[number]].text for number in ("A1", "A2")] == [False, True]
    left = state.rows_to_mend(run)
    assert left is not None
    assert [row.values["number"] for row in left.rows] == ["A8"]
    kept = b"".join(state.file(each.run_id, name) or b"" for each in state.runs() for name in state.files(each.run_id))
    assert b"A8" in kept
    assert b"A7" not in kept
    assert here.plan().plan.counts.changes == 0


def test_a_damaged_journal_is_named_and_stops_no_erasure(here: World, typed: Typed) -> None:
    """What can be read is erased; the journal whose part cannot be read is told, with exit code 2."""
    state, run = here.app.state, change(here)
    name = "planned-00000.parquet"
    part = state.journal_part(run, name) or b""
    state.put_journal_part(run, name, part[: len(part) // 2])
    told = f"journal of run {run} of accounts is damaged: {name} is missing or cannot be read"
    assert told in typed("history", "accounts", "A1", code=1)
    assert told in typed("undo", run, code=1)
    assert f"The journal of run {run} is damaged ({name})." in typed("erase", "A1", code=2)
    found = typed.value("erase", "A1", "--yes", code=2)
    assert (found["damaged_journals"], found["places"]["journals"]) == ({run: [name]}, 1)
    assert typed.value("erase", "A1", code=2)["places"]["journals"] == 0
    state.put_journal_part(run, name, part)
    assert typed.value("erase", "A1", "--yes")["places"]["journals"] == 1


@pytest.mark.parametrize("adopted", [True, False])
def test_a_new_row_is_erased_by_the_id_that_its_record_has(here: World, typed: Typed, *, adopted: bool) -> None:
    """The journal has the values under the id that was planned; the record was adopted, or Dataverse gave the id."""
    here.define(accounts(sync_behaviour={"dropped": "ignore", "key_match": "exact"}))
    if adopted:
        here.create("accounts", {"accountnumber": "c-4711", "name": "Old"})
    here.csv([*ROWS, {**ROWS[0], "number": "C-4711", "name": "Secret"}])
    run, state = here.run().run_id, here.app.state
    (record,) = [each for each in here.records("accounts") if each["name"] == "Secret"]
    if not adopted:  # as for a table that takes no ids
        with here.app.open_small(()) as workspace, Journal(state, run, "accounts").reading(workspace) as files:
            name = "planned-00000.parquet"
            query = f"SELECT * REPLACE (NULL::UUID AS id) FROM read_parquet('{files[name]}')"
            state.put_journal_part(run, name, parquet_of(workspace, query))
    others = typed.value("history", "accounts", "A2")
    assert len(typed.value("history", "accounts", record["accountid"])["history"]) == 1

    assert typed.value("erase", record["accountid"])["places"]["journals"] == 1
    assert typed.value("erase", record["accountid"], "--yes")["places"]["journals"] == 1
    assert typed.value("erase", "C-4711")["places"]["journals"] == 0
    with here.app.open_small(()) as workspace, Journal(state, run, "accounts").reading(workspace) as files:
        left = [workspace.query(f"SELECT * FROM read_parquet('{file}')") for file in files.values()]
    assert "Secret" not in str(left)
    assert record["accountid"] not in str(left)
    assert typed.value("history", "accounts", "A2") == others


def test_values_in_a_damaged_part_are_found_by_id_when_the_part_is_restored(here: World, typed: Typed) -> None:
    """The part that ties the id of an adopted record to them has no values, and stays until then."""
    here.define(accounts(sync_behaviour={"dropped": "ignore", "key_match": "exact"}))
    record = here.create("accounts", {"accountnumber": "c-4711", "name": "Old"})
    here.csv([*ROWS, {**ROWS[0], "number": "C-4711", "name": "Secret"}])
    run, state, name = here.run().run_id, here.app.state, "planned-00000.parquet"
    part = state.journal_part(run, name) or b""
    state.put_journal_part(run, name, part[: len(part) // 2])
    assert typed.value("erase", record, "--yes", code=2)["damaged_journals"] == {run: [name]}
    state.put_journal_part(run, name, part)
    assert typed.value("erase", record, "--yes")["places"]["journals"] == 1
    assert typed.value("erase", "C-4711")["places"]["journals"] == 0


def test_a_run_whose_journal_has_lost_a_part_is_not_undone(here: World, typed: Typed) -> None:
    """Without the part of the deleted records they would be created again without the columns that no sync writes."""
    run, after = change(here), held(here)
    with sqlite3.connect(here.folder / "state.db") as other:
        assert other.execute("DELETE FROM journals WHERE name LIKE 'deleted-%' AND run_id = ?", [run]).rowcount == 1
    assert "damaged: deleted-00000.parquet is missing" in typed("undo", run, "--yes", code=1)
    assert held(here) == after


def test_what_was_set_back_is_no_edit_to_the_next_run(here: World, typed: Typed) -> None:
    """A column with `write: unless_edited`: when the source is corrected, it is written again."""
    definition = accounts(sync_behaviour={"dropped": "ignore"})
    definition["destination"]["mappings"][1]["write"] = "unless_edited"
    here.define(definition)
    here.run()
    here.csv([{**ROWS[0], "name": "Wrong", "city": "Wrong"}, *ROWS[1:]])
    run = here.run().run_id
    assert held(here)["A1"]["name"] == "Wrong"
    typed.value("undo", run, "--yes")
    assert held(here)["A1"]["name"] == "Name 1"
    typed.value("resume", "accounts")
    here.csv([{**ROWS[0], "name": "Right", "city": ""}, *ROWS[1:]])
    here.run()
    assert held(here)["A1"]["name"] == "Right"


class Meanwhile(NoProgress):
    """Somebody changes records after they were read, and before they are written."""

    def __init__(self, change: Callable[[], None]) -> None:
        self._change = change

    def phase(self, phase: Phase, total: int | None = None) -> None:
        del total
        if phase is Phase.WRITE:
            self._change()


def test_a_record_that_is_changed_while_it_is_undone_is_left_alone(here: World, typed: Typed) -> None:
    """Its version is asked for: neither is a value set back nor a new record deleted."""
    run = here.app.state.run(change(here))
    assert run is not None

    def edit() -> None:
        for number in ("A1", "A5"):
            here.update(f"accounts(accountnumber='{number}')", {"telephone1": "now"})

    done = undo(here.app, run, RunOptions(trigger="undo"), Meanwhile(edit))
    now = held(here)
    assert (now["A1"]["name"], now["A5"]["telephone1"]) == ("Changed", "now")
    assert (done.edited, done.updated.done, done.deleted.done, done.created.done) == (2, 0, 0, 1)
    assert {error.error_type for error in done.errors} == {"Edited since"}


class Disabled(NoProgress):
    """The application user is disabled as soon as the first records are set back."""

    def __init__(self, here: World) -> None:
        self._here = here

    def advance(self, rows: int) -> None:
        self._here.emulator.faults([{"action": "status", "status": 401, "times": 1000, "match": {"method": "POST"}}])


def test_the_log_has_what_an_undo_wrote_before_an_error_ended_it(here: World) -> None:
    """In numbers, as the file of the undo has it record by record."""
    here.csv([{**row, "name": "Two"} for row in ROWS] + [{**ROWS[0], "number": "A5"}])
    run = here.app.state.run(here.run().run_id)
    assert run is not None
    with pytest.raises(SyncError):
        undo(here.app, run, RunOptions(trigger="undo"), Disabled(here))
    here.emulator.clear_faults()
    (latest,) = here.app.state.runs("accounts", 1)
    back = sum(record["name"].startswith("Name") for record in held(here).values()) - 1  # A5 has the name of A1
    assert back == len(ROWS)
    assert (latest.state, latest.counts["updated"]) == ("Failed", {"done": back, "planned": len(ROWS)})
    assert latest.counts["deleted"] == {"done": 0, "planned": 1}
    assert latest.counts["failed"] + latest.counts["skipped"] == 1
    (file,) = here.app.state.files(latest.run_id)
    assert (here.app.state.file(latest.run_id, file) or b"").count(b"set back") == back


@pytest.mark.parametrize("others", [0, 1])
def test_empty_columns_of_a_deleted_record_stay_empty(here: World, typed: Typed, others: int) -> None:
    """The service would fill in the defaults of the columns, also where another deleted record has values there."""
    here.update("accounts(accountnumber='A4')", {"donotphone": None, "preferredcontactmethodcode": None})
    before = held(here)
    assert (before["A4"]["donotphone"], before["A3"]["donotphone"]) == (None, False)
    here.csv(ROWS[: 3 - others])
    run = here.run()
    assert run.deleted.done == 1 + others
    done = typed.value("undo", run.run_id, "--yes")
    assert (done["state"], held(here)) == ("Succeeded", before)


def test_the_forecast_has_the_requests_that_read_deleted_records(here: World) -> None:
    """One for a few records; an update needs none."""
    reads = []
    for rows in ([{**ROWS[0], "name": "Changed"}, *ROWS[1:]], ROWS[1:]):
        here.csv(rows)
        forecast = here.plan().plan.forecast
        assert forecast is not None
        reads.append(forecast.reads)
    assert reads[1] == reads[0] + 1


def test_the_plan_of_an_undo_counts_the_requests_that_were_throttled(here: World, typed: Typed) -> None:
    """As that of a run does."""
    run = change(here)
    here.emulator.faults(
        [{"action": "status", "status": 429, "retry_after": 0, "match": {"method": "GET"}, "times": 1}]
    )
    assert typed.value("undo", run)["throttled"] == 1


def test_a_run_that_was_refused_or_has_not_ended_is_not_undone(here: World, typed: Typed) -> None:
    """The first changed nothing, and the second one may still change something."""
    here.define(accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": 0}}))
    here.csv(ROWS[1:])
    with pytest.raises(UnsafePlanError):
        here.run()
    assert "changed nothing" in typed("undo", "last", code=1)
    run = RunRecord(
        run_id="f" * 32, sync="accounts", version="1", trigger="timer", state="Running", started=datetime.now(UTC)
    )
    here.app.state.begin_run(run)
    lease = here.app.state.acquire_lease("sync/accounts", holder=run.run_id, seconds=60)
    assert "has not ended" in typed("undo", run.run_id, code=1)
    assert lease is not None
    here.app.state.release_lease(lease)


def test_records_of_requests_in_flight_are_undone(here: World, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error ends the run while requests are under way: their records are compared like all others."""
    many = [{**ROWS[0], "number": f"B{n}"} for n in range(3000)]
    here.csv([*ROWS, *many])
    before = held(here)
    with monkeypatch.context() as ending:
        ending.setattr("shared.dataverse.client.ThreadSenders", Ending)
        with pytest.raises(RuntimeError):
            here.run()
    (run,) = here.app.state.runs("accounts", 1)
    made = len(held(here)) - len(ROWS)
    assert run.counts["created"]["done"] < made
    done = typed.value("undo", run.run_id, "--yes")
    assert (done["state"], done["deleted"]["done"]) == ("Succeeded", made)
    assert held(here) == before


def test_an_undo_says_which_records_it_cannot_find(here: World, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their table takes no ids from the app, and the run ended before it had the answers."""
    here.csv([*ROWS, *({**ROWS[0], "number": f"B{n}"} for n in range(3000))])
    with monkeypatch.context() as ending:
        ending.setattr("shared.dataverse.client.ThreadSenders", Ending)
        ending.setattr("shared.jobs.batch.journaling.NEW_IDS", Step("Give no ids", "SELECT 1"))
        with pytest.raises(RuntimeError):
            here.run()
    (run,) = here.app.state.runs("accounts", 1)
    unknown = 3000 - run.counts["created"]["done"]
    assert f"Of {unknown:,} records it is not known whether the run created them" in typed("undo", run.run_id)


class Ending(ThreadSenders[Any]):
    """Threads that take no more requests after the second one, as at the end of a process."""

    begun = 0

    def start(self, job: Callable[[], Any], failed: Callable[[Exception], Any]) -> None:
        if self.begun == 2:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.begun += 1
        super().start(job, failed)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ([""], "the key is empty"),
        (["  \t"], "the key is empty"),
        (["A1", ""], "value 2 of the key is empty"),
        (["", "Ulm", " "], "value 1 and 3 of the key is empty"),
    ],
)
def test_a_key_that_names_no_record_is_refused(here: World, typed: Typed, key: list[str], said: str) -> None:
    """An empty text stands in all that is kept, wherever a value is missing: nothing may be erased for it."""
    here.csv([{**ROWS[0], "city": "", "revenue": "much"}, *ROWS[1:]])
    run = here.run(values=True).run_id
    before = here.app.state.errors(run)
    assert before
    assert said in typed("erase", *key, "--yes", code=1)
    assert said in typed("erase", *key, code=1)
    assert said in typed("history", "accounts", *key, code=1)
    assert here.app.state.errors(run) == before


def test_plans_of_another_sync_stay_when_a_record_of_one_sync_is_erased(here: World, typed: Typed) -> None:
    """Also mended rows, whatever their delimiter; those of the sync are removed."""
    state = here.app.state
    jobs = {sync: JobRequest(id=sync * 3, sync=sync, requested=datetime.now(UTC)) for sync in ("accounts", "other")}
    for request in jobs.values():
        state.request_job(request)
        state.put_job_file(request.id, "plan.json", json.dumps({"sample": [{"key": {"n": "A1"}}]}).encode())
        state.put_job_file(request.id, "mended.csv", b"number;name;to_mend_row\nA1 ;Secret;2\n")
    assert typed.value("erase", "A1", "--sync", "accounts", "--yes")["places"]["job_files"] == 2
    assert {job for job, _ in state.job_files()} == {jobs["other"].id}
    assert typed.value("erase", "A1", "--yes")["places"]["job_files"] == 2


def test_a_row_in_error_is_erased_as_the_source_writes_its_key(here: World, typed: Typed) -> None:
    """With a blank at its end; the numbers of rows and lines are no keys."""
    here.csv([*ROWS, {**ROWS[0], "number": "A7 ", "name": "Secret", "revenue": "much"}])
    run, state = here.run(values=True).run_id, here.app.state
    for number in range(10):
        assert typed.value("erase", str(number), "--yes")["places"]["errors"] == 0
    places = typed.value("erase", "A7", "--yes")["places"]
    assert (places["rows_to_mend"], places["files"] > 0, places["errors"] > 0) == (1, True, True)
    assert not any(b"A7" in (state.file(run, name) or b"") for name in state.files(run))


@pytest.mark.parametrize("condition", ["", "  "])
def test_an_undo_with_an_empty_condition_is_refused(here: World, typed: Typed, condition: str) -> None:
    """A variable of a script that is not set: the whole run would be taken back."""
    run = change(here)
    before = held(here)
    assert "--where is empty" in typed("undo", run, "--where", condition, "--yes", code=1)
    assert held(here) == before


def test_a_mirror_that_has_a_record_is_deleted_when_it_is_erased(here: World, typed: Typed) -> None:
    """One that does not have it stays; the next run makes a new one, and an undo is seen by the run after it."""
    here.define(accounts(destination={**accounts()["destination"], "mirror": True}))
    here.run()
    state = here.app.state
    assert typed.value("erase", "A9", "--yes")["places"]["mirrors"] == 0
    assert state.mirror("accounts") is not None
    assert typed.value("erase", "a1")["places"]["mirrors"] == 1
    assert typed.value("erase", "a1", "--yes")["places"]["mirrors"] == 1
    assert typed.value("erase", "a1")["places"]["mirrors"] == 0
    run = change(here)
    typed.value("undo", run, "--yes")
    typed.value("resume", "accounts")
    here.csv(ROWS)
    assert here.run().updated.planned == 0


@pytest.mark.parametrize("revenue", ["12.50", "12.5"])
def test_a_mirror_is_searched_for_a_key_of_any_type(here: World, typed: Typed, revenue: str) -> None:
    """As journals write it: the record was never changed, so that no journal has it."""
    definition = accounts(destination={**accounts()["destination"], "mirror": True})
    definition["source"]["columns"].append({"name": "at", "type": "date"})
    definition["destination"]["mappings"].append({"source": "at", "target": "new_expiredon"})
    definition["sync_behaviour"]["sync_key"] = ["accountnumber", "new_expiredon", "revenue"]
    here.define(definition)
    row = {"number": "ΟΔΟΣ", "name": "Secret", "city": "Ulm", "revenue": "12.5", "at": "2024-01-31T09:00:00Z"}
    values = {"accountnumber": row["number"], "name": "Secret", "address1_city": "Ulm", "revenue": 12.5}
    here.create("accounts", {**values, "new_expiredon": row["at"]})
    here.csv([row])
    done = here.run()
    assert (done.unchanged, done.created.done, done.updated.done) == (1, 0, 0)
    key = ("ΟΔΟΣ", "2024-01-31T09:00:00Z", revenue)
    assert typed.value("erase", *key[:1], "2024-01-31T09:00:01Z", revenue)["places"]["mirrors"] == 0
    assert typed.value("erase", *key)["places"]["mirrors"] == 1
    assert typed.value("erase", *key, "--yes")["places"]["mirrors"] == 1
    assert here.app.state.mirror_parts("accounts") == ()


def test_a_run_that_was_refused_before_its_first_write_changed_nothing(here: World, typed: Typed) -> None:
    """What it was about to do, a later run did: that is not taken back, and no history says that it happened twice."""
    refused = {"action": "status", "status": 403, "code": "0x80040220", "times": 1}
    here.emulator.faults([{**refused, "match": {"method": "GET", "path": "address2_line1"}}])  # all writable columns
    here.csv([{**ROWS[0], "name": "Changed"}, *ROWS[1:3]])
    with pytest.raises(RequestRefused):
        here.run()
    (first,) = here.app.state.runs("accounts", 1)
    assert here.app.state.journal_parts(first.run_id)
    here.run()
    after = held(here)
    assert "changed nothing" in typed("undo", first.run_id, code=1)
    # Nor where its process died, so that the log has no figures of it.
    here.app.state.finish_run(replace(first, state=RunState.INTERRUPTED.value, counts={}))
    assert "changed nothing" in typed("undo", first.run_id, code=1)
    assert held(here) == after
    assert [entry["action"] for entry in typed.value("history", "accounts", "A4")["history"]] == ["delete", "insert"]


def test_an_edit_after_a_run_is_one_of_others_whatever_the_clock_of_the_app_says(here: World, typed: Typed) -> None:
    """Its clock was fast, so the log has an end of the run that lies after the edit."""
    run, state = change(here), here.app.state
    record = state.run(run)
    assert record is not None
    assert record.ended is not None
    state.finish_run(replace(record, ended=record.ended + timedelta(minutes=4)))
    here.update("accounts(accountnumber='A5')", {"telephone1": "1"}, as_user=other_person(here))
    done = typed.value("undo", run, "--yes", code=2)
    assert (done["edited"], done["deleted"]["done"], held(here)["A5"]["telephone1"]) == (1, 0, "1")
