"""From the source's columns to the target's: `shaped` becomes `desired`, one row for each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.definitions.models import SyncDefinition
from shared.definitions.models.columns import Column, ColumnType
from shared.entities import EntityMetadata
from shared.errors import DefinitionError, Problem
from shared.transform.choices.options import suggestion_steps
from shared.transform.convert import conversion
from shared.transform.keys import normalise_key
from shared.transform.lookups.columns import (
    LookupColumn,
    given_name,
    link_name,
    lookup_columns,
    selector_name,
    selectors,
)
from shared.transform.lookups.parties import bounds, split_steps
from shared.transform.mapped.columns import MappedColumn, believed, stage_name
from shared.transform.mapped.keys import UNREAD, unfit_key, unread_key
from shared.transform.notation.incoming import incoming, only_blanks
from shared.transform.rules import ErrorType, Rule, RuleSet, ValueProblem
from shared.transform.shape import PASSES, Shape, action_of, shape_of
from shared.transform.states.pairs import Pair, never_empty, pair_of, state_rules
from shared.transform.targets import Omit, TargetColumn, key_columns, layout, source_columns, sql_type
from shared.workspace import Expression, NewTable, Step, Table, parsed, quoted

__all__ = ["CompiledMappings", "desire_of", "desire_steps", "value_sql"]

_DESIRED = frozenset({Table.DESIRED})
_BOTH = _DESIRED | {Table.SOURCE_ERRORS}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledMappings:
    """What the mappings of a definition compile to.

    Attributes:
        columns: The target columns.
        mapped: The values that are converted: of target columns, and of what lookups search for.
        lookups: The columns whose value a lookup finds.
        missing: The rules of the conversions.
    """

    definition: SyncDefinition
    shape: Shape
    columns: tuple[TargetColumn, ...]
    mapped: tuple[MappedColumn, ...]
    lookups: tuple[LookupColumn, ...]
    missing: RuleSet

    @property
    def early(self) -> tuple[LookupColumn, ...]:
        """The lookups that are resolved before the target is read."""
        return tuple(lookup for lookup in self.lookups if not lookup.late)

    @property
    def late(self) -> tuple[LookupColumn, ...]:
        """The lookups that may refer to records which this run writes."""
        return tuple(lookup for lookup in self.lookups if lookup.late)

    @property
    def rejected(self) -> str:
        """SQL condition over `desired`: the row is rejected."""
        return f"({self.shape.rules.rejected()} OR {self.missing.rejected()})"

    @property
    def removed(self) -> str:
        """SQL condition over `desired`: the row is rejected or filtered out."""
        return f"{self.rejected} OR NOT {PASSES}"

    @property
    def unsearched(self) -> str:
        """SQL condition over `desired`: no lookup looks at the row.

        Where records may be dropped, the keys of rejected rows are searched too: they protect their records.
        """
        keyed = self.unread and any(lookup.key_part for lookup in self.lookups)
        return f"NOT {PASSES} AND NOT {self.rejected}" if keyed else self.removed

    @property
    def unsound(self) -> str:
        """SQL query over `desired`: gives a row where one breaks a rule or is filtered out."""
        broken = f"{self.shape.rules.broken()} OR {self.missing.broken()}"
        return f"SELECT _row FROM desired WHERE {broken} OR NOT {PASSES} LIMIT 1"

    @property
    def judged(self) -> tuple[str, ...]:
        """The quoted names of the columns that hold what was judged."""
        return (*self.shape.rules.columns, *self.missing.columns, PASSES, *self.deleting, *self.unread)

    @property
    def deleting(self) -> tuple[str, ...]:
        """The quoted name of the column that says whether a row deletes its record; none where no lookup needs it."""
        return (_DELETES,) if self.lookups and self.definition.sync_behaviour.action_column is not None else ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The quoted name of the column that says whether a row has an unknown key; none where nothing is dropped."""
        return () if self.definition.sync_behaviour.dropped == "ignore" else (UNREAD,)

    @property
    def identifying(self) -> tuple[MappedColumn, ...]:
        """The parts of the sync key; of those that a lookup finds, what it searches for."""
        searched = {value.name for lookup in self.lookups if lookup.key_part for value in lookup.values}
        return tuple(each for each in self.mapped if each.column.key_part or each.column.name in searched)


