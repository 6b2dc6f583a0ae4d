"""Marks on records: what a dropped record gets instead of being deleted, and what a returning one gets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.definitions.loading.rules.hidden_marks import hidden_message, hides
from shared.definitions.models import ColumnType, Expire, SetColumns, SyncDefinition, WritePolicy
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.suggestions import did_you_mean
from shared.transform.convert import fits
from shared.transform.notation.constants import converted
from shared.transform.rules import ErrorType
from shared.transform.set_columns.names import STATE, STATUS, both_halves, mark_names, readable_names
from shared.transform.states.check import closed_by_others, closing_problem
from shared.transform.states.pairs import listed, state_of
from shared.transform.targets import TargetColumn
from shared.workspace import Trial, checked, literal, parsed, quoted

__all__ = [
    "MarkColumn",
    "column_problems",
    "constant_problems",
    "dropped_mark",
    "mark_problems",
    "pair_problems",
    "returned_mark",
    "set_columns",
    "set_expressions",
    "set_problems",
    "unknown_column",
    "write_problems",
]

# The usual two states of a table: Active and Inactive.
_ACTIVE: Final = 0
_INACTIVE: Final = 1
_LOOKUPS: Final = frozenset({AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER})
_DROPPED, _RETURNED = "sync_behaviour.dropped", "sync_behaviour.returned"
_MAPPED: Final = "a mapping fills this column, so a returning row sets it already"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkColumn:
    """One column of a mark. In every SQL text `target` is the record.

    Attributes:
        value: SQL of the value that it gets, of the column's `sql_type`.
        held: SQL condition: the record has the mark in this column.
        unfit: SQL condition: the expression fails, or its value does not fit the column; empty where it always fits.
    """

    column: TargetColumn
    value: str
    held: str
    unfit: str = ""


def dropped_mark(
    definition: SyncDefinition, layout: Sequence[TargetColumn], *, started: datetime
) -> tuple[MarkColumn, ...]:
    """The mark of a dropped record; empty where it is deleted or left alone.

    Args:
        definition: The sync.
        layout: Its target columns.
        started: The start of the run, with time zone: what `expire` sets.

    Raises:
        DefinitionError: An expression cannot be read.
    """
    match definition.sync_behaviour.dropped:
        case "deactivate":
            return (_state(layout, _INACTIVE),)
        case Expire(expire=name):
            column = _named(layout, name)
            moment = f"{literal(started.replace(microsecond=0))}::{column.sql_type}"
            return (MarkColumn(column=column, value=moment, held=f"target.{quoted(name)} IS NOT NULL"),)
        case SetColumns(columns=columns):
            return tuple(set_columns(columns, layout, f"{_DROPPED}.set"))
    return ()


def returned_mark(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[MarkColumn, ...]:
    """What a record gets that this sync has marked and whose row is back; empty where that changes nothing.

    Raises:
        DefinitionError: An expression cannot be read.
    """
    behaviour = definition.sync_behaviour
    match behaviour.returned:
        case SetColumns(columns=columns):
            return tuple(set_columns(columns, layout, f"{_RETURNED}.set"))
        case "reactivate" if isinstance(behaviour.dropped, Expire):
            column = _named(layout, behaviour.dropped.expire)
            held = f"target.{quoted(column.name)} IS NULL"
            return (MarkColumn(column=column, value=f"NULL::{column.sql_type}", held=held),)
        case "reactivate":
            return (_state(layout, _ACTIVE),)
    return ()


def _named(layout: Sequence[TargetColumn], name: str) -> TargetColumn:
    return next(column for column in layout if column.name == name)


def _state(layout: Sequence[TargetColumn], state: int) -> MarkColumn:
    """The service sets the default status reason of a state that is sent alone (Microsoft: set the state)."""
    column = _named(layout, STATE)
    return MarkColumn(column=column, value=str(state), held=f"target.{quoted(STATE)} IS NOT DISTINCT FROM {state}")


def set_columns(columns: Mapping[str, str], layout: Sequence[TargetColumn], origin: str) -> Iterator[MarkColumn]:
    """The columns of a `set`, each with the SQL of its value.

    Args:
        columns: Column -> expression over `target.*`.
        layout: The columns that expressions may read; those of the `set` are among them.
        origin: The path of the `set` in the definition.

    Raises:
        DefinitionError: An expression cannot be read.
    """
    names, made = [f"target.{column.name}" for column in layout], {}
    for name, expression in columns.items():
        column = _named(layout, name)
        text = f"CAST({checked(expression, names=names, origin=f'{origin}.{name}')} AS VARCHAR)"
        failed = ""
        if not _CONSTANT.fullmatch(expression):
            # TRY gives null where it fails on a record; within a list a failure differs from a value that is null.
            failed, text = f"TRY([{text}]) IS NULL", f"TRY([{text}])[1]"
        value, flaws = converted(text, column.attribute)
        unfit = [condition for condition in (failed, *(broken for _, broken in flaws)) if condition]
        made[name] = MarkColumn(
            column=column,
            value=value,
            held=f"target.{quoted(name)} IS NOT DISTINCT FROM {value}",
            unfit=f"(({' OR '.join(unfit)}) IS TRUE)" if unfit else "",
        )
    yield from made.values()
    yield from _state_with(made, layout)


def _state_with(made: Mapping[str, MarkColumn], layout: Sequence[TargetColumn]) -> Iterator[MarkColumn]:
    """The state of a status reason that is set alone: the service takes one of the record's own state only."""
    status, state = made.get(STATUS), next((column for column in layout if column.name == STATE), None)
    if STATE in made or status is None or state is None or not _belongs(status.column.attribute):
        return
    value = state_of(status.value, status.column.attribute)
    held = f"target.{quoted(STATE)} IS NOT DISTINCT FROM {value}"
    yield MarkColumn(column=state, value=value, held=held)


