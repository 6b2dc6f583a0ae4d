"""What it costs to read a million rows from each kind of source, next to pandas reading the same.

    python -m benchmarks.sources [--rows 1000000] [--kind excel]...

The rows are those of the contract suite of sources: a number, a text, a decimal, a date and a truth value. Each program is a
process of its own: ours reads the source into the workspace of a run and types every value; pandas makes its data frame, where
the packages that it needs for the kind are installed. HTTP services and the local Dataverse are processes whose time is
not counted. PostgreSQL is measured by `benchmarks.databases`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine

from benchmarks.cases import Bench
from benchmarks.dataverse import ROOT
from benchmarks.goals import Result
from benchmarks.programs import Measured
from shared.app.wiring import Wiring
from shared.definitions import SyncDefinition
from shared.settings import Settings
from shared.sources import completed, open_source
from shared.transform import shape_steps
from shared.workspace import Workspace
from tests.contract.source_kinds import FIELDS, FILES, KINDS, WIDTHS, rows
from tests.contract.test_sources import defined

ROWS = 1_000_000
MEASURED = (*FILES, "sql of sqlite", "rest", "dynamics")
MEMORY = "512MB"


def load(keys: Mapping[str, Any]) -> int:
    """Read a source as a run does, up to its typed rows; returns their number."""
    kind = replace(KINDS["json"], source=keys, place=lambda _path: {})
    definition: SyncDefinition = defined(kind, Path())
    context = Wiring(Settings.load({}), lambda: os.environ).source_context({})
    source = open_source(definition.source, context)
    with Workspace.open(readable=source.readable, memory_limit=MEMORY, on_disk=True) as workspace:
        whole = completed(definition, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        workspace.execute(f"CREATE TABLE typed AS SELECT _row, {', '.join(FIELDS)} FROM source")
        return int(workspace.query("SELECT count(*) FROM typed")[0][0])


def frame(keys: Mapping[str, Any]) -> int:
    """Read the same with pandas."""
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415 - a peer, measured in a process of its own

    path, kind = keys.get("path", ""), keys["type"]
    readers: dict[str, Callable[[], Any]] = {
        "delimited": lambda: pd.read_csv(path, parse_dates=["since"]),
        "fixed_width": lambda: pd.read_fwf(path, widths=[width for _, width in WIDTHS.values()], names=FIELDS),
        "json": lambda: pd.read_json(path, lines=True),
        "excel": lambda: pd.read_excel(path, engine="calamine"),
        "parquet": lambda: pd.read_parquet(path),
        "rest": lambda: pd.concat(pages(keys["url"])),
        "sql": lambda: pd.read_sql(f"SELECT * FROM {keys['table']}", create_engine(os.environ["DATABASE"])),
    }
    return len(readers[kind]())


def pages(url: str) -> Iterator[Any]:
    """The pages of an HTTP service as data frames, with requests as most scripts use it."""
    import pandas as pd  # noqa: PLC0415 - see above

    offset, session = 0, requests.Session()
    while (answer := session.get(url, params={"offset": offset}, timeout=60)).content:
        page = pd.read_json(io.BytesIO(answer.content), lines=True)
        offset += len(page)
        yield page


def peers(kind: str) -> bool:
    """Whether pandas and what it needs for a kind are installed."""
    if kind == "dynamics":  # Microsoft's SDK reads tables: see the case `changed`
        return False
    return bool(find_spec("pandas")) and (kind != "parquet" or bool(find_spec("pyarrow")))


def measured(program: str, work: str, kind: str, path: Path) -> Measured:
    """Run one program in a process of its own."""
    keys = {**KINDS[kind].source, **KINDS[kind].place(path)}
    variables = {**os.environ, "DATABASE": f"sqlite:///{path}", "NO_PROXY": "127.0.0.1", **KINDS[kind].environment()}
    command = [sys.executable, "-m", "benchmarks.sources", "--work", work, "--source", json.dumps(keys)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    wall = time.perf_counter() - begun
    facts = json.loads(done.stdout.splitlines()[-1])
    return Measured(
        program=f"{program}, {kind}",
        wall_seconds=round(wall, 2),
        cpu_seconds=facts["cpu_seconds"],
        peak_mb=facts["peak_mb"],
        requests=0,
        throttled=0,
        rows=facts["rows"],
    )


def case(bench: Bench) -> Result:
    """Every kind, with as many rows."""
    count = ROWS // 50 if bench.quick else ROWS
    found = list(compared(MEASURED, count, bench.folder))
    return Result(
        name="sources",
        title="Reading sources",
        setting=f"{count:,} rows of five columns, read and typed, with {MEMORY} for DuckDB; no service",
        measured=tuple(found),
        bars={each.program: each.cpu_seconds for each in found},
        notes=("The bars show CPU seconds. The times contain the start of Python.",),
    )


def compared(kinds: Iterable[str], count: int, folder: Path) -> Iterable[Measured]:
    """Write the rows of each kind and have them read."""
    for kind in kinds:
        path = folder / f"source{KINDS[kind].ending}"
        KINDS[kind].write(path, rows(count))
        yield measured("us", "load", kind, path)
        if peers(kind):
            yield measured("pandas", "frame", kind, path)
        path.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--kind", action="append", choices=MEASURED)
    parser.add_argument("--work", choices=["load", "frame"], help="what a process of its own does; for this program")
    parser.add_argument("--source", type=json.loads, help="the keys of the source; for this program")
    chosen = parser.parse_args()
    if chosen.work:
        count = {"load": load, "frame": frame}[chosen.work](chosen.source)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = round(sum(each.ru_utime + each.ru_stime for each in used), 2)
        print(json.dumps({"rows": count, "cpu_seconds": cpu, "peak_mb": round(used[0].ru_maxrss / 1024)}))
        return
    with tempfile.TemporaryDirectory() as folder:
        for each in compared(chosen.kind or MEASURED, chosen.rows, Path(folder)):
            print(f"{each.program:24} {each.rows:>10,} rows {each.cpu_seconds:8.2f} s CPU {each.peak_mb:6,.0f} MB")


if __name__ == "__main__":
    main()
