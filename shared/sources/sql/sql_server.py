"""Errors of SQL Server and Azure SQL: each driver has their numbers in another place, and Microsoft's own in none.

mssql-python gives what the server says, and the SQLSTATE in words of its own. So an error is known by the English words
that Microsoft documents: Azure SQL has no other language by default.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["code_of"]

# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
# https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
_WORDS: Final = {
    615: "Could not find database ID",
    701: "insufficient system memory",
    1204: "cannot obtain a LOCK resource",
    1205: "chosen as the deadlock victim",
    1222: "Lock request time out period exceeded",
    3960: "Snapshot isolation transaction aborted due to update conflict",
    4060: "requested by the login. The login failed",
    4221: "Login to read-secondary failed",
    8645: "timeout occurred while waiting for memory resources",
    8651: "requested memory grant was not available",
    10928: "limit for the database is",
    10929: "the server is currently too busy",
    10936: "limit for the elastic pool is",
    40197: "The service has encountered an error processing your request",
    40501: "The service is currently busy",
    40613: "is not currently available",
    41301: "that the current transaction took a dependency on has aborted",
    41302: "has been updated since this transaction started",
    41305: "due to a repeatable read validation failure",
    41325: "due to a serializable validation failure",
    41839: "exceeded the maximum number of commit dependencies",
    42109: "The SQL pool is warming up",
    49918: "Not enough resources to process request",
    49919: "Too many create or update operations in progress",
    49920: "Too many operations in progress",
}
# Of the connection, as the operating system or the library of pymssql has them: the driver of Microsoft tells of these
# by the SQLSTATE alone.
_OF_CONNECTIONS: Final = frozenset({64, 121, 233, 10053, 10054, 10060, 20003, 20004, 20006, 20009, 20047})
_NUMBERS: Final = _WORDS.keys() | _OF_CONNECTIONS
# SQLSTATE by the words of mssql-python.
_STATES: Final = {
    "Integrity constraint violation": "23000",
    "Invalid authorization specification": "28000",
    "Serialization failure": "40001",
    "Base table or view not found": "42S02",
    "Column not found": "42S22",
}
_NUMBER_OF_ODBC: Final = re.compile(r"\((\d{1,9})\)(?= \(SQL\w+\)|;|$)")  # `… victim. (1205) (SQLExecDirectW)`


def code_of(error: BaseException) -> str:
    """The code of an error of a driver of SQL Server.

    Returns:
        `MSSQL-` and the number; the SQLSTATE where the number is not known, or says less; empty for any other error.
    """
    match type(error).__module__.partition(".")[0]:
        case "mssql_python":
            number, state = _number_in_words(str(getattr(error, "ddbc_error", ""))), getattr(error, "driver_error", "")
            return number or _STATES.get(state, "")
        case "pyodbc":
            state, said = (*map(str, error.args), "", "")[:2]
            found = _NUMBER_OF_ODBC.search(said)
            return _code(int(found[1]) if found else None) or (state if state in _STATES.values() else "")
        case "pymssql":
            first: Any = error.args[0] if error.args else None
            return _code(first[0] if isinstance(first, tuple) and first else first)
    return ""


def _number_in_words(said: str) -> str:
    return _code(next((number for number, words in _WORDS.items() if words in said), None))


def _code(number: Any) -> str:
    return f"MSSQL-{number}" if number in _NUMBERS else ""
