"""A record's key in the forms the Web API takes: key predicates, filters that look many keys up, and comparable text.

Pure. Facts: Microsoft, "use an alternate key to reference a record" and "filter rows"; the collation section of
Power Platform's "language collations".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.odata import odata_text
from shared.transform.keys import folded

__all__ = ["QUERY_ROOM", "KeyQuery", "KeyText", "equals", "key_text", "key_values", "lookups", "predicate"]

QUERY_ROOM: Final = 30_000
"""Characters of a query for keys; a URL may have 32,768 (Microsoft, "compose HTTP requests and handle errors")."""

KeyText = tuple[str, ...]  # a key's parts, comparable: column order as in the key object

_TEXT = frozenset({AttributeType.STRING, AttributeType.MEMO})
_LOOKUPS = frozenset({AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER})

_KEY = json.JSONDecoder(parse_float=Decimal)  # one for all rows: creating it takes as long as a key

# These do not work in the URL of a keyed GET or PATCH (Microsoft); `#` is named by the maker documentation.
_RESERVED = re.compile(r"[/<>*%&:\\?+#]")


def key_values(key: str) -> Mapping[str, Any]:
    """The key object of a change; decimals keep every digit."""
    values: Mapping[str, Any] = _KEY.decode(key) if key else {}
    return values


def column_in_url(attribute: AttributeMetadata) -> str:
    """The name that filters, selects and key predicates use."""
    return f"_{attribute.name}_value" if attribute.type in _LOOKUPS else attribute.name


def literal(attribute: AttributeMetadata, value: object) -> str:
    """An OData literal of the attribute's type, not percent-encoded."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() if attribute.type in _TEXT or attribute.type is AttributeType.MULTI_PICKLIST:
            return odata_text(value)
    return str(value)


def predicate(entity: EntityMetadata, values: Mapping[str, Any]) -> str | None:
    """The key predicate, such as ``accountnumber='A1',x=2``; None where the record has to be looked up instead.

    That is so where no active alternate key covers exactly these columns, or a value is not allowed in a URL.
    """
    key = entity.key_over(frozenset(values))
    if key is None or not key.active or any(value is None for value in values.values()):
        return None
    if any(
        isinstance(value, str) and _RESERVED.search(value) and _is_text(entity, name) for name, value in values.items()
    ):
        return None
    parts = ((entity.attributes[name], value) for name, value in values.items())
    return ",".join(f"{column_in_url(attribute)}={literal(attribute, value)}" for attribute, value in parts)


def _is_text(entity: EntityMetadata, name: str) -> bool:
    return entity.attributes[name].type in _TEXT


def key_text(values: Mapping[str, Any], columns: Sequence[str], match: KeyMatch) -> KeyText:
    """A key as text that is equal where the service takes the keys to be equal."""
    return tuple(_comparable(values.get(column), match) for column in columns)


def _comparable(value: object, match: KeyMatch) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float() | Decimal():
            return format(Decimal(str(value)).normalize(), "f")
    return folded(str(value), match)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """One query that finds the records of some keys.

    Attributes:
        path: Relative, percent-encoded: selects the id and the key's columns, oldest record first.
        asked: How many keys it asks for.
    """

    path: str
    asked: int


def lookups(
    entity: EntityMetadata, keys: Iterable[Mapping[str, Any]], *, select: Sequence[str] = (), room: int = QUERY_ROOM
) -> Iterator[KeyQuery]:
    """Queries that together find every key, as few as the URL's length allows.

    One text column is asked for with the `In` function, which has no wildcards; several columns with and/or.
    """
    head = _head(entity, select)
    form: _Form | None = None
    pieces: list[str] = []
    used = 0
    for values in keys:
        of_this, encoded = _piece(entity, values)
        if form is not None and (form != of_this or used + len(encoded) > room):
            yield _lookup(head, form, pieces)
            form = None
        if form is None:
            form, pieces, used = of_this, [], len(head) + len(of_this.start) + len(of_this.end)
        pieces.append(encoded)
        used += len(encoded) + len(form.between)
    if form is not None:
        yield _lookup(head, form, pieces)


@dataclass(frozen=True, slots=True)
class _Form:
    """How the parts of one filter are put together; percent-encoded."""

    start: str
    between: str
    end: str


_ALTERNATIVES = _Form("(", "%20or%20", ")")


def _head(entity: EntityMetadata, select: Sequence[str]) -> str:
    order = "&$orderby=createdon%20asc" if "createdon" in entity.attributes else ""
    columns = ",".join(dict.fromkeys([entity.primary_id, *select]))
    return f"{entity.entity_set}?$select={columns}{order}&$filter="


def _lookup(head: str, form: _Form, pieces: Sequence[str]) -> KeyQuery:
    return KeyQuery(path=head + form.start + form.between.join(pieces) + form.end, asked=len(pieces))


_UNENCODED = "/=$,()'@"
_PLAIN = re.compile(rf"[A-Za-z0-9_.~{_UNENCODED}-]*", re.ASCII)  # what neither JSON nor a URL writes in another way


def _piece(entity: EntityMetadata, values: Mapping[str, Any]) -> tuple[_Form, str]:
    """One key's part of a filter, percent-encoded, and the form of filter it belongs in."""
    if len(values) == 1:
        ((name, value),) = values.items()
        if isinstance(value, str) and entity.attributes[name].type not in _LOOKUPS:
            return _in(name), _in_json(value)
    return _ALTERNATIVES, quote(f"({equals(entity, values)})", safe=_UNENCODED)


@lru_cache(maxsize=64)
def _in(name: str) -> _Form:
    return _Form(f"Microsoft.Dynamics.CRM.In(PropertyName='{name}',PropertyValues=[", ",", "])")


def _in_json(value: str) -> str:
    """An element of a JSON array: in double quotes an apostrophe is plain text.

    Source: Microsoft, "filter rows", manage single quotes.
    """
    if _PLAIN.fullmatch(value):  # most keys; it takes a fifth of the time
        return f"%22{value}%22"
    return quote(json.dumps(value, ensure_ascii=False), safe=_UNENCODED)


def equals(entity: EntityMetadata, values: Mapping[str, Any]) -> str:
    """An OData filter for the records that have a key, as the service compares it; not percent-encoded."""
    columns = ((entity.attributes[name], value) for name, value in values.items())
    return " and ".join(f"{column_in_url(attribute)} eq {literal(attribute, value)}" for attribute, value in columns)
