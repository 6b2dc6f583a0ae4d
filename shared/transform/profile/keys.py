"""Which target columns are unique and filled, alone or as pairs: over the rows of the source and the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from shared.definitions.models import KeyMatch
from shared.entities import AttributeType
from shared.transform.desire import CompiledMappings
from shared.transform.keys import normalise_key
from shared.transform.shape import PASSES
from shared.transform.targets import TargetColumn
from shared.workspace import NewTable, Step, Table, quoted

__all__ = [
    "MOST_PAIRED",
    "KeyCounts",
    "Side",
    "by_promise",
    "candidates",
    "counts_of",
    "counts_query",
    "forms_steps",
    "likely_pairs",
]

MOST_PAIRED: Final = 12
"""Columns that are tried in pairs: 66 pairs."""
_MOST_CANDIDATES: Final = 100
_KEYABLE: Final = frozenset(
    {
        AttributeType.STRING,
        AttributeType.INTEGER,
        AttributeType.BIGINT,
        AttributeType.DECIMAL,
        AttributeType.DATETIME,
        AttributeType.PICKLIST,
        AttributeType.BOOLEAN,
        AttributeType.UNIQUEIDENTIFIER,
    }
)
_SIDES: Final = ("key_rows", "key_records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The values of a key on one side.

    Attributes:
        rows: Rows or records.
        filled: Those of them in which every column has a value.
        different: Different keys among those.
    """

    rows: int
    filled: int
    different: int

    @property
    def empty(self) -> int:
        """Rows without a whole key."""
        return self.rows - self.filled

    @property
    def repeated(self) -> int:
        """Rows whose key another row has already."""
        return self.filled - self.different


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCounts:
    """A possible sync key, and its values on both sides."""

    columns: tuple[str, ...]
    source: Side
    target: Side

    @property
    def fits(self) -> bool:
        """Whether it is unique and filled on both sides."""
        return not any((self.source.empty, self.source.repeated, self.target.empty, self.target.repeated))

    @property
    def possible(self) -> bool:
        """Whether it tells the rows of the source apart, and no two records have the same one."""
        return not any((self.source.empty, self.source.repeated, self.target.repeated))


def candidates(desire: CompiledMappings) -> tuple[TargetColumn, ...]:
    """The mapped columns that may be part of a key; a lookup's value is known only when its records are read."""
    found = [
        column
        for column in desire.columns
        if column.source_sql != "NULL"
        and not column.resolved
        and column.attribute.type in _KEYABLE
        and column.attribute.readable
    ]
    keys = [column for column in found if column.key_part]
    return tuple([*keys, *(column for column in found if not column.key_part)][:_MOST_CANDIDATES])


def forms_steps(desire: CompiledMappings, columns: Sequence[TargetColumn], key_match: KeyMatch) -> tuple[Step, ...]:
    """The steps that make the tables with the values of the candidates as keys are compared.

    Args:
        desire: What the mappings compile to; rows that they reject or filter out do not count.
        columns: The candidates.
        key_match: How keys of the sync are compared.
    """
    forms = ", ".join(f"{_form(column, key_match)} AS {quoted(column.name)}" for column in columns)
    kept = f"NOT {desire.shape.rules.rejected()} AND {PASSES}"
    return (
        Step.creating(
            "Compare the values of the source as keys",
            NewTable(name=_SIDES[0], query=f"SELECT {forms} FROM desired WHERE {kept}"),
            needs=frozenset({Table.DESIRED}),
        ),
        Step.creating(
            "Compare the values of the records as keys",
            NewTable(name=_SIDES[1], query=f"SELECT {forms} FROM current"),
            needs=frozenset({Table.CURRENT}),
        ),
    )


def _form(column: TargetColumn, key_match: KeyMatch) -> str:
    value = f"CAST({quoted(column.name)} AS {column.sql_type})"
    return normalise_key(column.attribute, value, key_match)


def counts_query(keys: Sequence[tuple[str, ...]]) -> str:
    """SQL that counts the values of several keys: a row for each side, first the source."""
    items = ", ".join(item for key in keys for item in _counted(key))
    return " UNION ALL ".join(f"SELECT {place}, count(*), {items} FROM {side}" for place, side in enumerate(_SIDES))


def _counted(key: tuple[str, ...]) -> Iterator[str]:
    names = [quoted(name) for name in key]
    filled = " AND ".join(f"{name} IS NOT NULL" for name in names)
    yield f"count(*) FILTER ({filled})"
    value = names[0] if len(names) == 1 else f"({', '.join(names)})"
    yield f"count(DISTINCT {value}) FILTER ({filled})"


def counts_of(keys: Sequence[tuple[str, ...]], rows: Sequence[Sequence[int]]) -> tuple[KeyCounts, ...]:
    """What the rows of `counts_query` say."""
    source, target = (row[1:] for row in sorted(rows, key=lambda row: row[0]))

    def side(counted: Sequence[int], place: int) -> Side:
        return Side(rows=counted[0], filled=counted[1 + 2 * place], different=counted[2 + 2 * place])

    return tuple(
        KeyCounts(columns=key, source=side(source, place), target=side(target, place)) for place, key in enumerate(keys)
    )


def likely_pairs(singles: Sequence[KeyCounts]) -> list[tuple[str, str]]:
    """The pairs worth counting: of the columns with most different values, those that could have enough together.

    A pair with a column that is a key alone is a key too, and says nothing.
    """
    needed = {counts.columns[0]: counts for counts in singles if not counts.possible and not counts.source.empty}
    by_values = sorted(needed.values(), key=lambda counts: -counts.source.different)[:MOST_PAIRED]
    return [
        (one.columns[0], other.columns[0])
        for one, other in combinations(by_values, 2)
        if one.source.different * other.source.different >= one.source.rows > 0
        and one.source.different * other.source.different >= one.target.rows - one.target.empty
    ]


def by_promise(found: Sequence[KeyCounts], numbered: Mapping[str, bool]) -> list[KeyCounts]:
    """The keys in the order in which a person should look at them.

    Args:
        found: The keys.
        numbered: Column -> whether its name says that it identifies something.
    """
    return sorted(
        found,
        key=lambda counts: (
            not counts.fits,
            len(counts.columns),
            not all(numbered.get(name, False) for name in counts.columns),
        ),
    )
