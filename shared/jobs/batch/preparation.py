"""Everything before the first write: check, load, shape, read, reconcile. `plan` ends here, `run` goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from shared.definitions import Strategy, SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import DefinitionError
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.mending.duplicates import reject_duplicates
from shared.jobs.batch.reading import MirroredReading, read_keyed_records, read_records
from shared.jobs.batch.remembering import Remembering, remembering_steps
from shared.jobs.batch.watermarking import Watermarking
from shared.jobs.outcomes import make_outcomes
from shared.jobs.post_sync.checks import step_problems
from shared.jobs.post_sync.listing import explained_steps
from shared.jobs.progress import Phase
from shared.jobs.referencing import Searching, read_references
from shared.jobs.run_steps import RunSteps, Stage
from shared.jobs.shaping import Shaping, run_all
from shared.jobs.summary import MirrorFigures
from shared.sources import completed
from shared.transform import TargetColumn, check, desire_of, filter_values
from shared.workspace import Step, Workspace

__all__ = ["PreparedRun", "completed_job", "explained", "prepare"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """What the writing needs of the preparation.

    Attributes:
        entity: The metadata of the target's table.
        columns: The target columns.
        memory: The ledger; None where the sync keeps none.
        watermark: How far the source has been read; None where the sync has no watermark.
        mirror: What the mirror has saved; None for a sync without one.
    """

    entity: EntityMetadata
    columns: Sequence[TargetColumn]
    memory: Remembering | None
    watermark: Watermarking | None
    mirror: MirrorFigures | None = None

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the run."""
        return tuple(chain.from_iterable(each.notes() for each in (self.memory, self.watermark, self.mirror) if each))

    def moved_watermark(self, workspace: Workspace, definition: SyncDefinition) -> str | None:
        """The watermarks after the run, for the state store; None where they stay, or where the sync has none."""
        return self.watermark.moved(workspace, definition, self.entity) if self.watermark else None


def completed_job(job: BatchJob, tools: Tools, workspace: Workspace) -> BatchJob:
    """The job with the columns and types that only its source knows.

    Raises:
        DefinitionError: The source does not have a column that the definition names.
        UserError: The source cannot be read.
    """
    tools.progress.phase(Phase.CHECK)
    return replace(job, definition=completed(job.definition, tools.source, workspace))


def prepare(
    job: BatchJob, tools: Tools, workspace: Workspace, started: datetime, *, fence: int | None = None
) -> PreparedRun:
    """Fill the workspace up to `decisions` and `changes`; nothing is written to Dataverse.

    Args:
        job: What the run is asked to do; expressions see its parameters as bound variables.
        tools: What it works with.
        workspace: Empty.
        started: The start of the run; what an expired record's date column is set to.
        fence: Fencing number of the lease of the sync; None for a plan, which has none.

    Raises:
        DefinitionError: The definition does not fit the table; all problems at once, before a row is read.
        UserError: The source cannot be read, or an expression fails on a row.
        AbortRun: Dataverse refuses the credentials or the table.
    """
    entity = tools.dataverse.tables_of(job.definition)
    steps = replace(_steps(job.definition, entity, started, workspace), stored_keys=job.options.keyed)
    if problems := tuple(step_problems(job.definition, tools.dataverse)):
        raise DefinitionError(problems)
    environment = tools.dataverse.environment
    memory = Remembering.of(job.definition, entity, steps.columns, tools.state, environment=environment, now=started)
    watermark = Watermarking.of(job, tools)
    preparation = _Preparation(job, tools, workspace, steps=steps, memory=memory, watermark=watermark, fence=fence)
    for stage in Stage:
        preparation.begin(stage)
        preparation.run(stage)
    make_outcomes(workspace)
    mirror = preparation.mirror
    return PreparedRun(entity=entity, columns=steps.columns, memory=memory, watermark=watermark, mirror=mirror)


def explained(
    definition: SyncDefinition,
    entity: EntityMetadata,
    *,
    started: datetime,
    tables: Mapping[str, EntityMetadata] | None = None,
) -> tuple[Step, ...]:
    """The SQL of every step of a run, in order.

    Args:
        definition: The sync.
        entity: Its table.
        started: The start of the run.
        tables: The tables of the updates after the sync, by the names that the definition has for them.

    Raises:
        DefinitionError: The definition does not fit the table.
    """
    steps = _steps(definition, entity, started)
    after = explained_steps(definition, tables or {})
    return (*steps.all(), *remembering_steps(definition, entity, steps.columns), *after)


