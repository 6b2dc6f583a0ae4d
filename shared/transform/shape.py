"""From text to typed columns: `source_raw` becomes `shaped` and `source`, and every broken rule is noted as a bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions.models import Column, ColumnType, SyncDefinition
from shared.errors import DefinitionError, Problem
from shared.transform.blanks import trimmed
from shared.transform.dates import in_calendar, iso_timestamp, read_format
from shared.transform.rules import ErrorType, Rule, RuleSet
from shared.workspace import Expression, NewTable, Step, Table, literal, parsed, quoted, too_long

__all__ = [
    "NUMBER",
    "PASSES",
    "SOURCE_ERRORS",
    "SOURCE_TYPES",
    "Shape",
    "boolean",
    "looked_up",
    "number",
    "shape_of",
    "shape_steps",
    "written",
]

NUMBER: Final = "DECIMAL(38, 10)"  # exact for every number that a Dataverse column can hold
SOURCE_TYPES: Final = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.NUMBER: NUMBER,
    ColumnType.DATE: "TIMESTAMP",
    ColumnType.BOOL: "BOOLEAN",
}
"""The DuckDB type of a source column's values in `shaped` and `source`."""
PASSES: Final = quoted("_passes")
TRUE_WORDS: Final = ("true", "yes", "y", "t", "1")
FALSE_WORDS: Final = ("false", "no", "n", "f", "0")

