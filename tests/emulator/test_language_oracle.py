"""Random filters, answered by SQLite and by a short independent implementation in Python."""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulator.language_world import World, guid, random_rows, world_of

Row = Mapping[str, Any]
Node = tuple[Any, ...]
TURNED = {"eq": "ne", "ne": "eq", "gt": "le", "le": "gt", "ge": "lt", "lt": "ge"}
COUNT = 60


@cache
def world() -> World:
    return world_of(random_rows(seed=11, count=COUNT))


def fold(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return bare(value).rstrip(" ")


def bare(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char)).lower()


def compare(left: Any, operator: str, right: Any) -> bool:
    if right is None:
        return (left is None) is (operator == "eq") if operator in {"eq", "ne"} else False
    if left is None:
        return operator == "ne"
    left, right = fold(left), fold(right)
    return bool(
        {"eq": left == right, "ne": left != right, "gt": left > right, "ge": left >= right, "lt": left < right,
         "le": left <= right}[operator]
    )  # fmt: skip


def like(function: str, value: str | None, text: str) -> bool:
    """SQL Server's LIKE as a regular expression."""
    if value is None or text.count("["):
        return False
    pattern = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in text)
    whole = {"contains": f".*{pattern}.*", "startswith": f"{pattern}.*", "endswith": f".*{pattern}"}[function]
    return re.fullmatch(bare(whole), bare(value), re.DOTALL) is not None


def truth(node: Node, row: Row, *, negated: bool = False) -> bool:
    match node:
        case ("and", parts):
            results = [truth(part, row, negated=negated) for part in parts]
            return any(results) if negated else all(results)
        case ("or", parts):
            results = [truth(part, row, negated=negated) for part in parts]
            return all(results) if negated else any(results)
        case ("not", part):
            return truth(part, row, negated=not negated)
        case ("compare", column, operator, value, _):
            return compare(row[column], TURNED[operator] if negated else operator, value)
        case ("in", column, values, _):
            return (row[column] is not None and fold(row[column]) in map(fold, values)) is not negated
        case ("like", function, column, text):
            return like(function, row[column], text) is not negated
        case _:
            raise AssertionError(node)


def written(node: Node) -> str:
    match node:
        case ("and" | "or" as word, parts):
            return "(" + f" {word} ".join(written(part) for part in parts) + ")"
        case ("not", part):
            return f"not ({written(part)})"
        case ("compare", column, operator, _, text):
            return f"{property_of(column)} {operator} {text}"
        case ("in", column, _, texts):
            return "(" + " or ".join(f"{property_of(column)} eq {text}" for text in texts) + ")"
        case ("like", function, column, text):
            return f"{function}({column},{quote(text)})"
        case _:
            raise AssertionError(node)


def property_of(column: str) -> str:
    return f"_{column}_value" if column == "new_parentid" else column


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


TEXTS = st.text(alphabet="aAäbB éE%_' ", min_size=1, max_size=3)
VALUES: dict[str, st.SearchStrategy[tuple[Any, str]]] = {
    "new_name": TEXTS.map(lambda text: (text, quote(text))),
    "new_code": st.tuples(st.sampled_from("aAbä"), st.integers(1, COUNT)).map(
        lambda pair: (f"{pair[0]}{pair[1]}", f"'{pair[0]}{pair[1]}'")
    ),
    "new_count": st.integers(-3, 4).map(lambda value: (value, str(value))),
    "new_amount": st.sampled_from([0, 1, 1.5, -2.25, 3]).map(lambda value: (value, str(value))),
    "new_kind": st.integers(1, 4).map(lambda value: (value, str(value))),
    "new_day": st.integers(14, 21).map(lambda day: (f"2026-03-{day}", f"2026-03-{day}")),
    "new_moment": st.tuples(st.integers(14, 21), st.integers(0, 23)).map(
        lambda pair: (f"2026-03-{pair[0]}T{pair[1]:02}:00:00Z",) * 2
    ),
}
EQUAL_ONLY: dict[str, st.SearchStrategy[tuple[Any, str]]] = {
    "new_flag": st.booleans().map(lambda value: (int(value), str(value).lower())),
    "new_parentid": st.integers(1, COUNT).map(lambda number: (guid(number), guid(number))),
}
NULL = st.just((None, "null"))


@st.composite
def comparisons(draw: st.DrawFn) -> Node:
    column = draw(st.sampled_from([*VALUES, *EQUAL_ONLY]))
    operator = draw(st.sampled_from(list(TURNED) if column in VALUES else ["eq", "ne"]))
    value, text = draw(
        VALUES.get(column, EQUAL_ONLY.get(column, NULL))
        | (NULL if operator in {"eq", "ne"} else NULL.filter(lambda _: False))
    )
    return ("compare", column, operator, value, text)


@st.composite
def memberships(draw: st.DrawFn) -> Node:
    column = draw(st.sampled_from(list(VALUES)))
    pairs = draw(st.lists(VALUES[column], min_size=1, max_size=4))
    return ("in", column, [value for value, _ in pairs], [text for _, text in pairs])


PATTERNS = st.tuples(
    st.just("like"),
    st.sampled_from(["contains", "startswith", "endswith"]),
    st.sampled_from(["new_name", "new_code"]),
    TEXTS,
)
FILTERS = st.recursive(
    comparisons() | memberships() | PATTERNS,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=4))
        | st.tuples(st.just("not"), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(FILTERS)
def test_sqlite_finds_what_the_oracle_finds(node: Node) -> None:
    """A filter compiled to SQL finds exactly the rows that the simple implementation finds."""
    expected = [number for number, row in world().rows.items() if truth(node, row)]
    assert world().found(written(node)) == expected
