"""Plain JSON: one record or many; the listener defines the paths of the records and of the action."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from shared.definitions.models.listener import Topic
from shared.events.records import Event, EventAction, EventPosition, Message, Undecodable, Unusable
from shared.events.routing import Takes
from shared.json_paths import ABSENT, finder, finder_of_records

__all__ = ["action_named", "decode", "events_in", "speaks_of_a_delete"]

# What senders call the four actions; compared without regard to case.
_WORDS: Final[Mapping[str, EventAction]] = {
    word: action
    for action, words in {
        EventAction.INSERT: "insert inserted create created add added new c i",
        EventAction.UPDATE: (
            "update updated change changed modify modified edit edited patch patched replace replaced u"
        ),
        EventAction.DELETE: "delete deleted remove removed d",
        EventAction.UPSERT: "upsert upserted merge merged save saved read snapshot r undelete undeleted",
    }.items()
    for word in words.split()
}
_PART: Final = re.compile(r"[A-Za-z0-9]+")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# What can follow the verb in a type: a version (`v2`, `v1beta1`, `2024-05-01`), or what every type is.
_BEHIND_THE_VERB: Final = frozenset({"v", "alpha", "beta", "preview", "event", "message", "notification"})
_DELETES: Final = ("delet", "remov")
_MOST_OF_A_TYPE: Final = 1_000  # characters; real names are shorter, and splitting takes time


def action_named(word: Any) -> EventAction | None:
    """The action that a word means: alone (`DELETE`, `d`) or as the verb that ends a type (`crm.customer.deleted`).

    After the verb a type can have a version or a word for event: `customer.deleted.v2`, `BlobDeletedEvent`.
    """
    if not isinstance(word, str) or len(word) > _MOST_OF_A_TYPE:
        return None
    parts = _PART.findall(word)
    if len(parts) == 1 and parts[0].lower() in _WORDS:
        return _WORDS[parts[0].lower()]
    words = [(found, part) for part in parts for found in _WORD.findall(part)]
    while words and (words[-1][0].isdigit() or words[-1][0].lower() in _BEHIND_THE_VERB):
        words.pop()
    if not words:
        return None
    verb, part = words[-1]
    # A single letter means an action only as a separate part: `orders.d`, but not `PlanD`.
    return _WORDS.get(verb.lower()) if len(verb) > 1 or verb == part else None


def speaks_of_a_delete(word: Any) -> bool:
    """Whether a text has a word for deleting anywhere."""
    return isinstance(word, str) and any(stem in word.lower() for stem in _DELETES)


def decode(message: Message, body: Any, topic: Topic, takes: Takes) -> Iterator[Event | Undecodable]:
    """The events of a JSON body; of an array of events only those that are taken."""
    found = events_in(body, topic, message=message, records=topic.records or "$")
    if topic.records is not None or not isinstance(body, list):
        return found
    return (each for part, each in zip(body, found, strict=True) if takes(part))


def events_in(
    body: Any,
    topic: Topic,
    *,
    message: Message,
    records: str,
    when: datetime | None = None,
    otherwise: EventAction = EventAction.UPSERT,
) -> Iterator[Event | Undecodable]:
    """The records that a path finds in a body, each as an event.

    Args:
        body: The body; `topic.action` is looked for in the record first, then here.
        topic: The listener's topic.
        message: The message with the events.
        records: JSONPath of one record or an array of them.
        when: The events' own time.
        otherwise: The action where `topic.action` is not given.
    """
    found = finder_of_records(records)(body)
    if found is ABSENT:
        yield Undecodable(reason=f"the body has no value at {records}")
        return
    for item, record in enumerate(found if isinstance(found, list) else (found,)):
        if not isinstance(record, dict):
            yield Undecodable(reason=f"the record is {_kind(record)}, not a JSON object", item=item)
            continue
        action = otherwise if topic.action is None else _action_at(topic.action, record, body)
        if isinstance(action, Undecodable):
            yield Undecodable(reason=action.reason, item=item)
            continue
        position = EventPosition(partition=message.stream, sequence=message.sequence, item=item, when=when)
        old = record if action is EventAction.DELETE else {}
        yield Event(message=message, action=action, new=record, old=old, position=position)


def _action_at(path: str, record: Any, body: Any) -> EventAction | Undecodable:
    word = finder(path)(record)
    if word is ABSENT:
        word = finder(path)(body)
    if word is ABSENT:
        return Undecodable(reason=f"the event has no action at {path}")
    return action_named(word) or Undecodable(
        reason=f"the action at {path} of the event does not mean insert, update, delete or upsert"
    )


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return "an array"
        case Unusable(reason=reason):
            return f"a value that cannot be used ({reason})"
        case _:
            return "a number"
