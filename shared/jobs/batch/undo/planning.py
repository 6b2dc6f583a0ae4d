"""The plan of an undo: what it would do, without having done it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.counted import counted
from shared.jobs.batch.job import Tools
from shared.jobs.batch.plans.names import with_names
from shared.jobs.batch.undo.preparation import PreparedUndo, UndoJob, prepare_undo
from shared.reconcile import SampleChange, sample_query
from shared.reconcile import samples as read_samples
from shared.reconcile.undo.reports import UNDO_COUNTS, edited_query
from shared.workspace import Workspace

__all__ = ["UndoCounts", "UndoPlan", "not_undone", "plan_undo", "undo_counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoCounts:
    """Records of the run, by what its undo does to them.

    Attributes:
        create: Deleted by the run, and created again or restored.
        restore: Of them, those that the recycle bin of the environment has.
        set_back: Changed by the run, and set back.
        delete: Created by the run, and deleted.
        unchanged: They are as before the run already.
        edited: Others have changed something since that is left alone; some values of such a record may be set back.
    """

    create: int = 0
    restore: int = 0
    set_back: int = 0
    delete: int = 0
    unchanged: int = 0
    edited: int = 0

    @property
    def changes(self) -> int:
        """Records that are written."""
        return self.create + self.set_back + self.delete

    def to_json(self) -> dict[str, int]:
        """All counts by name."""
        return {
            "create_again": self.create - self.restore,
            "restore": self.restore,
            "set_back": self.set_back,
            "delete": self.delete,
            "unchanged": self.unchanged,
            "edited_since": self.edited,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPlan:
    """What an undo would do.

    Attributes:
        sample: Some changes of each kind.
        edited: Some of what others have changed, as JSON objects: `id`, `key`, `column` and `message`.
        not_undone: What does not come back, one sentence each.
        requests: That were sent to make the plan.
        throttled: Requests of the plan that were throttled.
    """

    run_id: str
    sync: str
    counts: UndoCounts
    sample: tuple[SampleChange, ...]
    edited: tuple[Mapping[str, Any], ...]
    not_undone: tuple[str, ...]
    requests: int
    throttled: int

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "undo_of": self.run_id,
            "sync": self.sync,
            "planned": self.counts.to_json(),
            "not_undone": list(self.not_undone),
            "sample": [change.to_json() for change in self.sample],
            "edited": [dict(each) for each in self.edited],
            "requests": self.requests,
            "throttled": self.throttled,
        }


def plan_undo(job: UndoJob, tools: Tools, *, sample: int = 5) -> UndoPlan:
    """Do everything but the writing.

    Args:
        job: The undo.
        tools: What it works with.
        sample: Changes of each kind that are shown.

    Raises:
        UserError, AbortRun, RetryLater: As `prepare_undo`.
    """
    with tools.open_workspace() as workspace:
        prepared = prepare_undo(job, tools, workspace)
        shown = [replace(each, row=None) for each in read_samples(workspace.query(sample_query(sample)))]
        counts = undo_counts(workspace)
        named = with_names(shown, prepared.entity, prepared.layout, workspace, tools.dataverse)
        usage = tools.dataverse.usage()  # after the last request
        return UndoPlan(
            run_id=job.run.run_id,
            sync=job.definition.name,
            counts=counts,
            sample=named,
            edited=tuple(_edited(workspace, sample)),
            not_undone=tuple(not_undone(job, prepared, counts)),
            requests=usage.requests,
            throttled=usage.throttled,
        )


def undo_counts(workspace: Workspace) -> UndoCounts:
    """Count the records of a workspace that is prepared for an undo."""
    ((create, set_back, delete, restore, unchanged, edited),) = workspace.query(UNDO_COUNTS)
    return UndoCounts(
        create=create, restore=restore, set_back=set_back, delete=delete, unchanged=unchanged, edited=edited
    )


def _edited(workspace: Workspace, limit: int) -> Iterator[dict[str, Any]]:
    for record, key, column, message in workspace.query(edited_query(limit)):
        yield {"id": record, "key": json.loads(key or "{}"), "column": column, "message": message}


def not_undone(job: UndoJob, prepared: PreparedUndo, counts: UndoCounts) -> Iterator[str]:
    """What does not come back, one sentence each."""
    if counts.create > counts.restore and not prepared.entity.intersect:
        yield (
            "Records that are created again have their id and the values that can be written, but not what was deleted "
            "with them: child records, links to other records, notes and files. Who created them and when is new"
        )
    run = job.run.counts
    created = _done(run, "created_references")
    if created:
        yield f"{counted(created, 'record', 'records')} that lookups created in other tables stay"
    steps = run.get("post_sync")
    if isinstance(steps, Sequence) and any(step.get("state") == "Succeeded" for step in steps):
        yield "Steps after the sync are not taken back"
    if prepared.not_found:
        yield (
            f"Of {counted(prepared.not_found, 'record', 'records')} it is not known whether the run created "
            f"{'it' if prepared.not_found == 1 else 'them'}: the run ended before it had the answers, and the table "
            "takes no ids from the app. Look for them in Dataverse by the time of the run"
        )
    if prepared.unknown:
        yield f"Columns that the table does not have any more, or that cannot be written: {', '.join(prepared.unknown)}"


def _done(counts: Mapping[str, Any], name: str) -> int:
    found = counts.get(name)
    return int(found.get("done", 0)) if isinstance(found, Mapping) else 0
