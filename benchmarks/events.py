"""Real time measured: events a second for one instance, and the latency that is added to one event.

python -m benchmarks.events [--events 30000] [--batch 2000] [--partitions 4] [--singles 300] [--json FILE]

The emulator runs as a separate process, without simulated latency. `events_per_second` counts everything: decoding,
folding, reading the matching records, comparing, writing, remembering positions; once with one partition, whose batches
wait for each other, and once with several side by side, as the host hands them over. `added_ms` is what an event of a batch
of its own takes beside waiting for Dataverse: total time less the time of the requests.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from emulator.testing import RunningEmulator, running
from shared.dataverse import (
    ClientCredentials,
    ClientSecret,
    Clock,
    Connection,
    Dataverse,
    HttpTransport,
    MetadataCache,
    Request,
    Response,
)
from shared.definitions import SyncDefinition
from shared.events import Message
from shared.jobs.real_time.events import EventSync, EventTools, Listeners, WarmWorkspace, run_events
from shared.state.sqlite import SqliteStateStore

COLUMNS = {
    "number": "accountnumber",
    "name": "name",
    "revenue": "revenue",
    "city": "address1_city",
    "phone": "telephone1",
}


class TimedTransport(HttpTransport):
    """Real HTTP that adds up how long it waits for answers."""

    def __init__(self) -> None:
        super().__init__(connections=16)
        self.seconds = 0.0

    def send(self, request: Request) -> Response:
        """Send, and count the time."""
        start = time.perf_counter()
        try:
            return super().send(request)
        finally:
            self.seconds += time.perf_counter() - start


class Bench:
    """One listener over accounts in an emulator."""

    def __init__(self, emulator: RunningEmulator, folder: Path, *, strategy: str, clock: Clock | None = None) -> None:
        self.transport = TimedTransport()
        self.state = SqliteStateStore(folder / f"{strategy}.db")
        definition = SyncDefinition.model_validate(definition_of(emulator, strategy))
        tokens = ClientCredentials(
            emulator.client_id, ClientSecret(lambda: emulator.client_secret), transport=self.transport
        )
        connection = Connection(service_url=emulator.service_url, parallel=16)
        cache = MetadataCache()

        def connect(*_: object) -> Dataverse:
            """A client for each batch that runs at a time."""
            return Dataverse(connection, tokens=[tokens], transport=self.transport, clock=clock, cache=cache)

        self.tools = EventTools.wired(self.state, connect, partial(WarmWorkspace.open, threads=1))
        self.listeners = Listeners(syncs=(EventSync(definition=definition),))
        self.sequences: Counter[str] = Counter()

    def deliver(self, bodies: Sequence[bytes], partition: str = "0") -> float:
        """Deliver a batch; returns seconds."""
        first = self.sequences[partition]
        self.sequences[partition] += len(bodies)
        batch = [Message(body=body, partition=partition, sequence=first + n) for n, body in enumerate(bodies)]
        start = time.perf_counter()
        summary = run_events(batch, self.listeners, self.tools)
        seconds = time.perf_counter() - start
        if summary.dead_letters:
            raise RuntimeError(f"{summary.dead_letters} events became dead letters")
        return seconds

    def close(self) -> None:
        """Close everything."""
        self.tools.memory.workspaces.close()
        self.state.close()
        self.transport.close()
        gc.unfreeze()


def definition_of(emulator: RunningEmulator, strategy: str) -> Mapping[str, Any]:
    columns = [{"name": name, "type": "number" if name == "revenue" else "text"} for name in COLUMNS]
    return {
        "name": "bench",
        "source": {"type": "events", "columns": columns},
        "destination": {
            "type": "dynamics",
            "entity": "account",
            "service_url": emulator.service_url,
            "client_id": emulator.client_id,
            "client_secret": {"env": "UNUSED"},
            "id_column": "accountid",
            "mappings": [{"source": name, "target": target} for name, target in COLUMNS.items()],
        },
        "sync_behaviour": {"strategy": strategy, "sync_key": ["accountnumber"], "dropped": "delete"},
        "listener": {"name": "bench", "topic": {"action": "$.op"}},
    }


def bodies(count: int, seed: int) -> Iterator[bytes]:
    """Upserts of complete records: about a third new, the others changed in a field or two, 2 % deletes."""
    chance = random.Random(seed)
    for n in range(count):
        number = f"C{chance.randrange(count * 2 // 3)}"
        if chance.random() < 0.02:
            yield json.dumps({"op": "d", "number": number}).encode()
            continue
        record = {
            "op": "upsert",
            "number": number,
            "name": f"Customer {number}",
            "revenue": chance.randrange(1000) * 10,
        }
        yield json.dumps(record | {"city": chance.choice(("Bern", "Rome", "Oslo")), "phone": f"+41 {n % 997}"}).encode()


def throughput(bench: Bench, events: Sequence[bytes], size: int, *, partitions: int) -> dict[str, float]:
    """Events a second; each partition has its own records."""
    bench.deliver([b'{"op": "upsert", "number": "warm"}'])
    gc.collect()
    gc.freeze()  # as the function does after its first batch
    shares: list[list[bytes]] = [[] for _ in range(partitions)]
    for body in events:
        shares[zlib.crc32(json.loads(body)["number"].encode()) % partitions].append(body)
    bench.transport.seconds, cpu, start = 0.0, time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(partitions) as pool:
        list(pool.map(lambda n: deliver_all(bench, shares[n], size, str(n)), range(partitions)))
    seconds = time.perf_counter() - start
    return {
        "events": len(events),
        "batch": size,
        "partitions": partitions,
        "seconds": round(seconds, 2),
        "events_per_second": round(len(events) / seconds),
        "request_seconds": round(bench.transport.seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }


def deliver_all(bench: Bench, events: Sequence[bytes], size: int, partition: str) -> None:
    for start in range(0, len(events), size):
        bench.deliver(events[start : start + size], partition)


def latency(bench: Bench, count: int) -> dict[str, float]:
    """Each event is a batch, with one change to write."""
    added, total, cpu = [], [], time.process_time()
    for n in range(count):
        bench.transport.seconds = 0.0
        seconds = bench.deliver([json.dumps({"op": "u", "number": "single", "name": f"Name {n}"}).encode()])
        added.append((seconds - bench.transport.seconds) * 1000)
        total.append(seconds * 1000)
    cpu = time.process_time() - cpu
    added, total = sorted(added[10:]), sorted(total[10:])
    return {
        "events": len(added),
        "cpu_ms": round(cpu / count * 1000, 1),
        "added_ms_p50": round(added[len(added) // 2], 1),
        "added_ms_p99": round(added[int(len(added) * 0.99)], 1),
        "total_ms_p50": round(total[len(total) // 2], 1),
        "total_ms_p99": round(total[int(len(total) * 0.99)], 1),
    }


def measured(events: int, size: int, partitions: int, singles: int) -> dict[str, Any]:
    found: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as folder:
        for strategy, side_by_side in (("full", 1), ("full", partitions), ("upsert", partitions)):
            with running() as emulator:
                bench = Bench(emulator, Path(folder) / f"{side_by_side}", strategy=strategy)
                try:
                    name = f"{strategy}, {side_by_side} partitions"
                    found[name] = throughput(bench, list(bodies(events, seed=1)), size, partitions=side_by_side)
                    if "one event" not in found:
                        found["one event"] = latency(bench, singles)
                finally:
                    bench.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--singles", type=int, default=300)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measured(given.events, given.batch, given.partitions, given.singles)
    text = json.dumps(found, indent=2)
    if given.json:
        given.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
