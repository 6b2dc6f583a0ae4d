"""The pages of jobs, runs and plans, and the forms on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from console.access.guarding import guarded_parameters
from console.access.rights import Level
from console.jobs.activity import KINDS, PLANS_OF, Doing, waiting_for
from console.jobs.asking import (
    ask_for_apply,
    ask_for_job,
    ask_for_retry,
    ask_for_undo,
    ask_for_uploaded_retry,
    refused_values,
    stop_job,
    stop_run,
)
from console.jobs.lists import SEARCHED, listed
from console.jobs.parameters import PREFIX, fields_of, file_parameter, given, lacks_file
from console.jobs.plan_values import shown_plan
from console.jobs.run_values import download, run_of, shown_run
from console.jobs.undo_values import shown_undo
from console.uploads.addresses import address_path
from console.uploads.keeping import can_upload, has_upload, keep_upload, upload_path
from console.web.refusals import Refusal, not_found
from console.web.visit import Visit
from shared.definitions import SyncDefinition
from shared.definitions.parameters.values import shown
from shared.errors import UserError
from shared.jobs.requests import refuse_events_alone
from shared.state import Job, JobKind, RunState
from shared.views.pages.courses import course_chart
from shared.views.pages.plan_parts import error_lines

__all__ = [
    "apply_plan",
    "cancel_job",
    "cancel_run",
    "confirm_page",
    "file_of_run",
    "job_page",
    "jobs_page",
    "plan_page",
    "retry_run",
    "run_page",
    "start_job",
    "start_page",
    "undo_plan_page",
    "undo_run",
    "undo_run_plan",
]

_UNPROCESSABLE = 422
_STARTED = (JobKind.RUN, JobKind.PLAN)


def start_page(visit: Visit) -> Response:
    """The form that starts a job; the query may name values of parameters.

    Raises:
        UserError: No job can be started.
    """
    refuse_events_alone(visit.app.definition(visit.sync))
    return _start_page(visit, _typed(visit.request.query_params))


def _start_page(visit: Visit, typed: Mapping[str, str], *, wrong: str = "", force: bool = False) -> Response:
    definition = visit.app.definition(visit.sync)
    fixed = () if visit.may(Level.ADMIN) else guarded_parameters(definition, visit.connections)
    return visit.page(
        "job_start.html",
        http_status=_UNPROCESSABLE if wrong else 200,
        fields=fields_of(definition, typed, fixed),
        safety=definition.sync_behaviour.safety,
        wrong=wrong.splitlines(),
        force=force,
        for_plan=visit.request.query_params.get("kind") == JobKind.PLAN,
        can_upload=can_upload(visit),
        upload_path=upload_path(visit),
    )


def _typed(values: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX)}


def start_job(visit: Visit) -> Response:
    """Make the job that the form asks for."""
    typed = _typed({name: visit.body.text(name) for name in visit.body.fields})
    force, kind = visit.body.text("force") == "yes", visit.body.text("kind", JobKind.RUN)
    if kind not in _STARTED:
        raise Refusal(400, "No such job", "A job that is started here is a run or a plan.")
    definition, file = visit.app.definition(visit.sync), dict[str, str]()
    try:
        file, values = _file(visit, definition, typed), given(definition, typed)
        values = {name: value for name, value in values.items() if name not in file}  # the field may hold a path, too
        job, joined = ask_for_job(visit, JobKind(kind), values, force=force and kind == JobKind.RUN, file=file)
    except UserError as error:
        return _start_page(visit, typed | file, wrong=error.message, force=force)
    return _to_job(visit, job, joined=joined)


def _file(visit: Visit, definition: SyncDefinition, typed: Mapping[str, str]) -> dict[str, str]:
    """The path of the file that was sent, as the value of its parameter."""
    file = file_parameter(definition)
    if file and has_upload(visit):
        return {file: keep_upload(visit)}
    if can_upload(visit) and lacks_file(definition, typed):
        or_path = ", or give the path of one" if visit.may(Level.ADMIN) else ""
        raise UserError(f"parameter {file}: choose a file of your machine{or_path}")
    return {}


def _to_job(visit: Visit, job: Job, *, joined: bool) -> Response:
    return visit.to(f"/jobs/{job.id}{'?joined=yes' if joined else ''}")


def jobs_page(visit: Visit) -> Response:
    """The lists of jobs and runs."""
    return visit.page("jobs.html", listed=listed(visit), searched=SEARCHED)


def job_page(visit: Visit) -> Response:
    """A job that waits, or a question; otherwise its run or its plan."""
    state = visit.app.state
    job = state.job(str(visit.request.path_params["job"]))
    if job is None:
        raise not_found()
    if job.request.kind in PLANS_OF and job.state == RunState.SUCCEEDED:
        return visit.to(f"/{PLANS_OF[job.request.kind]}/{job.id}")
    run = job.runs[-1] if job.runs and not job.waits else ""
    if run and state.run(run):
        return visit.to(f"/runs/{run}{'?joined=yes' if visit.query('joined') else ''}")
    return visit.page(
        "job.html",
        job=job,
        kind=KINDS[job.request.kind],
        doing_now=None if job.waits else Doing.of(state.progress(job.id)),
        waits_for=waiting_for(job),
        joined=bool(visit.query("joined")),
        may_execute=visit.may(Level.EXECUTE),
    )


def cancel_job(visit: Visit) -> Response:
    """Take a job back, or stop its run."""
    job = visit.app.state.job(str(visit.request.path_params["job"]))
    if job is None:
        raise not_found()
    stop_job(visit, job)
    return visit.to(f"/jobs/{job.id}")


def run_page(visit: Visit) -> Response:
    """One run whole."""
    found = shown_run(visit)
    return visit.page(
        "run.html",
        shown=found,
        run=found.run,
        course=course_chart("How the writing went", found.run.counts.get("course")),
        error_lines=error_lines(found.errors),
        stopping=bool(found.goes_on and visit.app.state.cancelled_by(found.run.run_id)),
        joined=bool(visit.query("joined")),
        may_execute=visit.may(Level.EXECUTE),
        may_repeat=_may_repeat(visit, found.run.given),
        may_read=visit.may(Level.READ),
        prefix=PREFIX,
        upload_path=address_path(visit),
    )


def _may_repeat(visit: Visit, given: Mapping[str, Any]) -> bool:
    """Whether the person may ask for a job with the values that a run or a plan was given."""
    definition = visit.subject.loaded.definition if visit.subject.loaded else None
    values = {name: shown(value) for name, value in given.items()}
    return definition is None or not refused_values(visit, definition, values)


def cancel_run(visit: Visit) -> Response:
    """Stop a run at its next chunk boundary."""
    run = run_of(visit)
    stop_run(visit, run)
    return visit.to(f"/runs/{run.run_id}")


def retry_run(visit: Visit) -> Response:
    """Run the mended rows of a file that was sent, with the form or straight to storage."""
    if upload := visit.body.text("_upload"):
        job, joined = ask_for_uploaded_retry(visit, run_of(visit), upload)
    elif file := visit.body.files.get("file"):
        job, joined = ask_for_retry(visit, run_of(visit), file.data)
    else:
        raise UserError("no file was chosen: choose the file to mend with its rows corrected")
    return _to_job(visit, job, joined=joined)


def file_of_run(visit: Visit) -> Response:
    """One file of a run, for the disk of whoever asks."""
    data, headers = download(visit, run_of(visit), str(visit.request.path_params["name"]))
    return Response(data, headers=headers, media_type="text/csv; charset=utf-8")


def plan_page(visit: Visit) -> Response:
    """One plan whole."""
    found = shown_plan(visit)
    return visit.page(
        "plan.html",
        shown=found,
        may_execute=visit.may(Level.EXECUTE),
        may_repeat=_may_repeat(visit, found.job.request.parameters),
        may_read=visit.may(Level.READ),
        prefix=PREFIX,
    )


def confirm_page(visit: Visit) -> Response:
    """What it means to apply a plan that breaks a limit, and the button that does it."""
    return visit.page("plan_confirm.html", shown=shown_plan(visit))


def apply_plan(visit: Visit) -> Response:
    """Make the job that applies a plan; `force` comes from the confirm page alone."""
    job, joined = ask_for_apply(visit, force=visit.body.text("force") == "yes")
    return _to_job(visit, job, joined=joined)


def undo_run_plan(visit: Visit) -> Response:
    """Make the job that says what the undo of a run would do."""
    job, joined = ask_for_undo(visit, run_of(visit), JobKind.UNDO_PLAN, force=visit.body.text("force") == "yes")
    return _to_job(visit, job, joined=joined)


def undo_plan_page(visit: Visit) -> Response:
    """What the undo of a run would do, and the form that begins it."""
    return visit.page(
        "undo_plan.html", shown=shown_undo(visit), may_execute=visit.may(Level.EXECUTE), may_read=visit.may(Level.READ)
    )


def undo_run(visit: Visit) -> Response:
    """Make the job that undoes a run."""
    if not visit.body.text("sure"):
        raise Refusal(_UNPROCESSABLE, "Nothing was taken back", "Say that you are sure: the run is taken back at once.")
    job, joined = ask_for_undo(visit, run_of(visit), JobKind.UNDO, force=visit.body.text("force") == "yes")
    return _to_job(visit, job, joined=joined)
