"""Names of columns that DuckDB cannot tell apart: it gives others to them, and does not say so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from shared.sources.parquet.schema import stored_columns
from shared.workspace import Workspace

__all__ = ["is_ambiguous", "with_own_names"]

_AMBIGUOUS: Final = "name of several columns"
_RENAMED: Final = re.compile(r"_\d+$")


def with_own_names(workspace: Workspace, path: str, types: Mapping[str, str]) -> dict[str, str]:
    """The types of the columns of a file by the names that the file gives them.

    For DuckDB upper and lower case are the same. Of columns whose names differ in nothing else, all but the first are
    called `name_1`, `name_2` there: their names would mean the wrong column. They have a type that is unknown.

    Args:
        workspace: Reads the file.
        path: Of the file, as DuckDB reads it.
        types: By the names that DuckDB gives, in the order of the file.

    Raises:
        duckdb.Error: The file cannot be read.
    """
    if not any(_RENAMED.search(name) for name in types):
        return dict(types)
    own = [column.name for column in stored_columns(workspace, path)]
    if own == [*types] or len(own) != len(types):
        return dict(types)
    columns = Counter(name.lower() for name in own)
    found: dict[str, str] = {}
    for name, (given, kind) in zip(own, types.items(), strict=True):
        found[name] = kind if name == given and columns[name.lower()] == 1 else _AMBIGUOUS
    return found


def is_ambiguous(kind: str) -> bool:
    """Whether a type is what `with_own_names` gives to a column that cannot be told from another one."""
    return kind == _AMBIGUOUS
