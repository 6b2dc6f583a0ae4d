"""Files of Event Hubs Capture: Avro containers of events, each with its position in the hub.

Microsoft's documentation, "Capture events through Azure Event Hubs": a file has the events of one partition, and its
name is `{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}.avro` unless the hub has
another pattern, which has the same parts in another order or with other separators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

from shared.errors import UserError
from shared.events import Message, moment, named
from shared.events.avro import AvroError, Container, Schema, records

__all__ = ["Stream", "captured", "stream_in", "written_at"]

_LARGEST: Final = 64 * 1024 * 1024  # bytes of a block: it has a few events, and one has 20 MB at most
_NAME: Final = re.compile(
    r"(?:^|/)(?P<hub>[^/]+)/(?P<partition>\d+)/(?P<moment>\d{4}/\d{2}/\d{2}/\d{2}/\d{2}/\d{2})\.avro$", re.IGNORECASE
)
_FIELDS: Final = frozenset({"SequenceNumber", "Offset", "EnqueuedTimeUtc", "SystemProperties", "Properties", "Body"})
# As .NET writes a moment in the invariant culture; newer files have ISO 8601.
_ENQUEUED: Final = "%m/%d/%Y %I:%M:%S %p"
_CONTENT_TYPE: Final = frozenset({"content-type"})
_CONTENT_ENCODING: Final = frozenset({"content-encoding"})
_PARTITION_KEY: Final = frozenset({"x-opt-partition-key"})


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """The partition of a hub whose sequence numbers the events of a file have."""

    hub: str
    partition: str


def stream_in(path: str) -> Stream | None:
    """The partition that a path of Capture names; None where it does not have Capture's default pattern."""
    found = _parts(path)
    return Stream(found["hub"], found["partition"]) if found else None


def written_at(path: str) -> str:
    """The time in a path of Capture, from the year to the second, in a form that sorts; empty where it has none."""
    found = _parts(path)
    return found["moment"] if found else ""


def _parts(path: str) -> re.Match[str] | None:
    return _NAME.search(path.replace("\\", "/"))


def captured(content: IO[bytes], *, name: str, stream: Stream) -> Iterator[Message]:
    """The events of a file, read as far as they are asked for.

    Args:
        content: The file.
        name: What the file is called in errors.
        stream: The partition.

    Raises:
        UserError: It is not a file of Capture, or it is damaged from some event on; those before it were given. What
            became of them is for the caller to say.
    """
    number, last = 0, -1
    try:
        for event in _events(content):
            number += 1
            message = _message(event, stream)
            if message.sequence < last:
                raise UserError(
                    f"{name}: event {number:,} has the sequence number {message.sequence:,} after {last:,}: the events "
                    "of a file must be in their order"
                )
            last = message.sequence
            yield message
    except AvroError as error:
        if not number:
            raise UserError(f"{name}: its first event cannot be read: {error}") from None
        raise UserError(f"{name} cannot be read after event {number:,}: {error}") from None


def _events(content: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    container = Container(content, largest=_LARGEST)  # type: ignore[arg-type]  # it only reads
    schema = Schema(container.schema, as_json=False)
    for count, data in container.blocks():
        for event in records(schema, count, data):
            if not isinstance(event, dict) or not event.keys() >= _FIELDS:
                raise AvroError(f"it is no file of Event Hubs Capture: its records lack {_missing(event)}")
            yield event


def _missing(event: Any) -> str:
    return ", ".join(sorted(_FIELDS - event.keys())) if isinstance(event, dict) else "fields"


def _message(event: Mapping[str, Any], stream: Stream) -> Message:
    system = event["SystemProperties"] or {}
    return Message(
        body=event["Body"] or b"",
        partition=stream.partition,
        hub=stream.hub,
        sequence=int(event["SequenceNumber"]),
        offset=str(event["Offset"]),
        enqueued=_moment(str(event["EnqueuedTimeUtc"])),
        key=named(system, _PARTITION_KEY) or None,
        properties={name: _plain(value) for name, value in (event["Properties"] or {}).items()},
        content_type=named(system, _CONTENT_TYPE),
        content_encoding=named(system, _CONTENT_ENCODING),
    )


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        return datetime.strptime(text, _ENQUEUED).replace(tzinfo=UTC)
    return moment(text)


def _plain(value: Any) -> Any:
    """A property as the host would give it: bytes as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
