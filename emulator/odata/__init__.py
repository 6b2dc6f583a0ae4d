"""The query language: from the text of a URL to SQLite conditions.

In the order a request needs it: `parse_path` cuts the path into segments and `resolve_key` says which row one
addresses; `parse_query` reads the query string and `check_query` looks its names up; `Compiler.filter` and
`Compiler.order` turn the filter and the order into SQL. `row_reference` does path and key at once for the references
in bodies; `matches` evaluates a filter on a JSON object instead of a table.
"""

from emulator.odata.evaluate import matches
from emulator.odata.options import Expand, Query, check_query, parse_query
from emulator.odata.parser import parse_filter
from emulator.odata.paths import Arguments, RowKey, Segment, parse_path, parse_reference, resolve_key, row_reference
from emulator.odata.scopes import ChildLink, child_link
from emulator.odata.sql import Compiler, Order, Sql
from emulator.odata.types import edm_type, instant_text

__all__ = [
    "Arguments",
    "ChildLink",
    "Compiler",
    "Expand",
    "Order",
    "Query",
    "RowKey",
    "Segment",
    "Sql",
    "check_query",
    "child_link",
    "edm_type",
    "instant_text",
    "matches",
    "parse_filter",
    "parse_path",
    "parse_query",
    "parse_reference",
    "resolve_key",
    "row_reference",
]
