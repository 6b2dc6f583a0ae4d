"""What the state store costs at size: a tick, dead letters, and an execution log with many runs.

    python -m benchmarks.state --store sqlite [--definitions 500] [--letters 5000] [--runs 100000]
    python -m benchmarks.state --store azurite

It prints one line for each measurement. Azurite is one process of Node.js on this machine: what it answers in a
millisecond takes Azure a few, and what takes it long to search Azure finds by its keys.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from batch_sync.tick import Tick
from benchmarks import filled_azurite
from shared.app import App
from shared.errors import RetryLater
from shared.settings import Settings
from shared.state import DeadLetter, ErrorRecord, RunRecord, StateStore
from shared.state.azure import AzureStateStore
from shared.state.azure._runs import RUN_PLACES, RUNS, place_of, rows_of
from shared.state.azure._storage import groups
from shared.state.sqlite import SqliteStateStore
from shared.state.sqlite import _tables as tables
from shared.views.runs import latest_runs, run_named

NOW = datetime.now(UTC).replace(microsecond=0)
DEFINITION = """\
name: {name}
schedule: "0 0 3 1 1 *"
time_zone: Europe/Berlin
source:
  type: delimited
  path: {name}.csv
  columns:
    - {{name: number}}
    - {{name: name}}
destination:
  type: dynamics
  service_url: https://org.crm.dynamics.com
  tenant_id: t
  client_id: c
  client_secret: {{env: DATAVERSE_SECRET}}
  entity: account
  id_column: accountid
  mappings:
    - {{source: number, target: accountnumber}}
    - {{source: name, target: name}}
