"""References to rows by primary key or alternate key: find the row, or give a new row the identity."""

from emulator.environment import Environment
from emulator.errors import ServiceError, record_not_found, record_not_found_by_key
from emulator.odata import RowKey
from emulator.schema import Column, ColumnType, Table
from emulator.store import Values
from emulator.store.values import converter

__all__ = [
    "absent",
    "drop_key_columns",
    "existing_id",
    "existing_row",
    "find_row",
    "identity",
    "key_values",
    "take_identity",
]


def key_values(environment: Environment, table: Table, reference: RowKey) -> tuple[object, ...]:
    """Returns the values of an alternate key in the order of its columns, with text in normal form."""
    if reference.key is None:
        return ()
    normalise = environment.collation.normalise
    return tuple(
        normalise(value) if isinstance(value, str) and table.columns[part].type is ColumnType.STRING else value
        for part in reference.key.columns
        for value in (reference.values[part],)
    )


def identity(table: Table, reference: RowKey) -> Values:
    """Returns the columns that a reference states, with their values."""
    if reference.id is not None:
        return {table.primary_id: reference.id, **reference.values}
    return dict(reference.values)


def take_identity(environment: Environment, table: Table, reference: RowKey, values: Values) -> None:
    """Gives a new row the identity that its reference states.

    Args:
        environment: The environment.
        table: The table.
        reference: The reference. Its primary key replaces that of the body; its alternate key fills columns that the
            body leaves out.
        values: The SQL columns of the new row, which this changes.

    Raises:
        ServiceError: A column does not take its value: it is too long, out of range or not an option, or the row that a
            lookup refers to does not exist (404).
    """
    for name, value in identity(table, reference).items():
        if values.get(name) is None or reference.id is not None:
            column = table.columns[name]
            if column.is_lookup and value is not None:
                values |= _bound(environment, column, str(value))
            else:
                values[name] = value if value is None else converter(column, table)(value)


def _bound(environment: Environment, column: Column, record_id: str) -> Values:
    """The SQL columns of a lookup whose value is an identifier without a table: that of the first target is meant.

    Raises:
        ServiceError: There is no such row (404).
    """
    target = column.targets[0]
    known = environment.schema.tables.get(target)
    if known is None:
        raise record_not_found(target, record_id)
    values: Values = {column.logical_name: existing_id(environment, known, RowKey(id=record_id))}
    return {**values, f"{column.logical_name}__type": target} if column.is_polymorphic else values


def drop_key_columns(values: Values, reference: RowKey | None) -> None:
    """Removes the key's columns from an update by alternate key: the service ignores them in the body."""
    for part in reference.key.columns if reference and reference.key else ():
        for name in (part, f"{part}__type"):
            values.pop(name, None)


def find_row(environment: Environment, table: Table, reference: RowKey) -> int | None:
    """Returns the number of the row that a reference names, or None."""
    rows = environment.rows(table)
    if reference.id is not None:
        partition = reference.values.get("partitionid")
        return rows.by_id(reference.id, None if partition is None else str(partition))
    if reference.key is None:
        return None
    return rows.by_key(reference.key, key_values(environment, table, reference))


def absent(table: Table, reference: RowKey) -> ServiceError:
    """Returns the error for a reference without a row."""
    if reference.id is not None:
        return record_not_found(table.logical_name, reference.id)
    return record_not_found_by_key(table.logical_name)


def existing_row(environment: Environment, table: Table, reference: RowKey) -> int:
    """Returns the number of the row that a reference names.

    Raises:
        ServiceError: There is no such row (404).
    """
    row = find_row(environment, table, reference)
    if row is None:
        raise absent(table, reference)
    return row


def existing_id(environment: Environment, table: Table, reference: RowKey) -> str:
    """Returns the identifier of the row that a reference names.

    Raises:
        ServiceError: There is no such row (404).
    """
    row = existing_row(environment, table, reference)
    if reference.id is not None:
        return reference.id
    found = environment.rows(table).fetch(row, (table.primary_id,))
    if found is None:
        raise absent(table, reference)
    return str(found[0])
