"""Rows of a retry whose key is still that of another row of the source, however the key is written."""

from __future__ import annotations

from collections.abc import Iterator

from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.mending.retrying import MendedRows
from shared.jobs.run_steps import RunSteps
from shared.jobs.shaping import Shaping, run_all
from shared.transform import key_columns
from shared.workspace import Workspace, quoted

__all__ = ["reject_duplicates"]


def reject_duplicates(job: BatchJob, tools: Tools, workspace: Workspace, steps: RunSteps) -> None:
    """Reject the rows of a retry that had the key of another row of the source, and still have it.

    Alone such a row would look correct, and would take the place of the other row. Keys are compared as the sync
    compares them: `42` may be the same key as `0042`.

    Args:
        job: The run; one that is no retry has nothing to reject.
        tools: What it works with.
        workspace: Of the run; its source is loaded.
        steps: The steps of the run.

    Raises:
        DefinitionError, UserError, OutOfTimeError: A column cannot be calculated, as in the run itself.
    """
    source = tools.source
    if not isinstance(source, MendedRows) or not source.has_duplicates:
        return
    with source.open_workspace() as beside:  # the rows as they were in the list must not take part in the run
        beside.bind(job.parameters)
        source.load_duplicates(beside)
        Shaping.of(steps.desire, steps.entity, leave_out=steps.leave_out).run(beside, tools.scripts, run_all)
        same = " AND ".join(f"now.{name} IS NOT DISTINCT FROM before.{name}" for name in _keys(steps))
        found = beside.query(
            f"SELECT now._row FROM desired AS now JOIN desired AS before ON before._row = -now._row "
            f"WHERE now._row > 0 AND {same} ORDER BY now._row"
        )
    source.reject_duplicates(workspace, [row for (row,) in found])


def _keys(steps: RunSteps) -> Iterator[str]:
    """The columns of `desired` that make the key; of a lookup those with what it searches for."""
    lookups = {lookup.name: lookup for lookup in steps.desire.lookups}
    for column in key_columns(steps.columns):
        if column.name in lookups:
            yield from (quoted(value.key) for value in lookups[column.name].values)
        else:
            yield f"_k{column.key_part}"
