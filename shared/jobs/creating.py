"""Creating the records that lookups found missing, before anything refers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.dataverse import (
    KEY_TAKEN,
    NO_CODE,
    Applied,
    Change,
    ChangeAction,
    Dataverse,
    Failed,
    Outcome,
    Skipped,
    WriteLimits,
)
from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.reconcile.links.dependencies import (
    RENAME_CREATIONS,
    RENAME_RECORDS,
    UNFIT_CREATIONS,
    creations_count_query,
    creations_query,
    found_creations,
    fresh_creations,
    fresh_records,
    without_creations,
)
from shared.transform import TargetColumn
from shared.workspace import NewTable, Table, Workspace

__all__ = ["creation_counts", "give_new_ids", "write_creations"]

_RENAMED: Final = NewTable(name="renamed", columns="(planned UUID, found UUID)")
_TABLES: Final = (
    NewTable(name=Table.CREATED_REFERENCES, columns="(id UUID)"),
    NewTable(name="uncreated", columns="(id UUID, entity VARCHAR, message VARCHAR)"),
    _RENAMED,
)


def creation_counts(workspace: Workspace, columns: Sequence[TargetColumn]) -> tuple[int, int]:
    """How many records were created for lookups, and how many were planned.

    Args:
        workspace: The run's database.
        columns: The columns that may refer to such records.
    """
    if not columns or not workspace.has_table(Table.CREATIONS):
        return 0, 0
    planned = int(workspace.query(creations_count_query(columns))[0][0])
    if not workspace.has_table(Table.CREATED_REFERENCES):
        return 0, planned
    return int(workspace.query(f"SELECT count(*) FROM {Table.CREATED_REFERENCES}")[0][0]), planned


def give_new_ids(
    workspace: Workspace, definition: SyncDefinition, layout: Sequence[TargetColumn], creating: Sequence[TargetColumn]
) -> None:
    """Give the records that a plan creates ids that no earlier run can have given; the id of a row stays.

    The ids of a plan are made of keys, so that a plan which is made again is the same. But a record that was created
    with such an id may have another key now. It would be in the way of the new one, and where the answer to a create is
    lost, it would be taken for the record of that create.

    Args:
        workspace: Has the plan; nothing of it is written or noted yet.
        definition: The sync.
        layout: The target columns.
        creating: Those whose lookups create records.
    """
    id_column = definition.destination.id_column
    given = any(column.name == id_column and column.writes for column in layout)
    _rename(workspace, Table.CREATIONS, (fresh_creations(), *_replacing(creating), RENAME_CREATIONS))
    late = [column for column in layout if column.late]
    records = fresh_records(id_column if given else "")
    _rename(workspace, Table.NEW_RECORDS, (records, *_replacing(late), *RENAME_RECORDS))


def _replacing(columns: Sequence[TargetColumn]) -> list[str]:
    return [statement for column in columns for statement in found_creations(column)]


def _rename(workspace: Workspace, table: Table, statements: Sequence[str]) -> None:
    if not workspace.has_table(table):
        return
    workspace.create(_RENAMED)
    for statement in statements:
        workspace.execute(statement)
    workspace.drop(_RENAMED.name)


def write_creations(
    workspace: Workspace,
    dataverse: Dataverse,
    related: Mapping[str, EntityMetadata],
    columns: Sequence[TargetColumn],
    limits: WriteLimits,
) -> str:
    """Create what lookups found missing; changes that refer to what could not be created have their outcome then.

    A record that exists meanwhile is used as it is.

    Args:
        workspace: Has `creations`, `changes`, `desired` and `outcomes`.
        dataverse: The environment.
        related: Logical name -> the tables of the lookups.
        columns: The columns that may refer to such records.
        limits: What ends it early.

    Returns:
        Why it was stopped; empty where it was not.

    Raises:
        AbortRun: Dataverse refuses all writes.
        RetryLater: Dataverse is unavailable for too long.
    """
    for table in _TABLES:
        workspace.create(table)
    workspace.execute(UNFIT_CREATIONS)
    stopped, errors = "", 0
    for name, entity in related.items():
        changes = {
            number: Change(number=number, action=ChangeAction.INSERT, id=record, key=key, payload=payload)
            for number, record, key, payload in workspace.query(creations_query(columns), [name])
        }
        remaining = replace(limits.after(errors), adopting=True)
        for outcome in dataverse.write(entity, changes.values(), remaining) if changes and not stopped else ():
            if isinstance(outcome, Skipped):
                stopped = outcome.reason
            else:
                errors += _keep(workspace, dataverse, entity, changes[outcome.number], outcome)
    workspace.execute(without_creations(columns))
    for column in columns:
        for statement in found_creations(column):
            workspace.execute(statement)
    return stopped


def _keep(workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata, change: Change, outcome: Outcome) -> int:
    """Note the result of a record; returns 1 for an error."""
    match outcome:
        case Applied():
            workspace.execute(f"INSERT INTO {Table.CREATED_REFERENCES} VALUES (?)", [outcome.id or change.id])
            found = outcome.id
        case Failed() if outcome.code in KEY_TAKEN:
            found = dataverse.find(entity, change.key)
        case _:
            found = None
    if found is not None and found != change.id:
        workspace.execute("INSERT INTO renamed VALUES (?, ?)", [change.id, found])
    if found is None and isinstance(outcome, Failed):
        code = "" if outcome.code == NO_CODE else outcome.code
        message = f"{code} {outcome.message}".strip()
        workspace.execute("INSERT INTO uncreated VALUES (?, ?, ?)", [change.id, entity.logical_name, message])
        return 1
    return 0
