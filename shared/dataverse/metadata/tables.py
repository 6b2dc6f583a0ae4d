"""The metadata of a table: read in a few requests, and cached until the metadata version changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from shared.dataverse.http.answers import Answer, UnexpectedAnswer
from shared.dataverse.http.service import Call, Service
from shared.dataverse.metadata.attributes import OPTION_CASTS, attribute_of, choices_of
from shared.entities import AlternateKey, AttributeMetadata, Choice, EntityMetadata, LinkEnd
from shared.errors import AbortRun, RequestRefused
from shared.odata import odata_text
from shared.suggestions import closest

__all__ = ["MetadataCache", "TableName", "list_tables", "read_entity"]

_ENTITY_COLUMNS = (
    "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,DisplayName,DisplayCollectionName,TableType,"
    "IsIntersect,ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,MetadataId"
)
_RELATION_COLUMNS = "ReferencingEntityNavigationPropertyName,ReferencedEntity,ReferencingAttribute,CascadeConfiguration"
# Who gets the new owner of a record: all that refer to it, the active ones, or those of the same owner.
_ASSIGNING: Final = frozenset({"Cascade", "Active", "UserOwned"})
_ENDS = tuple(
    f"Entity{number}{name}"
    for number in (1, 2)
    for name in ("LogicalName", "IntersectAttribute", "NavigationPropertyName")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table of an environment: its logical name, what people call it, and its primary id column."""

    name: str
    label: str
    id_column: str


def list_tables(service: Service) -> tuple[TableName, ...]:
    """The tables of an environment that can be synced, by their logical names.

    Raises:
        SyncError: The environment cannot be asked.
    """
    rows = _get(service, f"EntityDefinitions?$select={_ENTITY_COLUMNS}", table="all tables").rows()
    found = [_found(row) for row in rows if row.member("EntitySetName").value is not None]
    names = (TableName(name=each.table, label=(*each.labels, "")[0], id_column=each.primary_id) for each in found)
    return tuple(sorted(names, key=lambda each: each.name))


def read_entity(service: Service, name: str, cache: MetadataCache) -> EntityMetadata:
    """Read a table by logical name, entity set name or display name.

    For a table in the cache one small request checks whether any metadata has changed since.

    Raises:
        AbortRun: The table does not exist; the message names similar ones.
        RetryLater: The service is unavailable.
    """
    base = service.connection.base
    known = cache.get(base, name)
    if known is not None and known.version and known.version == _version_of(service, known.entity):
        return known.entity
    found = _resolve(service, name)
    version = _version(service, found.entity_set, found.primary_id)  # before the placeholder is replaced
    entity = _read(service, found)
    cache.put(base, name, _Kept(version, entity))
    return entity


def _version_of(service: Service, entity: EntityMetadata) -> str:
    return _version(service, entity.entity_set, entity.primary_id)


def _version(service: Service, entity_set: str, primary_id: str) -> str:
    """The environment's metadata version, which every query of rows can carry; empty where it is not to be had."""
    if not entity_set:
        return ""
    path = f"{entity_set}?$select={primary_id}&$top=1"
    prefer = 'odata.include-annotations="Microsoft.Dynamics.CRM.globalmetadataversion"'
    try:
        answer = service.fetch_json(Call(path=path, headers={**_HEADERS, "Prefer": prefer}, table=entity_set))
    except UnexpectedAnswer:
        raise
    except (RequestRefused, AbortRun):
        return ""  # the table may be written but not read: then its metadata is read each time
    return answer.member(_VERSION).text("")


@dataclass(frozen=True, slots=True)
class _Found:
    """A table among all, each of its names checked: they become parts of addresses."""

    table: str
    entity_set: str
    primary_id: str
    primary_name: str
    labels: tuple[str, ...]
    elastic: bool
    intersect: bool
    change_tracking: bool
    optimistic_concurrency: bool
    metadata_id: str


def _get(service: Service, path: str, *, table: str) -> Answer:
    return service.fetch_json(Call(path=path, headers=_HEADERS, table=table, doing="read the metadata of"))


