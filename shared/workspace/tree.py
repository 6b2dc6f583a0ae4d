"""The tree that DuckDB's parser makes of an expression: read, and looked through to its last key.

The allowed content of a tree is listed here, class by class and key by key. A class, a key or a type of operator that
is not listed is refused, so that new features of DuckDB are not allowed without a review.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import duckdb

from shared.workspace.functions import OPERATORS

__all__ = ["TOO_DEEP", "Node", "NotAllowedError", "children", "new_cursor", "read_tree", "rebuilt", "written"]

Node = dict[str, Any]

# What the parser's database may take: an expression that is tried out there (see `Trial`) works on one row.
_MEMORY: Final = "256MB"
# A case expression with some hundred branches has as many characters; more of it is a table.
_LONGEST: Final = 20_000

_REFUSALS: Final[Mapping[str, str]] = {
    "SUBQUERY": "a subquery is not allowed: an expression can use only its own row",
    "WINDOW": "window functions are not allowed: an expression can use only its own row",
    "STAR": "* is not allowed: name the columns",
    "PARAMETER": "$ and ? parameters are not allowed: write @name",
    "POSITIONAL_REFERENCE": "#1 is not allowed: name the column",
}
TOO_DEEP: Final = "this is nested too deeply: split it over several columns"
_DEPTH: Final = "Max expression depth"  # the start of DuckDB's message
_STATEMENTS: Final = "statements are not allowed: write one SQL expression"
_CLAUSES: Final = (
    "this is more than one SQL expression: clauses such as FROM and AS are not allowed; text stands in single quotes"
)

# Keys with a plain value: text, number, true or false.
_EVERYWHERE: Final = frozenset({"class", "type", "alias", "query_location", "query_location_length"})
_PLAIN: Final[Mapping[str, frozenset[str]]] = {
    "CAST": frozenset({"try_cast"}),
    "COLLATE": frozenset({"collation"}),
    "FUNCTION": frozenset({"function_name", "schema", "catalog", "is_operator", "distinct", "export_state"}),
    "LAMBDA": frozenset({"syntax_type"}),
    "TYPE": frozenset({"catalog", "schema", "type_name"}),
}
# Keys with one node, and keys with a list of nodes.
_ONE: Final[Mapping[str, tuple[str, ...]]] = {
    "BETWEEN": ("input", "lower", "upper"),
    "CASE": ("else_expr",),
    "CAST": ("child", "type_expr"),
    "COLLATE": ("child",),
    "COMPARISON": ("left", "right"),
    "LAMBDA": ("lhs", "expr"),
}
_MANY: Final[Mapping[str, str]] = {"CONJUNCTION": "children", "OPERATOR": "children", "TYPE": "children"}
# Keys with a list of parts that are not nodes but contain nodes: the names of all keys in such a part, then the nodes.
_PARTS: Final[Mapping[str, tuple[str, frozenset[str], tuple[str, ...]]]] = {
    "CASE": ("case_checks", frozenset({"when_expr", "then_expr"}), ("when_expr", "then_expr")),
    "FUNCTION": ("arguments", frozenset({"name", "expression"}), ("expression",)),
}


class NotAllowedError(Exception):
    """The user's text is not allowed; the message is for the user."""


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A database without rows, to parse and to bind with."""
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": _MEMORY,
            "enable_external_access": "false",
            "autoload_known_extensions": "false",
            "lock_configuration": "true",
        },
    )


def new_cursor() -> duckdb.DuckDBPyConnection:
    """Return a connection of one's own to the database that expressions are parsed with."""
    return _parser().cursor()


def read_tree(text: str) -> Node:
    """Parse one expression into DuckDB's tree of a SELECT; statements, clauses and further expressions are refused.

    Raises:
        NotAllowedError: The text is not one expression.
    """
    if len(text) > _LONGEST:
        raise NotAllowedError(
            f"an expression has at most {_LONGEST:,} characters, this one {len(text):,}: split it over several columns"
        )
    answer = new_cursor().execute("SELECT json_serialize_sql(?)", [f"SELECT {text}"]).fetchall()[0][0]
    tree: Node = json.loads(answer)
    if tree["error"]:
        if tree.get("error_type") == "not implemented":
            raise NotAllowedError(_STATEMENTS)
        if _DEPTH in tree["error_message"]:
            raise NotAllowedError(TOO_DEEP)
        raise NotAllowedError(f"not an SQL expression: {tree['error_message']}")
    nodes = [statement["node"] for statement in tree["statements"]]
    if len(nodes) != 1 or not _bare(nodes[0]):
        raise NotAllowedError(_CLAUSES)
    if len(nodes[0]["select_list"]) != 1:
        raise NotAllowedError("several expressions are not allowed: write one")
    return tree


