"""The rows that a script sees, and the table of the results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models import Column, ColumnType, SyncDefinition
from shared.transform.reading import read_columns, reading
from shared.workspace import NewTable, Step, Table, json_rows, literal, quoted

__all__ = ["ScriptColumn", "reason_of", "script_columns", "script_steps", "seen_by", "with_results"]

_RESULT: Final = {"n": "BIGINT", "r": "VARCHAR[]", "e": "VARCHAR"}
_SCRIPTED: Final = NewTable(
    name=Table.SCRIPTED, columns="(place INTEGER, number BIGINT, result VARCHAR[], reason VARCHAR)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptColumn:
    """A column that a script calculates.

    Attributes:
        script: The text with the function `calc`.
        origin: Where in the definition it is.
        rows: The view with one column: JSON texts of the rows, `{"n": number of the row, "v": {column: value}}`.
        collect: SQL that adds results to `scripted`; its parameter is a JSON array of objects with the members `n`,
            `r` (a list with the result as text; null where the script fails) and `e` (why it fails).
    """

    script: str
    origin: str
    rows: NewTable
    collect: str


def seen_by(script: str, columns: Sequence[Column]) -> frozenset[str]:
    """Labels of the columns that a script sees: those that are read and that its text names."""
    return frozenset(column.label for column in columns if column.read and _named(column.label, script))


def _named(label: str, script: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(label)}(?![\w$])", script) is not None


def script_columns(definition: SyncDefinition) -> tuple[ScriptColumn, ...]:
    """The columns of a source that scripts calculate.

    Raises:
        DefinitionError: A date format of a column cannot be read.
    """
    return tuple(
        ScriptColumn(
            script=column.script,
            origin=f"source.columns[{place}].script",
            rows=NewTable(name=f"script_rows_{place}", query=_rows(column.script, definition), is_view=True),
            collect=f"INSERT INTO scripted SELECT {place}, r.n, r.r, r.e FROM {json_rows(_RESULT)}",
        )
        for place, column in enumerate(definition.source.columns)
        if column.script is not None
    )


def script_steps(definition: SyncDefinition) -> Iterator[Step]:
    """The steps before scripts run: what each of them sees, and an empty table for the results."""
    columns = script_columns(definition)
    for column in columns:
        needs = frozenset({Table.SOURCE_RAW})
        yield Step.creating("Make the rows that a script sees", column.rows, column.origin, needs=needs)
    if columns:
        yield Step.creating("Create the table of the results of scripts", _SCRIPTED)


def _rows(script: str, definition: SyncDefinition) -> str:
    labels = seen_by(script, definition.source.columns)
    columns = [column for column in definition.source.columns if column.label in labels]
    nothing = definition.source.null_values
    sql = read_columns(columns, [reading(column, nothing) for column in columns], nothing)
    values = ", ".join(f"{literal(column.label)}: {_value(column)}" for column in columns)
    seen = f"to_json({{{values}}})" if values else "'{}'::JSON"
    return f"SELECT CAST(to_json({{'n': _row, 'v': {seen}}}) AS VARCHAR) AS seen\nFROM ({sql})"


def _value(column: Column) -> str:
    """A value as JavaScript takes it: a number with its 15 to 17 digits, a date as text in UTC."""
    value = quoted(column.label)
    match column.type:
        case ColumnType.NUMBER:
            return f"CAST({value} AS DOUBLE)"
        case ColumnType.DATE:
            return f"strftime({value}, '%Y-%m-%dT%H:%M:%SZ')"
        case _:
            return value


def with_results(sql: str, results: Mapping[int, str]) -> str:
    """A query over rows with the results of scripts beside them.

    Args:
        sql: The query; it has `_row`.
        results: Place of each script column -> the name for its result.
    """
    items = "".join(f", s{place}.result AS {name}" for place, name in results.items())
    joins = "".join(
        f"\n  LEFT JOIN (SELECT number, result FROM scripted WHERE place = {place}) AS s{place} "
        f"ON s{place}.number = read._row"
        for place in results
    )
    return f"SELECT read.*{items}\n  FROM ({sql}) AS read{joins}"


def reason_of(place: int) -> str:
    """SQL for why a script fails on the row `_row`, such as `TypeError in line 3: `."""
    return f"(SELECT any_value(reason) || ': ' FROM scripted WHERE place = {place} AND number = _row)"
