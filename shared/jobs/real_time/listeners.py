"""Which listener takes which message of a batch, and from when on it takes any.

The host reads a hub from its start, because it begins to read when the first event has come: a host that begins at the
end passes over that event. `auto_offset_reset: latest` is therefore decided here: the moment at which the app first saw
the listener is kept in the state store, and events that the hub took before that moment are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from shared.definitions import SyncDefinition
from shared.definitions.models.listener import EventFormat, OffsetReset, Topic
from shared.events import Claim, Message, ReadBody, Undecodable, claim
from shared.events import read as read_body
from shared.events.avro import Schema
from shared.jobs.real_time.boundary import Failure, attempted
from shared.jobs.real_time.letters import (
    NO_LISTENER,
    UNCLAIMED,
    UNREAD,
    FailedEvent,
    item_of,
    message_of,
    taken_by,
)
from shared.jobs.real_time.schemas import Schemas
from shared.jobs.real_time.sync import EventSync, Listeners
from shared.state import DeadLetter, StateStore

__all__ = [
    "ClaimedBatch",
    "ListeningSince",
    "TakenMessage",
    "claimed",
    "move_listening",
    "read",
    "taken_again",
    "takers_of",
]

_MICROSECONDS: Final = 1_000_000
AT_ONCE: Final = 16 * 1024 * 1024  # bytes of bodies, decompressed: a small batch can hold gigabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenMessage:
    """A message that the sync's listener took.

    Attributes:
        body: The message's body as the listener's format has it.
        items: Only these events of the message are wanted; all when None.
    """

    message: Message
    body: Any
    items: frozenset[int] | None = None

    @property
    def wanted(self) -> tuple[int | None, ...]:
        """The numbers of the events that are wanted; None alone stands for the whole message."""
        return (None,) if self.items is None else tuple(sorted(self.items))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedBatch:
    """Who takes which message.

    Attributes:
        asked: How many messages were read: the first ones of those that were given.
        unclaimed: How many messages no listener takes.
        lost: Messages that must be kept, each with the syncs that take it: no listener does, or one could not be asked.
    """

    asked: int
    taken: Mapping[str, list[TakenMessage]]
    unclaimed: int
    lost: tuple[FailedEvent, ...]


def claimed(messages: Sequence[Message], listeners: Listeners, schemas: Schemas) -> ClaimedBatch:
    """Ask every listener about every message. Where one cannot be asked, the message is kept, even if another takes it.

    So many messages are read as are at most `AT_ONCE` bytes, decompressed, and one more: the others wait for a turn of
    their own.
    """
    taken: dict[str, list[TakenMessage]] = {sync.name: [] for sync in listeners.syncs}
    unclaimed, size, asked, lost = 0, 0, 0, list[FailedEvent]()
    ways = [_way(sync.topic) for sync in listeners.syncs]
    topics = dict(zip(ways, (sync.topic for sync in listeners.syncs), strict=True))
    for message in messages:
        if size > AT_ONCE:
            break
        asked += 1
        found = {way: read(message, topic, schemas) for way, topic in topics.items()}
        bodies = [found[way].body for way in ways]
        size += sum(each.size for each in found.values())
        claims = [
            attempted(partial(_claim, message, sync, body, schemas), sync.name)
            for sync, body in zip(listeners.syncs, bodies, strict=True)
        ]
        takers = list[str]()
        for sync, body, made in zip(listeners.syncs, bodies, claims, strict=True):
            if made is Claim.TAKES:
                taken[sync.name].append(TakenMessage(message=message, body=body))
                takers.append(sync.name)
        if failure := _why_kept(bodies, claims, listeners):
            lost.append(FailedEvent(message=message, failure=failure, takers=tuple(takers)))
        elif not takers:
            unclaimed += 1  # each of them has a `match`, so the hub is known to carry events of other receivers
    return ClaimedBatch(asked=asked, taken=taken, unclaimed=unclaimed, lost=tuple(lost))


def _way(topic: Topic) -> object:
    """How a listener reads a body: for those that read it in the same way, it is read once."""
    return (topic.schema_path, topic.encoding) if topic.format is EventFormat.AVRO else None


def _why_kept(
    bodies: Sequence[Any | Undecodable], claims: Sequence[Claim | Failure], listeners: Listeners
) -> Failure | None:
    """Why a message is kept besides what its takers do with it; None where every listener there may be was asked."""
    unreadable = [body for body in bodies if isinstance(body, Undecodable)]
    if Claim.UNKNOWN in claims and Claim.TAKES not in claims and len(unreadable) == len(bodies):
        return Failure(error="Undecodable", message=unreadable[claims.index(Claim.UNKNOWN)].reason)
    for made in claims:
        if isinstance(made, Failure):
            return made
    if not listeners.complete:
        return UNREAD
    return None if listeners.syncs else UNCLAIMED


def read(message: Message, topic: Topic, schemas: Schemas) -> ReadBody:
    """A message's body as a listener's format has it, or why it cannot be read."""
    schema = _schema(topic, schemas)
    if isinstance(schema, Undecodable):
        return ReadBody(schema, 0)
    body = attempted(partial(read_body, message, topic, schema), "reading a body")
    return ReadBody(Undecodable(reason=body.message), 0) if isinstance(body, Failure) else body


def _schema(topic: Topic, schemas: Schemas) -> Schema | Undecodable | None:
    return schemas.of(topic.schema_path) if topic.schema_path else None


def taken_again(letters: Iterable[DeadLetter], topic: Topic, schemas: Schemas) -> list[TakenMessage]:
    """The messages of dead letters of one listener, each once, with the events of it that are wanted."""
    messages: dict[tuple[str, int], tuple[Message, set[int | None]]] = {}
    for letter in letters:
        message = message_of(letter)
        messages.setdefault((message.stream, message.sequence), (message, set()))[1].add(item_of(letter))
    return [
        TakenMessage(
            message=message,
            body=read(message, topic, schemas).body,
            items=None if None in items else frozenset(item for item in items if item is not None),
        )
        for message, items in messages.values()
    ]


def takers_of(
    letter: DeadLetter, listeners: Listeners, schemas: Schemas
) -> tuple[list[tuple[EventSync, list[TakenMessage]]], Failure | None]:
    """Who takes a letter: its sync. If it has none, every listener that takes the event and had not taken it before.

    A listener that took the event has applied it or has a letter of its own. To it the event would be an old one.

    Returns:
        The syncs with what each takes, and why the letter stays, if it does.
    """
    if letter.sync:
        known = [sync for sync in listeners.syncs if sync.name == letter.sync]
        takers = [(sync, taken_again([letter], sync.topic, schemas)) for sync in known]
        return takers, None if takers else NO_LISTENER
    found, before = claimed([message_of(letter)], listeners, schemas), taken_by(letter)
    takers = [
        (sync, found.taken[sync.name]) for sync in listeners.syncs if found.taken[sync.name] and sync.name not in before
    ]
    failures = [each.failure for each in found.lost] or ([] if takers or before else [UNCLAIMED])
    return takers, next(iter(failures), None)


def _claim(message: Message, sync: EventSync, body: Any, schemas: Schemas) -> Claim | Failure:
    """What a listener makes of a message. Without its schema it could not be asked, even if others can be."""
    if sync.definition.listener is None:
        return Claim.LEAVES
    made = claim(message, sync.topic, body)
    schema = _schema(sync.topic, schemas) if made is Claim.UNKNOWN else None
    return Failure(error="Undecodable", message=schema.reason) if isinstance(schema, Undecodable) else made


class ListeningSince:
    """The moments from which on listeners take events. They never change, so each is read once a process."""

    def __init__(self) -> None:
        self._known: dict[str, datetime] = {}

    def note(self, definitions: Iterable[SyncDefinition], state: StateStore, *, now: datetime) -> None:
        """Keep the moment of listeners that are seen for the first time.

        Raises:
            RetryLater: The state store is unavailable.
        """
        for definition in definitions:
            self.of(definition, state, now=now)

    def of(self, definition: SyncDefinition, state: StateStore, *, now: datetime) -> datetime | None:
        """The moment from which on a definition's listener takes events; None where it takes all.

        Args:
            definition: The sync that listens.
            state: Keeps the moment.
            now: The moment of a listener that is seen for the first time.

        Raises:
            RetryLater: The state store is unavailable.
        """
        listener = definition.listener
        if listener is None or not listener.enabled or listener.auto_offset_reset is not OffsetReset.LATEST:
            return None
        if definition.name not in self._known:
            self._known[definition.name] = _kept(_since(definition.name), state, now)
        return self._known[definition.name]


def move_listening(state: StateStore, old: str, new: str) -> None:
    """Let a sync with another name take the events that it took with the old one; what came before is passed over."""
    if (moment := state.watermark(_since(old))) is not None:
        _keep(_since(new), state, datetime.fromisoformat(moment))


def _since(sync: str) -> str:
    """What the moment of a listener is called among the watermarks."""
    return f"listener/{sync}"


def _kept(name: str, state: StateStore, now: datetime) -> datetime:
    """The moment in the store. Of instances that see a listener at the same time, the first one decides."""
    if (kept := state.watermark(name)) is None:
        _keep(name, state, now)
        kept = state.watermark(name) or now.isoformat()
    return datetime.fromisoformat(kept)


def _keep(name: str, state: StateStore, moment: datetime) -> None:
    """Keep a moment, unless an earlier one is kept: that one has the higher number, because numbers are negative."""
    state.set_watermark(name, moment.isoformat(), fence=-int(moment.timestamp() * _MICROSECONDS))
