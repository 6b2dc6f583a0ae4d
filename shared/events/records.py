"""The data of the real-time path: a message from the hub, and its events."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

__all__ = [
    "Event",
    "EventAction",
    "EventPosition",
    "Message",
    "PreviousKey",
    "Record",
    "RecordReference",
    "Undecodable",
    "Unusable",
    "named",
]

Record = Mapping[str, Any]
# As AMQP, HTTP and the Event Hubs SDKs call it.
_ENCODINGS: Final = frozenset({"content-encoding", "contentencoding", "content_encoding"})


def named(properties: Mapping[str, Any], names: Container[str]) -> str:
    """The first property, as text, that has one of some names in any case and is not empty; else an empty text."""
    for name, value in properties.items():  # written out: every event comes here
        if value and name.lower() in names:
            return str(value)
    return ""


class EventAction(StrEnum):
    """The change of a record that an event reports."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    UPSERT = "UPSERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of an event hub, as it came.

    Attributes:
        body: The bytes, unchanged.
        partition: The hub's partition that `sequence` counts in.
        offset: As text; only for people, because the host may give -1.
        enqueued: When the hub took it, aware and in UTC.
        key: The partition key (a Kafka producer's message key).
        properties: Application properties.
        content_type: The message's content type, where it has one.
        content_encoding: The message's content encoding, where it has one that is not among the properties.
        hub: Name of the event hub, so that two hubs' partitions are two.
    """

    body: bytes
    partition: str
    sequence: int
    offset: str = ""
    enqueued: datetime | None = None
    key: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = ""
    content_encoding: str = ""
    hub: str = ""

    @property
    def stream(self) -> str:
        """Names the one stream that the sequence number counts in."""
        return f"{self.hub}/{self.partition}" if self.hub else self.partition

    @property
    def content_encodings(self) -> tuple[str, ...]:
        """How the body was encoded, in lower case; the encoding that was applied first comes first."""
        declared = self.content_encoding or named(self.properties, _ENCODINGS)
        return tuple(name.strip().lower() for name in declared.split(",")) if declared else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPosition:
    """The position of an event among all events of its key: in its stream, and in time.

    Attributes:
        partition: The stream.
        sequence: The message's number in the stream.
        item: The event's number in its message, from 0.
        when: The event's own time, aware; None where it has none.
    """

    partition: str
    sequence: int
    item: int = 0
    when: datetime | None = None

    def is_stale_after(self, seen: EventPosition) -> bool:
        """Whether this was overtaken: it was seen already, or a newer event of its key was.

        Numbers are compared only within one stream. Equal times give no order: databases write many rows at one moment.
        """
        if self.partition == seen.partition and (self.sequence, self.item) <= (seen.sequence, seen.item):
            return True
        return self.when is not None and seen.when is not None and self.when < seen.when

    def after(self, seen: EventPosition | None) -> EventPosition:
        """This position as the last one seen: time never moves back when an event comes without one."""
        if seen is None or seen.when is None or (self.when is not None and self.when >= seen.when):
            return self
        return EventPosition(partition=self.partition, sequence=self.sequence, item=self.item, when=seen.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReference:
    """A Dataverse record that has to be read, because its message was stripped for size."""

    entity: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousKey:
    """The record that an event found under another sync key.

    Attributes:
        record: That sync key as the service compares it.
        key: The message key that its events have.
    """

    record: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one record, from its decoding to its outcome.

    A decoder gives what the message says. What is known later is added: `key` by the listener's expression; `number`,
    which the batch gives, `record` and `before` once the sync key was computed.

    Attributes:
        message: The message that holds the event.
        action: What happened.
        new: The record afterwards, or the fields of it that the event carries. A field that is absent is not touched;
            one that is null is cleared.
        old: The record before, with the fields that the event contains.
        position: Position in the stream and in time.
        reread: The record to read because the message came without it.
        number: Names the event in its batch; grows in the order of arrival.
        key: The message key, within which newer overtakes older; empty until it was computed.
        record: The sync key as the service compares it: events of one record have the same.
        before: Where the event changes the sync key, what it was.
        of_before: This is about the record before: it has the key that the event's record had.
    """

    message: Message
    action: EventAction
    new: Record
    old: Record
    position: EventPosition
    reread: RecordReference | None = None
    number: int = 0
    key: str = ""
    record: str = ""
    before: PreviousKey | None = None
    of_before: bool = False

    @property
    def fields(self) -> Record:
        """What `new` means in expressions: after a delete there is no record, so it is the one that was deleted."""
        return {**self.old, **self.new} if self.action is EventAction.DELETE else self.new

    @property
    def keys(self) -> tuple[str, ...]:
        """The message keys that the event concerns."""
        return (self.key,) if self.before is None else (self.key, self.before.key)

    @property
    def records(self) -> tuple[str, ...]:
        """The records that the event concerns."""
        return (self.record,) if self.before is None else (self.record, self.before.record)

    def known(self, number: int, record: str, before: str | None) -> Event:
        """The event with what is known later; the sync key is the message key where it has none.

        Args:
            number: Names it in its batch.
            record: The sync key as the service compares it.
            before: What it was; None where the event does not change it.
        """
        # Written out: `replace` takes four times as long, and each event comes here.
        return Event(
            message=self.message,
            action=self.action,
            new=self.new,
            old=self.old,
            position=self.position,
            reread=self.reread,
            number=number,
            key=self.key or record,
            record=record,
            before=None if before is None else PreviousKey(record=before, key=self.key or before),
            of_before=self.of_before,
        )

    def numbered(self, item: int) -> Event:
        """The event with another number in its message."""
        return replace(self, position=replace(self.position, item=item))

    def dropped_before(self) -> Event:
        """The deletion of the record that had the key before."""
        assert self.before is not None  # noqa: S101 - asked for only where there is one
        return replace(
            self,
            record=self.before.record,
            key=self.before.key,
            action=EventAction.DELETE,
            before=None,
            of_before=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecodable:
    """Why a message, or one event of it, cannot be decoded. Never contains a value of the body.

    Attributes:
        item: The event's number in its message; None where it is the whole message.
    """

    reason: str
    item: int | None = None

    def numbered(self, item: int) -> Undecodable:
        """The same with another number in its message."""
        return replace(self, item=item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Replaces a value in a record that cannot be used. The event fails only if the definition reads the value.

    Attributes:
        reason: Why, without the value.
    """

    reason: str
