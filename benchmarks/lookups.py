"""What lookups cost: the same rows with and without them.

    python -m benchmarks.lookups [--rows 1000000] [--referenced 200000] [--memory 512MB]

Accounts with eight columns and three lookups: the parent account, a contact, and an origin that is a contact or a lead.
Each program is one process. Every fifth account is the parent of five, so the parents are a fifth of the rows, in nine
levels. The service takes no time, so what is measured is this program. "Without lookups" is the same file and the same
columns of the source; only the three mappings are missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import sub
from pathlib import Path

import duckdb

from benchmarks.cases import Bench
from benchmarks.dataset import COLUMNS
from benchmarks.dataverse import Local, serving
from benchmarks.goals import Goal, Result
from benchmarks.programs import Measured, measured

PARENTS_EVERY = 5
TABLES = ("contact", "lead")
SEARCHED = {
    "parent": f"CASE WHEN i >= {PARENTS_EVERY} THEN 'K-' || lpad((i // {PARENTS_EVERY})::VARCHAR, 9, '0') END",
    "contact": "'contact-' || ((i * 7919) % {referenced} + 1) || '@example.com'",
    "origin": "CASE WHEN i % 2 = 0 THEN 'contact-' ELSE 'lead-' END || ((i * 104729) % {referenced} + 1) || '@example.com'",
}
SCHEMA = """
Account:
  columns:
    new_OriginId: {type: Lookup, targets: [contact, lead]}
