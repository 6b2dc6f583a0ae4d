"""The relationships of the schema as JSON: OneToManyRelationshipMetadata and ManyToManyRelationshipMetadata."""

from collections.abc import Iterator
from typing import Any, Final

from emulator.metadata.attributes import label_json, managed
from emulator.metadata.definitions import Json, metadata_id
from emulator.schema import Cascade, Column, ManyToMany, Schema, Table

__all__ = ["MANY_TO_MANY", "ONE_TO_MANY", "relationships", "relationships_of"]

ONE_TO_MANY: Final = "OneToManyRelationshipMetadata"
MANY_TO_MANY: Final = "ManyToManyRelationshipMetadata"
_REFERENTIAL: Final = Cascade()


def _menu(order: int | None = None) -> Json:
    return {
        "Behavior": "UseCollectionName",
        "Group": "Details",
        "Order": order,
        "IsCustomizable": True,
        "Icon": None,
        "ViewId": "00000000-0000-0000-0000-000000000000",
        "AvailableOffline": True,
        "MenuId": None,
        "QueryApi": None,
        "Label": label_json(""),
    }


def _common(name: str, kind: str, *, custom: bool) -> Json:
    """The properties of RelationshipMetadataBase."""
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{kind}",
        "MetadataId": metadata_id("relationship", name),
        "SchemaName": name,
        "RelationshipType": kind.removesuffix("Metadata"),
        "IsCustomRelationship": custom,
        "IsManaged": not custom,
        "IsCustomizable": managed(value=True, name="iscustomizable"),
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "Append",
        "IntroducedVersion": "1.0",
        "HasChanged": None,
    }


def _one_to_many(table: Table, column: Column, target: str, referenced: Table) -> Json:
    name = column.relationships.get(target, f"{target}_{table.logical_name}_{column.logical_name}")
    return {
        **_common(name, ONE_TO_MANY, custom=column.custom),
        "ReferencedEntity": target,
        "ReferencedAttribute": referenced.primary_id,
        "ReferencingEntity": table.logical_name,
        "ReferencingAttribute": column.logical_name,
        "ReferencingEntityNavigationPropertyName": column.navigation.get(target),
        "ReferencedEntityNavigationPropertyName": name,
        "IsHierarchical": column.hierarchical and target == table.logical_name,
        "RelationshipBehavior": 1,
        "EntityKey": None,
        "AssociatedMenuConfiguration": _menu(),
        "CascadeConfiguration": column.cascades.get(target, _REFERENTIAL).metadata(),
        "RelationshipAttributes": [],
    }


def _many_to_many(relation: ManyToMany) -> Json:
    sides: dict[str, Any] = {}
    for number, end in enumerate(relation.ends, 1):
        sides |= {
            f"Entity{number}LogicalName": end.table,
            f"Entity{number}IntersectAttribute": end.attribute,
            f"Entity{number}NavigationPropertyName": end.navigation,
            f"Entity{number}AssociatedMenuConfiguration": _menu(),
        }
    return {
        **_common(relation.schema_name, MANY_TO_MANY, custom=relation.custom),
        "IntersectEntityName": relation.intersect,
        **sides,
    }


def relationships(schema: Schema) -> Iterator[Json]:
    """Yields every relationship: the one-to-many ones, then the many-to-many ones."""
    for table in schema.tables.values():
        yield from _outgoing(table, schema)
    yield from map(_many_to_many, schema.many_to_many.values())


def _outgoing(table: Table, schema: Schema) -> Iterator[Json]:
    for column in table.columns.values():
        for target in column.targets:
            if target in schema.tables and target in column.navigation:
                yield _one_to_many(table, column, target, schema.tables[target])


def relationships_of(table: Table, name: str, schema: Schema) -> list[Json]:
    """Returns one of a table's three collections of relationships."""
    logical_name = table.logical_name
    match name:
        case "ManyToOneRelationships":
            return list(_outgoing(table, schema))
        case "OneToManyRelationships":
            return [
                _one_to_many(child, column, logical_name, table)
                for child, column in schema.referring.get(logical_name, ())
                if logical_name in column.navigation
            ]
        case _:
            return [
                _many_to_many(relation)
                for relation in schema.many_to_many.values()
                if logical_name in {relation.intersect, *(end.table for end in relation.ends)}
            ]