def _belongs(status: AttributeMetadata) -> bool:
    """Whether the metadata says to which state each status reason belongs."""
    return bool(status.choices) and all(choice.state is not None for choice in status.choices)


# -- Checks ---------------------------------------------------------------------------------------------------------


def set_problems(definition: SyncDefinition) -> Iterator[Problem]:
    """Mistakes in the expressions of `set`; needs no metadata."""
    names = readable_names(definition)
    for path, expression in set_expressions(definition):
        try:
            read = parsed(expression, names=names, origin=path).columns
        except DefinitionError as error:
            yield from error.problems
        else:
            yield from _repeated(definition.sync_behaviour.dropped, read, path)


def _repeated(dropped: object, read: frozenset[str], path: str) -> Iterator[Problem]:
    """An expression of the mark of dropped records that reads what this mark sets: it may have another value then.

    What a returning record gets is written once, whatever it is.
    """
    if not isinstance(dropped, SetColumns) or not path.startswith(f"{_DROPPED}."):
        return
    for name in sorted(name for name in both_halves(dropped.columns) if f"target.{name}" in read):
        yield Problem(
            message=f"this reads target.{name}, which the mark sets itself, so each run would write the mark again; "
            "use a fixed text, or read a column that the mark does not set",
            path=path,
        )


def set_expressions(definition: SyncDefinition) -> Iterator[tuple[str, str]]:
    """Path and text of each expression of `set`."""
    behaviour = definition.sync_behaviour.as_written
    for rule, path in ((behaviour.dropped, _DROPPED), (behaviour.returned, _RETURNED)):
        if isinstance(rule, SetColumns):
            yield from ((f"{path}.set.{name}", expression) for name, expression in rule.columns.items())


def mark_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Mistakes of the marks with the table's metadata."""
    behaviour = definition.sync_behaviour.as_written
    if behaviour.dropped == "deactivate":
        yield from _states(entity)
    for path, expression in set_expressions(definition):
        yield from column_problems(path.rpartition(".")[2], expression, entity, path)
    for rule, path in ((behaviour.dropped, _DROPPED), (behaviour.returned, _RETURNED)):
        if isinstance(rule, SetColumns):
            yield from pair_problems(rule.columns, entity, f"{path}.set")
            yield from _hidden(rule.columns, entity, path, definition.destination.filter)
    if behaviour.returned != "ignore":
        mapped = both_halves([mapping.target for mapping in definition.destination.mappings])
        for name in mark_names(behaviour):
            if name in mapped:
                yield Problem(message=f"{name}: {_MAPPED}", path=_RETURNED)


