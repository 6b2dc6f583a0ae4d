"""The decision table: one query decides the action for every key of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, assert_never

from shared.definitions.models import ChangedWhen, Strategy, SyncBehaviour, SyncDefinition, WritePolicy
from shared.reconcile.columns import differs, edited, fixed, on_update, records, records_need
from shared.reconcile.marks import dropped, not_dropped, not_marked, report_unfit, returned
from shared.reconcile.plan import DROPS, PlanAction
from shared.transform import ErrorType, TargetColumn, action_of, key_columns
from shared.workspace import NewTable, Purpose, Step, Table, checked, literal, quoted

__all__ = [
    "ACTION_TYPE",
    "CONDITION",
    "VALUES_AT_ONCE",
    "decide_by_comparing",
    "decide_by_source",
    "hidden",
    "holds",
    "looks_at_source",
    "met",
    "protected",
    "report_edited",
    "report_fixed",
    "report_unfit",
    "spare_protected",
    "undecided",
    "why_kept_query",
]

ACTION_TYPE = f"ENUM({', '.join(literal(action) for action in PlanAction)})"  # one byte a key instead of sixteen
CONDITION = "sync_behaviour.changed.when"

# Records of ten columns and a key take about 200 bytes each in a hash table: two million of them fit into the 512 MB
# that a run has by default.
VALUES_AT_ONCE: Final = 20_000_000
# From here on the records are compared in two halves at least: a million records of nine values then need a tenth less
# memory in all, and a third of a second more CPU. Those of a mirror are in its files, and leave this memory free.
_IN_HALVES: Final = 8_000_000

_BY_NAME = (PlanAction.INSERT, PlanAction.UPDATE, PlanAction.DELETE, PlanAction.UPSERT)


def decide_by_comparing(
    definition: SyncDefinition,
    layout: Sequence[TargetColumn],
    *,
    target_rows: int,
    values_at_once: int = VALUES_AT_ONCE,
) -> tuple[Step, ...]:
    """Strategy `full`: both sides meet on the key, and the rules for new, changed and dropped records decide.

    In one query where the records fit into memory. Where they do not, joining everything at once would write both
    sides to disk row by row, which takes longer than all the comparing; so a part of the records is joined at a time.
    A condition may look at any column of the source, which is typed again in each query: then there is only one query.
    """
    width = len(layout) + len(key_columns(layout))
    rows = max(1, values_at_once // width)
    if target_rows * width > _IN_HALVES and not definition.destination.mirror:
        rows = min(rows, -(-target_rows // 2))
    if target_rows <= rows or looks_at_source(definition):
        return (_decide_at_once(definition, layout),)
    bounds = [None, *range(rows + 1, target_rows + 1, rows), None]
    parts = (_decide_part(definition, layout, *bound) for bound in pairwise(bounds))
    return (_DECISIONS, *parts, _decide_new(definition))


def _decide_at_once(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> Step:
    behaviour = definition.sync_behaviour
    # Only a condition may look at source columns that are not mapped; without one the join is not needed.
    row = "LEFT JOIN source ON source._row = desired._row" if looks_at_source(definition) else ""
    query = f"""
SELECT desired._row, target._id, CAST(
  CASE
    -- in the source, not in the target: new
    WHEN target._id IS NULL THEN {_new(behaviour)}
    {_known(definition, layout)}
  END AS {ACTION_TYPE}) AS action
FROM desired
FULL OUTER JOIN current AS target ON {_same_key(layout)}
{row}
{records(definition)}""".strip()
    return Step.creating(
        "Decide what becomes of each key",
        NewTable(name=Table.DECISIONS, query=query),
        CONDITION if row else "",
        needs=frozenset({Table.DESIRED, Table.CURRENT, *([Table.SOURCE] if row else [])}) | records_need(definition),
    )


_DECISIONS = Step.creating(
    "Create the table of the decisions",
    NewTable(name=Table.DECISIONS, columns=f"(_row BIGINT, _id UUID, action {ACTION_TYPE})"),
)


def _decide_part(
    definition: SyncDefinition, layout: Sequence[TargetColumn], first: int | None, behind: int | None
) -> Step:
    """Decide on the records from `first` up to `behind`, in the order of reading; None has no bound."""
    bounds = ((f"_seq >= {first}", first), (f"_seq < {behind}", behind))
    part = " AND ".join(condition for condition, bound in bounds if bound is not None)
    return Step(
        title=f"Decide what becomes of records {f'from {first:,} on' if first else f'before {behind:,}'}",
        sql=f"""
