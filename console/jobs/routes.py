"""The routes of jobs, runs and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from console.jobs import api, pages
from console.jobs.lists import READS
from console.jobs.models import (
    ApplyAsked,
    ErrorsGiven,
    FilesGiven,
    JobAsked,
    JobGiven,
    JobsGiven,
    PlanGiven,
    RunGiven,
    Stopped,
    UndoAsked,
    UndoPlanGiven,
)
from console.uploads.addresses import MOST_MENDED
from console.uploads.keeping import MOST_UPLOADED
from console.web.needs import Need
from console.web.routing import Content, Parameter, Path

__all__ = ["ROUTES"]

_CSV: Final = "text/csv"
_PAGES: Final = (
    Path(path="/syncs/{sync}/start", answer=pages.start_page, need=Need.EXECUTE),
    Path(
        path="/syncs/{sync}/jobs",
        method="POST",
        answer=pages.start_job,
        need=Need.EXECUTE,
        most_bytes=MOST_UPLOADED,
    ),
    Path(path="/jobs", answer=pages.jobs_page, need=Need.SIGNED_IN),
    Path(path="/jobs/{job}", answer=pages.job_page, need=Need.SOME),
    Path(path="/jobs/{job}/cancel", method="POST", answer=pages.cancel_job, need=Need.EXECUTE),
    Path(path="/runs/{run}", answer=pages.run_page, need=Need.SOME),
    Path(path="/runs/{run}/cancel", method="POST", answer=pages.cancel_run, need=Need.EXECUTE),
    Path(path="/runs/{run}/retry", method="POST", answer=pages.retry_run, need=Need.EXECUTE, most_bytes=MOST_MENDED),
    Path(path="/runs/{run}/undo-plan", method="POST", answer=pages.undo_run_plan, need=Need.EXECUTE),
    Path(path="/runs/{run}/undo", method="POST", answer=pages.undo_run, need=Need.EXECUTE),
    Path(path="/undo-plans/{job}", answer=pages.undo_plan_page, need=Need.SOME),
    Path(path="/runs/{run}/files/{name}", answer=pages.file_of_run, need=Need.READ),
    Path(path="/plans/{job}", answer=pages.plan_page, need=Need.SOME),
    Path(path="/plans/{job}/confirm", answer=pages.confirm_page, need=Need.EXECUTE),
    Path(path="/plans/{job}/apply", method="POST", answer=pages.apply_plan, need=Need.EXECUTE),
)
_API: Final = (
    Path(
        path="/api/syncs/{sync}/jobs",
        method="POST",
        answer=api.start,
        need=Need.EXECUTE,
        summary="Start a run or a plan; a job for the same thing that waits is joined.",
        takes=JobAsked,
        gives=JobGiven,
    ),
    Path(
        path="/api/jobs",
        answer=api.jobs,
        need=Need.SIGNED_IN,
        summary="Jobs and runs, newest first; `state` is active (default), successful, failed or plans, `sync` is a "
        "name, `page` begins at 1.",
        reads=READS,
        gives=JobsGiven,
    ),
    Path(
        path="/api/jobs/{job}",
        answer=api.job,
        need=Need.SOME,
        summary="One job, with the answer of a preview or a test.",
        gives=JobGiven,
    ),
    Path(
        path="/api/jobs/{job}/cancel",
        method="POST",
        answer=api.cancel_job,
        need=Need.EXECUTE,
        summary="Take a job back, or stop its run before the next request.",
        gives=Stopped,
    ),
    Path(path="/api/runs/{run}", answer=api.run, need=Need.SOME, summary="One run.", gives=RunGiven),
    Path(
        path="/api/runs/{run}/errors",
        answer=api.errors,
        need=Need.SOME,
        summary="The errors of a run; keys and values of example rows only with the right `read`.",
        gives=ErrorsGiven,
    ),
    Path(
        path="/api/runs/{run}/files",
        answer=api.files,
        need=Need.SOME,
        summary="The names of the files of a run.",
        gives=FilesGiven,
    ),
    Path(
        path="/api/runs/{run}/files/{name}",
        answer=api.file_of_run,
        need=Need.READ,
        summary="One file of a run, as CSV.",
        gives=Content(media=_CSV, about="The file; the header `Content-Disposition` has its name."),
    ),
    Path(
        path="/api/runs/{run}/retry",
        method="POST",
        answer=api.retry,
        need=Need.EXECUTE,
        most_bytes=MOST_MENDED,
        summary="Run mended rows of a run; the body is the CSV text, or `upload` names a file that is in storage.",
        reads=(Parameter(name="upload", about="Id of a file that was sent to an address in storage; no body then."),),
        takes=Content(media=_CSV, about="The mended rows, with the columns of the file to mend."),
        needs_body=False,
        gives=JobGiven,
    ),
    Path(
        path="/api/runs/{run}/cancel",
        method="POST",
        answer=api.cancel_run,
        need=Need.EXECUTE,
        summary="Stop a run before its next request.",
        gives=Stopped,
    ),
    Path(
        path="/api/runs/{run}/undo-plan",
        method="POST",
        answer=api.undo_plan_job,
        need=Need.EXECUTE,
        summary="Ask what taking a run back would change; nothing is written.",
        takes=UndoAsked,
        needs_body=False,
        gives=JobGiven,
    ),
    Path(
        path="/api/runs/{run}/undo",
        method="POST",
        answer=api.undo,
        need=Need.EXECUTE,
        summary="Take a run back, and pause its sync.",
        takes=UndoAsked,
        needs_body=False,
        gives=JobGiven,
    ),
    Path(
        path="/api/undo-plans/{job}",
        answer=api.undo_plan,
        need=Need.SOME,
        summary="What taking a run back would change, as the job has found.",
        gives=UndoPlanGiven,
    ),
    Path(
        path="/api/plans/{job}", answer=api.plan, need=Need.SOME, summary="The plan that a job made.", gives=PlanGiven
    ),
    Path(
        path="/api/plans/{job}/apply",
        method="POST",
        answer=api.apply_plan,
        need=Need.EXECUTE,
        summary="Apply exactly this plan; the run is refused if source or target moved.",
        takes=ApplyAsked,
        needs_body=False,
        gives=JobGiven,
    ),
)
ROUTES: Final[Sequence[Path]] = (*_PAGES, *_API)
