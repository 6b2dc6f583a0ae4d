"""Events that another system sends over HTTP: checked whole before any of them is taken."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.events import Message
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.decode import DecodedBatch, decode_batch
from shared.jobs.real_time.events import EventTools, prepared_share
from shared.jobs.real_time.letters import FailedEvent
from shared.jobs.real_time.listeners import TakenMessage, claimed
from shared.jobs.real_time.session import Delivery
from shared.jobs.real_time.sync import EventSync, Listeners

__all__ = ["ID_PROPERTY", "AcceptedEvent", "Intake", "RejectedEvent", "checked"]

ID_PROPERTY = "event_id"
"""The application property of a message that has the id that its sender was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEvent:
    """An event that can be taken.

    Attributes:
        key: The message key of its record, by which events keep their order.
    """

    id: str
    key: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedEvent:
    """An event that cannot be taken.

    Attributes:
        index: Which one of the request, from 0.
        reason: Why.
    """

    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The events of a request.

    Attributes:
        sent: All of them; empty where one is wrong.
        wrong: Those that cannot be taken.
        messages: Those of `sent` as a hub would hand them over, for a process that applies them itself.
    """

    sent: tuple[AcceptedEvent, ...] = ()
    wrong: tuple[RejectedEvent, ...] = ()
    messages: tuple[Message, ...] = ()


def checked(bodies: Sequence[bytes], syncs: Sequence[EventSync], tools: EventTools) -> Intake:
    """Decode, type and map events as real time does, and find their message keys; nothing is written.

    Args:
        bodies: One event each, as the listeners' formats have it.
        syncs: Whose listeners take them. Each event has to be one that a listener takes, and right for all that do.
        tools: State, environments, memory.

    Raises:
        RetryLater: Dataverse is unavailable.
    """
    messages = _messages(bodies)
    found = claimed(messages, Listeners(syncs=tuple(syncs)), tools.memory.schemas)
    claimed_by_some = {each.message.sequence for taken in found.taken.values() for each in taken}
    unclaimed = _unclaimed(found.lost, {message.sequence for message in messages} - claimed_by_some)
    decoded = [_decoded(taken, sync, tools) for sync in syncs if (taken := found.taken[sync.name])]
    wrong = [*unclaimed, *_lost([lost for each in decoded for lost in each.lost])]
    if wrong:
        return Intake(wrong=tuple(sorted(wrong, key=lambda each: each.index)))
    keys = {number: key for each in reversed(decoded) for number, key in _keys(each).items()}
    sent = tuple(
        AcceptedEvent(id=str(message.properties[ID_PROPERTY]), key=keys.get(message.sequence, ""), body=message.body)
        for message in messages
    )
    return Intake(sent=sent, messages=tuple(messages))


def _messages(bodies: Sequence[bytes]) -> list[Message]:
    """One stream for each request: its events follow each other, and have no order among those of other requests."""
    stream, now = f"http-{uuid.uuid4().hex}", datetime.now(UTC)
    return [
        Message(body=body, partition=stream, sequence=number, enqueued=now, properties={ID_PROPERTY: uuid.uuid4().hex})
        for number, body in enumerate(bodies)
    ]


def _decoded(taken: Sequence[TakenMessage], sync: EventSync, tools: EventTools) -> DecodedBatch:
    share = prepared_share(sync, tools)
    if isinstance(share, Failure):
        lost = tuple(FailedEvent(message=each.message, failure=share) for each in taken)
        return DecodedBatch(events=(), lost=lost, counts={})
    with share.session(len(taken), Delivery.NEXT) as session:
        return decode_batch(taken, session)


def _unclaimed(lost: Sequence[FailedEvent], untaken: set[int]) -> list[RejectedEvent]:
    reasons = {each.message.sequence: each.failure.message for each in lost}
    plain = "the listener takes no such event: see `topic.match` of its definition"
    return [RejectedEvent(index=number, reason=reasons.get(number, plain)) for number in sorted(untaken)]


def _lost(lost: Sequence[FailedEvent]) -> list[RejectedEvent]:
    """One reason for each message, of which several events may be wrong."""
    reasons: dict[int, list[str]] = defaultdict(list)
    for each in lost:
        reasons[each.message.sequence].append(each.failure.message)
    return [RejectedEvent(index=number, reason="; ".join(dict.fromkeys(said))) for number, said in reasons.items()]


def _keys(decoded: DecodedBatch) -> dict[int, str]:
    """The message key of each message: of its first event, where it has several."""
    keys: dict[int, str] = {}
    for event in decoded.events:
        keys.setdefault(event.message.sequence, event.key or event.record)
    return keys
