"""The privileges that a definition needs and its application users do not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.dataverse import Dataverse
from shared.dataverse.metadata.privileges import HeldPrivileges, TableFacts, held_privileges, table_facts
from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import AbortRun
from shared.transform.access import RequiredPrivilege, needed_access

__all__ = ["PrivilegeCheck", "access_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivilegeCheck:
    """One privilege that a definition needs.

    Attributes:
        need: What it is needed for.
        name: Its name, such as `prvReadAccount`.
        lacking: Numbers of the application users that do not have it, from 1; empty where all have it.
        users: How many application users there are.
    """

    need: RequiredPrivilege
    name: str
    lacking: tuple[int, ...]
    users: int

    def __str__(self) -> str:
        """What is missing, and what to do."""
        of = f" ({self.need.kind} on {self.need.table})" if self.need.table else ""
        who = f"application user {', '.join(map(str, self.lacking))}" if self.users > 1 else "the application user"
        return f"{who} lacks the privilege {self.name}{of}: add it to one of its security roles"


def access_of(definition: SyncDefinition, entity: EntityMetadata, dataverse: Dataverse) -> Sequence[PrivilegeCheck]:
    """Every privilege that a definition needs, and who lacks it.

    Raises:
        RequestRefused: The service does not tell the privileges of a user.
        AbortRun: A user may not ask, or a table is not there.
        RetryLater: The service is unavailable.
    """
    service = dataverse.service
    held = [held_privileges(service, user) for user in range(len(service.users))]
    needs = needed_access(definition, entity, tuple(_updated(definition, dataverse)))
    facts = {table: table_facts(service, table) for table in dict.fromkeys(need.table for need in needs if need.table)}
    return [
        PrivilegeCheck(need=need, name=name, lacking=tuple(_lacking(name, wanted, held)), users=len(held))
        for need in needs
        for name, wanted in _named(need, facts)
    ]


def _updated(definition: SyncDefinition, dataverse: Dataverse) -> Iterator[tuple[str, str]]:
    """The place of each update after the sync, and its table; what is not a table is reported with the steps."""
    for number, step in enumerate(definition.post_sync):
        if step.update is not None:
            with suppress(AbortRun):
                yield f"post_sync[{number}].update.entity", dataverse.entity(step.update.entity).logical_name


def _named(need: RequiredPrivilege, facts: dict[str, TableFacts]) -> Iterator[tuple[str, str]]:
    """The name and the id of a privilege; none where a table does not have this kind, so that nobody needs it."""
    if not need.table:
        yield need.kind, ""
    elif (found := facts[need.table].privileges.get(need.kind)) is not None:
        yield found


def _lacking(name: str, wanted: str, held: Sequence[HeldPrivileges]) -> Iterator[int]:
    for number, each in enumerate(held, start=1):
        known = wanted in each.ids if wanted else name.lower() in each.names or not each.names
        if not known:
            yield number