INSERT INTO decisions
SELECT desired._row, target._id,
  CASE
    {_known(definition, layout)}
  END AS action
FROM desired
RIGHT JOIN (SELECT * FROM current WHERE {part}) AS target ON {_same_key(layout)}
{records(definition)}""".strip(),
        needs=frozenset({Table.DECISIONS, Table.DESIRED, Table.CURRENT}) | records_need(definition),
    )


def _decide_new(definition: SyncDefinition) -> Step:
    return Step(
        title="Decide what becomes of new keys",
        sql=f"""
INSERT INTO decisions
SELECT _row, NULL, {_new(definition.sync_behaviour)}
FROM desired
WHERE NOT EXISTS (SELECT 1 FROM decisions WHERE decisions._row = desired._row)""".strip(),
        needs=frozenset({Table.DECISIONS, Table.DESIRED}),
    )


def _known(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """The branches of the decision on a key that the target has."""
    return f"""
    -- in the target, not in the source: dropped
    WHEN desired._row IS NULL THEN {dropped(definition, layout)}
    {returned(definition, layout)}
    {met(definition, layout)}""".strip()


def met(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """The branches of the decision on a row and the record that has its key."""
    compared = on_update(layout, definition.destination.id_column)
    different = "\n      OR ".join(differs(column) for column in compared) or "false"
    return f"""
    -- in both, and equal
    WHEN NOT ({different}) THEN {literal(PlanAction.UNCHANGED)}
    -- in both, and different: changed
    ELSE {_changed(definition, layout)}""".strip()


def looks_at_source(definition: SyncDefinition) -> bool:
    """Whether a decision needs source columns that may not be mapped: only a condition does."""
    return isinstance(definition.sync_behaviour.changed, ChangedWhen)


def _same_key(layout: Sequence[TargetColumn]) -> str:
    return " AND ".join(f"desired._k{n} = target._k{n}" for n, _ in enumerate(key_columns(layout), start=1))


def protected(keys: Sequence[str]) -> str:
    """SQL condition over `_id`: the record has a key that is protected from being dropped."""
    same = " AND ".join(f"target.{key} = protected.{key}" for key in keys)
    return f"_id IN (SELECT target._id FROM current AS target JOIN protected ON {same})"


def hidden(keys: Sequence[str]) -> str:
    """SQL condition: a row was rejected whose key is unknown, so it may belong to any record."""
    unknown = " OR ".join(f"{key} IS NULL" for key in keys)
    return (
        f"(EXISTS (SELECT 1 FROM protected WHERE {unknown})\n"
        "  OR EXISTS (SELECT 1 FROM source_errors WHERE error = 'Malformed Row'))"
    )


def spare_protected(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Drop no record that may be in the source after all, nor one whose key other records have too.

    `protected` has the keys of rejected rows and those that are not unique in the target. A row that was rejected and
    whose key is unknown (it is malformed, or its key cannot be read or stored) may belong to any record: while there
    is one, nothing is dropped, and the records that would be dropped are reported. A row whose key is empty belongs to
    no record.
    """
    if definition.sync_behaviour.dropped == "ignore":
        return ()
    keys = [f"_k{n}" for n, _ in enumerate(key_columns(layout), start=1)]
    drops = f"action IN ({', '.join(map(literal, DROPS))})"
    spare = f"""
UPDATE decisions SET action = {literal(PlanAction.IGNORED)}
WHERE {drops}
  AND {protected(keys)}""".strip()
    report = f"""
INSERT INTO target_errors
SELECT target._seq, {literal(", ".join(definition.sync_behaviour.sync_key))}, 'Dropped Record Kept', false,
  'the source lacks this record, but has rows whose key cannot be read or does not fit; correct them to drop it',
  target._id
FROM decisions JOIN current AS target ON target._id = decisions._id
WHERE {drops}
  AND {hidden(keys)}""".strip()
    spare_all = f"""
UPDATE decisions SET action = {literal(PlanAction.IGNORED)}
WHERE {drops}
  AND {hidden(keys)}""".strip()
    origin, unreadable = "sync_behaviour.dropped", frozenset({Table.DECISIONS, Table.PROTECTED, Table.SOURCE_ERRORS})
    return (
        Step(
            "Leave alone what is protected",
            spare,
            origin,
            needs=frozenset({Table.DECISIONS, Table.PROTECTED, Table.CURRENT}),
            purpose=Purpose.REJECTED_ROWS | Purpose.TARGET_DUPLICATES,
        ),
        Step(
            "Report what is not dropped for unreadable rows",
            report,
            origin,
            needs=unreadable | {Table.CURRENT, Table.TARGET_ERRORS},
            purpose=Purpose.REJECTED_ROWS,
        ),
        Step(
            "Drop nothing while rows cannot be read",
            spare_all,
            origin,
            needs=unreadable,
            purpose=Purpose.REJECTED_ROWS,
        ),
    )


