"""Pieces of SQL text: quoted names, literals and the named steps that a run is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

__all__ = ["SqlValue", "Step", "literal", "quoted"]

SqlValue = str | int | float | bool | Decimal | date | datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a run: what `explain` prints and the workspace executes.

    Attributes:
        title: What it does, in a few words.
        sql: One SQL statement.
        origin: Where in the definition it comes from, such as ``source.filter``; empty for the program's own.
    """

    title: str
    sql: str
    origin: str = ""


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: SqlValue) -> str:
    """Return a value as an SQL literal: text, number, boolean, date, timestamp (UTC) or NULL."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return f"CAST('{value}' AS DOUBLE)"
        case float():
            return f"CAST({value!r} AS DOUBLE)"
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"TIMESTAMP '{plain.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
