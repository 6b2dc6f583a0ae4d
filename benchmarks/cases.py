"""The cases: what runs, against which service, and what it is held against."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.bounds import Work
from benchmarks.dataset import Difference
from benchmarks.dataverse import ROOT, Local, serving
from benchmarks.goals import Goal, Result
from benchmarks.programs import Course, Measured, Sustained, measured, told

US, SDK, POOL, COMPARE = "us", "SDK, sequential", "SDK, thread pool", "SDK and pandas, comparing"
AGAIN = "us, nothing changed"
CHUNK = 1000
PAGE = 5000
PATIENCE = 2  # times our time, for a peer that is throttled again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where the cases work, and how large they are.

    Attributes:
        quick: A fiftieth of the rows: shows that everything runs, and nothing about speed.
        real_time: Let the sequential peer take its quarter of an hour instead of adding the time model's share.
    """

    folder: Path
    quick: bool = False
    real_time: bool = False

    def rows(self, full: int) -> int:
        """The rows of a case."""
        return full // 50 if self.quick else full

    def file(self, rows: int, *, was: bool = False) -> Path:
        """A source file of so many rows, made where it is missing."""
        path = self.folder / f"{'was' if was else 'is'}-{rows}.csv"
        if not path.exists():
            flags = ["--was"] if was else []
            command = [sys.executable, "-m", "benchmarks.dataset", str(path), "--rows", str(rows), *flags]
            subprocess.run(command, cwd=ROOT, check=True)
        return path

    def us(self, local: Local, file: Path, *options: str) -> tuple[Measured, Course]:
        """Run this program, in an empty folder."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        return measured(US, local, "benchmarks.us", str(folder), str(file), *options)

    def sdk(
        self, local: Local, file: Path, operation: str, threads: int = 1, patience: float | None = None
    ) -> tuple[Measured, Course]:
        """Run Microsoft's SDK."""
        name = COMPARE if operation == "compare" else SDK if threads == 1 else POOL
        return measured(
            name, local, "benchmarks.sdk", str(file), operation, "--threads", str(threads), patience=patience
        )

    def filled(self, rows: int) -> Path:
        """A database of the emulator with so many accounts in it, as they were before; copied for each use."""
        path = self.folder / f"filled-{rows}.db"
        if not path.exists():
            self.file(rows, was=True).rename(self.folder / "account.csv")
            options: dict[str, Any] = {"db": path, "seed": f"was={self.folder / 'account.csv'}", "limits": "none"}
            with serving(**options) as local:
                local.seed("was")
            with closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        used = self.folder / "used.db"
        for old in self.folder.glob("used.db*"):
            old.unlink()
        shutil.copy(path, used)
        return used


def first_load(bench: Bench) -> Result:
    """An empty table is filled."""
    rows, latency, row, dop = bench.rows(100_000), 0.030, 0.001, 8
    file = bench.file(rows)
    programs: list[Measured] = []
    runs: list[Callable[[Local], tuple[Measured, Course]]] = [
        lambda local: bench.us(local, file),
        lambda local: bench.sdk(local, file, "create"),
        lambda local: bench.sdk(local, file, "create", dop),
    ]
    for run in runs:
        with serving(latency_ms=latency * 1000, row_ms=row * 1000, dop=dop) as local:
            programs.append(run(local)[0])
    us, sequential, pool = programs
    work = Work.of(rows, request_rows=CHUNK, latency=latency, row=row)
    ceiling, least = work.seconds / dop, work.least_seconds()
    return Result(
        name="first_load",
        title=f"First load of {rows:,} rows",
        setting=f"latency {latency * 1000:g} ms, {row * 1000:g} ms a row, dop {dop}, the service's own limits, TLS",
        measured=tuple(programs),
        bars={"ceiling at dop 8": round(ceiling, 2), **_bars(programs)},
        goals=(
            Goal(
                text="share of the ceiling (ceiling ÷ our time)",
                target=0.9,
                got=round(ceiling / us.wall_seconds, 2),
                limit=round(ceiling / least, 2),
            ),
            Goal(
                text="times faster than the SDK, sequential",
                target=5,
                got=_ratio(sequential, us),
                limit=round(sequential.wall_seconds / least, 1),
            ),
        ),
        notes=(
            (
                f"The ceiling is {ceil(rows / CHUNK)} requests of {CHUNK:,} rows, {dop} at a time. The hint is a "
                f"recommendation: the app starts with it and raises parallelism while the time per row does not "
                f"grow. So a time below the ceiling is possible."
            ),
            f"The SDK with {dop} threads takes {_ratio(pool, us)} times as long as the app.",
        ),
        facts={"ceiling_seconds": ceiling},
    )


