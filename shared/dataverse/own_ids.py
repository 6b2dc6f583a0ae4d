"""Ids made here for new records that nothing else would keep from being doubled.

When the answer to a create is lost, the service may still be at work on it: a look-up finds nothing, the create is sent
again, and a moment later both are there. An active alternate key over the sync key refuses the second one. Without such
a key the id does: sent again, it is refused as taken (0x80040237).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from shared.dataverse.changes import Change, ChangeAction
from shared.dataverse.keys import key_values
from shared.entities import EntityMetadata

__all__ = ["guarded", "named", "sequential_id"]

_LAST_48_BITS = (1 << 48) - 1


def sequential_id(now: datetime) -> str:
    """A random id whose last six bytes are the time in milliseconds.

    SQL Server orders ids by those bytes first, so rows join at the end of the index, as with the service's own ids.
    """
    milliseconds = int(now.timestamp() * 1000) & _LAST_48_BITS
    return str(UUID(int=(uuid4().int & ~_LAST_48_BITS) | milliseconds))


def guarded(changes: Iterable[Change], entity: EntityMetadata, now: Callable[[], datetime]) -> Iterator[Change]:
    """The changes, with an id for each insert that has none and no alternate key to keep it from being doubled."""
    known: dict[frozenset[str], bool] = {}
    for change in changes:
        if change.action is not ChangeAction.INSERT or change.id is not None:
            yield change
            continue
        columns = frozenset(key_values(change.key))
        if columns not in known:
            known[columns] = _is_guarded(columns, entity)
        yield change if known[columns] else replace(change, id=sequential_id(now()))


def named(change: Change, entity: EntityMetadata, now: datetime) -> Change:
    """A change that turned out to create its record, with an id where nothing else keeps it from being doubled."""
    if change.id is not None or _is_guarded(frozenset(key_values(change.key)), entity):
        return change
    return replace(change, id=sequential_id(now))


def _is_guarded(columns: frozenset[str], entity: EntityMetadata) -> bool:
    key = entity.key_over(columns)
    return key is not None and key.active
