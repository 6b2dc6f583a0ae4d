"""From a record to the text of the source columns: which fields an event carries, and which mappings that serves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from shared.definitions.models import Column, SyncDefinition
from shared.definitions.models import Mapping as Mapped
from shared.events.bodies import as_text
from shared.events.records import Undecodable, Unusable
from shared.json_paths import ABSENT, finder
from shared.transform import seen_by
from shared.transform.notation.json_values import notated
from shared.workspace import parsed

__all__ = ["Fields", "Reader", "carried_definition", "fields_of"]

Fields = Mapping[str, str | None]
_Finder = Callable[[Mapping[str, Any]], Any]


class Reader:
    """Reads a definition's source columns out of records."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self._finders: dict[str, _Finder] = {
            column.name: notated(column, _finder(column.name), _number) for column in columns if column.read
        }

    @property
    def names(self) -> frozenset[str]:
        """The columns that a complete record has."""
        return frozenset(self._finders)

    def fields(self, record: Mapping[str, Any], names: Collection[str] | None = None) -> Fields | Undecodable:
        """Column name -> text, for the columns that the record carries: null is carried, absent is not.

        Args:
            record: The record.
            names: Only these columns are wanted; all when None.

        Returns:
            The fields, or the first one that holds a value which cannot be used.
        """
        fields: dict[str, str | None] = {}
        for name, find in self._finders.items():
            if names is not None and name not in names:
                continue
            value = find(record)
            if value is ABSENT:
                continue
            text = as_text(value)
            if isinstance(text, Unusable):
                return Undecodable(reason=f"{name}: {text.reason}")
            fields[name] = text
        return fields


def _finder(name: str) -> _Finder:
    if name.startswith("$"):
        return finder(name)
    return lambda record: record.get(name, ABSENT)


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    text = as_text(value)
    return text if isinstance(text, str) else None


def carried_definition(
    definition: SyncDefinition, carried: Collection[str], *, targets: Collection[str] | None = None
) -> SyncDefinition | None:
    """The part of the definition that events with only some fields can fill.

    A calculated column stays when all that it is made of is carried, and a mapping when its column is: a target column
    that is computed from a missing field is left as it is, because the value of the field is unknown.

    Args:
        definition: The sync.
        carried: Names of the source columns that the events carry.
        targets: Only these target columns are wanted; all when not given. A delete wants no more than the key, and the
            source's filter does not apply to it.

    Returns:
        The definition, or None if a column of the sync key cannot be computed.
    """
    columns = _known_columns(definition.source.columns, carried)
    labels = frozenset(column.label for column in columns)
    mappings = tuple(
        _with_known(mapping, definition, labels) if targets is None else _without_creation(mapping)
        for mapping in definition.destination.mappings
        if (targets is None or mapping.target in targets) and _mapped_from(mapping, definition) <= labels
    )
    if not set(definition.sync_behaviour.sync_key) <= {mapping.target for mapping in mappings}:
        return None
    condition = definition.source.row_filter
    keep = condition is not None and targets is None and _read_by(condition, definition) <= labels
    source = {"columns": columns, "filter": condition if keep else None}
    behaviour = {"action_column": None}  # an event says itself what it does
    return definition.model_copy(
        update={
            "sync_behaviour": definition.sync_behaviour.model_copy(update=behaviour),
            "source": definition.source.model_copy(update=source),
            "destination": definition.destination.model_copy(update={"mappings": mappings}),
        }
    )


def _with_known(mapping: Mapped, definition: SyncDefinition, labels: frozenset[str]) -> Mapped:
    """A mapping whose lookups create records from the columns that are carried; the others are left out there."""
    if not any(lookup.create for lookup in mapping.lookups):
        return mapping
    lookups = tuple(
        lookup.model_copy(
            update={"create": {n: text for n, text in lookup.create.items() if _read_by(text, definition) <= labels}}
        )
        for lookup in mapping.lookups
    )
    return mapping.model_copy(update={"lookup": lookups if isinstance(mapping.lookup, tuple) else lookups[0]})


def _without_creation(mapping: Mapped) -> Mapped:
    """A mapping whose lookups only find records: a delete creates none."""
    if not any(lookup.on_missing == "create" for lookup in mapping.lookups):
        return mapping
    found = [lookup.model_copy(update={"on_missing": "reject", "create": {}}) for lookup in mapping.lookups]
    return mapping.model_copy(update={"lookup": tuple(found) if isinstance(mapping.lookup, tuple) else found[0]})


def fields_of(definition: SyncDefinition, targets: Collection[str]) -> frozenset[str]:
    """Names of the source columns that some target columns are made from, through calculated columns too."""
    by_label = {column.label: column for column in definition.source.columns}
    wanted = [
        label
        for mapping in definition.destination.mappings
        if mapping.target in targets
        for label in _mapped_from(mapping, definition)
    ]
    fields: set[str] = set()
    for label in wanted:  # grows while it is walked
        column = by_label[label]
        if column.read:
            fields.add(column.name)
        else:
            wanted.extend(used for used in _made_of(column, definition.source.columns) if used not in wanted)
    return frozenset(fields)


def _known_columns(columns: Sequence[Column], carried: Collection[str]) -> tuple[Column, ...]:
    """The columns that are carried, and those that can be calculated from them alone."""
    known = {column.label for column in columns if column.read and column.name in carried}
    waiting = [column for column in columns if not column.read]
    while ready := [column for column in waiting if _made_of(column, columns) <= known]:
        known.update(column.label for column in ready)
        waiting = [column for column in waiting if column not in ready]
    return tuple(column for column in columns if column.label in known)


def _made_of(column: Column, columns: Sequence[Column]) -> frozenset[str]:
    """Labels of the columns that a calculated or conditional column reads."""
    if column.script is not None:
        return seen_by(column.script, columns)
    names = [other.label for other in columns]
    texts = [column.formula, column.default, *(text for case in column.cases for text in (case.when, case.then))]
    return frozenset().union(*(parsed(text, names=names, origin=column.name).columns for text in texts if text))


def _mapped_from(mapping: Mapped, definition: SyncDefinition) -> frozenset[str]:
    if mapping.source is None:
        return _read_by(mapping.value or "NULL", definition)
    labels = {name: column.label for column in definition.source.columns for name in (column.name, column.label)}
    return frozenset(labels.get(name, name) for name in mapping.sources)


def _read_by(expression: str, definition: SyncDefinition) -> frozenset[str]:
    names = [column.label for column in definition.source.columns]
    return parsed(expression, names=names, origin=definition.name).columns
