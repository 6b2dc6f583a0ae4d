"""The names of the records that a plan's examples refer to: people know records by name, not by id."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from shared.dataverse import Dataverse
from shared.entities import EntityMetadata
from shared.errors import AbortRun
from shared.reconcile import ColumnChange, SampleChange
from shared.transform import TargetColumn
from shared.transform.targets import CHOICES
from shared.workspace import Table, Workspace

__all__ = ["with_names"]

_BOUND: Final = re.compile(r"/(\w+)\(([0-9a-f-]{36})\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Record:
    table: str
    id: str


def with_names(
    sample: Sequence[SampleChange],
    entity: EntityMetadata,
    columns: Sequence[TargetColumn],
    workspace: Workspace,
    dataverse: Dataverse,
) -> tuple[SampleChange, ...]:
    """The examples with display names, labels of choices, ids of lookups in one form, and the names of the records.

    Args:
        sample: Changes of a plan.
        entity: The table.
        columns: Its columns that are synced.
        workspace: Has `changes`, which may create records that others refer to.
        dataverse: Reads the names of the others.

    Raises:
        RetryLater: The service is unavailable.
    """
    sample = [replace(each, columns=tuple(_labelled(column, entity) for column in each.columns)) for each in sample]
    lookups = {column.name: column for column in columns if column.binds}
    if not lookups:
        return tuple(sample)
    found = [record for change in sample for record in _records(change, lookups)]
    names = _names(found, entity, workspace, dataverse)
    return tuple(
        replace(change, columns=tuple(_named(each, lookups, names) for each in change.columns)) for change in sample
    )


def _labelled(change: ColumnChange, entity: EntityMetadata) -> ColumnChange:
    """A column with its display name, and with the labels of its options."""
    attribute = entity.attributes.get(change.column)
    if attribute is None:
        return change
    options = {choice.value: str(choice) for choice in attribute.choices} if attribute.type in CHOICES else {}
    differs = attribute.display_name.casefold() != change.column.casefold()
    return replace(
        change,
        before_name=options.get(change.before, "") if isinstance(change.before, int) else "",
        after_name=options.get(change.after, "") if isinstance(change.after, int) else "",
        display_name=attribute.display_name if differs else "",
    )


def _records(change: SampleChange, lookups: Mapping[str, TargetColumn]) -> Iterator[_Record]:
    for each in change.columns:
        if (column := lookups.get(each.column)) is not None:
            yield from (record for value in (each.before, each.after) if (record := _record(column, value)))


def _record(column: TargetColumn, value: Any) -> _Record | None:
    """The record that a value refers to: an id, `<table>:<id>`, or the reference of a payload."""
    if not isinstance(value, str):
        return None
    if (bound := _BOUND.fullmatch(value)) is not None:
        table = next((bind.table for bind in column.binds if bind.entity_set == bound[1]), "")
        return _Record(table, bound[2])
    table, _, record = value.rpartition(":")
    return _Record(table or column.binds[0].table, record)


def _named(change: ColumnChange, lookups: Mapping[str, TargetColumn], names: Mapping[_Record, str]) -> ColumnChange:
    column = lookups.get(change.column)
    if column is None:
        return change
    before, after = _record(column, change.before), _record(column, change.after)
    return replace(
        change,
        before=_shown(column, before),
        after=_shown(column, after),
        before_name=names.get(before, "") if before else "",
        after_name=names.get(after, "") if after else "",
    )


def _shown(column: TargetColumn, record: _Record | None) -> str | None:
    if record is None:
        return None
    return f"{record.table}:{record.id}" if column.attribute.polymorphic else record.id


def _names(
    records: Iterable[_Record], entity: EntityMetadata, workspace: Workspace, dataverse: Dataverse
) -> dict[_Record, str]:
    wanted = defaultdict[str, set[str]](set)
    for record in records:
        wanted[record.table].add(record.id)
    names = dict[_Record, str]()
    for table, ids in wanted.items():
        new = _new(workspace, ids)
        names |= {_Record(table, record): name for record, name in new.items()}
        try:
            found = dataverse.names(entity.table(table) or dataverse.entity(table), sorted(ids - new.keys()))
        except AbortRun:  # a table that may not be read has no names to show
            continue
        names |= {_Record(table, record): name for record, name in found.items()}
    return names


def _new(workspace: Workspace, ids: Iterable[str]) -> dict[str, str]:
    """Records that the plan creates: what identifies them."""
    tables = [("changes", "_id", "action = 'insert'")]
    if workspace.has_table(Table.CREATIONS):
        tables.append(("creations", "id", "true"))
    listed = [UUID(record) for record in ids]
    return {
        str(record): f"new: {', '.join(str(value) for value in json.loads(key).values())}"
        for table, column, condition in tables
        for record, key in workspace.query(
            f"SELECT {column}, key FROM {table} WHERE {condition} AND list_contains(?, {column})", [listed]
        )
    }
