"""The values of parameters in the filters that a run works out in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.definitions.models import ParameterValue, Strategy, SyncDefinition
from shared.entities import EntityMetadata
from shared.transform.lookups.columns import LookupColumn, references
from shared.transform.lookups.conditions import condition_values

__all__ = ["filter_values"]


def filter_values(
    definition: SyncDefinition,
    entity: EntityMetadata,
    late: Sequence[LookupColumn],
    parameters: Mapping[str, ParameterValue],
) -> dict[str, str | None]:
    """The variables that a workspace needs for the filters of the destination and of lookups in its table.

    Args:
        definition: The sync.
        entity: Its table.
        late: The lookups that may refer to records which the run writes.
        parameters: The values of the run.

    Raises:
        UserError: A parameter has no value, or the value does not fit the column that it is compared with.
    """
    if definition.sync_behaviour.strategy is not Strategy.FULL:  # others work out no filter
        return {}
    own = (each.filter for each in references(late) if each.entity.logical_name == entity.logical_name)
    found: dict[str, str | None] = {}
    for condition in (definition.destination.filter, *own):
        found |= condition_values(condition or "", entity, parameters)
    return found
