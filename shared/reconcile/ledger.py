"""What a sync remembers of each record, as SQL: the table `ledger`, and the rows that a run adds to it.

A row has the record's id, its origin (`created`, `matched` or `marked`), whether this sync has marked it, the columns
of the mark that it gave last (unknown in rows of versions that did not note them), and as JSON objects the last written
values of columns with `write: unless_edited`: those that were `written`, and those that are `pending`, because a run
was interrupted or events are writing: a value, or a list of them. A row without an origin says that the record is
forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.definitions.models import SyncDefinition, WritePolicy
from shared.reconcile.columns import edited, is_of_equal_state, is_whole, new_value, sent, unedited
from shared.reconcile.later import first_value, is_in_first, pending_member, written_member
from shared.reconcile.links.dependencies import FRESH_ID
from shared.reconcile.marks import mark_name, mark_values, marks_held
from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn
from shared.workspace import Members, NewTable, Step, Table, literal, quoted

__all__ = [
    "NEW_IDS",
    "STORED_ROWS",
    "after_writing",
    "before_writing",
    "doubtful_query",
    "fill_ledger",
    "ledger_table_step",
]

_MARKS: Final = (PlanAction.EXPIRE, PlanAction.DEACTIVATE, PlanAction.MARK)
_MARKING: Final = f"({', '.join(map(literal, _MARKS))})"
# As `outcomes` has them; of the last two it is not known what the record holds now, so what was pending stays so.
_APPLIED, _ADOPTED, _FAILED, _UNKNOWN = "'applied'", "'adopted'", "'failed'", "('skipped', 'edited')"


def ledger_table_step(layout: Sequence[TargetColumn]) -> Step:
    """The step that makes `ledger`, without rows."""
    columns = [
        "_id UUID", "_origin VARCHAR", "_own BOOLEAN", "_marked BOOLEAN", "_mark VARCHAR", "_written VARCHAR",
        "_pending VARCHAR",
    ]  # fmt: skip
    for column in _guarded(layout):
        columns += [f"{_name('knows', column)} BOOLEAN", f"{_name('was', column)} {column.sql_type}"]
        columns += [f"{_name('pends', column)} BOOLEAN", f"{_name('next', column)} {column.sql_type}[]"]
    listed = ",\n  ".join(columns)
    return Step.creating("Create the table of the ledger", NewTable(name=Table.LEDGER, columns=f"(\n  {listed})"))


def fill_ledger(layout: Sequence[TargetColumn], rows: str) -> str:
    """SQL that fills `ledger`.

    Args:
        layout: The target columns.
        rows: SQL of a query for the stored rows, the latest of each record: id, origin, marked, mark, written,
            pending.
    """
    items = ["id", "origin", "origin IN ('created', 'matched')", "marked", "mark", "written", "pending"]
    members, lists = Members(), ["*"]
    for column in _guarded(layout):
        text = members.text("written", column.name)
        value = f"TRY_CAST({text} AS {column.sql_type})"
        known = f"{members.has('written', column.name)} AND ({text} IS NULL OR {value} IS NOT NULL)"
        items += [f"coalesce({known}, false)", value]
        texts = _name("texts", column)
        lists.append(f"{_pending_texts(members, column.name)} AS {texts}")
        items += [f"coalesce(list_count({texts}) < len({texts}), false)", f"TRY_CAST({texts} AS {column.sql_type}[])"]
    stored = f"SELECT {', '.join(['*', *members.items()])} FROM ({rows}) WHERE origin IS NOT NULL"
    return f"INSERT INTO ledger\nSELECT {', '.join(items)}\nFROM (SELECT {', '.join(lists)} FROM ({stored}))"


def _pending_texts(members: Members, name: str) -> str:
    """SQL for the list of a column's pending values as texts; where only one is stored, it is no list."""
    text = members.text("pending", name)
    return (
        f"CASE WHEN {members.kind('pending', name)} = 'ARRAY' THEN from_json({text}, '[\"VARCHAR\"]') "
        f"WHEN {members.has('pending', name)} THEN [{text}] END"
    )


