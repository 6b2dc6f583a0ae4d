"""Dead letters: an event that cannot be applied is kept with its reason, and can be sent again as it came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.events import Message
from shared.jobs.event_rows import Failure
from shared.state import DeadLetter

__all__ = ["UNCLAIMED", "Lost", "item_of", "letter_id", "letter_of", "message_of"]

UNCLAIMED = Failure(error="Unclaimed", message="no listener takes this event: look at topic.match of the definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An event, or a whole message, that could not be applied.

    Attributes:
        item: The event's number in its message; None where it is the whole message.
        listener: The listener that took it; empty where none did.
    """

    message: Message
    failure: Failure
    item: int | None = None
    listener: str = ""


def letter_id(sync: str, message: Message, item: int | None) -> str:
    """What a letter is known by, so that an event which is given again finds its own."""
    return f"{sync or 'unclaimed'}/{message.stream}/{message.sequence}" + (f"/{item}" if item else "")


def letter_of(lost: Lost, sync: str, *, now: datetime, tries: int = 1) -> DeadLetter:
    """What the store keeps of an event.

    Args:
        lost: The event and its reason.
        sync: Name of the sync; empty where no listener took the event.
        now: The time.
        tries: How often it has been tried, this time included.
    """
    message, failure = lost.message, lost.failure
    return DeadLetter(
        id=letter_id(sync, message, lost.item),
        sync=sync,
        body=message.body,
        partition=message.partition,
        sequence=message.sequence,
        offset=message.offset,
        enqueued=message.enqueued,
        properties=dict(message.properties),
        system={
            "hub": message.hub,
            "key": message.key,
            "content_type": message.content_type,
            "item": lost.item,
            "listener": lost.listener,
        },
        error=failure.error,
        code=failure.code,
        message=failure.message,
        kept=now,
        tries=tries,
    )


def message_of(letter: DeadLetter) -> Message:
    """The message as it came."""
    key = letter.system.get("key")
    return Message(
        body=letter.body,
        partition=letter.partition,
        sequence=letter.sequence,
        offset=letter.offset,
        enqueued=letter.enqueued,
        key=None if key is None else str(key),
        properties=letter.properties,
        content_type=str(letter.system.get("content_type", "")),
        hub=str(letter.system.get("hub", "")),
    )


def item_of(letter: DeadLetter) -> int | None:
    """Which event of its message a letter is; None where it is the whole message."""
    item = letter.system.get("item")
    return None if item is None else int(item)
