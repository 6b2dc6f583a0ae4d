"""What the run of a plan will cost, from its changes and the execution log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain
from math import ceil

from shared.dataverse import DEFAULT_PARALLEL, FIRST_ROWS, READ_BY_ID, Dataverse
from shared.dataverse.read.holders import KEYS_A_BATCH
from shared.definitions import SyncDefinition
from shared.definitions.models.post_sync import RunOn
from shared.errors import SyncError
from shared.jobs.batch.job import BatchJob, Tools, keeps_journal
from shared.jobs.batch.plans.about import environment_of
from shared.reconcile.forecast.cost import BY_LIMITS, Forecast, Rates, Workload, WriterSizes, forecast
from shared.reconcile.forecast.learnt import MOST_RUNS, learnt_rates
from shared.reconcile.forecast.queries import workload_query
from shared.reconcile.links.dependencies import CREATES, DELETES, waves_query
from shared.reconcile.reports import source_counts_query, violations_query
from shared.workspace import Table, Workspace

__all__ = ["forecast_of", "has_cost_limit"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequests:
    """What the steps after the sync send to Dataverse.

    Attributes:
        requests: The fewest.
        updates: Steps that write records: which ones, and how many, is known when they are read.
    """

    requests: int
    updates: int


def has_cost_limit(definition: SyncDefinition) -> bool:
    """Whether a safety limit of the definition needs a forecast."""
    safety = definition.sync_behaviour.safety
    return safety.max_requests is not None or safety.max_minutes is not None


def forecast_of(job: BatchJob, tools: Tools, workspace: Workspace, *, created: int, begun: float) -> Forecast:
    """Say what a run with these changes will cost.

    Args:
        job: The run, with its parameters.
        tools: Have sent what was read so far, and have the execution log.
        workspace: Has `changes`.
        created: Records of other tables that lookups create.
        begun: When the work began, by the monotonic clock.
    """
    prepared = tools.clock.monotonic() - begun
    steps = _steps(job.definition, has_errors=_has_errors(workspace))
    return forecast(
        _workload(tools.dataverse, workspace, created, steps, journal=keeps_journal(job.definition, tools)),
        _sizes(tools.dataverse),
        _rates(job, tools),
        prepared=prepared,
        daily_requests=tools.daily_requests,
    )


def _has_errors(workspace: Workspace) -> bool:
    """Whether the run will have errors, whatever becomes of its changes."""
    ((_, _, rejected, _),) = workspace.query(source_counts_query())
    ((violations,),) = workspace.query(violations_query())
    return bool(rejected or violations)


def _steps(definition: SyncDefinition, *, has_errors: bool) -> StepRequests:
    """Of the steps that the run will carry out if no change fails: one request for each call, and for each update."""
    run_on = {RunOn.ALWAYS, RunOn.ERRORS if has_errors else RunOn.SUCCESS}
    steps = [step for step in definition.post_sync if step.run_on in run_on]
    updates = sum(step.update is not None for step in steps)
    return StepRequests(requests=updates + sum(step.action is not None for step in steps), updates=updates)


def _workload(
    dataverse: Dataverse, workspace: Workspace, created: int, steps: StepRequests, *, journal: bool
) -> Workload:
    found = workspace.query(workload_query())
    groups = {kind: [rows] for kind, rows, *_ in found}
    deletes, fewest = sum(groups.get("delete", ())), dataverse.service.connection.bulk_delete_from
    jobs = deletes if fewest is not None and deletes >= fewest else 0
    reads = dataverse.usage().requests + bool(found)  # which bulk messages the table has
    if workspace.has_table(Table.GENERATIONS):
        groups |= {"insert": _waves(workspace, Table.GENERATIONS, CREATES), "upsert": []}
        if deletes > 1 and not workspace.has_table(Table.DROP_ORDER):  # which of the records refer to each other
            reads += ceil(deletes / KEYS_A_BATCH)
    if workspace.has_table(Table.DROP_ORDER):
        groups["delete"] = _waves(workspace, Table.DROP_ORDER, DELETES)
    if jobs:
        groups["delete"] = []
    # A run reads the records that it deletes for its journal.
    kept = ceil(deletes / READ_BY_ID) if journal else 0
    return Workload(
        reads=reads + kept,
        groups=tuple(chain.from_iterable(groups.values())),
        second=sum(second for _, _, second, _, _ in found),
        closing=sum(closing for *_, closing, _ in found),
        looked_up=sum(looked_up for *_, looked_up in found),
        created=created,
        jobs=jobs,
        steps=steps.requests,
        open=bool(jobs or steps.updates),
    )


def _waves(workspace: Workspace, order: Table, condition: str) -> list[int]:
    """Records on each level of a hierarchy: a level is written when the one above it is there."""
    return [count for _, count in workspace.query(waves_query(order, condition))]


def _sizes(dataverse: Dataverse) -> WriterSizes:
    users, hint = max(1, len(dataverse.service.users)), dataverse.service.meter.parallelism
    return WriterSizes(rows=FIRST_ROWS, parallel=users * (hint or DEFAULT_PARALLEL), users=users)


def _rates(job: BatchJob, tools: Tools) -> Rates:
    """From the runs of the sync, and from those of all: a sync that runs every minute would hide the others."""
    sync = job.definition.name
    try:
        logged = {run.run_id: run.counts for only in (sync, None) for run in tools.state.runs(only, MOST_RUNS)}
    except SyncError as error:  # a plan without a store is worth more than none
        log.warning("The forecast uses the published limits: the execution log cannot be read: %s", error.message)
        return BY_LIMITS
    return learnt_rates(logged.values(), environment=environment_of(job), sync=sync)
