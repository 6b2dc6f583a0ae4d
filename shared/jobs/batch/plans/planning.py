"""The plan of a run: what it would do, without having done it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.jobs.batch.job import BatchJob, PlanOptions, Tools
from shared.jobs.batch.plans.about import about_plan
from shared.jobs.batch.plans.effects import approved_checksum
from shared.jobs.batch.plans.forecasting import forecast_of
from shared.jobs.batch.plans.names import with_names
from shared.jobs.batch.preparation import completed_job, prepare
from shared.jobs.batch.reports import reporting_of
from shared.jobs.creating import creation_counts
from shared.jobs.post_sync.listing import listed_steps
from shared.jobs.rejections import left_out, left_out_warnings, rejection_cause
from shared.jobs.summary import ErrorRow, RowCounts
from shared.jobs.writing import creating_columns
from shared.reconcile import Plan, PlanCounts, SafetyLimits, SampleChange, checksum_query, counts_query, sample_query
from shared.reconcile import samples as read_samples
from shared.reconcile.links.dependencies import creations_checksum_query
from shared.reconcile.reports import source_counts_query, target_counts_query, violations_query
from shared.transform import TargetColumn
from shared.workspace import Workspace

__all__ = ["PlanReport", "plan_batch", "plan_of", "source_counts", "target_counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a run would do, without having done it; `post_sync` are its steps after the writes."""

    sync: str
    strategy: str
    plan: Plan
    source: RowCounts
    target: RowCounts
    sample: tuple[SampleChange, ...]
    errors: tuple[ErrorRow, ...]
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    watermark: str | None = None
    post_sync: tuple[Mapping[str, str], ...] = ()
    requests: int
    throttled: int
    elapsed_seconds: float
    about: Mapping[str, Any] = field(default_factory=dict)
    lacking: int = 0
    """Rows that lack a mandatory value and are not rejected for it."""

    @property
    def has_errors(self) -> bool:
        """Whether a run with these rows completes with errors; a field that is left out is none."""
        return bool(self.source.rejected or self.lacking)

    @property
    def cause(self) -> str:
        """Why most rows of the source were rejected; empty if they were not."""
        return rejection_cause(self.source, self.errors)

    def to_json(self) -> dict[str, Any]:
        """The object that `plan --json` prints and `plan --out` keeps."""
        counts = self.plan.counts
        return {
            "sync": self.sync,
            "strategy": self.strategy,
            "about": dict(self.about),
            "planned": {
                "source": self.source.to_json(),
                "target": {key: value for key, value in self.target.to_json().items() if key != "filtered"},
                "created": counts.insert,
                "updated": counts.update,
                "deleted": counts.delete,
                "expired": counts.expire,
                "deactivated": counts.deactivate,
                "marked": counts.mark,
                "reactivated": counts.reactivate,
                "upserted": counts.upsert,
                "created_references": counts.created_references,
                "unchanged": counts.unchanged,
                "ignored": counts.ignored,
            },
            "forecast": self.plan.forecast.to_json() if self.plan.forecast else None,
            "violations": list(self.plan.violations()),
            "notes": list(self.notes),
            "left_out": left_out(self.errors),
            "cause": self.cause,
            "watermark": self.watermark,
            "checksum": self.plan.checksum,
            "sample": [change.to_json() for change in self.sample],
            "errors": [error.to_json() for error in self.errors],
            "post_sync": [dict(step) for step in self.post_sync],
            "requests": self.requests,
            "throttled": self.throttled,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }


def plan_batch(job: BatchJob, tools: Tools, options: PlanOptions) -> PlanReport:
    """Do everything but the writing.

    Raises:
        DefinitionError: The definition does not fit the table.
        UserError: The source cannot be read.
        AbortRun: Dataverse refuses the credentials or the table.
        RetryLater: Dataverse is unavailable.
    """
    start = tools.clock.monotonic()
    with tools.open_workspace() as workspace:
        job = completed_job(job, tools, workspace)
        prepared = prepare(job, tools, workspace, tools.clock.now())
        entity, columns = prepared.entity, prepared.columns
        reporting = reporting_of(job.definition, entity, tools.source, workspace, values=options.values)
        shown = read_samples(workspace.query(sample_query(options.sample)))
        source, errors = source_counts(workspace), reporting.errors(workspace)
        plan = plan_of(job, workspace, columns, with_checksum=True)
        cost = forecast_of(job, tools, workspace, created=plan.counts.created_references, begun=start)
        plan = replace(plan, forecast=cost)
        ((lacking,),) = workspace.query(violations_query())
        sample = with_names(shown, entity, columns, workspace, tools.dataverse)
        about = about_plan(job, tools, entity, columns, plan, workspace)
        usage = tools.dataverse.usage()  # after the last request
        return PlanReport(
            sync=job.definition.name,
            strategy=job.definition.sync_behaviour.strategy.value,
            plan=plan,
            source=source,
            target=target_counts(workspace),
            sample=sample,
            errors=errors,
            files=tuple(reporting.files(workspace, f"plan_{job.definition.name}")) if options.files else (),
            notes=(*prepared.notes(), *left_out_warnings(source, errors)),
            watermark=prepared.watermark.kept if prepared.watermark else None,
            post_sync=listed_steps(job.definition),
            requests=usage.requests,
            throttled=usage.throttled,
            elapsed_seconds=tools.clock.monotonic() - start,
            about=about,
            lacking=lacking,
        )


def plan_of(job: BatchJob, workspace: Workspace, columns: Sequence[TargetColumn], *, with_checksum: bool) -> Plan:
    """The plan that a workspace has; its checksum is empty where it is not asked for."""
    definition = job.definition
    counts = PlanCounts.from_rows(workspace.query(counts_query()))
    creating = creating_columns(definition, columns)
    created = creation_counts(workspace, creating)[1]
    behaviour = definition.sync_behaviour
    return Plan(
        counts=replace(counts, created_references=created),
        limits=SafetyLimits.from_definition(behaviour.safety),
        drops=behaviour.dropped != "ignore",
        checksum=approved_checksum(job, _checksum(workspace, creating if created else ())) if with_checksum else "",
    )


def _checksum(workspace: Workspace, creating: Sequence[TargetColumn]) -> str:
    """What names the changes of a plan, and the records that its lookups create."""
    queries = (checksum_query(), *([creations_checksum_query(creating)] if creating else []))
    return "-".join(workspace.query(query)[0][0] for query in queries)


def source_counts(workspace: Workspace) -> RowCounts:
    """The rows of the source, counted by their result."""
    ((processed, verified, rejected, filtered),) = workspace.query(source_counts_query())
    return RowCounts(processed=processed, verified=verified, rejected=rejected, filtered=filtered)


def target_counts(workspace: Workspace) -> RowCounts:
    """The records of the target, counted by their result."""
    ((verified, rejected),) = workspace.query(target_counts_query())
    return RowCounts(processed=verified + rejected, verified=verified, rejected=rejected)
