"""A sync with a mirror over tables that grow, with as many changes in each."""

from __future__ import annotations

import shutil
from dataclasses import replace

from benchmarks.cases import Bench
from benchmarks.dataset import write
from benchmarks.dataverse import serving
from benchmarks.goals import Goal, Result
from benchmarks.mirror import Runs
from benchmarks.programs import Measured

SIZES = (100_000, 1_000_000, 5_000_000)
CHANGES = 1_000


def case(bench: Bench) -> Result:
    """Requests depend on the changes only; time on the source."""
    sizes = [bench.rows(size) for size in SIZES]
    changes = bench.rows(CHANGES)
    runs = [_run(bench, rows, rows // changes) for rows in sizes]
    small, middle, large = runs
    growth = _per_row(large, sizes[2]) / _per_row(middle, sizes[1])
    return Result(
        name="growth",
        title=f"{changes:,} changed rows in tables of three sizes, with a mirror",
        setting=f"{', '.join(f'{size:,}' for size in sizes)} rows, {changes:,} of them changed in the source, a service "
        "that takes no time and has no limits, TLS",
        measured=tuple(runs),
        bars={one.program: one.wall_seconds for one in runs},
        goals=(
            Goal(
                text="requests for records with most rows ÷ with fewest",
                target=1,
                got=round(large.facts["queries"] / small.facts["queries"], 2),
                most=True,
                limit=1,
            ),
            Goal(text="CPU per row with most rows ÷ with 1,000,000", target=1.2, got=round(growth, 2), most=True),
            Goal(text="peak memory with most rows, MB", target=768, got=large.peak_mb, most=True),
        ),
        notes=(
            (
                "Each run is the third of its sync: the first one begins the mirror, and the second reads what the first "
                "one wrote. In how many requests the changes are written depends on how fast the service answers. The "
                "table counts all requests, those for sign-in and metadata too."
            ),
        ),
        facts={"queries": [one.facts["queries"] for one in runs]},
    )


def _per_row(run: Measured, rows: int) -> float:
    return run.cpu_seconds / rows


def _run(bench: Bench, rows: int, every: int) -> Measured:
    """The run in which one row in so many has changed, in a folder that is removed: the tables are large."""
    place = replace(bench, folder=bench.folder / "growth")
    place.folder.mkdir()
    try:
        with serving(db=place.filled(rows), limits="none") as local:
            runs, file = Runs(place, local), place.file(rows)
            runs.mirrored("us, first run", file)
            runs.mirrored("us, second run", file)
            write(file, rows, every=every)
            return runs.mirrored(f"us, {rows:,} rows", file)
    finally:
        shutil.rmtree(place.folder)
