"""A preview: the plan of the first rows of a source."""

from __future__ import annotations

from shared.definitions import SyncDefinition

__all__ = ["previewed_definition"]


def previewed_definition(definition: SyncDefinition) -> SyncDefinition:
    """The definition for a preview: what is not among the first rows is not dropped, and no step follows."""
    behaviour = definition.sync_behaviour.model_copy(update={"dropped": "ignore", "returned": "ignore"})
    return definition.model_copy(update={"sync_behaviour": behaviour, "post_sync": ()})
