"""Checks of a definition against a table's metadata: all problems, before a row is read.

Rules that need neither SQL nor metadata, such as those for names and mappings, are checked when a definition is loaded:
`shared/definitions/loading/rules/between_keys.py`.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Iterable, Iterator, Sequence

from shared.definitions.models import (
    ChangedWhen,
    Column,
    ColumnType,
    DynamicsDestination,
    Expire,
    Mapping,
    Strategy,
    SyncDefinition,
    WatermarkedSource,
)
from shared.definitions.models.notation import EXCEL
from shared.entities import CHANGED_BY_MESSAGES, AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.suggestions import did_you_mean
from shared.transform.choices.check import choice_problems
from shared.transform.convert import fits
from shared.transform.desire import value_sql
from shared.transform.lookups.check import link_problems, lookup_problems
from shared.transform.notation.dates import read_format
from shared.transform.notation.moments import zone_trial
from shared.transform.notation.results import result_problem
from shared.transform.set_columns.marks import mark_problems, set_problems, unknown_column, write_problems
from shared.transform.set_columns.names import readable_names
from shared.transform.set_columns.sides import side_problems
from shared.transform.shape import SOURCE_TYPES, shape_of
from shared.transform.states.check import state_problems
from shared.transform.targets import source_columns
from shared.workspace import Trial, literal, parsed, too_long

__all__ = ["check", "check_expressions", "numbers_rows"]


def check(definition: SyncDefinition, entity: EntityMetadata) -> tuple[Problem, ...]:
    """All problems of the definition with the table's metadata; empty if there are none."""
    own = (link_problems,) if entity.intersect else (_expire, mark_problems, _strategy)
    mapped = (_source_names, _mappings, lookup_problems, write_problems, choice_problems)
    rules = [_refused_table, *mapped, _id_column, _sync_key, *own]
    problems = check_expressions(definition)
    if not problems:
        rules += [state_problems, side_problems]  # constants and expressions are tried out
    return problems + tuple(problem for rule in rules for problem in rule(definition, entity))


def check_expressions(definition: SyncDefinition) -> tuple[Problem, ...]:
    """Return the mistakes in the definition's SQL expressions and date formats; needs no metadata."""
    problems, sizes = list[Problem](), dict[str, int]()
    try:
        sizes = shape_of(definition).sizes
    except DefinitionError as error:
        problems.extend(error.problems)
    labels = [column.label for column in definition.source.columns]
    for text, origin in _mapped(definition):
        problems.extend(_refused(text, labels, origin, sizes))
    problems.extend(_condition(definition, sizes))
    problems.extend(set_problems(definition))
    problems.extend([] if problems else _numbered(definition))
    return tuple(problems) or tuple(_unbindable(definition))


def numbers_rows(definition: SyncDefinition) -> Iterator[str]:
    """Yield the places of the expressions that use `ROW_NUMBER`; all of them must be well written."""
    labels = [column.label for column in definition.source.columns]
    for text, _, origin in _expressions(definition):
        if parsed(text, names=labels, origin=origin).numbers_rows:
            yield origin


def _numbered(definition: SyncDefinition) -> Iterator[Problem]:
    """A row has a number only where the whole source is read: else it has another one in the next run."""
    if definition.listener is not None:
        what = "events have no numbers"
    elif isinstance(definition.source, WatermarkedSource) and definition.source.watermark is not None:
        what = "with a watermark a run reads a part of the source"
    else:
        return
    for origin in numbers_rows(definition):
        message = f"{what}, so ROW_NUMBER() would give a row another number each time; use a column of the source"
        yield Problem(message=message, path=origin)


def _unbindable(definition: SyncDefinition) -> list[Problem]:
    """What is well written and yet makes no sense to DuckDB: wrong arguments, unknown types, bad patterns."""
    labels = [column.label for column in definition.source.columns]
    used = (parsed(text, names=labels, origin=place).columns for text, _, place in _expressions(definition))
    read = set[str]().union(*used)
    # A row of all columns that a file may have would need hundreds of megabytes.
    columns = {each.label: SOURCE_TYPES[each.type] for each in definition.source.columns if each.label in read}
    trial = Trial(columns)
    return trial.watched(_tried(definition, trial))


def _tried(definition: SyncDefinition, trial: Trial) -> Iterator[Problem]:
    for sql, origin in _patterns(definition):
        if (problem := trial.problem(sql, origin)) is not None:
            yield problem
    for text, kind, origin in _expressions(definition):
        if (problem := result_problem(trial, kind, value_sql(definition, text, origin), origin)) is not None:
            yield problem


