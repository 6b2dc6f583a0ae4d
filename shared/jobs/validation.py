"""Checks of a definition that need the service: its columns, its filter, and the privileges of its users."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus

from shared.dataverse import Dataverse
from shared.definitions import Language, ParameterValue, SyncDefinition, in_odata, names_in
from shared.definitions.models import Strategy
from shared.definitions.models.names import RUN_FIGURES
from shared.entities import EntityMetadata
from shared.errors import AbortRun, Problem, RequestRefused, UserError
from shared.jobs.post_sync.checks import step_problems
from shared.jobs.privileges import access_of
from shared.memory import mirror_obstacle
from shared.reconcile.columns import stays_empty
from shared.transform import check
from shared.transform.lookups.conditions import Held, condition_columns, possible_sql
from shared.transform.targets import layout
from shared.workspace import Trial

__all__ = ["filter_doubts", "mirror_doubts", "online_problems", "privilege_problems"]

_FILTER = "destination.filter"


def online_problems(
    definition: SyncDefinition,
    dataverse: Dataverse,
    values: Mapping[str, ParameterValue],
    absent: Collection[str],
) -> tuple[Problem, ...]:
    """Every mistake that the definition and the environment show together.

    Args:
        definition: A loaded definition.
        dataverse: Its environment.
        values: Values of its parameters.
        absent: Parameters whose value only a run has; a filter that uses one is not checked.

    Raises:
        SyncError: The environment cannot be asked.
    """
    entity = dataverse.tables_of(definition)
    return (
        *check(definition, entity),
        *_filter_problems(definition, dataverse, entity, values, absent),
        *step_problems(definition, dataverse),
        *_update_filters(definition, dataverse, values, absent),
    )


def mirror_doubts(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Why a mirror that is wanted will not be kept."""
    if not definition.destination.mirror or not definition.source.has_all_columns or check(definition, entity):
        return
    if obstacle := mirror_obstacle(definition, entity, layout(definition, entity)):
        yield Problem(message=f"there will be no mirror: {obstacle}", path="destination.mirror")


def filter_doubts(
    definition: SyncDefinition,
    entity: EntityMetadata,
    values: Mapping[str, ParameterValue],
    absent: Collection[str],
) -> Iterator[Problem]:
    """Columns of the destination's filter that stay empty in new records, so that no later run would find these.

    Only a doubt: a plug-in or a workflow may set them. A filter that uses a parameter of `absent` is not looked at.
    """
    condition, behaviour = definition.destination.filter, definition.sync_behaviour
    creates = behaviour.strategy is Strategy.FULL and behaviour.new == "insert"
    if condition is None or not creates or set(names_in(condition, Language.ODATA)) & {*absent}:
        return
    written = in_odata(condition, values, entity)
    mapped = {entity.primary_id, *(mapping.target for mapping in definition.destination.mappings)}
    named = [entity.attributes.get(name) for name in condition_columns(written) if name not in mapped]
    empty = [each for each in named if each is not None and stays_empty(each)]
    held = {each.name: Held(each, "NULL", "true") for each in empty}
    passes = possible_sql(written, held, behaviour.key_match)
    if passes != "true" and not Trial({}).holds(passes):
        message = (
            f"no mapping sets {', '.join(each.name for each in empty)}, so new records would not pass this filter, and "
            "each run would create them again, unless Dataverse, a plug-in or a workflow sets it: map the column"
        )
        yield Problem(message=message, path=_FILTER)


def privilege_problems(definition: SyncDefinition, dataverse: Dataverse) -> Iterator[Problem]:
    """What the application users may not do; nothing where the service does not tell.

    Raises:
        SyncError: The table cannot be had.
    """
    entity = dataverse.tables_of(definition)
    try:
        accesses = access_of(definition, entity, dataverse)
    except (RequestRefused, AbortRun):
        return
    for access in accesses:
        if access.lacking:
            yield Problem(message=str(access), path=access.need.path)


def _update_filters(
    definition: SyncDefinition, dataverse: Dataverse, values: Mapping[str, ParameterValue], absent: Collection[str]
) -> Iterator[Problem]:
    """The filters of updates after the sync; one that names a figure of the run is not known before the run."""
    for number, step in enumerate(definition.post_sync):
        if step.update is None or {*names_in(step.update.filter, Language.ODATA)} & {*absent, *RUN_FIGURES}:
            continue
        try:
            entity = dataverse.entity(step.update.entity)
        except AbortRun:
            continue  # that there is no such table is told already
        yield from _tried(step.update.filter, f"post_sync[{number}].update.filter", dataverse, entity, values)


def _filter_problems(
    definition: SyncDefinition,
    dataverse: Dataverse,
    entity: EntityMetadata,
    values: Mapping[str, ParameterValue],
    absent: Collection[str],
) -> Iterator[Problem]:
    """Read one record, because only the service can check columns, functions and values of a filter."""
    condition = definition.destination.filter
    if condition is None or any(name in absent for name in names_in(condition, Language.ODATA)):
        return
    yield from _tried(condition, _FILTER, dataverse, entity, values)


def _tried(
    condition: str, path: str, dataverse: Dataverse, entity: EntityMetadata, values: Mapping[str, ParameterValue]
) -> Iterator[Problem]:
    try:
        dataverse.try_filter(entity, in_odata(condition, values, entity))
    except UserError as error:
        yield Problem(message=error.message, path=path)
    except RequestRefused as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        yield Problem(message=f"Dataverse refuses this filter: {error.message}", path=path)
