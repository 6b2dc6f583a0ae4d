"""What jobs ask for: runs that follow from an earlier plan or run, and the answers of read-only jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from shared.app.editing.questions import previewed, tested
from shared.app.retrying import retry
from shared.app.undoing import plan_undo, undo
from shared.errors import UserError
from shared.jobs import ApprovedPlan, PlanOptions, Progress, RunOptions, RunSummary
from shared.redaction import cleaned
from shared.state import UNDO, JobKind, JobRequest
from shared.views.plan_files import PlanFile
from shared.views.runs import run_named
from shared.workspace.folders import PrivateFolder

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["ANSWER", "MENDED", "PLAN", "answered", "keep_answer", "run_requested"]

ANSWER: Final = "answer.json"
"""The file of a read-only job that has its answer: a JSON object."""
PLAN: Final = "plan.json"
"""The file of a job that planned, which a job that applies the plan reads."""
MENDED: Final = "mended.csv"
"""The file of a job that has the mended rows of a run."""
_SAMPLE: Final = 50  # changes of each action that a person looks at


def run_requested(app: App, request: JobRequest, options: RunOptions, progress: Progress) -> RunSummary:
    """Run what a job asks for.

    Args:
        app: Definitions, state and runs.
        request: Its kind says what is run.
        options: How the run is started, and what limits it.
        progress: Gets phases and numbers of rows.

    Raises:
        UserError: What the job needs is not there any more.
        SyncError: As `App.run`.
    """
    match request.kind:
        case JobKind.APPLY:
            return _apply(app, request, options, progress)
        case JobKind.RETRY:
            return _retry(app, request, options, progress)
        case JobKind.UNDO:
            run = run_named(request.of, app.state)
            return undo(app, run, replace(options, trigger=UNDO), progress, by=request.requested_by)
        case _:
            return app.run(request.sync, request.parameters, options, progress=progress)


def _apply(app: App, request: JobRequest, options: RunOptions, progress: Progress) -> RunSummary:
    kept = app.state.job_file(request.of, PLAN)
    if kept is None:
        raise UserError("the plan is not there any more: make a new one")
    saved = PlanFile.of_text(kept, sync=request.sync)
    approved = ApprovedPlan(checksum=saved.checksum, id=saved.id, watermark=saved.watermark)
    options = replace(options, approved=approved, given=saved.given_values())
    return app.run(request.sync, saved.values(), options, progress=progress)


def _retry(app: App, request: JobRequest, options: RunOptions, progress: Progress) -> RunSummary:
    mended = app.state.job_file(request.id, MENDED)
    if mended is None:
        raise UserError("the mended rows are not there any more: send them again")
    run = run_named(request.of, app.state)
    with PrivateFolder.make("mended") as folder:
        file = folder / MENDED
        file.write_bytes(mended)
        return retry(app, run, file, options, progress)


def answered(app: App, request: JobRequest, progress: Progress) -> dict[str, Any]:
    """The answer of a read-only job.

    Args:
        app: Definitions, state and plans.
        request: The job.
        progress: Gets phases and numbers of rows.

    Raises:
        SyncError: It cannot be answered; the message says why.
    """
    match request.kind:
        case JobKind.PLAN:
            return _planned(app, request, progress)
        case JobKind.UNDO_PLAN:
            options = RunOptions(trigger=UNDO, force=request.force)
            return plan_undo(app, run_named(request.of, app.state), options, progress, sample=_SAMPLE).to_json()
        case JobKind.TEST:
            return tested(app, request, progress)
        case JobKind.PREVIEW:
            return previewed(app, request, progress)
        case kind:
            raise UserError(f"this version does not know jobs of the kind {kind}")


def _planned(app: App, request: JobRequest, progress: Progress) -> dict[str, Any]:
    definition = app.definition(request.sync)
    values = app.parameters(definition, request.parameters)
    report = app.plan(request.sync, values, PlanOptions(sample=_SAMPLE, given=request.parameters), progress=progress)
    value = report.to_json()
    saved = PlanFile.of(value, values, request.parameters)
    app.state.put_job_file(request.id, PLAN, saved.to_text().encode())
    return value


def keep_answer(app: App, job_id: str, answer: dict[str, Any]) -> None:
    """Keep an answer with its job."""
    app.state.put_job_file(job_id, ANSWER, cleaned(json.dumps(answer, default=str)).encode())
