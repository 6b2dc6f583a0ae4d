"""Links, the pairs of a many-to-many relationship: the requests that make and remove them. Pure.

Microsoft: "Associate and disassociate table rows using the Web API". The intersect table itself refuses every write
(0x80040800), and there is no message for several links: each pair is one request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from shared.dataverse.changes import Change, ChangeAction
from shared.dataverse.http.keys import key_values
from shared.dataverse.http.service_errors import Conflict, Refusal, conflict, ends_run
from shared.dataverse.write.controller import RequestKind
from shared.entities import EntityMetadata, LinkEnd

__all__ = ["association", "disassociation", "is_in_effect_already", "link_changes"]


def link_changes(changes: Iterable[Change]) -> Iterator[Change]:
    """Changes of an intersect table as changes of links: a link is there or not, so every write makes it."""
    for change in changes:
        deletes = change.action is ChangeAction.DELETE
        yield replace(change, action=ChangeAction.DISASSOCIATE if deletes else ChangeAction.ASSOCIATE)


def association(entity: EntityMetadata, change: Change, base: str) -> tuple[str, bytes]:
    """Path and body of the POST that makes a link; the service wants the other record with its whole URL."""
    first, second = entity.ends
    path = f"{_record(entity, first, change)}/{first.navigation}/$ref"
    return path, json.dumps({"@odata.id": f"{base}{_record(entity, second, change)}"}).encode()


def disassociation(entity: EntityMetadata, change: Change) -> str:
    """Path of the DELETE that removes a link."""
    first, second = entity.ends
    return f"{_record(entity, first, change)}/{first.navigation}({key_values(change.key)[second.column]})/$ref"


def is_in_effect_already(kind: RequestKind, change: Change, refused: Refusal) -> bool:
    """Whether a refusal means that the link is there already, or not there any more."""
    if kind is RequestKind.ASSOCIATE:
        return conflict(refused) is Conflict.KEY_TAKEN
    if kind is not RequestKind.DISASSOCIATE or refused.status != 404 or ends_run(refused) or refused.by_plug_in:  # noqa: PLR2004
        return False
    return refused.may_be_about(*key_values(change.key).values())


def _record(entity: EntityMetadata, end: LinkEnd, change: Change) -> str:
    """The record on one side of a link, such as ``accounts(<id>)``."""
    return f"{entity.related[end.table].entity_set}({key_values(change.key)[end.column]})"
