"""How much CPU and memory it costs to compare a source with a target that are both staged.

    python -m benchmarks.reconcile [--rows 1000000] [--memory 512MB] [--threads 2] [--on-disk] [--shuffled]

One per cent of the records differ in one column, one in a thousand is dropped, one in a thousand is new. Staging the two
tables is not measured, but counts for the peak memory, which is that of the whole process. Prints a Markdown table on
standard error and one JSON object on standard output.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.reconcile import PlanCounts, checksum_query, counts_query, reconcile_steps
from shared.transform import Omit, TargetColumn, current_table_step, layout
from shared.transform.current import TARGET_ERRORS
from shared.transform.shape import SOURCE_ERRORS
from shared.workspace import Workspace

SCATTER = 7_368_787  # a prime that divides no round number of rows: its multiples visit every row once
CHANGED_EVERY = 100
DROPPED_EVERY = 1000

# name, kind, SQL type, and the value of row i
COLUMNS = (
    ("accountnumber", AttributeType.STRING, "VARCHAR", "'K-' || lpad(i::VARCHAR, 9, '0')"),
    ("name", AttributeType.STRING, "VARCHAR", "'Company number ' || i"),
    ("address1_line1", AttributeType.STRING, "VARCHAR", "(i % 9973) || ' Harbour Street'"),
    ("address1_city", AttributeType.STRING, "VARCHAR", "'City ' || (i % 997)"),
    ("revenue", AttributeType.MONEY, "DECIMAL(38,4)", "((i * 7919) % 100000000) / 100"),
    ("numberofemployees", AttributeType.INTEGER, "INTEGER", "(i % 5003)::INTEGER"),
    ("industrycode", AttributeType.PICKLIST, "INTEGER", "(i % 33)::INTEGER"),
    ("creditonhold", AttributeType.BOOLEAN, "BOOLEAN", "i % 2 = 0"),
    ("new_since", AttributeType.DATETIME, "TIMESTAMP", "TIMESTAMP '2020-01-01' + to_minutes(i % 1000000)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one phase took, in seconds."""

    wall_seconds: float
    cpu_seconds: float


class Meter:
    """Measures wall-clock and CPU time of this process, all threads together."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self) -> Cost:
        """What has been used since the meter was made."""
        return Cost(
            wall_seconds=round(time.perf_counter() - self._wall, 3),
            cpu_seconds=round(time.process_time() - self._cpu, 3),
        )


def definition() -> SyncDefinition:
    return SyncDefinition.model_validate(
        {
            "name": "benchmark",
            "source": {"type": "delimited", "path": "-", "columns": [{"name": name} for name, *_ in COLUMNS]},
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.example/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "accountid",
                "mappings": [{"source": name, "target": name} for name, *_ in COLUMNS],
            },
            "sync_behaviour": {"sync_key": ["accountnumber"], "dropped": "delete"},
        }
    )


def account() -> EntityMetadata:
    attributes = {
        name: AttributeMetadata(
            name=name, type=kind, precision=4, date_behavior=DateBehavior.USER_LOCAL if sql == "TIMESTAMP" else None
        )
        for name, kind, sql, _ in COLUMNS
    }
    return EntityMetadata(
        logical_name="account",
        entity_set="accounts",
        display_name="Account",
        primary_id="accountid",
        primary_name="name",
        attributes=attributes,
    )


def stage(workspace: Workspace, columns: tuple[TargetColumn, ...], rows: int, *, shuffled: bool = False) -> None:
    """Fill `desired` with rows 1..n, and `current` with the same shifted by what is new and what is dropped.

    Both are in the order of their keys, as an export and a read by creation often are, or, `shuffled`, the records are
    in an order that has nothing to do with the rows'.
    """
    shift = rows // DROPPED_EVERY
    same = {name: f"({value})::{sql_type}" for name, _, sql_type, value in COLUMNS}
    other = same | {"name": f"CASE WHEN i % {CHANGED_EVERY} = 0 THEN 'Was ' ELSE '' END || {same['name']}"}
    key = next(column.key_sql for column in columns if column.key_part)
    flags = {f"_omit_{column.name}": "false" for column in columns if column.omit is Omit.FLAGGED}
    workspace.execute(
        f"CREATE TABLE desired AS SELECT *, {key} AS _k1 "
        f"FROM (SELECT i AS _row, {selected(same | flags)} FROM range(1, {rows} + 1) AS t(i))"
    )
    workspace.run(current_table_step(columns))
    place = f"(n * {SCATTER}) % {rows}" if shuffled else "n - 1"
    workspace.execute(
        f"INSERT INTO current BY NAME SELECT n AS _seq, md5(i::VARCHAR)::UUID AS _id, {selected(other)} "
        f"FROM (SELECT n, {shift} + 1 + {place} AS i FROM range(1, {rows} + 1) AS t(n))"
    )
    workspace.execute("CREATE TABLE protected AS SELECT _k1 FROM desired LIMIT 0")
    workspace.run(SOURCE_ERRORS)
    workspace.run(TARGET_ERRORS)


def selected(values: dict[str, str]) -> str:
    return ", ".join(f"{value} AS {name}" for name, value in values.items())


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def measure(rows: int, memory: str, threads: int, *, on_disk: bool, shuffled: bool) -> dict[str, Any]:
    with Workspace.open(memory_limit=memory, on_disk=on_disk, threads=threads) as workspace:
        sync = definition()
        columns = layout(sync, account())
        stage(workspace, columns, rows, shuffled=shuffled)
        staged = peak_mb()
        meter = Meter()
        for step in reconcile_steps(sync, columns, started=datetime.now(UTC), target_rows=rows):
            workspace.run(step)
        cost = meter.cost()
        checks = Meter()
        counts = PlanCounts.from_rows(workspace.query(counts_query()))
        workspace.query(checksum_query())
        return {
            "rows": rows,
            "columns": len(COLUMNS),
            "memory_limit": memory,
            "threads": threads,
            "on_disk": on_disk,
            "shuffled": shuffled,
            "reconcile": asdict(cost),
            "counts_and_checksum": asdict(checks.cost()),
            "cpu_seconds_per_million": round(cost.cpu_seconds * 1_000_000 / rows, 3),
            "peak_memory_mb_staging": staged,
            "peak_memory_mb": peak_mb(),
            "counts": counts.to_json(),
        }


def markdown(result: dict[str, Any]) -> str:
    names = ("rows", "memory_limit", "threads", "cpu_seconds_per_million", "peak_memory_mb")
    cells = [*(str(result[name]) for name in names), str(result["reconcile"]["wall_seconds"])]
    head = [*names, "wall_seconds"]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---:"] * len(head), cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="512MB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--on-disk", action="store_true", help="keep the tables in a file, as a batch does")
    parser.add_argument("--shuffled", action="store_true", help="put the records in another order than the rows")
    arguments = parser.parse_args()
    result = measure(
        arguments.rows,
        arguments.memory,
        arguments.threads,
        on_disk=arguments.on_disk,
        shuffled=arguments.shuffled,
    )
    print(markdown(result), file=sys.stderr)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
