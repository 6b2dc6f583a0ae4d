"""A sync with a mirror: a run in which nothing has changed, and runs in which little has, over tables that grow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cases import Bench
from benchmarks.dataset import Difference
from benchmarks.dataverse import Local, serving
from benchmarks.goals import Goal, Result
from benchmarks.programs import Measured, measured

WITHOUT, FIRST, SETTLED, UNCHANGED = "us, no mirror", "us, first run", "us, second run", "us, nothing changed"
SOURCE, TABLE = "us, 1 % of the source changed", "us, 1 % of the table changed"


def case(bench: Bench) -> Result:
    """A million rows of which none, or 1 % on either side, have changed since the run before."""
    rows = bench.rows(1_000_000)
    file, was, difference = bench.file(rows), bench.folder / "account.csv", Difference.of(rows)
    model: dict[str, Any] = {
        "latency_ms": 30,
        "row_ms": "create=1,update=1,upsert=1,delete=1,read=0.05",
        "dop": 8,
        "limits": "none",
    }
    with serving(db=bench.filled(rows), **model) as local:
        runs = Runs(bench, local)
        first, settled = runs.mirrored(FIRST, file), runs.mirrored(SETTLED, file)
        unchanged = min((runs.mirrored(UNCHANGED, file) for _ in range(3)), key=lambda one: one.wall_seconds)
        without = runs.plain(WITHOUT, file)
        back = runs.mirrored(SOURCE, was)
        runs.mirrored("", was)
        runs.plain("", file)  # by another sync: for this one it is others who write
        table = runs.mirrored(TABLE, was)
        pool, _ = bench.sdk(local, was, "upsert", 8)
        comparing, _ = bench.sdk(local, was, "compare")
    programs = (unchanged, without, back, table, first, settled, pool, comparing)
    return Result(
        name="unchanged",
        title=f"{rows:,} rows with a mirror",
        setting=f"latency 30 ms, 1 ms a row written, 0.05 ms a row read, dop 8, {rows:,} rows in the table, TLS",
        measured=programs,
        bars={one.program: one.wall_seconds for one in programs},
        goals=(
            Goal(text="requests for records", target=3, got=unchanged.facts["queries"], most=True, limit=1),
            Goal(text="time, s", target=4, got=unchanged.wall_seconds, most=True),
            Goal(text="CPU, s", target=5, got=unchanged.cpu_seconds, most=True),
            Goal(text="peak memory, MB", target=512, got=unchanged.peak_mb, most=True),
        ),
        notes=(
            (
                f"The first run writes the difference of {difference.changed + difference.dropped + difference.added:,} "
                "rows and begins the mirror; the second reads these records again, because the service lists them as "
                "changed. Requests are those of the program with sign-in and metadata. The SDK upserts every row with eight "
                "threads, and the SDK with pandas reads the table and compares; at that point nothing differs."
            ),
        ),
        facts={"queries": unchanged.facts["queries"]},
    )


class Runs:
    """Runs of one sync, each in a process, with a state that stays."""

    def __init__(self, bench: Bench, local: Local) -> None:
        self._bench = bench
        self._local = local
        for name in ("mirrored", "plain"):
            shutil.rmtree(bench.folder / name, ignore_errors=True)

    def mirrored(self, name: str, file: Path) -> Measured:
        """With a mirror."""
        return self._run(name, file, "mirrored", "--mirror")

    def plain(self, name: str, file: Path) -> Measured:
        """Without one, as another sync."""
        return self._run(name, file, "plain")

    def _run(self, name: str, file: Path, folder: str, *options: str) -> Measured:
        place, before = str(self._bench.folder / folder), self._queries()
        done, _ = measured(name, self._local, "benchmarks.us", place, str(file), *options)
        queries = self._queries() - before - 1
        print(
            f"   {name or folder}: {done.wall_seconds} s, {done.cpu_seconds} s CPU, {done.peak_mb} MB, "
            f"{queries} queries, {done.facts['phases']}",
            flush=True,
        )
        return replace(done, facts={**done.facts, "queries": queries})

    def _queries(self) -> int:
        """Queries of records so far; each run sends one that asks for the version of the metadata."""
        return int(self._local.emulator.stats()["requests"]["by_kind"].get("query", 0))
