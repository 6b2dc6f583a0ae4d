"""From the source's columns to the target's: `shaped` becomes `desired`, one row for each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.definitions.models import SyncDefinition
from shared.definitions.models.source import Column, ColumnType
from shared.entities import AttributeType, EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.transform.convert import Conversion, conversion
from shared.transform.rules import ErrorType, Rule, RuleSet
from shared.transform.shape import PASSES, Shape, shape_of, written
from shared.transform.targets import Omit, TargetColumn, key_columns, layout, source_columns
from shared.workspace import Expression, NewTable, Purpose, Step, Table, literal, parsed, quoted

__all__ = ["desire_steps", "value_sql"]

_DESIRED = frozenset({Table.DESIRED})
_BOTH = _DESIRED | {Table.SOURCE_ERRORS}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapped:
    """One mapping during the conversion.

    Attributes:
        incoming: SQL of what goes in.
        label: What error rows call it.
        conversion: How it is fitted into the column.
        rules: What can be wrong with it here.
        doubts: Rules of the source's columns that leave its value unknown.
        attempt: SQL of a first step that may fail; empty where nothing can.
    """

    column: TargetColumn
    incoming: str
    label: str
    conversion: Conversion
    rules: tuple[Rule, ...]
    doubts: tuple[Rule, ...]
    attempt: str = ""


def desire_steps(definition: SyncDefinition, entity: EntityMetadata) -> tuple[Step, ...]:
    """Return the steps that make `desired` of `shaped`, report what is wrong, and count.

    Raises:
        DefinitionError: An expression cannot be read, or a target column does not exist.
    """
    shape, columns = shape_of(definition), layout(definition, entity)
    mapped = [_mapped(definition, shape, column) for column in columns if column.source_sql != "NULL"]
    missing = RuleSet("_missed", [*(rule for each in mapped for rule in each.rules), *_key_rules(mapped)])
    rejected = f"({shape.rules.rejected()} OR {missing.rejected()})"
    removed = f"{rejected} OR NOT {PASSES}"
    unsound = f"SELECT _row FROM desired WHERE {shape.rules.broken()} OR {missing.broken()} OR NOT {PASSES} LIMIT 1"
    filtered = f"SELECT _row FROM desired WHERE NOT {shape.rules.rejected()} AND NOT {PASSES}"
    return (
        Step.creating(
            "Map to the target's columns",
            NewTable(name=Table.DESIRED, query=_desired(columns, mapped, shape, missing)),
            "destination.mappings",
            needs=frozenset({Table.SHAPED}),
        ),
        *(
            Step(title, sql, needs=_BOTH, only_if=unsound)
            for title, rules in (
                ("Report what is wrong with the source", shape.rules),
                ("Report what the target cannot hold", missing),
            )
            for sql in rules.report("desired")
        ),
        Step.creating(
            "Note what is filtered out",
            NewTable(name=Table.SOURCE_FILTERED, query=filtered),
            needs=_DESIRED,
            purpose=Purpose.COUNTS,
        ),
        *_protect_rejected(definition, columns, mapped, rejected),
        Step(
            "Set rejected and filtered rows aside",
            f"DELETE FROM desired WHERE {removed}",
            needs=_DESIRED,
            only_if=unsound,
        ),
        *_keep_first(columns),
        *(
            Step(
                "Forget what has been judged",
                f"ALTER TABLE desired DROP COLUMN {name}",
                needs=_DESIRED,
                purpose=Purpose.CLEANUP,
            )
            for name in (*shape.rules.columns, *missing.columns, PASSES)
        ),
        _COUNT_ROWS,
    )


def _keep_first(columns: Sequence[TargetColumn]) -> tuple[Step, Step]:
    """Report rows whose key an earlier row has, and remove them."""
    later = f"SELECT _row FROM source_errors WHERE error = {_DUPLICATE}"
    return (
        Step(
            "Report duplicates of a key",
            _duplicates(columns),
            needs=_BOTH,
            purpose=Purpose.SOURCE_DUPLICATES,
        ),
        Step(
            "Keep the first row of each key",
            f"DELETE FROM desired\nWHERE _row IN ({later})",
            needs=_BOTH,
            purpose=Purpose.SOURCE_DUPLICATES,
        ),
    )


def _protect_rejected(
    definition: SyncDefinition, columns: Sequence[TargetColumn], mapped: Sequence[_Mapped], rejected: str
) -> tuple[Step, ...]:
    """A rejected row is still in the source: the record with its key was not dropped.

    A row whose key exists but cannot be read is kept with nulls: it may belong to any record. A row with an empty key
    belongs to no record.
    """
    if definition.sync_behaviour.dropped == "ignore":
        return ()
    keys = [f"_k{column.key_part}" for column in key_columns(columns)]
    known = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    unread = f"""
