"""Many-to-many relationships from descriptions, and the intersect table that each one has."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from emulator.schema.faults import SchemaFileError
from emulator.schema.model import Column, ColumnType, Schema, Table
from emulator.schema.relationships import ManyToMany, PairEnd

__all__ = ["with_pairs", "without_pairs"]

_SETTINGS: Final = frozenset({"tables", "intersect", "primary_id", "entity_set", "attributes", "navigation", "custom"})
_ENDS: Final = 2


def with_pairs(schema: Schema, descriptions: Iterable[tuple[str, Any]], *, known_only: bool = False) -> Schema:
    """Returns the schema with more many-to-many relationships and their intersect tables.

    Args:
        schema: The tables that they relate.
        descriptions: Schema names with `tables` and, if they differ from Dataverse's defaults, `intersect`,
            `primary_id`, `entity_set`, `attributes` and `navigation`.
        known_only: Whether to leave out relationships of tables that the schema does not have.

    Raises:
        SchemaFileError: A setting or a table is unknown, or a list does not have two items.
    """
    tables, relations = dict(schema.tables), dict(schema.many_to_many)
    for name, given in descriptions:
        if not isinstance(given, Mapping) or not given.keys() <= _SETTINGS:
            raise SchemaFileError(f"many_to_many {name}: its settings are {', '.join(sorted(_SETTINGS))}")
        ends = _two(name, given, "tables")
        missing = [end for end in ends if end not in tables or tables[end].intersect]
        if missing and known_only:
            continue
        if missing:
            raise SchemaFileError(f"many_to_many {name}: no table {', '.join(missing)}")
        relation = _relation(name, {"custom": not known_only, **given}, tables[ends[0]], tables[ends[1]])
        relations[name] = relation
        tables[relation.intersect] = _intersect_table(relation, given, tables)
    return replace(schema, tables=tables, many_to_many=relations)


def without_pairs(schema: Schema, name: str) -> tuple[Schema, list[Table]]:
    """Returns the schema without a table, and the tables that go: itself and the intersects of its relationships."""
    gone = {
        key: one
        for key, one in schema.many_to_many.items()
        if name in {one.first.table, one.second.table, one.intersect}
    }
    names = {name, *(one.intersect for one in gone.values())}
    kept = replace(
        schema,
        tables={key: table for key, table in schema.tables.items() if key not in names},
        many_to_many={key: one for key, one in schema.many_to_many.items() if key not in gone},
    )
    return kept, [schema.tables[key] for key in sorted(names)]


def _two(name: str, given: Mapping[str, Any], setting: str) -> tuple[str, str]:
    items = given.get(setting)
    if not isinstance(items, list) or len(items) != _ENDS:
        raise SchemaFileError(f"many_to_many {name}: {setting} is a list of two names")
    return str(items[0]), str(items[1])


def _relation(name: str, given: Mapping[str, Any], first: Table, second: Table) -> ManyToMany:
    same = first.logical_name == second.logical_name
    attributes: tuple[str, str] = (first.primary_id, second.primary_id)
    navigation = (name, name)
    if same:  # the names that Dataverse gives to a relationship of a table with itself
        attributes = (f"{first.primary_id}one", f"{first.primary_id}two")
        navigation = (f"Referencing{name}", f"Referenced{name}")
    if "attributes" in given:
        attributes = _two(name, given, "attributes")
    if "navigation" in given:
        navigation = _two(name, given, "navigation")
    if attributes[0] == attributes[1] or (same and navigation[0] == navigation[1]):
        raise SchemaFileError(f"many_to_many {name}: the two sides need different names")
    return ManyToMany(
        schema_name=name,
        intersect=str(given.get("intersect") or name).lower(),
        first=PairEnd(table=first.logical_name, attribute=attributes[0], navigation=navigation[0]),
        second=PairEnd(table=second.logical_name, attribute=attributes[1], navigation=navigation[1]),
        custom=bool(given["custom"]),
    )


def _intersect_table(relation: ManyToMany, given: Mapping[str, Any], known: Mapping[str, Table]) -> Table:
    """The four read-only columns that an intersect table has (web-api-navigation-properties)."""
    name = relation.intersect
    attributes = (relation.first.attribute, relation.second.attribute)
    primary_id = str(given.get("primary_id") or f"{name}id").lower()
    columns = {
        primary_id: _identifier(primary_id, primary=True),
        **{attribute: _identifier(attribute) for attribute in attributes},
        "versionnumber": replace(_identifier("versionnumber"), schema_name="VersionNumber", type=ColumnType.BIGINT),
    }
    known_code = known[name].object_type_code if name in known else 10000 + len(known)
    return Table(
        logical_name=name,
        schema_name=str(given.get("intersect") or relation.schema_name),
        entity_set=str(given.get("entity_set") or f"{name}set"),
        display_name=name,
        display_collection_name=name,
        primary_id=primary_id,
        primary_name=primary_id,
        columns=dict(sorted(columns.items())),
        change_tracking=all(known[end.table].change_tracking for end in relation.ends),
        optimistic_concurrency=False,
        object_type_code=known_code,
        bulk_messages=frozenset(),
        ownership="None",
        custom=relation.custom,
        intersect=attributes,
    )


def _identifier(name: str, *, primary: bool = False) -> Column:
    return Column(
        logical_name=name,
        schema_name=name,
        type=ColumnType.UNIQUEIDENTIFIER,
        display_name=name,
        valid_for_create=False,
        valid_for_update=False,
        primary_id=primary,
    )
