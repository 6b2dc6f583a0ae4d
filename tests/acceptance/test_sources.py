"""A sync with each kind of source, which plans nothing if another kind has loaded the same rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.app import App
from shared.definitions import EnvironmentSecret
from shared.errors import DefinitionError, UserError
from tests.acceptance.world import World, accounts, world
from tests.contract.source_kinds import FILES, KINDS, Kind, Row, ready, rows
from tests.postgresql.fixtures import Database
from tests.workbooks.xlsx import write_xlsx

COUNT = 60
MAPPINGS = [
    {"source": "number", "target": "accountnumber"},
    {"source": "name", "target": "name"},
    {"source": "amount", "target": "revenue"},
    {"source": "active", "target": "donotemail"},
]
TYPED = [
    {"name": name, "type": kind}
    for name, kind in {"number": "number", "name": "text", "amount": "number", "active": "bool"}.items()
]
OTHERS = [name for name in KINDS if name != "delimited"]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sources")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def define(here: World, kind: Kind, content: list[Row], **keys: Any) -> str:
    """A sync of accounts from a file, or another place, of a kind."""
    path = here.folder / f"source{kind.ending}"
    kind.write(path, content)
    definition = accounts()
    definition["source"] = {**kind.source, **kind.place(path), **keys}
    here.environment |= kind.environment()
    if reference := definition["source"].get("connection"):
        here.environment[reference["env"]] = kind.context(path).secret(EnvironmentSecret(**reference))
    definition["destination"]["mappings"] = MAPPINGS
    definition["sync_behaviour"] |= {"dropped": "delete"}
    return here.define(definition, kind.source["type"].replace("_", "-"))


@pytest.fixture(params=OTHERS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return ready(request.param, request)


def held(here: World) -> list[tuple[Any, ...]]:
    columns = ("accountnumber", "name", "revenue", "donotemail")
    records = here.records(f"accounts?$select={','.join(columns)}")
    return sorted(tuple(record[name] for name in columns) for record in records)


def test_a_sync_writes_each_row_and_then_finds_nothing_to_do(here: World, kind: Kind) -> None:
    """It also finds a changed and a removed row; validate and explain read the same definition."""
    name = define(here, kind, list(rows(COUNT)))
    assert here.app.validate([name]) == []
    assert here.app.explain(name)
    first = here.run(name)
    assert (first.created.done, first.source.processed, first.errors) == (COUNT, COUNT, ())
    second = here.run(name)
    assert (second.created.planned, second.updated.planned, second.deleted.planned) == (0, 0, 0)
    changed = [(number, "New" if number == 1 else name, *rest) for number, name, *rest in rows(COUNT - 1)]
    define(here, kind, changed)  # type: ignore[arg-type]  # rows, with one name replaced
    third = here.run(name)
    assert (third.created.planned, third.updated.done, third.deleted.done) == (0, 1, 1)


def test_rows_of_a_text_file_are_the_rows_of_any_other_kind(here: World, kind: Kind) -> None:
    """Loaded from delimited text; the other kind plans no change."""
    here.run(define(here, KINDS["delimited"], list(rows(COUNT))))
    before = held(here)
    assert len(before) == COUNT
    plan = here.plan(define(here, kind, list(rows(COUNT)))).plan
    assert (plan.counts.insert, plan.counts.update, plan.counts.delete) == (0, 0, 0)
    assert held(here) == before


def test_a_missing_column_is_reported_before_anything_is_read(here: World) -> None:
    """With the line of the definition; in `validate` and in a run."""
    columns = [{"name": "number"}, {"name": "nmae", "alias": "name"}, {"name": "amount"}, {"name": "active"}]
    name = define(here, KINDS["parquet"], list(rows(1)), columns=columns)
    (problem, *_) = here.app.validate([name])
    assert problem.message.endswith("has no column nmae; did you mean name?")
    assert (Path(problem.file).name, problem.path) == ("parquet.yaml", "source.columns[1].name")
    assert problem.line > 0
    with pytest.raises(DefinitionError, match="no column nmae"):
        here.run(name)
    assert held(here) == []


@pytest.mark.parametrize("name", [name for name in KINDS if name not in {"delimited", "fixed_width", "json", "rest"}])
def test_validate_compares_a_definition_with_types_with_what_the_source_has(
    here: World, name: str, request: pytest.FixtureRequest
) -> None:
    """With the line of the column; without the network only if the source is a file on this machine."""
    columns = [{**column, "name": "nmae", "alias": "name"} if column["name"] == "name" else column for column in TYPED]
    sync = define(here, ready(name, request), list(rows(1)), columns=columns)
    for offline in (False, True):
        problems = here.app.validate([sync], offline=offline)
        if offline and name not in FILES:
            assert problems == []
            continue
        (problem,) = problems
        assert problem.message.endswith("has no column nmae; did you mean name?")
        assert (problem.path, problem.line > 0) == ("source.columns[1].name", True)


@pytest.mark.parametrize("name", FILES)
def test_validate_needs_no_file(here: World, name: str) -> None:
    """A delivery that has not come yet is no mistake of a definition that has all types."""
    sync = define(here, KINDS[name], list(rows(1)), columns=KINDS[name].source.get("columns", TYPED))
    (here.folder / f"source{KINDS[name].ending}").unlink()
    assert here.app.validate([sync]) == here.app.validate([sync], offline=True) == []
    assert here.app.warnings([sync]) == ()


@pytest.mark.parametrize("name", FILES)
def test_validate_refuses_a_file_of_another_kind(here: World, name: str) -> None:
    """At the path of the source, also without the network."""
    kind = KINDS[name]
    sync = define(here, kind, list(rows(1)), columns=kind.source.get("columns", TYPED))
    (here.folder / f"source{kind.ending}").write_bytes(b"%PDF-1.7\n\0")
    for problems in (here.app.validate([sync]), here.app.validate([sync], offline=True)):
        said = [problem for problem in problems if f"source{kind.ending}" in problem.message]
        assert [problem.path.partition(".")[0] for problem in said] == ["source"], problems


def test_validate_warns_of_a_field_that_no_record_has(here: World) -> None:
    """Fields may be left out of records, so it is no mistake for certain."""
    columns = [{"name": "number"}, {"name": "nmae", "alias": "name"}, {"name": "amount"}, {"name": "active"}]
    sync = define(here, KINDS["json"], list(rows(COUNT)), columns=columns)
    assert here.app.validate([sync]) == []
    (warning,) = here.app.warnings()
    assert warning.endswith(f"none of the first {COUNT} records has the field nmae; did you mean name?")
    assert warning.startswith("json: ")


def test_validate_refuses_lines_that_end_before_the_columns(here: World) -> None:
    """If short lines are rejected, all of these rows would be."""
    kind = KINDS["fixed_width"]
    columns = [*kind.source["columns"], {"name": "city", "start": 100, "width": 20}]
    sync = define(here, kind, list(rows(COUNT)), columns=columns)
    (problem,) = here.app.validate([sync], offline=True)
    said = f"the columns end at character 119, and the longest of the first {COUNT} lines has 79 characters"
    assert (problem.path, said in problem.message) == ("source.path", True)
    define(here, kind, list(rows(COUNT)), columns=columns, short_lines="fill")
    assert here.app.validate([sync], offline=True) == []


def test_errors_of_cells_are_reported_with_the_cell(here: World) -> None:
    """An error in a mandatory column leaves the field out; with validate it rejects the row; the message names it."""
    header = ("number", "name", "amount", "since", "active")
    content: list[Any] = [header, ("1", "#N/A", 1.5, None, True), (), ("2", "Two", "#SPILL!", None, True)]
    path = write_xlsx(here.folder / "cells.xlsx", {"Notes": [("x",)], "Data": content})
    columns = [
        {"name": "number"},
        {"name": "name", "mandatory": True},
        {"name": "amount", "type": "number", "validate": True},
        {"name": "active"},
    ]
    definition = accounts()
    definition["source"] = {"type": "excel", "path": str(path), "sheet": "Data", "columns": columns}
    definition["destination"]["mappings"] = MAPPINGS
    done = here.run(here.define(definition, "cells"))
    assert (done.created.done, done.source.rejected) == (1, 1)
    told = sorted((error.error_type, error.column, error.message) for error in done.errors)
    format_error = "Invalid Format Exception"
    said = "of Data of cells.xlsx: the cell has the spreadsheet error"
    assert told == [
        (format_error, "amount", f"C4 {said} #SPILL!; correct it in the workbook"),
        (format_error, "name", f"B2 {said} #N/A; correct it in the workbook"),
    ]
    assert held(here) == [("1", None, 1.5, True)]


def test_a_cell_with_an_error_leaves_the_value_of_its_record(here: World) -> None:
    """It is not an empty cell: the column is left out of the update, and an empty cell clears it."""
    header = ("number", "name", "amount", "since", "active")
    definition = accounts()
    definition["source"] = {"type": "excel", "path": str(here.folder / "cells.xlsx")}
    definition["destination"]["mappings"] = MAPPINGS
    name = here.define(definition, "cells")
    write_xlsx(here.folder / "cells.xlsx", {"Data": [header, ("1", "One", 1.5, None, True)]})
    here.run(name)
    write_xlsx(here.folder / "cells.xlsx", {"Data": [header, ("1", "#N/A", 2.5, None, True)]})
    assert here.run(name).updated.done == 1
    assert held(here) == [("1", "One", 2.5, True)]
    write_xlsx(here.folder / "cells.xlsx", {"Data": [header, ("1", None, 2.5, None, True)]})
    here.run(name)
    assert held(here) == [("1", None, 2.5, True)]


@pytest.mark.parametrize("kind", FILES)
def test_files_are_read_only_from_the_folders_of_the_setting(here: World, kind: str) -> None:
    """The run ends before anything is written; with the folder in the setting it is read."""
    name = define(here, KINDS[kind], list(rows(2)))

    def app(roots: tuple[str, ...]) -> App:
        settings = here.app.settings.model_copy(update={"source_roots": roots})
        return App(settings, read_environment=lambda: here.environment)

    with pytest.raises(UserError, match="reads local files only from in, other"):
        app(("in", "other")).run(name)
    assert held(here) == []
    assert app(("in", str(here.folder))).run(name).created.done == 2


def test_validate_says_that_a_source_cannot_be_reached(here: World) -> None:
    """At the source, and not at the destination."""
    name = define(here, KINDS["sql of sqlite"], list(rows(1)))
    here.environment["DATABASE"] = "sqlite:///nothing.db"
    (problem,) = here.app.validate([name])
    assert (problem.path, "the file does not exist" in problem.message) == ("source", True)
    assert problem.line > 0


def test_a_connection_that_is_lost_in_the_middle_changes_nothing(
    here: World, database: Database, request: pytest.FixtureRequest
) -> None:
    """The run fails with a reason; no record is dropped or written, although many rows were read."""
    kind = ready("sql of postgresql", request)
    name = define(here, kind, list(rows(COUNT)))
    here.run(name)
    before = held(here)
    slow = "SELECT 1000 + n AS number, 'new' AS name, 1 AS amount, date '2024-01-31' AS since, true AS active, "
    wait = "pg_sleep(CASE WHEN n = 5000 THEN 60 ELSE 0 END)::text AS wait FROM generate_series(1, 9000) n"
    database.run("DROP TABLE source", f"CREATE VIEW source AS {slow}{wait}")

    def terminate() -> None:
        asked = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'"
        while not database.run(asked):
            time.sleep(0.05)

    ending = threading.Thread(target=terminate)
    ending.start()
    with pytest.raises(UserError, match="the connection was lost; nothing was written"):
        here.run(name)
    ending.join()
    assert here.app.state.runs(name)[0].state == "Failed"
    assert held(here) == before


def test_a_parameter_names_the_sheet(here: World) -> None:
    """A run needs its value, `validate` does not; a missing sheet is reported before anything is written."""
    header = ("number", "name", "amount", "active")
    sheets: dict[str, Any] = {month: [header, (month, month, 1, True)] for month in ("May", "June")}
    path = write_xlsx(here.folder / "months.xlsx", sheets)
    definition = accounts()
    definition["parameters"] = {**definition["parameters"], "month": {}}
    definition["source"] = {"type": "excel", "path": str(path), "sheet": "@month"}
    definition["destination"]["mappings"] = MAPPINGS
    name = here.define(definition, "months")
    assert here.app.validate([name]) == []
    with pytest.raises(UserError, match="has no sheet 'July'; it has: May, June"):
        here.run(name, parameters={"month": "July"})
    assert here.run(name, parameters={"month": "June"}).created.done == 1
    assert [row[0] for row in held(here)] == ["June"]
