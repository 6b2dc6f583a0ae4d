"""For all changes between and during runs: in the end the target has every row whose watermark column has changed."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator
from shared.errors import SyncError
from shared.jobs import Phase
from tests.acceptance.watermarked import Rows, api_source, define
from tests.acceptance.world import World, accounts, world

NAMES = st.sampled_from(["a", "b", "bad", "bad", "much too long"])
CHANGES = st.lists(st.tuples(st.integers(1, 6), NAMES, st.sampled_from([0, 1, 1, None])), min_size=1, max_size=4)
PHASES = st.sampled_from([None, None, None, Phase.LOAD, Phase.WRITE, Phase.FINISH])
ROUNDS = st.lists(st.tuples(CHANGES, PHASES, st.booleans()), min_size=2, max_size=4)
REFUSING = {"action": "refuse_rows", "match": {"filter": "name eq 'bad'"}, "message": "No."}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


class KilledError(BaseException):
    """The process ends."""


class Dying:
    """Ends a run when a phase begins."""

    def __init__(self, at: Phase | None) -> None:
        self._at = at

    def phase(self, phase: Phase, total: int | None = None) -> None:
        if phase is self._at:
            raise KilledError

    def advance(self, rows: int) -> None:
        pass

    def throttled(self, requests: int, until: datetime) -> None:
        pass


class Customers:
    """The source: a table with a version that grows by 0 or 1, or is null."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = 1
        self._run("CREATE TABLE customers (number text PRIMARY KEY, name text, version integer)")

    def change(self, number: int, name: str, step: int | None) -> None:
        """A change moves the version of its row at least to the greatest one."""
        self._version += step or 0
        version = None if step is None else self._version
        self._run("INSERT OR REPLACE INTO customers VALUES (?, ?, ?)", str(number), name, version)

    def rows(self) -> dict[str, str]:
        with closing(sqlite3.connect(self._path)) as connection:
            return dict(connection.execute("SELECT number, name FROM customers"))

    def _run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(statement, values)
            connection.commit()


def definition(strategy: str) -> dict[str, Any]:
    made = accounts()
    made["source"] = {
        "type": "sql",
        "connection": {"env": "ERP"},
        "table": "customers",
        "columns": [{"name": "number"}, {"name": "name", "max_length": 5, "validate": True}, {"name": "version"}],
        "watermark": {"column": "version"},
    }
    made["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
    ]
    made["sync_behaviour"] = {
        "sync_key": ["accountnumber"],
        "strategy": strategy,
        "dropped": "ignore",
        "safety": {"max_errors": 2},
    }
    return made


def held(here: World) -> dict[str, str]:
    return {each["accountnumber"]: each["name"] for each in here.records("accounts?$select=accountnumber,name")}


def run(here: World, emulator: RunningEmulator, at: Phase | None, *, refusing: bool) -> None:
    """A run that may die, and in which Dataverse may refuse rows."""
    if refusing:
        emulator.faults(REFUSING)
    with suppress(KilledError, SyncError):
        here.run(progress=Dying(at))
    emulator.clear_faults()


@settings(max_examples=10)
@given(rounds=ROUNDS, strategy=st.sampled_from(["upsert", "full"]))
def test_no_row_is_lost(emulator: World, rounds: list[tuple[Any, ...]], strategy: str) -> None:
    """Ties, nulls, refused and rejected rows, runs that die in any phase, runs that stop early."""
    emulator.emulator.reset()
    with tempfile.TemporaryDirectory() as folder:
        here = World(folder=Path(folder), emulator=emulator.emulator, environment=dict(emulator.environment))
        (here.folder / "syncs").mkdir()
        here.environment["ERP"] = f"sqlite:///{here.folder / 'erp.db'}"
        customers = Customers(here.folder / "erp.db")
        here.define(definition(strategy))
        for changes, phase, refusing in rounds:
            for each in changes:
                customers.change(*each)
            run(here, here.emulator, phase, refusing=refusing)
        here.run()
        found = held(here)
        wanted = {number: name for number, name in customers.rows().items() if len(name) <= 5}
        assert {number: found.get(number) for number in wanted} == wanted
        here.app.state.close()


PAGED = st.sampled_from([None, "offset", "cursor"])
BETWEEN = st.lists(st.tuples(st.integers(0, 3), CHANGES), min_size=1, max_size=2)


class Versions:
    """Gives the changes of an API the next versions, also while its pages are read."""

    def __init__(self, rows: Rows, rounds: list[tuple[int, list[Any]]]) -> None:
        self._rows = rows
        self._rounds = rounds
        self._version = 100
        self._page = 0
        rows.between = self._between

    def change(self, changes: list[tuple[int, str, int | None]]) -> None:
        for number, name, step in changes:
            self._version += step or 0
            self._rows.put((str(number), name, f"v{self._version}"))

    def _between(self) -> None:
        self._page += 1
        for page, changes in self._rounds:
            if page + 1 == self._page:
                self.change(changes)


@settings(max_examples=8)
@given(between=BETWEEN, paged=PAGED, by_change=st.booleans(), descending=st.booleans())
def test_no_row_of_an_api_is_lost(
    emulator: World,
    between: list[tuple[int, list[Any]]],
    paged: str | None,
    *,
    by_change: bool,
    descending: bool,
) -> None:
    """Whatever changes while the pages are read, in every order of the rows."""
    emulator.emulator.reset()
    rows = Rows()
    rows.by_change, rows.descending = by_change, descending and paged != "cursor"
    versions = Versions(rows, between)
    with tempfile.TemporaryDirectory() as folder, api_source(rows) as (source, _):
        here = World(folder=Path(folder), emulator=emulator.emulator, environment=dict(emulator.environment))
        (here.folder / "syncs").mkdir()
        pages = {"type": paged, "parameter": {"offset": "offset", "cursor": "after"}.get(paged or "")}
        pages |= {"next": "$.next"} if paged == "cursor" else {}
        keys = {"pagination": {**pages, "size": 2, "size_parameter": "limit"}} if paged else {}
        columns = [{"name": "number"}, {"name": "name"}, {"name": "changed_at"}]
        define(here, source, columns=columns, **keys)
        versions.change([(number, "a", 1) for number in range(1, 7)])
        with suppress(SyncError):  # pages that repeat
            here.run()
        rows.between = lambda: None
        here.run()
        assert held(here) == {row[0]: row[1] for row in rows.rows.values()}
        here.app.state.close()
