"""A process that competes for a lease: `lease_worker.py STORE FOLDER MODE`.

`count` takes the lease a number of times and adds one to a file under it, in two steps that a second holder would see;
`hold` takes it, says so with the moment since the start of the machine, and keeps it until it is killed.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

from shared.state import Lease, StateStore
from shared.state.machine import since_boot

TURNS = 15
HELD_SECONDS = 1.5
NAME = "sync/contended"


def opened(store: str) -> StateStore:
    if store.startswith("sqlite:///"):
        from shared.state.sqlite import SqliteStateStore

        return SqliteStateStore(Path(store.removeprefix("sqlite:///")))
    from shared.state.azure import AzureStateStore

    return AzureStateStore.by_connection_string(store)


def taken(store: StateStore, seconds: float) -> Lease:
    while True:
        if lease := store.acquire_lease(NAME, holder=uuid.uuid4().hex, seconds=seconds):
            return lease
        time.sleep(0.002)


def count(store: StateStore, folder: Path) -> None:
    file, fences = folder / "counter", []
    for _ in range(TURNS):
        lease = taken(store, 30)
        value = int(file.read_text())
        time.sleep(0.003)
        file.write_text(str(value + 1))
        fences.append(lease.fence)
        assert store.release_lease(lease)
    sys.stdout.write(f"{' '.join(map(str, fences))}\n")


def hold(store: StateStore) -> None:
    asked = since_boot()
    sys.stdout.write(f"{taken(store, HELD_SECONDS).fence} {asked}\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    state = opened(sys.argv[1])
    if sys.argv[3] == "count":
        count(state, Path(sys.argv[2]))
    else:
        hold(state)
    state.close()
