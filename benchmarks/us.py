"""The program under test: one run of a sync from a CSV file, as the command line does it.

python -m benchmarks.us FOLDER FILE [--strategy full] [--dropped delete] [--searched] [--lookups] [--mirror]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from benchmarks.dataset import COLUMNS
from benchmarks.footprint import report
from shared.app import App
from shared.jobs import Phase
from shared.settings import Settings

TYPES = {"revenue": "number", "numberofemployees": "number", "industrycode": "number", "creditonhold": "bool"}

SEARCHED = ("parent", "contact", "origin")
LOOKUPS: tuple[dict[str, Any], ...] = (
    {"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}},
    {"source": "contact", "target": "primarycontactid", "lookup": {"match": "emailaddress1"}},
    {
        "source": "origin",
        "target": "new_originid",
        "lookup": [{"entity": "contact", "match": "emailaddress1"}, {"entity": "lead", "match": "emailaddress1"}],
    },
)


class Stopwatch:
    """Progress that keeps when each phase began, by the clock and by the CPU."""

    def __init__(self) -> None:
        self.began: dict[str, tuple[float, float]] = {}

    def phase(self, phase: Phase, total: int | None = None) -> None:  # noqa: ARG002 - part of the protocol
        """Keep the moment."""
        self.began[phase.value] = (time.perf_counter(), time.process_time())

    def advance(self, rows: int) -> None:
        """Nothing to keep."""

    def throttled(self, requests: int, until: datetime) -> None:
        """Nothing to keep."""

    def phases(self) -> dict[str, dict[str, float]]:
        """Seconds of each phase, and of CPU in it."""
        moments = [*self.began.items(), ("", (time.perf_counter(), time.process_time()))]
        return {
            name: {"wall": round(after[0] - before[0], 3), "cpu": round(after[1] - before[1], 3)}
            for (name, before), (_, after) in pairwise(moments)
        }


def definition(file: Path, environment: Mapping[str, str], *, strategy: str, dropped: str) -> dict[str, Any]:
    users = environment["BENCH_USERS"].split(",")
    secret = {"env": "BENCH_CLIENT_SECRET"}
    return {
        "name": "accounts",
        "source": {
            "type": "delimited",
            "path": str(file),
            "columns": [{"name": name, "type": TYPES.get(name, "text")} for name in COLUMNS],
        },
        "destination": {
            "type": "dynamics",
            "entity": "account",
            "service_url": environment["BENCH_SERVICE_URL"],
            "client_id": users[0] if len(users) == 1 else users,
            "client_secret": secret if len(users) == 1 else [secret] * len(users),
            "id_column": "accountid",
            "mappings": [{"source": name, "target": name} for name in COLUMNS],
        },
        "sync_behaviour": {"sync_key": ["accountnumber"], "strategy": strategy, "dropped": dropped},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder for the definition, the state and temporary files")
    parser.add_argument("file", type=Path)
    parser.add_argument("--strategy", default="full")
    parser.add_argument("--dropped", default="delete")
    parser.add_argument("--searched", action="store_true", help="the file has the columns of benchmarks/lookups.py")
    parser.add_argument("--lookups", action="store_true", help="map them")
    parser.add_argument("--mirror", action="store_true", help="read what has changed since the run before")
    arguments = parser.parse_args()
    syncs = arguments.folder / "syncs"
    syncs.mkdir(parents=True, exist_ok=True)
    content = definition(arguments.file, os.environ, strategy=arguments.strategy, dropped=arguments.dropped)
    if arguments.searched:
        content["source"]["columns"] += [{"name": name} for name in SEARCHED]
    if arguments.lookups:
        content["destination"]["mappings"] += LOOKUPS
    content["destination"]["mirror"] = arguments.mirror
    (syncs / "accounts.yaml").write_text(yaml.safe_dump(content), "utf-8")
    state = f"sqlite:///{arguments.folder / 'state.db'}"
    memory = {"WORKSPACE_MEMORY": os.environ.get("WORKSPACE_MEMORY", "")}
    settings = Settings.load({"SYNC_DEFINITIONS": str(syncs), "STATE_STORE": state, **memory})
    watch = Stopwatch()
    summary = App(settings).run("accounts", progress=watch)
    report(phases=watch.phases(), summary=summary.to_json())


if __name__ == "__main__":
    main()
