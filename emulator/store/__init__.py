"""Rows in SQLite: one SQL table per Dataverse table, in memory or in a file."""

from emulator.store.database import Budget, Database
from emulator.store.ddl import key_column, sql_name
from emulator.store.rows import Rows

__all__ = ["Budget", "Database", "Rows", "key_column", "sql_name"]
