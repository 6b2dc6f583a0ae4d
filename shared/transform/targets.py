"""The columns of the target table that a sync touches, each with the SQL type its values are compared in."""

from __future__ import annotations

from collections import abc
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shared.definitions.models import (
    Column,
    Lookup,
    Mapping,
    SyncDefinition,
    TypedColumn,
    WritePolicy,
)
from shared.definitions.models.columns import ColumnType
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.state_rules import StateRules, rules_of
from shared.transform.keys import normalise_key
from shared.transform.lookups.conditions import condition_columns
from shared.transform.lookups.names import match_columns
from shared.transform.set_columns.names import STATE, STATUS, mark_names
from shared.workspace import quoted

__all__ = [
    "CHOICES",
    "IDS",
    "TEXTS",
    "Bind",
    "Omit",
    "TargetColumn",
    "binds_of",
    "filtered_lookups",
    "key_columns",
    "layout",
    "needs_version",
    "precision",
    "read_only",
    "source_columns",
    "sql_type",
    "with_state",
]

TEXTS: Final = frozenset({AttributeType.STRING, AttributeType.MEMO})
CHOICES: Final = frozenset({AttributeType.PICKLIST, AttributeType.STATE, AttributeType.STATUS})
IDS: Final = frozenset(
    {AttributeType.UNIQUEIDENTIFIER, AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER}
)

# What a decimal or money column may have at most (Microsoft: DecimalAttributeMetadata and MoneyAttributeMetadata).
_MOST_DIGITS: Final = {AttributeType.DECIMAL: 10, AttributeType.MONEY: 4, AttributeType.DOUBLE: 5}

_SQL_TYPES: Final = {
    AttributeType.STRING: "VARCHAR",
    AttributeType.MEMO: "VARCHAR",
    AttributeType.INTEGER: "INTEGER",
    AttributeType.BIGINT: "BIGINT",
    AttributeType.DOUBLE: "DOUBLE",
    AttributeType.BOOLEAN: "BOOLEAN",
    AttributeType.PICKLIST: "INTEGER",
    AttributeType.STATE: "INTEGER",
    AttributeType.STATUS: "INTEGER",
    AttributeType.MULTI_PICKLIST: "VARCHAR",
    AttributeType.DATETIME: "TIMESTAMP",
    AttributeType.LOOKUP: "UUID",
    AttributeType.CUSTOMER: "UUID",
    AttributeType.OWNER: "UUID",
    AttributeType.UNIQUEIDENTIFIER: "UUID",
}


