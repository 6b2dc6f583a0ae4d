"""Checks of mapped states and statuses against metadata, before a row is read: what every row would get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.definitions.models import Mapping, SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.state_rules import rules_of
from shared.transform.choices.options import options_of, unknown_choice
from shared.transform.notation.words import folded_word
from shared.transform.states.pairs import listed
from shared.transform.targets import source_columns
from shared.workspace import Trial, parsed

__all__ = ["state_problems"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """A mapped state or status.

    Attributes:
        constant: Whether every row gets the same value.
        text: That value as it is written, in lower case.
        value: The option that it names; None where it names none.
    """

    attribute: AttributeMetadata
    path: str
    constant: bool
    text: str
    value: int | None

    def __str__(self) -> str:
        """The value as messages name it."""
        return next((str(option) for option in self.attribute.choices if option.value == self.value), "")


def state_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """What is wrong with constants for state and status, and states that a sync does not set."""
    halves = {half.attribute.type: half for half in _halves(definition, entity)}
    for half in halves.values():
        if half.constant and half.value is None and half.attribute.choices:
            yield Problem(message=unknown_choice(half.attribute, half.text), path=half.path)
    yield from _closing(entity, halves)
    state, status = halves.get(AttributeType.STATE), halves.get(AttributeType.STATUS)
    if state is None or status is None or state.value is None or status.value is None:
        return
    names = tuple(option for option in status.attribute.choices if option.state == state.value)
    if _state_of(status) is not None and status.text not in options_of(names):
        message = f"the status reasons of {state} are {listed(names)}, and {status} is not one of them"
        yield Problem(message=message, path=status.path)


def _closing(entity: EntityMetadata, halves: dict[AttributeType, _Half]) -> Iterator[Problem]:
    """Tables whose records a sync does not close: only a constant tells that it is not asked to."""
    rules = rules_of(entity.logical_name)
    if rules is None or not rules.refused:
        return
    for half in halves.values():
        state = _state_of(half) if half.attribute.type is AttributeType.STATUS else half.value
        if half.constant and state not in rules.closed:
            continue
        closed = [option for option in entity.options(AttributeType.STATE) if option.value in rules.closed]
        yield Problem(
            message=f"a sync cannot close {entity.logical_name} records: only {rules.refused} set the states "
            f"{listed(closed)}. Remove the mapping, or map a constant of another state",
            path=half.path,
        )


def _state_of(status: _Half) -> int | None:
    return next((option.state for option in status.attribute.choices if option.value == status.value), None)


def _halves(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[_Half]:
    for place, mapping in enumerate(definition.destination.mappings):
        attribute = entity.attributes.get(mapping.target)
        if attribute is None or attribute.type not in {AttributeType.STATE, AttributeType.STATUS}:
            continue
        path = f"destination.mappings[{place}].{'value' if mapping.value is not None else 'source'}"
        text = _constant(definition, mapping, path)
        folded = folded_word(text) if text is not None else ""
        value = options_of(attribute.choices).get(folded)
        yield _Half(attribute=attribute, path=path, constant=text is not None, text=folded, value=value)


def _constant(definition: SyncDefinition, mapping: Mapping, path: str) -> str | None:
    """The value that every row gets; None where it depends on the row or on a parameter."""
    source = source_columns(definition).get(mapping.sources[0] if mapping.sources else "")
    expression = mapping.value if mapping.value is not None else source and source.formula
    if not expression or "@" in expression:
        return None
    try:
        found = parsed(expression, names=list(source_columns(definition)), origin=path)
    except DefinitionError:
        return None  # reported with the other expressions
    return None if found.columns else Trial({}).value(found.sql)
