"""Records of the state store that belong to events: their places in streams, and those that could not be applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

__all__ = ["ALL_ITEMS", "INCOMPLETE", "DeadLetter", "Position"]

ALL_ITEMS: Final = 2**31 - 1
"""The number of an event that comes after all others of its message."""

INCOMPLETE: Final = "Incomplete"
"""The error of a dead letter of which the store has lost a part: it is shown and can be removed, but not sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place of an event in its stream.

    Attributes:
        partition: Partition id of the event hub.
        sequence: Sequence number within the partition; the offset is not an identity (it may be -1).
        item: The event's number in its message, from 0; `ALL_ITEMS` where every event of the message was seen.
        when: The event's own time, where it has one.
    """

    partition: str
    sequence: int
    item: int = ALL_ITEMS
    when: datetime | None = None

    def is_after(self, other: Position) -> bool:
        """Whether this comes later in the stream, or in another stream: numbers are compared within one only."""
        place = (self.sequence, self.item)
        return self.partition != other.partition or place > (other.sequence, other.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that could not be applied.

    Attributes:
        id: Identifies the event and who it was for, so that one delivered twice is kept once. Make it from listener,
            event hub, partition and sequence number.
        sync: Name of the sync whose listener took it; empty where no listener claims it.
        body: The event's bytes as they came.
        partition: Partition id.
        sequence: Sequence number in the partition.
        offset: Offset in the partition as text.
        error: Class of the reason, such as `Undecodable`, `Unclaimed` or an error type of the execution errors.
        code: The service's error code; empty where it gave none.
        message: Why it could not be applied, and what to do.
        tries: How often it was tried.
        enqueued: When the event hub took it.
        kept: When it was first put here.
        properties: The event's application properties.
        system: Its system properties, such as the partition key.
    """

    id: str
    sync: str
    body: bytes
    partition: str
    sequence: int
    error: str
    message: str
    kept: datetime
    offset: str = ""
    code: str = ""
    tries: int = 1
    enqueued: datetime | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, Any] = field(default_factory=dict)
