"""How far a run reads its source and where it starts: the watermark of its sync, which moves when the run has ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.definitions import ParameterValue, SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.lease_keeping import holding
from shared.reconcile.outcomes import unfinished_rows
from shared.sources import Source
from shared.sources.watermarks.identity import identity_of
from shared.sources.watermarks.marks import Mark, Marks, Watermarked, later
from shared.state import StateStore
from shared.transform.lookups.columns import late_lookups
from shared.workspace import Workspace

__all__ = ["Watermarking", "check_start", "has_watermark", "kept_value", "set_by_person"]


def has_watermark(definition: SyncDefinition) -> bool:
    """Whether a sync reads only what is past its watermark."""
    return getattr(definition.source, "watermark", None) is not None


def kept_value(
    definition: SyncDefinition, parameters: Mapping[str, ParameterValue], given: Collection[str], state: StateStore
) -> str | None:
    """The value at which the next run with these parameters begins; None where it reads all rows.

    Args:
        definition: As a run takes it.
        parameters: The value of each parameter.
        given: The parameters whose values the run has from outside.
        state: Keeps the watermarks.

    Raises:
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    if not has_watermark(definition):
        return None
    mark = Marks.read(state.watermark(definition.name)).marks.get(identity_of(definition, parameters, given))
    return mark.value if mark else None


def check_start(
    definition: SyncDefinition,
    open_source: Callable[[], Source],
    open_workspace: Callable[[Sequence[str]], Workspace],
    value: str | None,
) -> None:
    """Check that the next run can begin at what a person gives.

    Args:
        definition: As a run takes it.
        open_source: Opens its source.
        open_workspace: Makes an empty workspace that may read some local files.
        value: A value of the column; None to read everything, which is always possible.

    Raises:
        UserError: It is empty, it does not fit the column, or the source cannot be read.
        DefinitionError: The column cannot be the one of a watermark.
        RetryLater, AbortRun: The source is unavailable, or refuses us.
    """
    if value is None or not has_watermark(definition):
        return
    if not value.strip():
        raise UserError("the value is empty; to let the next run read all rows, write --reset instead of --set")
    source = open_source()
    if isinstance(source, Watermarked):
        with open_workspace(source.readable) as workspace:
            source.check(workspace, Mark(value=value, scale="", identity=""))


def set_by_person(
    definition: SyncDefinition,
    parameters: Mapping[str, ParameterValue],
    given: Collection[str],
    state: StateStore,
    value: str | None,
) -> None:
    """Give a sync another watermark, or none, while no run of it is under way.

    Args:
        definition: Says what it is a watermark of.
        parameters: The values of its parameters.
        given: The parameters whose values are from outside.
        state: Keeps it.
        value: A value of the column; None to read everything again, also with other values of the parameters.

    Raises:
        UserError: The sync has no watermark, or a run of it is under way.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    if value is not None and not has_watermark(definition):
        raise UserError(f"{definition.name} has no watermark: its source does not name one")
    with holding(state, definition.name, uuid.uuid4().hex) as lease:
        text = ""
        if value is not None:
            mark = Mark(value=value, scale="", identity=identity_of(definition, parameters, given))
            text = Marks.read(state.watermark(definition.name)).with_mark(mark).to_text()
        state.set_watermark(definition.name, text, fence=lease.fence)


@dataclass(frozen=True, slots=True)
class Watermarking:
    """The watermark of one run.

    Attributes:
        source: What is read from it on.
        identity: Of what it is.
        kept: What the run started with, as a plan has it; empty for the beginning.
        known: All watermarks of the sync.
    """

    source: Watermarked
    identity: str
    kept: str
    known: Marks

    @classmethod
    def of(cls, job: BatchJob, tools: Tools) -> Watermarking | None:
        """The watermark of a run; None where the definition has none. It is read under the lease of the run.

        A run that applies a saved plan starts where the plan did.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        if not has_watermark(job.definition) or not isinstance(tools.source, Watermarked):
            return None
        identity = identity_of(job.definition, job.parameters, job.options.given or ())
        known = Marks.read(tools.state.watermark(job.definition.name))
        mark = known.marks.get(identity)
        planned = job.options.approved.watermark if job.options.approved else None
        kept = planned if planned is not None else mark.to_text() if mark else ""
        return cls(tools.source, identity, kept, known)

    def begin(self) -> None:
        """Let the source start there."""
        self.source.start_at(Mark.read(self.kept), self.identity)

    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        if not self.source.began_anew and (self.kept or not self.known.marks):
            return ()
        other = "another source, column, type, environment, table or parameter"
        return (f"the watermark is of {other}, so all rows were read",)

    def moved(self, workspace: Workspace, definition: SyncDefinition, entity: EntityMetadata) -> str | None:
        """The watermarks after the run, for the state store; None where they stay.

        The watermark never moves back: rows of the overlap that are not done are in the overlap of the next run, too.
        """
        waiting = [name for lookup in late_lookups(definition, entity) for name in (lookup.label, lookup.name)]
        reached = self.source.reached(workspace, unfinished_rows(waiting))
        before = None if self.source.began_anew else Mark.read(self.kept)
        return self.known.with_mark(reached).to_text() if reached is not None and later(reached, before) else None
