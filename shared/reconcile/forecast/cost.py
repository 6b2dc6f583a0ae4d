"""From the changes of a plan to requests, minutes and the share of the daily entitlement. Pure.

Without earlier runs the published limits are the basis. Microsoft ("Service protection API limits"): in 5 minutes a
user may send 6,000 requests to a server, and use 20 minutes of execution time. What one record costs the service is
not published. The writer fits its requests to 4 seconds and begins with 100 records, so 0.04 s a record is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

__all__ = ["BY_LIMITS", "DAILY_REQUESTS", "Forecast", "Rates", "Workload", "WriterSizes", "forecast"]

WINDOW_SECONDS: Final = 300
REQUESTS_A_WINDOW: Final = 6000
EXECUTION_A_WINDOW: Final = 1200.0  # seconds
SECONDS_A_RECORD: Final = 0.04
DAILY_REQUESTS: Final = 500_000
"""Microsoft ("Requests limits and allocations"): the base of all application users of a tenant that has Dynamics 365
Enterprise or Professional; licences add to it. With Power Apps or Power Automate alone it is 25,000."""
_CLOSED_AT_ONCE: Final = 100  # actions in a request of the writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a run does, in records.

    Attributes:
        reads: Requests that were sent to make the plan, which a run sends too, and those that only a run sends.
        groups: Records of the target that are written together: of one kind, and of one level of a hierarchy.
        second: Changes that take a second request: columns that a create does not set, links to new records.
        closing: Changes whose state is set by an action, in a request of its own.
        looked_up: Changes whose record must be found by its key first.
        created: Records that lookups create in other tables, before the others.
        jobs: Records that are deleted by jobs of the service; they are in no group.
        steps: Requests of the steps after the sync.
        open: Whether there may be more requests, in a number that nobody can know before.
    """

    reads: int = 0
    groups: tuple[int, ...] = ()
    second: int = 0
    closing: int = 0
    looked_up: int = 0
    created: int = 0
    jobs: int = 0
    steps: int = 0
    open: bool = False

    @property
    def records(self) -> int:
        """Records that are written, each counted once."""
        return sum(self.groups) + self.jobs + self.created

    @property
    def operations(self) -> int:
        """Writes of records: a second request to a record is one more."""
        return self.records + self.second + self.closing


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSizes:
    """How the writer sends records.

    Attributes:
        rows: Records in a request at the beginning.
        parallel: Requests that are in flight at the same time; the last records are shared out among them.
        users: Application users, each with limits of its own.
    """

    rows: int = 100
    parallel: int = 1
    users: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What earlier runs have shown.

    Attributes:
        runs: How many runs these are; 0 where there were none.
        own: They were runs of the same sync, so what they wrote is like what the plan writes.
        rows_a_request: Records for each writing request.
        rows_a_second: Records for each second of the write phase.
    """

    runs: int = 0
    own: bool = False
    rows_a_request: float = 0.0
    rows_a_second: float = 0.0


BY_LIMITS: Final = Rates()
"""No earlier runs: the published limits count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run is expected to cost.

    Attributes:
        reads: Requests that read: to compare, and to find records by their key.
        writes: Requests that write, and those that ask for the state of jobs.
        records: Writes of records, of which each counts against the entitlement, however many share a request.
        seconds: From the start of the run to its last write; the steps after it take more.
        steps: Requests of the steps after the sync.
        open: Whether there may be more requests, in a number that nobody can know before.
        runs: How many earlier runs the rates are learnt from; 0 for the published limits.
        daily_requests: The entitlement for 24 hours.
    """

    reads: int
    writes: int
    records: int
    seconds: float
    steps: int = 0
    open: bool = False
    runs: int = 0
    daily_requests: int = DAILY_REQUESTS

    @property
    def requests(self) -> int:
        """All requests; the fewest where the number is open."""
        return self.reads + self.writes + self.steps

    @property
    def minutes(self) -> int:
        """Minutes, rounded up."""
        return ceil(self.seconds / 60)

    @property
    def counted(self) -> int:
        """What counts against the entitlement: each request that reads or is of a step, and each write of a record."""
        return self.reads + self.records + self.steps

    @property
    def share(self) -> float:
        """Share of the entitlement: 0.5 is half of it."""
        return self.counted / self.daily_requests

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {
            "requests": self.requests,
            "reads": self.reads,
            "writes": self.writes,
            "records": self.records,
            "steps": self.steps,
            "at_least": self.open,
            "minutes": self.minutes,
            "seconds": round(self.seconds, 1),
            "learnt_from_runs": self.runs,
            "counted": self.counted,
            "daily_requests": self.daily_requests,
            "daily_share": round(self.share, 6),
        }


def forecast(
    load: Workload, sizes: WriterSizes, rates: Rates, *, prepared: float, daily_requests: int = DAILY_REQUESTS
) -> Forecast:
    """Say what a run will cost.

    Args:
        load: What it does.
        sizes: How the writer sends records.
        rates: What earlier runs have shown.
        prepared: Seconds that everything before the first write takes.
        daily_requests: The entitlement for 24 hours.
    """
    if rates.runs:
        found, writes = ceil(load.looked_up / rates.rows_a_request), _learnt_writes(load, rates)
        seconds = _like(load, rates) / rates.rows_a_second
    else:
        found, writes = _requests(load.looked_up, sizes.rows, sizes.parallel), _writes(load, sizes)
        seconds = _seconds(load, sizes, found + writes)
    return Forecast(
        reads=load.reads + found,
        writes=writes,
        records=load.operations,
        seconds=prepared + seconds,
        steps=load.steps,
        open=load.open,
        runs=rates.runs,
        daily_requests=daily_requests,
    )


def _like(load: Workload, rates: Rates) -> int:
    """Records as the rates count them: runs of the same sync had its second requests too."""
    return load.records if rates.own else load.operations


def _learnt_writes(load: Workload, rates: Rates) -> int:
    return ceil(_like(load, rates) / rates.rows_a_request)


def _writes(load: Workload, sizes: WriterSizes) -> int:
    passes = (*load.groups, load.second, load.created)
    sent = sum(_requests(rows, sizes.rows, sizes.parallel) for rows in passes)
    closing = _requests(load.closing, min(sizes.rows, _CLOSED_AT_ONCE), sizes.parallel)
    return sent + closing + _requests_of_jobs(load.jobs)


def _requests(rows: int, size: int, parallel: int) -> int:
    """Requests for some records of one kind: full ones, then smaller ones, as the writer's feed takes them."""
    together = size * parallel
    full = (rows - together) // size + 1 if rows >= together else 0
    rows, count = rows - full * size, full
    while rows > 0:
        rows -= min(size, max(ceil(rows / parallel), ceil(size / 4)))
        count += 1
    return count


def _requests_of_jobs(rows: int) -> int:
    """A job for 5,000 records, and a request for each 500 of them whether they still exist."""
    return ceil(rows / 5000) + ceil(rows / 500)


def _seconds(load: Workload, sizes: WriterSizes, requests: int) -> float:
    """The longer one of what the limits of requests and of execution time allow."""
    windows = max(requests / REQUESTS_A_WINDOW, load.operations * SECONDS_A_RECORD / EXECUTION_A_WINDOW)
    return windows * WINDOW_SECONDS / sizes.users
