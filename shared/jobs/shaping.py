"""From `source_raw` to `desired`, up to the lookups: what scripts see, then the scripts, then the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.entities import EntityMetadata
from shared.jobs.run_steps import NOTHING, seeing_steps, shaping_steps
from shared.jobs.scripting import run_scripts
from shared.scripts import ScriptEngine
from shared.transform import CompiledMappings, ScriptColumn, script_columns
from shared.workspace import Purpose, Step, Workspace

__all__ = ["Shaping", "run_all"]

Place = TypeVar("Place", bound=Workspace)
Found = TypeVar("Found")


def run_all(steps: Sequence[Step], workspace: Workspace) -> None:
    """Run every step."""
    for step in steps:
        workspace.run(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """What follows from definition and metadata.

    Attributes:
        seeing: The steps that make what scripts see.
        scripts: The columns that scripts calculate.
        steps: From `source_raw` and the results of scripts to `desired`.
    """

    seeing: tuple[Step, ...]
    scripts: tuple[ScriptColumn, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, desire: CompiledMappings, entity: EntityMetadata, *, leave_out: Purpose = NOTHING) -> Shaping:
        """The shaping of a sync's rows, without the steps that have no other purpose than those to leave out."""
        return cls(
            seeing=seeing_steps(desire),
            scripts=script_columns(desire.definition),
            steps=shaping_steps(desire, entity, leave_out=leave_out),
        )

    def run(self, workspace: Place, engine: ScriptEngine, run_steps: Callable[[Sequence[Step], Place], Found]) -> Found:
        """Shape the rows in `source_raw`.

        Args:
            workspace: Has the rows.
            engine: Runs the scripts.
            run_steps: Runs steps.

        Returns:
            What `run_steps` says of the last steps.

        Raises:
            DefinitionError, UserError, OutOfTimeError: See `run_scripts`.
        """
        if self.scripts:
            run_steps(self.seeing, workspace)
            run_scripts(workspace, self.scripts, engine)
        return run_steps(self.steps, workspace)