def desire_of(definition: SyncDefinition, entity: EntityMetadata) -> CompiledMappings:
    """Compile the mappings.

    Raises:
        DefinitionError: An expression cannot be read, or a target column does not exist.
    """
    shape, columns = shape_of(definition), layout(definition, entity)
    lookups = lookup_columns(definition, entity)
    own = [column for column in columns if column.source_sql != "NULL" and not column.resolved]
    mapped = [_mapped(definition, shape, column, columns) for column in own]
    mapped += [each for lookup in lookups for each in _match_values(definition, shape, lookup)]
    rules = [
        *(rule for each in mapped for rule in (*each.rules, *each.blank)),
        *_key_rules(mapped),
        *state_rules({each.column.name: each.label for each in mapped}, columns),
    ]
    return CompiledMappings(
        definition=definition,
        shape=shape,
        columns=columns,
        mapped=tuple(mapped),
        lookups=lookups,
        missing=RuleSet("_missed", rules),
    )


def desire_steps(
    definition: SyncDefinition, entity: EntityMetadata, desire: CompiledMappings | None = None
) -> tuple[Step, ...]:
    """Return the steps that make `desired` of `shaped` and report what is wrong; lookups have no values yet.

    Args:
        definition: The sync.
        entity: Its table.
        desire: What its mappings compile to, where that is known already.

    Raises:
        DefinitionError: An expression cannot be read, or a target column does not exist.
    """
    desire = desire or desire_of(definition, entity)
    return (
        Step.creating(
            "Map to the target's columns",
            NewTable(name=Table.DESIRED, query=_desired(desire)),
            "destination.mappings",
            needs=frozenset({Table.SHAPED}),
        ),
        *(
            Step(title, sql, needs=_BOTH, only_if=desire.unsound)
            for title, rules in (
                ("Report what is wrong with the source", desire.shape.rules),
                ("Report what the target cannot hold", desire.missing),
            )
            for sql in rules.report("desired")
        ),
        *suggestion_steps(desire.columns),
        *split_steps(desire.lookups, definition.sync_behaviour.key_match, unless=desire.removed),
    )


def value_sql(definition: SyncDefinition, value: str, origin: str) -> str:
    """Return the SQL of a mapping's expression over the source's columns.

    Raises:
        DefinitionError: It cannot be read.
    """
    return _parsed(definition, value, origin).sql


def _parsed(definition: SyncDefinition, value: str, origin: str) -> Expression:
    return parsed(value, names=[column.label for column in definition.source.columns], origin=origin)


def _mapped(
    definition: SyncDefinition, shape: Shape, column: TargetColumn, columns: Sequence[TargetColumn]
) -> MappedColumn:
    place, mapping = next(
        (place, each) for place, each in enumerate(definition.destination.mappings) if each.target == column.name
    )
    if mapping.value is not None:
        expression = _parsed(definition, mapping.value, f"destination.mappings[{place}].value")
        return _of_expression(column, expression, shape, columns=columns)
    source = _source(definition, mapping.sources[0] if mapping.sources else "", place)
    fitted = conversion(source.type, column.attribute)
    return MappedColumn(
        column=column,
        incoming=incoming(source, column),
        label=source.label,
        conversion=fitted,
        rules=(
            *_rules(fitted.flaws, source.label, rejects=source.validate_),
            *never_empty(column, source.label, columns, rejects=source.validate_),
        ),
        doubts=shape.doubts.get(source.label, ()),
        made_of=frozenset({source.label}),
        blank=only_blanks(source, column, fitted, shape),
    )


def _source(definition: SyncDefinition, name: str, place: int) -> Column:
    source = source_columns(definition).get(name)
    if source is None:
        message = f"the source has no column {name}"
        raise DefinitionError([Problem(message=message, path=f"destination.mappings[{place}].source")])
    return source


