"""Changes of the schema by metadata requests: tables, columns, keys and relationships, effective at once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import ServiceError, invalid_argument, not_implemented
from emulator.metadata.attributes import column_id
from emulator.metadata.definitions import metadata_id
from emulator.metadata.key_indexes import KeyIndexes
from emulator.metadata.relationships import relationships
from emulator.schema import AlternateKey, Column, ColumnType, Table
from emulator.schema.columns import build_column
from emulator.schema.entity_definitions import (
    cascade_description,
    column_description,
    key_description,
    pair_description,
    table_description,
)
from emulator.schema.loader import extended, schema_from
from emulator.schema.pairs import with_pairs

__all__ = ["MetadataWrites"]

Json = Mapping[str, Any]
# Bytes of an index for a value (define-alternate-keys-entity: "Valid columns in key table definitions", "Valid key
# size"); text has two bytes for each character.
_KEY_BYTES: Final = {
    ColumnType.DECIMAL: 17,
    ColumnType.INTEGER: 4,
    ColumnType.STRING: 2,
    ColumnType.DATETIME: 8,
    ColumnType.LOOKUP: 16,
    ColumnType.PICKLIST: 4,
}
_MOST_KEY_BYTES: Final = 900
_MOST_KEY_COLUMNS: Final = 16
_MOST_KEYS: Final = 10
# The prefix of a publisher has two to eight letters and digits, begins with a letter, and is not "mscrm" (Microsoft:
# "Solution publisher"); behind it are letters, digits and underscores ("Create a column: Name").
_SCHEMA_NAME: Final = re.compile(r"(?!mscrm)[A-Za-z][A-Za-z0-9]{1,7}_[A-Za-z0-9_]{1,100}", re.ASCII)


class MetadataWrites:
    """Changes the schema of an environment.

    JSON that lacks a property or has a wrong type in it raises `SchemaFileError`, `KeyError`, `TypeError`, `ValueError`
    or `AttributeError`.
    """

    def __init__(self, environment: Environment, indexes: KeyIndexes) -> None:
        """Works on `environment`; `indexes` builds the indexes of new keys."""
        self._environment = environment
        self._indexes = indexes

    def create_table(self, entity: Json) -> str:
        """Adds a table and returns its MetadataId.

        Raises:
            ServiceError: The table exists already, or the definition is not valid.
        """
        name = _new_name(entity)
        schema = self._environment.schema
        if name.lower() in schema.tables:
            raise ServiceError(
                400, "0x80044363", f"An object with the specified name {name} already exists. Choose another name."
            )
        changed = schema_from([(name, table_description(entity))], schema)
        table = changed.tables[name.lower()]
        self._environment.change(changed, table)
        return metadata_id("table", table.logical_name)

    def delete_table(self, table: Table) -> None:
        """Removes a custom table.

        Raises:
            ServiceError: It is a system table.
        """
        if not table.custom:
            raise ServiceError(403, "0x80044177", f"The {table.logical_name} entity cannot be deleted.")
        self._environment.drop(table)

    def create_column(self, table: Table, attribute: Json) -> str:
        """Adds a column and returns its MetadataId.

        Raises:
            ServiceError: The column exists already, or its name is not possible.
        """
        schema_name = _new_name(attribute)
        logical = schema_name.lower()
        if logical in table.columns:
            raise ServiceError(
                400,
                "0x80044363",
                f"An attribute with the specified name {logical} already exists for entity {table.logical_name}.",
            )
        extended_table = self._with_column(table, schema_name, column_description(attribute))
        made = replace(extended_table.columns[logical], made=self._environment.metadata_version)
        self._adopt(replace(extended_table, columns={**extended_table.columns, logical: made}))
        return column_id(table, made)

    def _with_column(self, table: Table, schema_name: str, settings: dict[str, Any]) -> Table:
        return extended(table, {"columns": {schema_name: settings}}, self._environment.schema.tables)

    def replace_column(self, table: Table, logical_name: str, attribute: Json) -> None:
        """Changes a column's definition: its options stay if the new definition has none.

        Raises:
            ServiceError: It has another type: a column keeps the one that it was made with.
        """
        old = table.columns[logical_name]
        changed = build_column(table.schema_name, old.schema_name, column_description(attribute), {})
        if changed.type is not old.type:
            raise invalid_argument(f"The type of the attribute {logical_name} is {old.type} and cannot be changed.")
        kept = replace(
            changed,
            options=changed.options or old.options,
            option_set_name=changed.option_set_name or old.option_set_name,
            navigation=old.navigation,
            relationships=old.relationships,
            default=old.default,
            made=old.made,
        )
        self._adopt(replace(table, columns={**table.columns, logical_name: kept}))

    def delete_column(self, table: Table, logical_name: str) -> None:
        """Removes a custom column and its values.

        Raises:
            ServiceError: It is a system column, or part of a key.
        """
        column = table.columns[logical_name]
        if not column.custom or column.primary_id or logical_name == table.primary_name:
            raise ServiceError(403, "0x80044177", f"The attribute {logical_name} cannot be deleted.")
        if any(logical_name in key.columns for key in table.keys):
            raise ServiceError(400, "0x80060889", f"The attribute {logical_name} is part of an alternate key.")
        self._adopt(
            replace(table, columns={name: other for name, other in table.columns.items() if name != logical_name})
        )

    def create_key(self, table: Table, key: Json) -> str:
        """Adds an alternate key, starts the job that builds its index, and returns its MetadataId.

        Raises:
            ServiceError: A column is unknown, or the key is not possible.
        """
        _new_name(key)
        name, described = key_description(key)
        columns = described["columns"]
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise invalid_argument(f"The key {name} names columns that {table.logical_name} does not have: {missing}")
        if reason := _unfit([table.columns[column] for column in columns], table, name):
            raise invalid_argument(f"The key {name} is not possible: {reason}")
        added = AlternateKey(name=name, columns=tuple(columns), display_name=name, status="Pending")
        self._adopt(replace(table, keys=(*table.keys, added)))
        self._indexes.begin(self._environment.schema.tables[table.logical_name], name)
        return metadata_id("key", f"{table.logical_name}.{name}")

    def reactivate_key(self, table_name: str, name: str) -> None:
        """Starts a new job for the index of a key (`ReactivateEntityKey`).

        Raises:
            ServiceError: There is no such key, or its index is built or being built.
        """
        table = self._environment.schema.tables.get(table_name)
        key = next((one for one in table.keys if one.name.lower() == name.lower()), None) if table else None
        if table is None or key is None:
            raise invalid_argument(f"The table '{table_name}' has no alternate key '{name}'.")
        if key.status != "Failed":
            raise invalid_argument(f"The index of the key {key.name} is {key.status}, and not Failed.")
        self._indexes.begin(table, key.name)

    def delete_key(self, table: Table, name: str) -> None:
        """Removes an alternate key; the job of its index is cancelled if it has not ended."""
        for key in table.keys:
            if key.name == name:
                self._indexes.forget(table, key)
        self._adopt(replace(table, keys=tuple(key for key in table.keys if key.name != name)))

    def create_relationship(self, relationship: Json) -> str:
        """Adds a relationship and returns its MetadataId: one-to-many with its lookup column, or many-to-many.

        Raises:
            ServiceError: It exists already, or names tables that are unknown.
        """
        schema = self._environment.schema
        names = {one["SchemaName"].lower() for one in relationships(schema)}
        if str(relationship.get("SchemaName")).lower() in names:
            name = relationship["SchemaName"]
            raise ServiceError(
                400, "0x80044363", f"An object with the specified name {name} already exists. Choose another name."
            )
        if "Entity1LogicalName" in relationship:
            return self._create_pairs(relationship)
        lookup = relationship.get("Lookup")
        referencing = self._environment.schema.tables.get(str(relationship.get("ReferencingEntity")))
        referenced = str(relationship.get("ReferencedEntity"))
        if lookup is None or referencing is None or referenced not in self._environment.schema.tables:
            raise invalid_argument("A relationship needs the lookup column or two entities, and tables that exist.")
        schema_name = _new_name(lookup)
        _new_name(relationship)
        if schema_name.lower() in referencing.columns:
            raise not_implemented(f"Adding a target to the lookup '{schema_name}' is not emulated.")
        name = str(relationship["SchemaName"])
        settings = {
            **column_description({"AttributeType": "Lookup", **lookup}),
            "type": "Lookup",
            "targets": [referenced],
            "relationship": name,
            "cascade": cascade_description(relationship) or None,
            "hierarchical": bool(relationship.get("IsHierarchical")),
        }
        self._adopt(self._with_column(referencing, schema_name, settings))
        return metadata_id("relationship", name)

    def _create_pairs(self, relationship: Json) -> str:
        name = _new_name(relationship)
        schema = with_pairs(self._environment.schema, [(name, pair_description(relationship))])
        self._environment.change(schema, schema.tables[schema.many_to_many[name].intersect])
        return metadata_id("relationship", name)

    def delete_relationship(self, relationship: Json) -> None:
        """Removes a relationship with its lookup column, or with its pairs.

        Raises:
            ServiceError: It belongs to the system.
        """
        pairs = self._environment.schema.many_to_many.get(relationship["SchemaName"])
        if pairs is not None:
            if not pairs.custom:
                raise ServiceError(403, "0x80044177", f"The relationship {pairs.schema_name} cannot be deleted.")
            self._environment.drop(self._environment.schema.tables[pairs.intersect])
            return
        table = self._environment.schema.tables[relationship["ReferencingEntity"]]
        self.delete_column(table, relationship["ReferencingAttribute"])

    def _adopt(self, table: Table) -> None:
        schema = self._environment.schema
        tables = {**schema.tables, table.logical_name: table}
        self._environment.change(replace(schema, tables=tables), table)


def _new_name(definition: Json) -> str:
    """The schema name of what is added: one with the prefix of a publisher."""
    name = definition.get("SchemaName")
    if not isinstance(name, str) or not _SCHEMA_NAME.fullmatch(name):
        raise invalid_argument(
            f"The schema name '{str(name)[:100]}' is not possible: it needs the prefix of a publisher, such as new_, "
            "and letters, digits and underscores behind it."
        )
    return name


def _unfit(columns: list[Column], table: Table, name: str) -> str:
    """Why columns cannot be an alternate key (define-alternate-keys-entity, "constraints"); empty if they can."""
    if any(key.name.lower() == name.lower() for key in table.keys):
        return "a key of this name exists already."
    if len(table.keys) >= _MOST_KEYS:
        return f"a table can have {_MOST_KEYS} keys."
    if not 0 < len(columns) <= _MOST_KEY_COLUMNS:
        return f"a key has 1 to {_MOST_KEY_COLUMNS} columns."
    for column in columns:
        if column.type not in _KEY_BYTES:
            return f"{column.logical_name} is of the type {column.type}, which cannot be part of a key."
        if column.secured:
            return f"{column.logical_name} has field-level security."
    size = sum(
        _KEY_BYTES[one.type] * (one.max_length or 100 if one.type is ColumnType.STRING else 1) for one in columns
    )
    return f"its values can have {size} bytes, and {_MOST_KEY_BYTES} are possible." if size > _MOST_KEY_BYTES else ""
