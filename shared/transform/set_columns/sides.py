"""Expressions over a record, or a row and its record: whether DuckDB can run them on columns of their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.definitions.models import ChangedWhen, ColumnType, SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import Problem
from shared.transform.notation.results import result_problem
from shared.transform.set_columns.marks import set_expressions
from shared.transform.set_columns.names import readable_names
from shared.transform.shape import SOURCE_TYPES
from shared.transform.targets import sql_type
from shared.workspace import Expression, Trial, parsed, quoted

__all__ = ["SideExpression", "record_types", "side_problems", "unrunnable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideExpression:
    """One expression: what it reads and its SQL, what it has to result in, and its path in the definition."""

    expression: Expression
    kind: ColumnType
    path: str


def side_problems(definition: SyncDefinition, entity: EntityMetadata) -> list[Problem]:
    """What makes no sense to DuckDB in `changed` and `set`; each of them can be read."""
    record = readable_names(definition)
    types = {f"source.{column.label}": SOURCE_TYPES[column.type] for column in definition.source.columns}
    expressions = [
        SideExpression(expression=parsed(text, names=record, origin=path), kind=ColumnType.TEXT, path=path)
        for path, text in set_expressions(definition)
    ]
    changed, path = definition.sync_behaviour.changed, "sync_behaviour.changed.when"
    if isinstance(changed, ChangedWhen):
        condition = parsed(changed.when, names=[*types, *record], origin=path)
        expressions.append(SideExpression(expression=condition, kind=ColumnType.BOOL, path=path))
    return unrunnable(expressions, types | record_types(entity))


def record_types(entity: EntityMetadata) -> dict[str, str]:
    """The DuckDB type of each `target.<column>`."""
    return {f"target.{name}": sql_type(attribute) for name, attribute in entity.attributes.items()}


def unrunnable(expressions: Iterable[SideExpression], types: Mapping[str, str]) -> list[Problem]:
    """The expressions that cannot run on columns of these types.

    Args:
        expressions: Those that are tried; one that reads a column without a type is not.
        types: `source.<column>` and `target.<column>` -> DuckDB type.
    """
    tried = [each for each in expressions if each.expression.columns <= types.keys()]
    read = sorted(set[str]().union(*(each.expression.columns for each in tried)))
    trial = Trial(dict(_sides({name: types[name] for name in read})))
    return trial.watched(_problems(tried, trial))


def _sides(types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The two sides as columns of one table: SQL reads a member of a struct as it reads a column of a table."""
    for side in ("source", "target"):
        own = {name.removeprefix(f"{side}."): kind for name, kind in types.items() if name.startswith(f"{side}.")}
        if own:
            yield side, f"STRUCT({', '.join(f'{quoted(name)} {kind}' for name, kind in own.items())})"


def _problems(expressions: Iterable[SideExpression], trial: Trial) -> Iterator[Problem]:
    for each in expressions:
        if (problem := result_problem(trial, each.kind, each.expression.sql, each.path)) is not None:
            yield problem
