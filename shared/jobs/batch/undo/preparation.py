"""Everything before the first write of an undo: the journal, the records as they are, and the changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from shared.dataverse import Dataverse
from shared.dataverse.calls.users import user_ids
from shared.definitions import Column, SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import AbortRun, DefinitionError, UserError
from shared.jobs.batch.attempts import end_of_writes
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.journaling import ANSWERED
from shared.jobs.batch.plans.about import other_place, refuse_other_environment
from shared.jobs.batch.undo.restoring import find_in_bin
from shared.jobs.outcomes import make_outcomes
from shared.jobs.progress import Phase
from shared.memory.journal import Journal, of_kinds
from shared.reconcile.changes import link_reversing_steps, reversing_steps
from shared.reconcile.undo.bin import IN_BIN
from shared.reconcile.undo.decide import UNDO_DECISIONS, Reversal, link_decisions
from shared.reconcile.undo.journal import (
    SOME_DELETED,
    SOME_KEY,
    columns_query,
    journal_table,
    matched_table,
    not_found_query,
    remembered_table,
)
from shared.reconcile.undo.records import RECORD_IDS, journal_tables_query, records_step
from shared.reconcile.undo.remembered import MATCHED_OF_DECIDED
from shared.run_ids import SHORT_ID
from shared.state import RunRecord
from shared.transform import TargetColumn, current_table_step
from shared.transform.metadata_columns import defaulted_columns, identified, metadata_layout, watched
from shared.workspace import Workspace
from shared.workspace.expressions import parsed

__all__ = ["NoSource", "PreparedUndo", "UndoJob", "prepare_undo"]

_READ_AT_ONCE: Final = 5000  # ids that are held at once, in a few requests


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoJob:
    """What one undo is asked to do.

    Attributes:
        batch: The sync with its parameters, and the options of the run that undoes; `force` sets back what others have
            changed.
        run: The run that is undone.
        where: SQL condition on the records; empty for all.
        by: Who asks, for the log.
    """

    batch: BatchJob
    run: RunRecord
    where: str = ""
    by: str = ""

    @property
    def definition(self) -> SyncDefinition:
        """The sync."""
        return self.batch.definition


@dataclass(frozen=True, slots=True)
class NoSource:
    """The source of an undo, which reads none: its files may be gone."""

    definition: SyncDefinition

    @property
    def readable(self) -> tuple[str, ...]:
        """No file."""
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:  # noqa: ARG002 - nothing is read
        """The columns of the definition."""
        return self.definition.source.columns

    def load(self, workspace: Workspace) -> None:
        """Nothing is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedUndo:
    """What the writing needs of the preparation.

    Attributes:
        entity: The table, with those that lookups refer to.
        layout: The columns that are written; none of a table of links.
        watched: The columns that are read: also who changed a record last, and when.
        ours: SQL condition over `opened`, a record after the undo has changed it: nobody else has changed it since.
        unknown: Columns of the journal that the table does not have any more.
        not_found: Records that the run may have created; their ids are not known.
    """

    entity: EntityMetadata
    layout: Sequence[TargetColumn] = ()
    watched: Sequence[TargetColumn] = ()
    ours: str = "false"
    unknown: tuple[str, ...] = field(default=())
    not_found: int = 0


def prepare_undo(job: UndoJob, tools: Tools, workspace: Workspace) -> PreparedUndo:
    """Fill an empty workspace up to `changes`; nothing is written to Dataverse.

    Raises:
        UserError: The run has no journal or a damaged one, it is of another table or environment, or the condition is
            wrong.
        AbortRun: Dataverse refuses the credentials or the table.
        RetryLater: Dataverse or the state store is unavailable.
    """
    tools.progress.phase(Phase.LOAD)
    journal = Journal(tools.state, job.run.run_id, job.run.sync)
    if (about := journal.about()) is None:
        raise UserError(f"run {job.run.run_id[:SHORT_ID]} of {job.run.sync} has no journal")
    entity = _table(job, about, tools.dataverse)
    journal.check_parts(about)
    with journal.reading(workspace) as parts:
        files = of_kinds(parts)
        workspace.create(journal_table(files, links=entity.intersect))
        workspace.create(remembered_table(files))
        workspace.create(matched_table(files))
        ((not_found,),) = workspace.query(not_found_query(files))
    if entity.intersect:
        return _links(job, entity, workspace)
    entity = _related(entity, workspace, tools.dataverse)
    names = [name for (name,) in workspace.query(columns_query())]
    empty = defaulted_columns(entity) if workspace.query(SOME_DELETED) else ()
    layout = identified(entity, metadata_layout(entity, (*names, *empty)))
    own = tuple(column for column in layout if column.name != entity.primary_id)
    written = [column for column in own if column.name in names]
    workspace.run(records_step(own, *_condition(job, entity, written, workspace)))
    tools.progress.phase(Phase.READ)
    read = watched(entity, layout, on_behalf=_on_behalf(job))
    _read(entity, read, workspace, tools.dataverse)
    tools.progress.phase(Phase.RECONCILE)
    reversal = Reversal(
        entity=entity,
        layout=own,
        users=user_ids(tools.dataverse.service),
        on_behalf=_on_behalf(job),
        ended=_answered(about) or end_of_writes(job.run),
        force=job.batch.options.force,
    )
    for step in (*reversal.steps(), *reversing_steps(layout, entity)):
        workspace.run(step)
    if job.where:
        workspace.execute(MATCHED_OF_DECIDED)
    make_outcomes(workspace)
    find_in_bin(workspace, tools.dataverse, entity)
    unknown = tuple(sorted(set(names) - {column.name for column in layout}))
    return PreparedUndo(
        entity=entity,
        layout=layout,
        watched=read,
        ours=reversal.still_ours(),
        unknown=unknown,
        not_found=not_found,
    )