def _match_values(definition: SyncDefinition, shape: Shape, lookup: LookupColumn) -> Iterator[MappedColumn]:
    """What a lookup searches for; a value that its match column cannot hold is found nowhere."""
    for value in lookup.values:
        column = TargetColumn(
            name=value.name, attribute=value.attribute, sql_type=sql_type(value.attribute), source_sql="", writes=False
        )
        if value.source:
            source = _source(definition, value.source, lookup.place)
            fitted = conversion(source.type, value.attribute)
            yield MappedColumn(
                column=column,
                incoming=incoming(source, column),
                label=source.label,
                conversion=fitted,
                rules=bounds(lookup, source.label),
                doubts=shape.doubts.get(source.label, ()),
                made_of=frozenset({source.label, lookup.selector or source.label}),
                blank=only_blanks(source, column, fitted, shape),
            )
        else:
            origin = f"destination.mappings[{lookup.place}].value"
            expression = _parsed(definition, lookup.mapping.value or "NULL", origin)
            mapped = _of_expression(column, expression, shape, label=lookup.name)
            yield replace(mapped, rules=(*mapped.rules, *bounds(lookup, lookup.name)))


def _of_expression(
    column: TargetColumn, expression: Expression, shape: Shape, label: str = "", columns: Sequence[TargetColumn] = ()
) -> MappedColumn:
    """A mapped expression: its result goes by its text; where it fails on a row the field is left out."""
    fitted = conversion(ColumnType.TEXT, column.attribute)
    flaws = () if label else fitted.flaws  # what a lookup searches for need not fit
    filled = never_empty(column, column.name, columns, rejects=False)
    failed = Rule(
        column=label or column.name,
        error=ErrorType.INVALID_FORMAT,
        rejects=False,
        message="the mapping's expression fails on this row",
        broken=f"{quoted(f'try:{column.name}')} IS NULL",
    )
    return MappedColumn(
        column=column,
        incoming=f"nullif({quoted(f'try:{column.name}')}[1], '')",
        attempt=f"TRY([CAST({expression.sql} AS VARCHAR)])",
        label=label or column.name,
        conversion=fitted,
        rules=(failed, *_rules(flaws, column.name, rejects=False), *filled),
        doubts=_doubts(expression.columns, shape),
        made_of=expression.columns,
    )


def _doubts(names: Iterable[str], shape: Shape) -> tuple[Rule, ...]:
    """The rules that leave what is calculated from these columns unknown.

    Those that reject count too: the key of a rejected row says which record is protected from being dropped.
    """
    return tuple(dict.fromkeys(rule for name in sorted(names) for rule in shape.doubts.get(name, ())))


def _rules(flaws: Sequence[ValueProblem], label: str, *, rejects: bool) -> tuple[Rule, ...]:
    return tuple(flaw.rule(label, rejects=rejects) for flaw in flaws)


def _key_rules(mapped: Sequence[MappedColumn]) -> list[Rule]:
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


def _desired(desire: CompiledMappings) -> str:
    """The query behind `desired`, layer by layer: incoming values, read, converted, checked."""
    mapped, shape, missing = desire.mapped, desire.shape, desire.missing
    judged = ", ".join((*shape.rules.columns, PASSES))
    attempts = "".join(f", {each.attempt} AS {stage_name('try', each)}" for each in mapped if each.attempt)
    tries = "".join(f", {stage_name('try', each)}" for each in mapped if each.attempt)
    tries += "".join(f", {item}" for item in (*selectors(desire.lookups), *_deletes(desire), *_unread(desire)))
    incoming = ", ".join(f"{believed(each, shape)} AS {stage_name('in', each)}" for each in mapped)
    incoming = f"SELECT _row, {judged}{tries}, {incoming}\n  FROM (SELECT *{attempts} FROM shaped)"
    prepared = [
        f"{each.conversion.incoming} AS {stage_name('in', each)}" for each in mapped if each.conversion.incoming
    ]
    if prepared:
        incoming = f"SELECT * REPLACE ({', '.join(prepared)})\n  FROM ({incoming})"
    read = ", ".join(f"{each.conversion.read} AS {stage_name('read', each)}" for each in mapped)
    joins = "".join(each.conversion.join(each.column.name) for each in mapped)
    values = ", ".join(f"{each.conversion.value} AS {quoted(each.column.name)}" for each in mapped)
    typed = f"SELECT given.*, {values}\n  FROM (SELECT *, {read}\n  FROM ({incoming})) AS given{joins}"
    if pair := pair_of(desire.columns):
        several = (each.conversion.several for each in mapped if each.column.name == pair.status.name)
        typed = pair.settled(typed, next(several, {}))
    keyed = f"SELECT *, {', '.join(_comparable(desire))}\n  FROM ({typed})"
    omitted = f"{shape.rules.rejected()} OR NOT {PASSES}"
    valued = (column for column in desire.columns if not column.collection)  # the texts of lists come with lookups
    items = ["_row", *(_value(column, pair) for column in valued), *_omits(mapped, shape, missing, pair)]
    items += [f"_k{column.key_part}" for column in key_columns(desire.columns)]
    items += _searched(desire)
    items += [judged, *missing.found(), *desire.deleting]
    items += [f"({name} OR {unfit_key(desire.identifying)}) AS {name}" for name in desire.unread]
    missed = f"SELECT *, {missing.select(unless=omitted)}\n  FROM ({keyed})"
    return "SELECT " + ",\n    ".join(items) + f"\n  FROM ({missed})"


