"""The API of jobs, runs and plans."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

from console.jobs.activity import PLANS_OF, Active, Doing, waiting_for
from console.jobs.asking import (
    ask_for_apply,
    ask_for_job,
    ask_for_retry,
    ask_for_undo,
    ask_for_uploaded_retry,
    stop_job,
    stop_run,
)
from console.jobs.lists import listed
from console.jobs.models import (
    ApplyAsked,
    ErrorsGiven,
    FilesGiven,
    JobAsked,
    JobGiven,
    JobsGiven,
    PlanGiven,
    ProgressGiven,
    RunGiven,
    Stopped,
    UndoAsked,
    UndoPlanGiven,
)
from console.jobs.pages import file_of_run
from console.jobs.parameters import file_parameter
from console.jobs.plan_values import shown_plan
from console.jobs.question_values import shown_answer
from console.jobs.run_values import errors_of, file_names, run_of, shown_run
from console.jobs.undo_values import shown_undo
from console.uploads.keeping import keep_arrived
from console.web.refusals import Refusal, not_found
from console.web.sent import sent
from console.web.visit import Visit
from shared.definitions.parameters.values import shown
from shared.state import Job, JobKind, RunRecord, RunState
from shared.views.runs import run_json
from shared.views.to_mend import kept_to_mend, to_mend_json

__all__ = [
    "apply_plan",
    "cancel_job",
    "cancel_run",
    "errors",
    "file_of_run",
    "files",
    "job",
    "jobs",
    "plan",
    "retry",
    "run",
    "start",
    "undo",
    "undo_plan",
    "undo_plan_job",
]

_ACCEPTED: Final = 202


def start(visit: Visit) -> Response:
    """Make a job; an earlier one for the same thing that waits is given instead."""
    asked = sent(visit, JobAsked)
    if asked.force and asked.kind == "plan":
        raise Refusal(422, "That is not possible", "A plan writes nothing, so there is nothing to force.")
    values = {name: shown(value) for name, value in asked.parameters.items()}
    file = {_file_parameter(visit): keep_arrived(visit, asked.upload)} if asked.upload else {}
    found, joined = ask_for_job(visit, JobKind(asked.kind), values, force=asked.force, file=file)
    return _accepted(visit, found, joined=joined)


def _file_parameter(visit: Visit) -> str:
    name = file_parameter(visit.app.definition(visit.sync))
    if not name:
        raise Refusal(422, "That is not possible", "The path of the source is no parameter, so a job takes no file.")
    return name


def jobs(visit: Visit) -> Response:
    """A page of jobs and runs."""
    found = listed(visit)
    shown_jobs = [_of_active(visit, each) for each in found.active]
    shown_jobs += [_of_job(visit, each) for each in found.plans]
    shown_jobs += [_of_run(line.run) for line in found.runs]
    return _given(visit, JobsGiven(jobs=shown_jobs, page=found.page, pages=found.pages))


def job(visit: Visit) -> Response:
    """One job, with the answer of a question."""
    found = _job(visit)
    return _given(visit, _of_job(visit, found).model_copy(update={"answer": shown_answer(visit, found)}))


def cancel_job(visit: Visit) -> Response:
    """Take a job back, or stop its run."""
    found = _job(visit)
    return _given(visit, Stopped(id=found.id, state=stop_job(visit, found).value), _ACCEPTED)


def run(visit: Visit) -> Response:
    """One run."""
    found = shown_run(visit)
    given = RunGiven(
        run=run_json(found.run),
        progress=_progress(found.doing),
        by=found.by,
        files=found.files,
        to_mend=to_mend_json(found.to_mend),
    )
    return _given(visit, given)


def errors(visit: Visit) -> Response:
    """The errors of a run."""
    return _given(visit, ErrorsGiven(errors=errors_of(visit, run_of(visit))))


def files(visit: Visit) -> Response:
    """The names of the files of a run."""
    found = run_of(visit)
    rows, _ = kept_to_mend(visit.app.state, found.run_id)
    return _given(visit, FilesGiven(files=file_names(visit, found, rows)))


def retry(visit: Visit) -> Response:
    """Run the mended rows of a CSV text, or of a file that was sent to storage."""
    if upload := visit.query("upload"):
        found, joined = ask_for_uploaded_retry(visit, run_of(visit), upload)
    else:
        found, joined = ask_for_retry(visit, run_of(visit), visit.body.raw)
    return _accepted(visit, found, joined=joined)


def cancel_run(visit: Visit) -> Response:
    """Stop a run at its next chunk boundary."""
    found = run_of(visit)
    return _given(visit, Stopped(id=found.run_id, state=stop_run(visit, found).value), _ACCEPTED)


def plan(visit: Visit) -> Response:
    """A plan."""
    found = shown_plan(visit)
    return _given(visit, PlanGiven(job=found.job.id, plan=dict(found.plan), applied_by=found.applied_by))


def apply_plan(visit: Visit) -> Response:
    """Make the job that applies a plan."""
    asked = sent(visit, ApplyAsked, optional=True)
    found, joined = ask_for_apply(visit, force=asked.force)
    return _accepted(visit, found, joined=joined)


def undo_plan_job(visit: Visit) -> Response:
    """Make the job that says what the undo of a run would do."""
    return _undo(visit, JobKind.UNDO_PLAN)


def undo(visit: Visit) -> Response:
    """Make the job that undoes a run."""
    return _undo(visit, JobKind.UNDO)


def _undo(visit: Visit, kind: JobKind) -> Response:
    asked = sent(visit, UndoAsked, optional=True)
    found, joined = ask_for_undo(visit, run_of(visit), kind, force=asked.force)
    return _accepted(visit, found, joined=joined)


def undo_plan(visit: Visit) -> Response:
    """What the undo of a run would do."""
    found = shown_undo(visit)
    request = found.job.request
    given = UndoPlanGiven(job=found.job.id, run=request.of, force=request.force, plan=dict(found.plan))
    return _given(visit, given)


def _job(visit: Visit) -> Job:
    found = visit.app.state.job(str(visit.request.path_params["job"]))
    if found is None:
        raise not_found()
    return found


def _given(visit: Visit, value: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return visit.json(value.model_dump(), status, headers)


def _accepted(visit: Visit, found: Job, *, joined: bool) -> Response:
    value = _of_job(visit, found).model_copy(update={"joined": joined})
    return _given(visit, value, _ACCEPTED, {"location": f"/api/jobs/{found.id}"})


def _progress(doing: Doing | None) -> ProgressGiven | None:
    return ProgressGiven(**asdict(doing)) if doing else None


def _of_job(visit: Visit, found: Job) -> JobGiven:
    request, run_id = found.request, found.runs[-1] if found.runs else ""
    note = {} if found.waits or found.ended else visit.app.state.progress(run_id or found.id)
    plans = PLANS_OF.get(request.kind) if found.state == RunState.SUCCEEDED else None
    return JobGiven(
        id=found.id,
        kind=request.kind.value,
        sync=request.sync,
        state=found.state,
        requested=request.requested,
        requested_by=request.requested_by,
        parameters=dict(request.parameters),
        force=request.force,
        of=request.of,
        runs=list(found.runs),
        attempts=found.attempts,
        ended=found.ended,
        message=waiting_for(found) or found.message,
        progress=_progress(Doing.of(note)),
        run=f"/api/runs/{run_id}" if run_id else "",
        plan=f"/api/{plans}/{found.id}" if plans else "",
    )


def _of_active(visit: Visit, each: Active) -> JobGiven:
    if each.job is not None:
        return _of_job(visit, each.job)
    return JobGiven(
        id=each.id,
        kind="run",
        sync=each.sync,
        state=each.state,
        requested=each.since,
        requested_by=each.by,
        progress=_progress(each.doing),
        run=f"/api/runs/{each.id}",
    )


def _of_run(found: RunRecord) -> JobGiven:
    return JobGiven(
        id=found.run_id,
        kind="run",
        sync=found.sync,
        state=found.state,
        requested=found.started,
        parameters=dict(found.given),
        runs=[found.run_id],
        ended=found.ended,
        message=found.message,
        run=f"/api/runs/{found.run_id}",
    )
