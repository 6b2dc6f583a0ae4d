"""What a batch run writes into the execution log: its first row, its errors and files, and its end."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from shared.counted import counted
from shared.dataverse import Clock
from shared.definitions import ParameterValue, SyncDefinition
from shared.definitions.parameters import logged
from shared.errors import AbortRun, PlanRefusedError, RequestsLeft, RetryLater, SyncError
from shared.jobs.batch.attempts import ENTITY, ENVIRONMENT, STRATEGY, UNDO_PART, WITH_PLAN, attempt_number
from shared.jobs.batch.lease_keeping import LEASE_SECONDS
from shared.jobs.summary import ErrorRow, RunSummary
from shared.state import RETRY, RETRY_OF, UNDO_OF, ErrorRecord, RowsToMend, RunRecord, RunState, StateStore

__all__ = ["RunLog", "end_of", "patiently"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# When a run has ended nothing is left to do but to say so, and a run that could not say it is repeated. A store that
# restarts is back within seconds; after twice the lease's time the next tick takes the run for dead anyway. So all that
# a run still has to write waits this long together.
LONGEST_WAIT: Final = 2 * LEASE_SECONDS
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0


@dataclass(slots=True)
class _Patience:
    """How many seconds a run still waits for a state store that is unavailable."""

    left: float = LONGEST_WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """One run's part of the state store.

    Attributes:
        parameters: Values of the definition's parameters; secrets are not among them.
        given: Those that were given at the start of the run.
        environment: The host that it writes to.
        attempt: This run's number among those in a row that made no progress; 1 for the first.
        fence: Fencing number of the run's lease.
        retry_of: The run whose rows are tried again; empty for a run of the source.
        undo_of: The run that is taken back; empty for other runs.
        undo_part: Whether it takes back a part of that run only.
        with_plan: Whether exactly an approved plan is to be applied.
    """

    state: StateStore
    clock: Clock
    run_id: str
    definition: SyncDefinition
    trigger: str
    started: datetime
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    given: Mapping[str, ParameterValue] = field(default_factory=dict)
    environment: str = ""
    attempt: int = 1
    fence: int = 0
    retry_of: str = ""
    undo_of: str = ""
    undo_part: bool = False
    with_plan: bool = False
    _patience: _Patience = field(default_factory=_Patience, init=False, repr=False, compare=False)

    def begin(self) -> None:
        """Write the row of a run that starts.

        Raises:
            RetryLater: The state store is unavailable; nothing has happened yet.
        """
        counts = {**attempt_number(self.attempt), **self._facts(), **self._link()}
        self.state.begin_run(self._record(RunState.RUNNING, counts=counts))

    def end(self, summary: RunSummary) -> None:
        """Write how the run ended, and wait for a state store that is unavailable.

        Raises:
            RetryLater: It is unavailable for too long. The message says how the run ended, for nothing else does.
            AbortRun: Likewise, where it refuses the app.
        """
        counts = self._facts() | json.loads(json.dumps(summary.to_json())) | self._link()
        # They are rows of their own: hundreds of columns may have errors, and the log is read many runs at a time.
        del counts["errors"]
        if summary.state == RunState.INTERRUPTED and not summary.writes:
            counts |= attempt_number(self.attempt)
        record = self._record(summary.state, counts=counts, ended=summary)
        try:
            self.patiently(lambda: self.state.finish_run(record))
        except (RetryLater, AbortRun) as error:
            written = counted(summary.written, "record was", "records were")
            message = f"{error.message}. The end of the run is not in the log: {summary.state.value}, {written} written"
            if isinstance(error, AbortRun):
                raise AbortRun(message) from error
            raise RetryLater(message, retry_after=error.retry_after) from error

    @contextmanager
    def closing(self, summary: Callable[[RunState, str], RunSummary]) -> Iterator[None]:
        """Write how the run ended where an error ends the block, foreseen or not, before the caller hears of it.

        Args:
            summary: Makes the summary of a state and a message.
        """

        def close(_kind: object, error: BaseException | None, _trace: object) -> None:
            if error is not None:
                self.end(summary(*end_of(error, trigger=self.trigger)))

        with ExitStack() as stack:
            stack.push(close)
            yield

    def keep(self, errors: Sequence[ErrorRow], files: Iterable[tuple[str, bytes]]) -> None:
        """Keep the run's errors and error files, and wait for a state store that is unavailable."""
        records = [ErrorRecord.of(self.run_id, error) for error in errors]
        self.patiently(lambda: self.state.add_errors(records))
        for name, data in files:
            self._keep_file(name, data)

    def keep_to_mend(self, run_id: str, rows: RowsToMend) -> None:
        """Keep the rows in error of a run, and wait for a state store that is unavailable."""
        self.patiently(lambda: self.state.put_rows_to_mend(run_id, rows))

    def move_watermark(self, value: str) -> None:
        """Keep how far the source has been read, and wait for a state store that is unavailable.

        A run that has lost its lease to another one changes nothing.
        """
        self.patiently(lambda: self._moved(value))

    def _moved(self, value: str) -> None:
        self.state.set_watermark(self.definition.name, value, fence=self.fence)

    def _keep_file(self, name: str, data: bytes) -> None:
        self.patiently(lambda: self.state.put_file(self.run_id, name, data))

    def patiently(self, write: Callable[[], None]) -> None:
        """Write what the run still has to write, and wait for a state store that is unavailable.

        Raises:
            RetryLater: It is unavailable for too long, counted over all that this run writes so.
        """
        patiently(self.clock, write, self._patience)

    def _facts(self) -> dict[str, Any]:
        """What is known from the start, and is needed also if the process dies: where the run writes, and how."""
        facts = {ENVIRONMENT: self.environment, ENTITY: self.definition.destination.entity}
        return facts if self.undo_of else {**facts, STRATEGY: self.definition.sync_behaviour.strategy.value}

    def _link(self) -> dict[str, Any]:
        links = {
            RETRY_OF: self.retry_of,
            UNDO_OF: self.undo_of,
            UNDO_PART: self.undo_part,
            WITH_PLAN: self.with_plan,
        }
        return {name: value for name, value in links.items() if value}

    def given_values(self) -> dict[str, Any]:
        """The parameters that were given, as the log has them."""
        return {name: logged(value) for name, value in self.given.items()}

    def _record(self, state: RunState, *, counts: Mapping[str, Any], ended: RunSummary | None = None) -> RunRecord:
        return RunRecord(
            run_id=self.run_id,
            sync=self.definition.name,
            version=self.definition.version,
            trigger=RETRY if self.retry_of else self.trigger,
            parameters={name: logged(value) for name, value in self.parameters.items()},
            given=self.given_values(),
            host=platform.node(),
            state=state.value,
            started=self.started,
            ended=self.clock.now() if ended else None,
            duration=ended.elapsed_seconds if ended else 0.0,
            counts=counts,
            message=ended.message if ended else "",
            fence=self.fence,
        )


