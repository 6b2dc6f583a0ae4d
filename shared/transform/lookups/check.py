"""Checks of mapped lookups against the metadata of both tables, and of syncs of links, which are pairs of lookups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from shared.definitions.models import (
    ChangedWhen,
    ColumnType,
    Expire,
    Lookup,
    Mapping,
    Strategy,
    SyncDefinition,
)
from shared.entities import PARTY_ROLES, AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.suggestions import did_you_mean
from shared.transform.convert import fits
from shared.transform.lookups.conditions import UnclearFilterError, condition_columns, condition_sql
from shared.transform.lookups.names import match_columns
from shared.transform.set_columns.marks import constant_problems, set_expressions
from shared.transform.set_columns.names import readable_names
from shared.transform.targets import source_columns
from shared.workspace import literal, parsed

__all__ = ["link_problems", "lookup_problems"]


def lookup_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Every mistake in the lookups of a definition."""
    for place, mapping in enumerate(definition.destination.mappings):
        attribute = entity.attributes.get(mapping.target)
        if attribute is None:
            continue
        path = f"destination.mappings[{place}]"
        yield from _list(definition, entity, mapping, path)
        if not attribute.refers:
            if mapping.lookups:
                message = f"{attribute.name} is of type {attribute.type}; only a lookup column can have a lookup"
                yield Problem(message=message, path=f"{path}.lookup")
            continue
        yield from _column(definition, mapping, attribute, path)
        for number, lookup in enumerate(mapping.lookups):
            own = f"{path}.lookup" + (f"[{number}]" if isinstance(mapping.lookup, tuple) else "")
            yield from _Lookup(definition, entity, mapping, attribute, own).problems(lookup)


def _list(definition: SyncDefinition, entity: EntityMetadata, mapping: Mapping, path: str) -> Iterator[Problem]:
    """What a list of parties cannot have."""
    attribute, name = entity.attributes[mapping.target], mapping.target
    if not attribute.is_list:
        if mapping.delimiter is not None:
            message = f"{name} is of type {attribute.type}; only a list of activity parties can have a delimiter"
            yield Problem(message=message, path=f"{path}.delimiter")
        return
    if name not in PARTY_ROLES:
        yield Problem(message=f"lists of parties in {name} are not supported", path=f"{path}.target")
    if definition.sync_behaviour.strategy is Strategy.UPSERT:
        message = f"{name} is given to new records only, and strategy upsert does not know which are new; use full"
        yield Problem(message=f"{message} or delta", path=f"{path}.target")
    yield from _readings(definition, name)
    if name in definition.sync_behaviour.sync_key:
        message = f"{name} is a list, which is given to new records only and never read; match by another column"
        yield Problem(message=message, path="sync_behaviour.sync_key")
    yield from _list_lookups(entity, mapping, path)


def _list_lookups(entity: EntityMetadata, mapping: Mapping, path: str) -> Iterator[Problem]:
    attribute, name = entity.attributes[mapping.target], mapping.target
    for number, lookup in enumerate(mapping.lookups):
        own = f"{path}.lookup" + (f"[{number}]" if isinstance(mapping.lookup, tuple) else "")
        if lookup.entity_from or isinstance(lookup.match, tuple):
            key = "entity_from" if lookup.entity_from else "match"
            yield Problem(message=f"each party of {name} is one value; match one column", path=f"{own}.{key}")
        if entity.logical_name in (lookup.tables or attribute.targets[:1]):
            message = f"the parties of {name} cannot be records of {entity.logical_name}, which this sync writes itself"
            yield Problem(message=f"{message}; leave out this entry", path=f"{own}.entity")
        if lookup.default is not None:
            yield Problem(message=f"{name} is a list, which has no default", path=f"{own}.default")
        if lookup.on_missing == "create":
            message = f"the parties of {name} are not created; sync them first, or use reject or clear"
            yield Problem(message=message, path=f"{own}.on_missing")


