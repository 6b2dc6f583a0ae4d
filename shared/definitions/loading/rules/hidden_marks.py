"""Whether an OData filter lets a record through that was marked: the filter is worked out with the mark's values.

A record that the filter hides is not read, so a row that returns would be inserted a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

__all__ = ["NOT_EMPTY", "NULL", "UNKNOWN", "hidden_message", "hides"]

# What a mark gives a column, beside a constant as an OData filter writes it: `1`, `'gone'`, `true`.
NULL: Final = "null"
UNKNOWN: Final = "?"
NOT_EMPTY: Final = "?not empty"

_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|@?[A-Za-z_][\w./]*|[0-9][\w.:+-]*|-[0-9][\w.]*|[^\s]")
_COMPARISONS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
_TURNED: Final = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_PARTS: Final = 3  # a column, a comparison and a value
_DEEPEST: Final = 50  # brackets in brackets; beyond that nothing is known


@dataclass(frozen=True, slots=True)
class _Effect:
    """A part of the filter with the mark's values put in.

    Attributes:
        value: True or False where the mark decides it, None where other columns do.
        harmed: The mark can turn this part against a record that it let through before.
    """

    value: bool | None
    harmed: bool = False


_OPEN: Final = _Effect(None)
_HARMED: Final = _Effect(None, harmed=True)


def hidden_message(key: str, names: Iterable[str]) -> str:
    """What is said of a filter that hides the records of a mark.

    Args:
        key: The key that gives the mark: `dropped` or `returned`.
        names: The columns of the mark.
    """
    listed = ", ".join(names)
    if key == "returned":
        return (
            f"this filter hides records that sync_behaviour.returned has given their values back ({listed}), so the "
            "next run would insert their rows a second time: let these records through"
        )
    return (
        f"this filter hides records that sync_behaviour.dropped has marked ({listed}), so a row that returns would be "
        "inserted a second time: let the marked records through"
    )


def hides(condition: str, mark: Mapping[str, str]) -> bool:
    """Whether a filter can hide a record because it was marked.

    Args:
        condition: The OData filter.
        mark: Column -> the value that the mark gives it.
    """
    reading = _Reading([*_TOKEN.findall(condition)], {name.lower(): value for name, value in mark.items()})
    try:
        effect = reading.alternatives(positive=True)
    except (IndexError, RecursionError):  # not a filter that can be read: the service will refuse it
        return False
    return effect.value is False or effect.harmed


class _Reading:
    """Reads a filter from left to right."""

    def __init__(self, tokens: Sequence[str], mark: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._mark = mark
        self._at = 0
        self._depth = 0

    def alternatives(self, *, positive: bool) -> _Effect:
        """Conditions with `or` between them; `positive` is False behind `not`."""
        parts = [self._all(positive=positive)]
        while self._takes("or"):
            parts.append(self._all(positive=positive))
        return _joined(parts, decides=True, harms=positive)

    def _all(self, *, positive: bool) -> _Effect:
        parts = [self._one(positive=positive)]
        while self._takes("and"):
            parts.append(self._one(positive=positive))
        return _joined(parts, decides=False, harms=not positive)

    def _one(self, *, positive: bool) -> _Effect:
        if self._takes("not"):
            effect = self._one(positive=not positive)
            return _Effect(None if effect.value is None else not effect.value, harmed=effect.harmed)
        start = self._at
        if self._takes("(") and self._depth < _DEEPEST:
            self._depth += 1
            effect = self.alternatives(positive=positive)
            self._depth -= 1
            if self._takes(")") and self._next() not in _COMPARISONS:
                return effect
            self._at = start  # brackets around a calculation
        return self._comparison()

    def _comparison(self) -> _Effect:
        start, depth = self._at, 0
        while self._at < len(self._tokens):
            word = self._next()
            if depth == 0 and word in {"and", "or", ")"}:
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            self._at += 1
        tokens = self._tokens[start : self._at]
        if _named(tokens).isdisjoint(self._mark):
            return _OPEN
        if len(tokens) == _PARTS and tokens[1].lower() in _COMPARISONS:
            return self._compared(*tokens)
        return _HARMED

    def _compared(self, left: str, comparison: str, right: str) -> _Effect:
        comparison = comparison.lower()
        if left.lower() not in self._mark:
            left, comparison, right = right, _TURNED.get(comparison, comparison), left
        return _decided(self._mark[left.lower()], comparison, right)

    def _takes(self, word: str) -> bool:
        found = self._next() == word
        self._at += found
        return found

    def _next(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""


def _named(tokens: Sequence[str]) -> set[str]:
    """The columns that a condition names; query functions name them as a text behind `PropertyName=`."""
    bare = {token.lower().partition("/")[0] for token in tokens if not token.startswith("'")}
    behind = zip(tokens, tokens[2:], strict=False)
    return bare | {text.strip("'").lower() for name, text in behind if name.lower() == "propertyname"}


def _decided(value: str, comparison: str, literal: str) -> _Effect:
    equality = comparison in {"eq", "ne"}
    if equality and NULL in {value, literal.lower()} and value != UNKNOWN:
        same = value == literal.lower()
        known = literal.lower() == NULL or comparison == "eq"
        return _Effect(same == (comparison == "eq")) if known else _HARMED
    if _NUMBER.fullmatch(value) and _NUMBER.fullmatch(literal):
        return _Effect(_COMPARISONS[comparison](Decimal(value), Decimal(literal)))
    texts = value.startswith("'") and literal.startswith("'")
    words = {value.lower(), literal.lower()} <= {"true", "false"}
    if equality and (texts or words):
        return _Effect((value.lower() == literal.lower()) == (comparison == "eq"))
    return _HARMED


def _joined(parts: Sequence[_Effect], *, decides: bool, harms: bool) -> _Effect:
    """Several parts as one.

    Args:
        parts: The parts.
        decides: The value of a part that decides the whole: True for `or`, False for `and`.
        harms: A part that the mark has decided the other way leaves fewer ways to let a record through.
    """
    if any(part.value is decides for part in parts):
        return _Effect(decides)
    rest = [part for part in parts if part.value is None]
    if not rest:
        return _Effect(not decides)
    return _Effect(None, harmed=any(part.harmed for part in rest) or (harms and len(rest) < len(parts)))
