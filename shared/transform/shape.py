"""From text to typed columns: `source_raw` becomes `shaped` and `source`, and every broken rule is noted as a bit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models import Column, ColumnType, SyncDefinition, TypedColumn
from shared.errors import DefinitionError, Problem
from shared.transform.notation.documents import json_text
from shared.transform.notation.numbers import NUMBER
from shared.transform.notation.results import as_type
from shared.transform.notation.texts import text_of
from shared.transform.reading import Reading, cleaned, read_columns, reading, text_name, written
from shared.transform.reserved import reserved_problems
from shared.transform.rules import ErrorType, Rule, RuleSet
from shared.transform.scripts.columns import reason_of, seen_by, with_results
from shared.workspace import Expression, NewTable, Step, Table, parsed, quoted, too_long

__all__ = [
    "PASSES",
    "SOURCE_ERRORS",
    "SOURCE_PLACES",
    "SOURCE_TYPES",
    "Shape",
    "action_of",
    "shape_of",
    "shape_steps",
]

SOURCE_TYPES: Final = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.NUMBER: NUMBER,
    ColumnType.DATE: "TIMESTAMP",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.JSON: "VARCHAR",
}
"""The DuckDB type of a source column's values in `shaped` and `source`."""
PASSES: Final = quoted("_passes")


def action_of(column: str) -> str:
    """SQL of the action that a row names, in capital letters; `column` is the SQL of the action column."""
    return f"upper(trim({column}::VARCHAR))"


