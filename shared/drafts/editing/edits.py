"""What can be done to a definition, and what it does to its values."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.definitions.loading.yaml_loader import Path

__all__ = ["Edit", "Insert", "Move", "Remove", "Rename", "Set", "applied", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Give a key or an item a value; a key that is missing is added.

    Attributes:
        path: Its parent exists.
        value: Plain data.
        after: Keys that a new key stands behind, where the text has them; else it is the last one.
    """

    path: Path
    value: Any
    after: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove a key or an item of a list."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """Give a key another name, in its place.

    Attributes:
        name: One that no other key beside it has.
    """

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """Insert an item into a list, before the one that has the index now.

    Attributes:
        others: Items that follow it.
    """

    path: Path
    index: int
    value: Any
    others: Sequence[Any] = ()

    @property
    def values(self) -> list[Any]:
        """All items."""
        return [self.value, *self.others]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Give an item of a list another place.

    Attributes:
        to: Its index afterwards.
    """

    path: Path
    index: int
    to: int


Edit = Set | Remove | Rename | Insert | Move


def applied(data: Any, edits: Iterable[Edit]) -> Any:
    """The values after some edits, each made on what the one before has left.

    Raises:
        LookupError: The path does not exist, or a new name is in use.
        TypeError: It leads through a value that holds no others.
    """
    made = {"": copy.deepcopy(data)}
    for edit in edits:
        _apply(made, edit)
    return made[""]


def _apply(made: dict[str, Any], edit: Edit) -> None:
    path: Path = ("", *edit.path)
    holder: Any = made
    for part in path[:-1]:
        holder = holder[part]
    last = path[-1]
    match edit:
        case Set(value=value) if isinstance(holder, list):
            holder[int(last)] = copy.deepcopy(value)
        case Set(value=value):
            holder[last] = copy.deepcopy(value)
        case Remove():
            del holder[last]
        case Rename(name=name):
            _rename(holder, last, name)
        case Insert(index=index, values=values):
            holder[last][index:index] = copy.deepcopy(values)
        case Move(index=index, to=to):
            holder[last].insert(to, holder[last].pop(index))


def _rename(holder: dict[Any, Any], key: Any, name: str) -> None:
    if key not in holder or name in holder:
        raise LookupError
    items = [(name if each == key else each, value) for each, value in holder.items()]
    holder.clear()
    holder.update(items)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in a definition: 1, 1.0, true and "1" are four values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)
