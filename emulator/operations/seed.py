"""Seeds: rows from YAML, JSON or CSV files.

YAML and JSON map tables (by entity set or logical name) to lists of rows in the form of request bodies. A CSV file has
the name of its table; empty fields are null.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
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
_READERS: Final[Mapping[ColumnType, Callable[[str], Any]]] = {
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.PICKLIST: int,
    ColumnType.STATE: int,
    ColumnType.STATUS: int,
    ColumnType.DECIMAL: float,
    ColumnType.MONEY: float,
    ColumnType.DOUBLE: float,
    ColumnType.BOOLEAN: lambda text: text.strip().lower() in {"1", "true", "yes"},
}


def load_seed(environment: Environment, changes: Changes, file: Path) -> dict[str, int]:
    """Creates the rows of a file in one transaction and returns their number by table.

    Raises:
        ServiceError: The file cannot be read, or a row is not valid; then no row is created.
    """
    counts: dict[str, int] = {}
    caller = environment.system
    with environment.database.transaction():
        for table, rows in _tables(environment.schema, file):
            if not table.writable:
                raise unsupported_message("Create", table.logical_name)
            work = changes.of(table)
            while chunk := list(islice(rows, _CHUNK)):
                work.create([_values(work, row) for row in chunk], caller)
                counts[table.entity_set] = counts.get(table.entity_set, 0) + len(chunk)
    return counts


def _values(work: TableChanges, row: Mapping[str, Any]) -> Values:
    """The SQL columns of a row; unlike a POST, a seed can set the state of a row."""
    state = {name: row[name] for name in ("statecode", "statuscode") if row.get(name) is not None}
    return {
        **work.bodies.created({name: value for name, value in row.items() if name not in state}),
        **work.bodies.updated(state),
    }


def _tables(schema: Schema, file: Path) -> Iterator[tuple[Table, Iterator[Mapping[str, Any]]]]:
    try:
        if file.suffix.lower() == ".csv":
            table = _table(schema, file.stem)
            with file.open(encoding="utf-8-sig", newline="") as lines:
                yield table, (_typed(row, table) for row in csv.DictReader(lines))
            return
        content = read_yaml(file.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, yaml.YAMLError, csv.Error) as error:
        raise invalid_argument(f"The seed {file} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise invalid_argument(f"The seed {file} must map tables to lists of rows.")
    for name, rows in content.items():
        yield _table(schema, name), iter(rows)


def _table(schema: Schema, name: str) -> Table:
    table = schema.by_entity_set.get(name) or schema.tables.get(name)
    if table is None:
        raise ServiceError(404, "0x8006088a", f"Resource not found for the segment '{name}'.")
    return table


def _typed(row: Mapping[str, str | None], table: Table) -> dict[str, Any]:
    return {name: _read(text, table.columns.get(name)) for name, text in row.items()}


def _read(text: str | None, column: Column | None) -> Any:
    if not text:
        return None
    read = _READERS.get(column.type) if column is not None else None
    return read(text) if read else text
