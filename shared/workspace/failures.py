"""The errors of DuckDB as messages for people: what to do, and never a value of a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from shared.errors import NoRoomError, UserError

__all__ = ["explained", "first_line", "understood"]

# What DuckDB makes of the keyboard's interrupt while a statement runs: a RuntimeError with these words.
_INTERRUPTED = "Query interrupted"

# What the system says when a file cannot grow. DuckDB writes to the workspace alone.
_DISK_IS_FULL = ("No space left", "Disk quota exceeded", "File too large", "not enough space on the disk")
# What DuckDB says when a table does not fit while it is committed, which is not its error for memory.
_MEMORY_IS_FULL = ("failed to pin block", "could not allocate block")
_NO_MEMORY = "the workspace has no memory and no disk space left; raise WORKSPACE_MEMORY or free disk space"
_NO_ROOM = (
    "the workspace's disk is full; free disk space, or set WORKSPACE_TEMP to a folder on another disk. The source is "
    "not the cause"
)

# To the end: a value may have quotes itself, and DuckDB repeats some values on a line of their own.
_QUOTED = re.compile("[\"'].*", re.DOTALL)


@contextmanager
def understood() -> Iterator[None]:
    """Explain errors of DuckDB that no statement causes.

    Raises:
        UserError: There is not enough memory.
        NoRoomError: The disk is full.
        KeyboardInterrupt: The statement was interrupted.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UserError(explained(error)) from error
    except (duckdb.TransactionException, duckdb.IOException) as error:
        if any(words in str(error) for words in _DISK_IS_FULL):  # also where a table is committed to a file
            raise NoRoomError(_NO_ROOM) from error
        if isinstance(error, duckdb.IOException) or not any(words in str(error) for words in _MEMORY_IS_FULL):
            raise
        raise UserError(_NO_MEMORY) from error
    except RuntimeError as error:
        if _INTERRUPTED not in str(error):
            raise
        raise KeyboardInterrupt from error


def explained(error: duckdb.Error) -> str:
    """Describe the error of a statement without repeating a value of a row."""
    match error:
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            # DuckDB quotes the value here, and a message never holds a row's content.
            return "a value does not fit its type; use try_cast in the expression to make it null instead"
        case duckdb.OutOfMemoryException():
            return _NO_MEMORY
        case duckdb.InvalidInputException():
            # DuckDB quotes the value here too, but there are other reasons, such as a damaged file.
            return first_line(duckdb.InvalidInputException(_QUOTED.sub("…", str(error))))
        case duckdb.PermissionException():
            return "the workspace may not read files, addresses or settings"
        case _:
            return first_line(error)


def first_line(error: duckdb.Error) -> str:
    """The first line of an error, without the name of its class."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.partition("Error: ")[2] or text