def _on_behalf(job: UndoJob) -> bool:
    return job.definition.destination.options.run_as is not None


def _table(job: UndoJob, about: Mapping[str, Any], dataverse: Dataverse) -> EntityMetadata:
    """The table that the run wrote to, where the definition still writes to it."""
    refuse_other_environment(job.batch, job.run.run_id, about.get("environment"), "undo it")
    entity = dataverse.tables_of(job.definition)
    if (was := about.get("entity")) != entity.logical_name:
        raise other_place(job.batch, job.run.run_id, "entity", str(was), entity.logical_name, "undo it")
    return entity


def _answered(about: Mapping[str, Any]) -> datetime | None:
    """When the service gave its last answer to the run, by its own clock, which gives records their times of change.

    None in journals of earlier versions, and where the process of the run died.
    """
    try:
        return datetime.fromisoformat(str(about.get(ANSWERED)))
    except ValueError:
        return None


def _links(job: UndoJob, entity: EntityMetadata, workspace: Workspace) -> PreparedUndo:
    if job.where:
        raise UserError("--where cannot be used where the run changed links: they have no columns of their own")
    for step in (*link_decisions(), *link_reversing_steps(UNDO_DECISIONS)):
        workspace.run(step)
    make_outcomes(workspace)
    workspace.create(IN_BIN)
    return PreparedUndo(entity=entity)


def _related(entity: EntityMetadata, workspace: Workspace, dataverse: Dataverse) -> EntityMetadata:
    """The table with those that its lookups refer to in the journal."""
    names = [name for (name,) in workspace.query(columns_query())]
    lookups = [entity.attributes[name] for name in names if name in entity.attributes]
    wanted = {each.targets[0] for each in lookups if each.refers and len(each.targets) == 1}
    layout = metadata_layout(entity, names)
    wanted |= {table for (table,) in workspace.query(journal_tables_query(layout))}
    related = dict(entity.related)
    for table in sorted(wanted - {entity.logical_name, *related}):
        try:
            related[table] = dataverse.entity(table)
        except AbortRun:  # a table that is gone: what referred to it stays as it is
            continue
    return replace(entity, related=related)


def _condition(
    job: UndoJob, entity: EntityMetadata, layout: Sequence[TargetColumn], workspace: Workspace
) -> tuple[Sequence[TargetColumn], str]:
    """The columns of the sync key, and the SQL of the condition that a person wrote."""
    ((key,),) = workspace.query(SOME_KEY)
    names: Any = json.loads(key) if key else {}
    keys = tuple(column for column in metadata_layout(entity, names) if column.name in names)
    if not job.where:
        return keys, ""
    known = {"action", "id", *(column.name for column in (*keys, *layout))}
    try:
        return keys, parsed(job.where, names=known, origin="--where").sql
    except DefinitionError as error:
        raise UserError("; ".join(f"--where: {problem.message}" for problem in error.problems)) from error


def _read(entity: EntityMetadata, columns: Sequence[TargetColumn], workspace: Workspace, dataverse: Dataverse) -> None:
    """Fill `current` with the records of the journal that there still are."""
    workspace.run(current_table_step(columns))
    ids = (record for (record,) in workspace.rows(RECORD_IDS))
    while keys := list(_keys(entity, islice(ids, _READ_AT_ONCE))):
        dataverse.read(workspace, entity, columns, keys=keys)


def _keys(entity: EntityMetadata, ids: Iterator[str]) -> Iterator[str]:
    return (json.dumps({entity.primary_id: record}) for record in ids)
