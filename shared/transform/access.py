"""What a sync does to which tables: the privileges that its application user needs.

Source: "Security concepts in Dataverse" (Create, Read, Write, Delete, Append, Append To, Assign), and the pages on
optional parameters, impersonation and bulk deletion for the privileges that belong to no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models import EventFormat, Mapping, Strategy, SyncBehaviour, SyncDefinition, Topic
from shared.definitions.models.listener import KeyChange
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.transform.keys import can_change

__all__ = ["RequiredPrivilege", "needed_access"]

# An event of one of these formats says itself whether it inserts, updates or deletes; of others, where `action` tells.
_SAYING_ACTIONS: Final = (EventFormat.CLOUDEVENTS, EventFormat.DEBEZIUM, EventFormat.DATAVERSE)
_WITH_RECORD_BEFORE: Final = (EventFormat.DEBEZIUM, EventFormat.DATAVERSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredPrivilege:
    """One privilege that a sync needs.

    Attributes:
        kind: `Create`, `Read`, …; for a privilege that belongs to no table its whole name.
        table: Logical name; empty for a privilege that belongs to no table.
        path: The key of the definition that asks for it.
    """

    kind: str
    path: str
    table: str = ""


def needed_access(
    definition: SyncDefinition, entity: EntityMetadata, updated: Sequence[tuple[str, str]] = ()
) -> tuple[RequiredPrivilege, ...]:
    """Every privilege that a run of a definition, or an event, can need, each once.

    Args:
        definition: The sync.
        entity: Its table.
        updated: The place of each update after the sync, and the logical name of its table.
    """
    found: dict[tuple[str, str], RequiredPrivilege] = {}
    for need in (
        *_of_table(definition, entity),
        *_of_events(definition, entity),
        *_of_mappings(definition, entity),
        *_of_updates(updated),
        *_of_options(definition),
    ):
        found.setdefault((need.table, need.kind), need)
    return tuple(found.values())


def _of_table(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[RequiredPrivilege]:
    if entity.intersect:
        for end in entity.ends:
            for kind in ("Read", "Append", "AppendTo"):
                yield RequiredPrivilege(kind=kind, table=end.table, path="destination.entity")
        return
    behaviour, table = definition.sync_behaviour, entity.logical_name
    full = behaviour.strategy is Strategy.FULL
    if full:
        yield RequiredPrivilege(kind="Read", table=table, path="destination.entity")
    if not full or behaviour.new == "insert":
        yield RequiredPrivilege(
            kind="Create", table=table, path="sync_behaviour.new" if full else "sync_behaviour.strategy"
        )
    if behaviour.strategy is Strategy.UPSERT or behaviour.action_column is not None:
        yield RequiredPrivilege(kind="Write", table=table, path="sync_behaviour.strategy")
    if full and behaviour.changed != "ignore":
        yield RequiredPrivilege(kind="Write", table=table, path="sync_behaviour.changed")
    yield from _of_drops(behaviour, table)


def _of_drops(behaviour: SyncBehaviour, table: str) -> Iterator[RequiredPrivilege]:
    if behaviour.dropped == "delete":
        yield RequiredPrivilege(kind="Delete", table=table, path="sync_behaviour.dropped")
    elif behaviour.dropped != "ignore":
        yield RequiredPrivilege(kind="Write", table=table, path="sync_behaviour.dropped")
    if behaviour.returned != "ignore":
        yield RequiredPrivilege(kind="Write", table=table, path="sync_behaviour.returned")
    if behaviour.action_column is not None:
        yield RequiredPrivilege(kind="Delete", table=table, path="sync_behaviour.action_column")


def _of_events(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[RequiredPrivilege]:
    """What events need besides: with `delta` they say themselves what is done to a record."""
    listener, strategy = definition.listener, definition.sync_behaviour.strategy
    if listener is None or not listener.enabled or entity.intersect:
        return
    topic, kinds = listener.topic, list[str]()
    if strategy is Strategy.DELTA:
        kinds.append("Write")
        if topic.action is not None or topic.format in _SAYING_ACTIONS:
            kinds += ("Read", "Delete")  # an insert that an earlier process may have sent is looked up first
    elif strategy is Strategy.UPSERT and _moves(definition, entity, topic):
        kinds.append("Read")
    for kind in kinds:
        yield RequiredPrivilege(kind=kind, table=entity.logical_name, path="listener")


def _moves(definition: SyncDefinition, entity: EntityMetadata, topic: Topic) -> bool:
    """Whether an event can give a record another key: then the records with both keys are read."""
    if topic.format not in _WITH_RECORD_BEFORE or topic.key_change is not KeyChange.MOVE:
        return False
    keys = (entity.attributes[name] for name in definition.sync_behaviour.sync_key if name in entity.attributes)
    return can_change(keys, definition.destination.id_column)


def _of_updates(updated: Sequence[tuple[str, str]]) -> Iterator[RequiredPrivilege]:
    for path, table in updated:
        for kind in ("Read", "Write"):
            yield RequiredPrivilege(kind=kind, table=table, path=path)


def _of_mappings(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[RequiredPrivilege]:
    if entity.intersect:
        return
    for place, mapping in enumerate(definition.destination.mappings):
        attribute = entity.attributes.get(mapping.target)
        if attribute is not None and attribute.refers:
            yield from _of_reference(mapping, attribute, entity, f"destination.mappings[{place}]")


def _of_reference(
    mapping: Mapping, attribute: AttributeMetadata, entity: EntityMetadata, path: str
) -> Iterator[RequiredPrivilege]:
    if attribute.type is AttributeType.OWNER:
        yield RequiredPrivilege(kind="Assign", table=entity.logical_name, path=path)
    else:
        yield RequiredPrivilege(kind="Append", table=entity.logical_name, path=path)
        for table in _referred(mapping, attribute):
            yield RequiredPrivilege(kind="AppendTo", table=table, path=path)
    for lookup in mapping.lookups:
        for table in lookup.tables or attribute.targets[:1]:
            yield RequiredPrivilege(kind="Read", table=table, path=path)
            if lookup.on_missing == "create":
                yield RequiredPrivilege(kind="Create", table=table, path=path)


def _referred(mapping: Mapping, attribute: AttributeMetadata) -> Iterator[str]:
    """The tables that a column may refer to; a source with ids names none, so there is only one."""
    for tables in [lookup.tables for lookup in mapping.lookups] or [()]:
        yield from tables or attribute.targets[:1]


def _of_options(definition: SyncDefinition) -> Iterator[RequiredPrivilege]:
    options = definition.destination.options
    if options.bypass_custom_logic:
        yield RequiredPrivilege(kind="prvBypassCustomBusinessLogic", path="destination.options.bypass_custom_logic")
    if options.run_as:
        yield RequiredPrivilege(kind="prvActOnBehalfOfAnotherUser", path="destination.options.run_as")
    if options.bulk_delete_from is not None and definition.sync_behaviour.dropped == "delete":
        yield RequiredPrivilege(kind="prvBulkDelete", path="destination.options.bulk_delete_from")
