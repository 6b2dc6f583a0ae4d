"""The end of the source's side: which rows of `desired` stay, what protects their records, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.definitions.models import SyncDefinition
from shared.entities import EntityMetadata
from shared.transform.convert import has_refused, longer
from shared.transform.desire import CompiledMappings, desire_of
from shared.transform.lookups.columns import references
from shared.transform.lookups.resolve import found_in_reference, link_update, resolve_steps, unfound, unresolved
from shared.transform.mapped.keys import UNREAD
from shared.transform.rules import ErrorType
from shared.transform.shape import PASSES
from shared.transform.targets import TEXTS, TargetColumn, key_columns
from shared.workspace import NewTable, Purpose, Step, Table, literal, quoted

__all__ = ["desired_finish_steps"]

_DESIRED = frozenset({Table.DESIRED})
_BOTH = _DESIRED | {Table.SOURCE_ERRORS}
_DROPPED = "sync_behaviour.dropped"
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


def _protect_rejected(desire: CompiledMappings, rejected: str) -> Iterator[Step]:
    """A rejected row is still in the source: the record with its key was not dropped.

    A row whose key is there and not known, or is one that no record can have, is kept with nulls: it may belong to any
    record. A row with an empty key belongs to no record.
    """
    if not desire.unread:
        return
    resolved = [lookup for lookup in desire.early if lookup.key_part]
    if resolved:
        yield Step(
            "Find the records that keys of rejected rows refer to",
            link_update(resolved, found_in_reference, unless=f"NOT {desire.rejected}"),
            _DROPPED,
            needs=frozenset({Table.DESIRED, *(reference.name for reference in references(resolved))}),
            only_if=f"SELECT _row FROM desired WHERE {desire.rejected} LIMIT 1",
            purpose=Purpose.REJECTED_ROWS,
        )
    columns = key_columns(desire.columns)
    known = " AND ".join(f"_k{column.key_part} IS NOT NULL" for column in columns)
    unread = " OR ".join((UNREAD, *map(unfound, resolved)))
    query = f"""
SELECT DISTINCT {", ".join(map(_possible, columns))}
FROM (SELECT * REPLACE (({unread}) AS {UNREAD}) FROM desired)
WHERE {rejected} AND ({known} OR {UNREAD})""".strip()
    yield Step.creating(
        "Protect the records of rejected rows",
        NewTable(name=Table.PROTECTED, query=query),
        _DROPPED,
        needs=_DESIRED,
        purpose=Purpose.REJECTED_ROWS,
    )


def _possible(column: TargetColumn) -> str:
    """The key of a row; null if it is unknown, has a character that the service refuses, or is longer than the column.

    A text that fits in the form in which keys are compared, such as one with spaces at its end, is a possible key.
    """
    key, limit = f"_k{column.key_part}", column.attribute.max_length
    impossible = f"{UNREAD} OR {has_refused(f'CAST({key} AS VARCHAR)')}"
    if column.attribute.type in TEXTS and limit is not None:
        impossible += f" OR ({longer(quoted(column.name), limit)} AND {longer(key, limit)})"
    return f"CASE WHEN {impossible} THEN NULL ELSE {key} END AS {key}"


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
