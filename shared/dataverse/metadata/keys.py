"""Alternate keys: made, followed until their index is built, and made active again.

Source: "Work with alternate keys" and `EntityKeyMetadata`, Microsoft Dataverse developer documentation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from shared.clock import Clock
from shared.dataverse.http.service import Call, Service
from shared.entities import AttributeType, EntityMetadata
from shared.errors import RequestRefused
from shared.odata import odata_text

__all__ = ["KEY_TYPES", "IndexStatus", "NewKey", "create_key", "index_status", "key_obstacle", "reactivate_key", "wait"]

KEY_TYPES: Final = frozenset(
    {
        AttributeType.DECIMAL,
        AttributeType.INTEGER,
        AttributeType.STRING,
        AttributeType.DATETIME,
        AttributeType.LOOKUP,
        AttributeType.PICKLIST,
    }
)
_MOST_BYTES: Final = 900
_MOST_KEYS: Final = 10
_ENGLISH: Final = 1033
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between two looks at an index
_HEADERS: Final = {"Consistency": "Strong"}  # what was made a moment ago must be seen


class IndexStatus(StrEnum):
    """`EntityKeyIndexStatus`."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    ACTIVE = "Active"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """An alternate key to be made.

    Attributes:
        name: Schema name, with the prefix of a publisher.
        columns: Logical names.
        display_name: What people see.
    """

    name: str
    columns: tuple[str, ...]
    display_name: str


def key_obstacle(entity: EntityMetadata, columns: Sequence[str]) -> str:
    """Why an alternate key cannot consist of some columns, as far as the metadata tells; empty where nothing does."""
    if entity.elastic or entity.intersect:
        return f"{entity.logical_name} is not a standard table"
    for name in columns:
        if entity.attributes[name].type not in KEY_TYPES:
            return f"{name} is of type {entity.attributes[name].type}, which cannot be part of an alternate key"
    sizes = (entity.attributes[name].max_length or 0 for name in columns)
    if (size := 2 * sum(sizes)) > _MOST_BYTES:
        return f"its values can have {size} bytes, and an alternate key can have {_MOST_BYTES}"
    if len(entity.keys) >= _MOST_KEYS:
        return f"{entity.logical_name} has {_MOST_KEYS} alternate keys, which is the limit"
    return ""


def create_key(service: Service, entity: EntityMetadata, key: NewKey) -> None:
    """Make an alternate key; the service then builds its index in a job.

    Raises:
        RequestRefused: The service refuses the key.
        AbortRun: The privilege to change the table's definition is missing.
    """
    label: dict[str, Any] = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": key.display_name}
    body = {
        "SchemaName": key.name,
        "DisplayName": {
            "@odata.type": "Microsoft.Dynamics.CRM.Label",
            "LocalizedLabels": [{**label, "LanguageCode": _ENGLISH}],
        },
        "KeyAttributes": list(key.columns),
    }
    try:
        _post(service, f"{_address(entity)}/Keys", body, entity)
    except RequestRefused:
        if not _is_there(service, entity, key):  # it is, where an answer was lost and the request sent again
            raise


def _is_there(service: Service, entity: EntityMetadata, key: NewKey) -> bool:
    rows = service.fetch_json(_reading(entity, f"{_address(entity)}/Keys?$select=LogicalName,KeyAttributes")).rows()
    return any(
        row.member("LogicalName").text() == key.name.lower()
        and {column.text() for column in row.member("KeyAttributes").items()} == {*key.columns}
        for row in rows
    )


def reactivate_key(service: Service, entity: EntityMetadata, name: str) -> None:
    """Start a new job for the index of a key that has failed.

    Raises:
        RequestRefused: The index has not failed, or there is no such key.
        AbortRun: The privilege to change the table's definition is missing.
    """
    body = {"EntityLogicalName": entity.logical_name, "EntityKeyLogicalName": name.lower()}
    _post(service, "ReactivateEntityKey", body, entity)


def index_status(service: Service, entity: EntityMetadata, name: str) -> IndexStatus:
    """The state of the index of a key.

    Raises:
        AbortRun: There is no such key, or it may not be read.
        RetryLater: The service is unavailable.
    """
    path = f"{_address(entity)}/Keys(LogicalName={odata_text(name.lower())})?$select=EntityKeyIndexStatus"
    status = service.fetch_json(_reading(entity, path)).member("EntityKeyIndexStatus")
    found = next((each for each in IndexStatus if each == status.text()), None)
    if found is None:
        raise status.unexpected("the state of an index")
    return found


def wait(service: Service, entity: EntityMetadata, name: str, *, clock: Clock, seconds: float) -> IndexStatus:
    """Follow the index of a key until it is built, has failed, or the time is over.

    Args:
        service: The environment.
        entity: The table.
        name: Name of the key.
        clock: The time, and waiting.
        seconds: How long to wait at most.

    Returns:
        The last state that was seen.
    """
    until, pause = clock.monotonic() + seconds, _FIRST_PAUSE
    while True:
        status = index_status(service, entity, name)
        left = until - clock.monotonic()
        if status in {IndexStatus.ACTIVE, IndexStatus.FAILED} or left <= 0:
            return status
        clock.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _post(service: Service, path: str, body: dict[str, Any], entity: EntityMetadata) -> None:
    call = Call(
        method="POST",
        path=path,
        body=json.dumps(body).encode(),
        table=entity.logical_name,
        doing="make an alternate key of",
        writes=True,
    )
    service.fetch(call)


def _reading(entity: EntityMetadata, path: str) -> Call:
    encoded = quote(path, safe="/?&=$,()'")
    return Call(path=encoded, headers=_HEADERS, table=entity.logical_name, doing="read the keys of")


def _address(entity: EntityMetadata) -> str:
    return f"EntityDefinitions(LogicalName={odata_text(entity.logical_name)})"