SOURCE_ERRORS: Final = Step.creating(
    "Create the table of the source's errors",
    NewTable(
        name=Table.SOURCE_ERRORS,
        columns="""(
  _row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR)""",
        if_missing=True,
    ),
)
SOURCE_PLACES: Final = Step.creating(
    "Create the table of the places of the source's rows",
    NewTable(
        name=Table.SOURCE_PLACES,
        columns="(first BIGINT, last BIGINT, moved BIGINT, letters VARCHAR[], sheet VARCHAR)",
        if_missing=True,
    ),
)
"""Of each sheet: its first and last `_row`, what is added to get the row of the sheet, the letters of the columns."""
_OR: Final = {
    ColumnType.TEXT: "",
    ColumnType.NUMBER: ", or its result is not a number",
    ColumnType.DATE: ", or its result is not a date",
    ColumnType.BOOL: ", or its result is not true or false",
    ColumnType.JSON: ", or its result is not JSON",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the columns and the filter of a source compile to.

    Attributes:
        sql: The query over `source_raw` that gives `shaped`.
        rules: The rules of the columns and of the filter.
        doubts: Column -> the rules that, when broken, leave its value unknown: its own, and those of every column that
            it is calculated from.
        parts: Column -> the columns that it is calculated from, directly or by way of others, and itself.
        sizes: Calculated text column -> how many times as long as a text of the row it can be.
    """

    sql: str
    rules: RuleSet
    doubts: dict[str, tuple[Rule, ...]]
    parts: dict[str, frozenset[str]]
    sizes: dict[str, int]


def shape_steps(definition: SyncDefinition) -> tuple[Step, ...]:
    """Return the steps that make `shaped` and `source` of `source_raw`.

    Both are views: a row is typed when it is read, so a million rows are not kept twice.

    Raises:
        DefinitionError: An expression or a date format cannot be read; all of them at once.
    """
    shape = shape_of(definition)
    hidden = ", ".join((*shape.rules.columns, PASSES, *_numbers(definition)))
    source = f"""
SELECT * EXCLUDE ({hidden})
FROM shaped
WHERE NOT {shape.rules.rejected()} AND {PASSES}""".strip()
    return (
        SOURCE_ERRORS,
        Step.creating(
            "Type, check and calculate the source's columns",
            NewTable(name=Table.SHAPED, query=shape.sql, is_view=True),
            "source.columns",
            needs=frozenset({Table.SOURCE_RAW}),
        ),
        Step.creating(
            "Keep what is neither rejected nor filtered out",
            NewTable(name=Table.SOURCE, query=source, is_view=True),
            "source.filter",
            needs=frozenset({Table.SHAPED}),
        ),
    )


def shape_of(definition: SyncDefinition) -> Shape:
    """Compile the columns and the filter of a source.

    Raises:
        DefinitionError: An expression or a date format cannot be read; all of them at once.
    """
    compiler = _Compiler(definition)
    sql = compiler.query()
    if problems := (*compiler.problems, *reserved_problems(definition)):
        raise DefinitionError(problems)
    rules = RuleSet("_broken", compiler.rules)
    labels = ", ".join((*(quoted(column.label) for column in definition.source.columns), *_numbers(definition)))
    final = f"SELECT _row, {labels},\n    {rules.select()},\n    {compiler.passes} AS {PASSES}\nFROM ({sql})"
    return Shape(sql=final, rules=rules, doubts=compiler.doubts, parts=compiler.parts, sizes=compiler.sizes)


def _numbers(definition: SyncDefinition) -> Iterator[str]:
    """The texts of numbers; a view computes only what is asked of it."""
    return (written(c) for c in definition.source.columns if c.read and c.type is ColumnType.NUMBER)


class _Compiler:
    """Builds the query layer by layer: text, typed, then the calculated columns in the order of their dependence."""

    def __init__(self, definition: SyncDefinition) -> None:
        self._columns = definition.source.columns
        self._null_values = definition.source.null_values
        self._filter = definition.source.row_filter
        self._action = definition.sync_behaviour.action_column
        self._labels = [column.label for column in self._columns]
        self._places = {column.label: f"source.columns[{n}]" for n, column in enumerate(self._columns)}
        self.rules: list[Rule] = []
        self.doubts: dict[str, tuple[Rule, ...]] = {}
        self.parts = {column.label: frozenset({column.label}) for column in self._columns}
        self.sizes: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.passes = "true"

    def query(self) -> str:
        read = [column for column in self._columns if column.read]
        readings = [self._reading(column) for column in read]
        sql = read_columns(read, readings, self._null_values)
        for column, how in zip(read, readings, strict=True):
            self._rules_of_read(column, how)
        sql = self._scripted(sql)
        for columns in self._levels():
            sql = self._calculated(sql, columns)
        self._unknown_action()
        return self._filtered(sql)

    def _reading(self, column: Column) -> Reading:
        """How a column is read; a problem is noted and nothing is read, to check the next column too."""
        try:
            return reading(column, self._null_values)
        except DefinitionError as error:
            for problem in error.problems:
                self._problem(f"{self._places[column.label]}.{problem.path}", problem.message)
            return Reading(layers=((("NULL", quoted(column.label)),),))

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(message=message, path=path))

    def _rules_of_read(self, column: Column, how: Reading) -> None:
        text = text_name(column)
        self._mandatory(column, f"{text} IS NULL")
        for misfit in how.misfits:
            self._misfit(column, misfit.error, misfit.broken, misfit.message)
        self._max_length(column, text)

    def _mandatory(self, column: Column, empty: str) -> None:
        if column.mandatory:
            self._rule(column, ErrorType.MANDATORY, empty, "a value is required", rejects=column.validate_)

    def _misfit(self, column: Column, error: ErrorType, broken: str, message: str) -> None:
        rule = self._rule(column, error, broken, message, rejects=column.validate_)
        self.doubts[column.label] = (*self.doubts.get(column.label, ()), rule)

    def _max_length(self, column: Column, text: str) -> None:
        if column.max_length is not None:
            message = f"longer than {column.max_length} characters"
            self._rule(column, ErrorType.MAX_LENGTH, f"length({text}) > {column.max_length}", message, rejects=True)

    def _rule(self, column: Column, error: ErrorType, broken: str, message: str, *, rejects: bool) -> Rule:
        rule = Rule(
            column=column.label,
            error=error,
            rejects=rejects,
            message=message,
            broken=broken,
            value_detail=self._detail(column),
        )
        self.rules.append(rule)
        return rule

    def _detail(self, column: Column) -> str:
        if column.script is not None:
            return reason_of(self._labels.index(column.label))
        return _place(column)

    def _expression(self, text: str, origin: str) -> Expression:
        """Check an expression; a problem is noted and NULL replaces the expression, to check the next one too."""
        try:
            return parsed(text, names=self._labels, origin=origin)
        except DefinitionError as error:
            self.problems.extend(error.problems)
            return Expression(sql="NULL", columns=frozenset())

    def _formula(self, column: Column) -> Expression:
        place = self._places[column.label]
        if column.formula is not None:
            return self._expression(column.formula, f"{place}.formula")
        branches, read, sizes = [], set[str](), []
        for number_, case in enumerate(column.cases):
            when = self._expression(case.when, f"{place}.cases[{number_}].when")
            then = self._expression(case.then, f"{place}.cases[{number_}].then")
            # Each branch by itself: DuckDB would first make one type of all of them, such as a number of a text.
            branches.append(f"WHEN {when.sql} THEN {as_type(column.type, then.sql)}")
            read |= when.columns | then.columns
            sizes.append(then.growth)
        otherwise = self._expression(column.default or "NULL", f"{place}.default")
        return Expression(
            sql=f"CASE {' '.join(branches)} ELSE {as_type(column.type, otherwise.sql)} END",
            columns=frozenset(read | otherwise.columns),
            growth=max(*sizes, otherwise.growth),
        )

    def _levels(self) -> Iterator[list[tuple[Column, Expression]]]:
        """The calculated columns, level by level: each needs only what the levels before it give."""
        waiting = [(column, self._formula(column)) for column in self._columns if not _is_given(column)]
        known = {column.label for column in self._columns if _is_given(column)}
        while waiting:
            ready = [(column, formula) for column, formula in waiting if formula.columns <= known]
            if not ready:
                names = ", ".join(column.label for column, _ in waiting)
                self._problem(self._places[waiting[0][0].label], f"these columns refer to each other: {names}")
                return
            for column, formula in ready:
                self._measure(column, formula)
            yield ready
            known |= {column.label for column, _ in ready}
            waiting = [(column, formula) for column, formula in waiting if column.label not in known]

    def _measure(self, column: Column, formula: Expression) -> None:
        """Note how long a calculated text can be: columns that are calculated from each other multiply."""
        size = formula.size(self.sizes)
        if message := too_long(size):
            inner = "formula" if column.formula is not None else "cases"
            self._problem(f"{self._places[column.label]}.{inner}", message)
        if column.type in (ColumnType.TEXT, ColumnType.JSON):
            self.sizes[column.label] = size

    def _calculated(self, sql: str, columns: Sequence[tuple[Column, Expression]]) -> str:
        # TRY gives null where an expression fails on a row; within a list a failure differs from a value that is null.
        sql = _layer(sql, ", ".join(f"TRY([{formula.sql}]) AS {_result(column)}" for column, formula in columns))
        return self._from_results(sql, [(column, formula.columns) for column, formula in columns])

    def _scripted(self, sql: str) -> str:
        """The columns of scripts, which see columns that are read."""
        scripts = [(place, column) for place, column in enumerate(self._columns) if column.script is not None]
        if not scripts:
            return sql
        sql = with_results(sql, {place: _result(column) for place, column in scripts})
        return self._from_results(sql, [(c, seen_by(c.script or "", self._columns)) for _, c in scripts])

    def _from_results(self, sql: str, columns: Sequence[tuple[Column, Collection[str]]]) -> str:
        """The values of columns from their results; each column comes with those that it is made of."""
        sql = _layer(sql, ", ".join(f"{_cast(column)} AS {quoted(column.label)}" for column, _ in columns))
        texts = [column for column, _ in columns if column.type is ColumnType.TEXT]
        clean = [(cleaned(column, quoted(column.label)), quoted(column.label)) for column in texts]
        sql = _replaced(sql, [(value, label) for value, label in clean if value != label])
        sql = _replaced(sql, [(f"nullif({quoted(column.label)}, '')", quoted(column.label)) for column in texts])
        for column, made_of in columns:
            inherited = (rule for name in sorted(made_of) for rule in self.doubts.get(name, ()))
            self.doubts[column.label] = tuple(dict.fromkeys(inherited))
            self.parts[column.label] = frozenset({column.label}).union(*(self.parts[name] for name in made_of))
            self._rules_of_calculated(column)
        return sql

    def _rules_of_calculated(self, column: Column) -> None:
        result, own = _result(column), quoted(column.label)
        misfit = f"{result} IS NULL"
        if column.type is not ColumnType.TEXT:
            misfit = f"({misfit} OR {result}[1] IS NOT NULL AND {own} IS NULL)"
        # Of a text its last form counts: it may have lost its blanks, or have been empty from the start.
        empty = own if column.type is ColumnType.TEXT else f"{result}[1]"
        self._mandatory(column, f"{result} IS NOT NULL AND {empty} IS NULL")
        way = "expression" if column.script is None else "script"
        self._misfit(column, ErrorType.INVALID_FORMAT, misfit, f"the {way} fails on this row{_OR[column.type]}")
        self._max_length(column, text_of(column.type, own))

    def _filtered(self, sql: str) -> str:
        if self._filter is None:
            return sql
        condition = self._expression(self._filter, "source.filter")
        if message := too_long(condition.size(self.sizes)):
            self._problem("source.filter", message)
        self.passes = 'coalesce("filter:"[1], false)'
        self._rule_of_filter('"filter:" IS NULL', "the source's filter fails on this row")
        self._unknown_filter(condition)
        return _layer(sql, f'TRY([CAST({condition.sql} AS BOOLEAN)]) AS "filter:"')

    def _unknown_filter(self, condition: Expression) -> None:
        """Reject what is filtered out because of a value that cannot be read: its record would be dropped for that."""
        read = [name for name in self._labels if name in condition.columns and self._unread(name)]
        if read:
            unknown = " OR ".join(dict.fromkeys(map(self._unread, read)))
            self._rule_of_filter(
                f'"filter:" IS NOT NULL AND NOT {self.passes} AND ({unknown})',
                f"the source's filter reads {', '.join(read)}: a value cannot be read, so it is not known whether the "
                "row passes the filter",
            )

    def _unread(self, name: str) -> str:
        """SQL condition: a column's value is unknown and the row is not rejected for it; empty where that cannot be."""
        return " OR ".join(f"({rule.broken})" for rule in self.doubts.get(name, ()) if not rule.rejects)

    def _unknown_action(self) -> None:
        """Reject rows whose action is calculated from a value that cannot be read: it may say to delete the record."""
        column = next((each for each in self._columns if each.label == self._action), None)
        if column is not None and (unread := self._unread(column.label)):
            message = "the action is calculated from a value that cannot be read"
            broken = f"{quoted(column.label)} IS NOT NULL AND ({unread})"
            self._rule(column, ErrorType.INVALID_FORMAT, broken, message, rejects=True)

    def _rule_of_filter(self, broken: str, message: str) -> None:
        self.rules.append(
            Rule(column="filter", error=ErrorType.INVALID_FORMAT, rejects=True, message=message, broken=broken)
        )


def _place(column: Column) -> str:
    """SQL for the cell of a row, such as `B17 of Sheet1 of customers.xlsx: `; empty where the source has no cells."""
    if not isinstance(column, TypedColumn) or not column.place:
        return ""
    return (
        f"(SELECT concat(any_value(letters[{column.place}]), _row + any_value(moved), ' of ', any_value(sheet), ': ') "
        "FROM source_places WHERE _row BETWEEN first AND last)"
    )


def _layer(sql: str, items: str) -> str:
    return f"SELECT *, {items}\n  FROM ({sql})" if items else sql


def _replaced(sql: str, items: Sequence[tuple[str, str]]) -> str:
    """One more layer in which columns have new values.

    Each step of a value is a separate layer: an expression that is written twice is planned and computed twice, and
    with hundreds of columns the planning takes longer than the work.
    """
    listed = ", ".join(f"{value} AS {name}" for value, name in items)
    return f"SELECT * REPLACE ({listed})\n  FROM ({sql})" if items else sql


def _result(column: Column) -> str:
    return quoted(f"result:{column.label}")


def _is_given(column: Column) -> bool:
    """Whether a column is there before the calculated ones."""
    return column.read or column.script is not None


def _cast(column: Column) -> str:
    """The result of a calculated column as the column's type; NULL where it cannot be one."""
    value = as_type(column.type, f"{_result(column)}[1]", "TRY_CAST")
    return json_text(value) if column.type is ColumnType.JSON else value
