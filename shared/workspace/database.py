"""The run's database: one DuckDB with limits and without access to other files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import duckdb

from shared.errors import NoRoomError, UserError
from shared.workspace.failures import explained, first_line, understood
from shared.workspace.folders import PrivateFolder
from shared.workspace.limits import OverdueError, within
from shared.workspace.sql import SqlValue, literal, quoted
from shared.workspace.steps import NewTable, Step

__all__ = ["SERVED", "OutOfTimeError", "QuickWorkspace", "Row", "Workspace", "check_new_file"]

Row = tuple[Any, ...]
T = TypeVar("T")

# Nothing is downloaded from a registry during a run, for any SQL text.
_CONFIGURATION = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    # The time it takes grows with the square of a table's columns: 30 seconds for 300 dates. Our SQL writes an
    # expression once, layer by layer, and leaves it nothing to find.
    "disabled_optimizers": "common_subexpressions",
}

# For a database that is removed when it is closed: DuckDB does not write its tables again before that.
_NEVER_READ_AGAIN = {"checkpoint_on_detach": "DISABLED"}

_NO_TIME = (
    "the time limit of the run ended before this step was finished. Simplify its expressions, make its source smaller, "
    "or raise the time limit of the app"
)

_USE_FILE = "USE run"

SERVED = "source://files"
"""The folder of files that a source serves; see `Workspace.serve`."""


class OutOfTimeError(UserError):
    """The time that was given to some statements was over before they were done."""


def check_new_file(file: str | Path | None) -> None:
    """Refuse a file for the workspace that cannot be made, before anything is begun for it.

    Raises:
        UserError: It exists already, or its folder does not.
    """
    if file is None:
        return
    try:
        exists, has_folder = Path(file).exists(), Path(file).absolute().parent.is_dir()
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
    if exists:
        raise UserError(f"{file} exists already: choose a new file for the workspace, or remove this file first")
    if not has_folder:
        raise UserError(f"{file}: the folder {Path(file).absolute().parent} does not exist: make it first")


class Workspace:
    """One run's database: in memory with spilling to disk, or a file that is left behind.

    External access is off and the configuration locked from the start, so that a user's expression can read nothing
    but its row. The only files in reach are those named at opening, and the workspace's own temporary folder.

    Attributes:
        folder: A private temporary folder; what is put there can be loaded, and it goes away on closing.
        readable: Files outside that folder that may be loaded.
        is_left_behind: The database is a file that stays when the workspace is closed.
    """

    _SETTINGS: ClassVar[Mapping[str, str]] = {}  # DuckDB's, beside those that every workspace has

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, folder: PrivateFolder, readable: frozenset[str]
    ) -> None:
        self._connection = connection
        self._parameters: dict[str, SqlValue] = {}
        self._on_disk = False
        self._left: Callable[[], float] | None = None
        self._stuck = False
        self._held = folder
        self.folder = folder.path
        self.readable = readable
        self.is_left_behind = False

    @classmethod
    def open(
        cls,
        *,
        memory_limit: str = "512MB",
        temp_folder: str | Path | None = None,
        file: str | Path | None = None,
        on_disk: bool = False,
        readable: Sequence[str] = (),
        threads: int | None = None,
    ) -> Self:
        """Open a new workspace.

        Args:
            memory_limit: How much memory DuckDB may use before it spills, such as ``512MB``.
            temp_folder: Where the private temporary folder is made; the system's place when not given.
            file: A database file to create and leave behind; must not exist. In memory when not given.
            on_disk: Keep the tables in the private temporary folder, compressed: what many rows need. Memory then only
                holds what is worked on; a file that is named is on disk anyway.
            readable: Local files that may be loaded.
            threads: Threads to use; one per core when not given.

        Raises:
            UserError: The file exists already, or the settings are refused.
            NoRoomError: No temporary folder can be made.
        """
        check_new_file(file)
        try:
            folder = PrivateFolder.make("workspace", inside=temp_folder)
        except OSError as error:
            raise NoRoomError(
                f"no temporary folder can be made in {temp_folder or 'the temporary folder of the system'}: "
                f"{error.strerror}; free disk space there, or set WORKSPACE_TEMP to another folder"
            ) from error
        try:
            settings = {**cls._SETTINGS, "memory_limit": memory_limit}
            settings |= {} if file else _NEVER_READ_AGAIN
            connection = _connected(file, folder.path, settings=settings, readable=readable, threads=threads)
            workspace = cls(connection, folder=folder, readable=frozenset(readable))
            workspace.is_left_behind = file is not None
            if on_disk and file is None:
                workspace._move_to_disk()
        except duckdb.Error as error:
            folder.close()
            raise UserError(f"the workspace cannot be opened: {first_line(error)}") from error
        return workspace

    def _move_to_disk(self) -> None:
        # This file is never opened again: after a crash it needs no log for recovery.
        file = literal(str(self.folder / "run.duckdb"))
        self._connection.execute(f"ATTACH {file} AS run (RECOVERY_MODE no_wal_writes)")
        self._connection.execute(_USE_FILE)
        self._on_disk = True

    def __enter__(self) -> Self:
        """Return the workspace itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the database and remove the temporary folder; closing twice is fine."""
        if not self._stuck:  # closing would wait for the statement that is still at work
            self._leave()
            self._connection.close()
        self._held.close()

    def _leave(self) -> None:
        """Let go of the file in the temporary folder: only detaching it can be told not to write a checkpoint."""
        if not self._on_disk:
            return
        self._on_disk = False
        with suppress(duckdb.Error):  # closing the connection then does it, in more time
            self._connection.execute("USE memory")
            self._connection.execute("DETACH run")

    @contextmanager
    def until(self, left: Callable[[], float] | None) -> Iterator[None]:
        """Give the statements in a block a common time limit.

        Args:
            left: How many seconds are left; None for no limit.
        """
        outer, self._left = self._left, left
        try:
            yield
        finally:
            self._left = outer

    def check_time(self) -> None:
        """For work between two statements.

        Raises:
            OutOfTimeError: The time is over; see `until`.
        """
        if self._left is not None and self._left() <= 0:
            raise OutOfTimeError(_NO_TIME)

    def in_time(self, items: Iterable[T], every: int = 1000) -> Iterator[T]:
        """Yield the same items, and look at the time now and then.

        Raises:
            OutOfTimeError: The time is over; see `until`.
        """
        for number, item in enumerate(items):
            if number % every == 0:
                self.check_time()
            yield item

    def execute(self, sql: str, params: Sequence[object] | None = None) -> None:
        """Run a statement whose result is not wanted.

        Raises:
            UserError: The memory limit and the room to spill do not suffice, or the disk is full.
            OutOfTimeError: The time is over; see `until`.
        """
        with understood():
            self._timed(self._connection, lambda: self._executed(sql, params))

    def create(self, table: NewTable, params: Sequence[object] | None = None) -> None:
        """Make a table or a view.

        Raises:
            UserError: The memory limit and the room to spill do not suffice, or the disk is full.
            OutOfTimeError: The time is over; see `until`.
        """
        with understood():
            self._timed(self._connection, lambda: self._created(table, params))

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a query and return all of its rows: for counts and samples, not for tables.

        Raises:
            UserError: The memory limit and the room to spill do not suffice, or the disk is full.
            OutOfTimeError: The time is over; see `until`.
        """
        with understood():
            return self._timed(self._connection, lambda: self._executed(sql, params).fetchall())

    def serve(self, files: Any) -> None:
        """Let statements read the files of a file system of fsspec, whose paths begin with `SERVED`."""
        self._connection.register_filesystem(files)

    def has_table(self, name: str) -> bool:
        """Whether a table or view of this name exists."""
        return bool(self.query("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [name])[0][0])

    def drop(self, name: str) -> None:
        """Remove a table, if it exists."""
        self.execute(f"DROP TABLE IF EXISTS {name}")

    def rows(self, sql: str, size: int = 1000) -> Iterator[Row]:
        """Stream a query's rows, fetching `size` at a time; other statements may run in between.

        Raises:
            UserError: The memory limit and the room to spill do not suffice, or the disk is full.
            OutOfTimeError: The time is over; see `until`.
        """
        cursor = self._connection.cursor()
        try:
            with understood():
                _bind(cursor, self._parameters)  # a cursor shares the tables, not the variables
                if self._on_disk:
                    cursor.execute(_USE_FILE)
                self._timed(cursor, lambda: cursor.execute(sql))
            while block := self._fetched(cursor, size):
                yield from block
        finally:
            if not self._stuck:
                cursor.close()

    def _fetched(self, cursor: duckdb.DuckDBPyConnection, size: int) -> list[Row]:
        with understood():
            return self._timed(cursor, lambda: cursor.fetchmany(size))

    def run(self, step: Step) -> None:
        """Run one step of a run.

        Raises:
            UserError: The statement fails. The message names the step and its place in the definition, never a value.
            OutOfTimeError: The time is over; the message names the same.
        """
        try:
            with understood():
                self._timed(self._connection, lambda: self._done(step), step.origin or step.title)
        except duckdb.Error as error:
            raise UserError(f"{step.origin or step.title}: {explained(error)}") from error

    def _timed(self, connection: duckdb.DuckDBPyConnection, work: Callable[[], T], place: str = "") -> T:
        """Do some work on a connection within what is left of the time."""
        if self._left is None:
            return work()
        try:
            return within(self._left, work, connection.interrupt)
        except OverdueError as error:
            self._stuck |= error.stuck
            where = f"{place}: " if place else ""
            raise OutOfTimeError(f"{where}{_NO_TIME}") from error

    def within(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Do work of a source, such as waiting for a database, within the time of `until`.

        Args:
            work: Runs in another thread where there is a limit; it may use this workspace.
            interrupt: Asks the work to stop; called several times, from this thread.

        Raises:
            OutOfTimeError: The time is over; see `until`.
        """
        if self._left is None:
            return work()
        try:
            return within(self._left, work, interrupt)
        except OverdueError as error:
            self._stuck |= error.stuck
            raise OutOfTimeError("the time limit of the run ended before the source was read") from error

    def _executed(self, sql: str, params: Sequence[object] | None = None) -> duckdb.DuckDBPyConnection:
        """The connection after it ran a text, ready to be asked for the rows."""
        return self._connection.execute(sql, params)

    def _created(self, table: NewTable, params: Sequence[object] | None = None) -> None:
        self._executed(table.sql, params)

    def _done(self, step: Step) -> None:
        if step.creates:
            self._created(step.creates)
        else:
            self._executed(step.sql)

    def bind(self, values: Mapping[str, SqlValue]) -> None:
        """Make parameters known to expressions: `@name` reads the variable ``p_name``."""
        self._parameters.update(values)
        with understood():
            _bind(self._connection, values)


class QuickWorkspace(Workspace):
    """A workspace that writes text to disk in less time: a million rows need a seventh less CPU, and 70 MB more memory.

    DuckDB takes half of the time of writing text to find the best of several compressions; here it is always zstd.
    """

    _SETTINGS: ClassVar[Mapping[str, str]] = {"force_compression": "zstd"}


def _connected(
    file: str | Path | None,
    folder: Path,
    *,
    settings: Mapping[str, str],
    readable: Sequence[str],
    threads: int | None,
) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        **_CONFIGURATION,
        **settings,
        "temp_directory": str(folder / "spill"),
    }
    if threads is not None:
        config["threads"] = str(threads)
    connection = duckdb.connect(":memory:" if file is None else str(file), config=config)
    try:
        # Moments are stored and compared in UTC, in any time zone of the machine.
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = [{literal(str(folder))}, {literal(SERVED)}]")
        # DuckDB looks at where a link leads: both names are allowed.
        paths = dict.fromkeys([*readable, *(str(Path(path).resolve()) for path in readable)])
        connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _bind(connection: duckdb.DuckDBPyConnection, values: Mapping[str, SqlValue]) -> None:
    for name, value in values.items():
        connection.execute(f"SET VARIABLE {quoted('p_' + name)} = {literal(value)}")
