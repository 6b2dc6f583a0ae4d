"""URLs of databases: which driver is meant, and an engine whose messages contain no values."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import ssl
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from shared.errors import UserError
from shared.redaction import register_secret
from shared.sources.refused_paths import check_local

__all__ = ["engine_of", "url_of"]

# Name of the database -> our driver for it and the extra that installs it.
_DRIVERS: Final = {
    "postgresql": ("pg8000", "postgresql"),
    "postgres": ("pg8000", "postgresql"),
    "mysql": ("pymysql", "mysql"),
    "mariadb": ("pymysql", "mysql"),
    "oracle": ("oracledb", "oracle"),
    "mssql": ("mssqlpython", "sqlserver"),
    "sqlite": ("pysqlite", ""),
}
_FORM: Final = "postgresql://user:password@host/database"


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of the pool is no error over a connection that is closed.

    Such a connection was lost, which the run says itself, or is not needed any more; and the error may contain values.
    """
    return not record.exc_info


logging.getLogger(f"{NullPool.__module__}.{NullPool.__name__}").addFilter(_is_news)


def url_of(text: str, label: str) -> URL:
    """Read a URL; a driver that it does not name is ours. It and its password are registered as secrets.

    Args:
        text: The URL.
        label: The database as messages show it.

    Raises:
        UserError: It is not the URL of a database; the message does not repeat it.
    """
    register_secret(text)
    url: URL | None = None
    with contextlib.suppress(ArgumentError, ValueError):
        url = make_url(text)
    if url is None:
        raise UserError(f"{label}: its URL cannot be read; write it as {_FORM}, and % in a password as %25")
    register_secret(url.password or "")
    name, _, driver = url.drivername.partition("+")
    name = "postgresql" if name == "postgres" else name
    driver = driver or _DRIVERS.get(name, ("", ""))[0]
    return url.set(drivername=f"{name}+{driver}" if driver else name)


def engine_of(url: URL, label: str, roots: Sequence[str] = (), *, writes: bool = False) -> Engine:
    """An engine that keeps no connection and logs no values; it connects to nothing yet.

    Args:
        url: As `url_of` gives it.
        label: The database as messages show it.
        roots: The only folders that a SQLite file is read from; any folder where there is none.
        writes: A SQLite file is opened for writing too.

    Raises:
        UserError: The driver is not installed or not known, or the file of a SQLite database may not be read.
    """
    driver = url.drivername.partition("+")[2]
    match driver:
        case "pysqlite":
            file = _existing_file(url, label, roots, "rw" if writes else "ro")
            engine = _engine(file, label, {"uri": True, "check_same_thread": False})
            event.listen(engine, "connect", _keep_to_one_file)
            return engine
        case "pg8000":
            return _engine(url.difference_update_query(["sslmode"]), label, _encryption(url, label))
    return _engine(url, label, {})


def _engine(url: URL, label: str, arguments: dict[str, Any]) -> Engine:
    missing = unknown = False
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    except ImportError:
        missing = True
    except NoSuchModuleError:
        unknown = True
    except (ArgumentError, ValueError, TypeError):
        pass
    name, _, driver = url.drivername.partition("+")
    if unknown:
        raise UserError(
            f"{label}: SQLAlchemy has no driver {driver or name}; supported are postgresql, mysql, "
            "oracle, mssql and sqlite"
        )
    if missing:
        raise UserError(f"{label}: the driver for {name} is not installed: {_remedy(name, driver)}")
    raise UserError(f"{label}: its URL or one of its options (what follows the ?) cannot be used; write it as {_FORM}")


def _keep_to_one_file(connection: sqlite3.Connection, _record: object) -> None:
    """Let no statement open or make another file: `roots` holds for that too."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)


def _remedy(name: str, driver: str) -> str:
    ours, extra = _DRIVERS.get(name, ("", ""))
    if driver != ours:
        return f"install the Python package of {driver}"
    return f'pip install "dynamics-sync[{extra}]"'  # with quotes: zsh takes brackets for a pattern of files


def _existing_file(url: URL, label: str, roots: Sequence[str], mode: str) -> URL:
    """The URL of a SQLite file that is opened in a mode (`ro` or `rw`), and never made."""
    name = url.database or ""
    if not name or name == ":memory:" or name.startswith("file:"):
        raise UserError(f"{label}: the URL of a SQLite database names a file: sqlite:///folder/file.db")
    check_local(name, roots)
    kept = {key: value for key, value in url.query.items() if key == "timeout"}
    return url.set(database=f"file:{quote(name)}", query={**kept, "mode": mode, "uri": "true"})


def _encryption(url: URL, label: str) -> dict[str, Any]:
    """What `sslmode` says, as libpq means it; without it the connection is encrypted if the server can.

    Raises:
        UserError: It is not known: a connection must not be less safe than what was meant.
    """
    match url.query.get("sslmode"):
        case "disable":
            return {"ssl_context": False}
        case "require":
            return {"ssl_context": True}
        case "verify-ca" | "verify-full" as mode:
            context = ssl.create_default_context()
            context.check_hostname = mode == "verify-full"
            return {"ssl_context": context}
        case None | "allow" | "prefer":
            return {}
    raise UserError(
        f"{label}: its URL has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full"
    )
