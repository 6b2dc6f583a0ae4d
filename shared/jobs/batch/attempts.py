"""How many runs of a sync in a row made no progress, when the next one may begin, and the next state of its job.

A run whose process dies (usually because it needs too much memory) would die again at every tick, and end all other
runs of its process. So each run's row counts the attempts, and the pause before the next one grows. All rules of
attempts are here. They are pure, except for the functions that mark dead runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.clock import CLOCK_DIFFERENCE
from shared.jobs.batch.lease_keeping import LEASE_SECONDS
from shared.state import RETRY, RETRY_OF, UNDO_OF, Job, RunRecord, RunState, StateStore
from shared.telemetry import record_batch

__all__ = [
    "ENTITY",
    "ENVIRONMENT",
    "MOST_ATTEMPTS",
    "STRATEGY",
    "UNDO_PART",
    "WITH_PLAN",
    "after_run",
    "after_unavailable",
    "attempt_number",
    "attempts",
    "attempts_of_retry",
    "close_dead_run",
    "end_of_writes",
    "ended_job",
    "has_no_attempts_left",
    "held_until",
    "is_ahead",
    "last_run",
    "last_run_closed",
    "last_runs_closed",
    "not_before",
    "run_before",
    "run_closed",
    "runs_before",
    "sends_again",
]

# After so many attempts in a row only the schedule starts the sync again, and a requested run ends as Failed.
MOST_ATTEMPTS: Final = 5
# The first repetition has no pause: the usual reason is a new version that was deployed during the run.
FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=6)
# Dataverse, a source or a vault that is unavailable is asked again: soon at first, then four times an hour, for a day.
FIRST_WAIT, LONGEST_WAIT, LONGEST_OUTAGE = timedelta(minutes=1), timedelta(minutes=15), timedelta(days=1)
# If a job still waits after this time, its message counts as lost and is sent again.
UNSENT: Final = timedelta(minutes=2)
# A job that is interrupted for days has hundreds of runs, all of them in the execution log.
MOST_RUNS: Final = 20
ENVIRONMENT: Final = "environment"
ENTITY: Final = "entity"
STRATEGY: Final = "strategy"
"""What is written to, and how, in the counts of the row of a run from its start on."""
_ATTEMPT: Final = "attempt"
_MEASURED: Final = "elapsed_seconds"  # a run that wrote its own end into the log gives all figures of its summary
UNDO_PART: Final = "undo_part"
"""Whether an undo had a condition, in the counts of its row. It is not kept itself: it may have values of records."""
WITH_PLAN: Final = "with_plan"
"""Whether a run was to apply exactly a plan that a person had approved, in the counts of its row."""
_KNOWN_AT_START: Final = (RETRY_OF, UNDO_OF, UNDO_PART, WITH_PLAN, ENVIRONMENT, ENTITY, STRATEGY)


def attempt_number(number: int) -> Mapping[str, Any]:
    """What the counts of a run that has made no progress so far say."""
    return {_ATTEMPT: number}


def attempts(last: RunRecord | None) -> int:
    """How many runs in a row, up to the latest one of a sync, ended without progress."""
    if last is None or last.state not in {RunState.INTERRUPTED, RunState.FAILED}:
        return 0
    number = last.counts.get(_ATTEMPT)
    return number if isinstance(number, int) and number > 0 else 0


def not_before(last: RunRecord | None, now: datetime) -> datetime | None:
    """The moment until which a sync is held back; None where it is not."""
    count = attempts(last)
    if last is None or count < 2:  # noqa: PLR2004 - the first repetition comes at once
        return None
    ended = last.ended if last.ended and last.ended <= now else last.started
    return ended + _pause(count)


def _pause(count: int) -> timedelta:
    doubled = min(count - 2, 10)  # beyond that the longest pause holds anyway
    return min(FIRST_PAUSE * (1 << doubled), LONGEST_PAUSE)


def held_until(job: Job, last: RunRecord | None, now: datetime) -> datetime | None:
    """Until when a job waits because the sync's runs made no progress; None where it may begin.

    A job that was asked for after the latest run is a new try.
    """
    held = not_before(last, now)
    return held if held is not None and now < held and not _is_newer(job, last) else None


def has_no_attempts_left(job: Job, last: RunRecord | None) -> bool:
    """Whether a job ends as Failed, because the sync's runs since it was asked for made no progress."""
    return attempts(last) >= MOST_ATTEMPTS and not _is_newer(job, last)


