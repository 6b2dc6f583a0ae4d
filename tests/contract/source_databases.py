"""Databases as places of the contract's rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pg8000.native  # type: ignore[import-untyped]  # pg8000 has no types

from shared.sources import SourceContext
from tests.postgresql.fixtures import Database
from tests.postgresql.server import PASSWORD

__all__ = ["context_of_sqlite", "of_postgresql", "write_malformed_sqlite", "write_nothing", "write_sqlite"]

Row = tuple[int, str | None, str | None, str | None, str | None]
TABLE = "CREATE TABLE {name} (number bigint, name text, amount decimal(18, 4), since date, active boolean)"


def write_nothing(_path: Path, _rows: Iterable[Row]) -> None:
    """A kind without its fixture has no place."""
    raise NotImplementedError


def write_sqlite(path: Path, rows: Iterable[Row]) -> None:
    """A table of a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE IF EXISTS source")
        connection.execute(TABLE.format(name="source"))
        connection.executemany("INSERT INTO source VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()


def write_malformed_sqlite(path: Path) -> None:
    """A table of a SQLite file with a text that is not UTF-8."""
    write_sqlite(path, [(1, "One", "1.5", "2024-01-31", "true")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO source (number, name) VALUES (2, CAST(x'4dfc' AS text))")
        connection.commit()


def context_of_sqlite(path: Path) -> SourceContext:
    """The URL of a SQLite file."""
    return SourceContext(secret=lambda _reference: f"sqlite:///{path}")


def of_postgresql(database: Database) -> Mapping[str, Callable[..., Any] | tuple[Any, str]]:
    """The attributes of the kind in a database of PostgreSQL."""
    return {
        "write": partial(_write_postgresql, database),
        "malformed": (partial(_write_malformed_postgresql, database), "the row is longer than 16 MB"),
        "context": lambda _path: SourceContext(secret=lambda _reference: database.url),
    }


def _write_postgresql(database: Database, path: Path, rows: Iterable[Row]) -> None:
    user, port = "app", database.server.port
    with closing(pg8000.native.Connection(user, "127.0.0.1", database.name, port, PASSWORD)) as connection:
        connection.run(f"DROP TABLE IF EXISTS {path.stem}")
        connection.run(TABLE.format(name=path.stem))
        lines = (",".join("" if field is None else _field(field) for field in row) + "\n" for row in rows)
        connection.run(f"COPY {path.stem} FROM STDIN WITH (FORMAT csv)", stream=lines)


def _field(value: str | int) -> str:
    return '"' + str(value).replace('"', '""') + '"'


def _write_malformed_postgresql(database: Database, path: Path) -> None:
    _write_postgresql(database, path, [(1, "One", "1.5", "2024-01-31", "true")])
    database.run(f"INSERT INTO {path.stem} (number, name) VALUES (2, repeat('x', 17000000))")
