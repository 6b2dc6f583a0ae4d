"""Of which type the texts of a column are: the notation of numbers and dates that fits all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.definitions.models import Column, ColumnType
from shared.definitions.models.notation import FALSE_WORDS, TRUE_WORDS
from shared.transform.notation.blanks import trimmed
from shared.transform.notation.dates import in_calendar, iso_timestamp, read_format
from shared.transform.notation.numbers import number, plain_number
from shared.transform.notation.words import spelled
from shared.workspace import NewTable, literal, quoted

__all__ = ["PROFILED", "Notation", "Profile", "profile_of", "profile_query", "profiled_table", "unlike_query"]

PROFILED: Final = "profiled"
_MOST_DIFFERENT: Final = 200_000  # different values of a column that are looked at
_SIGNS: Final = "€$£%"
_SEPARATORS: Final[tuple[Mapping[str, str], ...]] = (
    {},
    {"decimal_separator": ","},
    {"thousands_separator": ","},
    {"decimal_separator": ",", "thousands_separator": "."},
    {"thousands_separator": " "},
    {"decimal_separator": ",", "thousands_separator": " "},
    {"thousands_separator": "'"},
)
_DAYS: Final = (
    *("dd/MM/yyyy", "MM/dd/yyyy", "dd.MM.yyyy", "dd-MM-yyyy", "MM-dd-yyyy", "yyyy/MM/dd", "d/M/yyyy", "M/d/yyyy"),
    *("d.M.yyyy", "dd/MM/yy", "MM/dd/yy", "dd.MM.yy", "dd MMM yyyy", "d MMM yyyy", "MMM d, yyyy", "d MMMM yyyy"),
)
_TIMES: Final = ("", " HH:mm", " HH:mm:ss")
_ONLY_DIGITS: Final = "yyyyMMdd"


@dataclass(frozen=True, slots=True)
class Notation:
    """One way in which the values of a column may be written.

    Attributes:
        type: What they are then.
        keys: The keys of the column that say so, without `type`.
    """

    type: ColumnType
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The values of one column.

    Attributes:
        rows: Rows.
        filled: Rows with a value.
        different: Different values.
        longest: Characters of the longest one.
        padded: Whether one has blanks at an end.
        zeros: Whether one is a number with leading zeros.
        fitting: The notations that fit every value, the simplest first.
        doubtful: Type -> whether two of its notations fit every value and give different results.
        best: Type -> the notation that fits most values, and how many of the different ones it does not fit.
    """

    rows: int
    filled: int
    different: int
    longest: int
    padded: bool
    zeros: bool
    fitting: tuple[Notation, ...]
    doubtful: Mapping[ColumnType, bool]
    best: Mapping[ColumnType, tuple[Notation, int]]

    def notation(self, kind: ColumnType) -> Notation | None:
        """The simplest notation of a type that fits every value; None where there is none."""
        return next((each for each in self.fitting if each.type is kind), None)

    @property
    def kind(self) -> ColumnType:
        """What the values are by themselves; numbers with leading zeros are names of things."""
        if self.filled and not self.zeros:
            for kind in (ColumnType.NUMBER, ColumnType.DATE, ColumnType.BOOL):
                if self.notation(kind) is not None:
                    return kind
        return ColumnType.TEXT


