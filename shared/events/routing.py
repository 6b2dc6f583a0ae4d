"""Which listener takes an event: `topic.match` against the envelope and the message's properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from shared.definitions.models.listener import Topic
from shared.events.bodies import as_text, mapping
from shared.events.records import Message
from shared.json_paths import ABSENT, finder

__all__ = ["Claim", "Takes", "claim_of", "taking"]

Takes = Callable[[Any], bool]
"""Whether a listener takes one event of a body that has several."""


class Claim(Enum):
    """What a listener makes of a message."""

    TAKES = "takes"
    LEAVES = "leaves"
    UNKNOWN = "unknown"  # the body cannot be read, and the properties do not decide


def claim_of(message: Message, topic: Topic, fields: Mapping[str, Any] | None) -> Claim:
    """Whether a listener takes an event.

    Args:
        message: The message with it.
        topic: Whose `match` is asked. Each name is an application property, else a field of the envelope, else a path
            into it (`source.table`, `$.meta.type`); compared as text.
        fields: The envelope; None where the body cannot be read.
    """
    found = {name: _found(name, message.properties, fields) for name in topic.match}
    wrong = any(value is not ABSENT and as_text(value) != as_text(topic.match[name]) for name, value in found.items())
    if wrong or (fields is not None and ABSENT in found.values()):
        return Claim.LEAVES
    return Claim.UNKNOWN if ABSENT in found.values() else Claim.TAKES


def taking(message: Message, topic: Topic) -> Takes:
    """Which of the events that a body has side by side a listener takes.

    One that is no object has no envelope: it counts as taken, so that it becomes a dead letter.
    """

    def takes(part: Any) -> bool:
        return not isinstance(part, Mapping) or claim_of(message, topic, mapping(part)) is Claim.TAKES

    return takes if topic.match else lambda _part: True


def _found(name: str, properties: Mapping[str, Any], fields: Mapping[str, Any] | None) -> Any:
    if name in properties or fields is None:  # if the body cannot be read, a path without a result decides nothing
        return properties.get(name, ABSENT)
    if name in fields:
        return fields[name]
    if name.startswith("$"):
        return finder(name)(fields)
    value: Any = fields
    for part in name.split("."):
        value = value.get(part, ABSENT) if isinstance(value, Mapping) else ABSENT
    return value
