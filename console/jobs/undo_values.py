"""What the undo of a run would do, as the page and the API show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from console.access.rights import Level
from console.jobs.asking import planned_job
from console.jobs.plan_values import answer_of
from console.web.visit import Visit
from shared.state import Job, JobKind
from shared.views.pages.masking import masked_undo
from shared.views.pages.plan_parts import Group, groups, shown_key

__all__ = ["UndoShown", "shown_undo"]

# Name in the plan -> label and kind of a figure.
_FIGURES: Final = (
    ("delete", "to delete", "drop"),
    ("set_back", "to set back", "edit"),
    ("create_again", "to create again", "add"),
    ("restore", "to restore from the recycle bin", "add"),
    ("unchanged", "as before the run already", ""),
    ("edited_since", "edited since", "bad"),
)
_TITLES: Final = {
    "To delete": "Records of the run that are deleted",
    "To update": "Records that are set back",
    "To create": "Deleted records that come back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoShown:
    """The plan of an undo.

    Attributes:
        job: The job that made it.
        plan: What `undo --json` prints before it is done; masked unless the person may see values.
        pauses: Whether the sync is not paused yet.
    """

    job: Job
    plan: Mapping[str, Any]
    pauses: bool

    @property
    def figures(self) -> list[tuple[int, str, str]]:
        """(Count, label, kind) of the records."""
        planned = self.plan["planned"]
        return [(planned[name], label, kind) for name, label, kind in _FIGURES if planned[name] or name != "restore"]

    @property
    def changes(self) -> int:
        """How many records are written."""
        planned = self.plan["planned"]
        return sum(planned[name] for name in ("delete", "set_back", "create_again", "restore"))

    @property
    def groups(self) -> list[Group]:
        """Samples of the changes."""
        planned = self.plan["planned"]
        counts = {
            "deleted": planned["delete"],
            "updated": planned["set_back"],
            "created": planned["create_again"] + planned["restore"],
        }
        found = groups({"sample": self.plan["sample"], "planned": counts})
        return [replace(group, title=_TITLES.get(group.title, group.title)) for group in found]

    @property
    def edited(self) -> Sequence[tuple[str, str, str]]:
        """(Record, column, what is the matter) of some that others have changed."""
        return [(shown_key(each["key"]) or each["id"], each["column"], each["message"]) for each in self.plan["edited"]]


def shown_undo(visit: Visit) -> UndoShown:
    """Read the answer of the job of the path.

    Raises:
        Refusal: The job asks for no undo, or its answer is not there.
    """
    job = planned_job(visit, JobKind.UNDO_PLAN)
    plan = answer_of(visit, job)
    shown = plan if visit.may(Level.READ) else masked_undo(plan)
    return UndoShown(job=job, plan=shown, pauses=visit.sync not in visit.app.state.pauses())
