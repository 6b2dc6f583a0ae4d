"""Owners: who can own rows, and the columns that follow from the owner."""

from typing import Final

from emulator.environment import Environment
from emulator.errors import ServiceError
from emulator.store import Values, sql_name

__all__ = ["Owners"]

_ACCESS_TEAM: Final = 1  # team.teamtype


class Owners:
    """The owners that one message names; each is read once."""

    def __init__(self, environment: Environment, business_unit: str) -> None:
        """`business_unit` is that of an owner without one."""
        self._environment = environment
        self._business_unit = business_unit
        self._units: dict[tuple[str, str], str] = {}

    def own(self, row: Values) -> None:
        """Sets the columns that follow from `ownerid`.

        Raises:
            ServiceError: The owner is disabled, an access team, or in a disabled business unit.
        """
        kind = str(row.get("ownerid__type") or "systemuser")
        owner = str(row["ownerid"])
        unit = self._units.get((kind, owner))
        if unit is None:
            unit = self._units[kind, owner] = self._unit_of(kind, owner)
        by_team = kind == "team"
        row["owningteam"] = owner if by_team else None
        row["owninguser"] = None if by_team else owner
        row["owningbusinessunit"] = unit

    def _unit_of(self, kind: str, owner: str) -> str:
        teamtype, disabled, unit = self._read(kind, owner, ("teamtype", "isdisabled", "businessunitid"))
        if kind == "team" and teamtype == _ACCESS_TEAM:
            raise ServiceError(
                400,
                "0x80048340",
                "You cannot assign a record to the access team. You can assign a record to the owner team.",
            )
        if kind == "systemuser" and disabled:
            raise ServiceError(400, "0x8004022b", "The specified owner has been disabled.")
        unit = str(unit or self._business_unit)
        (closed,) = self._read("businessunit", unit, ("isdisabled",))
        if closed:
            raise ServiceError(
                400, "0x8004032d", "The specified business unit cannot be assigned to because it is disabled."
            )
        return unit

    def _read(self, name: str, record_id: str, columns: tuple[str, ...]) -> tuple[object, ...]:
        """Values of a row; null for columns that the table does not have, as a user's own schema may not have them."""
        table = self._environment.schema.tables.get(name)
        if table is None:
            return (None,) * len(columns)
        names = ", ".join(sql_name(column) if column in table.columns else "NULL" for column in columns)
        found: tuple[object, ...] | None = self._environment.database.connection.execute(
            f"SELECT {names} FROM {sql_name(name)} WHERE {sql_name(table.primary_id)} = ?", (record_id,)
        ).fetchone()
        return found or (None,) * len(columns)