SELECT _row FROM source_errors WHERE error <> {literal(ErrorType.MANDATORY)}{_about_keys(definition, mapped)}""".strip()
    query = f"""
SELECT DISTINCT {", ".join(keys)}
FROM desired
WHERE {rejected} AND ({known} OR _row IN ({unread}))""".strip()
    return (
        Step.creating(
            "Protect the records of rejected rows",
            NewTable(name=Table.PROTECTED, query=query),
            "sync_behaviour.dropped",
            needs=_BOTH,
            purpose=Purpose.REJECTED_ROWS,
        ),
    )


def _about_keys(definition: SyncDefinition, mapped: Sequence[_Mapped]) -> str:
    """Narrow errors to those that can keep a key from being read: of a calculated key, any column's."""
    labels = [each.label for each in mapped if each.column.key_part]
    read = {column.label for column in definition.source.columns if column.read}
    return f' AND "column" IN ({", ".join(map(literal, labels))})' if read.issuperset(labels) else ""


_DUPLICATE = literal(ErrorType.DUPLICATE_KEY)
_COUNTS = f"""
SELECT
  (SELECT count(*) FROM source_raw)
    + (SELECT count(DISTINCT _row) FROM source_errors WHERE error = {literal(ErrorType.MALFORMED_ROW)}) AS processed,
  (SELECT count(*) FROM desired) AS verified,
  (SELECT count(DISTINCT _row) FROM source_errors WHERE rejected) AS rejected,
  (SELECT count(*) FROM source_filtered) AS filtered""".strip()
_COUNT_ROWS = Step.creating(
    "Count the source's rows",
    NewTable(name=Table.SOURCE_COUNTS, query=_COUNTS, is_view=True),
    needs=frozenset({Table.SOURCE_RAW, Table.SOURCE_ERRORS, Table.DESIRED, Table.SOURCE_FILTERED}),
    purpose=Purpose.COUNTS,
)


def value_sql(definition: SyncDefinition, value: str, origin: str) -> str:
    """Return the SQL of a mapping's expression over the source's columns.

    Raises:
        DefinitionError: It cannot be read.
    """
    return _parsed(definition, value, origin).sql


def _parsed(definition: SyncDefinition, value: str, origin: str) -> Expression:
    return parsed(value, names=[column.label for column in definition.source.columns], origin=origin)


def _mapped(definition: SyncDefinition, shape: Shape, column: TargetColumn) -> _Mapped:
    place, mapping = next(
        (place, each) for place, each in enumerate(definition.destination.mappings) if each.target == column.name
    )
    if mapping.value is not None:
        expression = _parsed(definition, mapping.value, f"destination.mappings[{place}].value")
        return _of_expression(column, expression, shape)
    source = source_columns(definition).get(mapping.source or "")
    if source is None:
        message = f"the source has no column {mapping.source}"
        raise DefinitionError([Problem(message=message, path=f"destination.mappings[{place}].source")])
    exact = source.read and source.type is ColumnType.NUMBER and column.attribute.type in _FRACTIONS
    fitted = conversion(source.type, column.attribute)
    return _Mapped(
        column=column,
        incoming=_rounded_once(source, column) if exact else quoted(source.label),
        label=source.label,
        conversion=fitted,
        rules=(
            *_rules(fitted, source.label, rejects=source.validate_),
            *_never_empty(column, source.label, rejects=source.validate_),
        ),
        doubts=_kept(shape.doubts.get(source.label, ())),
    )


