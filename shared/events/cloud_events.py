"""CloudEvents 1.0: structured, batched and binary content, over AMQP and over Event Hubs' Kafka endpoint."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.definitions.models.listener import Topic
from shared.events.bodies import moment, parse
from shared.events.plain_json import action_named, events_in, speaks_of_a_delete
from shared.events.records import Event, EventAction, Message, Undecodable
from shared.events.routing import Takes

__all__ = ["attributes", "decode", "is_binary"]

# AMQP binding 1.0.1 and 1.0.2 (whose prefix has an underscore because some brokers refuse the colon), Kafka, HTTP.
_PREFIXES: Final = ("cloudevents:", "cloudevents_", "ce_", "ce-")
_UNKNOWN_DELETE: Final = (
    "the event's type mentions a delete, but its verb is unknown: set topic.action to the path of the action, or "
    "exclude the type with topic.match"
)


def attributes(message: Message) -> Mapping[str, Any]:
    """The attributes of an event in binary content mode, which are sent as application properties."""
    return {
        name[len(prefix) :].lower(): value
        for name, value in message.properties.items()
        for prefix in _PREFIXES
        if name.lower().startswith(prefix)
    }


def is_binary(message: Message) -> bool:
    """Whether the body is only the data. With a content type of CloudEvents it is not."""
    return not message.content_type.lower().startswith("application/cloudevents") and "specversion" in attributes(
        message
    )


def decode(message: Message, body: Any, topic: Topic, takes: Takes) -> Iterator[Event | Undecodable]:
    """The events of a message: one CloudEvent, or those of a batch, which a JSON array is, that are taken."""
    if is_binary(message):
        yield from _one({**attributes(message), "data": body}, message, topic)
        return
    item = 0
    for cloud_event in body if isinstance(body, list) else (body,):
        # What is no CloudEvent has no type by which it could be left to others: it becomes a dead letter.
        taken = not isinstance(body, list) or not _is_event(cloud_event) or takes(cloud_event)
        for found in _one(cloud_event, message, topic):
            if taken:
                yield found.numbered(item)
            item += 1


def _one(cloud_event: Any, message: Message, topic: Topic) -> Iterator[Event | Undecodable]:
    if not _is_event(cloud_event):
        yield Undecodable(reason="the body is not a CloudEvent: it has no specversion")
        return
    if not str(cloud_event["specversion"]).startswith("1."):
        yield Undecodable(reason="the CloudEvent is not of version 1")
        return
    body, verb = _with_data(cloud_event), action_named(cloud_event.get("type"))
    if isinstance(body, Undecodable):
        yield body
        return
    if verb is None and topic.action is None and speaks_of_a_delete(cloud_event.get("type")):
        yield Undecodable(reason=_UNKNOWN_DELETE)
        return
    yield from events_in(
        body,
        topic,
        message=message,
        records=topic.records or "$.data",
        when=moment(body.get("time")),
        otherwise=verb or EventAction.UPSERT,
    )


def _is_event(part: Any) -> bool:
    return isinstance(part, dict) and "specversion" in part


def _with_data(cloud_event: dict[str, Any]) -> dict[str, Any] | Undecodable:
    """The event with its data as JSON, where it came as Base64 or as text."""
    data = cloud_event.get("data")
    if "data_base64" in cloud_event:
        try:
            data = parse(base64.b64decode(cloud_event["data_base64"], validate=True))
        except (binascii.Error, TypeError, ValueError):
            return Undecodable(reason="data_base64 is not Base64")
    elif isinstance(data, str) and "json" in str(cloud_event.get("datacontenttype", "")).lower():
        data = parse(data.encode())
    if isinstance(data, Undecodable):
        return Undecodable(reason=f"the CloudEvent's data cannot be used: {data.reason}")
    return {**cloud_event, "data": data}
