"""The sandbox of user expressions: only one SQL scalar expression over one row.

An expression is parsed by DuckDB's own parser, its tree is checked node by node against what is allowed, and the SQL
that runs is written from the checked tree. So what was checked is what runs: no comment, quote or bracket of the text
can carry anything past the check.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models.base import Language
from shared.definitions.models.names import ParameterReference, replaced
from shared.errors import DefinitionError, Problem
from shared.suggestions import did_you_mean
from shared.workspace.functions import (
    AGGREGATES,
    CLOCKS,
    FUNCTIONS,
    LAMBDA_TAKERS,
    LIST_AGGREGATES,
    RANDOM,
    TYPES,
    WITHOUT_BOUND,
)
from shared.workspace.growth import check_format, counted, growth, written_text
from shared.workspace.hints import FOREIGN_FUNCTIONS, hints
from shared.workspace.tree import TOO_DEEP, Node, NotAllowedError, new_cursor, read_tree, rebuilt, written

__all__ = ["Expression", "checked", "parsed"]

_Bound = tuple[frozenset[str], ...]
_FAMILIAR: Final = frozenset({"row_number", "isnull", "hash"})
_NOT_SQL: Final = "not an SQL expression"
_DIGESTS: Final[Mapping[str, str]] = {"sha256": "sha256", "sha1": "sha1", "md5": "md5"}
_COLLATION: Final = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")
# Nested lambdas multiply the lengths of lists, which depend on the row.
_MOST_LAMBDAS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression.

    Attributes:
        sql: The SQL to run, written from the checked tree.
        columns: The columns that it reads, spelled as they were declared.
        growth: How many times a text of the row its result can be as long as; see `shared.workspace.growth`.
        numbers_rows: It uses `ROW_NUMBER`.
    """

    sql: str
    columns: frozenset[str]
    growth: int = 1
    numbers_rows: bool = False

    def size(self, columns: Mapping[str, int]) -> int:
        """The same where columns that it reads are calculated and have such a size themselves."""
        return self.growth * max((columns.get(name, 1) for name in self.columns), default=1)


def checked(expression: str, *, names: Collection[str], origin: str) -> str:
    """Return the SQL of a user's expression after checking it; see `parsed`."""
    return parsed(expression, names=names, origin=origin).sql


def parsed(expression: str, *, names: Collection[str], origin: str) -> Expression:
    """Check a user's expression and write its SQL.

    `@name` becomes the bound variable of that parameter; `ISNULL`, `HASH` and `ROW_NUMBER` get their familiar meaning.

    Args:
        expression: What the user wrote.
        names: The columns it may read; one of the form ``source.revenue`` is read as a qualified name.
        origin: Its path in the definition.

    Raises:
        DefinitionError: It is not a single scalar expression, uses something that is not allowed, or an unknown column.
    """
    check = _Check(known={name.lower(): name for name in names}, text=expression)
    text = replaced(expression, _variable, Language.SQL)
    try:
        tree = read_tree(text)
        found = check.node(tree["statements"][0]["node"]["select_list"][0], ())
        size = growth(found)
        sql = written(tree, found)
    except NotAllowedError as error:
        message = str(error)
        if message.startswith(_NOT_SQL):
            message += check.reserved(text) + hints(expression, names)
    except RecursionError:
        message = TOO_DEEP
    else:
        return Expression(sql=sql, columns=frozenset(check.columns), growth=size, numbers_rows=check.numbers_rows)
    raise DefinitionError([Problem(message=message, path=origin)])


@functools.cache
def _reserved() -> frozenset[str]:
    rows = new_cursor().execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'")
    return frozenset(name for (name,) in rows.fetchall())


@functools.cache
def _functions() -> frozenset[str]:
    rows = new_cursor().execute("SELECT DISTINCT function_name FROM duckdb_functions()")
    return frozenset(name for (name,) in rows.fetchall())


@functools.cache
def _aggregates() -> frozenset[str]:
    rows = new_cursor().execute("SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'")
    return frozenset(name for (name,) in rows.fetchall()) | {"count_star"}


