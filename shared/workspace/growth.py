"""How large the result of an expression can become: a bound from its tree, before a row is read.

DuckDB can be interrupted between its functions and not within one, so one call such as `repeat('x', 1000000000)` would
hold a run beyond its deadline and fill memory that DuckDB does not count. So each expression has a bound: the size of
what each part of it can result in, counted in texts of the row's size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shared.workspace.functions import LAMBDA_TAKERS, LIST_AGGREGATES
from shared.workspace.tree import Node, NotAllowedError, children

__all__ = ["COMPUTED_COUNT", "MOST", "check_format", "counted", "growth", "too_long", "written_text"]

# Texts of a row have some hundred characters, and DuckDB works on 2,048 rows at a time: some gigabytes at the worst.
MOST: Final = 10_000
# A count that is computed from the row is made a TINYINT: enough to pad a text, and a larger one fails on its row.
COMPUTED_COUNT: Final = 127
_CHARACTERS: Final = 100  # what counts as one text
_COUNTED: Final[Mapping[str, tuple[int, ...]]] = {
    "repeat": (1,),
    "lpad": (1,),
    "rpad": (1,),
    "list_resize": (1,),
    "array_resize": (1,),
    "range": (0, 1, 2),
    "generate_series": (0, 1, 2),
}
# How much longer than its arguments a result can be: bits of a byte, quotes that are escaped, indented lines.
_FACTORS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("bin", "to_binary"), 8),
    **dict.fromkeys(("encode", "from_base64", "from_hex", "unhex", "from_binary", "unbin", "json_pretty"), 4),
    **dict.fromkeys(("base64", "to_base64", "hex", "to_hex", "regexp_escape", "url_encode"), 3),
    **dict.fromkeys(("to_json", "json_quote", "json_object", "json_array", "row_to_json", "array_to_json"), 3),
    **dict.fromkeys(("list_value", "list_pack", "row", "struct_pack", "map"), 2),
}
_DIGESTS: Final = frozenset({"md5", "sha1", "sha256", "md5_number"})
_REPLACED_BY_A_COLUMN: Final = 3
_WIDTH: Final = re.compile(r"[0-9]{4,}")
_INNER_WIDTH: Final = re.compile(r"\{[^}]*\{|%[^a-zA-Z%]*\*")
_TINYINT: Final[Node] = {"class": "TYPE", "type": "TYPE", "type_name": "TINYINT", "children": []}


def counted(name: str, arguments: Sequence[Node]) -> list[Node]:
    """The arguments of a function, with a bound on each that says how long the result is."""
    places = _COUNTED.get(name, ())
    return [
        _bounded(argument) if place in places and _number(argument) is None else argument
        for place, argument in enumerate(arguments)
    ]


def _bounded(argument: Node) -> Node:
    return {
        "class": "CAST",
        "type": "OPERATOR_CAST",
        "child": argument,
        "try_cast": False,
        "type_expr": _TINYINT,
    }


def check_format(name: str, arguments: Sequence[Node]) -> None:
    """Refuse a format whose widths are large or not known.

    Raises:
        NotAllowedError: It is not written as a text, or pads to 1,000 characters and more.
    """
    text = written_text(arguments[0]) if arguments else ""
    if text is None:
        raise NotAllowedError(f"{name}() needs its format as a text literal")
    if _WIDTH.search(text) or _INNER_WIDTH.search(text):
        raise NotAllowedError(f"{name}() pads to at most 999 characters, and the format must contain the width")


def growth(node: Node) -> int:
    """How many times a text of the row an expression can result in.

    Raises:
        NotAllowedError: Some part of it exceeds `MOST`.
    """
    match node["class"]:
        case "CONSTANT":
            found = 1 + len(str(node["literal"].get("text", ""))) // _CHARACTERS
        case "FUNCTION":
            found = _of_function(node["function_name"].lower(), [each["expression"] for each in node["arguments"]])
        case "CASE" | "OPERATOR" as kind:
            found = _largest(kind, node, [growth(each) for each in children(node)])
        case "CAST" | "COLLATE":
            found = growth(node["child"])
        case "LAMBDA":
            found = max(growth(each) for each in children(node))
        case _:
            found = max((growth(each) and 1 for each in children(node)), default=1)  # true, false or a column
    return _checked(found)


def too_long(size: int) -> str:
    """Why a result of such a size is refused; empty where it is not."""
    if size <= MOST:
        return ""
    return (
        f"the result can become {size:,} times as long as a text of the row; the limit is {MOST:,} times. The "
        f"factors of repeat(), range(), replace(), lists, lambdas and calculated columns are multiplied"
    )


def _checked(found: int) -> int:
    if message := too_long(found):
        raise NotAllowedError(message)
    return found


def _largest(kind: str, node: Node, sizes: Sequence[int]) -> int:
    match kind, node["type"]:
        case "OPERATOR", "ARRAY_CONSTRUCTOR":
            return 2 * sum(sizes)
        case "OPERATOR", "OPERATOR_IS_NULL" | "OPERATOR_IS_NOT_NULL" | "OPERATOR_NOT" | "COMPARE_IN" | "COMPARE_NOT_IN":
            return 1
        case _:
            return max(sizes)


def _of_function(name: str, arguments: Sequence[Node]) -> int:
    if name in _DIGESTS:
        return max((growth(each) and 1 for each in arguments), default=1)
    sizes = [growth(each) for each in arguments]
    if name in _OWN and len(arguments) > 1:
        return _OWN[name](arguments, sizes)
    if name in {"range", "generate_series"}:
        return _range(arguments)
    if name in LAMBDA_TAKERS:
        return math.prod(sizes)
    return _FACTORS.get(name, 1) * max(1, sum(sizes))


def _repeat(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    return sizes[0] * max(1, _count(arguments[1]))


def _pad(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    return sum(sizes) + _count(arguments[1]) // _CHARACTERS


def _resize(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    return sizes[0] + sum(sizes[2:]) * max(1, _count(arguments[1])) + _count(arguments[1])


def _replace(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    pattern, by = written_text(arguments[1]), written_text(arguments[-1])
    if by is None:
        return max(sizes) * _REPLACED_BY_A_COLUMN
    return sizes[0] * max(1, math.ceil(len(by) / max(1, len(pattern or ""))))


def _replace_pattern(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    by = written_text(arguments[2]) if len(arguments) > 2 else None  # noqa: PLR2004 - text, pattern, replacement
    return sizes[0] * (_REPLACED_BY_A_COLUMN if by is None else 1 + len(by))


def _joined(arguments: Sequence[Node], sizes: Sequence[int]) -> int:  # noqa: ARG001 - one signature for all
    return sizes[0] * (1 + sum(sizes[1:]))


def _joined_by_first(arguments: Sequence[Node], sizes: Sequence[int]) -> int:
    return sizes[0] * len(arguments) + sum(sizes[1:])


_OWN: Final[Mapping[str, Callable[[Sequence[Node], Sequence[int]], int]]] = {
    "repeat": _repeat,
    **dict.fromkeys(("lpad", "rpad"), _pad),
    **dict.fromkeys(("list_resize", "array_resize"), _resize),
    "replace": _replace,
    "regexp_replace": _replace_pattern,
    "concat_ws": _joined_by_first,
    **dict.fromkeys(("array_to_string", "list_string_agg", *LIST_AGGREGATES), _joined),
}


def _range(arguments: Sequence[Node]) -> int:
    """How many numbers a range can hold."""
    ends = [_number(each) for each in arguments]
    match ends:
        case [stop]:
            first, last, step = 0, stop, 1
        case [first, last]:
            step = 1
        case [first, last, step]:
            pass
        case _:
            return 1
    if step is None:
        raise NotAllowedError("the step of a range must be a whole number, written as a literal")
    low = -COMPUTED_COUNT - 1 if first is None else first
    high = COMPUTED_COUNT if last is None else last
    if step < 0:
        low, high = (-COMPUTED_COUNT - 1 if last is None else last), (COMPUTED_COUNT if first is None else first)
    return max(1, 1 + (high - low) // max(1, abs(step)))


def _count(argument: Node) -> int:
    number = _number(argument)
    return COMPUTED_COUNT if number is None else number


def _number(node: Node) -> int | None:
    """A whole number that is written in the expression."""
    literal = node["literal"] if node["class"] == "CONSTANT" else {}
    digits = str(literal.get("text", ""))
    if literal.get("kind") != "INTEGER" or not re.fullmatch(r"-?[0-9]{1,18}", digits):
        return None
    return int(digits)


def written_text(node: Node) -> str | None:
    """A text that is written in the expression."""
    if node["class"] != "CONSTANT" or node["literal"].get("kind") != "STRING":
        return None
    return str(node["literal"]["text"])