def _found(table: Answer) -> _Found:
    primary_name, entity_set = table.member("PrimaryNameAttribute"), table.member("EntitySetName")
    intersect = table.member("IsIntersect").flag(default=False)
    return _Found(
        table=table.member("LogicalName").name(),
        entity_set="" if intersect and entity_set.value is None else entity_set.name(),
        primary_id=table.member("PrimaryIdAttribute").name(),
        primary_name=primary_name.name() if primary_name.value else "",
        labels=(*_labels(table.member("DisplayName")), *_labels(table.member("DisplayCollectionName"))),
        elastic=table.member("TableType").text("") == "Elastic",
        intersect=intersect,
        change_tracking=table.member("ChangeTrackingEnabled").flag(default=False),
        optimistic_concurrency=table.member("IsOptimisticConcurrencyEnabled").flag(default=True),
        metadata_id=table.member("MetadataId").text(""),
    )


def _resolve(service: Service, name: str) -> _Found:
    """One request where the name is a logical name; otherwise the list of all tables is searched."""
    if name == name.lower() and name.isidentifier():
        path = f"EntityDefinitions?$select={_ENTITY_COLUMNS}&$filter=LogicalName eq {odata_text(name)}"
        if rows := _get(service, _encoded(path), table=name).rows():
            return _found(rows[0])
    answer = _get(service, f"EntityDefinitions?$select={_ENTITY_COLUMNS}", table=name)
    # Some tables of the service itself have no set in the Web API: they cannot be synced.
    usable = (row for row in answer.rows() if row.member("EntitySetName").value is not None)
    return _matching(name, [_found(row) for row in usable])


_ENTITY: Final = "destination.entity"


def _matching(name: str, tables: Iterable[_Found]) -> _Found:
    wanted, known, by_label = name.casefold(), dict[str, str](), []
    for each in tables:
        if each.table == name.lower() or each.entity_set == name:
            return each
        if wanted in (label.casefold() for label in each.labels) or each.entity_set.casefold() == wanted:
            by_label.append(each)
        called = (each.table, each.entity_set, *each.labels)
        known |= {one.casefold(): each.table for one in called}
    if len(by_label) == 1:
        return by_label[0]
    if by_label:
        names = ", ".join(sorted(each.table for each in by_label))
        raise AbortRun(f"several tables are called '{name}': name one of {names}", path=_ENTITY)
    suggested = " or ".join(dict.fromkeys(known[called] for called in closest(wanted, known, most=3)))
    hint = f"; did you mean {suggested}?" if suggested else ""
    raise AbortRun(f"the environment has no table '{name}'{hint}", path=_ENTITY)


def _labels(label: Answer) -> list[str]:
    return [text for one in label.part("LocalizedLabels").items() if (text := one.member("Label").text(""))]


def _read(service: Service, found: _Found) -> EntityMetadata:
    table = found.table
    address = f"EntityDefinitions(LogicalName={odata_text(table)})"
    relations = f"$select={_RELATION_COLUMNS}"
    expanded = f"Keys,ManyToOneRelationships({relations})"
    if found.intersect:
        expanded += f",ManyToManyRelationships($select=IntersectEntityName,{','.join(_ENDS)})"
    path = f"{address}?$select=LogicalName,EnforceStateTransitions&$expand={expanded}"
    answers = _get(service, _encoded(path), table=table)
    columns = _get(service, f"{address}/Attributes", table=table).rows()
    enforced = answers.member("EnforceStateTransitions").flag(default=False)
    choices = _choices(service, address, table, {_cast(column) for column in columns}, enforced=enforced)
    relationships = list(answers.member("ManyToOneRelationships").items())
    listed = _attributes(columns, choices, _navigation(relationships), found)
    attributes = _cascading(listed, relationships)
    ends = _ends(answers.member("ManyToManyRelationships").items(), found) if found.intersect else ()
    return EntityMetadata(
        logical_name=table,
        entity_set=found.entity_set,
        display_name=next(iter(found.labels), table),
        primary_id=found.primary_id,
        primary_name=found.primary_name,
        attributes={**attributes, **dict(_references(attributes, ends))},
        keys=tuple(_keys(answers.member("Keys").items())),
        elastic=found.elastic,
        intersect=found.intersect,
        ends=ends,
        change_tracking=found.change_tracking,
        optimistic_concurrency=found.optimistic_concurrency,
        metadata_id=found.metadata_id,
    )


