"""Decimals that DuckDB cannot hold: it reads them as floating-point numbers, and does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.sources.parquet.schema import stored_columns
from shared.workspace import Workspace

__all__ = ["MOST_DIGITS", "is_wide", "with_wide_decimals"]

MOST_DIGITS: Final = 38  # of a DECIMAL of DuckDB
_WIDE: Final = "decimal of"


def with_wide_decimals(workspace: Workspace, path: str, types: Mapping[str, str]) -> dict[str, str]:
    """The SQL types of the columns of a file; a column with decimals of more than 38 digits has a type that is unknown.

    Args:
        workspace: Reads the file.
        path: Of the file, as DuckDB reads it.
        types: As DuckDB gives them.

    Raises:
        duckdb.Error: The file cannot be read.
    """
    if not any("DOUBLE" in kind for kind in types.values()):
        return dict(types)
    digits = (column.digits for column in stored_columns(workspace, path))
    wide = dict(zip(types, digits, strict=False))
    return {
        name: f"{_WIDE} {wide[name]} digits" if wide.get(name, 0) > MOST_DIGITS else kind
        for name, kind in types.items()
    }


def is_wide(kind: str) -> bool:
    """Whether a type is what `with_wide_decimals` gives to a column with longer decimals."""
    return kind.startswith(_WIDE)