def _is_newer(job: Job, last: RunRecord | None) -> bool:
    return last is None or job.request.requested > (last.ended or last.started)


def after_run(job: Job, run: RunRecord | None, now: datetime) -> Job:
    """What becomes of a job whose latest run is over.

    Args:
        job: The job as it was when the run began.
        run: The run's row, which says how it ended; None where its process died before the first row.
        now: The moment.
    """
    if run is not None and run.state != RunState.INTERRUPTED:
        return ended_job(job, run.state, now, run.message)
    count = attempts(run) if run else job.attempts + 1
    if count >= MOST_ATTEMPTS:
        return ended_job(replace(job, attempts=count), RunState.FAILED, now, f"{count} runs in a row made no progress")
    pause = _pause(count) if count >= 2 else None  # noqa: PLR2004 - the first repetition comes at once
    return _again(replace(job, attempts=count, unavailable=0), now, pause, run.message if run else "its process ended")


def after_unavailable(job: Job, now: datetime, message: str) -> Job:
    """The next state of a job whose run wrote nothing, because Dataverse, a source or a vault is unavailable.

    Such runs are no attempts: a service that was away says nothing about the runs after it.
    """
    if now - job.request.requested >= LONGEST_OUTAGE:
        return ended_job(job, RunState.FAILED, now, message)
    wait = min(FIRST_WAIT * (1 << min(job.unavailable, 10)), LONGEST_WAIT)
    return _again(replace(job, unavailable=job.unavailable + 1), now, wait, message)


def ended_job(job: Job, state: str, now: datetime, message: str) -> Job:
    """A job that is over."""
    return replace(job, state=str(state), ended=now, lane="", not_before=None, message=message)


def _again(job: Job, now: datetime, pause: timedelta | None, message: str) -> Job:
    """A job that waits for its next run: behind those that wait already."""
    until = now + pause if pause else None
    return replace(job, state=RunState.QUEUED.value, since=now, not_before=until, message=message)


def sends_again(job: Job, now: datetime) -> bool:
    """Whether the message of a job that waits is taken for lost. The pauses double, because the queue may be long."""
    if not job.waits:
        return False
    begin = max(filter(None, (job.since, job.not_before)))
    sent = max(filter(None, (begin, job.sent)))
    return now - sent >= max(UNSENT, sent - begin)


def is_ahead(run: RunRecord, now: datetime) -> bool:
    """Whether a run has a start that lies in the future: a wrong clock wrote it."""
    return run.started > now + CLOCK_DIFFERENCE


def last_run(store: StateStore, sync: str, now: datetime) -> RunRecord | None:
    """The latest run of a sync that is no retry, leaving out those whose start lies in the future."""
    return store.last_run(sync, until=now + CLOCK_DIFFERENCE)


def run_before(store: StateStore, run: RunRecord) -> RunRecord | None:
    """The run of a sync before another one; neither is a retry."""
    return store.last_run(run.sync, until=run.started - timedelta(microseconds=1))


def runs_before(store: StateStore, sync: str, now: datetime) -> tuple[RunRecord | None, RunRecord | None]:
    """The latest run of a sync, also a retry, and the latest that is no retry; only under the sync's lease.

    One whose process died is marked as interrupted first, also one whose start lies in the future.
    """
    latest = close_dead_run(store, store.last_run(sync, retries=True), now)
    if latest is not None and is_ahead(latest, now):
        latest = close_dead_run(store, store.last_run(sync, until=now + CLOCK_DIFFERENCE, retries=True), now)
    return latest, last_run(store, sync, now) if latest is not None and latest.trigger == RETRY else latest


