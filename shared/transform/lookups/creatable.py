"""What a record gets that a lookup creates: the values of one row, and the rules that they break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.definitions.models import ColumnType, SyncDefinition
from shared.entities import AttributeMetadata
from shared.transform.convert import Conversion, conversion
from shared.transform.lookups.columns import Candidate, LookupColumn
from shared.transform.rules import ErrorType, Rule, RuleSet, ValueProblem
from shared.transform.service_values import to_payload, to_service
from shared.transform.shape import shape_of
from shared.transform.targets import TEXTS, TargetColumn, sql_type
from shared.workspace import parsed, quoted

__all__ = ["FIRST", "ID", "KEY", "Creatable", "creatable", "created_label"]

ID, KEY, FIRST = quoted("row:id"), quoted("row:key"), quoted("row:first")
"""Columns of the table of rows: the id and the key of the record, and the row that it is created for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creatable:
    """The rows whose record is missing, and what it would get from them.

    Attributes:
        table: The table of these rows.
        columns: The further columns of the record.
        rules: What can be wrong with the values.
        values: The query of the further columns, a row for each row of `shaped`; empty where there are none.
    """

    table: str
    columns: tuple[TargetColumn, ...]
    rules: RuleSet
    values: str

    def rows(self, candidate: Candidate, *, record: str, missing: str, kept: str) -> str:
        """The query behind the table.

        Args:
            candidate: The entry that creates records.
            record: SQL of the id of a row's record, over `desired`.
            missing: SQL condition over `desired`: the record of the row is missing, and may get the row's values.
            kept: SQL condition over the table: which rows it has.
        """
        match = {column.name: column for column in candidate.reference.columns}
        members = (to_service(match[value.column], value.written("desired.")) for value in candidate.values)
        key = "'{' || " + " || ',' || ".join(members) + " || '}'"
        matched = "".join(f", {value.written('desired.')} AS {quoted(value.column)}" for value in candidate.values)
        made = f"\n      JOIN ({self.values}) AS made ON made._row = desired._row" if self.values else ""
        further = ", made.* EXCLUDE (_row)" if self.values else ""
        items = ", ".join(("_row", ID, KEY, *self._values_of(candidate), *self.rules.found()))
        first = f"min(_row) FILTER (WHERE NOT {self.rules.rejected()}) OVER (PARTITION BY {ID}) AS {FIRST}"
        return f"""
SELECT * FROM (
  SELECT {items}, {first}
  FROM (
    SELECT *, {self.rules.select()}
    FROM (
      SELECT desired._row, {record} AS {ID}, {key} AS {KEY}{matched}{further}
      FROM desired{made}
      WHERE {missing})))
WHERE {kept}""".strip()

    def _values_of(self, candidate: Candidate) -> Iterator[str]:
        yield from (quoted(value.column) for value in candidate.values)
        yield from (quoted(column.name) for column in self.columns)

    def payload(self) -> str:
        """SQL of the JSON object of the record, over the table."""
        key = f"left({KEY}, length({KEY}) - 1)"
        given = (
            f"CASE WHEN {quoted(column.name)} IS NOT NULL THEN {to_payload(column, quoted(column.name))} END"
            for column in self.columns
        )
        return f"concat_ws(',', {', '.join((key, *given))}) || '}}'"


def created_label(lookup: LookupColumn, name: str) -> str:
    """What error rows call a further column of the records that a lookup creates."""
    return f"{lookup.name}.{name}"


def creatable(definition: SyncDefinition, lookup: LookupColumn) -> Creatable:
    """What the records get that a lookup creates.

    Raises:
        DefinitionError: An expression cannot be read.
    """
    candidate = lookup.candidates[-1]
    attributes = candidate.reference.entity.attributes
    fitted = {name: conversion(ColumnType.TEXT, attributes[name]) for name in candidate.lookup.create}
    return Creatable(
        table=f"creatable_{lookup.place}",
        columns=tuple(_target(attributes[name]) for name in fitted),
        rules=RuleSet("_unmade", [*_of_key(lookup, candidate), *_of_columns(lookup, candidate, fitted)]),
        values=_values(definition, candidate, fitted) if fitted else "",
    )


