"""Whether a record has the values that were sent to it. Pure.

A payload has values in the form in which the service gives them back. A value that the service keeps in another form,
or that it does not give back with the record, counts as another one: what is told then is only that it is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from shared.dataverse.http.answers import Answer
from shared.dataverse.http.keys import column_in_url
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata

__all__ = ["has_values", "reading_path"]

_BIND: Final = "@odata.bind"
_ID: Final = re.compile(r"\(([-0-9a-fA-F]{36})\)$")


def reading_path(entity: EntityMetadata, record: str, payload: str = "{}") -> str:
    """The path that reads the columns of a record to which a payload was sent, and its id.

    Args:
        entity: The table.
        record: The record's id.
        payload: A JSON object as the Web API takes it.
    """
    columns = (column_in_url(entity.attributes[name]) for name in _sent(payload, entity) or ())
    return f"{entity.entity_set}({record})?$select={','.join((entity.primary_id, *columns))}"


def has_values(record: Answer, payload: str, entity: EntityMetadata) -> bool:
    """Whether a record has all values of a payload.

    Args:
        record: What the path of `reading_path` has given, parsed exactly.
        payload: A JSON object as the Web API takes it.
        entity: The table.

    Raises:
        UnexpectedAnswer: The answer is not one that Dataverse gives.
    """
    sent, held = _sent(payload, entity), record.members()
    return sent is not None and all(_is_held(entity.attributes[name], value, held) for name, value in sent.items())


def _sent(payload: str, entity: EntityMetadata) -> Mapping[str, Any] | None:
    """The columns of a payload with their values, of lookups ids; None if some of it is no column of the record."""
    properties = {name: each for each in entity.attributes.values() for name in each.navigation.values()}
    found: dict[str, Any] = {}
    for name, value in json.loads(payload, parse_float=Decimal).items():
        plain = name.removesuffix(_BIND)
        column = properties.get(plain) or entity.attributes.get(plain)
        record = _ID.search(str(value)) if plain != name else None
        if column is None or (plain != name and record is None):
            return None
        found[column.name] = record[1] if record else value
    return found


def _is_held(column: AttributeMetadata, value: Any, record: Mapping[str, Any]) -> bool:
    name = column_in_url(column)
    return name in record and _comparable(column, record[name]) == _comparable(column, value)


def _comparable(column: AttributeMetadata, value: Any) -> Any:
    """A value as others of its column are compared with it: empty text as null, ids in lower case, choices as a set."""
    if value is None or value == "":
        return None
    if column.refers or column.type is AttributeType.UNIQUEIDENTIFIER:
        return str(value).lower()
    if column.type is AttributeType.MULTI_PICKLIST:
        return frozenset(part.strip() for part in str(value).split(","))
    return value
