"""From a reference to a row: by primary key or by alternate key, found or refused."""

from emulator.environment import Environment
from emulator.errors import ServiceError, record_not_found, record_not_found_by_key
from emulator.odata import RowKey
from emulator.schema import ColumnType, Table
from emulator.store.values import converter

__all__ = ["absent", "checked_key_value", "existing_id", "existing_row", "find_row", "key_values"]


def key_values(environment: Environment, table: Table, reference: RowKey) -> tuple[object, ...]:
    """Returns the values of an alternate key in its column order, text collated, as the store compares them."""
    if reference.key is None:
        return ()
    normalise = environment.collation.normalise
    return tuple(
        normalise(value) if isinstance(value, str) and table.columns[part].type is ColumnType.STRING else value
        for part in reference.key.columns
        for value in (reference.values[part],)
    )


def checked_key_value(table: Table, part: str, value: object) -> object:
    """Returns a key's value that a new row takes from its address.

    Raises:
        ServiceError: The column does not take it: it is too long, out of range or no option.
    """
    column = table.columns[part]
    return value if column.is_lookup or value is None else converter(column, table)(value)


def find_row(environment: Environment, table: Table, reference: RowKey) -> int | None:
    """Returns the number of the row a reference names, or None."""
    rows = environment.rows(table)
    if reference.id is not None:
        partition = reference.values.get("partitionid")
        return rows.by_id(reference.id, None if partition is None else str(partition))
    if reference.key is None:
        return None
    return rows.by_key(reference.key, key_values(environment, table, reference))


def absent(table: Table, reference: RowKey) -> ServiceError:
    """Returns the refusal of a reference that names no row."""
    if reference.id is not None:
        return record_not_found(table.logical_name, reference.id)
    return record_not_found_by_key(table.logical_name)


def existing_row(environment: Environment, table: Table, reference: RowKey) -> int:
    """Returns the number of the row a reference names.

    Raises:
        ServiceError: There is none (404).
    """
    row = find_row(environment, table, reference)
    if row is None:
        raise absent(table, reference)
    return row


def existing_id(environment: Environment, table: Table, reference: RowKey) -> str:
    """Returns the identifier of the row a reference names.

    Raises:
        ServiceError: There is none (404).
    """
    found = environment.rows(table).fetch(existing_row(environment, table, reference), (table.primary_id,))
    if found is None:
        raise absent(table, reference)
    return str(found[0])
