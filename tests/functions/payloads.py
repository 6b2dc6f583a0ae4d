"""What the host sends when a trigger fires, in the shapes that its extensions give them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.functions.messages import protos, rpc

ENQUEUED = datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One firing of a trigger.

    Attributes:
        data: The value of the trigger's binding.
        metadata: What the function sees as trigger metadata.
    """

    data: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)


def timer(*, late: bool = False, now: datetime | None = None) -> Payload:
    """A tick of a timer whose schedule is monitored."""
    moment = (now or datetime.now(UTC)).isoformat()
    status = {"Last": moment, "Next": moment, "LastUpdated": moment}
    value = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": late}
    return Payload(data=_json(value), metadata={"TimerTrigger": protos.TypedData(string=moment)})


def http_request(
    path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Payload:
    """A request to the app; the host gives the names of headers in lower case."""
    known = {"host": "app.azurewebsites.net", **{name.lower(): value for name, value in (headers or {}).items()}}
    query = dict(pair.partition("=")[::2] for pair in path.partition("?")[2].split("&") if pair)
    http = rpc.RpcHttp(
        method=method,
        url=f"https://app.azurewebsites.net{path}",
        headers=known,
        query=query,
        body=protos.TypedData(bytes=body) if body else None,
    )
    return Payload(data=protos.TypedData(http=http))


def queue_message(text: str, *, delivered: int = 1) -> Payload:
    """A message of a storage queue; the host has decoded its base64."""
    moment = (datetime.now(UTC)).isoformat()
    metadata = {
        "QueueTrigger": text,
        "DequeueCount": str(delivered),
        "Id": "8e5cd5b1-0000-4000-8000-000000000000",
        "InsertionTime": moment,
        "ExpirationTime": moment,
        "NextVisibleTime": moment,
        "PopReceipt": "receipt",
    }
    data = protos.TypedData(string=text)
    return Payload(data=data, metadata={name: protos.TypedData(string=value) for name, value in metadata.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as the event hub keeps it."""

    body: bytes
    key: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    enqueued: datetime = ENQUEUED
    system: Mapping[str, Any] = field(default_factory=dict)


def events(batch: Sequence[Event], *, partition: str = "0", first: int = 0, offset: str | None = None) -> Payload:
    """A batch of one partition, cardinality many, data type binary.

    Args:
        batch: The events in order.
        partition: Partition id.
        first: Sequence number of the first event.
        offset: The offset of all of them; newer namespaces give texts that are no numbers, or -1.
    """
    numbers = range(first, first + len(batch))
    offsets = [offset if offset is not None else str(number * 112) for number in numbers]
    # A .NET DateTime of unspecified kind: UTC, written without a zone.
    times = [event.enqueued.astimezone(UTC).replace(tzinfo=None).isoformat() for event in batch]
    system = [
        {"SequenceNumber": number, "Offset": place, "PartitionKey": event.key, "EnqueuedTimeUtc": time, **event.system}
        for number, place, event, time in zip(numbers, offsets, batch, times, strict=True)
    ]
    context = {
        "FullyQualifiedNamespace": "test.servicebus.windows.net",
        "EventHubName": "dynamics-sync",
        "ConsumerGroup": "$Default",
        "PartitionId": partition,
    }
    bodies = rpc.CollectionBytes(bytes=[event.body for event in batch])
    return Payload(
        data=protos.TypedData(collection_bytes=bodies),
        metadata={
            "PartitionContext": _json(context),
            # Events without a key have no entry, so the array cannot be read by index.
            "PartitionKeyArray": _texts([event.key for event in batch if event.key is not None]),
            "OffsetArray": _texts(offsets),
            "SequenceNumberArray": protos.TypedData(collection_sint64=rpc.CollectionSInt64(sint64=numbers)),
            "EnqueuedTimeUtcArray": _json(times),
            "PropertiesArray": _json([dict(event.properties) for event in batch]),
            "SystemPropertiesArray": _json(system),
        },
    )


def _texts(values: Sequence[str]) -> Any:
    return protos.TypedData(collection_string=rpc.CollectionString(string=values))


def _json(value: Any) -> Any:
    return protos.TypedData(json=json.dumps(value, separators=(",", ":")))