class Omit(StrEnum):
    """When a row has no value for a column, so that the column is not changed."""

    NEVER = "never"
    WHEN_NULL = "when_null"
    FLAGGED = "flagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A table that a lookup column can refer to.

    Attributes:
        table: Its logical name.
        navigation: The navigation property that a write names.
        entity_set: Its name in URLs; empty if the sync does not refer to it.
    """

    table: str
    navigation: str
    entity_set: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """One column that takes part in a sync.

    The value of a lookup is the record's id; of one with several tables, `<table>:<id>` as text; of a list of parties,
    such texts joined with commas.

    Attributes:
        name: Logical name; also the column's name in `desired` and `current`.
        sql_type: The DuckDB type in which both sides are compared.
        source_sql: The SQL of the value over the columns of `shaped`; ``NULL`` for a column that is only read.
        omit: When a row leaves the column alone; FLAGGED means that `desired` has ``_omit_<name>``.
        key_part: 1-based place in the sync key.
        writes: Whether its value may be sent at all; False for what is only matched or read.
        clears: Whether a row without a value empties it.
        key_sql: The key part as it is compared (`_k<n>`), over the column itself; empty if it is not a key part.
        implied: No mapping fills it: it is the other half of a state or status that is mapped.
        follows: Of a status: the state. Where a row does not give the status, it changes when the state does.
        edited_with: Of a state with `unless_edited`: the status. Who has edited one of them has edited both.
        rules: Of a state: which states of this table a plain update does not set; None where it sets all.
        resolved: Its value is found by a lookup step.
        late: That step follows the reading of the target.
        by_age: A lookup chooses among records by their date of creation.
        binds: The tables that a lookup can refer to; empty for other columns.
        write: When its value is written.
        cascades: The service deletes a record with the record of the same table to which it refers in this column.
        collection: For the parties of an activity, the property that a create gives them in: one for all lists.
    """

    name: str
    attribute: AttributeMetadata
    sql_type: str
    source_sql: str
    omit: Omit = Omit.NEVER
    key_part: int | None = None
    writes: bool = True
    clears: bool = False
    key_sql: str = ""
    implied: bool = False
    follows: TargetColumn | None = None
    edited_with: str = ""
    rules: StateRules | None = None
    resolved: bool = False
    late: bool = False
    by_age: bool = False
    binds: tuple[Bind, ...] = ()
    write: WritePolicy = WritePolicy.ALWAYS
    cascades: bool = False
    collection: str = ""

    @property
    def held(self) -> AttributeMetadata:
        """The column of the table in which the value is found once the record is there.

        Of a record that brings its date of creation the service keeps that as `createdon`, and the day of the import in
        its place (Microsoft: import auditing data).
        """
        return replace(self.attribute, name="createdon") if self.name == "overriddencreatedon" else self.attribute


def layout(definition: SyncDefinition, entity: EntityMetadata) -> tuple[TargetColumn, ...]:
    """Return the columns in the order of the mappings.

    Columns that are not mapped come last: the other half of a state or status, what marks records, and what the filters
    of lookups in the table itself look at.

    Raises:
        DefinitionError: A target column does not exist; `check` reports all such problems with better messages.
    """
    mapped = [_mapped(definition, entity, mapping) for mapping in definition.destination.mappings]
    paired = tuple(_paired(mapped, entity))
    columns = (*paired, *_mark_columns(definition, entity, {column.name for column in paired}))
    return (*columns, *_judged_columns(definition, entity, {column.name for column in columns}))


def needs_version(layout: Sequence[TargetColumn]) -> bool:
    """Whether writes depend on the version of the record that was compared."""
    return any(column.write is WritePolicy.UNLESS_EDITED for column in layout)


def key_columns(layout: Sequence[TargetColumn]) -> tuple[TargetColumn, ...]:
    """Return the columns of the sync key, in the key's order."""
    return tuple(sorted((c for c in layout if c.key_part), key=lambda column: column.key_part or 0))


def source_columns(definition: SyncDefinition) -> dict[str, Column]:
    """Return the source's columns by the name that mappings use."""
    return {column.label: column for column in definition.source.columns}


def sql_type(attribute: AttributeMetadata) -> str:
    """Return the DuckDB type in which values of a column are held and compared."""
    if attribute.polymorphic:
        return "VARCHAR"
    if attribute.type in {AttributeType.DECIMAL, AttributeType.MONEY}:
        return f"DECIMAL(38, {precision(attribute)})"
    if attribute.type is AttributeType.DATETIME and attribute.date_behavior is DateBehavior.DATE_ONLY:
        return "DATE"
    # Images, files and virtual columns are refused by `check`; text is what their JSON would be.
    return _SQL_TYPES.get(attribute.type, "VARCHAR")


def precision(attribute: AttributeMetadata) -> int:
    """Return the digits behind the point of a decimal, money or double column."""
    most = _MOST_DIGITS[attribute.type]
    return most if attribute.precision is None else min(attribute.precision, most)


def _attribute(entity: EntityMetadata, name: str) -> AttributeMetadata:
    if name not in entity.attributes:
        raise DefinitionError([Problem(message=f"{entity.logical_name} has no column {name}")])
    return entity.attributes[name]


