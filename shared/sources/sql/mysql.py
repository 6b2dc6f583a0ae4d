"""MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from shared.sources.sql.readers import RowReader

__all__ = ["MysqlReader"]


class MysqlReader(RowReader):
    """Reads MySQL: in one read-only snapshot, and moments in UTC, whatever time zone the server has."""

    opening = ("SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'")

    def canceller(self, connection: Connection) -> Callable[[], object] | None:
        """A second connection asks the server to stop it."""
        number = int(connection.exec_driver_sql("SELECT connection_id()").scalar_one())
        engine = connection.engine

        def cancel() -> None:
            with engine.connect() as other:
                other.exec_driver_sql(f"KILL QUERY {number}")

        return cancel
