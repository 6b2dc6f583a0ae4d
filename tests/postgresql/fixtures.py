"""A database for every test, in one PostgreSQL for all.

Every session of pytest imports this module: what takes long to import waits for a test that needs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.postgresql.server import Postgresql

__all__ = ["Database", "database", "postgresql"]

numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database: its server, its name, and its URL for a definition."""

    server: Postgresql
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, and give the rows of the last one."""
        import sqlalchemy as sa

        url = self.url.replace("postgresql:", "postgresql+pg8000:")
        # The server has no TLS: to load the certificates of the machine takes longer than most statements.
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"ssl_context": False})
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
        engine.dispose()
        return rows


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """PostgreSQL for the session; tests are skipped, and say so, where it is not installed."""
    from tests.postgresql.server import Postgresql, PostgresqlMissingError

    try:
        server = Postgresql()
    except PostgresqlMissingError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def database(postgresql: Postgresql) -> Database:
    """An empty database."""
    name = f"test_{next(numbers)}"
    Database(server=postgresql, name="postgres").run(f"CREATE DATABASE {name}")
    return Database(server=postgresql, name=name)