_FRACTIONS = frozenset({AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE})
_AT_MOST_TEN_DIGITS = r"'^[+-]?[0-9]*\.?[0-9]{0,10}$'"


def _rounded_once(source: Column, column: TargetColumn) -> str:
    """A number as the target's type, from its text where that has more digits than a number column keeps (ten).

    Rounded twice, 0.00499999999999 would become 0.01. Reading every text a second time would double the cost.
    """
    text, number = written(source), quoted(source.label)
    kept = f"regexp_matches({text}, {_AT_MOST_TEN_DIGITS})"
    return f"CASE WHEN {kept} THEN CAST({number} AS {column.sql_type}) ELSE TRY_CAST({text} AS {column.sql_type}) END"


def _never_empty(column: TargetColumn, label: str, *, rejects: bool) -> Iterator[Rule]:
    """The service refuses to clear some columns, in each run: it is reported before anything is sent."""
    if column.clears and not column.attribute.clearable:
        yield Rule(
            column=label,
            error=ErrorType.MANDATORY,
            rejects=rejects,
            message=f"{column.name} cannot be empty; give a value, or set on_null: keep",
            broken=f"{quoted(f'in:{column.name}')} IS NULL",
        )


def _of_expression(column: TargetColumn, expression: Expression, shape: Shape) -> _Mapped:
    """A mapped expression: its result goes by its text; where it fails on a row the field is left out."""
    fitted = conversion(ColumnType.TEXT, column.attribute)
    failed = Rule(
        column=column.name,
        error=ErrorType.INVALID_FORMAT,
        rejects=False,
        message="the mapping's expression fails on this row",
        broken=f"{quoted(f'try:{column.name}')} IS NULL",
    )
    return _Mapped(
        column=column,
        incoming=f"nullif({quoted(f'try:{column.name}')}[1], '')",
        attempt=f"TRY([CAST({expression.sql} AS VARCHAR)])",
        label=column.name,
        conversion=fitted,
        rules=(failed, *_rules(fitted, column.name, rejects=False), *_never_empty(column, column.name, rejects=False)),
        doubts=_kept(rule for name in sorted(expression.columns) for rule in shape.doubts.get(name, ())),
    )


