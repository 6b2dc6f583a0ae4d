"""How far a run reads its source and where it starts: the watermark of its sync, which moves when the run has ended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from shared.definitions import ParameterValue, SyncDefinition
from shared.definitions.models import WatermarkedSource
from shared.errors import UserError
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.lease_keeping import holding
from shared.reconcile.outcomes import UNFINISHED_ROWS
from shared.sources.watermarks.marks import Mark, Watermarked, identity_of, later
from shared.state import StateStore
from shared.workspace import Workspace

__all__ = ["Watermarking", "has_watermark", "set_by_person"]


def has_watermark(definition: SyncDefinition) -> bool:
    """Whether a sync reads only what is past its watermark."""
    return getattr(definition.source, "watermark", None) is not None


def set_by_person(
    definition: SyncDefinition, parameters: Mapping[str, ParameterValue], state: StateStore, value: str | None
) -> None:
    """Give a sync another watermark, or none, while no run of it is under way.

    Args:
        definition: Says what it is a watermark of.
        parameters: The values of its parameters.
        state: Keeps it.
        value: A value of the column; None to read everything again.

    Raises:
        UserError: The sync has no watermark, or a run of it is under way.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    text = ""
    if value is not None:
        if not isinstance(definition.source, WatermarkedSource) or not has_watermark(definition):
            raise UserError(f"{definition.name} has no watermark: its source does not name one")
        text = Mark(value=value, scale="", identity=identity_of(definition.source, parameters)).to_text()
    with holding(state, definition.name, uuid.uuid4().hex) as lease:
        state.set_watermark(definition.name, text, fence=lease.fence)


@dataclass(frozen=True, slots=True)
class Watermarking:
    """The watermark of one run.

    Attributes:
        source: What is read from it on.
        kept: What the run started with, as the state store had it; empty for the beginning.
    """

    source: Watermarked
    kept: str

    @classmethod
    def of(cls, job: BatchJob, tools: Tools) -> Watermarking | None:
        """The watermark of a run; None where the definition has none. It is read under the lease of the run.

        A run that applies a saved plan starts where the plan did.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        if not has_watermark(job.definition) or not isinstance(tools.source, Watermarked):
            return None
        planned = job.options.approved.watermark if job.options.approved else None
        kept = tools.state.watermark(job.definition.name) if planned is None else planned
        return cls(tools.source, kept or "")

    def begin(self) -> None:
        """Let the source start there."""
        self.source.start_at(Mark.read(self.kept))

    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        if not self.source.began_anew:
            return ()
        said = "the watermark is of another source, column or type, so all rows were read"
        return (said,)

    def moved(self, workspace: Workspace) -> str | None:
        """The watermark after the run, for the state store; None where it stays.

        It never moves back: rows of the overlap that are not done are in the overlap of the next run, too.
        """
        reached = self.source.reached(workspace, UNFINISHED_ROWS)
        before = None if self.source.began_anew else Mark.read(self.kept)
        return reached.to_text() if reached is not None and later(reached, before) else None