sync_behaviour: {{sync_key: [accountnumber]}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much the store holds."""

    definitions: int = 500
    letters: int = 5_000
    runs: int = 100_000


@contextmanager
def sqlite() -> Iterator[StateStore]:
    """A store in a file."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStateStore(Path(folder) / "state.db")
        yield store
        store.close()


STORES = {"sqlite": sqlite, "azurite": filled_azurite.azurite}


def timed(what: str, work: Callable[[], Any]) -> None:
    """Do something and print how long it took."""
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    said = f"{what}: {found:,}" if isinstance(found, int) else what
    print(f"| {said} | {seconds:.2f} | {cpu:.2f} |", flush=True)


def a_run(number: int, sync: str) -> RunRecord:
    """A run that ended, one of many."""
    started = NOW - timedelta(minutes=number + 1)
    counts = {"strategy": "full", "source": {"processed": 1000, "rejected": 0}, "created": {"done": 7, "planned": 7}}
    return RunRecord(
        run_id=f"{number * 2654435761 % 2**32:08x}{number:024x}",
        sync=sync,
        version="1.0.0",
        trigger="timer",
        state="Succeeded",
        started=started,
        ended=started + timedelta(seconds=20),
        duration=20.0,
        counts=counts,
    )


def fill_runs(store: StateStore, runs: list[RunRecord]) -> None:
    """Write runs as an older version did, without the table of last runs: many at once."""
    if isinstance(store, SqliteStateStore):
        rows = [tables.row(run, tables.RUN_FIELDS) for run in runs]
        with store._writing() as db:  # noqa: SLF001 - one by one it would take an hour
            db.executemany(tables.replace("runs", tables.RUN_FIELDS), rows)
    if isinstance(store, AzureStateStore):
        _fill_tables(store, runs)


def _fill_tables(store: AzureStateStore, runs: list[RunRecord]) -> None:
    of_syncs, of_all = zip(*map(rows_of, sorted(runs, key=lambda run: run.sync)), strict=True)
    with ThreadPoolExecutor(4) as pool:
        work: list[Callable[[], object]] = [
            partial(store._submit, RUNS, group)  # noqa: SLF001 - one by one it would take an hour
            for group in groups([("upsert", row) for row in (*of_all, *of_syncs)], row=lambda operation: operation[1])
        ]
        work += [partial(store._put, RUN_PLACES, place_of(run)) for run in runs]  # noqa: SLF001 - see above
        list(pool.map(_at_last, work))


def _at_last(work: Callable[[], object]) -> object:
    for _ in range(20):
        try:
            return work()
        except RetryLater:  # Azurite ends connections when it is busy
            time.sleep(1)
    return work()


def tick(store: StateStore, size: Size) -> None:
    """A tick with nothing due, over many definitions that have all run."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"sync-{number:04}" for number in range(size.definitions)]
        for name in names:
            (Path(folder) / f"{name}.yaml").write_text(DEFINITION.format(name=name))
        fill_runs(store, [a_run(number, name) for number, name in enumerate(names)])
        app = App(
            Settings.load({"SYNC_DEFINITIONS": folder}), state=store, read_environment=lambda: {"DATAVERSE_SECRET": "s"}
        )
        timed(f"{size.definitions:,} definitions: they are loaded", lambda: len(app.runnable()))
        timed("the first tick, after runs of an older version", Tick(app=app, now=NOW, seconds=600).run)
        timed("a tick with nothing due", Tick(app=app, now=NOW, seconds=600).run)
        timed("another", Tick(app=app, now=NOW, seconds=600).run)


def dead_letters(store: StateStore, size: Size) -> None:
    """Many dead letters: put, counted, read, removed."""
    letters = [
        DeadLetter(
            id=f"listener/hub/0/{number}",
            sync="sync-0001",
            body=b'{"number": "A-1", "name": "' + b"x" * 400 + b'"}',
            partition=str(number % 4),
            sequence=number,
            error="Unknown Choice",
            message="no option has this label",
            kept=NOW,
        )
        for number in range(size.letters)
    ]
    timed(f"{size.letters:,} dead letters are put", lambda: store.add_dead_letters(letters))
    timed("they are counted", lambda: store.count_dead_letters("sync-0001"))
    timed("up to 1,000 are read", lambda: len(store.dead_letters("sync-0001", limit=1000)))
    timed("all are removed", lambda: store.remove_dead_letters([each.id for each in letters]))


@contextmanager
def with_runs(name: str, runs: list[RunRecord]) -> Iterator[StateStore]:
    """A store of this name with many runs in its log."""
    if name == "azurite":
        with filled_azurite.with_runs(runs) as store:
            yield store
    else:
        with STORES[name]() as store:
            fill_runs(store, runs)
            yield store


def log_of_runs(name: str, size: Size) -> None:
    """The commands `runs` and `errors` with many runs in the log."""
    runs = [a_run(number, f"sync-{number % 50:04}") for number in range(size.runs)]
    with with_runs(name, runs) as store:
        print(f"| (the log has {size.runs:,} runs) | | |")
        read_log(store, runs)


def read_log(store: StateStore, runs: list[RunRecord]) -> None:
    """Read the log and errors in all ways that the commands have."""
    store.add_errors([ErrorRecord(run_id=runs[-1].run_id, error_class="Invalid Row", error_type="T", count=3)])
    timed("`runs`", lambda: len(latest_runs(store, None, 20)))
    timed("`runs sync-0007`", lambda: len(latest_runs(store, "sync-0007", 20)))
    timed("`runs --limit 1000`", lambda: len(latest_runs(store, None, 1000)))
    timed("`errors last`, without errors", lambda: len(store.errors(run_named("last", store).run_id)))
    oldest = runs[-1].run_id
    timed("`errors` with 8 characters of the oldest id", lambda: len(store.errors(run_named(oldest[:8], store).run_id)))


def main() -> None:
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description="What the state store costs at size.")
    parser.add_argument("--store", choices=STORES, help="only this one; both if it is left out")
    for name, value in asdict(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = vars(parser.parse_args())
    only = given.pop("store")
    size = Size(**given)
    for name in [only] if only else STORES:
        print(f"\n| {name} | seconds | of these CPU of this program |\n|---|---:|---:|")
        with STORES[name]() as store:
            tick(store, size)
            dead_letters(store, size)
        log_of_runs(name, size)


if __name__ == "__main__":
    main()