def _mapped(definition: SyncDefinition, entity: EntityMetadata, mapping: Mapping) -> TargetColumn:
    attribute, behaviour = _attribute(entity, mapping.target), definition.sync_behaviour
    key = behaviour.sync_key.index(mapping.target) + 1 if mapping.target in behaviour.sync_key else None
    own = quoted(mapping.target)
    tables = [table for lookup in mapping.lookups for table in lookup.tables or attribute.targets[:1]]
    identifies = key is not None or attribute.name == entity.primary_id
    return TargetColumn(
        name=mapping.target,
        attribute=attribute,
        sql_type=sql_type(attribute),
        source_sql=", ".join(map(quoted, mapping.sources)) or f"({mapping.value})",
        omit=_omit(definition, mapping, attribute),
        key_part=key,
        writes=_writes(definition, entity, attribute),
        clears=not mapping.keeps_on_null and not identifies,
        key_sql=normalise_key(attribute, own, behaviour.key_match) if key else "",
        resolved=bool(mapping.lookups),
        late=entity.logical_name in tables and key is None,
        by_age=entity.logical_name in tables and any(lookup.on_ambiguous != "reject" for lookup in mapping.lookups),
        binds=binds_of(entity, attribute),
        write=mapping.write,
        cascades=_cascades(entity, attribute),
        collection=f"{entity.logical_name}_activity_parties" if attribute.is_list else "",
    )


def binds_of(entity: EntityMetadata, attribute: AttributeMetadata) -> tuple[Bind, ...]:
    """The tables that a lookup can refer to; empty for other columns."""
    if not attribute.refers:
        return ()
    found = ((table, entity.table(table)) for table in attribute.targets)
    return tuple(
        Bind(
            table=table,
            navigation=attribute.navigation_to(table),
            entity_set=referenced.entity_set if referenced else "",
        )
        for table, referenced in found
    )


def _paired(mapped: Sequence[TargetColumn], entity: EntityMetadata) -> Iterator[TargetColumn]:
    """The columns with both halves of state and status; see `shared.transform.states`."""
    by_type = {column.attribute.type: column for column in mapped}
    attributes = {attribute.type: attribute for attribute in entity.attributes.values()}
    belongs = [option.state for option in entity.options(AttributeType.STATUS)]
    if by_type.keys().isdisjoint(_PAIR) or not attributes.keys() >= _PAIR or not belongs or None in belongs:
        yield from mapped
        return
    rules = rules_of(entity.logical_name)
    halves = (_half(kind, by_type, attributes) for kind in (AttributeType.STATE, AttributeType.STATUS))
    state, status = _written_together(*halves)
    state = replace(state, omit=Omit.FLAGGED, rules=rules)
    status = replace(status, omit=Omit.FLAGGED, follows=state)
    pair = {AttributeType.STATE: state, AttributeType.STATUS: status}
    yield from (pair.get(column.attribute.type, column) for column in mapped)
    yield from (column for column in pair.values() if column.implied)


_PAIR: Final = frozenset({AttributeType.STATE, AttributeType.STATUS})


def _half(
    kind: AttributeType,
    columns: abc.Mapping[AttributeType, TargetColumn],
    attributes: abc.Mapping[AttributeType, AttributeMetadata],
) -> TargetColumn:
    if kind in columns:
        return columns[kind]
    attribute = attributes[kind]
    return TargetColumn(
        name=attribute.name,
        attribute=attribute,
        sql_type=sql_type(attribute),
        source_sql="NULL",
        writes=attribute.creatable or attribute.updatable,
        implied=True,
    )


def _written_together(state: TargetColumn, status: TargetColumn) -> tuple[TargetColumn, TargetColumn]:
    """Both halves: the `write` of one that alone is mapped counts for both, where it depends on the ledger."""
    if state.implied:
        state = replace(state, write=status.write)
    guarded = state.write is WritePolicy.UNLESS_EDITED
    if status.implied and guarded:
        status = replace(status, write=state.write)
    guarded = guarded and status.write is WritePolicy.UNLESS_EDITED
    return replace(state, edited_with=status.name if guarded else ""), status


