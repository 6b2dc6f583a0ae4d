"""What people ask for: jobs that are made, and runs that are stopped. Each of it is in the audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from console.access.guarding import guarded_values, values_leading_out
from console.access.rights import Level
from console.uploads.addresses import arrived
from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.app.requested import MENDED, PLAN
from shared.app.retrying import check_mended
from shared.app.undoing import obstacle
from shared.definitions import SyncDefinition
from shared.definitions.parameters.values import shown
from shared.errors import UserError
from shared.jobs.requests import new_request, refuse_paused, stop
from shared.state import Job, JobKind, JobRequest, RunRecord, RunState
from shared.views.plan_files import PlanFile
from shared.views.runs import run_named

__all__ = [
    "WORDS",
    "ask_for_apply",
    "ask_for_job",
    "ask_for_retry",
    "ask_for_undo",
    "ask_for_uploaded_retry",
    "planned_job",
    "refused_values",
    "stop_job",
    "stop_run",
]

WORDS: Final = {
    JobKind.RUN: "asked for a run",
    JobKind.PLAN: "asked for a plan",
    JobKind.APPLY: "asked to apply a plan",
    JobKind.RETRY: "sent mended rows",
    JobKind.UNDO_PLAN: "asked what the undo of a run would do",
    JobKind.UNDO: "asked to undo a run",
}
"""What the audit log says of each kind of job."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def ask_for_job(
    visit: Visit, kind: JobKind, parameters: Mapping[str, str], *, force: bool, file: Mapping[str, str] = _NONE
) -> tuple[Job, bool]:
    """Make a job for the sync of the path, unless one for the same thing waits.

    Args:
        visit: Whoever asks may run the sync.
        kind: A run or a plan.
        parameters: What overrides the definition's parameters, as text.
        force: Override the safety limits.
        file: The path of the source, by its parameter, where the person has sent the file: who may execute may do that.

    Returns:
        The job, and whether it is an earlier one.

    Raises:
        Refusal: Only `admin` may give one of these values.
        UserError: A value cannot be used, or the definition has mistakes.
    """
    definition = visit.app.definition(visit.sync)
    if names := refused_values(visit, definition, parameters):
        said = f"Only a person with the right `admin` may give another value for {', '.join(names)}."
        raise Refusal(403, "Not allowed", said)
    values = {**parameters, **file}
    request = new_request(definition, values, kind=kind, force=force, requested_by=visit.person.name)
    visit.app.parameters(definition, values)  # so that a mistake is said here, and not by the run
    return _asked(visit, request)


def refused_values(visit: Visit, definition: SyncDefinition, given: Mapping[str, str]) -> list[str]:
    """The parameters whose values the person may not give to a job; see `guarded_values` and `values_leading_out`.

    Args:
        visit: Who asks for a job of the sync of the path.
        definition: Of that sync.
        given: Values of parameters, as text.
    """
    if visit.may(Level.ADMIN):
        return []
    if refused := guarded_values(definition, given, visit.connections):
        return refused
    try:
        values = visit.app.parameters(definition, given)
    except UserError:  # no job is made with them: whoever asks is told what is wrong with a value
        return []
    return values_leading_out(definition, given, values)


def ask_for_apply(visit: Visit, *, force: bool) -> tuple[Job, bool]:
    """Make a job that applies exactly the plan of the job of the path; see `ask_for_job`.

    Raises:
        UserError: The job has no plan, or its plan breaks a limit and the limits are not overridden.
    """
    job = planned_job(visit, JobKind.PLAN)
    kept = visit.app.state.job_file(job.id, PLAN)
    if kept is None:
        raise UserError("the plan is not there any more: make a new one")
    saved = PlanFile.of_text(kept, sync=visit.sync)
    if saved.plan.get("violations") and not force:
        raise UserError("the plan breaks a safety limit: it can only be applied with `force`")
    definition = visit.app.definition(visit.sync)
    request = new_request(
        definition, job.request.parameters, kind=JobKind.APPLY, force=force, requested_by=visit.person.name
    )
    return _asked(visit, replace(request, of=job.id))