def _patterns(definition: SyncDefinition) -> Iterator[tuple[str, str]]:
    """SQL that uses each regular expression and each date format, and its place."""
    for place, column in enumerate(definition.source.columns):
        for number, replacement in enumerate(column.replace):
            pattern, by = literal(replacement.pattern), literal(replacement.with_)
            yield f"regexp_replace('', {pattern}, {by}, 'g')", f"source.columns[{place}].replace[{number}]"
        yield from _date_patterns(column, f"source.columns[{place}]")


def _date_patterns(column: Column, path: str) -> Iterator[tuple[str, str]]:
    for number, written in enumerate(column.input_formats):
        if written != EXCEL:
            place = "" if isinstance(column.input_format, str) else f"[{number}]"
            yield f"try_strptime('', {literal(read_format(written).strptime)})", f"{path}.input_format{place}"
    if column.time_zone is not None:
        yield zone_trial(column.time_zone), f"{path}.time_zone"


def _expressions(definition: SyncDefinition) -> Iterator[tuple[str, ColumnType, str]]:
    """Each expression over the source's columns, what it has to result in, and its place."""
    for place, column in enumerate(definition.source.columns):
        path = f"source.columns[{place}]"
        if column.formula is not None:
            yield column.formula, column.type, f"{path}.formula"
        for number, case in enumerate(column.cases):
            yield case.when, ColumnType.BOOL, f"{path}.cases[{number}].when"
            yield case.then, column.type, f"{path}.cases[{number}].then"
        if column.default is not None:
            yield column.default, column.type, f"{path}.default"
    if definition.source.row_filter is not None:
        yield definition.source.row_filter, ColumnType.BOOL, "source.filter"
    for text, origin in _mapped(definition):
        yield text, ColumnType.TEXT, origin


def _mapped(definition: SyncDefinition) -> Iterator[tuple[str, str]]:
    """The expressions of the mappings and their places: values, and further columns of records that lookups create."""
    for place, mapping in enumerate(definition.destination.mappings):
        path = f"destination.mappings[{place}]"
        if mapping.value is not None:
            yield mapping.value, f"{path}.value"
        for number, lookup in enumerate(mapping.lookups):
            own = f"{path}.lookup" + (f"[{number}]" if isinstance(mapping.lookup, tuple) else "")
            yield from ((text, f"{own}.create.{name}") for name, text in lookup.create.items())


def _refused(text: str, names: Sequence[str], origin: str, sizes: abc.Mapping[str, int]) -> Iterable[Problem]:
    """What is wrong with an expression over columns, some of which are calculated and have a size of their own."""
    try:
        message = too_long(parsed(text, names=names, origin=origin).size(sizes))
    except DefinitionError as error:
        return error.problems
    return (Problem(message=message, path=origin),) if message else ()


def _condition(definition: SyncDefinition, sizes: abc.Mapping[str, int]) -> Iterable[Problem]:
    changed = definition.sync_behaviour.changed
    if not isinstance(changed, ChangedWhen):
        return ()
    names = [f"source.{column.label}" for column in definition.source.columns] + readable_names(definition)
    qualified = {f"source.{name}": size for name, size in sizes.items()}
    return _refused(changed.when, names, "sync_behaviour.changed.when", qualified)


