"""One wave of changes of real time: the rows of events become `desired`, so that the steps of a batch do the rest.

A wave has a table `step_rows`: which rows of `wanted` each change is made of. Its number is the row of `desired`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import Strategy, SyncDefinition
from shared.reconcile.columns import ChangedColumn
from shared.reconcile.set_rows import blind_update
from shared.transform import LookupColumn, TargetColumn, key_columns, to_service
from shared.transform.lookups.columns import carried_columns
from shared.transform.rules import ErrorType
from shared.workspace import NewTable, Table, json_rows, literal, quoted

__all__ = [
    "GIVEN",
    "GIVEN_ACTION",
    "GIVEN_IGNORE",
    "LEFT_OUT_OF_CHANGES",
    "REJECTED_CHANGES",
    "STAYS",
    "STEP_ROWS",
    "UNRESOLVED_CHANGES",
    "WAVE_ACTIONS",
    "WAVE_SOURCE",
    "asked_query",
    "doubles_query",
    "keep_asked_statement",
    "mark_statement",
    "move_statement",
    "spare_rejected_statement",
    "wave_changes_query",
    "wave_desired",
]

GIVEN_ACTION: Final = "_action"
"""The column of `step_rows` and of `source` with the action of a change that is not compared."""
GIVEN_IGNORE: Final = "IGNORE"
"""The action of a change that does nothing."""
GIVEN: Final = f"{GIVEN_ACTION} <> '{GIVEN_IGNORE}'"
"""SQL condition over `step_rows`: the change writes something, without being compared."""
STAYS: Final = "NOT _deletes"
"""SQL condition over `step_rows`: the record is to be there afterwards."""

_MEMBERS: Final = {"s": "BIGINT", "r": "BIGINT", "l": "BOOLEAN", "o": "BIGINT", "d": "BOOLEAN", "a": "VARCHAR"}
STEP_ROWS: Final = NewTable(
    name=Table.STEP_ROWS,
    query=f"SELECT r.s AS _step, r.r AS _row, r.l AS _alone, r.o AS _before, r.d AS _deletes, r.a AS {GIVEN_ACTION} "
    f"FROM {json_rows(_MEMBERS)}",
)
"""Made of one JSON text, the statement's parameter: an array of objects with the members

    s: The number of the change.
    r: A row of `wanted` that it is made of.
    l: Whether that is the only one.
    o: The row with the key that the record had, where the change gives it a new one.
    d: Whether it deletes the record.
    a: The action, where it is not compared.