def _variable(found: ParameterReference) -> str:
    return f" getvariable('p_{found.name}') "


class _Check:
    """Walks one expression's tree, refuses what is not allowed and rewrites the familiar functions.

    `bound` are the names that the lambdas around a node give, one set a lambda.
    """

    def __init__(self, *, known: Mapping[str, str], text: str) -> None:
        self._known = known
        self._text = text
        self.columns: set[str] = set()
        self.numbers_rows = False

    def reserved(self, text: str) -> str:
        """A hint where a column's name is a word of SQL, such as full or order, which must be written in quotes."""
        words = {word.lower() for word in re.findall(r"\w+", text)} & self._known.keys() & _reserved()
        return "".join(f'; {word} is a word of SQL: write "{word}" in quotes' for word in sorted(words))

    def node(self, node: Node, bound: _Bound) -> Node:
        """Check one node with all that is in it."""
        if node["class"] == "FUNCTION":
            return self._function(node, bound)
        if node["class"] == "LAMBDA" and node["syntax_type"] != "SINGLE_ARROW":
            raise NotAllowedError("a lambda is allowed only in list_transform() and list_filter(), after the list")
        built = rebuilt(node, lambda each: self.node(each, bound))
        match built["class"]:
            case "COLUMN_REF":
                self._column(built, bound)
            case "TYPE":
                _check_type(built)
            case "COLLATE" if not _COLLATION.fullmatch(built["collation"]):
                raise NotAllowedError("a collation is a name such as NOCASE or de")
        return built

    def _column(self, node: Node, bound: _Bound) -> None:
        path: list[str] = node["column_names"]
        if any(path[0].lower() in names for names in bound):
            return
        name = ".".join(path)
        if name.lower() in self._known:
            self.columns.add(self._known[name.lower()])
            return
        if name.lower() in CLOCKS:
            raise _clock(name)
        raise NotAllowedError(f"unknown column {name}{self._suggestion(name)}")

    def _suggestion(self, name: str) -> str:
        names = sorted(self._known.values())
        if close := did_you_mean(name, names, before="; "):
            return close
        if f'"{name}"' in self._text:
            return f"; double quotes are for columns: text stands in single quotes, as in '{name}'"
        return f"; the columns are {', '.join(names[:20])}; if it is text, put it in single quotes: '{name}'"

    def _function(self, node: Node, bound: _Bound) -> Node:
        name = node["function_name"].lower()
        if node["schema"] or node["catalog"]:
            raise NotAllowedError(
                f"write {name}(…) with the value as its first argument, without a dot before the name"
            )
        if name == "getvariable" and _is_parameter(node):
            return rebuilt(node, lambda each: each)
        if name in LAMBDA_TAKERS:
            return rebuilt(node, lambda each: self._over_list(each, bound))
        if name not in FUNCTIONS and name not in _FAMILIAR:
            raise _refused(name)
        built = rebuilt(node, lambda each: self.node(each, bound))
        arguments = [argument["expression"] for argument in built["arguments"]]
        match name:
            case "row_number" if not arguments:
                self.numbers_rows = True
                return _column_node("_row")
            case "isnull":
                return _isnull(arguments)
            case "hash":
                return _hash(arguments)
        _allow(name, built, arguments)
        for argument, value in zip(built["arguments"], counted(name, arguments), strict=True):
            argument["expression"] = value
        return built

    def _over_list(self, node: Node, bound: _Bound) -> Node:
        """An argument of a function that takes a list and a lambda."""
        if node["class"] != "LAMBDA" or node["syntax_type"] == "SINGLE_ARROW":
            return self.node(node, bound)
        if len(bound) == _MOST_LAMBDAS:
            raise NotAllowedError(
                f"at most {_MOST_LAMBDAS} lambdas can be nested: split the expression over several columns"
            )
        given, names = node["lhs"], frozenset(_lambda_names(node["lhs"]))
        return rebuilt(node, lambda each: rebuilt(each, _name) if each is given else self.node(each, (*bound, names)))


def _name(node: Node) -> Node:
    """One of several names on a lambda's left side."""
    return rebuilt(node, _name)


