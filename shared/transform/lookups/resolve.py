"""From match values to records: one statement sets every lookup column of `desired`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from shared.transform.current import current_table_step
from shared.transform.desire import CompiledMappings
from shared.transform.lookups.columns import (
    Candidate,
    LookupColumn,
    Reference,
    given_name,
    link_name,
    references,
    selector_name,
)
from shared.transform.lookups.creations import NOT_CREATED, creation_steps, is_missing
from shared.transform.lookups.parties import PARTY, collected
from shared.transform.notation.value_class import value_class
from shared.transform.rules import ErrorType
from shared.transform.service_values import to_service
from shared.workspace import Step, Table, literal, quoted

__all__ = [
    "Found",
    "found_in_reference",
    "link_update",
    "reference_steps",
    "rejected_anyway",
    "report_links",
    "resolve_steps",
    "searched_values",
    "unfound",
    "unresolved",
]

NOT_FOUND: Final = 0
CANNOT_BE_EMPTY: Final = -1

Found = Callable[[Candidate], str]
"""SQL of the records that a candidate may find: `k1`… (comparable), `n` (how many have the key), `id`."""


def reference_steps(references: Sequence[Reference]) -> tuple[Step, ...]:
    """Return the steps that make the tables which the referenced records are read into."""
    return tuple(_reference_step(reference) for reference in references)


def _reference_step(reference: Reference) -> Step:
    title = f"Create the table of the records of {reference.entity.logical_name} that lookups search"
    # Stored keys: DuckDB would compute generated ones for each record that is read, and again for each search.
    return current_table_step(reference.columns, name=reference.name, title=title, stored_keys=True)


def resolve_steps(desire: CompiledMappings, lookups: Sequence[LookupColumn]) -> tuple[Step, ...]:
    """Return the steps that set the lookup columns of `desired` from the referenced records, and report errors."""
    if not lookups:
        return ()
    unless = desire.removed
    creates_nothing = " OR ".join((unless, *desire.deleting))
    single = [lookup for lookup in lookups if not lookup.is_list]
    return (
        *_searches(single, unless),
        *(step for lookup in lookups if lookup.is_list for step in (*_searches([lookup], "false"), collected(lookup))),
        *creation_steps(desire.definition, single, unless=creates_nothing, rejected=rejected_anyway(lookups)),
        *report_links(lookups),
    )


def _searches(lookups: Sequence[LookupColumn], unless: str) -> Iterator[Step]:
    """The step that finds records, of several columns in `desired`, or of one list of parties."""
    if lookups:
        yield Step(
            "Find the records that lookups refer to",
            link_update(lookups, found_in_reference, unless=unless),
            "destination.mappings",
            needs=frozenset({lookups[0].rows, *(reference.name for reference in references(lookups))}),
        )


def found_in_reference(candidate: Candidate, table: str = "", order: str = "_created") -> str:
    """The records that a candidate may find, one row for each key.

    Args:
        candidate: What is searched.
        table: The table of the records; empty for the one of the reference.
        order: SQL of what is lowest for the oldest, of several parts joined with commas.
    """
    keys = [candidate.reference.key_of(value.column) for value in candidate.values]
    columns = ", ".join(f"{key} AS k{place}" for place, key in enumerate(keys, 1))
    present = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    return f"""
    SELECT {columns}, count(*) AS n, {_chosen(candidate, "_id", order)} AS id
    FROM {table or candidate.reference.name} WHERE {present} GROUP BY {", ".join(keys)}""".strip()


def _chosen(candidate: Candidate, record: str, order: str) -> str:
    """SQL of the record that is used where several have a key; where that is refused, of any.

    Args:
        candidate: What says which one.
        record: SQL of its id, which decides between records of one moment.
        order: SQL of what is lowest for the oldest, of several parts joined with commas.
    """
    match candidate.lookup.on_ambiguous:
        case "oldest":
            return f"arg_min({record}, ({order}, {record}))"
        case "newest":
            return f"arg_max({record}, ({order}, {record}))"
        case "reject":
            return f"any_value({record})"


def searched_values(
    lookups: Sequence[LookupColumn], reference: Reference, *, unless: str = "false", first: int | None = None
) -> list[str]:
    """SQL queries of the values that lookups search in a reference: JSON objects of match columns, each value once.

    Args:
        lookups: The columns.
        reference: What is searched.
        unless: SQL condition over `desired`: the row is not looked at.
        first: Of so many rows only, whichever they are; None for all.
    """
    candidates = [(lookup, each) for lookup in lookups for each in lookup.candidates if each.reference == reference]
    queries = [_searched(lookup, each, unless, first) for lookup, each in candidates]
    return [*queries, *(query for _, each in candidates for query in _searched_default(each))]


def _searched(lookup: LookupColumn, candidate: Candidate, unless: str, first: int | None) -> str:
    key = _key_object(candidate, [value.written() for value in candidate.values])
    keys = [quoted(value.key) for value in candidate.values]
    conditions = [*(f"{key} IS NOT NULL" for key in keys), f"{quoted(f'_omit_{lookup.name}')} IS NOT TRUE"]
    if candidate.when:
        conditions.append(f"{quoted(selector_name(lookup.name))} = {literal(candidate.when)}")
    if unless != "false" and not lookup.is_list:
        conditions.append(f"NOT ({unless})")
    rows = lookup.rows if first is None else f"(SELECT * FROM {lookup.rows} LIMIT {first})"
    return f"SELECT any_value({key}) FROM {rows} WHERE {' AND '.join(conditions)} GROUP BY {', '.join(keys)}"


def _searched_default(candidate: Candidate) -> Iterator[str]:
    if candidate.default:
        present = " AND ".join(f"{text} IS NOT NULL" for text in candidate.default)
        yield f"SELECT {_key_object(candidate, candidate.default)} WHERE {present}"


def _key_object(candidate: Candidate, values: Sequence[str]) -> str:
    """SQL of the JSON object of some values, by the names of their match columns."""
    columns = {column.name: column for column in candidate.reference.columns}
    pairs = zip(candidate.values, values, strict=True)
    members = (to_service(columns[value.column], sql) for value, sql in pairs)
    return "'{' || " + " || ',' || ".join(members) + " || '}'"


def link_update(lookups: Sequence[LookupColumn], found: Found, *, unless: str = "false") -> str:
    """The statement that sets the values of lookups, whether they are left out, and how the search ended.

    Args:
        lookups: The columns; all of `desired`, or one list of parties.
        found: What each candidate may find.
        unless: SQL condition over `desired`: the row is not looked at.
    """
    table, row = lookups[0].rows, PARTY if lookups[0].is_list else "_row"
    values = [_Value(lookup, number, found) for number, lookup in enumerate(lookups)]
    items = ",\n    ".join(item for value in values for item in value.items())
    joins = "\n  ".join(join for value in values for join in value.joins())
    sets = ",\n  ".join(item for value in values for item in value.sets())
    return f"""
