"""The query language: paths and query options of a URL, and their SQLite conditions.

In the order of a request: `parse_path` splits the path into segments, and `resolve_key` returns the key of a row;
`parse_query` reads the query string, and `check_query` checks its names; `Compiler.filter` and `Compiler.order` return
SQL for the filter and the order. `row_reference` reads path and key of a reference in a body; `matches` evaluates a
filter on a JSON object instead of a table.
"""

from emulator.odata.evaluate import matches, paths_of, text_functions_of
from emulator.odata.options import Expand, Query, check_query, parse_query
from emulator.odata.parser import parse_filter
from emulator.odata.paths import Arguments, RowKey, Segment, parse_path, parse_reference, resolve_key, row_reference
from emulator.odata.scopes import ChildLink, Link, PairLink, Scope, child_link
from emulator.odata.sql import Compiler, Joins, Order, Sql
from emulator.odata.types import edm_type, instant_text

__all__ = [
    "Arguments",
    "ChildLink",
    "Compiler",
    "Expand",
    "Joins",
    "Link",
    "Order",
    "PairLink",
    "Query",
    "RowKey",
    "Scope",
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
    "paths_of",
    "resolve_key",
    "row_reference",
    "text_functions_of",
]