def ask_for_retry(visit: Visit, run: RunRecord, data: bytes) -> tuple[Job, bool]:
    """Make a job that runs the mended rows of a run; see `ask_for_job`.

    Args:
        visit: Whoever asks may run the sync.
        run: The run whose rows were mended.
        data: The file.

    Raises:
        UserError: The file is empty or cannot be used, or the run has no rows to mend any more.
    """
    if not data.strip():
        raise UserError("the file is empty: send the file to mend with its rows corrected")
    check_mended(visit.app, run, data, MENDED)
    definition, name = visit.app.definition(run.sync), visit.person.name
    request = new_request(definition, {}, kind=JobKind.RETRY, force=False, requested_by=name)
    return _asked(visit, replace(request, of=run.run_id), {MENDED: data})


def ask_for_uploaded_retry(visit: Visit, run: RunRecord, upload: str) -> tuple[Job, bool]:
    """Make a job that runs the mended rows of a file that was sent to storage; see `ask_for_retry`.

    Args:
        visit: Whoever asks may run the sync.
        run: The run whose rows were mended.
        upload: What the address of the file was given with.

    Raises:
        UserError: The file has not come as it was announced, or see `ask_for_retry`.
    """
    file = arrived(visit, upload)
    found = ask_for_retry(visit, run, file.read())
    file.remove()
    return found


def ask_for_undo(visit: Visit, run: RunRecord, kind: JobKind, *, force: bool) -> tuple[Job, bool]:
    """Make a job that undoes a run, or that says what its undo would do; see `ask_for_job`.

    Args:
        visit: Whoever asks may run the sync.
        run: The run.
        kind: The undo, or the question.
        force: Set back what others have changed, too.

    Raises:
        UserError: The run cannot be undone.
    """
    if why := obstacle(visit.app, run):
        raise UserError(why)
    given = {name: shown(value) for name, value in run.given.items()}
    request = new_request(visit.app.definition(run.sync), given, kind=kind, force=force, requested_by=visit.person.name)
    return _asked(visit, replace(request, of=run.run_id))


def stop_run(visit: Visit, run: RunRecord) -> RunState:
    """Stop a run at its next chunk boundary; see `shared.jobs.requests.stop`."""
    state = stop(visit.app.state, run, visit.person.name)
    visit.note("cancelled a run" if state == RunState.RUNNING else "took a job back", after=run.run_id)
    return state


def stop_job(visit: Visit, job: Job) -> RunState:
    """Take a job back that waits, or stop its run."""
    return stop_run(visit, run_named(job.id, visit.app.state))


def planned_job(visit: Visit, kind: JobKind) -> Job:
    """The job of the path, which has planned a run, or an undo.

    Raises:
        Refusal: It has no plan.
    """
    job = visit.app.state.job(str(visit.request.path_params["job"]))
    if job is None or job.request.kind is not kind:
        raise Refusal(404, "Not found", "This job has no plan.")
    if job.state != RunState.SUCCEEDED:
        raise Refusal(409, "No plan yet", f"The job is {job.state}. {job.message}".strip())
    return job


def _asked(visit: Visit, request: JobRequest, files: Mapping[str, bytes] = MappingProxyType({})) -> tuple[Job, bool]:
    if not request.kind.is_read_only and request.kind is not JobKind.UNDO:
        refuse_paused(visit.app.state, request.sync)
    if any(each.sameness == request.sameness for each in visit.app.state.job_requests()):
        job = visit.console.ask(request, files)
        if job.id != request.id:
            return job, True
    about = {"job": request.id, "of": request.of, "parameters": request.parameters, "force": request.force}
    after = json.dumps({name: value for name, value in about.items() if value})
    with visit.noting(WORDS[request.kind], after=after):
        job = visit.console.ask(request, files)
    return job, job.id != request.id
