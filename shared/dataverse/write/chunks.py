"""Pieces of work for the writer, and how each becomes one request. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, assert_never
from urllib.parse import quote, urlsplit

from shared.dataverse.changes import Change, ChangeAction, Failed
from shared.dataverse.http.batch_requests import BatchPart, encoded
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.keys import column_in_url, key_values, lookups, predicate
from shared.dataverse.http.sent_values import reading_path
from shared.dataverse.http.service import Call
from shared.dataverse.http.service_errors import Refusal, trouble
from shared.dataverse.write.bulk import (
    DETAILS_WANTED,
    NAMESPACE,
    create_body,
    delete_body,
    new_record,
    update_body,
    upsert_body,
    without_key,
)
from shared.dataverse.write.closing import action_of, closes, state_query
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.links import association, disassociation
from shared.entities import EntityMetadata
from shared.http.retry import Trouble
from shared.http.transport import Response

__all__ = [
    "APART",
    "MESSAGES",
    "READS",
    "Chunk",
    "NextStep",
    "Target",
    "call_of",
    "halved",
    "kind_of",
    "next_step_of",
    "queries_of",
    "step_of",
    "trouble_of",
]


class NextStep(StrEnum):
    """What is to be done next with a chunk."""

    SEND = "send"  # in one bulk request
    SINGLY = "singly"  # one operation for each row, in one $batch that continues after an error
    LOOK_UP = "look up"  # find the records by key first: ids are unknown, or an answer was lost
    CLOSE = "close"  # the action that sets a closing state, for each row, in one $batch as well
    CHECK = "check"  # read the records of changes that were refused, perhaps because they are in effect already


APART = frozenset({NextStep.SINGLY, NextStep.CLOSE, NextStep.CHECK})
"""Steps with one operation, and one answer, for each row."""
READS = frozenset({NextStep.LOOK_UP, NextStep.CHECK})
"""Steps that write nothing."""


# The bulk message of each kind; a table may lack some (asked of sdkmessagefilters). Links have none.
MESSAGES = {
    RequestKind.CREATE: "CreateMultiple",
    RequestKind.UPDATE: "UpdateMultiple",
    RequestKind.UPSERT: "UpsertMultiple",
    RequestKind.DELETE: "DeleteMultiple",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows of one request.

    Attributes:
        rest: Rows put aside while a failure is narrowed down: one of `changes` and `rest` together is bad.
        refused: Why a request that held `changes` and `rest` was refused.
        lost: An earlier answer for these rows was lost, or told of a fault of the server: it may have acted.
        apart: Each row is looked up by a separate query, because the records that were found do not show which of them
            the service takes for a row's own, or because there are more of them than a page holds.
        after: What follows a look-up for the records that are not there and are to be created.
        verdicts: Of creates that were refused and are looked up: the outcome of each whose record is not there.
        links: Pages of the look-up that are still to be read, as paths of the host; empty for the first pages.
        tries: How often each kind of trouble was met.
        not_before: Moment of the clock's `monotonic` before which it must not be sent.
        since: Moment at which the first request that met trouble was sent, None while there was no trouble.
    """

    kind: RequestKind
    changes: tuple[Change, ...]
    step: NextStep = NextStep.SEND
    rest: tuple[Change, ...] = ()
    refused: Refusal | None = None
    lost: bool = False
    apart: bool = False
    after: NextStep = NextStep.SEND
    verdicts: Mapping[int, Failed] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    tries: Mapping[Trouble | str, int] = field(default_factory=dict)
    not_before: float = 0.0
    since: float | None = None

    def tried(self, what: Trouble | str) -> Chunk:
        """The chunk after one more try that met `what`."""
        return replace(self, tries={**self.tries, what: self.tries.get(what, 0) + 1})


