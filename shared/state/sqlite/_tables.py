"""The tables of the SQLite state store, and records as their rows: moments as ISO text in UTC, mappings as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.state import _reading
from shared.state._bounds import json_text
from shared.state.event_records import ALL_ITEMS, DeadLetter
from shared.state.records import ErrorRecord, PlanUse, RunRecord

__all__ = [
    "ADDED_IN_5",
    "ADDED_IN_6",
    "ADDED_IN_8",
    "ADDED_IN_11",
    "ERROR_FIELDS",
    "LETTER_FIELDS",
    "PLAN_FIELDS",
    "RUN_FIELDS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "UPGRADES",
    "error",
    "insert",
    "letter",
    "plan_use",
    "replace",
    "row",
    "run",
    "select",
    "text",
]

R = TypeVar("R")

SCHEMA_VERSION = 11
_ERRORS = """
CREATE TABLE errors(
    run_id TEXT NOT NULL, side TEXT NOT NULL, error_class TEXT NOT NULL, error_type TEXT NOT NULL,
    "column" TEXT NOT NULL, "rows" TEXT NOT NULL, count INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (run_id, side, error_class, error_type, "column", message)) WITHOUT ROWID;
"""
# What leases are counted by: `moment` was, when the machine's count since its start stood at `seconds`.
_CLOCK = "CREATE TABLE IF NOT EXISTS clock(boot TEXT NOT NULL, seconds REAL NOT NULL, moment TEXT NOT NULL)"
_USED_PLANS = """
CREATE TABLE IF NOT EXISTS used_plans(
    plan_id TEXT PRIMARY KEY, checksum TEXT NOT NULL, sync TEXT NOT NULL, run_id TEXT NOT NULL,
    used TEXT NOT NULL) WITHOUT ROWID
