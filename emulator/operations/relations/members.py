"""`AddMembersTeam` and `RemoveMembersTeam`: several users of a team in one request."""

from collections.abc import Sequence
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import invalid_argument, no_resource
from emulator.messages import Effect, Planned, Request, Response, answer
from emulator.odata import PairLink, RowKey, child_link, row_reference
from emulator.operations.changes import Changes
from emulator.operations.references import existing_id
from emulator.operations.relations.pairs import Pairs
from emulator.schema import Schema, Table
from emulator.store.values import guid_text

__all__ = ["Members"]

_ACTIONS: Final = {"AddMembersTeam": True, "RemoveMembersTeam": False}
_COLLECTION: Final = "teammembership_association"
_KEYS: Final = ("ownerid", "systemuserid")  # the key of a principal, and the user's own


class Members:
    """The members of all teams."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._pairs = Pairs(environment, changes)

    def knows(self, table: Table, action: str) -> bool:
        """Whether this is one of the two actions; one that the schema file declares is answered from there."""
        schema = self._environment.schema
        return table.logical_name == "team" and action in _ACTIONS and action not in schema.actions

    def plan(self, request: Request, table: Table, reference: RowKey, action: str) -> Planned:
        """Plans `POST teams(...)/Microsoft.Dynamics.CRM.AddMembersTeam`.

        Raises:
            ServiceError: The team or a member does not exist, or the list of members is missing.
        """
        if request.method != "POST":
            raise no_resource(request.url)
        link = child_link(_COLLECTION, table, self._environment.schema)
        members = request.parameters(action, ("Members",)).get("Members")
        if not isinstance(members, list) or not isinstance(link, PairLink):
            raise invalid_argument("Required field 'Members' is missing")
        team_id = existing_id(self._environment, table, reference)
        users = [self._user(member) for member in members]
        adds = _ACTIONS[action]

        def act() -> Response:
            with self._environment.database.transaction():
                return answer(effects=self._change(request, link, team_id, users, adds=adds))

        return Planned(rows={"create" if adds else "delete": len(users)}, act=act)

    def _user(self, member: Any) -> str:
        users = self._environment.schema.tables["systemuser"]
        return existing_id(self._environment, users, _reference(member, users, self._environment.schema))

    def _change(
        self, request: Request, link: PairLink, team_id: str, users: Sequence[str], *, adds: bool
    ) -> tuple[Effect, ...]:
        """Adds users that are no members yet, or removes members."""
        effects: list[Effect] = []
        for user_id in dict.fromkeys(users):
            if not adds:
                effects += self._pairs.disassociate(link, team_id, user_id, request.caller)
            elif not self._pairs.contains(link, team_id, user_id):
                effects += self._pairs.associate(link, team_id, user_id, request.caller)
        return tuple(effects)


def _reference(member: Any, users: Table, schema: Schema) -> RowKey:
    if isinstance(member, dict) and isinstance(member.get("@odata.id"), str):
        table, key = row_reference(member["@odata.id"], schema)
        if table is users:
            return key
    elif isinstance(member, dict) and (named := next((member[key] for key in _KEYS if member.get(key)), None)):
        return RowKey(id=guid_text(named))
    raise invalid_argument("A member of 'Members' is not a user: ownerid or systemuserid is missing.")
