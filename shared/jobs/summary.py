"""How a run ended, in numbers: what `run --json` prints and the execution log keeps."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from shared.counted import counted
from shared.dataverse import CoursePoint
from shared.state import ErrorRow, RunState

__all__ = [
    "ChangeCounts",
    "ErrorRow",
    "MirrorFigures",
    "OutcomeCounts",
    "RowCounts",
    "RunState",
    "RunSummary",
    "StepOutcome",
    "StepState",
    "peak_memory_mb",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows of one side: processed = verified + rejected + filtered."""

    processed: int = 0
    verified: int = 0
    rejected: int = 0
    filtered: int = 0

    def to_json(self) -> dict[str, int]:
        """The four counts by name."""
        return {
            "processed": self.processed,
            "verified": self.verified,
            "rejected": self.rejected,
            "filtered": self.filtered,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCounts:
    """Records of one kind of change: written and planned."""

    done: int = 0
    planned: int = 0

    def to_json(self) -> dict[str, int]:
        """Both counts by name."""
        return {"done": self.done, "planned": self.planned}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCounts:
    """Outcomes of a run, counted: applied changes by action, all others by their result.

    Those adopted a record, were not made because the record was edited meanwhile, failed or were skipped.
    """

    insert: int = 0
    update: int = 0
    delete: int = 0
    expire: int = 0
    deactivate: int = 0
    mark: int = 0
    reactivate: int = 0
    upsert: int = 0
    adopted: int = 0
    edited: int = 0
    failed: int = 0
    skipped: int = 0


class StepState(StrEnum):
    """The result of a step after the sync.

    Attributes:
        SUCCEEDED: It was carried out.
        FAILED: It was not carried out, or not to its end.
        SKIPPED: Its `run_on` does not ask for it.
        NOT_RUN: The run ended before it; the run that continues this one carries it out.
    """

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    NOT_RUN = "Not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """One step after the sync.

    Attributes:
        kind: `action`, `update`, `sql` or `http`.
        message: Why it has this state; empty for a step that was carried out.
        figures: Its figures, such as `updated` -> 12 or `status` -> 200.
        run: The id of the earlier run that carried it out; empty for this run.
    """

    name: str
    kind: str
    state: StepState
    seconds: float = 0.0
    message: str = ""
    figures: Mapping[str, int] = field(default_factory=dict)
    run: str = ""

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state.value,
            "seconds": round(self.seconds, 3),
            "message": self.message,
            "figures": dict(self.figures),
            "run": self.run,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFigures:
    """What a mirror has saved, or why it has not.

    Attributes:
        read: `changes`, or `whole` where the whole table was read.
        reason: Why the whole table was read; empty for `changes`.
        kept: Whether the mirror is as new as this run.
        changed: Records that were read again, because the service listed them as changed.
        removed: Records that have left the mirror: deleted, or outside the filter now.
        difference: Records that differed between the mirror and the table, when they were compared; must be 0. None
            where they were not compared.
    """

    read: Literal["changes", "whole"]
    reason: str = ""
    kept: bool = False
    changed: int = 0
    removed: int = 0
    difference: int | None = None

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the mirror."""
        if not self.difference:
            return ()
        note = (
            f"mirror difference: {counted(self.difference, 'record')} had other values than the mirror, although the "
            "service did not list them as changed; this run has compared with the table itself. If the environment was "
            "not restored from a backup, set destination.mirror to false"
        )
        return (note,)

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run from start to end.

    Attributes:
        created_references: Records of other tables that lookups created.
        adopted: Records that the service named as having the key of a planned insert, and that took its place.
        edited: Records that were changed after they were compared, and that therefore keep their values.
        completed: Whether the run got to its end; False when it failed, was interrupted or stopped by `max_errors`, or
            a step after the sync failed.
        rows_in_error: Rows of the source with an error, also those of which only a field was left out; a refused
            change of a record that has no row, such as a drop, counts as one.
        left_out: Column of the source -> rows in which its field was left out, the most first.
        environment: Host of the environment that is written to.
        elapsed_seconds: Wall-clock time.
        write_seconds: Of it, from the first write to the last outcome.
        course: How the writing went, in seconds since the start of the run; empty where nothing was to be written.
        peak_memory_mb: Highest resident memory of the process.
        post_sync: The steps after the sync, in order; none where the run ended before its writes did.
        continues: The id of the earlier run whose steps it went on with, and whose figures they know; empty for none.
        mirror: What the mirror has saved; None for a sync without one, and where the run ended before the reading.
        peak_disk_mb: The most that the run's temporary folder held, in millions of bytes.
    """

    run_id: str
    sync: str
    state: RunState
    strategy: str
    completed: bool = False
    message: str = ""
    source: RowCounts = field(default_factory=RowCounts)
    target: RowCounts = field(default_factory=RowCounts)
    created: ChangeCounts = field(default_factory=ChangeCounts)
    updated: ChangeCounts = field(default_factory=ChangeCounts)
    deleted: ChangeCounts = field(default_factory=ChangeCounts)
    expired: ChangeCounts = field(default_factory=ChangeCounts)
    deactivated: ChangeCounts = field(default_factory=ChangeCounts)
    marked: ChangeCounts = field(default_factory=ChangeCounts)
    reactivated: ChangeCounts = field(default_factory=ChangeCounts)
    upserted: ChangeCounts = field(default_factory=ChangeCounts)
    created_references: ChangeCounts = field(default_factory=ChangeCounts)
    unchanged: int = 0
    ignored: int = 0
    adopted: int = 0
    edited: int = 0
    failed: int = 0
    skipped: int = 0
    violations: int = 0
    rows_in_error: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    environment: str = ""
    requests: int = 0
    writes: int = 0
    throttled: int = 0
    retries: int = 0
    elapsed_seconds: float = 0.0
    write_seconds: float = 0.0
    course: tuple[CoursePoint, ...] = ()
    peak_memory_mb: float = 0.0
    peak_disk_mb: float = 0.0
    errors: tuple[ErrorRow, ...] = ()
    post_sync: tuple[StepOutcome, ...] = ()
    continues: str = ""
    mirror: MirrorFigures | None = None

    @property
    def written(self) -> int:
        """How many records were created, changed or deleted."""
        done = (self.created, self.updated, self.deleted, self.expired, self.deactivated, self.marked)
        return sum(each.done for each in (*done, self.reactivated, self.upserted, self.created_references))

    @property
    def clean(self) -> bool:
        """Whether all rows were processed without an error."""
        return self.completed and not (self.failed or self.skipped or self.source.rejected or self.violations)

    @property
    def exit_code(self) -> int:
        """0 success, 1 the run failed, 2 rows were rejected or changes refused, 130 a person stopped it."""
        if self.state is RunState.CANCELLED:
            return 130
        if not self.completed:
            return 1
        return 0 if self.clean else 2

    def to_json(self) -> dict[str, Any]:
        """The object that `run --json` prints."""
        return {
            "run_id": self.run_id,
            "sync": self.sync,
            "state": self.state.value,
            "strategy": self.strategy,
            "completed": self.completed,
            "message": self.message,
            "source": self.source.to_json(),
            "target": {key: value for key, value in self.target.to_json().items() if key != "filtered"},
            "created": self.created.to_json(),
            "updated": self.updated.to_json(),
            "deleted": self.deleted.to_json(),
            "expired": self.expired.to_json(),
            "deactivated": self.deactivated.to_json(),
            "marked": self.marked.to_json(),
            "reactivated": self.reactivated.to_json(),
            "upserted": self.upserted.to_json(),
            "created_references": self.created_references.to_json(),
            "unchanged": self.unchanged,
            "ignored": self.ignored,
            "adopted": self.adopted,
            "edited": self.edited,
            "failed": self.failed,
            "skipped": self.skipped,
            "violations": self.violations,
            "rows_in_error": self.rows_in_error,
            "left_out": dict(self.left_out),
            "environment": self.environment,
            "requests": self.requests,
            "writes": self.writes,
            "throttled": self.throttled,
            "retries": self.retries,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "write_seconds": round(self.write_seconds, 3),
            "course": {
                "seconds": [round(point.seconds, 2) for point in self.course],
                "rows": [point.rows for point in self.course],
                "parallel": [point.parallel for point in self.course],
                "throttled": [point.throttled for point in self.course],
            },
            "peak_memory_mb": round(self.peak_memory_mb, 1),
            "peak_disk_mb": round(self.peak_disk_mb, 1),
            "errors": [error.to_json() for error in self.errors],
            "post_sync": [step.to_json() for step in self.post_sync],
            "continues": self.continues,
            "mirror": self.mirror.to_json() if self.mirror else None,
        }


def peak_memory_mb() -> float:
    """Highest resident memory of this process; `ru_maxrss` is in kilobytes on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
