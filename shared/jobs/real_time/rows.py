"""Events into the table `wanted`: typed, checked and mapped, one row an event, each saying which columns it carries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.events import Event, EventAction, Fields, Undecodable
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.sync import FieldGroup, PreparedSync
from shared.scripts import ScriptEngine
from shared.state import ErrorRow
from shared.transform import LookupColumn
from shared.transform.event_rows import (
    LEFT_OUT_FIELDS,
    REJECTED_EVENTS,
    collect_source_statement,
    collect_statement,
    event_raw_table,
    keeps_source,
    raw_members,
    records_query,
    wanted_tables,
)
from shared.transform.rules import ErrorType
from shared.workspace import Row, Step
from shared.workspace.warm import WarmWorkspace

__all__ = ["KEPT", "Numbered", "ReadReferences", "ShapedEvents", "before_row", "failures_of", "field_error", "shape"]

Numbered = tuple[int, Event]  # an event with the number that names it in its batch
KEPT = ("wanted", "wanted_source", "creations")  # what the waves need; everything else is of one group or one wave


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedEvents:
    """What came of a batch; events are named by their number.

    Attributes:
        records: Event -> the record that it concerns: the sync key as the service compares it, as text.
        before: Event -> the same for the record before it, where that had another sync key.
        failures: Events that were rejected.
        filtered: Events that the source's filter lets go.
        left_out: Errors of fields that events are applied without; one for each event, type and column.
        gone: How many deletes concern a record that cannot be there.
    """

    records: Mapping[int, str]
    failures: Mapping[int, Failure]
    filtered: frozenset[int]
    before: Mapping[int, str] = field(default_factory=dict)
    left_out: tuple[ErrorRow, ...] = ()
    gone: int = 0


def before_row(number: int) -> int:
    """The row of `wanted` that has the key which an event's record had before; the event's own row has its number."""
    return -1 - number


ReadReferences = Callable[[Sequence[LookupColumn], str], None]
"""Reads the records that lookups search; takes the lookups and the condition of the events that are left out."""


def shape(
    events: Iterable[Numbered],
    sync: PreparedSync,
    workspace: WarmWorkspace,
    read: ReadReferences,
    scripts: ScriptEngine,
) -> ShapedEvents:
    """Fill `wanted`.

    Raises:
        UserError: A statement fails on one of the events; which one, the message does not know.
    """
    for table in wanted_tables(sync.definition, sync.layout, sync.late):
        workspace.create(table)
    groups, failures = _groups(events, sync)
    filtered: set[int] = set()
    left_out: list[ErrorRow] = []
    gone: set[int] = set()
    for place, ((carried, deletes), rows) in enumerate(groups.items()):
        if place:
            workspace.clear(keep=KEPT)
        group = sync.group(carried, deletes=deletes)
        if group is None:
            failures |= dict.fromkeys(rows, _without_key(sync))
            continue
        _load(group, rows, workspace)
        rejected, incomplete = _shape_group(group, sync, workspace, read, scripts)
        gone |= _gone(rejected, sync) if deletes else set()
        failures |= {number: failure for number, failure in rejected.items() if number not in gone}
        left_out += incomplete
        filtered |= rows.keys() - rejected.keys()
    found: dict[int, str] = dict(workspace.query(records_query(sync.layout)))
    records = {number: record for number, record in found.items() if number >= 0}
    before = {number: found[before_row(number)] for number in records if before_row(number) in found}
    return ShapedEvents(
        records=records,
        failures={number: failure for number, failure in failures.items() if number >= 0},
        filtered=frozenset(number for number in filtered - records.keys() if number >= 0),
        before={number: record for number, record in before.items() if record != records[number]},
        left_out=tuple(left_out),
        gone=sum(number >= 0 for number in gone),
    )


def _gone(rejected: Mapping[int, Failure], sync: PreparedSync) -> set[int]:
    """The deletes of records that refer, in their key, to one that is not there.

    Dataverse has removed a link together with its record. Where a missing record would be created, nothing can refer to
    it yet. In other tables the record may be there all the same, because what it refers to may have another name now.
    """
    creating = any(lookup.key_part and lookup.policy == "create" for lookup in sync.desire.lookups)
    if not (sync.entity.intersect or creating):
        return set()
    return {number for number, failure in rejected.items() if failure.error == ErrorType.UNRESOLVED_LINK}


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
    group: FieldGroup, sync: PreparedSync, workspace: WarmWorkspace, read: ReadReferences, scripts: ScriptEngine
) -> tuple[dict[int, Failure], list[ErrorRow]]:
    """The events that are rejected, and the fields that others are applied without."""
    unsound = group.shaping.run(workspace, scripts, _run)
    if group.lookups:
        read(group.lookups, group.unless)
    unsound = _run(group.settling, workspace) or unsound or bool(group.lookups)
    workspace.execute(collect_statement(group.layout, group.late))
    if keeps_source(sync.definition):
        workspace.execute(collect_source_statement(group.labels))
    if not unsound:
        return {}, []
    left_out = [field_error(error) for error in workspace.query(LEFT_OUT_FIELDS)]
    return failures_of(workspace.query(REJECTED_EVENTS)), left_out


def field_error(found: Row) -> ErrorRow:
    """The error of a field that an event is applied without: (event, error, column, message)."""
    event, error, column, message = found
    return ErrorRow(
        error_class="Invalid Column", error_type=error, column=column, message=message, rows=(event,), count=1
    )


def _run(steps: Sequence[Step], workspace: WarmWorkspace) -> bool:
    """Run the steps that have something to do; returns whether a row breaks a rule or is filtered out."""
    has_rows, has_none = {""}, set[str]()  # queries of `only_if`
    for step in steps:
        if step.only_if not in has_rows | has_none:
            (has_rows if workspace.query(step.only_if) else has_none).add(step.only_if)
        if step.only_if in has_rows:
            workspace.run(step)
            has_none.clear()  # the step may have made rows
    return len(has_rows) > 1


def failures_of(errors: Iterable[Row]) -> dict[int, Failure]:
    """The errors that reject rows by row: (row, error, column, message), the first error of a row last."""
    return {
        row: Failure(error=error, message=f"{column}: {message}" if column else message)
        for row, error, column, message in errors
    }


def _load(group: FieldGroup, rows: Mapping[int, Fields], workspace: WarmWorkspace) -> None:
    """Fill `source_raw` with one statement: the rows travel as one JSON text."""
    members = raw_members(group.fields).items()
    records = [
        {"n": number} | {member: fields.get(field) for field, member in members} for number, fields in rows.items()
    ]
    workspace.create(event_raw_table(group.fields), [json.dumps(records, ensure_ascii=False)])
