"""What the environment says about a table: read in a few requests, kept for as long as its metadata version stands."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.dataverse.attributes import OPTION_CASTS, attribute_of, choices_of
from shared.dataverse.service import Call, Service
from shared.entities import AlternateKey, Choice, EntityMetadata
from shared.errors import AbortRun, RequestRefused

__all__ = ["MetadataCache", "read_entity"]

_ENTITY_COLUMNS = (
    "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,DisplayName,DisplayCollectionName,TableType"
)
_VERSION = "@Microsoft.Dynamics.CRM.globalmetadataversion"
# Columns added a moment ago must be seen: caches may be 30 seconds old (Microsoft: compose HTTP requests).
_HEADERS = {"Consistency": "Strong"}


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str
    entity: EntityMetadata


class MetadataCache:
    """Tables by environment and name, each with the metadata version it was read under; shared by a process's runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def get(self, base: str, name: str) -> _Kept | None:
        """The table as it was last read under this name."""
        with self._lock:
            return self._kept.get((base, name))

    def put(self, base: str, name: str, kept: _Kept) -> None:
        """Keep a table."""
        with self._lock:
            self._kept[(base, name)] = kept


def read_entity(service: Service, name: str, cache: MetadataCache) -> EntityMetadata:
    """Read a table by logical name, entity set name or display name.

    A table that is known costs one small request, which tells whether any metadata has changed since.

    Raises:
        AbortRun: There is no such table; the message names likely ones.
        RetryLater: The service is away.
    """
    base = service.connection.base
    known = cache.get(base, name)
    if known is not None and known.version and known.version == _version_of(service, known.entity):
        return known.entity
    found = _resolve(service, name)
    version = _version(service, found["EntitySetName"], found["PrimaryIdAttribute"])  # before what it is to stand for
    entity = _read(service, found)
    cache.put(base, name, _Kept(version, entity))
    return entity


def _version_of(service: Service, entity: EntityMetadata) -> str:
    return _version(service, entity.entity_set, entity.primary_id)


def _version(service: Service, entity_set: str, primary_id: str) -> str:
    """The environment's metadata version, which every query of rows can carry; empty where it is not to be had."""
    path = f"{entity_set}?$select={primary_id}&$top=1"
    prefer = 'odata.include-annotations="Microsoft.Dynamics.CRM.globalmetadataversion"'
    try:
        answer = service.fetch_json(Call(path=path, headers={**_HEADERS, "Prefer": prefer}, table=entity_set))
    except (RequestRefused, AbortRun):
        return ""  # the table may be written but not read: then its metadata is read each time
    return str(answer.get(_VERSION, ""))


def _get(service: Service, path: str, *, table: str) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = service.fetch_json(
        Call(path=path, headers=_HEADERS, table=table, doing="read the metadata of")
    )
    return answer


def _resolve(service: Service, name: str) -> Mapping[str, Any]:
    """One request where the name is a logical name; otherwise the list of all tables is searched."""
    if name == name.lower() and name.isidentifier():
        path = f"EntityDefinitions?$select={_ENTITY_COLUMNS}&$filter=LogicalName eq {_text(name)}"
        answer = _get(service, _encoded(path), table=name)
        if answer["value"]:
            found: Mapping[str, Any] = answer["value"][0]
            return found
    answer = _get(service, f"EntityDefinitions?$select={_ENTITY_COLUMNS}", table=name)
    return _matching(name, answer["value"])


def _matching(name: str, tables: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    wanted, known, by_label = name.casefold(), dict[str, str](), []
    for table in tables:
        if table["LogicalName"] == name.lower() or table["EntitySetName"] == name:
            return table
        labels = [*_labels(table.get("DisplayName")), *_labels(table.get("DisplayCollectionName"))]
        if wanted in (label.casefold() for label in labels) or table["EntitySetName"].casefold() == wanted:
            by_label.append(table)
        called = filter(None, (table["LogicalName"], table["EntitySetName"], *labels))
        known |= {each.casefold(): table["LogicalName"] for each in called}
    if len(by_label) == 1:
        return by_label[0]
    if by_label:
        names = ", ".join(sorted(table["LogicalName"] for table in by_label))
        raise AbortRun(f"several tables are called '{name}': name one of {names}")
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(dict.fromkeys(known[name] for name in close))}?" if close else ""
    raise AbortRun(f"the environment has no table '{name}'{hint}")


def _labels(label: Mapping[str, Any] | None) -> list[str]:
    return [one["Label"] for one in (label or {}).get("LocalizedLabels") or () if one.get("Label")]


def _read(service: Service, found: Mapping[str, Any]) -> EntityMetadata:
    table = str(found["LogicalName"])
    address = f"EntityDefinitions(LogicalName={_text(table)})"
    relations = "$select=ReferencingEntityNavigationPropertyName,ReferencedEntity,ReferencingAttribute"
    answers = _get(
        service,
        _encoded(f"{address}?$select=LogicalName&$expand=Keys,ManyToOneRelationships({relations})"),
        table=table,
    )
    columns = _get(service, f"{address}/Attributes", table=table)["value"]
    choices = _choices(service, address, table, {_cast(column) for column in columns})
    navigation = _navigation(answers.get("ManyToOneRelationships") or ())
    attributes = [attribute_of(column, choices, navigation) for column in columns]
    display = found.get("DisplayName") or {}
    return EntityMetadata(
        logical_name=table,
        entity_set=found["EntitySetName"],
        display_name=next(iter(_labels(display)), table),
        primary_id=found["PrimaryIdAttribute"],
        primary_name=found.get("PrimaryNameAttribute") or "",
        attributes={attribute.name: attribute for attribute in attributes if attribute is not None},
        keys=tuple(_keys(answers.get("Keys") or ())),
        elastic=found.get("TableType") == "Elastic",
    )


def _cast(column: Mapping[str, Any]) -> str:
    return str(column.get("@odata.type", "")).rpartition(".")[2]


def _choices(service: Service, address: str, table: str, casts: set[str]) -> Mapping[str, tuple[Choice, ...]]:
    """Options live on the derived types: one request for each kind of choice column that the table has."""
    found: dict[str, tuple[Choice, ...]] = {}
    for cast in OPTION_CASTS:
        if cast in casts:
            expand = "$select=LogicalName&$expand=OptionSet,GlobalOptionSet"
            path = f"{address}/Attributes/Microsoft.Dynamics.CRM.{cast}?{expand}"
            for column in _get(service, path, table=table)["value"]:
                found[column["LogicalName"]] = choices_of(column)
    return found


def _navigation(relations: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, str]]:
    """Lookup column -> referenced table -> navigation property, case kept: that is what a write has to name."""
    found: dict[str, dict[str, str]] = {}
    for relation in relations:
        targets = found.setdefault(relation["ReferencingAttribute"], {})
        targets[relation["ReferencedEntity"]] = relation["ReferencingEntityNavigationPropertyName"]
    return found


def _keys(keys: Iterable[Mapping[str, Any]]) -> Iterable[AlternateKey]:
    for key in keys:
        status = str(key.get("EntityKeyIndexStatus", ""))
        yield AlternateKey(name=key["LogicalName"], columns=tuple(key["KeyAttributes"]), active=status == "Active")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _encoded(path: str) -> str:
    return quote(path, safe="/?&=$,()'")
