"""Records that a lookup creates because they are missing: `on_missing: create`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.definitions.models import SyncDefinition
from shared.transform.choices.options import suggestion_steps
from shared.transform.lookups.columns import Candidate, LookupColumn, link_name
from shared.transform.lookups.creatable import FIRST, ID, KEY, Creatable, creatable
from shared.transform.service_values import record_id
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = [
    "CREATIONS",
    "NEW_IDS_OF",
    "NOT_CREATED",
    "VALUELESS",
    "creating",
    "creation_steps",
    "is_missing",
    "planned_id",
    "renewal_steps",
]

NOT_CREATED: Final = -3
"""What `link:<column>` holds if no record can be created for the row, because it cannot hold a value."""

NEW_IDS_OF: Final = "new.ids"
"""The parameter of a workspace that tells the ids of one run, or of one batch of events, from those of all others."""

CREATIONS: Final = NewTable(
    name=Table.CREATIONS,
    columns="(_creation BIGINT, entity VARCHAR, id UUID, key VARCHAR, payload VARCHAR, _row BIGINT)",
    if_missing=True,
)
"""The records that lookups create; `_row` is the row that gives the values."""

VALUELESS: Final = "payload IS NULL"
"""SQL condition over `creations`: no row that is kept gives values that the record can hold."""
_NEEDS: Final = frozenset({Table.DESIRED, Table.CREATIONS})


def creating(lookups: Sequence[LookupColumn]) -> tuple[LookupColumn, ...]:
    """The lookups that create what is missing."""
    return tuple(lookup for lookup in lookups if lookup.policy == "create")


def creation_steps(
    definition: SyncDefinition, lookups: Sequence[LookupColumn], *, unless: str, rejected: str
) -> Iterator[Step]:
    """Return the steps that note which records are created, each once, and refer to them.

    The id is that of `planned_id`.

    Args:
        definition: The sync.
        lookups: Columns whose search has ended.
        unless: SQL condition over `desired`: the row is not looked at.
        rejected: SQL condition over `desired`: the row is rejected whatever is created, so it gives no values.
    """
    columns = creating(lookups)
    if columns:
        yield Step.creating("Create the table of records that lookups create", CREATIONS, "destination.mappings")
    for lookup in columns:
        yield from _created(definition, lookup, unless, rejected)


def _created(definition: SyncDefinition, lookup: LookupColumn, unless: str, rejected: str) -> Iterator[Step]:
    """The steps of one lookup: the first row counts whose values the new record can have."""
    candidate, made = lookup.candidates[-1], creatable(definition, lookup)
    origin, own = f"{candidate.path}.on_missing", frozenset({made.table})
    rows = made.rows(
        candidate,
        record=_planned_id(candidate),
        missing=f"{_missing(lookup, unless)} AND NOT ({rejected})",
        kept=f"coalesce(_row <= {FIRST}, true) AND {ID} NOT IN (SELECT id FROM creations)",
    )
    yield from _collected(candidate, made, rows)
    yield Step("Note the records that lookups create", _noted(candidate, made), origin, needs=own | {Table.CREATIONS})
    refused = f"""
UPDATE desired SET {quoted(link_name(lookup.name))} = {NOT_CREATED}
WHERE _row IN (SELECT _row FROM {made.table} WHERE {made.rules.rejected()})""".strip()
    yield Step("Note the rows that no record can be created for", refused, origin, needs=own | {Table.DESIRED})
    yield Step("Refer to records that are created", _referred(lookup, candidate, unless), origin, needs=_NEEDS)


def _collected(candidate: Candidate, made: Creatable, rows: str, only_if: str = "") -> Iterator[Step]:
    """The steps that make the table of rows by a query, and report their values."""
    origin = f"{candidate.path}.on_missing"
    collecting = Step.creating(
        "Collect the rows that lookups create records for",
        NewTable(name=made.table, query=rows),
        f"{candidate.path}.create" if made.columns else origin,
        needs=_NEEDS | ({Table.SHAPED} if made.columns else set()),
    )
    yield replace(collecting, only_if=only_if)
    needs = frozenset({made.table, Table.SOURCE_ERRORS})
    for sql in made.rules.report(made.table):
        yield Step("Report what created records cannot hold", sql, origin, needs=needs, only_if=only_if)
    yield from suggestion_steps(made.columns)


def renewal_steps(definition: SyncDefinition, lookups: Sequence[LookupColumn]) -> Iterator[Step]:
    """Return the steps that give created records the values of another row, where the row that gave them was rejected.

    A row may be rejected after it was chosen: its key is that of an earlier row, for example.

    Args:
        definition: The sync.
        lookups: All columns that may refer to the records; `desired` has the rows that are kept.
    """
    columns = creating(lookups)
    if columns:
        lost = "_row IN (SELECT _row FROM source_raw) AND _row NOT IN (SELECT _row FROM desired)"
        yield Step(
            "Forget the values of rejected rows",
            f"UPDATE creations SET payload = NULL WHERE {lost}",
            "destination.mappings",
            needs=_NEEDS | {Table.SOURCE_RAW},
            only_if=f"SELECT id FROM creations WHERE {lost} LIMIT 1",
        )
    for lookup in columns:
        yield from _renewed(definition, lookup)


def _renewed(definition: SyncDefinition, lookup: LookupColumn) -> Iterator[Step]:
    candidate = lookup.candidates[-1]
    made = replace(creatable(definition, lookup), table=f"renewable_{lookup.place}")
    record = record_id(lookup.attribute, f"desired.{quoted(lookup.name)}")
    missing = f"{record} IN (SELECT id FROM creations WHERE {VALUELESS})"
    only_if = f"SELECT id FROM creations WHERE {VALUELESS} LIMIT 1"
    rows = made.rows(candidate, record=record, missing=missing, kept=f"_row = {FIRST}")
    yield from _collected(candidate, made, rows, only_if)
    yield Step(
        "Take the values of rows that are kept",
        f"""
