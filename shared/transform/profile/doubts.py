"""What a definition and a table show together that is no mistake, but that rows or other users will run into."""

from __future__ import annotations

from collections.abc import Iterator

from shared.definitions.models import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import Problem
from shared.transform.targets import TEXTS, source_columns

__all__ = ["doubts"]


def doubts(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Texts that can be longer than their column, and a key whose index is not in force."""
    columns = source_columns(definition)
    for place, mapping in enumerate(definition.destination.mappings):
        source = columns.get(mapping.sources[0]) if mapping.sources and not mapping.lookups else None
        attribute = entity.attributes.get(mapping.target)
        if source is None or attribute is None or attribute.type not in TEXTS or attribute.max_length is None:
            continue
        if source.max_length is not None and source.max_length > attribute.max_length:
            message = (
                f"{source.label} can have {source.max_length:,} characters and {attribute.name} holds "
                f"{attribute.max_length:,}: rows with longer values will be rejected"
            )
            yield Problem(message=message, path=f"destination.mappings[{place}]")
    key = entity.key_over(frozenset(definition.sync_behaviour.sync_key))
    if key is not None and not key.active:
        message = (
            f"the index of the alternate key {key.name} is not active, so the service does not keep keys unique: "
            f"`dynamics-sync keys {definition.name} --create` waits for it, or starts it again"
        )
        yield Problem(message=message, path="sync_behaviour.sync_key")
