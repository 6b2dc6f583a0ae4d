"""Lookups in the table that is synced: where the run reads that table whole, its records are not read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.definitions.models import KeyMatch, Strategy, SyncDefinition
from shared.entities import AttributeMetadata, EntityMetadata
from shared.transform.lookups.columns import LookupColumn, Reference, references
from shared.transform.lookups.conditions import condition_sql
from shared.transform.service_values import record_id
from shared.transform.targets import TargetColumn
from shared.workspace import NewTable, Step, Table, quoted

__all__ = ["held_references", "held_steps"]


def held_references(
    definition: SyncDefinition,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    lookups: Sequence[LookupColumn],
) -> tuple[Reference, ...]:
    """Return the references whose records and match columns are all in `current`, once it has the whole table."""
    if definition.sync_behaviour.strategy is not Strategy.FULL or definition.destination.filter:
        return ()
    columns = {column.name: column for column in layout}
    return tuple(
        each
        for each in references(lookups)
        if each.entity.logical_name == entity.logical_name
        and all(_is_held(entity, columns, column) for column in each.columns)
        # The age is read where the sync key is not unique: whether it is depends on the service.
        and not each.by_age
    )


def _is_held(entity: EntityMetadata, layout: dict[str, TargetColumn], column: TargetColumn) -> bool:
    own = layout.get(column.name)
    return column.name == entity.primary_id or (own is not None and own.attribute == column.attribute)


def held_steps(entity: EntityMetadata, held: Sequence[Reference], match: KeyMatch) -> tuple[Step, ...]:
    """Return the steps that make the records of `current`, and those set aside, what these references search.

    Args:
        entity: The table that is synced.
        held: References to it, see `held_references`.
        match: How the sync compares keys.
    """
    return tuple(_held_step(entity, reference, match) for reference in held)


def _value(entity: EntityMetadata) -> Callable[[AttributeMetadata], str]:
    """The values that a filter compares."""
    return lambda each: "_id" if each.name == entity.primary_id else record_id(each, quoted(each.name))


def _held_step(entity: EntityMetadata, reference: Reference, match: KeyMatch) -> Step:
    keys = [
        f"{'_id' if column.name == entity.primary_id else column.key_sql} AS _k{column.key_part}"
        for column in reference.columns
    ]
    items = ", ".join(("_id", "_created", *keys))
    condition = reference.filter and condition_sql(reference.filter, entity, _value(entity), match)
    passes = f" WHERE {condition}" if condition else ""
    query = f"SELECT {items} FROM current{passes}\nUNION ALL\nSELECT {items} FROM set_aside{passes}"
    return Step.creating(
        f"Let lookups search the records of {entity.logical_name} that were read",
        NewTable(name=reference.name, query=query, is_view=True),
        "destination.mappings",
        needs=frozenset({Table.CURRENT, Table.SET_ASIDE}),
    )