"""
_LEDGERS = """
CREATE TABLE IF NOT EXISTS ledgers(
    sync TEXT PRIMARY KEY, parts TEXT NOT NULL, version INTEGER NOT NULL, fence INTEGER NOT NULL,
    swapped TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_parts(
    sync TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (sync, name))
"""
_LEDGER_ENTRIES = """
CREATE TABLE IF NOT EXISTS ledger_entries(
    sync TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (sync, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_uses(sync TEXT PRIMARY KEY, used TEXT NOT NULL) WITHOUT ROWID
"""
_ROWS_TO_MEND = "CREATE TABLE IF NOT EXISTS rows_to_mend(run_id TEXT PRIMARY KEY, data BLOB NOT NULL)"
# Tables that are there since version 8.
ADDED_IN_8 = """
CREATE TABLE progress(run_id TEXT PRIMARY KEY, written TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE job_files(job_id TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (job_id, name));
CREATE TABLE audit(id TEXT PRIMARY KEY, at TEXT NOT NULL, sync TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX audit_by_sync ON audit(sync, at);
CREATE INDEX audit_by_moment ON audit(at)
"""
# Tables that are there since version 9.
_ADDED_IN_9 = """
CREATE TABLE IF NOT EXISTS journals(
    run_id TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, kept TEXT NOT NULL, PRIMARY KEY (run_id, name));
CREATE TABLE IF NOT EXISTS pauses(
    sync TEXT PRIMARY KEY, run_id TEXT NOT NULL, since TEXT NOT NULL, "by" TEXT NOT NULL) WITHOUT ROWID
"""
# Tables that are there since version 6.
ADDED_IN_6 = """
CREATE TABLE jobs(
    id TEXT PRIMARY KEY, sameness TEXT NOT NULL, state TEXT NOT NULL, requested TEXT NOT NULL, since TEXT NOT NULL,
    ended TEXT, document TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX jobs_by_sameness ON jobs(sameness) WHERE ended IS NULL;
CREATE INDEX open_jobs ON jobs(since) WHERE ended IS NULL;
CREATE INDEX jobs_by_end ON jobs(ended) WHERE ended IS NOT NULL;
CREATE TABLE cancelled_runs(
    run_id TEXT PRIMARY KEY, requested_by TEXT NOT NULL, requested TEXT NOT NULL) WITHOUT ROWID
"""
# Columns that the tables have since version 5.
ADDED_IN_5 = """
ALTER TABLE runs ADD COLUMN given TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE errors ADD COLUMN examples TEXT NOT NULL DEFAULT '[]'
"""
# A column that is there since version 11. Every event of a message was seen, where an older version noted it.
ADDED_IN_11 = f"ALTER TABLE seen ADD COLUMN item INTEGER NOT NULL DEFAULT {ALL_ITEMS}"
# Version -> what makes the next one of it.
UPGRADES = {
    1: f"""
ALTER TABLE errors RENAME TO errors_without_messages;
{_ERRORS}
INSERT INTO errors SELECT * FROM errors_without_messages;
DROP TABLE errors_without_messages
""",
    2: f"{_CLOCK};{_USED_PLANS}",
    3: _LEDGERS,
    4: ADDED_IN_5,
    # Requests of equal content stay apart: their digests are made when they are asked for.
    5: f"""
{ADDED_IN_6};
INSERT INTO jobs SELECT id, id, 'Queued', requested, requested, NULL, json_object(
    'id', id, 'sync', sync, 'requested', requested, 'parameters', json(parameters),
    'force', json(iif(force, 'true', 'false')), 'requested_by', requested_by) FROM job_requests;
DROP TABLE job_requests
""",
    6: _ROWS_TO_MEND,
    7: ADDED_IN_8,
    8: _ADDED_IN_9,
    9: _LEDGER_ENTRIES,
    10: ADDED_IN_11,
}
SCHEMA = f"""
CREATE TABLE runs(
    run_id TEXT PRIMARY KEY, sync TEXT NOT NULL, version TEXT NOT NULL, "trigger" TEXT NOT NULL, state TEXT NOT NULL,
    started TEXT NOT NULL, ended TEXT, duration REAL NOT NULL, parameters TEXT NOT NULL, counts TEXT NOT NULL,
    message TEXT NOT NULL, fence INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX runs_by_sync ON runs(sync, started);
CREATE INDEX runs_by_start ON runs(started);
{_ERRORS}
CREATE TABLE files(run_id TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, name));
CREATE TABLE leases(
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, expires TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE watermarks(sync TEXT PRIMARY KEY, value TEXT NOT NULL, fence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letters(
    id TEXT PRIMARY KEY, sync TEXT NOT NULL, body BLOB NOT NULL, partition TEXT NOT NULL, sequence INTEGER NOT NULL,
    "offset" TEXT NOT NULL, error TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, tries INTEGER NOT NULL,
    enqueued TEXT, kept TEXT NOT NULL, properties TEXT NOT NULL, system TEXT NOT NULL);
CREATE INDEX dead_letters_by_sync ON dead_letters(sync, partition, sequence);
CREATE TABLE seen(
    sync TEXT NOT NULL, key TEXT NOT NULL, partition TEXT NOT NULL, sequence INTEGER NOT NULL, "when" TEXT,
    written TEXT NOT NULL, PRIMARY KEY (sync, key)) WITHOUT ROWID;
CREATE INDEX seen_by_age ON seen(written);
{_CLOCK};
{_USED_PLANS};
{_LEDGERS};
{_LEDGER_ENTRIES};
{ADDED_IN_5};
{ADDED_IN_6};
{_ROWS_TO_MEND};
{ADDED_IN_8};
{_ADDED_IN_9};
{ADDED_IN_11}
"""
RUN_FIELDS = (
    "run_id", "sync", "version", "trigger", "state", "started", "ended", "duration", "parameters", "counts", "message",
    "fence", "given", "host",
)  # fmt: skip
ERROR_FIELDS = ("run_id", "side", "error_class", "error_type", "column", "rows", "count", "message", "examples")
LETTER_FIELDS = (
    "id", "sync", "body", "partition", "sequence", "offset", "error", "code", "message", "tries", "enqueued", "kept",
    "properties", "system",
)  # fmt: skip
PLAN_FIELDS = ("plan_id", "checksum", "sync", "run_id", "used")
# Columns that hold JSON, whatever the table.
_OBJECTS = frozenset({"parameters", "given", "counts", "properties", "system"})
_LISTS = frozenset({"rows", "examples"})


def insert(table: str, fields: Sequence[str]) -> str:
    """INSERT with one placeholder a field."""
    return f"INSERT INTO {table}({_columns(fields)}) VALUES ({', '.join('?' * len(fields))})"


def replace(table: str, fields: Sequence[str]) -> str:
    """INSERT that replaces the row of the same key."""
    return insert(table, fields).replace("INSERT", "INSERT OR REPLACE", 1)


def select(table: str, fields: Sequence[str]) -> str:
    """SELECT of the fields, in order, without a WHERE."""
    return f"SELECT {_columns(fields)} FROM {table}"


def row(record: object, fields: Sequence[str]) -> tuple[Any, ...]:
    """A record's values in the order of the fields."""
    return tuple(_stored(getattr(record, field)) for field in fields)


def text(moment: datetime) -> str:
    """A moment as text that sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def content(value: object) -> bytes:
    """The bytes of a file; what another program has put there is one too, whose reader finds it damaged."""
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else b""


def run(values: Sequence[Any]) -> RunRecord:
    """The run of a row."""
    return _read(RunRecord, "runs", RUN_FIELDS, values)


def error(values: Sequence[Any]) -> ErrorRecord:
    """The error of a row."""
    return _read(ErrorRecord, "errors", ERROR_FIELDS, values)


def letter(values: Sequence[Any]) -> DeadLetter:
    """The dead letter of a row."""
    return _read(DeadLetter, "dead_letters", LETTER_FIELDS, values)


def plan_use(values: Sequence[Any]) -> PlanUse:
    """The use of a saved plan of a row."""
    return _read(PlanUse, "used_plans", PLAN_FIELDS, values)


def _read(kind: type[R], table: str, fields: Sequence[str], values: Sequence[Any]) -> R:
    of = dict(zip(fields, values, strict=True))
    with _reading.reading(table, str(values[0])):
        of |= {name: _reading.json_object(of[name], name) for name in _OBJECTS & of.keys()}
        of |= {name: json.loads(of[name]) for name in _LISTS & of.keys()}
        return _reading.record(kind, of)


def _columns(fields: Sequence[str]) -> str:
    # In brackets: SQLite reads a name in double quotes that is not a column as a text.
    return ", ".join(f"[{field}]" for field in fields)


def _stored(value: object) -> object:
    match value:
        case datetime():
            return text(value)
        case Mapping() | tuple():
            return json_text(value if isinstance(value, tuple) else dict(value))
        case bool():
            return int(value)
        case _:
            return value
