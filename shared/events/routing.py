"""Which listener takes a message: `topic.match` against the envelope and the message's properties."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from shared.definitions.models.listener import Topic
from shared.events.bodies import as_text
from shared.events.decoding import envelope
from shared.events.records import Message, Undecodable
from shared.json_paths import ABSENT, finder

__all__ = ["Claim", "claim"]


class Claim(Enum):
    """What a listener makes of a message."""

    TAKES = "takes"
    LEAVES = "leaves"
    UNKNOWN = "unknown"  # the body cannot be read, and the properties do not decide


def claim(message: Message, topic: Topic, body: Any) -> Claim:
    """Whether the listener takes the message.

    Args:
        message: The message.
        topic: Whose `match` is asked. Each name is an application property, else a field of the envelope, else a path
            into it (`source.table`, `$.meta.type`); compared as text.
        body: The body as `parse` read it.
    """
    if not topic.match:
        return Claim.TAKES
    readable = not isinstance(body, Undecodable)
    fields = envelope(message, topic, body) if readable else None
    found = {name: _found(name, message.properties, fields) for name in topic.match}
    wrong = any(value is not ABSENT and as_text(value) != as_text(topic.match[name]) for name, value in found.items())
    if wrong or (readable and ABSENT in found.values()):
        return Claim.LEAVES
    return Claim.UNKNOWN if ABSENT in found.values() else Claim.TAKES


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