SOURCE_ERRORS: Final = Step.creating(
    "Make room for the source's errors",
    NewTable(
        name=Table.SOURCE_ERRORS,
        columns="""(
  _row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR)""",
        if_missing=True,
    ),
)
_FITS: Final = {
    ColumnType.NUMBER: "not a number; write it as in 1250.50, -3 or 1e6",
    ColumnType.DATE: "not a date; write it as in 2024-01-31 or 2024-01-31T10:00:00Z",
    ColumnType.BOOL: f"not one of {', '.join((*TRUE_WORDS, *FALSE_WORDS))}",
}
_FAILS: Final = {
    ColumnType.TEXT: "the expression fails on this row",
    ColumnType.NUMBER: "the expression fails on this row, or its result is not a number",
    ColumnType.DATE: "the expression fails on this row, or its result is not a date",
    ColumnType.BOOL: "the expression fails on this row, or its result is not true or false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the columns and the filter of a source compile to.

    Attributes:
        sql: The query over `source_raw` that gives `shaped`.
        rules: The rules of the columns and of the filter.
        doubts: Column -> the rules that, when broken, leave its value unknown: its own, and those of every column that
            it is calculated from.
        sizes: Calculated text column -> how many times as long as a text of the row it can be.
    """

    sql: str
    rules: RuleSet
    doubts: dict[str, tuple[Rule, ...]]
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
    if compiler.problems:
        raise DefinitionError(compiler.problems)
    rules = RuleSet("_broken", compiler.rules)
    labels = ", ".join((*(quoted(column.label) for column in definition.source.columns), *_numbers(definition)))
    final = f"SELECT _row, {labels},\n    {rules.select()},\n    {compiler.passes} AS {PASSES}\nFROM ({sql})"
    return Shape(sql=final, rules=rules, doubts=compiler.doubts, sizes=compiler.sizes)


def _numbers(definition: SyncDefinition) -> Iterator[str]:
    """The texts of numbers; a view computes only what is asked of it."""
    return (written(c) for c in definition.source.columns if c.read and c.type is ColumnType.NUMBER)


def number(text: str, sql_type: str = NUMBER) -> str:
    """SQL for the number that a text holds in plain notation; NULL where it holds none."""
    # DuckDB reads 1_000 as a thousand; in real data it is not a number.
    return f"CASE WHEN NOT contains({text}, '_') THEN TRY_CAST({text} AS {sql_type}) END"


def boolean(text: str, labels: Iterable[tuple[str, bool]] = ()) -> str:
    """SQL for the truth value that a text names; NULL where it names none.

    Args:
        text: SQL of the text.
        labels: Further names and their values; they have precedence over the usual words.
    """
    words = ((word, word in TRUE_WORDS) for word in (*TRUE_WORDS, *FALSE_WORDS))
    return looked_up(f"lower({text})", (*labels, *words), "BOOLEAN")


def looked_up(folded: str, known: Iterable[tuple[str, bool | int]], sql_type: str) -> str:
    """SQL for the value of the first word that equals a text in lower case; NULL where none does.

    A CASE would write the text's expression once for each word.
    """
    words, values = zip(*known, strict=True)
    listed = ", ".join(f"lower({literal(word)})" for word in words)
    return f"([{', '.join(map(literal, values))}]::{sql_type}[])[list_position([{listed}]::VARCHAR[], {folded})]"


def written(column: Column) -> str:
    """The name in `shaped` under which a number that is read keeps every digit: its text."""
    return _text_name(column)


class _Compiler:
    """Builds the query layer by layer: text, typed, then the calculated columns in the order of their dependence."""

    def __init__(self, definition: SyncDefinition) -> None:
        self._columns = definition.source.columns
        self._filter = definition.source.filter
        self._labels = [column.label for column in self._columns]
        self._places = {column.label: f"source.columns[{n}]" for n, column in enumerate(self._columns)}
        self.rules: list[Rule] = []
        self.doubts: dict[str, tuple[Rule, ...]] = {}
        self.sizes: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.passes = "true"

    def query(self) -> str:
        read = [column for column in self._columns if column.read]
        texts = "".join(f", {_cleaned(column, quoted(column.name))} AS {_text_name(column)}" for column in read)
        sql = f"SELECT _row{texts}\n  FROM source_raw"
        sql = _replaced(sql, [(f"nullif({_text_name(column)}, '')", _text_name(column)) for column in read])
        sql = _layer(sql, ", ".join(f"{self._typed(column)} AS {quoted(column.label)}" for column in read))
        dates = [quoted(column.label) for column in read if column.type is ColumnType.DATE and not column.input_format]
        sql = _replaced(sql, [(in_calendar(date), date) for date in dates])
        for column in read:
            self._rules_of_read(column)
        for columns in self._levels():
            sql = self._calculated(sql, columns)
        return self._filtered(sql)

    def _typed(self, column: Column) -> str:
        text = _text_name(column)
        match column.type:
            case ColumnType.TEXT:
                return text
            case ColumnType.NUMBER:
                return number(text)
            case ColumnType.BOOL:
                return boolean(text)
            case ColumnType.DATE:
                return self._date(column, text)

    def _date(self, column: Column, text: str) -> str:
        if column.input_format is None:
            return iso_timestamp(text)
        try:
            return read_format(column.input_format).timestamp(text)
        except ValueError as error:
            self._problem(f"{self._places[column.label]}.input_format", str(error))
            return "NULL"

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(message=message, path=path))

    def _rules_of_read(self, column: Column) -> None:
        text, own = _text_name(column), quoted(column.label)
        self._mandatory(column, f"{text} IS NULL")
        if column.type is not ColumnType.TEXT:
            self._misfit(column, f"{text} IS NOT NULL AND {own} IS NULL", _FITS[column.type])
        self._max_length(column, text)

    def _mandatory(self, column: Column, empty: str) -> None:
        if column.mandatory:
            self._rule(column, ErrorType.MANDATORY, empty, "a value is required", rejects=column.validate_)

    def _misfit(self, column: Column, broken: str, message: str) -> None:
        formatted = column.read and column.input_format is not None
        error = ErrorType.INPUT_FORMAT if formatted else ErrorType.INVALID_FORMAT
        expected = f"not a date in the format {column.input_format}" if formatted else message
        rule = self._rule(column, error, broken, expected, rejects=column.validate_)
        self.doubts[column.label] = (*self.doubts.get(column.label, ()), rule)

    def _max_length(self, column: Column, text: str) -> None:
        if column.max_length is not None:
            message = f"longer than {column.max_length} characters"
            self._rule(column, ErrorType.MAX_LENGTH, f"length({text}) > {column.max_length}", message, rejects=True)

    def _rule(self, column: Column, error: ErrorType, broken: str, message: str, *, rejects: bool) -> Rule:
        rule = Rule(column=column.label, error=error, rejects=rejects, message=message, broken=broken)
        self.rules.append(rule)
        return rule

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
            branches.append(f"WHEN {when.sql} THEN {then.sql}")
            read |= when.columns | then.columns
            sizes.append(then.growth)
        otherwise = self._expression(column.default or "NULL", f"{place}.default")
        return Expression(
            sql=f"CASE {' '.join(branches)} ELSE {otherwise.sql} END",
            columns=frozenset(read | otherwise.columns),
            growth=max(*sizes, otherwise.growth),
        )

    def _levels(self) -> Iterator[list[tuple[Column, Expression]]]:
        """The calculated columns, level by level: each needs only what the levels before it give."""
        waiting = [(column, self._formula(column)) for column in self._columns if not column.read]
        known = {column.label for column in self._columns if column.read}
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
        if column.type is ColumnType.TEXT:
            self.sizes[column.label] = size

    def _calculated(self, sql: str, columns: Sequence[tuple[Column, Expression]]) -> str:
        # TRY gives null where an expression fails on a row; within a list a failure differs from a value that is null.
        sql = _layer(sql, ", ".join(f"TRY([{formula.sql}]) AS {_result(column)}" for column, formula in columns))
        sql = _layer(sql, ", ".join(f"{_cast(column)} AS {quoted(column.label)}" for column, _ in columns))
        texts = [column for column, _ in columns if column.type is ColumnType.TEXT]
        cleaned = [(_cleaned(column, quoted(column.label)), quoted(column.label)) for column in texts]
        sql = _replaced(sql, [(value, label) for value, label in cleaned if value != label])
        sql = _replaced(sql, [(f"nullif({quoted(column.label)}, '')", quoted(column.label)) for column in texts])
        for column, formula in columns:
            inherited = (rule for name in sorted(formula.columns) for rule in self.doubts.get(name, ()))
            self.doubts[column.label] = tuple(dict.fromkeys(inherited))
            self._rules_of_calculated(column)
        return sql

    def _rules_of_calculated(self, column: Column) -> None:
        result, own = _result(column), quoted(column.label)
        misfit = f"{result} IS NULL"
        if column.type is not ColumnType.TEXT:
            misfit = f"({misfit} OR {result}[1] IS NOT NULL AND {own} IS NULL)"
        self._mandatory(column, f"{result} IS NOT NULL AND {result}[1] IS NULL")
        self._misfit(column, misfit, _FAILS[column.type])
        self._max_length(column, f"CAST({own} AS VARCHAR)")

    def _filtered(self, sql: str) -> str:
        if self._filter is None:
            return sql
        condition = self._expression(self._filter, "source.filter")
        if message := too_long(condition.size(self.sizes)):
            self._problem("source.filter", message)
        self.passes = 'coalesce("filter:"[1], false)'
        self.rules.append(
            Rule(
                column="filter",
                error=ErrorType.INVALID_FORMAT,
                rejects=True,
                message="the source's filter fails on this row",
                broken='"filter:" IS NULL',
            )
        )
        return _layer(sql, f'TRY([CAST({condition.sql} AS BOOLEAN)]) AS "filter:"')


def _layer(sql: str, items: str) -> str:
    return f"SELECT *, {items}\n  FROM ({sql})" if items else sql


def _replaced(sql: str, items: Sequence[tuple[str, str]]) -> str:
    """One more layer in which columns have new values.

    Each step of a value is a separate layer: an expression that is written twice is planned and computed twice, and
    with hundreds of columns the planning takes longer than the work.
    """
    listed = ", ".join(f"{value} AS {name}" for value, name in items)
    return f"SELECT * REPLACE ({listed})\n  FROM ({sql})" if items else sql


def _text_name(column: Column) -> str:
    return quoted(f"text:{column.label}")


def _result(column: Column) -> str:
    return quoted(f"result:{column.label}")


def _cleaned(column: Column, raw: str) -> str:
    """The text for the rules: trimmed if configured, or if blanks have no meaning. `raw` is a column."""
    text = raw
    if column.trim or column.type is not ColumnType.TEXT:
        text = trimmed(text)
    for replacement in column.replace:
        text = f"regexp_replace({text}, {literal(replacement.pattern)}, {literal(replacement.with_)}, 'g')"
    return text


def _cast(column: Column) -> str:
    """The result of a calculated column as the column's type."""
    value = f"{_result(column)}[1]"
    match column.type:
        case ColumnType.TEXT:
            return f"CAST({value} AS VARCHAR)"
        case ColumnType.NUMBER:
            return f"TRY_CAST({value} AS {NUMBER})"
        case ColumnType.BOOL:
            return f"TRY_CAST({value} AS BOOLEAN)"
        case ColumnType.DATE:
            return f"CAST(TRY_CAST({value} AS TIMESTAMPTZ) AS TIMESTAMP)"