"""
RUNS = ("first load", "nothing changed")
HEAD = (
    "| run | lookups | CPU, s | ÷ without | peak memory, MB | temporary disk, MB | requests | queries | records read "
    "| rows written |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is synced.

    Attributes:
        rows: Rows of the source.
        referenced: Records of each table that lookups search, beside the accounts themselves.
    """

    rows: int = 1_000_000
    referenced: int = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, with lookups or without.

    Attributes:
        queries: Queries, each answered with one page.
        read: Records in the pages.
    """

    name: str
    lookups: bool
    measured: Measured
    queries: int
    read: int

    @property
    def disk(self) -> float:
        """The peak of the workspace's folder in MB."""
        return float(self.measured.facts["summary"]["peak_disk_mb"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same run without lookups and with them."""

    without: Run
    lookups: Run

    @property
    def ratio(self) -> float:
        """How many times the CPU the run needs with lookups."""
        return round(self.lookups.measured.cpu_seconds / self.without.measured.cpu_seconds, 2)

    def times_read(self, size: Size) -> float:
        """How often a record of the referenced tables was read, the own table's further reads included."""
        return round((self.lookups.read - self.without.read) / (len(TABLES) * size.referenced), 2)


def source_file(folder: Path, size: Size) -> Path:
    """The file of the source: eight columns, and three with what is searched for."""
    path = folder / "accounts-with-lookups.csv"
    values = COLUMNS | {name: value.format(referenced=size.referenced) for name, value in SEARCHED.items()}
    selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
    duckdb.execute(f"COPY (SELECT {selected} FROM range(1, {size.rows} + 1) AS t(i)) TO '{path}' (HEADER)")
    return path


def seeds(folder: Path, size: Size) -> list[str]:
    """The referenced tables as seeds of the emulator."""
    for table in TABLES:
        columns = f"'Name ' || i AS lastname, '{table}-' || i || '@example.com' AS emailaddress1"
        path = folder / f"{table}.csv"
        duckdb.execute(f"COPY (SELECT {columns} FROM range(1, {size.referenced} + 1) AS t(i)) TO '{path}' (HEADER)")
    return [f"{table}={folder / f'{table}.csv'}" for table in TABLES]


def pairs(folder: Path, size: Size) -> list[Pair]:
    """A first load and a second run, without lookups and with them; each two against an environment of their own."""
    file, seed = source_file(folder, size), seeds(folder, size)
    schema = folder / "schema.yaml"
    schema.write_text(SCHEMA, "utf-8")
    found = []
    for lookups in (False, True):
        with serving(limits="none", seed=seed, schema=[schema]) as local:
            for table in TABLES:
                local.seed(table)
            found.append([_run(local, folder, file, name, lookups=lookups) for name in RUNS])
    return [Pair(without=without, lookups=with_them) for without, with_them in zip(*found, strict=True)]


def _run(local: Local, folder: Path, file: Path, name: str, *, lookups: bool) -> Run:
    """One run of the sync, in a folder of its own; what the service counted before it does not count."""
    before = local.emulator.stats()
    place = folder / f"{name.replace(' ', '-')}-{lookups}"
    option = ["--lookups"] if lookups else []
    done, _ = measured("us", local, "benchmarks.us", str(place), str(file), "--searched", *option)
    shutil.rmtree(place)
    after = local.emulator.stats()
    queries = (stats["requests"]["by_kind"].get("query", 0) for stats in (after, before))
    read = (stats["rows"].get("read", 0) for stats in (after, before))
    return Run(name=name, lookups=lookups, measured=done, queries=sub(*queries), read=sub(*read))


def lines(pair: Pair) -> Iterator[str]:
    """Both runs as rows of the table."""
    for run, ratio in ((pair.without, ""), (pair.lookups, f"{pair.ratio:.2f}")):
        cells = [run.name, "three" if run.lookups else "none", f"{run.measured.cpu_seconds:.1f}", ratio]
        cells += [f"{run.measured.peak_mb:,.0f}", f"{run.disk:,.0f}", f"{run.measured.requests:,}"]
        cells += [f"{run.queries:,}", f"{run.read:,}", f"{run.measured.rows:,}"]
        yield f"| {' | '.join(cells)} |"


def case(bench: Bench) -> Result:
    """The case of `python -m benchmarks`."""
    size = Size(rows=bench.rows(1_000_000), referenced=bench.rows(200_000))
    os.environ.setdefault("WORKSPACE_MEMORY", "512MB")
    first, second = pairs(bench.folder, size)
    goals = [_goals(pair, size) for pair in (first, second)]
    return Result(
        name="lookups",
        title=f"{size.rows:,} rows with three lookups into tables of {size.referenced:,}",
        setting="an emulator without limits and latency, WORKSPACE_MEMORY 512MB; each lookup searches by a text column",
        measured=tuple(
            replace(run.measured, program=f"{run.name}, {'three lookups' if run.lookups else 'no lookups'}")
            for pair in (first, second)
            for run in (pair.without, pair.lookups)
        ),
        goals=tuple(goal for pair in goals for goal in pair),
        notes=(
            (
                "One lookup refers to the table itself, where each fifth row is the parent of five; one has two tables. "
                "Both programs read the same file; without lookups its three columns of searched values are not mapped."
            ),
        ),
        facts={
            "queries": {f"{r.name}, {r.lookups}": r.queries for p in (first, second) for r in (p.without, p.lookups)}
        },
    )


def _goals(pair: Pair, size: Size) -> list[Goal]:
    name = pair.lookups.name
    return [
        Goal(text=f"{name}: CPU ÷ CPU without lookups", target=1.5, got=pair.ratio, most=True),
        Goal(text=f"{name}: peak memory, MB", target=768, got=pair.lookups.measured.peak_mb, most=True),
        Goal(
            text=f"{name}: times a referenced record is read",
            target=1.05,
            got=pair.times_read(size),
            most=True,
            limit=1,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=Size().rows)
    parser.add_argument(
        "--referenced", type=int, default=Size().referenced, help="records of each table that is searched"
    )
    parser.add_argument("--memory", default="512MB", help="WORKSPACE_MEMORY of the runs")
    arguments = parser.parse_args()
    os.environ["WORKSPACE_MEMORY"] = arguments.memory
    size = Size(rows=arguments.rows, referenced=arguments.referenced)
    print(f"{size.rows:,} rows, tables of {size.referenced:,}, {os.cpu_count()} cores\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lookups-") as place:
        for pair in pairs(Path(place), size):
            print(*lines(pair), sep="\n", flush=True)


if __name__ == "__main__":
    main()
