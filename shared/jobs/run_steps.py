"""The steps of a run: the one list that batch runs, `explain` and real time read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.reconcile import cascading, ledger_table_step, link_steps, reconcile_steps
from shared.transform import (
    CompiledMappings,
    Reference,
    TargetColumn,
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    held_references,
    held_steps,
    reference_steps,
    references,
    renewal_steps,
    script_steps,
    shape_steps,
)
from shared.workspace import Purpose, Step

__all__ = ["NOTHING", "RunSteps", "Stage", "resolving_steps", "seeing_steps", "shaping_steps"]

NOTHING: Final = Purpose(0)


class Stage(StrEnum):
    """The stages of a run's SQL, in order."""

    SHAPE = "shape"
    """From `source_raw`, which the source has filled, to `desired`, with the scripts of columns in between; and empty
    tables for what lookups search."""
    RESOLVE = "resolve"
    """Lookups in other tables; what is rejected or filtered out leaves `desired`."""
    READ = "read"
    """The table `current`, which the reader fills afterwards, and the table `ledger`."""
    MATCH = "match"
    """What cannot be matched in `current` is reported and set aside."""
    LINK = "link"
    """Lookups in the table itself, which may refer to records that this run creates."""
    RECONCILE = "reconcile"
    """From `desired` and `current` to `decisions` and `changes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteps:
    """The steps of one run.

    Attributes:
        desire: What the mappings compile to: once for all stages.
        columns: The target columns, in the order of `desired` and `current`.
        started: The start of the run, with time zone: what an expired record's date column is set to.
        target_rows: Called after the reading: about how many records `current` has.
        stored_keys: `current` stores its keys: records are read by their keys, so they are few, as those of events are.
        with_before: Keep what the records held, for a plan to show.
        leave_out: Purposes that do not matter here: steps that have no other purpose are left out.
    """

    definition: SyncDefinition
    entity: EntityMetadata
    desire: CompiledMappings
    columns: Sequence[TargetColumn]
    started: datetime
    target_rows: Callable[[], int] = lambda: 0
    stored_keys: bool = False
    with_before: bool = True
    leave_out: Purpose = NOTHING

    def of(self, stage: Stage) -> tuple[Step, ...]:
        """The steps of one stage, in order."""
        match stage:
            case Stage.SHAPE:
                shaping = shaping_steps(self.desire, self.entity, leave_out=self.leave_out)
                return (*seeing_steps(self.desire), *shaping)
            case Stage.RESOLVE:
                return resolving_steps(self.desire, self.entity, leave_out=self.leave_out)
            case Stage.READ:
                remembered = (ledger_table_step(self.columns),) if self.definition.keeps_ledger else ()
                current = current_table_step(self.columns, stored_keys=self.stored_keys)
                return _without(self.leave_out, (current, *remembered))
            case Stage.MATCH:
                return _without(self.leave_out, self._matching())
            case Stage.LINK:
                links = link_steps(
                    self.definition,
                    self.entity,
                    self.columns,
                    started=self.started,
                    of_events=self.stored_keys,
                    lookups=self.desire.late,
                )
                return _without(self.leave_out, links)
            case Stage.RECONCILE:
                return _without(self.leave_out, self._reconciling())
            case unknown:
                assert_never(unknown)

    def all(self) -> tuple[Step, ...]:
        """The steps of every stage, in order."""
        return tuple(step for stage in Stage for step in self.of(stage))

    @property
    def held(self) -> tuple[Reference, ...]:
        """The references that need not be read: `current` has their records."""
        if self.stored_keys:
            return ()
        return held_references(self.definition, self.entity, self.columns, self.desire.late)

    def _matching(self) -> Iterator[Step]:
        held = self.held
        keeps_parents = Purpose.KEPT_PARENTS not in self.leave_out and cascading(self.definition, self.columns)
        yield from current_finish_steps(self.columns, self.definition, keep_aside=bool(held or keeps_parents))
        yield from held_steps(self.entity, held, self.definition.sync_behaviour.key_match)
        late = references(self.desire.late)
        yield from reference_steps([each for each in late if each not in held])

    def _reconciling(self) -> Iterator[Step]:
        yield from reconcile_steps(
            self.definition,
            self.columns,
            started=self.started,
            target_rows=self.target_rows(),
            with_before=self.with_before,
        )
        if not self.stored_keys:  # the rows of events are not those of their waves
            yield from renewal_steps(self.definition, (*self.desire.early, *self.desire.late))


def seeing_steps(desire: CompiledMappings) -> tuple[Step, ...]:
    """The steps of the stage `SHAPE` before the scripts: what they see, and where their results go."""
    return tuple(script_steps(desire.definition))


def shaping_steps(
    desire: CompiledMappings, entity: EntityMetadata, *, leave_out: Purpose = NOTHING
) -> tuple[Step, ...]:
    """The steps of the stage `SHAPE` after the scripts, which depend on the definition and the metadata alone."""
    steps = (*shape_steps(desire.definition), *desire_steps(desire.definition, entity, desire))
    return _without(leave_out, (*steps, *reference_steps(references(desire.early))))


def resolving_steps(
    desire: CompiledMappings, entity: EntityMetadata, *, leave_out: Purpose = NOTHING
) -> tuple[Step, ...]:
    """The steps of the stage `RESOLVE`, which depend on the definition and the metadata alone."""
    return _without(leave_out, desired_finish_steps(desire.definition, entity, desire))


def _without(purposes: Purpose, steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.purpose not in purposes)
