"""Columns of type json: documents from every kind of source and from events, read by expressions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.cli.real_time import feed
from tests.acceptance.world import World, accounts, world
from tests.workbooks.xlsx import write_xlsx

DOCUMENT = {"city": "Köln", "lines": [{"n": 1}, {"n": 2}]}
TEXT = json.dumps(DOCUMENT, ensure_ascii=False)
BAD = "no, JSON"
MAPPINGS = [
    {"source": "number", "target": "accountnumber"},
    {"value": "doc->>'$.city'", "target": "address1_city"},
    {"value": "json_array_length(doc, '$.lines')", "target": "numberofemployees"},
    {"source": "doc", "target": "description"},
]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("documents")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def write_delimited(path: Path) -> dict[str, Any]:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("number", "doc"), ("1", TEXT), ("2", BAD), ("3", "")])
    return {"type": "delimited"}


def write_fixed_width(path: Path) -> dict[str, Any]:
    path.write_text(f"1{TEXT}\n2{BAD}\n3\n", "utf-8")
    return {"type": "fixed_width"}


def write_json(path: Path) -> dict[str, Any]:
    path.write_text(json.dumps([{"number": 1, "doc": DOCUMENT}, {"number": 2, "doc": BAD}, {"number": 3}]), "utf-8")
    return {"type": "json"}


def write_excel(path: Path) -> dict[str, Any]:
    write_xlsx(path, {"Data": [("number", "doc"), ("1", TEXT), ("2", BAD), ("3", None)]})
    return {"type": "excel"}


def write_parquet(path: Path) -> dict[str, Any]:
    with duckdb.connect() as database:
        database.execute("CREATE TABLE t (number VARCHAR, doc VARCHAR)")
        database.execute("INSERT INTO t VALUES ('1', ?), ('2', ?), ('3', NULL)", [TEXT, BAD])
        database.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    return {"type": "parquet"}


WRITERS = [write_delimited, write_fixed_width, write_json, write_excel, write_parquet]


@pytest.mark.parametrize("write", WRITERS)
def test_expressions_read_a_document_and_other_text_is_an_error(
    here: World, write: Callable[[Path], dict[str, Any]]
) -> None:
    """If it is not JSON, the field and those calculated from it are left out; a second run plans nothing."""
    source = write(here.folder / "documents")
    number: dict[str, Any] = {"name": "number", "type": "text"}
    doc: dict[str, Any] = {"name": "doc", "type": "json"}
    if source["type"] == "fixed_width":
        number, doc = {**number, "start": 1, "width": 1}, {**doc, "start": 2, "width": 500}
    definition = accounts()
    definition["source"] = {**source, "path": str(here.folder / "documents"), "columns": [number, doc]}
    definition["destination"]["mappings"] = MAPPINGS
    name = here.define(definition, "documents")
    assert here.app.validate([name]) == []
    done = here.run(name)
    assert done.created.done == 3
    assert {(error.error_type, error.column) for error in done.errors} == {("Invalid Format Exception", "doc")}
    found = here.records("accounts?$select=accountnumber,address1_city,numberofemployees,description")
    (first,) = (each for each in found if each["accountnumber"] == "1")
    assert (first["address1_city"], first["numberofemployees"]) == ("Köln", 2)
    assert json.loads(first["description"]) == DOCUMENT
    others = [each for each in found if each["accountnumber"] != "1"]
    assert [each["description"] for each in others] == [None, None]
    again = here.run(name)
    assert (again.created.planned, again.updated.planned) == (0, 0)


def test_a_path_into_a_text_that_is_not_json_is_an_error_of_its_column(here: World) -> None:
    """The other rows are read, the record keeps its value, and no message has the text."""
    definition = accounts()
    columns = [{"name": "number"}, {"name": "$.doc.city", "alias": "city"}]
    path = here.folder / "documents"
    definition["source"] = {**write_parquet(path), "path": str(path), "columns": columns}
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "city", "target": "address1_city"},
    ]
    here.create("accounts", {"accountnumber": "2", "address1_city": "Rome"})
    done = here.run(here.define(definition, "documents"))
    assert (done.created.done, done.updated.planned, done.source.rejected) == (2, 0, 0)
    told = "the text that the path of the column looks into is not JSON; correct it at its origin"
    assert [(each.error_type, each.column) for each in done.errors] == [("Invalid Format Exception", "city")]
    assert done.errors[0].message.endswith(told)
    assert BAD not in done.errors[0].message
    found = here.records("accounts?$select=accountnumber,address1_city")
    assert {each["accountnumber"]: each["address1_city"] for each in found} == {"1": "Köln", "2": "Rome", "3": None}


def test_documents_are_read_from_events(here: World) -> None:
    """Objects, and documents in a text; other text is an error of the event."""
    definition = accounts()
    columns = [{"name": "number", "type": "text"}, {"name": "doc", "type": "json", "validate": True}]
    definition["source"] = {"type": "events", "columns": columns}
    definition["destination"]["mappings"] = MAPPINGS
    definition["listener"] = {"name": "events", "topic": {"format": "json", "action": "$.op"}}
    name = here.define(definition, "events")
    assert here.app.validate([name]) == []
    records: list[dict[str, Any]] = [
        {"number": "1", "doc": DOCUMENT},
        {"number": "2", "doc": TEXT},
        {"number": "3", "doc": BAD},
    ]
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **record}) + "\n" for record in records), "utf-8")
    counts = feed(here.app, name, str(path)).syncs[name]
    assert (counts["insert"], counts["lost"]) == (2, 1)
    found = here.records("accounts?$select=accountnumber,address1_city,numberofemployees")
    assert sorted((each["accountnumber"], each["address1_city"], each["numberofemployees"]) for each in found) == [
        ("1", "Köln", 2),
        ("2", "Köln", 2),
    ]