STORED_ROWS: Final = f"""
SELECT _id AS id, _origin AS origin, _marked AS marked, _mark AS mark, _written AS written, _pending AS pending
FROM {Table.LEDGER}""".strip()
"""SQL of the rows of `ledger` as they are stored."""


def before_writing(definition: SyncDefinition, layout: Sequence[TargetColumn], *, with_ids: bool) -> tuple[Step, ...]:
    """The steps that make `ledger_before`: what the run is about to do; the next run needs it after an interruption.

    Args:
        definition: The sync.
        layout: The target columns.
        with_ids: New records can be given their ids here.
    """
    guarded, marks = _guarded(layout), mark_values(definition, layout, "changes")
    pending = _object(
        [
            f"CASE WHEN changes.action = 'insert' THEN {_first(c, 'changes', is_pending=True)} "
            f"WHEN changes.action IN {_MARKING} THEN {_pending_mark(c, marks)} "
            f"WHEN {_given(c)} AND {_has(c, 'changes')} "
            f"THEN {pending_member(c, f'desired.{quoted(c.name)}', is_new=False)} END"
            for c in guarded
        ]
    )
    wrote = f"changes.action IN ('update', 'reactivate') AND {pending} <> '{{}}'" if guarded else "false"
    query = f"""
SELECT changes._id AS id,
  coalesce(ledger._origin, CASE WHEN changes.action = 'insert' THEN 'created'
    WHEN changes.action IN {_MARKING} THEN 'marked' ELSE 'matched' END) AS origin,
  coalesce(ledger._marked, false) OR changes.action IN {_MARKING} AS marked,
  CASE WHEN changes.action IN {_MARKING} THEN {mark_name(definition, layout)} ELSE ledger._mark END AS mark,
  {_settled(layout)} AS written,
  {f"nullif({pending}, '{{}}')" if guarded else "NULL::VARCHAR"} AS pending
FROM changes
LEFT JOIN ledger ON ledger._id = changes._id
LEFT JOIN desired ON desired._row = changes._row
LEFT JOIN current AS target ON target._id = changes._id
WHERE changes._id IS NOT NULL AND (changes.action = 'insert' OR changes.action IN {_MARKING} OR {wrote})""".strip()
    note = Step.creating(
        "Note in the ledger what is about to be written",
        NewTable(name=Table.LEDGER_BEFORE, query=query),
        needs=frozenset({Table.CHANGES, Table.LEDGER, Table.DESIRED, Table.CURRENT}),
    )
    return (*([NEW_IDS] if with_ids else []), note)


NEW_IDS: Final = Step(
    "Give new records their ids",
    f"UPDATE changes SET _id = {FRESH_ID} WHERE action = 'insert' AND _id IS NULL",
    needs=frozenset({Table.CHANGES}),
)