def _steps(
    definition: SyncDefinition, entity: EntityMetadata, started: datetime, workspace: Workspace | None = None
) -> RunSteps:
    """The steps of a run in a workspace, or of one that is only explained."""
    if problems := check(definition, entity):
        raise DefinitionError(problems)
    desire = desire_of(definition, entity)
    return RunSteps(
        definition=definition,
        entity=entity,
        desire=desire,
        columns=desire.columns,
        started=started,
        target_rows=lambda: _records(workspace) if workspace else 0,
    )


def _records(workspace: Workspace) -> int:
    return int(workspace.query("SELECT coalesce(max(_seq), 0) FROM current")[0][0])


@dataclass(slots=True)
class _Preparation:
    """What a run does between the stages of its SQL."""

    job: BatchJob
    tools: Tools
    workspace: Workspace
    steps: RunSteps
    memory: Remembering | None
    watermark: Watermarking | None
    fence: int | None
    mirror: MirrorFigures | None = None
    mirrored: MirroredReading | None = None

    def begin(self, stage: Stage) -> None:
        """Do what comes before the steps of a stage: `source_raw` and `current` are filled without SQL of the run."""
        phase = self.tools.progress.phase
        match stage:
            case Stage.SHAPE:
                phase(Phase.LOAD)
                self._load()
                phase(Phase.SHAPE)
            case Stage.RESOLVE:
                self._resolve()
            case Stage.READ:
                phase(Phase.READ)
            case Stage.MATCH:
                if self.memory:
                    self.memory.look()
                self._read()
                if self.memory:
                    self.memory.load(self.workspace, keyed=self.job.options.keyed)
            case Stage.LINK:
                late, held = self.steps.desire.late, self.steps.held
                searching = Searching(lookups=late, held=held, many=True)
                read_references(self.workspace, self.tools.dataverse, searching, self.job.parameters)
            case Stage.RECONCILE:
                phase(Phase.RECONCILE)

    def run(self, stage: Stage) -> None:
        """Run the steps of a stage."""
        if stage is Stage.SHAPE:
            shaping = Shaping.of(self.steps.desire, self.steps.entity, leave_out=self.steps.leave_out)
            shaping.run(self.workspace, self.tools.scripts, run_all)
        else:
            for step in self.steps.of(stage):
                if self._has_work(step):
                    self.workspace.run(step)

    def _has_work(self, step: Step) -> bool:
        if step.only_if and not self.workspace.query(step.only_if):
            return False
        return not step.removes_from or self.mirrored is None or self.mirrored.prepare_removal()

    def _load(self) -> None:
        definition, entity, parameters = self.job.definition, self.steps.entity, self.job.parameters
        in_filters = filter_values(definition, entity, self.steps.desire.late, parameters)
        self.workspace.bind({**parameters, **in_filters})
        if self.watermark:
            self.watermark.begin()
        self.tools.source.load(self.workspace)
        reject_duplicates(self.job, self.tools, self.workspace, self.steps)

    def _resolve(self) -> None:
        if lookups := self.steps.desire.early:
            searching = Searching(lookups=lookups, unless=self.steps.desire.unsearched, many=True)
            read_references(self.workspace, self.tools.dataverse, searching, self.job.parameters)

    def _read(self) -> None:
        """Fill `current`; it stays empty where the strategy does not look at the target."""
        job, definition, entity = self.job, self.job.definition, self.steps.entity
        if definition.sync_behaviour.strategy is not Strategy.FULL:
            return
        if job.options.keyed:
            read_keyed_records(job, self.tools, self.workspace, entity, self.steps.columns)
            return
        if not definition.destination.mirror:
            read_records(job, self.tools, self.workspace, entity, self.steps.columns)
            return
        columns, fence = self.steps.columns, self.fence
        self.mirrored = MirroredReading(job, self.tools, self.workspace, entity, columns, fence=fence)
        self.mirror = self.mirrored.read()
        log.info("Mirror of %s: %s", definition.name, json.dumps(self.mirror.to_json()))
