"""Rows in SQLite: one SQL table per Dataverse table, in memory or a file; and what a column or a parameter accepts."""

from emulator.store.database import Budget, Database
from emulator.store.ddl import key_column, sql_name
from emulator.store.rows import Rows, Values

__all__ = ["Budget", "Database", "Rows", "Values", "key_column", "sql_name"]
