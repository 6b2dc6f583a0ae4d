"""Rules between the keys that say how a column's values are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.calculated import is_calculated
from shared.definitions.loading.rules.raw import Raw
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.notation import DECIMAL_SEPARATOR, FALSE_WORDS, TRUE_WORDS

__all__ = ["TYPE_OF_KEY", "notation_problems"]


TYPE_OF_KEY: Final = {
    "decimal_separator": "number",
    "thousands_separator": "number",
    "strip": "number",
    "input_format": "date",
    "time_zone": "date",
    "on_ambiguous_time": "date",
    "pivot": "date",
    "true_values": "bool",
    "false_values": "bool",
}
"""Key -> the only type of column that it is allowed for."""
_OF_TEXT: Final = TYPE_OF_KEY.keys() - {"input_format"} | {"null_values"}
"""Keys about the text of a column, which a calculated column does not have."""


def notation_problems(path: Path, column: Raw, *, any_type: bool = False) -> Iterator[PathProblem]:
    """Every problem between the keys of one column.

    Args:
        path: The column's path.
        column: The column as it is written.
        any_type: The type is that of the source, which is not known here.
    """
    for key, kind in TYPE_OF_KEY.items():
        if column.get(key) is not None and not any_type and column.get("type", "text") != kind:
            yield PathProblem(path=(*path, key), message=f"{_named(key)} is allowed only for a column of type {kind}")
    if is_calculated(column):
        for key in sorted(key for key in _OF_TEXT if column.get(key) is not None):
            yield PathProblem(
                path=(*path, key),
                message=f"{_named(key)} is about the text of a column that is read; this column is calculated",
            )
    yield from _separators(path, column)
    yield from _zone(path, column)
    yield from _words(path, column)


def _named(key: str) -> str:
    if key.endswith("_values"):
        return f"a list of {key}"
    return f"{'an' if key[0] in 'aeiou' else 'a'} {key}"


def _separators(path: Path, column: Raw) -> Iterator[PathProblem]:
    thousands, decimal = column.get("thousands_separator"), column.get("decimal_separator")
    strip = column.get("strip")
    if thousands is not None and thousands == (DECIMAL_SEPARATOR if decimal is None else decimal):
        message = "the thousands separator and the decimal separator are the same character"
        default = "; a point is the default of decimal_separator: write decimal_separator: ','"
        yield PathProblem(
            path=(*path, "thousands_separator"), message=message + (default if decimal is None else ""), at_value=True
        )
    if isinstance(strip, str):
        used = [each for each in (decimal or DECIMAL_SEPARATOR, thousands) if isinstance(each, str) and each in strip]
        if any(not each.isspace() for each in used):
            yield PathProblem(
                path=(*path, "strip"),
                message="a separator cannot be among the signs that are removed; remove it from this text",
                at_value=True,
            )


def _zone(path: Path, column: Raw) -> Iterator[PathProblem]:
    if column.get("on_ambiguous_time") is not None and column.get("time_zone") is None:
        yield PathProblem(
            path=(*path, "on_ambiguous_time"),
            message="on_ambiguous_time needs a time_zone: in UTC every time exists once",
        )
    if column.get("pivot") is not None and column.get("input_format") is None:
        yield PathProblem(
            path=(*path, "pivot"), message="a pivot needs an input_format with a two-digit year (yy or %y)"
        )


def _words(path: Path, column: Raw) -> Iterator[PathProblem]:
    """A word that means both; a list that is not written is the usual one."""
    lists = {"true_values": TRUE_WORDS, "false_values": FALSE_WORDS}
    if any(not isinstance(column.get(key) or [], list) for key in lists):
        return  # no list: that is the problem
    given = [key for key in lists if column.get(key)]
    if not given:
        return
    first, last = ("true_values", "false_values") if given[-1] == "false_values" else ("false_values", "true_values")
    known = {_folded(word) for word in column.get(first) or lists[first] if isinstance(word, str)}
    for index, word in enumerate(column[last]):
        if isinstance(word, str) and _folded(word) in known:
            usual = "" if first in given else f", which {first} has if it is not given: give both lists"
            yield PathProblem(
                path=(*path, last, index), message=f"this word is also in {first}{usual}; it cannot mean both"
            )


def _folded(word: str) -> str:
    return word.strip().lower()
