"""Records that get certain values: marks of dropped and returning records, and updates of a table after the sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.definitions.models import Expire, SyncDefinition
from shared.reconcile.columns import ChangedColumn, names_of, object_of, records, records_need
from shared.reconcile.plan import PlanAction
from shared.reconcile.set_rows import SetRow, status_of
from shared.transform import (
    ErrorType,
    MarkColumn,
    TargetColumn,
    both_halves,
    current_table_step,
    dropped_mark,
    from_service,
    pair_of,
    returned_mark,
)
from shared.workspace import Step, Table, literal

__all__ = [
    "blind_mark",
    "blind_unfit_query",
    "drop_action",
    "dropped",
    "is_reactivated",
    "mark_name",
    "mark_parts",
    "mark_values",
    "marks_held",
    "not_dropped",
    "not_marked",
    "report_unfit",
    "return_parts",
    "returned",
    "update_changes_query",
    "update_count_query",
    "update_table_step",
    "update_unfit_query",
]

# A decision and a report read only which record has a mark, and that does not depend on the start of the run.
_AT_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


def drop_action(definition: SyncDefinition) -> PlanAction:
    """What happens to a record that is dropped; `IGNORED` where dropped records are left alone."""
    match definition.sync_behaviour.dropped:
        case "delete":
            return PlanAction.DELETE
        case "ignore":
            return PlanAction.IGNORED
        case "deactivate":
            return PlanAction.DEACTIVATE
        case Expire():
            return PlanAction.EXPIRE
    return PlanAction.MARK


def dropped(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL of the decision on a record that the source does not have: one with its mark is left as it is.

    So a second run plans nothing. `report_unfit` leaves alone those that a value of the mark does not fit.
    """
    action = drop_action(definition)
    exceptions = [condition for condition, _ in not_dropped(definition, layout)]
    if not exceptions or action is PlanAction.IGNORED:
        return literal(action)
    return f"CASE WHEN {' OR '.join(exceptions)} THEN {literal(PlanAction.IGNORED)} ELSE {literal(action)} END"


