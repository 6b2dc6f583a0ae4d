"""A column of a million rows by a script, and by the same expression in SQL.

    python -m benchmarks.scripts [--rows N]

Prints one line of JSON for each: seconds, processor time of the program and of the scripts' process, peak memory of
each.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from shared.definitions import SyncDefinition, load_definition
from shared.jobs.scripting import run_scripts
from shared.scripts import ScriptEngine
from shared.transform import script_columns, script_steps, shape_steps
from shared.workspace import Workspace

DEFINITION = """
name: scores
source:
  type: delimited
  path: unused.csv
  columns:
    - {name: name}
    - {name: revenue, type: number}
    - {name: city}
    - COLUMN
destination:
  type: dynamics
  entity: account
  service_url: https://example.crm.dynamics.com
  client_id: "00000000-0000-0000-0000-000000000001"
  client_secret: {env: UNUSED}
  id_column: accountid
  mappings: [{source: name, target: name}]
sync_behaviour: {sync_key: [name]}
"""
COLUMNS = {
    "sql": """{name: score, type: number, formula: "CASE WHEN revenue > 1e6 THEN 10 ELSE length(name) END"}""",
    "script": """{name: score, type: number, script: "function calc(r) { return r.revenue > 1e6 ? 10 : r.name.length }"}""",
}
ROWS = "SELECT range, 'Company ' || range, CAST(range * 7.5 AS VARCHAR), 'Bern' FROM range(?)"


def calculated(definition: SyncDefinition, count: int) -> int:
    """Calculate the column as a run does, and sum it."""
    with Workspace.open(on_disk=True) as workspace, closing(ScriptEngine()) as engine:
        workspace.execute("CREATE TABLE source_raw (_row BIGINT, name VARCHAR, revenue VARCHAR, city VARCHAR)")
        workspace.execute(f"INSERT INTO source_raw {ROWS}", [count])
        for step in script_steps(definition):
            workspace.run(step)
        run_scripts(workspace, script_columns(definition), engine)
        for step in shape_steps(definition):
            workspace.run(step)
        return int(workspace.query("SELECT sum(score) FROM source")[0][0])


def measured(kind: str, count: int) -> Mapping[str, Any]:
    definition = load_definition(DEFINITION.replace("COLUMN", COLUMNS[kind]), file="scores.yaml")
    begun, before = time.monotonic(), usage()
    total = calculated(definition, count)
    after = usage()
    return {
        "kind": kind,
        "rows": count,
        "sum": total,
        "wall_seconds": round(time.monotonic() - begun, 1),
        "cpu_seconds": round(after[0] - before[0], 1),
        "cpu_seconds_of_scripts": round(after[1] - before[1], 1),
        "peak_mb_of_scripts": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }


def usage() -> tuple[float, float]:
    """Processor seconds of this process, and of those that it started and that have ended."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own, ended = (each.ru_utime + each.ru_stime for each in found)
    return own, ended


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    results = [measured(kind, count) for kind in COLUMNS]
    for result in results:
        print(json.dumps(result))
    if len({result["sum"] for result in results}) != 1:
        raise SystemExit("the script and the expression give other values")


if __name__ == "__main__":
    main()
