"""Every benchmark, next to what people use today.

    python -m benchmarks [--quick] [--case NAME]... [--real-time] [--keep FOLDER]

Writes benchmarks/results/latest.json and the generated part of docs/performance.md, which a `--quick` run leaves alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import databases, growth, lookups, mirror, sources
from benchmarks.cases import CASES as SYNCS
from benchmarks.cases import Bench
from benchmarks.goals import Result
from benchmarks.report import overview, publish, save, section

CASES = {
    **SYNCS,
    "unchanged": mirror.case,
    "growth": growth.case,
    "lookups": lookups.case,
    "sources": sources.case,
    "databases": databases.case,
}


def machine() -> dict[str, Any]:
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
    }


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """A folder for files and databases; about 2 GB with everything."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--quick", action="store_true", help="use a fiftieth of the rows, to check that everything runs"
    )
    parser.add_argument("--case", action="append", choices=list(CASES), help="run only this case; may be repeated")
    parser.add_argument(
        "--real-time", action="store_true", help="run the sequential SDK in real time (about 15 minutes)"
    )
    parser.add_argument("--keep", type=Path, help="folder for the files, which are kept for the next run")
    arguments = parser.parse_args()
    with workplace(arguments.keep) as folder:
        bench = Bench(folder=folder, quick=arguments.quick, real_time=arguments.real_time)
        for name in arguments.case or CASES:
            about = machine()
            print(f"-- {name}", flush=True)
            show(CASES[name](bench), about, keep=not arguments.quick)


def show(result: Result, about: dict[str, Any], *, keep: bool) -> None:
    case = {**result.to_json(), "machine": about}
    print(section(case), overview([case]), sep="\n", flush=True)
    if keep:
        publish(save([result.to_json()], about))


if __name__ == "__main__":
    main()
