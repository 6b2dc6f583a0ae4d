"""The schema of the emulated environment: model, built-in tables, files and metadata imports."""

from emulator.schema.model import (
    BULK_MESSAGES,
    LOOKUP_TYPES,
    OPTION_TYPES,
    Action,
    ActionParameter,
    AlternateKey,
    Cascade,
    Column,
    ColumnType,
    DateBehavior,
    ManyToMany,
    Option,
    PairEnd,
    Schema,
    Table,
)

__all__ = [
    "BULK_MESSAGES",
    "LOOKUP_TYPES",
    "OPTION_TYPES",
    "Action",
    "ActionParameter",
    "AlternateKey",
    "Cascade",
    "Column",
    "ColumnType",
    "DateBehavior",
    "ManyToMany",
    "Option",
    "PairEnd",
    "Schema",
    "Table",
]
