"""Whether a mirror can be kept: only of what changes together with the version of its record.

A value or a condition that depends on something else changes without the service naming the record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from shared.definitions import Language, Strategy, SyncDefinition, names_in
from shared.entities import AttributeMetadata, EntityMetadata
from shared.odata import column_of_member
from shared.transform import TargetColumn

__all__ = ["mirror_obstacle"]

_TOKEN: Final = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    | (?P<value>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} | \d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?
        | \d[\w.]* | @\w+ | "(?:[^"\\]|\\.)*")
    | (?P<name>[A-Za-z_][\w./]*)""",
    re.VERBOSE | re.IGNORECASE,
)
_WORDS: Final = frozenset({
    "and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "in", "null", "true", "false",
    "contains", "startswith", "endswith",
})  # fmt: skip
_FUNCTIONS: Final = frozenset(
    f"Microsoft.Dynamics.CRM.{name}"
    for name in ("In", "NotIn", "Between", "NotBetween", "ContainValues", "DoesNotContainValues")
)
_ARGUMENTS: Final = frozenset({"PropertyName", "PropertyValue", "PropertyValues"})
_PROPERTY: Final = re.compile(r"PropertyName\s*=\s*(?:'([^']*)')?")
_MOVING: Final = re.compile(r"\b(?:NOW|GUID)\s*\(", re.IGNORECASE)


def mirror_obstacle(definition: SyncDefinition, entity: EntityMetadata, columns: Sequence[TargetColumn]) -> str:
    """Why no mirror can be kept of the records that a sync reads; empty where one can.

    Args:
        definition: The sync.
        entity: Its table.
        columns: The columns that it reads.
    """
    reasons = chain(
        _of_table(definition, entity),
        _of_columns(column.attribute for column in columns),
        _of_filter(definition, entity),
    )
    return next(reasons, "")


def _of_table(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[str]:
    if definition.sync_behaviour.strategy is not Strategy.FULL:
        yield f"strategy {definition.sync_behaviour.strategy} does not read the table"
    if entity.elastic:
        yield f"{entity.logical_name} is an elastic table"
    if entity.intersect:
        yield f"{entity.logical_name} holds links between records"
    if not entity.change_tracking:
        yield f"{entity.logical_name} does not track changes: turn on Track changes in the properties of the table"


def _of_columns(columns: Iterable[AttributeMetadata]) -> Iterator[str]:
    for column in columns:
        if column.computed:
            yield f"the value of {column.name} can change without its record, because it is a {column.computed} column"
        if column.secured:
            yield f"column security decides what the app can read of {column.name}, and can change without the record"


def _of_filter(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[str]:
    condition = definition.destination.filter
    if condition is None:
        return
    for name in names_in(condition, Language.ODATA):
        parameter = definition.parameters.get(name)
        if parameter is not None and parameter.formula and _MOVING.search(parameter.formula):
            yield f"destination.filter uses @{name}, which has another value in each run"
    for name in _names(condition):
        attribute = entity.attributes.get(column_of_member(name))
        if attribute is None:
            yield f"destination.filter uses {name}, and may depend on more than the columns of the record"
        else:
            yield from _of_columns([attribute])


def _names(condition: str) -> Iterator[str]:
    """What a filter uses beside operators, values and functions of the record: columns, as far as they are known."""
    for found in _TOKEN.finditer(condition):
        name = found["name"]
        if name and name.lower() not in _WORDS and name not in _FUNCTIONS and name not in _ARGUMENTS:
            yield name
    for found in _PROPERTY.finditer(condition):
        yield found[1] or "PropertyName without a name in quotes"
