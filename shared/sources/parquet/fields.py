"""Fields in nested values: a JSONPath as SQL over the columns of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.definitions.models import ColumnType
from shared.json_paths import Step, steps_of
from shared.sources.parquet.digits import marked, unmarked
from shared.sources.typed import KnownColumn, found_name, known_type
from shared.transform import NOT_JSON
from shared.workspace import literal, quoted

__all__ = ["Field", "as_json", "field"]

_TEXT: Final = frozenset({"VARCHAR", "JSON"})


@dataclass(frozen=True, slots=True)
class Field:
    """What a path finds in a file.

    Attributes:
        sql: Its value.
        sql_type: The type of the value.
        faults: The marks of errors that some values are.
    """

    sql: str
    sql_type: str
    faults: tuple[str, ...] = ()


def field(path: str, types: Mapping[str, str], type_of: Callable[[str], str | None]) -> Field | None:
    """What a path finds; None where the file has no such field.

    Args:
        path: A JSONPath that `steps_of` reads.
        types: Column of the file -> its SQL type.
        type_of: The type of an SQL expression over the columns; None where DuckDB finds no meaning in it.
    """
    first, *steps = steps_of(path) or ("",)
    column = found_name(str(first), types)
    if column is None:
        return None
    sql = quoted(column)
    while steps and isinstance(steps[0], str):
        deeper = f"struct_extract({sql}, {literal(steps[0])})"
        if type_of(deeper) is None:
            break
        sql = deeper
        steps.pop(0)
    kind = type_of(sql) or ""
    if not steps:
        return Field(sql, kind)
    if kind.startswith("STRUCT") and not kind.endswith("]"):
        return None  # it has a fixed set of fields, and this is not one of them
    if "" in steps:
        return None  # DuckDB has no path for a field without a name
    return _within(sql, kind, steps)


def _within(sql: str, kind: str, steps: list[Step]) -> Field:
    """What is in a list, a map or a document: as text, as in a JSON file. A text that is no document gives a mark."""
    path = literal(f"${''.join(map(_step, steps))}")
    if kind not in _TEXT:
        return Field(_extracted(f"to_json({sql})", path, several=None in steps), "VARCHAR")
    text = f"nullif(CAST({sql} AS VARCHAR), '')"
    found = _extracted(f"CASE WHEN json_valid({text}) THEN {text} END", path, several=None in steps)
    value = f"CASE WHEN {text} IS NULL OR json_valid({text}) THEN {found} ELSE {literal(NOT_JSON)} END"
    return Field(value, "VARCHAR", (NOT_JSON,))


def _extracted(document: str, path: str, *, several: bool) -> str:
    """SQL of what a path finds in a document, which is SQL too."""
    document = marked(document)
    if several:
        return unmarked(f"CAST(to_json(json_extract({document}, {path})) AS VARCHAR)")
    return unmarked(f"json_extract_string({document}, {path})")


def _step(step: Step) -> str:
    """A step in a path of DuckDB, where a quote in a name has a backslash and no other sign is escaped."""
    if step is None:
        return "[*]"
    return f"[{step}]" if isinstance(step, int) else f'."{step.replace(chr(34), chr(92) + chr(34))}"'


def as_json(found: Field) -> tuple[KnownColumn, str]:
    """What is known of a value that a definition reads as JSON, and its text."""
    known = known_type(found.sql_type)
    is_text = known is not None and known.type is ColumnType.TEXT and found.sql_type in _TEXT
    text = f"CAST({found.sql} AS VARCHAR)" if is_text else f"CAST(to_json({found.sql}) AS VARCHAR)"
    return replace(KnownColumn.as_text(ColumnType.JSON), faults=found.faults), text
