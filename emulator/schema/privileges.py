"""The privileges of tables: what a security role can allow for each (Microsoft: `SecurityPrivilegeMetadata`)."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID, uuid5

from emulator.schema.model import Table

__all__ = ["PRIVILEGE_TYPES", "privilege_id", "privilege_name", "privilege_types"]

PRIVILEGE_TYPES: Final = ("Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo")
_OF_OWNERS: Final = frozenset({"Assign", "Share"})
_NAMESPACE: Final = UUID("1f6c1d6e-54d0-4f6a-a0a5-2b7f0f6f8d5a")
# Tables whose privileges have another name than the table ("Security role and privilege reference").
_NAMES: Final = {"annotation": "Note", "salesorder": "Order", "systemuser": "User"}


def privilege_name(table: Table, kind: str) -> str:
    """Returns the name of a privilege, such as `prvReadAccount`; all activities have those of the table Activity."""
    of = "Activity" if table.activity else _NAMES.get(table.logical_name, table.schema_name)
    return f"prv{kind}{of}"


def privilege_types(table: Table) -> Iterator[str]:
    """Yields the kinds of privilege that a table has; the pairs of a many-to-many relationship have none."""
    if table.intersect is None:
        yield from (kind for kind in PRIVILEGE_TYPES if table.ownership == "UserOwned" or kind not in _OF_OWNERS)


def privilege_id(name: str) -> str:
    """Returns the identifier of a privilege, the same in every emulator."""
    return str(uuid5(_NAMESPACE, name.lower()))
