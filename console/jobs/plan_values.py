"""One plan as the page and the API show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.access.rights import Level
from console.jobs.asking import planned_job
from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.app.requested import ANSWER, PLAN
from shared.errors import UserError
from shared.state import Job, JobKind
from shared.views.forecast import forecast_lines
from shared.views.pages.masking import masked_plan
from shared.views.pages.plan_parts import Group, LimitLine, Total, error_lines, groups, limit_lines, reasons, totals
from shared.views.plan_files import PlanFile

__all__ = ["PlanShown", "answer_of", "shown_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanShown:
    """One plan.

    Attributes:
        job: The job that planned.
        plan: What `plan --json` prints; masked unless the person may see values.
        applied_by: The run that applied it; empty where none did.
        applied: When.
    """

    job: Job
    plan: Mapping[str, Any]
    applied_by: str
    applied: datetime | None

    @property
    def about(self) -> Mapping[str, Any]:
        """Where and from what."""
        return self.plan.get("about") or {}

    @property
    def facts(self) -> list[tuple[str, str]]:
        """(Name, text)."""
        table, source = self.about.get("table", {}), self.about.get("source", {})
        facts = [
            ("Environment", self.about.get("environment", "")),
            ("Table", _with_name(table.get("label"), table.get("name", ""))),
            ("Source", ": ".join(filter(None, (source.get("type"), source.get("path"))))),
            ("Strategy", self.plan["strategy"]),
            ("Planned by", self.job.request.requested_by),
        ]
        return [(name, text) for name, text in facts if text]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The value of each parameter."""
        found: Mapping[str, str] = self.about.get("parameters", {})
        return found

    @property
    def totals(self) -> list[Total]:
        """How many records of each kind."""
        return totals(self.plan["planned"])

    @property
    def changes(self) -> int:
        """How many records change."""
        return sum(total.count for total in self.totals if total.kind != "none")

    @property
    def limits(self) -> list[LimitLine]:
        """The safety limits."""
        return limit_lines(self.about.get("limits", ()))

    @property
    def groups(self) -> list[Group]:
        """Samples of the changes, drops first."""
        return [*groups(self.plan)]

    @property
    def forecast(self) -> list[tuple[str, str]]:
        """What the run will cost."""
        return forecast_lines(self.plan.get("forecast"))

    @property
    def reasons(self) -> list[tuple[int, str, str]]:
        """Why rows are ignored or filtered."""
        return reasons(self.plan["planned"], self.about)

    @property
    def errors(self) -> list[dict[str, str]]:
        """The errors of rows."""
        return error_lines(self.plan["errors"])


def _with_name(label: str | None, name: str) -> str:
    """A label with its logical name, where they differ."""
    return f"{label} ({name})" if label and label != name else name


def shown_plan(visit: Visit) -> PlanShown:
    """Read the plan of the job of the path.

    Raises:
        Refusal: The job has no plan, or it is not there any more.
    """
    job = planned_job(visit, JobKind.PLAN)
    plan = answer_of(visit, job)
    used = visit.app.state.plan_use(_plan_id(visit, job))
    return PlanShown(
        job=job,
        plan=plan if visit.may(Level.READ) else masked_plan(plan),
        applied_by=used.run_id if used else "",
        applied=used.used if used else None,
    )


def answer_of(visit: Visit, job: Job) -> dict[str, Any]:
    """The answer of a job that has planned, with all values.

    Raises:
        Refusal: It is not there any more.
    """
    answer = visit.app.state.job_file(job.id, ANSWER)
    if answer is None:
        raise Refusal(404, "Not found", "The plan is not there any more. Make a new one.")
    found: dict[str, Any] = json.loads(answer)
    return found


def _plan_id(visit: Visit, job: Job) -> str:
    kept = visit.app.state.job_file(job.id, PLAN)
    try:
        return PlanFile.of_text(kept or b"", sync=job.request.sync).id
    except UserError:  # of another version of the program: it can be looked at, and not be applied
        return ""
