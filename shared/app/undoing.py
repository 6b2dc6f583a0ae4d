"""Undo of runs, and the syncs that an undo has paused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import UserError
from shared.jobs import BatchJob, Progress, RunOptions, RunSummary
from shared.jobs.batch.job import Tools
from shared.jobs.batch.undo.planning import UndoPlan
from shared.jobs.batch.undo.planning import plan_undo as plan_of
from shared.jobs.batch.undo.preparation import NoSource, UndoJob
from shared.jobs.batch.undo.run import run_undo
from shared.memory.journal import Journal
from shared.run_ids import SHORT_ID
from shared.state import TAKEN_BACK, UNBEGUN_RETRY, Pause, RunRecord, RunState

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["obstacle", "paused", "plan_undo", "resume", "undo"]


def plan_undo(
    app: App, run: RunRecord, options: RunOptions, progress: Progress, *, where: str = "", sample: int = 5
) -> UndoPlan:
    """Say what the undo of a run would do; nothing is written.

    Args:
        app: Has the definitions and the state.
        run: The run.
        options: `force` sets back what others have changed, too.
        progress: Gets phases.
        where: SQL condition on the records of the run; empty for all.
        sample: Changes of each kind that are shown.

    Raises:
        UserError: The run cannot be undone.
        SyncError: As `shared.jobs.batch.undo.planning.plan_undo`.
    """
    with _prepared(app, run, options, progress, where) as (job, tools):
        return plan_of(job, tools, sample=sample)


def undo(
    app: App, run: RunRecord, options: RunOptions, progress: Progress, *, where: str = "", by: str = ""
) -> RunSummary:
    """Undo a run, and pause its sync.

    Args:
        app: Has the definitions and the state.
        run: The run.
        options: How the undo is started, and what limits it; `force` sets back what others have changed, too.
        progress: Gets phases and numbers of rows.
        where: SQL condition on the records of the run; empty for all.
        by: Who asks, for the log.

    Raises:
        UserError: The run cannot be undone; nothing was begun.
        SyncError: As `run_undo`.
    """
    with _prepared(app, run, options, progress, where) as (job, tools):
        return run_undo(replace(job, by=by), tools)


def paused(app: App, name: str) -> Pause | None:
    """The pause of a sync; None where it is not paused."""
    return app.state.pauses().get(name)


def resume(app: App, name: str) -> bool:
    """Let a sync run again; False if it was not paused."""
    return app.state.resume(name)


@contextmanager
def _prepared(
    app: App, run: RunRecord, options: RunOptions, progress: Progress, where: str
) -> Iterator[tuple[UndoJob, Tools]]:
    if why := obstacle(app, run):
        raise UserError(why)
    definition, values = app.joined(run.sync, run.given)
    # The version of each record is compared when it is deleted: jobs of the service do not do that.
    one_by_one = definition.destination.options.model_copy(update={"bulk_delete_from": None})
    destination = definition.destination.model_copy(update={"options": one_by_one})
    definition = definition.model_copy(update={"destination": destination})
    job = UndoJob(
        batch=BatchJob(definition=definition, parameters=values, options=replace(options, given=run.given)),
        run=run,
        where=where,
    )
    with app.located(definition), app.tools(definition, values, None, progress, source=NoSource(definition)) as tools:
        yield job, tools


def obstacle(app: App, run: RunRecord) -> str:
    """Why a run cannot be undone; empty where it can be."""
    short = run.run_id[:SHORT_ID]
    if run.trigger == "events":
        return f"run {short} is one of events, which keeps no journal: it cannot be undone"
    if run.trigger == "definition":
        return f"run {short} started nothing, because the definition had mistakes: there is nothing to undo"
    if run.trigger == TAKEN_BACK:
        return f"run {short} started nothing, because the request was taken back: there is nothing to undo"
    if run.trigger == UNBEGUN_RETRY:
        return f"run {short} started nothing, because its corrected file could not be used: there is nothing to undo"
    lease = app.state.lease(f"sync/{run.sync}")
    if run.state == RunState.QUEUED or (run.state == RunState.RUNNING and lease and lease.holder == run.run_id):
        return (
            f"run {short} has not ended: wait for its end, or stop it with `dynamics-sync cancel {short}`, then undo it"
        )
    strategy = run.counts.get("strategy")
    if strategy in {"upsert", "delta"}:
        return (
            f"run {short} has the strategy {strategy}, which does not read what the records held before: it cannot be "
            f"undone"
        )
    if run.counts.get("writes") == 0 or not Journal(app.state, run.run_id).begun:
        return _without_changes(app, run)
    return ""


def _without_changes(app: App, run: RunRecord) -> str:
    short, days = run.run_id[:SHORT_ID], app.settings.journal_days
    if run.state == RunState.REFUSED or run.counts.get("writes") == 0 or app.state.journal_parts(run.run_id):
        return f"run {short} changed nothing: there is nothing to undo"
    kept = f"journals are kept for {days} days (JOURNAL_DAYS)" if days else "JOURNAL_DAYS is 0, so none are kept"
    return f"run {short} has no journal, so it cannot be undone: {kept}"
