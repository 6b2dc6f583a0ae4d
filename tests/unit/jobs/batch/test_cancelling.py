"""Why the writes of a run were ended before their end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from shared.clock import SystemClock
from shared.definitions import load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.jobs.batch.cancelling import Cancelling
from shared.jobs.batch.job import BatchJob, RunOptions
from shared.jobs.batch.lease_keeping import HeldLease
from shared.state.sqlite import SqliteStateStore


@dataclass
class Lease:
    """A lease that is lost or not."""

    gone: bool

    def lost(self) -> bool:
        return self.gone


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"lost": True}, "its lease was lost, so another run of the sync may have begun"),
        ({"lost": True, "ending": True}, "its lease was lost, so another run of the sync may have begun"),
        ({"ending": True}, "its process was asked to end"),
        ({"by": "Maria", "lost": True}, "cancelled by Maria"),
        ({"here": True, "ending": True}, "cancelled"),
    ],
)
def test_a_run_that_stops_says_why(tmp_path: Path, how: dict[str, Any], why: str) -> None:
    """A person, a lost lease and the end of the process have words of their own."""
    store = SqliteStateStore(tmp_path / "state.db")
    if "by" in how:
        store.cancel_run("r1", how["by"])
    options = RunOptions(run_id="r1", ending=lambda: how.get("ending", False))
    job = BatchJob(definition=load_definition(EXAMPLE), parameters={}, options=options)
    cancelling = Cancelling(store, "r1", lambda: how.get("here", False), SystemClock())
    lease = cast("HeldLease", Lease(how.get("lost", False)))
    assert cancelling.limits(job, lease).cancelled()
    cancelling.asked()
    assert cancelling.why(job, lease) == why
    store.close()
