"""Damage of what is kept in files: one place tells it from other errors of statements over these files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from shared.workspace import Workspace, literal

__all__ = ["DamagedError", "is_sound", "reading_parts"]


class DamagedError(Exception):
    """A part is missing, or cannot be read. Whoever keeps the parts says what that means."""


@contextmanager
def reading_parts() -> Iterator[None]:
    """Run statements over Parquet files that the state store has kept.

    What is no damage, such as a full disk or the end of the time, passes: the workspace has explained it.

    Raises:
        DamagedError: A file cannot be read.
    """
    try:
        yield
    except duckdb.Error as error:
        raise DamagedError from error


def is_sound(workspace: Workspace, file: Path) -> bool:
    """Whether all rows of a Parquet file can be read, with all their columns."""
    try:
        with reading_parts():
            workspace.query(f"SELECT count(hash(part)) FROM read_parquet({literal(str(file))}) AS part")
    except DamagedError:
        return False
    return True
