"""The answers of the API about one sync."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from console.access.rights import Level
from console.overview.answers import SyncAnswer
from console.syncs.checks import Check
from console.syncs.facts import Facts
from shared.errors import Problem

__all__ = [
    "CheckAnswer",
    "FactsAnswer",
    "ProblemAnswer",
    "ResumeAnswer",
    "SyncPageAnswer",
    "check_answer",
    "facts_answer",
]


class ProblemAnswer(BaseModel):
    """One mistake in a definition."""

    message: str
    path: str = Field(description="Key of the definition; empty where the whole file is meant.")
    line: int = Field(description="Line of the file; 0 where it is unknown.")
    column: int


class CheckAnswer(BaseModel):
    """What a check of a definition has found."""

    problems: list[ProblemAnswer]
    warnings: list[str] = Field(description="What may be a mistake, also where the table has changed.")
    online: bool = Field(description="Whether the environment was asked.")
    late: bool = Field(description="Whether the environment did not answer in time.")


class ResumeAnswer(BaseModel):
    """Whether a sync starts again."""

    resumed: bool = Field(description="False where it was not paused.")


class FactsAnswer(BaseModel):
    """What a definition says."""

    description: str
    version: str
    source: str
    environment: str = Field(description="Host of the environment.")
    table: str
    key: list[str]
    columns: int
    schedule: str = Field(description="The schedule as the definition has it; empty without one.")
    next_starts: list[datetime]
    behaviour: list[str]
    listener: str = Field(description="`enabled`, `disabled`, or empty without a listener.")
    permissions: dict[Level, list[str]]


class SyncPageAnswer(BaseModel):
    """One sync."""

    status: SyncAnswer
    facts: FactsAnswer | None = Field(description="Null where the definition has mistakes.")
    watermark: str | None = Field(description="How far the source has been read; only with the right `read`.")
    check: CheckAnswer


def facts_answer(facts: Facts) -> FactsAnswer:
    """The facts for programs."""
    return FactsAnswer(
        description=facts.description,
        version=facts.version,
        source=facts.source,
        environment=facts.environment,
        table=facts.table,
        key=list(facts.key),
        columns=facts.columns,
        schedule=facts.schedule.expression,
        next_starts=list(facts.schedule.starts),
        behaviour=list(facts.behaviour),
        listener=facts.listener,
        permissions={level: list(entries) for level, entries in facts.permissions.items()},
    )


def check_answer(check: Check) -> CheckAnswer:
    """A check for programs."""
    problems = [_problem(each) for each in check.problems]
    return CheckAnswer(problems=problems, warnings=list(check.warnings), online=check.online, late=check.late)


def _problem(problem: Problem) -> ProblemAnswer:
    return ProblemAnswer(message=problem.message, path=problem.path, line=problem.line, column=problem.column)
