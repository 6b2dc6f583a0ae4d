"""What each page of the console takes, with 200 syncs and 10,000 runs, on both state stores.

    python -m benchmarks.console [--store sqlite] [--syncs 200] [--runs 10000] [--most 100]

It prints one line for each page: milliseconds (the least of 25 answers over HTTP, after two that are not counted), those
of them in which this process worked, and how often the store was asked; with SQLite also the plan of each query. It
ends with code 1 where a page takes longer than `--most` milliseconds. The last lines are edits of a definition with 1,000
columns (the least of 7), which have no such limit.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import requests
import uvicorn

from benchmarks.state import DEFINITION, NOW, STORES, a_run, fill_runs
from console.access.person import DEVELOPER, SignIn
from console.application import application
from console.console import Console
from console.local import HOST, bound
from shared.app import App
from shared.settings import Settings
from shared.state import AuditEntry, DeadLetter, RunRecord, StateStore
from shared.state.sqlite import SqliteStateStore
from tests.console.editor.pages import form_of
from tests.state_requests import requests_to

TIMES = 25
TIMES_OF_EDITS = 7
LETTERS = 100
ENTRIES = 200
WIDE = "wide"
COLUMNS = 1000
LISTENER = "listener: {name: crm, topic: {format: json, action: $.op}}\n"


def fill(store: StateStore, names: list[str], runs: int) -> None:
    """A log of runs of all syncs, with events, dead letters, and an audit log."""
    fill_runs(store, [a_run(number, names[number % len(names)]) for number in range(runs)])
    for number, name in enumerate(names):
        store.begin_run(_of_now(a_run(-1, name), f"last-{number}", "timer"))
        store.begin_run(_of_now(a_run(-1, name), f"events-{number}", "events"))
    store.add_dead_letters([_letter(number, names[number % 5]) for number in range(LETTERS)])
    for number in range(ENTRIES):
        store.add_audit(_entry(number, names[number % len(names)]))


def _of_now(run: RunRecord, run_id: str, trigger: str) -> RunRecord:
    started = NOW - timedelta(minutes=5)
    counts = {"events": 50, "insert": 20} if trigger == "events" else {**run.counts, "error_count": 0}
    return RunRecord(
        run_id=run_id, sync=run.sync, version="1", trigger=trigger, state="Succeeded", started=started,
        ended=started + timedelta(minutes=1), counts=counts, duration=60,
    )  # fmt: skip


def _letter(number: int, sync: str) -> DeadLetter:
    return DeadLetter(
        id=f"{sync}/hub/0/{number}", sync=sync, body=b'{"op": "insert", "number": "A-1"}', partition="0",
        sequence=number, error="Unknown Choice", message="no option has this label", kept=NOW,
    )  # fmt: skip


def _entry(number: int, sync: str) -> AuditEntry:
    before = "".join(f"line {line} of a definition\n" for line in range(150))
    after = before.replace("line 7 ", "line seven ")
    at = NOW - timedelta(minutes=number)
    return AuditEntry(
        id=f"a{number}", at=at, by="ann", name="Ann", action="saved", sync=sync, before=before, after=after
    )


@contextmanager
def serving(app: App) -> Iterator[str]:
    """The address of a console."""
    console = Console(app=app, sign_in=SignIn({}, DEVELOPER), wake=lambda _: None)
    listening = bound(0)
    server = uvicorn.Server(uvicorn.Config(application(console), log_level="warning", lifespan="off", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://{HOST}:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


def wide() -> str:
    """A definition with a thousand columns, all of them mapped."""
    columns = "".join(f"    - {{name: field{number}, trim: true, max_length: 100}}\n" for number in range(COLUMNS))
    mappings = "".join(f"    - {{source: field{number}, target: new_field{number}}}\n" for number in range(COLUMNS))
    text = DEFINITION.format(name=WIDE)
    for key, rows in (("columns:\n", columns), ("mappings:\n", mappings)):
        before, found, after = text.partition(key)
        text = before + found + rows + after
    return text


def pages(sync: str) -> tuple[str, ...]:
    """Paths of the pages that read the state store."""
    run = f"{0:08x}{0:024x}"
    return (
        "/", "/?q=sync-01", f"/syncs/{sync}", "/real-time", f"/real-time/{sync}",
        f"/real-time/{sync}/letter?id={sync}/hub/0/0", "/audit", f"/audit?sync={sync}", "/jobs", "/jobs?state=successful", "/jobs?state=failed",
        f"/runs/{run}", f"/syncs/{sync}/start", f"/syncs/{sync}/edit", f"/syncs/{sync}/edit/columns", "/new",
        f"/syncs/{WIDE}/edit/columns",
        "/api/status", f"/api/syncs/{sync}", "/api/listeners", "/api/audit",
    )  # fmt: skip


def measure(store: StateStore, name: str, syncs: int, runs: int) -> float:
    """Print the figures of all pages; returns the milliseconds of the slowest."""
    names = [f"sync-{number:04}" for number in range(syncs)]
    slowest, asked_for = 0.0, dict[str, list[str]]()
    with tempfile.TemporaryDirectory() as folder:
        for each in names:
            (Path(folder) / f"{each}.yaml").write_text(DEFINITION.format(name=each) + LISTENER)
        (Path(folder) / f"{WIDE}.yaml").write_text(wide())
        app = App(
            Settings.load({"SYNC_DEFINITIONS": folder}), state=store, read_environment=lambda: {"DATAVERSE_SECRET": "s"}
        )
        fill(store, names, runs)
        print(f"\n| {name} | ms | of these CPU | asked of the store |\n|---|---:|---:|---:|", flush=True)
        with serving(app) as url, requests.Session() as session:
            for path in pages(names[0]):
                if session.get(f"{url}{path}", timeout=120).status_code == requests.codes.not_found:
                    continue
                with requests_to(store) as asked:
                    session.get(f"{url}{path}", timeout=60)
                took, cpu = map(min, zip(*(_taken(session, f"{url}{path}") for _ in range(TIMES)), strict=True))
                slowest, asked_for[path] = max(slowest, took), [*asked]
                print(f"| `{path}` | {took:.0f} | {cpu:.0f} | {len(asked)} |", flush=True)
            for what, took, cpu in _edits(session, url):
                print(f"| {what} | {took:.0f} | {cpu:.0f} | |", flush=True)
    if isinstance(store, SqliteStateStore):
        _print_plans(store, asked_for)
    return slowest


def _taken(session: requests.Session, url: str) -> tuple[float, float]:
    """Milliseconds of one answer, and those in which this process worked: for the answer, and for asking."""
    return _timed(lambda: session.get(url, timeout=60).raise_for_status())


def _timed(do: Callable[[], object]) -> tuple[float, float]:
    begun, cpu = time.perf_counter(), time.process_time()
    do()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000


def _edits(session: requests.Session, url: str) -> Iterator[tuple[str, float, float]]:
    """What one edit takes of the definition with many columns; each gives another text, so that none is remembered."""
    form = form_of(session, url, session.get(f"{url}/syncs/{WIDE}/edit/columns", timeout=60))
    edits: dict[str, Callable[[int], requests.Response]] = {
        "a value is changed": lambda number: form.send(
            "show:columns", source__columns__3__max_length=f"{200 + number}"
        ),
        "nothing is changed": lambda _: form.send("show:columns"),
        "a column is added": lambda number: form.send("add:source.columns", source__columns__4__alias=f"a{number}"),
    }
    for what, send in edits.items():
        taken = [_timed(partial(send, number)) for number in range(TIMES_OF_EDITS)]
        yield f"`{WIDE}`: {what}", *map(min, zip(*taken, strict=True))


def _print_plans(store: SqliteStateStore, asked_for: dict[str, list[str]]) -> None:
    """How SQLite finds what the pages ask for, each statement once."""
    print("\nQuery plans:")
    for sql in dict.fromkeys(sql for asked in asked_for.values() for sql in asked if sql.lstrip().startswith("SELECT")):
        plan = store._all(f"EXPLAIN QUERY PLAN {sql}")  # noqa: SLF001 - only the connection can explain
        print(f"- {' '.join(sql.split())[:160]}")
        print("\n".join(f"    {step[3]}" for step in plan))


def main() -> None:
    logging.disable(logging.DEBUG)
    parser = argparse.ArgumentParser(description="What each page of the console takes.")
    parser.add_argument("--store", choices=STORES, help="only this one; both if it is left out")
    parser.add_argument("--syncs", type=int, default=200)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--most", type=float, default=100.0, help="milliseconds that a page may take")
    given = parser.parse_args()
    slowest = 0.0
    for name in [given.store] if given.store else STORES:
        with STORES[name]() as store:
            slowest = max(slowest, measure(store, name, given.syncs, given.runs))
    if slowest > given.most:
        sys.exit(f"A page takes {slowest:.0f} ms; at most {given.most:.0f} are allowed")


if __name__ == "__main__":
    main()