"""
WAVE_SOURCE: Final = NewTable(
    name=Table.SOURCE,
    query="SELECT _step AS _row, wanted_source.* EXCLUDE (_row) FROM step_rows JOIN wanted_source USING (_row)",
    is_view=True,
)
"""The source columns, for rules that look at them."""
WAVE_ACTIONS: Final = NewTable(name=Table.SOURCE, query=f"SELECT DISTINCT _step AS _row, {GIVEN_ACTION} FROM step_rows")
"""The action of each change, where the source decides."""


def wave_desired(
    definition: SyncDefinition,
    layout: Sequence[TargetColumn],
    condition: str,
    *,
    single: bool,
    late: Sequence[LookupColumn] = (),
) -> NewTable:
    """The table `desired`: the rows of a change become one; of each column the last row that carries it counts.

    Args:
        definition: The sync.
        layout: The target columns of `wanted`.
        condition: `STAYS` or `GIVEN`: which changes have a row.
        single: Each change is made of one row.
        late: The lookups that are resolved in the wave.
    """
    alone = f"SELECT {', '.join(_row_of(layout, late))} FROM {_WANTED} WHERE {condition}"
    if single:
        return NewTable(name=Table.DESIRED, query=alone)
    joined = f"SELECT {', '.join(_joined(definition, layout, late))} FROM {_WANTED} WHERE {condition} AND NOT _alone"
    # To join the rows of a change costs much more than to copy one, and most changes are made of one.
    return NewTable(name=Table.DESIRED, query=f"{alone} AND _alone UNION ALL {joined} GROUP BY _step")


_WANTED: Final = "step_rows JOIN wanted USING (_row)"


def _row_of(layout: Sequence[TargetColumn], late: Sequence[LookupColumn]) -> list[str]:
    """The SQL items of a change that is made of one row."""
    names = [column.name for column in layout]
    return [
        "_step AS _row",
        *(quoted(n) for n in names),
        *(_flag(n) for n in names),
        *_keys(layout),
        *map(quoted, carried_columns(late)),
    ]


def _joined(definition: SyncDefinition, layout: Sequence[TargetColumn], late: Sequence[LookupColumn]) -> list[str]:
    """The SQL items of a change that is made of several rows."""
    items = ["_step AS _row"]
    items += [f"{_latest(definition, layout, column)} AS {quoted(column.name)}" for column in layout]
    items += [f"bool_and({_flag(column.name)}) AS {_flag(column.name)}" for column in layout]
    items += [f"arg_max_null({key}, _row) AS {key}" for key in _keys(layout)]
    items += [
        f"arg_max_null({quoted(name)}, _row) FILTER (WHERE NOT {_flag(lookup.name)}) AS {quoted(name)}"
        for lookup in late
        for name in carried_columns([lookup])
    ]
    return items


def _latest(definition: SyncDefinition, layout: Sequence[TargetColumn], column: TargetColumn) -> str:
    """SQL for a column's value over the rows of a change.

    A record that is addressed by its alternate key keeps the spelling that it was made with: no later write sends
    the key. One that is compared, or addressed by its id, takes the latest.

    `last(… ORDER BY …)` would sort the rows of each change, for each column.
    """
    name, record = quoted(column.name), definition.destination.id_column
    last = f"arg_max_null({name}, _row) FILTER (WHERE NOT {_flag(column.name)}"
    if column.key_part is None or definition.sync_behaviour.strategy is Strategy.FULL:
        return f"{last})"
    first = f"arg_min_null({name}, _row)"
    if any(other.name == record for other in layout):
        return f"coalesce({last} AND {quoted(record)} IS NOT NULL), {first})"
    return first


def asked_query(layout: Sequence[TargetColumn], *, single: bool, moves: bool) -> str:
    """SQL for the keys of the records to read, as JSON objects, each once.

    Args:
        layout: The target columns of `wanted`.
        single: Each change is made of one row.
        moves: A change gives its record a new key, so the old one is asked for as well.
    """
    members = " || ',' || ".join(to_service(column, quoted(column.name)) for column in key_columns(layout))
    key = f"'{{' || {members} || '}}'"
    rows = _rows_of(moves=moves)
    if single:
        return f"SELECT {key} FROM {rows} ORDER BY _step"
    return f"SELECT any_value({key}) FROM {rows} GROUP BY _step, wanted._row < 0 ORDER BY _step"


def keep_asked_statement(layout: Sequence[TargetColumn], *, moves: bool) -> str:
    """SQL that removes records which were not asked for: the service may find more, and they are not dropped."""
    parts = ", ".join(_keys(layout))
    return f"DELETE FROM current WHERE ({parts}) NOT IN (SELECT ({parts}) FROM {_rows_of(moves=moves)})"


_MOVED: Final = "step_rows JOIN wanted AS old ON old._row = step_rows._before"


def doubles_query(layout: Sequence[TargetColumn]) -> str:
    """SQL for how many changes of a key concern two records: one has the old key and one the new."""
    old, new = _there(layout, "old"), _there(layout, "desired")
    return f"SELECT count(*) FROM desired JOIN {_MOVED} ON desired._row = _step WHERE {old} AND {new}"


def move_statement(layout: Sequence[TargetColumn]) -> str:
    """SQL that lets a record be found under its old key, where none has the new one: comparing gives it the new key.

    Where both are there, the one with the new key takes the event and the other one was dropped.
    """
    keys = ", ".join(f"{key} = old.{key}" for key in _keys(layout))
    old, new = _there(layout, "old"), _there(layout, "desired")
    return f"UPDATE desired SET {keys} FROM {_MOVED} WHERE desired._row = _step AND {old} AND NOT {new}"


def mark_statement(parts: Sequence[ChangedColumn], id_column: str) -> str:
    """SQL that turns what is dropped and only marked into an update of those columns, where nothing is compared."""
    payload, later, names = blind_update(parts, id_column)
    return (
        f"UPDATE changes SET payload = {payload}, on_create = '', later = {later}, columns = {names} "
        "WHERE _row IN (SELECT _step FROM step_rows WHERE _deletes)"
    )


def wave_changes_query(layout: Sequence[TargetColumn], *, by_key: bool, moves: bool) -> str:
    """SQL for the changes: number, action, id, key, payload, columns, on_create, later, number of the wave's change.

    Args:
        layout: The target columns.
        by_key: Records may be dropped: their change is found by their key.
        moves: A change gives its record a new key.
    """
    same = " AND ".join(f"current.{key} = wanted.{key}" for key in _keys(layout))
    gone = (
        f"LEFT JOIN (SELECT current._id, _step FROM {_rows_of(moves=moves)} JOIN current ON {same} "
        "WHERE _deletes OR wanted._row = step_rows._before) AS gone ON gone._id = changes._id"
    )
    owner = "coalesce(changes._row, gone._step)" if by_key else "changes._row"
    return (
        f"SELECT _change, action, CAST(changes._id AS VARCHAR), key, payload, columns, on_create, later, {owner} "
        f"FROM changes {gone if by_key else ''} ORDER BY _change"
    )


REJECTED_CHANGES: Final = (
    "SELECT _row, error, coalesce(\"column\", ''), message FROM source_errors WHERE rejected "
    "ORDER BY _row DESC, rowid DESC"
)
"""SQL for (number of the change, error, column, message) of what rejects changes, the first error of each last."""

LEFT_OUT_OF_CHANGES: Final = (
    "SELECT _row, error, coalesce(\"column\", ''), message FROM source_errors WHERE NOT rejected ORDER BY _row, rowid"
)
"""SQL for (number of the change, error, column, message) of the fields that changes are applied without."""

UNRESOLVED_CHANGES: Final = (
    f"SELECT DISTINCT _row FROM source_errors WHERE error = {literal(ErrorType.UNRESOLVED_LINK)}"
)
"""SQL for the numbers of the changes of which a lookup finds no record."""


def spare_rejected_statement(layout: Sequence[TargetColumn]) -> str:
    """SQL that removes the records of rejected changes: they are neither written nor dropped."""
    parts = ", ".join(_keys(layout))
    return f"""
DELETE FROM current WHERE ({parts}) IN (
  SELECT ({parts}) FROM step_rows JOIN wanted USING (_row)
  WHERE _step IN (SELECT _row FROM source_errors WHERE rejected))""".strip()


def _rows_of(*, moves: bool) -> str:
    """SQL for the rows of the changes: with those of old keys where a change gives a new one."""
    on = "wanted._row IN (step_rows._row, step_rows._before)" if moves else "wanted._row = step_rows._row"
    return f"step_rows JOIN wanted ON {on}"


def _there(layout: Sequence[TargetColumn], side: str) -> str:
    """SQL condition: a record has the key of the other side."""
    same = " AND ".join(f"current.{key} = {side}.{key}" for key in _keys(layout))
    return f"EXISTS (SELECT 1 FROM current WHERE {same})"


def _keys(layout: Sequence[TargetColumn]) -> list[str]:
    return [f"_k{column.key_part}" for column in key_columns(layout)]


def _flag(name: str) -> str:
    return quoted("_omit_" + name)
