"""Activity parties: the people and rows that take part in an activity (activityparty-entity).

A body states the parties of an activity as a collection, `email_activity_parties`, and an update with a collection
replaces them. The service itself adds the owner of the activity and the row that the activity is regarding.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.environment import Environment
from emulator.operations.rules.refusals import party_missing, party_role_missing, party_role_not_allowed
from emulator.schema import Table
from emulator.schema.activities import ACTIVITIES, PARTIES, ROLES
from emulator.store import Values

__all__ = ["GIVEN", "Parties", "checked_party", "parties_of"]

GIVEN: Final = "activity_parties__given"
"""The parties that a body states, among the SQL columns of the activity."""
_ROLE: Final = "participationtypemask"
_REGARDING: Final = 8
_OWNER: Final = 9
_DERIVED: Final = frozenset({_REGARDING, _OWNER})
_ADDRESSES: Final = {
    "account": "emailaddress1",
    "contact": "emailaddress1",
    "lead": "emailaddress1",
    "queue": "emailaddress",
    "systemuser": "internalemailaddress",
}
_SOURCES: Final = ("ownerid", "ownerid__type", "regardingobjectid", "regardingobjectid__type")
_TRIGGERS: Final = frozenset({GIVEN, "ownerid", "regardingobjectid"})


def checked_party(activity: Table, party: Values) -> Values:
    """Returns a party of a body if its activity can have it.

    Raises:
        ServiceError: It names no row and no address, or its role is missing or not one of the activity.
    """
    role = party.get(_ROLE)
    if role is None:
        raise party_role_missing()
    if party.get("partyid") is None and party.get("addressused") is None:
        raise party_missing()
    if not activity.custom and role not in ROLES.get(activity.logical_name, ()):
        raise party_role_not_allowed()
    return party


def parties_of(environment: Environment, table: Table) -> "Parties | None":
    """Returns the parties of a table with activities, or None for another table."""
    known = PARTIES in environment.schema.tables
    return Parties(environment, table) if known and table.activity and table.logical_name != ACTIVITIES else None


class Parties:
    """The parties of the activities in one table."""

    def __init__(self, environment: Environment, activity: Table) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._activity = activity
        self._table = environment.schema.tables[PARTIES]
        self._parties = frozenset(self._table.columns["partyid"].targets)
        self._sources = tuple(name for name in _SOURCES if name.removesuffix("__type") in activity.columns)

    def added(self, rows: Sequence[Values], given: Sequence[Sequence[Values]]) -> None:
        """Adds the parties of new activities: those of the bodies, the owners and the regarding rows."""
        parties = [
            self._party(row, party)
            for row, stated in zip(rows, given, strict=True)
            for party in (*stated, *self._derived(row))
        ]
        self._environment.rows(self._table).insert(parties)

    def _derived(self, row: Mapping[str, Any]) -> list[Values]:
        derived: list[Values] = []
        if row.get("ownerid") is not None and row.get("ownerid__type") in self._parties:
            derived.append({"partyid": row["ownerid"], "partyid__type": row["ownerid__type"], _ROLE: _OWNER})
        if row.get("regardingobjectid") is not None and row.get("regardingobjectid__type") in self._parties:
            regarding = {"partyid": row["regardingobjectid"], "partyid__type": row["regardingobjectid__type"]}
            derived.append({**regarding, _ROLE: _REGARDING})
        return derived

    def _party(self, row: Mapping[str, Any], party: Values) -> Values:
        columns = {
            "activitypartyid": self._environment.new_id(),
            "activityid": row["activityid"],
            "activityid__type": self._activity.logical_name,
            "partyid": party.get("partyid"),
            "partyid__type": party.get("partyid__type"),
            _ROLE: party[_ROLE],
            "addressused": party.get("addressused") or self._address(party),
            "effort": party.get("effort"),
            "ownerid": row.get("ownerid"),
            "ownerid__type": row.get("ownerid__type"),
            "versionnumber": self._environment.database.next_version(),
        }
        return {name: value for name, value in columns.items() if name.removesuffix("__type") in self._table.columns}

    def _address(self, party: Values) -> str | None:
        """The address of a party that an email is sent to."""
        kind = party.get("partyid__type")
        column = _ADDRESSES.get(str(kind))
        if self._activity.logical_name != "email" or column is None or party[_ROLE] in _DERIVED:
            return None
        rows = self._environment.rows(self._environment.schema.tables[str(kind)])
        number = rows.by_id(party["partyid"])
        found = None if number is None else rows.fetch(number, (column,))
        return None if found is None else found[0]

    def changed(self, rows: Sequence[tuple[int, Values]]) -> None:
        """Replaces the parties of updated activities; `rows` are the numbers and the columns that were written."""
        concerned = {number: values for number, values in rows if not _TRIGGERS.isdisjoint(values)}
        if not concerned:
            return
        found = self._environment.rows(self._activity).fetch_many(list(concerned), ("activityid", *self._sources))
        for number, values in found.items():
            row = dict(zip(("activityid", *self._sources), values, strict=True))
            given = concerned[number].get(GIVEN)
            self._remove(row["activityid"], every=given is not None)
            self.added([row], [given or ()])
            self._environment.database.connection.execute(
                'UPDATE "activityparty" SET "ownerid" = ?, "ownerid__type" = ? WHERE "activityid" = ?',
                (row.get("ownerid"), row.get("ownerid__type"), row["activityid"]),
            )

    def _remove(self, activity_id: str, *, every: bool) -> None:
        derived = "" if every else f' AND "{_ROLE}" IN ({_REGARDING}, {_OWNER})'
        self._environment.database.connection.execute(
            f'DELETE FROM "activityparty" WHERE "activityid" = ?{derived}', (activity_id,)
        )
