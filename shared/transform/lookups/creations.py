"""Records that a lookup creates because they are missing: `on_missing: create`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shared.definitions.models import ColumnType, SyncDefinition
from shared.entities import AttributeMetadata, EntityMetadata
from shared.transform.convert import Conversion, conversion
from shared.transform.lookups.columns import Candidate, LookupColumn, link_name
from shared.transform.service_values import to_payload, to_service
from shared.transform.targets import TargetColumn, sql_type
from shared.workspace import NewTable, Step, Table, literal, parsed, quoted

__all__ = ["CREATIONS", "creating", "creation_steps", "id_of"]

CREATIONS: Final = NewTable(
    name=Table.CREATIONS,
    columns="(_creation BIGINT, entity VARCHAR, id UUID, key VARCHAR, payload VARCHAR)",
    if_missing=True,
)
_NEEDS: Final = frozenset({Table.DESIRED, Table.CREATIONS})


def creating(lookups: Sequence[LookupColumn]) -> tuple[LookupColumn, ...]:
    """The lookups that create what is missing."""
    return tuple(lookup for lookup in lookups if lookup.policy == "create")


def creation_steps(definition: SyncDefinition, lookups: Sequence[LookupColumn], *, unless: str) -> Iterator[Step]:
    """Return the steps that note which records are created, each once, and refer to them.

    The id is a digest of the table and the key, so a plan that is made again is the same.

    Args:
        definition: The sync.
        lookups: Columns whose search has ended.
        unless: SQL condition over `desired`: the row is not looked at.
    """
    columns = creating(lookups)
    if columns:
        yield Step.creating("Create the table of records that lookups create", CREATIONS, "destination.mappings")
    for lookup in columns:
        candidate = lookup.candidates[-1]
        origin = f"{candidate.path}.on_missing"
        needs = _NEEDS | ({Table.SHAPED} if candidate.lookup.create else set())
        statement = _created(definition, lookup, candidate, unless)
        yield Step("Note the records that lookups create", statement, origin, needs=needs)
        yield Step("Refer to records that are created", _referred(lookup, candidate, unless), origin, needs=_NEEDS)


def _missing(lookup: LookupColumn, candidate: Candidate, unless: str) -> str:
    present = " AND ".join(f"{value.written('desired.')} IS NOT NULL" for value in candidate.values)
    return f"desired.{quoted(link_name(lookup.name))} = 0 AND {present} AND NOT ({unless})"


def _planned_id(candidate: Candidate) -> str:
    keys = ", ".join(f"CAST(desired.{quoted(value.key)} AS VARCHAR)" for value in candidate.values)
    return id_of(f"concat_ws(chr(31), {literal(candidate.table)}, {keys})")


def id_of(text: str) -> str:
    """SQL of an id that is a digest of a text, in the form of version 8 (RFC 9562)."""
    # The digest is written once: DuckDB would compute it as often as it is written.
    return rf"CAST(regexp_replace(md5({text}), '^(.{{12}}).(.{{3}}).', '\18\2a') AS UUID)"


def _created(definition: SyncDefinition, lookup: LookupColumn, candidate: Candidate, unless: str) -> str:
    entity = candidate.reference.entity
    match = {column.name: column for column in candidate.reference.columns}
    members = [to_service(match[value.column], value.written("desired.")) for value in candidate.values]
    key = "'{' || " + " || ',' || ".join(members) + " || '}'"
    extra = [_target(entity, name) for name in candidate.lookup.create]
    payload = f"left({key}, length({key}) - 1)"
    if extra:
        given = (
            f"CASE WHEN made.{quoted(c.name)} IS NOT NULL THEN {to_payload(c, f'made.{quoted(c.name)}')} END"
            for c in extra
        )
        payload = f"concat_ws(',', {payload}, {', '.join(given)})"
    joined = f"\n  JOIN ({_values(definition, candidate, extra)}) AS made ON made._row = desired._row" if extra else ""
    return f"""
INSERT INTO creations
SELECT (SELECT count(*) FROM creations) + row_number() OVER (ORDER BY _row), entity, id, key, payload
FROM (
  SELECT desired._row, {literal(candidate.table)} AS entity, {_planned_id(candidate)} AS id, {key} AS key,
    {payload} || '}}' AS payload
  FROM desired{joined}
  WHERE {_missing(lookup, candidate, unless)}
  QUALIFY row_number() OVER (PARTITION BY id ORDER BY desired._row) = 1) AS found
WHERE found.id NOT IN (SELECT id FROM creations)""".strip()


def _target(entity: EntityMetadata, name: str) -> TargetColumn:
    attribute = entity.attributes[name]
    return TargetColumn(name=name, attribute=attribute, sql_type=sql_type(attribute), source_sql="")


def _values(definition: SyncDefinition, candidate: Candidate, columns: Sequence[TargetColumn]) -> str:
    """The query of the further columns: each expression in the form of its column; NULL where it does not fit."""
    labels = [column.label for column in definition.source.columns]
    query = "SELECT * FROM shaped"
    attempts, fitted = [], dict[str, Conversion]()
    for column in columns:
        path = f"{candidate.path}.create.{column.name}"
        expression = parsed(candidate.lookup.create[column.name], names=labels, origin=path)
        attempts.append(f"nullif(TRY(CAST({expression.sql} AS VARCHAR)), '') AS {_named('in', column.attribute)}")
        fitted[column.name] = conversion(ColumnType.TEXT, column.attribute)
    query = f"SELECT _row, {', '.join(attempts)} FROM ({query})"
    prepared = [f"{fit.incoming} AS {_quoted('in', name)}" for name, fit in fitted.items() if fit.incoming]
    if prepared:
        query = f"SELECT * REPLACE ({', '.join(prepared)}) FROM ({query})"
    read = ", ".join(f"{fit.read} AS {_quoted('read', name)}" for name, fit in fitted.items())
    joins = "".join(fit.join(name) for name, fit in fitted.items())
    values = ", ".join(f"{fit.value} AS {quoted(name)}" for name, fit in fitted.items())
    return f"SELECT given._row, {values} FROM (SELECT *, {read} FROM ({query})) AS given{joins}"


def _named(stage: str, attribute: AttributeMetadata) -> str:
    return _quoted(stage, attribute.name)


def _quoted(stage: str, name: str) -> str:
    return quoted(f"{stage}:{name}")


def _referred(lookup: LookupColumn, candidate: Candidate, unless: str) -> str:
    record = _planned_id(candidate)
    if lookup.attribute.polymorphic:
        record = f"{literal(candidate.table + ':')} || CAST({record} AS VARCHAR)"
    key = f", _k{lookup.key_part} = {record}" if lookup.key_part else ""
    return f"""
UPDATE desired SET {quoted(lookup.name)} = {record}, {quoted(link_name(lookup.name))} = NULL,
  {quoted(f"_omit_{lookup.name}")} = false{key}
WHERE {_missing(lookup, candidate, unless)}""".strip()
