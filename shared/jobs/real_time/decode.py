"""Decode: messages become events that the listener wants, each with its record, typed and mapped in the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from shared.dataverse import Dataverse
from shared.dataverse.http.service import Call
from shared.errors import RequestRefused, SyncError
from shared.events import Event, RecordReference, Undecodable
from shared.jobs.real_time.boundary import Failure, bisect, failure_of
from shared.jobs.real_time.letters import FailedEvent
from shared.jobs.real_time.listeners import TakenMessage
from shared.jobs.real_time.rows import Numbered, ShapedEvents, shape
from shared.jobs.real_time.session import Session
from shared.jobs.referencing import Searching, read_references
from shared.odata import column_of_member
from shared.state import ErrorRow
from shared.transform import LookupColumn

__all__ = ["DecodedBatch", "decode_batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedBatch:
    """The events of a batch.

    Attributes:
        events: Those that are wanted, in order of arrival, each with its record; their rows are in `wanted`.
        lost: Those that cannot be applied.
        counts: How many events there are, how many of them are filtered out, and how many lack a field.
        left_out: See `ShapedEvents`.
    """

    events: tuple[Event, ...]
    lost: tuple[FailedEvent, ...]
    counts: Mapping[str, int]
    left_out: tuple[ErrorRow, ...] = ()


def decode_batch(taken: Sequence[TakenMessage], session: Session) -> DecodedBatch:
    """Decode messages in their order: their events, complete, of these the selected ones, typed and mapped.

    Raises:
        UserError: A statement fails on several events together and on none of them alone.
        RetryLater: Dataverse is unavailable, and an event came without its record.
        AnswerLost: Likewise.
    """
    decoded, lost = _decoded(taken, session)
    complete, missing = _complete(decoded, session.dataverse)
    selected = session.sync.selection.select([event for _, event in complete], session.workspace)
    for index, found in selected.failed:
        lost.append(_lost(complete[index], Failure(error="Undecodable", message=found.reason)))
    wanted = [(complete[index][0], event) for index, event in selected.wanted]
    shaped = _shaped(wanted, session)
    rejected = [_lost(each, shaped.failures[each[0]]) for each in wanted if each[0] in shaped.failures]
    return DecodedBatch(
        events=tuple(
            event.known(number, shaped.records[number], shaped.before.get(number))
            for number, event in wanted
            if number in shaped.records
        ),
        lost=(*lost, *missing, *rejected),
        counts=Counter(
            events=len(decoded) + len(lost) - len(selected.failed),
            filtered=selected.filtered + len(shaped.filtered),
            ignored=shaped.gone,
        ),
        left_out=shaped.left_out,
    )


def _lost(numbered: Numbered, failure: Failure) -> FailedEvent:
    number, event = numbered
    return FailedEvent.of(replace(event, number=number), failure)


def _decoded(taken: Iterable[TakenMessage], session: Session) -> tuple[list[Numbered], list[FailedEvent]]:
    """The events of messages, numbered in order of arrival, and what cannot be decoded."""
    events, lost = list[Numbered](), list[FailedEvent]()
    for each in taken:
        found_in_message = session.decode(each.message, session.sync.topic, each.body)
        for found in found_in_message if each.items is None else _of_items(each.items, found_in_message):
            number = len(events) + len(lost)
            if isinstance(found, Undecodable):
                failure = Failure(error="Undecodable", message=found.reason)
                lost.append(FailedEvent(message=each.message, failure=failure, item=found.item, number=number))
            else:
                events.append((number, found))
    return events, lost


def _of_items(items: AbstractSet[int], decoded: Iterable[Event | Undecodable]) -> Iterator[Event | Undecodable]:
    """Yield some events of a message, each with why it is not there if it is not: no event may count as applied."""
    found = tuple(decoded)
    yield from (each for each in found if _item(each) in items)
    whole = (each.reason for each in found if isinstance(each, Undecodable) and each.item is None)
    reason = next(whole, "the body does not have this event: it was edited, or the definition reads another part of it")
    for item in sorted(items - {_item(each) for each in found}):
        yield Undecodable(reason=reason, item=item)


def _item(found: Event | Undecodable) -> int | None:
    return found.item if isinstance(found, Undecodable) else found.position.item


def _complete(events: Iterable[Numbered], dataverse: Dataverse) -> tuple[list[Numbered], list[FailedEvent]]:
    """Read the records of events that came without them."""
    complete, lost = list[Numbered](), list[FailedEvent]()
    for each in events:
        number, event = each
        try:
            whole = each if event.reread is None else (number, replace(event, new=_reread(event.reread, dataverse)))
            complete.append(whole)
        except SyncError as error:
            lost.append(_lost(each, failure_of(error)))
    return complete, lost


def _reread(reference: RecordReference, dataverse: Dataverse) -> dict[str, Any]:
    """Read a record as an event would have carried it: columns by logical name, lookups as ids.

    Raises:
        RequestRefused: There is no such record, or the message names no record.
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    try:
        record = UUID(reference.id)
    except ValueError:
        raise RequestRefused("the message was too large and names no record to read instead", status=400) from None
    entity = dataverse.entity(reference.entity)
    call = Call(path=f"{entity.entity_set}({record})", table=entity.logical_name)
    fields = dataverse.service.fetch_json(call, exact=True).members()
    return {column_of_member(name): value for name, value in fields.items() if "@" not in name}


def _shaped(events: Sequence[Numbered], session: Session) -> ShapedEvents:
    """Fill `wanted`; a statement that fails on one event is tried without those that it fails on."""
    parts = list(bisect(events, partial(_attempt, session)))
    if len(parts) == 1 and isinstance(parts[0][1], ShapedEvents):
        return parts[0][1]
    blamed = {part[0][0]: made for part, made in parts if isinstance(made, Failure)}
    session.workspace.clear()
    sound = [each for each in events if each[0] not in blamed]
    shaped = shape(sound, session.sync, session.workspace, partial(_read, session), session.scripts)
    return replace(shaped, failures={**blamed, **shaped.failures})


def _attempt(session: Session, events: Sequence[Numbered]) -> ShapedEvents | Failure:
    session.workspace.clear()
    try:
        return shape(events, session.sync, session.workspace, partial(_read, session), session.scripts)
    except SyncError as error:
        return failure_of(error)


def _read(session: Session, lookups: Sequence[LookupColumn], unless: str) -> None:
    searching = Searching(lookups=lookups, unless=unless)
    read_references(session.workspace, session.dataverse, searching, session.parameters)
