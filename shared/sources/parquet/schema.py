"""What a Parquet file itself says of its columns: DuckDB gives them other names and types, and does not say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.workspace import Workspace, literal

__all__ = ["StoredColumn", "stored_columns"]


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as the file has it.

    Attributes:
        name: Its name.
        digits: Those of the longest decimal in it, also within nested values; 0 without one.
    """

    name: str
    digits: int


def stored_columns(workspace: Workspace, path: str) -> list[StoredColumn]:
    """The columns of a file, in their order.

    Args:
        workspace: Reads the file.
        path: Of the file, as DuckDB reads it.

    Raises:
        duckdb.Error: The file cannot be read.
    """
    # A column and what is in it, depth first. The first row is the file.
    rows = workspace.query(f"SELECT name, num_children, precision FROM parquet_schema({literal(path)})")
    return [*_outer(iter(rows[1:]))]


def _outer(rows: Iterator[tuple[Any, ...]]) -> Iterator[StoredColumn]:
    for name, children, precision in rows:
        open_, digits = children or 0, precision or 0
        while open_ and (row := next(rows, None)) is not None:
            open_ += (row[1] or 0) - 1
            digits = max(digits, row[2] or 0)
        yield StoredColumn(str(name), digits)
