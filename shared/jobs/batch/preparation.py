"""Everything before the first write: check, load, shape, read, reconcile. `plan` ends here, `run` goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from shared.dataverse import Dataverse
from shared.definitions import ParameterValue, Strategy, SyncDefinition, in_odata
from shared.entities import EntityMetadata
from shared.errors import DefinitionError, RequestRefused, UserError
from shared.jobs.progress import Phase, Progress, Silent
from shared.jobs.writing import OUTCOMES_TABLE
from shared.reconcile import reconcile_steps
from shared.sources import Source
from shared.transform import (
    TargetColumn,
    check,
    current_finish_steps,
    current_table_step,
    desire_steps,
    layout,
    shape_steps,
)
from shared.workspace import Step, Workspace

__all__ = ["Preparation", "explained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One run's way from a definition to the tables `decisions` and `changes`.

    Attributes:
        parameters: Resolved parameters; expressions see them as bound variables.
        started: The start of the run; what an expired record's date column is set to.
    """

    definition: SyncDefinition
    parameters: Mapping[str, ParameterValue]
    source: Source
    dataverse: Dataverse
    workspace: Workspace
    started: datetime
    progress: Progress = field(default_factory=Silent)

    def prepare(self) -> EntityMetadata:
        """Fill the workspace up to `decisions` and `changes`; nothing is written to Dataverse.

        Raises:
            DefinitionError: The definition does not fit the table; all problems at once, before a row is read.
            UserError: The source cannot be read, or an expression fails on a row.
            AbortRun: Dataverse refuses the credentials or the table.
        """
        self.progress.phase(Phase.CHECK)
        entity = self.dataverse.entity(self.definition.destination.entity)
        if problems := check(self.definition, entity):
            raise DefinitionError(problems)
        columns = layout(self.definition, entity)
        self._load()
        self._run(Phase.SHAPE, (*shape_steps(self.definition), *desire_steps(self.definition, entity)))
        self._read(entity, columns)
        ((records,),) = self.workspace.query("SELECT coalesce(max(_seq), 0) FROM current")
        steps = reconcile_steps(self.definition, columns, started=self.started, target_rows=records)
        self._run(Phase.RECONCILE, steps)
        self.workspace.execute(OUTCOMES_TABLE)
        return entity

    def _load(self) -> None:
        self.progress.phase(Phase.LOAD)
        self.workspace.bind(self.parameters)
        self.source.load(self.workspace)

    def _read(self, entity: EntityMetadata, columns: tuple[TargetColumn, ...]) -> None:
        """Fill `current`; it stays empty where the strategy does not look at the target."""
        self.progress.phase(Phase.READ)
        self.workspace.run(current_table_step(columns))
        destination = self.definition.destination
        if self.definition.sync_behaviour.strategy is Strategy.FULL:
            condition = in_odata(destination.filter, self.parameters, entity) if destination.filter else None
            try:
                self.dataverse.read(self.workspace, entity, columns, condition=condition)
            except RequestRefused as error:
                if not condition or error.status != HTTPStatus.BAD_REQUEST:
                    raise
                raise UserError(f"destination.filter: {error.message}") from error  # the rest of the question is ours
        for step in current_finish_steps(columns, self.definition):
            self.workspace.run(step)

    def _run(self, phase: Phase, steps: tuple[Step, ...]) -> None:
        self.progress.phase(phase)
        for step in steps:
            self.workspace.run(step)


def explained(definition: SyncDefinition, entity: EntityMetadata, *, started: datetime) -> tuple[Step, ...]:
    """The SQL of every step of a run, in order.

    Raises:
        DefinitionError: The definition does not fit the table.
    """
    if problems := check(definition, entity):
        raise DefinitionError(problems)
    columns = layout(definition, entity)
    return (
        *shape_steps(definition),
        *desire_steps(definition, entity),
        current_table_step(columns),
        *current_finish_steps(columns, definition),
        *reconcile_steps(definition, columns, started=started),
    )
