"""One tick of the timer: what is due and what was asked for, side by side in a small pool, within the time limit."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from batch_sync.cleanup import clean_up
from batch_sync.problems import report_problems
from batch_sync.starting import Start, Work
from shared.app import App, current
from shared.definitions import Timetable
from shared.errors import SyncError
from shared.jobs.batch.attempts import MOST_ATTEMPTS, attempts, last_run, last_runs_settled, not_before
from shared.jobs.batch.schedule import Scheduled, due, overdue_seconds
from shared.settings import environment, function_time_limit
from shared.state import JobRequest, RunRecord
from shared.telemetry import log_context, record_tick

__all__ = ["Agenda", "Tick", "run_tick"]

log = logging.getLogger(__name__)

# Each run has its own workspace (512 MB unless set otherwise), and the smallest instance 2 GB.
SIDE_BY_SIDE = 3
# The writer stops at a chunk boundary, which may take one slow request; then errors and log are written.
SPARE_SHARE, SPARE_MOST = 0.1, 120.0
# How long a job request stays claimed when its process dies and the host sets no time limit.
CLAIM_SECONDS = 3600.0
# The folder of host.json.
APP_FOLDER = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class Agenda:
    """What a tick has to do, by sync: the runs of one sync follow each other.

    Attributes:
        alone: Syncs whose latest run made no progress. Their next run may end the process, so it runs alone, and
            comes when all others have ended: fewest attempts first.
    """

    together: dict[str, list[Work]] = field(default_factory=dict)
    alone: dict[str, list[Work]] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of syncs to run."""
        return len(self.together) + len(self.alone)


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
            ExceptionGroup: Runs ended with errors that the program does not handle; all others were finished first.
        """
        clean_up(self._app, self._now)
        report_problems(self._app)
        self._note_listeners()
        agenda = self.agenda()
        log.info("%d syncs to run%s", len(agenda), " (the timer is late)" if late else "")
        self.work_on(agenda)

    def work_on(self, agenda: Agenda) -> None:
        """Run what an agenda has, where it is still due, and wait for its end; see `run` for what it raises."""
        futures = self._run_side_by_side(agenda.together.values(), SIDE_BY_SIDE)
        futures += self._run_side_by_side(agenda.alone.values(), 1)
        _raise_unforeseen(futures)

    def _run_side_by_side(self, works: Iterable[Sequence[Work]], width: int) -> list[Future[None]]:
        with ThreadPoolExecutor(width, thread_name_prefix="sync") as pool:
            return [pool.submit(self._run_all, each) for each in works]

    def _note_listeners(self) -> None:
        """Keep the moment from which on a new listener takes events, although no event may come for days."""
        listening = [each for each in self._app.runnable() if each.listener]
        if listening:  # apps without real time do not load it
            self._app.event_tools.memory.listening.note(listening, self._app.state, now=self._now)

    # -- What there is to do -------------------------------------------------------------------------------------

    def agenda(self) -> Agenda:
        """What to run. What was requested comes first, because a person waits for it."""
        definitions = self._app.runnable()
        last = last_runs_settled(self._app.state, [each.name for each in definitions], self._now)
        work: dict[str, list[Work]] = {}
        for request in self._app.state.job_requests():
            if not self._is_held_back(request, last.get(request.sync)):
                work.setdefault(request.sync, []).append(Work(sync=request.sync, request=request))
        clocks = {each.name: each.timetable for each in definitions if each.timetable}
        scheduled = [self._scheduled(name, schedule, last.get(name)) for name, schedule in clocks.items()]
        record_tick({each.name: late for each in scheduled if (late := overdue_seconds(each, self._now))})
        for name in due(scheduled, self._now):
            work.setdefault(name, [Work(sync=name, schedule=clocks[name])])
        return _agenda(work, {name: attempts(record) for name, record in last.items()})

    def _scheduled(self, name: str, schedule: Timetable, last: RunRecord | None) -> Scheduled:
        return Scheduled.after(last, name=name, schedule=schedule, now=self._now)

    def _is_held_back(self, request: JobRequest, last: RunRecord | None) -> bool:
        """Whether a request waits because its runs made no progress; a newer request is a new try."""
        held = not_before(last, self._now)
        if held is None or self._now >= held or _is_newer(request, last) or _is_hopeless(request, last):
            return False
        log.warning("%s was requested and is postponed until %s", request.sync, held.isoformat(timespec="minutes"))
        return True

    # -- Doing it ------------------------------------------------------------------------------------------------

    def _run_all(self, work: Sequence[Work]) -> None:
        for each in work:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                log.warning("%s waits for the next tick because no time is left", each.sync)
                return
            with log_context(sync=each.sync):
                self._run_due(each) if each.request is None else self._run_requested(each, each.request)

    def _run_due(self, work: Work) -> None:
        """Run the syncs that are due, unless another tick has started them in the meantime."""
        self._start(work, lambda last: self._is_due(work, last)).run()

    def _is_due(self, work: Work, last: RunRecord | None) -> bool:
        return bool(work.schedule and due([self._scheduled(work.sync, work.schedule, last)], self._now))

    def _run_requested(self, work: Work, request: JobRequest) -> None:
        """Run what was asked for once, although two instances may see the request at a time."""
        state = self._app.state
        claim = state.acquire_lease(f"job/{request.id}", holder=uuid.uuid4().hex, seconds=self._claim_seconds)
        if claim is None:
            return
        done = True  # an error that the program does not handle would only come again
        try:
            done = request in state.job_requests() and self._run_or_give_up(work, request)
        except SyncError:  # the state store is away: whether the run has ended is not known
            done = False
            raise
        finally:
            if done:
                state.remove_job_request(request.id)
            state.release_lease(claim)

    def _run_or_give_up(self, work: Work, request: JobRequest) -> bool:
        last = last_run(self._app.state, work.sync, datetime.now(UTC))
        start = self._start(work, lambda _: True)
        if last is None or not _is_hopeless(request, last):
            return start.run()
        start.give_up(last)
        return True

    def _start(self, work: Work, still_due: Callable[[RunRecord | None], bool]) -> Start:
        return Start(app=self._app, work=work, deadline=self._deadline, still_due=still_due)


def _is_newer(request: JobRequest, last: RunRecord | None) -> bool:
    """Whether a request was made after the sync's latest run had ended."""
    return last is None or request.requested > (last.ended or last.started)


def _is_hopeless(request: JobRequest, last: RunRecord | None) -> bool:
    return attempts(last) >= MOST_ATTEMPTS and not _is_newer(request, last)


def _agenda(work: Mapping[str, list[Work]], tried: Mapping[str, int]) -> Agenda:
    """Separate the syncs whose latest run made no progress from the others."""
    alone = sorted((name for name in work if tried.get(name)), key=lambda name: tried[name])
    together = [name for name in work if not tried.get(name)]
    return Agenda(together={name: work[name] for name in together}, alone={name: work[name] for name in alone})


def _raise_unforeseen(futures: Sequence[Future[None]]) -> None:
    errors = [error for future in futures if (error := future.exception())]
    away = [error for error in errors if isinstance(error, SyncError)]
    if away:
        raise away[0]
    if errors:
        raise BaseExceptionGroup("runs ended with errors that the program does not handle", errors)