def _notations() -> Iterator[tuple[Notation, str]]:
    """Each notation, and the SQL of a value `v` that is read in it, as a number."""
    for strip in ({}, {"strip": _SIGNS}):
        for separators in _SEPARATORS:
            keys = {**separators, **strip}
            text = plain_number(Column(name="v", type=ColumnType.NUMBER, **keys), "v") if keys else "v"
            # `number` wants a column: it repeats it.
            read = f"list_transform([{text}], lambda n: {number('n')})[1]"
            yield Notation(ColumnType.NUMBER, keys), f"CAST({read} AS DOUBLE)"
    iso = f"CASE WHEN contains(v, '-') THEN {iso_timestamp('v')} END"
    yield Notation(ColumnType.DATE, {}), _seconds(f"list_transform([{iso}], lambda d: {in_calendar('d')})[1]")
    for day in _DAYS:
        for time in _TIMES:
            written = day + time
            yield Notation(ColumnType.DATE, {"input_format": written}), _seconds(read_format(written).timestamp("v"))
    digits = f"CASE WHEN v BETWEEN '19000101' AND '20991231' THEN {read_format(_ONLY_DIGITS).timestamp('v')} END"
    yield Notation(ColumnType.DATE, {"input_format": _ONLY_DIGITS}), _seconds(digits)
    words = ", ".join(map(literal, (*TRUE_WORDS, *FALSE_WORDS)))
    yield Notation(ColumnType.BOOL, {}), f"CASE WHEN lower(v) IN ({words}) THEN 1.0 END"


def _seconds(moment: str) -> str:
    return f"CAST(epoch({moment}) AS DOUBLE)"


_NOTATIONS: Final = tuple(_notations())


def profiled_table(items: Sequence[tuple[str, str]]) -> NewTable:
    """The table of the values as text: (name, SQL over `source_raw`) for each column."""
    listed = ", ".join(f"CAST({sql} AS VARCHAR) AS {quoted(name)}" for name, sql in items)
    return NewTable(name=PROFILED, query=f"SELECT {listed} FROM source_raw")


def profile_query(name: str) -> str:
    """SQL of one row about a column of the table, which `profile_of` reads."""
    column = quoted(name)
    tests = ", ".join(f"count({sql}), sum({sql})" for _, sql in _NOTATIONS)
    return f"""
WITH given AS (SELECT {column} AS raw FROM {PROFILED}),
  cleaned AS (SELECT raw, nullif({trimmed("raw")}, '') AS v FROM given),
  few AS (SELECT DISTINCT v FROM cleaned WHERE v IS NOT NULL LIMIT {_MOST_DIFFERENT})
SELECT (SELECT count(*) FROM given), (SELECT count(v) FROM cleaned), (SELECT count(DISTINCT v) FROM cleaned),
  (SELECT coalesce(max(length(v)), 0) FROM cleaned), (SELECT coalesce(bool_or(raw <> v), false) FROM cleaned),
  (SELECT coalesce(bool_or(regexp_full_match(v, '[+-]?0[0-9]+')), false) FROM few),
  (SELECT count(*) FROM few), {tests} FROM few""".strip()


def profile_of(row: Sequence[Any]) -> Profile:
    """What the row of `profile_query` says."""
    rows, filled, different, longest, padded, zeros, looked, *counted = row
    found = [(notation, counted[2 * place], counted[2 * place + 1]) for place, (notation, _) in enumerate(_NOTATIONS)]
    fitting = [(notation, total) for notation, count, total in found if looked and count == looked]
    best: dict[ColumnType, tuple[Notation, int]] = {}
    for notation, count, _ in sorted(found, key=lambda each: -each[1]):
        best.setdefault(notation.type, (notation, looked - count))
    totals: dict[ColumnType, set[float]] = {}
    for notation, total in fitting:
        if notation.keys.get("input_format") != _ONLY_DIGITS:
            totals.setdefault(notation.type, set()).add(round(total, 3))
    return Profile(
        rows=rows,
        filled=filled,
        different=different,
        longest=longest,
        padded=padded,
        zeros=zeros,
        fitting=tuple(notation for notation, _ in fitting),
        doubtful={kind: len(sums) > 1 for kind, sums in totals.items()},
        best=best,
    )


def unlike_query(name: str, known: Sequence[str]) -> str:
    """SQL of the number of different values of a column that are none of some texts in the form of `folded_word`."""
    listed = ", ".join(map(literal, known)) or "NULL"
    value = spelled(trimmed(quoted(name)))
    return (
        f"SELECT count(DISTINCT {value}) FILTER ({value} <> '' AND coalesce({value} NOT IN ({listed}), true)) "
        f"FROM {PROFILED}"
    )
