"""Runs the mended rows of an earlier run through the definition of its sync."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.counted import counted
from shared.errors import UserError
from shared.jobs import BatchJob, Progress, RunOptions, RunSummary, run_batch
from shared.jobs.batch.attempts import ENTITY, ENVIRONMENT
from shared.jobs.batch.mending.mended_file import read_mended
from shared.jobs.batch.mending.retrying import MendedRows, Retry, columns_to_mend, refuse_unlisted, retried_definition
from shared.jobs.batch.plans.about import other_place, refuse_other_environment
from shared.run_ids import SHORT_ID
from shared.state import RowsToMend, RunRecord
from shared.transform import numbers_rows
from shared.workspace.folders import PrivateFolder

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["check_mended", "retry"]

_TO_DO: Final = "retry it, or run the sync"


def retry(app: App, run: RunRecord, file: Path, options: RunOptions, progress: Progress) -> RunSummary:
    """Run the rows of a mended file, with the parameters that were given to the earlier run.

    Args:
        app: Has the definitions and the state.
        run: The run whose rows are tried again.
        file: Its rows, mended.
        options: How the run is started, and what limits it.
        progress: Gets phases and numbers of rows.

    Raises:
        UserError: The run has no rows to mend, or the file cannot be used; nothing was begun.
        SyncError: As `run_batch`.
    """
    job, source = _prepared(app, run, file, options)
    definition = job.definition
    with app.located(definition), app.tools(definition, job.parameters, None, progress, source=source) as tools:
        return run_batch(job, tools)


def check_mended(app: App, run: RunRecord, data: bytes, name: str) -> None:
    """Refuse what `retry` would refuse before it begins.

    Args:
        app: Has the definitions and the state.
        run: The run whose rows would be tried again.
        data: The mended file.
        name: Its name, for messages.

    Raises:
        UserError: The run has no rows to mend, or the file cannot be used.
    """
    with PrivateFolder.make("mended") as folder:
        file = folder / name
        file.write_bytes(data)
        _prepared(app, run, file, RunOptions())


def _prepared(app: App, run: RunRecord, file: Path, options: RunOptions) -> tuple[BatchJob, MendedRows]:
    """The job of a retry and its source; see `retry` for what it raises."""
    kept = _kept(app, run)
    joined, values = app.joined(run.sync, run.given)
    definition = retried_definition(joined, kept, file.name)
    if next(numbers_rows(definition), None):
        raise UserError(
            f"{run.sync} uses ROW_NUMBER(), and the rows of {file.name} do not have their numbers of the source: "
            "correct the source and run the sync"
        )
    mended = read_mended(file, columns_to_mend(definition), known=kept.columns)
    refuse_unlisted(mended, kept)
    options = replace(options, given=run.given, retry=Retry(run_id=run.run_id, file=mended))
    job = BatchJob(definition=definition, parameters=values, options=options)
    if environment := run.counts.get(ENVIRONMENT):
        refuse_other_environment(job, run.run_id, environment, _TO_DO)
    now = definition.destination.entity
    if (entity := run.counts.get(ENTITY)) and entity.lower() != now.lower():
        raise other_place(job, run.run_id, "entity", f"the table {entity}", now, _TO_DO)
    return job, MendedRows(definition, partial(_kept, app, run), mended, partial(app.open_small, ()))


def _kept(app: App, run: RunRecord) -> RowsToMend:
    short = run.run_id[:SHORT_ID]
    if run.trigger == "events":
        raise UserError(
            f"run {short} is one of events, which keeps no rows to mend: its events are dead letters. Correct the "
            f"cause, then `dynamics-sync replay {run.sync}`"
        )
    kept = app.state.rows_to_mend(run.run_id)
    if kept is None and run.started < datetime.now(UTC) - timedelta(days=app.settings.retention_days):
        raise UserError(
            f"run {short} of {run.sync} has no rows to mend any more: they are kept for "
            f"{counted(app.settings.retention_days, 'day')} (RETENTION_DAYS). Run the sync again: a new run has those "
            "that are in error now"
        )
    if kept is None:
        raise UserError(f"run {short} of {run.sync} has no rows to mend: no row of its source had an error")
    if not kept.rows and not kept.left_out:
        raise UserError(f"run {short} of {run.sync} has no rows to mend any more: all of them are mended")
    return kept
