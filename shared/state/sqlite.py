"""The state store of a laptop: one SQLite file, safe for many processes on one machine."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from shared.errors import AbortRun, RetryLater, UserError
from shared.state import _tables as tables
from shared.state.records import DeadLetter, ErrorRecord, JobRequest, Lease, Position, RunRecord

__all__ = ["SqliteStateStore"]

# How long a statement waits for another process' transaction; each of ours takes milliseconds.
PATIENCE = timedelta(seconds=30)
LOCKED_PAUSE = 0.02  # seconds
# What another process, a full disk or a network drive may cause and end again; extended codes carry these in a byte.
PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}
PRIMARY_CODE = 0xFF
# SQLite takes at most 32,766 bound values in a statement.
MOST_VALUES = 10_000


class SqliteStateStore:
    """Keeps state in one file in WAL mode; several processes may use it at once.

    Args:
        file: The database file; its folder is made when it is missing.
        now: Tells the time (aware, UTC), for leases.

    Raises:
        UserError: The file cannot be opened or made, is no database, or was written by a newer version.
        RetryLater: Another process holds the file for longer than `PATIENCE`.
    """

    def __init__(self, file: Path, *, now: Callable[[], datetime] | None = None) -> None:
        self._file = file
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.RLock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                file, timeout=PATIENCE.total_seconds(), isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        weakref.finalize(self, self._db.close)  # one that is dropped unclosed leaves no file open behind it
        try:
            self._prepare()
        except (sqlite3.Error, UserError) as error:
            self._db.close()
            raise (self._away(error) if _is_locked(error) else self._unusable(error)) from error

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"STATE_STORE: {self._file} cannot be used as the state store: {error}")

    def _away(self, error: Exception) -> RetryLater:
        return RetryLater(f"The state store {self._file} is away: {error}", retry_after=5)

    def _prepare(self) -> None:
        self._use_wal()
        # An event that was put here is no longer in the hub's hands: a power cut must not lose it.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._migrate()
        finally:
            self._db.execute("COMMIT")

    def _use_wal(self) -> None:
        """Switch to WAL mode, as often as it takes: of several that open a new file at once SQLite refuses all but one.

        It does not wait for them as it does for transactions, since they might wait for each other for ever.
        """
        give_up = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not _is_locked(error) or time.monotonic() > give_up:
                    raise
                time.sleep(LOCKED_PAUSE)
            else:
                return

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > tables.SCHEMA_VERSION:
            raise UserError(
                f"it was written by a newer version of this program (schema {version}, "
                f"this one knows {tables.SCHEMA_VERSION}): update the program or name another file"
            )
        texts = [tables.SCHEMA]
        if version:
            texts = [tables.UPGRADES[old] for old in range(version, tables.SCHEMA_VERSION)]
        for statement in ";".join(texts).split(";"):
            self._db.execute(statement)
        if version != tables.SCHEMA_VERSION:
            self._db.execute(f"PRAGMA user_version = {tables.SCHEMA_VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that sees no other writer; nothing of it stays when it fails."""
        with self._lock, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            with ExitStack() as undo:
                undo.callback(self._roll_back)
                yield self._db
                self._db.execute("COMMIT")
                undo.pop_all()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _code(error) in PASSING:
                raise self._away(error) from error
            raise AbortRun(f"The state store {self._file} cannot be used: {error}") from error

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._all(sql, values)), None)

    # -- Execution log -------------------------------------------------------------------------------------------

    def begin_run(self, run: RunRecord) -> None:
        """See `StateStore.begin_run`."""
        with self._writing() as db:
            db.execute(tables.replace("runs", tables.RUN_FIELDS), tables.row(run, tables.RUN_FIELDS))

    def finish_run(self, run: RunRecord) -> None:
        """See `StateStore.finish_run`."""
        self.begin_run(run)

    def run(self, run_id: str) -> RunRecord | None:
        """See `StateStore.run`."""
        found = self._one(f"{tables.select('runs', tables.RUN_FIELDS)} WHERE run_id = ?", (run_id,))
        return tables.run(found) if found else None

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs`."""
        where, values = _of(sync)
        rows = self._all(
            f"{tables.select('runs', tables.RUN_FIELDS)}{where} ORDER BY started DESC LIMIT ?", (*values, limit)
        )
        return tuple(tables.run(row) for row in rows)

    def last_run(self, sync: str, *, until: datetime | None = None) -> RunRecord | None:
        """See `StateStore.last_run`."""
        where = "WHERE sync = ? AND started <= ? AND \"trigger\" NOT IN ('events', 'definition')"
        values = (sync, tables.text(until or datetime.max.replace(tzinfo=UTC)))
        order = "ORDER BY started DESC LIMIT 1"
        found = self._one(f"{tables.select('runs', tables.RUN_FIELDS)} {where} {order}", values)
        return tables.run(found) if found else None

    # -- Errors and files of a run -------------------------------------------------------------------------------

    def add_errors(self, errors: Sequence[ErrorRecord]) -> None:
        """See `StateStore.add_errors`."""
        with self._writing() as db:
            db.executemany(
                tables.replace("errors", tables.ERROR_FIELDS),
                [tables.row(error, tables.ERROR_FIELDS) for error in errors],
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
        return bytes(found[0]) if found else None

    def files(self, run_id: str) -> tuple[str, ...]:
        """See `StateStore.files`."""
        return tuple(row[0] for row in self._all("SELECT name FROM files WHERE run_id = ? ORDER BY name", (run_id,)))

    # -- Leases --------------------------------------------------------------------------------------------------

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """See `StateStore.acquire_lease`."""
        with self._writing() as db:
            found = _lease(name, db)
            if found and found.expires > self._now():
                return None
            lease = Lease(name=name, holder=holder, fence=found.fence + 1 if found else 1, expires=self._after(seconds))
            _put_lease(lease, db)
            return lease

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """See `StateStore.renew_lease`."""
        with self._writing() as db:
            if not _held(lease, db):
                return None
            renewed = Lease(name=lease.name, holder=lease.holder, fence=lease.fence, expires=self._after(seconds))
            _put_lease(renewed, db)
            return renewed

    def release_lease(self, lease: Lease) -> bool:
        """See `StateStore.release_lease`."""
        with self._writing() as db:
            if not _held(lease, db):
                return False
            # The row stays, so that the fencing number goes on growing.
            _put_lease(Lease(name=lease.name, holder="", fence=lease.fence, expires=self._now()), db)
            return True

    def lease(self, name: str) -> Lease | None:
        """See `StateStore.lease`."""
        with self._lock, self._explained():
            found = _lease(name, self._db)
        return found if found and found.holder and found.expires > self._now() else None

    def _after(self, seconds: float) -> datetime:
        return self._now() + timedelta(seconds=seconds)

    # -- Watermarks ----------------------------------------------------------------------------------------------

    def watermark(self, sync: str) -> str | None:
        """See `StateStore.watermark`."""
        found = self._one("SELECT value FROM watermarks WHERE sync = ?", (sync,))
        return str(found[0]) if found else None

    def set_watermark(self, sync: str, value: str, *, fence: int) -> bool:
        """See `StateStore.set_watermark`."""
        with self._writing() as db:
            done = db.execute(
                "INSERT INTO watermarks VALUES (?, ?, ?) ON CONFLICT (sync) DO UPDATE "
                "SET value = excluded.value, fence = excluded.fence WHERE excluded.fence >= fence",
                (sync, value, fence),
            )
            return done.rowcount > 0

    # -- Events --------------------------------------------------------------------------------------------------

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See `StateStore.add_dead_letters`."""
        changed = ", ".join(
            f'"{name}" = excluded."{name}"' for name in tables.LETTER_FIELDS if name not in ("id", "kept")
        )
        sql = f"{tables.insert('dead_letters', tables.LETTER_FIELDS)} ON CONFLICT (id) DO UPDATE SET {changed}"
        with self._writing() as db:
            db.executemany(sql, [tables.row(letter, tables.LETTER_FIELDS) for letter in letters])

    def dead_letters(
        self, sync: str | None = None, *, ids: Collection[str] = (), limit: int = 1000
    ) -> tuple[DeadLetter, ...]:
        """See `StateStore.dead_letters`."""
        where, values = _of(sync)
        if ids:
            where += f"{' AND' if where else ' WHERE'} id IN ({_marks(ids)})"
            values = (*values, *ids)
        order = "ORDER BY partition, sequence, id LIMIT ?"
        rows = self._all(f"{tables.select('dead_letters', tables.LETTER_FIELDS)}{where} {order}", (*values, limit))
        return tuple(tables.letter(row) for row in rows)

    def count_dead_letters(self, sync: str | None = None) -> int:
        """See `StateStore.count_dead_letters`."""
        where, values = _of(sync)
        return int(self._all(f"SELECT count(*) FROM dead_letters{where}", values)[0][0])

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """See `StateStore.remove_dead_letters`."""
        with self._writing() as db:
            gone = 0
            for part in _parts(ids, MOST_VALUES):
                gone += db.execute(f"DELETE FROM dead_letters WHERE id IN ({_marks(part)})", part).rowcount
            return gone

    def seen(self, sync: str, keys: Collection[str]) -> Mapping[str, Position]:
        """See `StateStore.seen`."""
        found: dict[str, Position] = {}
        for part in _parts(keys, MOST_VALUES):
            sql = f'SELECT key, partition, sequence, "when" FROM seen WHERE sync = ? AND key IN ({_marks(part)})'
            for key, partition, sequence, when in self._all(sql, (sync, *part)):
                found[key] = Position(partition=partition, sequence=sequence, when=tables.moment(when))
        return found

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """See `StateStore.mark_seen`."""
        written = tables.text(self._now())
        rows = [
            (sync, key, at.partition, at.sequence, tables.text(at.when) if at.when else None, written)
            for key, at in positions.items()
        ]
        with self._writing() as db:
            db.executemany(
                "INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sync, key) DO UPDATE SET "
                'partition = excluded.partition, sequence = excluded.sequence, "when" = excluded."when", '
                "written = excluded.written "
                "WHERE excluded.partition <> seen.partition OR excluded.sequence > seen.sequence",
                rows,
            )

    def forget_seen(self, before: datetime) -> int:
        """See `StateStore.forget_seen`."""
        with self._writing() as db:
            return db.execute("DELETE FROM seen WHERE written < ?", (tables.text(before),)).rowcount

    # -- Job requests --------------------------------------------------------------------------------------------

    def request_job(self, request: JobRequest) -> None:
        """See `StateStore.request_job`."""
        with self._writing() as db:
            db.execute(tables.replace("job_requests", tables.JOB_FIELDS), tables.row(request, tables.JOB_FIELDS))

    def job_requests(self) -> tuple[JobRequest, ...]:
        """See `StateStore.job_requests`."""
        rows = self._all(f"{tables.select('job_requests', tables.JOB_FIELDS)} ORDER BY requested, id")
        return tuple(tables.job(row) for row in rows)

    def remove_job_request(self, request_id: str) -> bool:
        """See `StateStore.remove_job_request`."""
        with self._writing() as db:
            return db.execute("DELETE FROM job_requests WHERE id = ?", (request_id,)).rowcount > 0

    def close(self) -> None:
        """See `StateStore.close`."""
        with self._lock:
            self._db.close()


def _lease(name: str, db: sqlite3.Connection) -> Lease | None:
    """The row of a lease, held or not."""
    found = db.execute("SELECT holder, fence, expires FROM leases WHERE name = ?", (name,)).fetchone()
    if found is None:
        return None
    return Lease(name=name, holder=found[0], fence=found[1], expires=datetime.fromisoformat(found[2]))


def _put_lease(lease: Lease, db: sqlite3.Connection) -> None:
    values = (lease.name, lease.holder, lease.fence, tables.text(lease.expires))
    db.execute(tables.replace("leases", ("name", "holder", "fence", "expires")), values)


def _held(lease: Lease, db: sqlite3.Connection) -> bool:
    found = _lease(lease.name, db)
    return found is not None and (found.holder, found.fence) == (lease.holder, lease.fence)


def _of(sync: str | None) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause that keeps to one sync."""
    return (" WHERE sync = ?", (sync,)) if sync is not None else ("", ())


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _parts(values: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def _is_locked(error: Exception) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _code(error: Exception) -> int:
    """SQLite's primary code for an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & PRIMARY_CODE
