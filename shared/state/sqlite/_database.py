"""One SQLite file that several processes of one machine use: opening it, its transactions, its errors."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.errors import AbortRun, RetryLater, UserError
from shared.state._reading import moment, reading
from shared.state.machine import Machine
from shared.state.sqlite import _tables as tables

__all__ = ["MOST_ROWS", "MOST_VALUES", "Database", "marks", "of_sync"]

# Each transaction of the app takes milliseconds.
LOCK_TIMEOUT = timedelta(seconds=30)
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
# Of them, when a file is opened: one that cannot be opened at all is usually a mistake in the setting.
_PASSING_AT_OPENING = PASSING - {sqlite3.SQLITE_CANTOPEN}
PRIMARY_CODE = 0xFF
# How SQLite and the machine say that this user may not write.
_REFUSED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRITABLE = "let this user write there, or set STATE_STORE to a file in another folder"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_ANEW = (
    "restore a copy of the file, or move it away to begin with an empty one, without the runs, watermarks, ledgers and "
    "dead letters in it"
)
# SQLite takes at most 32,766 bound values in a statement.
MOST_VALUES = 10_000
# What SQLite counts rows with.
MOST_ROWS = 2**63 - 1


class Database:
    """A file in WAL mode; several processes may use it at once.

    Every read and every transaction raises `AbortRun` if the file was removed or replaced after it was opened: SQLite
    itself would go on with the file that no other process sees any more.

    Args:
        file: The database file; its folder is made when it is missing.
        now: Gives the time (aware, UTC), for ages.
        machine: What leases are counted by; the machine that this process runs on.
        lock_timeout: How long a statement waits for another process' transaction.

    Raises:
        UserError: The file cannot be opened or made, is not a database, or was written by a newer version.
        RetryLater: Another process holds the file for longer than `lock_timeout`, or its disk is full or out of reach.
    """

    def __init__(
        self,
        file: Path,
        *,
        now: Callable[[], datetime] | None = None,
        machine: Machine | None = None,
        lock_timeout: timedelta = LOCK_TIMEOUT,
    ) -> None:
        self._file = file
        self._place = file.absolute()  # whatever the folder of the process becomes
        self._now = now or (lambda: datetime.now(UTC))
        self._machine = machine or Machine.this()
        self._lock_seconds = lock_timeout.total_seconds()
        self._lock = threading.RLock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=self._lock_seconds, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        weakref.finalize(self, self._db.close)  # one that is dropped unclosed leaves no file open behind it
        try:
            self._prepare()
        except (sqlite3.Error, UserError) as error:
            self._db.close()
            passing = _code(error) in _PASSING_AT_OPENING
            raise (self._unavailable(error) if passing else self._unusable(error)) from error
        self._opened = _identity(self._place)  # none for `:memory:`

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"STATE_STORE: {self._file} cannot be used as the state store: {error}{self._remedy(error)}")

    def _remedy(self, error: Exception) -> str:
        """What to do about an error that does not pass, as the end of a sentence; empty where it is not known."""
        if _code(error) in _DAMAGED:
            return f"; {_ANEW}"
        refused = _code(error) in _REFUSED or getattr(error, "errno", None) in _NOT_ALLOWED
        if refused and (place := _read_only(self._place)):
            what = "file" if place == self._place else "folder"
            return f", because the {what} {place} is read-only for this user; {_WRITABLE}"
        return ""

    def _unavailable(self, error: Exception) -> RetryLater:
        return RetryLater(f"The state store {self._file} is not available: {error}{_about_disk(error)}", retry_after=5)

    def _prepare(self) -> None:
        self._use_wal()
        # The hub does not deliver a stored event again: a power cut must not lose it.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN IMMEDIATE")
        with ExitStack() as undo:
            undo.callback(self._roll_back)
            self._migrate()
            self._zero = self._clock()
            self._db.execute("COMMIT")

    def _use_wal(self) -> None:
        """Switch to WAL mode, with retries: if several processes open a new file at once, SQLite refuses all but one.

        It does not wait for them as it does for transactions, because they could wait for each other without end.
        """
        give_up = time.monotonic() + self._lock_seconds
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
        if version < 0:
            raise UserError(f"it is a database of another program (schema {version}): name another file")
        texts = [tables.SCHEMA]
        if version:
            texts = [tables.UPGRADES[old] for old in range(version, tables.SCHEMA_VERSION)]
        for statement in ";".join(texts).split(";"):
            self._db.execute(statement)
        if version != tables.SCHEMA_VERSION:
            self._db.execute(f"PRAGMA user_version = {tables.SCHEMA_VERSION}")

    def _clock(self) -> datetime:
        """When the machine's count of seconds stood at 0, as leases have it: the same for all processes of the machine.

        A file in WAL mode is shared by the processes of one machine alone. So where it was last used before the machine
        was started again, no holder of a lease exists.
        """
        found = self._db.execute("SELECT boot, seconds, moment FROM clock").fetchone()
        seconds = self._machine.seconds()
        if found is None or found[0] != self._machine.boot:
            if found is not None:
                self._db.execute("UPDATE leases SET holder = ''")
            found = (self._machine.boot, seconds, tables.text(self._now()))
            self._db.execute("DELETE FROM clock")
            self._db.execute("INSERT INTO clock VALUES (?, ?, ?)", found)
        with reading("clock", str(found[0])):
            return moment(found[2]) - timedelta(seconds=float(found[1]))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One exclusive transaction; it is rolled back if it fails."""
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
        self._check_file()
        try:
            yield
        except sqlite3.Error as error:
            if _code(error) in PASSING:
                raise self._unavailable(error) from error
            raise AbortRun(f"The state store {self._file} cannot be used: {error}{self._remedy(error)}") from error
        except (OverflowError, UnicodeError) as error:
            raise AbortRun(f"The state store cannot store this value: {type(error).__name__}") from error

    def _check_file(self) -> None:
        try:
            found = _identity(self._place)
        except OSError:  # it cannot be told now; SQLite says what it cannot do
            return
        if found != self._opened:
            what = "replaced by another file" if found else "removed"
            raise AbortRun(
                f"The state store {self._file} was {what} while this program had it open, so nothing is written "
                "any more. Put the earlier file back, or start the program again to go on without the runs, watermarks "
                "and ledgers in it"
            )

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._all(sql, values)), None)

    def close(self) -> None:
        """See `StateStore.close`."""
        with self._lock:
            self._db.close()


