"""Minutes of random work, faults and kill -9, with real processes: is anything ever lost or doubled?

    python -m benchmarks.soak [--seconds 600] [--seed N] [--rows 1500]

Each round edits the source, lets others write to the table, queues faults and runs `dynamics-sync run`; every other run
is killed at a random moment. After each round the table is read over HTTP and compared with what may be there; every few
rounds a run in fair weather must make both sides agree and leave nothing to do. A killed run keeps its lease for up to a
minute, so most rounds after a kill begin with a new state store, and some wait. Exits with 1 at the first broken promise.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

import yaml

from benchmarks.dataverse import ROOT, Local, serving

SCHEMA = """
new_thing:
  entity_set: new_things
  columns:
    new_number: {type: String, length: 20}
    new_name: {type: String, length: 100}
    new_size: {type: Decimal, min: -1000000, max: 1000000, precision: 2}
    new_region: {type: String, length: 20}
"""
COLUMNS = ("new_number", "new_name", "new_size", "new_region")
OURS, THEIRS = "ours", "theirs"
FAIR_EVERY = 4  # rounds
LEASE_SECONDS = 75  # a lease holds for 60
FAULTS: tuple[dict[str, Any], ...] = (
    {"action": "status", "status": 429, "retry_after": 1},
    {"action": "status", "status": 429, "code": "0x80072326", "retry_after": 1},
    {"action": "status", "status": 503, "retry_after": 1},
    {"action": "status", "status": 500},
    {"action": "status", "status": 500, "code": "0x80044151", "message": "SQL timeout expired."},
    {"action": "status", "status": 401},
    {"action": "status", "status": 413},
    {"action": "drop_before"},
    {"action": "drop_after"},
    {"action": "delay", "seconds": 1.5},
)

Record = Mapping[str, Any]


class BrokenPromiseError(AssertionError):
    """Something that may never happen."""


def must(condition: object, promise: str) -> None:
    """Raise where a promise is broken."""
    if not condition:
        raise BrokenPromiseError(promise)


class Table:
    """The table, read without the code of the program under test."""

    def __init__(self, local: Local) -> None:
        self._emulator = local.emulator
        self._context: SSLContext = create_default_context(cafile=local.emulator.ca_file)
        self._token = local.emulator.token()

    def records(self) -> dict[str, Record]:
        """All records by id."""
        url = f"{self._emulator.service_url}new_things?$select={','.join((*COLUMNS, 'versionnumber'))}"
        found: dict[str, Record] = {}
        while url:
            page = self._send("GET", url)
            found |= {row["new_thingid"]: row for row in page["value"]}
            url = page.get("@odata.nextLink", "")
        return found

    def write(self, method: str, record: str = "", body: Record | None = None) -> None:
        """Create, update or delete one record."""
        self._send(method, f"{self._emulator.service_url}new_things{f'({record})' if record else ''}", body)

    def _send(self, method: str, url: str, body: Record | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            self._token = self._emulator.token()
            return self._send(method, url, body)
        content: dict[str, Any] = json.loads(text) if text else {}
        return content


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    rounds: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    agreed: int = 0
    waited_for_leases: int = 0

    def line(self, seconds: float, written: int) -> str:
        """The summary."""
        runs = ", ".join(f"{count} {how}" for how, count in self.runs.most_common())
        return (
            f"soak: {seconds:.0f} s, {self.rounds} rounds, {self.runs.total()} runs ({runs}), {self.faults} faults, "
            f"{self.waited_for_leases} waits for a lease, {written:,} rows written; {self.agreed} runs found the "
            f"tables equal; 0 lost, 0 doubled, 0 records outside the filter changed"
        )


class Soak:
    """One soak: a source of so many rows, a table, and chance."""

    def __init__(self, local: Local, folder: Path, *, rows: int, chance: random.Random) -> None:
        self.tally = Tally()
        self._local = local
        self._folder = folder
        self._chance = chance
        self._table = Table(local)
        self._next = rows
        self._stores = 0
        self._rows = {f"k{number}": self._values(f"k{number}") for number in range(rows)}
        self._define()

    def round(self) -> None:
        """One round."""
        self.tally.rounds += 1
        self._edit_source()
        self._others_write()
        fair = self.tally.rounds % FAIR_EVERY == 0
        before = self._table.records()
        if not fair:
            self._queue_faults()
        killed = self._run(kill=not fair and self._chance.random() < 0.75)
        self.tally.faults = sum(self._local.emulator.stats()["faults"].values())
        self._local.emulator.clear_faults()
        self._await_quiet()
        self._check_harm(before, self._table.records())
        if killed:
            self._after_death()
        if fair:
            self._check_agreement()

    # -- What happens

    def _values(self, key: str) -> Record:
        size = self._chance.choice([None, self._chance.randrange(-(10**6), 10**6) / 100])
        name = f"Name {self._chance.randrange(10**6)}" if self._chance.random() < 0.9 else None
        return {"new_number": key, "new_name": name, "new_size": size, "new_region": OURS}

    def _edit_source(self) -> None:
        keys = list(self._rows)
        for key in self._chance.sample(keys, len(keys) // 10):
            self._rows[key] = self._values(key)
        for key in self._chance.sample(keys, len(keys) // 100):
            del self._rows[key]
        for _ in range(len(keys) // 50):
            self._next += 1
            self._rows[f"k{self._next}"] = self._values(f"k{self._next}")
        with (self._folder / "things.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["number", "name", "size"])
            writer.writerows([row["new_number"], row["new_name"], row["new_size"]] for row in self._rows.values())

    def _others_write(self) -> None:
        records = list(self._table.records())
        for record in self._chance.sample(records, min(len(records), 6)):
            if self._chance.random() < 0.5:
                self._table.write("DELETE", record)
            else:
                self._table.write("PATCH", record, {"new_name": "changed by another user"})
        for region in (OURS, THEIRS):
            key = self._chance.choice(list(self._rows))
            self._table.write("POST", "", {"new_number": key, "new_name": "not from the source", "new_region": region})

    def _queue_faults(self) -> None:
        faults = []
        for fault in self._chance.choices(FAULTS, k=self._chance.randrange(6)):
            path = self._chance.choice(["Multiple", "Multiple", "$batch", "new_things", ""])
            faults.append({**fault, "match": {"path": path}, "times": self._chance.randrange(1, 4)})
        if faults:
            self._local.emulator.faults(faults)

    def _run(self, *, kill: bool) -> bool:
        """Run the sync as a person would; whether it was killed before its end."""
        environment = {
            **self._local.environment(),
            "SYNC_DEFINITIONS": str(self._folder / "syncs"),
            "STATE_STORE": f"sqlite:///{self._folder / f'state-{self._stores}.db'}",
        }
        program = str(Path(sys.executable).with_name("dynamics-sync"))
        command = [program, "run", "things", "--json", "--force"]
        output = self._folder / "output.txt"
        with (
            output.open("w", encoding="utf-8") as out,
            subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=out) as process,
        ):
            killed = kill and self._kill_sometime(process)
            code = process.wait(timeout=300)
        if killed:
            self.tally.runs["killed"] += 1
            return True
        must(code in {0, 1, 2, 3}, f"a run ended with {code}: {output.read_text('utf-8')[-2000:]}")
        must("Traceback" not in output.read_text("utf-8"), f"a traceback: {output.read_text('utf-8')[-2000:]}")
        self.tally.runs["complete" if code in {0, 2} else "given up"] += 1
        return False

    def _kill_sometime(self, process: subprocess.Popen[bytes]) -> bool:
        """Kill -9 after some rows were written, or after some time."""
        rows = self.written() + self._chance.randrange(1, 150)
        latest = time.monotonic() + self._chance.uniform(0.5, 6)
        while process.poll() is None:
            if self.written() >= rows or time.monotonic() > latest:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return process.returncode == -signal.SIGKILL
            time.sleep(0.01)
        return False

    def _after_death(self) -> None:
        """The lease was not released: wait until it expires, or start with another store."""
        if self._chance.random() < 0.1:
            self.tally.waited_for_leases += 1
            time.sleep(LEASE_SECONDS)
        else:
            self._stores += 1

    def _await_quiet(self) -> None:
        """Requests of a killed run may still be at work."""
        while self._local.emulator.stats()["in_flight"]["now"]:
            time.sleep(0.05)

    def written(self) -> int:
        """Rows written so far, by anybody."""
        rows = self._local.emulator.stats()["rows"]
        return sum(rows.get(name, 0) for name in ("create", "update", "delete"))

    # -- What must hold

    def _check_harm(self, before: Mapping[str, Record], after: Mapping[str, Record]) -> None:
        had, have = (
            Counter(record["new_number"] for record in side.values() if record["new_region"] == OURS)
            for side in (before, after)
        )
        for key, count in have.items():
            must(count <= max(had[key], 1), f"{key} was doubled")
        for identity, was in before.items():
            key, now = was["new_number"], after.get(identity)
            if was["new_region"] != OURS:
                must(now == was, f"{identity} is outside the filter and was changed")
            elif now is None:
                must(key not in self._rows and had[key] == 1, f"{key} was lost")
            elif now["versionnumber"] != was["versionnumber"]:
                must(self._is_wanted(key, now), f"{key} has neither its old nor its new values")
        for identity in after.keys() - before.keys():
            key = after[identity]["new_number"]
            must(key in self._rows and self._is_wanted(key, after[identity]), f"{key} has no source row")

    def _is_wanted(self, key: str, record: Record) -> bool:
        row = self._rows.get(key)
        return row is not None and {name: record[name] for name in COLUMNS} == row

    def _check_agreement(self) -> None:
        """The table equals the source, and another run writes nothing."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self._table.records().values():
            if record["new_region"] == OURS:
                found[record["new_number"]].append(record)
        for key in self._rows:
            must(any(self._is_wanted(key, record) for record in found[key]), f"{key} differs from the source")
        for key, records in found.items():
            must(key in self._rows or len(records) > 1, f"{key} should have been dropped")
        written = self.written()
        self._run(kill=False)
        must(self.written() == written, "a second run found changes")
        self.tally.agreed += 1

    def _define(self) -> None:
        secret = {"env": "BENCH_CLIENT_SECRET"}
        definition = {
            "name": "things",
            "source": {
                "type": "delimited",
                "path": str(self._folder / "things.csv"),
                "columns": [{"name": "number"}, {"name": "name"}, {"name": "size", "type": "number"}],
            },
            "destination": {
                "type": "dynamics",
                "entity": "new_thing",
                "service_url": self._local.emulator.service_url,
                "client_id": list(self._local.users),
                "client_secret": [secret] * len(self._local.users),
                "id_column": "new_thingid",
                "filter": f"new_region eq '{OURS}'",
                "mappings": [
                    {"source": "number", "target": "new_number"},
                    {"source": "name", "target": "new_name"},
                    {"source": "size", "target": "new_size"},
                    {"value": f"'{OURS}'", "target": "new_region"},
                ],
            },
            "sync_behaviour": {"sync_key": ["new_number"], "dropped": "delete"},
        }
        (self._folder / "syncs").mkdir()
        (self._folder / "syncs" / "things.yaml").write_text(yaml.safe_dump(definition), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--rows", type=int, default=1500)
    arguments = parser.parse_args()
    print(f"soak: seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        (folder / "schema.yaml").write_text(SCHEMA, "utf-8")
        options: dict[str, Any] = {"schema": folder / "schema.yaml", "latency_ms": 20, "row_ms": 1, "limits": "none"}
        with serving(users=2, **options) as local:
            soak = Soak(local, folder, rows=arguments.rows, chance=random.Random(arguments.seed))
            begun = time.monotonic()
            try:
                while time.monotonic() < begun + arguments.seconds or soak.tally.rounds % FAIR_EVERY:
                    soak.round()
            except BrokenPromiseError as broken:
                print(f"soak: failed in round {soak.tally.rounds}: {broken}", flush=True)
                return 1
            print(soak.tally.line(time.monotonic() - begun, soak.written()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
