"""Dataverse's own messages: the RemoteExecutionContext that a service endpoint posts as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.events.bodies import is_true, mapping, moment
from shared.events.records import Event, EventAction, EventPosition, Message, RecordReference, Undecodable

__all__ = ["decode"]

_ACTIONS: Final = {
    "create": EventAction.INSERT,
    "createmultiple": EventAction.INSERT,
    "update": EventAction.UPDATE,
    "updatemultiple": EventAction.UPDATE,
    "upsert": EventAction.UPSERT,
    "upsertmultiple": EventAction.UPSERT,
    "delete": EventAction.DELETE,
    "deletemultiple": EventAction.DELETE,
}
# Milliseconds count in UTC; the offset after them is only the sender's time zone.
_DATE: Final = re.compile(r"/Date\((-?\d{1,17})(?:[+-]\d{4})?\)/")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Microsoft's tables that have a column `activityid` which is not their id; a column of one's own has a prefix.
_POINTING_AT_ACTIVITIES: Final = frozenset({"activityparty", "activitymimeattachment", "emailhash"})
# Set where the message was too large and lost its parameters and images; webhooks use a header of the second name.
_STRIPPED: Final = frozenset({"messagemaxsizeexceeded", "x-ms-dynamics-msg-size-exceeded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What the parts of one context have in common."""

    action: EventAction
    message: Message
    entity: str
    position: EventPosition
    images: tuple[Mapping[str, Any], Mapping[str, Any]]


def decode(message: Message, body: Any) -> Iterator[Event | Undecodable]:
    """The events of a context: one, or one per target of CreateMultiple and its like."""
    context = _context(message, body)
    if isinstance(context, Undecodable):
        yield context
        return
    targets = _targets(_pairs(body.get("InputParameters")))
    if not targets or _is_stripped(message, body):
        yield _without_target(context, body)
        return
    for item, target in enumerate(targets):
        position = EventPosition(
            partition=message.stream, sequence=message.sequence, item=item, when=context.position.when
        )
        yield _event(context, target, position)


def _context(message: Message, body: Any) -> _Context | Undecodable:
    if not isinstance(body, dict) or "MessageName" not in body or "PrimaryEntityName" not in body:
        return Undecodable(
            reason="the body is not a RemoteExecutionContext: it has no MessageName or PrimaryEntityName"
        )
    action = _ACTIONS.get(str(body["MessageName"]).lower())
    if action is None:
        return Undecodable(
            reason="the message is not one of Create, Update, Upsert, Delete: exclude it with topic.match"
        )
    return _Context(
        message=message,
        action=action,
        entity=str(body["PrimaryEntityName"]),
        position=EventPosition(
            partition=message.stream,
            sequence=message.sequence,
            when=moment(_value(body.get("OperationCreatedOn"))),
        ),
        images=(_image(body.get("PreEntityImages")), _image(body.get("PostEntityImages"))),
    )


def _is_stripped(message: Message, body: Mapping[str, Any]) -> bool:
    flags = {**body, **_pairs(body.get("SharedVariables")), **message.properties}
    return any(is_true(value) for name, value in flags.items() if name.lower() in _STRIPPED)


def _without_target(context: _Context, body: Mapping[str, Any]) -> Event | Undecodable:
    """A delete needs no more than the id; any other record must be read again."""
    record = body.get("PrimaryEntityId")
    if not isinstance(record, str) or not record.strip("0-"):
        return Undecodable(reason="the message has no target and no record id to read the record")
    identity = _identity(context.entity, record)
    if context.action is EventAction.DELETE:
        old = {**identity, **context.images[0]}
        return Event(message=context.message, action=context.action, new={}, old=old, position=context.position)
    return Event(
        message=context.message,
        action=context.action,
        new=identity,
        old={},
        position=context.position,
        reread=RecordReference(entity=context.entity, id=record),
    )


def _targets(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if isinstance(parameters.get("Target"), dict):
        return [parameters["Target"]]
    several = parameters.get("Targets")
    found = mapping(several).get("Entities", several)
    return [target for target in found if isinstance(target, dict)] if isinstance(found, list) else []


def _event(context: _Context, target: Mapping[str, Any], position: EventPosition) -> Event:
    before, after = context.images
    identity = _identity(str(target.get("LogicalName") or context.entity), target.get("Id"))
    if context.action is EventAction.DELETE:
        old = {**identity, **before}
        return Event(message=context.message, action=context.action, new={}, old=old, position=position)
    new = {**identity, **after, **_attributes(target)}
    return Event(message=context.message, action=context.action, new=new, old=before, position=position)


def _identity(table: str, record: Any) -> dict[str, Any]:
    """The record's id under the name of its column: `<table>id`, but for an activity `activityid`.

    A message does not show which tables are activities, and users can add activities; so every table's id has both
    names, except where `activityid` is itself a lookup.
    """
    names = {f"{table}id"} if table in _POINTING_AT_ACTIVITIES else {f"{table}id", "activityid"}
    return dict.fromkeys(sorted(names), record)


def _image(images: Any) -> Mapping[str, Any]:
    """All images of one side as one record: a step may register several with different columns."""
    return {name: value for image in _pairs(images).values() for name, value in _attributes(image).items()}


def _attributes(entity: Any) -> Mapping[str, Any]:
    return {name: _value(value) for name, value in _pairs(mapping(entity).get("Attributes")).items()}


def _pairs(collection: Any) -> dict[str, Any]:
    """A .NET dictionary, which the serializer writes as an array of key and value."""
    pairs: Iterable[Any] = collection if isinstance(collection, list) else ()
    return {str(pair["key"]): pair.get("value") for pair in pairs if isinstance(pair, dict) and "key" in pair}


def _value(value: Any) -> Any:
    """An attribute's value in the form that a mapping expects: ids, option values, amounts, ISO dates."""
    match value:
        case str() if found := _DATE.fullmatch(value):
            return _moment(int(found[1]))
        case {"__type": str(kind)}:
            return _typed(kind.partition(":")[0], value)
        case list() if value and all(isinstance(v, dict) and isinstance(v.get("Value"), int) for v in value):
            return ",".join(str(number) for number in sorted(v["Value"] for v in value))
        case {"Id": record, "LogicalName": _}:
            return record
        case {"Value": inner, **rest} if not rest:
            return inner
        case _:
            return value


def _typed(kind: str, value: Mapping[str, Any]) -> Any:
    match kind:
        case "EntityReference" | "Entity":
            return value.get("Id")
        case "OptionSetValue" | "Money" | "BooleanManagedProperty":
            return value.get("Value")
        case "AliasedValue":
            return _value(value.get("Value"))
        case _:
            return value


def _moment(milliseconds: int) -> str | None:
    """As ISO 8601 in UTC; .NET's DateTime.MinValue means that there is no date."""
    try:
        found = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return None if found.year == 1 else found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
