"""Execution log, error rows and files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from shared.state._bounds import fitting_error, fitting_run
from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.mending import RowsToMend
from shared.state.records import RETRY, ErrorRecord, LatestRows, RunRecord, RunState
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, Database, of_sync

__all__ = ["RunRows"]

# Triggers of rows that started nothing, and with retries those of rows that no schedule is decided by.
_NO_START = f"'events', 'definition', '{TAKEN_BACK}', '{UNBEGUN_RETRY}'"
_APART = f"{_NO_START}, '{RETRY}'"
# What tells an error row from the others.
_IDENTITY = ("run_id", "side", "error_class", "error_type", "column", "message")
# Each part of it reads the index of one sync from its end. The names come as a JSON list.
_LATEST = f"""
    SELECT names.value, 'run', (
        SELECT run_id FROM runs WHERE sync = names.value AND "trigger" NOT IN ({_APART})
        ORDER BY started DESC LIMIT 1) AS found FROM json_each(?1) AS names
    UNION ALL SELECT names.value, 'events', (
        SELECT run_id FROM runs WHERE sync = names.value AND "trigger" = 'events'
        ORDER BY started DESC LIMIT 1) FROM json_each(?1) AS names
    UNION ALL SELECT names.value, 'retry', (
        SELECT run_id FROM runs WHERE sync = names.value AND "trigger" = 'retry'
        ORDER BY started DESC LIMIT 1) FROM json_each(?1) AS names
    UNION ALL SELECT names.value, 'succeeded', (
        SELECT run_id FROM runs WHERE sync = names.value AND "trigger" NOT IN ({_APART})
        AND state IN (?2, ?3) ORDER BY started DESC LIMIT 1) FROM json_each(?1) AS names
"""


class RunRows(Database):
    """The part of the state store that a run writes its log to."""

    def begin_run(self, run: RunRecord) -> None:
        """See `StateStore.begin_run`."""
        with self._writing() as db:
            db.execute(tables.replace("runs", tables.RUN_FIELDS), tables.row(fitting_run(run), tables.RUN_FIELDS))

    def finish_run(self, run: RunRecord) -> None:
        """See `StateStore.finish_run`."""
        self.begin_run(run)

    def run(self, run_id: str) -> RunRecord | None:
        """See `StateStore.run`."""
        found = self._one(f"{tables.select('runs', tables.RUN_FIELDS)} WHERE run_id = ?", (run_id,))
        return tables.run(found) if found else None

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs`."""
        where, values = of_sync(sync)
        rows = self._all(
            f"{tables.select('runs', tables.RUN_FIELDS)}{where} ORDER BY started DESC LIMIT ?",
            (*values, min(limit, MOST_ROWS)),
        )
        return tuple(tables.run(row) for row in rows)

    def last_run(self, sync: str, *, until: datetime | None = None, retries: bool = False) -> RunRecord | None:
        """See `StateStore.last_run`."""
        apart = _NO_START if retries else _APART
        where = f'WHERE sync = ? AND started <= ? AND "trigger" NOT IN ({apart})'
        values = (sync, tables.text(until or datetime.max.replace(tzinfo=UTC)))
        order = "ORDER BY started DESC LIMIT 1"
        found = self._one(f"{tables.select('runs', tables.RUN_FIELDS)} {where} {order}", values)
        return tables.run(found) if found else None

    def last_runs(self, syncs: Collection[str], *, until: datetime | None = None) -> Mapping[str, RunRecord]:
        """See `StateStore.last_runs`."""
        found = ((sync, self.last_run(sync, until=until)) for sync in syncs)
        return {sync: run for sync, run in found if run}

    def latest_rows(self, syncs: Collection[str]) -> Mapping[str, LatestRows]:
        """See `StateStore.latest_rows`."""
        names = [*dict.fromkeys(syncs)]
        values = (json.dumps(names), RunState.SUCCEEDED.value, RunState.COMPLETED_WITH_ERRORS.value)
        found = {(sync, what): run_id for sync, what, run_id in self._all(_LATEST, values) if run_id}
        sql = f"{tables.select('runs', tables.RUN_FIELDS)} WHERE run_id IN (SELECT value FROM json_each(?))"
        rows = self._all(sql, (json.dumps([*dict.fromkeys(found.values())]),))
        runs = {run.run_id: run for run in map(tables.run, rows)}

        def of(sync: str, what: str) -> RunRecord | None:
            return runs.get(found.get((sync, what), ""))

        return {
            sync: LatestRows(
                run=of(sync, "run"),
                events=of(sync, "events"),
                retry=of(sync, "retry"),
                succeeded=ended.ended if (ended := of(sync, "succeeded")) else None,
            )
            for sync in names
        }

    def runs_starting(self, text: str, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs_starting`."""
        # A range of the primary key; nothing sorts after the last character of Unicode.
        sql = f"{tables.select('runs', tables.RUN_FIELDS)} WHERE run_id >= ? AND run_id < ? LIMIT ?"
        return tuple(map(tables.run, self._all(sql, (text, f"{text}\U0010ffff", min(limit, MOST_ROWS)))))

    def add_errors(self, errors: Sequence[ErrorRecord]) -> None:
        """See `StateStore.add_errors`."""
        self.replace_errors((), errors)

    def replace_errors(self, before: Sequence[ErrorRecord], after: Sequence[ErrorRecord]) -> None:
        """See `StateStore.replace_errors`."""
        same = " AND ".join(f'"{name}" = ?' for name in _IDENTITY)
        with self._writing() as db:
            db.executemany(f"DELETE FROM errors WHERE {same}", [tables.row(error, _IDENTITY) for error in before])
            db.executemany(
                tables.replace("errors", tables.ERROR_FIELDS),
                [tables.row(fitting_error(error), tables.ERROR_FIELDS) for error in after],
            )

    def errors(self, run_id: str) -> tuple[ErrorRecord, ...]:
        """See `StateStore.errors`."""
        select = tables.select("errors", tables.ERROR_FIELDS)
        order = 'count DESC, side, error_class, error_type, "column", message'
        return tuple(tables.error(row) for row in self._all(f"{select} WHERE run_id = ? ORDER BY {order}", (run_id,)))

    def put_file(self, run_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_file`."""
        with self._writing() as db:
            db.execute(tables.replace("files", ("run_id", "name", "data")), (run_id, name, data))

    def file(self, run_id: str, name: str) -> bytes | None:
        """See `StateStore.file`."""
        found = self._one("SELECT data FROM files WHERE run_id = ? AND name = ?", (run_id, name))
        return tables.content(found[0]) if found else None

    def files(self, run_id: str) -> tuple[str, ...]:
        """See `StateStore.files`."""
        return tuple(row[0] for row in self._all("SELECT name FROM files WHERE run_id = ? ORDER BY name", (run_id,)))

    def put_rows_to_mend(self, run_id: str, rows: RowsToMend) -> None:
        """See `StateStore.put_rows_to_mend`."""
        with self._writing() as db:
            db.execute(tables.replace("rows_to_mend", ("run_id", "data")), (run_id, rows.to_bytes()))

    def rows_to_mend(self, run_id: str) -> RowsToMend | None:
        """See `StateStore.rows_to_mend`."""
        found = self._one("SELECT data FROM rows_to_mend WHERE run_id = ?", (run_id,))
        return RowsToMend.of_bytes(tables.content(found[0]), run_id) if found else None