UPDATE creations SET key = found.key, payload = found.payload, _row = found._row
FROM (SELECT _row, {ID} AS id, {KEY} AS key, {made.payload()} AS payload FROM {made.table}) AS found
WHERE creations.id = found.id AND creations.{VALUELESS}""".strip(),
        f"{candidate.path}.on_missing",
        needs=frozenset({made.table, Table.CREATIONS}),
        only_if=only_if,
    )


def is_missing(lookup: LookupColumn) -> str:
    """SQL condition over `desired`: the row has all values of a record that was not found and can be created."""
    values = lookup.candidates[-1].values
    present = " AND ".join(f"{value.written('desired.')} IS NOT NULL" for value in values)
    return f"desired.{quoted(link_name(lookup.name))} = 0 AND {present}"


def _missing(lookup: LookupColumn, unless: str) -> str:
    return f"{is_missing(lookup)} AND NOT ({unless})"


def _planned_id(candidate: Candidate) -> str:
    return planned_id(candidate.table, {value.column: quoted(value.key) for value in candidate.values})


def planned_id(table: str, keys: Mapping[str, str]) -> str:
    """SQL of the id that a new record has in a plan: a digest, in the form of version 8 (RFC 9562).

    It is made of the table, the columns of the key and their values, so a plan that is made again is the same, and
    equal values of different columns are different records. A record that once was created with it may have another key
    now: each run and each batch of events sets `NEW_IDS_OF`. A run of an approved plan, whose checksum has the ids,
    gives other ones before it writes (`shared.jobs.creating.give_new_ids`).

    Args:
        table: The logical name.
        keys: Column of the table -> the column of `desired` with its value, quoted; in any order.
    """
    texts = ", ".join(f"{literal(name)}, CAST(desired.{key} AS VARCHAR)" for name, key in sorted(keys.items()))
    text = f"concat_ws(chr(31), getvariable('p_{NEW_IDS_OF}'), {literal(table)}, {texts})"
    # The digest is written once: DuckDB would compute it as often as it is written.
    return rf"CAST(regexp_replace(md5({text}), '^(.{{12}}).(.{{3}}).', '\18\2a') AS UUID)"


def _noted(candidate: Candidate, made: Creatable) -> str:
    return f"""
INSERT INTO creations
SELECT (SELECT count(*) FROM creations) + row_number() OVER (ORDER BY _row), {literal(candidate.table)}, {ID}, {KEY},
  {made.payload()}, _row
FROM {made.table} WHERE _row = {FIRST}""".strip()


def _referred(lookup: LookupColumn, candidate: Candidate, unless: str) -> str:
    record = _planned_id(candidate)
    if lookup.attribute.polymorphic:
        record = f"{literal(candidate.table + ':')} || CAST({record} AS VARCHAR)"
    key = f", _k{lookup.key_part} = {record}" if lookup.key_part else ""
    return f"""
UPDATE desired SET {quoted(lookup.name)} = {record}, {quoted(link_name(lookup.name))} = NULL,
  {quoted(f"_omit_{lookup.name}")} = false{key}
WHERE {_missing(lookup, unless)}""".strip()
