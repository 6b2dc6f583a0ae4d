"""Seeds: rows from YAML, JSON or CSV files.

YAML and JSON map tables (by entity set or logical name) to lists of rows in the form of request bodies. A CSV file has
the name of its table; empty fields are null.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.environment import Environment
from emulator.errors import ServiceError, invalid_argument
from emulator.operations.changes import Changes, TableChanges
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import Column, ColumnType, Schema, Table
from emulator.schema.yaml_text import read_yaml
from emulator.store import Values

__all__ = ["load_seed"]

_CHUNK: Final = 1000
_BIND: Final = "@odata.bind"
_BOOLEANS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_READERS: Final[Mapping[ColumnType, Callable[[str], Any]]] = {
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.PICKLIST: int,
    ColumnType.STATE: int,
    ColumnType.STATUS: int,
    ColumnType.DECIMAL: float,
    ColumnType.MONEY: float,
    ColumnType.DOUBLE: float,
    ColumnType.BOOLEAN: lambda text: _BOOLEANS[text.strip().lower()],
}
_LONGEST_SHOWN: Final = 40  # characters of a value in a message


def load_seed(environment: Environment, changes: Changes, file: Path) -> dict[str, int]:
    """Creates the rows of a file in one transaction and returns their number by table.

    Raises:
        ServiceError: The file cannot be read, or a row is not valid; then no row is created.
    """
    try:
        with environment.database.transaction():
            return _loaded(environment, changes, file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, csv.Error) as error:
        raise invalid_argument(f"The seed {file} can't be read: {error}") from error


def _loaded(environment: Environment, changes: Changes, file: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table, rows in _tables(environment.schema, file):
        if not table.writable:
            raise unsupported_message("Create", table.logical_name)
        work = changes.of(table)
        for chunk in _chunks(rows, table):
            work.create([_values(work, row) for row in chunk], environment.system)
            counts[table.entity_set] = counts.get(table.entity_set, 0) + len(chunk)
    return counts


def _chunks(rows: Iterator[Mapping[str, Any]], table: Table) -> Iterator[list[Mapping[str, Any]]]:
    """Rows that are created together: one that refers to a row of its own table is created after those before it."""
    chunk: list[Mapping[str, Any]] = []
    own = f"{table.entity_set}("
    for row in rows:
        refers = any(name.endswith(_BIND) and isinstance(value, str) and own in value for name, value in row.items())
        if chunk and (refers or len(chunk) == _CHUNK):
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _values(work: TableChanges, row: Mapping[str, Any]) -> Values:
    """The SQL columns of a row; unlike a POST, a seed can set the state of a row."""
    state = {name: row[name] for name in ("statecode", "statuscode") if row.get(name) is not None}
    return {
        **work.bodies.created({name: value for name, value in row.items() if name not in state}),
        **work.bodies.updated(state),
    }


def _tables(schema: Schema, file: Path) -> Iterator[tuple[Table, Iterator[Mapping[str, Any]]]]:
    if file.suffix.lower() == ".csv":
        table = _table(schema, file.stem)
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield table, _typed(csv.DictReader(lines), table, file)
        return
    content = read_yaml(file.read_text(encoding="utf-8"))  # JSON is YAML
    if not isinstance(content, dict):
        raise invalid_argument(f"The seed {file} must map tables to lists of rows.")
    for name, rows in content.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) and all(map(_is_text, row)) for row in rows):
            raise invalid_argument(f"The seed {file}: '{name}' must be a list of rows, which map columns to values.")
        yield _table(schema, name), iter(rows)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _table(schema: Schema, name: str) -> Table:
    table = schema.by_entity_set.get(name) or schema.tables.get(name)
    if table is None:
        raise ServiceError(404, "0x8006088a", f"Resource not found for the segment '{name}'.")
    return table


def _typed(rows: "csv.DictReader[str]", table: Table, file: Path) -> Iterator[dict[str, Any]]:
    for row in rows:
        if None in row:  # where the reader puts what is beyond the last name
            raise invalid_argument(f"The seed {file}, line {rows.line_num}: there are more values than column names.")
        try:
            yield {name: _read(text, table.columns.get(name), name) for name, text in row.items()}
        except ValueError as error:
            raise invalid_argument(f"The seed {file}, line {rows.line_num}: {error}") from error


def _read(text: str | None, column: Column | None, name: str) -> Any:
    if not text:
        return None
    read = _READERS.get(column.type) if column is not None else None
    if read is None or column is None:
        return text
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        raise ValueError(f"{shown!r} in {name} is no value of type {column.type.value}.") from error
