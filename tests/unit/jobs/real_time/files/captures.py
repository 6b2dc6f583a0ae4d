"""Files as Event Hubs Capture writes them, written by fastavro."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro

# Microsoft's documentation, "Exploring captured Avro files in Azure Event Hubs".
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "EventData",
    "namespace": "Microsoft.ServiceBus.Messaging",
    "fields": [
        {"name": "SequenceNumber", "type": "long"},
        {"name": "Offset", "type": "string"},
        {"name": "EnqueuedTimeUtc", "type": "string"},
        {"name": "SystemProperties", "type": {"type": "map", "values": ["long", "double", "string", "bytes"]}},
        {"name": "Properties", "type": {"type": "map", "values": ["long", "double", "string", "bytes", "null"]}},
        {"name": "Body", "type": ["null", "bytes"]},
    ],
}
MARKER = b"0123456789abcdef"  # the same in every process, as the names of tests must be
PATH = "namespace/hub/{partition}/2020/11/22/12/00/{second:02}.avro"


def event(sequence: int, body: Any, **fields: Any) -> dict[str, Any]:
    return {
        "SequenceNumber": sequence,
        "Offset": str(sequence * 112),
        "EnqueuedTimeUtc": "11/22/2020 12:00:05 PM",
        "SystemProperties": {},
        "Properties": {},
        "Body": body if isinstance(body, bytes | None) else json.dumps(body).encode(),
        **fields,
    }


def content(events: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, SCHEMA, events, **{"codec": "deflate", "sync_marker": MARKER, **options})
    return file.getvalue()


def write(folder: Path, events: Sequence[Mapping[str, Any]], *, partition: str = "0", second: int = 0) -> Path:
    """A file at the place where Capture puts it."""
    path = folder / PATH.format(partition=partition, second=second)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(events))
    return path
