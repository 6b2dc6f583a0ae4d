"""Target columns that come from metadata alone, without a definition: whole records, and what a run has written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from shared.definitions.models import WritePolicy
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.state_rules import rules_of
from shared.transform.targets import TargetColumn, binds_of, read_only, sql_type

__all__ = [
    "CHANGED_BY",
    "CHANGED_FOR",
    "CHANGED_ON",
    "defaulted_columns",
    "identified",
    "metadata_layout",
    "takes_ids",
    "watched",
    "writable_columns",
]

CHANGED_BY: Final = "modifiedby"
"""Column with the user who changed a record last."""
CHANGED_FOR: Final = "modifiedonbehalfby"
"""Column with the user who made that change for another one; empty where nobody did."""
CHANGED_ON: Final = "modifiedon"
"""Column with the time of that change, in whole seconds."""

# Their values are files, or are read from other columns.
_NO_VALUES: Final = frozenset({AttributeType.IMAGE, AttributeType.FILE, AttributeType.VIRTUAL})
# Of a record that is there it reads as the day of its creation, and setting it takes a privilege of its own.
_IMPORTED: Final = "overriddencreatedon"
_PAIR: Final = (AttributeType.STATE, AttributeType.STATUS)


def writable_columns(entity: EntityMetadata) -> tuple[str, ...]:
    """The columns of a table whose values can be read, and written into a new record; its id is not among them."""
    return tuple(name for name, attribute in entity.attributes.items() if _is_writable(entity, attribute))


def defaulted_columns(entity: EntityMetadata) -> tuple[str, ...]:
    """The columns in which a new record gets a value that nobody gave it: only a null that is sent leaves one empty."""
    attributes = (entity.attributes[name] for name in writable_columns(entity))
    return tuple(each.name for each in attributes if each.has_default and each.creatable and each.clearable)


def _is_writable(entity: EntityMetadata, attribute: AttributeMetadata) -> bool:
    return (
        (attribute.creatable or attribute.updatable)
        and attribute.readable
        and not attribute.computed
        and not attribute.is_list
        and attribute.type not in _NO_VALUES
        and attribute.name not in {entity.primary_id, _IMPORTED}
    )


def metadata_layout(entity: EntityMetadata, names: Iterable[str]) -> tuple[TargetColumn, ...]:
    """Some columns as target columns that are written; those that cannot be are left out.

    Where one half of state and status is among them, the other one is added, and the columns that the closing actions
    of the table overwrite. Lookups that can refer to records of the table itself are `late`.
    """
    known = [name for name in dict.fromkeys(names) if name in entity.attributes]
    wanted = [name for name in _with_states(entity, known) if _is_writable(entity, entity.attributes[name])]
    columns = {name: _column(entity, entity.attributes[name]) for name in wanted}
    state = next((each for each in columns.values() if each.attribute.type is AttributeType.STATE), None)
    return tuple(
        replace(each, follows=state) if each.attribute.type is AttributeType.STATUS else each
        for each in columns.values()
        if state is not None or each.attribute.type is not AttributeType.STATUS
    )


def _with_states(entity: EntityMetadata, names: Collection[str]) -> tuple[str, ...]:
    pair = [attribute.name for attribute in entity.attributes.values() if attribute.type in _PAIR]
    if set(pair).isdisjoint(names):
        return tuple(names)
    rules = rules_of(entity.logical_name)
    carried = rules.carried & entity.attributes.keys() if rules else ()
    return tuple(dict.fromkeys((*names, *pair, *sorted(carried))))


def _column(entity: EntityMetadata, attribute: AttributeMetadata) -> TargetColumn:
    return TargetColumn(
        name=attribute.name,
        attribute=attribute,
        sql_type=sql_type(attribute),
        source_sql="NULL",
        clears=True,
        rules=rules_of(entity.logical_name) if attribute.type is AttributeType.STATE else None,
        late=attribute.refers and entity.logical_name in attribute.targets,
        binds=binds_of(entity, attribute),
    )


def identified(entity: EntityMetadata, columns: Iterable[TargetColumn]) -> tuple[TargetColumn, ...]:
    """The columns, and the id of the record as one that a create gives it."""
    attribute = entity.attributes[entity.primary_id]
    return (_column(entity, attribute), *columns)


def takes_ids(entity: EntityMetadata) -> bool:
    """Whether a create can say which id the new record gets; a link gets its id from the service."""
    attribute = entity.attributes.get(entity.primary_id)
    return attribute is not None and attribute.creatable and not entity.intersect


def watched(entity: EntityMetadata, columns: Iterable[TargetColumn], *, on_behalf: bool) -> tuple[TargetColumn, ...]:
    """The columns, for reading them with the version of the record, and with who changed it last and when.

    Args:
        entity: The table.
        columns: What is read besides.
        on_behalf: The application users write on behalf of another user.
    """
    names = (CHANGED_FOR if on_behalf else CHANGED_BY, CHANGED_ON)
    changed = (read_only(entity, name) for name in names if name in entity.attributes)
    first, *others = (*columns, *changed)
    return (replace(first, write=WritePolicy.UNLESS_EDITED), *others)  # what depends on the version lets it be read
