"""The columns of an aggregate query as SQL: groups of rows, and functions over them (aggregate-data pages)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.errors import ServiceError
from emulator.odata.formats import formatter
from emulator.operations.reading import FORMATTED, LOOKUP_TABLE, Record, TableQuery, names_of
from emulator.schema import Column, ColumnType
from emulator.store import sql_name

__all__ = [
    "LIMIT",
    "Term",
    "function_fits",
    "function_term",
    "group_records",
    "group_term",
    "limit_exceeded",
    "rows_of",
]

LIMIT: Final = 50_000  # aggregate-data page, "Limitations"
_NUMBERS: Final = frozenset(
    {ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.DOUBLE, ColumnType.MONEY}
)
_WHOLE: Final = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})
_EXACT_DIGITS: Final = 10  # a decimal has at most ten digits behind the point; SQLite adds up doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One column of an aggregate query.

    Attributes:
        alias: The name of its property in the answer.
        column: The column of the table; None for the number of all rows.
        function: The aggregate function; empty for a group.
        sql: The value of a group of rows.
        group: What the rows are grouped by; empty for a function.
        target: For a lookup the SQL of the table that it refers to; empty for other columns.
        is_count: Whether the value is a number of rows or a part of a date, and not of the type of the column.
    """

    alias: str
    column: Column | None
    function: str
    sql: str
    group: str = ""
    target: str = ""
    is_count: bool = False

    def value(self, stored: Any) -> Any:
        """The JSON of a value."""
        is_boolean = self.column is not None and self.column.type is ColumnType.BOOLEAN and not self.is_count
        return stored == 1 if is_boolean and stored is not None else stored

    @property
    def formatted(self) -> Callable[[Any], str] | None:
        """The function that formats a value, or None if the service gives none."""
        if self.is_count or self.column is None:
            return lambda value: f"{value:,}"
        return formatter(self.column)


def limit_exceeded() -> ServiceError:
    """More rows than an aggregate query may have (aggregate-data page, "Limitations")."""
    return ServiceError(400, "0x8004E023", "AggregateQueryRecordLimit exceeded. Cannot perform this operation.")


def function_fits(function: str, column: Column) -> bool:
    """Whether a column has values that `avg`, `sum`, `min` or `max` can be calculated of."""
    is_date = column.type is ColumnType.DATETIME and function in {"max", "min"}
    return column.type in _NUMBERS or is_date


def function_term(function: str, alias: str, column: Column, value: str) -> Term:
    """The function `avg`, `sum`, `min` or `max` of a column; `value` is the SQL of the column."""
    sql = f"{function}({value})"
    if function == "sum":
        sql = f"coalesce({sql}, 0)"  # as the group without values in the example of the page
    if function in {"avg", "sum"} and column.type in _WHOLE:
        sql = f"CAST({sql} AS INTEGER)"  # as SQL Server, and as the example of the page
    elif function in {"avg", "sum"} and column.type is not ColumnType.DOUBLE:
        sql = f"round({sql}, {_EXACT_DIGITS})"
    return Term(alias=alias, column=column, function=function, sql=sql)


def group_term(asked: TableQuery, alias: str, column: Column, joined: str, compared: str) -> Term:
    """A group by a column.

    Args:
        asked: The query.
        alias: The name of the property.
        column: The column.
        joined: The SQL of the column, if it is one of a joined table.
        compared: The SQL of what is compared: text in its normal form.
    """
    target = ""
    if column.is_polymorphic:
        target = f"{asked.sql_table}.{sql_name(f'{column.logical_name}__type')}"
    elif column.is_lookup:
        target = f"'{column.targets[0]}'"
    value = joined or f"{asked.sql_table}.{sql_name(column.logical_name)}"
    return Term(alias=alias, column=column, function="", sql=f"min({value})", group=compared, target=target)


def rows_of(asked: TableQuery, terms: Sequence[Term], order: str, window: tuple[int, int]) -> list[tuple[Any, ...]]:
    """Reads the groups of a query with this order; `window` is the number of groups to read and to pass over."""
    condition = asked.compiler.filter(asked.query.filter, asked.scope) if asked.query.filter is not None else None
    groups = ", ".join(term.group for term in terms if term.group)
    targets = ", ".join(f"min({term.target})" for term in terms if term.target)
    text = f"SELECT {', '.join(term.sql for term in terms)}, {targets or '1'} FROM {asked.source}"
    text += f" WHERE {condition.text if condition else '1'}{f' GROUP BY {groups}' if groups else ''}"
    text += f"{f' ORDER BY {order}' if order else ''} LIMIT ? OFFSET ?"
    parameters = (*asked.joins.parameters, *(condition.parameters if condition else ()))
    return asked.fetch(text, (*parameters, *window))


def group_records(asked: TableQuery, terms: Sequence[Term], rows: Sequence[tuple[Any, ...]]) -> list[Record]:
    """The groups as JSON, without what is null, and with the annotations that are asked for."""
    wants = asked.request.preferences.wants
    lookups = [term for term in terms if term.target]
    references = [(row[len(terms) + at], row[terms.index(term)]) for row in rows for at, term in enumerate(lookups)]
    known = [(target, key) for target, key in references if key is not None]
    names = names_of(asked.environment, known) if wants(FORMATTED) else {}
    records = []
    for row in rows:
        record: Record = {}
        for at, term in enumerate(terms):
            if row[at] is None:
                continue
            record[term.alias] = term.value(row[at])
            target = row[len(terms) + lookups.index(term)] if term.target else ""
            text = names.get((target, row[at])) if target else term.formatted(row[at]) if term.formatted else None
            if wants(FORMATTED) and text is not None:
                record[f"{term.alias}@{FORMATTED}"] = text
            if target and wants(LOOKUP_TABLE):
                record[f"{term.alias}@{LOOKUP_TABLE}"] = target
        records.append(record)
    return records