def _hidden(columns: Mapping[str, str], entity: EntityMetadata, path: str, condition: str | None) -> Iterator[Problem]:
    """A filter of states that hides what a status reason alone gives a record: its state follows from the metadata."""
    status = entity.attributes.get(STATUS)
    if STATUS not in columns or STATE in columns or status is None or not condition:
        return
    reason = _constant(columns[STATUS], status)
    state = next((each.state for each in status.choices if each.value == reason), None)
    if state is not None and hides(condition, {STATE: str(state), STATUS: str(reason)}):
        yield Problem(message=hidden_message(path.rpartition(".")[2], (STATUS, STATE)), path="destination.filter")


def column_problems(name: str, expression: str, entity: EntityMetadata, path: str) -> Iterator[Problem]:
    """Mistakes of one column of a `set` with the table's metadata; the expression itself can be read."""
    attribute = entity.attributes.get(name)
    if attribute is None:
        yield Problem(message=unknown_column(name, entity), path=path)
    else:
        yield from _settable(attribute, path)
        yield from constant_problems(expression, attribute, path)


def pair_problems(columns: Mapping[str, str], entity: EntityMetadata, path: str) -> Iterator[Problem]:
    """What is wrong with a state and a status reason: the two do not agree, or a sync does not set this state."""
    yield from _disagreeing(columns, entity, path)
    for name in (name for name in (STATE, STATUS) if name in columns and name in entity.attributes):
        constant = _CONSTANT.fullmatch(columns[name])
        state = _state_named(columns[name], entity.attributes[name]) if constant else None
        if not constant or state in closed_by_others(entity):
            yield from closing_problem(entity, f"{path}.{name}", "Write a constant of another state, or remove it")


def _state_named(expression: str, attribute: AttributeMetadata) -> int | None:
    """The state that a constant of a state or of a status reason means; None where it names none."""
    option = _constant(expression, attribute)
    if attribute.name == STATE:
        return option
    return next((choice.state for choice in attribute.choices if choice.value == option), None)


def _disagreeing(columns: Mapping[str, str], entity: EntityMetadata, path: str) -> Iterator[Problem]:
    """A constant state and a constant status reason of another state; nothing is said of other expressions."""
    state, status = (entity.attributes.get(name) for name in (STATE, STATUS))
    if not columns.keys() >= {STATE, STATUS} or state is None or status is None or not _belongs(status):
        return
    of, reason = _constant(columns[STATE], state), _constant(columns[STATUS], status)
    chosen = next((choice for choice in status.choices if choice.value == reason), None)
    if of is None or chosen is None or chosen.state == of:
        return
    name = next((str(choice) for choice in state.choices if choice.value == of), str(of))
    known = listed([choice for choice in status.choices if choice.state == of])
    message = f"the status reasons of {name} are {known}, and {chosen} is not one of them: write the number of one"
    yield Problem(message=message, path=f"{path}.{STATUS}")


def _constant(expression: str, attribute: AttributeMetadata) -> int | None:
    """The option that a constant names; None for other expressions, and where it names none."""
    if not _CONSTANT.fullmatch(expression):
        return None
    value, _ = converted(f"CAST({checked(expression, names=(), origin='')} AS VARCHAR)", attribute)
    found = Trial({}).value(value)
    return int(found) if found is not None else None


def _states(entity: EntityMetadata) -> Iterator[Problem]:
    state = entity.attributes.get(STATE)
    if state is None:
        message = f"{entity.logical_name} has no states, so its records cannot be deactivated"
    elif {choice.value for choice in state.choices} != {_ACTIVE, _INACTIVE}:
        known = ", ".join(f"{choice.value} {next(iter(choice.labels), '')}".strip() for choice in state.choices)
        message = (
            f"{entity.logical_name} has other states than Active and Inactive ({known}): write dropped: {{set: …}} "
            "with the state and the status reason"
        )
    else:
        return
    yield Problem(message=message, path=_DROPPED)