def _comparable(desire: CompiledMappings) -> Iterator[str]:
    """The sync key and what lookups search for, as they are compared; a key that a lookup gives is not known yet."""
    for column in key_columns(desire.columns):
        value = f"CAST(NULL AS {column.sql_type})" if column.resolved else column.key_sql
        yield f"{value} AS _k{column.key_part}"
    for searched in (value for lookup in desire.lookups for value in lookup.values):
        folded = normalise_key(searched.attribute, quoted(searched.name), desire.definition.sync_behaviour.key_match)
        yield f"{folded} AS {quoted(searched.key)}"


_DELETES = quoted("row:deletes")


def _deletes(desire: CompiledMappings) -> list[str]:
    """Whether the row itself says that its record is deleted."""
    column = quoted(desire.definition.sync_behaviour.action_column or "")
    return [f"({action_of(column)} = 'DELETE') IS TRUE AS {name}" for name in desire.deleting]


def _unread(desire: CompiledMappings) -> list[str]:
    """Whether the row has a key that is not known, as far as the source's columns tell it."""
    read = [column.label for column in desire.definition.source.columns if column.read]
    return [f"({unread_key(desire.identifying, desire.shape, read)}) AS {name}" for name in desire.unread]


def _searched(desire: CompiledMappings) -> Iterator[str]:
    """What the lookup steps need: the values, their comparable forms, and whether the row leaves the column alone."""
    for lookup in desire.lookups:
        for name, key in ((quoted(value.name), quoted(value.key)) for value in lookup.values):
            yield from (name if lookup.is_list else f"nullif({name}, {key}) AS {name}", key)
        if lookup.selector:
            yield quoted(selector_name(lookup.name))
        own = {value.name for value in lookup.values}
        mapped = [each for each in desire.mapped if each.column.name in own]
        of_table = desire.shape.doubts.get(lookup.selector, ())
        doubts = desire.shape.rules.any_of([*(rule for each in mapped for rule in each.doubts), *of_table])
        missed = desire.missing.any_of([rule for each in mapped for rule in each.rules])
        # A delete needs its key and no more.
        deleted = f" OR {_DELETES}" if desire.deleting and lookup.key_part is None else ""
        yield f"({doubts} OR {missed}{deleted}) AS {quoted(f'_omit_{lookup.name}')}"
        given = " OR ".join(f"{stage_name('in', each)} IS NOT NULL" for each in mapped)
        yield f"({given}) AS {quoted(given_name(lookup.name))}"
        yield f"CAST(NULL AS BIGINT) AS {quoted(link_name(lookup.name))}"


def _value(column: TargetColumn, pair: Pair | None) -> str:
    name = quoted(column.name)
    if pair and column.name in pair.names:
        return f"CAST({pair.values()[column.name]} AS {column.sql_type}) AS {name}"
    unknown = column.source_sql == "NULL" or column.resolved
    return f"CAST(NULL AS {column.sql_type}) AS {name}" if unknown else name


def _omits(mapped: Sequence[MappedColumn], shape: Shape, missing: RuleSet, pair: Pair | None) -> list[str]:
    """`_omit_<target>`: the field is in error and the row is not rejected for it."""
    omits = pair.omits() if pair else {}
    items = [f"{sql} AS {quoted(f'_omit_{name}')}" for name, sql in omits.items()]
    for each in mapped:
        if each.column.omit is not Omit.FLAGGED or each.column.name in omits:
            continue
        missed = missing.any_of([rule for rule in each.rules if not rule.rejects])
        items.append(f"({shape.rules.any_of(each.doubts)} OR {missed}) AS {quoted(f'_omit_{each.column.name}')}")
    return items