UPDATE {table} SET {sets}
FROM (
  SELECT d.{row},
    {items}
  FROM (SELECT * FROM {table} WHERE NOT ({unless})) AS d
  {joins}) AS found
WHERE found.{row} = {table}.{row}""".strip()


class _Value:
    """The SQL of one lookup column; `number` makes its names unique in the statement."""

    def __init__(self, lookup: LookupColumn, number: int, found: Found) -> None:
        self._lookup = lookup
        self._number = number
        self._found = found

    def items(self) -> Iterator[str]:
        """Value and result of the search, as items of the query."""
        omitted, given = self._own(f"_omit_{self._lookup.name}"), self._own(given_name(self._lookup.name))
        values, results = [f"WHEN {omitted} THEN NULL"], [f"WHEN {omitted} THEN NULL"]
        for place, candidate in enumerate(self._lookup.candidates):
            joined = self._alias(place)
            if candidate.lookup.on_ambiguous == "reject":
                values.append(f"WHEN {joined}.n > 1 THEN NULL")
                results.append(f"WHEN {joined}.n > 1 THEN {joined}.n")
            values.append(f"WHEN {joined}.id IS NOT NULL THEN {self._reference(candidate, f'{joined}.id')}")
            results.append(f"WHEN {joined}.id IS NOT NULL THEN NULL")
        default = ", ".join(self._reference(each, f"{alias}.id") for each, alias in self._defaults())
        default = f"coalesce({default})" if default else ""
        if default:
            results.append(f"WHEN {default} IS NOT NULL THEN NULL")
        # A default is searched for if the source is empty too: then the value is missing, and not empty.
        results.append(f"WHEN {'true' if default else given} THEN {NOT_FOUND}")
        yield f"CASE {' '.join(values)} ELSE {default or 'NULL'} END AS v{self._number}"
        yield f"CASE {' '.join(results)} END AS s{self._number}"

    def joins(self) -> Iterator[str]:
        for place, candidate in enumerate(self._lookup.candidates):
            joined = self._alias(place)
            same = [f"{joined}.k{n} = {self._own(value.key)}" for n, value in enumerate(candidate.values, 1)]
            if candidate.when:
                same.append(f"{self._own(selector_name(self._lookup.name))} = {literal(candidate.when)}")
            yield f"LEFT JOIN ({self._found(candidate)}) AS {joined} ON {' AND '.join(same)}"
        for candidate, alias in self._defaults():
            same = [f"k{place} = {key}" for place, key in enumerate(candidate.default, 1)]
            if candidate.lookup.on_ambiguous == "reject":
                same.append("n = 1")
            found = f"SELECT id FROM ({self._found(candidate)}) WHERE {' AND '.join(same)}"
            yield f"LEFT JOIN ({found}) AS {alias} ON {self._is_open(candidate)}"

    def sets(self) -> Iterator[str]:
        name, value, result = self._lookup.name, f"found.v{self._number}", f"found.s{self._number}"
        keeps = [f"{self._lookup.rows}.{quoted(f'_omit_{name}')}"]
        if self._lookup.policy == "keep":
            keeps.append(f"coalesce({result} = {NOT_FOUND}, false)")
        empty = f"({value} IS NULL AND {result} IS NULL)"
        if self._lookup.mapping.keeps_on_null:
            keeps.append(empty)  # what is not found has a policy of its own
        if self._lookup.key_part:
            result = f"CASE WHEN {empty} THEN {CANNOT_BE_EMPTY} ELSE {result} END"
        elif not self._lookup.attribute.clearable:
            result = f"CASE WHEN {empty} AND NOT {' AND NOT '.join(keeps)} THEN {CANNOT_BE_EMPTY} ELSE {result} END"
            keeps.append(f"{value} IS NULL")
        if self._lookup.key_part:
            yield f"_k{self._lookup.key_part} = {value}"
        yield f"{quoted(name)} = {value}"
        yield f"{quoted(link_name(name))} = {result}"
        if len(keeps) > 1:
            yield f"{quoted(f'_omit_{name}')} = ({' OR '.join(dict.fromkeys(keeps))})"

    def _own(self, name: str) -> str:
        return f"d.{quoted(name)}"

    def _alias(self, place: int) -> str:
        return f"r{self._number}_{place}"

    def _reference(self, candidate: Candidate, record: str) -> str:
        """The value of the column: with the name of the table where it has several."""
        if not self._lookup.attribute.polymorphic:
            return record
        return f"{literal(candidate.table + ':')} || CAST({record} AS VARCHAR)"

    def _is_open(self, candidate: Candidate) -> str:
        """SQL condition: the default may be a record of this table, because the row names this one, or none."""
        if not candidate.when:
            return "true"
        return f"coalesce({self._own(selector_name(self._lookup.name))}, '') IN ('', {literal(candidate.when)})"

    def _defaults(self) -> Iterator[tuple[Candidate, str]]:
        """The entries that search for a default where the source is empty or finds nothing, each with its alias."""
        for place, candidate in enumerate(self._lookup.candidates):
            if candidate.default:
                yield candidate, f"{self._alias(place)}_default"


def unresolved(lookups: Sequence[LookupColumn]) -> str:
    """SQL condition over `desired`: a lookup rejects the row."""
    return " OR ".join(f"({_rejects(lookup)})" for lookup in lookups) or "false"


def rejected_anyway(lookups: Sequence[LookupColumn]) -> str:
    """SQL condition over `desired`: a lookup rejects the row, and creating what is missing does not help it."""
    found = (
        f"({_rejects(each)}) AND ({is_missing(each)}) IS NOT TRUE" if each.policy == "create" else _rejects(each)
        for each in lookups
    )
    return " OR ".join(f"({condition})" for condition in found) or "false"


def _rejects(lookup: LookupColumn) -> str:
    link = quoted(link_name(lookup.name))
    if lookup.key_part:
        return f"{link} IS NOT NULL"
    refused = f" OR {link} = {NOT_CREATED}" if lookup.policy == "create" else ""
    return f"coalesce({link} {'>=' if _needs_a_record(lookup) else '>'} {NOT_FOUND}{refused}, false)"


def unfound(lookup: LookupColumn) -> str:
    """SQL condition over `desired`: the lookup had something to search for, and found no record, or several."""
    return f"({quoted(link_name(lookup.name))} <> {CANNOT_BE_EMPTY}) IS TRUE"


def _needs_a_record(lookup: LookupColumn) -> bool:
    """Whether a row is rejected if no record is found; what cannot be created, because it lacks a value, is missing."""
    return lookup.policy in {"reject", "create"}


def report_links(lookups: Sequence[LookupColumn]) -> Iterator[Step]:
    """The steps that report what lookups did not find, or found several times."""
    for lookup in lookups:
        for title, condition, error, rejected, message in _reports(lookup):
            yield Step(
                title,
                f"""
