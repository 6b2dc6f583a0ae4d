"""Real time: which events a sync listens to and how a record is found in them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.definitions.models.base import Json, Model, Sql

__all__ = ["EventFormat", "KeyChange", "Listener", "ListenerStatus", "OffsetReset", "Topic"]


class EventFormat(StrEnum):
    """How an event's body is written."""

    JSON = "json"
    CLOUDEVENTS = "cloudevents"
    DEBEZIUM = "debezium"
    DATAVERSE = "dataverse"


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
    records: Json | None = Field(
        default=None, description="Where the record, or an array of records, stands in the body; default the whole."
    )
    match: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Envelope fields or Event Hub properties, and the value each must have, for this listener to take"
        " the event.",
    )
    filter: Sql | None = Field(
        default=None, description="Only records for which this holds are synced; over `new.*` and `old.*`."
    )
    action: Json | None = Field(
        default=None,
        description="Where the event says insert, update or delete; formats that know it need nothing here.",
    )
    message_key: Sql | None = Field(
        default=None, description="Events with the same key keep their order; over `new.*`; default the sync key."
    )
    key_change: KeyChange = Field(
        default=KeyChange.MOVE,
        description="An event that changes the sync key gives the old record the new key (`move`), or counts as a"
        " delete of the old record and an insert of a new one (`delete_insert`). For formats that carry the record"
        " before the change: `debezium` and `dataverse`.",
    )


class Listener(Model):
    """Takes events as they come; a definition without one is synced in batches only."""

    name: str = Field(min_length=1, description="The listener's name in logs and reports.")
    connector: Literal["event_hub"] = Field(default="event_hub", description="Where events come from.")
    status: ListenerStatus = Field(default=ListenerStatus.ENABLED, description="Whether it takes events.")
    auto_offset_reset: OffsetReset = Field(
        default=OffsetReset.LATEST,
        description="Which events a new listener takes: `latest` those that the hub took after this app first saw"
        " the listener, `earliest` all that the hub still has; `none` is `earliest`.",
    )
    topic: Topic = Field(default=Topic(), description="The events' form and selection.")

    @property
    def enabled(self) -> bool:
        """Whether the listener takes events."""
        return self.status is ListenerStatus.ENABLED
