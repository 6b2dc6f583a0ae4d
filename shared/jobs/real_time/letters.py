"""Dead letters: an event that cannot be applied is kept with its reason, and can be sent again as it came."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.errors import AnswerLost, RetryLater, SyncError
from shared.events import Event, Message
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.sync import EventSync
from shared.state import DeadLetter, StateStore

__all__ = [
    "NO_EVENT",
    "NO_LISTENER",
    "UNCLAIMED",
    "UNREAD",
    "FailedEvent",
    "ReplayCounts",
    "count_kept",
    "item_of",
    "keep",
    "letter_id",
    "letter_of",
    "message_of",
    "still_kept",
    "taken_by",
    "with_tries",
]

log = logging.getLogger(__name__)

# A letter that the store refuses as it is is cut to this: with its reason it fits into any store's record.
_MOST_OF_A_BODY: Final = 16_384  # bytes
_MOST_OF_A_TEXT: Final = 1_024  # characters of an error, an offset, a name
_CUT: Final = "; the state store refused the event as it came, so it is kept without its {}"
# JSON readers and writers, and so the stores, give up on deeper nesting than this.
_DEEPEST: Final = 64

UNCLAIMED = Failure(error="Unclaimed", message="no listener takes this event: look at topic.match of the definitions")
UNREAD = Failure(
    error="Unclaimed",
    message="a definition file cannot be read, and the event may be for its listener: correct the file, which "
    "`validate` names, then replay",
)
NO_LISTENER = Failure(error="Unclaimed", message="the sync of this event has no listener any more")
NO_EVENT: Final = "The body {}: nothing would be applied. To drop the dead letter without applying it, use Remove"
"""Why another body of a letter is not sent: it changes nothing, so the letter would count as applied and be gone."""
_TAKERS: Final = "taken_by"
_NO_SYNC: Final = "_unclaimed"  # no name of a sync has a `_`


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent:
    """An event, or a whole message, that could not be applied.

    Attributes:
        item: The event's number in its message; None where it is the whole message.
        number: Its number in its batch.
        takers: Syncs that took the message, of one that is kept for a listener that could not be asked.
    """

    message: Message
    failure: Failure
    item: int | None = None
    number: int = 0
    takers: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Event, failure: Failure) -> FailedEvent:
        """An event with the reason why it could not be applied."""
        return cls(message=event.message, failure=failure, item=event.position.item, number=event.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCounts:
    """The result of dead letters that were tried again; a letter of a whole message counts once.

    Attributes:
        settled: They took effect or were overtaken, and are gone.
        kept: They, or an event of theirs, were refused again, or by the listener that takes them now; then its sync has
            the letter.
    """

    settled: int
    kept: int


def letter_id(sync: str, message: Message, item: int | None) -> str:
    """What a letter is known by, so that an event which is given again finds its own."""
    return f"{sync or _NO_SYNC}/{message.stream}/{message.sequence}" + (f"/{item}" if item else "")


def letter_of(lost: FailedEvent, sync: EventSync | None, *, now: datetime) -> DeadLetter:
    """What the store keeps of an event.

    Args:
        lost: The event and its reason.
        sync: The sync that could not apply it; None where no listener took the event.
        now: The time.
    """
    message, failure, name = lost.message, lost.failure, sync.name if sync else ""
    return DeadLetter(
        id=letter_id(name, message, lost.item),
        sync=name,
        body=message.body,
        partition=message.partition,
        sequence=message.sequence,
        offset=message.offset,
        enqueued=message.enqueued,
        properties=_storable(message.properties),
        system=_with_takers(
            {
                "hub": message.hub,
                "key": _storable(message.key),
                "content_type": _storable(message.content_type),
                "content_encoding": _storable(message.content_encoding),
                "item": lost.item,
                "listener": sync.listener if sync else "",
            },
            lost.takers,
        ),
        error=failure.error,
        code=failure.code,
        message=_storable(failure.message),
        kept=now,
        tries=1,
    )


def _storable(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it: half of a character becomes a question mark, what is nested too deeply null."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case None | bool() | int() | float():
            return value
        case Mapping() if depth < _DEEPEST:
            return {_storable(str(name)): _storable(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple() if depth < _DEEPEST:
            return [_storable(inner, depth + 1) for inner in value]
        case Mapping() | list() | tuple():
            return None
        case _:
            return _storable(str(value))


def keep(letters: Sequence[DeadLetter], state: StateStore) -> None:
    """Put letters into the store. A letter that the store refuses is shortened and says so; it blocks no other.

    Raises:
        RetryLater: The store is unavailable.
        AbortRun: The store refuses even the cut letter, so it is not the letter's fault: nothing can be kept.
    """
    try:
        state.add_dead_letters(letters)
    except (RetryLater, AnswerLost):
        raise
    except SyncError as error:
        if len(letters) > 1:
            for letter in letters:
                keep([letter], state)
            return
        log.warning("a dead letter is kept cut, because the state store refuses it: %s", error.message)
        for letter in letters:
            _keep_cut(letter, state)


def _keep_cut(letter: DeadLetter, state: StateStore) -> None:
    """Keep a letter without its properties; where that is still too much, also without most of its body."""
    said = letter.message[:_MOST_OF_A_TEXT]
    bare = replace(
        letter,
        offset=letter.offset[:_MOST_OF_A_TEXT],
        message=said + _CUT.format("properties"),
        properties={},
        system={name: value for name, value in letter.system.items() if len(str(value)) <= _MOST_OF_A_TEXT},
    )
    try:
        state.add_dead_letters([bare])
    except (RetryLater, AnswerLost):
        raise
    except SyncError:
        body, cut = letter.body[:_MOST_OF_A_BODY], _CUT.format("properties and most of its body")
        state.add_dead_letters([replace(bare, body=body, message=said + cut)])


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
        content_encoding=str(letter.system.get("content_encoding", "")),
        hub=str(letter.system.get("hub", "")),
    )


def taken_by(letter: DeadLetter) -> tuple[str, ...]:
    """The syncs that took the event of a letter which is kept for a listener that could not be asked."""
    return tuple(letter.system.get(_TAKERS, ()))


def still_kept(letter: DeadLetter, takers: Iterable[str]) -> DeadLetter:
    """A letter that stays after it was tried: the syncs that took it now take it no other time."""
    names = tuple(dict.fromkeys((*taken_by(letter), *takers)))
    return replace(letter, tries=letter.tries + 1, system=_with_takers(letter.system, names))


def _with_takers(system: Mapping[str, Any], takers: Sequence[str]) -> Mapping[str, Any]:
    """The system properties of a letter with the syncs that took its event, if any did."""
    return {**system, _TAKERS: list(takers)} if takers else system


def item_of(letter: DeadLetter) -> int | None:
    """Which event of its message a letter is; None where it is the whole message."""
    item = letter.system.get("item")
    return None if item is None else int(item)


def with_tries(again: Iterable[DeadLetter], tried: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Letters of events that were refused again, with their number of tries.

    Args:
        again: The letters as a first try makes them.
        tried: Those that were tried: of the same events, or of their whole messages.
    """
    tries = {(_message_name(letter), item_of(letter)): letter.tries for letter in tried}
    counted = list[DeadLetter]()
    for letter in again:
        name = _message_name(letter)
        before = tries.get((name, item_of(letter)), tries.get((name, None), 0))
        counted.append(replace(letter, tries=before + 1))
    return counted


def count_kept(again: Iterable[DeadLetter], tried: Iterable[DeadLetter]) -> int:
    """How many of the letters that were tried have an event which was refused again.

    Args:
        again: The letters of these events.
        tried: See `with_tries`.
    """
    refused: dict[str, set[int | None]] = {}
    for letter in again:
        refused.setdefault(_message_name(letter), set()).add(item_of(letter))

    def is_kept(letter: DeadLetter) -> bool:
        items = refused.get(_message_name(letter), set())
        return bool(items) and (item_of(letter) is None or not items.isdisjoint({None, item_of(letter)}))

    return sum(map(is_kept, tried))


def _message_name(letter: DeadLetter) -> str:
    """What tells the message of a letter from other messages of its sync."""
    message = message_of(letter)
    return f"{message.stream}/{message.sequence}"
