"""The last moment of a day, and the last days of the calendar, from sources of several kinds into columns of a record."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.acceptance.world import World, accounts, world
from tests.workbooks.xlsx import write_xlsx

MAPPINGS = [
    {"source": "number", "target": "accountnumber"},
    {"source": "at", "target": "new_dueon"},
    {"source": "at", "target": "lastusedincampaign"},
]
LAST = "2024-12-31 23:59:59.9999999"
NUMBER = {"name": "number", "type": "text"}
AT = {"name": "at", "type": "date"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("moments")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def synced(here: World, source: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The day and the moment of each record after a run, in the order of their numbers."""
    definition = accounts()
    definition["source"] = source
    definition["destination"]["mappings"] = MAPPINGS
    assert here.run(here.define(definition)).errors == ()
    records = here.records("accounts?$select=accountnumber,new_dueon,lastusedincampaign&$orderby=accountnumber")
    return [(record["new_dueon"], record["lastusedincampaign"]) for record in records]


def delimited(folder: Path, *columns: dict[str, Any], texts: tuple[str, ...] = (LAST,)) -> dict[str, Any]:
    """A delimited file of numbered texts, for the first of the columns."""
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("number", columns[0]["name"]), *enumerate(texts)])
    return {"type": "delimited", "path": str(folder / "a.csv"), "columns": [NUMBER, *columns]}


def parquet(folder: Path, value: str, *columns: dict[str, Any]) -> dict[str, Any]:
    """A Parquet file with one row, whose value is given as SQL."""
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT '1' AS number, {value} AS at) TO '{folder / 'a.parquet'}' (FORMAT parquet)")
    return {"type": "parquet", "path": str(folder / "a.parquet"), "columns": [NUMBER, *columns]}


def documents(folder: Path) -> dict[str, Any]:
    """A JSON file."""
    (folder / "a.json").write_text(json.dumps([{"number": "1", "at": LAST}]), "utf-8")
    return {"type": "json", "path": str(folder / "a.json"), "columns": [NUMBER, AT]}


def table(here: World) -> dict[str, Any]:
    """A table of SQLite."""
    path = here.folder / "a.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (number text, at datetime)")
        database.execute("INSERT INTO t VALUES ('1', ?)", [LAST])
    database.close()
    here.environment["DATABASE"] = f"sqlite:///{path}"
    return {"type": "sql", "connection": {"env": "DATABASE"}, "table": "t", "columns": [NUMBER, AT]}


NANOSECONDS = f"TIMESTAMP_NS '{LAST}99'"
ZONED = f"TIMESTAMPTZ_NS '{LAST}99+00:00'"
SOURCES: dict[str, Callable[[World], dict[str, Any]]] = {
    "text": lambda here: delimited(here.folder, AT),
    "format": lambda here: delimited(here.folder, {**AT, "input_format": "yyyy-MM-dd HH:mm:ss.fffffff"}),
    "strptime": lambda here: delimited(here.folder, {**AT, "input_format": "%Y-%m-%d %H:%M:%S.%n"}),
    "formula": lambda here: delimited(
        here.folder, {"name": "x"}, {**AT, "formula": "strptime(x, '%Y-%m-%d %H:%M:%S.%n')"}
    ),
    "json": lambda here: documents(here.folder),
    "sql": table,
    "parquet": lambda here: parquet(here.folder, NANOSECONDS, {"name": "at"}),
    "parquet zoned": lambda here: parquet(here.folder, ZONED, {"name": "at"}),
    "parquet zoned nested": lambda here: parquet(here.folder, f"{{'x': {ZONED}}}", {"name": "$.at.x", "alias": "at"}),
    "parquet nested": lambda here: parquet(here.folder, f"{{'x': {NANOSECONDS}}}", {"name": "$.at.x", "alias": "at"}),
    "parquet listed": lambda here: parquet(here.folder, f"[{NANOSECONDS}]", {**AT, "name": "$.at[0]", "alias": "at"}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_last_moment_of_a_day_stays_on_this_day(here: World, name: str) -> None:
    """Digits of a second that no date has are cut, wherever they come from."""
    assert synced(here, SOURCES[name](here)) == [("2024-12-31", "2024-12-31T23:59:59Z")]


def test_the_last_day_that_columns_take_is_read_with_parts_of_a_second(here: World) -> None:
    """Such days often mean "no end", and databases export them with a fraction."""
    texts = ("1753-01-01 00:00:00.000", "2262-04-12 00:00:00.000", "9999-12-30 00:00:00.000", "9999-12-30 23:59:59.997")
    source = delimited(here.folder, {**AT, "input_format": "yyyy-MM-dd HH:mm:ss.fff"}, texts=texts)
    assert synced(here, source) == [(text[:10], f"{text[:10]}T{text[11:19]}Z") for text in texts]


def test_the_last_day_of_the_calendar_is_refused_by_the_service(here: World) -> None:
    """It is one day after the last one that Dataverse takes: its row is an error with the words of the service."""
    definition = accounts()
    definition["source"] = delimited(here.folder, AT, texts=("9999-12-31", "9999-12-30"))
    definition["destination"]["mappings"] = MAPPINGS
    (error,) = here.run(here.define(definition)).errors
    assert (error.error_type, error.rows) == ("INSERT 0x80040239", (1,))
    assert "Actual value: 9999-12-31, Maximum value supported: 12/30/9999 23:59:59" in error.message
    assert [record["new_dueon"] for record in here.records("accounts?$select=new_dueon")] == ["9999-12-30"]


def test_the_last_day_that_columns_take_is_read_from_cells_beside_texts_with_a_format(here: World) -> None:
    """A cell with a date keeps its value, whatever the format of the texts is."""
    cells = [("number", "at"), ("1", date(9999, 12, 30)), ("2", "30.12.9999"), ("3", date(2300, 1, 1))]
    path = write_xlsx(here.folder / "a.xlsx", {"Data": cells})
    columns = [NUMBER, {**AT, "input_format": "dd.MM.yyyy"}]
    days = ["9999-12-30", "9999-12-30", "2300-01-01"]
    assert synced(here, {"type": "excel", "path": str(path), "columns": columns}) == [
        (day, f"{day}T00:00:00Z") for day in days
    ]