def not_dropped(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> list[tuple[str, str]]:
    """Which records without a row are left as they are: SQL condition over `target` and `ledger`, and why."""
    mark = dropped_mark(definition, layout, started=_AT_ANY_TIME)
    found = []
    if definition.sync_behaviour.dropped_scope == "own":
        found.append(("ledger._own IS NOT TRUE", "they are not this sync's own (dropped_scope)"))
    if mark:
        # A value that does not fit reads as none, which the record may hold.
        fits = [f"NOT {column.unfit}" for column in mark if column.unfit]
        found.append((f"({' AND '.join([_held(mark), *fits])})", "they are marked already"))
    return found


def not_marked(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> list[tuple[str, str]]:
    """Which records would be marked with a value that does not fit, and are left as they are; as `not_dropped`."""
    why = "a value of their mark does not fit its column, or its expression fails (see Errors)"
    mark = dropped_mark(definition, layout, started=_AT_ANY_TIME)
    return [(column.unfit, why) for column in mark if column.unfit]


def returned(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """The branch of the decision on a record that this sync has marked, that has the mark, and whose row is back."""
    condition = is_reactivated(definition, layout)
    if not condition:
        return ""
    return f"""-- in both, and marked by this sync
    WHEN {condition} THEN {literal(PlanAction.REACTIVATE)}"""


def is_reactivated(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL condition over `target` and `ledger`: a record that has a row is reactivated; empty where none ever is."""
    back = returned_mark(definition, layout)
    if not back:
        return ""
    unfit = [f"NOT {column.unfit}" for column in back if column.unfit]
    return " AND ".join([_is_back(definition, layout, back), *unfit])


def _is_back(definition: SyncDefinition, layout: Sequence[TargetColumn], back: Sequence[MarkColumn]) -> str:
    """SQL condition: this sync has marked the record, the mark is there, and what says that it is back is not."""
    mark = dropped_mark(definition, layout, started=_AT_ANY_TIME)
    return f"ledger._marked AND {_given(mark)} AND {_held(mark)} AND NOT ({_held(back)})"


def _given(mark: Sequence[MarkColumn]) -> str:
    """SQL condition: what this sync has marked last in the record has all columns of the mark.

    What a version noted that did not note the columns counts as the mark of the definition.
    """
    return f"(ledger._mark IS NULL OR list_has_all(string_split(ledger._mark, ','), {_names(mark)}))"


def _names(mark: Sequence[MarkColumn]) -> list[str]:
    """The columns of a mark. The service sets the state with the status reason, and the other way round."""
    return sorted(both_halves([column.column.name for column in mark]))


def _held(mark: Sequence[MarkColumn]) -> str:
    return " AND ".join(column.held for column in mark)


def mark_parts(
    definition: SyncDefinition, layout: Sequence[TargetColumn], *, started: datetime
) -> tuple[ChangedColumn, ...]:
    """The columns that mark a dropped record: those that do not have their value yet."""
    return _parts(dropped_mark(definition, layout, started=started))


def blind_mark(
    definition: SyncDefinition, layout: Sequence[TargetColumn], *, started: datetime
) -> tuple[ChangedColumn, ...]:
    """The columns that mark a record that was not read: all of them."""
    return tuple(replace(part, condition="true") for part in mark_parts(definition, layout, started=started))


def blind_unfit_query(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL that gives the columns of the mark of a record that was not read whose values do not fit; empty for none.

    Such a value is made of parameters only. It gives columns only where a record is to be marked.
    """
    cases = [
        f"SELECT {literal(each.column.name)} WHERE {each.unfit} AND EXISTS (FROM step_rows WHERE _deletes)"
        for each in dropped_mark(definition, layout, started=_AT_ANY_TIME)
        if each.unfit
    ]
    return " UNION ALL ".join(cases)


def return_parts(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[ChangedColumn, ...]:
    """The columns that say that a record is back: those that do not have their value yet."""
    return _parts(returned_mark(definition, layout))


def _parts(mark: Sequence[MarkColumn]) -> tuple[ChangedColumn, ...]:
    return tuple(ChangedColumn(column=each.column, condition=f"NOT ({each.held})", value=each.value) for each in mark)


def report_unfit(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Leave records alone that the value of an expression does not fit, and report that they are not marked.

    The same is reported of records that are not reactivated. The steps come after those that drop no record for other
    reasons: what is left alone anyhow is not reported.
    """
    back = returned_mark(definition, layout)
    mark = dropped_mark(definition, layout, started=_AT_ANY_TIME)
    is_marked = f"decisions.action = {literal(drop_action(definition))}"
    cases = [(is_marked, "the record is not marked", each) for each in mark]
    if back:
        there = f"decisions._row IS NOT NULL AND {_is_back(definition, layout, back)}"
        cases += [(there, "the record is not reactivated", each) for each in back]
    left = "\n  UNION ALL\n".join(
        f"  SELECT target._seq, {literal(each.column.name)}, {literal(ErrorType.INVALID_FORMAT)}, false,\n"
        f"    {literal(f'the value for {each.column.name} does not fit the column, or its expression fails; {then}')}, "
        f"target._id\n  FROM decisions JOIN current AS target ON target._id = decisions._id {records(definition)}\n"
        f"  WHERE {condition} AND {each.unfit}"
        for condition, then, each in cases
        if each.unfit
    )
    if not left:
        return ()
    unmarked = " OR ".join(condition for condition, _ in not_marked(definition, layout))
    leave = f"""
UPDATE decisions SET action = {literal(PlanAction.IGNORED)}
WHERE {is_marked} AND _id IN (SELECT target._id FROM current AS target WHERE {unmarked})""".strip()
    spare = Step(
        title="Leave alone what a mark does not fit",
        sql=leave,
        origin="sync_behaviour.dropped",
        needs=frozenset({Table.DECISIONS, Table.CURRENT}),
    )
    return (
        Step(
            title="Report marks that do not fit",
            sql=f"INSERT INTO target_errors\n{left}",
            origin="sync_behaviour",
            needs=frozenset({Table.TARGET_ERRORS, Table.DECISIONS, Table.CURRENT}) | records_need(definition),
        ),
        *([spare] if unmarked else []),
    )


def marks_held(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL condition: the record has the mark of a dropped one that the ledger says.

    Where the sync does not mark records now, or in other columns, nothing tells whether one still has the mark that it
    was given once.
    """
    mark = _written_mark(definition, layout)
    return f"(NOT {_given(mark)} OR ({_held(mark)}))" if mark else "true"


def mark_name(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """SQL of what the ledger notes of the mark of a dropped record: its columns, NULL where it is not marked."""
    mark = _written_mark(definition, layout)
    return literal(",".join(_names(mark))) if mark else "NULL"


def mark_values(
    definition: SyncDefinition, layout: Sequence[TargetColumn], changes: str
) -> Mapping[str, tuple[str, str]]:
    """Column -> SQL condition that a change which marks a record sets it, and SQL of what the record then holds.

    Args:
        definition: The sync.
        layout: The target columns.
        changes: The name of the table that has `columns` and `payload` of the change; `target` is the record.
    """
    values = {each.column.name: each.value for each in _written_mark(definition, layout)}
    dropped = definition.sync_behaviour.as_written.dropped
    if isinstance(dropped, Expire):  # the start of the run, which only the change has
        column = next(column for column in layout if column.name == dropped.expire)
        text = f"json_extract_string({changes}.payload, {literal(f'$.{column.name}')})"
        values[column.name] = from_service(column, text)
    found = {
        name: (f"list_contains(string_split({changes}.columns, ','), {literal(name)})", value)
        for name, value in values.items()
    }
    pair = pair_of(layout)
    if pair and pair.state.name in found and pair.status.name not in found:
        is_set, state = found[pair.state.name]
        found[pair.status.name] = (is_set, status_of(pair, state))
    return found


def _written_mark(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[MarkColumn, ...]:
    written = definition.model_copy(update={"sync_behaviour": definition.sync_behaviour.as_written})
    return dropped_mark(written, layout, started=_AT_ANY_TIME)


# -- Updates after the sync ------------------------------------------------------------------------------------------


def update_table_step(layout: Sequence[TargetColumn]) -> Step:
    """The step that makes the table for the records."""
    return current_table_step(layout, name=Table.UPDATE_RECORDS, title="Create the table of the records of a step")


def update_count_query(columns: Sequence[MarkColumn]) -> str:
    """How many records do not have their values yet."""
    return f"SELECT count(*) FROM {Table.UPDATE_RECORDS} AS target WHERE {_open(columns)}"


def update_unfit_query(column: MarkColumn) -> str:
    """How many records the value of an expression does not fit."""
    return f"SELECT count(*) FROM {Table.UPDATE_RECORDS} AS target WHERE {column.unfit or 'false'}"


def update_changes_query(columns: Sequence[MarkColumn], layout: Sequence[TargetColumn], id_column: str) -> str:
    """Number, id, payload, names of columns and second request of each record that does not have its values yet."""
    parts = _parts(columns)
    row = SetRow.of(parts, layout, id_column)
    texts, joined = f"{object_of(parts)}, {names_of(parts)}, ''", ""
    if row is not None:
        update = row.update
        texts = f"{update.payload}, {update.names}, coalesce({update.later}, '')"
        values = f"SELECT target._id, {', '.join(row.values)} FROM {Table.UPDATE_RECORDS} AS target"
        joined = f" JOIN ({values}) AS desired ON desired._id = target._id"
    return f"""
SELECT row_number() OVER (ORDER BY target._seq), target._id, {texts}
FROM {Table.UPDATE_RECORDS} AS target{joined} WHERE {_open(columns)}
ORDER BY target._seq""".strip()


def _open(columns: Sequence[MarkColumn]) -> str:
    return " OR ".join(f"NOT ({each.held})" for each in columns)
