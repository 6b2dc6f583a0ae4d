"""Starting one run for a tick: every end of the run is logged and counted."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.app import App
from shared.definitions import ParameterValue, Timetable
from shared.errors import RetryLater, SyncError
from shared.jobs import LeaseTaken, NotDueError, RunOptions, RunSummary
from shared.jobs.batch.attempts import attempt_number, attempts
from shared.jobs.batch.run_log import end_of
from shared.state import JobRequest, RunRecord, RunState
from shared.telemetry import PhaseSpans, record_batch, span

__all__ = ["Start", "Work"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run to start: by its schedule, or because it was requested."""

    sync: str
    schedule: Timetable | None = None
    request: JobRequest | None = None

    @property
    def trigger(self) -> str:
        """What the execution log calls the reason of the start."""
        return "job" if self.request else "timer"


class _NoRoomError(NotDueError):
    """The other runs of this process leave too little temporary disk; nothing was begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One try to run a sync.

    Attributes:
        deadline: Monotonic time at which the writer stops, None for no limit.
        still_due: Asked under the sync's lease, with its latest run, whether this one is still to be.
        run_id: The run's id, known before it begins, so that its row can be found after any failure.
    """

    app: App
    work: Work
    deadline: float | None
    still_due: Callable[[RunRecord | None], bool]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(self) -> bool:
        """Run it; False where the time has not come and it is to be tried at the next tick.

        Raises:
            RetryLater: The state store is away.
            Exception: An error that the program does not handle; it is in the execution log.
        """
        try:
            with self._logging_end():
                summary = self._run()
        except (LeaseTaken, NotDueError) as error:
            log.info("%s", error.message)
            return False
        except RetryLater as error:
            log.warning("%s", error.message)
            return self._has_written()
        except SyncError as error:
            log.error("%s failed: %s", self.work.sync, error.message)  # noqa: TRY400 - a user's mistake: no traceback
            return True
        record_batch(self.work.sync, self.work.trigger, summary.to_json())
        log.info(
            "%s: %s",
            summary.state.value,
            summary.message or "nothing failed",
            extra={"run_id": summary.run_id, "state": summary.state.value, "seconds": summary.elapsed_seconds},
        )
        return True

    def give_up(self, last: RunRecord) -> None:
        """Log that a requested run is not tried again, because its runs made no progress."""
        count = attempts(last)
        row = self._row(
            RunState.FAILED, f"stopped: {count} runs in a row made no progress; see the rows before this one"
        )
        log.error("%s: %s", self.work.sync, row.message)
        # The attempts stay counted: the schedule, if there is one, continues to postpone the sync.
        self.app.state.begin_run(replace(row, counts=attempt_number(count)))
        record_batch(row.sync, row.trigger, {"state": row.state}, error="GivenUp")

    def _run(self) -> RunSummary:
        """Run it when its temporary disk fits beside that of the other runs of this process."""
        needed = self.app.expected_disk(self.work.sync, self._parameters)
        with self.app.room.held(self.work.sync, needed, until=self.deadline) as fits:
            if not fits:
                raise _NoRoomError(f"{self.work.sync} waits for the next tick: other runs use the temporary disk")
            return self._run_now()

    @property
    def _parameters(self) -> Mapping[str, ParameterValue]:
        return self.work.request.parameters if self.work.request else {}

    def _run_now(self) -> RunSummary:
        work = self.work
        with span("dynamics_sync.run", sync=work.sync, trigger=work.trigger), PhaseSpans() as phases:
            return self.app.run(work.sync, self._parameters, self._options, progress=phases)

    @property
    def _options(self) -> RunOptions:
        return RunOptions(
            trigger=self.work.trigger,
            force=bool(self.work.request and self.work.request.force),
            deadline=self.deadline,
            run_id=self.run_id,
            still_due=self.still_due,
        )

    def _has_written(self) -> bool:
        """Whether the run sent writes before the other side went away: then its request counts as done."""
        row = self.app.state.run(self.run_id)
        return row is not None and bool(row.counts.get("writes"))

    @contextmanager
    def _logging_end(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.push(self._log_end)
            yield

    def _log_end(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Give a run that an error ended before its first row one, so that its schedule is kept, and count the run."""
        if error is None or isinstance(error, LeaseTaken | NotDueError):
            return
        row = self.app.state.run(self.run_id)
        if row is None and not isinstance(error, RetryLater):
            row = self._row(*end_of(error, trigger=self.work.trigger))
            self.app.state.begin_run(row)
        if not isinstance(error, SyncError):
            log.error("%s failed: %s", self.work.sync, row.message if row else type(error).__name__, exc_info=error)
        if row is not None:
            counted = {**row.counts, "state": row.state, "elapsed_seconds": row.duration}
            record_batch(row.sync, row.trigger, counted, error=type(error).__name__)

    def _row(self, state: RunState, message: str) -> RunRecord:
        """The row of a run that never began."""
        now = datetime.now(UTC)
        known = {definition.name: definition for definition in self.app.runnable()}
        return RunRecord(
            run_id=self.run_id,
            sync=self.work.sync,
            version=known[self.work.sync].version if self.work.sync in known else "",
            trigger=self.work.trigger,
            state=state.value,
            started=now,
            ended=now,
            message=message,
            given=self._parameters,
        )
