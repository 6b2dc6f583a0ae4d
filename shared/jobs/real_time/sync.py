"""One sync as real time needs it: everything that follows from definition and metadata, worked out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final

from shared.dataverse import Dataverse
from shared.definitions import ParameterValue, SyncDefinition
from shared.definitions.models import WritePolicy
from shared.definitions.models.listener import KeyChange, Topic
from shared.errors import DefinitionError
from shared.events import FoldRules, Reader, Selection, carried_definition, fields_of
from shared.jobs.run_steps import Stage, resolving_steps
from shared.jobs.shaping import Shaping
from shared.reconcile import rejected_steps
from shared.transform import (
    CompiledMappings,
    LookupColumn,
    Omit,
    TargetColumn,
    check,
    desire_of,
    filter_values,
    key_columns,
    pair_of,
    renewal_steps,
)
from shared.transform.keys import can_change
from shared.workspace import Purpose, Step

__all__ = ["EventSync", "FieldGroup", "Listeners", "PreparedSync"]

_MOST_GROUPS: Final = 500
# What a batch needs and events do not: folding comes later, so every event of a record keeps its row; nobody counts
# rows; columns are taken by name. On a few rows every statement that is left out is time saved.
_LEFT_OUT: Final = Purpose.COUNTS | Purpose.CLEANUP | Purpose.SOURCE_DUPLICATES | Purpose.REJECTED_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSync:
    """A definition that listens.

    Attributes:
        resolve: Gives the values of its parameters, anew for each batch; raises UserError where one has none.
        join: Gives the definition, with these values, the keys of its connections: the same object as long as nothing
            has changed. Raises DefinitionError where a connection cannot be used.
    """

    definition: SyncDefinition
    resolve: Callable[[], Mapping[str, ParameterValue]] = dict
    join: Callable[[SyncDefinition, Mapping[str, ParameterValue]], SyncDefinition] = lambda definition, _: definition

    @property
    def name(self) -> str:
        """The sync's name."""
        return self.definition.name

    @property
    def listener(self) -> str:
        """The listener's name."""
        return self.definition.listener.name if self.definition.listener else ""

    @property
    def topic(self) -> Topic:
        """What its events look like."""
        return self.definition.listener.topic if self.definition.listener else Topic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who listens to a hub.

    Attributes:
        syncs: Definitions whose listener is enabled.
        complete: Every definition that may have a listener could be read. Otherwise every event is kept too: it may be
            meant for one that could not.
    """

    syncs: tuple[EventSync, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldGroup:
    """How events that carry the same fields become rows of `desired`.

    Attributes:
        fields: The source columns to fill.
        labels: The columns of `source` that come of them.
        shaping: From `source_raw` to `desired`.
        lookups: The lookups that are resolved between `shaping` and `settling`, which needs requests.
        unless: SQL condition over `desired`: the event is not looked up.
        settling: What is rejected leaves `desired`.
        layout: The target columns that come of it.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...]
    shaping: Shaping
    lookups: tuple[LookupColumn, ...]
    unless: str
    settling: tuple[Step, ...]
    layout: tuple[TargetColumn, ...]
    late: tuple[LookupColumn, ...]