def halved(chunk: Chunk) -> tuple[Chunk, ...]:
    """The chunk in two parts, because it was too large, not because of a row."""
    if len(chunk.changes) == 1:
        return (chunk,)
    middle = len(chunk.changes) // 2
    first, second = chunk.changes[:middle], chunk.changes[middle:]
    if chunk.refused is not None:
        return (replace(chunk, changes=first, rest=second + chunk.rest),)
    return (replace(chunk, changes=first), replace(chunk, changes=second))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The table written to, and what it can do.

    Attributes:
        messages: Bulk messages that the service offers for it.
    """

    entity: EntityMetadata
    connection: Connection
    messages: frozenset[str]

    def message_of(self, kind: RequestKind) -> str:
        """The bulk message of a kind of request; empty where the table does not have it."""
        message = MESSAGES.get(kind, "")
        return message if message in self.messages else ""


def kind_of(change: Change) -> RequestKind:
    """The kind of request a change needs."""
    match change.action:
        case ChangeAction.INSERT:
            return RequestKind.CREATE
        case (
            ChangeAction.UPDATE
            | ChangeAction.EXPIRE
            | ChangeAction.DEACTIVATE
            | ChangeAction.MARK
            | ChangeAction.REACTIVATE
        ):
            return RequestKind.UPDATE
        case ChangeAction.UPSERT:
            return RequestKind.UPSERT
        case ChangeAction.DELETE:
            return RequestKind.DELETE
        case ChangeAction.ASSOCIATE:
            return RequestKind.ASSOCIATE
        case ChangeAction.DISASSOCIATE:
            return RequestKind.DISASSOCIATE
        case ChangeAction.RESTORE:
            return RequestKind.RESTORE
        case _ as never:
            assert_never(never)


def step_of(change: Change, entity: EntityMetadata) -> NextStep:
    """Whether a change can be sent at once, or its record must be looked up first.

    Updates and deletes name their record by id, which is faster than by key; an upsert by id or by an alternate key
    whose values are allowed in a URL. A link is named by its two records. An upsert that sets some columns only in a
    new record has to know whether the record is new. A bulk request has no place for the version of a record, so an
    update with one is sent by itself.
    """
    if closes(change.payload) or change.version:
        return next_step_of(change)
    if change.action is ChangeAction.UPSERT and change.on_create:
        return NextStep.LOOK_UP
    if change.action in _SENT_AT_ONCE or change.id is not None:
        return NextStep.SEND
    if change.action is ChangeAction.UPSERT and predicate(entity, key_values(change.key)) is not None:
        return NextStep.SEND
    return NextStep.LOOK_UP


_SENT_AT_ONCE = frozenset({ChangeAction.INSERT, ChangeAction.ASSOCIATE, ChangeAction.DISASSOCIATE})


def next_step_of(change: Change) -> NextStep:
    """How a change goes on whose record was written, read or looked up: an action closes it, whatever it names."""
    if closes(change.payload):
        return NextStep.CLOSE if change.id else NextStep.LOOK_UP
    return NextStep.SINGLY if change.version else NextStep.SEND


def call_of(chunk: Chunk, target: Target, boundary: str) -> Call:
    """The one request that takes a chunk one step on."""
    if chunk.step is NextStep.LOOK_UP:
        asked = [BatchPart(method="GET", path=path) for path in queries_of(chunk, target)]
        return _batch(target, asked, boundary, chunk)
    if chunk.step is NextStep.SEND and (message := target.message_of(chunk.kind)):
        return Call(
            method="POST",
            path=f"{target.entity.entity_set}/{NAMESPACE}.{message}",
            headers={**target.connection.write_headers, **(DETAILS_WANTED if target.entity.elastic else {})},
            body=_bulk_body(chunk, target.entity),
            table=target.entity.logical_name,
            doing=chunk.kind.value,
            writes=True,
        )
    return _batch(target, [_part_of(target, chunk, change) for change in chunk.changes], boundary, chunk)


def _bulk_body(chunk: Chunk, entity: EntityMetadata) -> bytes:
    match chunk.kind:
        case RequestKind.CREATE:
            return create_body(entity, chunk.changes)
        case RequestKind.UPDATE:
            return update_body(entity, chunk.changes)
        case RequestKind.UPSERT:
            return upsert_body(entity, chunk.changes)
        case RequestKind.DELETE:
            return delete_body(entity, chunk.changes)
        case RequestKind.ASSOCIATE | RequestKind.DISASSOCIATE | RequestKind.RESTORE:
            raise AssertionError("they have no bulk message")
        case _ as never:
            assert_never(never)


def _batch(target: Target, parts: Sequence[BatchPart], boundary: str, chunk: Chunk) -> Call:
    reads = chunk.step in READS
    return Call(
        method="POST",
        path="$batch",
        headers={
            "Content-Type": f'multipart/mixed; boundary="{boundary}"',
            "Prefer": "odata.continue-on-error",
        },
        body=encoded(parts, boundary),
        table=target.entity.logical_name,
        doing="read" if reads else chunk.kind.value,
        writes=not reads,
    )


def _path(target: Target, tail: str) -> str:
    return urlsplit(target.connection.base).path + tail


def _part_of(target: Target, chunk: Chunk, change: Change) -> BatchPart:
    """One row's operation in a step."""
    match chunk.step:
        case NextStep.CLOSE:
            action, body = action_of(change, target.entity)
            headers = dict(target.connection.write_headers)
            return BatchPart(method="POST", path=_path(target, action), headers=headers, body=body)
        case NextStep.CHECK:
            return BatchPart(method="GET", path=_path(target, _check_path(change, target.entity)))
        case _:
            return _part(target, chunk.kind, change)


