"""Updates of a table after the sync: its columns, and the values that they get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.definitions.models import ColumnType, UpdateStep
from shared.entities import EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.transform.set_columns.marks import MarkColumn, column_problems, pair_problems, set_columns
from shared.transform.set_columns.sides import SideExpression, record_types, unrunnable
from shared.transform.targets import TargetColumn, read_only, with_state
from shared.workspace import parsed

__all__ = ["update_columns", "update_layout", "update_problems"]

_TARGET = "target."


def update_layout(step: UpdateStep, entity: EntityMetadata, origin: str) -> tuple[TargetColumn, ...]:
    """The columns that the update reads: those that it sets, and those that its expressions name.

    Raises:
        DefinitionError: There is no such column, or an expression cannot be read.
    """
    names = dict.fromkeys(step.columns)
    known = [f"{_TARGET}{name}" for name in entity.attributes]
    for name, expression in step.columns.items():
        found = parsed(expression, names=known, origin=f"{origin}.set.{name}")
        names |= dict.fromkeys(sorted(each.removeprefix(_TARGET) for each in found.columns))
    return tuple(read_only(entity, name) for name in with_state(tuple(names), entity))


def update_columns(step: UpdateStep, layout: Sequence[TargetColumn], origin: str) -> tuple[MarkColumn, ...]:
    """The columns that the update sets, with the SQL of their values over `target`, the record."""
    return tuple(set_columns(step.columns, layout, f"{origin}.set"))


def update_problems(step: UpdateStep, entity: EntityMetadata, origin: str) -> Iterator[Problem]:
    """Mistakes of an update with the table's metadata."""
    known = [f"{_TARGET}{name}" for name in entity.attributes]
    if entity.intersect:
        yield Problem(message=f"{entity.logical_name} holds links, which have no values", path=f"{origin}.entity")
        return
    read = []
    for name, expression in step.columns.items():
        path = f"{origin}.set.{name}"
        try:
            found = parsed(expression, names=known, origin=path)
        except DefinitionError as error:
            yield from error.problems
            continue
        read.append(SideExpression(expression=found, kind=ColumnType.TEXT, path=path))
        yield from column_problems(name, expression, entity, path)
        for each in sorted(each.removeprefix(_TARGET) for each in found.columns):
            if not entity.attributes[each].readable:
                yield Problem(message=f"{each} cannot be read", path=path)
    yield from pair_problems(step.columns, entity, f"{origin}.set")
    yield from unrunnable(read, record_types(entity))