def _target(attribute: AttributeMetadata) -> TargetColumn:
    return TargetColumn(name=attribute.name, attribute=attribute, sql_type=sql_type(attribute), source_sql="")


def _of_key(lookup: LookupColumn, candidate: Candidate) -> Iterator[Rule]:
    """A text may be searched for that no record can have: it finds nothing, and none can be created with it."""
    for value in candidate.values:
        attribute = candidate.reference.entity.attributes[value.column]
        if attribute.type in TEXTS:
            flaws = conversion(ColumnType.TEXT, attribute).flaws
            yield from (_rule(flaw, lookup.label, candidate) for flaw in flaws)


def _of_columns(lookup: LookupColumn, candidate: Candidate, fitted: Mapping[str, Conversion]) -> Iterator[Rule]:
    """As of a mapped expression: a field is left out, or the row is rejected."""
    for name, fit in fitted.items():
        label = created_label(lookup, name)
        failed = ValueProblem(
            error=ErrorType.INVALID_FORMAT,
            message="the expression of `create` fails on this row",
            broken=f"{_named('try', name)} IS NULL",
        )
        yield from (_rule(flaw, label, candidate) for flaw in (failed, *fit.flaws))


def _rule(flaw: ValueProblem, label: str, candidate: Candidate) -> Rule:
    rejects = flaw.rejects is True
    then = f"the {candidate.table} is not created" if rejects else f"the new {candidate.table} is created without it"
    message = f"{flaw.message}; {then}"
    if flaw.error is ErrorType.UNKNOWN_CHOICE:  # `suggestion_steps` adds to the end of such a message
        message = f"{then}: {flaw.message}"
    return flaw.rule(label, rejects=rejects, message=message)


def _values(definition: SyncDefinition, candidate: Candidate, fitted: Mapping[str, Conversion]) -> str:
    """The query of the further columns: each expression in the form of its column; NULL where it does not fit.

    What is calculated from a source column in error is unknown, as in a mapping.
    """
    shape, labels = shape_of(definition), [column.label for column in definition.source.columns]
    attempts = ["_row"]
    for name in fitted:
        path = f"{candidate.path}.create.{name}"
        expression = parsed(candidate.lookup.create[name], names=labels, origin=path)
        doubts = [rule for column in sorted(expression.columns) for rule in shape.doubts.get(column, ())]
        attempts.append(f"TRY([CAST({expression.sql} AS VARCHAR)]) AS {_named('try', name)}")
        attempts.append(f"{shape.rules.any_of(doubts)} AS {_named('doubt', name)}")
    incoming = (
        f"CASE WHEN NOT {_named('doubt', name)} THEN nullif({_named('try', name)}[1], '') END AS {_named('in', name)}"
        for name in fitted
    )
    query = f"SELECT *, {', '.join(incoming)} FROM (SELECT {', '.join(attempts)} FROM shaped)"
    prepared = [f"{fit.incoming} AS {_named('in', name)}" for name, fit in fitted.items() if fit.incoming]
    if prepared:
        query = f"SELECT * REPLACE ({', '.join(prepared)}) FROM ({query})"
    read = ", ".join(f"{fit.read} AS {_named('read', name)}" for name, fit in fitted.items())
    joins = "".join(fit.join(name) for name, fit in fitted.items())
    values = ", ".join(f"{fit.value} AS {quoted(name)}" for name, fit in fitted.items())
    return f"SELECT given.*, {values} FROM (SELECT *, {read} FROM ({query})) AS given{joins}"


def _named(stage: str, name: str) -> str:
    return quoted(f"{stage}:{name}")
