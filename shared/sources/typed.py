"""Files with types: the type of a definition for each SQL type, and how its values are loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.definitions.loading.rules.notation import TYPE_OF_KEY
from shared.definitions.models import Column, ColumnType, SelfDescribing, TypedColumn
from shared.errors import DefinitionError, Problem
from shared.suggestions import did_you_mean

__all__ = ["KnownColumn", "described", "found_name", "known_type"]

_MOST_LISTED: Final = 20
_TEXT: Final = "VARCHAR"
_NO_TYPE: Final = '"NULL"'  # programs write it for a column without any value
# What a definition calls them, and whether they are loaded as they are or as text.
_TYPES: Final = (
    (r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(\d+,\d+\)", ColumnType.NUMBER, True),
    # The shortest text of a binary floating-point number is the intended one: 0.1 is then 0.1, as in a text file.
    (r"FLOAT|DOUBLE", ColumnType.NUMBER, False),
    (r"DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS", ColumnType.DATE, True),
    (r"BOOLEAN", ColumnType.BOOL, True),
    (r"VARCHAR|UUID|JSON|ENUM\(.*\)|TIME(_NS)?|TIME WITH TIME ZONE|INTERVAL", ColumnType.TEXT, False),
)


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """What a source knows of a column.

    Attributes:
        type: What the column is for a definition.
        raw: What is loaded: text where only its text has the exact value.
        sql_type: The SQL type of what is loaded.
        empty: Whether the source knows no type, because none of the values is there.
        faults: The marks of errors that some values are.
    """

    type: ColumnType
    raw: ColumnType
    sql_type: str
    empty: bool = False
    faults: tuple[str, ...] = ()

    @classmethod
    def as_text(cls, kind: ColumnType) -> KnownColumn:
        """A column of a type whose values are loaded as text."""
        return cls(kind, ColumnType.TEXT, _TEXT)


def known_type(sql_type: str) -> KnownColumn | None:
    """What values of an SQL type are; None for binary and nested values."""
    if sql_type == _NO_TYPE:
        return KnownColumn(ColumnType.TEXT, ColumnType.TEXT, _TEXT, empty=True)
    for pattern, kind, as_it_is in _TYPES:
        if re.fullmatch(pattern, sql_type, re.DOTALL):
            return KnownColumn(kind, kind, sql_type) if as_it_is else KnownColumn.as_text(kind)
    return None


def described(source: SelfDescribing, found: Mapping[str, KnownColumn | str], place: str) -> tuple[Column, ...]:
    """The columns of a definition with the types of its files; all columns of the files where it names none.

    Args:
        source: The definition's source.
        found: Column of the files -> what is known of it, or why it cannot be read.
        place: The files as messages show them.

    Raises:
        DefinitionError: A column is missing or cannot be read; all problems at once.
    """
    describing = _Describing(found, place)
    columns = [
        describing.written(column, f"source.columns[{number}]") if column.stored else column
        for number, column in enumerate(source.columns)
    ]
    if not any(column.stored for column in source.columns):
        columns += describing.others({column.label.casefold() for column in source.columns})
    if describing.problems:
        raise DefinitionError(describing.problems)
    return tuple(columns)


def found_name(name: str, names: Mapping[str, object]) -> str | None:
    """The column that a name means: the same, or the only one without regard to case and blanks."""
    if name in names:
        return name
    like = [each for each in names if each.strip().casefold() == name.strip().casefold()]
    return like[0] if len(like) == 1 else None


class _Describing:
    def __init__(self, found: Mapping[str, KnownColumn | str], place: str) -> None:
        self._found = found
        self._place = place
        self.problems: list[Problem] = []

    def written(self, column: Column, path: str) -> Column:
        """A column that the definition names."""
        name = found_name(column.name, self._found)
        if name is None:
            hint = did_you_mean(column.name, list(self._found)) or f"there are: {self._listed()}"
            self._problem(f"{path}.name", f"{self._place} has no column {column.name}; {hint}")
            return column
        known = self._found[name]
        if isinstance(known, str):
            self._problem(f"{path}.name", known)
            return column
        typed = TypedColumn.of(column, known.type, known.raw, known.sql_type)
        typed = typed.model_copy(update={"faults": known.faults}) if known.faults else typed
        self._notation(typed, known, path)
        return typed

    def others(self, taken: set[str]) -> list[Column]:
        """Every column of the files, where the definition names none."""
        columns: list[Column] = []
        for name, known in self._found.items():
            if isinstance(known, str):
                self._problem("source", f"{known}; name the columns to read")
            elif name.casefold() in taken | {"_row"}:
                message = f"{self._place} has a column {name}, a name that is in use; name the columns to read"
                self._problem("source", f"{message}, this one with an alias")
            else:
                columns.append(TypedColumn.of(Column(name=name), known.type, known.raw, known.sql_type))
        return columns

    def _notation(self, column: Column, known: KnownColumn, path: str) -> None:
        """Keys about a text that the files do not have, or about another type."""
        for key, kind in TYPE_OF_KEY.items():
            if not getattr(column, key):
                continue
            if column.type != kind:
                message = f"{self._place} has {known.type} values in {column.name}: write type: {kind} to use {key}"
                self._problem(f"{path}.{key}", message)
            elif known.type == kind and key not in _MOMENT_KEYS:
                message = f"{self._place} has {kind} values in {column.name} and not text: remove {key}"
                self._problem(f"{path}.{key}", message)

    def _listed(self) -> str:
        names = list(self._found)
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        return ", ".join(names[:_MOST_LISTED]) + more

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(message=message, path=path))


_MOMENT_KEYS: Final = frozenset({"time_zone", "on_ambiguous_time"})
"""Keys about moments without an offset, which files with types have too."""
