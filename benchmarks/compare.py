"""The CPU of this checkout and of another one, measured in turn on one machine.

    python -m benchmarks.compare OTHER [--rounds 5]

OTHER is a folder with another version, such as a worktree of Git. Each round measures both: a first load of 100,000 rows,
300,000 rows of which 1 % changed and then none, the comparison alone, and real time. The order changes from round to
round, because a machine that gets slower would otherwise favour the first. Only the CPU of the measured process
counts. Writes a Markdown table: the medians of both, and the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

THIS = Path(__file__).resolve()
LOCAL: dict[str, Any] = {"latency_ms": 2, "dop": 8, "limits": "none"}
LOADED, COMPARED, RECONCILED, EVENTS = 100_000, 300_000, 500_000, 10_000


def one_round(folder: Path) -> Mapping[str, float]:
    """CPU seconds of each case, in the checkout that is the current folder."""
    # Imported here: `benchmarks` is the package of the checkout that is measured.
    from benchmarks.cases import Bench  # noqa: PLC0415 - see above
    from benchmarks.dataverse import serving  # noqa: PLC0415 - see above

    bench = Bench(folder=folder)
    found: dict[str, float] = {}
    with serving(**LOCAL) as local:
        found["first load"] = bench.us(local, bench.file(LOADED))[0].cpu_seconds
    file = bench.file(COMPARED)
    with serving(db=bench.filled(COMPARED), **LOCAL) as local:
        found["1 % changed"] = bench.us(local, file)[0].cpu_seconds
        found["nothing changed"] = bench.us(local, file)[0].cpu_seconds
    alone = _output("benchmarks.reconcile", "--rows", str(RECONCILED))
    found["comparison alone"] = alone["reconcile"]["cpu_seconds"] + alone["counts_and_checksum"]["cpu_seconds"]
    real_time = _output("benchmarks.events", "--events", str(EVENTS), "--singles", "150")
    for case, result in real_time.items():
        if isinstance(result, dict):
            found[f"events: {case}"] = result["cpu_seconds"] if "cpu_seconds" in result else result["cpu_ms"]
    return found


def _output(module: str, *options: str) -> dict[str, dict[str, float]]:
    """What a benchmark of the checkout prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def measured(checkout: Path, folder: Path) -> dict[str, float]:
    """One round in a process of its own."""
    done = subprocess.run(
        # -P: the folder of this file is not searched; its modules have the names of packages.
        [sys.executable, "-P", str(THIS), "--round", str(folder)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rounds: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """The cases that both versions have."""
    lines = ["| case | other | this | ratio |", "|---|---:|---:|---:|"]
    for case in rounds[0][0].keys() & rounds[0][1].keys():
        other, this = ([each[side][case] for each in rounds] for side in (0, 1))
        ratio = median(new / old for old, new in zip(other, this, strict=True))
        lines.append(f"| {case} | {median(other):.2f} | {median(this):.2f} | {ratio:.2f} |")
    return "\n".join([*lines[:2], *sorted(lines[2:])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="the folder with the other version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.round:
        given.round.mkdir(parents=True, exist_ok=True)
        sys.stdout.write(json.dumps(one_round(given.round)) + "\n")
        return
    if given.other is None:
        parser.error("name the folder with the other version")
    checkouts = (given.other.resolve(), THIS.parents[1])
    rounds = []
    with tempfile.TemporaryDirectory() as work:
        for number in range(given.rounds):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            found = {side: measured(checkouts[side], Path(work) / str(side)) for side in order}
            rounds.append((found[0], found[1]))
            sys.stderr.write(f"round {number + 1}: {found[0]} {found[1]}\n")
    sys.stdout.write(table(rounds) + "\n")


if __name__ == "__main__":
    main()
