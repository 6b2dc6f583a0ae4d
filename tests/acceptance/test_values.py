"""Values in local notations: over HTTP, in batches and in events, and twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from shared.cli.real_time import feed
from shared.definitions import export_schema
from shared.jobs import RunState
from tests.acceptance.world import World, world

DEFINITION: Final = (Path(__file__).parent / "definitions" / "values.yaml").read_text("utf-8")
COLUMNS: Final[Mapping[str, Any]] = {
    "new_Code": {"type": "String"},
    "new_Amount": {"type": "Money", "precision": 2},
    "new_Share": {"type": "Decimal", "precision": 3},
    "new_Since": {"type": "DateTime", "behavior": "DateOnly"},
    "new_Called": {"type": "DateTime", "behavior": "UserLocal"},
    "new_Opens": {"type": "DateTime", "behavior": "UserLocal"},
    "new_Closes": {"type": "DateTime", "behavior": "TimeZoneIndependent"},
    "new_Day": {"type": "DateTime", "behavior": "DateOnly"},
    "new_Serial": {"type": "DateTime", "behavior": "UserLocal"},
    "new_Active": {"type": "Boolean", "options": {0: "Off", 1: "On"}},
    "new_Note": {"type": "String", "length": 50},
    "new_Remark": {"type": "String", "length": 50},
    "new_Doubled": {"type": "Decimal", "precision": 2},
}
FIELDS: Final = [name.removeprefix("new_").lower() for name in COLUMNS]
READ: Final = [name for name in FIELDS if name != "doubled"]
# The texts of a row, and what its record holds.
ROWS: Final[Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]]] = {
    "german": (
        {
            "amount": "1.250,50 €", "share": "12,5 %", "since": "31.01.2024", "called": "2024-07-01T10:00",
            "opens": "2024-10-27T02:30", "closes": "2024-10-27T02:30", "day": "2024-01-31", "serial": "45322.4375",
            "active": "JA", "note": "N/A", "remark": "N/A",
        },
        {
            "amount": 1250.5, "share": 12.5, "since": "2024-01-31", "called": "2024-07-01T08:00:00Z",
            "opens": "2024-10-27T00:30:00Z", "closes": "2024-10-27T02:30:00Z", "day": "2024-01-31",
            "serial": "2024-01-31T10:30:00Z", "active": True, "note": None, "remark": "N/A", "doubled": 2501.0,
        },
    ),
    "minus": (
        {
            "amount": "1.250,50-", "share": "-0,5", "since": "31.12.49", "called": "2024-07-01T10:00Z",
            "opens": "2024-03-31T02:30", "closes": "2024-07-01T10:00Z", "day": "2024-01-30T23:30Z", "serial": "61",
            "active": "-", "note": "null", "remark": "NULL",
        },
        {
            "amount": -1250.5, "share": -0.5, "since": "2049-12-31", "called": "2024-07-01T10:00:00Z",
            "opens": "2024-03-31T00:30:00Z", "closes": "2024-07-01T12:00:00Z", "day": "2024-01-31",
            "serial": "1900-03-01T00:00:00Z", "active": False, "note": "null", "remark": "NULL", "doubled": -2501.0,
        },
    ),
    "empty": (dict.fromkeys(READ[1:-1], "NULL") | {"remark": ""}, dict.fromkeys(FIELDS[1:])),
    "wrong": (
        {
            "amount": "1.25", "share": "", "since": "31/01/2024", "called": "2024-03-31T02:30", "opens": "", "closes": "",
            "day": "2024-10-27T02:30", "serial": "60", "active": "true", "note": "kept", "remark": "",
        },
        dict.fromkeys(FIELDS[1:]) | {"note": "kept", "active": False},  # a value that is left out: the column's default
    ),
}  # fmt: skip
REJECTED: Final = {"share": "12.5"}
EXPECTED: Final = {code: {name: record[name] for name in FIELDS[1:]} for code, (_, record) in ROWS.items()}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("values")
    schema = folder / "schema.yaml"
    schema.write_text(
        yaml.safe_dump({"new_Specimen": {"label": "Specimen", "columns": dict(COLUMNS)}}, allow_unicode=True), "utf-8"
    )
    with world(folder, schema=[schema]) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.define(DEFINITION, "values")
    return shared_world


def held(here: World) -> dict[str, dict[str, Any]]:
    records = here.records(f"new_specimens?$select={','.join(f'new_{name}' for name in FIELDS)}")
    return {record["new_code"]: {name: record[f"new_{name}"] for name in FIELDS[1:]} for record in records}


def write_file(here: World) -> None:
    with (here.folder / "source.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=READ, delimiter=";")
        writer.writeheader()
        writer.writerows({"code": code, **texts} for code, (texts, _) in ROWS.items())
        writer.writerow({"code": "rejected", **REJECTED})


def send(here: World, *records: Mapping[str, Any]) -> dict[str, int]:
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **record}) + "\n" for record in records), "utf-8")
    return dict(feed(here.app, "values", str(path)).syncs["values"])


def test_the_definition_satisfies_the_schema() -> None:
    """Editors accept every definition that the loader accepts."""
    jsonschema.validate(yaml.safe_load(DEFINITION), export_schema())


def test_a_file_is_loaded_and_the_second_run_plans_nothing(here: World) -> None:
    """Each value is correct; each error has its row, its column and its type."""
    write_file(here)
    first = here.run("values")
    assert first.state is RunState.COMPLETED_WITH_ERRORS
    assert (first.created.done, first.source.rejected) == (len(ROWS), 1)
    assert held(here) == EXPECTED
    assert {(error.column, error.error_type) for error in first.errors} == {
        ("amount", "Invalid Format Exception"),
        ("since", "Input Format Exception"),
        ("called", "Input Format Exception"),
        ("day", "Input Format Exception"),
        ("serial", "Input Format Exception"),
        ("active", "Invalid Format Exception"),
        ("share", "Invalid Format Exception"),
    }

    again = here.run("values")
    assert [change.planned for change in (again.created, again.updated, again.deleted)] == [0, 0, 0]
    assert again.writes == 0


def test_events_with_the_same_texts_write_the_same_records(here: World) -> None:
    """Redelivered events change nothing, nor does a batch after them."""
    events = [{"code": code, **texts} for code, (texts, _) in ROWS.items()]
    assert send(here, *events)["insert"] == len(ROWS)
    assert held(here) == EXPECTED
    before = len(writes(here))
    send(here, *events)
    assert len(writes(here)) == before

    write_file(here)
    assert here.run("values").writes == 0


def writes(here: World) -> list[Any]:
    return [each for each in here.emulator.log() if each["method"] != "GET" and "token" not in each["path"]]


def test_json_numbers_and_booleans_of_events_ignore_the_notation(here: World) -> None:
    """1.125 is not a thousand, and true is true; a text that does not fit rejects the event as it rejects the row."""
    send(
        here,
        {"code": "json", "amount": 1.125, "share": 12.5, "serial": 45322.4375, "active": True, "note": None},
        {"code": "whole", "amount": 1250, "share": -1, "active": False},
        {"code": "rejected", "share": "12.5"},
    )
    found = {
        code: {name: record[name] for name in ("amount", "share", "active")} for code, record in held(here).items()
    }
    assert found == {
        "json": {"amount": 1.13, "share": 12.5, "active": True},
        "whole": {"amount": 1250.0, "share": -1.0, "active": False},
    }
    (letter,) = here.app.state.dead_letters("values")
    assert "share: not a number; it must be written plainly, as in 1250,50" in letter.message


def test_explain_shows_how_values_are_read(here: World) -> None:
    """The SQL names the zone, the words and the notation."""
    sql = "\n".join(step.sql for step in here.app.explain("values"))
    for part in ("Europe/Berlin", "'%d.%m.%y'", "1899-12-30", "'Nein'", "'N/A'", "[0-9]{3}"):
        assert part in sql, part


def test_plan_shows_the_values_that_are_read(here: World) -> None:
    """A changed text of the same value is not a change; a changed value is."""
    write_file(here)
    here.run("values")
    text = (here.folder / "source.csv").read_text("utf-8")
    changed = text.replace("1.250,50 €", "1250,5").replace("1.250,50-", "€ 1.251-").replace("JA", " x ")
    (here.folder / "source.csv").write_text(changed, "utf-8")
    counts = here.plan("values").plan.counts
    assert (counts.insert, counts.update, counts.delete) == (0, 1, 0)
