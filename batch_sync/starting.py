"""Starting one run of a job: every end of the run is logged and counted."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from shared.app import App
from shared.app.requested import run_requested
from shared.errors import RetryLater, SourceUnavailableError, SyncError, UserError
from shared.jobs import LeaseTaken, NotDueError, RunOptions, RunSummary
from shared.jobs.batch.attempts import attempt_number
from shared.jobs.batch.run_log import end_of
from shared.jobs.noted_progress import NotedProgress
from shared.state import RETRY, UNBEGUN_RETRY, UNDO, JobKind, JobRequest, RunRecord, RunState
from shared.telemetry import PhaseSpans, record_batch, span

__all__ = ["Start", "StartResult"]

log = logging.getLogger(__name__)

# After these a run that has written nothing is tried again.
_UNAVAILABLE: Final = (RetryLater, SourceUnavailableError)
# The triggers of runs that are about another run.
_TRIGGERS: Final = {JobKind.RETRY: RETRY, JobKind.UNDO: UNDO}


class StartResult(Enum):
    """The result of one start.

    Attributes:
        ENDED: The run is over; its row in the execution log says how it ended.
        UNAVAILABLE: Dataverse, a source or a vault is unavailable, and nothing was written.
        NOT_NOW: Nothing was begun: the sync runs elsewhere, or the disk has not enough free space.
        NOT_DUE: Nothing was begun, and nothing is to be done.
    """

    ENDED = auto()
    UNAVAILABLE = auto()
    NOT_NOW = auto()
    NOT_DUE = auto()


class _DiskFullError(UserError):
    """The other runs of this process leave too little temporary disk; nothing was begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One try to run a sync.

    Attributes:
        request: What the run is to do.
        deadline: Monotonic time at which the writer stops, None for no limit.
        still_due: Asked under the sync's lease, with its latest run, whether this one is still to be.
        ending: Whether the process is to end, asked while the run writes.
        run_id: The run's id, known before it begins, so that its row can be found after any failure.
    """

    app: App
    request: JobRequest
    deadline: float | None
    still_due: Callable[[RunRecord | None], bool]
    ending: Callable[[], bool] = lambda: False
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(self) -> StartResult:
        """Run it.

        Raises:
            RetryLater: The state store is unavailable.
            Exception: An error that the program does not handle; it is in the execution log.
        """
        try:
            with self._logging_end():
                summary = self._run()
        except NotDueError as error:
            log.info("%s", error.message)
            return StartResult.NOT_DUE
        except (LeaseTaken, _DiskFullError) as error:
            log.info("%s", error.message)
            return StartResult.NOT_NOW
        except _UNAVAILABLE as error:
            log.warning("%s", error.message)
            return StartResult.ENDED if self._has_written() else StartResult.UNAVAILABLE
        except SyncError as error:
            log.error("%s failed: %s", self.request.sync, error.message)  # noqa: TRY400 - a user's mistake: no traceback
            return StartResult.ENDED
        record_batch(self.request.sync, self._trigger, summary.to_json())
        log.info(
            "%s: %s",
            summary.state.value,
            summary.message or "nothing failed",
            extra={"run_id": summary.run_id, "state": summary.state.value, "seconds": summary.elapsed_seconds},
        )
        return StartResult.ENDED

    def give_up(self, count: int, why: str = "") -> None:
        """Log that a job is not tried again, because so many of its runs made no progress."""
        why = why or f"{count} runs in a row made no progress; see the rows before this one"
        row = self._row(RunState.FAILED, f"stopped: {why}")
        log.error("%s: %s", self.request.sync, row.message)
        # The attempts stay counted: the schedule, if there is one, continues to postpone the sync.
        self.app.state.begin_run(replace(row, counts={**row.counts, **attempt_number(count)}))
        record_batch(row.sync, row.trigger, {"state": row.state}, error="GivenUp")

    def _run(self) -> RunSummary:
        """Run it when its temporary disk fits beside that of the other runs of this process."""
        sync = self.request.sync
        needed = self.app.expected_disk(sync, self.request.parameters)
        with self.app.disk_space.held(sync, needed, until=self.deadline) as fits:
            if not fits:
                raise _DiskFullError(f"{sync} waits: other runs use the temporary disk")
            return self._run_now()

    def _run_now(self) -> RunSummary:
        request = self.request
        with span("dynamics_sync.run", sync=request.sync, trigger=request.trigger), PhaseSpans() as phases:
            about = {"job": request.id, "by": request.requested_by}
            noted = NotedProgress(self.app.state, self.run_id, phases, about)
            return run_requested(self.app, request, self._options, noted)

    @property
    def _options(self) -> RunOptions:
        return RunOptions(
            trigger=self.request.trigger,
            force=self.request.force,
            deadline=self.deadline,
            run_id=self.run_id,
            still_due=self.still_due,
            ending=self.ending,
        )

    def _has_written(self) -> bool:
        """Whether the run sent writes before Dataverse became unavailable: then its request counts as done."""
        row = self.app.state.run(self.run_id)
        return row is not None and bool(row.counts.get("writes"))

    @contextmanager
    def _logging_end(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.push(self._log_end)
            yield

    def _log_end(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Give a run that an error ended before its first row one, so that its schedule is kept, and count the run."""
        if error is None or isinstance(error, LeaseTaken | NotDueError | _DiskFullError):
            return
        row = self.app.state.run(self.run_id)
        if row is None and not isinstance(error, _UNAVAILABLE):
            row = self._row(*end_of(error, trigger=self.request.trigger))
            if row.trigger == RETRY and isinstance(error, SyncError):  # nothing is wrong with the sync
                row = replace(row, trigger=UNBEGUN_RETRY)
            self.app.state.begin_run(row)
        if not isinstance(error, SyncError):
            log.error("%s failed: %s", self.request.sync, row.message if row else type(error).__name__, exc_info=error)
        if row is not None:
            counted = {**row.counts, "state": row.state, "elapsed_seconds": row.duration}
            record_batch(row.sync, row.trigger, counted, error=type(error).__name__)

    @property
    def _trigger(self) -> str:
        """What the execution log has for the run; a retry or an undo is no run by request."""
        return _TRIGGERS.get(self.request.kind, self.request.trigger)

    def _row(self, state: RunState, message: str) -> RunRecord:
        """The row of a run that never began."""
        now = datetime.now(UTC)
        known = {definition.name: definition for definition in self.app.runnable()}
        about = self.request.kind.about_run
        return RunRecord(
            run_id=self.run_id,
            sync=self.request.sync,
            version=known[self.request.sync].version if self.request.sync in known else "",
            trigger=self._trigger,
            state=state.value,
            started=now,
            ended=now,
            message=message,
            given=self.request.parameters,
            counts={about: self.request.of} if about else {},
        )
