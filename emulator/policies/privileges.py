"""Privileges that the callers lack: their requests are refused, and `RetrieveUserPrivileges` does not list them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from emulator.errors import access_denied
from emulator.schema import Schema, Table
from emulator.schema.privileges import privilege_id, privilege_name, privilege_types

__all__ = ["Privileges"]

# What each operation needs. Append and AppendTo, which references need, are listed and not checked.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("Create",),
    "read": ("Read",),
    "update": ("Write",),
    "upsert": ("Create", "Write"),
    "delete": ("Delete",),
}
_WITHOUT_TABLE: Final = ("prvActOnBehalfOfAnotherUser", "prvBulkDelete", "prvBypassCustomBusinessLogic")
_NO_FILTER: Final = "00000000-0000-0000-0000-000000000000"


class Privileges:
    """What the security roles of all application users allow: everything but some privileges."""

    def __init__(self, lacking: Iterable[str] = ()) -> None:
        """Takes the names of the privileges that the users lack, such as `prvDeleteAccount`."""
        self._lacking = frozenset(name.lower() for name in lacking)

    def check(self, table: Table, operations: Iterable[str]) -> None:
        """Refuses operations (`create`, `read`, `update`, `upsert`, `delete`) on a table.

        Raises:
            ServiceError: 403; it names the privilege that the caller lacks.
        """
        if not self._lacking or table.intersect:
            return
        for operation in operations:
            for kind in _NEEDED[operation]:
                name = privilege_name(table, kind)
                if name.lower() in self._lacking:
                    raise access_denied(name)

    def held(self, schema: Schema, business_unit_id: str) -> list[dict[str, Any]]:
        """Returns the privileges that a user holds, each as a RolePrivilege of the whole organisation."""
        names = {privilege_name(table, kind) for table in schema.tables.values() for kind in privilege_types(table)}
        return [
            {
                "Depth": "Global",
                "PrivilegeId": privilege_id(name),
                "BusinessUnitId": business_unit_id,
                "PrivilegeName": name,
                "RecordFilterId": _NO_FILTER,
                "RecordFilterUniqueName": "",
            }
            for name in sorted(names | {*_WITHOUT_TABLE})
            if name.lower() not in self._lacking
        ]
