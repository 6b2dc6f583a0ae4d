"""Events into the table `wanted`: typed, checked and mapped, one row an event, each saying which columns it carries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.definitions.models import ChangedWhen, ColumnType
from shared.events import Action, Event, Fields
from shared.jobs.event_sync import Group, PreparedSync
from shared.jobs.event_workspaces import WarmWorkspace
from shared.transform import Omit, TargetColumn
from shared.workspace import literal, quoted

__all__ = ["KEPT", "Failure", "Shaped", "shape"]

KEPT = ("wanted", "wanted_source")  # what the waves need; everything else is of one group or one wave
_SOURCE_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.NUMBER: "DECIMAL(38, 10)",
    ColumnType.DATE: "TIMESTAMP",
    ColumnType.BOOL: "BOOLEAN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an event could not be applied; never holds a value of it.

    Attributes:
        error: The kind of error, as in the execution errors.
        code: The service's code, where it is the service's refusal.
    """

    error: str
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """What came of a batch; events are named by their number.

    Attributes:
        records: Event -> the record that it concerns: the sync key as the service compares it, as text.
        failures: Events that were rejected.
        filtered: Events that the source's filter lets go.
    """

    records: Mapping[int, str]
    failures: Mapping[int, Failure]
    filtered: frozenset[int]


def shape(events: Mapping[int, Event], sync: PreparedSync, workspace: WarmWorkspace) -> Shaped:
    """Fill `wanted`.

    Raises:
        UserError: A statement fails on one of the events; which one, the message does not know.
    """
    for statement in _tables(sync):
        workspace.execute(statement)
    groups: dict[tuple[frozenset[str], bool], dict[int, Fields]] = defaultdict(dict)
    for number, event in events.items():
        fields = _fields(event, sync)
        groups[frozenset(fields), event.action is Action.DELETE][number] = fields
    failures: dict[int, Failure] = {}
    filtered: set[int] = set()
    for place, ((carried, deletes), rows) in enumerate(groups.items()):
        if place:
            workspace.clear(keep=KEPT)
        group = sync.group(carried, deletes=deletes)
        if group is None:
            failures |= dict.fromkeys(rows, _without_key(sync))
            continue
        rejected = _shape_group(group, rows, sync, workspace)
        failures |= rejected
        filtered |= rows.keys() - rejected.keys()
    records: dict[int, str] = dict(workspace.query(f"SELECT _row, {_record(sync)} FROM wanted"))
    return Shaped(records=records, failures=failures, filtered=frozenset(filtered - records.keys()))


def _fields(event: Event, sync: PreparedSync) -> Fields:
    """The source columns that an event carries. Those of the key may also come from the record before it."""
    fields = sync.reader.fields(event.record)
    if event.old and not sync.key_fields <= fields.keys():
        before = sync.reader.fields(event.old)
        return {**{name: before[name] for name in sync.key_fields & before.keys()}, **fields}
    return fields


def _without_key(sync: PreparedSync) -> Failure:
    names = ", ".join(sorted(sync.key_fields))
    return Failure(error="Mandatory Rule Violation", message=f"a key needs a value: the event does not carry {names}")


def _shape_group(
    group: Group, rows: Mapping[int, Fields], sync: PreparedSync, workspace: WarmWorkspace
) -> dict[int, Failure]:
    _load(group, rows, workspace)
    for step in group.steps:
        workspace.run(step)
    workspace.execute(_collect(group))
    if _needs_source(sync):
        labels = [quoted(c.label) for c in sync.definition.source.columns if c.name in group.fields or not c.read]
        known = {name for (name,) in workspace.query("SELECT column_name FROM (DESCRIBE source)")}
        listed = ", ".join(["_row", *(label for label in labels if label.strip('"') in known)])
        workspace.execute(f"INSERT INTO wanted_source BY NAME SELECT {listed} FROM source")
    return _failures(workspace)


def _failures(workspace: WarmWorkspace) -> dict[int, Failure]:
    """The first error of each rejected event."""
    rejected = workspace.query(
        "SELECT _row, error, coalesce(\"column\", ''), message FROM source_errors WHERE rejected ORDER BY _row DESC"
    )
    return {
        row: Failure(error=error, message=f"{column}: {message}" if column else message)
        for row, error, column, message in rejected
    }


def _load(group: Group, rows: Mapping[int, Fields], workspace: WarmWorkspace) -> None:
    """Fill `source_raw` with one statement: the rows travel as one JSON text."""
    names = [f"c{place}" for place, _ in enumerate(group.fields)]
    records = [
        {"n": number} | {name: fields.get(field) for name, field in zip(names, group.fields, strict=True)}
        for number, fields in rows.items()
    ]
    form = literal(json.dumps([{"n": "BIGINT"} | dict.fromkeys(names, "VARCHAR")]))
    items = "".join(f", r.{name} AS {quoted(field)}" for name, field in zip(names, group.fields, strict=True))
    rows_of = f"(SELECT unnest(from_json(?::VARCHAR, {form})) AS r)"
    workspace.execute(
        f"CREATE TABLE source_raw AS SELECT r.n AS _row{items} FROM {rows_of}",
        [json.dumps(records, ensure_ascii=False)],
    )


def _tables(sync: PreparedSync) -> Sequence[str]:
    columns = ["_row BIGINT"]
    columns += [f"{quoted(column.name)} {column.sql_type}" for column in sync.layout]
    columns += [f"{quoted('_omit_' + column.name)} BOOLEAN DEFAULT true" for column in sync.layout]
    # A plain column, unlike that of `current`: DuckDB binds what generates a column anew for each insert.
    columns += [f"_k{column.key_part} {column.sql_type}" for column in sync.keys]
    tables = [f"CREATE TABLE wanted ({', '.join(columns)})"]
    if _needs_source(sync):
        labels = (f"{quoted(c.label)} {_SOURCE_TYPES[c.type]}" for c in sync.definition.source.columns)
        tables.append(f"CREATE TABLE wanted_source (_row BIGINT, {', '.join(labels)})")
    return tables


def _needs_source(sync: PreparedSync) -> bool:
    """Only a condition on changes looks at source columns behind the mapping."""
    return isinstance(sync.definition.sync_behaviour.changed, ChangedWhen)


def _collect(group: Group) -> str:
    """Append a group's rows; what the group does not map keeps its default: left out."""
    mapped = [column for column in group.layout if column.source_sql != "NULL"]
    values = [quoted(column.name) for column in mapped]
    names = ["_row", *values, *(quoted("_omit_" + column.name) for column in mapped)]
    items = ["_row", *values, *(_omitted(column) for column in mapped)]
    keys = [f"_k{column.key_part}" for column in mapped if column.key_part is not None]
    return f"INSERT INTO wanted ({', '.join(names + keys)}) SELECT {', '.join(items + keys)} FROM desired"


def _omitted(column: TargetColumn) -> str:
    match column.omit:
        case Omit.NEVER:
            return "false"
        case Omit.WHEN_NULL:
            return f"{quoted(column.name)} IS NULL"
        case Omit.FLAGGED:
            return quoted("_omit_" + column.name)


def _record(sync: PreparedSync) -> str:
    parts = ", ".join(f"CAST(_k{column.key_part} AS VARCHAR)" for column in sync.keys)
    return f"CAST(to_json([{parts}]) AS VARCHAR)"
