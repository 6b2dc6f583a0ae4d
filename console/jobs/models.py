"""What the API of jobs, runs and plans takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

__all__ = [
    "ApplyAsked",
    "ErrorsGiven",
    "FilesGiven",
    "JobAsked",
    "JobGiven",
    "JobsGiven",
    "PlanGiven",
    "ProgressGiven",
    "RunGiven",
    "Stopped",
    "UndoAsked",
    "UndoPlanGiven",
]

_Value = Annotated[str, Field(max_length=100_000)] | int | float | bool


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class JobAsked(_Taken):
    """A job to start."""

    kind: Literal["run", "plan"] = Field(default="run", description="A run, or a plan, which writes nothing.")
    parameters: dict[str, _Value] = Field(
        default_factory=dict, max_length=1000, description="What overrides the definition's parameters."
    )
    force: StrictBool = Field(default=False, description="Override the safety limits; a run only.")
    upload: str = Field(
        default="",
        max_length=100,
        description="A file that was sent to an address in storage: it becomes the parameter that is the path of the "
        "source.",
    )


class ApplyAsked(_Taken):
    """A plan to apply."""

    force: StrictBool = Field(default=False, description="Apply it although it breaks a safety limit.")


class UndoAsked(_Taken):
    """A run to undo, or the question what its undo would do."""

    force: StrictBool = Field(default=False, description="Set back what others have changed since, too.")


class ProgressGiven(BaseModel):
    """How far a run or a question is."""

    phase: str = Field(description="What it does, in words.")
    rows: int = Field(description="Rows that are done in this phase.")
    total: int | None = Field(description="Rows of the phase; null where they are not known.")
    rate: float | None = Field(description="Rows a second in this phase.")
    seconds_left: float | None = Field(description="Of the phase, by its rate.")
    throttled: int = Field(description="Requests of the run that Dataverse or the source has throttled so far.")
    waits_until: datetime | None = Field(description="Until when the next request waits; null where none does.")


class JobGiven(BaseModel):
    """A job, or a run without one."""

    id: str
    kind: str = Field(description="`run`, `apply`, `retry`, `undo`, `plan`, `undo-plan`, `preview` or `test`.")
    sync: str
    state: str
    requested: datetime
    requested_by: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    force: bool = False
    of: str = Field(
        default="", description="The job whose plan is applied, or the run that is undone or whose rows are retried."
    )
    runs: list[str] = Field(default_factory=list, description="Its latest runs, oldest first.")
    attempts: int = Field(default=0, description="How many of its runs in a row got nowhere.")
    ended: datetime | None = None
    message: str = Field(default="", description="Why it did not succeed, or what it waits for.")
    joined: bool = Field(default=False, description="Whether it was there already and waits.")
    progress: ProgressGiven | None = None
    run: str = Field(default="", description="Path of its latest run.")
    plan: str = Field(default="", description="Path of its plan.")
    answer: dict[str, Any] | None = Field(
        default=None,
        description="Of a `preview` or `test`, for whoever asked: `plan --json` of the first rows, with how many "
        "`rows` and what was `throttled`, values masked without the right `read`; or `test-connection --json`. Null "
        "while it is under way, for other jobs, and in lists.",
    )


class JobsGiven(BaseModel):
    """A page of jobs and runs, newest first."""

    jobs: list[JobGiven]
    page: int
    pages: int


class RunGiven(BaseModel):
    """A run."""

    run: dict[str, Any] = Field(description="Its row of the execution log, as in `runs --json`.")
    progress: ProgressGiven | None
    by: str = Field(description="Who or what started it.")
    files: list[str]
    to_mend: dict[str, Any] | None = Field(description="How many rows are left to mend; null where none were kept.")


class ErrorsGiven(BaseModel):
    """The errors of a run by kind, the most frequent first."""

    errors: list[dict[str, Any]]


class FilesGiven(BaseModel):
    """The files of a run."""

    files: list[str]


class PlanGiven(BaseModel):
    """A plan."""

    job: str
    plan: dict[str, Any] = Field(description="As `plan --json`; values are masked without the right `read`.")
    applied_by: str = Field(description="The run that applied it; empty where none did.")


class UndoPlanGiven(BaseModel):
    """What the undo of a run would do."""

    job: str
    run: str = Field(description="The run.")
    force: bool = Field(description="Whether what others have changed is set back, too.")
    plan: dict[str, Any] = Field(description="As `undo --json`; values are masked without the right `read`.")


class Stopped(BaseModel):
    """What became of a run or job that was cancelled."""

    id: str
    state: str = Field(description="`Running` for a run that stops before its next request, or `Cancelled`.")
