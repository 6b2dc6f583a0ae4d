"""Real time under load and faults: does the target end as if every event had been applied one by one?

python -m benchmarks.soak_events [--events 100000] [--poison 0.01] [--seed 1]

Events go through in batches of random size. 1 % are poison. The service answers 503 and 429 and drops connections before
and after it acted; now and then a batch is delivered twice, or the process "dies" after a batch and starts again without
any memory. At the end the target must equal a plain Python model to which the events were applied one by one, and the
dead letters must be the poison, each once.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.events import Bench
from emulator.testing import RunningEmulator, running
from shared.dataverse import SystemClock
from shared.errors import AnswerLost, RetryLater
from shared.events import Message
from shared.jobs.real_time.events import EventMemory, EventTools, run_events

FIELDS = {"name": "name", "revenue": "revenue", "city": "address1_city", "phone": "telephone1"}
FAULTS: Sequence[dict[str, Any]] = (
    {"action": "status", "status": 503},
    {"action": "status", "status": 429, "retry_after": 1},
    {"action": "status", "status": 500, "code": "0x80044150", "message": "Generic SQL error."},
    {"action": "drop_before"},
    {"action": "drop_after"},
)
POISON = (
    b"",
    b"\xff\xfe",
    b"{",
    b"5",
    b'"text"',
    b'{"op": "sing", "number": "S1"}',
    b'{"op": "upsert", "name": "no key"}',
)
Model = dict[str, dict[str, Any]]


class Hurried(SystemClock):
    """Waits a hundredth of what it is asked to: a soak is long enough."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds / 100)


class Sender:
    """Makes events, and applies them to the model in the same breath."""

    def __init__(self, chance: random.Random, *, poison: float) -> None:
        self.chance, self.poison = chance, poison
        self.model: Model = {}
        self.poisoned: set[int] = set()

    def body(self, number: int, records: int) -> bytes:
        """The next event's body."""
        if self.chance.random() < self.poison:
            self.poisoned.add(number)
            return self.chance.choice(POISON) if self.chance.random() < 0.9 else self._refused()
        key = f"S{self.chance.randrange(records)}"
        if self.chance.random() < 0.05:
            self.model.pop(key, None)
            return json.dumps({"op": "delete", "number": key}).encode()
        values = {
            "name": f"Name {number}",
            "revenue": number % 1000,
            "city": self.chance.choice(("Bern", "", None)),
            "phone": str(number),
        }
        chosen = {name: value for name, value in values.items() if self.chance.random() < 0.6}
        self.model.setdefault(key, {}).update(chosen)
        return json.dumps({"op": "upsert", "number": key} | chosen).encode()

    def _refused(self) -> bytes:
        """A sound event whose value the table does not take."""
        return json.dumps({"op": "upsert", "number": "S0", "name": "x" * 161}).encode()

    def expected(self) -> Model:
        """The records, without what is null."""
        return {
            key: {name: value for name, value in fields.items() if value not in (None, "")}
            for key, fields in self.model.items()
        }


def found(emulator: RunningEmulator) -> Model:
    """The target's records."""
    records: Model = {}
    url = f"{emulator.service_url}accounts?$select=accountnumber,{','.join(FIELDS.values())}"
    while url:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {emulator.token()}"})) as answer:
            page = json.load(answer)
        for row in page["value"]:
            if row["accountnumber"] in records:
                raise RuntimeError(f"{row['accountnumber']} is there twice")
            records[row["accountnumber"]] = {
                name: row[target] for name, target in FIELDS.items() if row[target] is not None
            }
        url = page.get("@odata.nextLink", "")
    return records


def delivered(bench: Bench, tools: EventTools, batch: Sequence[Message]) -> int:
    """What the host does: the same batch until it goes through; returns how often it did not."""
    for failures in range(100):
        try:
            run_events(batch, bench.listeners, tools)
        except (RetryLater, AnswerLost):
            continue
        return failures
    raise RuntimeError("a batch was never processed")


def batches(sender: Sender, events: int) -> Iterator[list[Message]]:
    """Batches of random size over a fifth as many records as there are events."""
    start = 0
    while start < events:
        size = min(events - start, sender.chance.choice((1, 20, 200, 500)))
        bodies = [sender.body(number, max(events // 5, 1)) for number in range(start, start + size)]
        yield [Message(body=body, partition="0", sequence=start + n) for n, body in enumerate(bodies)]
        start += size


def soak(events: int, *, poison: float, seed: int) -> dict[str, Any]:
    """Run it.

    Raises:
        RuntimeError: The target or the dead letters are not what they must be.
    """
    chance = random.Random(seed)
    sender = Sender(chance, poison=poison)
    faults = retried = deaths = twice = 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, running() as emulator:
        bench = Bench(emulator, Path(folder), strategy="full", clock=Hurried())
        tools = bench.tools
        for batch in batches(sender, events):
            if chance.random() < 0.3:
                faults += 1
                emulator.faults(
                    {"times": chance.choice((1, 3, 8, 60)), "match": {"path": "/accounts"}, **chance.choice(FAULTS)}
                )
            retried += delivered(bench, tools, batch)
            if chance.random() < 0.05:
                twice += 1
                delivered(bench, tools, batch)
            if chance.random() < 0.05:
                deaths += 1
                memory = EventMemory(tools.memory.workspaces)
                tools = EventTools(state=tools.state, connect=tools.connect, memory=memory, clock=tools.clock)
        emulator.clear_faults()
        records, letters = found(emulator), bench.state.dead_letters(limit=events)
        bench.close()
    expected = sender.expected()
    wrong = [key for key in expected.keys() | records.keys() if expected.get(key) != records.get(key)]
    if wrong:
        raise RuntimeError(
            f"{len(wrong)} records differ, such as {wrong[0]}: {expected.get(wrong[0])} {records.get(wrong[0])}"
        )
    if {letter.sequence for letter in letters} != sender.poisoned or len(letters) != len(sender.poisoned):
        raise RuntimeError(f"{len(letters)} dead letters for {len(sender.poisoned)} poisoned events")
    return {
        "events": events,
        "records": len(records),
        "dead_letters": len(letters),
        "faults": faults,
        "batches_retried": retried,
        "batches_delivered_twice": twice,
        "restarts": deaths,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--poison", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.stdout.write(json.dumps(soak(given.events, poison=given.poison, seed=given.seed), indent=2) + "\n")


if __name__ == "__main__":
    main()