def _allow(name: str, node: Node, arguments: Sequence[Node]) -> None:
    if name in _FAMILIAR:  # not in the form that is known here
        raise _refused(name)
    if node["distinct"]:
        raise NotAllowedError("FILTER, DISTINCT and ORDER BY are not allowed in a function")
    if name in {"format", "printf"}:
        check_format(name, arguments)
    if name == "age" and len(arguments) == 1:
        raise _clock("age() of one moment")
    if name in LIST_AGGREGATES:
        _check_aggregate(name, arguments)


def _refused(name: str) -> NotAllowedError:
    if name in RANDOM:
        return NotAllowedError(
            f"{name}() returns another value at each call, so each run would find all rows changed; define a "
            f"parameter with the formula GUID() and use it as @name"
        )
    if name in CLOCKS:
        return _clock(f"{name}()")
    if name in WITHOUT_BOUND:
        return NotAllowedError(f"{name}() is not allowed: {WITHOUT_BOUND[name]}")
    if name in _aggregates():
        return NotAllowedError(f"{name} uses many rows, but an expression can use only its own row")
    if name not in _functions():
        other = f"; write {FOREIGN_FUNCTIONS[name]}" if name in FOREIGN_FUNCTIONS else ""
        close = other or did_you_mean(name, FUNCTIONS, before="; ", cutoff=0.75, shown="{}()".format)
        return NotAllowedError(f"there is no function {name}(){close or '; the functions are those of DuckDB'}")
    hint = did_you_mean(name, FUNCTIONS, before="; ", cutoff=0.75, shown="{}()".format)
    return NotAllowedError(
        f"{name}() is not allowed: only scalar functions are allowed, and only those that use nothing but their "
        f"arguments{hint}"
    )


def _clock(name: str) -> NotAllowedError:
    return NotAllowedError(
        f"{name} returns another value in each run; define a parameter with the formula NOW() and use it as @name"
    )


def _check_aggregate(name: str, arguments: Sequence[Node]) -> None:
    text = written_text(arguments[1]) if len(arguments) > 1 else None
    if text is None or text.lower() not in AGGREGATES:
        known = ", ".join(sorted(AGGREGATES))
        raise NotAllowedError(f"{name}() takes the name of what it computes as a text, one of {known}")


def _check_type(node: Node) -> None:
    name = ".".join(filter(None, (node.get("catalog"), node.get("schema"), node["type_name"])))
    if name.lower() == "array":
        raise NotAllowedError("a list of fixed size is not allowed: write the type as in VARCHAR[]")
    if name.lower() not in TYPES:
        raise NotAllowedError(f"unknown type {name}")


def _isnull(arguments: list[Node]) -> Node:
    if len(arguments) != 2:  # noqa: PLR2004 - the value and its default
        raise NotAllowedError("ISNULL takes two values: ISNULL(a, b) is b where a is null")
    return {"class": "OPERATOR", "type": "OPERATOR_COALESCE", "children": arguments}


def _hash(arguments: list[Node]) -> Node:
    if len(arguments) != 2 or arguments[0]["class"] != "CONSTANT":  # noqa: PLR2004 - algorithm and value
        raise NotAllowedError("HASH takes an algorithm and a value, as in HASH('SHA256', name)")
    algorithm = str(arguments[0]["literal"].get("text", ""))
    digest = _DIGESTS.get(algorithm.lower().replace("-", ""))
    if digest is None:
        raise NotAllowedError(f"HASH knows {', '.join(_DIGESTS).upper()}, not {algorithm[:20]}")
    text = {"class": "CAST", "type": "OPERATOR_CAST", "child": arguments[1], "try_cast": False, "type_expr": _TEXT}
    return _function_node(digest, text)


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
    """The names on a lambda's left side: one, or a row of them."""
    if node["class"] == "COLUMN_REF" and len(node["column_names"]) == 1:
        yield node["column_names"][0].lower()
    elif node["class"] == "FUNCTION" and node["function_name"] == "row":
        for argument in node["arguments"]:
            yield from _lambda_names(argument["expression"])
    else:
        raise NotAllowedError("a lambda needs names for its arguments, as in lambda x, i: x || i")