def _kept(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that leave a field out; those that reject leave nothing to decide."""
    return tuple(dict.fromkeys(rule for rule in rules if not rule.rejects))


def _rules(fitted: Conversion, label: str, *, rejects: bool) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            column=label,
            error=flaw.error,
            rejects=rejects if flaw.rejects is None else flaw.rejects,
            message=flaw.message,
            broken=flaw.broken,
            detail=flaw.detail,
            value_detail=flaw.value_detail,
        )
        for flaw in fitted.flaws
    )


def _key_rules(mapped: Sequence[_Mapped]) -> list[Rule]:
    return [
        Rule(
            column=each.label,
            error=ErrorType.MANDATORY,
            rejects=True,
            message="a key needs a value",
            broken=f"_k{each.column.key_part} IS NULL",
        )
        for each in mapped
        if each.column.key_part
    ]


def _desired(columns: Sequence[TargetColumn], mapped: Sequence[_Mapped], shape: Shape, missing: RuleSet) -> str:
    """The query behind `desired`, layer by layer: incoming values, read, converted, checked."""
    judged = ", ".join((*shape.rules.columns, PASSES))
    attempts = "".join(f", {each.attempt} AS {_name('try', each)}" for each in mapped if each.attempt)
    tries = "".join(f", {_name('try', each)}" for each in mapped if each.attempt)
    incoming = ", ".join(f"{_believed(each, shape)} AS {_name('in', each)}" for each in mapped)
    incoming = f"SELECT _row, {judged}{tries}, {incoming}\n  FROM (SELECT *{attempts} FROM shaped)"
    prepared = [f"{each.conversion.incoming} AS {_name('in', each)}" for each in mapped if each.conversion.incoming]
    if prepared:
        incoming = f"SELECT * REPLACE ({', '.join(prepared)})\n  FROM ({incoming})"
    read = ", ".join(f"{each.conversion.read} AS {_name('read', each)}" for each in mapped)
    joins = "".join(_option_join(each) for each in mapped if each.conversion.options)
    values = ", ".join(f"{each.conversion.value} AS {quoted(each.column.name)}" for each in mapped)
    typed = f"SELECT given.*, {values}\n  FROM (SELECT *, {read}\n  FROM ({incoming})) AS given{joins}"
    keys = ", ".join(f"{column.key_sql} AS _k{column.key_part}" for column in key_columns(columns))
    keyed = f"SELECT *, {keys}\n  FROM ({typed})"
    omitted = f"{shape.rules.rejected()} OR NOT {PASSES}"
    items = ["_row", *(_value(column) for column in columns), *_omits(mapped, shape, missing)]
    items += [f"_k{column.key_part}" for column in key_columns(columns)]
    items += [judged, *missing.found()]
    missed = f"SELECT *, {missing.select(unless=omitted)}\n  FROM ({keyed})"
    return "SELECT " + ",\n    ".join(items) + f"\n  FROM ({missed})"


def _name(stage: str, each: _Mapped) -> str:
    return quoted(f"{stage}:{each.column.name}")


def _believed(each: _Mapped, shape: Shape) -> str:
    """The incoming value; null if it was calculated from a field in error, so that no key is made from it."""
    doubted = shape.rules.any_of(each.doubts)
    return each.incoming if doubted == "false" else f"CASE WHEN NOT {doubted} THEN {each.incoming} END"


def _value(column: TargetColumn) -> str:
    return (
        f"CAST(NULL AS {column.sql_type}) AS {quoted(column.name)}"
        if column.source_sql == "NULL"
        else quoted(column.name)
    )


def _option_join(each: _Mapped) -> str:
    """The options of a choice as a table: joining stays fast however many there are."""
    rows = ", ".join(f"(lower({literal(text)}), {value})" for text, value in each.conversion.options)
    name = _name("option", each)
    return f"\n  LEFT JOIN (VALUES {rows}) AS {name}(text, value) ON given.{_name('read', each)} = {name}.text"


def _omits(mapped: Sequence[_Mapped], shape: Shape, missing: RuleSet) -> list[str]:
    """`_omit_<target>`: the field is in error and the row is not rejected for it."""
    items = []
    for each in mapped:
        if each.column.omit is not Omit.FLAGGED:
            continue
        missed = missing.any_of([rule for rule in each.rules if not rule.rejects])
        items.append(f"({shape.rules.any_of(each.doubts)} OR {missed}) AS {quoted(f'_omit_{each.column.name}')}")
    return items


def _duplicates(columns: Sequence[TargetColumn]) -> str:
    keys = key_columns(columns)
    names = ", ".join(f"_k{column.key_part}" for column in keys)
    same = " AND ".join(f"desired._k{column.key_part} = twice._k{column.key_part}" for column in keys)
    said = literal(", ".join(column.name for column in keys))
    return f"""
INSERT INTO source_errors
SELECT desired._row, {said}, {_DUPLICATE}, true, 'an earlier row has the same key; the first one counts'
FROM desired JOIN (
  SELECT {names}, min(_row) AS first FROM desired GROUP BY {names} HAVING count(*) > 1) AS twice ON {same}
WHERE desired._row > twice.first""".strip()