def _readings(definition: SyncDefinition, name: str) -> Iterator[Problem]:
    """Where a condition or an expression of `set` reads a list of parties of the target."""
    changed, texts = definition.sync_behaviour.changed, [*set_expressions(definition)]
    if isinstance(changed, ChangedWhen):
        texts.append(("sync_behaviour.changed.when", changed.when))
    known = [f"source.{column.label}" for column in definition.source.columns] + readable_names(definition)
    for path, text in texts:
        with suppress(DefinitionError):  # reported where the expressions are checked
            if f"target.{name}" in parsed(text, names=known, origin=path).columns:
                message = f"this reads target.{name}, but lists of parties are not read from Dataverse"
                yield Problem(message=message, path=path)


def _column(definition: SyncDefinition, mapping: Mapping, attribute: AttributeMetadata, path: str) -> Iterator[Problem]:
    tables = _listed(attribute.targets)
    if attribute.polymorphic and not mapping.lookups:
        message = f"{attribute.name} can refer to {tables}: a lookup must say which; for ids, match: id"
        yield Problem(message=message, path=path)
    behaviour = definition.sync_behaviour
    clears = not mapping.keeps_on_null and attribute.clearable and attribute.name not in behaviour.sync_key
    if attribute.polymorphic and not attribute.is_list and clears and behaviour.strategy is not Strategy.FULL:
        yield Problem(
            message=f"{attribute.name} can refer to {tables}, and strategy {behaviour.strategy} does not read what it "
            "holds, so it cannot be cleared; set on_null: keep",
            path=path,
        )


def link_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """Every mistake in a sync of an intersect table, whose records are links: pairs of two records and nothing else."""
    table, behaviour = entity.logical_name, definition.sync_behaviour
    if not entity.ends:
        message = f"the metadata of {table} does not say which tables it links"
        yield Problem(message=message, path="destination.entity")
        return
    yield from _pairs(definition, entity)
    if isinstance(behaviour.dropped, Expire):
        message = f"{table} holds links, which have no column to mark them: dropped can be delete or ignore"
        yield Problem(message=message, path="sync_behaviour.dropped.expire")
    if behaviour.changed != "update":
        message = f"{table} holds links: a link exists or not, so none can be changed; remove this key"
        yield Problem(message=message, path="sync_behaviour.changed")
    if not entity.entity_set and (behaviour.strategy is Strategy.FULL or definition.destination.filter):
        message = f"the Web API does not show {table}, so its links cannot be read; use strategy delta or upsert"
        yield Problem(message=f"{message}, without a filter", path="destination.entity")