def written(tree: Node, expression: Node) -> str:
    """Write the SQL of a checked expression, which takes the place of the one that was read."""
    tree["statements"][0]["node"]["select_list"] = [expression]
    sql: str = new_cursor().execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()[0][0]
    return f"({sql.removeprefix('SELECT ')})"


def _bare(select: Node) -> bool:
    """Whether a SELECT consists of its list alone."""
    harmless = {"type", "select_list", "from_table", "cte_map", "aggregate_handling"}
    return (
        select["type"] == "SELECT_NODE"
        and select["from_table"]["type"] == "EMPTY"
        and not select["cte_map"]["map"]
        and select["aggregate_handling"] == "STANDARD_HANDLING"
        and not any(select[part] for part in select.keys() - harmless)
        and not any(item["alias"] for item in select["select_list"])
    )


def children(node: Node) -> Iterator[Node]:
    """The nodes in a node that `rebuilt` has looked through, in order."""
    kind = node["class"]
    if kind in _PARTS:
        key, _, inner = _PARTS[kind]
        yield from (part[name] for part in node[key] for name in inner)
    if kind in _MANY:
        yield from node[_MANY[kind]]
    yield from (node[key] for key in _ONE.get(kind, ()))


def rebuilt(node: Node, visit: Callable[[Node], Node]) -> Node:
    """Build a node again from the known keys of its class, with each inner node replaced by the result of `visit`.

    Raises:
        NotAllowedError: The node's class, its kind or one of its keys is not among those that are known.
    """
    kind = node["class"]
    if node["type"] not in OPERATORS.get(kind, ()):
        name = node["type"] if kind in OPERATORS else kind
        raise NotAllowedError(_REFUSALS.get(kind, f"{name.lower().replace('_', ' ')} is not allowed here"))
    built: Node = {}
    for key, value in node.items():
        if key in _EVERYWHERE or key in _PLAIN.get(kind, ()):
            built[key] = _plain(value, kind, key)
        elif key in _ONE.get(kind, ()):
            built[key] = visit(value)
        elif key == _MANY.get(kind):
            built[key] = [visit(each) for each in value]
        elif kind in _PARTS and key == _PARTS[kind][0]:
            built[key] = [_part(part, kind, visit) for part in value]
        elif (kind, key) in _SPECIAL:
            built |= _SPECIAL[kind, key](value)
        else:
            raise _unknown(kind, key)
    return built


def _unknown(kind: str, key: str) -> NotAllowedError:
    return NotAllowedError(f"{kind.lower()} with {key} is not allowed here")


def _plain(value: object, kind: str, key: str) -> object:
    if not isinstance(value, str | int | float | None):
        raise _unknown(kind, key)
    return value


def _part(part: Node, kind: str, visit: Callable[[Node], Node]) -> Node:
    _, known, inner = _PARTS[kind]
    if other := part.keys() - known:
        raise _unknown(kind, min(other))
    return {key: visit(value) if key in inner else _plain(value, kind, key) for key, value in part.items()}


def _literal(value: Node) -> Node:
    for key, each in value.items():
        _plain(each, "CONSTANT", key)
    return {"literal": value}


def _names(value: list[object]) -> Node:
    for each in value:
        _plain(each, "COLUMN_REF", "column_names")
    return {"column_names": value}


def _no_filter(value: object) -> Node:
    if value is not None:
        raise NotAllowedError("FILTER, DISTINCT and ORDER BY are not allowed in a function")
    return {"filter": None}


def _no_order(value: Node) -> Node:
    if value != {"type": "ORDER_MODIFIER", "orders": []}:
        raise NotAllowedError("FILTER, DISTINCT and ORDER BY are not allowed in a function")
    return {"order_bys": value}


def _left_out(value: object) -> Node:  # noqa: ARG001 - the name once more, in one piece: the parts of it are checked
    return {}


_SPECIAL: Final[Mapping[tuple[str, str], Callable[[Any], Node]]] = {
    ("CONSTANT", "literal"): _literal,
    ("COLUMN_REF", "column_names"): _names,
    ("FUNCTION", "filter"): _no_filter,
    ("FUNCTION", "order_bys"): _no_order,
    ("FUNCTION", "qualified_name"): _left_out,
    ("FUNCTION", "is_legacy_function_call"): _left_out,  # since 2.0.1; how the call was written
    ("TYPE", "qualified_name"): _left_out,
}
