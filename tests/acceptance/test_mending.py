"""Rows in error: written for a person, mended in a spreadsheet, and run again through the same definition."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from batch_sync.cleanup import clean_up
from shared.cli.boundary import run as type_in
from shared.definitions import EnvironmentSecret
from shared.errors import AbortRun
from shared.views.status import status_of
from tests.acceptance.watermarked import COLUMNS as WATERMARKED
from tests.acceptance.watermarked import FULL, define, sqlite_source
from tests.acceptance.world import World, accounts, world
from tests.contract.source_kinds import KINDS, Row, ready
from tests.postgresql.fixtures import database, postgresql
from tests.store_in_front import failing
from tests.workbooks.xlsx import Raw, write_xlsx

__all__ = ["database", "postgresql"]

GOOD = {"number": "A1", "name": "One", "city": "Ulm", "revenue": "1.5"}
ROWS = [
    GOOD,
    {"number": "A2", "name": "=Two", "city": "Köln", "revenue": "a hundred"},
    {"number": "A1", "name": "Again", "city": "Ulm", "revenue": "7"},
    {"number": "A4", "name": "N" * 170, "city": 'the "old", town', "revenue": "00004"},
]
MENDED = {"A2": {"revenue": "100"}, "A1": {"number": "A3"}, "A4": {"name": "Four"}}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("mending")) as made:
        yield made


@pytest.fixture
def here(shared_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty target, and a sync that drops each record whose row was removed."""
    shared_world.emulator.reset()
    for name, value in shared_world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    shared_world.define(accounts(sync_behaviour={"dropped": "delete"}))
    shared_world.csv(ROWS)
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
        return shown.out if code != 1 else shown.err

    def value(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json", code=code))
        return value


@pytest.fixture
def typed(here: World, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(here, capsys)


def to_mend(typed: Typed, folder: Path, run: str) -> list[dict[str, str]]:
    """The rows of the file to mend, as a spreadsheet shows them."""
    typed("errors", run, "--csv", str(folder))
    data = (folder / f"{run}_to_mend.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def save(path: Path, rows: Sequence[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> str:
    """Save rows as a spreadsheet does."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def held(here: World) -> list[tuple[Any, ...]]:
    columns = ("accountnumber", "name", "address1_city", "revenue")
    return sorted(
        tuple(record[name] for name in columns) for record in here.records(f"accounts?$select={','.join(columns)}")
    )


def nothing_to_do(here: World) -> None:
    counts = here.plan().plan.counts
    assert (counts.insert, counts.update, counts.delete) == (0, 0, 0)


def test_rows_are_not_retried_in_another_table(here: World, typed: Typed, tmp_path: Path) -> None:
    """The list of the run would say that they are mended, and its table would never get them."""
    here.run()
    run = here.app.state.runs("accounts")[0].run_id
    file = save(tmp_path / "mended.csv", to_mend(typed, tmp_path, run))
    definition = accounts(sync_behaviour={"sync_key": ["employeeid"]})
    definition["destination"] |= {"entity": "contact", "id_column": "contactid"}
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "employeeid"},
        {"source": "name", "target": "lastname"},
    ]
    here.define(definition)
    said = typed("retry", run, "--file", file, code=1)
    assert "wrote to the table account, and accounts writes to contact now" in " ".join(said.split())
    assert here.records("contacts") == []


def test_rows_that_fit_leave_the_list_and_those_that_fail_stay(here: World, typed: Typed, tmp_path: Path) -> None:
    """Mended in two turns. Nothing is dropped by a retry, and the corrected source then plans nothing."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    rows = to_mend(typed, tmp_path, run)
    sent = [{name: row[name] for name in GOOD} for row in rows]
    assert sent == ROWS[1:]
    assert [row["to_mend_row"] for row in rows] == ["2", "3", "4"]
    assert "longer than" in rows[2]["to_mend_reason"]
    mended = [{**row, **(MENDED[row["number"]] if row["number"] != "A4" else {"name": "M" * 161})} for row in rows]
    first = typed.value("retry", run, "--file", save(tmp_path / "1.csv", mended, ";"), code=2)
    assert (first["retry_of"], first["created"]["done"], first["deleted"]["planned"]) == (run, 2, 0)
    assert first["to_mend"] == {"left": 1, "left_out": 0, "mended": [{"run_id": first["run_id"], "rows": 2}]}
    (left,) = to_mend(typed, tmp_path, run)
    assert (left["name"], left["to_mend_row"]) == ("M" * 161, "4")
    left |= MENDED["A4"] | {"to_mend_reason": "mine"}
    said = typed("retry", run, "--file", save(tmp_path / "2.csv", [left]))
    assert "0 left, 2 mended in run" in said
    report = typed.value("errors", run)
    assert (report["to_mend"]["left"], [each["rows"] for each in report["to_mend"]["mended"]]) == (0, [2, 1])
    log = here.app.state.runs("accounts", limit=3)
    assert [(each.trigger, each.counts.get("retry_of")) for each in log] == [("retry", run)] * 2 + [("command", None)]
    here.csv([{**row, **MENDED[row["number"]]} if n else row for n, row in enumerate(ROWS)])
    nothing_to_do(here)
    assert len(held(here)) == 4
    assert "all of them are mended" in typed("retry", run, "--file", str(tmp_path / "2.csv"), code=1)


def test_a_row_with_two_errors_is_one_row_everywhere(here: World, typed: Typed) -> None:
    """Its run, `status` and what needs a person say the same number."""
    here.csv([GOOD, {"number": "A2", "name": "N" * 170, "city": "U" * 90, "revenue": "1"}])
    done = typed.value("run", "accounts", code=2)
    assert sum(error["count"] for error in done["errors"]) == 2
    assert done["rows_in_error"] == 1
    (sync,) = status_of(here.app.definitions(), here.app.state, datetime.now(UTC)).syncs
    assert (sync.rows, sync.open_errors) == (2, 1)
    assert [need.text for need in sync.needs] == ["1 row of 2 was rejected or refused"]


def test_a_row_whose_key_is_still_taken_does_not_replace_the_other(here: World, typed: Typed, tmp_path: Path) -> None:
    """Alone it would look correct: it stays in the list, and the record keeps the values of the first row."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    before = held(here)
    same = [{**row, "name": "Changed"} for row in to_mend(typed, tmp_path, run) if row["number"] == "A1"]
    done = typed.value("retry", run, "--file", save(tmp_path / "1.csv", same), code=2)
    assert (done["source"]["processed"], done["source"]["rejected"], done["to_mend"]["left"]) == (1, 1, 3)
    assert held(here) == before
    assert "still that of another row" in to_mend(typed, tmp_path, run)[1]["to_mend_reason"]


KEYS: dict[str, tuple[list[str], dict[str, dict[str, Any]], list[str], str]] = {
    "a number": (["numberofemployees"], {"numberofemployees": {"source": "number"}}, ["42", "0042"], "42.0"),
    "a text": (["accountnumber"], {"accountnumber": {"source": "number"}}, ["Ä1", "ä1"], "A1 "),
    "calculated": (["accountnumber"], {"accountnumber": {"value": "left(number, 2)"}}, ["A1", "A1x"], "A1y"),
    "a lookup": (
        ["primarycontactid", "name"],
        {"primarycontactid": {"source": "number", "lookup": {"match": "employeeid"}}, "name": {"source": "city"}},
        ["E7", "E7"],
        "e7",
    ),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_is_only_written_in_another_way_is_still_taken(
    here: World, typed: Typed, tmp_path: Path, case: str
) -> None:
    """A spreadsheet changes `0042` to `42`. Another key is another record."""
    key, mapped, numbers, written_now = KEYS[case]
    definition = accounts(sync_behaviour={"sync_key": key})
    targets = {"name": {"source": "name"}, "revenue": {"source": "revenue"}} | mapped
    definition["destination"]["mappings"] = [{**how, "target": target} for target, how in targets.items()]
    here.define(definition)
    for number in ("E7", "E8"):
        here.create("contacts", {"employeeid": number, "lastname": number})
    here.csv([{**GOOD, "number": number, "revenue": str(place)} for place, number in enumerate(numbers)])
    run = typed.value("run", "accounts", code=2)["run_id"]
    (row,) = to_mend(typed, tmp_path, run)
    assert "Duplicate Key" in row["to_mend_reason"]
    same = save(tmp_path / "same.csv", [{**row, "number": written_now, "revenue": "7"}])
    done = typed.value("retry", run, "--file", same, code=2)
    assert (done["updated"]["planned"], done["source"]["rejected"], done["to_mend"]["left"]) == (0, 1, 1)
    assert [record["revenue"] for record in here.records("accounts")] == [0]
    other = save(tmp_path / "other.csv", [{**row, "number": "E8" if case == "a lookup" else "8", "revenue": "7"}])
    assert typed.value("retry", run, "--file", other)["created"]["done"] == 1


def test_a_row_that_another_retry_has_mended_is_refused(here: World, typed: Typed, tmp_path: Path) -> None:
    """Its values in an older file are not newer, and its key may be that of another row; nothing is begun."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    rows = to_mend(typed, tmp_path, run)
    mended = [{**row, "number": "A3", "name": "Anew"} for row in rows if row["to_mend_row"] == "3"]
    typed.value("retry", run, "--file", save(tmp_path / "first.csv", mended))
    before, log = held(here), here.app.state.runs()
    older = save(tmp_path / "older.csv", [{**row, "revenue": "100"} for row in rows])
    said = " ".join(typed("retry", run, "--file", older, code=1).split())
    assert "older.csv has row 3 of to_mend_row, not in the list of rows to mend: a retry has mended it" in said
    assert (held(here), here.app.state.runs()) == (before, log)
    unknown = save(tmp_path / "other.csv", [{**rows[0], "to_mend_row": str(number)} for number in (7, 8)])
    assert "other.csv has rows 7, 8 of to_mend_row" in " ".join(typed("retry", run, "--file", unknown, code=1).split())


def test_a_row_that_is_mended_while_a_retry_of_it_begins_is_refused(here: World, typed: Typed, tmp_path: Path) -> None:
    """Both have read the list; only one of them has the lease at a time."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    row = to_mend(typed, tmp_path, run)[1]
    first = save(tmp_path / "first.csv", [{**row, "number": "A3", "name": "Anew"}])
    older = save(tmp_path / "older.csv", [row])
    turns = iter([True])

    def begin(*_: object, **__: object) -> None:
        if next(turns, False):
            typed.value("retry", run, "--file", first)

    with here.store_in_front(acquire_lease=begin):
        assert "has row 3 of to_mend_row, not in the list" in " ".join(
            typed("retry", run, "--file", older, code=1).split()
        )
    assert [name for number, name, *_ in held(here)] == ["One", "Anew"]


def test_a_row_that_was_not_in_the_list_is_an_ordinary_row(here: World, typed: Typed, tmp_path: Path) -> None:
    """One that fits is written; one that fails is in the list of the retry itself."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    new = {**GOOD, "number": "A8", "to_mend_row": "", "to_mend_reason": ""}
    wrong = {**new, "number": "A9", "revenue": "much"}
    done = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [new, wrong]), code=2)
    assert (done["created"]["done"], done["to_mend"]["left"]) == (1, 3)
    (own,) = to_mend(typed, tmp_path, done["run_id"])
    assert (own["number"], own["to_mend_row"]) == ("A9", "2")
    again = save(tmp_path / "2.csv", [{**own, "revenue": "9"}])
    assert typed.value("retry", done["run_id"], "--file", again)["to_mend"]["left"] == 0


def test_an_added_row_does_not_take_the_place_of_a_row_of_the_list(here: World, typed: Typed, tmp_path: Path) -> None:
    """Wherever it stands in the file: it is rejected itself, and is in the list of the retry."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    row = {**to_mend(typed, tmp_path, run)[0], "revenue": "100"}
    added = {**row, "name": "Added", "to_mend_row": ""}
    done = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [added, row]), code=2)
    assert (done["created"]["done"], done["source"]["rejected"], done["to_mend"]["left"]) == (1, 1, 2)
    assert [name for number, name, *_ in held(here) if number == "A2"] == ["=Two"]
    (own,) = to_mend(typed, tmp_path, done["run_id"])
    assert (own["name"], "Duplicate Key" in own["to_mend_reason"]) == ("Added", True)


def test_a_refused_plan_takes_no_row_from_the_list(here: World, typed: Typed, tmp_path: Path) -> None:
    """The safety limits apply to a retry, and `--force` overrides them."""
    here.define(accounts(sync_behaviour={"safety": {"max_update": 0}}))
    run = typed.value("run", "accounts", code=2)["run_id"]
    row = {**to_mend(typed, tmp_path, run)[0], "number": "A1", "revenue": "3"}
    file = save(tmp_path / "1.csv", [row])
    typed("retry", run, "--file", file, code=3)
    assert typed.value("errors", run)["to_mend"]["left"] == 3
    assert typed.value("retry", run, "--file", file, "--force")["to_mend"]["left"] == 2


SHORT, LONG = "Müller", "a name that is far too long"
TARGETS = {"number": "accountnumber", "name": "address1_postalcode", "amount": "revenue", "since": "new_dueon",
           "active": "donotemail"}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_source_are_mended_as_text(
    here: World, typed: Typed, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Numbers, dates and truth are read again as the source gave them; columns that the definition does not name too."""
    of = ready(kind, request)
    path = here.folder / f"source{of.ending}"
    rows: list[Row] = [(1, SHORT, "1.5", "2024-02-29", "false"), (2, LONG, "2.5", "2024-01-31", "true")]
    of.write(path, rows)
    definition = accounts(sync_behaviour={"dropped": "delete"})
    definition["source"] = {**of.source, **of.place(path)}
    here.environment |= of.environment()
    if reference := definition["source"].get("connection"):
        here.environment[reference["env"]] = of.context(path).secret(EnvironmentSecret(**reference))
    definition["destination"]["mappings"] = [{"source": name, "target": target} for name, target in TARGETS.items()]
    here.define(definition)
    run = typed.value("run", "accounts", code=2)["run_id"]
    (row,) = to_mend(typed, tmp_path, run)
    assert (row["name"], float(row["amount"]), row["active"].lower()) == (LONG, 2.5, "true")
    assert row["since"].startswith("2024-01-31")
    done = typed.value("retry", run, "--file", save(tmp_path / "mended.csv", [{**row, "name": "short"}]))
    assert (done["created"]["done"], done["to_mend"]["left"]) == (1, 0)
    rows[1] = (2, "short", *rows[1][2:])
    path.unlink(missing_ok=True)
    of.write(path, rows)
    nothing_to_do(here)


def test_rows_of_a_delta_are_mended_with_their_actions(here: World, typed: Typed, tmp_path: Path) -> None:
    """Each mended row is created, changed or deleted as its action says; a refused change can be mended too."""
    here.csv([{**GOOD, "number": f"A{number}"} for number in range(1, 5)])
    here.run()
    definition = accounts(sync_behaviour={"strategy": "delta", "action_column": "action"})
    definition["source"]["columns"].append({"name": "action"})
    here.define(definition)
    rows = [
        {**GOOD, "number": "A1", "name": "Uno", "action": "UPDATE"},
        {**GOOD, "number": "A2", "name": "N" * 170, "action": "UPDATE"},
        {**GOOD, "number": "A3", "action": "REMOVE"},
        {**GOOD, "number": "A5", "revenue": "much", "action": "INSERT"},
        {**GOOD, "number": "A6", "revenue": "more", "action": "UPSERT"},
        {**GOOD, "number": "A9", "name": "Nobody", "action": "UPDATE"},
    ]
    here.csv(rows)
    first = typed.value("run", "accounts", code=2)
    run = first["run_id"]
    assert (first["updated"]["done"], first["failed"]) == (1, 1)
    found = {row["number"]: row for row in to_mend(typed, tmp_path, run)}
    assert found.keys() == {"A2", "A3", "A5", "A6", "A9"}
    changes = {
        "A2": {"name": "Two"},
        "A3": {"action": "DELETE"},
        "A5": {"revenue": "5"},
        "A6": {"revenue": "6"},
        "A9": {"action": "INSERT"},
    }
    file = save(tmp_path / "mended.csv", [{**found[number], **changed} for number, changed in changes.items()])
    done = typed.value("retry", run, "--file", file)
    counts = [done[name]["done"] for name in ("updated", "deleted", "created", "upserted")]
    assert (counts, done["to_mend"]["left"]) == ([1, 1, 2, 1], 0)
    assert [(number, name) for number, name, *_ in held(here)] == [
        ("A1", "Uno"), ("A2", "Two"), ("A4", "One"), ("A5", "One"), ("A6", "One"), ("A9", "Nobody"),
    ]  # fmt: skip


def test_columns_of_every_kind_have_the_values_of_the_mended_file(here: World, typed: Typed, tmp_path: Path) -> None:
    """JSONPath, alias, file name, a source's own notation, formula, cases and script, with a filter."""
    (here.folder / "may.json").write_text(
        json.dumps([{"id": "A1", "a": {"city": "Ulm"}, "rev": "n/a", "on": "31.01.2024", "far": "1.250,5 x"}]), "utf-8"
    )
    definition = accounts()
    definition["source"] = {
        "type": "json",
        "path": str(here.folder / "may*.json"),
        "null_values": ["n/a"],
        "filter": "city <> 'Bonn'",
        "columns": [
            {"name": "id", "alias": "No"},
            {"name": "$.a.city", "alias": "city", "trim": True},
            {"name": "rev", "type": "number"},
            {"name": "on", "type": "date", "input_format": "dd.MM.yyyy", "validate": True},
            {"name": "far", "type": "number", "decimal_separator": ",", "thousands_separator": ".", "validate": True},
            {"name": "file", "file_name": True},
            {"name": "both", "formula": "city || ' ' || file"},
            {"name": "loud", "script": "function calc(row) { return row.city.toUpperCase() }"},
        ],
    }
    pairs = {"No": "accountnumber", "both": "name", "loud": "address1_city", "far": "revenue", "on": "new_dueon"}
    definition["destination"]["mappings"] = [{"source": name, "target": target} for name, target in pairs.items()]
    here.define(definition)
    run = typed.value("run", "accounts", code=2)["run_id"]
    (row,) = to_mend(typed, tmp_path, run)
    kept = {"No": "A1", "city": "Ulm", "rev": "n/a", "on": "31.01.2024", "far": "1.250,5 x", "file": "may.json"}
    assert {name: row[name] for name in row if not name.startswith("to_mend")} == kept
    done = typed.value("retry", run, "--file", save(tmp_path / "x.csv", [{**row, "far": "1.250,5"}]))
    assert (done["created"]["done"], done["to_mend"]["left"]) == (1, 0)
    assert held(here) == [("A1", "Ulm may.json", "ULM", 1250.5)]


def without(rows: list[dict[str, str]], column: str) -> list[dict[str, str]]:
    return [{name: text for name, text in row.items() if name != column} for row in rows]


def renamed(rows: list[dict[str, str]], column: str, new: str) -> list[dict[str, str]]:
    return [{new if name == column else name: text for name, text in row.items()} for row in rows]


def written(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


HEADER = "number,name,city,revenue,to_mend_row,to_mend_reason\n"
WRONG: dict[str, tuple[Callable[[Path, list[dict[str, str]]], str], str]] = {
    "renamed": (
        lambda path, rows: save(path, renamed(rows, "revenue", "Revenu")),
        "the column revenue: its first line",
    ),
    "similar": (lambda path, rows: save(path, renamed(rows, "revenue", "Revenu")), "did you mean Revenu?"),
    "missing": (lambda path, rows: save(path, without(rows, "city")), "m.csv does not have the column city"),
    "no number": (lambda path, rows: save(path, without(rows, "to_mend_row")), "because a row leaves the list by it"),
    "pipes": (lambda path, rows: save(path, rows, "|"), "does not have the columns number, name, city, revenue"),
    "encoding": (lambda path, rows: save(path, rows, encoding="cp1252"), "m.csv is not UTF-8 (line 2): save it as CSV"),
    "empty": (lambda path, _: written(path, HEADER), "m.csv has no row below its header"),
    "nothing": (lambda path, _: written(path, ""), "m.csv does not have the columns number"),
    "no file": (lambda path, _: str(path), "m.csv: cannot be read: No such file"),
    "fields": (lambda path, _: written(path, HEADER + "A,B,C,1,2\n"), "m.csv has 5 fields instead of 6 (line 2)"),
    "word": (lambda path, _: written(path, HEADER + "\nA,B,C,1,two,x\n"), "no number in to_mend_row (line 3)"),
    "quote": (lambda path, _: written(path, HEADER + 'A,"B,C,1,2,x\n'), "m.csv cannot be read as CSV (line 2)"),
    "a row twice": (
        lambda path, rows: save(path, [*rows, rows[1]]),
        "m.csv has row 3 of to_mend_row twice (lines 3 and 5): keep one of them",
    ),
    "twice": (lambda path, _: written(path, "name," + HEADER + "A,B,C,D,1,2,x\n"), "has the column name twice"),
}


def test_what_cannot_be_used_is_refused_before_anything_is_begun(here: World, typed: Typed, tmp_path: Path) -> None:
    """Each wrong file with its message; the execution log has no new run."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    rows, before = to_mend(typed, tmp_path, run), here.app.state.runs()
    for title, (make, said) in WRONG.items():
        (tmp_path / "m.csv").unlink(missing_ok=True)
        shown = typed("retry", run, "--file", make(tmp_path / "m.csv", rows), code=1)
        assert said in " ".join(shown.split()), (title, shown)
    file = save(tmp_path / "m.csv", rows)
    changed = accounts()
    changed["source"]["columns"].append({"name": "region"})
    here.define(changed)
    assert "the definition has region since that run" in typed("retry", run, "--file", file, code=1)
    here.define(accounts(parameters={"service_url": {"default": "http://127.0.0.1:1/api/data/v9.2/"}}))
    assert "writes to 127.0.0.1:1 now: change destination.service_url back" in typed(
        "retry", run, "--file", file, code=1
    )
    assert "There is no run nothing" in typed("retry", "nothing", "--file", file, code=1)
    assert here.app.state.runs() == before


def test_rows_that_are_numbered_by_their_place_are_not_run_alone(here: World, typed: Typed, tmp_path: Path) -> None:
    """In the mended file they have other places, and would be written over the records of other rows."""
    definition = accounts()
    definition["source"]["columns"].append({"name": "line", "formula": "'L' || CAST(ROW_NUMBER() AS BIGINT)"})
    definition["destination"]["mappings"][0]["source"] = "line"
    here.define(definition)
    run = typed.value("run", "accounts", code=2)["run_id"]
    before = here.records("accounts")
    rows = [{**row, **MENDED.get(row["number"], {})} for row in to_mend(typed, tmp_path, run)]
    said = typed("retry", run, "--file", save(tmp_path / "mended.csv", rows), code=1)
    assert "uses ROW_NUMBER()" in said
    assert "correct the source and run the sync" in said
    assert here.records("accounts") == before


def test_columns_may_have_the_names_of_the_list_itself(here: World, typed: Typed, tmp_path: Path) -> None:
    """`reason`, `duplicate` and `lost` are words for what is wrong with a row; a source may use them as well."""
    names = ["reason", "duplicate", "Lost", "wanted", "raw"]
    definition = accounts()
    definition["source"]["columns"] += [{"name": name} for name in names]
    definition["destination"]["mappings"] += [{"source": "reason", "target": "description"}]
    here.define(definition)
    here.csv([{**row, **{name: f"my {name}" for name in names}} for row in ROWS])
    listed = to_mend(typed, tmp_path, typed.value("run", "accounts", code=2)["run_id"])
    assert [[row[name] for name in names] for row in listed] == [[f"my {name}" for name in names]] * 3


def test_a_run_without_rows_in_error_has_none_to_mend(here: World, typed: Typed, tmp_path: Path) -> None:
    """The message says why, also of a run of events."""
    here.csv(ROWS[:1])
    run = typed.value("run", "accounts")["run_id"]
    file = save(tmp_path / "m.csv", ROWS[:1])
    assert "no row of its source had an error" in typed("retry", run, "--file", file, code=1)
    (record,) = here.app.state.runs(limit=1)
    here.app.state.begin_run(replace(record, run_id="e1", trigger="events"))
    assert "its events are dead letters" in typed("retry", "e1", "--file", file, code=1)


def test_old_rows_to_mend_are_removed_also_those_of_the_last_run(here: World, typed: Typed, tmp_path: Path) -> None:
    """Their values are kept for the time that the settings say; the log still has the run."""
    run = typed.value("run", "accounts", code=2)["run_id"]
    file = save(tmp_path / "m.csv", to_mend(typed, tmp_path, run))
    (record,) = here.app.state.runs(limit=1)
    here.app.state.begin_run(replace(record, sync="gone", started=record.started - timedelta(days=91)))
    assert here.app.state.rows_to_mend(run)
    clean_up(here.app, datetime.now(UTC))
    assert here.app.state.rows_to_mend(run) is None
    shown = typed.value("errors", run)
    assert (shown["run"]["state"], shown["errors"], shown["to_mend"]) == ("Completed with errors", [], None)
    said = " ".join(typed("retry", run, "--file", file, code=1).split())
    assert "has no rows to mend any more: they are kept for 90 days (RETENTION_DAYS)" in said


def test_a_retry_has_the_parameters_of_its_run_and_carries_out_no_steps(
    here: World, typed: Typed, tmp_path: Path
) -> None:
    """The step would fail: nothing listens there."""
    definition = accounts(parameters={"region": {"default": "South"}})
    definition["source"]["columns"].append({"name": "place", "formula": "city || ' ' || @region"})
    definition["destination"]["mappings"][2]["source"] = "place"
    run = here.define(definition) and typed.value("run", "accounts", "-p", "region=North", code=2)["run_id"]
    step = {"name": "tell", "http": {"url": "http://127.0.0.1:9/"}}
    here.define(definition | {"post_sync": [step]})
    row = to_mend(typed, tmp_path, run)[0] | MENDED["A2"]
    done = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [row]))
    assert (done["created"]["done"], done["post_sync"]) == (1, [])
    assert held(here)[1] == ("A2", "=Two", "Köln North", 100)
    assert here.app.state.runs(limit=1)[0].given == {"region": "North"}


def test_records_that_a_retry_creates_are_remembered(here: World, typed: Typed, tmp_path: Path) -> None:
    """A sync that drops only its own records drops them when their rows were removed, and no records before that."""
    foreign = here.create("accounts", {"name": "foreign", "accountnumber": "F1"})
    here.define(accounts(sync_behaviour={"dropped": "delete", "dropped_scope": "own"}))
    run = typed.value("run", "accounts", code=2)["run_id"]
    row = to_mend(typed, tmp_path, run)[0] | MENDED["A2"]
    typed("retry", run, "--file", save(tmp_path / "1.csv", [row]))
    here.csv([GOOD, {**ROWS[1], **MENDED["A2"]}])
    nothing_to_do(here)
    here.csv([GOOD])
    assert here.run().deleted.done == 1
    assert [record["accountid"] for record in here.records("accounts?$filter=accountnumber eq 'F1'")] == [foreign]


FREE = {"max_delete": "100%", "max_update": "100%"}
_MARKS = {"deactivate": ("statecode", 0), "expire": ("lastusedincampaign", None)}
"""Of each mark its column, and the value of a record without it."""


def rules_with_marks(kind: str, why: str) -> dict[str, Any]:
    """A sync that marks records and takes the marks away, with one of the reasons for keeping a ledger besides."""
    dropped = kind if kind == "deactivate" else {"expire": "lastusedincampaign"}
    definition = accounts(sync_behaviour={"dropped": dropped, "returned": "reactivate", "safety": FREE})
    if why == "own":
        definition["sync_behaviour"]["dropped_scope"] = "own"
    else:
        definition["destination"]["mappings"][2]["write"] = "unless_edited"
    return definition


def mark_of(here: World, number: str, kind: str) -> Any:
    column = _MARKS[kind][0]
    return here.records(f"accounts?$select={column}&$filter=accountnumber eq '{number}'")[0][column]


@pytest.mark.parametrize("kind", ["deactivate", "expire"])
@pytest.mark.parametrize("why", ["own", "unless_edited"])
@pytest.mark.parametrize("wrong", ["B", "A3"], ids=["another row", "the row of a marked record"])
def test_a_retry_leaves_marks_as_they_are(
    here: World, typed: Typed, tmp_path: Path, kind: str, why: str, wrong: str
) -> None:
    """What the sync has marked stays marked, and is reactivated by the run that finds its row again."""
    rows = [{**GOOD, "number": f"A{number}"} for number in range(1, 5)]
    here.define(rules_with_marks(kind, why))
    here.csv(rows)
    here.run()
    here.csv(rows[:2])
    marked = here.run()
    assert marked.deactivated.done + marked.expired.done == 2
    here.csv([*rows[:2], {**GOOD, "number": wrong, "revenue": "x"}])
    run = typed.value("run", "accounts", code=2)["run_id"]
    mended = to_mend(typed, tmp_path, run)[0] | {"revenue": "7"}
    retried = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [mended]))
    assert (retried["created"]["done"] + retried["updated"]["done"], retried["reactivated"]["done"]) == (1, 0)
    assert all(mark_of(here, number, kind) for number in ("A3", "A4"))
    here.csv(rows)
    assert here.run().reactivated.done == 2
    assert [mark_of(here, number, kind) for number in ("A3", "A4")] == [_MARKS[kind][1]] * 2


@pytest.mark.parametrize("kind", ["deactivate", "expire"])
def test_a_retry_reads_and_keeps_the_mirror(here: World, typed: Typed, tmp_path: Path, kind: str) -> None:
    """A mirror has the columns of marks too: neither the retry nor the next run reads the whole table."""
    definition = rules_with_marks(kind, "own")
    definition["destination"]["mirror"] = True
    here.define(definition)
    here.csv(ROWS[:2])
    typed("run", "accounts", code=2)
    run = typed.value("run", "accounts", code=2)["run_id"]
    row = to_mend(typed, tmp_path, run)[0] | MENDED["A2"]
    retried = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [row]))
    assert (retried["mirror"]["read"], retried["mirror"]["kept"]) == ("changes", True)
    here.csv([GOOD, {**ROWS[1], **MENDED["A2"]}])
    assert typed.value("run", "accounts")["mirror"]["read"] == "changes"


def test_a_retry_leaves_the_watermark_alone(here: World, typed: Typed, tmp_path: Path) -> None:
    """Also if the mended row is past it."""
    of = sqlite_source(here.folder / "marked.db")
    here.environment |= of.environment
    of.run(f"CREATE TABLE customers ({WATERMARKED})")
    define(here, of, behaviour=FULL)
    of.put(("A1", "One", "2024-01-01 10:00:00"), ("A2", "N" * 170, "2024-01-01 11:00:00"))
    run = typed.value("run", "accounts", code=2)["run_id"]
    before = here.app.watermark("accounts")
    row = to_mend(typed, tmp_path, run)[0] | {"name": "Two", "changed_at": "2030-01-01 00:00:00"}
    done = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [row]))
    assert (done["created"]["done"], here.app.watermark("accounts")) == (1, before)
    assert before is not None


def test_a_cell_with_an_error_stays_one_until_it_is_mended(here: World, typed: Typed, tmp_path: Path) -> None:
    """In a column of text, where any other text would fit."""
    cells = [("number", "name"), ("A1", Raw(' t="e"><v>#N/A</v></c>')), ("A2", "Two")]
    write_xlsx(here.folder / "book.xlsx", {"Data": iter(cells)})
    definition = accounts()
    definition["source"] = {"type": "excel", "path": str(here.folder / "book.xlsx")}
    definition["destination"]["mappings"] = definition["destination"]["mappings"][:2]
    here.define(definition)
    run = typed.value("run", "accounts")["run_id"]
    (row,) = to_mend(typed, tmp_path, run)
    assert row["name"] == "#ERROR!"
    same = typed.value("retry", run, "--file", save(tmp_path / "1.csv", [row]))
    assert (same["to_mend"]["left"], same["errors"][0]["type"]) == (1, "Invalid Format Exception")
    done = typed.value("retry", run, "--file", save(tmp_path / "2.csv", [{**row, "name": "One"}]))
    assert (done["updated"]["done"], done["to_mend"]["left"]) == (1, 0)


def test_who_may_not_read_values_still_sees_the_errors(here: World, typed: Typed, tmp_path: Path) -> None:
    """The rows are in a container of their own: a run that may not write there ends as it would."""
    run = typed.value("run", "accounts", code=2)["run_id"]

    refused = failing(AbortRun("The state store refuses this identity"))
    with here.store_in_front(rows_to_mend=refused, put_rows_to_mend=refused):
        said = typed("errors", run, "--csv", str(tmp_path))
        assert "cannot be read: The state store refuses this identity" in said
        assert [path.name for path in tmp_path.iterdir()] == [f"{run}_SourceErrors.csv"]
        assert typed.value("run", "accounts", code=2)["state"] == "Completed with errors"


def test_values_with_types_are_read_again_as_they_were(here: World, typed: Typed, tmp_path: Path) -> None:
    """Moments with and without a zone, numbers with exponents, and missing values; the name of the file is free."""
    path = here.folder / "typed.parquet"

    def write(name: str) -> None:
        path.unlink(missing_ok=True)
        duckdb.sql(
            f"""COPY (SELECT 'A1' AS number, '{name}' AS name, 1e-7::DOUBLE AS longitude, -12.50::DECIMAL(9,2) AS credit,
            TIMESTAMP '2024-01-31 10:00:00' AS moment, TIMESTAMPTZ '2024-06-30 23:30:00+02' AS zoned, true AS yes,
            NULL::DATE AS never, 7::BIGINT AS people) TO '{path}' (FORMAT parquet)"""
        )

    definition = accounts(sync_behaviour={"dropped": "delete"})
    numbers, others = "concat_ws('|', longitude, credit, people)", "concat_ws('|', moment, zoned, yes, never)"
    definition["source"] = {"type": "parquet", "path": str(path)}
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"value": numbers, "target": "description"},
        {"value": others, "target": "address1_city"},
    ]
    here.define(definition)
    write("N" * 170)
    run = typed.value("run", "accounts", code=2)["run_id"]
    (row,) = to_mend(typed, tmp_path, run)
    file = save(tmp_path / "m@region *.csv", [{**row, "name": "One"}])
    assert typed.value("retry", run, "--file", file)["created"]["done"] == 1
    write("One")
    nothing_to_do(here)