def _identity(file: Path) -> tuple[int, int] | None:
    """What tells a file from all others on the machine, whatever their names; None where there is no file.

    Raises:
        OSError: It cannot be looked at.
    """
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _read_only(file: Path) -> Path | None:
    """The file, or the nearest folder of it that there is, if this user cannot write there; None otherwise."""
    folder = next(each for each in file.parents if os.access(each, os.F_OK))
    needed = {folder: os.W_OK | os.X_OK} | ({file: os.W_OK} if os.access(file, os.F_OK) else {})
    by_user = os.access in os.supports_effective_ids
    return next((each for each, how in needed.items() if not os.access(each, how, effective_ids=by_user)), None)


def of_sync(sync: str | None) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause that keeps to one sync."""
    return (" WHERE sync = ?", (sync,)) if sync is not None else ("", ())


def marks(values: Collection[str]) -> str:
    """One placeholder a value."""
    return ", ".join("?" * len(values))


def _is_locked(error: Exception) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _about_disk(error: Exception) -> str:
    """What an error means for the disk, as the end of a sentence. Not each code of a full disk says so in its text."""
    code = int(getattr(error, "sqlite_errorcode", 0))
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the file that all processes share does not get its room
        return ", because its disk is full; free disk space"
    primary = code & PRIMARY_CODE
    texts = {sqlite3.SQLITE_FULL: "; free disk space", sqlite3.SQLITE_IOERR: "; its disk may be full or out of reach"}
    return texts.get(primary, "")


def _code(error: Exception) -> int:
    """SQLite's primary code for an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & PRIMARY_CODE
