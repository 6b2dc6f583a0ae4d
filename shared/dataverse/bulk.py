"""Bodies of bulk requests, joined from JSON that is ready: no row is parsed on its way out. Pure.

Microsoft: "Bulk operation messages". Every item needs `@odata.type`; an update names its record by the primary id, an
upsert by that or by `@odata.id` with an alternate key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from json import JSONDecoder

from shared.dataverse.changes import Change
from shared.dataverse.keys import key_values, predicate
from shared.entities import EntityMetadata

__all__ = ["NAMESPACE", "create_body", "delete_body", "update_body", "upsert_body", "without_key"]

NAMESPACE = "Microsoft.Dynamics.CRM"

_DECODER = JSONDecoder()


def create_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`CreateMultiple`: the payloads; an id only where the change brings one."""
    return _targets(entity, changes, lambda change: "" if change.id is None else _id(entity, change.id))


def update_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`UpdateMultiple`: the id and the columns that differ.

    Items may carry different columns: the message takes each as its own update, so one request holds rows of any mix
    and no request is spent on sorting them.
    """
    return _targets(entity, changes, lambda change: _id(entity, str(change.id)))


def delete_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`DeleteMultiple`, which elastic tables have: the ids alone."""
    items = (f"{{{_type(entity)}{_id(entity, str(change.id))[:-1]}}}" for change in changes)
    return _joined(items)


def upsert_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`UpsertMultiple`: by id, or by the alternate key, whose columns must then not stand in the body.

    A key column in both places is refused with 0x80040216 when the record is new.
    """
    return _joined(_upsert_item(entity, change) for change in changes)


def _upsert_item(entity: EntityMetadata, change: Change) -> str:
    if change.id is not None:
        return _item(_type(entity) + _id(entity, change.id), change.payload)
    address = json.dumps(f"{entity.entity_set}({predicate(entity, key_values(change.key))})", ensure_ascii=False)
    return _item(f'{_type(entity)}"@odata.id":{address},', without_key(entity, change))


def _targets(entity: EntityMetadata, changes: Iterable[Change], identity: Callable[[Change], str]) -> bytes:
    kind = _type(entity)
    return _joined(_item(kind + identity(change), change.payload) for change in changes)


def _joined(items: Iterable[str]) -> bytes:
    return f'{{"Targets":[{",".join(items)}]}}'.encode()


@lru_cache(maxsize=64)
def _type_of(logical_name: str) -> str:
    return f'"@odata.type":"{NAMESPACE}.{logical_name}",'


def _type(entity: EntityMetadata) -> str:
    return _type_of(entity.logical_name)


def _id(entity: EntityMetadata, record: str) -> str:
    return f'"{entity.primary_id}":"{record}",'


def _item(head: str, payload: str) -> str:
    """`head` ends in a comma, which goes when the payload is an empty object."""
    members = payload.strip()[1:]
    return "{" + (head[:-1] if members.lstrip() == "}" else head) + members


def without_key(entity: EntityMetadata, change: Change) -> str:
    """The payload without the members that write the key's columns; every other value stays as it was written."""
    dropped = set()
    for name in key_values(change.key):
        navigation = entity.attributes[name].navigation.values()
        dropped |= {name, f"{name}@odata.bind", *(f"{property_}@odata.bind" for property_ in navigation)}
    kept = (text for name, text in _members(change.payload) if name not in dropped)
    return "{" + ",".join(kept) + "}"


def _members(payload: str) -> Iterator[tuple[str, str]]:
    """Name and text of each member of a JSON object, the text sliced out and never rendered anew."""
    at = payload.index("{") + 1
    while True:
        while payload[at] in " \t\r\n,":
            at += 1
        if payload[at] == "}":
            return
        start = at
        name, at = _DECODER.raw_decode(payload, at)
        at = payload.index(":", at) + 1
        while payload[at] in " \t\r\n":
            at += 1
        _, at = _DECODER.raw_decode(payload, at)
        yield name, payload[start:at]
