"""A million rows of a database into the table of a run, next to pandas reading the same.

    python -m benchmarks.databases [--rows N] [--kind sqlite] [--kind postgresql]

Each program runs in a process of its own. Prints one line of JSON for each: seconds, processor time and peak memory.
PostgreSQL is started here; its processor time is not counted. Where it is not installed, it is left out, and a line says
so. The case `databases` of `make bench` is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.cases import Bench
from benchmarks.dataverse import ROOT
from benchmarks.footprint import report
from benchmarks.goals import Result
from benchmarks.programs import Measured
from shared.definitions.models import SqlSource
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.postgresql.server import Postgresql, PostgresqlMissingError

COLUMNS = (
    "number bigint, name varchar(60), amount decimal(18, 4), since date, active boolean, changed timestamp, "
    "ratio double precision"
)
KINDS = ("sqlite", "postgresql")
ROWS = 1_000_000
URL = "BENCHMARK_URL"
US, PANDAS = "us", "pandas"
BLOCK = 50_000


def rows(first: int, end: int) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "name": f'Müller "{number}", & Söhne',
            "amount": f"{number}.1234",
            "since": f"2024-{number % 12 + 1:02}-15",
            "active": number % 2 == 0,
            "changed": f"2024-01-31 10:{number % 60:02}:00.{number % 1000000:06}",
            "ratio": number / 7,
        }
        for number in range(first, end)
    ]


def fill(url: str, count: int) -> None:
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE customers ({COLUMNS})"))
        if url.startswith("postgresql"):
            connection.execute(sa.text(GENERATED), {"count": count})
            return
        insert = sa.text("INSERT INTO customers VALUES (:number, :name, :amount, :since, :active, :changed, :ratio)")
        for first in range(1, count + 1, BLOCK):
            connection.execute(insert, rows(first, min(first + BLOCK, count + 1)))


GENERATED = """
INSERT INTO customers SELECT n, 'Müller "' || n || '", & Söhne', n + 0.1234, date '2024-01-15' + mod(n, 360),
  mod(n, 2) = 0, timestamp '2024-01-31 10:00' + n * interval '1.000001 s', n / 7.0
FROM generate_series(1, :count) AS n"""


def read(url: str) -> int:
    """As a run does: into the table of its workspace, with the memory limit of the default settings."""
    source = SqlSource.model_validate({"type": "sql", "connection": {"env": URL}, "table": "customers"})
    opened = open_source(source, SourceContext(secret=lambda _: url))
    with Workspace.open(on_disk=True) as workspace:
        opened.columns(workspace)
        opened.load(workspace)
        return int(workspace.query("SELECT count(*) FROM source_raw")[0][0])


def read_with_pandas(url: str) -> int:
    """As its documentation shows it: the whole table in one frame."""
    # Imported here: the other program is measured without it.
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; its stubs are needed nowhere else

    with sa.create_engine(url).connect() as connection:
        return len(pd.read_sql(sa.text("SELECT * FROM customers"), connection))


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'customers.db'}"
        return
    server = Postgresql()
    try:
        yield server.url().replace("postgresql:", "postgresql+pg8000:")
    finally:
        server.stop()


def measure(kind: str, program: str, url: str) -> dict[str, Any]:
    """Run one program in a process of its own."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.databases", "--program", program]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, URL: url}, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"kind": kind, "wall_seconds": round(time.monotonic() - begun, 1), **facts}


def compared(kinds: Iterable[str], rows: int) -> Iterator[dict[str, Any]]:
    """What each program takes for each database; those that are not installed are left out."""
    for kind in kinds:
        try:
            with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, database(kind, Path(folder)) as url:
                fill(url, rows)
                for program in (US, PANDAS) if find_spec("pandas") else (US,):
                    yield measure(kind, program, url)
        except PostgresqlMissingError as error:
            print(f"{kind} is left out: {error}", file=sys.stderr, flush=True)


def case(bench: Bench) -> Result:
    """Both databases, as many rows."""
    rows = bench.rows(ROWS)
    found = [
        Measured(
            program=f"{facts['program']}, {facts['kind']}",
            wall_seconds=facts["wall_seconds"],
            cpu_seconds=facts["cpu_seconds"],
            peak_mb=facts["peak_mb"],
            requests=0,
            throttled=0,
            rows=facts["rows"],
        )
        for facts in compared(KINDS, rows)
    ]
    return Result(
        name="databases",
        title="Reading databases",
        setting=f"a table of {rows:,} rows and seven columns, read into the workspace of a run; no service",
        measured=tuple(found),
        bars={each.program: each.cpu_seconds for each in found},
        notes=("The bars show CPU seconds, without those of the database. The times contain the start of Python.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the table")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this database; may be repeated")
    parser.add_argument("--program", choices=[US, PANDAS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program:
        found = (read if arguments.program == US else read_with_pandas)(os.environ[URL])
        report(program=arguments.program, rows=found)
        return
    for facts in compared(arguments.kind or KINDS, arguments.rows):
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
