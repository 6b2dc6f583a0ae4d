"""What the host hands over, as messages: bodies, and the metadata of each by index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from shared.events import Message, named

__all__ = ["HostEvent", "received"]

# AMQP's content type and content encoding, as the host's extension and the Event Hubs SDK name them, among system and
# application properties.
_TYPES: Final = frozenset({"content-type", "contenttype", "content_type"})
_ENCODINGS: Final = frozenset({"content-encoding", "contentencoding", "content_encoding"})


class HostEvent(Protocol):
    """What is used of `azure.functions.EventHubEvent`."""

    def get_body(self) -> bytes:
        """The body's bytes."""

    @property
    def sequence_number(self) -> int | None:
        """The number within the partition."""

    @property
    def offset(self) -> str | None:
        """The offset; -1 or a text that is not a number on newer namespaces."""

    @property
    def partition_key(self) -> str | None:
        """The partition key."""

    @property
    def enqueued_time(self) -> datetime | None:
        """When the hub took it; without a zone."""

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The trigger's metadata: one for the whole batch, which every event of it carries."""


def received(events: Sequence[HostEvent]) -> list[Message]:
    """The messages of a batch, in order."""
    metadata = _object(events[0].metadata) if events else {}
    context = _object(metadata.get("PartitionContext"))
    properties, system = _array(metadata.get("PropertiesArray")), _array(metadata.get("SystemPropertiesArray"))
    return [
        Message(
            body=event.get_body(),
            partition=str(context.get("PartitionId", "")),
            hub=str(context.get("EventHubName", "")),
            sequence=int(event.sequence_number or 0),
            offset=str(event.offset or ""),
            enqueued=_utc(event.enqueued_time),
            key=event.partition_key,
            properties=_at(properties, index),
            content_type=named(_at(system, index), _TYPES) or named(_at(properties, index), _TYPES),
            content_encoding=named(_at(system, index), _ENCODINGS),
        )
        for index, event in enumerate(events)
    ]


def _utc(moment: datetime | None) -> datetime | None:
    """The host writes the time without a zone; it is UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _array(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _at(array: Sequence[Any], index: int) -> Mapping[str, Any]:
    return _object(array[index]) if index < len(array) else {}