def _settable(attribute: AttributeMetadata, path: str) -> Iterator[Problem]:
    if not attribute.updatable:
        yield Problem(message=f"{attribute.name} cannot be changed in an existing record", path=path)
    elif not attribute.readable:
        yield Problem(message=f"{attribute.name} cannot be read, so its value would be written in each run", path=path)
    elif attribute.type in _LOOKUPS or not fits(ColumnType.TEXT, attribute):
        yield Problem(message=f"{attribute.name} is of type {attribute.type}, which `set` cannot fill", path=path)


_CONSTANT: Final = re.compile(r"\s*(?:'(?:[^']|'')*'|-?[0-9]+(?:\.[0-9]+)?|true|false)\s*", re.IGNORECASE)


def constant_problems(expression: str, attribute: AttributeMetadata, path: str) -> Iterator[Problem]:
    """A constant that does not fit its column is a mistake of every run; nothing is said of other expressions."""
    if not _CONSTANT.fullmatch(expression) or not fits(ColumnType.TEXT, attribute):
        return
    _, flaws = converted(f"CAST({checked(expression, names=(), origin=path)} AS VARCHAR)", attribute)
    trial, said = Trial({}), f"this value does not fit {attribute.name}, which is of type {attribute.type}"
    for flaw, broken in flaws:
        if trial.holds(f"({broken}) IS TRUE"):
            part = (flaw.detail or flaw.value_detail) and flaw.error is not ErrorType.AMBIGUOUS_CHOICE
            more = "" if part else f": {flaw.message}"
            yield Problem(message=f"{said}{more}", path=path)


def write_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Policies that a column or a table does not allow."""
    blind = definition.sync_behaviour.strategy != "full"
    for place, mapping in enumerate(definition.destination.mappings):
        attribute, path = entity.attributes.get(mapping.target), f"destination.mappings[{place}].write"
        if attribute is None or mapping.write is WritePolicy.ALWAYS:
            continue
        if mapping.write is WritePolicy.UNLESS_EDITED and (reason := _no_versions(entity)):
            yield Problem(message=reason, path=path)
        elif mapping.write is not WritePolicy.ON_INSERT and not attribute.updatable:
            message = f"{attribute.name} can be set only when a record is created: use write: on_insert"
            yield Problem(message=message, path=path)
        elif mapping.write is WritePolicy.ON_INSERT and blind and not attribute.creatable:
            message = f"{attribute.name} cannot be set when a record is created"
            yield Problem(message=message, path=path)
    yield from _state_writes(definition, entity)


def _no_versions(entity: EntityMetadata) -> str:
    """Why the service does not compare versions of the table's records; empty where it does."""
    if entity.elastic:
        return f"{entity.logical_name} is an elastic table, which does not compare versions of a record"
    if not entity.optimistic_concurrency:
        return (
            f"{entity.logical_name} does not compare versions of a record (IsOptimisticConcurrencyEnabled is false), "
            "so an edit could be overwritten: use write: always, if_empty or on_insert"
        )
    return ""


def _state_writes(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """A status that is written where its state is not would open or close the record, or be refused."""
    halves = {
        entity.attributes[mapping.target].type: (place, mapping)
        for place, mapping in enumerate(definition.destination.mappings)
        if mapping.target in entity.attributes
    }
    if not halves.keys() >= {AttributeType.STATE, AttributeType.STATUS}:
        return
    (_, state), (place, status) = halves[AttributeType.STATE], halves[AttributeType.STATUS]
    written = {WritePolicy.ALWAYS, WritePolicy.UNLESS_EDITED}
    if state.write is not WritePolicy.ALWAYS and status.write in written and status.write is not state.write:
        message = f"Dataverse sets {state.target} with {status.target}: use write: {state.write} for both"
        yield Problem(message=message, path=f"destination.mappings[{place}].write")


def unknown_column(name: str, entity: EntityMetadata) -> str:
    """Say that a table has no such column, and which one may be meant."""
    shown = next((a.name for a in entity.attributes.values() if a.display_name.lower() == name.lower()), None)
    hint = f"; did you mean {shown}?" if shown else did_you_mean(name, entity.attributes, before="; ")
    return f"{entity.logical_name} has no column {name}{hint}"
