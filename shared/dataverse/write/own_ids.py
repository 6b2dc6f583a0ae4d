"""Ids that the app makes for new records, to identify the record of a create.

When the answer to a create is lost, the service may still process it: a look-up finds nothing, the create is sent
again, and then both records exist. The id prevents this: a second create with the same id is refused (0x80040237). The
id also distinguishes the record of this create from another record with the same key, which an alternate key cannot do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from os import urandom

from shared.dataverse.changes import Change, ChangeAction
from shared.entities import EntityMetadata

__all__ = ["with_id", "with_ids"]

_LAST_48_BITS = (1 << 48) - 1


def with_ids(changes: Iterable[Change], entity: EntityMetadata, now: Callable[[], datetime]) -> Iterator[Change]:
    """The changes, with an id for each insert that has none."""
    for change in changes:
        yield with_id(change, entity, now()) if change.action is ChangeAction.INSERT else change


def with_id(change: Change, entity: EntityMetadata, now: datetime) -> Change:
    """A change that creates its record, with an id; unchanged if the table does not accept ids in creates."""
    record = entity.attributes.get(entity.primary_id)
    if change.id is not None or (record is not None and not record.creatable):
        return change
    # Every new row comes by here; `dataclasses.replace` takes twice as long.
    return Change(
        number=change.number,
        action=change.action,
        id=_sequential_id(now),
        key=change.key,
        payload=change.payload,
        columns=change.columns,
        later=change.later,
        on_create=change.on_create,
        version=change.version,
    )


def _sequential_id(now: datetime) -> str:
    """A random id (RFC 9562, version 8) whose last six bytes are the time in milliseconds.

    SQL Server orders ids by those bytes first, so rows join at the end of the index, as with the service's own ids.
    """
    random = urandom(9).hex()
    milliseconds = int(now.timestamp() * 1000) & _LAST_48_BITS
    return f"{random[:8]}-{random[8:12]}-8{random[12:15]}-a{random[15:]}-{milliseconds:012x}"
