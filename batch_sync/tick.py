"""One tick of the timer: what is due and what was asked for, side by side in a small pool, within the time limit."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.app import App, current
from shared.errors import RetryLater, SyncError
from shared.jobs.lease_keeping import LeaseTaken
from shared.jobs.schedule import Scheduled, due
from shared.settings import environment, function_time_limit
from shared.state import JobRequest, RunRecord
from shared.telemetry import PhaseSpans, record_batch, said_by, span

__all__ = ["Tick", "run_tick"]

log = logging.getLogger(__name__)

# Each run has a workspace of its own (512 MB unless set otherwise), and the smallest instance 2 GB.
SIDE_BY_SIDE = 3
# The writer stops at a chunk boundary, which may take one slow request; then errors and log are written.
SPARE_SHARE, SPARE_MOST = 0.1, 120.0
# How long a job request stays claimed when its process dies and the host sets no time limit.
CLAIM_SECONDS = 3600.0
# Where host.json lies.
APP_FOLDER = Path(__file__).resolve().parents[1]
A_DAY = 86_400.0
# Event Hubs keeps events for 90 days at most (premium and dedicated tiers; 7 days otherwise).
LONGEST_RETENTION = timedelta(days=91)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run to start: by the clock, or because somebody asked."""

    sync: str
    request: JobRequest | None = None


def run_tick(*, late: bool) -> None:
    """Do what is due now, with this process' app and the host's time limit."""
    limit = function_time_limit(environment(), APP_FOLDER)
    seconds = limit.total_seconds() if limit is not None else None
    Tick(app=current(), now=datetime.now(UTC), seconds=seconds).run(late=late)


class Tick:
    """What one tick does.

    Args:
        app: Definitions, state and runs.
        now: The moment of the tick, aware, in UTC.
        seconds: How long the tick may take; None for no limit.
    """

    def __init__(self, *, app: App, now: datetime, seconds: float | None) -> None:
        self._app = app
        self._now = now
        self._claim_seconds = seconds or CLAIM_SECONDS
        self._deadline = (
            None if seconds is None else time.monotonic() + seconds - min(seconds * SPARE_SHARE, SPARE_MOST)
        )

    def run(self, *, late: bool = False) -> None:
        """Run everything that is due and wait for its end.

        A run that fails is logged and keeps no other from running.

        Raises:
            RetryLater: The state store is away.
            ExceptionGroup: Runs ended with an error that nobody foresaw; all others were finished first.
        """
        self._keep_house()
        work = self._work()
        log.info("%d syncs to run%s", sum(map(len, work.values())), " (the timer is late)" if late else "")
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="sync") as pool:
            futures = [pool.submit(self._run_all, each) for each in work.values()]
        _raise_unforeseen(futures)

    def _keep_house(self) -> None:
        """Once a day, by one instance, forget what no event hub can deliver again."""
        # Nobody gives this lease back: it lapses when the next day's turn has come.
        if self._app.state.acquire_lease("housekeeping", holder=uuid.uuid4().hex, seconds=A_DAY):
            forgotten = self._app.state.forget_seen(self._now - LONGEST_RETENTION)
            log.info("%d positions of events are forgotten", forgotten)

    def _work(self) -> Mapping[str, Sequence[Work]]:
        """What to run, by sync: the runs of one sync follow each other. Whom somebody waits for comes first."""
        work: dict[str, list[Work]] = {}
        for request in self._app.state.job_requests():
            work.setdefault(request.sync, []).append(Work(sync=request.sync, request=request))
        for sync in due(self._scheduled(), self._now):
            work.setdefault(sync, [Work(sync=sync)])
        return work

    def _scheduled(self) -> list[Scheduled]:
        found = []
        for definition in self._app.runnable():
            if definition.enabled and definition.schedule:
                last = self._last_run(definition.name)
                found.append(
                    Scheduled(
                        name=definition.name,
                        schedule=definition.schedule,
                        last_start=last.started if last else None,
                        interrupted=bool(last and last.state == "Interrupted"),
                    )
                )
        return found

    def _last_run(self, sync: str) -> RunRecord | None:
        """The latest run; one whose process died is marked as interrupted, so that this tick goes on with it."""
        last = self._app.state.last_run(sync)
        # A run holds its lease from before its first log line until after its last.
        if last is None or last.state != "Running" or self._app.state.lease(f"sync/{sync}"):
            return last
        died = replace(last, state="Interrupted", ended=self._now, message="its process ended without a word")
        self._app.state.finish_run(died)
        return died

    def _run_all(self, work: Sequence[Work]) -> None:
        for each in work:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                log.warning("%s waits for the next tick: no time is left", each.sync)
                return
            with said_by(sync=each.sync):
                self._run(each) if each.request is None else self._run_requested(each, each.request)

    def _run_requested(self, work: Work, request: JobRequest) -> None:
        """Run what was asked for once, although two instances may see the request at a time."""
        state = self._app.state
        claim = state.acquire_lease(f"job/{request.id}", holder=uuid.uuid4().hex, seconds=self._claim_seconds)
        if claim is None:
            return
        try:
            if request in state.job_requests() and self._run(work):
                state.remove_job_request(request.id)
        finally:
            state.release_lease(claim)

    def _run(self, work: Work) -> bool:
        """Run one sync; False where the time has not come and it is to be tried at the next tick."""
        trigger = "job" if work.request else "timer"
        try:
            with span("dynamics_sync.run", sync=work.sync, trigger=trigger), PhaseSpans() as phases:
                summary = self._app.run(
                    work.sync,
                    parameters=work.request.parameters if work.request else {},
                    trigger=trigger,
                    force=bool(work.request and work.request.force),
                    deadline=self._deadline,
                    progress=phases,
                )
        except LeaseTaken as error:
            log.info("%s", error.message)
            return False
        except RetryLater as error:
            log.warning("%s", error.message, extra={"seconds": error.retry_after})
            return False
        except SyncError as error:
            log.error("%s failed: %s", work.sync, error.message)  # noqa: TRY400 - a user's mistake needs no traceback
            self._log_start_that_failed(work.sync, trigger, error.message)
            return True
        record_batch(work.sync, trigger, summary.to_json())
        log.info(
            "%s: %s",
            summary.state.value,
            summary.message or "nothing failed",
            extra={"run_id": summary.run_id, "state": summary.state.value, "seconds": summary.elapsed_seconds},
        )
        return True

    def _log_start_that_failed(self, sync: str, trigger: str, message: str) -> None:
        """Put a run that ended before its first log line into the execution log, so that its schedule is kept."""
        last = self._app.state.last_run(sync)
        known = {definition.name: definition for definition in self._app.runnable()}
        if sync not in known or (last and last.started >= self._now):
            return
        moment = datetime.now(UTC)
        self._app.state.begin_run(
            RunRecord(
                run_id=uuid.uuid4().hex,
                sync=sync,
                version=known[sync].version,
                trigger=trigger,
                state="Failed",
                started=moment,
                ended=moment,
                message=message,
            )
        )


def _raise_unforeseen(futures: Sequence[Future[None]]) -> None:
    errors = [error for future in futures if (error := future.exception())]
    away = [error for error in errors if isinstance(error, SyncError)]
    if away:
        raise away[0]
    if errors:
        raise BaseExceptionGroup("runs ended with errors that nobody foresaw", errors)
