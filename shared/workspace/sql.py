"""Pieces of SQL text: quoted names and literals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

__all__ = ["SqlValue", "json_rows", "literal", "quoted"]

SqlValue = str | int | float | bool | Decimal | date | datetime | None


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


def json_rows(columns: Mapping[str, str], *, parameter: str = "?", flat: bool = False) -> str:
    """Return a query, in brackets, that reads rows from a parameter: a text with a JSON array of objects.

    Args:
        columns: The members of each object with their DuckDB types; one that an object lacks is NULL.
        parameter: How the statement names the parameter.
        flat: Whether each member is a column of the query; else each row is one structure called ``r``.
    """
    items = f"from_json({parameter}::VARCHAR, {literal(json.dumps([columns]))})"
    return f"(SELECT unnest({items}, max_depth := 2))" if flat else f"(SELECT unnest({items}) AS r)"