def why_kept_query(definition: SyncDefinition, layout: Sequence[TargetColumn], *, with_parents: bool) -> str:
    """SQL for why records without a row are not dropped: the first reason of each, and how many records have it.

    Args:
        definition: The sync; its strategy is `full`.
        layout: The target columns.
        with_parents: The table `kept_parents` was made.
    """
    if definition.sync_behaviour.dropped == "ignore":
        reasons = [("true", "dropped is ignore")]
    else:
        keys = [f"_k{n}" for n, _ in enumerate(key_columns(layout), start=1)]
        reasons = [
            *not_dropped(definition, layout),
            (f"decisions.{protected(keys)}", _KEY_IN_DOUBT),
            *([("target._id IN (SELECT _id FROM kept_parents)", "records that stay are below them")] * with_parents),
            *not_marked(definition, layout),
            ("true", "they may be those of rows whose key cannot be read or does not fit (see Errors)"),
        ]
    branches = "\n  ".join(f"WHEN {condition} THEN {literal(why)}" for condition, why in reasons)
    return f"""
SELECT CASE
  {branches} END AS why, count(*)
FROM decisions JOIN current AS target ON target._id = decisions._id
{records(definition)}
WHERE decisions.action = {literal(PlanAction.IGNORED)} AND decisions._row IS NULL
GROUP BY why ORDER BY count(*) DESC, why""".strip()


_KEY_IN_DOUBT: Final = "their key is that of a row in error, or several records have it (see Errors)"


