"""Bodies of bulk requests, joined from finished JSON texts, so that no row is parsed; and the answers to them.

Microsoft: "Bulk operation messages". Every item needs `@odata.type`; an update names its record by the primary id, an
upsert by that or by `@odata.id` with an alternate key. On elastic tables a bulk request can succeed partly: the answer
names the rows in a JSON list inside a string annotation of the error, which comes only when it is asked for. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from json import JSONDecoder

from shared.dataverse.changes import Change, ChangeAction
from shared.dataverse.http.answers import Answer, UnexpectedAnswer, parsed
from shared.dataverse.http.keys import key_values, predicate
from shared.entities import EntityMetadata
from shared.http.transport import Response

__all__ = [
    "DETAILS_WANTED",
    "NAMESPACE",
    "create_body",
    "delete_body",
    "details_of",
    "ids_of",
    "members",
    "new_record",
    "update_body",
    "upsert_body",
    "without_key",
]

NAMESPACE = "Microsoft.Dynamics.CRM"
DETAILS_WANTED = {"Prefer": "odata.include-annotations=Microsoft.PowerApps.CDS.ErrorDetails.*"}

_OK = 200
_NO_CONTENT = 204
_NAME = "Plugin.BulkApiErrorDetails"

_DECODER = JSONDecoder()


def create_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`CreateMultiple`: the new records, each with what names its type."""
    kind = _type(entity)
    return _joined(_item(kind, new_record(entity, change)) for change in changes)


def new_record(entity: EntityMetadata, change: Change) -> str:
    """The body of a create: the payload, with the id where the change brings one.

    An upsert whose record was looked for and is not there brings its key as well: what is sent with an alternate key
    never repeats the key, so its payload may lack it.
    """
    head = "" if change.id is None else _id(entity, change.id)
    if change.action is not ChangeAction.UPSERT or not key_values(change.key):
        return _item(head, change.payload)
    return _item(f"{head}{change.key.strip()[1:-1]},", without_key(entity, change))


def update_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`UpdateMultiple`: the id and the columns that differ.

    Items may carry different columns: the message takes each as its own update, so one request holds rows of any mix
    and no request is spent on sorting them.
    """
    kind = _type(entity)
    return _joined(_item(kind + _id(entity, str(change.id)), change.payload) for change in changes)


def delete_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`DeleteMultiple`, which elastic tables have: the ids alone."""
    items = (f"{{{_type(entity)}{_id(entity, str(change.id))[:-1]}}}" for change in changes)
    return _joined(items)


def upsert_body(entity: EntityMetadata, changes: Iterable[Change]) -> bytes:
    """`UpsertMultiple`: by id, or by the alternate key, whose columns must then not be in the body.

    A key column in both places is refused with 0x80040216 when the record is new.
    """
    return _joined(_upsert_item(entity, change) for change in changes)


def _upsert_item(entity: EntityMetadata, change: Change) -> str:
    if change.id is not None:
        return _item(_type(entity) + _id(entity, change.id), change.payload)
    address = json.dumps(f"{entity.entity_set}({predicate(entity, key_values(change.key))})", ensure_ascii=False)
    return _item(f'{_type(entity)}"@odata.id":{address},', without_key(entity, change))


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
    kept = (text for name, text in members(change.payload) if name not in dropped)
    return "{" + ",".join(kept) + "}"


def members(payload: str) -> Iterator[tuple[str, str]]:
    """Name and text of each member of a JSON object, as a slice of the text, not rendered again."""
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


def ids_of(response: Response, *, created: int) -> Sequence[str]:
    """The ids of new records; of others the service answers without content that they are written.

    Args:
        response: A success.
        created: How many records are new; 0 where the request is about records that are there.

    Raises:
        UnexpectedAnswer: It is not an answer of the service; a gateway may have given it.
        ValueError: The same, or an id is missing.
    """
    if response.status == _NO_CONTENT and not created:
        return ()
    answer = parsed(response.body, "a bulk request")
    if response.status != _OK or "error" in answer.members():
        raise ValueError("a bulk request that was carried out is not answered so")
    ids = [each.guid() for each in answer.member("Ids").items()] if created else []
    if len(ids) != created:
        raise ValueError("the answer does not contain an id for each row")
    return ids


def details_of(response: Response) -> Mapping[int, tuple[int, str]] | None:
    """Index of a row in the request -> its status and the record's id; None where the answer holds no such list."""
    try:
        error = parsed(response.body, "a bulk request").member("error")
        named = [name for name in error.members() if name.endswith(_NAME)]
        return dict(map(_detail, _list(error.member(named[0])))) if named else None
    except UnexpectedAnswer:
        return None


def _detail(one: Answer) -> tuple[int, tuple[int, str]]:
    record = one.member("Id")
    status = one.member("StatusCode").whole(low=100, high=599)
    return one.member("RequestIndex").whole(low=0), (status, record.guid() if record.value else "")


def _list(details: Answer) -> Iterator[Answer]:
    """The details are a string that holds JSON; a list as such is taken too."""
    return (parsed(details.value, details.asked) if isinstance(details.value, str) else details).items()
