"""One batch run from its lease to its last log line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from shared.counted import counted
from shared.dataverse import WriteLimits
from shared.entities import EntityMetadata
from shared.errors import AbortRun, PlanRefusedError, StalePlanError, SyncError, UserError
from shared.jobs.adoption import Adoption
from shared.jobs.batch.attempts import attempts, attempts_of_retry, run_before, runs_before
from shared.jobs.batch.cancelling import Cancelling
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.journaling import Journaling
from shared.jobs.batch.lease_keeping import HeldLease, holding
from shared.jobs.batch.mending.keeping import results_of_retry, rows_in_error
from shared.jobs.batch.owners_below import OwnersBelow
from shared.jobs.batch.plans.about import environment_of
from shared.jobs.batch.plans.forecasting import forecast_of, has_cost_limit
from shared.jobs.batch.plans.planning import plan_of, source_counts, target_counts
from shared.jobs.batch.plans.saved_plans import refuse_used_plan, using_plan
from shared.jobs.batch.preparation import PreparedRun, completed_job, prepare
from shared.jobs.batch.reports import Reporting, reporting_of
from shared.jobs.batch.run_log import RunLog
from shared.jobs.creating import creation_counts, give_new_ids
from shared.jobs.outcomes import outcome_counts, skip_reason
from shared.jobs.post_sync.continuing import steps_left
from shared.jobs.post_sync.step_inputs import ended, step_input_of
from shared.jobs.post_sync.steps import StepTools, run_steps
from shared.jobs.progress import Phase
from shared.jobs.rejections import errors_said, left_out, left_out_warnings, rejection_cause
from shared.jobs.summary import ChangeCounts, MirrorFigures, OutcomeCounts, RunState, RunSummary, peak_memory_mb
from shared.jobs.writing import WriteOrder, creating_columns, write_changes
from shared.reconcile import Plan, PlanCounts, counts_query, keep_parents_of_refused
from shared.reconcile.reports import rows_in_error_count_query, violations_query
from shared.state import PlanUse, RowsToMend, RunRecord
from shared.telemetry import log_context
from shared.transform import TargetColumn
from shared.transform.lookups.creations import NEW_IDS_OF
from shared.workspace import OutOfTimeError, Workspace

__all__ = ["NotDueError", "run_batch"]

log = logging.getLogger(__name__)


class NotDueError(UserError):
    """Another run has done meanwhile what this one was to do; nothing was begun."""


def run_batch(job: BatchJob, tools: Tools) -> RunSummary:
    """Run one sync under its lease, and keep the execution log whatever happens.

    Returns:
        The summary; `completed` is False for a run that was interrupted or stopped.

    Raises:
        UnsafePlanError: The plan breaks a limit; nothing was written.
        StalePlanError: The plan is not the approved one; nothing was written.
        UsedPlanError: The saved plan was applied already; nothing was written.
        NotDueError: The run is not due any more, or its schedule is paused; nothing was begun.
        DefinitionError: The definition does not fit the table; nothing was written.
        UserError: The source cannot be read, the sync is paused, or another run holds the lease; nothing was written.
        AbortRun: Dataverse refuses us; what was written before stays written and is in the log.
        RetryLater: Dataverse is unavailable for too long; likewise.
    """
    name = job.definition.name
    with log_context(run_id=job.options.run_id, sync=name), holding(tools.state, name, job.options.run_id) as lease:
        now = tools.clock.now()
        latest, last = runs_before(tools.state, name, now)
        if not job.options.still_due(last):
            raise NotDueError(f"{name} is not due any more: it has been started meanwhile")
        if (pause := tools.state.pauses().get(name)) is not None:
            raise NotDueError(str(pause)) if job.options.trigger == "timer" else UserError(str(pause))
        retry_of = job.options.retry.run_id if job.options.retry else ""
        run_log = RunLog(
            state=tools.state,
            clock=tools.clock,
            run_id=job.options.run_id,
            definition=job.definition,
            parameters=job.parameters,
            given=job.options.given or {},
            environment=environment_of(job),
            trigger=job.options.trigger,
            started=now,
            attempt=1 + (attempts_of_retry(latest, retry_of) if retry_of else attempts(last)),
            fence=lease.fence,
            retry_of=retry_of,
            with_plan=job.options.approved is not None,
        )
        return _Run(job, tools, lease, run_log, last).execute()


class _Run:
    """One run under its lease."""

    def __init__(self, job: BatchJob, tools: Tools, lease: HeldLease, log: RunLog, last: RunRecord | None) -> None:
        self.job = job
        self.last = last
        self.approved = job.options.approved
        self.tools = tools
        self.lease = lease
        self.log = log
        self._cancelling = Cancelling(tools.state, job.options.run_id, job.options.cancelled, tools.clock)
        self._begun = tools.clock.monotonic()
        self._write_seconds = 0.0
        self._columns: Sequence[TargetColumn] = ()
        self._mirror: MirrorFigures | None = None
        self._reporting = Reporting()
        self._written: RunSummary | None = None  # the results of the writing, however it ended
        self._prepared_notes: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()

    def execute(self) -> RunSummary:
        self.log.begin()
        limited = self.tools.dataverse.until(self.job.options.deadline)
        with self.log.closing(self._ended), limited, self.tools.open_workspace() as workspace:
            summary = self._work(workspace)
        self.log.end(summary)
        return summary

    def _work(self, workspace: Workspace) -> RunSummary:
        refuse_used_plan(self.tools.state, self.approved.id if self.approved else "")
        try:
            with workspace.until(self._left if self.job.options.deadline is not None else None):
                self.job = completed_job(self.job, self.tools, workspace)
                if self.approved is None:
                    workspace.bind({NEW_IDS_OF: self.job.options.run_id})
                prepared = prepare(self.job, self.tools, workspace, self.log.started, fence=self.log.fence)
                self._columns, self._mirror = prepared.columns, prepared.mirror
                self._reporting = self._reporting_of(prepared.entity, workspace)
                plan = plan_of(self.job, workspace, self._columns, with_checksum=self.approved is not None)
        except OutOfTimeError as error:
            return self._ended(RunState.INTERRUPTED, f"stopped before the first write: {error.message}")
        try:
            self._refuse(plan, workspace)
        except PlanRefusedError:
            self._keep(workspace)
            raise
        limits = self._cancelling.limits(self.job, self.lease)
        self._prepared_notes = prepared.notes()
        try:
            summary = self._write_and_keep(prepared, workspace, limits)
        except PlanRefusedError:  # another run has applied the plan meanwhile; nothing was written
            raise
        except SyncError:
            self._carry_out_steps(workspace, failed=True)
            raise
        # After the writes: a run that dies before this reads the same rows again.
        if (moved := prepared.moved_watermark(workspace, self.job.definition)) is not None:
            self.log.move_watermark(moved)
        return self._carry_out_steps(workspace, failed=summary.state is RunState.FAILED) or summary

    def _write_and_keep(self, prepared: PreparedRun, workspace: Workspace, limits: WriteLimits) -> RunSummary:
        if self.approved is not None:  # its checksum was that of the ids of a plan
            creating = creating_columns(self.job.definition, self._columns)
            give_new_ids(workspace, self.job.definition, self._columns, creating)
        try:
            with self._using_plan(), self._remembering(prepared, workspace):
                self._write_in_journal(prepared.entity, workspace, limits)
        finally:
            self.tools.progress.phase(Phase.FINISH)
            summary = self._keep(workspace)
            self._settle(workspace)
        return summary

    def _carry_out_steps(self, workspace: Workspace, *, failed: bool) -> RunSummary | None:
        """Carry out the steps after the writes, and keep the results of the run with them; None without steps."""
        job, tools, written = self.job, self.tools, self._written
        if not job.definition.post_sync or written is None:
            return None
        before = partial(run_before, tools.state)
        left = None if written.writes else steps_left(self.last, before, self.log.given_values())
        step_input = step_input_of(written, job.parameters, started=self.log.started, failed=failed, continued=left)
        if step_input is None:
            return None
        tools.progress.phase(Phase.POST_SYNC)
        outcomes = run_steps(job.definition, step_input, self._step_tools(workspace))
        summary = ended(replace(written, continues=step_input.continues), outcomes, cancelled=self._cancelling.asked())
        so_far = self._so_far(summary.state, summary.message)
        self._written = replace(
            summary,
            requests=so_far.requests,
            writes=so_far.writes,
            throttled=so_far.throttled,
            retries=so_far.retries,
            elapsed_seconds=so_far.elapsed_seconds,
            course=so_far.course,
        )
        return self._written

    def _step_tools(self, workspace: Workspace) -> StepTools:
        return StepTools(
            dataverse=self.tools.dataverse,
            workspace=workspace,
            context=self.tools.steps,
            clock=self.tools.clock,
            deadline=self.job.options.deadline,
            stopped=self._why_stopped,
            max_errors=self.job.definition.sync_behaviour.safety.max_errors,
        )

    def _why_stopped(self) -> str:
        if self._cancelling.asked():
            return "the run was stopped by a person"
        if self.job.options.ending():
            return "the process of the run was asked to end"
        return "the lease of the sync was lost" if self.lease.lost() else ""

    def _keep(self, workspace: Workspace) -> RunSummary:
        """Keep the results of the run, with the errors of its rows, however it ends."""
        summary = self._written = self._summary(workspace)
        self.log.keep(summary.errors, self._reporting.files(workspace, self.job.options.run_id))
        if self.job.options.retry is None and (rows := rows_in_error(self.job.definition, workspace)) is not None:
            self._keep_to_mend(rows)
        return summary

    def _keep_to_mend(self, rows: RowsToMend) -> None:
        """Keep the rows in error. They help a person and change no record, so a refusal does not end the run."""
        try:
            self.log.keep_to_mend(self.job.options.run_id, rows)
        except AbortRun as error:
            log.warning("The rows in error cannot be kept for mending: %s", error.message)

    def _settle(self, workspace: Workspace) -> None:
        """Take the rows of a retry that now fit from the list of the run that is retried."""
        retry = self.job.options.retry
        earlier = self.tools.state.rows_to_mend(retry.run_id) if retry else None
        if retry is None or earlier is None:
            return
        now = results_of_retry(retry.file, earlier, workspace, self.job.options.run_id)
        self.log.keep_to_mend(retry.run_id, now.earlier)
        if now.own is not None:
            self.log.keep_to_mend(self.job.options.run_id, now.own)

    def _reporting_of(self, entity: EntityMetadata, workspace: Workspace) -> Reporting:
        options = self.job.options
        return reporting_of(self.job.definition, entity, self.tools.source, workspace, values=options.values)

    def _write_in_journal(self, entity: EntityMetadata, workspace: Workspace, limits: WriteLimits) -> None:
        """Write, and keep in the journal what is about to be written and its result, however it ended."""
        journal = Journaling.of(self.job, self.tools, entity)
        if journal is None:
            self._write(entity, workspace, limits)
            return
        last = journal.note_before(workspace)
        try:
            self._write(entity, workspace, limits, journal)
        finally:
            self.log.patiently(lambda: journal.note_after(workspace, last))

    def _write(
        self, entity: EntityMetadata, workspace: Workspace, limits: WriteLimits, journal: Journaling | None = None
    ) -> None:
        adoption = Adoption.of(self.job.definition, self.tools.dataverse, entity, self._columns, self.job.parameters)
        if adoption is not None and journal is not None:
            adoption = replace(adoption, note=lambda kept: self.log.patiently(lambda: journal.note_adopted(kept)))
        definition, waiting = self.job.definition, self.job.options.waiting
        keeping = keep_parents_of_refused(definition, self._columns)
        order = WriteOrder.of(adoption, definition, self._columns, waiting=waiting, keeping=keeping)
        start, strategy = self.tools.clock.monotonic(), definition.sync_behaviour.strategy
        owners = OwnersBelow.of(workspace, self.tools.dataverse, entity, self._columns, strategy=strategy)
        try:
            order = replace(order, by_owner=owners is not None and owners.look())
            write_changes(workspace, self.tools.dataverse, entity, limits, self.tools.progress, order)
            if owners is not None:
                owners.settle(limits)
        finally:
            self._write_seconds = self.tools.clock.monotonic() - start

    @contextmanager
    def _remembering(self, prepared: PreparedRun, workspace: Workspace) -> Iterator[None]:
        """Note in the ledger what is about to be written, and afterwards the result, however it ended."""
        if prepared.memory is None:
            yield
            return
        prepared.memory.note_before(workspace, fence=self.log.fence)
        try:
            yield
        finally:
            prepared.memory.note_after(workspace, fence=self.log.fence)

    def _using_plan(self) -> AbstractContextManager[None]:
        use = PlanUse(
            plan_id=self.approved.id if self.approved else "",
            checksum=self.approved.checksum if self.approved else "",
            sync=self.job.definition.name,
            run_id=self.job.options.run_id,
            used=self.tools.clock.now(),
        )
        return using_plan(self.tools.state, use, wrote=lambda: self.tools.dataverse.usage().writes > 0)

    def _left(self) -> float:
        """Seconds until the deadline."""
        return (self.job.options.deadline or 0.0) - self.tools.clock.monotonic()

    def _refuse(self, plan: Plan, workspace: Workspace) -> None:
        if self.approved is not None and plan.checksum != self.approved.checksum:
            raise StalePlanError(
                "source, target or definition changed since the plan was made: its checksum is now "
                f"{plan.checksum[:12]}…, approved was {self.approved.checksum[:12]}…. Nothing was written; "
                "make a new plan"
            )
        if self.job.options.force:
            return
        if has_cost_limit(self.job.definition):
            created = plan.counts.created_references
            cost = forecast_of(self.job, self.tools, workspace, created=created, begun=self._begun)
            plan = replace(plan, forecast=cost)
        if plan.violations():
            plan.raise_if_unsafe(rejection_cause(source_counts(workspace), self._reporting.errors(workspace)))

    def _summary(self, workspace: Workspace) -> RunSummary:
        done, source = outcome_counts(workspace), source_counts(workspace)
        ((violations,),) = workspace.query(violations_query())
        ((in_error,),) = workspace.query(rows_in_error_count_query())
        errors = self._reporting.errors(workspace)
        self._notes = (*self._prepared_notes, *left_out_warnings(source, errors))
        said = errors_said(done, source, violations, rejection_cause(source, errors))
        state, message = self._verdict(done, skip_reason(workspace), said)
        made, to_make = creation_counts(workspace, creating_columns(self.job.definition, self._columns))
        # As the plan is now: no drop of an adopted record is left in it.
        counts = PlanCounts.from_rows(workspace.query(counts_query()))
        return replace(
            self._so_far(state, message),
            completed=not done.skipped,
            source=source,
            target=target_counts(workspace),
            created=ChangeCounts(done=done.insert, planned=counts.insert),
            updated=ChangeCounts(done=done.update, planned=counts.update),
            deleted=ChangeCounts(done=done.delete, planned=counts.delete),
            expired=ChangeCounts(done=done.expire, planned=counts.expire),
            deactivated=ChangeCounts(done=done.deactivate, planned=counts.deactivate),
            marked=ChangeCounts(done=done.mark, planned=counts.mark),
            reactivated=ChangeCounts(done=done.reactivate, planned=counts.reactivate),
            upserted=ChangeCounts(done=done.upsert, planned=counts.upsert),
            created_references=ChangeCounts(done=made, planned=to_make),
            unchanged=counts.unchanged,
            ignored=counts.ignored,
            adopted=done.adopted,
            edited=done.edited,
            failed=done.failed,
            skipped=done.skipped,
            violations=violations,
            rows_in_error=in_error,
            left_out=left_out(errors),
            errors=errors,
        )

    def _verdict(self, done: OutcomeCounts, skipped: str, errors: str) -> tuple[RunState, str]:
        """State and message of a run whose writing has ended, worst first."""
        if done.skipped:
            left = counted(done.skipped, "change is", "changes are")
            said = f"stopped before the end ({self._why(skipped)}): {left} left for the next run"
            return self._stopped(skipped), "; ".join((said, *self._notes))
        state = RunState.COMPLETED_WITH_ERRORS if errors else RunState.SUCCEEDED
        return state, "; ".join(filter(None, (errors, *self._notes)))

    def _why(self, skipped: str) -> str:
        return self._cancelling.why(self.job, self.lease) if skipped == "cancelled" else skipped

    def _stopped(self, reason: str) -> RunState:
        if reason == "cancelled":  # by a person, or because the lease was lost or the process ends
            return RunState.CANCELLED if self._cancelling.asked() else RunState.INTERRUPTED
        return RunState.INTERRUPTED if reason == "deadline" else RunState.FAILED

    def _ended(self, state: RunState, message: str) -> RunSummary:
        """The summary of a run that ended early: with what was written, where it came so far."""
        if self._written:
            return replace(self._written, state=state, message=message, completed=False)
        return self._so_far(state, message)

    def _so_far(self, state: RunState, message: str) -> RunSummary:
        """What can be said of a run at any moment, whatever its tables hold."""
        usage = self.tools.dataverse.usage()
        return RunSummary(
            run_id=self.job.options.run_id,
            sync=self.job.definition.name,
            state=state,
            strategy=self.job.definition.sync_behaviour.strategy.value,
            message=message,
            requests=usage.requests,
            writes=usage.writes,
            throttled=usage.throttled,
            retries=usage.retries,
            environment=environment_of(self.job),
            elapsed_seconds=self.tools.clock.monotonic() - self._begun,
            write_seconds=self._write_seconds,
            course=tuple(
                replace(point, seconds=point.seconds - self._begun) for point in self.tools.dataverse.course.points
            ),
            peak_memory_mb=peak_memory_mb(),
            peak_disk_mb=self.tools.disk.peak_mb,
            mirror=self._mirror,
        )