def patiently(clock: Clock, write: Callable[[], T], patience: _Patience | None = None) -> T:
    """Write what must not get lost at the end of a run, and wait for a state store that is unavailable.

    Args:
        clock: Measures and waits.
        write: Writes it.
        patience: What is left of it after earlier writes; all of it when not given.

    Raises:
        RetryLater: It is unavailable for too long.
    """
    patience, pause = patience or _Patience(), FIRST_PAUSE
    while True:
        asked = clock.monotonic()
        try:
            return write()
        except RetryLater as error:
            if clock.monotonic() + pause > asked + patience.left:
                raise
            log.warning("%s; trying again in %.1f s", error.message, pause)
        clock.sleep(pause)
        patience.left -= clock.monotonic() - asked
        pause = min(2 * pause, LONGEST_PAUSE)


def end_of(error: BaseException, *, trigger: str) -> tuple[RunState, str]:
    """State and message of a run that an exception ended: never a value of a row."""
    match error:
        case PlanRefusedError():
            return RunState.REFUSED, error.message
        case SyncError():
            return RunState.FAILED, error.message
        case RequestsLeft() if trigger in {"command", "undo"}:
            return (
                RunState.CANCELLED,
                "stopped by a person, without waiting for requests that were under way: they may have had an effect",
            )
        case KeyboardInterrupt() if trigger in {"command", "undo"}:
            return RunState.CANCELLED, "stopped by a person: from the keyboard, or by SIGTERM"
        case Exception():
            # Its message may quote what it stumbled over.
            return RunState.FAILED, f"ended by an error that the program does not handle ({type(error).__name__})"
        case _:
            return RunState.INTERRUPTED, "its process was asked to end"
