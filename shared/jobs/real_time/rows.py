"""Events into the table `wanted`: typed, checked and mapped, one row an event, each saying which columns it carries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.definitions.models import ChangedWhen
from shared.events import Event, EventAction, Fields, Undecodable
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.sync import Group, PreparedSync
from shared.jobs.real_time.workspaces import WarmWorkspace
from shared.transform import SOURCE_TYPES, Omit, TargetColumn
from shared.workspace import NewTable, Step, Table, json_rows, quoted

__all__ = ["KEPT", "Numbered", "Shaped", "before_row", "shape"]

Numbered = tuple[int, Event]  # an event with the number that names it in its batch
KEPT = ("wanted", "wanted_source")  # what the waves need; everything else is of one group or one wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """What came of a batch; events are named by their number.

    Attributes:
        records: Event -> the record that it concerns: the sync key as the service compares it, as text.
        before: Event -> the same for the record before it, where that had another sync key.
        failures: Events that were rejected.
        filtered: Events that the source's filter lets go.
    """

    records: Mapping[int, str]
    failures: Mapping[int, Failure]
    filtered: frozenset[int]
    before: Mapping[int, str] = field(default_factory=dict)


def before_row(number: int) -> int:
    """The row of `wanted` that has the key which an event's record had before; the event's own row has its number."""
    return -1 - number


def shape(events: Iterable[Numbered], sync: PreparedSync, workspace: WarmWorkspace) -> Shaped:
    """Fill `wanted`.

    Raises:
        UserError: A statement fails on one of the events; which one, the message does not know.
    """
    for table in _tables(sync):
        workspace.create(table)
    groups, failures = _groups(events, sync)
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
    found: dict[int, str] = dict(workspace.query(f"SELECT _row, {_record(sync)} FROM wanted"))
    records = {number: record for number, record in found.items() if number >= 0}
    before = {number: found[before_row(number)] for number in records if before_row(number) in found}
    return Shaped(
        records=records,
        failures={number: failure for number, failure in failures.items() if number >= 0},
        filtered=frozenset(number for number in filtered - records.keys() if number >= 0),
        before={number: record for number, record in before.items() if record != records[number]},
    )


_Groups = dict[tuple[frozenset[str], bool], dict[int, Fields]]  # the columns, whether it is a delete -> its rows


def _groups(events: Iterable[Numbered], sync: PreparedSync) -> tuple[_Groups, dict[int, Failure]]:
    """The rows of the events by the columns that they carry, and the events of which no row can be made."""
    groups: _Groups = defaultdict(dict)
    failures: dict[int, Failure] = {}
    for number, event in events:
        found = _fields(event, sync)
        if isinstance(found, Undecodable):
            failures[number] = Failure(error="Undecodable", message=found.reason)
            continue
        fields, before = found
        groups[frozenset(fields), event.action is EventAction.DELETE][number] = fields
        if (
            before
            and event.action is not EventAction.DELETE
            and before.keys() == sync.key_fields
            and before.items() - fields.items()
        ):
            groups[frozenset(before), True][before_row(number)] = before
    return groups, failures


def _fields(event: Event, sync: PreparedSync) -> tuple[Fields, Fields] | Undecodable:
    """The source columns that an event carries, and those of the key that its record had before.

    The key may also come from the record before.
    """
    fields = sync.reader.fields(event.fields)
    if not event.old:
        return fields if isinstance(fields, Undecodable) else (fields, {})
    before = sync.reader.fields(event.old, sync.key_fields)
    if isinstance(before, Undecodable):  # of use only where the event lacks the key
        before = {}
    return fields if isinstance(fields, Undecodable) else ({**before, **fields}, before)


def _without_key(sync: PreparedSync) -> Failure:
    names = ", ".join(sorted(sync.key_fields))
    return Failure(error="Mandatory Rule Violation", message=f"a key needs a value: the event does not carry {names}")


def _shape_group(
    group: Group, rows: Mapping[int, Fields], sync: PreparedSync, workspace: WarmWorkspace
) -> dict[int, Failure]:
    _load(group, rows, workspace)
    unsound = _run(group.steps, workspace)
    workspace.execute(_collect(group))
    if _needs_source(sync):
        labels = [quoted(c.label) for c in sync.definition.source.columns if c.name in group.fields or not c.read]
        known = {name for (name,) in workspace.query("SELECT column_name FROM (DESCRIBE source)")}
        listed = ", ".join(["_row", *(label for label in labels if label.strip('"') in known)])
        workspace.execute(f"INSERT INTO wanted_source BY NAME SELECT {listed} FROM source")
    return _failures(workspace) if unsound else {}


def _run(steps: Sequence[Step], workspace: WarmWorkspace) -> bool:
    """Run the steps that have something to do; returns whether a row breaks a rule or is filtered out."""
    found: dict[str, bool] = {}  # a query -> whether it gives a row
    for step in steps:
        if step.only_if not in found:
            found[step.only_if] = not step.only_if or bool(workspace.query(step.only_if))
        if found[step.only_if]:
            workspace.run(step)
    return any(known for query, known in found.items() if query)


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
    form = {"n": "BIGINT"} | dict.fromkeys(names, "VARCHAR")
    items = "".join(f", r.{name} AS {quoted(field)}" for name, field in zip(names, group.fields, strict=True))
    query = f"SELECT r.n AS _row{items} FROM {json_rows(form)}"
    workspace.create(NewTable(name=Table.SOURCE_RAW, query=query), [json.dumps(records, ensure_ascii=False)])


def _tables(sync: PreparedSync) -> Sequence[NewTable]:
    columns = ["_row BIGINT"]
    columns += [f"{quoted(column.name)} {column.sql_type}" for column in sync.layout]
    columns += [f"{quoted('_omit_' + column.name)} BOOLEAN DEFAULT true" for column in sync.layout]
    # A plain column, unlike that of `current`: DuckDB binds what generates a column anew for each insert.
    columns += [f"_k{column.key_part} {column.sql_type}" for column in sync.keys]
    tables = [NewTable(name=Table.WANTED, columns=f"({', '.join(columns)})")]
    if _needs_source(sync):
        labels = (f"{quoted(c.label)} {SOURCE_TYPES[c.type]}" for c in sync.definition.source.columns)
        tables.append(NewTable(name=Table.WANTED_SOURCE, columns=f"(_row BIGINT, {', '.join(labels)})"))
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