def _pairs(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    columns = [end.column for end in entity.ends]
    said = f"{entity.logical_name} holds links between {' and '.join(end.table for end in entity.ends)}"
    mapped = [mapping.target for mapping in definition.destination.mappings]
    for place, target in enumerate(mapped):
        if target in entity.attributes and target not in columns:
            message = f"{said}: only {' and '.join(columns)} can be mapped"
            yield Problem(message=message, path=f"destination.mappings[{place}].target")
    if missing := [name for name in columns if name not in mapped]:
        message = f"{said}: {' and '.join(missing)} must be mapped as well"
        yield Problem(message=message, path="destination.mappings")
    if set(definition.sync_behaviour.sync_key) != set(columns):
        message = f"{said}: the sync key is {', '.join(columns)}"
        yield Problem(message=message, path="sync_behaviour.sync_key")


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


class _Lookup:
    """The checks of one entry of a mapping's lookups."""

    def __init__(
        self,
        definition: SyncDefinition,
        entity: EntityMetadata,
        mapping: Mapping,
        attribute: AttributeMetadata,
        path: str,
    ) -> None:
        self._definition = definition
        self._entity = entity
        self._mapping = mapping
        self._attribute = attribute
        self._path = path

    def problems(self, lookup: Lookup) -> Iterator[Problem]:
        tables = lookup.tables
        if not tables and self._attribute.polymorphic:
            message = f"{self._attribute.name} can refer to {_listed(self._attribute.targets)}; entity says to which"
            yield Problem(message=message, path=self._path)
            return
        if lookup.entity_from and lookup.entity_from not in self._mapping.sources:
            message = "this must be one of the columns in `source` of the mapping"
            yield Problem(message=message, path=f"{self._path}.entity_from")
        for table in tables or self._attribute.targets[:1]:
            yield from self._table(lookup, table)

    def _table(self, lookup: Lookup, table: str) -> Iterator[Problem]:
        where = f"{self._path}.match" if lookup.entity_from else f"{self._path}.entity"
        if table not in self._attribute.targets:
            message = f"{self._attribute.name} cannot refer to {table}; it refers to {_listed(self._attribute.targets)}"
            yield Problem(message=message, path=where)
            return
        entity = self._entity.table(table)
        if entity is None:
            yield Problem(message=f"the environment has no table {table}", path=where)
            return
        match = lookup.match_in(table)
        names = match_columns(entity, match)
        sources = [name for name in self._mapping.sources if name != lookup.entity_from] or [""]
        if len(sources) != len(names):
            message = f"match has {len(names)} columns ({', '.join(names)}), and source has {len(sources)}"
            yield Problem(message=f"{message}; each column needs one", path=f"{self._path}.match")
            return
        for source, name in zip(sources, names, strict=True):
            yield from self._match(entity, source, name)
        yield from self._default(lookup, entity, names)
        if entity.logical_name == self._entity.logical_name:
            yield from self._filter(lookup, names)
        if lookup.on_missing == "create":
            yield from self._create(lookup, entity, names)

    def _match(self, entity: EntityMetadata, source: str, name: str) -> Iterator[Problem]:
        path = f"{self._path}.match"
        attribute = entity.attributes.get(name)
        if attribute is None:
            known = [*entity.attributes, *(key.name for key in entity.keys), "id"]
            hint = did_you_mean(name, known, before="; ")
            yield Problem(message=f"{entity.logical_name} has no column or alternate key {name}{hint}", path=path)
            return
        if not attribute.readable:
            yield Problem(message=f"{name} of {entity.logical_name} cannot be read", path=path)
        column = source_columns(self._definition).get(source)
        kind = column.type if column else ColumnType.TEXT
        if not fits(kind, attribute):
            message = f"{name} of {entity.logical_name} is of type {attribute.type} and cannot hold a {kind}"
            yield Problem(message=message, path=path)

    def _filter(self, lookup: Lookup, names: Sequence[str]) -> Iterator[Problem]:
        """A filter in the synced table applies to records as the run leaves them, so it has to be worked out here."""
        behaviour, path = self._definition.sync_behaviour, f"{self._path}.filter"
        if not lookup.filter or self._attribute.name in behaviour.sync_key:
            return
        if behaviour.strategy is not Strategy.FULL:
            message = f"the filter applies to records as the run leaves them, and strategy {behaviour.strategy} does "
            yield Problem(message=f"{message}not read them: remove the filter, or use strategy full", path=path)
            return
        try:
            condition_sql(lookup.filter, self._entity, lambda attribute: attribute.name, behaviour.key_match)
        except UnclearFilterError as error:
            yield Problem(message=str(error), path=path)
            return
        filtered = condition_columns(lookup.filter)
        for name in dict.fromkeys((*filtered, *names)):
            if message := self._unknown_after(name, filters=name in filtered):
                yield Problem(message=message, path=path)

    def _unknown_after(self, name: str, *, filters: bool) -> str:
        """Why it is not known what records hold in a column after the run; empty where it is known."""
        attribute = self._entity.attributes.get(name)
        mapped = {mapping.target: mapping for mapping in self._definition.destination.mappings}
        if attribute is None or name == self._entity.primary_id:
            return ""
        if not attribute.readable:
            return f"{name} of {self._entity.logical_name} cannot be read"
        if name in mapped and self._is_late(mapped[name], attribute):
            return f"a lookup in {self._entity.logical_name} sets {name} itself: it cannot be used with a filter"
        if attribute.polymorphic and not filters:
            return f"{name} can refer to several tables: it cannot be matched where the lookup has a filter"
        if name in mapped:
            return ""
        given = attribute.type in {AttributeType.STATE, AttributeType.STATUS}
        if filters and not given and (attribute.computed or not attribute.creatable or not attribute.clearable):
            return f"the service sets {name} of a new record, so it is not known whether the filter lets it through"
        return ""

    def _is_late(self, mapping: Mapping, attribute: AttributeMetadata) -> bool:
        tables = {table for each in mapping.lookups for table in each.tables or attribute.targets[:1]}
        return self._entity.logical_name in tables

    def _default(self, lookup: Lookup, entity: EntityMetadata, names: Sequence[str]) -> Iterator[Problem]:
        if lookup.default is None:
            return
        given = lookup.default if isinstance(lookup.default, tuple) else (lookup.default,)
        path = f"{self._path}.default"
        if len(given) != len(names):
            message = f"match has {len(names)} columns, and the default has {len(given)} values"
            yield Problem(message=message, path=path)
            return
        for value, name in zip(given, names, strict=True):
            if attribute := entity.attributes.get(name):
                yield from constant_problems(literal(str(value)), attribute, path)

    def _create(self, lookup: Lookup, entity: EntityMetadata, names: Sequence[str]) -> Iterator[Problem]:
        if entity.logical_name == self._entity.logical_name:
            message = "a lookup cannot create records of the table that is synced; add them to the source"
            yield Problem(message=message, path=f"{self._path}.on_missing")
            return
        searched = {table for each in self._mapping.lookups for table in each.tables or self._attribute.targets[:1]}
        if lookup.create and self._definition.listener is not None and self._entity.logical_name in searched:
            message = f"events resolve lookups in {self._entity.logical_name} when their columns are no longer there, "
            yield Problem(message=f"{message}so create cannot use them: leave it out", path=f"{self._path}.create")
        key, said = entity.key_over(frozenset(names)), ", ".join(names)
        if key is None or not key.active:
            message = f"on_missing: create needs an active alternate key of {entity.logical_name} over {said}"
            yield Problem(message=message, path=f"{self._path}.on_missing")
        if lookup.filter:
            message = "a record that the filter hides may have the values already, so none can be created: remove the "
            yield Problem(message=f"{message}filter, or use another on_missing", path=f"{self._path}.on_missing")
        if links := [name for name in names if name in entity.attributes and entity.attributes[name].refers]:
            message = f"on_missing: create cannot set {_listed(links)} of {entity.logical_name}: it is a lookup itself"
            yield Problem(message=message, path=f"{self._path}.on_missing")
        yield from self._further(lookup, entity, names)

    def _further(self, lookup: Lookup, entity: EntityMetadata, names: Sequence[str]) -> Iterator[Problem]:
        """The further columns of a new record; their expressions are checked with those of the mappings."""
        for name, text in lookup.create.items():
            path = f"{self._path}.create.{name}"
            attribute = entity.attributes.get(name)
            if attribute is None:
                hint = did_you_mean(name, entity.attributes, before="; ")
                yield Problem(message=f"{entity.logical_name} has no column {name}{hint}", path=path)
            elif not attribute.creatable or attribute.refers or not fits(ColumnType.TEXT, attribute):
                message = f"{name} of {entity.logical_name} cannot be set here: it is of type {attribute.type}"
                yield Problem(message=message, path=path)
            elif name in names:
                yield Problem(message=f"{name} is set already: the lookup matches it", path=path)
            else:
                yield from constant_problems(text, attribute, path)