def _attributes(
    columns: Sequence[Answer],
    choices: Mapping[str, tuple[Choice, ...]],
    navigation: Mapping[str, Mapping[str, str]],
    found: _Found,
) -> Mapping[str, AttributeMetadata]:
    listed = [attribute_of(column, choices, navigation) for column in columns]
    attributes = {attribute.name: attribute for attribute in listed if attribute is not None}
    if found.primary_id not in attributes:
        raise UnexpectedAnswer(
            f"the metadata of {found.table} does not list its primary key, the column {found.primary_id}"
        )
    return attributes


def _cast(column: Answer) -> str:
    return column.member("@odata.type").text("").rpartition(".")[2]


def _choices(
    service: Service, address: str, table: str, casts: set[str], *, enforced: bool
) -> Mapping[str, tuple[Choice, ...]]:
    """Options live on the derived types: one request for each kind of choice column that the table has.

    Options keep their transitions where a table does not enforce them (any more); then they say nothing.
    """
    found: dict[str, tuple[Choice, ...]] = {}
    for cast in OPTION_CASTS:
        if cast in casts:
            expand = "$select=LogicalName&$expand=OptionSet,GlobalOptionSet"
            path = f"{address}/Attributes/Microsoft.Dynamics.CRM.{cast}?{expand}"
            for column in _get(service, path, table=table).rows():
                found[column.member("LogicalName").name()] = choices_of(column, enforced=enforced)
    return found


def _navigation(relations: Iterable[Answer]) -> Mapping[str, Mapping[str, str]]:
    """Lookup column -> referenced table -> navigation property, case kept: that is what a write has to name."""
    found: dict[str, dict[str, str]] = {}
    for relation in relations:
        # Relationships that the Web API does not show have no navigation property.
        if relation.member("ReferencingEntityNavigationPropertyName").value is not None:
            targets = found.setdefault(relation.member("ReferencingAttribute").name(), {})
            navigation = relation.member("ReferencingEntityNavigationPropertyName").name()
            targets[relation.member("ReferencedEntity").name()] = navigation
    return found


def _cascading(
    attributes: Mapping[str, AttributeMetadata], relations: Iterable[Answer]
) -> Mapping[str, AttributeMetadata]:
    """The columns; lookups say for which tables a delete or a new owner of a record reaches those that refer to it."""
    found = dict(attributes)
    for relation in relations:
        name, cascades = relation.member("ReferencingAttribute").name(), relation.member("CascadeConfiguration")
        if (lookup := found.get(name)) is None:
            continue
        table = frozenset({relation.member("ReferencedEntity").name()})
        if cascades.part("Delete").text("") == "Cascade":
            lookup = replace(lookup, deleted_with=lookup.deleted_with | table)
        if cascades.part("Assign").text("") in _ASSIGNING:
            lookup = replace(lookup, assigned_with=lookup.assigned_with | table)
        found[name] = lookup
    return found


def _ends(relations: Iterable[Answer], found: _Found) -> tuple[LinkEnd, ...]:
    """The two sides of the relationship whose pairs an intersect table holds; empty where it is not told."""
    for relation in relations:
        if relation.member("IntersectEntityName").text("") == found.table:
            names = [relation.member(name).name() for name in _ENDS]
            return tuple(LinkEnd(table=t, column=c, navigation=n) for t, c, n in (names[:3], names[3:]))
    return ()


def _references(
    attributes: Mapping[str, AttributeMetadata], ends: Iterable[LinkEnd]
) -> Iterable[tuple[str, AttributeMetadata]]:
    """The two columns of an intersect table as lookups.

    The service has them as plain ids that can only be read (Microsoft: "Web API navigation properties"); they are
    given when a link is made.
    """
    for end in ends:
        if end.column in attributes:
            attribute = replace(attributes[end.column], targets=(end.table,), creatable=True, required="SystemRequired")
            yield end.column, attribute


def _keys(keys: Iterable[Answer]) -> Iterable[AlternateKey]:
    for key in keys:
        columns = tuple(column.name() for column in key.member("KeyAttributes").items())
        active = key.member("EntityKeyIndexStatus").text("") == "Active"
        yield AlternateKey(name=key.member("LogicalName").name(), columns=columns, active=active)


def _encoded(path: str) -> str:
    return quote(path, safe="/?&=$,()'")
