"""What the run of a plan will cost, from its changes and the execution log."""

from __future__ import annotations

import logging
from itertools import chain
from math import ceil

from shared.dataverse import DEFAULT_PARALLEL, FIRST_ROWS, READ_BY_ID, Dataverse
from shared.definitions import SyncDefinition
from shared.errors import SyncError
from shared.jobs.batch.job import BatchJob, Tools, keeps_journal
from shared.jobs.batch.plans.about import environment_of
from shared.reconcile.forecast.cost import BY_LIMITS, Forecast, Rates, Sizes, Workload, forecast
from shared.reconcile.forecast.learnt import MOST_RUNS, learnt_rates
from shared.reconcile.forecast.queries import workload_query
from shared.reconcile.links.dependencies import CREATES, DELETES, waves_query
from shared.workspace import Table, Workspace

__all__ = ["forecast_of", "has_cost_limit"]

log = logging.getLogger(__name__)


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
    return forecast(
        _workload(tools.dataverse, workspace, created, journal=keeps_journal(job.definition, tools)),
        _sizes(tools.dataverse),
        _rates(job, tools),
        prepared=prepared,
        daily_requests=tools.daily_requests,
    )


def _workload(dataverse: Dataverse, workspace: Workspace, created: int, *, journal: bool) -> Workload:
    found = workspace.query(workload_query())
    groups = {kind: [rows] for kind, rows, *_ in found}
    deletes, fewest = sum(groups.get("delete", ())), dataverse.service.connection.bulk_delete_from
    jobs = deletes if fewest is not None and deletes >= fewest else 0
    if workspace.has_table(Table.GENERATIONS):
        groups |= {"insert": _waves(workspace, Table.GENERATIONS, CREATES), "upsert": []}
    if workspace.has_table(Table.DROP_ORDER):
        groups["delete"] = _waves(workspace, Table.DROP_ORDER, DELETES)
    if jobs:
        groups["delete"] = []
    # A run reads the records that it deletes for its journal.
    kept = ceil(deletes / READ_BY_ID) if journal else 0
    return Workload(
        reads=dataverse.usage().requests + kept,
        groups=tuple(chain.from_iterable(groups.values())),
        second=sum(second for _, _, second, _, _ in found),
        closing=sum(closing for *_, closing, _ in found),
        looked_up=sum(looked_up for *_, looked_up in found),
        created=created,
        jobs=jobs,
    )


def _waves(workspace: Workspace, order: Table, condition: str) -> list[int]:
    """Records on each level of a hierarchy: a level is written when the one above it is there."""
    return [count for _, count in workspace.query(waves_query(order, condition))]


def _sizes(dataverse: Dataverse) -> Sizes:
    users, hint = max(1, len(dataverse.service.users)), dataverse.service.meter.parallelism
    return Sizes(rows=FIRST_ROWS, parallel=users * (hint or DEFAULT_PARALLEL), users=users)


def _rates(job: BatchJob, tools: Tools) -> Rates:
    """From the runs of the sync, and from those of all: a sync that runs every minute would hide the others."""
    sync = job.definition.name
    try:
        logged = {run.run_id: run.counts for only in (sync, None) for run in tools.state.runs(only, MOST_RUNS)}
    except SyncError as error:  # a plan without a store is worth more than none
        log.warning("The forecast uses the published limits: the execution log cannot be read: %s", error.message)
        return BY_LIMITS
    return learnt_rates(logged.values(), environment=environment_of(job), sync=sync)