INSERT INTO source_errors
SELECT _row, {literal(lookup.label)}, {literal(error)}, {literal(rejected)}, {message}
FROM {lookup.rows} WHERE {condition}""".strip(),
                f"destination.mappings[{lookup.place}].lookup",
                needs=frozenset({lookup.rows, Table.SOURCE_ERRORS}),
            )


def _reports(lookup: LookupColumn) -> Iterator[tuple[str, str, ErrorType, bool, str]]:
    link = quoted(link_name(lookup.name))
    kept = f"; {lookup.name} keeps its value"
    cleared = f"; {lookup.name} {'is cleared' if lookup.attribute.clearable else 'cannot be empty and keeps its value'}"
    consequence = {} if lookup.key_part else {"clear": cleared, "keep": kept}
    if lookup.is_list:
        consequence = dict.fromkeys(consequence, "; this party is left out")
    searched = _not_found(lookup)
    if any(each.default for each in lookup.candidates):
        default = literal(f"the default finds no {_tables(lookup)}, or several")
        sought = quoted(given_name(lookup.name))
        if lookup.selector:
            sought = f"{sought} OR coalesce({quoted(selector_name(lookup.name))}, '') NOT IN ({_named(lookup, '')})"
        searched = f"CASE WHEN {sought} THEN {searched} ELSE {default} END"
    missing = f"concat({searched}, {literal(consequence.get(lookup.policy, ''))})"
    rejects = _needs_a_record(lookup) or lookup.key_part is not None
    yield "Report lookups that find no record", f"{link} = {NOT_FOUND}", ErrorType.UNRESOLVED_LINK, rejects, missing
    several = f"concat({link}, {literal(f' records of {_tables(lookup)} have this {_columns(lookup)}')})"
    yield "Report lookups that find several records", f"{link} > 1", ErrorType.AMBIGUOUS_LINK, True, several
    said = "a key needs a value" if lookup.key_part else f"{lookup.name} cannot be empty; set on_null: keep"
    condition = f"{link} = {CANNOT_BE_EMPTY}"
    yield "Report lookups without a value", condition, ErrorType.MANDATORY, bool(lookup.key_part), literal(said)


def _not_found(lookup: LookupColumn) -> str:
    """SQL of what was searched for in vain, or why nothing was: the row names no table, or one without an entry."""
    found = f"concat({literal(_missing(lookup))}, {_value_class(lookup)})"
    if not lookup.selector:
        return found
    table, tables = quoted(selector_name(lookup.name)), [each.when for each in lookup.candidates]
    empty = literal(f"{lookup.selector} is empty; it has to name one of the tables {', '.join(tables)}")
    other = literal(f"{lookup.selector} names none of the tables {', '.join(tables)}")
    return (
        f"CASE WHEN coalesce({table}, '') = '' THEN {empty} "
        f"WHEN {table} NOT IN ({_named(lookup)}) THEN {other} ELSE {found} END"
    )


def _named(lookup: LookupColumn, *more: str) -> str:
    """SQL of what a row may name as its table."""
    return ", ".join(literal(name) for name in (*more, *(each.when for each in lookup.candidates)))


def _missing(lookup: LookupColumn) -> str:
    parts = [
        f"no {each.table} has this {', '.join(value.column for value in each.values)}"
        + (" and passes the filter of the lookup" if each.lookup.filter else "")
        for each in lookup.candidates
    ]
    return f"{' and '.join(dict.fromkeys(parts))}; the value is "


def _tables(lookup: LookupColumn) -> str:
    return " or ".join(dict.fromkeys(each.table for each in lookup.candidates))


def _columns(lookup: LookupColumn) -> str:
    return " or ".join(dict.fromkeys(", ".join(value.column for value in each.values) for each in lookup.candidates))


def _value_class(lookup: LookupColumn) -> str:
    """What kind of value was searched for; never the value itself."""
    text = f"CAST({lookup.candidates[0].values[0].written()} AS VARCHAR)"
    return value_class(text, of_ids="; match: id searches by id")
