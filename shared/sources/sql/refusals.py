"""Errors of a database in sentences that contain no URL, no password and no value."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

from shared.errors import SourceUnavailableError, UserError
from shared.sources.sql.sql_server import code_of

__all__ = ["refusal"]

_SIGN_IN: Final = "it refuses the user or the password; check the URL in the place where the secret is kept"
_DATABASE: Final = "there is no database of this name on the server; check the URL"
_TABLE: Final = "there is no such table or view, or the user may not see it; check table, its schema and query"
_COLUMN: Final = "there is no such column; check columns, query and filter"
_SYNTAX: Final = "it cannot read the statement; check query and filter"
_PERMISSION: Final = "the user may not read this; grant SELECT"
_CHANGES: Final = "the statement would change data, and a source is only read"
_LOST: Final = "the connection was lost; nothing was written. Start the run again"
_AWAY: Final = "it is not available now; try again later"
_NOT_OPEN: Final = (
    "it cannot be opened: there is no database of this name on the server, or it is not available now; check the URL"
)
_UNREACHED: Final = f"it cannot be reached, or {_LOST}"
_BUSY: Final = "it takes no further connection now; try again later"
_CONFLICT: Final = (
    "other transactions are in the way of the statement (a deadlock, or rows that they changed); try again later"
)
_SHORT: Final = "it has too little memory, disk space or other resources now; try again later"
_LIMIT: Final = "the statement needs more than a limit in the settings of the server allows; let it read less"
_VALUE: Final = "the statement fails on a value of a row; check the calculations and conversions in query and filter"
_UNKNOWN: Final = "it cannot be read; check table, query and filter"
_CONSTRAINT: Final = "a constraint of the table refuses the change"
_REFUSED: Final = "it refuses the statement"
_FILE: Final = "a file or a socket that its URL names does not exist or cannot be read; check the options of the URL"
_TLS: Final = "no safe connection can be made; check the options of the URL about TLS, and the certificate of the host"
_OPTIONS: Final = (
    "its driver or the server does not take the URL; check its options (what follows the ?), its host and its port"
)
_NOT_LISTENING: Final = "its host refuses the connection: no database listens at this port"
_SILENT: Final = "its host does not answer"
_LOCKED: Final = "another program has locked it; try again later"
_STOPPED: Final = "the statement was stopped by the database, because of a time limit or an administrator"


def _mssql(said: str, *numbers: int) -> dict[str, str]:
    return {f"MSSQL-{number}": said for number in numbers}


# SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), numbers of MySQL
# (https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html) and MariaDB
# (https://mariadb.com/kb/en/mariadb-error-code-reference/), codes of Oracle
# (https://docs.oracle.com/en/error-help/db/), and numbers of SQL Server (see `sql_server`).
_CODES: Final = {
    **dict.fromkeys(("28P01", "28000", "1045", "1698", "ORA-01017", "ORA-28000"), _SIGN_IN),
    **dict.fromkeys(("3D000", "1049", "ORA-12514", "ORA-12505"), _DATABASE),
    **dict.fromkeys(("42P01", "42S02", "3F000", "1146", "ORA-00942"), _TABLE),
    **dict.fromkeys(("42703", "42S22", "1054", "ORA-00904"), _COLUMN),
    **dict.fromkeys(("42601", "0A000", "1064", "ORA-00900", "ORA-00933", "ORA-00936", "ORA-00923"), _SYNTAX),
    **dict.fromkeys(("42501", "1044", "1142", "1143", "1227", "ORA-01031"), _PERMISSION),
    **dict.fromkeys(("25006", "1792", "ORA-01456"), _CHANGES),
    **dict.fromkeys(("57P01", "57P02", "57P03", "57P05", "25P03", "40003"), _LOST),
    **dict.fromkeys(("1053", "1927", "2006", "2013", "4031", "ORA-03113", "ORA-03114", "DPY-4011"), _LOST),
    **dict.fromkeys(("53300", "1040", "1203", "1226", "ORA-00018", "ORA-00020", "ORA-02391"), _BUSY),
    **dict.fromkeys(("1020", "1213", "ORA-00060", "ORA-01555", "ORA-08177"), _CONFLICT),
    **dict.fromkeys(("55P03", "1205", "3572", "ORA-00054", "ORA-30006"), _LOCKED),
    **dict.fromkeys(("1037", "1041", "1135", "ORA-04031"), _SHORT),
    "53400": _LIMIT,
    "40002": _CONSTRAINT,
    **dict.fromkeys(("57014", "1317", "1969", "3024", "ORA-01013"), _STOPPED),
    "2026": _TLS,
    "MSSQL-1222": _LOCKED,
    "MSSQL-4060": _NOT_OPEN,
    **_mssql(_LOST, 64, 121, 233, 10053, 10054, 10060, 20003, 20004, 20006, 20009, 20047, 40197),
    **_mssql(_AWAY, 615, 4221, 40613, 42109),
    **_mssql(_SHORT, 701, 1204, 8645, 8651, 10928, 10929, 10936, 40501, 49918, 49919, 49920),
    **_mssql(_CONFLICT, 1205, 3960, 41301, 41302, 41305, 41325, 41839),
}
_CLASSES: Final = {
    "08": _LOST,
    "22": _VALUE,
    "23": _CONSTRAINT,
    "28": _SIGN_IN,
    "40": _CONFLICT,
    "42": _SYNTAX,
    "53": _SHORT,
}
# SQLite has no codes in Python 3.10 and messages that name only what the statement names.
_SQLITE: Final = (
    ("no such table", _TABLE),
    ("no such column", _COLUMN),
    ("unable to open", "the file does not exist or cannot be read; check the path in the URL"),
    ("not a database", "the file is not a SQLite database"),
    ("malformed", "the file is damaged; get it again from its origin"),
    ("readonly", _CHANGES),
    ("locked", _LOCKED),
    ("interrupted", _STOPPED),
    ("constraint failed", _CONSTRAINT),
    ("syntax error", _SYNTAX),
    ("incomplete input", _SYNTAX),
    ("too many attached databases", "the statement uses another file (ATTACH or VACUUM), which is not allowed"),
)
_NETWORK: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "the name of its host is not known; check the URL"),
    (ConnectionRefusedError, _NOT_LISTENING),
    (TimeoutError, _SILENT),
    (FileNotFoundError, _FILE),
    (PermissionError, _FILE),
    (IsADirectoryError, _FILE),
    (ssl.SSLError, _TLS),
    (OSError, _LOST),
)
# Errors that can end without a correction by a person.
_PASSING: Final = (_LOST, _AWAY, _NOT_OPEN, _BUSY, _NOT_LISTENING, _SILENT, _LOCKED, _CONFLICT, _SHORT)
# What is said instead where no connection is made yet, and where one was made.
_OF_CONNECTING: Final = dict.fromkeys((_REFUSED, _SYNTAX, _UNKNOWN), _OPTIONS)
_OF_READING: Final = {_TLS: _LOST}
# What is said instead about a statement that changes something.
_NOT_KNOWN: Final = "the connection was lost; it is not known whether the statement was carried out"
_OF_CHANGES: Final = {
    _TABLE: "there is no such table or procedure, or the user may not see it; check the statement",
    _COLUMN: "there is no such column; check the statement",
    _SYNTAX: "it cannot read the statement",
    _PERMISSION: "the user may not do this; grant what the statement needs",
    _CHANGES: "the database can only be read",
    _LOST: _NOT_KNOWN,
    _UNREACHED: f"it cannot be reached, or {_NOT_KNOWN}",
    _VALUE: "the statement fails on a value; check its calculations, conversions and parameters",
    _UNKNOWN: "it refuses the statement; check its SQL and its parameters",
}


def refusal(error: Exception, label: str, *, connecting: bool = False, changing: bool = False) -> UserError:
    """Describe an error of a database or its driver. The error itself is left out: it may contain values.

    Args:
        error: What the driver or SQLAlchemy raised.
        label: The database as messages show it.
        connecting: There is no connection yet.
        changing: The statement is one that changes something.

    Returns:
        The error to raise: `SourceUnavailableError` where it may pass by itself.
    """
    said, detail = _explained([*_chain(error)])
    said = (_OF_CONNECTING if connecting else _OF_READING).get(said, said)
    kind = SourceUnavailableError if any(each in said for each in _PASSING) else UserError
    return kind(f"{label}: {_OF_CHANGES.get(said, said) if changing else said}{detail}")


def _explained(known: list[BaseException]) -> tuple[str, str]:
    """What an error is, and what is added to that."""
    other = ""
    for each in known:
        code = _code(each)
        if message := _CODES.get(code) or _CLASSES.get(code[:2] if len(code) == _SQLSTATE else ""):
            return message, _detail(each, code)
        other = other or code
    for each in known:
        if type(each).__module__.startswith("sqlite3"):
            return _of_sqlite(str(each))
    for kind, message in _NETWORK:
        if any(isinstance(each, kind) for each in known):
            return message, ""
    if other:
        return _REFUSED, f" (error {other})"
    name = type(known[-1]).__name__
    if any(type(each).__name__ in {"InterfaceError", "OperationalError"} for each in known):
        return _UNREACHED, f" ({name})"
    return _UNKNOWN, f" ({name})"


_SQLSTATE: Final = 5


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__ or seen.__context__


def _code(error: BaseException) -> str:
    """The code of an error: SQLSTATE, number, ORA or MSSQL code; empty where it has none."""
    if found := code_of(error):
        return found
    first: Any = error.args[0] if error.args else None
    if isinstance(first, dict):  # pg8000: the fields of an ErrorResponse
        return str(first.get("C", ""))
    if isinstance(first, int) and not isinstance(error, OSError):  # PyMySQL
        return str(first)
    return str(getattr(first, "full_code", "") or getattr(error, "sqlstate", "") or "")


def _detail(error: BaseException, code: str) -> str:
    """What PostgreSQL says about a statement: names of the statement and no values, which are all in other classes."""
    first: Any = error.args[0] if error.args else None
    if isinstance(first, dict) and code.startswith(("42", "0A")) and code != "42804":
        return f" ({first.get('M', '')})"
    return f" (error {code})"


def _of_sqlite(message: str) -> tuple[str, str]:
    told = next((said for words, said in _SQLITE if words in message.lower()), _UNKNOWN)
    named = re.search(r'no such (?:table|column): ([^\n]{1,200})|near "([^"\n]{1,60})"', message)
    return told, f" ({named[1] or named[2]})" if named else ""