def report_fixed(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Report values that differ but are kept: columns that can be set only when a record is created."""
    behaviour = definition.sync_behaviour
    columns = fixed(layout, definition.destination.id_column) if behaviour.changed != "ignore" else ()
    if not columns:
        return ()
    differing = "\n  UNION ALL\n".join(
        f"  SELECT decisions._row, {literal(column.name)}, {literal(ErrorType.CREATE_ONLY)}, false,\n"
        f"    {literal(f'{column.name} can be set only when a record is created; the record keeps its value')}\n"
        "  FROM decisions JOIN desired ON desired._row = decisions._row\n"
        "  JOIN current AS target ON target._id = decisions._id\n"
        f"  WHERE {differs(column)}"
        for column in columns
    )
    return (
        Step(
            title="Report what only a new record can be given",
            sql=f"INSERT INTO source_errors\n{differing}",
            origin="destination.mappings",
            needs=frozenset({Table.SOURCE_ERRORS, Table.DECISIONS, Table.DESIRED, Table.CURRENT}),
            purpose=Purpose.CREATE_ONLY_COLUMNS,
        ),
    )


def report_edited(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Report values that differ but are kept: they were changed in the target, or this sync never wrote them."""
    settable = on_update(layout, definition.destination.id_column)
    columns = [c for c in settable if c.write is WritePolicy.UNLESS_EDITED and not c.implied]
    if not columns or definition.sync_behaviour.changed == "ignore":
        return ()
    kept = "\n  UNION ALL\n".join(
        f"  SELECT target._seq, {literal(column.name)}, {literal(ErrorType.EDITED)}, false,\n"
        f"    CASE WHEN ledger.{quoted(f'_knows_{column.name}')} THEN {literal(_EDITED)} "
        f"ELSE {literal(_UNKNOWN)} END, target._id\n"
        "  FROM decisions JOIN desired ON desired._row = decisions._row\n"
        f"  JOIN current AS target ON target._id = decisions._id {records(definition)}\n"
        f"  WHERE {edited(column)}"
        for column in columns
    )
    return (
        Step(
            title="Report what was edited in the target",
            sql=f"INSERT INTO target_errors\n{kept}",
            origin="destination.mappings",
            needs=frozenset({Table.TARGET_ERRORS, Table.DECISIONS, Table.DESIRED, Table.CURRENT, Table.LEDGER}),
        ),
    )


_EDITED: Final = "it was changed in Dataverse since this sync last wrote it; the record keeps its value"
_UNKNOWN: Final = "the ledger has no value that this sync wrote here; the record keeps its value"


def decide_by_source(definition: SyncDefinition) -> tuple[Step, ...]:
    """Strategies `delta` and `upsert`: the target is not read, the source alone decides."""
    behaviour = definition.sync_behaviour
    if behaviour.strategy is Strategy.UPSERT:
        return (_decide_all(PlanAction.UPSERT),)
    if behaviour.action_column is None:
        return (_decide_all(PlanAction.INSERT),)
    return _decide_by_column(behaviour.action_column)


def _decide_all(action: PlanAction) -> Step:
    query = f"SELECT _row, NULL::UUID AS _id, {literal(action)}::{ACTION_TYPE} AS action\nFROM desired"
    return Step.creating(
        f"Decide to {action} every row",
        NewTable(name=Table.DECISIONS, query=query),
        needs=frozenset({Table.DESIRED}),
    )


def _decide_by_column(column: str) -> tuple[Step, ...]:
    """Use the action of each row; a row with another action is rejected."""
    known = ", ".join(literal(action.upper()) for action in _BY_NAME)
    asked = action_of(f"source.{quoted(column)}")
    reject = f"""
INSERT INTO source_errors (_row, "column", error, rejected, message)
SELECT desired._row, {literal(column)}, 'Invalid Format Exception', true,
  'the action is one of INSERT, UPDATE, DELETE and UPSERT'
FROM desired JOIN source ON source._row = desired._row
WHERE {asked} IS NULL OR {asked} NOT IN ({known})""".strip()
    remove = f"""
DELETE FROM desired
WHERE _row IN (SELECT _row FROM source WHERE {asked} IS NULL OR {asked} NOT IN ({known}))""".strip()
    decide = f"""
SELECT desired._row, NULL::UUID AS _id, lower({asked})::{ACTION_TYPE} AS action
FROM desired JOIN source ON source._row = desired._row""".strip()
    origin, both = "sync_behaviour.action_column", frozenset({Table.DESIRED, Table.SOURCE})
    return (
        Step("Report rows without a known action", reject, origin, needs=both | {Table.SOURCE_ERRORS}),
        Step("Reject rows without a known action", remove, origin, needs=both),
        Step.creating("Decide by the action column", NewTable(name=Table.DECISIONS, query=decide), origin, needs=both),
    )


def _new(behaviour: SyncBehaviour) -> str:
    return literal(PlanAction.INSERT if behaviour.new == "insert" else PlanAction.IGNORED)


def _changed(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    match definition.sync_behaviour.changed:
        case "update":
            return literal(PlanAction.UPDATE)
        case "ignore":
            return literal(PlanAction.IGNORED)
        case ChangedWhen(when=condition):
            wanted = holds(definition, layout, condition)
            return f"CASE WHEN {wanted} THEN {literal(PlanAction.UPDATE)} ELSE {literal(PlanAction.IGNORED)} END"
        case unknown:
            assert_never(unknown)


def holds(definition: SyncDefinition, layout: Sequence[TargetColumn], condition: str) -> str:
    """SQL of the condition under which a changed record is updated; where it fails on a row, it is false."""
    return f"coalesce({_attempt(definition, layout, condition)}[1], false)"


def undecided(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL condition: the record differs from its row, and whether it is updated is unknown, for the condition fails."""
    changed = definition.sync_behaviour.changed
    if not isinstance(changed, ChangedWhen):
        return "false"
    different = " OR ".join(map(differs, on_update(layout, definition.destination.id_column))) or "false"
    return f"{_attempt(definition, layout, changed.when)} IS NULL AND ({different})"


def _attempt(definition: SyncDefinition, layout: Sequence[TargetColumn], condition: str) -> str:
    """SQL of a list with the result, which may be null; in place of the list NULL where the condition fails."""
    names = [f"source.{column.label}" for column in definition.source.columns]
    names += [f"target.{column.name}" for column in layout]
    return f"TRY([CAST({checked(condition, names=names, origin=CONDITION)} AS BOOLEAN)])"
