"""What a run needs of the machine: CPU, memory and temporary disk, for docs/sizing.md.

    python -m benchmarks.sizing [--rows 1000000]

Three runs of one sync with eight columns and a key, each in a process of its own, from a CSV file over TLS: into an empty
table, again with nothing changed, and again with one row in a hundred changed. The service takes no time, so what is
measured is this program; `--memory` sets WORKSPACE_MEMORY.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.cases import Bench
from benchmarks.dataverse import Local, serving
from benchmarks.programs import Measured

HEAD = (
    "| run | CPU, s | peak memory, MB | temporary disk, MB | rows written | time, s |\n|---|---:|---:|---:|---:|---:|"
)


def row(name: str, local: Local, bench: Bench, file: Path) -> str:
    """One run as a row of the table."""
    made, _ = bench.us(local, file)
    return f"| {name} | {made.cpu_seconds:.1f} | {made.peak_mb:,.0f} | {disk(made):,.0f} | {made.rows:,} | {made.wall_seconds:.1f} |"


def disk(made: Measured) -> float:
    """The peak of the workspace's folder in MB, as the run's summary has it."""
    return float(made.facts["summary"]["peak_disk_mb"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="512MB", help="WORKSPACE_MEMORY of the runs")
    arguments = parser.parse_args()
    os.environ["WORKSPACE_MEMORY"] = arguments.memory
    with tempfile.TemporaryDirectory(prefix="sizing-") as place:
        bench = Bench(folder=Path(place))
        was, now = bench.file(arguments.rows, was=True), bench.file(arguments.rows)
        print(
            f"{arguments.rows:,} rows, {now.stat().st_size / 1e6:.0f} MB of CSV, {os.cpu_count()} cores\n\n{HEAD}",
            flush=True,
        )
        with serving(limits="none") as local:
            for name, file in (("first load", was), ("nothing changed", was), ("1 % changed", now)):
                print(row(name, local, bench, file), flush=True)


if __name__ == "__main__":
    main()