def _refused_table(_: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """A table that is refused when a definition is loaded, under one of its other names."""
    if (messages := CHANGED_BY_MESSAGES.get(entity.logical_name)) is not None:
        message = f"a sync cannot write {entity.logical_name}: only these messages of Dataverse change it: {messages}"
        yield Problem(message=message, path="destination.entity")


def _mappings(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    for place, mapping in enumerate(definition.destination.mappings):
        path = f"destination.mappings[{place}]"
        attribute = entity.attributes.get(mapping.target)
        if attribute is None:
            yield Problem(message=unknown_column(mapping.target, entity), path=f"{path}.target")
        else:
            yield from _target(definition, entity, mapping, attribute, path)


def _target(
    definition: SyncDefinition, entity: EntityMetadata, mapping: Mapping, attribute: AttributeMetadata, path: str
) -> Iterator[Problem]:
    name = attribute.name
    matched_only = name in definition.sync_behaviour.sync_key or name == entity.primary_id
    if attribute.type in _FILES:
        message = f"{name} is of type {attribute.type}: images and files come later; remove the mapping"
        yield Problem(message=message, path=f"{path}.target")
        return
    if not attribute.creatable and not attribute.updatable and not matched_only:
        yield Problem(message=f"{name} is read-only: {_computed(attribute, entity)}", path=f"{path}.target")
    if not attribute.readable and definition.sync_behaviour.strategy is Strategy.FULL:
        yield Problem(
            message=f"{name} cannot be read, so strategy full cannot compare it; use strategy delta or upsert",
            path=f"{path}.target",
        )
    if mapping.lookups:
        return
    source = source_columns(definition).get(mapping.sources[0] if mapping.sources else "")
    if mapping.value is None and source is None:
        return
    kind = source.type if source else ColumnType.TEXT
    if not any(fits(each, attribute) for each in ColumnType):
        yield Problem(message=f"{name} is of type {attribute.type}, which a mapping cannot fill", path=f"{path}.target")
    elif not fits(kind, attribute):
        yield Problem(
            message=f"{name} is of type {attribute.type} and cannot hold a {kind}, which {mapping.sources[0]} is",
            path=f"{path}.target",
        )
    elif attribute.type in _WITH_OPTIONS and not attribute.choices:
        yield Problem(message=f"{name} has no options, so no value is valid", path=f"{path}.target")


def _source_names(definition: SyncDefinition, _: EntityMetadata) -> Iterator[Problem]:
    """Columns that the source does not have: the columns of some sources are known only when they have been asked."""
    if not definition.source.has_all_columns:
        return
    labels = source_columns(definition)
    for name, path in _names_used(definition):
        if name not in labels:
            hint = did_you_mean(name, labels, before="; ")
            yield Problem(message=f"the source has no column {name}{hint}", path=path)


def _names_used(definition: SyncDefinition) -> Iterator[tuple[str, str]]:
    """The names of columns of the source outside of expressions, with their places."""
    for place, mapping in enumerate(definition.destination.mappings):
        yield from ((name, f"destination.mappings[{place}].source") for name in mapping.sources)
    if (action := definition.sync_behaviour.action_column) is not None:
        yield action, "sync_behaviour.action_column"


def _computed(attribute: AttributeMetadata, entity: EntityMetadata) -> str:
    """Why a column cannot be written."""
    amount = attribute.name.removesuffix("_base")
    if attribute.type is AttributeType.MONEY and amount != attribute.name and amount in entity.attributes:
        return f"the service computes it from {amount} and the exchange rate; map {amount}"
    if attribute.computed:
        return f"it is a {attribute.computed} column, which the service computes"
    return "the service computes it"


_FILES = frozenset({AttributeType.IMAGE, AttributeType.FILE})
_WITH_OPTIONS = frozenset(
    {AttributeType.PICKLIST, AttributeType.STATE, AttributeType.STATUS, AttributeType.MULTI_PICKLIST}
)


def _id_column(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    column = definition.destination.id_column
    if column != entity.primary_id:
        yield Problem(
            message=f"the id column of {entity.logical_name} is {entity.primary_id}, not {column}",
            path="destination.id_column",
        )


def _sync_key(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    for place, name in enumerate(definition.sync_behaviour.sync_key):
        if name not in entity.attributes:
            yield Problem(message=unknown_column(name, entity), path=f"sync_behaviour.sync_key[{place}]")


def _expire(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    dropped, path = definition.sync_behaviour.as_written.dropped, "sync_behaviour.dropped.expire"
    if not isinstance(dropped, Expire):
        return
    attribute = entity.attributes.get(dropped.expire)
    if attribute is None:
        yield Problem(message=unknown_column(dropped.expire, entity), path=path)
    elif attribute.type is not AttributeType.DATETIME:
        yield Problem(message=f"{dropped.expire} is of type {attribute.type}; expire needs a date column", path=path)
    elif not attribute.updatable:
        yield Problem(message=f"{dropped.expire} is read-only and cannot be set", path=path)


def _strategy(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Without reading the target, a record is addressed by its id or by an alternate key that is in force."""
    behaviour, path = definition.sync_behaviour, "sync_behaviour.sync_key"
    addressed = behaviour.strategy is Strategy.UPSERT or (
        behaviour.strategy is Strategy.DELTA and behaviour.action_column is not None
    )
    if not addressed or _id_is_mapped(definition.destination):
        return
    key, said = entity.key_over(frozenset(behaviour.sync_key)), ", ".join(behaviour.sync_key)
    if key is None:
        yield Problem(
            message=f"strategy {behaviour.strategy} needs an alternate key of {entity.logical_name} over {said}: "
            f"define one, or map {definition.destination.id_column}",
            path=path,
        )
    elif not key.active:
        yield Problem(message=f"the index of alternate key {key.name} is not active; reactivate it first", path=path)


def _id_is_mapped(destination: DynamicsDestination) -> bool:
    return any(mapping.target == destination.id_column for mapping in destination.mappings)
