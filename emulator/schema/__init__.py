"""The schema of the emulated environment: model, built-in tables, files and metadata imports."""

from emulator.schema.model import (
    LOOKUP_TYPES,
    OPTION_TYPES,
    Action,
    ActionParameter,
    AlternateKey,
    Column,
    ColumnType,
    DateBehavior,
    Option,
    Schema,
    Table,
)

__all__ = [
    "LOOKUP_TYPES",
    "OPTION_TYPES",
    "Action",
    "ActionParameter",
    "AlternateKey",
    "Column",
    "ColumnType",
    "DateBehavior",
    "Option",
    "Schema",
    "Table",
]
