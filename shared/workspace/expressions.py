"""The sandbox of user expressions: one SQL scalar expression over one row, and nothing else.

An expression is parsed by DuckDB's own parser, its tree is checked node by node against what is allowed, and the SQL
that runs is written from the checked tree. So what was checked is what runs: no comment, quote or bracket of the text
can carry anything past the check.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from shared.errors import DefinitionError, Problem

__all__ = ["Expression", "checked", "new_cursor", "parsed"]

Node = dict[str, Any]

_ALLOWED: Final = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
        "TYPE",
    }
)
_REFUSALS: Final[Mapping[str, str]] = {
    "SUBQUERY": "a subquery is not allowed: an expression sees its own row alone",
    "WINDOW": "window functions are not allowed: an expression sees its own row alone",
    "STAR": "* is not allowed: name the columns",
    "PARAMETER": "$ and ? parameters are not allowed: write @name",
    "POSITIONAL_REFERENCE": "#1 is not allowed: name the column",
}
# Words that SQL lets stand without parentheses.
_CLOCK_WORDS: Final = frozenset({"current_date", "current_timestamp", "localtimestamp"})
_CLOCKS: Final = frozenset({"now", "today", "get_current_timestamp", "transaction_timestamp"})
# Another value at every call: a run that uses them would never find its target up to date.
_RANDOM: Final = frozenset({"gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"})
# Consistent by DuckDB's account, yet about the database and its settings and not about the row.
_ABOUT_THE_DATABASE: Final = re.compile(
    r"__.*|pg_.*|has_.*_privilege|inet_.*|current_.*|session_user|user|getenv|getvariable|version|write_log|sleep_ms"
    r"|json_(de)?serialize_.*|json_execute.*|parse_duckdb_log_message|get_block_size|.*_description|format_pg_type"
    r"|error|stats|index_key|enum_.*|can_cast_implicitly|finalize|combine|invoke|txid_current|in_search_path"
)
_DIGESTS: Final[Mapping[str, str]] = {"sha256": "sha256", "sha1": "sha1", "md5": "md5"}

# Text in quotes and comments first, so that an @ inside them is left alone.
_PARAMETER: Final = re.compile(
    r"""(?P<kept>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | --[^\n]* | /\*.*?\*/)
      | @(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression.

    Attributes:
        sql: The SQL to run, written from the checked tree.
        columns: The columns that it reads, spelled as they were declared.
    """

    sql: str
    columns: frozenset[str]


def checked(expression: str, *, names: Collection[str], origin: str) -> str:
    """Return the SQL of a user's expression after checking it; see `parsed`."""
    return parsed(expression, names=names, origin=origin).sql


def parsed(expression: str, *, names: Collection[str], origin: str) -> Expression:
    """Check a user's expression and write its SQL.

    `@name` becomes the bound variable of that parameter; `ISNULL`, `HASH` and `ROW_NUMBER` get their familiar meaning.

    Args:
        expression: What the user wrote.
        names: The columns it may read; one of the form ``source.revenue`` is read as a qualified name.
        origin: Where it stands in the definition.

    Raises:
        DefinitionError: It is no single scalar expression, uses something that is not allowed, or an unknown column.
    """
    check = _Check(known={name.lower(): name for name in names}, origin=origin)
    tree = _tree(_PARAMETER.sub(_bound, expression), check)
    select = tree["statements"][0]["node"]
    select["select_list"] = [check.node(select["select_list"][0], frozenset())]
    sql = new_cursor().execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()[0][0]
    return Expression(sql=f"({sql.removeprefix('SELECT ')})", columns=frozenset(check.columns))


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A database without rows, to parse and to bind with."""
    return duckdb.connect(
        ":memory:",
        config={"threads": 1, "enable_external_access": "false", "autoload_known_extensions": "false"},
    )


def new_cursor() -> duckdb.DuckDBPyConnection:
    """Return a connection of one's own to the database that expressions are parsed with."""
    return _parser().cursor()


@functools.cache
def _functions() -> frozenset[str]:
    """The scalar functions whose result depends on their arguments alone."""
    rows = (
        _parser()
        .cursor()
        .execute(
            """SELECT lower(function_name) FROM duckdb_functions()
           WHERE function_type = 'scalar' AND stability = 'CONSISTENT' OR function_type = 'macro'
           EXCEPT SELECT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('aggregate', 'window')"""
        )
    )
    # A name with a scalar form beside the aggregate one would be lost by EXCEPT; DuckDB 2 has none.
    return frozenset(name for (name,) in rows.fetchall() if not _ABOUT_THE_DATABASE.fullmatch(name))


@functools.cache
def _reserved() -> frozenset[str]:
    rows = new_cursor().execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'")
    return frozenset(name for (name,) in rows.fetchall())


@functools.cache
def _aggregates() -> frozenset[str]:
    rows = new_cursor().execute("SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'")
    return frozenset(name for (name,) in rows.fetchall()) | {"count_star"}


def _bound(match: re.Match[str]) -> str:
    return match["kept"] or f" getvariable('p_{match['name']}') "


def _tree(text: str, check: _Check) -> Node:
    """Parse one expression; statements, clauses and further expressions are refused here."""
    answer = new_cursor().execute("SELECT json_serialize_sql(?)", [f"SELECT {text}"]).fetchall()[0][0]
    tree: Node = json.loads(answer)
    if tree["error"]:
        if tree.get("error_type") == "not implemented":
            raise check.refused("statements are not allowed: write one SQL expression")
        raise check.refused(f"not an SQL expression: {tree['error_message']}{check.reserved(text)}")
    nodes = [statement["node"] for statement in tree["statements"]]
    if len(nodes) != 1 or not _bare(nodes[0]):
        raise check.refused("statements and clauses such as FROM are not allowed: write one SQL expression")
    if len(nodes[0]["select_list"]) != 1:
        raise check.refused("several expressions are not allowed: write one")
    return tree


def _bare(select: Node) -> bool:
    """Whether a SELECT consists of its list alone."""
    return (
        select["type"] == "SELECT_NODE"
        and select["from_table"]["type"] == "EMPTY"
        and not select["cte_map"]["map"]
        and not any(select[part] for part in ("modifiers", "where_clause", "group_expressions", "group_sets"))
        and not any(select[part] for part in ("having", "sample", "qualify"))
        and not any(item["alias"] for item in select["select_list"])
    )


class _Check:
    """Walks one expression's tree, refuses what is not allowed and rewrites the familiar functions."""

    def __init__(self, *, known: Mapping[str, str], origin: str) -> None:
        self._known = known
        self._origin = origin
        self.columns: set[str] = set()

    def refused(self, message: str) -> DefinitionError:
        return DefinitionError([Problem(message=message, path=self._origin)])

    def reserved(self, text: str) -> str:
        """A hint where a column's name is a word of SQL, such as full or order, which has to stand in quotes."""
        words = {word.lower() for word in re.findall(r"\w+", text)} & self._known.keys() & _reserved()
        return "".join(f'; {word} is a word of SQL: write "{word}" with quotes' for word in sorted(words))

    def node(self, node: Node, bound: frozenset[str]) -> Node:
        """Check one expression node; `bound` are the parameters of the lambdas around it."""
        kind = node["class"]
        if kind not in _ALLOWED:
            raise self.refused(_REFUSALS.get(kind, f"{kind.lower().replace('_', ' ')} is not allowed here"))
        match kind:
            case "COLUMN_REF":
                return self._column(node, bound)
            case "FUNCTION":
                return self._function(node, bound)
            case "LAMBDA":
                return self._lambda(node, bound)
            case "TYPE" if node["schema"] or node["catalog"]:
                raise self.refused(f"unknown type {node['schema']}.{node['type_name']}")
            case _:
                return {key: self._part(value, bound) for key, value in node.items()}

    def _part(self, value: Any, bound: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self._part(item, bound) for item in value]
        if not isinstance(value, dict):
            return value
        if "class" in value:
            return self.node(value, bound)
        return {key: self._part(item, bound) for key, item in value.items()}

    def _column(self, node: Node, bound: frozenset[str]) -> Node:
        path: list[str] = node["column_names"]
        if path[0].lower() in bound:
            return node
        written = ".".join(path)
        if written.lower() in self._known:
            self.columns.add(self._known[written.lower()])
            return node
        if written.lower() in _CLOCK_WORDS:
            return node
        raise self.refused(f"unknown column {written}{self._suggestion(written)}")

    def _suggestion(self, written: str) -> str:
        close = difflib.get_close_matches(written.lower(), self._known, n=1, cutoff=0.6)
        if close:
            return f"; did you mean {self._known[close[0]]}?"
        return f"; the columns are {', '.join(sorted(self._known.values())[:20])}"

    def _function(self, node: Node, bound: frozenset[str]) -> Node:
        name = node["function_name"].lower()
        if node["schema"] or node["catalog"]:
            raise self.refused(f"write {name}(…) with the value as its first argument, without a dot before the name")
        if name == "getvariable" and _is_parameter(node):
            return node
        arguments = [self.node(argument["expression"], bound) for argument in node["arguments"]]
        match name:
            case "row_number" if not arguments:
                return _column_node("_row")
            case "isnull":
                return self._isnull(arguments)
            case "hash":
                return self._hash(arguments)
            case _:
                self._allow(name, node)
                return {key: self._part(value, bound) for key, value in node.items()}

    def _allow(self, name: str, node: Node) -> None:
        if name in _RANDOM:
            raise self.refused(
                f"{name}() gives another value at every call, so that every run would find every row changed; "
                "define a parameter with the formula GUID() and use it as @name"
            )
        if name in _functions() or name in _CLOCKS:
            if node["filter"] or node["distinct"] or node["order_bys"]["orders"]:
                raise self.refused(f"FILTER, DISTINCT and ORDER BY are not allowed in {name}()")
            return
        if name in _aggregates():
            raise self.refused(f"{name} looks at many rows; an expression sees its own row alone")
        close = difflib.get_close_matches(name, _functions(), n=1, cutoff=0.75)
        raise self.refused(
            f"{name}() is not allowed: only scalar functions are, and only those that look at nothing but their "
            f"arguments{f'; did you mean {close[0]}()?' if close else ''}"
        )

    def _isnull(self, arguments: list[Node]) -> Node:
        if len(arguments) != 2:  # noqa: PLR2004 - the value, and what stands in for it
            raise self.refused("ISNULL takes two values: ISNULL(a, b) is b where a is null")
        return {"class": "OPERATOR", "type": "OPERATOR_COALESCE", "children": arguments}

    def _hash(self, arguments: list[Node]) -> Node:
        if len(arguments) != 2 or arguments[0]["class"] != "CONSTANT":  # noqa: PLR2004 - algorithm and value
            raise self.refused("HASH takes an algorithm and a value, as in HASH('SHA256', name)")
        algorithm = str(arguments[0]["literal"]["text"])
        digest = _DIGESTS.get(algorithm.lower().replace("-", ""))
        if digest is None:
            raise self.refused(f"HASH knows {', '.join(_DIGESTS).upper()}, not {algorithm}")
        text = {"class": "CAST", "type": "OPERATOR_CAST", "child": arguments[1], "try_cast": False, "type_expr": _TEXT}
        return _function_node(digest, text)

    def _lambda(self, node: Node, bound: frozenset[str]) -> Node:
        names = frozenset(_lambda_names(node["lhs"]))
        if node["syntax_type"] == "SINGLE_ARROW" and names & (self._known.keys() | bound):
            # `a -> '$.b'`: not a lambda but the extraction from JSON text, which DuckDB writes alike.
            return node | {"lhs": self.node(node["lhs"], bound), "expr": self.node(node["expr"], bound)}
        return node | {"expr": self.node(node["expr"], bound | names)}


_TEXT: Final[Node] = {"class": "TYPE", "type": "TYPE", "type_name": "VARCHAR", "children": []}


def _column_node(name: str) -> Node:
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [name]}


def _function_node(name: str, *arguments: Node) -> Node:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "function_name": name,
        "arguments": [{"name": "", "expression": argument} for argument in arguments],
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
    }


def _is_parameter(node: Node) -> bool:
    """Whether a call of getvariable reads a parameter, as `@name` does."""
    values = [argument["expression"] for argument in node["arguments"]]
    return len(values) == 1 and values[0]["class"] == "CONSTANT" and str(values[0]["literal"]["text"]).startswith("p_")


def _lambda_names(node: Node) -> Iterator[str]:
    if node["class"] == "COLUMN_REF":
        yield node["column_names"][0].lower()
    elif node["class"] == "FUNCTION" and node["function_name"] == "row":
        for argument in node["arguments"]:
            yield from _lambda_names(argument["expression"])
