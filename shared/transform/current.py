"""The target's side: the table that the reader fills, and what is done to it when the last page is in."""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import SyncDefinition
from shared.transform.targets import TargetColumn, key_columns, needs_version
from shared.workspace import NewTable, Purpose, Step, Table, literal, quoted

__all__ = ["TARGET_ERRORS", "current_finish_steps", "current_table_step"]

TARGET_ERRORS = Step.creating(
    "Create the table of the target's errors",
    NewTable(
        name=Table.TARGET_ERRORS,
        columns="""(
  _row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR, _id UUID)""",
        if_missing=True,
    ),
)
_BOTH = frozenset({Table.CURRENT, Table.TARGET_ERRORS})


def current_table_step(
    layout: Sequence[TargetColumn],
    *,
    name: str = Table.CURRENT,
    title: str = "Create the table of the target's records",
    stored_keys: bool = False,
) -> Step:
    """Return the step that makes `current`: `_seq`, `_id`, `_created`, the typed columns and the keys.

    Args:
        layout: The target columns.
        name: The table's name; records that lookups search have tables of the same form.
        title: What people are told.
        stored_keys: `_k1` and its like are columns that the reader fills. Otherwise they are generated from their
            columns, which needs no space; but DuckDB binds what generates a column anew for each insert, and computes
            it for each statement that reads it, which takes longer than all else where records are few.
    """
    columns = ["_seq BIGINT", "_id UUID", "_created TIMESTAMP"]
    columns += ["_version VARCHAR"] if needs_version(layout) else []
    columns += [f"{quoted(column.name)} {column.sql_type}" for column in layout]
    columns += [
        f"_k{column.key_part} {column.sql_type}" if stored_keys else f"_k{column.key_part} AS ({column.key_sql})"
        for column in key_columns(layout)
    ]
    listed = ",\n  ".join(columns)
    return Step.creating(title, NewTable(name=name, columns=f"(\n  {listed})"))


def current_finish_steps(
    layout: Sequence[TargetColumn], definition: SyncDefinition, *, keep_aside: bool = False
) -> tuple[Step, ...]:
    """Return the steps after the last page: what cannot be matched is reported and set aside.

    Of records with one key the oldest stays, in whatever order they were read; of those that were made in one second,
    the one with the lowest id. A record without a key matches no row, so it is not equal to a row and is not dropped:
    it does not belong to the sync.

    Args:
        layout: The target columns.
        definition: The sync.
        keep_aside: What is set aside goes into the table `set_aside`, where later steps find it.
    """
    keys = key_columns(layout)
    names = ", ".join(f"_k{column.key_part}" for column in keys)
    present = " AND ".join(f"_k{column.key_part} IS NOT NULL" for column in keys)
    columns = literal(", ".join(definition.sync_behaviour.sync_key))
    keyless = f"""
INSERT INTO target_errors
SELECT _seq, {columns}, 'Mandatory Rule Violation', true, 'a record without a key matches no row; not touched', _id
FROM current
WHERE NOT ({present})""".strip()
    report = f"""
INSERT INTO target_errors
SELECT _seq, {columns}, 'Duplicate Key', true, 'an older record has the same key; this one is not touched', _id
FROM (
  SELECT _seq, _id, row_number() OVER (PARTITION BY {names} ORDER BY _created NULLS LAST, _id) AS copy
  FROM current
  WHERE {present} AND hash({names}) IN (SELECT hash({names}) FROM current GROUP BY ALL HAVING count(*) > 1))
WHERE copy > 1""".strip()
    aside = "_id IN (SELECT _id FROM target_errors WHERE rejected)"
    kept = NewTable(name=Table.SET_ASIDE, query=f"SELECT * FROM current WHERE {aside}")
    return (
        TARGET_ERRORS,
        Step("Report records without a key", keyless, needs=_BOTH, purpose=Purpose.RECORDS_WITHOUT_KEY),
        Step("Report duplicates in the target", report, needs=_BOTH, purpose=Purpose.TARGET_DUPLICATES),
        *_protect_duplicates(definition, names),
        *([Step.creating("Keep what is set aside for later steps", kept, needs=_BOTH)] if keep_aside else ()),
        Step(
            "Set duplicates in the target aside",
            f"DELETE FROM current WHERE {aside}",
            needs=_BOTH,
            removes_from=Table.CURRENT,
            purpose=Purpose.RECORDS_WITHOUT_KEY | Purpose.TARGET_DUPLICATES,
        ),
    )


def _protect_duplicates(definition: SyncDefinition, names: str) -> tuple[Step, ...]:
    """A key that is missing from the source may be dropped, but not one that several records have.

    The right one is unknown, and each run would drop the record that the run before kept.
    """
    if definition.sync_behaviour.dropped == "ignore":
        return ()
    room = NewTable(name=Table.PROTECTED, query=f"SELECT {names} FROM current LIMIT 0", if_missing=True)
    keep = f"""
INSERT INTO protected
SELECT DISTINCT {names} FROM current
WHERE _id IN (SELECT _id FROM target_errors WHERE error = 'Duplicate Key')""".strip()
    return (
        Step.creating(
            "Create the table of keys that are never dropped",
            room,
            needs=frozenset({Table.CURRENT}),
            purpose=Purpose.TARGET_DUPLICATES,
        ),
        Step(
            "Protect records whose key is not unique",
            keep,
            needs=_BOTH | {Table.PROTECTED},
            purpose=Purpose.TARGET_DUPLICATES,
        ),
    )