def after_writing(
    definition: SyncDefinition, layout: Sequence[TargetColumn], *, alone: bool = True
) -> tuple[Step, ...]:
    """The steps that make `ledger_after`: the rows of `ledger` that the run has changed.

    Args:
        definition: The sync.
        layout: The target columns.
        alone: Nobody else writes for this sync, so no value is pending afterwards, and what was not read is gone. Else
            a value that was pending before stays so, until a write that names the version of the record has been made:
            all others are refused then.
    """
    parts = [
        _matched(definition, layout, alone=alone),
        _created(layout),
        _adopted(layout),
        _marked(definition, layout, alone=alone),
        _DELETED,
        _NOT_MADE,
        _NOT_TRIED,
    ]
    parts.append(_opened(definition, layout))
    all_read = alone and definition.destination.filter is None
    if all_read:
        parts.append(_GONE)
    union = "\n  UNION ALL\n".join(parts)
    same = " AND ".join(
        f"ledger._{name} IS NOT DISTINCT FROM found.{name}"
        for name in ("origin", "marked", "mark", "written", "pending")
    )
    query = f"""
WITH done AS (
  SELECT changes._change, changes.action, changes._row, changes._id, changes.columns, changes.version, changes.payload,
    CASE WHEN outcomes.sent THEN 'skipped' ELSE coalesce(outcomes.result, 'skipped') END AS result, outcomes.id,
    CASE WHEN outcomes.result = {_FAILED} AND outcomes.id IS NOT NULL AND outcomes.sent IS NOT TRUE
      THEN changes.payload ELSE '{{}}' END AS written
  FROM changes LEFT JOIN outcomes ON outcomes._change = changes._change),
found AS (
{union})
SELECT id, origin, marked, mark, written, pending FROM found
WHERE EXISTS (SELECT 1 FROM ledger_before WHERE ledger_before.id = found.id)
  OR NOT EXISTS (SELECT 1 FROM ledger WHERE ledger._id = found.id AND {same})""".strip()
    needs = frozenset(
        {
            Table.CHANGES, Table.OUTCOMES, Table.DECISIONS, Table.DESIRED, Table.CURRENT, Table.LEDGER,
            Table.LEDGER_BEFORE,
        }
    )  # fmt: skip
    return (
        Step.creating(
            "Note in the ledger the result of the records",
            NewTable(name=Table.LEDGER_AFTER, query=query),
            needs=needs | ({Table.TARGET_ERRORS} if all_read else set()),
        ),
    )