def changed(bench: Bench) -> Result:
    """A large table of which little has changed."""
    rows, latency = bench.rows(1_000_000), 0.030
    file, difference = bench.file(rows), Difference.of(rows)
    model: dict[str, Any] = {
        "latency_ms": 30,
        "row_ms": "create=1,update=1,upsert=1,delete=1,read=0.05",
        "dop": 8,
        "limits": "none",
    }
    with serving(db=bench.filled(rows), **model) as local:
        us, _ = bench.us(local, file)
        again, _ = bench.us(local, file)
        floor, _ = measured("pages alone", local, "benchmarks.pages")
    with serving(db=bench.filled(rows), **model) as local:
        comparing, _ = bench.sdk(local, file, "compare")
    requests = ceil(rows / CHUNK)
    modelled = 0.0 if bench.real_time else requests * (latency + CHUNK * 0.001)
    options: dict[str, Any] = model if bench.real_time else {"limits": "none"}
    with serving(db=bench.filled(rows), **options) as local:
        peer, _ = bench.sdk(local, file, "upsert")
    time_of_peer = round(peer.wall_seconds + modelled, 2)
    differing = difference.changed + difference.dropped + difference.added
    reading = Work.of(rows, request_rows=PAGE, latency=latency, row=0.00005)
    least = (reading + Work.of(differing, request_rows=CHUNK, latency=latency, row=0.001)).least_seconds()
    note = (
        "The SDK upserts everything and deletes nothing. Its requests follow one another, so its time is the time "
        f"against a service without latency ({peer.wall_seconds:,.0f} s) and {requests:,} times "
        f"{latency + CHUNK * 0.001:g} s; `--real-time` measures it instead."
    )
    memory = (
        f"Upserting chunk by chunk holds no record of the target, so the SDK needs {peer.peak_mb:,.0f} MB for it. "
        f"The comparison uses the SDK in the same way as the app: it reads the table into a frame, merges, and "
        f"writes the differences."
    )
    return Result(
        name="changed",
        title=f"{rows:,} rows, {difference.changed:,} changed, {difference.dropped:,} dropped; then a run without "
        f"changes",
        setting=f"latency 30 ms, 1 ms a row written, 0.05 ms a row read, dop 8, {rows:,} rows in the table, TLS",
        measured=(us, peer, comparing, replace(again, program=AGAIN), floor),
        bars={
            US: us.wall_seconds,
            SDK: time_of_peer,
            COMPARE: comparing.wall_seconds,
            AGAIN: again.wall_seconds,
            "pages alone": floor.wall_seconds,
        },
        goals=(
            Goal(
                text="times faster than upserting all with the SDK",
                target=20,
                got=round(time_of_peer / us.wall_seconds, 1),
                limit=round(time_of_peer / least, 1),
            ),
            Goal(
                text="times fewer rows written",
                target=50,
                got=round(peer.rows / us.rows, 1),
                limit=round(rows / differing, 1),
            ),
            Goal(text="peak memory, MB", target=512, got=us.peak_mb, most=True),
            Goal(
                text="peak memory, share of pandas and SDK doing the same",
                target=0.33,
                got=round(us.peak_mb / comparing.peak_mb, 2),
                most=True,
            ),
            Goal(text="no changes: CPU of the app, s", target=15, got=again.cpu_seconds, most=True),
            Goal(
                text="no changes: time ÷ time of reading only the pages",
                target=1.2,
                got=round(again.wall_seconds / floor.wall_seconds, 2),
                most=True,
                limit=round(reading.least_seconds() / floor.wall_seconds, 3),
            ),
        ),
        notes=(memory,) if bench.real_time else (note, memory),
        facts={"sdk_seconds": time_of_peer, "written_again": again.rows},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A limit of the service that binds.

    Attributes:
        title: Its name.
        of: What is counted, in the text of the goal.
        setting: As the emulator's option has it.
        window: Seconds.
        row_seconds: What a row takes.
        share: How much of the limit was used.
        goal: How much should be used.
    """

    title: str
    of: str
    setting: str
    window: int
    row_seconds: float
    share: Callable[[Sustained], float]
    goal: float


def limits_time(bench: Bench) -> Result:
    """The limit on execution time binds: 2 s of execution a second.

    The largest request takes 1/60 of the budget; of the service's own budget, for 300 seconds, it would take 1/1200.
    """
    window = 10 if bench.quick else 30
    binding = Binding(
        title="execution time",
        of="the execution-time budget",
        setting=f"requests=0,time={2 * window}",
        window=window,
        row_seconds=0.001,
        share=lambda sustained: sustained.executed_a_second / 2,
        goal=0.98,
    )
    return _limited(bench, "limits_time", binding, rows=20_000 if bench.quick else 300_000)


def limits_requests(bench: Bench) -> Result:
    """The limit on requests binds: 4 requests a second."""
    binding = Binding(
        title="requests",
        of="the sustainable rate",
        setting="requests=40,time=0",
        window=10,
        row_seconds=0.0001,
        share=lambda sustained: sustained.rows_a_second / (4 * CHUNK),
        goal=0.9,
    )
    return _limited(bench, "limits_requests", binding, rows=20_000 if bench.quick else 120_000)


def _limited(bench: Bench, name: str, binding: Binding, *, rows: int) -> Result:
    row_ms = binding.row_seconds * 1000
    limits = f"{binding.setting},concurrency=52,window={binding.window}"
    file = bench.file(rows)
    options: dict[str, Any] = {"latency_ms": 30, "row_ms": row_ms, "dop": 8, "limits": limits}
    with serving(**options) as local:
        us, course = bench.us(local, file)
        written = local.emulator.stats()["writes_per_record"]["account"]
    with serving(**options) as local:
        pool, pool_course = bench.sdk(local, file, "create", 8, PATIENCE * us.wall_seconds)
    ours, peer = course.after(binding.window), pool_course.after(binding.window)
    return Result(
        name=name,
        title=f"Limits that are reached: {binding.title}",
        setting=f"{rows:,} rows, latency 30 ms, {row_ms:g} ms a row, dop 8, --limits {limits}",
        measured=(us, pool),
        bars=_bars([us, pool]),
        goals=(
            Goal(
                text=f"share of {binding.of}, after the first window",
                target=binding.goal,
                got=round(binding.share(ours), 2),
                limit=1,
            ),
            Goal(
                text="share of requests throttled after the first window",
                target=0.02,
                got=round(ours.throttled / max(ours.requests, 1), 4),
                most=True,
                limit=0,
            ),
            Goal(
                text="rows lost or doubled",
                target=0,
                got=abs(rows - written["records"]) + written["most"] - 1,
                most=True,
                limit=0,
            ),
        ),
        notes=(
            (
                f"After the first window the app writes {ours.rows_a_second:,.0f} rows a second. The SDK with 8 threads and "
                f"a simple Retry-After loop writes {peer.rows_a_second:,.0f}; {peer.throttled} of its {peer.requests} "
                "requests are refused."
            ),
        ),
        facts={"after_the_first_window": asdict(ours)},
    )


def users(bench: Bench) -> Result:
    """Several application users share the work."""
    rows, window = 10_000 if bench.quick else 200_000, 5.0
    programs, rates = [], {}
    for count in (1, 2, 4):
        # As many windows for each, so that what the first window gives away weighs the same.
        file = bench.file(rows * count // 4)
        options = {"latency_ms": 30, "row_ms": 1, "dop": 4, "limits": "requests=0,time=5,concurrency=52,window=5"}
        with serving(users=count, **options) as local:
            done, course = bench.us(local, file)
        programs.append(done)
        rates[count] = course.after(window).rows_a_second
    return Result(
        name="users",
        title="Two and four application users",
        setting="latency 30 ms, 1 ms a row, dop 4; each user may use 1 s of execution a second, so 1,000 rows",
        measured=tuple(programs),
        bars={
            f"{count} users, rows/s" if count > 1 else "1 user, rows/s": round(rate) for count, rate in rates.items()
        },
        goals=tuple(
            Goal(
                text=f"{count} users: times the rows a second of one",
                target=target,
                got=round(rates[count] / max(rates[1], 1e-9), 2),
                limit=count,
            )
            for count, target in ((2, 1.8), (4, 3.4))
        ),
        notes=(
            "Rows a second after the first window. The number of rows grows with the users, so all runs take as long.",
        ),
        facts={"rows_per_second": rates},
    )


def reconcile(bench: Bench) -> Result:
    """Reconciling alone: see benchmarks/reconcile.py."""
    small = told("benchmarks/reconcile.py", "--rows", str(bench.rows(1_000_000)))
    large = told("benchmarks/reconcile.py", "--rows", str(bench.rows(10_000_000)))
    per_row = large["reconcile"]["wall_seconds"] / max(small["reconcile"]["wall_seconds"], 1e-3) / 10
    return Result(
        name="reconcile",
        title=f"Reconcile {small['rows']:,} and {large['rows']:,} staged rows with as many",
        setting=f"nine columns, memory limit {large['memory_limit']}, {large['threads']} threads, no service",
        bars={f"{run['rows']:,} rows": run["reconcile"]["wall_seconds"] for run in (small, large)},
        goals=(
            Goal(text="CPU s for a million rows", target=5, got=small["cpu_seconds_per_million"], most=True),
            Goal(text="peak memory of the large one, MB", target=768, got=large["peak_memory_mb"], most=True),
            Goal(text="time per row, large ÷ small", target=1.3, got=round(per_row, 2), most=True, limit=1),
        ),
        facts={"small": small, "large": large},
    )


def emulator(bench: Bench) -> Result:
    """The emulator's own speed: see benchmarks/emulator.py."""
    told_facts = told("benchmarks/emulator.py", "--rows", str(bench.rows(100_000)))
    return Result(
        name="emulator",
        title="The emulator itself",
        setting=f"{told_facts['rows']:,} rows of eight columns, {told_facts['batch']:,} a request, one process",
        goals=(
            Goal(
                text="rows upserted per CPU second", target=20_000, got=told_facts["upsert_creating"]["per_cpu_second"]
            ),
            Goal(
                text="rows read in pages per CPU second", target=100_000, got=told_facts["read_pages"]["per_cpu_second"]
            ),
        ),
        facts=told_facts,
    )


def _bars(programs: list[Measured]) -> dict[str, float]:
    return {one.program: one.wall_seconds for one in programs}


def _ratio(one: Measured, other: Measured) -> float:
    return round(one.wall_seconds / other.wall_seconds, 2)


CASES: dict[str, Callable[[Bench], Result]] = {
    "first_load": first_load,
    "changed": changed,
    "limits_time": limits_time,
    "limits_requests": limits_requests,
    "users": users,
    "reconcile": reconcile,
    "emulator": emulator,
}