def _check_path(change: Change, entity: EntityMetadata) -> str:
    if closes(change.payload):
        return state_query(change, entity)
    return reading_path(entity, str(change.id), change.payload)


def _part(target: Target, kind: RequestKind, change: Change) -> BatchPart:
    """One row as a separate request; optional headers are on the inner request, where the service reads them."""
    entity, headers = target.entity, dict(target.connection.write_headers)
    match kind:
        case RequestKind.CREATE:
            body = new_record(entity, change).encode()
            return BatchPart(method="POST", path=_path(target, entity.entity_set), headers=headers, body=body)
        case RequestKind.UPDATE:
            path = _path(target, f"{entity.entity_set}({change.id})")
            headers["If-Match"] = change.version or "*"  # an update must not create
            return BatchPart(method="PATCH", path=path, headers=headers, body=change.payload.encode())
        case RequestKind.UPSERT:
            return _upsert_part(target, change, headers)
        case RequestKind.DELETE:
            if change.version:
                headers["If-Match"] = change.version
            return BatchPart(method="DELETE", path=_path(target, f"{entity.entity_set}({change.id})"), headers=headers)
        case RequestKind.ASSOCIATE:
            path, body = association(entity, change, target.connection.base)
            return BatchPart(method="POST", path=_path(target, path), headers=headers, body=body)
        case RequestKind.RESTORE:
            address = f"{target.connection.base}{entity.entity_set}({change.id})"
            body = json.dumps({"Target": {"@odata.id": address}}).encode()
            return BatchPart(method="POST", path=_path(target, "Restore"), headers=headers, body=body)
        case RequestKind.DISASSOCIATE:
            return BatchPart(method="DELETE", path=_path(target, disassociation(entity, change)), headers=headers)
        case _ as never:
            assert_never(never)


def _upsert_part(target: Target, change: Change, headers: dict[str, str]) -> BatchPart:
    """`return=representation` distinguishes 201 (created) from 200 (updated) and gives the id; a plain 204 does not."""
    entity = target.entity
    headers["Prefer"] = "return=representation"
    address = change.id or quote(str(predicate(entity, key_values(change.key))), safe="=,'")
    payload = change.payload if change.id else without_key(entity, change)
    path = _path(target, f"{entity.entity_set}({address})?$select={entity.primary_id}")
    return BatchPart(method="PATCH", path=path, headers=headers, body=payload.encode())


def queries_of(chunk: Chunk, target: Target) -> Sequence[str]:
    """The queries that find the records of a chunk, or the next pages of these queries; paths of the host."""
    if chunk.links:
        return chunk.links
    entity = target.entity
    keys = [lookup_key(chunk.kind, change, entity) for change in chunk.changes]
    names = dict.fromkeys(name for key in {tuple(key) for key in keys} for name in sorted(key))
    select = [column_in_url(entity.attributes[name]) for name in names if name in entity.attributes]
    # Inside a $batch a URL may have 65,536 characters; the smaller bound of a plain GET is kept.
    if chunk.apart:
        each = (found.path for key in keys for found in lookups(entity, [key], select=select))
        return [_path(target, f"{path}&$top=1") for path in each]
    return [_path(target, found.path) for found in lookups(entity, keys, select=select)]


def trouble_of(chunk: Chunk, target: Target, response: Response, refused: Refusal) -> Trouble | None:
    """The kind of trouble that an answer to a chunk, or to one of its rows, means; None if it is final.

    The refusal of a plug-in is final whatever its status is: it is about the row. Not so for elastic tables: what holds
    their rows refuses with the codes of plug-ins too (Microsoft: "Background operations" shows a 404 of it), and its
    429 and 503 pass.
    """
    final = refused.by_plug_in and chunk.step not in READS and not target.entity.elastic
    return None if final else trouble(response, refused)


def lookup_key(kind: RequestKind, change: Change, entity: EntityMetadata) -> Mapping[str, Any]:
    """What finds a change's record: its sync key; its id where it has no key, or is to be created with that id.

    A record with another id is not the one that a create with an id has made, whatever its key. An upsert with an id
    is about the record with this id.
    """
    if kind in {RequestKind.CREATE, RequestKind.UPSERT} and change.id is not None:
        return {entity.primary_id: change.id}
    return key_values(change.key) or {entity.primary_id: change.id}
