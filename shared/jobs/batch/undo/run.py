"""One undo under the lease of its sync, from the first line of the execution log to the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from shared.counted import counted
from shared.errors import SyncError
from shared.jobs.batch.attempts import runs_before
from shared.jobs.batch.cancelling import Cancelling
from shared.jobs.batch.job import Tools
from shared.jobs.batch.journaling import Journaling
from shared.jobs.batch.lease_keeping import HeldLease, holding
from shared.jobs.batch.owners_below import OwnersBelow
from shared.jobs.batch.plans.about import environment_of
from shared.jobs.batch.reports import csv_of
from shared.jobs.batch.run_log import RunLog
from shared.jobs.batch.undo.below import keep_records_above
from shared.jobs.batch.undo.circles import open_circles
from shared.jobs.batch.undo.ledger import load_ledger, note_in_ledger, note_intents
from shared.jobs.batch.undo.planning import UndoCounts, undo_counts
from shared.jobs.batch.undo.preparation import PreparedUndo, UndoJob, prepare_undo
from shared.jobs.batch.undo.restoring import restore
from shared.jobs.outcomes import outcome_counts, skip_reason, skip_rest
from shared.jobs.progress import Phase
from shared.jobs.summary import ChangeCounts, ErrorRow, OutcomeCounts, RunState, RunSummary, peak_memory_mb
from shared.jobs.writing import WriteOrder, write_changes
from shared.memory import Ledger
from shared.reconcile.undo.journal import undoing_query
from shared.reconcile.undo.reports import UNDO_ERRORS, UNDO_FILE, UNDO_FILE_HEADER
from shared.run_ids import SHORT_ID
from shared.state import UNDO, Pause
from shared.telemetry import log_context
from shared.workspace import Table, Workspace

__all__ = ["run_undo"]


def run_undo(job: UndoJob, tools: Tools) -> RunSummary:
    """Undo a run under the lease of its sync, and pause the sync: its next run would apply everything again.

    An undo that was interrupted is repeated: it goes on with what is left.

    Returns:
        The summary; `completed` is False for an undo that was interrupted or stopped.

    Raises:
        UserError: The run cannot be undone, or another run holds the lease; nothing was written.
        AbortRun: Dataverse refuses us; what was written before stays written and is in the log.
        RetryLater: Dataverse or the state store is unavailable; likewise.
    """
    name, options = job.definition.name, job.batch.options
    with log_context(run_id=options.run_id, sync=name), holding(tools.state, name, options.run_id) as lease:
        now = tools.clock.now()
        runs_before(tools.state, name, now)  # one whose process died is closed
        log = RunLog(
            state=tools.state,
            clock=tools.clock,
            run_id=options.run_id,
            definition=job.definition,
            parameters=job.batch.parameters,
            given=options.given or {},
            environment=environment_of(job.batch),
            trigger=UNDO,
            started=now,
            fence=lease.fence,
            undo_of=job.run.run_id,
            undo_part=bool(job.where),
        )
        return _Undo(job, tools, lease, log).execute()


class _Undo:
    """One undo under its lease."""

    def __init__(self, job: UndoJob, tools: Tools, lease: HeldLease, log: RunLog) -> None:
        self._job = job
        self._tools = tools
        self._lease = lease
        self._log = log
        options = job.batch.options
        self._cancelling = Cancelling(tools.state, options.run_id, options.cancelled, tools.clock)
        self._begun = tools.clock.monotonic()
        self._written: RunSummary | None = None  # the results of the writing, however it ended

    def execute(self) -> RunSummary:
        self._log.begin()
        limited = self._tools.dataverse.until(self._job.batch.options.deadline)
        with self._log.closing(self._ended), limited, self._tools.open_workspace() as workspace:
            summary = self._work(workspace)
        self._log.end(summary)
        return summary

    def _work(self, workspace: Workspace) -> RunSummary:
        prepared = prepare_undo(self._job, self._tools, workspace)
        planned = undo_counts(workspace)
        self._pause()
        try:
            with _rest_skipped(workspace):
                self._write(prepared, workspace)
        finally:
            summary = self._keep(planned, workspace)
        return summary

    def _pause(self) -> None:
        self._tools.state.pause(
            Pause(
                sync=self._job.definition.name,
                run_id=self._job.batch.options.run_id,
                since=self._tools.clock.now(),
                by=self._job.by,
            )
        )

    def _write(self, prepared: PreparedUndo, workspace: Workspace) -> None:
        limits = self._cancelling.limits(self._job.batch, self._lease)
        order = WriteOrder(
            late=[column for column in prepared.layout if column.late],
            guard=lambda: keep_records_above(workspace, self._tools.dataverse, prepared.entity),
            some_settled=True,
        )
        journal = Journaling.of(self._job.batch, self._tools, prepared.entity)
        ledger, last = self._loaded(prepared, workspace), 0
        if journal is not None:
            # It knows what the changes do to marks, and what the ledger says before them. An undo matches no record.
            before = f"FROM {Table.LEDGER}" if ledger else ""
            journal = replace(journal, planned=undoing_query, ledger=before, own=False)
            last = journal.note_before(workspace)
        if ledger is not None:
            note_intents(ledger, self._job.definition, prepared, workspace, fence=self._log.fence)
        owners = OwnersBelow.of(workspace, self._tools.dataverse, prepared.entity, prepared.layout)
        try:
            with _rest_skipped(workspace):  # before the outcomes are noted
                order = replace(order, by_owner=owners is not None and owners.look())
                restore(workspace, self._tools.dataverse, prepared.entity, limits)
                open_circles(workspace, self._tools.dataverse, prepared, limits)
                write_changes(workspace, self._tools.dataverse, prepared.entity, limits, self._tools.progress, order)
                if owners is not None:
                    owners.settle(limits)
        finally:
            self._tools.progress.phase(Phase.FINISH)
            if journal is not None:
                self._log.patiently(lambda: journal.note_after(workspace, last))
            if ledger is not None:
                note_in_ledger(self._job.definition, prepared, workspace, self._tools, fence=self._log.fence)

    def _loaded(self, prepared: PreparedUndo, workspace: Workspace) -> Ledger | None:
        """The ledger of the sync with the rows of the records that are undone; None where none is kept of them."""
        if not self._job.definition.keeps_ledger or prepared.entity.intersect:
            return None
        return load_ledger(self._job.definition, prepared.entity, workspace, self._tools, before_writes=True)

    def _keep(self, planned: UndoCounts, workspace: Workspace) -> RunSummary:
        """Keep the results of the undo, however it ends."""
        summary = self._written = self._summary(planned, workspace)
        name = f"{self._job.batch.options.run_id}_Undo.csv"
        self._log.keep(summary.errors, [(name, _file(workspace))])
        return summary

    def _summary(self, planned: UndoCounts, workspace: Workspace) -> RunSummary:
        done = outcome_counts(workspace)
        edited = planned.edited + done.edited
        state, message = self._verdict(done, edited, skip_reason(workspace))
        usage = self._tools.dataverse.usage()
        return RunSummary(
            run_id=self._job.batch.options.run_id,
            sync=self._job.definition.name,
            state=state,
            strategy=self._job.definition.sync_behaviour.strategy.value,
            message=message,
            completed=not done.skipped,
            created=ChangeCounts(done=done.insert, planned=planned.create),
            updated=ChangeCounts(done=done.update, planned=planned.set_back),
            deleted=ChangeCounts(done=done.delete, planned=planned.delete),
            unchanged=planned.unchanged,
            edited=edited,
            failed=done.failed,
            skipped=done.skipped,
            rows_in_error=done.failed,
            errors=_errors(workspace),
            environment=environment_of(self._job.batch),
            requests=usage.requests,
            writes=usage.writes,
            throttled=usage.throttled,
            retries=usage.retries,
            elapsed_seconds=self._tools.clock.monotonic() - self._begun,
            peak_memory_mb=peak_memory_mb(),
            peak_disk_mb=self._tools.disk.peak_mb,
        )

    def _verdict(self, done: OutcomeCounts, edited: int, skipped: str) -> tuple[RunState, str]:
        run = self._job.run.run_id[:SHORT_ID]
        if done.skipped:
            stopped = RunState.FAILED
            if skipped in {"cancelled", "deadline"}:
                stopped = RunState.CANCELLED if self._cancelling.asked() else RunState.INTERRUPTED
            left = f"{done.skipped:,} changes are left: undo run {run} again to go on"
            return stopped, f"stopped before the end ({skipped}); {left}"
        said = [f"{done.failed:,} changes were refused"] if done.failed else []
        others = counted(edited, "record was", "records were")
        said += [f"{others} edited since run {run} by others; these changes were left alone"] if edited else []
        return (RunState.COMPLETED_WITH_ERRORS if said else RunState.SUCCEEDED), "; ".join(said)

    def _ended(self, state: RunState, message: str) -> RunSummary:
        """The summary of an undo that ended early: with what was written, where it came so far."""
        if self._written:
            return replace(self._written, state=state, message=message, completed=False)
        usage = self._tools.dataverse.usage()
        return RunSummary(
            run_id=self._job.batch.options.run_id,
            sync=self._job.definition.name,
            state=state,
            strategy=self._job.definition.sync_behaviour.strategy.value,
            message=message,
            requests=usage.requests,
            writes=usage.writes,
            elapsed_seconds=self._tools.clock.monotonic() - self._begun,
        )


@contextmanager
def _rest_skipped(workspace: Workspace) -> Iterator[None]:
    """Where an error ends the block, give the changes that were not sent the outcome that they were skipped."""
    try:
        yield
    except SyncError as error:
        skip_rest(workspace, f"aborted: {error.message}")
        raise


def _errors(workspace: Workspace) -> tuple[ErrorRow, ...]:
    return tuple(
        ErrorRow(
            side=side,
            error_class=error_class,
            error_type=kind.strip(),
            column=column,
            rows=tuple(rows),
            count=count,
            message=message or "",
        )
        for side, error_class, kind, column, rows, count, message in workspace.query(UNDO_ERRORS)
    )


def _file(workspace: Workspace) -> bytes:
    """The result of each record, as CSV in UTF-8."""
    return csv_of(UNDO_FILE_HEADER, workspace.rows(UNDO_FILE))[0]
