"""Checks of mapped states and statuses against metadata, before a row is read: what every row would get wrong."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.definitions.models import Mapping, SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, Choice, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.state_rules import rules_of
from shared.transform.choices.options import ambiguous_choice, unknown_choice
from shared.transform.notation.words import folded_word, named_by
from shared.transform.states.pairs import listed
from shared.transform.targets import source_columns
from shared.workspace import Trial, parsed

__all__ = ["closed_by_others", "closing_problem", "state_problems"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """A mapped state or status.

    Attributes:
        constant: Whether every row gets the same value.
        text: That value as it is written, in lower case.
        options: The options that it names; of a status beside a state, those of this state if there are any.
    """

    attribute: AttributeMetadata
    path: str
    constant: bool
    text: str
    options: tuple[Choice, ...]

    @property
    def states(self) -> frozenset[int | None]:
        """The states of these options."""
        is_status = self.attribute.type is AttributeType.STATUS
        return frozenset(option.state if is_status else option.value for option in self.options)


def state_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """What is wrong with constants for state and status, and states that a sync does not set."""
    halves = {half.attribute.type: half for half in _halves(definition, entity)}
    state, status = halves.get(AttributeType.STATE), halves.get(AttributeType.STATUS)
    if state is not None and status is not None:
        own = tuple(option for option in status.options if option.state in state.states)
        halves[AttributeType.STATUS] = status = replace(status, options=own or status.options)
    for half in halves.values():
        if half.constant and not half.options and half.attribute.choices:
            yield Problem(message=unknown_choice(half.attribute, half.text), path=half.path)
    yield from _ambiguous(halves)
    yield from _closing(entity, halves)
    if state is None or status is None or len(state.options) != 1 or not status.options:
        return
    if None not in status.states and status.states.isdisjoint(state.states):
        names = [option for option in status.attribute.choices if option.state in state.states]
        message = (
            f"the status reasons of {state.options[0]} are {listed(names)}, and {status.options[0]} is not one of them"
        )
        yield Problem(message=message, path=status.path)


def _ambiguous(halves: abc.Mapping[AttributeType, _Half]) -> Iterator[Problem]:
    """Constants that name several options; nothing is said of a status where the state depends on the row."""
    state = halves.get(AttributeType.STATE)
    for half in halves.values():
        decided = half is not state and state is not None and not half.states <= state.states
        if len(half.options) > 1 and not decided:
            yield Problem(message=ambiguous_choice(half.attribute, half.text, half.options), path=half.path)


def _closing(entity: EntityMetadata, halves: abc.Mapping[AttributeType, _Half]) -> Iterator[Problem]:
    """Tables whose records a sync does not close: only a constant tells that it is not asked to."""
    for half in halves.values():
        if not half.constant or not half.states.isdisjoint(closed_by_others(entity)):
            yield from closing_problem(entity, half.path, "Remove the mapping, or map a constant of another state")


def closed_by_others(entity: EntityMetadata) -> frozenset[int]:
    """The states that a sync does not set in a table; empty where it sets all."""
    rules = rules_of(entity.logical_name)
    return rules.closed if rules is not None else frozenset()


def closing_problem(entity: EntityMetadata, path: str, remedy: str) -> Iterator[Problem]:
    """Say what closes the records of a table, where that is not a sync; nothing of other tables.

    Args:
        entity: The table.
        path: The place of what may close them.
        remedy: What to do: a sentence without its point.
    """
    rules = rules_of(entity.logical_name)
    if rules is not None and rules.refused:
        closed = [option for option in entity.options(AttributeType.STATE) if option.value in rules.closed]
        yield Problem(
            message=f"a sync cannot close {entity.logical_name} records: only {rules.refused} set the states "
            f"{listed(closed)}. {remedy}",
            path=path,
        )


def _halves(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[_Half]:
    for place, mapping in enumerate(definition.destination.mappings):
        attribute = entity.attributes.get(mapping.target)
        if attribute is None or attribute.type not in {AttributeType.STATE, AttributeType.STATUS}:
            continue
        path = f"destination.mappings[{place}].{'value' if mapping.value is not None else 'source'}"
        text = _constant(definition, mapping, path)
        folded = folded_word(text) if text is not None else ""
        options = named_by(attribute.choices).get(folded, ())
        yield _Half(attribute=attribute, path=path, constant=text is not None, text=folded, options=options)


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