def _writes(definition: SyncDefinition, entity: EntityMetadata, attribute: AttributeMetadata) -> bool:
    if attribute.name in {entity.primary_id, definition.destination.id_column}:
        return definition.destination.id_column_insert
    return attribute.creatable or attribute.updatable


def _omit(definition: SyncDefinition, mapping: Mapping, attribute: AttributeMetadata) -> Omit:
    if mapping.lookups:
        return Omit.FLAGGED  # by the step that resolves it
    if mapping.keeps_on_null:
        return Omit.WHEN_NULL
    if mapping.source is None:
        return Omit.FLAGGED
    column = source_columns(definition).get(mapping.sources[0])
    if column is not None and not column.read:
        return Omit.FLAGGED  # a column that it is calculated from may be in error
    if column is None or column.validate_:
        return Omit.NEVER
    if not attribute.clearable:
        return Omit.FLAGGED
    # Text that was read cannot be wrong in itself unless its source has errors for values, and a choice that is missed
    # rejects the row.
    rejecting = TEXTS | CHOICES | {AttributeType.MULTI_PICKLIST}
    is_sure = column.type is ColumnType.TEXT and not (isinstance(column, TypedColumn) and column.faults)
    return Omit.NEVER if is_sure and attribute.type in rejecting else Omit.FLAGGED


def _mark_columns(definition: SyncDefinition, entity: EntityMetadata, known: Collection[str]) -> Iterator[TargetColumn]:
    """The columns that mark records: read, so that a mark is set once; never compared with the source."""
    names = with_state(mark_names(definition.sync_behaviour), entity)
    yield from (read_only(entity, name) for name in names if name not in known)


def with_state(names: Sequence[str], entity: EntityMetadata) -> tuple[str, ...]:
    """The same columns, and the state where the status reason is among them: it is set with it.

    In tables with rules for states the status reason is added to the state as well, because some steps set both.
    """
    ruled = rules_of(entity.logical_name) is not None
    added = (STATE,) if STATUS in names else (STATUS,) if STATE in names and ruled else ()
    return (*names, *(name for name in added if name not in names and name in entity.attributes))


def _judged_columns(
    definition: SyncDefinition, entity: EntityMetadata, known: Collection[str]
) -> Iterator[TargetColumn]:
    """What decides whether a lookup with a filter finds a record of the table itself: read where it is not mapped."""
    names = dict.fromkeys(
        name
        for mapping in definition.destination.mappings
        for lookup in filtered_lookups(definition, entity, mapping)
        for name in (
            *condition_columns(lookup.filter or ""),
            *match_columns(entity, lookup.match_in(entity.logical_name)),
        )
    )
    unknown = {entity.primary_id, *known}
    yield from (read_only(entity, name) for name in names if name not in unknown and name in entity.attributes)


def filtered_lookups(definition: SyncDefinition, entity: EntityMetadata, mapping: Mapping) -> Iterator[Lookup]:
    """The entries of a lookup that search the table itself under a filter, as the run leaves its records.

    A lookup in the sync key finds records as they are before the run.
    """
    attribute = _attribute(entity, mapping.target)
    for lookup in mapping.lookups if mapping.target not in definition.sync_behaviour.sync_key else ():
        if lookup.filter and entity.logical_name in (lookup.tables or attribute.targets[:1]):
            yield lookup


def read_only(entity: EntityMetadata, name: str) -> TargetColumn:
    """A column that is read and never written."""
    attribute = _attribute(entity, name)
    return TargetColumn(
        name=attribute.name,
        attribute=attribute,
        sql_type=sql_type(attribute),
        source_sql="NULL",
        writes=False,
        rules=rules_of(entity.logical_name) if attribute.type is AttributeType.STATE else None,
        cascades=_cascades(entity, attribute),
    )


def _cascades(entity: EntityMetadata, attribute: AttributeMetadata) -> bool:
    return entity.logical_name in attribute.deleted_with and not attribute.is_list
