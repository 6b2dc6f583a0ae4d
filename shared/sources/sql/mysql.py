"""MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from shared.definitions.models import TypedColumn
from shared.sources.sql.batches import Batches
from shared.sources.sql.readers import RowReader
from shared.sources.sql.statements import Statements

__all__ = ["MysqlReader"]


class MysqlReader(RowReader):
    """Reads MySQL: in one read-only snapshot, and moments in UTC, whatever time zone the server has."""

    opening = ("SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'")

    def load(
        self, connection: Connection, statements: Statements, columns: Mapping[str, TypedColumn], batches: Batches
    ) -> None:
        """Stream the rows; after a failure, nothing of the result is left to be read."""
        driver: Any = connection.connection.driver_connection
        try:
            super().load(connection, statements, columns, batches)
        finally:
            _leave_rest(driver)

    def canceller(self, connection: Connection) -> Callable[[], object] | None:
        """A second connection asks the server to stop it."""
        number = int(connection.exec_driver_sql("SELECT connection_id()").scalar_one())
        engine = connection.engine

        def cancel() -> None:
            with engine.connect() as other:
                other.exec_driver_sql(f"KILL QUERY {number}")

        return cancel


def _leave_rest(driver: Any) -> None:
    """Let PyMySQL not read the rest of a result when it is collected as garbage.

    It would read from a connection that is closed, and print the error of that with a traceback.
    """
    result: Any = getattr(driver, "_result", None)
    if getattr(result, "unbuffered_active", False):
        result.unbuffered_active = False
