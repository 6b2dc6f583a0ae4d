"""Who an application user is, what it may do, and what its tables ask for.

Source: `WhoAmI`, `RetrieveUserPrivileges` and `SecurityPrivilegeMetadata`, Web API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from shared.dataverse.http.service import Call, Service
from shared.odata import odata_text

__all__ = ["HeldPrivileges", "TableFacts", "held_privileges", "table_facts", "who_am_i"]

_OF_USER: Final = "systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPrivileges:
    """The privileges that a user holds, of any depth; those that come from teams are among them.

    Attributes:
        ids: Their ids.
        names: Their names in lower case, as far as the service gives them.
    """

    ids: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What a table asks of its users.

    Attributes:
        privileges: Kind, such as `Read` -> name and id of the privilege.
        change_tracking: Whether it tracks changes.
    """

    privileges: Mapping[str, tuple[str, str]]
    change_tracking: bool


def who_am_i(service: Service, user: int) -> str:
    """The id of the user behind one of the application users.

    Raises:
        AbortRun: The credentials are refused, or the environment has no such user.
        RetryLater: The service is unavailable.
    """
    call = Call(path="WhoAmI", table="systemuser", doing="sign in as")
    return service.fetch_json(call, user=user).member("UserId").guid()


def held_privileges(service: Service, user: int) -> HeldPrivileges:
    """What one of the application users may do, as it is told itself.

    Raises:
        RequestRefused: The service does not tell.
        AbortRun: The user may not ask.
        RetryLater: The service is unavailable.
    """
    path = _OF_USER.format(user=who_am_i(service, user))
    answer = service.fetch_json(Call(path=path, table="systemuser", doing="read the privileges of"), user=user)
    rows = list(answer.member("RolePrivileges").items())
    return HeldPrivileges(
        ids=frozenset(row.member("PrivilegeId").guid() for row in rows),
        names=frozenset(name.lower() for row in rows if (name := row.member("PrivilegeName").text(""))),
    )


def table_facts(service: Service, table: str) -> TableFacts:
    """What a table asks of its users.

    Raises:
        AbortRun: There is no such table.
        RetryLater: The service is unavailable.
    """
    path = f"EntityDefinitions(LogicalName={odata_text(table)})?$select=LogicalName,ChangeTrackingEnabled,Privileges"
    call = Call(path=quote(path, safe="/?&=$,()'"), table=table, doing="read the metadata of")
    answer = service.fetch_json(call)
    listed = answer.member("Privileges").items()
    return TableFacts(
        privileges={
            each.member("PrivilegeType").text(): (each.member("Name").text(""), each.member("PrivilegeId").guid())
            for each in listed
        },
        change_tracking=answer.member("ChangeTrackingEnabled").flag(default=False),
    )