def attempts_of_retry(latest: RunRecord | None, run_id: str) -> int:
    """How many retries of the rows of a run, up to a sync's latest run, ended in a row without progress."""
    return attempts(latest) if latest is not None and latest.counts.get(RETRY_OF) == run_id else 0


def last_runs_closed(store: StateStore, syncs: Collection[str], now: datetime) -> Mapping[str, RunRecord]:
    """The same as `last_run_closed` for many syncs, read at once; without those that never ran."""
    found = store.last_runs(syncs, until=now + CLOCK_DIFFERENCE)
    running = {sync: last_run_closed(store, sync, now) for sync, run in found.items() if run.state == RunState.RUNNING}
    return {**found, **{sync: run for sync, run in running.items() if run}}


def close_dead_run(store: StateStore, last: RunRecord | None, now: datetime) -> RunRecord | None:
    """Mark a sync's latest run as interrupted where the log still calls it running; only under the sync's lease.

    A run that a person has stopped before its process died is Cancelled, so that nothing goes on with it. The run is
    counted here: its own process could not do it.
    """
    if last is None or last.state != RunState.RUNNING:
        return last
    count = max(1, attempts(replace(last, state=RunState.INTERRUPTED.value)))
    dead = replace(
        last,
        state=RunState.INTERRUPTED.value,
        ended=now,
        counts={
            **attempt_number(count),
            **{name: last.counts[name] for name in _KNOWN_AT_START if name in last.counts},
        },
        message=f"its process ended before the run did; attempt {count}",
    )
    if by := store.cancelled_by(last.run_id):
        message = f"cancelled by {by}; its process ended before the run did"
        dead = replace(dead, state=RunState.CANCELLED.value, message=message)
    elif held := not_before(dead, now):
        dead = replace(dead, message=f"{dead.message}, the next one not before {held:%Y-%m-%d %H:%M} UTC")
    store.finish_run(dead)
    record_batch(dead.sync, dead.trigger, {"state": dead.state})
    return dead


def end_of_writes(run: RunRecord) -> datetime | None:
    """When a run ended; None where its process died, or the log could not be written: nobody knows when it stopped.

    `close_dead_run` gives such a run the moment at which that was noticed, which may be days later.
    """
    return run.ended if _MEASURED in run.counts else None


def last_run_closed(store: StateStore, sync: str, now: datetime) -> RunRecord | None:
    """The latest run of a sync that is no retry.

    A run whose process died, also a retry, is marked as interrupted first.
    """
    latest = store.last_run(sync, until=now + CLOCK_DIFFERENCE, retries=True)
    if latest is None or (latest.state != RunState.RUNNING and latest.trigger != RETRY):
        return latest
    if latest.state == RunState.RUNNING:
        _mark_dead(store, sync, lambda: runs_before(store, sync, now))
    return last_run(store, sync, now)


def run_closed(store: StateStore, run_id: str, now: datetime) -> RunRecord | None:
    """A run by its id, wherever its start lies; it is marked as interrupted first if its process died."""
    run = store.run(run_id)
    if run is None or run.state != RunState.RUNNING:
        return run
    _mark_dead(store, run.sync, lambda: close_dead_run(store, store.run(run_id), now))
    return store.run(run_id)


def _mark_dead(store: StateStore, sync: str, mark: Callable[[], object]) -> None:
    """Mark dead runs of a sync under its lease; nothing happens while a process has it.

    Args:
        store: The state.
        sync: Its name.
        mark: Reads the run again, because it may have ended in order meanwhile, and marks it.
    """
    name = f"sync/{sync}"
    lease = None if store.lease(name) else store.acquire_lease(name, holder=uuid.uuid4().hex, seconds=LEASE_SECONDS)
    if lease is not None:
        try:
            mark()
        finally:
            store.release_lease(lease)
