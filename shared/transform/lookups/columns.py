"""Lookup columns as a sync maps them: which tables are searched, by which columns, for which values of the source.

A value is searched for by its typed form and compared like a sync key. What a lookup needs of the source are *match
values*: one for each entry of `lookup` and each column that it matches. In `desired` their columns are called
``<target>.<entry>.<column>``, and their comparable forms ``key:<target>.<entry>.<column>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.definitions.models import Lookup, Mapping, SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.transform.keys import normalise_key
from shared.transform.lookups.names import match_columns
from shared.transform.lookups.values import MatchValue, given_name, link_name, selector_name
from shared.transform.notation.blanks import trimmed
from shared.transform.notation.constants import converted
from shared.transform.targets import TargetColumn, sql_type
from shared.workspace import Table, literal, quoted

__all__ = [
    "Candidate",
    "LookupColumn",
    "MatchValue",
    "Reference",
    "carried_columns",
    "early_lookups",
    "given_name",
    "late_lookups",
    "link_name",
    "lookup_columns",
    "references",
    "related_tables",
    "selector_name",
    "selectors",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Records that lookups search: a table, under one filter.

    Attributes:
        name: The table of the workspace that holds them: `_id`, `_created`, and for column n of `columns` `_k<n>`.
        filter: OData with parameters; None for all records.
        columns: Their match columns, each with its place (from 1) as `key_part`.
        by_age: A lookup takes the oldest or the newest of several.
    """

    name: str
    entity: EntityMetadata
    filter: str | None
    columns: tuple[TargetColumn, ...]
    by_age: bool

    def key_of(self, column: str) -> str:
        """The column of the workspace's table that holds a match column in comparable form."""
        return next(f"_k{each.key_part}" for each in self.columns if each.name == column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One entry of a lookup: a table that may hold the referenced record.

    Attributes:
        path: Where the definition has it, such as ``destination.mappings[3].lookup``.
        when: What the column that names the table must hold; empty if no column names it.
        default: Comparable SQL literals, one for each match value; empty without a default.
    """

    path: str
    lookup: Lookup
    reference: Reference
    values: tuple[MatchValue, ...]
    when: str = ""
    default: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """Logical name of the referenced table."""
        return self.reference.entity.logical_name


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupColumn:
    """A mapped column whose value is found by searching other records.

    Attributes:
        mapping: Its mapping, and `place`, the mapping's place in the list from 0.
        selector: The source column that names the table in each row; empty if there is none.
        late: It may refer to records that this run writes, so it is resolved after the target has been read.
        key_part: Its place in the sync key, from 1; such a column is never late.
    """

    attribute: AttributeMetadata
    mapping: Mapping
    place: int
    candidates: tuple[Candidate, ...]
    selector: str = ""
    late: bool = False
    key_part: int | None = None

    @property
    def name(self) -> str:
        """Logical name of the column."""
        return self.attribute.name

    @property
    def label(self) -> str:
        """What error rows call the value: its source columns, or the target column for an expression."""
        return ", ".join(self.mapping.sources) or self.name

    @property
    def is_list(self) -> bool:
        """Whether it is a list of parties, of which each row may have several."""
        return self.attribute.is_list

    @property
    def values(self) -> tuple[MatchValue, ...]:
        """What it needs of the source, each once; of a list of parties the one text, which is divided later."""
        if self.is_list:
            source = next(iter(self.mapping.sources), "")
            text = AttributeMetadata(name=self.name, type=AttributeType.MEMO)
            return (MatchValue(source=source, column="", name=self.name, attribute=text),)
        found = (value for candidate in self.candidates for value in candidate.values)
        return tuple({value.name: value for value in found}.values())

    @property
    def rows(self) -> str:
        """The table of the workspace that has a row for each value to search for."""
        return f"parties_{self.place}" if self.is_list else Table.DESIRED

    @property
    def policy(self) -> str:
        """What happens if no record is found: the last entry says it."""
        return self.mapping.lookups[-1].on_missing


def related_tables(definition: SyncDefinition, entity: EntityMetadata) -> frozenset[str]:
    """Logical names of the other tables whose metadata the mapped lookups need."""
    named = set[str]()
    for mapping in definition.destination.mappings:
        attribute = entity.attributes.get(mapping.target)
        if attribute is None or not attribute.refers:
            continue
        named |= {table for lookup in mapping.lookups for table in lookup.tables}
        if len(attribute.targets) == 1:
            named |= set(attribute.targets)
    return frozenset(named - {entity.logical_name})


def lookup_columns(definition: SyncDefinition, entity: EntityMetadata) -> tuple[LookupColumn, ...]:
    """The mapped lookups of a sync, in the order of the mappings.

    Raises:
        DefinitionError: A table or column does not exist; `check` reports these with better messages.
    """
    return _Columns(definition, entity).all()


def early_lookups(definition: SyncDefinition, entity: EntityMetadata) -> tuple[LookupColumn, ...]:
    """The lookups that are resolved before the target is read."""
    return tuple(column for column in lookup_columns(definition, entity) if not column.late)


def late_lookups(definition: SyncDefinition, entity: EntityMetadata) -> tuple[LookupColumn, ...]:
    """The lookups that may refer to records which this run writes."""
    return tuple(column for column in lookup_columns(definition, entity) if column.late)


def carried_columns(lookups: Sequence[LookupColumn]) -> dict[str, str]:
    """What `desired` holds of lookups that are not resolved yet: name of the column -> its type."""
    found = dict[str, str]()
    for lookup in lookups:
        for value in (value for candidate in lookup.candidates for value in candidate.values):
            found |= dict.fromkeys((value.name, value.key), sql_type(value.attribute))
        if lookup.selector:
            found[selector_name(lookup.name)] = "VARCHAR"
        found[given_name(lookup.name)] = "BOOLEAN"
        found[link_name(lookup.name)] = "BIGINT"
    return found


def selectors(lookups: Sequence[LookupColumn]) -> Iterator[str]:
    """SQL items over `shaped`: the names of tables in the rows, in lower case and without blanks around them."""
    for lookup in lookups:
        if lookup.selector:
            name = trimmed(f"CAST({quoted(lookup.selector)} AS VARCHAR)")
            yield f"lower({name}) AS {quoted(selector_name(lookup.name))}"


def references(columns: Sequence[LookupColumn]) -> tuple[Reference, ...]:
    """What the columns search, each once."""
    found = {each.reference.name: each.reference for column in columns for each in column.candidates}
    return tuple(found.values())


class _Columns:
    """Collects the lookups of one sync; lookups in the same records share one reference."""

    def __init__(self, definition: SyncDefinition, entity: EntityMetadata) -> None:
        self._definition = definition
        self._entity = entity
        self._match = definition.sync_behaviour.key_match
        self._columns: dict[tuple[str, str | None, bool], dict[str, TargetColumn]] = {}
        self._by_age = set[tuple[str, str | None, bool]]()

    def all(self) -> tuple[LookupColumn, ...]:
        found = [
            self._column(place, mapping)
            for place, mapping in enumerate(self._definition.destination.mappings)
            if mapping.lookups
        ]
        return tuple(
            replace(column, candidates=tuple(self._complete(each, late=column.late) for each in column.candidates))
            for column in found
        )

    def _complete(self, candidate: Candidate, *, late: bool) -> Candidate:
        """The candidate with every column that lookups in the same records match."""
        key = (candidate.table, candidate.lookup.filter, late)
        return replace(candidate, reference=self._reference(key))

    def _reference(self, key: tuple[str, str | None, bool]) -> Reference:
        table, condition, late = key
        number = list(self._columns).index(key)
        return Reference(
            name=f"{'late' if late else 'early'}_reference_{number}",
            entity=self._table(table, "destination.mappings"),
            filter=condition,
            columns=tuple(self._columns[key].values()),
            by_age=key in self._by_age,
        )

    def _column(self, place: int, mapping: Mapping) -> LookupColumn:
        path = f"destination.mappings[{place}]"
        attribute = self._entity.attributes.get(mapping.target)
        if attribute is None:
            message = f"{self._entity.logical_name} has no column {mapping.target}"
            raise DefinitionError([Problem(message=message, path=f"{path}.target")])
        keys = self._definition.sync_behaviour.sync_key
        part = keys.index(mapping.target) + 1 if mapping.target in keys else None
        tables = [table for lookup in mapping.lookups for table in self._tables(lookup, attribute)]
        late = self._entity.logical_name in tables and part is None
        candidates = _sharing_values(
            candidate
            for number, lookup in enumerate(mapping.lookups)
            for candidate in self._candidates(_Entry(mapping, lookup, number, path), attribute, late=late)
        )
        return LookupColumn(
            attribute=attribute,
            mapping=mapping,
            place=place,
            candidates=candidates,
            selector=next((lookup.entity_from for lookup in mapping.lookups if lookup.entity_from), ""),
            late=late,
            key_part=part,
        )

    def _tables(self, lookup: Lookup, attribute: AttributeMetadata) -> tuple[str, ...]:
        return lookup.tables or attribute.targets[:1]

    def _candidates(self, entry: _Entry, attribute: AttributeMetadata, *, late: bool) -> Iterator[Candidate]:
        lookup = entry.lookup
        sources = [name for name in entry.mapping.sources if name != lookup.entity_from] or [""]
        for table in self._tables(lookup, attribute):
            match = lookup.match_in(table)
            entity = self._table(table, entry.path)
            names = match_columns(entity, match)
            values = tuple(
                MatchValue(
                    source=source, column=name, name=entry.name_of(table, name), attribute=self._as(entity, name)
                )
                for source, name in zip(_spread(sources, names), names, strict=True)
            )
            values = tuple(replace(v, attribute=replace(v.attribute, name=v.name)) for v in values)
            yield Candidate(
                path=entry.path,
                lookup=lookup,
                reference=self._noted(entity, lookup, names, late=late),
                values=values,
                when=table if lookup.entity_from else "",
                default=self._default(lookup, values),
            )

    def _noted(self, entity: EntityMetadata, lookup: Lookup, names: Sequence[str], *, late: bool) -> Reference:
        key = (entity.logical_name, lookup.filter, late)
        known = self._columns.setdefault(key, {})
        if lookup.on_ambiguous != "reject":
            self._by_age.add(key)
        for name in names:
            if name not in known:
                attribute = self._as(entity, name)
                known[name] = TargetColumn(
                    name=name,
                    attribute=attribute,
                    sql_type=sql_type(attribute),
                    source_sql="NULL",
                    key_part=len(known) + 1,
                    key_sql=normalise_key(attribute, quoted(name), self._match),
                )
            if lookup.on_ambiguous != "reject":
                known[name] = replace(known[name], by_age=True)
        return self._reference(key)

    def _default(self, lookup: Lookup, values: Sequence[MatchValue]) -> tuple[str, ...]:
        if lookup.default is None:
            return ()
        given = lookup.default if isinstance(lookup.default, tuple) else (lookup.default,)
        return tuple(
            normalise_key(value.attribute, converted(literal(str(text)), value.attribute)[0], self._match)
            for text, value in zip(given, values, strict=False)
        )

    def _table(self, name: str, path: str) -> EntityMetadata:
        found = self._entity.table(name)
        if found is None:
            raise DefinitionError([Problem(message=f"the environment has no table {name}", path=path)])
        return found

    def _as(self, entity: EntityMetadata, name: str) -> AttributeMetadata:
        """A match column; one that is a lookup itself is matched by id, so it has the type of an id."""
        if name not in entity.attributes:
            raise DefinitionError([Problem(message=f"{entity.logical_name} has no column {name}")])
        attribute = entity.attributes[name]
        return replace(attribute, targets=()) if attribute.refers else attribute


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a mapping's lookups, with its number and its path in the definition."""

    mapping: Mapping
    lookup: Lookup
    number: int
    parent: str

    @property
    def path(self) -> str:
        return f"{self.parent}.lookup" + (f"[{self.number}]" if isinstance(self.mapping.lookup, tuple) else "")

    def name_of(self, table: str, column: str) -> str:
        entry = table if self.lookup.entity_from else str(self.number)
        return f"{self.mapping.target}.{entry}.{column}"


def _sharing_values(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The entries of one lookup; a value that several of them search for is typed, folded and stored once."""
    known: list[MatchValue] = []
    found = []
    for candidate in candidates:
        values = [next((each for each in known if each.is_like(value)), value) for value in candidate.values]
        known += [value for value in values if value not in known]
        shared = (replace(value, column=own.column) for value, own in zip(values, candidate.values, strict=True))
        found.append(replace(candidate, values=tuple(shared)))
    return tuple(found)


def _spread(sources: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """One source for each match column; `check` has refused other numbers."""
    return [*sources, *[""] * len(names)][: len(names)]
