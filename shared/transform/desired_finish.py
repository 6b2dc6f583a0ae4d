"""The end of the source's side: which rows of `desired` stay, what protects their records, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import SyncDefinition
from shared.entities import EntityMetadata
from shared.transform.convert import has_refused, longer
from shared.transform.desire import CompiledMappings, desire_of
from shared.transform.lookups.columns import LookupColumn
from shared.transform.lookups.creatable import created_label
from shared.transform.lookups.resolve import resolve_steps, unresolved
from shared.transform.rules import ErrorType
from shared.transform.shape import PASSES
from shared.transform.targets import TEXTS, TargetColumn, key_columns
from shared.workspace import NewTable, Purpose, Step, Table, literal, quoted

__all__ = ["desired_finish_steps"]

_DESIRED = frozenset({Table.DESIRED})
_BOTH = _DESIRED | {Table.SOURCE_ERRORS}
_DUPLICATE = literal(ErrorType.DUPLICATE_KEY)


def desired_finish_steps(
    definition: SyncDefinition, entity: EntityMetadata, desire: CompiledMappings | None = None
) -> tuple[Step, ...]:
    """Return the steps that resolve lookups, set rejected and filtered rows aside, keep one row a key, and count.

    Args:
        definition: The sync.
        entity: Its table.
        desire: What its mappings compile to, where that is known already.

    Raises:
        DefinitionError: An expression cannot be read, or a target column does not exist.
    """
    desire = desire or desire_of(definition, entity)
    early = desire.early
    rejected = f"({desire.rejected} OR {unresolved(early)})" if early else desire.rejected
    filtered = f"SELECT _row FROM desired WHERE NOT {desire.shape.rules.rejected()} AND NOT {PASSES}"
    return (
        *resolve_steps(desire, early),
        Step.creating(
            "Note what is filtered out",
            NewTable(name=Table.SOURCE_FILTERED, query=filtered),
            needs=_DESIRED,
            purpose=Purpose.COUNTS,
        ),
        *_protect_rejected(desire, rejected),
        Step(
            "Set rejected and filtered rows aside",
            f"DELETE FROM desired WHERE {rejected} OR NOT {PASSES}",
            needs=_DESIRED,
            only_if="" if early else desire.unsound,
        ),
        *_keep_first(desire.columns),
        *(
            Step(
                "Remove the columns of the checks",
                f"ALTER TABLE desired DROP COLUMN {name}",
                needs=_DESIRED,
                purpose=Purpose.CLEANUP,
            )
            for name in desire.judged
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


def _protect_rejected(desire: CompiledMappings, rejected: str) -> tuple[Step, ...]:
    """A rejected row is still in the source: the record with its key was not dropped.

    A row whose key exists but cannot be read, or is one that no record can have, is kept with nulls: it may belong to
    any record. A row with an empty key belongs to no record.
    """
    if desire.definition.sync_behaviour.dropped == "ignore":
        return ()
    keys = [f"_k{column.key_part}" for column in key_columns(desire.columns)]
    known = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    about_keys = _about_keys(desire)
    unread = f"""
SELECT _row FROM source_errors WHERE error <> {literal(ErrorType.MANDATORY)}{about_keys}""".strip()
    too_long = _too_long(desire, about_keys)
    possible = (_possible(column, too_long) for column in key_columns(desire.columns))
    query = f"""
SELECT DISTINCT {", ".join(possible)}
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


def _too_long(desire: CompiledMappings, about_keys: str) -> str:
    """SQL condition: a value that the key is made of is longer than its column of the source may be.

    By the definition, no row with such a value makes a record. Empty where no column has a length.
    """
    limited = [column.label for column in desire.definition.source.columns if column.max_length is not None]
    if not limited:
        return ""
    errors = f'error = {literal(ErrorType.MAX_LENGTH)} AND "column" IN ({", ".join(map(literal, limited))})'
    return f" OR _row IN (SELECT _row FROM source_errors WHERE {errors}{about_keys})"


def _possible(column: TargetColumn, too_long: str) -> str:
    """The key of a row, or null if its text has a character that the service refuses, or is longer than the column.

    A text that fits in the form in which keys are compared, such as one with spaces at its end, is a possible key.
    """
    key, limit = f"_k{column.key_part}", column.attribute.max_length
    impossible = has_refused(f"CAST({key} AS VARCHAR)") + too_long
    if column.attribute.type in TEXTS and limit is not None:
        impossible += f" OR ({longer(quoted(column.name), limit)} AND {longer(key, limit)})"
    return f"CASE WHEN {impossible} THEN NULL ELSE {key} END AS {key}"


def _about_keys(desire: CompiledMappings) -> str:
    """Narrow errors to those that can keep a key from being read: of a calculated key, any column's."""
    labels = [each.label for each in desire.mapped if each.column.key_part]
    resolved = [lookup for lookup in desire.lookups if _is_key(lookup, desire.columns)]
    labels += [name for lookup in resolved for name in lookup.mapping.sources]
    read = {column.label for column in desire.definition.source.columns if column.read}
    calculated = any(not lookup.mapping.sources for lookup in resolved)
    labels_of_errors = [*labels, *(lookup.label for lookup in resolved)]
    labels_of_errors += [created_label(each, name) for each in resolved for name in each.candidates[-1].lookup.create]
    if calculated or not read.issuperset(labels):
        return ""
    return f' AND "column" IN ({", ".join(map(literal, labels_of_errors))})'


def _is_key(lookup: LookupColumn, columns: Sequence[TargetColumn]) -> bool:
    return any(column.name == lookup.name and column.key_part for column in columns)


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


def _duplicates(columns: Sequence[TargetColumn]) -> str:
    keys = key_columns(columns)
    names = ", ".join(f"_k{column.key_part}" for column in keys)
    same = " AND ".join(f"desired._k{column.key_part} = twice._k{column.key_part}" for column in keys)
    said = literal(", ".join(column.name for column in keys))
    return f"""
INSERT INTO source_errors
SELECT desired._row, {said}, {_DUPLICATE}, true, 'an earlier row has the same key; the first one counts'
FROM desired JOIN (
  SELECT {names}, min(_row) AS first FROM desired
  WHERE hash({names}) IN (SELECT hash({names}) FROM desired GROUP BY ALL HAVING count(*) > 1)
  GROUP BY {names} HAVING count(*) > 1) AS twice ON {same}
WHERE desired._row > twice.first""".strip()