class PreparedSync:
    """What follows from one definition and its table's metadata.

    Args:
        definition: A definition with a listener.
        connect: Makes a client for its environment.

    Raises:
        DefinitionError: The definition does not fit the table, or an expression of its listener cannot be used.
        AbortRun: Dataverse refuses the credentials or the table.
        RetryLater: Dataverse is unavailable.
    """

    def __init__(self, definition: SyncDefinition, connect: Callable[[], Dataverse]) -> None:
        self.definition = definition
        self._connect = connect
        self._idle: deque[Dataverse] = deque()
        self.topic = EventSync(definition=definition).topic
        self.selection = Selection(self.topic)
        with self.connected() as dataverse:
            self.entity = dataverse.tables_of(definition)
            self.environment = dataverse.environment
        if problems := check(definition, self.entity):
            raise DefinitionError(problems)
        self.reader = Reader(definition.source.columns)
        self.rules = FoldRules.of(definition.sync_behaviour, self._key_change, always_written=self._always_written)
        self.kept_steps: dict[tuple[bool, bool], Mapping[Stage, tuple[Step, ...]] | None] = {}
        """Whether a wave compares and whether keys change -> its steps; None where they are not the same each time."""
        # Bounded, because there are senders that leave out fields at random; several partitions use it at once.
        self._group = lru_cache(maxsize=_MOST_GROUPS)(self._made)

    @contextmanager
    def connected(self) -> Iterator[Dataverse]:
        """A client for one batch. Batches of several partitions run side by side, and a writer serves one at a time."""
        try:
            dataverse = self._idle.pop()
        except IndexError:
            dataverse = self._connect()
        try:
            yield dataverse
        finally:
            self._idle.append(dataverse)

    def variables(self, values: Mapping[str, ParameterValue]) -> Mapping[str, ParameterValue]:
        """What the SQL of a batch knows of its parameters.

        Raises:
            UserError: A value does not fit the column that a filter compares it with.
        """
        return {**values, **filter_values(self.definition, self.entity, self.late, values)}

    @property
    def _always_written(self) -> bool:
        """Whether each value that an event has is written, whatever its record holds. The identity stays as it is."""
        pair = pair_of(self.layout)
        # What a closing action overwrites is not emptied by the event that closes the record.
        kept = pair.state.rules.carried if pair and pair.state.rules else frozenset()
        columns = [column for column in self.layout if column.writes and column.name not in self._identity]
        # Whether these keep what the record refers to is known when they are resolved, after events were joined.
        keeping = any(
            lookup.policy == "keep" or lookup.mapping.keeps_on_null or not lookup.attribute.clearable
            for lookup in self.late
        )
        return not keeping and all(
            column.write is WritePolicy.ALWAYS
            and column.attribute.updatable
            and not column.attribute.is_list
            and not (column.clears and column.name in kept)
            for column in columns
        )

    @property
    def _key_change(self) -> KeyChange:
        """What to do about a changed key; one that no record can get another value for is not moved."""
        movable = can_change((column.attribute for column in self.keys), self.definition.destination.id_column)
        return self.topic.key_change if movable else KeyChange.DELETE_INSERT

    @cached_property
    def key_fields(self) -> frozenset[str]:
        """The source columns that the sync key is made of."""
        return fields_of(self.definition, self.definition.sync_behaviour.sync_key)

    @cached_property
    def _identity(self) -> frozenset[str]:
        """The target columns by which a record is found."""
        return frozenset((*self.definition.sync_behaviour.sync_key, self.definition.destination.id_column))

    @cached_property
    def _identity_fields(self) -> frozenset[str]:
        return fields_of(self.definition, self._identity)

    @cached_property
    def desire(self) -> CompiledMappings:
        """What the mappings compile to."""
        return desire_of(self.definition, self.entity)

    @cached_property
    def layout(self) -> tuple[TargetColumn, ...]:
        """The target columns; any of them may be left out of an event."""
        return tuple(replace(column, omit=Omit.FLAGGED) for column in self.desire.columns)

    @cached_property
    def keys(self) -> tuple[TargetColumn, ...]:
        """The columns of the sync key, in its order."""
        return key_columns(self.layout)

    @cached_property
    def late(self) -> tuple[LookupColumn, ...]:
        """The lookups that may refer to records which the events create; they are resolved in each wave."""
        return self.desire.late

    @cached_property
    def in_order(self) -> bool:
        """Whether the order of the writes matters: changes may refer to records that others create."""
        created = any(lookup.policy == "create" for lookup in self.desire.early)
        return created or bool(self.late)

    @cached_property
    def maps_ids(self) -> bool:
        """Whether events say which ids new records get."""
        return any(column.name == self.definition.destination.id_column for column in self.layout)

    @cached_property
    def rejects(self) -> bool:
        """Whether a wave that compares may reject a change for what is decided about its record."""
        return bool(rejected_steps(self.definition, self.layout))

    @cached_property
    def unique(self) -> bool:
        """Whether an active alternate key keeps the sync key unique, so that no record can have a double."""
        key = self.entity.key_over(frozenset(self.definition.sync_behaviour.sync_key))
        return key is not None and key.active

    def group(self, carried: frozenset[str], *, deletes: bool) -> FieldGroup | None:
        """The way of events that carry these fields; None where they carry too little for a key."""
        return self._group(carried & self._identity_fields if deletes else carried, deletes)

    def _made(self, carried: frozenset[str], deletes: bool) -> FieldGroup | None:  # noqa: FBT001 - both are one key
        definition = carried_definition(self.definition, carried, targets=self._identity if deletes else None)
        if definition is None:
            return None
        desire = desire_of(definition, self.entity)
        return FieldGroup(
            fields=tuple(column.name for column in definition.source.columns if column.read),
            labels=tuple(column.label for column in definition.source.columns),
            shaping=Shaping.of(desire, self.entity, leave_out=_LEFT_OUT),
            lookups=desire.early,
            unless=desire.removed,
            settling=(
                *resolving_steps(desire, self.entity, leave_out=_LEFT_OUT),
                *renewal_steps(desire.definition, desire.early),
            ),
            layout=desire.columns,
            late=desire.late,
        )
