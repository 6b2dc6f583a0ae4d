"""Real time: which events a sync listens to and how a record is found in them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.definitions.models.base import Json, Model, Sql

__all__ = ["AvroEncoding", "EventFormat", "KeyChange", "Listener", "ListenerStatus", "OffsetReset", "Topic"]


class EventFormat(StrEnum):
    """How an event's body is written."""

    JSON = "json"
    AVRO = "avro"
    CLOUDEVENTS = "cloudevents"
    DEBEZIUM = "debezium"
    DATAVERSE = "dataverse"


class AvroEncoding(StrEnum):
    """How an Avro body is encoded."""

    AUTO = "auto"
    BINARY = "binary"
    SINGLE_OBJECT = "single_object"
    CONFLUENT = "confluent"
    EVENT_HUBS = "event_hubs"


class ListenerStatus(StrEnum):
    """Whether a listener takes events."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class KeyChange(StrEnum):
    """What an event does whose record had another sync key before."""

    MOVE = "move"
    DELETE_INSERT = "delete_insert"


class OffsetReset(StrEnum):
    """Where reading starts when there is no checkpoint yet."""

    EARLIEST = "earliest"
    LATEST = "latest"
    NONE = "none"


class Topic(Model):
    """What the events look like and which of them belong to this sync."""

    format: EventFormat = Field(default=EventFormat.JSON, description="How an event's body is written.")
    schema_path: str | None = Field(
        default=None,
        alias="schema",
        min_length=1,
        description="Path or URL of the Avro schema (`.avsc`) of the bodies. Only for format `avro`. Bodies that are "
        "object container files contain their schema.",
    )
    encoding: AvroEncoding = Field(
        default=AvroEncoding.AUTO,
        description="Encoding of Avro bodies. `auto` recognizes object container files and the single-object encoding "
        "by their first bytes; all other bodies are `binary`. `confluent` and `event_hubs` mean `binary` behind the "
        "prefix of this schema registry: 5 and 36 bytes, which are skipped.",
    )
    records: Json | None = Field(
        default=None, description="Path of the record, or of an array of records, in the body; default the whole body."
    )
    match: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Envelope fields or Event Hub properties, and the value that each must have. The listener takes "
        "only events that match.",
    )
    filter: Sql | None = Field(
        default=None, description="Condition over `new.*` and `old.*`; only records for which it is true are synced."
    )
    action: Json | None = Field(
        default=None,
        description="Path of the action (insert, update or delete) in the event; not needed for formats that define "
        "it.",
    )
    message_key: Sql | None = Field(
        default=None, description="Key over `new.*`; events with the same key keep their order. Default the sync key."
    )
    key_change: KeyChange = Field(
        default=KeyChange.MOVE,
        description="What an event does that changes the sync key: it gives the old record the new key (`move`), or "
        "it deletes the old record and inserts a new one (`delete_insert`). Only for formats that contain the "
        "record before the change: `debezium` and `dataverse`.",
    )


class Listener(Model):
    """Takes events as they come; a definition without one is synced in batches only."""

    name: str = Field(min_length=1, description="The listener's name in logs and reports.")
    connector: Literal["event_hub"] = Field(default="event_hub", description="Source of the events.")
    status: ListenerStatus = Field(
        default=ListenerStatus.ENABLED,
        description="Whether the listener takes events, from the hub, from files or over HTTP, and its dead letters.",
    )
    auto_offset_reset: OffsetReset = Field(
        default=OffsetReset.LATEST,
        description="Which events a new listener takes: `latest` takes events that arrived at the hub after the app "
        "first saw the listener, `earliest` takes all events that the hub still has; `none` means `earliest`.",
    )
    topic: Topic = Field(description="Format and selection of the events, as in `{format: json, action: $.op}`.")

    @property
    def enabled(self) -> bool:
        """Whether the listener takes events."""
        return self.status is ListenerStatus.ENABLED