def doubtful_query(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL for the ids of the records that do not hold what the ledger says: edited since, or read too early.

    Of use where others write for this sync while the records are read.
    """
    held = [f"(desired._row IS NOT NULL AND {edited(column)})" for column in _guarded(layout)]
    held.append(f"(ledger._marked AND NOT ({marks_held(definition, layout)}))")
    return f"""
SELECT CAST(target._id AS VARCHAR)
FROM decisions
JOIN current AS target ON target._id = decisions._id
JOIN ledger ON ledger._id = target._id
LEFT JOIN desired ON desired._row = decisions._row
WHERE {" OR ".join(held)}""".strip()


def _matched(definition: SyncDefinition, layout: Sequence[TargetColumn], *, alone: bool) -> str:
    """Records that have a row. Of a change whose second request was refused, `done.written` has the first one."""
    columns = _guarded(layout)
    applied = f"done.result = {_APPLIED}"
    guarded = f"({applied} OR done.written <> '{{}}') AND done.version IS NOT NULL"
    written = [
        (
            f"CASE WHEN {applied} AND {_has(c, 'done')} "
            f"THEN {written_member(c, f'desired.{quoted(c.name)}')} "
            f"WHEN {is_in_first(c, 'done.written')} "
            f"THEN {written_member(c, first_value(c, 'done.written', f'desired.{quoted(c.name)}'))} "
            f"WHEN (({sent(c)} AND desired.{quoted(c.name)} IS NOT DISTINCT FROM target.{quoted(c.name)}) "
            f"OR {unedited(c)}{is_of_equal_state(c)}){is_whole(c, layout)} "
            f"THEN {written_member(c, f'target.{quoted(c.name)}')} "
            f"WHEN ledger.{_name('knows', c)} THEN {written_member(c, 'ledger.' + _name('was', c))} END"
        )
        for c in columns
    ]
    return f"""
  SELECT target._id AS id, coalesce(nullif(ledger._origin, 'marked'), 'matched') AS origin,
    CASE WHEN done.action = 'reactivate' AND {applied} THEN false
      ELSE coalesce(ledger._marked AND ({marks_held(definition, layout)}), false) END AS marked,
    ledger._mark AS mark, {_object(written)} AS written,
    {"NULL::VARCHAR" if alone else f"CASE WHEN NOT coalesce({guarded}, false) THEN ledger._pending END"} AS pending
  FROM decisions
  JOIN desired ON desired._row = decisions._row
  JOIN current AS target ON target._id = decisions._id
  LEFT JOIN ledger ON ledger._id = target._id
  LEFT JOIN done ON done._row = decisions._row AND done._id = decisions._id
  WHERE coalesce(done.result, '') NOT IN {_UNKNOWN}"""


def _created(layout: Sequence[TargetColumn]) -> str:
    """New records. Of a link that could not be read after it was made, no id is known."""
    written = _object([_first(column, "done") for column in _guarded(layout)])
    return f"""
  SELECT coalesce(done.id, done._id), 'created', false, NULL, {written}, NULL
  FROM done JOIN desired ON desired._row = done._row
  WHERE done.action = 'insert' AND done.result = {_APPLIED} AND coalesce(done.id, done._id) IS NOT NULL"""


_DELETED: Final = f"""
  SELECT done._id, NULL, false, NULL, NULL, NULL
  FROM done WHERE done.action = 'delete' AND done.result = {_APPLIED}"""
# An insert names no version: where the record counts as edited, it is one whose key the insert has.
_NOT_MADE: Final = f"""
  SELECT done._id, NULL, false, NULL, NULL, NULL
  FROM done
  WHERE done.action = 'insert' AND done._id IS NOT NULL AND done._id IS DISTINCT FROM done.id
    AND done.result IN ({_FAILED}, {_ADOPTED}, 'edited')"""
# A record whose drop was taken out of the plan, because it has the key of a row.
_NOT_TRIED: Final = """
  SELECT ledger_before.id, ledger._origin, coalesce(ledger._marked, false), ledger._mark, ledger._written,
    ledger._pending
  FROM ledger_before LEFT JOIN ledger ON ledger._id = ledger_before.id
  WHERE NOT EXISTS (SELECT 1 FROM done WHERE ledger_before.id IN (done._id, done.id))"""
_GONE: Final = """
  SELECT ledger._id, NULL, false, NULL, NULL, NULL
  FROM ledger
  WHERE NOT EXISTS (SELECT 1 FROM current WHERE current._id = ledger._id)
    AND NOT EXISTS (SELECT 1 FROM target_errors WHERE target_errors._id = ledger._id)"""


def _adopted(layout: Sequence[TargetColumn]) -> str:
    """Records that have the key of a new one: which of its values they were given is not known here."""
    values = [
        f"CASE WHEN {_given(column)} THEN {written_member(column, f'desired.{quoted(column.name)}')} END"
        for column in _guarded(layout)
    ]
    return f"""
  SELECT done.id, coalesce(nullif(ledger._origin, 'marked'), 'matched'), coalesce(ledger._marked, false),
    ledger._mark, coalesce(ledger._written, '{{}}'), nullif({_object(values)}, '{{}}')
  FROM done JOIN desired ON desired._row = done._row
  LEFT JOIN ledger ON ledger._id = done.id
  WHERE done.action = 'insert'
    AND (done.result = {_ADOPTED} OR done.written <> '{{}}' AND done.id IS DISTINCT FROM done._id)"""


def _marked(definition: SyncDefinition, layout: Sequence[TargetColumn], *, alone: bool) -> str:
    """Records that were marked, or whose mark was refused."""
    applied = f"done.result = {_APPLIED}"
    return f"""
  SELECT done._id, CASE WHEN {applied} THEN coalesce(ledger._origin, 'marked') ELSE ledger._origin END,
    {applied} OR coalesce(ledger._marked, false),
    CASE WHEN {applied} THEN {mark_name(definition, layout)} ELSE ledger._mark END,
    {_settled(layout, mark_values(definition, layout, "done"))},
    {"NULL" if alone else "ledger._pending"}
  FROM done
  JOIN current AS target ON target._id = done._id
  LEFT JOIN ledger ON ledger._id = done._id
  WHERE done.action IN {_MARKING} AND done.result IN ({_APPLIED}, {_FAILED})"""


def _pending_mark(column: TargetColumn, marks: Mapping[str, tuple[str, str]]) -> str:
    """SQL of the member for what a mark is about to set the column to; NULL where it does not."""
    if column.name not in marks:
        return "NULL"
    is_set, value = marks[column.name]
    return f"CASE WHEN {is_set} THEN {pending_member(column, value, is_new=False)} END"


def _settled(layout: Sequence[TargetColumn], marks: Mapping[str, tuple[str, str]] | None = None) -> str:
    """SQL for what is known to be written into the record `target`: nothing stays pending.

    Before this run, or with `marks` after it has marked the record: of a mark that was refused, what its first request
    has set counts as well.
    """
    columns = _guarded(layout)
    if not columns:
        return "ledger._written"
    return _object(
        [
            f"CASE {_after_mark(c, marks)}WHEN {unedited(c)} THEN {written_member(c, f'target.{quoted(c.name)}')} "
            f"WHEN ledger.{_name('knows', c)} THEN {written_member(c, 'ledger.' + _name('was', c))} END"
            for c in columns
        ]
    )


def _after_mark(column: TargetColumn, marks: Mapping[str, tuple[str, str]] | None) -> str:
    """SQL of the cases in which the mark has set the column."""
    if marks is None or column.name not in marks:
        return ""
    is_set, value = marks[column.name]
    first = written_member(column, first_value(column, "done.written", value))
    return (
        f"WHEN done.result = {_APPLIED} AND {is_set} THEN {written_member(column, value)} "
        f"WHEN {is_in_first(column, 'done.written')} THEN {first} "
    )


def _opened(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """Records without a row whose mark was removed, and that are not marked again; or whose mark has no columns yet."""
    held = marks_held(definition, layout)
    return f"""
  SELECT target._id, ledger._origin, {held}, coalesce(ledger._mark, {mark_name(definition, layout)}), ledger._written,
    ledger._pending
  FROM decisions
  JOIN current AS target ON target._id = decisions._id
  JOIN ledger ON ledger._id = target._id
  WHERE decisions._row IS NULL AND decisions.action = 'ignored' AND ledger._marked
    AND (ledger._mark IS NULL OR NOT ({held}))"""


def _guarded(layout: Sequence[TargetColumn]) -> list[TargetColumn]:
    """What the ledger has columns for; an edit of a state that no mapping fills shows in its status.

    Of a state that alone is mapped it has the status too: a person may have edited only that.
    """
    guarded = (column for column in layout if column.write is WritePolicy.UNLESS_EDITED)
    return [column for column in guarded if not (column.implied and column.edited_with)]


def _name(kind: str, column: TargetColumn) -> str:
    return quoted(f"_{kind}_{column.name}")


def _has(column: TargetColumn, changes: str) -> str:
    """SQL condition: a change has the column; `changes` is the name of the table of the changes."""
    return f"list_contains(string_split({changes}.columns, ','), {literal(column.name)})"


def _given(column: TargetColumn) -> str:
    """SQL condition: the row says what the column gets; a state says it of its status."""
    return sent(column) if column.follows is None else f"({sent(column)} OR {sent(column.follows)})"


def _first(column: TargetColumn, changes: str, *, is_pending: bool = False) -> str:
    """SQL of the member for what a new record holds, or may hold while it is made, where that is known.

    A status that follows its state is known where the change has it.
    """
    value, known = new_value(column)
    if column.follows is not None:
        known = f"({known} OR {_given(column)} AND {_has(column, changes)})"
        value = f"desired.{quoted(column.name)}"
    member = pending_member(column, value, is_new=True) if is_pending else written_member(column, value)
    return member if known == "true" else f"CASE WHEN {known} THEN {member} END"


def _object(members: Sequence[str]) -> str:
    return f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'" if members else "'{}'"
