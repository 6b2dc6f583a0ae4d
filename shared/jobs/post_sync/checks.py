"""Checks of steps with the environment: before a run writes anything, and by `validate`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from shared.dataverse import Dataverse, Operation
from shared.dataverse.calls.sending import json_value
from shared.definitions import Language, SyncDefinition, names_in
from shared.definitions.models import PostSyncStep
from shared.errors import AbortRun, Problem
from shared.suggestions import did_you_mean
from shared.transform.set_columns.updates import update_problems

__all__ = ["operation_of", "step_problems"]


_BASES: Final = ("crmbaseentity", "principal")  # what is bound to one of these is bound to each table of its kind


def step_problems(definition: SyncDefinition, dataverse: Dataverse) -> Iterator[Problem]:
    """Every mistake that the steps and the metadata of the environment show together.

    Raises:
        SyncError: The environment cannot be asked.
    """
    for number, step in enumerate(definition.post_sync):
        place = f"post_sync[{number}]"
        if step.action is not None:
            yield from _action(step, step.action, dataverse, place)
        if step.update is not None:
            try:
                entity = dataverse.entity(step.update.entity)
            except AbortRun as error:
                yield Problem(message=error.message, path=f"{place}.update.entity")
                continue
            yield from update_problems(step.update, entity, f"{place}.update")


def operation_of(step: PostSyncStep, found: Collection[Operation]) -> Operation | None:
    """The operation that a step calls, among those of its name; None if none of them is bound as the step says."""
    bound = step.bound_to
    for each in found:
        if bound is None and not each.bound_to:
            return each
        if bound is not None and each.bound_to in {bound.entity, *_BASES} and each.collection is (bound.id is None):
            return replace(each, bound_to=bound.entity)
    return None


def _action(step: PostSyncStep, name: str, dataverse: Dataverse, place: str) -> Iterator[Problem]:
    found = dataverse.operations(name)
    if not found:
        hint = did_you_mean(name, dataverse.operation_names(), before="; ")
        message = f"the environment has no action, function or custom API {name}{hint}"
        yield Problem(message=message, path=f"{place}.action")
        return
    operation = operation_of(step, found)
    if operation is None:
        key = "action" if step.bound_to is None else "bound_to"
        yield Problem(message=_how_bound(name, found), path=f"{place}.{key}")
        return
    yield from _parameters(operation, step.body or {}, place)


def _how_bound(name: str, found: Collection[Operation]) -> str:
    ways = []
    for each in found:
        if not each.bound_to:
            ways.append("not bound: remove bound_to")
        elif each.collection:
            ways.append(f"bound to the collection of {each.bound_to}: write bound_to: {{entity: {each.bound_to}}}")
        else:
            ways.append(f"bound to a record of {each.bound_to}: write bound_to: {{entity: {each.bound_to}, id: …}}")
    several = f", or {len(ways) - 1} other ways" if len(ways) > 1 else ""
    return f"{name} is {ways[0]}{several}"


def _parameters(operation: Operation, body: Mapping[str, Any], place: str) -> Iterator[Problem]:
    for name, value in body.items():
        parameter = operation.parameters.get(name)
        if parameter is None:
            known = sorted(operation.parameters)
            there_are = f"there are: {', '.join(known)}" if known else "it has none"
            hint = did_you_mean(name, known) or there_are
            message = f"{operation.name} has no parameter {name}; {hint}"
            yield Problem(message=message, path=f"{place}.body.{name}")
        elif not (isinstance(value, str) and names_in(value, Language.JSON)) and not _fits(value, parameter.type):
            message = f"this parameter is of type {parameter.type}, and the value does not fit"
            yield Problem(message=message, path=f"{place}.body.{name}")
    missing = [name for name, each in operation.parameters.items() if each.required and body.get(name) is None]
    if missing:
        message = f"{operation.name} needs {', '.join(missing)}: write each below body"
        yield Problem(message=message, path=f"{place}.body" if body else f"{place}.action")


def _fits(value: Any, kind: str) -> bool:
    try:
        json_value(value, kind)
    except ValueError:
        return False
    return True
